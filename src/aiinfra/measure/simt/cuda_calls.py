"""What ``numba.cuda`` offers inside a kernel: names, thread indices, arrays, barriers, fences."""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aiinfra.measure.simt.cuda_atomics import ATOMICS
from aiinfra.measure.simt.cuda_warps import WARP_CALLS, WARP_VALUES, taking_part
from aiinfra.measure.simt.findings import DivergentBarrier, place
from aiinfra.measure.simt.memory import ALIGNMENT, Memory, View, global_view, poison, row_major
from aiinfra.measure.simt.values import data_type

if TYPE_CHECKING:
    from aiinfra.measure.simt.frame import Frame

SHARED_LIMIT = (
    48 * 1024
)  # bytes of static shared memory a block may have (CUDA C++ Programming Guide, table of limits)
DIMENSIONS = ("threadIdx", "blockIdx", "blockDim", "gridDim")
SPACES = ("", "shared", "local", "const", "atomic", *DIMENSIONS)


class CudaName(NamedTuple):
    """A name within ``numba.cuda``, such as ``shared.array``; empty for the module."""

    path: str

    def then(self, attribute: str) -> CudaName:
        """The attribute of this name."""
        return CudaName(f"{self.path}.{attribute}".lstrip("."))

    def text(self) -> str:
        """As a kernel writes it."""
        return f"cuda.{self.path}"

    def known(self) -> bool:
        """Whether the interpreter supports it."""
        return self.path in SPACES or self.path in CUDA_CALLS or self.path in VALUES


def cuda_name(value: Any) -> CudaName | None:
    """The name of an object of ``numba.cuda``; None for anything else."""
    if isinstance(value, CudaName):
        return value
    if isinstance(value, ModuleType):
        return CudaName("") if value.__name__ in ("numba.cuda", "numba.cuda.simulator") else None
    return _imported().get(id(value)) if "numba.cuda" in sys.modules else None


@lru_cache(maxsize=1)
def _imported() -> dict[int, CudaName]:
    """Objects that ``from numba.cuda import ...`` gives, by identity."""
    module = sys.modules["numba.cuda"]
    paths = {path.split(".")[0] for path in (*SPACES, *CUDA_CALLS, *VALUES) if path}
    return {id(getattr(module, p)): CudaName(p) for p in paths if hasattr(module, p)}


def cuda_value(frame: Frame, name: CudaName) -> Any:
    """The value of a thread index or size; the name itself for functions and namespaces."""
    return VALUES[name.path](frame) if name.path in VALUES else name


def _dimension_values() -> dict[str, Callable[[Frame], Any]]:
    values: dict[str, Callable[[Frame], Any]] = {}
    for axis, letter in enumerate("xyz"):
        values[f"threadIdx.{letter}"] = lambda f, a=axis: f.state.chunk.thread_index[a]  # type: ignore[misc]
        values[f"blockIdx.{letter}"] = lambda f, a=axis: f.state.chunk.block_index[a]  # type: ignore[misc]
        values[f"blockDim.{letter}"] = lambda f, a=axis: np.int64(f.state.chunk.block[a])  # type: ignore[misc]
        values[f"gridDim.{letter}"] = lambda f, a=axis: np.int64(f.state.chunk.grid[a])  # type: ignore[misc]
    return values


VALUES = {**_dimension_values(), **WARP_VALUES}


def _axes(frame: Frame, node: ast.AST, value: Any) -> int:
    if np.ndim(value) or int(value) not in (1, 2, 3):
        raise frame.error(node, "grid and gridsize take 1, 2 or 3")
    return int(value)


def grid(frame: Frame, node: ast.AST, ndim: Any) -> Any:
    """Position of the thread in the grid."""
    chunk = frame.state.chunk
    places = tuple(
        block * size + thread
        for block, size, thread in zip(
            chunk.block_index, chunk.block, chunk.thread_index, strict=True
        )
    )[: _axes(frame, node, ndim)]
    return places[0] if len(places) == 1 else places


def gridsize(frame: Frame, node: ast.AST, ndim: Any) -> Any:
    """Threads in the grid."""
    chunk = frame.state.chunk
    sizes = tuple(np.int64(g * b) for g, b in zip(chunk.grid, chunk.block, strict=True))
    sizes = sizes[: _axes(frame, node, ndim)]
    return sizes[0] if len(sizes) == 1 else sizes


def _shape(frame: Frame, node: ast.AST, shape: Any, dtype: Any) -> tuple[Any, np.dtype[Any]]:
    kind = data_type(dtype)
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if kind is None:
        raise frame.error(node, f"{dtype!r} is no number type; use float32 or another of numba")
    if any(np.ndim(size) or np.asarray(size).dtype.kind not in "iu" for size in sizes):
        raise frame.error(node, "the shape of an array in a kernel is constant integers")
    return tuple(int(size) for size in sizes), kind


