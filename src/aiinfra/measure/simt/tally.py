"""Collect while the kernel runs: sums by site, findings up to a limit, requests for the figures."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiinfra.measure.simt.counters import by_warp, contention, sectors_and_addresses, wavefronts
from aiinfra.measure.simt.fences import Fences
from aiinfra.measure.simt.findings import Place, place
from aiinfra.measure.simt.layout import Array, Chunk, Dim, Lanes
from aiinfra.measure.simt.memory import Memory
from aiinfra.measure.simt.table import Batch

MOST_FINDINGS = 1000
MOST_REQUESTS = 65536

SUMS = ("lanes", "requests", "sectors", "bytes_useful", "wavefronts", "conflicts", "turns")


@dataclass
class Tally:
    """Everything a launch collects."""

    rank_grid: int
    rank_block: int
    sites: dict[tuple[str, str, str, int, int], dict[str, int]] = field(default_factory=dict)
    branches: dict[int, list[int]] = field(default_factory=dict)
    findings: dict[str, list[Any]] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    kept: int = 0
    dropped: int = 0
    barriers: int = 0
    steps: int = 0
    fences: Fences = field(default_factory=Fences)

    def find(self, kind: str, finding: Any, times: int = 1) -> None:
        """Keep a finding, up to the limit, and count it."""
        self.found[kind] = self.found.get(kind, 0) + times
        kept = self.findings.setdefault(kind, [])
        if len(kept) < MOST_FINDINGS:
            kept.append(finding)

    def places(self, block: Dim, thread: Dim) -> tuple[Place, Place]:
        """Block and thread in the form in which the launch gave grid and block."""
        return place(block, self.rank_grid), place(thread, self.rank_block)

    def branch(self, node: ast.AST, chunk: Chunk, lanes: Lanes, yes: Lanes | None) -> None:
        """Count a condition by warps, and those whose lanes disagree."""
        count = self.branches.setdefault(getattr(node, "lineno", 0), [0, 0])
        total = chunk.warps_of(lanes)
        count[0] += int(np.count_nonzero(total))
        if yes is not None and yes is not lanes:
            no = Lanes(lanes.bits & ~yes.bits)
            count[1] += int(np.count_nonzero(chunk.warps_of(yes) & chunk.warps_of(no)))

    def access(
        self, memory: Memory, chunk: Chunk, action: str, node: ast.AST, lanes: Array, offsets: Array
    ) -> None:
        """Count one instruction: ``offsets`` are element offsets of the lanes within the array."""
        addresses = offsets * memory.itemsize + memory.base
        warps = chunk.count * chunk.warps_per_block
        rows = by_warp(chunk.slot[lanes], addresses, warps)
        present = np.flatnonzero((rows >= 0).any(axis=1))
        if len(present) < warps:
            rows = rows[present]
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        sums = self._sums((memory.name, memory.space, action, line, column))
        sums["lanes"] += len(lanes)
        sums["requests"] += len(rows)
        sectors = fronts = np.zeros(len(rows), np.int64)
        if memory.space == "shared":
            fronts, least = wavefronts(rows, memory.itemsize, action == "load")
            sums["wavefronts"] += int(fronts.sum())
            sums["conflicts"] += int((fronts - least).sum())
        if memory.space == "global":
            sectors, distinct = sectors_and_addresses(rows)
            sums["sectors"] += int(sectors.sum())
            sums["bytes_useful"] += int(distinct.sum()) * memory.itemsize
        if action == "atomic":
            turns = contention(rows)
            sums["turns"] += int(turns.sum())
            sums["most_turns"] = max(sums["most_turns"], int(turns.max(initial=0)))
        site = (memory.name, memory.space, action, line, column, memory.itemsize)
        home = (chunk.grid, self.rank_grid, chunk.first, chunk.warps_per_block)
        self._keep(Batch(site, home, present, rows, sectors, fronts))

    def _sums(self, site: tuple[str, str, str, int, int]) -> dict[str, int]:
        if site not in self.sites:
            self.sites[site] = dict.fromkeys((*SUMS, "most_turns"), 0)
        return self.sites[site]

    def _keep(self, batch: Batch) -> None:
        requests = len(batch.warps)
        room = max(0, min(requests, MOST_REQUESTS - self.kept))
        self.kept += room
        self.dropped += requests - room
        if room:
            short = {name: getattr(batch, name)[:room] for name in Batch._fields[-4:]}
            self.batches.append(batch._replace(**short) if room < requests else batch)
