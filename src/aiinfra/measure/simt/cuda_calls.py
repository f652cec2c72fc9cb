"""What ``numba.cuda`` offers inside a kernel: names, thread indices, barriers, fences."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aiinfra.measure.simt.arrays import DIMENSIONS, array_like, local_array, shared_array
from aiinfra.measure.simt.cuda_atomics import ATOMICS
from aiinfra.measure.simt.cuda_warps import WARP_CALLS, WARP_VALUES, taking_part
from aiinfra.measure.simt.findings import DivergentBarrier, place

if TYPE_CHECKING:
    from aiinfra.measure.simt.frame import Frame

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
