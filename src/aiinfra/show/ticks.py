"""Ticks that read as quantities: "1 µs, 10 µs, 1 ms", as many as there is room for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from aiinfra.show.layout import line_width
from aiinfra.show.style import TICK_SIZE
from aiinfra.show.words import tick_words
from aiinfra.units import PREFIXED, scale_of


@dataclass(frozen=True)
class Scale:
    """An axis: what it counts, the SI unit, and whether it is logarithmic or in powers of two.

    ``Scale("array size", "B", binary=True)`` has ticks at 32 KiB and 1 MiB.
    """

    label: str
    unit: str = ""
    log: bool = True
    binary: bool = False

    @property
    def kind(self) -> Literal["log", "linear"]:
        """What matplotlib calls it."""
        return "log" if self.log else "linear"


def as_scale(axis: Scale | tuple[str, str] | str) -> Scale:
    """Accept ``Scale(...)``, ``("array size", "B")`` or just ``"array size"``."""
    if isinstance(axis, Scale):
        return axis
    return Scale(axis) if isinstance(axis, str) else Scale(*axis)


def log_positions(low: float, high: float, binary: bool) -> list[list[float]]:
    """Sets of round numbers between ``low`` and ``high``, densest first."""
    if binary:
        first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
        return [[2.0**e for e in range(first, last + 1) if e % n == 0] for n in (1, 2, 5, 10, 20)]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    sets = [
        [m * 10.0**e for e in range(first, last + 1) for m in mantissas]
        for mantissas in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,))
    ]
    sets += [[10.0**e for e in range(first, last + 1) if e % n == 0] for n in (2, 3, 4, 6, 9)]
    fuzz = 1e-9
    return [[t for t in s if low * (1 - fuzz) <= t <= high * (1 + fuzz)] for s in sets]


def set_ticks(axes: Axes, which: str, scale: Scale, room: float, most: int = 7) -> None:
    """Put ticks on axis ``which`` ("x" or "y"), which is ``room`` inches long.

    The densest set of round numbers whose labels do not touch is taken, ``most`` at the most.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    if scale.log:
        options = log_positions(low, high, scale.binary)
    else:
        options = [
            list(MaxNLocator(n, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
            for n in range(most - 1, 1, -1)
        ]
        options = [[t for t in o if low - 1e-12 <= t <= high + 1e-12] for o in options]
    if scale.log and all(len(o) < 2 for o in options):
        options.insert(0, [t for t in MaxNLocator(3).tick_values(low, high) if low <= t <= high])
    best = min((o for o in options if o), key=len)
    for option in options:
        if 1 < len(option) <= most and _fits(option, scale, which, (low, high), room):
            best = option
            break
    axis.set_major_locator(FixedLocator(best))
    axis.set_major_formatter(FixedFormatter(tick_labels(best, scale)))
    axis.set_minor_locator(NullLocator())


def tick_labels(ticks: list[float], scale: Scale) -> list[str]:
    """Label ticks; a linear axis keeps one prefix throughout ("0, 0.5 ms, 1 ms")."""
    if scale.log or scale.unit not in PREFIXED:
        return [tick_words(t, scale.unit, scale.binary) for t in ticks]
    divisor, name = scale_of(max(abs(t) for t in ticks), scale.unit)
    return [f"{t / divisor:,.6g} {name}" if abs(t) > 1e-12 * divisor else "0" for t in ticks]


def _fits(
    ticks: list[float], scale: Scale, which: str, view: tuple[float, float], room: float
) -> bool:
    turn = math.log if scale.log else float
    low, high = turn(view[0]), turn(view[1])
    where = [(turn(t) - low) / (high - low) * room for t in ticks]
    words = tick_labels(ticks, scale)
    if len(set(words)) < len(words):
        return False
    sizes = [line_width(w, TICK_SIZE) + 0.16 if which == "x" else 0.3 for w in words]
    return all(
        b - a >= (size_a + size_b) / 2
        for (a, size_a), (b, size_b) in pairwise(zip(where, sizes, strict=True))
    )


def tick_labels_width(view: tuple[float, float], scale: Scale) -> float:
    """Inches to keep for the labels of a y axis that spans ``view``."""
    middle = (view[0] * view[1]) ** 0.5 if scale.log else (view[0] + view[1]) / 2
    options = log_positions(*view, scale.binary) if scale.log else []
    ticks = {t for option in options for t in option} or {view[1], middle}
    return max(line_width(tick_words(t, scale.unit, scale.binary), TICK_SIZE) for t in ticks)