def shared_array(frame: Frame, node: ast.AST, shape: Any, dtype: Any, **_: Any) -> View:
    """Memory of a block; shape 0 is the dynamic part, whose size the launch gives."""
    sizes, kind = _shape(frame, node, shape, dtype)
    state, dynamic = frame.state, sizes == (0,)
    key: Any = ("dynamic", kind) if dynamic else _declared(frame, node)
    if dynamic:
        sizes = (state.dynamic_bytes // kind.itemsize,)
    if key not in state.arrays:
        cells = math.prod(sizes)
        base = 0 if dynamic else -(-state.shared_bytes // ALIGNMENT) * ALIGNMENT
        state.shared_bytes = state.shared_bytes if dynamic else base + cells * kind.itemsize
        if (taken := state.shared_bytes + state.dynamic_bytes) > SHARED_LIMIT:
            raise frame.error(node, f"shared arrays take {taken} B, at most 49152 fit")
        data = _dynamic(frame, kind) if dynamic else poison(cells * state.chunk.count, kind)
        stride = len(data) // state.chunk.count
        state.arrays[key] = Memory("", "shared", data, stride, base)
    shape = tuple(np.int64(size) for size in sizes)
    return View(state.arrays[key], np.int64(0), shape, row_major(sizes))


def _declared(frame: Frame, node: ast.AST) -> tuple[Any, ...]:
    """Where an array is declared: each call of a device function gets the same one."""
    place = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    return (frame.source.function.__code__, *place)


def _dynamic(frame: Frame, kind: np.dtype[Any]) -> Any:
    """The dynamic shared memory, as elements of one type."""
    state = frame.state
    stretch = -(-state.dynamic_bytes // ALIGNMENT) * ALIGNMENT
    if state.dynamic is None:
        state.dynamic = poison(stretch * state.chunk.count, np.dtype(np.uint8))
        if state.dynamic_bytes and kind.kind == "f":
            state.dynamic.view(kind)[:] = np.nan
    return state.dynamic.view(kind)


def local_array(frame: Frame, node: ast.AST, shape: Any, dtype: Any, **_: Any) -> View:
    """Memory of a thread."""
    sizes, kind = _shape(frame, node, shape, dtype)
    cells = int(np.prod(sizes))
    key = (*_declared(frame, node), frame.depth)
    if key not in frame.state.arrays:
        data = poison(cells * frame.state.chunk.size, kind)
        frame.state.arrays[key] = Memory("", "local", data, cells)
    shape = tuple(np.int64(size) for size in sizes)
    return View(frame.state.arrays[key], np.int64(0), shape, row_major(sizes))


def array_like(frame: Frame, node: ast.AST, array: Any) -> View:
    """An array of the host in constant memory."""
    if isinstance(array, View):
        return array
    if not isinstance(array, np.ndarray):
        raise frame.error(node, "const.array_like takes a global NumPy array")
    return global_view("", array, "constant")[0]


def syncthreads(frame: Frame, node: ast.AST) -> None:
    """Barrier of a block; reports the blocks where somebody is missing."""
    chunk, touch, tally = frame.state.chunk, frame.state.touch, frame.state.tally
    lanes = frame.lanes
    arrived = np.bincount(chunk.local_block[lanes.index], minlength=chunk.count)
    tally.barriers += int(np.count_nonzero(arrived))
    for block in np.flatnonzero((arrived > 0) & (arrived < chunk.threads)).tolist():
        inside = chunk.local_block == block
        exited = int(np.count_nonzero(inside & frame.state.exited))
        name = place(chunk.name_of((chunk.first + block) * chunk.span)[0], tally.rank_grid)
        line = getattr(node, "lineno", 0)
        found = DivergentBarrier(line, name, int(arrived[block]), chunk.threads, exited)
        tally.find("divergent_barriers", found)
    touch.now += 1
    chunk.block_barrier[lanes.bits] = touch.now
    chunk.warp_barrier[lanes.bits] = touch.now


def _block_vote(frame: Frame, node: ast.AST, predicate: Any, kind: str) -> Any:
    """syncthreads_count, _and, _or: a barrier that also counts."""
    syncthreads(frame, node)
    chunk, lanes = frame.state.chunk, frame.lanes
    true = np.broadcast_to(np.asarray(predicate).astype(bool), chunk.size) & lanes.bits
    count = np.bincount(chunk.local_block[true], minlength=chunk.count)
    voters = np.bincount(chunk.local_block[lanes.bits], minlength=chunk.count)
    result = {"count": count, "and": count == voters, "or": count > 0}[kind]
    return result.astype(np.int64)[chunk.local_block]


def syncwarp(frame: Frame, node: ast.AST, mask: Any = None) -> None:
    """Barrier of a warp, for the lanes that the mask names; orders nothing where one is missing."""
    met = taking_part(frame, node, "syncwarp", -1 if mask is None else mask)
    frame.state.touch.now += 1
    frame.state.chunk.warp_barrier[met] = frame.state.touch.now


def threadfence(frame: Frame, node: ast.AST) -> None:
    """What a thread wrote before comes before its later atomics, for other blocks too."""
    frame.state.touch.now += 1
    frame.state.tally.fences.fence(frame.state.chunk, frame.lanes, frame.state.touch.now)


def nothing(frame: Frame, node: ast.AST, *_: Any) -> None:
    """No effect here: threadfence_block orders what lockstep orders anyway; nanosleep waits."""


CUDA_CALLS: dict[str, Callable[..., Any]] = {
    "grid": grid,
    "gridsize": gridsize,
    "shared.array": shared_array,
    "local.array": local_array,
    "const.array_like": array_like,
    "syncthreads": syncthreads,
    "syncthreads_count": lambda f, n, p: _block_vote(f, n, p, "count"),
    "syncthreads_and": lambda f, n, p: _block_vote(f, n, p, "and"),
    "syncthreads_or": lambda f, n, p: _block_vote(f, n, p, "or"),
    "syncwarp": syncwarp,
    "threadfence": threadfence,
    "threadfence_system": threadfence,
    "threadfence_block": nothing,
    "nanosleep": nothing,
    **ATOMICS,
    **WARP_CALLS,
}
