"""Atomic operations: one lane after the other, each seeing what the one before it left."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from aiinfra.measure.simt.layout import Array, Lanes
from aiinfra.measure.simt.memory import View
from aiinfra.measure.simt.touch import spread

if TYPE_CHECKING:
    from aiinfra.measure.simt.frame import Frame

UFUNCS: dict[str, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "max": np.maximum,
    "min": np.minimum,
    "and_": np.bitwise_and,
    "or_": np.bitwise_or,
    "xor": np.bitwise_xor,
}
Step = Callable[[Any, Any], Any]
STEPS: dict[str, Step] = {
    "exch": lambda old, value: value,
    "inc": lambda old, value: 0 if old >= value else old + 1,
    "dec": lambda old, value: value if old == 0 or old > value else old - 1,
}


def _one_by_one(data: Array, cells: Array, values: Array, step: Step) -> Array:
    old = np.empty(len(cells), data.dtype)
    for at, (cell, value) in enumerate(zip(cells.tolist(), values, strict=True)):
        old[at] = data[cell]
        data[cell] = step(old[at], value)
    return old


def _many(data: Array, cells: Array, values: Array, ufunc: np.ufunc, wanted: bool) -> Array:
    """A ufunc at cells that may repeat; the old values only where somebody wants them."""
    if not wanted:
        ufunc.at(data, cells, values)
        return np.zeros(len(cells), data.dtype)
    if len(np.unique(cells)) == len(cells):
        old = data[cells]
        data[cells] = ufunc(old, values)
        return old
    return _one_by_one(data, cells, values, ufunc)


def _atomic(frame: Frame, node: ast.AST, array: Any, index: Any, apply: Any) -> Any:
    view, keys = frame.element(node, array, index)  # type: ignore[attr-defined]
    if len(keys) != view.ndim:
        raise frame.error(node, f"an atomic on {view.memory.name} needs {view.ndim} indices")
    return frame.state.touch.atomic(view, keys, frame.lanes, node, apply)


def _with_value(name: str) -> Callable[..., Any]:
    def operation(frame: Frame, node: ast.AST, array: Any, index: Any, value: Any) -> Any:
        wanted, size = frame.discarded is not node, frame.state.chunk.size

        def apply(data: Array, cells: Array, lanes: Lanes) -> Array:
            values = spread(value, size, lanes).astype(data.dtype)
            if name in UFUNCS:
                return _many(data, cells, values, UFUNCS[name], wanted)
            return _one_by_one(data, cells, values, STEPS[name])

        return _atomic(frame, node, array, index, apply)

    return operation


def cas(frame: Frame, node: ast.AST, array: Any, index: Any, old: Any, value: Any) -> Any:
    """Compare and swap: store ``value`` where the element is ``old``; returns what was there."""
    size = frame.state.chunk.size

    def apply(data: Array, cells: Array, lanes: Lanes) -> Array:
        pairs = np.empty((len(cells), 2), data.dtype)
        pairs[:, 0], pairs[:, 1] = spread(old, size, lanes), spread(value, size, lanes)
        return _one_by_one(data, cells, pairs, lambda now, p: p[1] if now == p[0] else now)

    return _atomic(frame, node, array, index, apply)


def compare_and_swap(frame: Frame, node: ast.AST, array: View, old: Any, value: Any) -> Any:
    """``cas`` of element 0."""
    return cas(frame, node, array, np.int64(0), old, value)


ATOMICS: dict[str, Callable[..., Any]] = {
    **{f"atomic.{name}": _with_value(name) for name in (*UFUNCS, *STEPS)},
    "atomic.cas": cas,
    "atomic.compare_and_swap": compare_and_swap,
}
