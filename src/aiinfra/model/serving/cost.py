"""What one iteration of a serving engine costs: a roofline with seven coefficients."""

from __future__ import annotations

from dataclasses import dataclass, fields

from aiinfra.model import inference
from aiinfra.model.inference import Deployment
from aiinfra.model.parts import TimeParts
from aiinfra.model.transformer import Transformer


@dataclass(frozen=True)
class StepTime(TimeParts):
    """Seconds of one iteration by part; the parts sum to ``seconds``.

    ``overhead`` is launches, scheduling and sampling, ``weights`` streaming the weights,
    ``compute`` arithmetic on tokens, ``activations`` what moves between operators and devices,
    ``kv`` streaming the key-value cache. Weights and compute overlap, so one of the two is zero.
    """

    overhead: float
    weights: float
    compute: float
    activations: float
    kv: float

    @property
    def bound(self) -> str:
        """The largest: "overhead", "memory bandwidth" (weights, kv), "compute", "activations"."""
        parts = {
            "overhead": self.overhead,
            "memory bandwidth": self.weights + self.kv,
            "compute": self.compute,
            "activations": self.activations,
        }
        return max(parts, key=lambda name: parts[name])


@dataclass(frozen=True)
class StepCost:
    """Coefficients of an iteration's time, in s.

    ``t = fixed + sequence D + activation (P + D) + max(weights, token (P + D) + pair Q) +
    kv_token K`` with ``P`` prefill tokens and ``Q`` their pairs of query and key, ``D`` sequences
    that decode one token each and ``K`` the tokens in their caches. ``fixed`` is launches,
    collectives' latency and the host; ``weights`` one pass over the weights; ``token`` the
    products of one token; ``activation`` its elementwise traffic and collectives; ``pair``
    attention in prefill; ``sequence`` sampling and bookkeeping of one sequence. With ``weights``
    and ``pair`` zero it is a straight line in ``P``, ``D`` and ``K``.

    Known error: products reach less of the peak at small batches, which the straight line hides
    around the knee where weights and compute meet; attention over unequal contexts is as slow as
    its longest, which no coefficient knows (unchecked).
    Raises ``ValueError`` on a negative coefficient or where every one is zero.
    """

    fixed: float
    token: float
    sequence: float = 0.0
    kv_token: float = 0.0
    weights: float = 0.0
    pair: float = 0.0
    activation: float = 0.0

    def __post_init__(self) -> None:
        for part in fields(self):
            if not 0 <= getattr(self, part.name) < float("inf"):
                value = getattr(self, part.name)
                raise ValueError(f"{part.name} must be a time in s, not negative, got {value}")
        if self.fixed + self.weights + self.token <= 0:
            raise ValueError("an iteration that costs nothing never ends; give fixed or token")

    def step(self, prefill: float, decodes: float, kv_tokens: float, pairs: float = 0) -> StepTime:
        """Price one iteration: ``prefill`` tokens, ``decodes`` sequences, ``kv_tokens`` read."""
        compute = self.token * (prefill + decodes) + self.pair * pairs
        return StepTime(
            overhead=self.fixed + self.sequence * decodes,
            weights=self.weights if self.weights > compute else 0.0,
            compute=compute if compute >= self.weights else 0.0,
            activations=self.activation * (prefill + decodes),
            kv=self.kv_token * kv_tokens,
        )

    @property
    def knee(self) -> float:
        """Tokens an iteration can hold before arithmetic outlasts the pass over the weights."""
        return self.weights / self.token if self.token else float("inf")

    @classmethod
    def of(
        cls, model: Transformer, on: Deployment, batch: int = 32, context: int = 1024
    ) -> StepCost:
        """Read the coefficients off ``inference`` for a model on a deployment.

        ``weights`` and ``fixed`` are parts of a decode step of one sequence; ``sequence`` and
        ``kv_token`` slopes at ``batch`` sequences of ``context`` tokens; ``token``, ``activation``
        and ``pair`` slopes of a prefill of ``4 context`` tokens. Raises what ``decode_step``
        raises. Known error, against ``inference`` for dense models: within 12 % for decode up to
        64 sequences and 4 % for prompts of 4,096 tokens, up to 27 % too fast around the knee (128
        to 512 tokens), where products are neither small nor large. A mixture of experts streams
        more experts the larger the batch; its ``weights`` are those of ``batch`` sequences, far
        too slow for one alone.
        """
        alone = inference.decode_step(model, on, 1, 0.0)
        some = inference.decode_step(model, on, batch, 0.0)
        twice = inference.decode_step(model, on, 2 * batch, 0.0)
        filled = inference.decode_step(model, on, batch, float(context))
        short, long = (inference.prefill(model, on, 2 * context * n) for n in (1, 2))
        more, moved = 2 * context, long.elementwise + long.collectives
        return cls(
            fixed=alone.host + alone.layers + alone.collectives,
            token=(long.matmul + long.weights - short.matmul - short.weights) / more,
            sequence=max(0.0, twice.host - some.host) / batch,
            kv_token=(filled.cache - some.cache) / (batch * context),
            weights=max(alone.weights, some.weights) if model.experts > 1 else alone.weights,
            pair=long.attention / (more * (2 * more + 1)),
            activation=(moved - short.elementwise - short.collectives) / more,
        )
