"""The error ladder: how far variants of a model miss, and what fitting again makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.marks import ring, spot, stroke, write
from aiinfra.show.scales import Scale, pad, set_x
from aiinfra.show.style import COLOURS, DASHED, GRID, INK, known_kind
from aiinfra.show.validations import percents
from aiinfra.show.words import sentence

SHAPES = (("o", True), ("D", False), ("s", False))  # first, second and third error of a variant
RUNG, MARK, APART = 0.4, 0.12, 0.075  # inches: a row, a mark's width, how far neighbours move
Variant = tuple[str, Sequence[float]]  # name, one error for each mark


@house_style
def error_ladder(
    variants: Sequence[Variant],
    title: str,
    *,
    marks: Sequence[str],
    source: str,
    baseline: tuple[float, str] | None = None,
    kind: str = "gpu",
    alt: str | None = None,
) -> HouseAxes:
    """Draw mean absolute errors of variants of a model, one row each, on a logarithmic axis.

    Each variant has as many errors (0.02 is 2 %) as there are ``marks`` (three at most);
    ``baseline`` is a dashed line (error, label). Raises ``ValueError`` where the numbers differ or
    are not positive.
    """
    _check(variants, marks)
    names = [wrap(name, 2.2) for name, _ in variants]
    texts = [" → ".join(percents(e) for e in errors) for _, errors in variants]
    left = max(text_size(name)[0] for name in names) + 0.16
    right = max(text_size(text, bold=True)[0] for text in texts) + 0.2
    height, above = RUNG * len(variants), 0.72 if baseline else 0.42
    axes = new_axes(title, source, height, left=left, right=right, above=above, below=0.55)
    ends = [100 * e for _, errors in variants for e in errors]
    ends += [100 * baseline[0]] if baseline else []
    axes.set(xscale="log", xlim=pad(ends, True, 0.05, 0.05), ylim=(0, height), yticks=[])
    set_x(axes, Scale("mean absolute error", "%"))
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    _draw_key(axes, marks, -left, height + above - 0.22, known_kind(kind))
    if baseline:
        x = axes.at(100 * baseline[0], 0)[0]
        stroke(axes, [x, x], [0, height + 0.06], COLOURS["model"], 2.0, linestyle=DASHED, zorder=3)
        write(axes, x - 0.03, height + 0.17, baseline[1], colour=INK["model"])
    for i, (_, errors) in enumerate(variants):
        y = height - RUNG * (i + 0.5)
        write(axes, -left, y, names[i])
        write(axes, axes.size[0] + right, y, texts[i], bold=True, ha="right")
        _draw_rung(axes, [axes.at(100 * e, 0)[0] for e in errors], y, kind)
    return finish(axes, alt or sentence(title, *describe(variants, texts, marks, baseline)))


def describe(
    variants: Sequence[Variant],
    texts: Sequence[str],
    marks: Sequence[str],
    baseline: tuple[float, str] | None,
) -> list[str]:
    """Say every variant's errors in the order of the marks."""
    said = "; ".join(f"{name} {text}" for (name, _), text in zip(variants, texts, strict=True))
    base = [f"{baseline[1]} {percents(baseline[0])}"] if baseline else []
    return [f"Mean absolute error, {', then '.join(marks)}: {said}", *base]


def _check(variants: Sequence[Variant], marks: Sequence[str]) -> None:
    if not variants or not 1 <= len(marks) <= len(SHAPES):
        raise ValueError(f"an error ladder needs variants, and one to {len(SHAPES)} marks")
    for name, errors in variants:
        if len(errors) != len(marks):
            raise ValueError(f"{name!r} has {len(errors)} errors for {len(marks)} marks")
        if not all(0 < error < math.inf for error in errors):
            raise ValueError(f"{name!r}: a logarithmic axis needs errors above 0, not {errors}")


def dodged(places: Sequence[float]) -> list[float]:
    """How far up each mark moves so that marks that would cover one another stand apart.

    >>> dodged([1.0, 2.0]), dodged([1.0, 1.02])
    ([0.0, 0.0], [0.075, -0.075])
    """
    clusters: list[list[int]] = []
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        if not clusters or places[i] - places[clusters[-1][-1]] >= MARK:
            clusters.append([])
        clusters[-1].append(i)
    ups = {
        i: APART * (len(cluster) - 1 - 2 * rank)
        for cluster in clusters
        for rank, i in enumerate(sorted(cluster))
    }
    return [ups[i] for i in range(len(places))]


def _draw_rung(axes: HouseAxes, places: Sequence[float], y: float, kind: str) -> None:
    """Draw the marks of one variant, the first on top, and the line that joins them."""
    stroke(axes, [min(places), max(places)], [y, y], COLOURS[kind], 2.2, zorder=3)
    ups = dodged(places)
    for which in reversed(range(len(places))):
        _draw_mark(axes, places[which], y + ups[which], which, kind)


def _draw_mark(axes: HouseAxes, x: float, y: float, which: int, kind: str) -> None:
    (marker, hollow), colour = SHAPES[which], COLOURS[kind]
    if hollow:
        ring(axes, x, y, colour, 8, marker=marker, markerfacecolor="white", zorder=6)
    else:
        spot(axes, x, y, marker, colour, 8)


def _draw_key(axes: HouseAxes, marks: Sequence[str], x: float, y: float, kind: str) -> None:
    """Draw what each mark is, in a row under the title."""
    for j, name in enumerate(marks):
        _draw_mark(axes, x + 0.07, y, j, kind)
        write(axes, x + 0.2, y, name)
        x += text_size(name)[0] + 0.45
