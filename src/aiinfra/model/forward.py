"""One pass of tokens through the layers of a deployed model: what it costs a rank, part by part.

Source: R. Pope et al., "Efficiently scaling transformer inference", arXiv 2211.05102 (what a pass
moves and computes, tensor parallelism). Constants: ``calibration.toml``, section ``inference``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from aiinfra.facts import catalogue
from aiinfra.facts.calibration import constant
from aiinfra.facts.schema import Accelerator, Link
from aiinfra.model.engine import Engine, engine
from aiinfra.model.formats import Format, half, number_format, with_cache
from aiinfra.model.gemm import gemm_time
from aiinfra.model.nodes import group_all_gather, group_all_reduce, node_size
from aiinfra.model.parts import TimeParts
from aiinfra.model.transformer import Gemm, Transformer

ACTIVATION = 2  # bytes of a value between operators

# What each part of a pass waits for, in the order of the fields of PassTime.
BOUND = {
    "weights": "memory", "matmul": "compute", "cache": "memory", "attention": "compute",
    "elementwise": "memory", "collectives": "network", "layers": "overhead", "host": "overhead",
}  # fmt: skip


@dataclass(frozen=True)
class Deployment:
    """One copy of a model on ``tensor`` devices, under one engine.

    ``precision`` as ``number_format`` reads it; a blank or unknown ``engine_name`` takes the
    constants of ``other``. Devices talk over their own link, else over the host's, and over the
    vendor's network where they are more than a node holds.
    """

    device: Accelerator = field(hash=False)
    tensor: int = 1
    precision: str = "fp16"
    engine_name: str = ""

    @classmethod
    def of(
        cls, accelerator: str, tensor: int = 1, precision: str = "fp16", engine_name: str = ""
    ) -> Deployment:
        """Build a deployment from a catalogue name; ``CatalogueError`` where it is not there."""
        return cls(catalogue.accelerator(accelerator), tensor, precision, engine_name)

    @cached_property
    def software(self) -> Engine:
        """The engine's constants."""
        return engine(self.engine_name)

    @cached_property
    def format(self) -> Format:
        """How weights and cache are kept; an fp8 cache goes with fp8 models in some engines."""
        found = number_format(self.precision, self.device)
        narrow = bool(self.software.fp8_cache) and found.name in ("fp8", "w4afp8", "nvfp4")
        return with_cache(found, self.precision, narrow=narrow)

    @cached_property
    def link(self) -> Link:
        """What joins the devices."""
        return catalogue.link(self.device.device_link or self.device.host_link or "pcie-4-x16")


@dataclass(frozen=True)
class PassTime(TimeParts):
    """Seconds by part; the parts sum to ``seconds``.

    ``weights`` is products that wait for their weights, ``matmul`` those that wait for arithmetic
    (a product is one or the other); ``cache`` reads the keys and values of earlier tokens,
    ``attention`` is a prompt's arithmetic with its own; ``elementwise`` moves activations;
    ``collectives`` are of tensor parallelism; ``layers`` starts kernels, ``host`` is what the CPU
    adds.
    """

    weights: float = 0.0
    matmul: float = 0.0
    cache: float = 0.0
    attention: float = 0.0
    elementwise: float = 0.0
    collectives: float = 0.0
    layers: float = 0.0
    host: float = 0.0

    @property
    def bound(self) -> str:
        """What most of the time waits for: memory, compute, network or overhead."""
        waits = dict.fromkeys(BOUND.values(), 0.0)
        for name, seconds in self.parts.items():
            waits[BOUND[name]] += seconds
        return max(waits, key=lambda name: waits[name])

    def __add__(self, other: PassTime) -> PassTime:
        return PassTime(*(getattr(self, name) + getattr(other, name) for name in BOUND))

    def __mul__(self, times: float) -> PassTime:
        return PassTime(*(times * getattr(self, name) for name in BOUND))


