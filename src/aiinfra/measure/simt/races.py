"""Find races: two threads at one address, one of them writing, nothing between to order them.

Threads of a block are ordered by ``syncthreads``, threads of a warp also by ``syncwarp``, threads
of different blocks by an atomic behind a fence (see ``fences``) and nothing else within a launch.
Two atomics do not race. An atomic and a plain access do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from aiinfra.measure.simt.layout import WARP, Array, Chunk
from aiinfra.measure.simt.memory import History, Memory


class Conflict:
    """Lanes in conflict, and whom with."""

    def __init__(
        self, kind: str, cells: Array, threads: Array, others: Array, lines: Array, when: Array
    ) -> None:
        self.kind, self.cells, self.threads = kind, cells, threads
        self.others, self.lines, self.when = others, lines, when

    def rows(self) -> Iterator[tuple[int, ...]]:
        """Cell, thread, the other thread, its line and when it was there, for each."""
        columns = (self.cells, self.threads, self.others, self.lines, self.when)
        return zip(*(column.tolist() for column in columns), strict=True)


def visit(
    memory: Memory, chunk: Chunk, cells: Array, lanes: Array, action: str, line: int, now: int
) -> list[Conflict]:
    """Enter an access into the memory's history; returns the conflicts with earlier accesses."""
    history = memory.traces.history
    assert history is not None
    threads = chunk.thread_id[lanes]
    past = _Past(history, chunk, cells, lanes, threads, memory.space == "shared")
    conflicts = past.with_writers(action)
    if action == "load":
        past.enter_read(line, now)
    else:
        conflicts += past.with_readers()
        conflicts += past.enter_write(action == "atomic", line, now)
    return conflicts


class _Past:
    def __init__(
        self,
        history: History,
        chunk: Chunk,
        cells: Array,
        lanes: Array,
        threads: Array,
        shared: bool,
    ) -> None:
        self.history, self.chunk, self.cells = history, chunk, cells
        self.threads, self.shared = threads, shared
        self.block_barrier = chunk.block_barrier[lanes]
        self.warp_barrier = chunk.warp_barrier[lanes]

    def _distance(self, others: Array, threads: Array) -> Array:
        """0 same thread, 1 same warp, 2 same block, 3 different blocks."""
        far: Any = (others != threads).astype(np.int8)
        far += others // WARP != threads // WARP
        if not self.shared:
            far += others // self.chunk.span != threads // self.chunk.span
        return np.asarray(far)

    def _unordered(self, far: Array, others: Array, when: Array, pick: Array) -> Array:
        block, warp = self.block_barrier[pick], self.warp_barrier[pick]
        warp = np.minimum(warp, self._met_by(others, far))
        ordered = np.where(far == 1, when < np.maximum(block, warp), (when < block) & (far == 2))
        return np.asarray((far > 0) & ~ordered & (when >= 0))

    def _met_by(self, others: Array, far: Array) -> Array:
        """When the other thread of the warp was last at a barrier of it: both have to be there."""
        inside = np.where(far == 1, others - self.chunk.first * self.chunk.span, 0)
        return np.asarray(self.chunk.warp_barrier[self.chunk.lane_of_slot[inside]])

    def with_writers(self, action: str) -> list[Conflict]:
        """Conflicts with the last writer of each cell."""
        history = self.history
        if not history.any_write:
            return []
        others = history.writer[self.cells]
        maybe = (others != self.threads) & (others >= 0)
        if self.shared:
            maybe &= history.written[self.cells] >= self.block_barrier
        if action == "atomic":
            maybe &= ~history.atomic[self.cells]
        kind = "read after write" if action == "load" else "two writes"
        found = self._conflicts(kind, maybe, others, history.written, history.write_line, None)
        if action != "atomic" and (mine := (others == self.threads)).any():
            partners = np.where(mine & history.atomic[self.cells], history.partner[self.cells], -1)
            when, lines = history.partner_when, history.partner_line
            found += self._conflicts(kind, partners >= 0, partners, when, lines, None)
        return found

    def with_readers(self) -> list[Conflict]:
        """Conflicts of a write with the readers of each cell."""
        history = self.history
        others, lines = history.reader[self.cells], history.read_line
        alone = history.level[self.cells] == 0
        maybe = (others >= 0) & ((others != self.threads) | ~alone)
        mine = (others == self.threads) & ~alone  # the last reader, and somebody read before it
        if mine.any():
            lines = lines.copy()
            lines[self.cells[mine]] = history.rival_line[self.cells[mine]]
            others = np.where(mine, history.rival[self.cells], others)
        return self._conflicts(
            "write after read", maybe, others, history.read, lines, history.level
        )

    def _conflicts(
        self, kind: str, maybe: Array, others: Array, when: Array, line: Array, level: Array | None
    ) -> list[Conflict]:
        pick = np.flatnonzero(maybe)
        if not len(pick):
            return []
        cells, threads, others = self.cells[pick], self.threads[pick], others[pick]
        far = self._distance(others, threads)
        if level is not None:
            far = np.maximum(far, level[cells])
        hit = self._unordered(far, others, when[cells], pick)
        if not hit.any():
            return []
        cells = cells[hit]
        return [Conflict(kind, cells, threads[hit], others[hit], line[cells], when[cells])]

    def enter_write(self, atomic: bool, line: int, now: int) -> list[Conflict]:
        """Make these lanes the last writers; several plain ones at one cell are a conflict."""
        history, cells = self.history, self.cells
        before = [a[cells] for a in (history.writer, history.written, history.write_line)]
        both = atomic & history.atomic[cells]
        history.writer[cells] = self.threads
        history.written[cells] = now
        history.write_line[cells] = line
        history.atomic[cells] = atomic
        history.any_write = True
        if atomic:
            self._enter_partners(np.where(both, before[0], -1), before[1], before[2])
            here = np.full(len(cells), now), np.full(len(cells), line)
            self._enter_partners(self.threads, *here)
            return []
        history.partner[cells] = -1
        others = history.writer[cells]
        hit = others != self.threads
        if not hit.any():
            return []
        cells = cells[hit]
        lines, when = history.write_line[cells], history.written[cells]
        return [Conflict("two writes", cells, self.threads[hit], others[hit], lines, when)]

    def _enter_partners(self, threads: Array, when: Array, lines: Array) -> None:
        """Keep, beside the last atomic writer of each cell, another one."""
        history = self.history
        other = (threads >= 0) & (threads != history.writer[self.cells])
        cells = self.cells[other]
        history.partner[cells], history.partner_when[cells] = threads[other], when[other]
        history.partner_line[cells] = lines[other]

    def enter_read(self, line: int, now: int) -> None:
        """Add these lanes to the readers of each cell since the last barrier."""
        history, cells = self.history, self.cells
        others, when = history.reader[cells], history.read[cells]
        far = self._reach(others, when, history.level[cells])
        lines = history.read_line[cells]
        history.reader[cells] = self.threads
        history.read[cells] = now
        history.read_line[cells] = line
        last = history.reader[cells]
        for rivals, line_of in ((others, lines), (self.threads, np.full(len(cells), line))):
            other = (rivals != last) & (rivals >= 0)
            history.rival[cells[other]] = rivals[other]
            history.rival_line[cells[other]] = line_of[other]
        if not np.array_equal(last, self.threads):
            far = np.maximum(far, self._distance(last, self.threads))
        history.level[cells] = 0
        for level in range(1, int(far.max(initial=0)) + 1):
            history.level[cells[far >= level]] = level

    def _reach(self, others: Array, when: Array, level: Array) -> Array:
        """How far apart a lane and the readers before it are, forgetting those behind a barrier."""
        alive = others >= 0
        if self.shared:
            alive &= when >= self.block_barrier
        if not alive.any():
            return np.zeros(len(others), np.int8)
        far = np.maximum(self._distance(others, self.threads), level)
        alive &= (far == 3) | (when >= self.block_barrier)
        alive &= (far != 1) | (when >= self.warp_barrier)
        return np.asarray(np.where(alive, far, 0))
