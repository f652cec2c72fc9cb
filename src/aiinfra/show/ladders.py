"""The ladder: one computation done in several ways, each rung with its step over the last."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiinfra.results import Quantity
from aiinfra.show.canvas import HouseAxes, finish, grid, house_rc, inches, new_axes, to_inches, write
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.style import COLOURS, INK, MUTED, TEXT, known_kind
from aiinfra.show.ticks import Scale, set_ticks
from aiinfra.show.timelines import block
from aiinfra.show.words import axis_words, join_sources, ratio_words, same, sentence, value_words

RUNG, BAR, NAME_ROOM = 0.44, 0.27, 1.7  # inches
Rung = tuple[str, Quantity, str]  # name, rate or time, kind


def ladder(rows: Sequence[Rung], title: str, *, label: str = "", better: str | None = None,
           alt: str | None = None) -> HouseAxes:  # fmt: skip
    """Draw rungs (name, quantity, kind) as bars on a logarithmic axis, first rung on top.

    The value stands at each bar's end, with a whisker for the spread; the column at the right
    says how many times better each rung is than the one before. ``better`` is "higher" (rates)
    or "lower" (times, the default for seconds and joules). Bars on a logarithmic axis have no
    zero: compare their ends. Raises ``ValueError`` for values of zero or less.
    """
    for name, quantity, kind in rows:
        known_kind(kind)
        if not quantity.value > 0:
            raise ValueError(f"{name!r} is {quantity.value}: a logarithmic axis needs more than 0")
    unit = rows[0][1].unit
    lower = (better or ("lower" if unit in ("s", "J") else "higher")) == "lower"
    names = [wrap(name, NAME_ROOM) for name, _, _ in rows]
    steps = [""] + [step_words(a[1], b[1], lower) for a, b in zip(rows, rows[1:], strict=False)]
    tall = max(RUNG, max(text_size(name)[1] for name in names) + 0.08)
    left = max(text_size(name)[0] for name in names) + 0.12
    right = max(text_size(step, bold=True)[0] for step in steps) + 0.14 if len(rows) > 1 else 0.1
    source = join_sources(q.source for _, q, _ in rows)
    axes = new_axes(title, source, tall * len(rows), left=left, right=right, above=0.36,
                    below=0.55 if label else 0.3)  # fmt: skip
    axes.set(xscale="log", xlim=_view(rows, axes.size[0]), ylim=(0, tall * len(rows)), yticks=[])
    with house_rc():
        set_ticks(axes, "x", Scale(label, unit), axes.size[0], most=6)
        grid(axes, "x")
        for i, ((_, quantity, kind), name, step) in enumerate(zip(rows, names, steps, strict=True)):
            y = tall * (len(rows) - i - 0.5)
            _draw_rung(axes, quantity, kind, y)
            write(axes, -left, y, name, colour=TEXT)
            if step:
                write(axes, axes.size[0] + right, y + tall / 2, step, bold=True, ha="right")
        if len(rows) > 1:
            write(axes, axes.size[0] + right, axes.size[1] + 0.17, "step", colour=MUTED, ha="right")
        if label:
            write(axes, axes.size[0] / 2, -0.38, axis_words(label, unit), colour=MUTED, ha="center")
    return finish(axes, alt or describe(rows, title, steps))


def step_words(before: Quantity, after: Quantity, lower: bool) -> str:
    """Say the step from one rung to the next: "3.4x" better, or "1.2x worse"."""
    ratio = before.value / after.value if lower else after.value / before.value
    if same(before.value, after.value):
        return "no change"
    return ratio_words(ratio) if ratio > 1 else f"{ratio_words(1 / ratio)} worse"


def describe(rows: Sequence[Rung], title: str, steps: Sequence[str]) -> str:
    """Say in a sentence every rung and its step."""
    said = [f"{name} {value_words(quantity)}" + (f" ({step})" if step else "")
            for (name, quantity, _), step in zip(rows, steps, strict=True)]  # fmt: skip
    return sentence(title, "; ".join(said))


def _view(rows: Sequence[Rung], width: float) -> tuple[float, float]:
    """Limits with room at the right for the longest bar's value."""
    ends = [v for _, q, _ in rows for v in (q.value, q.low, q.high) if v and v > 0]
    low, high = math.log(min(ends)), math.log(max(ends))
    span = max(high - low, math.log(4))
    start = low - 0.35 * span
    room = max(text_size(value_words(q), bold=True)[0] for _, q, _ in rows) + 0.22
    share = min(room / width, 0.6)
    end = start + (max(high, low + span * 0.5) - start) / (1 - share)
    return math.exp(start), math.exp(end)


def _draw_rung(axes: HouseAxes, quantity: Quantity, kind: str, y: float) -> None:
    end = to_inches(axes, quantity.value, 0)[0]
    block(axes, 0, y - BAR / 2, end, BAR, kind)
    if quantity.low is not None and quantity.high is not None:
        a, b = (to_inches(axes, max(v, axes.get_xlim()[0]), 0)[0] for v in (quantity.low, quantity.high))
        for colour, width in (("white", 4.2), (TEXT, 1.6)):
            axes.plot([a, b], [y, y], transform=inches(axes), color=colour, linewidth=width,
                      zorder=6, marker="|", markersize=8, markeredgewidth=width,
                      scalex=False, scaley=False)  # fmt: skip
        end = max(end, b)
    write(axes, end + 0.09, y, value_words(quantity), bold=True, colour=INK[kind], zorder=7,
          bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip


__all__ = ["COLOURS", "ladder"]
