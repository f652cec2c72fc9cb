"""Arrays of a kernel: memory that remembers who touched it, and views into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.measure.simt.layout import Array

ALIGNMENT = 16


class Memory:
    """Elements in a row; shared memory has a stretch of ``cells`` per block, local one per lane."""

    def __init__(self, name: str, space: str, data: Array, cells: int, base: int = 0) -> None:
        self.name, self.space, self.data = name, space, data
        self.cells, self.base = cells, base
        self.itemsize = int(data.dtype.itemsize)
        self.history: History | None = None


class History:
    """Last writer and readers of each element, for races; ``when`` is the clock of the chunk.

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


def global_view(name: str, array: Array, space: str = "global") -> tuple[View, Array]:
    """The view of an argument, and the array that holds its elements (a copy if it has gaps)."""
    if array.dtype.kind not in "biufc":
        raise TypeError(f"array {name} has dtype {array.dtype}; pass numbers or booleans")
    held = array
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        held = np.ascontiguousarray(array)
    flat = held.reshape(-1) if held.flags.c_contiguous else held.T.reshape(-1)
    strides = tuple(stride // held.itemsize for stride in held.strides)
    shape = tuple(np.int64(extent) for extent in held.shape)
    return View(Memory(name, space, flat, flat.size), np.int64(0), shape, strides), held


def poison(cells: int, dtype: np.dtype[Any]) -> Array:
    """Uninitialised memory: not a number, or a large odd one, so that relying on it shows."""
    if dtype.kind in "fc":
        return np.full(cells, np.nan, dtype)
    return np.frombuffer(bytes([0x5B]) * (cells * dtype.itemsize), dtype).copy()
