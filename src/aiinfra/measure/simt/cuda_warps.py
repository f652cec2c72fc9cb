"""Warp collectives: lanes read each other's registers and vote, without memory."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from aiinfra.measure.simt.layout import WARP, Array

if TYPE_CHECKING:
    from aiinfra.measure.simt.frame import Frame


def lane_ids(frame: Frame) -> Array:
    """Each lane's place in its warp."""
    return frame.state.chunk.thread % WARP


def _shuffle(frame: Frame, node: ast.AST, value: Any, source: Array) -> Any:
    """The value of another lane of the warp; its own where that lane is not there."""
    chunk = frame.state.chunk
    own = np.arange(chunk.size)
    inside = (source >= 0) & (source < WARP)
    slots = chunk.slot - chunk.slot % WARP + np.where(inside, source, 0)
    lanes = chunk.lane_of_slot[slots]
    there = inside & (lanes >= 0) & frame.lanes.bits[lanes]
    if (frame.lanes.bits & inside & ~there).any():
        line = getattr(node, "lineno", 0)
        frame.state.tally.note(f"line {line}: a shuffle reads a lane that takes no part in it")
    return np.broadcast_to(value, chunk.size)[np.where(there, lanes, own)]


def shfl_sync(frame: Frame, node: ast.AST, mask: Any, value: Any, source: Any) -> Any:
    """The value of lane ``source``, modulo 32."""
    lanes = np.broadcast_to(np.asarray(source) % WARP, frame.state.chunk.size)
    return _shuffle(frame, node, value, lanes)


def shfl_up_sync(frame: Frame, node: ast.AST, mask: Any, value: Any, delta: Any) -> Any:
    """The value of the lane ``delta`` below."""
    return _shuffle(frame, node, value, lane_ids(frame) - delta)


def shfl_down_sync(frame: Frame, node: ast.AST, mask: Any, value: Any, delta: Any) -> Any:
    """The value of the lane ``delta`` above."""
    return _shuffle(frame, node, value, lane_ids(frame) + delta)


def shfl_xor_sync(frame: Frame, node: ast.AST, mask: Any, value: Any, lanemask: Any) -> Any:
    """The value of the lane whose number differs in the bits of ``lanemask``."""
    return _shuffle(frame, node, value, lane_ids(frame) ^ lanemask)


def _ballot(frame: Frame, predicate: Any) -> tuple[Array, Array]:
    """Bits of the lanes that say yes, and of all that vote, for each lane's warp."""
    chunk, bits = frame.state.chunk, frame.lanes.bits
    yes = np.broadcast_to(np.asarray(predicate).astype(bool), chunk.size) & bits
    warp, weight = chunk.slot // WARP, np.int64(1) << lane_ids(frame)
    count = chunk.count * chunk.warps_per_block
    said, voted = (np.bincount(warp, weight * who, count).astype(np.int64) for who in (yes, bits))
    return said[warp], voted[warp]


def ballot_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """One bit for each lane of the warp that says yes."""
    return _ballot(frame, predicate)[0]


def any_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """Whether a lane of the warp says yes."""
    return _ballot(frame, predicate)[0] != 0


def all_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """Whether every lane of the warp that votes says yes."""
    said, voted = _ballot(frame, predicate)
    return said == voted


def eq_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """Whether the lanes of the warp that vote agree."""
    said, voted = _ballot(frame, predicate)
    return (said == voted) | (said == 0)


def popc(frame: Frame, node: ast.AST, value: Any) -> Any:
    """Number of bits set; a negative number of 32 bits counts as such."""
    value = np.asarray(value).astype(np.int64)
    narrow = (value < 0) & (value >= -(2**31))
    bits = np.where(narrow, value & 0xFFFFFFFF, value).astype(np.uint64)
    return np.bitwise_count(bits).astype(np.int64)[()]


def ffs(frame: Frame, node: ast.AST, value: Any) -> Any:
    """Place of the lowest bit set, from 1; 0 without one."""
    value = np.asarray(value).astype(np.int64)
    lowest = (value & -value).astype(np.uint64)
    below: Any = np.bitwise_count(lowest - np.uint64(1)).astype(np.int64)
    return (below + 1) * (value != 0)


WARP_CALLS: dict[str, Callable[..., Any]] = {
    "shfl_sync": shfl_sync,
    "shfl_up_sync": shfl_up_sync,
    "shfl_down_sync": shfl_down_sync,
    "shfl_xor_sync": shfl_xor_sync,
    "ballot_sync": ballot_sync,
    "any_sync": any_sync,
    "all_sync": all_sync,
    "eq_sync": eq_sync,
    "activemask": lambda frame, node: _ballot(frame, True)[1],
    "lanemask_lt": lambda frame, node: (np.int64(1) << lane_ids(frame)) - 1,
    "popc": popc,
    "ffs": ffs,
    "fma": lambda frame, node, a, b, c: a * b + c,
    "selp": lambda frame, node, test, yes, no: np.asarray(np.where(test, yes, no))[()],
}
WARP_VALUES: dict[str, Callable[[Frame], Any]] = {
    "laneid": lane_ids,
    "warpsize": lambda frame: np.int64(WARP),
}
