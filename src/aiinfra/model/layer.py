"""What one layer costs a rank for one micro-batch: forward, backward, by kind of work.

Sources: V. Korthikanti et al., arXiv 2205.05198 (what a layer keeps and moves, where sequence
parallelism splits it); M. Shoeybi et al., "Megatron-LM", arXiv 1909.08053 (two all-reduces forward
and two backward); T. Dao, "FlashAttention-2", arXiv 2307.08691 (backward has 2.5 times the FLOP).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from aiinfra.model.collectives import all_reduce_time, all_to_all_time
from aiinfra.model.gemm import gemm_time
from aiinfra.model.layout import Cluster, Layout
from aiinfra.model.software import Software
from aiinfra.model.transformer import Gemm, Transformer

WIDTH = 2  # bytes of an activation in bf16 or fp16
NARROW = ("fp8", "int8", "fp4")
FLASH_BACKWARD = 2.5  # five products instead of two

# Passes over a tensor, in multiples of its bytes; a dropout's mask counts half. Forward, backward.
HIDDEN_PASSES = (2 * 2 + 2 * 3, 2 * 6)  # two norms, two residuals (read 2, write 1; none)
HIDDEN_DROPOUT = (2 * 0.5, 2 * 2.5)  # two masks, fused with the residuals; read 1.5, write 1
FFN_PASSES = (2, 3)  # the activation: read and write; read two and write one
HEADS_PASSES = (2, 2)  # queries, keys, values and context change their order in memory
SCORE_PASSES = (2, 3)  # softmax; products with scores are priced as such
SCORE_DROPOUT = (2.5, 2.5)


@dataclass(frozen=True)
class Pass:
    """Seconds of one layer in one direction; ``last_product`` is part of ``matmul``."""

    matmul: float
    attention: float
    elementwise: float
    tensor: float
    context: float
    expert: float
    last_product: float

    @property
    def cover(self) -> float:
        """What data-parallel communication can hide behind: all but collectives of its kind."""
        return self.matmul + self.attention + self.elementwise + self.context

    @property
    def seconds(self) -> float:
        """All parts."""
        return self.cover + self.tensor + self.expert


def products(gemms: tuple[Gemm, ...], precision: str, cluster: Cluster, share: float) -> float:
    """Seconds of matrix products, run one after another at ``share`` of their isolated speed."""
    device = cluster.accelerator
    return sum(g.count * gemm_time(g.m, g.n, g.k, precision, device).seconds for g in gemms) / share


def backwards(gemms: tuple[Gemm, ...]) -> tuple[Gemm, ...]:
    """The two products behind each forward one: gradient of its input and of its weight."""
    inputs = tuple(replace(g, n=g.k, k=g.n) for g in gemms)
    weights = tuple(replace(g, m=g.k, k=g.m) for g in gemms)
    return inputs + weights


@dataclass(frozen=True)
class Slice:
    """What of a layer one rank sees: sequences, their length, and the degrees that split it."""

    micro_batch: int
    sequence: int
    tensor: int = 1
    context: int = 1
    expert: int = 1
    sequence_parallel: bool = False
    flash_attention: bool = False

    @classmethod
    def of(cls, layout: Layout, sequence: int, flash_attention: bool) -> Slice:
        """What a layout leaves of ``sequence`` tokens a sequence."""
        return cls(
            layout.micro_batch, sequence, layout.tensor, layout.context, layout.expert,
            layout.sequence_parallel, flash_attention,
        )  # fmt: skip

    @property
    def tokens(self) -> int:
        """Tokens of one micro-batch on this rank's share of the sequence."""
        return self.micro_batch * self.sequence // self.context

    def gemms(self, model: Transformer) -> tuple[Gemm, ...]:
        """Products with weights; a share of the experts sees the tokens of its whole group."""
        gemms = model.layer_gemms(self.tokens, self.tensor)
        if self.expert == 1:
            return gemms
        return tuple(
            replace(g, m=g.m * self.expert, count=g.count // self.expert) if g.count > 1 else g
            for g in gemms
        )


@lru_cache(maxsize=4096)
def layer_time(
    model: Transformer, part: Slice, cluster: Cluster, precision: str, software: Software
) -> tuple[Pass, Pass]:
    """Price one layer for one micro-batch: forward and backward, in seconds.

    Known error: kernels follow one another, so gaps between short kernels are missing.
    """
    gemms = part.gemms(model)
    attention = attention_time(model, part, cluster, precision, software)
    elementwise = elementwise_time(model, part, cluster, software)
    tensor = tensor_time(model, part, cluster, software)
    context = context_time(model, part, cluster, attention)
    expert = expert_time(model, part, cluster)
    matmul, last = (
        [products(each, precision, cluster, software.matmul) for each in (some, backwards(some))]
        for some in (gemms, gemms[-1:])
    )
    forward, backward = (
        Pass(matmul[i], attention[i], elementwise[i], tensor[i], context[i], expert, last[i])
        for i in (0, 1)
    )
    return forward, backward


def attention_time(
    model: Transformer, part: Slice, cluster: Cluster, precision: str, software: Software
) -> tuple[float, float]:
    """Price scores, softmax, dropout and weighted sum, forward and backward.

    Fused (flash) kernels skip what a causal mask hides and keep scores on chip:
    ``2 b s^2 / c * width / t`` FLOP forward at a share ``flash s / (s + ramp)`` of the peak. Others
    compute every score and move ``2 a b s^2 / (c t)`` bytes at each pass; heads are priced as one
    tall product. Scores stay in 16 bits where weights are narrower; fused kernels drop on chip.
    """
    precision = "bf16" if precision in NARROW else precision
    heads = model.heads // part.tensor
    queries = part.sequence // part.context
    if part.flash_attention:
        flop = part.micro_batch * model.attention_flop(queries, part.sequence / 2) / part.tensor
        share = software.flash * part.sequence / (part.sequence + software.flash_ramp)
        forward = flop / (share * cluster.accelerator.peak(precision).value)
        return forward, FLASH_BACKWARD * forward
    rows = part.micro_batch * heads * queries
    scores = Gemm("scores", rows, part.sequence, model.head_size)
    context = Gemm("weighted sum", rows, model.head_size, part.sequence)
    once = products((scores, context), precision, cluster, software.matmul)
    move = WIDTH * rows * part.sequence / (software.memory * cluster.accelerator.memory_bandwidth)
    first, second = (
        p + software.dropout * d for p, d in zip(SCORE_PASSES, SCORE_DROPOUT, strict=True)
    )
    return once + first * move, 2 * once + second * move


def elementwise_time(
    model: Transformer, part: Slice, cluster: Cluster, software: Software
) -> tuple[float, float]:
    """Price norms, dropouts, residuals, activations and reorderings by the bytes they move."""
    split = part.tensor if part.sequence_parallel else 1
    hidden = model.hidden / split
    width = model.ffn * model.active_experts * (1.5 if model.gated_ffn else 1.0) / part.tensor
    heads = (2 * model.query_width + 2 * model.kv_width) / part.tensor
    rate = WIDTH * part.tokens / (software.memory * cluster.accelerator.memory_bandwidth)
    passes = [p + software.dropout * d for p, d in zip(HIDDEN_PASSES, HIDDEN_DROPOUT, strict=True)]
    forward, backward = (
        rate * (hidden * passes[i] + width * FFN_PASSES[i] + heads * HEADS_PASSES[i])
        for i in (0, 1)
    )
    return forward, backward


def tensor_time(
    model: Transformer, part: Slice, cluster: Cluster, software: Software
) -> tuple[float, float]:
    """Price the collectives of tensor parallelism, forward and backward.

    Two all-reduces of the hidden state each way, the backward ones beside the weights' gradients.
    With sequence parallelism each becomes a reduce-scatter and an all-gather (the same bytes), of
    which the backward gather of gradients has nothing to hide behind, and the inputs are gathered
    once more. Inside the node they use the device link, beyond it the network.
    """
    link = cluster.device_link if part.tensor <= cluster.node_size else cluster.network
    n_bytes = WIDTH * part.tokens * model.hidden
    once = all_reduce_time(n_bytes, part.tensor, link).seconds
    forward = 2 * once * (1 - software.forward_overlap)
    gathers = forward / 2 if part.sequence_parallel else 0.0
    return forward, 2 * once * (1 - software.backward_overlap) + gathers


def context_time(
    model: Transformer, part: Slice, cluster: Cluster, attention: tuple[float, float]
) -> tuple[float, float]:
    """Price fetching the other ranks' keys and values beyond what attention hides.

    Ring attention: ``(c - 1) / c`` of all keys and values forward, twice that backward (their
    gradients travel too).
    """
    if part.context == 1:
        return 0.0, 0.0
    inside = part.tensor * part.context <= cluster.node_size
    link = cluster.device_link if inside else cluster.network
    kv_bytes = 2 * WIDTH * part.micro_batch * part.sequence * model.kv_width / part.tensor
    once = all_to_all_time(kv_bytes, part.context, link).seconds
    return max(0.0, once - attention[0]), max(0.0, 2 * once - attention[1])


def expert_time(model: Transformer, part: Slice, cluster: Cluster) -> float:
    """Price sending tokens to their experts and back: two all-to-alls in each direction."""
    inside = part.tensor * part.expert <= cluster.node_size
    link = cluster.device_link if inside else cluster.network
    n_bytes = WIDTH * part.tokens * model.active_experts * model.hidden / part.tensor
    return 2 * all_to_all_time(n_bytes, part.expert, link).seconds
