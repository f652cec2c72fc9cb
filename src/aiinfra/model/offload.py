"""What it costs to hand work to an accelerator: launch, transfer, compute.

``t = launch + bytes_in / link + max(flop / peak, bytes / bandwidth) + bytes_out / link``
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiinfra.model.parts import TimeParts
from aiinfra.model.roofline import operator_time


@dataclass(frozen=True)
class Workload:
    """A map over elements, described per element.

    ``flop`` is the arithmetic and ``memory_bytes`` the traffic to the memory that holds the data;
    ``bytes_in`` and ``bytes_out`` cross the link when the data lives on the other side of it.
    """

    flop: float
    memory_bytes: float
    bytes_in: float = 0.0
    bytes_out: float = 0.0


@dataclass(frozen=True)
class Machine:
    """A processor as the model sees it: FLOP/s, B/s, a fixed cost in s, and a link in B/s.

    ``overhead`` is the cost of starting a computation (a kernel launch, waking the threads).
    ``link`` is the bandwidth per direction between the data and the processor; ``inf`` where the
    data is already there.
    """

    peak: float
    bandwidth: float
    overhead: float
    link: float = math.inf


@dataclass(frozen=True)
class OffloadTime(TimeParts):
    """Seconds of one call by part; the parts sum to ``seconds``."""

    overhead: float
    transfer: float
    compute: float


def offload_time(elements: float, work: Workload, machine: Machine) -> OffloadTime:
    """Price one call over ``elements`` elements.

    Assumes that the copy in, the kernel and the copy out follow one another (no overlap by
    streams), that the kernel reaches its roof at every size, and that the link runs at its rated
    speed. Known error: optimistic by 10-40 % at large sizes and by more when the accelerator is
    not full; pessimistic by up to 2x where copies overlap with compute.
    """
    roof = operator_time(
        elements * work.flop, elements * work.memory_bytes, machine.peak, machine.bandwidth
    )
    transfer = elements * (work.bytes_in + work.bytes_out) / machine.link
    return OffloadTime(machine.overhead, transfer, roof.seconds)


def break_even(work: Workload, host: Machine, device: Machine) -> float | None:
    """Return the number of elements from which ``device`` beats ``host``; ``None`` for never.

    Both times are straight lines ``overhead + slope * n``, so the crossing is
    ``n = (device.overhead - host.overhead) / (host_slope - device_slope)``. It exists only where
    the device costs less per element, transfer included. Returns 0 where the device also starts
    faster.
    """
    host_one = offload_time(1, work, host)
    device_one = offload_time(1, work, device)
    gain = (host_one.transfer + host_one.compute) - (device_one.transfer + device_one.compute)
    if gain <= 0:
        return None
    return max(0.0, (device.overhead - host.overhead) / gain)


def lane_efficiency(work_per_lane: Sequence[int], lanes: int) -> float:
    """Return the useful share of the work when ``lanes`` neighbours advance in lockstep.

    A group is busy until its slowest lane is done, so the efficiency is
    ``sum(work) / sum(lanes * max(work in the group))``. The tail that does not fill a group
    counts the empty lanes too. It holds for SIMD lanes and for the 32 threads of a warp alike.
    Raises ``ValueError`` for fewer than one lane or no work.

    >>> lane_efficiency([4, 4, 4, 4], 4), lane_efficiency([1, 1, 1, 5], 4)
    (1.0, 0.4)
    """
    if lanes < 1:
        raise ValueError(f"a group needs at least one lane, got {lanes}")
    groups = [work_per_lane[i : i + lanes] for i in range(0, len(work_per_lane), lanes)]
    spent = sum(lanes * int(max(group)) for group in groups)
    if spent == 0:
        raise ValueError("there is no work: every lane has zero iterations")
    return float(sum(int(sum(group)) for group in groups)) / spent


def crossing(
    sizes: Sequence[float], host: Sequence[float], device: Sequence[float]
) -> float | None:
    """Return the size from which measured ``device`` times stay below ``host`` times.

    Times in seconds at growing ``sizes``; between two sizes both curves are straight lines in
    log-log. Returns the first size when the device wins everywhere, ``None`` when it loses at the
    largest. Raises ``ValueError`` on unequal lengths.
    """
    if not len(sizes) == len(host) == len(device):
        raise ValueError("sizes, host and device times must have equal lengths")
    lead = [math.log(h / d) for h, d in zip(host, device, strict=True)]
    if lead[-1] <= 0:
        return None
    for i in reversed(range(len(sizes) - 1)):
        if lead[i] <= 0:
            share = lead[i] / (lead[i] - lead[i + 1])
            return math.exp((1 - share) * math.log(sizes[i]) + share * math.log(sizes[i + 1]))
    return float(sizes[0])
