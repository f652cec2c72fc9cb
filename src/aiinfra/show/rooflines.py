"""The roofline: what a machine can do at each arithmetic intensity, and how close kernels come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, degrees, hypot, sin

from aiinfra.show.canvas import HouseAxes, finish, house_rc, new_axes, to_inches, write
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import HALO, Obstacles, call_out, leader, name_x, quiet_y
from aiinfra.show.placing import Box
from aiinfra.show.style import COLOURS, INK, MARKERS, known_kind
from aiinfra.show.sweeps import pad
from aiinfra.show.ticks import Scale, set_ticks, tick_labels_width
from aiinfra.show.words import join_sources, listing, ratio_words, same, sentence
from aiinfra.units import format_quantity

INTENSITY, RATE = Scale("arithmetic intensity", "FLOP/B"), Scale("arithmetic rate", "FLOP/s")
DASHES = ("solid", (0, (6, 2)), (0, (2, 1.2)), (0, (6, 1.5, 1.5, 1.5)))


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


def roofline(
    ceilings: Sequence[Ceiling], points: Sequence[Point], title: str, *, alt: str | None = None
) -> HouseAxes:
    """Draw the roofs of one or more machines and kernels as dots with their distance to the roof.

    A dot above its roof is said to be above it: then the roof or the count of bytes is wrong.
    """
    if not ceilings:
        raise ValueError("a roofline needs at least one Ceiling(label, bandwidth, compute)")
    pairs = [(point, _roof_of(point, ceilings)) for point in points]
    view_x, view_y = _views(ceilings, points)
    beside = len(ceilings) > 2  # too many slopes to write on: their bandwidths stand at the right
    names = [(wrap(c.label, 1.55, bold=True), wrap(_flat_words(c, beside), 1.55)) for c in ceilings]
    left = tick_labels_width(view_y, RATE) + 0.1
    right = max(max(text_size(a, bold=True)[0], text_size(b)[0]) for a, b in names) + 0.12
    source = join_sources([*(c.source for c in ceilings), *(p.source for p in points)])
    axes = new_axes(title, source, 3.1, left=left, right=right, above=0.38, below=0.55)
    axes.set(xscale="log", yscale="log", xlim=view_x, ylim=view_y)
    with house_rc():
        set_ticks(axes, "x", INTENSITY, axes.size[0], most=8)
        quiet_y(axes, RATE, left)
        name_x(axes, "arithmetic intensity: operations for each byte moved")
        keep_off = Obstacles()
        for i, ceiling in enumerate(ceilings):
            _draw_roof(axes, ceiling, DASHES[i % len(DASHES)], keep_off, named=not beside)
        _name_roofs(axes, ceilings, names)
        _draw_points(axes, pairs, keep_off)
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
    return sentence(title, "Roofline: " + listing(roofs), "; ".join(dots))


def distance_to_roof(point: Point, roof: Ceiling) -> str:
    """Say how far a kernel is from its roof: "2.1x below the roof"."""
    top = roof.at(point.intensity)
    if near := same(top, point.rate):
        return f"at the roof ({near})"
    if point.rate > top:
        return f"{ratio_words(point.rate / top)} above the roof: check both"
    return f"{ratio_words(top / point.rate)} below the roof"


def _roof_of(point: Point, ceilings: Sequence[Ceiling]) -> Ceiling:
    known_kind(point.kind)
    if not (point.intensity > 0 and point.rate > 0):
        raise ValueError(f"{point.label!r}: intensity and rate must be positive for log axes")
    if point.under is not None:
        for ceiling in ceilings:
            if ceiling.label == point.under:
                return ceiling
        raise ValueError(f"no ceiling {point.under!r}; there are {[c.label for c in ceilings]}")
    return next((c for c in ceilings if c.kind == point.kind), ceilings[0])


def _views(
    ceilings: Sequence[Ceiling], points: Sequence[Point]
) -> tuple[tuple[float, float], tuple[float, float]]:
    xs = [p.intensity for p in points] + [c.ridge for c in ceilings]
    first = min(min(xs) / 2.5, min(c.ridge for c in ceilings) / 40)
    low, high = pad([*xs, first, max(c.ridge for c in ceilings) * 8], True, 0.0, 0.06)
    ys = [p.rate for p in points] + [c.compute for c in ceilings]
    ys += [max(min(c.at(low) for c in ceilings), max(ys) / 1e7)]
    return (low, high), pad(ys, True, 0.09, 0.08)


def _flat_words(ceiling: Ceiling, beside: bool) -> str:
    peak = f"{ceiling.compute_label} {format_quantity(ceiling.compute, 'FLOP/s')}"
    return f"{peak}\n{_slope_words(ceiling)}" if beside else peak


def _slope_words(ceiling: Ceiling) -> str:
    return f"{ceiling.bandwidth_label} {format_quantity(ceiling.bandwidth, 'B/s')}"


def _draw_roof(
    axes: HouseAxes, ceiling: Ceiling, dash: object, keep_off: Obstacles, named: bool
) -> None:
    low, high = axes.get_xlim()
    colour = COLOURS[known_kind(ceiling.kind)]
    start = max(low, axes.get_ylim()[0] / ceiling.bandwidth)
    x = [start, max(ceiling.ridge, start), high]
    y = [ceiling.at(v) for v in x]
    axes.plot(x, y, color=colour, linewidth=2.4, linestyle=dash, zorder=3)
    keep_off.line(axes, x, y)
    if named:
        _name_slope(axes, ceiling, (x[0], y[0]), (x[1], y[1]), keep_off)


def _name_slope(
    axes: HouseAxes,
    ceiling: Ceiling,
    start: tuple[float, float],
    end: tuple[float, float],
    keep_off: Obstacles,
) -> None:
    """Write the bandwidth along the slope, on its upper side, where there is room."""
    (x0, y0), (x1, y1) = to_inches(axes, *start), to_inches(axes, *end)
    text = _slope_words(ceiling)
    length, size = hypot(x1 - x0, y1 - y0), text_size(text)
    if length < size[0] + 0.1:
        return
    angle = atan2(y1 - y0, x1 - x0)
    for share in (0.5, 0.35, 0.65, 0.25, 0.75, 0.15, 0.85):
        middle = max(size[0] / 2, min(length - size[0] / 2, share * length))
        x, y = x0 + middle * cos(angle), y0 + middle * sin(angle)
        x, y = x - 0.12 * sin(angle), y + 0.12 * cos(angle)
        steps = [(i / 8 - 0.5) * size[0] for i in range(9)]
        boxes = [
            Box(
                x + s * cos(angle) - 0.09,
                y + s * sin(angle) - 0.09,
                x + s * cos(angle) + 0.09,
                y + s * sin(angle) + 0.09,
            )
            for s in steps
        ]
        inside = all(b.left > -0.02 and b.top < axes.size[1] for b in boxes)
        if inside and not any(b.overlap(o) for b in boxes for o in keep_off.boxes):
            break
    write(
        axes,
        x,
        y,
        text,
        colour=INK[ceiling.kind],
        ha="center",
        rotation=degrees(angle),
        rotation_mode="anchor",
        bbox=HALO,
        zorder=5,
        gid="slope",
    )
    keep_off.boxes.extend(boxes)


def _name_roofs(
    axes: HouseAxes, ceilings: Sequence[Ceiling], names: Sequence[tuple[str, str]]
) -> None:
    levels = [to_inches(axes, axes.get_xlim()[1], c.compute)[1] for c in ceilings]
    sizes = [text_size(f"{head}\n{body}")[1] for head, body in names]
    heights = spread_out(levels, sizes, 0.0, axes.size[1] + 0.1, gap=0.06)
    start = axes.size[0] + 0.1
    for (head, body), size, height, level, ceiling in zip(
        names, sizes, heights, levels, ceilings, strict=True
    ):
        leader(axes, (axes.size[0], level), (start - 0.03, height))
        ink, top = INK[ceiling.kind], height + size / 2
        write(axes, start, top, head, bold=True, colour=ink, va="top")
        write(axes, start, top - text_size(head)[1], body, colour=ink, va="top")


def _draw_points(
    axes: HouseAxes, pairs: Sequence[tuple[Point, Ceiling]], keep_off: Obstacles
) -> None:
    for point, roof in pairs:
        colour, top = COLOURS[point.kind], roof.at(point.intensity)
        axes.plot(
            [point.intensity] * 2,
            [point.rate, top],
            color=colour,
            linewidth=1.3,
            linestyle=(0, (1, 1.5)),
            zorder=4,
        )
        axes.plot(
            point.intensity,
            point.rate,
            marker=MARKERS[point.kind] or "o",
            color=colour,
            markersize=9,
            markeredgecolor="white",
            markeredgewidth=1.2,
            zorder=6,
        )
        keep_off.line(axes, [point.intensity] * 2, [point.rate, top])
        keep_off.spot(axes, point.intensity, point.rate)
    notes = [
        (p.intensity, p.rate, f"{p.label}\n{distance_to_roof(p, roof)}", INK[p.kind])
        for p, roof in pairs
    ]
    call_out(axes, notes, keep_off, width=1.8)
