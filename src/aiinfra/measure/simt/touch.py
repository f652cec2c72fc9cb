"""Loads, stores and atomics of a chunk: bounds, counters, history, then the data itself."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from aiinfra.measure.simt.findings import OutOfBounds, Race, Uninitialised
from aiinfra.measure.simt.layout import Array, Chunk, Lanes
from aiinfra.measure.simt.memory import Memory, View
from aiinfra.measure.simt.races import Conflict, visit
from aiinfra.measure.simt.tally import Tally
from aiinfra.measure.simt.values import widen


class Touch:
    """The memory unit of one chunk."""

    def __init__(self, chunk: Chunk, tally: Tally) -> None:
        self.chunk, self.tally = chunk, tally
        self.now = 1

    def locate(
        self, view: View, index: tuple[Any, ...], lanes: Lanes, node: ast.AST, action: str
    ) -> tuple[Lanes | None, tuple[Any, ...]]:
        """Lanes whose integer indices are in bounds (others are reported), and wrapped indices."""
        bad: Any = False
        wrapped = []
        for key, extent in zip(index, view.shape, strict=False):
            if isinstance(key, slice):
                wrapped.append(key)
                continue
            if np.any(negative := np.less(key, 0)):
                key = np.where(negative & np.greater_equal(key, -extent), key + extent, key)
            bad = bad | np.less(key, 0) | np.greater_equal(key, extent)
            wrapped.append(key)
        wrong, right = lanes.split(bad)
        if wrong is not None:
            self._report_bounds(view, index, wrong, node, action)
        return right, tuple(wrapped)

    def _report_bounds(
        self, view: View, index: tuple[Any, ...], wrong: Lanes, node: ast.AST, action: str
    ) -> None:
        for lane in wrong.index:
            keys = tuple(int(np.broadcast_to(k, self.chunk.size)[lane]) for k in index)
            block, thread = self.tally.places(*self.chunk.name_of(self.chunk.thread_id[lane]))
            where = keys[0] if len(keys) == 1 else keys
            line = getattr(node, "lineno", 0)
            name = view.memory.name
            self.tally.find("out_of_bounds", OutOfBounds(name, where, block, thread, line, action))

    def _cells(self, view: View, index: tuple[Any, ...], lanes: Lanes) -> tuple[Array, Array]:
        """Offsets within the array (per block or lane) and cells of the memory, for the lanes."""
        offset = view.part(index)[0]
        offsets = np.broadcast_to(offset, self.chunk.size)
        if not lanes.full:
            offsets = offsets[lanes.index]
        memory = view.memory
        if memory.space == "shared":
            return offsets, offsets + self.chunk.local_block[lanes.index] * memory.cells
        if memory.space == "local":
            return offsets, offsets + lanes.index * memory.cells
        return offsets, offsets

    def _enter(
        self, memory: Memory, lanes: Lanes, offsets: Array, cells: Array, node: ast.AST, action: str
    ) -> None:
        self.tally.access(memory, self.chunk, action, node, lanes.index, offsets)
        if memory.space not in ("global", "shared"):
            return
        line, index = getattr(node, "lineno", 0), lanes.index
        if (parts := memory.traces.fit(memory.itemsize)) > 1:
            cells = (cells[:, None] * parts + np.arange(parts)).reshape(-1)
            index = np.repeat(index, parts)
        if memory.space == "shared" and action != "store":
            self._report_unwritten(memory, lanes, offsets, cells, line)
        for conflict in visit(memory, self.chunk, cells, index, action, line, self.now):
            self._report_race(memory, conflict, line, parts)

    def _report_unwritten(
        self, memory: Memory, lanes: Lanes, offsets: Array, cells: Array, line: int
    ) -> None:
        history = memory.traces.history
        assert history is not None
        new = (history.writer[cells] < 0).reshape(len(offsets), -1)
        for at in np.flatnonzero(new.any(axis=1)):
            thread_id = self.chunk.thread_id[lanes.index[at]]
            where = self.tally.places(*self.chunk.name_of(thread_id))
            found = Uninitialised(memory.name, int(offsets[at]), *where, line)
            self.tally.find("uninitialised", found)

    def _report_race(self, memory: Memory, conflict: Conflict, line: int, parts: int) -> None:
        shared = memory.space == "shared"
        fences = self.tally.fences if self.tally.fences.released else None
        rows = {(cell // parts, *who): when for cell, *who, when in conflict.rows()}
        for (cell, thread, other, other_line), when in rows.items():
            if fences and fences.order_known(self.chunk, other, when, thread):
                continue
            mine = self.tally.places(*self.chunk.name_of(thread))
            its = self.tally.places(*self.chunk.name_of(other))
            index = int(cell % memory.cells if shared else cell - memory.first)
            names = (memory.name, index, conflict.kind, *mine, line)
            self.tally.find("races", Race(*names, *its, int(other_line), memory.space))

    def load(self, view: View, index: tuple[Any, ...], lanes: Lanes, node: ast.AST) -> Any:
        """Values for every lane (0 where out of bounds or inactive), or a part of the array."""
        right, index = self.locate(view, index, lanes, node, "load")
        if len(index) < view.ndim or any(isinstance(key, slice) for key in index):
            inside = [
                key if isinstance(key, slice) else np.clip(key, 0, np.maximum(extent - 1, 0))
                for key, extent in zip(index, view.shape, strict=False)
            ]
            offset, shape, strides = view.part(tuple(inside))
            return replace(view, offset=offset, shape=shape, strides=strides)
        values = np.zeros(self.chunk.size, view.dtype)
        if right is not None:
            offsets, cells = self._cells(view, index, right)
            self._enter(view.memory, right, offsets, cells, node, "load")
            values[right.index] = view.memory.data[cells]
        return widen(values)

    def store(
        self, view: View, index: tuple[Any, ...], value: Any, lanes: Lanes, node: ast.AST
    ) -> None:
        """Write the lanes' values; out of bounds is dropped."""
        _may_write(view)
        right, index = self.locate(view, index, lanes, node, "store")
        if right is None:
            return
        offsets, cells = self._cells(view, index, right)
        self._enter(view.memory, right, offsets, cells, node, "store")
        view.memory.data[cells] = spread(value, self.chunk.size, right).astype(view.dtype)

    def atomic(
        self,
        view: View,
        index: tuple[Any, ...],
        lanes: Lanes,
        node: ast.AST,
        apply: Callable[[Array, Array, Lanes], Array],
    ) -> Any:
        """Let ``apply(data, cells, lanes)`` change the data; returns the old values by lane."""
        _may_write(view)
        right, index = self.locate(view, index, lanes, node, "atomic")
        values = np.zeros(self.chunk.size, view.dtype)
        if right is not None:
            offsets, cells = self._cells(view, index, right)
            self._enter(view.memory, right, offsets, cells, node, "atomic")
            self.tally.fences.atomic(view.memory, self.chunk, right, cells)
            values[right.index] = apply(view.memory.data, cells, right)
        return widen(values)


def _may_write(view: View) -> None:
    """Raise TypeError, which gets its line above, for a store into what can only be read."""
    memory = view.memory
    if memory.space == "constant":
        raise TypeError(f"{memory.name} is constant and cannot be written")
    if not memory.writable:
        raise TypeError(f"{memory.name} is read-only; pass {memory.name}.copy() to write into it")


def spread(value: Any, size: int, lanes: Lanes) -> Array:
    """A value of all lanes or of each lane, for the lanes of a set."""
    values = np.broadcast_to(np.asarray(value), size)
    return values if lanes.full else values[lanes.index]
