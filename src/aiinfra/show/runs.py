"""Samples: every run of one measurement as a dot, so that the first run and the spread show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from aiinfra.results import Quantity
from aiinfra.show.canvas import Array, HouseAxes, finish, house_style
from aiinfra.show.labels import Labels
from aiinfra.show.layout import spread_out, text_size
from aiinfra.show.marks import panel, ring, spot, stroke, write
from aiinfra.show.scales import Scale, pad, plot_axes
from aiinfra.show.style import COLOURS, DASHED, INK, MARKERS, MUTED, TEXT, known_kind
from aiinfra.show.words import join_sources, sentence
from aiinfra.units import distance, format_quantity, ratio_words, same


@house_style
def samples(
    seconds: Sequence[float],
    title: str,
    *,
    first: bool = True,
    kind: str = "cpu",
    source: str = "",
    label: str = "time per run",
    unit: str = "s",
    reference: Quantity | None = None,
    alt: str | None = None,
) -> HouseAxes:
    """Draw each run in order on a logarithmic axis, with the median and the quartiles.

    With ``first=True`` the first run is ringed and its ratio to the median of the others written
    beside it; the median and quartiles then leave it out. ``reference`` is a dashed line with its
    value: what the runs should have said. Raises ``ValueError`` for times of zero or less.
    """
    values = np.asarray(seconds, float)
    if values.size == 0 or not (values > 0).all():
        raise ValueError("samples needs at least one run, each longer than 0 s")
    ringed = first and values.size > 1
    low, median, high = np.quantile(values[1:] if ringed else values, (0.25, 0.5, 0.75))
    quartiles = float(low), float(median), float(high)
    notes = _notes(quartiles, unit, INK[known_kind(kind)], reference)
    view = pad([*values, *(level for level, _, _ in notes)], True, 0.08, 0.12, least=2.0)
    right = max(text_size(words, bold=True)[0] for _, words, _ in notes) + 0.14
    across = (Scale("run, in order", log=False), (0.2, values.size + 0.8))
    sources = join_sources([source, reference.source if reference else ""])
    axes = plot_axes(title, sources, 2.3, across, (Scale(label, unit), view), right=right)
    _draw_runs(axes, values, quartiles, kind)
    if reference:
        y = axes.at(1, reference.value)[1]
        stroke(axes, [0, axes.size[0]], [y, y], TEXT, 1.8, linestyle=DASHED, zorder=5)
    _name_levels(axes, notes)
    opening = first_words(values[0], median, unit) if ringed else ""
    if ringed:
        _ring_first(axes, values, opening, median)
    told = [describe(values, quartiles, unit), opening.replace("first", "The first", 1)]
    told += [words for _, words, _ in notes[2:]]
    return finish(axes, alt or sentence(title, *(text.replace(":\n", ": ") for text in told)))


def describe(values: Array, quartiles: tuple[float, float, float], unit: str) -> str:
    """Say the number of runs, the median and the quartiles."""
    low, median, high = (format_quantity(v, unit) for v in quartiles)
    runs = f"{len(values)} run{'s' * (len(values) > 1)}"
    return f"{runs}: median {median}, half of them between {low} and {high}"


def first_words(value: float, median: float, unit: str) -> str:
    """Say how the first run compares: "first run: 812 ms, 40x the median"."""
    text = f"first run: {format_quantity(value, unit)},"
    if near := same(value, median):
        return f"{text}\n{near} of the median"
    ratio = ratio_words(max(value, median) / min(value, median))
    return f"{text}\n{ratio} {'the' if value > median else 'below the'} median"


def _notes(
    quartiles: tuple[float, float, float], unit: str, ink: str, reference: Quantity | None
) -> list[tuple[float, str, str]]:
    """What stands to the right of the runs: (level, words, colour)."""
    low, median, high = (format_quantity(v, unit) for v in quartiles)
    half = f"half of the runs:\n{low} to\n{high}"
    notes = [(quartiles[1], f"median {median}", ink), (quartiles[1], half, MUTED)]
    if reference:
        value = format_quantity(reference.value, reference.unit)
        words = f"reference {value}:\nmedian {distance(quartiles[1], reference.value)}"
        notes.append((reference.value, words, TEXT))
    return notes


def _draw_runs(
    axes: HouseAxes, values: Array, quartiles: tuple[float, float, float], kind: str
) -> None:
    colour, width = COLOURS[kind], axes.size[0]
    low, median, high = (axes.at(1, v)[1] for v in quartiles)
    panel(axes, 0, low, width, max(high - low, 0.015), colour, alpha=0.16)
    stroke(axes, [0, width], [median, median], colour, 1.8)
    x, y = axes.path(np.arange(1, values.size + 1), values).T
    spot(axes, x, y, MARKERS[kind] or "o", colour, 6 if values.size <= 60 else 3.5)
    counts = MaxNLocator(8, steps=[1, 2, 5, 10], integer=True).tick_values(1, values.size)
    ticks = sorted({max(1, round(n)) for n in counts if n <= values.size})
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])


def _ring_first(axes: HouseAxes, values: Array, words: str, median: float) -> None:
    ring(axes, *axes.at(1, values[0]), TEXT, 13)
    labels = Labels(axes)
    for i, value in enumerate(values):
        labels.keep_off_spot(i + 1, value)
    labels.keep_off_line(axes.get_xlim(), [median, median])
    labels.call_out([(1, values[0], words, "limit")])


def _name_levels(axes: HouseAxes, notes: Sequence[tuple[float, str, str]]) -> None:
    """Write what each level is to its right; of two on one level, the first stands above."""
    levels = [axes.at(1, level)[1] - i / 1000 for i, (level, _, _) in enumerate(notes)]
    sizes = [text_size(words)[1] for _, words, _ in notes]
    heights = spread_out(levels, sizes, 0.0, axes.size[1] + 0.1, gap=0.04)
    for (_, words, ink), height in zip(notes, heights, strict=True):
        write(axes, axes.size[0] + 0.1, height, words, colour=ink, bold=ink != MUTED)
