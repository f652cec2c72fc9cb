"""What a checkpoint costs: bytes, the burst that writes them, and how long training stands still.

Sources (read 2026-11-24): D. Narayanan et al., "Efficient large-scale language model training on
GPU clusters", SC21, arXiv 2104.04473, section 5.10 (13.8 TB for a trillion parameters, written at
273 GB/s); J. Mohan et al., "CheckFreq", FAST 2021 (a snapshot, then a write behind the training).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


def checkpoint_bytes(parameters: float, weight: float = 2.0, optimizer: float = 12.0) -> float:
    """Return the bytes of a checkpoint: ``parameters * (weight + optimizer)``.

    The defaults are 16-bit weights and Adam's fp32 copy, momentum and variance; gradients are
    computed again. With a memory ledger, give the sum of its weights and optimizer instead: every
    parameter once, not once a data-parallel rank.

    >>> checkpoint_bytes(1e12) / 1e12
    14.0
    """
    if min(parameters, weight, optimizer) < 0:
        raise ValueError("parameters and bytes a parameter must not be negative")
    return parameters * (weight + optimizer)


@dataclass(frozen=True)
class Burst:
    """One checkpoint: ``stall`` seconds of standing still, ``write`` seconds until it is safe.

    ``interval`` is the training between two of them, in s; ``bound`` what the write waits for.
    """

    n_bytes: float
    stall: float
    write: float
    interval: float
    bound: Literal["storage", "node link"]

    @property
    def stall_fraction(self) -> float:
        """Share of the time lost: ``stall / (interval + stall)``."""
        return self.stall / (self.interval + self.stall)

    @property
    def storage_use(self) -> float:
        """Share of the time in which storage is busy with checkpoints."""
        return min(1.0, self.write / (self.interval + self.stall))


def burst(
    n_bytes: float,
    interval: float,
    storage_bandwidth: float,
    nodes: int = 1,
    node_bandwidth: float = math.inf,
    asynchronous: bool = False,
    copy_bandwidth: float = math.inf,
) -> Burst:
    """Price a checkpoint of ``n_bytes``, spread evenly over ``nodes``, every ``interval`` seconds.

    ``write = max(n / storage, n / (nodes * node))``. Synchronous: ``stall = write``. Asynchronous:
    a copy to host memory stalls, ``n / (nodes * copy)``, and the write runs behind the training;
    one that is not done when the next begins stalls for the rest:
    ``stall = copy + max(0, write - interval)``. Bandwidths in B/s, ``copy_bandwidth`` of a node.
    Known error: metadata, barriers and slow writers add seconds at thousands of ranks; the write
    competes with the loader for the same links. Raises ``ValueError`` on values not positive.
    """
    if n_bytes < 0 or interval <= 0 or nodes < 1:
        raise ValueError("n_bytes must not be negative, interval positive and nodes at least 1")
    if min(storage_bandwidth, node_bandwidth, copy_bandwidth) <= 0:
        raise ValueError("bandwidths must be positive")
    storage, link = n_bytes / storage_bandwidth, n_bytes / (nodes * node_bandwidth)
    write = max(storage, link)
    stall = write
    if asynchronous:
        stall = n_bytes / (nodes * copy_bandwidth) + max(0.0, write - interval)
    return Burst(n_bytes, stall, write, interval, "storage" if storage >= link else "node link")
