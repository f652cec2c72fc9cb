"""What data parallelism costs beyond computation: gradients, sharded weights, the update.

Sources: S. Rajbhandari et al., "ZeRO", arXiv 1910.02054 (stages and their volumes); Y. Zhao et
al., "PyTorch FSDP", arXiv 2304.11277 (prefetching of weights behind computation); DeepSpeed issue
2252 (stage 2 reduces gradients after every backward pass, read 2026-11-24).
"""

from __future__ import annotations

import math

from aiinfra.model.collectives import all_gather_time
from aiinfra.model.layout import Cluster, Layout
from aiinfra.model.software import Software
from aiinfra.model.transformer import Transformer

WEIGHT_BYTES = 2
# Bytes an update moves per parameter: norm (read 4), scale (8), Adam (read 16, write 12),
# copy to 16 bits (6), zero the gradients (4).
UPDATE_BYTES = 50


def units(model: Transformer, layout: Layout) -> tuple[int, float, float]:
    """Layers of one rank of an end stage, parameters of each, and of its embedding table."""
    elsewhere = model.experts * model.expert_parameters * (1 - 1 / layout.expert)
    layer = (model.layer_parameters - elsewhere) / layout.tensor
    return layout.stage_layers(model), layer, model.vocab * model.hidden / layout.tensor


def stage_parameters(model: Transformer, layout: Layout) -> float:
    """Parameters of one rank of an end stage: its layers and one embedding table."""
    layers, layer, table = units(model, layout)
    return layers * layer + table


def gather_time(n_bytes: float, layout: Layout, cluster: Cluster) -> float:
    """Seconds until every data-parallel rank has all ``n_bytes``; a reduce-scatter takes as long.

    Where several of the group's ranks share a node, each of their network ports carries its share,
    pipelined with the links inside: the slower of the two counts. An all-reduce is twice this.
    """
    ranks = layout.data * layout.context
    inside = math.gcd(max(1, cluster.node_size // layout.tensor), ranks)
    across = all_gather_time(n_bytes / inside, ranks // inside, cluster.network).seconds
    return max(across, all_gather_time(n_bytes, inside, cluster.device_link).seconds)


def layerwise_time(width: float, model: Transformer, layout: Layout, cluster: Cluster) -> float:
    """Seconds to gather a stage of ``width`` bytes a parameter, one layer after the other.

    Sharded weights go a layer at a time, each with the latency of its collective.
    """
    layers, layer, table = units(model, layout)
    whole = layers * gather_time(width * layer, layout, cluster)
    return whole + gather_time(width * table, layout, cluster)


def exposed(seconds: float, computation: float, overlap: float) -> float:
    """What is not hidden: at least the share that cannot overlap, at least what is too long."""
    return max((1 - overlap) * seconds, seconds - computation)


def cover(layout: Layout, micro_batches: float) -> float:
    """Micro-batches whose computation can hide a reduction of gradients behind ``micro_batches``.

    A chunk's gradients are final after its last micro-batch; interleaved chunks end ``p / v``
    micro-batches apart, so the first has ``p (v - 1) / v`` of them to hide behind, and never more
    than there are.
    """
    stages, chunks = layout.pipeline, layout.virtual_stages
    return min(micro_batches, max(1.0, stages * (chunks - 1) / chunks))


def rounds_of(layout: Layout, micro_batches: int) -> int:
    """Times a step that stage 2 scatters gradients.

    After every backward pass, as DeepSpeed does; interleaved chunks take ``p`` micro-batches one
    after the other (D. Narayanan et al., SC21, figure 4), and none scatters before the last.
    """
    return -(-micro_batches // layout.pipeline) if layout.virtual_stages > 1 else micro_batches


def data_time(
    model: Transformer,
    layout: Layout,
    cluster: Cluster,
    soft: Software,
    micro_batches: int,
    stage: tuple[float, float],
) -> float:
    """Price a step's gradient reduction and weight gathering that computation does not hide.

    ``stage`` is what can hide it of one micro-batch on a stage, forward and backward, in seconds.
    ZeRO stage 0 all-reduces gradients once a step, behind the last backward passes. Stage 1
    reduce-scatters them instead and gathers the new weights behind the next forward passes. Stage 2
    holds no more than its shard of the gradients, so it scatters them in each of ``rounds_of``;
    what scatters once a step holds them whole until then, which is stage 1 here. Stage 3 gathers
    the weights of each layer in every forward and backward pass and scatters its gradients in every
    backward: a collective a layer. Known error: experts' gradients are reduced as if over the whole
    group; rings of hundreds of ranks are priced without congestion, far too fast.
    """
    if layout.data * layout.context == 1:
        return 0.0
    overlap, (forward, backward) = soft.data_overlap, stage
    if layout.zero == 3:
        weights = layerwise_time(WEIGHT_BYTES, model, layout, cluster)
        gradients = layerwise_time(soft.gradient_bytes, model, layout, cluster)
        once = exposed(weights, forward, overlap) + exposed(weights + gradients, backward, overlap)
        return micro_batches * once
    parameters = stage_parameters(model, layout)
    gradients = gather_time(soft.gradient_bytes * parameters, layout, cluster)
    weights = gather_time(WEIGHT_BYTES * parameters, layout, cluster)
    rounds = rounds_of(layout, micro_batches) if layout.zero == 2 else 1
    behind = cover(layout, micro_batches / rounds)
    if layout.zero == 0:
        return exposed(2 * gradients, behind * backward, overlap)
    gathering = exposed(weights, behind * forward, overlap)
    return rounds * exposed(gradients, behind * backward, overlap) + gathering


def update_time(parameters: float, layout: Layout, cluster: Cluster, soft: Software) -> float:
    """Price the optimizer's memory traffic; from ZeRO stage 1 each rank updates its shard."""
    shards = layout.data * layout.context if layout.zero else 1
    n_bytes = UPDATE_BYTES * parameters / shards
    return n_bytes / (soft.memory * cluster.accelerator.memory_bandwidth)


def accumulation_time(parameters: float, cluster: Cluster, soft: Software) -> float:
    """Price adding one micro-batch's gradients to the sum, where no product does it on the way."""
    n_bytes = soft.accumulate * parameters
    return n_bytes / (soft.memory * cluster.accelerator.memory_bandwidth)
