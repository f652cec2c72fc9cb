"""Warp collectives: lanes read each other's registers and vote, without memory."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from aiinfra.measure.simt.findings import AbsentLane
from aiinfra.measure.simt.layout import WARP, Array
from aiinfra.measure.simt.memory import Memory
from aiinfra.measure.simt.values import signed

if TYPE_CHECKING:
    from aiinfra.measure.simt.frame import Frame


def lane_ids(frame: Frame) -> Array:
    """Each lane's place in its warp."""
    return frame.state.chunk.thread % WARP


def taking_part(frame: Frame, node: ast.AST, call: str, mask: Any) -> Array:
    """The lanes for which a call of a warp works: everybody there whom the mask names.

    Lanes that have returned need not come. Reports one lane of each warp where a lane is missing
    or calls without being named. Source: CUDA C++ Programming Guide, "Warp Vote Functions".
    """
    state, bits = frame.state, frame.lanes.bits
    warp, lane = state.chunk.slot // WARP, lane_ids(frame)
    masks = np.broadcast_to(np.asarray(mask).astype(np.int64), state.chunk.size)
    here, alive = _bits(frame, bits)[warp], _bits(frame, ~state.exited)[warp]
    missing = masks & alive & ~here & 0xFFFFFFFF
    named = (masks >> lane) & 1 == 1
    _report_absent(frame, node, call, "unnamed", bits & ~named, lane)
    lowest = np.bitwise_count(((missing & -missing) - 1).astype(np.uint64))
    _report_absent(frame, node, call, "named", bits & named & (missing != 0), lowest)
    return np.asarray(bits & named & (missing == 0))


