"""How the work of a launch is shared out: what each thread and each block does to memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from aiinfra.measure.simt import Report
from aiinfra.teach.graders.kernel_words import extent, thread

LANES = 32
UNEVEN = 16  # a thread that does more than this times its even share leaves the others idle
FEW = 512  # accesses below which nobody can be said to do all the work


def accesses_by_thread(report: Report, action: str = "", space: str = "global") -> Any:
    """Accesses to a memory of each thread, a row a block; one kind of them or all."""
    blocks, threads = _count(report.grid), _count(report.block)
    warps = -(-threads // LANES)
    counts = np.zeros((blocks * warps, LANES), np.int64)
    for batch in report.batches:
        if batch.site[1] == space and action in ("", batch.site[2]):
            first = batch.home[2] * batch.home[3]
            np.add.at(counts, first + batch.warps, batch.addresses >= 0)
    return counts.reshape(blocks, warps * LANES)[:, :threads]


def told_of_idle_threads(report: Report) -> str:
    """Say that one thread does what the whole launch, or its whole block, is there for."""
    counts = accesses_by_thread(report)
    if counts.sum() < FEW or counts.max() <= UNEVEN * counts.sum() / counts.size:
        return ""
    block, index = np.unravel_index(counts.argmax(), counts.shape)
    who = thread(_place(block, report.grid), _place(index, report.block))
    size = extent(report.block)
    return (
        f"one thread does the work of many: {who} makes {counts.max():,} of the {counts.sum():,} "
        f"accesses to global memory, where a block has {size} threads. That earns nothing: share "
        "the elements out."
    )


def busiest_block(report: Report) -> int:
    """Elements that the busiest block loads from global memory."""
    return int(accesses_by_thread(report, "load").sum(axis=1).max())


def longest_chain(report: Report) -> int:
    """Numbers of others that the busiest thread takes in, one after the other, on the chip."""
    taken = accesses_by_thread(report, "load", "shared")
    return int((taken + accesses_by_thread(report, "shuffle", "register")).max())


def _count(size: Any) -> int:
    return math.prod(size) if isinstance(size, tuple) else int(size)


def _place(linear: Any, size: Any) -> Any:
    """A linear index in as many dimensions as the launch has, x first."""
    if not isinstance(size, tuple):
        return int(linear)
    return tuple(int(i) for i in np.unravel_index(int(linear), size[::-1])[::-1])
