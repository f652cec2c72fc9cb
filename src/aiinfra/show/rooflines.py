"""The roofline: what a machine can do at each arithmetic intensity, and how close kernels come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, degrees, hypot, sin
from typing import Any

from aiinfra.show.canvas import HouseAxes, finish, house_style
from aiinfra.show.labels import Box, Labels
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import Look, leader, spot, stroke, write
from aiinfra.show.scales import Scale, View, pad, plot_axes
from aiinfra.show.style import COLOURS, DOTTED, INK, MARKERS, known_kind
from aiinfra.show.words import join_sources, sentence
from aiinfra.units import format_quantity, ratio_words, same

INTENSITY = Scale("arithmetic intensity: operations for each byte counted", "FLOP/B")
RATE = Scale("arithmetic rate", "FLOP/s")
NAMED_POINTS = 7  # the distances of more are listed
LINE = 0.19  # inches from one entry of the list to the next
DASHES: tuple[Any, ...] = ("solid", (0, (6, 2)), (0, (2, 1.2)), (0, (6, 1.5, 1.5, 1.5)))


@dataclass(frozen=True)
class Ceiling:
    """One roof: ``rate(I) = min(bandwidth * I, compute)``, in B/s and FLOP/s."""

    label: str
    bandwidth: float
    compute: float
    kind: str = "cpu"
    source: str = ""
    bandwidth_label: str = "memory"
    compute_label: str = "peak"

    @property
    def ridge(self) -> float:
        """Intensity in FLOP/B at which the slope meets the flat roof."""
        return self.compute / self.bandwidth

    def at(self, intensity: float) -> float:
        """Height of the roof in FLOP/s."""
        return min(self.bandwidth * intensity, self.compute)


@dataclass(frozen=True)
class Point:
    """One kernel: its intensity in FLOP/B, its rate in FLOP/s, and the roof it stands under.

    ``under`` is a ceiling's label; without it the first ceiling of the same kind is taken.
    """

    label: str
    intensity: float
    rate: float
    kind: str = "cpu"
    source: str = ""
    under: str | None = None


@house_style
def roofline(
    ceilings: Sequence[Ceiling], points: Sequence[Point], title: str, *, alt: str | None = None
) -> HouseAxes:
    """Draw the roofs of one or more machines and kernels as dots with their distance to the roof.

    A dot above its roof is said to be above it: then the roof or the count of bytes is wrong.
    Beyond ``NAMED_POINTS`` dots the distances stand in a list at the right, by name.
    """
    if not ceilings:
        raise ValueError("a roofline needs at least one Ceiling(label, bandwidth, compute)")
    pairs = [(point, roof_of(point, ceilings)) for point in points]
    view_x, view_y = _views(ceilings, points)
    beside = len(ceilings) > 2  # too many slopes to write on: their bandwidths stand at the right
    names = [_name(ceiling, beside) for ceiling in ceilings]
    listed = _entries(pairs) if len(pairs) > NAMED_POINTS else []
    beside_words = [*(f"{head}\n{body}" for head, body in names), *listed]
    right = max(text_size(words, bold=True)[0] for words in beside_words) + 0.12
    source = join_sources([*(c.source for c in ceilings), *(p.source for p in points)])
    axes = plot_axes(title, source, 3.1, (INTENSITY, view_x), (RATE, view_y), right=right)
    labels = Labels(axes)
    for i, ceiling in enumerate(ceilings):
        again = any(ceiling.bandwidth == other.bandwidth for other in ceilings[:i])
        _draw_roof(labels, ceiling, i, named=not beside and not again)
    _name_roofs(axes, ceilings, names, LINE * (len(listed) + 0.5) if listed else 0.0)
    _draw_points(labels, pairs, named=not listed)
    for i, words in enumerate(reversed(listed)):
        place = axes.size[0] + 0.1, 0.08 + LINE * i
        write(axes, *place, words, bold=i == len(listed) - 1)
    return finish(axes, alt or describe(ceilings, pairs, title))


def describe(
    ceilings: Sequence[Ceiling], pairs: Sequence[tuple[Point, Ceiling]], title: str
) -> str:
    """Say in sentences where the roofs and the kernels are."""
    roofs = [
        f"{c.label} reaches {format_quantity(c.compute, 'FLOP/s')} from "
        f"{format_quantity(c.ridge, 'FLOP/B')} on and {format_quantity(c.bandwidth, 'B/s')} "
        "times the intensity below"
        for c in ceilings
    ]
    dots = [
        f"{p.label} at {format_quantity(p.intensity, 'FLOP/B')} runs at "
        f"{format_quantity(p.rate, 'FLOP/s')}, {distance_to_roof(p, roof)}"
        for p, roof in pairs
    ]
    return sentence(title, "Roofline: " + ", ".join(roofs), "; ".join(dots))


def distance_to_roof(point: Point, roof: Ceiling) -> str:
    """Say how far a kernel is from its roof: "2.1x below the roof"."""
    top = roof.at(point.intensity)
    if near := same(top, point.rate):
        return f"at the roof ({near})"
    if point.rate > top:
        return f"{ratio_words(point.rate / top)} above the roof: check both"
    return f"{ratio_words(top / point.rate)} below the roof"


def _entries(pairs: Sequence[tuple[Point, Ceiling]]) -> list[str]:
    """The list of kernels, the nearest to its roof first, each with its distance."""
    words = ["below the roof"]
    for ratio, point in sorted(
        ((roof.at(point.intensity) / point.rate, point) for point, roof in pairs),
        key=lambda pair: pair[0],
    ):
        said = ratio_words(ratio) if ratio >= 1 else f"{ratio_words(1 / ratio)} above it"
        words.append(f"{point.label}: {said}")
    return words


def roof_of(point: Point, ceilings: Sequence[Ceiling]) -> Ceiling:
    """The roof that a kernel stands under."""
    known_kind(point.kind)
    if not (point.intensity > 0 and point.rate > 0):
        raise ValueError(f"{point.label!r}: intensity and rate must be positive for log axes")
    if point.under is None:
        return next((c for c in ceilings if c.kind == point.kind), ceilings[0])
    named = {ceiling.label: ceiling for ceiling in ceilings}
    if point.under not in named:
        raise ValueError(f"no ceiling {point.under!r}; there are {list(named)}")
    return named[point.under]


def _views(ceilings: Sequence[Ceiling], points: Sequence[Point]) -> tuple[View, View]:
    ridges = [c.ridge for c in ceilings]
    xs = [*(p.intensity for p in points), *ridges]
    low, high = pad([*xs, min(xs) / 2.5, min(ridges) / 40, max(ridges) * 8], True, 0.0, 0.06)
    ys = [*(p.rate for p in points), *(c.compute for c in ceilings)]
    return (low, high), pad([*ys, min(c.at(low) for c in ceilings)], True, 0.09, 0.08)


def _slope_words(ceiling: Ceiling) -> str:
    return f"{ceiling.bandwidth_label} {format_quantity(ceiling.bandwidth, 'B/s')}".strip()


def _name(ceiling: Ceiling, beside: bool) -> tuple[str, str]:
    words = f"{ceiling.compute_label} {format_quantity(ceiling.compute, 'FLOP/s')}".strip()
    words += f"\n{_slope_words(ceiling)}" if beside else ""
    return wrap(ceiling.label, 1.55, bold=True), wrap(words, 1.55)


def _draw_roof(labels: Labels, ceiling: Ceiling, i: int, named: bool) -> None:
    axes, (low, high) = labels.axes, labels.axes.get_xlim()
    colour = COLOURS[known_kind(ceiling.kind)]
    start = max(low, axes.get_ylim()[0] / ceiling.bandwidth)
    x = [start, ceiling.ridge, high]
    y = [ceiling.at(v) for v in x]
    axes.plot(x, y, color=colour, linewidth=2.4, linestyle=DASHES[i % len(DASHES)], zorder=3)
    labels.keep_off_line(x, y)
    if named:
        _name_slope(labels, ceiling, start, 0.5 if i == 0 else 0.3)


def _name_slope(labels: Labels, ceiling: Ceiling, start: float, share: float) -> None:
    """Write the bandwidth along the upper side of the slope, ``share`` of the way up."""
    axes, text = labels.axes, _slope_words(ceiling)
    (x0, y0), (x1, y1) = (axes.at(v, ceiling.at(v)) for v in (start, ceiling.ridge))
    half, angle = text_size(text)[0] / 2, atan2(y1 - y0, x1 - x0)
    along = max(share * hypot(x1 - x0, y1 - y0), half)
    x = x0 + along * cos(angle) - 0.12 * sin(angle)
    y = y0 + along * sin(angle) + 0.12 * cos(angle)
    turned = Look(rotation=degrees(angle), rotation_mode="anchor", ha="center", zorder=5)
    write(axes, x, y, text, colour=INK[ceiling.kind], patch="white", **turned)
    for i in range(-4, 5):
        a, b = x + i / 4 * half * cos(angle), y + i / 4 * half * sin(angle)
        labels.boxes.append(Box(a - 0.09, b - 0.09, a + 0.09, b + 0.09))


def _name_roofs(
    axes: HouseAxes, ceilings: Sequence[Ceiling], names: Sequence[tuple[str, str]], above: float
) -> None:
    levels = [axes.at(axes.get_xlim()[1], c.compute)[1] for c in ceilings]
    sizes = [text_size(f"{head}\n{body}")[1] for head, body in names]
    heights = spread_out(levels, sizes, above, axes.size[1] + 0.1, gap=0.06)
    start = axes.size[0] + 0.1
    for i, (head, body) in enumerate(names):
        ink, top = INK[ceilings[i].kind], heights[i] + sizes[i] / 2
        leader(axes, (axes.size[0], levels[i]), (start - 0.03, heights[i]))
        write(axes, start, top, head, bold=True, colour=ink, va="top")
        write(axes, start, top - text_size(head)[1], body, colour=ink, va="top")


def _draw_points(labels: Labels, pairs: Sequence[tuple[Point, Ceiling]], named: bool) -> None:
    axes, notes = labels.axes, []
    for point, roof in pairs:
        ends = [point.intensity] * 2, [point.rate, roof.at(point.intensity)]
        colour, path = COLOURS[point.kind], axes.path(*ends)
        stroke(axes, path[:, 0], path[:, 1], colour, 1.3, linestyle=DOTTED, zorder=4)
        spot(axes, path[0, 0], path[0, 1], MARKERS[point.kind] or "o", colour, 9)
        labels.keep_off_line(*ends)
        labels.keep_off_spot(point.intensity, point.rate)
        words = f"{point.label}\n{distance_to_roof(point, roof)}" if named else point.label
        notes.append((point.intensity, point.rate, words, point.kind))
    labels.call_out(notes, width=1.8)
