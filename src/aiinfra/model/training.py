"""How long one training step takes, and where the time goes.

Sources: D. Narayanan et al., SC21, arXiv 2104.04473; V. Korthikanti et al., arXiv 2205.05198.

Known error: 1.5 % mean on nine published steps of A100s (1.7 % on each held back), 2.5 % (3.0 %) on
seven of newer stacks; ``tools/fit.py`` prints all four. Not in it: stragglers, routing that is not
even, congestion of the fabric, uneven stages, reading data, checkpoints. Where they count it is too
fast: by 20 to 25 % for MT-NLG 530B on thousands of A100, by 25 to 70 % for ZeRO stage 3 on 384 to
2,240 (table 2 of SC21), more the more ranks there are. Those rows are quoted from memory
(unchecked), and nothing was fitted on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from aiinfra.model.collectives import all_gather_time
from aiinfra.model.data_parallel import (
    accumulation_time,
    data_time,
    stage_parameters,
    update_time,
)
from aiinfra.model.layer import WIDTH, Pass, Slice, backwards, layer_time, products
from aiinfra.model.layout import Cluster, Layout
from aiinfra.model.parts import TimeParts
from aiinfra.model.software import Software, software
from aiinfra.model.transformer import Transformer

# Bytes the loss moves per logit, in fp32 after a cast: maximum, difference, exponential, sum,
# quotient forward; product and cast back.
LOGIT_BYTES = 40
# What a layer costs in either direction, and what a bubble is therefore made of.
LAYER = ("matmul", "attention", "elementwise", "tensor", "context", "expert")
PIPELINED = (*LAYER, "recompute")


@dataclass(frozen=True)
class StepTime(TimeParts):
    """Seconds of one step on the slowest rank, by part; the parts sum to ``seconds``.

    ``matmul`` is the products with weights, ``attention`` scores and weighted sums, ``elementwise``
    norms, activations, dropouts and residuals, each forward and backward; ``recompute`` what the
    backward pass computes again; ``head`` the logits and loss; ``tensor``, ``context``, ``expert``
    the collectives of a layer; ``bubble`` waiting for the pipeline to fill and drain; ``stages``
    sends between stages; ``data`` what gradients and sharded weights cost beyond what computation
    hides; ``accumulation`` adding up the micro-batches' gradients; ``optimizer`` the update.
    ``model_flop`` is what the model needs without recomputation, ``masked_flop`` the part of it
    that a causal mask hides.
    """

    BESIDE = ("model_flop", "masked_flop", "peak")

    matmul: float
    attention: float
    elementwise: float
    recompute: float
    head: float
    tensor: float
    context: float
    expert: float
    bubble: float
    stages: float
    data: float
    accumulation: float
    optimizer: float
    model_flop: float
    masked_flop: float
    peak: float

    def without(self, part: str) -> StepTime:
        """Drop one part, for an ablation; the bubble shrinks with the work of a stage.

        Raises ``ValueError`` for a part that is not there.
        """
        if part not in self.parts:
            raise ValueError(f"no part {part!r}; there are {', '.join(self.parts)}")
        lighter = replace(self, **{part: 0.0})
        if part in PIPELINED:
            work = sum(getattr(self, name) for name in PIPELINED)
            left = sum(getattr(lighter, name) for name in PIPELINED)
            lighter = replace(lighter, bubble=self.bubble * left / work)
        return lighter

    @property
    def mfu(self) -> float:
        """Model FLOP utilisation as papers have it: ``model_flop / (seconds * peak of all ranks)``.

        The masked half of attention counts as done (A. Chowdhery et al., "PaLM", arXiv 2204.02311,
        appendix B, unchecked; SC21's formula), so fused kernels, which skip it, exceed 1 on very
        long sequences. ``causal_mfu`` cannot.
        """
        return self.model_flop / (self.seconds * self.peak)

    @property
    def causal_mfu(self) -> float:
        """Utilisation by the FLOP that a causal mask leaves: what the hardware must do at least."""
        return (self.model_flop - self.masked_flop) / (self.seconds * self.peak)


def step_time(
    model: Transformer,
    layout: Layout,
    cluster: Cluster,
    sequence: int,
    global_batch: int,
    precision: str = "bf16",
    flash_attention: bool = True,
    framework: str | Software = "",
) -> StepTime:
    """Price one training step of ``global_batch`` sequences, in seconds.

    The slowest stage is the last, which also has the logits. With ``m`` micro-batches
    ``t = m (L/p layer + head + stages + accumulation) + (p-1)/v L/p layer + data + optimizer``;
    ``layer`` is forward, backward and what is recomputed, operator after operator. ``framework``
    names constants in ``calibration.toml`` or brings its own.

    Raises ``LayoutError`` where the layout does not divide and ``CatalogueError`` for a precision
    that the accelerator lacks. Known error: in the module's docstring; optimistic where hundreds of
    ranks share weights by ZeRO stage 3.
    """
    layout.check(model, sequence)
    device, count = cluster.accelerator, layout.micro_batches(global_batch)
    soft = framework if isinstance(framework, Software) else software(framework, device.slug)
    part = Slice.of(layout, sequence, flash_attention)
    forward, backward = layer_time(model, part, cluster, precision, soft)
    layers = layout.stage_layers(model)
    again = recomputed(layout, forward, flash_attention, soft)
    stage = (layers * forward.cover, layers * backward.cover)
    runs = count * layers
    parameters = stage_parameters(model, layout)
    return StepTime(
        **{name: runs * (getattr(forward, name) + getattr(backward, name)) for name in LAYER},
        recompute=runs * again,
        head=count * head_time(model, part, cluster, precision, soft),
        bubble=layers * (forward.seconds + backward.seconds + again) * layout.idle,
        stages=count * stages_time(model, layout, part, cluster, soft),
        data=data_time(model, layout, cluster, soft, count, stage),
        accumulation=count * accumulation_time(parameters, cluster, soft),
        optimizer=update_time(parameters, layout, cluster, soft),
        model_flop=model_flop(model, sequence, global_batch),
        masked_flop=masked_flop(model, sequence, global_batch),
        peak=(device.peaks.get(precision) or device.peak(precision).value) * layout.ranks,
    )


def model_flop(model: Transformer, sequence: int, global_batch: int) -> float:
    """FLOP of a step without recomputation: ``6 P tokens`` and attention, the mask not skipped.

    The input table is looked up, not multiplied, so ``P`` has only the output matrix.
    """
    tokens = global_batch * sequence
    weights = model.active_parameters - model.embedding_parameters + model.vocab * model.hidden
    attention = model.layers * global_batch * model.attention_flop(sequence, sequence)
    return 6.0 * tokens * weights + 3.0 * attention


def masked_flop(model: Transformer, sequence: int, global_batch: int) -> float:
    """FLOP of a step that a causal mask hides: half of attention's, forward and backward."""
    return 1.5 * model.layers * global_batch * model.attention_flop(sequence, sequence)


def recomputed(layout: Layout, forward: Pass, flash_attention: bool, soft: Software) -> float:
    """Seconds a layer's backward pass spends on its forward pass again.

    Fused attention recomputes its own scores, which its backward FLOP already count.
    """
    if layout.recompute == "full":
        return forward.seconds - soft.early_stop * forward.last_product
    if layout.recompute == "selective" and not flash_attention:
        return forward.attention
    return 0.0


@lru_cache(maxsize=4096)
def head_time(
    model: Transformer, part: Slice, cluster: Cluster, precision: str, soft: Software
) -> float:
    """Price logits and loss of one micro-batch, forward and backward."""
    gemm = (model.logits_gemm(part.tokens, part.tensor),)
    matmul = products((*gemm, *backwards(gemm)), precision, cluster, soft.matmul)
    moved = LOGIT_BYTES * part.tokens * gemm[0].n
    return matmul + moved / (soft.memory * cluster.accelerator.memory_bandwidth)


def stages_time(
    model: Transformer, layout: Layout, part: Slice, cluster: Cluster, soft: Software
) -> float:
    """Price what one micro-batch sends between stages, forward and backward.

    Each of a stage's chunks receives a hidden state and a gradient, of which every tensor rank
    sends its share; without sequence parallelism an all-gather puts them together.
    """
    if layout.pipeline == 1:
        return 0.0
    inside = layout.ranks <= cluster.node_size
    n_bytes = WIDTH * part.tokens * model.hidden
    link = cluster.device_link if inside else cluster.network
    once = all_gather_time(2 * n_bytes / layout.tensor, 2, link).seconds  # two ranks: one message
    if not layout.sequence_parallel:
        once += all_gather_time(n_bytes, layout.tensor, cluster.device_link).seconds
    return 2 * layout.virtual_stages * once * (1 - soft.stage_overlap)
