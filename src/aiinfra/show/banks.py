"""The banks of shared memory: which lane of a request meets which other at the same bank."""

from __future__ import annotations

from dataclasses import dataclass

from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import text_size
from aiinfra.show.marks import Look, Place, boxes, write
from aiinfra.show.requests import (
    COUNTED,
    Request,
    Requests,
    hatched,
    labelled,
    legend,
)
from aiinfra.show.style import COLOURS, INK, INNER, MUTED, TICK_SIZE, words_on
from aiinfra.show.words import sentence

BANKS, BANK_BYTES = 32, 4
LEFT, HEAD, FOOT = 0.62, 0.3, 0.34  # inches: names of the passes, label, bank numbers
TALLEST, ROW = 3.2, 0.24  # inches: the longest stack, a pass at most
READABLE = 0.18  # inches: a pass with room for the numbers of its lanes


@dataclass(frozen=True)
class Word:
    """A word of shared memory that lanes ask for, and where and when it is served."""

    bank: int  # the first bank that it lies in
    banks: int  # how many it spans: two of them for 8-byte elements
    turn: int  # the pass that serves it, from 0
    lanes: tuple[int, ...]  # several lanes share one word without a conflict


def words_of(request: Request) -> list[Word]:
    """Lay a request on banks and passes, as ``wavefronts`` of the report counts them.

    A pass takes one word from each bank. Elements of 8 bytes are served half a warp at a time,
    of 16 bytes a quarter; twice that in a load where neighbours read the same. Source: CUDA C++
    Programming Guide, "Shared Memory", and the interpreter's ``counters``.
    """
    width = max(BANK_BYTES, request.itemsize)
    group = BANKS * BANK_BYTES // width
    part = 2 * group if width > BANK_BYTES and _in_pairs(request) else group
    served: dict[tuple[int, int], list[int]] = {}
    for lane, address in zip(request.lanes, request.addresses, strict=True):
        served.setdefault((lane // part, address // width), []).append(lane)
    found: list[Word] = []
    first = last = -1
    heights: dict[int, int] = {}
    for (part, word), lanes in sorted(served.items()):
        if part != first:
            first, base, heights = part, last + 1, {}
        unit = word % group
        turn = base + heights.get(unit, 0)
        heights[unit] = heights.get(unit, 0) + 1
        last = max(last, turn)
        banks = BANKS // group
        found.append(Word(unit * banks, banks, turn, tuple(lanes)))
    return found


def _in_pairs(request: Request) -> bool:
    """Whether a load's lanes n and n ^ 1 all read one address, or all n and n ^ 2."""
    asked = dict(zip(request.lanes, request.addresses, strict=True))
    pairs = [{asked.get(lane ^ far, at) == at for lane, at in asked.items()} for far in (1, 2)]
    return request.action == "load" and {True} in pairs


@house_style
def bank_map(
    requests: Requests, title: str, *, source: str = COUNTED, alt: str | None = None
) -> HouseAxes:
    """Draw the 32 banks and the lanes that a request of one warp stacks upon them.

    ``requests`` is a report of a launch (its first shared request), one of its accesses, or a
    mapping from labels to these: one panel each, on one scale, so that height is time. A row is
    a pass over the banks; a bank that serves nobody in it is hatched. Raises ``ValueError``
    where there is no request to shared memory.
    """
    named = labelled(requests, "shared")
    maps = {label: words_of(request) for label, request in named.items()}
    turns = {label: 1 + max(word.turn for word in words) for label, words in maps.items()}
    row = min(ROW, TALLEST / max(turns.values()))
    panels = [HEAD + row * count + FOOT for count in turns.values()]
    height = sum(panels) + 0.3
    axes = new_axes(title, source, height, left=LEFT, above=0.1, below=0.0)
    axes.set(xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    top = height
    for (label, words), tall in zip(maps.items(), panels, strict=True):
        _draw_panel(axes, top, label, words, row)
        top -= tall
    lane = "a bank serves the lane" if row >= READABLE else "a bank serves a lane"
    legend(axes, -LEFT, 0.1, [(lane, "gpu"), ("a bank serves nobody", "waste")])
    told = [f"{label}: {told_of(words)}" for label, words in maps.items()]
    return finish(axes, alt or sentence(title, *told))


def told_of(words: list[Word]) -> str:
    """Say how long a request takes: "32 lanes in 1 pass, no conflict"."""
    turns = 1 + max(word.turn for word in words)
    lanes = sum(len(word.lanes) for word in words)
    least = len({word.lanes[0] * word.banks // BANKS for word in words})
    ways = "no conflict" if turns == least else f"{turns // least}-way conflict"
    asked = f"{lanes} lanes" + (
        f", {len(words)} word{'s' * (len(words) > 1)}" if len(words) < lanes else ""
    )
    return f"{asked} in {turns} pass{'es' * (turns > 1)}, {ways}"


def _draw_panel(axes: HouseAxes, top: float, label: str, words: list[Word], row: float) -> None:
    room = INNER - LEFT
    turns, pitch = 1 + max(word.turn for word in words), room / BANKS
    write(axes, -LEFT, top - 0.1, label, bold=True)
    write(axes, room, top - 0.1, told_of(words), colour=INK["gpu"], ha="right")
    base = top - HEAD
    hatched(axes, [(0, base - turns * row, room, turns * row)])
    places = [_place(word, base, pitch, row) for word in words]
    rim = min(0.8, row * 8)
    boxes(axes, places, COLOURS["gpu"], edgecolor="white", linewidth=rim)
    for word, (x, y, wide, tall) in zip(words, places, strict=True):
        text = f"{word.lanes[0]}" if len(word.lanes) == 1 else f"{len(word.lanes)} lanes"
        if row >= READABLE and text_size(text, TICK_SIZE)[0] <= wide - 0.01:
            look: Look = {"ha": "center", "size": TICK_SIZE, "zorder": 6}
            write(axes, x + wide / 2, y + tall / 2, text, colour=words_on("gpu"), **look)
    shown = range(turns) if row >= READABLE else sorted({0, turns - 1})
    for turn in shown:
        y = base - (turn + 0.5) * row
        write(axes, -0.08, y, f"pass {turn + 1}", colour=MUTED, size=TICK_SIZE, ha="right")
    for bank in (0, 8, 16, 24, 31):
        place = (0.0, "left") if bank == 0 else ((bank + 0.5) * pitch, "center")
        text = "bank 0" if bank == 0 else f"{bank}"
        y = base - turns * row - 0.12
        write(axes, place[0], y, text, colour=MUTED, size=TICK_SIZE, ha=place[1])


def _place(word: Word, base: float, pitch: float, row: float) -> Place:
    return word.bank * pitch, base - (word.turn + 1) * row, word.banks * pitch, row
