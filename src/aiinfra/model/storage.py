"""What storage costs training: loaders that starve accelerators, and bursts of checkpoints.

Sources: MLCommons, MLPerf Storage (``configs/dlio/workload`` and rules, read 2026-11-24: an
accelerator counts as fed at 90 % utilisation); PyTorch's ``DataLoader`` (workers, prefetch).
Checkpoints stand in ``checkpoint`` and are offered here too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiinfra.model.checkpoint import Burst, burst, checkpoint_bytes

__all__ = [
    "Burst", "Disk", "LoaderTime", "LoaderTimeline", "Loading", "burst", "checkpoint_bytes",
    "fed_accelerators", "loader_time", "loader_timeline",
]  # fmt: skip

Floats = NDArray[np.float64]
Bound = Literal["accelerator", "disk bandwidth", "disk operations", "workers"]


@dataclass(frozen=True)
class Disk:
    """What one training node gets from storage: B/s, operations/s, and s of one operation.

    ``operations`` may be infinite and ``latency`` zero where they do not matter. A drive of the
    catalogue has these as ``sequential_read``, ``random_read`` and ``read_latency``.
    """

    bandwidth: float
    operations: float = math.inf
    latency: float = 0.0

    def __post_init__(self) -> None:
        if self.bandwidth <= 0 or self.operations <= 0 or self.latency < 0:
            raise ValueError("bandwidth and operations must be positive, latency not negative")

    def seconds(self, n_bytes: float, operations: float) -> float:
        """How long the disk is busy with a batch: ``max(bytes / B/s, operations / IOPS)``."""
        return max(n_bytes / self.bandwidth, operations / self.operations)


@dataclass(frozen=True)
class Loading:
    """A loader's work for one step of one accelerator.

    ``step`` is the seconds of computation on a batch of ``samples``, each of ``sample_bytes`` read
    in ``operations`` and prepared in ``prepare`` seconds of one worker. ``workers`` load whole
    batches, each up to ``prefetch`` ahead, as PyTorch's ``DataLoader`` does; with no worker the
    training process loads between steps. Raises ``ValueError`` on values that cannot be.
    """

    step: float
    samples: int
    sample_bytes: float
    operations: float = 1.0
    prepare: float = 0.0
    workers: int = 4
    prefetch: int = 2

    def __post_init__(self) -> None:
        if self.step <= 0 or self.samples < 1 or self.sample_bytes <= 0:
            raise ValueError("step and sample_bytes must be positive, samples at least 1")
        if min(self.operations, self.prepare, self.workers) < 0 or self.prefetch < 1:
            raise ValueError("operations, prepare and workers must not be negative, prefetch >= 1")

    @property
    def batch_bytes(self) -> float:
        """Bytes read for a step."""
        return self.samples * self.sample_bytes

    @property
    def needed(self) -> float:
        """Bandwidth in B/s that keeps one accelerator always busy."""
        return self.batch_bytes / self.step


@dataclass(frozen=True)
class LoaderTime:
    """Seconds between batches that each stage of the pipeline needs; the slowest sets the pace."""

    accelerator: float
    disk_bandwidth: float
    disk_operations: float
    workers: float
    serial: bool

    @property
    def stages(self) -> dict[Bound, float]:
        """Seconds by stage."""
        return {
            "accelerator": self.accelerator,
            "disk bandwidth": self.disk_bandwidth,
            "disk operations": self.disk_operations,
            "workers": self.workers,
        }

    @property
    def seconds(self) -> float:
        """From one step to the next; without workers loading and computing take turns."""
        if self.serial:
            return self.accelerator + self.workers
        return max(self.stages.values())

    @property
    def bound(self) -> Bound:
        """The slowest stage."""
        return max(self.stages, key=lambda name: self.stages[name])

    @property
    def utilisation(self) -> float:
        """Share of the time in which the accelerator computes."""
        return self.accelerator / self.seconds

    @property
    def idle(self) -> float:
        """Share of the time in which it waits for data."""
        return 1 - self.utilisation


def loader_time(work: Loading, disk: Disk, accelerators: int = 1) -> LoaderTime:
    """Price the steady state of a loader that shares ``disk`` with other accelerators' loaders.

    ``period = max(step, a B / bandwidth, a O / IOPS, (read + prepare) / workers)`` with ``a``
    accelerators, ``B`` bytes and ``O`` operations a batch; a worker reads one operation after
    another, ``read = max(O latency + B / bandwidth, O / IOPS)``. Known error: every batch takes
    the same time here; batches that vary need prefetch, and ``loader_timeline`` shows how much.
    A page cache that holds the data set makes the disk irrelevant after the first epoch.
    """
    if accelerators < 1:
        raise ValueError(f"there must be at least one accelerator, got {accelerators}")
    n_bytes, operations = work.batch_bytes, work.samples * work.operations
    alone = operations * disk.latency + n_bytes / disk.bandwidth
    read = max(alone, operations / disk.operations)
    load = read + work.samples * work.prepare
    return LoaderTime(
        accelerator=work.step,
        disk_bandwidth=accelerators * n_bytes / disk.bandwidth,
        disk_operations=accelerators * operations / disk.operations,
        workers=load / max(1, work.workers),
        serial=work.workers == 0,
    )


def fed_accelerators(work: Loading, disk: Disk, utilisation: float = 0.9) -> int:
    """Return how many accelerators ``disk`` feeds at ``utilisation``: MLPerf Storage's question.

    ``floor(step / utilisation / max(B / bandwidth, O / IOPS))``, zero where not even one can be
    kept at it. Raises ``ValueError`` unless ``0 < utilisation <= 1``.

    >>> unet3d_h100 = Loading(step=0.323, samples=7, sample_bytes=146_600_628)
    >>> fed_accelerators(unet3d_h100, Disk(bandwidth=13e9))
    4
    """
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation lies between 0 and 1, got {utilisation}")
    if loader_time(work, disk).utilisation < utilisation:
        return 0
    busy = disk.seconds(work.batch_bytes, work.samples * work.operations)
    return math.floor(work.step / utilisation / busy * (1 + 1e-12))  # exact ratios stay whole


@dataclass(frozen=True, eq=False)
class LoaderTimeline:
    """When each batch was asked for, read, ready and computed (begin, end), in s."""

    asked: Floats
    read: Floats
    ready: Floats
    begin: Floats
    end: Floats

    @property
    def idle(self) -> float:
        """Share of the time after the first batch was ready in which the accelerator waited."""
        total = self.end[-1] - self.begin[0]
        return float(1 - (self.end - self.begin).sum() / total)


def loader_timeline(
    read: ArrayLike, prepare: ArrayLike, step: ArrayLike, workers: int, prefetch: int = 2
) -> LoaderTimeline:
    """Follow every batch through the disk, a worker and the accelerator, in s.

    ``read``, ``prepare`` and ``step`` are seconds, one entry a batch or one for all (at least one
    array). Batch ``k`` belongs to worker ``k mod workers``, which asks for it when it has finished
    its last one and a slot is free; the disk serves one batch after another; the accelerator takes
    batches in order:
    ``asked = max(ready[k - w], begin[k - w p])``, ``read_k = max(asked, read_{k-1}) + read``,
    ``ready = read_k + prepare``, ``begin = max(ready, end_{k-1})``. No worker means that batch
    ``k`` is asked for when step ``k - 1`` ends. Known error: the disk does not interleave reads,
    which moves a stall by less than a batch.
    """
    if workers < 0 or prefetch < 1:
        raise ValueError(f"workers must be >= 0 and prefetch >= 1, got {workers} and {prefetch}")
    columns = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, float)) for x in (read, prepare, step))
    )
    if min(float(column.min()) for column in columns) < 0:
        raise ValueError("times must not be negative")
    rows: list[tuple[float, ...]] = []
    for k, (reading, preparing, computing) in enumerate(zip(*columns, strict=True)):
        last_end, last_read = (rows[-1][4], rows[-1][1]) if rows else (0.0, 0.0)
        asked = last_end
        if workers:
            mine = rows[k - workers][2] if k >= workers else 0.0
            slot = rows[k - workers * prefetch][3] if k >= workers * prefetch else 0.0
            asked = max(mine, slot)
        done = max(asked, last_read) + float(reading)
        ready = done + float(preparing)
        begin = max(ready, last_end)
        rows.append((asked, done, ready, begin, begin + float(computing)))
    return LoaderTimeline(*np.array(rows).T)
