"""The ridges of many machines: from which arithmetic intensity on arithmetic sets the pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import spread_out, text_size
from aiinfra.show.marks import block, panel, stroke, write, write_on
from aiinfra.show.rooflines import Ceiling
from aiinfra.show.scales import Scale, pad, set_x
from aiinfra.show.style import COLOURS, DOTTED, INK, MUTED, TEXT, known_kind, tint
from aiinfra.show.words import join_sources, sentence
from aiinfra.units import format_quantity, significant

ROW, BAR, SPACE = 0.23, 0.19, 0.15  # inches: from bar to bar, a bar, between machines
HEAD = 0.2  # inches of line between the names of the kernels and the bars
INTENSITY = Scale("FLOP for each byte")
PALE = 0.2  # share of its colour behind the end of a bar
MEMORY, ARITHMETIC = "memory limits", "arithmetic limits"


@house_style
def ridges(
    ceilings: Sequence[Ceiling],
    kernels: Mapping[str, float],
    title: str,
    *,
    alt: str | None = None,
) -> HouseAxes:
    """Draw each peak of each machine as a bar that ends at its ridge; kernels are lines across.

    Where a line crosses a bar memory limits the kernel on that machine, behind its end arithmetic
    does. Neighbours of one ``label`` are one machine, ``compute_label`` names the precision, and
    ``kernels`` maps names to intensities in FLOP/B.
    """
    if not ceilings:
        raise ValueError("ridges need at least one Ceiling(label, bandwidth, compute)")
    machines = [list(group) for _, group in groupby(ceilings, key=lambda c: c.label)]
    names = [text_size(c.label, bold=True)[0] for c in ceilings]
    column = max(*names, *(text_size(_bandwidth(c))[0] for c in ceilings)) + 0.16
    left = column + max(text_size(c.compute_label)[0] for c in ceilings) + 0.08
    right = max(text_size(words)[0] for words in (*map(_peak, ceilings), "dense peak")) + 0.1
    tall = sum(map(_height, machines)) + SPACE * (len(machines) - 1)
    above = HEAD + max((text_size(name)[1] for name in kernels), default=0.0) + 0.1
    room = {"left": left, "right": right, "above": above, "below": 0.55}
    axes = new_axes(title, join_sources(c.source for c in ceilings), tall, **room)
    view = pad([*(c.ridge for c in ceilings), *kernels.values()], True, 0.06, 0.06)
    axes.set(xscale="log", xlim=view, ylim=(0, tall), yticks=[])
    set_x(axes, INTENSITY)
    write(axes, axes.size[0] + 0.1, tall + HEAD / 2, "dense peak", colour=MUTED)
    untold, y = {MEMORY, ARITHMETIC}, tall
    for group in machines:
        _draw_machine(axes, group, y - _height(group) / 2, column - left, untold)
        y -= _height(group) + SPACE
    _draw_kernels(axes, kernels, tall)
    return finish(axes, alt or describe(machines, kernels, title))


def describe(
    machines: Sequence[Sequence[Ceiling]], kernels: Mapping[str, float], title: str
) -> str:
    """Say in sentences where the ridges and the kernels are."""
    told = [
        f"{group[0].label}, {_bandwidth(group[0])}: "
        + ", ".join(f"{c.compute_label} {_peak(c)} from {_number(c.ridge)} on" for c in group)
        for group in machines
    ]
    lines = [f"{name} at {_number(intensity)} FLOP/B" for name, intensity in kernels.items()]
    kernels_told = "Kernels: " + ", ".join(lines) if lines else ""
    return sentence(title, "Ridges in FLOP/B: " + "; ".join(told), kernels_told)


def _height(group: Sequence[Ceiling]) -> float:
    return ROW * max(len(group), 2)  # a name and a bandwidth need two rows


def _peak(ceiling: Ceiling) -> str:
    return format_quantity(ceiling.compute, "FLOP/s")


def _bandwidth(ceiling: Ceiling) -> str:
    return format_quantity(ceiling.bandwidth, "B/s")


def _number(intensity: float) -> str:
    return significant(intensity, 2) if intensity < 100 else f"{intensity:,.0f}"


def _draw_machine(
    axes: HouseAxes, group: Sequence[Ceiling], y: float, column: float, untold: set[str]
) -> None:
    """Draw name, bandwidth and bars around the height ``y``, precisions at ``column``."""
    ink = INK[known_kind(group[0].kind)]
    write(axes, -axes.left, y + ROW / 2, group[0].label, bold=True, colour=ink)
    write(axes, -axes.left, y - ROW / 2, _bandwidth(group[0]), colour=MUTED)
    for i, ceiling in enumerate(group):
        level = y + ROW * ((len(group) - 1) / 2 - i)
        write(axes, column, level, ceiling.compute_label)
        _draw_bar(axes, ceiling, level, untold)
        write(axes, axes.size[0] + 0.1, level, _peak(ceiling), colour=ink)


def _draw_bar(axes: HouseAxes, ceiling: Ceiling, y: float, untold: set[str]) -> None:
    """Draw the bar and what follows it; the first with room says what each of them means."""
    end, base, number = axes.at(ceiling.ridge, 1)[0], y - BAR / 2, _number(ceiling.ridge)
    rest, colour = axes.size[0] - end, COLOURS[ceiling.kind]
    block(axes, 0, base, end, BAR, "memory")
    panel(axes, end, base, rest, BAR, colour, alpha=PALE)
    write_on(axes, end - 0.05, y, number, "memory", ha="right")
    room = {MEMORY: end - text_size(number, bold=True)[0] - 0.1, ARITHMETIC: rest}
    for words in [w for w in sorted(untold) if text_size(w, bold=True)[0] + 0.12 < room[w]]:
        untold.discard(words)
        if words == MEMORY:
            write_on(axes, 0.06, y, words, "memory", ha="left")
        else:
            ink, patch = INK[ceiling.kind], tint(colour, 1 - PALE)
            write(axes, end + 0.08, y, words, bold=True, colour=ink, patch=patch, zorder=6)


def _draw_kernels(axes: HouseAxes, kernels: Mapping[str, float], tall: float) -> None:
    """Draw a line at each intensity, its name above."""
    ends = [axes.at(intensity, 1)[0] for intensity in kernels.values()]
    sizes = [text_size(name)[0] for name in kernels]
    places = spread_out(ends, sizes, -0.4, axes.size[0] + 0.5, gap=0.12)
    for name, x, place in zip(kernels, ends, places, strict=True):
        stroke(axes, [place, x, x], [tall + HEAD, tall + 0.06, 0], TEXT, 1.3, linestyle=DOTTED,
               zorder=5)  # fmt: skip
        write(axes, place, tall + HEAD + 0.03, name, ha="center", va="bottom")
