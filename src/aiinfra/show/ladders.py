"""The ladder: one computation done in several ways, each rung with its step over the last."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from aiinfra.results import Quantity
from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.marks import Look, panel, rimmed, stroke, write, write_on
from aiinfra.show.scales import Scale, pad, set_x
from aiinfra.show.style import COLOURS, DASHED, GRID, INK, MUTED, TEXT, known_kind, tint
from aiinfra.show.words import join_sources, sentence, value_words
from aiinfra.units import format_quantity, same

RUNG, BAR, NAME_ROOM = 0.44, 0.27, 2.0  # inches
MODELLED = " (pale, dashed: modelled, nothing ran here)"
Rung = tuple[str, Quantity, str]  # name, rate or time, kind


@house_style
def ladder(
    rows: Sequence[Rung],
    title: str,
    *,
    label: str = "",
    better: str | None = None,
    alt: str | None = None,
) -> HouseAxes:
    """Draw rungs (name, quantity, kind) as bars, first rung on top.

    The value stands at each bar's end, with a whisker for the spread; the column at the right
    says how many times better each rung is than the one before, and the last than the first.
    ``better`` is "higher" (rates) or "lower" (times, the default for seconds and joules). Rungs
    within a factor of ten share an axis from zero. Beyond, the axis is logarithmic and its bars
    have no zero: compare their ends. A modelled rung is pale with a dashed rim. Raises
    ``ValueError`` for values of zero or less.
    """
    _check(rows)
    unit, log = rows[0][1].unit, spans_decades([quantity for _, quantity, _ in rows])
    lower = (better or ("lower" if unit in ("s", "J") else "higher")) == "lower"
    names = [wrap(name, NAME_ROOM) for name, _, _ in rows]
    steps = ["", *(step_words(a[1], b[1], lower) for a, b in pairwise(rows))]
    tall = max(RUNG, max(text_size(name)[1] for name in names) + 0.08)
    left = max(text_size(name)[0] for name in names) + 0.12
    total = f"{step_words(rows[0][1], rows[-1][1], lower)} in all" if len(rows) > 2 else ""
    right = max(text_size(words, bold=True)[0] for words in (*steps, total)) + 0.14
    source, height = join_sources(q.source for _, q, _ in rows), tall * len(rows)
    room = {"left": left, "right": right, "above": 0.36, "below": 0.55 if label or total else 0.3}
    modelled = any(quantity.kind == "modelled" for _, quantity, _ in rows)
    axes = new_axes(title, source + MODELLED * modelled, height, **room)
    ends = [v for _, q, _ in rows for v in (q.value, q.low, q.high) if v and v > 0]
    view = pad(ends, log, 0.3, 0.04)
    axes.set(xscale="log" if log else "linear", xlim=view, ylim=(0, height), yticks=[])
    set_x(axes, Scale(label, unit, log=log))
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    end = axes.size[0] + right
    for i, (_, quantity, kind) in enumerate(rows):
        y = height - tall * (i + 0.5)
        _draw_rung(axes, quantity, kind, y)
        write(axes, -left, y, names[i])
        write(axes, end, y + tall / 2, steps[i], bold=True, ha="right")
    write(axes, end, height + 0.17, "step" * (len(rows) > 1), colour=MUTED, ha="right")
    write(axes, end, -0.38, total, bold=True, ha="right")
    return finish(axes, alt or describe(rows, title, steps, total))


def spans_decades(quantities: Sequence[Quantity]) -> bool:
    """Whether the values need a logarithmic axis: more than a factor of ten apart."""
    values = [quantity.value for quantity in quantities]
    return max(values) > 10 * min(values)


def _check(rows: Sequence[Rung]) -> None:
    for name, quantity, kind in rows:
        known_kind(kind)
        if quantity.value <= 0:
            raise ValueError(f"{name!r} is {quantity.value}: a logarithmic axis needs more than 0")


def step_words(before: Quantity, after: Quantity, lower: bool) -> str:
    """Say the step from one rung to the next: "3.41x" better, or "1.25x worse"."""
    ratio = before.value / after.value if lower else after.value / before.value
    if same(before.value, after.value):
        return "no change"
    words = format_quantity(max(ratio, 1 / ratio), "x")  # a result, written as a gap writes it
    return words if ratio > 1 else f"{words} worse"


def describe(rows: Sequence[Rung], title: str, steps: Sequence[str], total: str) -> str:
    """Say in a sentence every rung and its step, and the step from the first to the last."""
    said = [
        f"{name} {value_words(quantity)}" + (f" ({step})" if step else "")
        for (name, quantity, _), step in zip(rows, steps, strict=True)
    ]
    return sentence(title, "; ".join(said), total)


def _draw_rung(axes: HouseAxes, quantity: Quantity, kind: str, y: float) -> None:
    """Draw one bar; its value stands behind its end, or in the bar where that is too near."""
    end = far = near = axes.at(quantity.value, 0)[0]
    modelled = quantity.kind == "modelled"
    if modelled:
        rim: Look = {"edgecolor": COLOURS[kind], "linewidth": 1.4, "linestyle": DASHED, "zorder": 3}
        panel(axes, 0, y - BAR / 2, end, BAR, tint(COLOURS[kind], 0.8), **rim)
    else:
        rimmed(axes, [(0, y - BAR / 2, end, BAR)], kind)
    if quantity.low is not None and quantity.high is not None:
        near, far = axes.at(quantity.low, 0)[0], axes.at(quantity.high, 0)[0]
        for colour, width in (("white", 4.2), (TEXT, 1.6)):
            caps = {"marker": "|", "markersize": 8, "markeredgewidth": width, "zorder": 7}
            stroke(axes, [near, far], [y, y], colour, width, **caps)
    words = value_words(quantity)
    if far + 0.09 + text_size(words, bold=True)[0] < axes.size[0]:
        write(axes, far + 0.09, y, words, bold=True, colour=INK[kind], patch="white", zorder=7)
    elif modelled:
        write(axes, near - 0.1, y, words, bold=True, colour=INK[kind], ha="right", zorder=7)
    else:
        write_on(axes, near - 0.1, y, words, kind, ha="right")
