"""Where the marks of a gap figure stand, and where the words of its distances go."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiinfra.results import Comparison, Quantity
from aiinfra.show.layout import text_size
from aiinfra.show.words import distance, ratio_words, same


@dataclass(frozen=True)
class Mark:
    """One of the four marks: its role, what it is called, where it stands on the axis."""

    role: str
    name: str
    quantity: Quantity
    x: float  # inches from the left

    @property
    def on_axis(self) -> bool:
        return math.isfinite(self.quantity.value) and self.quantity.value > 0


@dataclass(frozen=True)
class Gap:
    """One labelled distance from the measurement to another mark, in inches."""

    start: float
    end: float
    words: str
    role: str
    text_left: float
    inside: bool

    @property
    def extent(self) -> tuple[float, float]:
        right = self.text_left + text_size(self.words)[0]
        return min(self.start, self.end, self.text_left), max(self.start, self.end, right)


def measured_name(measured: Quantity) -> str:
    """Name the measurement for what it is: measured, replayed, published, or a model after all."""
    for start, name in (("replayed", "replayed"), ("model", "modelled"), ("source", "published")):
        if measured.source.startswith(start):
            return name
    return "partly modelled" if "model:" in measured.source else "measured"


def axis_limits(comparison: Comparison) -> tuple[float, float]:
    """Limits of the axis around everything it holds, a factor of four at least."""
    ends: list[float] = []
    for role in ("measured", "guess", "model", "limit"):
        q = getattr(comparison, role)
        if q is not None:
            ends += [v for v in (q.value, q.low, q.high) if v and v > 0 and math.isfinite(v)]
    low, high = math.log(min(ends)), math.log(max(ends))
    span = max(high - low, math.log(4))
    middle = (low + high) / 2
    low, high = middle - span / 2 - 0.09 * span, middle + span / 2 + 0.09 * span
    return math.exp(low), math.exp(high)


def find_marks(comparison: Comparison, low: float, high: float, width: float) -> list[Mark]:
    """The marks there are, each with its place on an axis ``width`` inches long."""
    marks = []
    names = {"guess": "your guess", "model": "model", "limit": "limit"}
    names["measured"] = measured_name(comparison.measured)
    for role in ("guess", "measured", "model", "limit"):
        q = getattr(comparison, role)
        if q is not None:
            on_axis = math.isfinite(q.value) and q.value > 0
            x = width * math.log(q.value / low) / math.log(high / low) if on_axis else 0.0
            marks.append(Mark(role, names[role], q, x))
    return marks


def gap_words(role: str, quantity: Quantity, measured: Quantity, limit_is: str) -> str:
    """Say the distance of a mark from the measurement; nothing for what no ratio can express."""
    if not (quantity.value > 0 and math.isfinite(quantity.value)):
        return ""
    if role != "limit":
        name = "your guess" if role == "guess" else "model"
        words = distance(quantity.value, measured.value)
        return f"{name} {words}" if not words.startswith("within") else f"{name}: {words}"
    beyond = measured.value / quantity.value
    beyond = 1 / beyond if limit_is == "least" else beyond
    if near := same(quantity.value, measured.value):
        return f"at the limit, {near}"
    if beyond > 1:
        side = "below" if limit_is == "least" else "above"
        return f"{measured_name(measured)} {ratio_words(beyond)} {side} the limit: check both"
    return f"limit {ratio_words(1 / beyond)} away"


def find_gaps(marks: list[Mark], width: float, limit_is: str) -> list[Gap]:
    """The distances to label, each with a place for its words."""
    measured = next(mark for mark in marks if mark.role == "measured")
    found = []
    for mark in marks:
        words = gap_words(mark.role, mark.quantity, measured.quantity, limit_is)
        if mark is measured or not words:
            continue
        left, right = sorted((measured.x, mark.x))
        size = text_size(words)[0]
        inside = right - left > size + 0.5
        start = (left + right - size) / 2 if inside else _beside((left, right), size, marks, width)
        found.append(Gap(measured.x, mark.x, words, mark.role, start, inside))
    return found


def _beside(ends: tuple[float, float], size: float, marks: list[Mark], width: float) -> float:
    """Where words of ``size`` stand beside a short arrow: near it and off the marks' lines."""
    spots = [x + 0.1 for x in (ends[1], *(mark.x for mark in marks))]
    spots += [x - 0.1 - size for x in (ends[0], *(mark.x for mark in marks))]
    spots = [min(max(spot, 0.0), width - size) for spot in spots]

    def cost(left: float) -> float:
        right = left + size
        away = max(left - ends[1], ends[0] - right, 0.0)
        over = min(right, ends[1]) - max(left, ends[0])  # words upon their own arrow
        hits = [1.0 + 2.0 * (m.role == "limit") for m in marks if left - 0.05 < m.x < right + 0.05]
        return sum(hits) + away + 3 * max(over, 0.0)

    return min(spots, key=cost)


def pack(gaps: list[Gap]) -> list[list[Gap]]:
    """Deal distances into as few rows as hold them without touching."""
    rows: list[list[Gap]] = []
    for item in gaps:
        for row in rows:
            if all(
                item.extent[0] > other.extent[1] - 0.02 or item.extent[1] < other.extent[0] + 0.02
                for other in row
            ):
                row.append(item)
                break
        else:
            rows.append([item])
    return rows
