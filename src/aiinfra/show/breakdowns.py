"""The breakdown: where time, bytes, joules or dollars go, in parts that sum to the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiinfra.results import Quantity
from aiinfra.show.canvas import HouseAxes, finish, house_rc, new_axes, write
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import leader
from aiinfra.show.strokes import block
from aiinfra.show.style import INK, MARGIN, WIDTH, known_kind
from aiinfra.show.timelines import write_on
from aiinfra.show.words import join_sources, percent, sentence
from aiinfra.units import format_quantity

BAR, KEY, NAME_ROOM = 0.5, 0.25, 1.35  # inches
Part = tuple[str, Quantity | float, str]  # label, how much, kind


@dataclass(frozen=True)
class Piece:
    """One part as drawn, in inches from the left of its bar."""

    label: str
    value: float
    share: float
    kind: str
    left: float
    width: float
    words: str

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    @property
    def inside(self) -> bool:
        """Whether its words fit into the bar."""
        return text_size(self.words, bold=True)[0] + 0.12 <= self.width


def breakdown(
    parts: Sequence[Part] | Mapping[str, Sequence[Part]],
    title: str,
    *,
    unit: str = "",
    source: str = "",
    same_width: bool = False,
    alt: str | None = None,
) -> HouseAxes:
    """Draw parts (label, quantity, kind) as one stacked bar, or several from a mapping by name.

    Bars share one scale, or each fills the width with ``same_width=True``. Every part is named
    with its amount and share, in the bar where it fits and under it where not; the whole stands
    at the right. Plain numbers are in ``unit``. Raises ``ValueError`` for negative parts.
    """
    bars = dict(parts) if isinstance(parts, Mapping) else {"": parts}
    known = [p[1] for bar in bars.values() for p in bar if isinstance(p[1], Quantity)]
    unit = known[0].unit if known else unit
    names = {name: wrap(name, NAME_ROOM) for name in bars}
    left = max(text_size(text)[0] for text in names.values()) + 0.12 if any(names) else 0.0
    wholes = {name: _whole(name, bar) for name, bar in bars.items()}
    totals = {name: format_quantity(whole, unit) for name, whole in wholes.items()}
    right = max(text_size(text, bold=True)[0] for text in totals.values()) + 0.12
    width = WIDTH - 2 * MARGIN - left - right
    drawn = {}
    for name, bar in bars.items():
        share = 1.0 if same_width else wholes[name] / max(wholes.values())
        drawn[name] = _pieces(bar, width * share, unit)
    below = {name: _band(pieces, width) + 0.16 for name, pieces in drawn.items()}
    height = sum(BAR + band for band in below.values())
    sources = join_sources([*(q.source for q in known), source])
    axes = new_axes(title, sources, height, left=left, right=right, above=0.14, below=0.0)
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    with house_rc():
        base = height
        for name, pieces in drawn.items():
            base -= BAR
            write(axes, -left, base + BAR / 2, names[name])
            end = _draw_bar(axes, pieces, base, width)
            write(axes, end + 0.1, base + BAR / 2, totals[name], bold=True)
            base -= below[name]
    return finish(axes, alt or describe(bars, title, unit))


def describe(bars: Mapping[str, Sequence[Part]], title: str, unit: str) -> str:
    """Say in sentences what each bar is made of."""
    said = []
    for name, bar in bars.items():
        whole = _whole(name, bar)
        items = [
            f"{label} {format_quantity(float(value), unit)} ({percent(float(value) / whole)})"
            for label, value, _ in bar
        ]
        head = f"{name}: " if name else ""
        said.append(f"{head}{format_quantity(whole, unit)} in all: {', '.join(items)}")
    return sentence(title, *said)


def _whole(name: str, bar: Sequence[Part]) -> float:
    values = [float(value) for _, value, _ in bar]
    if not values or min(values) < 0 or sum(values) <= 0:
        raise ValueError(
            f"the parts of {name or 'a breakdown'} must be positive and sum to more than 0"
        )
    return sum(values)


def _pieces(bar: Sequence[Part], width: float, unit: str) -> list[Piece]:
    whole, left, pieces = sum(float(value) for _, value, _ in bar), 0.0, []
    for label, value, kind in bar:
        share = float(value) / whole
        amount = f"{format_quantity(float(value), unit)} ({percent(share)})"
        words = f"{wrap(label, 1.7)}\n{amount}"
        wide = share * width
        pieces.append(Piece(label, float(value), share, known_kind(kind), left, wide, words))
        left += wide
    return pieces


def _outside(pieces: Sequence[Piece]) -> list[Piece]:
    return [p for p in pieces if p.value > 0 and (not p.inside or p.words.count("\n") > 1)]


def _one_row(outside: Sequence[Piece], width: float) -> bool:
    return sum(text_size(piece.words)[0] + 0.16 for piece in outside) <= width + 0.16


def _key(outside: Sequence[Piece], width: float) -> list[list[tuple[float, Piece]]]:
    """Deal labels that have no room for leader lines into rows of a key, in the bar's order."""
    column = min(width, max(text_size(_line(piece))[0] for piece in outside) + 0.55)
    each = max(1, int((width + 0.3) // column))
    return [
        [(i * column, piece) for i, piece in enumerate(outside[start : start + each])]
        for start in range(0, len(outside), each)
    ]


def _line(piece: Piece) -> str:
    return f"{piece.label} {piece.words.rsplit(chr(10), 1)[-1]}"


def _band(pieces: Sequence[Piece], width: float) -> float:
    """Inches needed under a bar for the labels that do not fit into it."""
    outside = _outside(pieces)
    if not outside:
        return 0.0
    if _one_row(outside, width):
        return max(text_size(piece.words)[1] for piece in outside) + 0.16
    return len(_key(outside, width)) * KEY + 0.1


def _draw_bar(axes: HouseAxes, pieces: Sequence[Piece], base: float, width: float) -> float:
    """Draw one bar with its labels; return where it ends."""
    end = max(piece.left + piece.width for piece in pieces)
    outside = _outside(pieces)
    for piece in pieces:
        if piece.value > 0:
            block(axes, piece.left, base, max(piece.width, 0.012), BAR, piece.kind)
        if piece not in outside and piece.value > 0:
            write_on(axes, piece.middle, base + BAR / 2, piece.words, piece.kind)
    if not _one_row(outside, width):
        for i, row in enumerate(_key(outside, width)):
            for x, piece in row:
                y = base - 0.1 - (i + 0.5) * KEY
                block(axes, x, y - 0.08, 0.2, 0.16, piece.kind)
                write(axes, x + 0.27, y, wrap(_line(piece), width - 0.3), colour=INK[piece.kind])
        return end
    sizes = [text_size(piece.words)[0] for piece in outside]
    middles = spread_out([piece.middle for piece in outside], sizes, 0, width, gap=0.16)
    for piece, middle in zip(outside, middles, strict=True):
        leader(axes, (piece.middle, base), (middle, base - 0.12))
        write(
            axes,
            middle,
            base - 0.14,
            piece.words,
            ha="center",
            va="top",
            colour=INK[piece.kind],
            multialignment="center",
        )
    return end
