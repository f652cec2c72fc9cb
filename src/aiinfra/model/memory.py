"""What training keeps in an accelerator's memory: the ledger of one rank, part by part.

Sources: S. Rajbhandari et al., "ZeRO", arXiv 1910.02054 (state and its sharding); V. Korthikanti
et al., "Reducing activation recomputation in large transformer models", arXiv 2205.05198
(activations, equations 1 to 6 and appendix B).
"""

from __future__ import annotations

from dataclasses import dataclass

from aiinfra.model.layout import Layout
from aiinfra.model.parts import Parts
from aiinfra.model.transformer import Transformer

PREFETCHED = 2  # layers or chunks held whole: the one that runs and its neighbour in time


@dataclass(frozen=True)
class Recipe:
    """Bytes that mixed precision with Adam keeps per parameter.

    ``optimizer`` is an fp32 master copy, momentum and variance. ZeRO's paper keeps gradients in
    fp16 (2 B, 16 B in all); Megatron-LM accumulates them in fp32 (4 B, 18 B in all).
    """

    weight: float = 2.0
    gradient: float = 4.0
    optimizer: float = 12.0


MEGATRON = Recipe()
ZERO = Recipe(gradient=2.0)


@dataclass(frozen=True)
class State:
    """Bytes of weights, gradients and optimizer on one rank."""

    weights: float
    gradients: float
    optimizer: float

    def __add__(self, other: State) -> State:
        return State(
            self.weights + other.weights,
            self.gradients + other.gradients,
            self.optimizer + other.optimizer,
        )

    @property
    def total(self) -> float:
        """All three."""
        return self.weights + self.gradients + self.optimizer


def state(parameters: float, shards: int = 1, zero: int = 0, recipe: Recipe = MEGATRON) -> State:
    """Reckon the state of ``parameters`` on one of ``shards`` ranks, in bytes.

    ``P (w / n3 + g / n2 + o / n1)`` with ``n`` the shards from that ZeRO stage on and 1 before.

    >>> [round(state(7.5e9, 64, stage, ZERO).total / 1e9, 1) for stage in (0, 1, 2, 3)]
    [120.0, 31.4, 16.6, 1.9]
    """
    return State(
        parameters * recipe.weight / (shards if zero >= 3 else 1),
        parameters * recipe.gradient / (shards if zero >= 2 else 1),
        parameters * recipe.optimizer / (shards if zero >= 1 else 1),
    )


@dataclass(frozen=True)
class MemoryLedger(Parts):
    """Bytes on one rank of the first pipeline stage; the parts sum to ``total``.

    ``weights``, ``gradients`` and ``optimizer`` are of the layers, ``embedding`` is all three of
    the embedding tables here; ``activations`` is what the layers keep for the backward pass but
    for ``attention_core``, the scores (``5 a s^2 b`` a layer); ``input`` is the mask of the
    embedding's dropout; ``logits`` what output layer and loss keep where the first stage is the
    last; ``working`` what comes and goes: a recomputed layer, gathered weights, chunks' gradients.
    """

    weights: float
    gradients: float
    optimizer: float
    embedding: float
    activations: float
    attention_core: float
    input: float
    logits: float
    working: float

    @property
    def state(self) -> float:
        """Weights, gradients and optimizer, of the embedding too."""
        return self.weights + self.gradients + self.optimizer + self.embedding


def memory_ledger(
    model: Transformer,
    layout: Layout,
    sequence: int,
    flash_attention: bool = False,
    recipe: Recipe = MEGATRON,
    global_batch: int | None = None,
    dropout: bool = True,
) -> MemoryLedger:
    """Reckon what one rank of the first stage holds, in bytes.

    Activations of ``L (1 + (p - 1) / (p v))`` layers are alive at the peak of an interleaved
    schedule, fewer where ``global_batch`` gives too few micro-batches to fill the pipeline.
    ``dropout`` counts its masks: GPT-2 and GPT-3 train with it, models since 2021 without.
    Known error: fragmentation, buffers of the collectives and the framework itself are missing,
    several GiB on a real device. Raises ``LayoutError`` where the layout does not divide.
    """
    layout.check(model, sequence)
    tokens = sequence * layout.micro_batch / layout.context
    alive = layers_alive(model, layout, global_batch)
    layer = layer_state(model, layout, recipe)
    layers = layout.stage_layers(model)
    made = layer_bytes(model, layout, tokens, sequence, flash_attention, dropout)
    kept, core, again = recomputed(made, layout, 2 * tokens * model.hidden, flash_attention)
    mask = tokens * model.hidden * split(layout) if dropout else 0.0
    return MemoryLedger(
        weights=layers * layer.weights,
        gradients=layers * layer.gradients,
        optimizer=layers * layer.optimizer,
        embedding=embedding_state(model, layout, recipe).total,
        activations=alive * kept,
        attention_core=alive * core,
        input=mask * alive / layers,
        logits=logit_bytes(model, layout, tokens) if layout.pipeline == 1 else 0.0,
        working=again + gathered_bytes(model, layout, recipe),
    )


