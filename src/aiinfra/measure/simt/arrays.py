"""Arrays that a kernel declares: of a block, of a thread, in constant memory."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from aiinfra.measure.simt.errors import unsupported
from aiinfra.measure.simt.memory import (
    ALIGNMENT,
    Memory,
    Traces,
    View,
    global_views,
    poison,
    row_major,
)
from aiinfra.measure.simt.source import Source
from aiinfra.measure.simt.values import data_type

if TYPE_CHECKING:
    from aiinfra.measure.simt.frame import Frame

# bytes of static shared memory that a block may have (CUDA C++ Programming Guide, table of limits)
SHARED_LIMIT = 48 * 1024
DIMENSIONS = ("threadIdx", "blockIdx", "blockDim", "gridDim")
VARYING = (*DIMENSIONS, "laneid", "warpsize")


def is_fixed(shape: ast.AST, source: Source) -> bool:
    """Whether a shape is known before the kernel runs: numbers, constants, arithmetic on them.

    A local name is fixed if its one assignment is. numba-cuda 0.30.4 itself takes no arithmetic
    on names, such as ``TILE + 1``.
    """
    if isinstance(shape, ast.Name) and shape.id in source.locals:
        nodes = list(ast.walk(source.tree))
        assigned = [
            n for n in nodes if isinstance(n, ast.Assign) and _binds(n.targets[0], shape.id)
        ]
        once = sum(_binds(node, shape.id) for node in nodes) == len(assigned) == 1
        return once and is_fixed(assigned[0].value, source)
    if isinstance(shape, ast.Attribute):
        known = is_fixed(shape.value, source) and shape.attr not in VARYING
        return shape.attr == "ndim" or known
    if isinstance(shape, ast.Tuple | ast.BinOp | ast.UnaryOp | ast.Subscript):
        parts = (n for n in ast.iter_child_nodes(shape) if isinstance(n, ast.expr))
        return all(is_fixed(part, source) for part in parts)
    return isinstance(shape, ast.Constant) or (
        isinstance(shape, ast.Name) and shape.id not in VARYING
    )


def _binds(node: ast.AST, name: str) -> bool:
    """Whether a node gives a value to a name."""
    if isinstance(node, ast.arg):
        return node.arg == name
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)


def _shape(frame: Frame, node: ast.AST, shape: Any, dtype: Any) -> tuple[Any, np.dtype[Any]]:
    kind = data_type(dtype)
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if kind is None:
        raise frame.error(node, f"{dtype!r} is no number type; use float32 or another of numba")
    written = [n.value for n in getattr(node, "keywords", ()) if n.arg == "shape"]
    for part in written or getattr(node, "args", ())[:1]:
        if not is_fixed(part, frame.source):
            what = f"an array of a shape known only while the kernel runs ({ast.unparse(part)})"
            mend = "numba takes numbers and names of constants outside the kernel"
            raise unsupported(frame.source.name, node, what, mend)
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
        stride, traces = len(data) // state.chunk.count, state.traces if dynamic else None
        state.arrays[key] = Memory("", "shared", data, stride, base, traces=traces)
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
        state.traces = Traces(state.dynamic.nbytes)
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
    return global_views({"": array}, "constant")[""]
