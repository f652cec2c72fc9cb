"""Arrays of a kernel: memory that remembers who touched it, and views into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from aiinfra.measure.simt.errors import KernelError
from aiinfra.measure.simt.layout import Array

ALIGNMENT = 16


class Memory:
    """Elements in a row; shared memory has a stretch of ``cells`` per block, local one per lane.

    ``base`` is the address of the first element in B, ``first`` the element where an argument
    begins. Memories that share bytes share ``traces``.
    """

    def __init__(
        self, name: str, space: str, data: Array, cells: int, base: int = 0, first: int = 0,
        traces: Traces | None = None, writable: bool = True,
    ) -> None:  # fmt: skip
        self.name, self.space, self.data = name, space, data
        self.cells, self.base, self.first, self.writable = cells, base, first, writable
        self.itemsize = int(data.dtype.itemsize)
        self.traces = Traces(data.nbytes) if traces is None else traces


class Traces:
    """The history of some bytes, a cell for each ``grain`` of them: the smallest element so far."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes, self.grain = nbytes, 0
        self.history: History | None = None

    def fit(self, itemsize: int) -> int:
        """Cells that an element takes; a smaller element than any before splits the cells."""
        if self.history is None:
            self.grain, self.history = itemsize, History(-(-self.nbytes // itemsize))
        elif itemsize < self.grain:
            for name, held in vars(self.history).items():
                if isinstance(held, np.ndarray):
                    setattr(self.history, name, np.repeat(held, self.grain // itemsize))
            self.grain = itemsize
        return itemsize // self.grain


class History:
    """Last writer and readers of each cell, for races; ``when`` is the clock of the chunk.

    ``level`` says how far apart the readers since the last barrier are: 0 one thread, 1 one warp,
    2 one block, 3 more.
    """

    def __init__(self, cells: int) -> None:
        self.writer = np.full(cells, -1, np.int64)
        self.written = np.full(cells, -1, np.int64)
        self.write_line = np.zeros(cells, np.int32)
        self.atomic = np.zeros(cells, bool)
        self.partner = np.full(cells, -1, np.int64)  # an atomic writer that is not the last one
        self.partner_when = np.full(cells, -1, np.int64)
        self.partner_line = np.zeros(cells, np.int32)
        self.reader = np.full(cells, -1, np.int64)
        self.read = np.full(cells, -1, np.int64)
        self.read_line = np.zeros(cells, np.int32)
        self.rival = np.full(cells, -1, np.int64)  # a reader that is not the last one
        self.rival_line = np.zeros(cells, np.int32)
        self.level = np.zeros(cells, np.int8)
        self.any_write = False


@dataclass(frozen=True)
class View:
    """What a kernel holds: an array or a part of it. Offset and strides count elements."""

    memory: Memory
    offset: Any
    shape: tuple[Any, ...]
    strides: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Number of indices that reach an element."""
        return len(self.shape)

    @property
    def size(self) -> Any:
        """Number of elements."""
        return np.int64(1) if not self.shape else np.multiply.reduce(list(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        dtype: np.dtype[Any] = self.memory.data.dtype
        return dtype

    def part(self, index: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...], tuple[int, ...]]:
        """Offset, shape and strides of a partial index; integers are in bounds already."""
        offset, shape, strides = self.offset, [], []
        for axis, extent in enumerate(self.shape):
            key = index[axis] if axis < len(index) else slice(None)
            if isinstance(key, slice):
                start = 0 if key.start is None else _inside(key.start, extent)
                stop = extent if key.stop is None else _inside(key.stop, extent)
                offset = offset + start * self.strides[axis]
                shape.append(np.maximum(np.int64(0), stop - start))
                strides.append(self.strides[axis])
            else:
                offset = offset + key * self.strides[axis]
        return offset, tuple(shape), tuple(strides)


def _inside(bound: Any, extent: Any) -> Any:
    return np.clip(np.where(bound < 0, bound + extent, bound), 0, extent)


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of a C-ordered array."""
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def global_views(arrays: dict[str, Array], space: str = "global") -> dict[str, View]:
    """The views of arrays, in place; those that overlap share their history.

    Addresses count from the start of the array that owns the memory, which stands for what an
    allocator gives: ``x[1:]`` begins 1 element behind a sector's start. Raises KernelError for
    arrays that no kernel can take.
    """
    views: dict[str, View] = {}
    for names, start, stop in _overlapping({name: _span(arrays[name]) for name in arrays}):
        traces = Traces(stop - start)
        for name in names:
            views[name] = _view(name, arrays[name], space, start, traces)
    return views


def _span(array: Array) -> tuple[int, int]:
    """Addresses of the first byte of an array and of the one behind its last."""
    start = stop = int(array.__array_interface__["data"][0])
    if not array.size:
        return start, stop
    for stride, extent in zip(array.strides, array.shape, strict=True):
        start += min(0, stride * (extent - 1))
        stop += max(0, stride * (extent - 1))
    return start, stop + array.itemsize


def _overlapping(spans: dict[str, tuple[int, int]]) -> Iterator[tuple[list[str], int, int]]:
    """Names whose spans overlap, and the aligned start and the end of what they span."""
    names: list[str] = []
    start = stop = 0
    for name in sorted(spans, key=lambda name: spans[name]):
        low, high = spans[name]
        if names and low >= stop:
            yield names, start, stop
            names = []
        start, stop = (start, max(stop, high)) if names else (low // ALIGNMENT * ALIGNMENT, high)
        names.append(name)
    if names:
        yield names, start, stop


def _view(name: str, array: Array, space: str, start: int, traces: Traces) -> View:
    """One array as a view of the bytes that ``traces`` keeps, from the address ``start``."""
    if array.dtype.kind not in "biufc":
        kind = "a record" if array.dtype.names else f"of type {array.dtype}"
        raise KernelError(
            f"an element of {name or 'an array'} is {kind}; pass arrays of numbers or booleans"
        )
    size, owner = array.itemsize, array
    low, first = _span(array)[0] - start, array.__array_interface__["data"][0] - start
    if any(step % size for step in (low, *array.strides)):
        raise KernelError(f"{name} lies between the elements of its type; pass {name}.copy()")
    below: Any = array
    while (below := getattr(below, "base", None)) is not None:
        owner = below if isinstance(below, np.ndarray) else owner
    raw = {"data": (start, False), "shape": (traces.nbytes // size,), "typestr": array.dtype.str}
    data = np.asarray(SimpleNamespace(__array_interface__={**raw, "version": 3}, owner=array))
    base, writable = start - _span(owner)[0], bool(array.flags.writeable)
    memory = Memory(name, space, data, len(data), base, low // size, traces, writable)
    shape = tuple(np.int64(extent) for extent in array.shape)
    return View(memory, np.int64(first // size), shape, tuple(s // size for s in array.strides))


def poison(cells: int, dtype: np.dtype[Any]) -> Array:
    """Uninitialised memory: not a number, or a large odd one, so that relying on it shows."""
    if dtype.kind in "fc":
        return np.full(cells, np.nan, dtype)
    return np.frombuffer(bytes([0x5B]) * (cells * dtype.itemsize), dtype).copy()
