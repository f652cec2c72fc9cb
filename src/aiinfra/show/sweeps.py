"""The sweep: a rate (or a time) against a size, one line for each way of doing it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.show.canvas import HouseAxes, finish, house_rc, new_axes, to_inches, write
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import Obstacles, call_out, guide, leader, name_x, quiet_y, wall
from aiinfra.show.placing import Box
from aiinfra.show.strokes import spot
from aiinfra.show.style import COLOURS, INK, MARKERS, TEXT, known_kind
from aiinfra.show.ticks import Scale, as_scale, set_ticks, tick_labels_width
from aiinfra.show.words import axis_words, join_sources, listing, sentence
from aiinfra.units import format_binary, format_quantity

LABEL_ROOM = 1.55  # inches to the right of the lines for their names
SHAPES = "os^Dv"


@dataclass(frozen=True)
class Series:
    """One line of a sweep: its name, its points in SI units, its spread and where it is from."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "cpu"
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    source: str = ""


def sweep(
    series: Sequence[Series],
    title: str,
    *,
    x: Scale | tuple[str, str] | str,
    y: Scale | tuple[str, str] | str,
    mark: Sequence[tuple[float, float, str]] = (),
    wall_at: Sequence[tuple[float, str]] = (),
    guides: Sequence[tuple[float, str]] = (),
    alt: str | None = None,
) -> HouseAxes:
    """Draw lines over logarithmic axes, each named at its end.

    ``mark`` notes plateaus and crossings at (x, y, text); ``wall_at`` are limits of y as
    (value, label); ``guides`` are thin vertical lines as (x, label), such as cache sizes. Points
    that are not positive and finite are left out. Raises ``ValueError`` when nothing is left.
    """
    lines, across, up = [_clean(line) for line in series], as_scale(x), as_scale(y)
    view_x, view_y = _views(lines, mark, wall_at, guides, across, up)
    late = [line for line in lines if _ends_late(line, view_x, across)]
    left = tick_labels_width(view_y, up) + 0.1
    right = max((text_size(_name(line))[0] for line in late), default=0.0) + 0.22
    source = join_sources(line.source for line in series)
    above = 0.38 + (0.1 if wall_at else 0)
    axes = new_axes(title, source, 2.75, left=left, right=right, above=above, below=0.55)
    axes.set(xscale=across.kind, yscale=up.kind, xlim=view_x, ylim=view_y)
    with house_rc():
        set_ticks(axes, "x", across, axes.size[0])
        quiet_y(axes, up, left)
        name_x(axes, axis_words(across.label, across.unit))
        keep_off = Obstacles()
        for value, label in wall_at:
            wall(axes, value, label, keep_off)
        _draw_guides(axes, guides, keep_off)
        for i, line in enumerate(lines):
            _draw_line(axes, line, _shape(lines, i), keep_off)
        _name_lines(axes, late)
        for a, b, _ in mark:
            spot(axes, a, b, "o", TEXT, 9, hollow=1.2, fill="none", z=7, data=True)
            keep_off.spot(axes, a, b)
        early = [line for line in lines if not any(line is other for other in late)]
        notes = [(line.x[-1], line.y[-1], line.label, INK[line.kind]) for line in early]
        call_out(axes, [*notes, *((a, b, text, TEXT) for a, b, text in mark)], keep_off)
    return finish(axes, alt or describe(lines, title, across, up, wall_at, mark))


def describe(
    lines: Sequence[Series],
    title: str,
    across: Scale,
    up: Scale,
    walls: Sequence[tuple[float, str]],
    mark: Sequence[tuple[float, float, str]],
) -> str:
    """Say in sentences where each line starts, ends and peaks."""
    size = format_binary if across.binary else lambda v: format_quantity(v, across.unit)
    said = []
    for line in lines:
        first, last = (format_quantity(line.y[i], up.unit) for i in (0, -1))
        text = f"{line.label}: {first} at {size(line.x[0])}"
        if len(line.x) > 1:
            text += f", {last} at {size(line.x[-1])}"
        top = int(np.argmax(line.y))
        if top not in (0, len(line.y) - 1):
            text += f", at most {format_quantity(line.y[top], up.unit)} at {size(line.x[top])}"
        said.append(text)
    limits = "Limits: " + listing([label for _, label in walls]) if walls else ""
    notes = "Marked: " + "; ".join(text for *_, text in mark) if mark else ""
    notes = notes.replace("\n", " ")
    return sentence(title, f"{up.label} against {across.label}: " + "; ".join(said), limits, notes)


def _clean(line: Series) -> Series:
    known_kind(line.kind)
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    keep = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    if not keep.any():
        raise ValueError(f"series {line.label!r} has no positive point to draw on log axes")
    order = np.argsort(x[keep], kind="stable")

    def pick(column: Any) -> Any:
        return None if column is None else np.asarray(column, float)[keep][order]

    return Series(line.label, pick(x), pick(y), line.kind, pick(line.low), pick(line.high))


