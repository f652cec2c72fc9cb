"""The warp's sectors: 32 lanes, the bytes they ask for, and the 32-byte pieces that must move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aiinfra.results import Quantity
from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import text_size
from aiinfra.show.marks import Place, boxes, stroke, write
from aiinfra.show.requests import (
    COUNTED,
    LANES,
    Request,
    Requests,
    hatched,
    labelled,
    legend,
)
from aiinfra.show.style import COLOURS, INK, INNER, MUTED, RULE, TICK_SIZE
from aiinfra.show.words import plain, sentence
from aiinfra.units import format_quantity

SECTOR = 32  # bytes
SQUARE, WAY, TALL = 0.15, 0.62, 0.24  # inches: a lane, lanes to memory, a sector
PANEL = 1.72  # inches: head, lanes, lines, sectors, addresses
APART = 0.3  # gap before a sector that does not follow its neighbour, in sectors


@dataclass(frozen=True)
class Strip:
    """The sectors of one request in the order of their addresses, laid on a line."""

    sectors: tuple[int, ...]
    starts: tuple[float, ...]  # in sectors from the left
    used: int  # bytes at distinct addresses

    @property
    def length(self) -> float:
        """Length of the strip in sectors, gaps included."""
        return self.starts[-1] + 1

    @property
    def efficiency(self) -> float:
        """Share of the moved bytes that a lane asked for."""
        return self.used / (SECTOR * len(self.sectors))

    def place(self, address: int) -> float:
        """Where a byte lies, in sectors from the left."""
        return self.starts[self.sectors.index(address // SECTOR)] + address % SECTOR / SECTOR


def used_percent(share: float) -> str:
    """Write a share so that an eighth reads as one: "12.5 %", "100 %"."""
    return f"{plain(100 * share, 3)} %"


def strip_of(request: Request) -> Strip:
    """Lay the sectors that a request touches side by side, parted where memory was skipped."""
    sectors = sorted({address // SECTOR for address in request.addresses})
    starts = [0.0]
    for before, after in pairwise(sectors):
        starts.append(starts[-1] + 1 + (APART if after > before + 1 else 0.0))
    used = request.itemsize * len(set(request.addresses))
    return Strip(tuple(sectors), tuple(starts), used)


@house_style
def warp_sectors(
    requests: Requests,
    title: str,
    *,
    rate: tuple[Quantity, Quantity] | None = None,
    source: str = COUNTED,
    alt: str | None = None,
) -> HouseAxes:
    """Draw the lanes of a warp and the 32-byte sectors that their request moves.

    ``requests`` is a report of a launch (its first global request), one of its accesses, or a
    mapping from labels to these: one panel each, on one scale, so that length is bytes moved.
    Green bytes were asked for, hatched ones came along. ``rate`` = (useful, peak) in B/s adds a
    bar: how much of the memory's bandwidth brings bytes that somebody wanted. Raises
    ``ValueError`` where there is no request to global memory.
    """
    named = labelled(requests, "global")
    strips = {label: strip_of(request) for label, request in named.items()}
    unit = INNER / max(4.0, *(strip.length for strip in strips.values()))
    foot = 0.3 + (0.72 if rate else 0.0)
    height = PANEL * len(named) + foot
    axes = new_axes(title, source, height, above=0.1, below=0.0)
    axes.set(xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    for i, (label, request) in enumerate(named.items()):
        _draw_panel(axes, height - i * PANEL, label, request, strips[label], unit)
    if rate:
        _draw_rate(axes, 0.32, *rate)
    legend(
        axes, 0, 0.1, [("bytes that a lane asks for", "memory"), ("bytes that come along", "waste")]
    )
    told = [f"{label}: {words_of(r, strips[label])}" for label, r in named.items()]
    if rate:
        told.append(rate_words(*rate))
    return finish(axes, alt or sentence(title, *told))


def words_of(request: Request, strip: Strip) -> str:
    """Say what a request moves: "32 lanes, 8 sectors, 50 % of 256 B used"."""
    count, lanes = len(strip.sectors), len(request.lanes)
    return (
        f"{lanes} lane{'s' * (lanes != 1)}, {count} sector{'s' * (count != 1)}, "
        f"{used_percent(strip.efficiency)} of {SECTOR * count:,} bytes used"
    )


def rate_words(useful: Quantity, peak: Quantity) -> str:
    """Say how much bandwidth is left for bytes that somebody wants."""
    one, all_ = (format_quantity(q.value, q.unit) for q in (useful, peak))
    return f"Useful bytes arrive at {one} of {all_}"


def _draw_panel(
    axes: HouseAxes, top: float, label: str, request: Request, strip: Strip, unit: float
) -> None:
    write(axes, 0, top - 0.1, label, bold=True)
    write(axes, INNER, top - 0.1, words_of(request, strip), colour=INK["memory"], ha="right")
    lanes_y, memory_y = top - 0.52, top - 0.52 - WAY - TALL
    pitch = INNER / LANES
    centre = (np.arange(LANES) + 0.5) * pitch
    working = set(request.lanes)
    squares = [(x - SQUARE / 2, lanes_y, SQUARE, SQUARE) for x in centre]
    boxes(axes, [s for i, s in enumerate(squares) if i in working], COLOURS["gpu"])
    if len(working) < LANES:
        hatched(axes, [s for i, s in enumerate(squares) if i not in working])
    for lane in (0, 8, 16, 24, 31):
        text = f"lane {lane}" if lane == 0 else f"{lane}"
        place = (0.0, "left") if lane == 0 else (centre[lane], "center")
        write(axes, place[0], lanes_y + 0.24, text, colour=MUTED, size=TICK_SIZE, ha=place[1])
    left, half = (INNER - strip.length * unit) / 2, request.itemsize / SECTOR / 2
    _draw_strip(axes, left, memory_y, request, strip, unit)
    ends = [left + (strip.place(a) + half) * unit for a in request.addresses]
    x = np.array(
        [[centre[lane], end, np.nan] for lane, end in zip(request.lanes, ends, strict=True)]
    )
    y = np.tile([lanes_y, memory_y + TALL, np.nan], len(ends))
    stroke(axes, x.ravel(), y, COLOURS["gpu"], 0.9, alpha=0.7)


def _draw_strip(
    axes: HouseAxes, left: float, y: float, request: Request, strip: Strip, unit: float
) -> None:
    wide = unit * request.itemsize / SECTOR
    outer = [(left + start * unit, y, unit, TALL) for start in strip.starts]
    hatched(axes, outer)
    addresses = sorted(set(request.addresses))
    cells = [(left + strip.place(a) * unit, y, wide, TALL) for a in addresses]
    rim = 0.8 if wide > 0.06 else 0.0  # stripes would look like waste
    boxes(axes, cells, COLOURS["memory"], edgecolor="white" if rim else "none", linewidth=rim)
    boxes(axes, outer, "none", edgecolor=INK["memory"], linewidth=1.1, zorder=4)
    texts = [f"{'' if i else 'byte '}{s * SECTOR:,}" for i, s in enumerate(strip.sectors)]
    ends = [x + text_size(text, TICK_SIZE)[0] for (x, *_), text in zip(outer, texts, strict=True)]
    every = next(n for n in (1, 2, 4, 8, 16, 32) if _apart(outer[::n], ends[::n]))
    for (x, *_), text in list(zip(outer, texts, strict=True))[::every]:
        write(axes, x, y - 0.12, text, colour=MUTED, size=TICK_SIZE)


def _apart(places: Sequence[Place], ends: Sequence[float]) -> bool:
    """Whether each label ends before the next begins, and all of them in the figure."""
    starts = [x for x, *_ in places[1:]]
    return max(ends) <= INNER and all(b - a >= 0.1 for a, b in zip(ends, starts, strict=False))


def _draw_rate(axes: HouseAxes, y: float, useful: Quantity, peak: Quantity) -> None:
    """A bar as long as the memory's bandwidth, green for bytes that somebody wanted."""
    share = min(1.0, useful.value / peak.value)
    write(axes, 0, y + 0.4, f"{rate_words(useful, peak)} ({used_percent(share)})", bold=True)
    hatched(axes, [(0, y, INNER, TALL)])
    boxes(axes, [(0, y, share * INNER, TALL)], COLOURS["memory"])
    boxes(axes, [(0, y, INNER, TALL)], "none", edgecolor=RULE, linewidth=1.0, zorder=4)
