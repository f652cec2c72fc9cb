"""The ladder: one computation done in several ways, each rung with its step over the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from aiinfra.results import Quantity
from aiinfra.show.canvas import (
    HouseAxes,
    finish,
    grid,
    house_rc,
    new_axes,
    to_inches,
    write,
)
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.marks import name_x
from aiinfra.show.strokes import block, stroke
from aiinfra.show.style import INK, MUTED, TEXT, known_kind
from aiinfra.show.ticks import Scale, set_ticks
from aiinfra.show.timelines import write_on
from aiinfra.show.words import axis_words, join_sources, ratio_words, same, sentence, value_words

RUNG, BAR, NAME_ROOM = 0.44, 0.27, 2.0  # inches
Rung = tuple[str, Quantity, str]  # name, rate or time, kind


def ladder(
    rows: Sequence[Rung],
    title: str,
    *,
    label: str = "",
    better: str | None = None,
    alt: str | None = None,
) -> HouseAxes:
    """Draw rungs (name, quantity, kind) as bars on a logarithmic axis, first rung on top.

    The value stands at each bar's end, with a whisker for the spread; the column at the right
    says how many times better each rung is than the one before. ``better`` is "higher" (rates)
    or "lower" (times, the default for seconds and joules). Bars on a logarithmic axis have no
    zero: compare their ends. Raises ``ValueError`` for values of zero or less.
    """
    _check(rows)
    unit = rows[0][1].unit
    lower = (better or ("lower" if unit in ("s", "J") else "higher")) == "lower"
    names = [wrap(name, NAME_ROOM) for name, _, _ in rows]
    steps = [""] + [step_words(a[1], b[1], lower) for a, b in pairwise(rows)]
    tall = max(RUNG, max(text_size(name)[1] for name in names) + 0.08)
    left = max(text_size(name)[0] for name in names) + 0.12
    right = max(text_size(step, bold=True)[0] for step in steps) + 0.14 if len(rows) > 1 else 0.1
    source, below = join_sources(q.source for _, q, _ in rows), 0.55 if label else 0.3
    height = tall * len(rows)
    axes = new_axes(title, source, height, left=left, right=right, above=0.36, below=below)
    axes.set(xscale="log", xlim=_view(rows), ylim=(0, height), yticks=[])
    with house_rc():
        set_ticks(axes, "x", Scale(label, unit), axes.size[0], most=6)
        grid(axes, "x")
        end = axes.size[0] + right
        for i, ((_, quantity, kind), name, step) in enumerate(zip(rows, names, steps, strict=True)):
            y = height - tall * (i + 0.5)
            _draw_rung(axes, quantity, kind, y)
            write(axes, -left, y, name, colour=TEXT)
            write(axes, end, y + tall / 2, step, bold=True, ha="right")
        write(axes, end, height + 0.17, "step" * (len(rows) > 1), colour=MUTED, ha="right")
        name_x(axes, axis_words(label, unit) if label else "")
    return finish(axes, alt or describe(rows, title, steps))


def _check(rows: Sequence[Rung]) -> None:
    if not rows:
        raise ValueError("a ladder needs at least one rung (name, quantity, kind)")
    for name, quantity, kind in rows:
        known_kind(kind)
        if not quantity.value > 0:
            raise ValueError(f"{name!r} is {quantity.value}: a logarithmic axis needs more than 0")


def step_words(before: Quantity, after: Quantity, lower: bool) -> str:
    """Say the step from one rung to the next: "3.4x" better, or "1.2x worse"."""
    ratio = before.value / after.value if lower else after.value / before.value
    if same(before.value, after.value):
        return "no change"
    return ratio_words(ratio) if ratio > 1 else f"{ratio_words(1 / ratio)} worse"


def describe(rows: Sequence[Rung], title: str, steps: Sequence[str]) -> str:
    """Say in a sentence every rung and its step."""
    said = [
        f"{name} {value_words(quantity)}" + (f" ({step})" if step else "")
        for (name, quantity, _), step in zip(rows, steps, strict=True)
    ]
    return sentence(title, "; ".join(said))


def _view(rows: Sequence[Rung]) -> tuple[float, float]:
    ends = [v for _, q, _ in rows for v in (q.value, q.low, q.high) if v and v > 0]
    low, high = math.log(min(ends)), math.log(max(ends))
    span = max(high - low, math.log(4))
    return math.exp(low - 0.3 * span), math.exp(max(high, low + span * 0.6) + 0.04 * span)


def _draw_rung(axes: HouseAxes, quantity: Quantity, kind: str, y: float) -> None:
    """Draw one bar; its value stands behind its end, or in the bar where that is too near."""
    end = far = near = to_inches(axes, quantity.value, 0)[0]
    block(axes, 0, y - BAR / 2, end, BAR, kind)
    if quantity.low is not None and quantity.high is not None:
        bounds = (max(v, axes.get_xlim()[0]) for v in (quantity.low, quantity.high))
        near, far = (to_inches(axes, v, 0)[0] for v in bounds)
        for colour, width in (("white", 4.2), (TEXT, 1.6)):
            ends: dict[str, Any] = {"marker": "|", "markersize": 8, "markeredgewidth": width}
            stroke(axes, [near, far], [y, y], colour, width, z=7, **ends)
    words = value_words(quantity)
    if far + 0.09 + text_size(words, bold=True)[0] < axes.size[0]:
        write(
            axes,
            far + 0.09,
            y,
            words,
            bold=True,
            colour=INK[kind],
            zorder=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    else:
        write_on(axes, near - 0.1, y, words, kind, ha="right")