@lru_cache(maxsize=65536)
def layers_time(model: Transformer, on: Deployment, tokens: int, sequences: int) -> PassTime:
    """What prefill and decode have in common: products, activations, collectives, kernel starts.

    ``tokens`` pass the layers, the last of each of ``sequences`` the logits, whose matrix keeps at
    least 16 bits. Raises ``ValueError`` where ``on.tensor`` does not divide the model.
    """
    layer = [_product(gemm, on, on.format) for gemm in experts_touched(model, tokens, on)]
    work = sum(layer, PassTime()) * model.layers
    if sequences:
        wide = Format("auto", half(on.device), 2.0)
        kept = on.format if on.format.weight_bytes >= wide.weight_bytes else wide
        work += _product(model.logits_gemm(sequences, on.tensor), on, kept)
    rate = constant("inference.elementwise.share") * on.device.memory_bandwidth
    return work + PassTime(
        elementwise=tokens * layer_traffic(model, on.tensor) * model.layers / rate,
        collectives=_collectives(model, on, tokens, sequences),
        layers=on.software.layer * model.layers,
    )


def experts_touched(model: Transformer, tokens: int, on: Deployment) -> tuple[Gemm, ...]:
    """The products of a layer, of experts only those that some token chooses.

    With even routing ``E (1 - (1 - a/E)**tokens)`` of ``E`` experts are read, ``a`` a token.
    """
    gemms = model.layer_gemms(tokens, on.tensor)
    if model.experts == 1:
        return gemms
    share = model.active_experts / model.experts
    touched = max(1, round(model.experts * (1 - (1 - share) ** tokens)))
    rows = max(1, round(tokens * model.active_experts / touched))
    return tuple(
        Gemm(g.name, rows, g.n, g.k, touched) if g.count == model.experts else g for g in gemms
    )


def _product(gemm: Gemm, on: Deployment, kept: Format) -> PassTime:
    """Price a product, or those of all experts in one kernel, with its weights as they are kept.

    A group of products is priced as one with as many more columns. Within a pass weights always
    come from memory: at least ``bytes / (share * bandwidth)``. Weights that are widened on the way
    shorten that, and no arithmetic. Arithmetic runs at ``in_situ`` of the speed of the same product
    alone.
    """
    columns, narrow = gemm.n * gemm.count, kept.weight_bytes if kept.weight_only else None
    time = gemm_time(gemm.m, columns, gemm.k, kept.compute, on.device, weights=narrow)
    compute = time.compute / constant("inference.in_situ")
    cold = kept.weight_bytes * gemm.k * columns / on.device.memory_bandwidth
    cold /= constant("gemm.memory") * (constant("inference.weight_only") if narrow else 1)
    memory = max(cold, time.memory)
    start = min(time.overhead, constant("gemm.launch"))
    longer = max(memory, compute) + time.overhead - start
    if memory >= compute:
        return PassTime(weights=longer, layers=start)
    return PassTime(matmul=longer, layers=start)


def layer_traffic(model: Transformer, tensor: int = 1) -> float:
    """Bytes of activations that one token moves in a layer outside the matrix products.

    Two fused residual-and-norm kernels read two and write two hidden states each; rotation reads
    and writes queries, keys and values; the activation reads one or two widths and writes one.
    """
    heads = 2 * (model.query_width + 2 * model.kv_width) / tensor
    ffn = (3 if model.gated_ffn else 2) * model.ffn * model.active_experts / tensor
    return ACTIVATION * (8 * model.hidden + heads + ffn)


def _collectives(model: Transformer, on: Deployment, tokens: int, sequences: int) -> float:
    """Seconds of two all-reduces a layer and of gathering the logits; none on one rank."""
    if on.tensor == 1:
        return 0.0
    n_bytes = float(ACTIVATION * tokens * model.hidden)
    one = group_all_reduce(n_bytes, on.tensor, on.device).seconds
    alone = node_size(on.device, on.tensor) == on.tensor
    if on.software.direct and on.device.device_link and alone:
        sent = (on.tensor - 1) * n_bytes / on.link.bandwidth_per_direction
        one = min(one, on.software.direct + sent)
    last = ACTIVATION * sequences * model.vocab
    logits = group_all_gather(last, on.tensor, on.device) if sequences else 0.0
    return 2 * model.layers * (one + on.software.skew) + logits