def _views(
    lines: Sequence[Series],
    mark: Sequence[tuple[float, float, str]],
    walls: Sequence[tuple[float, str]],
    guides: Sequence[tuple[float, str]],
    across: Scale,
    up: Scale,
) -> tuple[tuple[float, float], tuple[float, float]]:
    xs = [v for line in lines for v in line.x] + [m[0] for m in mark] + [g[0] for g in guides]
    ys = [v for line in lines for v in line.y] + [m[1] for m in mark] + [w[0] for w in walls]
    ys += [v for line in lines for v in (*(_or(line.low)), *(_or(line.high))) if v > 0]
    return pad(xs, across.log, 0.03, 0.03), pad(ys, up.log, 0.08, 0.16 if walls else 0.1)


def _ends_late(line: Series, view: tuple[float, float], across: Scale) -> bool:
    """Whether a line reaches the last eighth of the axis, so that its name stands beside it."""
    turn = math.log if across.log else float
    low, high = turn(view[0]), turn(view[1])
    return (turn(line.x[-1]) - low) / (high - low) > 0.875


def _or(values: Sequence[float] | None) -> Sequence[float]:
    return () if values is None else values


def pad(
    values: Sequence[float], log: bool, below: float, above: float, least: float = 4.0
) -> tuple[float, float]:
    """Limits of an axis around ``values``: shares of room added, a factor ``least`` at least."""
    low, high = min(values), max(values)
    if not log:
        low = min(low, 0.0)
        return low - below * (high - low) * (low < 0), high + above * (high - low or 1.0)
    a, b = math.log(low), math.log(high)
    if b - a < math.log(least):
        a, b = (a + b - math.log(least)) / 2, (a + b + math.log(least)) / 2
    return math.exp(a - below * (b - a)), math.exp(b + above * (b - a))


def _shape(lines: Sequence[Series], i: int) -> tuple[str, bool]:
    """Marker of line i, and whether it is hollow: the same kind again gets another shape."""
    kind = lines[i].kind
    before = sum(line.kind == kind for line in lines[:i])
    base = MARKERS[kind]
    if not base:
        return "", False
    start = SHAPES.index(base) if base in SHAPES else 0
    return SHAPES[(start + before // 2) % len(SHAPES)], before % 2 == 1


def _draw_line(axes: HouseAxes, line: Series, shape: tuple[str, bool], keep_off: Obstacles) -> None:
    colour, modelled = COLOURS[line.kind], line.kind in ("model", "guess")
    marker, hollow = shape
    dash: Any = (0, (3.5, 1.6)) if modelled else "solid"
    marker = marker or ("d" if len(line.x) == 1 else "")
    if line.low is not None and line.high is not None:
        low = np.maximum(np.asarray(line.low), axes.get_ylim()[0])
        if len(line.x) > 1:
            axes.fill_between(line.x, low, line.high, color=colour, alpha=0.18, linewidth=0)
        axes.vlines(line.x, low, line.high, color=colour, linewidth=1.2, alpha=0.6)
    axes.plot(
        line.x,
        line.y,
        color=colour,
        linewidth=2,
        linestyle=dash,
        marker=marker or None,
        markersize=5.5 if len(line.x) < 25 else 3.5,
        zorder=4,
        markerfacecolor="white" if hollow or line.kind == "guess" else colour,
        markeredgecolor=colour,
        markeredgewidth=1.6,
    )
    keep_off.line(axes, line.x, line.y)


def _draw_guides(axes: HouseAxes, guides: Sequence[tuple[float, str]], keep_off: Obstacles) -> None:
    """Names of guides stand at the foot of the figure, stepped where neighbours would touch."""
    taken: list[Box] = []
    for value, label in sorted(guides):
        x, _ = to_inches(axes, value, axes.get_ylim()[0])
        level, width = 0.28, text_size(label)[0] + 0.12
        left = x - width if x + width > axes.size[0] else x
        while any(box.overlap(Box(left, level - 0.1, left + width, level + 0.08)) for box in taken):
            level += 0.2
        guide(axes, value, label, keep_off, level)
        taken.append(Box(left, level - 0.1, left + width, level + 0.08))


def _name(line: Series) -> str:
    return wrap(line.label, LABEL_ROOM)


def _name_lines(axes: HouseAxes, lines: Sequence[Series]) -> None:
    """Write each name to the right of its line's last point, moved apart where they crowd."""
    ends = [to_inches(axes, line.x[-1], line.y[-1]) for line in lines]
    sizes = [text_size(_name(line))[1] for line in lines]
    heights = spread_out([y for _, y in ends], sizes, 0.0, axes.size[1] + 0.16, gap=0.04)
    for (x, y), height, line in zip(ends, heights, lines, strict=True):
        start = axes.size[0] + 0.16
        leader(axes, (x + 0.06, y), (start - 0.03, height))
        write(axes, start, height, _name(line), colour=INK[line.kind])
