"""The gap: the guess, the measurement, the model and the limit of one quantity on one line."""

from __future__ import annotations

from aiinfra.results import Comparison
from aiinfra.show.canvas import HouseAxes, finish, house_rc, inches, new_axes, write
from aiinfra.show.gap_layout import (
    Gap,
    Mark,
    axis_limits,
    find_gaps,
    find_marks,
    gap_words,
    measured_name,
    pack,
)
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.strokes import DASHED, panel, spot, stroke
from aiinfra.show.style import COLOURS, INK, LABEL_SIZE, MARGIN, RULE, WIDTH, known_kind
from aiinfra.show.ticks import Scale, set_ticks
from aiinfra.show.words import distance, join_sources, sentence, value_words

FLOOR_UNITS = ("s", "J", "$", "g")  # less is better: the limit is a least value
ROW, TRACK = 0.25, 0.24  # inches: a row of ratios, the room around the track
LEADER = 0.16  # inches from the top of a mark to its label
SIDE = 0.06  # inches between the drawing area and the margins
ARROW = "#6E6E6E"


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
    costs. Any of guess, model and limit may be missing; a guess that a logarithmic axis cannot
    hold (zero or less) is pinned to the left edge.
    """
    limit_is = limit_is or ("least" if comparison.measured.unit in FLOOR_UNITS else "most")
    if limit_is not in ("most", "least"):
        raise ValueError(f'limit_is is "most" or "least", not {limit_is!r}')
    if not comparison.measured.value > 0:
        raise ValueError("a measurement of zero or less has no place on a logarithmic axis")
    width = WIDTH - 2 * MARGIN - 2 * SIDE
    low, high = axis_limits(comparison)
    marks = find_marks(comparison, low, high, width)
    rows = pack(find_gaps(marks, width, limit_is))
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
    parts = [f"{measured_name(measured)} {value_words(measured)}"]
    for role, name in (("guess", "your guess"), ("model", "model"), ("limit", "limit")):
        quantity = getattr(comparison, role)
        if quantity is not None:
            words = gap_words(role, quantity, measured, limit_is)
            words = words.removeprefix(name).removeprefix(":").strip()
            parts.append(
                f"{name} {value_words(quantity)}, {words}"
                if words
                else f"{name} {value_words(quantity)}"
            )
    return sentence(title, comparison.question, "On a logarithmic axis: " + "; ".join(parts))


def _draw_marks(axes: HouseAxes, marks: list[Mark], track: float, kind: str, limit_is: str) -> None:
    axes.axhline(track, color=RULE, linewidth=1, zorder=1)
    top = track + TRACK
    for mark in marks:
        x, q, colour = mark.x, mark.quantity, COLOURS[mark.role if mark.role in COLOURS else kind]
        if mark.role == "limit":
            _draw_wall(axes, x, top, limit_is)
            continue
        if mark.role == "model":
            stroke(axes, [x, x], [0, top], colour, 2, dash=DASHED, z=3)
            continue
        stroke(axes, [x, x], [0, top], colour)
        if mark.role == "guess":
            spot(axes, x, track, "o" if mark.on_axis else "<", colour, 13, hollow=2.6)
            continue
        if q.low is not None and q.high is not None:
            ends = [max(q.low, axes.get_xlim()[0]), q.high]
            stroke(axes, ends, [track] * 2, colour, 9, alpha=0.35, z=4, data=True)
        spot(axes, x, track, "o", colour, 9, z=7)


def _draw_wall(axes: HouseAxes, x: float, top: float, limit_is: str) -> None:
    edge = -SIDE if limit_is == "least" else axes.size[0] + SIDE
    thick = min(abs(edge - x), 0.3)
    left = x - thick if limit_is == "least" else x
    panel(axes, left, 0, thick, top, "#F4F4F4", hatch="////", ink="#8A8A8A")
    stroke(axes, [x, x], [0, top], COLOURS["limit"], 3.4, z=5)


def _values(marks: list[Mark], width: float) -> list[str]:
    most = width / len(marks) - 0.15
    return [wrap(value_words(mark.quantity), most, LABEL_SIZE, bold=True) for mark in marks]


def _draw_labels(
    axes: HouseAxes, labels: list[tuple[Mark, str]], base: float, width: float, kind: str
) -> None:
    sizes = [max(text_size(v, bold=True)[0], text_size(mark.name)[0]) for mark, v in labels]
    centres = spread_out([mark.x for mark, _ in labels], sizes, -SIDE, width + SIDE, gap=0.14)
    rise = max(text_size(value)[1] for _, value in labels)
    for (mark, value), centre in zip(labels, centres, strict=True):
        ink = INK[mark.role if mark.role in INK else kind]
        line = COLOURS[mark.role if mark.role in COLOURS else kind]
        stroke(axes, [mark.x, centre], [base, base + LEADER - 0.03], line)
        top = base + LEADER + rise
        write(axes, centre, top, value, bold=True, colour=ink, ha="center", va="top")
        write(axes, centre, top + 0.05, mark.name, colour=ink, ha="center", va="baseline")


def _draw_gap(axes: HouseAxes, item: Gap, y: float) -> None:
    where = inches(axes)
    if abs(item.end - item.start) > 0.03:
        head = "<|-|>" if abs(item.end - item.start) > 0.25 else "-"
        axes.annotate(
            "",
            (item.end, y),
            (item.start, y),
            xycoords=where,
            textcoords=where,
            arrowprops={
                "arrowstyle": f"{head},head_width=0.17,head_length=0.35" if head != "-" else head,
                "linewidth": 0.9,
                "color": ARROW,
                "shrinkA": 1.5,
                "shrinkB": 1.5,
            },
            zorder=4,
        )
    ink = INK[item.role]
    bold = "check both" in item.words
    write(
        axes,
        item.text_left + text_size(item.words)[0] / 2,
        y,
        item.words,
        colour=ink,
        bold=bold,
        ha="center",
        zorder=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )
