"""The gap: the guess, the measurement, the model and the limit of one quantity on one line."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiinfra.results import Comparison, Quantity
from aiinfra.show.canvas import HouseAxes, finish, house_rc, inches, new_axes, write
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.style import COLOURS, INK, LABEL_SIZE, MARGIN, RULE, TEXT, WIDTH, known_kind
from aiinfra.show.ticks import Scale, set_ticks
from aiinfra.show.words import (
    distance, join_sources, ratio_words, same, sentence, value_words,
)  # fmt: skip

FLOOR_UNITS = ("s", "J", "$", "g")  # less is better: the limit is a least value
ROW, TRACK = 0.25, 0.24  # inches: a row of ratios, the room around the track
LEADER = 0.16  # inches from the top of a mark to its label
SIDE = 0.06  # inches between the drawing area and the margins


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


def gap(comparison: Comparison, title: str | None = None, *, kind: str = "cpu",
        limit_is: str | None = None, alt: str | None = None) -> HouseAxes:  # fmt: skip
    """Draw a comparison on one logarithmic axis, with the distances written as ratios.

    The guess is a hollow purple ring, the measurement a solid mark in the colour of ``kind`` with
    a bar for its spread, the model a dashed line, the limit a wall. ``limit_is`` says whether the
    limit is the "most" or the "least" there can be; by default the least for times, energies and
    costs. Any of guess, model and limit may be missing; a guess that a logarithmic axis cannot
    hold (zero or less) is pinned to the left edge.
    """
    limit_is = limit_is or ("least" if comparison.measured.unit in FLOOR_UNITS else "most")
    if limit_is not in ("most", "least"):
        raise ValueError(f'limit_is is "most" or "least", not {limit_is!r}')
    if not comparison.measured.value > 0:
        raise ValueError("a measurement of zero or less has no place on a logarithmic axis")
    width = WIDTH - 2 * MARGIN - 2 * SIDE
    low, high = _limits(comparison, limit_is)
    marks = _marks(comparison, low, high, width)
    rows = _pack(_gaps(marks, width, limit_is))
    values = _values(marks, width)
    band = LEADER + max(text_size(f"name\n{value}")[1] for value in values)
    height = len(rows) * ROW + 2 * TRACK + band
    sources = join_sources(mark.quantity.source for mark in marks)
    heading = title or default_title(comparison)
    axes = new_axes(heading, sources, height, left=SIDE, right=SIDE, above=0.1, below=0.3)
    axes.set(xscale="log", xlim=(low, high), ylim=(0, height), yticks=[])
    set_ticks(axes, "x", Scale("", comparison.measured.unit), width)
    with house_rc():
        track = len(rows) * ROW + TRACK
        _draw_marks(axes, marks, track, known_kind(kind), limit_is)
        _draw_labels(axes, list(zip(marks, values, strict=True)), track + TRACK, width, kind)
        for i, row in enumerate(rows):
            for item in row:
                _draw_gap(axes, item, track - TRACK - (i + 0.5) * ROW + 0.04)
    return finish(axes, alt or describe(comparison, heading, limit_is))


def default_title(comparison: Comparison) -> str:
    """The message when the lesson states none: how far the guess or the model was."""
    measured = comparison.measured
    if comparison.guess is not None and comparison.guess.value > 0:
        return f"Your guess is {distance(comparison.guess.value, measured.value)}"
    if comparison.model is not None:
        return f"The model is {distance(comparison.model.value, measured.value)}"
    return f"{comparison.question} {value_words(measured)}".strip()


def describe(comparison: Comparison, title: str, limit_is: str) -> str:
    """Say in sentences what the figure shows."""
    measured = comparison.measured
    parts = [f"{_measured_name(measured)} {value_words(measured)}"]
    for role, name in (("guess", "your guess"), ("model", "model"), ("limit", "limit")):
        quantity = getattr(comparison, role)
        if quantity is not None:
            words = _words(role, quantity, measured, limit_is)
            words = words.removeprefix(name).removeprefix(":").strip()
            parts.append(f"{name} {value_words(quantity)}, {words}" if words
                         else f"{name} {value_words(quantity)}")  # fmt: skip
    return sentence(title, comparison.question, "On a logarithmic axis: " + "; ".join(parts))


def _measured_name(measured: Quantity) -> str:
    return "replayed" if measured.source.startswith("replayed") else "measured"


def _limits(comparison: Comparison, limit_is: str) -> tuple[float, float]:
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


def _marks(comparison: Comparison, low: float, high: float, width: float) -> list[Mark]:
    marks = []
    names = {"guess": "your guess", "model": "model", "limit": "limit"}
    names["measured"] = _measured_name(comparison.measured)
    for role in ("guess", "measured", "model", "limit"):
        q = getattr(comparison, role)
        if q is not None:
            on_axis = math.isfinite(q.value) and q.value > 0
            x = width * math.log(q.value / low) / math.log(high / low) if on_axis else 0.0
            marks.append(Mark(role, names[role], q, x))
    return marks


def _words(role: str, quantity: Quantity, measured: Quantity, limit_is: str) -> str:
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
        return f"measured {ratio_words(beyond)} {side} the limit: check both"
    return f"limit {ratio_words(1 / beyond)} away"


def _gaps(marks: list[Mark], width: float, limit_is: str) -> list[Gap]:
    measured = next(mark for mark in marks if mark.role == "measured")
    found = []
    for mark in marks:
        words = _words(mark.role, mark.quantity, measured.quantity, limit_is)
        if mark is measured or not words:
            continue
        left, right = sorted((measured.x, mark.x))
        size = text_size(words)[0]
        inside = right - left > size + 0.5
        lines = [other.x for other in marks]
        spots = [right + 0.1, left - 0.1 - size]
        spots = [s for s in spots if s >= 0 and s + size <= width] or [max(0.0, left - 0.1 - size)]
        start = (left + right - size) / 2 if inside else min(
            spots, key=lambda s: sum(s - 0.05 < x < s + size + 0.05 for x in lines))  # fmt: skip
        found.append(Gap(measured.x, mark.x, words, mark.role, start, inside))
    return found


def _pack(gaps: list[Gap]) -> list[list[Gap]]:
    rows: list[list[Gap]] = []
    for item in gaps:
        for row in rows:
            if all(item.extent[0] > other.extent[1] - 0.02 or item.extent[1] < other.extent[0] + 0.02
                   for other in row):  # fmt: skip
                row.append(item)
                break
        else:
            rows.append([item])
    return rows


def _draw_marks(axes: HouseAxes, marks: list[Mark], track: float, kind: str, limit_is: str) -> None:
    axes.axhline(track, color=RULE, linewidth=1, zorder=1)
    top, where = track + TRACK, inches(axes)
    for mark in marks:
        x, q, colour = mark.x, mark.quantity, COLOURS[mark.role if mark.role in COLOURS else kind]
        if mark.role == "limit":
            _draw_wall(axes, x, top, limit_is)
        elif mark.role == "model":
            axes.plot([x, x], [0, top], transform=where, color=colour, linewidth=2,
                      linestyle=(0, (3, 1.5)), zorder=3, clip_on=False)  # fmt: skip
        elif mark.role == "guess":
            axes.plot([x, x], [0, top], transform=where, color=colour, linewidth=0.9, zorder=2,
                      clip_on=False)  # fmt: skip
            axes.plot(x, track, marker="o" if mark.on_axis else "<", markersize=13,
                      transform=where, markerfacecolor="white", markeredgecolor=colour,
                      markeredgewidth=2.6, zorder=6, clip_on=False)  # fmt: skip
        else:
            axes.plot([x, x], [0, top], transform=where, color=colour, linewidth=0.9, zorder=2)
            if q.low is not None and q.high is not None:
                axes.plot([max(q.low, axes.get_xlim()[0]), q.high], [track, track], color=colour,
                          linewidth=9, alpha=0.35, solid_capstyle="butt", zorder=4)  # fmt: skip
            axes.plot(x, track, marker="o", markersize=9, color=colour, transform=where,
                      markeredgecolor="white", markeredgewidth=1, zorder=7)  # fmt: skip


def _draw_wall(axes: HouseAxes, x: float, top: float, limit_is: str) -> None:
    from matplotlib.patches import Rectangle

    edge = -SIDE if limit_is == "least" else axes.size[0] + SIDE
    thick = min(abs(edge - x), 0.3) * (-1 if limit_is == "least" else 1)
    axes.add_patch(Rectangle((x, 0), thick, top, transform=inches(axes), facecolor="#F4F4F4",
                             edgecolor="#8A8A8A", hatch="////", linewidth=0, zorder=1.5,
                             clip_on=False))  # fmt: skip
    axes.plot([x, x], [0, top], transform=inches(axes), color=COLOURS["limit"], linewidth=3.4,
              solid_capstyle="butt", zorder=5, clip_on=False)  # fmt: skip


def _values(marks: list[Mark], width: float) -> list[str]:
    most = width / len(marks) - 0.15
    return [wrap(value_words(mark.quantity), most, LABEL_SIZE, bold=True) for mark in marks]


def _draw_labels(axes: HouseAxes, labels: list[tuple[Mark, str]], base: float, width: float,
                 kind: str) -> None:  # fmt: skip
    sizes = [max(text_size(v, bold=True)[0], text_size(mark.name)[0]) for mark, v in labels]
    centres = spread_out([mark.x for mark, _ in labels], sizes, -SIDE, width + SIDE, gap=0.14)
    rise = max(text_size(value)[1] for _, value in labels)
    for (mark, value), centre in zip(labels, centres, strict=True):
        ink = INK[mark.role if mark.role in INK else kind]
        line = COLOURS[mark.role if mark.role in COLOURS else kind]
        axes.plot([mark.x, centre], [base, base + LEADER - 0.03], transform=inches(axes), color=line,
                  linewidth=0.9, zorder=2, clip_on=False)  # fmt: skip
        top = base + LEADER + rise
        write(axes, centre, top, value, bold=True, colour=ink, ha="center", va="top")
        write(axes, centre, top + 0.05, mark.name, colour=ink, ha="center", va="baseline")


def _draw_gap(axes: HouseAxes, item: Gap, y: float) -> None:
    where = inches(axes)
    if abs(item.end - item.start) > 0.03:
        head = "<|-|>" if abs(item.end - item.start) > 0.25 else "-"
        axes.annotate("", (item.end, y), (item.start, y), xycoords=where, textcoords=where,
                      arrowprops={"arrowstyle": f"{head},head_width=0.17,head_length=0.35"
                                  if head != "-" else head, "linewidth": 0.9, "color": MUTED_LINE,
                                  "shrinkA": 1.5, "shrinkB": 1.5}, zorder=4)  # fmt: skip
    ink = INK[item.role]
    bold = "check both" in item.words
    write(axes, item.text_left + text_size(item.words)[0] / 2, y, item.words, colour=ink or TEXT,
          bold=bold, ha="center", zorder=8,
          bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip


MUTED_LINE = "#6E6E6E"
