"""What figures are made of: words, lines, markers and blocks, placed in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text

from aiinfra.show.canvas import HouseAxes
from aiinfra.show.layout import text_size
from aiinfra.show.style import COLOURS, HATCHES, INK, LABEL_SIZE, TEXT, tint, words_on

KEY = 0.25  # inches: a row of a key
Place = tuple[float, float, float, float]  # left, bottom, width, height in inches
Look = dict[str, Any]  # properties of a matplotlib artist
Drawn = TypeVar("Drawn", bound=Artist)


def write(
    axes: HouseAxes,
    x: float,
    y: float,
    text: str,
    *,
    colour: str = TEXT,
    bold: bool = False,
    patch: str = "",
    **more: Any,
) -> Text:
    """Write words, on a ``patch`` of a colour where they cross lines or hatching."""
    look = {"ha": "left", "va": "center", "size": LABEL_SIZE, "linespacing": 1.2, **more}
    look["weight"] = "bold" if bold else "normal"
    if patch:
        look["bbox"] = {"facecolor": patch, "edgecolor": "none", "pad": 1.0}
    return axes.text(x, y, text, color=colour, transform=axes.inches, clip_on=False, **look)


def write_on(axes: HouseAxes, x: float, y: float, text: str, kind: str, ha: str = "center") -> None:
    """Write bold words on a block, on a patch without hatching."""
    fill, ink = COLOURS[kind], words_on(kind)
    write(axes, x, y, text, bold=True, colour=ink, patch=fill, ha=ha, zorder=6)


def stroke(axes: HouseAxes, x: Any, y: Any, colour: str, width: float = 0.9, **more: Any) -> Line2D:
    """Draw a line through places that never rescales the axes."""
    look = {"zorder": 2, "solid_capstyle": "butt", "transform": axes.inches, "clip_on": False}
    look |= more
    return _placed(axes, Line2D(x, y, color=colour, linewidth=width, **look))


def _placed(axes: HouseAxes, mark: Drawn) -> Drawn:
    """Add a mark without asking for its data limits, which inches do not have."""
    axes.add_artist(mark)
    return mark


def leader(axes: HouseAxes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a thin line from a point to its label."""
    stroke(axes, [start[0], end[0]], [start[1], end[1]], "#8A8A8A", 0.8, zorder=8)


def spot(
    axes: HouseAxes, x: Any, y: Any, marker: str, colour: str, size: float, **more: Any
) -> Line2D:
    """Draw markers, solid with a white rim."""
    look: Look = {"marker": marker, "linestyle": "none", "markersize": size, "zorder": 6}
    look |= {"markeredgecolor": "white", "markeredgewidth": 1.0, "clip_on": False} | more
    places = np.atleast_1d(x), np.atleast_1d(y)
    return _placed(axes, Line2D(*places, color=colour, transform=axes.inches, **look))


def ring(axes: HouseAxes, x: Any, y: Any, colour: str, size: float, **more: Any) -> Line2D:
    """Draw an open circle around a place."""
    rim = {"markeredgecolor": colour, "markeredgewidth": 1.6, "markerfacecolor": "none", **more}
    return spot(axes, x, y, rim.pop("marker", "o"), colour, size, **rim)


def panel(
    axes: HouseAxes, x: float, y: float, width: float, height: float, fill: str, **more: Any
) -> Rectangle:
    """Draw a rectangle without a border; ``edgecolor`` is the colour of its hatching."""
    look = {"edgecolor": "none", "linewidth": 0, "zorder": 1.5, "clip_on": False, **more}
    made = Rectangle((x, y), width, height, facecolor=fill, transform=axes.inches, **look)
    return _placed(axes, made)


def block(axes: HouseAxes, x: float, y: float, width: float, height: float, kind: str) -> Rectangle:
    """Draw a rectangle in the colour and the faint hatch of a kind."""
    fill = COLOURS[kind]
    look: Look = {"hatch": HATCHES[kind], "edgecolor": tint(fill), "zorder": 3}
    return panel(axes, x, y, width, height, fill, **look)


def boxes(axes: HouseAxes, places: Sequence[Place], fill: str, **more: object) -> PathPatch:
    """Draw many rectangles as one mark, which is quick."""
    x, y, width, height = np.asarray(places, float).reshape(-1, 4).T
    right, top = x + width, y + height
    corners = [(x, y), (right, y), (right, top), (x, top), (x, y)]
    points = np.array(corners).transpose(2, 0, 1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY], len(x)).astype(np.uint8)
    look = {"edgecolor": "none", "linewidth": 0, "zorder": 3, "clip_on": False, **more}
    made = PathPatch(Path(points, codes), facecolor=fill, transform=axes.inches, **look)
    return _placed(axes, made)


def rimmed(axes: HouseAxes, places: Sequence[Place], kind: str) -> None:
    """Draw blocks of one kind, each with a white rim that parts it from its neighbours."""
    fill = COLOURS[kind]
    boxes(axes, places, fill, hatch=HATCHES[kind], edgecolor=tint(fill))
    for line in {min(1.2, width * 24) for _, _, width, _ in places}:
        alike = [place for place in places if min(1.2, place[2] * 24) == line]
        boxes(axes, alike, "none", edgecolor="white", linewidth=line, zorder=4)


def key_rows(labels: Sequence[str], room: float) -> list[tuple[int, float]]:
    """Row and left end of each label of a key ``room`` inches wide."""
    places, row, x = [], 0, 0.0
    for width in (text_size(label)[0] + 0.5 for label in labels):
        if x and x + width > room:
            row, x = row + 1, 0.0
        places.append((row, x))
        x += width
    return places


def draw_key(axes: HouseAxes, entries: Sequence[tuple[str, str]], room: float, top: float) -> None:
    """Draw (label, kind) entries downwards from ``top``, each behind a block of its kind."""
    places = key_rows([label for label, _ in entries], room)
    for (label, kind), (row, x) in zip(entries, places, strict=True):
        y = top - (row + 0.5) * KEY
        block(axes, x, y - 0.08, 0.22, 0.16, kind)
        write(axes, x + 0.29, y, label, colour=INK[kind])
