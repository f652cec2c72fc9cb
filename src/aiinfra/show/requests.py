"""What the kernel figures are drawn from: requests of warps, as the interpreter reports them.

``Request`` and ``Launch`` name the attributes that the figures read, so that this room needs no
other. Here too are the marks that the kernel figures share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiinfra.show.canvas import HouseAxes
from aiinfra.show.layout import text_size
from aiinfra.show.marks import Place, boxes, write
from aiinfra.show.style import COLOURS, MUTED

LANES = 32
COUNTED = "counted by the interpreter, by the rules stated here"
WASTE, WASTE_LINES = "#F6F6F6", "#B9B9B9"  # idle and waste: pale, hatched


class Request(Protocol):
    """One memory instruction of one warp; addresses are byte offsets, one for each lane."""

    @property
    def array(self) -> str: ...
    @property
    def space(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def block(self) -> int | tuple[int, ...]: ...
    @property
    def warp(self) -> int: ...
    @property
    def lanes(self) -> Sequence[int]: ...
    @property
    def addresses(self) -> Sequence[int]: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def sectors(self) -> int: ...
    @property
    def wavefronts(self) -> int: ...


class Launch(Protocol):
    """A report of a launch: its block size and its requests in the order of execution."""

    @property
    def block(self) -> int | tuple[int, ...]: ...
    @property
    def accesses(self) -> Sequence[Request]: ...


Requests = Request | Launch | Mapping[str, Request | Launch]


def labelled(requests: Requests, space: str) -> dict[str, Request]:
    """Requests by label; of a launch, the first request to ``space`` ("global" or "shared").

    Raises ``ValueError`` when there is none.
    """
    if isinstance(requests, Mapping):
        named = {label: _first(one, space) for label, one in requests.items()}
    else:
        only = _first(requests, space)
        named = {f"{only.action} of {only.array}": only}
    if not named:
        raise ValueError("no request to draw; pass a report or one of its accesses")
    return named


def _first(one: Request | Launch, space: str) -> Request:
    rows: Sequence[Request] = one.accesses if hasattr(one, "accesses") else [one]
    for row in rows:
        if row.space == space:
            return row
    raise ValueError(
        f"no request to {space} memory here; look at report.accesses for what there is"
    )


def hatched(axes: HouseAxes, places: Sequence[Place], zorder: float = 2) -> None:
    """Draw rectangles of waste or idleness: pale and hatched."""
    boxes(axes, places, WASTE, hatch="////", edgecolor=WASTE_LINES, zorder=zorder)


def legend(axes: HouseAxes, x: float, y: float, entries: Sequence[tuple[str, str]]) -> None:
    """Write (label, kind) entries in a row at height ``y``; kind "waste" is pale and hatched."""
    for label, kind in entries:
        place = [(x, y - 0.08, 0.22, 0.16)]
        if kind == "waste":
            hatched(axes, place)
        else:
            boxes(axes, place, COLOURS[kind])
        write(axes, x + 0.29, y, label, colour=MUTED)
        x += text_size(label)[0] + 0.55
