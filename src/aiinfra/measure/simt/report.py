"""What a launch did: counters, findings, and a table of accesses behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from aiinfra.measure.simt.findings import (
    AbsentLane,
    Access,
    DivergentBarrier,
    OutOfBounds,
    Place,
    Race,
    Uninitialised,
)
from aiinfra.measure.simt.table import Batch, rows


@dataclass(frozen=True)
class Site:
    """What one place in the source did to one array, summed over the launch.

    ``space`` is global, shared, local, constant, or register: a shuffle, where lanes read one
    another and ``array`` names the call.
    """

    array: str
    space: str
    action: str
    line: int
    column: int
    lanes: int
    requests: int
    sectors: int
    bytes_useful: int
    wavefronts: int
    conflicts: int
    turns: int
    most_turns: int

    @property
    def sectors_per_request(self) -> float:
        """32-byte sectors per request of a warp; 0 without requests."""
        return self.sectors / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class Branch:
    """One condition: how often warps evaluated it and how often their lanes disagreed."""

    line: int
    warps: int
    divergent: int


@dataclass(frozen=True)
class Report:
    """Traffic and findings of a launch. Sums over sites; bytes in B, a sector is 32 B.

    ``bytes_useful`` counts each address once per request; ``bytes_moved`` is sectors x 32 B. Both,
    and ``requests``, ``sectors``, ``efficiency``, count global loads and stores; atomics are apart
    (``atomics``, and their sectors in ``sites``). Local arrays and constants cost nothing here: on
    a GPU a local array that does not fit into registers moves bytes, and lanes that read different
    constants wait for one another. Findings are kept up to a limit; ``found`` has their full
    numbers. ``accesses`` keeps the first requests, ``accesses_dropped`` counts the rest.
    """

    grid: Place
    block: Place
    sites: tuple[Site, ...]
    branches_by_line: tuple[Branch, ...]
    out_of_bounds: list[OutOfBounds]
    races: list[Race]
    divergent_barriers: list[DivergentBarrier]
    uninitialised: list[Uninitialised]
    absent_lanes: list[AbsentLane]
    batches: tuple[Batch, ...] = field(repr=False)
    accesses_dropped: int
    found: dict[str, int]
    barriers: int
    steps: int

    def _sites(self, space: str, *actions: str) -> Iterator[Site]:
        return (s for s in self.sites if s.space == space and s.action in actions)

    @cached_property
    def accesses(self) -> list[Access]:
        """A row for each request of a warp, in the order of execution."""
        return [row for batch in self.batches for row in rows(batch)]

    @property
    def requests(self) -> int:
        """Global requests by warps, loads and stores."""
        return sum(s.requests for s in self._sites("global", "load", "store"))

    @property
    def sectors(self) -> int:
        """32-byte sectors over all global requests, loads and stores."""
        return sum(s.sectors for s in self._sites("global", "load", "store"))

    @property
    def sectors_per_request(self) -> float:
        """4 is ideal for 32 lanes x 4 B, 32 the worst; 0 without requests."""
        return self.sectors / self.requests if self.requests else 0.0

    @property
    def bytes_useful(self) -> int:
        """Bytes at distinct addresses that global requests asked for."""
        return sum(s.bytes_useful for s in self._sites("global", "load", "store"))

    @property
    def bytes_moved(self) -> int:
        """Bytes that global loads and stores move, in whole sectors; atomics are not in it."""
        return 32 * self.sectors

    @property
    def efficiency(self) -> float:
        """Useful bytes per moved byte, 0 to 1; 1 without traffic."""
        return self.bytes_useful / self.bytes_moved if self.sectors else 1.0

    @property
    def global_loads(self) -> int:
        """Elements loaded from global memory, one per lane."""
        return sum(s.lanes for s in self._sites("global", "load"))

    @property
    def global_stores(self) -> int:
        """Elements stored to global memory, one per lane."""
        return sum(s.lanes for s in self._sites("global", "store"))

    @property
    def shared_loads(self) -> int:
        """Elements loaded from shared memory, one per lane."""
        return sum(s.lanes for s in self._sites("shared", "load"))

    @property
    def shared_stores(self) -> int:
        """Elements stored to shared memory, one per lane."""
        return sum(s.lanes for s in self._sites("shared", "store"))

    @property
    def loads(self) -> int:
        """Elements loaded, global and shared."""
        return self.global_loads + self.shared_loads

    @property
    def stores(self) -> int:
        """Elements stored, global and shared."""
        return self.global_stores + self.shared_stores

    @property
    def shared_requests(self) -> int:
        """Shared requests by warps: loads, stores and atomics."""
        return sum(s.requests for s in self._sites("shared", "load", "store", "atomic"))

    @property
    def shared_wavefronts(self) -> int:
        """Passes that shared memory makes over these requests; lanes at one word count once."""
        return sum(s.wavefronts for s in self._sites("shared", "load", "store", "atomic"))

    @property
    def bank_conflicts(self) -> int:
        """Shared wavefronts beyond the first of each request, or of each part of a wide one."""
        return sum(s.conflicts for s in self._sites("shared", "load", "store", "atomic"))

    @property
    def atomics(self) -> int:
        """Atomic operations, one per lane."""
        return sum(s.lanes for s in self.sites if s.action == "atomic")

    @property
    def atomic_requests(self) -> int:
        """Atomic instructions by warps."""
        return sum(s.requests for s in self.sites if s.action == "atomic")

    @property
    def atomic_contention(self) -> float:
        """Turns that an atomic request takes on average: 1 is none, 32 all lanes at one address."""
        turns = sum(s.turns for s in self.sites if s.action == "atomic")
        return turns / self.atomic_requests if turns else 0.0

    @property
    def shuffles(self) -> int:
        """Shuffles by warps: instructions in which lanes read one another's registers."""
        return sum(s.requests for s in self._sites("register", "shuffle"))

    @property
    def branches(self) -> int:
        """Conditions evaluated by warps: if, while, and for, whose last one ends the loop."""
        return sum(b.warps for b in self.branches_by_line)

    @property
    def divergent_branches(self) -> int:
        """Of these, the ones where lanes of a warp disagreed."""
        return sum(b.divergent for b in self.branches_by_line)
