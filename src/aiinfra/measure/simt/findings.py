"""What a launch can find: one record for each access, race, barrier or bound."""

from __future__ import annotations

from dataclasses import dataclass

from aiinfra.measure.simt.layout import Dim

Place = int | tuple[int, ...]


@dataclass(frozen=True)
class OutOfBounds:
    """An access beyond an array: a load gave 0, a store was dropped."""

    array: str
    index: Place
    block: Place
    thread: Place
    line: int
    action: str


@dataclass(frozen=True)
class Uninitialised:
    """A load from shared memory that no thread had written."""

    array: str
    index: Place
    block: Place
    thread: Place
    line: int


@dataclass(frozen=True)
class Race:
    """Two threads at one address, one of them writing, with no barrier between.

    ``index`` counts elements from the start of the array in memory.
    """

    array: str
    index: int
    kind: str
    block: Place
    thread: Place
    line: int
    other_block: Place
    other_thread: Place
    other_line: int
    space: str


@dataclass(frozen=True)
class DivergentBarrier:
    """A barrier that only part of a block reached; the rest took another way or had returned."""

    line: int
    block: Place
    arrived: int
    expected: int
    exited: int


@dataclass(frozen=True)
class AbsentLane:
    """A call of a warp's lanes that counts on a lane which takes no part.

    ``why`` says how: the mask has "named" the lane, the call has "read" it, or the caller itself
    is "unnamed" in its mask. On a GPU the result is undefined, or the warp waits for ever.
    """

    call: str
    why: str
    lane: int
    block: Place
    thread: Place
    line: int


@dataclass(frozen=True)
class Access:
    """One request of one warp; addresses are byte offsets within the array, one per lane."""

    array: str
    space: str
    action: str
    line: int
    column: int
    block: Place
    warp: int
    lanes: tuple[int, ...]
    addresses: tuple[int, ...]
    itemsize: int
    sectors: int
    wavefronts: int


def place(index: Dim, rank: int) -> Place:
    """A 3-D index in as many dimensions as the launch used; a number in one."""
    return index[0] if rank == 1 else index[:rank]
