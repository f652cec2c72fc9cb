"""What is so about the suspects of lab 02, by formula and measurement, and what cannot be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from aiinfra.model.roofline import operator_time
from aiinfra.teach.suspects import Case, naive, seal

RIDGE = (0.3, 25.0)  # FLOP/B of one core with compiled kernels, with room on both sides
SHARE, MARGIN = 0.2, 1.3  # of the roof, and how near to a border both answers count
# Of the roof: kernels of these kinds are those that the roofs were measured with, or near to them.
LEAST_SHARE = {
    "streaming": 0.3, "reduction": 0.3, "stencil": 0.08, "matrix product": 0.08, "arithmetic": 0.08,
}  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What the checker knows of one suspect."""

    kind: str
    also: tuple[str, ...]
    flop: float
    most_flop: float
    n_bytes: float
    hidden: str
    small: bool
    most_share: float
    naive: bool  # the shapes alone give the hidden counter away


def truth_of(case: Case, number: int) -> Truth:
    """What is so about a suspect."""
    suspect = case.suspects[number - 1]
    entry, work = suspect._entry, suspect._entry.work(suspect._n)
    hidden, most = "bytes" if suspect._shown == "flop" else "flop", work.flop * entry.most_flop
    return Truth(
        entry.kind, entry.also, work.flop, most, work.n_bytes, hidden, entry.small,
        entry.most_share, hidden in naive(entry),
    )  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """One suspect as it was measured: its truth, its seconds, and the roofs of the core."""

    truth: Truth
    seconds: float
    peak: float
    bandwidth: float

    @property
    def share(self) -> float:
        """Share of the roof that it reaches."""
        work = self.truth
        return (
            operator_time(work.flop, work.n_bytes, self.peak, self.bandwidth).seconds / self.seconds
        )

    @property
    def past_ridge(self) -> float:
        """Intensity over that of the ridge."""
        return self.truth.flop / self.truth.n_bytes * self.bandwidth / self.peak

    def bounds(self) -> set[str]:
        """What may be called the bound: two answers near a border."""
        found = {"neither"} if self.share < SHARE * MARGIN else set()
        if self.share > SHARE / MARGIN:
            found |= {"memory"} if self.past_ridge < MARGIN else set()
            found |= {"compute"} if self.past_ridge > 1 / MARGIN else set()
        return found

    def mends(self) -> set[str]:
        """What may be called the remedy."""
        known = {"memory": "fewer bytes", "compute": "faster arithmetic"}
        found = {known[bound] for bound in self.bounds() if bound in known}
        if "neither" in self.bounds():
            kinds = {self.truth.kind, *self.truth.also}
            found |= {"more per call"} if self.truth.small else set()
            found |= {"better addresses", "more at once"} if "indirect" in kinds else set()
            found |= {"more at once"} if not self.truth.small else set()
            dense = kinds & {"arithmetic", "matrix product"} and not self.truth.small
            found |= {"faster arithmetic"} if dense else set()
        return found


def broken(evidence: dict[str, Any], count: int) -> str:
    """Say what is wrong with the evidence, if anything."""
    try:
        good = evidence["seal"] == seal(evidence)
        numbers = [*evidence["seconds"], evidence["peak"], evidence["bandwidth"]]
        if not good:
            return "The evidence was changed after it was measured: run the cell above again."
        if len(numbers) != count + 2 or not all(0 < x < math.inf for x in numbers):
            return "The evidence does not hold a time for each suspect: run the cell above again."
    except (KeyError, TypeError):
        return "The evidence is incomplete: run the cell that makes it again."
    return ""


def impossible(measured: dict[int, Shown]) -> str:
    """Say which time or roof no machine can have, if any."""
    again = "Measure both again, line_up and roofs: the roofs may be what was disturbed."
    core = measured[1]
    if not all(1e8 <= x <= 1e13 for x in (core.peak, core.bandwidth)):
        return f"No core has a roof of {core.peak:.3g} FLOP/s and {core.bandwidth:.3g} B/s. {again}"
    if not RIDGE[0] <= core.peak / core.bandwidth <= RIDGE[1]:
        return f"No core has a ridge at {core.peak / core.bandwidth:.3g} FLOP/B. {again}"
    for number, shown in measured.items():
        low = 0.0 if shown.truth.small else LEAST_SHARE.get(shown.truth.kind, 0.0)
        if not low <= shown.share <= shown.truth.most_share:
            side = "short" if shown.share > shown.truth.most_share else "long"
            return f"The time of suspect {number} is too {side} for these roofs. {again}"
    for answers in (Shown.bounds, Shown.mends):
        if set.intersection(*map(answers, measured.values())):
            return f"No machine has one wall for all eight. {again}"
    return ""
