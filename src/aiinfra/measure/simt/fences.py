"""Order between blocks: a fence, then an atomic that another block's atomic meets later.

A fence alone orders nothing that another thread can know of. What a thread wrote is visible to
another block when the writer (or, behind a barrier of its block, a neighbour) has fenced and then
changed an atomic, and the other block has since changed the same atomic. Source: CUDA C++
Programming Guide, "Memory Fence Functions" and its example, the last block that adds the sums.
Known error: which thread of the other block met the atomic is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from aiinfra.measure.simt.layout import Array, Chunk, Lanes
from aiinfra.measure.simt.memory import Memory


class Fence(NamedTuple):
    """When a thread fenced, and when its block had last met at a barrier, on its chunk's clock."""

    when: int
    barrier: int


@dataclass
class Fences:
    """The fences of a launch, and the atomics behind them."""

    fenced: dict[int, Fence] = field(default_factory=dict)
    released: dict[int, dict[tuple[int, int, int, Fence], int]] = field(default_factory=dict)
    met: dict[int, dict[tuple[int, int], int]] = field(default_factory=dict)
    order: int = 0

    def fence(self, chunk: Chunk, lanes: Lanes, now: int) -> None:
        """These lanes pass a fence."""
        for lane in lanes.index:
            fence = Fence(now, int(chunk.block_barrier[lane]))
            self.fenced[int(chunk.thread_id[lane])] = fence

    def atomic(self, memory: Memory, chunk: Chunk, lanes: Lanes, cells: Array) -> None:
        """These lanes change atomics; nothing to note before the first fence."""
        if not self.fenced or memory.space != "global":
            return
        bytes_at = (cells * memory.itemsize).tolist()
        for thread, byte in zip(chunk.thread_id[lanes.index].tolist(), bytes_at, strict=True):
            self.order += 1
            block, place = thread // chunk.span, (id(memory.traces), byte)
            self.met.setdefault(block, {})[place] = self.order
            if thread in self.fenced:
                key = (*place, thread, self.fenced[thread])
                self.released.setdefault(block, {}).setdefault(key, self.order)

    def order_known(self, chunk: Chunk, other: int, when: int, thread: int) -> bool:
        """Whether what ``other`` did at ``when`` comes before what ``thread`` does now."""
        met = self.met.get(thread // chunk.span, {})
        for (memory, cell, who, fence), order in self.released.get(other // chunk.span, {}).items():
            seen = met.get((memory, cell), 0) > order
            if seen and when < (fence.when if who == other else fence.barrier):
                return True
        return False
