"""The breakdown: where time, bytes, joules or dollars go, in parts that sum to the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiinfra.results import Quantity
from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import KEY, Look, draw_key, key_rows, leader, rimmed, write, write_on
from aiinfra.show.style import INK, INNER, known_kind
from aiinfra.show.words import join_sources, percent, sentence
from aiinfra.units import format_quantity

BAR, SPACE, NAME_ROOM = 0.5, 0.16, 1.35  # inches
Part = tuple[str, Quantity | float, str]  # label, how much, kind


@dataclass(frozen=True)
class Piece:
    """One part as drawn, in inches from the left of its bar."""

    label: str
    amount: str
    kind: str
    left: float
    width: float

    @property
    def words(self) -> str:
        """Its label on two lines."""
        return f"{self.label}\n{self.amount}"

    @property
    def inside(self) -> bool:
        """Whether its words fit into the bar."""
        return text_size(self.words, bold=True)[0] + 0.12 <= self.width


@house_style
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
    wholes = {name: _whole(name, bar) for name, bar in bars.items()}
    totals = {name: format_quantity(whole, unit) for name, whole in wholes.items()}
    names = {name: wrap(name, NAME_ROOM) for name in bars}
    left = max(text_size(text)[0] for text in names.values()) + 0.12 * any(names)
    right = max(text_size(text, bold=True)[0] for text in totals.values()) + 0.12
    room = INNER - left - right
    pieces = {
        name: _pieces(bar, unit, room * (1 if same_width else whole / max(wholes.values())))
        for (name, bar), whole in zip(bars.items(), wholes.values(), strict=True)
    }
    height = sum(BAR + SPACE + _band(drawn, room) for drawn in pieces.values())
    sources = join_sources([*(q.source for q in known), source])
    axes = new_axes(title, sources, height, left=left, right=right, above=0.14, below=0.0)
    axes.set_axis_off()
    base = height
    for name, drawn in pieces.items():
        base -= BAR
        write(axes, -left, base + BAR / 2, names[name])
        end = _draw_bar(axes, drawn, base)
        write(axes, end + 0.1, base + BAR / 2, totals[name], bold=True)
        base -= SPACE + _band(drawn, room)
    return finish(axes, alt or describe(pieces, totals, title))


def describe(pieces: Mapping[str, Sequence[Piece]], totals: Mapping[str, str], title: str) -> str:
    """Say in sentences what each bar is made of."""
    said = []
    for name, drawn in pieces.items():
        items = ", ".join(f"{piece.label} {piece.amount}" for piece in drawn)
        said.append(f"{name}: " * bool(name) + f"{totals[name]} in all: {items}")
    return sentence(title, *said)


def _whole(name: str, bar: Sequence[Part]) -> float:
    values = [float(value) for _, value, _ in bar]
    if not values or min(values) < 0 or sum(values) <= 0:
        raise ValueError(f"the parts of {name or 'a breakdown'} must be positive, their sum too")
    return sum(values)


def _pieces(bar: Sequence[Part], unit: str, width: float) -> list[Piece]:
    whole, left, pieces = sum(float(value) for _, value, _ in bar), 0.0, []
    for label, value, kind in bar:
        share = float(value) / whole
        amount = f"{format_quantity(float(value), unit)} ({percent(share)})"
        pieces.append(Piece(label, amount, known_kind(kind), left, share * width))
        left += share * width
    return pieces


def _outside(pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.width > 0 and not piece.inside]


def _one_row(outside: Sequence[Piece], room: float) -> bool:
    return sum(text_size(piece.words)[0] + 0.16 for piece in outside) <= room + 0.16


def _entries(outside: Sequence[Piece]) -> list[tuple[str, str]]:
    return [(f"{piece.label} {piece.amount}", piece.kind) for piece in outside]


def _band(pieces: Sequence[Piece], room: float) -> float:
    """Inches needed under a bar for the labels that do not fit into it."""
    outside = _outside(pieces)
    if not outside:
        return 0.0
    if _one_row(outside, room):
        return text_size("label\namount")[1] + 0.16
    return (key_rows([label for label, _ in _entries(outside)], room)[-1][0] + 1) * KEY + 0.1


def _draw_bar(axes: HouseAxes, pieces: Sequence[Piece], base: float) -> float:
    """Draw one bar with its labels; return where it ends."""
    room, outside = axes.size[0], _outside(pieces)
    for piece in pieces:
        if piece.width > 0:
            rimmed(axes, [(piece.left, base, max(piece.width, 0.012), BAR)], piece.kind)
        if piece.inside:
            middle = piece.left + piece.width / 2
            write_on(axes, middle, base + BAR / 2, piece.words, piece.kind)
    if not _one_row(outside, room):
        draw_key(axes, _entries(outside), room, base - 0.1)
        return pieces[-1].left + pieces[-1].width
    middles = [piece.left + piece.width / 2 for piece in outside]
    sizes = [text_size(piece.words)[0] for piece in outside]
    places = spread_out(middles, sizes, 0, room, gap=0.16)
    for piece, middle, place in zip(outside, middles, places, strict=True):
        leader(axes, (middle, base), (place, base - 0.12))
        look = Look(ha="center", va="top", multialignment="center")
        write(axes, place, base - 0.14, piece.words, colour=INK[piece.kind], **look)
    return pieces[-1].left + pieces[-1].width
