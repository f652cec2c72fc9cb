"""The sweep: a rate (or a time) against a size, one line for each way of doing it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aiinfra.show.canvas import HouseAxes, finish, house_style
from aiinfra.show.labels import Box, Labels
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import leader, panel, ring, spot, stroke, write
from aiinfra.show.scales import Scale, View, as_scale, pad, plot_axes
from aiinfra.show.style import (
    COLOURS,
    DASHED,
    DOTTED,
    INK,
    MARKERS,
    MUTED,
    TEXT,
    known_kind,
    tint,
)
from aiinfra.show.words import join_sources, sentence
from aiinfra.units import format_binary, format_quantity

LABEL_ROOM = 1.55  # inches to the right of the lines for their names
SHAPES = "os^Dv"
BROKEN = (0, (6, 1.2, 1.5, 1.2))  # the third line of a kind, beside its marker and shade
KEY = 0.16  # inches for a line's marker beside its name


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


@house_style
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
    lines, up = [_clean(line) for line in series], as_scale(y)
    across = in_powers_of_two(as_scale(x), lines)
    xs = [*(v for line in lines for v in line.x), *(m[0] for m in mark), *(g[0] for g in guides)]
    ys = [v for line in lines for ends in (line.y, line.low, line.high) for v in ends or ()]
    ys = [v for v in (*ys, *(m[1] for m in mark), *(w[0] for w in wall_at)) if v > 0]
    view_x = pad(xs, across.log, 0.03, 0.03)
    view_y = pad(ys, up.log, 0.08, 0.16 if wall_at else 0.1)
    late = [i for i, line in enumerate(lines) if _ends_late(line, view_x, across)]
    names = [wrap(lines[i].label, LABEL_ROOM) for i in late]
    right = max((text_size(name)[0] for name in names), default=0.0) + KEY + 0.22
    source, above = join_sources(line.source for line in series), 0.48 if wall_at else 0.38
    places = (across, view_x), (up, view_y)
    axes = plot_axes(title, source, 2.75, *places, right=right, above=above)
    labels = Labels(axes, boxes=[Box(0, 0, axes.size[0], 0.05)])  # off the axis
    for value, label in wall_at:
        _draw_wall(labels, value, label)
    _draw_guides(labels, guides, {v for line in lines for v in line.x})
    for i, line in enumerate(lines):
        _draw_line(labels, line, _shape(lines, i), _shade(lines, i))
    _name_lines(axes, lines, late, names)
    for a, b, _ in mark:
        ring(axes, *axes.at(a, b), TEXT, 9, markeredgewidth=1.2, zorder=7)
        labels.keep_off_spot(a, b)
    notes = [(ln.x[-1], ln.y[-1], ln.label, ln.kind) for i, ln in enumerate(lines) if i not in late]
    labels.call_out([*notes, *((a, b, text, "limit") for a, b, text in mark)])
    limits = "Limits: " + ", ".join(text for _, text in wall_at) if wall_at else ""
    marked = "Marked: " + "; ".join(text for *_, text in mark) if mark else ""
    return finish(axes, alt or sentence(title, describe(lines, across, up), limits, marked))


def describe(lines: Sequence[Series], across: Scale, up: Scale) -> str:
    """Say where each line starts, ends and peaks."""

    def size(value: float) -> str:
        binary = across.binary and across.unit == "B"
        return format_binary(value) if binary else format_quantity(value, across.unit)

    said = []
    for line in lines:
        places = dict.fromkeys((0, len(line.x) - 1, int(np.argmax(line.y))))
        ends = [f"{format_quantity(line.y[i], up.unit)} at {size(line.x[i])}" for i in places]
        said.append(f"{line.label}: " + ", at most ".join([", ".join(ends[:2]), *ends[2:]]))
    return f"{up.label} against {across.label}: " + "; ".join(said)


def in_powers_of_two(scale: Scale, lines: Sequence[Series]) -> Scale:
    """Tick at powers of two where every measured x is one and reads well: bytes, small counts."""
    xs = {float(v) for line in lines if line.kind != "model" for v in line.x}
    exact = len(xs) > 2 and all(math.frexp(v)[0] == 0.5 for v in xs)
    if scale.log and exact and (scale.unit == "B" or max(xs) < 1e5):
        return replace(scale, binary=True)
    return scale


def _clean(line: Series) -> Series:
    known_kind(line.kind)
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    keep = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    if not keep.any():
        raise ValueError(f"series {line.label!r} has no positive point to draw on log axes")
    order = np.flatnonzero(keep)[np.argsort(x[keep], kind="stable")]

    def pick(column: Any) -> Any:
        return None if column is None else tuple(np.asarray(column, float)[order])

    return Series(line.label, pick(x), pick(y), line.kind, pick(line.low), pick(line.high))


def _ends_late(line: Series, view: View, across: Scale) -> bool:
    """Whether a line reaches the last eighth of the axis, so that its name stands beside it."""
    low, high, end = (across.turn(v) for v in (*view, line.x[-1]))
    return (end - low) / (high - low) > 0.875


def _shape(lines: Sequence[Series], i: int) -> tuple[str, bool]:
    """Marker of line i, and whether it is hollow: the same kind again gets another shape."""
    before = sum(line.kind == lines[i].kind for line in lines[:i])
    base = MARKERS[lines[i].kind]
    if not base:
        return "d" if len(lines[i].x) == 1 else "", False
    start = SHAPES.find(base) + before // 2
    return base if start < 0 else SHAPES[start % len(SHAPES)], before % 2 == 1


def _shade(lines: Sequence[Series], i: int) -> tuple[str, Any]:
    """Colour and dashes of line i: lines of one kind are full, lighter and broken in turn."""
    kind = lines[i].kind
    if kind in ("model", "guess"):
        return COLOURS[kind], DASHED
    nth = sum(line.kind == kind for line in lines[:i]) % 3
    return (
        (COLOURS[kind], "solid"),
        (tint(COLOURS[kind]), "solid"),
        (INK[kind], BROKEN),
    )[nth]


def _draw_line(
    labels: Labels, line: Series, shape: tuple[str, bool], shade: tuple[str, Any]
) -> None:
    axes, (marker, hollow), (colour, dashes) = labels.axes, shape, shade
    if line.low is not None and line.high is not None:
        low = np.maximum(line.low, axes.get_ylim()[0])
        axes.fill_between(line.x, low, line.high, color=colour, alpha=0.18, linewidth=0)
        axes.vlines(line.x, low, line.high, color=colour, linewidth=1.2, alpha=0.6)
    axes.plot(
        line.x,
        line.y,
        color=colour,
        linewidth=2,
        linestyle=dashes,
        marker=marker,
        markersize=5.5 if len(line.x) < 25 else 3.5,
        markerfacecolor="white" if hollow or line.kind == "guess" else colour,
        markeredgewidth=1.6,
        zorder=4,
    )
    labels.keep_off_line(line.x, line.y)


def _draw_wall(labels: Labels, value: float, label: str) -> None:
    """Draw a physical limit of y as a black line, hatched above, its name upon it."""
    axes, (width, height) = labels.axes, labels.axes.size
    y, size = axes.at(axes.get_xlim()[0], value)[1], text_size(label)
    thick = min(0.12, height + 0.12 - y)
    panel(axes, 0, y, width, thick, "#F4F4F4", hatch="////", edgecolor="#9A9A9A")
    stroke(axes, [0, width], [y, y], COLOURS["limit"], 2.6)
    write(axes, 0.03, y + 0.16, label, patch="white", va="bottom", zorder=9)
    labels.boxes += [Box(0, y, width, y + 0.14)]
    labels.boxes += [Box(0, y + 0.14, size[0] + 0.06, y + 0.18 + size[1])]


def _draw_guides(
    labels: Labels, guides: Sequence[tuple[float, str]], points: Collection[float]
) -> None:
    """Draw dotted vertical lines, named at the foot on two levels in turn.

    Where every point of a linear axis stands on one, the names replace the numbers.
    """
    axes = labels.axes
    if axes.get_xscale() == "linear" and set(points) <= {value for value, _ in guides}:
        axes.set_xticks([])
    for i, (value, label) in enumerate(sorted(guides)):
        x, y = axes.at(value, axes.get_ylim()[0])[0], 0.12 + 0.2 * (i % 2)
        stroke(axes, [x, x], [0, axes.size[1]], "#A8A8A8", 1, linestyle=DOTTED, zorder=1.8)
        write(axes, x + 0.05, y, label, colour=MUTED, patch="white")
        labels.boxes.append(Box(x, y - 0.1, x + text_size(label)[0] + 0.08, y + 0.1))


def _name_lines(
    axes: HouseAxes, lines: Sequence[Series], late: Sequence[int], names: Sequence[str]
) -> None:
    """Write each name to the right of its line's last point, moved apart where they crowd.

    Where lines share a colour their markers stand before the names.
    """
    ends = [axes.at(lines[i].x[-1], lines[i].y[-1]) for i in late]
    sizes = [text_size(name)[1] for name in names]
    heights = spread_out([y for _, y in ends], sizes, 0.0, axes.size[1] + 0.16, gap=0.04)
    kinds = [line.kind for line in lines]
    for (x, y), height, i, name in zip(ends, heights, late, names, strict=True):
        start = axes.size[0] + 0.16
        (marker, hollow), (shade, _) = _shape(lines, i), _shade(lines, i)
        leader(axes, (x + 0.06, y), (start - 0.03, height))
        if marker and kinds.count(lines[i].kind) > 1:
            rim = {"markerfacecolor": "white" if hollow else shade, "markeredgecolor": shade}
            spot(axes, start + 0.05, height, marker, shade, 5.5, markeredgewidth=1.6, **rim)
            start += KEY
        write(axes, start, height, name, colour=INK[lines[i].kind])
