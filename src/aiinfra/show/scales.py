"""Axes that read as quantities: "1 µs, 10 µs, 1 ms", as many ticks as there is room for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from aiinfra.show.canvas import HouseAxes, new_axes
from aiinfra.show.layout import line_width
from aiinfra.show.marks import write
from aiinfra.show.style import GRID, MUTED, TICK_SIZE
from aiinfra.show.words import axis_words, tick_words
from aiinfra.units import PREFIXED, scale_of

View = tuple[float, float]  # the limits of an axis


@dataclass(frozen=True)
class Scale:
    """An axis: what it counts, the SI unit, and whether it is logarithmic or in powers of two.

    ``Scale("array size", "B", binary=True)`` has ticks at 32 KiB and 1 MiB.
    """

    label: str
    unit: str = ""
    log: bool = True
    binary: bool = False

    def turn(self, value: float) -> float:
        """The number that grows evenly along the axis."""
        return math.log(value) if self.log else value

    def labels(self, ticks: Sequence[float]) -> list[str]:
        """Label ticks; a linear axis keeps one prefix throughout ("0, 0.5 ms, 1 ms")."""
        if self.log or self.unit not in PREFIXED:
            return [tick_words(t, self.unit, self.binary) for t in ticks]
        divisor, name = scale_of(max(abs(t) for t in ticks), self.unit)
        return [f"{t / divisor:,.6g} {name}" if abs(t) > 1e-12 * divisor else "0" for t in ticks]


def as_scale(axis: Scale | tuple[str, str] | str) -> Scale:
    """Accept ``Scale(...)``, ``("array size", "B")`` or just ``"array size"``."""
    if isinstance(axis, Scale):
        return axis
    return Scale(axis) if isinstance(axis, str) else Scale(*axis)


def pad(values: Sequence[float], log: bool, below: float, above: float, least: float = 4.0) -> View:
    """Limits of an axis around ``values``: shares of room added, a factor ``least`` at least."""
    low, high = min(values), max(values)
    if not log:
        return min(low, 0.0), high + above * (high - min(low, 0.0))
    a, b = math.log(low), math.log(high)
    short = max(math.log(least) - (b - a), 0.0)
    a, b = a - short / 2, b + short / 2
    return math.exp(a - below * (b - a)), math.exp(b + above * (b - a))


def round_numbers(scale: Scale, view: View) -> Iterator[list[float]]:
    """Sets of round numbers around ``view``, densest first."""
    if not scale.log:
        for count in (6, 5, 4, 3, 2, 1):
            yield [float(t) for t in MaxNLocator(count, steps=[1, 2, 5, 10]).tick_values(*view)]
        return
    base = 2 if scale.binary else 10
    first, last = (math.floor(math.log(v, base)) for v in view)
    powers = range(first, last + 2)
    if not scale.binary:
        for mantissas in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3)):
            yield [m * 10.0**e for e in powers for m in mantissas]
    for step in (1, 2, 3, 4, 5, 6, 10, 20):
        yield [float(base) ** e for e in powers if e % step == 0]


def choose_ticks(scale: Scale, view: View, room: float, upright: bool = False) -> list[float]:
    """The densest set of round numbers whose labels stand apart on ``room`` inches."""
    low, high = scale.turn(view[0]), scale.turn(view[1])
    fuzz, best = 1e-9 * (high - low), []
    for numbers in round_numbers(scale, view):
        ticks = [t for t in numbers if low - fuzz <= scale.turn(t) <= high + fuzz]
        if len(ticks) < 2:
            continue
        best = ticks
        words = scale.labels(ticks)
        sizes = np.array([0.1 if upright else line_width(w, TICK_SIZE) for w in words])
        gaps = np.diff([scale.turn(t) for t in ticks]) * room / (high - low)
        free = gaps - (sizes[1:] + sizes[:-1]) / 2
        most = 12 if scale.binary else 7
        if len(ticks) <= most and len(set(words)) == len(words) and free.min() >= 0.17:
            break
    return best


def set_x(axes: HouseAxes, scale: Scale) -> None:
    """Tick and name the x axis, whose limits are set."""
    ticks = choose_ticks(scale, axes.get_xlim(), axes.size[0])
    axes.set_xticks(ticks, scale.labels(ticks))
    axes.minorticks_off()
    words = axis_words(scale.label, scale.unit) if scale.label else ""
    write(axes, axes.size[0] / 2, -0.38, words, colour=MUTED, ha="center")


def plot_axes(
    title: str,
    source: str,
    height: float,
    across: tuple[Scale, View],
    up: tuple[Scale, View],
    *,
    right: float,
    above: float = 0.38,
    below: float = 0.55,
) -> HouseAxes:
    """Make a figure with two scales: thin grid lines, the name of y flush with the title."""
    (scale_x, view_x), (scale_y, view_y) = across, up
    ticks = choose_ticks(scale_y, view_y, height, upright=True)
    words = scale_y.labels(ticks)
    left = max(line_width(word, TICK_SIZE) for word in words) + 0.1
    axes = new_axes(title, source, height, left=left, right=right, above=above, below=below)
    log = ["log" if scale.log else "linear" for scale in (scale_x, scale_y)]
    axes.set(xscale=log[0], yscale=log[1], xlim=view_x, ylim=view_y)
    axes.set_yticks(ticks, words)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    set_x(axes, scale_x)
    write(axes, -left, height + 0.17, axis_words(scale_y.label, scale_y.unit), colour=MUTED)
    return axes
