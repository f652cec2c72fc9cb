"""Samples: every run of one measurement as a dot, so that the first run and the spread show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiinfra.show.canvas import (
    HouseAxes,
    finish,
    house_rc,
    new_axes,
    to_inches,
    write,
)
from aiinfra.show.layout import spread_out, text_size
from aiinfra.show.marks import Obstacles, call_out, name_x, quiet_y
from aiinfra.show.placing import Array
from aiinfra.show.strokes import panel, spot, stroke
from aiinfra.show.style import COLOURS, INK, MARKERS, MUTED, TEXT, known_kind
from aiinfra.show.sweeps import pad
from aiinfra.show.ticks import Scale, tick_labels_width
from aiinfra.show.words import ratio_words, same, sentence
from aiinfra.units import format_quantity


def samples(
    seconds: Sequence[float],
    title: str,
    *,
    first: bool = True,
    kind: str = "cpu",
    source: str = "",
    label: str = "time per run",
    unit: str = "s",
    alt: str | None = None,
) -> HouseAxes:
    """Draw each run in order on a logarithmic axis, with the median and the quartiles.

    With ``first=True`` the first run is ringed and its ratio to the median of the others written
    beside it; the median and quartiles then leave it out. Raises ``ValueError`` for no runs or
    times of zero or less.
    """
    values = np.asarray(seconds, float)
    if values.size == 0 or not (values > 0).all():
        raise ValueError("samples needs at least one run, each longer than 0 s")
    rest = values[1:] if first and values.size > 1 else values
    low, median, high = (float(v) for v in np.quantile(rest, (0.25, 0.5, 0.75)))
    view = pad([float(v) for v in values], True, 0.08, 0.12, least=2.0)
    scale = Scale(label, unit)
    left = tick_labels_width(view, scale) + 0.1
    words = [
        f"median {format_quantity(median, unit)}",
        f"half of the runs:\n{format_quantity(low, unit)} to\n{format_quantity(high, unit)}",
    ]
    right = max(text_size(w, bold=i == 0)[0] for i, w in enumerate(words)) + 0.14
    axes = new_axes(title, source, 2.3, left=left, right=right, above=0.38, below=0.55)
    axes.set(yscale="log", ylim=view, xlim=(0.2, values.size + 0.8))
    with house_rc():
        _number_runs(axes, values.size)
        quiet_y(axes, scale, left)
        name_x(axes, "run, in order")
        ring = first_words(values[0], median, unit) if first and values.size > 1 else ""
        _draw_runs(axes, values, (low, median, high), known_kind(kind), ring)
        _name_median(axes, words, median, kind)
    return finish(axes, alt or describe(values, title, (low, median, high), first, unit))


def describe(
    values: Array, title: str, quartiles: tuple[float, float, float], first: bool, unit: str
) -> str:
    """Say in sentences the median, the quartiles and the first run."""
    low, median, high = (format_quantity(v, unit) for v in quartiles)
    runs = f"{len(values)} run{'s' * (len(values) > 1)}"
    text = f"{runs}: median {median}, half of them between {low} and {high}"
    opening = f"The {first_words(values[0], quartiles[1], unit)}" if first else ""
    return sentence(title, text, opening.replace("\n", ", ") if len(values) > 1 else "")


def first_words(value: float, median: float, unit: str) -> str:
    """Say how the first run compares: "first run 812 ms, 40x the median"."""
    text = f"first run: {format_quantity(value, unit)}"
    if near := same(value, median):
        return f"{text}\n{near} of the median"
    share = f"{ratio_words(max(value, median) / min(value, median))}"
    return f"{text}\n{share} the median" if value > median else f"{text}\n{share} below the median"


def _number_runs(axes: HouseAxes, count: int) -> None:
    step = next(s * 10**e for e in range(12) for s in (1, 2, 5) if count <= 8 * s * 10**e)
    ticks = [1, *(t for t in range(step, count + 1, step) if t > 1)]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])


def _draw_runs(
    axes: HouseAxes, values: Array, quartiles: tuple[float, float, float], kind: str, first: str
) -> None:
    low, median, high = quartiles
    colour, order = COLOURS[kind], np.arange(1, len(values) + 1)
    (_, a), (_, m), (_, b) = (to_inches(axes, 1, v) for v in (low, median, high))
    panel(axes, 0, a, axes.size[0], max(b - a, 0.015), colour, alpha=0.16)
    stroke(axes, [0, axes.size[0]], [m, m], colour, 1.8)
    spot(
        axes,
        order,
        values,
        MARKERS[kind] or "o",
        colour,
        6 if len(values) <= 60 else 3.5,
        data=True,
    )
    if not first:
        return
    spot(axes, 1, values[0], "o", TEXT, 13, hollow=1.6, fill="none", data=True)
    keep_off = Obstacles()
    for x, y in zip(order, values, strict=True):
        keep_off.spot(axes, float(x), float(y))
    keep_off.line(axes, axes.get_xlim(), [median, median])
    call_out(axes, [(1, values[0], first, TEXT)], keep_off)


def _name_median(axes: HouseAxes, words: Sequence[str], median: float, kind: str) -> None:
    level = to_inches(axes, 1, median)[1]
    sizes = [text_size(word)[1] for word in words]
    heights = spread_out([level, level - 0.01], sizes, 0.0, axes.size[1] + 0.1, gap=0.04)
    start = axes.size[0] + 0.1
    write(axes, start, max(heights), words[0], bold=True, colour=INK[kind])
    write(axes, start, min(heights), words[1], colour=MUTED)
