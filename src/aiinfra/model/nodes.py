"""Collectives of more devices than one node holds: its links inside, a network between nodes.

Sources: NVIDIA DGX and HGX systems of A100, H100, H200 and B200 hold 8 GPUs on NVLink; a GB200
NVL72 rack holds 72 (S. Bekman, Machine Learning Engineering: network; read 2026-11-24).
"""

from __future__ import annotations

from aiinfra.facts.schema import Accelerator
from aiinfra.model.collectives import (
    CollectiveTime,
    all_gather_time,
    all_reduce_time,
    hierarchical_all_reduce_time,
)
from aiinfra.model.layout import Cluster

NODE = 8
LARGER = {"gb200": 72}  # devices that one link domain joins, by slug
BOUNDED = ("NVLink", "PCIe", "Infinity Fabric")  # kinds of link that end with the node


def node_size(device: Accelerator, ranks: int) -> int:
    """Ranks that share a node: the largest number that divides them and fits.

    8, or 72 in an NVL72; a torus (TPU, Trainium) holds all. Nodes of other sizes exist (16 V100 or
    A100 on one switch, 4 H100): they are priced as if of 8.
    """
    if Cluster.of(device).device_link.kind not in BOUNDED:
        return ranks
    most = LARGER.get(device.slug, NODE)
    return max(n for n in range(1, min(most, ranks) + 1) if ranks % n == 0)


def group_all_reduce(n_bytes: float, ranks: int, device: Accelerator) -> CollectiveTime:
    """Price an all-reduce of ``ranks`` devices, hierarchical where they fill more than one node.

    Between nodes every device has its own port of the network that ``Cluster.of`` names. Raises
    as ``all_reduce_time`` does. Known error: beyond one node nothing is measured.
    """
    on, inside = Cluster.of(device), node_size(device, ranks)
    if inside == ranks:
        return all_reduce_time(n_bytes, ranks, on.device_link)
    return hierarchical_all_reduce_time(n_bytes, ranks, inside, on.device_link, on.network)


def group_all_gather(n_bytes: float, ranks: int, device: Accelerator) -> float:
    """Seconds of an all-gather that leaves ``n_bytes`` everywhere: between nodes, then inside."""
    on, inside = Cluster.of(device), node_size(device, ranks)
    across = all_gather_time(n_bytes / inside, ranks // inside, on.network)
    return across.seconds + all_gather_time(n_bytes, inside, on.device_link).seconds