def _bits(frame: Frame, who: Array) -> Array:
    """For each warp of the chunk, one bit for each lane of a set."""
    chunk = frame.state.chunk
    count = chunk.count * chunk.warps_per_block
    weight = (np.int64(1) << lane_ids(frame)) * who
    return np.bincount(chunk.slot // WARP, weight, count).astype(np.int64)


def _report_absent(
    frame: Frame, node: ast.AST, call: str, why: str, wrong: Array, absent: Array
) -> None:
    if not wrong.any():
        return
    chunk, tally = frame.state.chunk, frame.state.tally
    lanes = np.flatnonzero(wrong)
    for at in np.unique(chunk.slot[lanes] // WARP, return_index=True)[1]:
        where = tally.places(*chunk.name_of(chunk.thread_id[lanes[at]]))
        line = getattr(node, "lineno", 0)
        found = AbsentLane(call, why, int(absent[lanes[at]]), *where, line)
        tally.find("absent_lanes", found)


def _shuffle(name: str, source_of: Callable[[Array, Any], Any]) -> Callable[..., Any]:
    """The value of another lane of the warp; its own where that lane is beyond the warp."""

    def call(frame: Frame, node: ast.AST, mask: Any, value: Any, other: Any) -> Any:
        takes_part = taking_part(frame, node, name, mask)
        chunk = frame.state.chunk
        source = np.broadcast_to(source_of(lane_ids(frame), signed(other)), chunk.size)
        inside = (source >= 0) & (source < WARP)
        item = int(np.asarray(value).dtype.itemsize)
        registers = Memory(name, "register", np.empty(0, f"V{item}"), WARP)
        executing = frame.lanes.index
        frame.state.tally.access(
            registers, chunk, "shuffle", node, executing, np.where(inside, source, 0)[executing]
        )
        slots = chunk.slot - chunk.slot % WARP + np.where(inside, source, 0)
        lanes = chunk.lane_of_slot[slots]
        there = inside & (lanes >= 0) & frame.lanes.bits[lanes]
        _report_absent(frame, node, name, "read", takes_part & inside & ~there, source)
        own = np.arange(chunk.size)
        return np.broadcast_to(value, chunk.size)[np.where(there, lanes, own)]

    return call


def _int32(bits: Array) -> Array:
    """32 bits as numba-cuda types them (``intrinsics.py``, ``cudadecl.py`` of 0.30.4): signed."""
    return bits.astype(np.int32).astype(np.int64)


def _ballot(frame: Frame, node: ast.AST, call: str, mask: Any, predicate: Any) -> tuple[Any, Any]:
    """Bits of the lanes that say yes, and of all that vote, for each lane's warp."""
    chunk, votes = frame.state.chunk, taking_part(frame, node, call, mask)
    yes = np.broadcast_to(np.asarray(predicate).astype(bool), chunk.size) & votes
    warp = chunk.slot // WARP
    return _bits(frame, yes)[warp], _bits(frame, votes)[warp]


def ballot_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """One bit for each lane of the warp that says yes, as int32: -1 where all 32 do."""
    return _int32(_ballot(frame, node, "ballot_sync", mask, predicate)[0])


def any_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """Whether a lane of the warp says yes."""
    return _ballot(frame, node, "any_sync", mask, predicate)[0] != 0


def all_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """Whether every lane of the warp that votes says yes."""
    said, voted = _ballot(frame, node, "all_sync", mask, predicate)
    return said == voted


def eq_sync(frame: Frame, node: ast.AST, mask: Any, predicate: Any) -> Any:
    """Whether the lanes of the warp that vote agree."""
    said, voted = _ballot(frame, node, "eq_sync", mask, predicate)
    return (said == voted) | (said == 0)


def match_any_sync(frame: Frame, node: ast.AST, mask: Any, value: Any) -> Any:
    """One bit for each lane of the warp that has the same value, as int32."""
    chunk, votes = frame.state.chunk, taking_part(frame, node, "match_any_sync", mask)
    values = np.broadcast_to(np.asarray(value), chunk.size)
    places = chunk.count * chunk.span
    rows, there = np.zeros(places, values.dtype), np.zeros(places, bool)
    rows[chunk.slot], there[chunk.slot] = values, votes
    table = rows.reshape(-1, WARP)
    same = (table[:, :, None] == table[:, None, :]) & there.reshape(-1, 1, WARP)
    return _int32((same @ (np.int64(1) << np.arange(WARP))).reshape(-1)[chunk.slot])


def activemask(frame: Frame, node: ast.AST) -> Any:
    """One bit for each lane of the warp that is here, unsigned."""
    bits = _bits(frame, frame.lanes.bits)[frame.state.chunk.slot // WARP]
    return bits.astype(np.uint64)


def popc(frame: Frame, node: ast.AST, value: Any) -> Any:
    """Number of bits set; a negative number that fits into 32 bits counts as one of them."""
    value = np.asarray(value)
    if value.dtype.kind != "u":
        value = np.where((value < 0) & (value >= -(2**31)), value & 0xFFFFFFFF, value)
    return np.bitwise_count(value.astype(np.uint64)).astype(np.int64)[()]


def ffs(frame: Frame, node: ast.AST, value: Any) -> Any:
    """Place of the lowest bit set, from 1; 0 without one."""
    value = np.asarray(value).astype(np.int64)
    lowest = (value & -value).astype(np.uint64)
    below: Any = np.bitwise_count(lowest - np.uint64(1)).astype(np.int64)
    return (below + 1) * (value != 0)


WARP_CALLS: dict[str, Callable[..., Any]] = {
    "shfl_sync": _shuffle("shfl_sync", lambda lane, source: np.asarray(source) % WARP),
    "shfl_up_sync": _shuffle("shfl_up_sync", lambda lane, delta: lane - delta),
    "shfl_down_sync": _shuffle("shfl_down_sync", lambda lane, delta: lane + delta),
    "shfl_xor_sync": _shuffle("shfl_xor_sync", lambda lane, bits: lane ^ bits),
    "match_any_sync": match_any_sync,
    "ballot_sync": ballot_sync,
    "any_sync": any_sync,
    "all_sync": all_sync,
    "eq_sync": eq_sync,
    "activemask": activemask,
    "lanemask_lt": lambda frame, node: ((np.int64(1) << lane_ids(frame)) - 1).astype(np.uint64),
    "popc": popc,
    "ffs": ffs,
    "fma": lambda frame, node, a, b, c: a * b + c,
    "selp": lambda frame, node, test, yes, no: np.asarray(np.where(test, yes, no))[()],
}
WARP_VALUES: dict[str, Callable[[Frame], Any]] = {
    "laneid": lane_ids,
    "warpsize": lambda frame: np.int64(WARP),
}
