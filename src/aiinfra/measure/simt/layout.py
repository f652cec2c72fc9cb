"""Who runs: the threads of a few blocks as lanes in lockstep, and sets of lanes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

WARP = 32
Dim = tuple[int, int, int]
Array = np.ndarray[Any, Any]


class Lanes:
    """A set of lanes of one chunk; identity matters: the same object is the same set."""

    def __init__(self, bits: Array, full: bool = False) -> None:
        self.bits = bits
        self.full = full

    @cached_property
    def index(self) -> Array:
        """The lanes in the set, ascending."""
        return np.flatnonzero(self.bits)

    @cached_property
    def count(self) -> int:
        """How many lanes there are in the set."""
        return int(np.count_nonzero(self.bits))

    def split(self, condition: Any) -> tuple[Lanes | None, Lanes | None]:
        """The lanes where the condition holds and where not; None for nobody."""
        if np.ndim(condition) == 0:
            return (self, None) if condition else (None, self)
        yes = self.bits & condition.astype(bool, copy=False)
        count = int(np.count_nonzero(yes))
        if count == self.count:
            return self, None
        return (Lanes(yes), Lanes(self.bits & ~yes)) if count else (None, self)


def union(parts: list[Lanes | None], whole: Lanes) -> Lanes | None:
    """Disjoint parts of ``whole`` put together; ``whole`` itself when nobody is missing."""
    there = [part for part in parts if part is not None]
    total = sum(part.count for part in there)
    if total == whole.count:
        return whole
    return Lanes(np.logical_or.reduce([part.bits for part in there])) if total else None


class Chunk:
    """Consecutive blocks of the grid whose threads run in lockstep, one lane each.

    ``slot`` is a lane's place in the (warps, 32) matrix of the chunk, ``thread_id`` its place in
    the whole grid where each block is padded to full warps: equal ``>> 5`` means same warp.
    """

    def __init__(self, grid: Dim, block: Dim, first: int, count: int) -> None:
        self.grid, self.block, self.count = grid, block, count
        self.threads = block[0] * block[1] * block[2]
        self.warps_per_block = -(-self.threads // WARP)
        self.span = self.warps_per_block * WARP
        self.size = count * self.threads
        self.thread = np.tile(np.arange(self.threads), count)
        self.local_block = np.repeat(np.arange(count), self.threads)
        self.block_linear = self.local_block + first
        self.slot = self.local_block * self.span + self.thread
        self.thread_id = self.block_linear * self.span + self.thread
        self.everyone = Lanes(np.ones(self.size, bool), full=True)
        self.block_barrier = np.zeros(self.size, np.int64)
        self.warp_barrier = np.zeros(self.size, np.int64)
        self.first = first

    @cached_property
    def thread_index(self) -> tuple[Array, Array, Array]:
        """threadIdx.x, .y, .z of each lane."""
        return coordinates(self.thread, self.block)

    @cached_property
    def block_index(self) -> tuple[Array, Array, Array]:
        """blockIdx.x, .y, .z of each lane."""
        return coordinates(self.block_linear, self.grid)

    @cached_property
    def lane_of_slot(self) -> Array:
        """Which lane sits in a place of the warp matrix, -1 for nobody."""
        lanes = np.full(self.count * self.span, -1)
        lanes[self.slot] = np.arange(self.size)
        return lanes

    def warps_of(self, lanes: Lanes) -> Array:
        """The warps of the chunk that have a lane in the set."""
        present = np.zeros(self.count * self.warps_per_block, bool)
        present[self.slot[lanes.index] // WARP] = True
        return present

    def name_of(self, thread_id: int) -> tuple[Dim, Dim]:
        """(blockIdx, threadIdx) of a padded thread number of the grid."""
        block, thread = divmod(int(thread_id), self.span)
        return coordinates(block, self.grid), coordinates(thread, self.block)


def coordinates(linear: Any, extent: Dim) -> tuple[Any, Any, Any]:
    """x, y, z of a linear index, x fastest."""
    return (
        linear % extent[0],
        linear // extent[0] % extent[1],
        linear // (extent[0] * extent[1]),
    )
