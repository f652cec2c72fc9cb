"""The breakdown: where time, bytes, joules or dollars go, in parts that sum to the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiinfra.results import Quantity
from aiinfra.show.canvas import HouseAxes, finish, house_rc, new_axes, write
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import leader
from aiinfra.show.style import INK, TEXT, known_kind
from aiinfra.show.timelines import block, write_on
from aiinfra.show.words import join_sources, sentence
from aiinfra.units import format_quantity

BAR, TOTAL_ROOM, NAME_ROOM = 0.5, 1.15, 1.35  # inches
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


def breakdown(parts: Sequence[Part] | Mapping[str, Sequence[Part]], title: str, *,
              unit: str = "", source: str = "", same_width: bool = False,
              alt: str | None = None) -> HouseAxes:  # fmt: skip
    """Draw parts (label, quantity, kind) as one stacked bar, or several from a mapping by name.

    Bars share one scale, or each fills the width with ``same_width=True``. Every part is named
    with its amount and share, in the bar where it fits and under it where not; the whole stands
    at the right. Plain numbers are in ``unit``. Raises ``ValueError`` for negative parts.
    """
    bars = dict(parts) if isinstance(parts, Mapping) else {"": parts}
    unit = next((p[1].unit for b in bars.values() for p in b if isinstance(p[1], Quantity)), unit)
    names = {name: wrap(name, NAME_ROOM) for name in bars}
    left = max(text_size(text)[0] for text in names.values()) + 0.12 if any(names) else 0.0
    wholes = {name: _whole(name, bar) for name, bar in bars.items()}
    right = max(text_size(format_quantity(w, unit), bold=True)[0] for w in wholes.values()) + 0.12
    width = new_axes("", "", 1, left=left, right=right).size[0]
    longest = max(wholes.values())
    drawn = {name: _pieces(bar, width if same_width else width * wholes[name] / longest, unit)
             for name, bar in bars.items()}  # fmt: skip
    below = {name: _band(pieces, width) for name, pieces in drawn.items()}
    height = sum(BAR + band + 0.16 for band in below.values())
    sources = [p[1].source for b in bars.values() for p in b if isinstance(p[1], Quantity)]
    axes = new_axes(title, join_sources([*sources, source]), height, left=left, right=right,
                    above=0.14, below=0.0)  # fmt: skip
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    with house_rc():
        base = height
        for name, pieces in drawn.items():
            base -= BAR
            write(axes, -left, base + BAR / 2, names[name])
            _draw_bar(axes, pieces, base, width)
            end = max(piece.left + piece.width for piece in pieces)
            write(axes, end + 0.1, base + BAR / 2, format_quantity(wholes[name], unit), bold=True)
            base -= below[name] + 0.16
    return finish(axes, alt or describe(bars, title, unit))


def describe(bars: Mapping[str, Sequence[Part]], title: str, unit: str) -> str:
    """Say in sentences what each bar is made of."""
    said = []
    for name, bar in bars.items():
        whole = _whole(name, bar)
        items = [f"{label} {format_quantity(float(value), unit)} ({percent(float(value) / whole)})"
                 for label, value, _ in bar]  # fmt: skip
        head = f"{name}: " if name else ""
        said.append(f"{head}{format_quantity(whole, unit)} in all: {', '.join(items)}")
    return sentence(title, *said)


def percent(share: float) -> str:
    """Write a share of the whole: "34 %", "0.4 %"."""
    return f"{share * 100:.0f} %" if share >= 0.0095 else f"{share * 100:.2g} %"


def _whole(name: str, bar: Sequence[Part]) -> float:
    values = [float(value) for _, value, _ in bar]
    if not values or min(values) < 0 or sum(values) <= 0:
        raise ValueError(f"the parts of {name or 'a breakdown'} must be positive and sum to more than 0")
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
    return [piece for piece in pieces if not piece.inside or piece.words.count("\n") > 1]


def _rows(outside: Sequence[Piece], width: float) -> list[list[Piece]]:
    """Deal the labels that stand under a bar into rows none of which is wider than the figure."""
    rows: list[list[Piece]] = [[]]
    for piece in outside:
        used = sum(text_size(p.words)[0] + 0.2 for p in rows[-1])
        if rows[-1] and used + text_size(piece.words)[0] > width:
            rows.append([])
        rows[-1].append(piece)
    return rows if outside else []


def _band(pieces: Sequence[Piece], width: float) -> float:
    """Inches needed under a bar for the labels that do not fit into it."""
    rows = _rows(_outside(pieces), width)
    return sum(max(text_size(p.words)[1] for p in row) + 0.16 for row in rows)


def _draw_bar(axes: HouseAxes, pieces: Sequence[Piece], base: float, width: float) -> None:
    outside = _outside(pieces)
    for piece in pieces:
        block(axes, piece.left, base, max(piece.width, 0.012), BAR, piece.kind)
        if piece not in outside:
            write_on(axes, piece.middle, base + BAR / 2, piece.words, piece.kind)
    top = base
    for row in _rows(outside, width):
        sizes = [text_size(piece.words)[0] for piece in row]
        middles = spread_out([piece.middle for piece in row], sizes, 0, width, gap=0.16)
        for piece, middle in zip(row, middles, strict=True):
            leader(axes, (piece.middle, base), (middle, top - 0.12))
            write(axes, middle, top - 0.14, piece.words, ha="center", va="top",
                  colour=INK[piece.kind] or TEXT, multialignment="center")  # fmt: skip
        top -= max(text_size(piece.words)[1] for piece in row) + 0.16