def split(layout: Layout) -> float:
    """The share of a hidden state that a tensor-parallel rank keeps."""
    return 1 / layout.tensor if layout.sequence_parallel else 1.0


def layers_alive(model: Transformer, layout: Layout, global_batch: int | None) -> float:
    """Layers times micro-batches whose activations the first stage holds at its peak."""
    chunk = layout.stage_layers(model) / layout.virtual_stages
    extra = layout.pipeline - 1 if layout.virtual_stages > 1 else 0
    chunks = layout.pipeline * layout.virtual_stages + extra
    if global_batch is not None:
        chunks = min(chunks, layout.micro_batches(global_batch) * layout.virtual_stages)
    return chunks * chunk


def layer_state(model: Transformer, layout: Layout, recipe: Recipe) -> State:
    """State of one layer: experts live on ``expert`` ranks and are sharded over the others."""
    shards = layout.data * layout.context
    experts = model.experts * model.expert_parameters if model.experts > 1 else 0
    shared = (model.layer_parameters - experts) / layout.tensor
    own = experts / (layout.tensor * layout.expert)
    return state(shared, shards, layout.zero, recipe) + state(
        own, shards // layout.expert, layout.zero, recipe
    )


def embedding_state(model: Transformer, layout: Layout, recipe: Recipe) -> State:
    """State of the input table, and of the output matrix where it is another one and here."""
    tables = 1 if model.tied_embeddings or layout.pipeline > 1 else 2
    parameters = tables * model.vocab * model.hidden / layout.tensor
    return state(parameters, layout.data * layout.context, layout.zero, recipe)


def layer_bytes(
    model: Transformer,
    layout: Layout,
    tokens: float,
    sequence: int,
    flash_attention: bool,
    dropout: bool,
) -> tuple[float, float]:
    """Bytes one layer computes for its backward pass: all but scores, and scores.

    Whole on every tensor-parallel rank unless sequence parallel: inputs of two norms and two
    pairs of matrices, ``8 s b h``, and two dropout masks, ``2 s b h``. Split: queries, keys,
    values, context, and two or three feed-forward tensors, ``24 s b h / t`` where the network is
    4 h wide. Scores: softmax, ``2 a s^2 b / t``, with dropout mask and dropped softmax, ``5 a s^2
    b / t``; fused attention keeps 4 B a row.
    """
    width = (6 if model.gated_ffn else 4) * model.ffn * model.active_experts
    inner = 4 * model.query_width + 4 * model.kv_width + width
    whole = (10 if dropout else 8) * model.hidden * split(layout)
    kept = tokens * (whole + inner / layout.tensor)
    row = 4.0 if flash_attention else (5.0 if dropout else 2.0) * sequence
    return kept, tokens * row * model.heads / layout.tensor


def recomputed(
    made: tuple[float, float], layout: Layout, states: float, fused: bool
) -> tuple[float, float, float]:
    """Of what a layer makes: bytes kept (all but scores, and scores), and made again for one layer.

    ``states`` are the bytes of its input, all that full recomputation keeps; selective drops the
    scores, which fused attention never has.
    """
    kept, core = made
    if layout.recompute == "full":
        return states * split(layout), 0.0, kept + core
    if layout.recompute == "none" or fused:
        return kept, core, 0.0
    return kept, 0.0, core


def logit_bytes(model: Transformer, layout: Layout, tokens: float) -> float:
    """Inputs of the last norm and of the output layer, and logits in fp32."""
    hidden = 4 * model.hidden * split(layout)
    return tokens * (hidden + 4 * model.vocab / layout.tensor)


def gathered_bytes(model: Transformer, layout: Layout, recipe: Recipe) -> float:
    """Bytes of what ZeRO shards and a rank holds whole for a while.

    Stage 3: the weights of the layer that runs and of the next. Stage 2 with interleaved chunks:
    the gradients of the chunk that runs its round of micro-batches and of the last, on its way.
    """
    own = model.experts * model.expert_parameters / layout.expert
    shared = model.layer_parameters - model.experts * model.expert_parameters
    layer = (shared + own) / layout.tensor
    if layout.zero == 3:
        return PREFETCHED * recipe.weight * layer
    if layout.zero == 2 and layout.virtual_stages > 1:
        chunk = layout.stage_layers(model) / layout.virtual_stages
        return PREFETCHED * chunk * recipe.gradient * layer
    return 0.0
