"""A serving engine's limits: how many sequences, how much cache, how it batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiinfra.model import inference
from aiinfra.model.inference import Deployment
from aiinfra.model.serving.requests import Requests
from aiinfra.model.transformer import Transformer

Batching = Literal["continuous", "static"]
UNLIMITED = 2**62


@dataclass(frozen=True)
class Replica:
    """Limits of one replica.

    ``max_batch`` sequences run at once; the key-value cache has ``kv_blocks`` pages of
    ``block_tokens`` tokens. ``token_budget`` caps the tokens of an iteration, prefill and decode
    together, and so cuts prompts into chunks; ``None`` prefills a prompt whole. ``watermark`` is
    the share of pages that admission leaves free for sequences that grow.
    With ``batching="static"`` a batch starts when ``max_batch`` requests wait or ``patience``
    seconds after the first of them, and nobody joins or leaves until its longest answer is done.
    Raises ``ValueError`` on limits under which nothing could run.
    """

    max_batch: int
    kv_blocks: int = UNLIMITED
    block_tokens: int = 16
    token_budget: int | None = None
    batching: Batching = "continuous"
    patience: float = 0.0
    watermark: float = 0.01

    def __post_init__(self) -> None:
        for name in ("max_batch", "kv_blocks", "block_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.token_budget is not None and self.token_budget < self.max_batch:
            raise ValueError(
                f"token_budget {self.token_budget} must be at least max_batch {self.max_batch}: "
                "every running sequence decodes one token"
            )
        if self.batching not in ("continuous", "static"):
            raise ValueError(f"batching must be continuous or static, got {self.batching!r}")
        if self.batching == "static" and self.token_budget is not None:
            raise ValueError("a static batch prefills prompts whole; leave token_budget out")
        if self.patience < 0 or not 0 <= self.watermark < 1:
            raise ValueError("patience must not be negative and watermark lie in 0..1")

    @classmethod
    def of(
        cls,
        model: Transformer,
        on: Deployment,
        max_batch: int = 256,
        token_budget: int | None = None,
        usable: float = inference.USABLE,
        block_tokens: int = 16,
    ) -> Replica:
        """Give the cache what the weights leave of the ``usable`` share of the memory.

        ``kv_blocks = floor((usable memory - weights) / (block_tokens * cache of a token))`` on one
        rank. 256 sequences, 0.9 of the memory and pages of 16 tokens are vLLM's defaults (its
        ``arg_utils.py``, read 2026-11-24). Known error: activations and captured graphs take
        1-4 GB more (unchecked). Raises ``ValueError`` where the weights leave no page.
        """
        free = usable * on.device.memory_bytes - inference.weight_bytes(model, on)
        blocks = int(free // (block_tokens * inference.kv_bytes(model, on)))
        if blocks < 1:
            needed = inference.weight_bytes(model, on)
            raise ValueError(
                f"the weights take {needed:.3g} B of each of {on.tensor} x {on.device.slug} and "
                "leave no room for a cache; raise tensor or keep the weights in fewer bits"
            )
        return cls(max_batch, blocks, block_tokens, token_budget)

    def check(self, requests: Requests) -> None:
        """Raise ``ValueError`` where a request could not run even alone."""
        final = requests.prompt + requests.output - 1
        pages = -(-final // self.block_tokens)
        if pages.max() > self.kv_blocks:
            worst = int(pages.argmax())
            raise ValueError(
                f"request {worst} needs {pages[worst]} pages of cache but there are "
                f"{self.kv_blocks}; shorten it or give more kv_blocks"
            )
