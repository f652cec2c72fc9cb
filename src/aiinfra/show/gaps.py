"""The gap: the guess, the measurement, the model and the limit of one quantity on one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiinfra.results import Comparison, Quantity
from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import Look, panel, ring, spot, stroke, write
from aiinfra.show.scales import Scale, View, pad, set_x
from aiinfra.show.style import COLOURS, DASHED, INK, INNER, LABEL_SIZE, RULE, known_kind
from aiinfra.show.words import join_sources, sentence, value_words
from aiinfra.units import distance, ratio_words, same

FLOOR_UNITS = ("s", "J", "$", "g")  # less is better: the limit is a least value
NO_TEST = " (arithmetic: nothing ran here, so this tests no model)"
NAMES = {"guess": "your guess", "model": "model", "limit": "limit"}
SIDE = 0.06  # inches between the drawing area and the margins
LENGTH = INNER - 2 * SIDE  # of the axis
ROW, TRACK, LEADER = 0.25, 0.24, 0.16  # inches: a row of ratios, around the track, to a label


@dataclass(frozen=True)
class Mark:
    """One of the four marks: what it is, its colour, its place, its distance in words."""

    role: str
    name: str
    kind: str
    quantity: Quantity
    x: float  # inches from the left
    gap: str

    @property
    def value(self) -> str:
        """The number as its label writes it."""
        return wrap(value_words(self.quantity), LENGTH / 4 - 0.15, LABEL_SIZE, bold=True)


@house_style
def gap(
    comparison: Comparison,
    title: str | None = None,
    *,
    kind: str = "cpu",
    limit_is: str | None = None,
    alt: str | None = None,
) -> HouseAxes:
    """Draw a comparison on one logarithmic axis, with the distances written as ratios.

    The guess is a hollow purple ring, the measurement a solid mark in the colour of ``kind`` with
    a bar for its spread, the model a dashed line, the limit a wall. ``limit_is`` says whether the
    limit is the "most" or the "least" there can be; by default the least for times, energies and
    costs. A modelled "measurement" is drawn as the model that it is, with no model beside it: the
    figure shows no agreement, and says that nothing ran. Any of guess, model and limit may be
    missing; one that a logarithmic axis cannot hold (zero or less, infinite) is pinned to the edge.
    """
    limit_is = limit_is or ("least" if comparison.measured.unit in FLOOR_UNITS else "most")
    if limit_is not in ("most", "least"):
        raise ValueError(f'limit_is is "most" or "least", not {limit_is!r}')
    if not on_axis(comparison.measured):
        raise ValueError("a measurement of zero or less has no place on a logarithmic axis")
    view = axis_limits(comparison)
    marks = find_marks(comparison, view, known_kind(kind), limit_is)
    rows = sum(bool(mark.gap) for mark in marks)
    track = rows * ROW + TRACK
    height = track + TRACK + LEADER + max(text_size(f"name\n{mark.value}")[1] for mark in marks)
    heading = title or default_title(comparison)
    sources = join_sources(mark.quantity.source for mark in marks)
    sources += "" if comparison.is_test else NO_TEST
    axes = new_axes(heading, sources, height, left=SIDE, right=SIDE)
    axes.set(xscale="log", xlim=view, ylim=(0, height), yticks=[])
    set_x(axes, Scale("", comparison.measured.unit))
    axes.axhline(track, color=RULE, linewidth=1, zorder=1)
    for mark in marks:
        _draw_mark(axes, mark, track, limit_is)
    _draw_labels(axes, marks, track + TRACK)
    _draw_gaps(axes, marks, track - TRACK)
    return finish(axes, alt or describe(comparison, marks, heading))


def default_title(comparison: Comparison) -> str:
    """The message when the lesson states none: how far the guess or the model was."""
    measured = comparison.measured
    for name, quantity in (("Your guess", comparison.guess), ("The model", comparison.model)):
        if quantity is not None and on_axis(quantity):
            return f"{name} is {distance(quantity.value, measured.value)}"
    return f"{comparison.question} {value_words(measured)}".strip()


def describe(comparison: Comparison, marks: Sequence[Mark], title: str) -> str:
    """Say in sentences what the figure shows."""
    parts = []
    for mark in marks:
        words = mark.gap.removeprefix(mark.name).removeprefix(":").strip()
        parts.append(f"{mark.name} {value_words(mark.quantity)}" + (f", {words}" if words else ""))
    return sentence(title, comparison.question, "On a logarithmic axis: " + "; ".join(parts))


def on_axis(quantity: Quantity) -> bool:
    """Whether a logarithmic axis has a place for it."""
    return 0 < quantity.value < math.inf


def axis_limits(comparison: Comparison) -> View:
    """Limits of the axis around everything it holds, a factor of four at least."""
    model = comparison.model if comparison.is_test else None
    held = (comparison.measured, comparison.guess, model, comparison.limit)
    ends = [v for q in held if q and on_axis(q) for v in (q.value, q.low, q.high) if v and v > 0]
    return pad(ends, True, 0.09, 0.09)


def find_marks(comparison: Comparison, view: View, kind: str, limit_is: str) -> list[Mark]:
    """The marks there are, the measurement first."""
    measured, marks = comparison.measured, []
    for role, name in {"measured": measured.kind, **NAMES}.items():
        quantity: Quantity | None = getattr(comparison, role)
        if quantity is None or (role == "model" and not comparison.is_test):
            continue
        x, words = (0.0 if quantity.value <= 0 else LENGTH), ""
        if on_axis(quantity):
            x = LENGTH * math.log(quantity.value / view[0]) / math.log(view[1] / view[0])
            words = gap_words(role, name, quantity, measured, limit_is)
        look = role if role in COLOURS else kind if comparison.is_test else "model"
        marks.append(Mark(role, name, look, quantity, x, words))
    return marks


def gap_words(role: str, name: str, quantity: Quantity, measured: Quantity, limit_is: str) -> str:
    """Say the distance of a mark from the measurement."""
    if role == "measured":
        return ""
    if role != "limit":
        words = distance(quantity.value, measured.value)
        return f"{name}: {words}" if words.startswith("within") else f"{name} {words}"
    if near := same(quantity.value, measured.value):
        return f"at the limit, {near}"
    beyond, side = measured.value / quantity.value, "above"
    if limit_is == "least":
        beyond, side = 1 / beyond, "below"
    if beyond > 1:
        return f"{measured.kind} {ratio_words(beyond)} {side} the limit: check both"
    return f"limit {ratio_words(1 / beyond)} away"


def _draw_mark(axes: HouseAxes, mark: Mark, track: float, limit_is: str) -> None:
    x, top, colour = mark.x, track + TRACK, COLOURS[mark.kind]
    if mark.role == "limit":
        edge = -SIDE if limit_is == "least" else axes.size[0] + SIDE
        thick = min(abs(edge - x), 0.3)
        left = x - thick if limit_is == "least" else x
        panel(axes, left, 0, thick, top, "#F4F4F4", hatch="////", edgecolor="#8A8A8A")
        stroke(axes, [x, x], [0, top], colour, 3.4, zorder=5)
        return
    if mark.kind == "model":
        stroke(axes, [x, x], [0, top], colour, 2, linestyle=DASHED, zorder=3)
        return
    stroke(axes, [x, x], [0, top], colour)
    if mark.role == "guess":
        marker = "o" if mark.gap else "<" if x == 0 else ">"
        look = Look(marker=marker, markerfacecolor="white", markeredgewidth=2.6)
        ring(axes, x, track, colour, 13, **look)
        return
    if mark.quantity.low is not None and mark.quantity.high is not None:
        low = max(mark.quantity.low, axes.get_xlim()[0])
        ends = [axes.at(v, 0)[0] for v in (low, mark.quantity.high)]
        stroke(axes, ends, [track] * 2, colour, 9, alpha=0.35, zorder=4)
    spot(axes, x, track, "o", colour, 9, zorder=7)


def _draw_labels(axes: HouseAxes, marks: Sequence[Mark], base: float) -> None:
    sizes = [max(text_size(m.value, bold=True)[0], text_size(m.name)[0]) for m in marks]
    centres = spread_out([m.x for m in marks], sizes, -SIDE, LENGTH + SIDE, gap=0.14)
    top = base + LEADER + max(text_size(mark.value)[1] for mark in marks)
    for mark, centre in zip(marks, centres, strict=True):
        ink = INK[mark.kind]
        stroke(axes, [mark.x, centre], [base, base + LEADER - 0.03], COLOURS[mark.kind])
        write(axes, centre, top, mark.value, bold=True, colour=ink, ha="center", va="top")
        write(axes, centre, top + 0.05, mark.name, colour=ink, ha="center", va="baseline")


def _draw_gaps(axes: HouseAxes, marks: Sequence[Mark], top: float) -> None:
    """Draw the distances from the measurement, one below the other."""
    y, start = top + 0.04 - ROW / 2, marks[0].x
    for mark in marks:
        if not mark.gap:
            continue
        long = abs(mark.x - start)
        if long > 0.03:
            head = "<|-|>,head_width=0.17,head_length=0.35" if long > 0.25 else "-"
            arrow = Look(arrowstyle=head, linewidth=0.9, color="#6E6E6E", shrinkA=1.5, shrinkB=1.5)
            ends = Look(xycoords=axes.inches, textcoords=axes.inches, arrowprops=arrow)
            axes.annotate("", (mark.x, y), (start, y), zorder=4, **ends)
        x, bold = _words_place(start, mark, marks), "check both" in mark.gap
        look = Look(colour=INK[mark.kind], bold=bold, patch="white")
        write(axes, x, y, mark.gap, ha="center", zorder=8, **look)
        y -= ROW


def _words_place(start: float, mark: Mark, marks: Sequence[Mark]) -> float:
    """Centre of the words of a distance: on a long arrow, beside a short one, off the marks."""
    left, right = sorted((start, mark.x))
    half = text_size(mark.gap)[0] / 2
    if right - left > 2 * half + 0.5:
        return (left + right) / 2
    spots = [x + 0.1 + half for x in (right, *(m.x for m in marks if m.x > right))]
    spots += [x - 0.1 - half for x in (left, *(m.x for m in marks if m.x < left))]

    def cost(centre: float) -> float:
        covered = sum(abs(m.x - centre) < half + 0.05 for m in marks)
        return covered + abs(centre - (left + right) / 2)

    return min((x for x in spots if half <= x <= LENGTH - half), key=cost, default=LENGTH / 2)
