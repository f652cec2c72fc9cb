"""The picture: a two-dimensional array as an image, with a named colour bar and a zoom."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle

from aiinfra.show.canvas import HouseAxes, finish, house_rc, new_axes, write
from aiinfra.show.strokes import stroke
from aiinfra.show.style import MARGIN, MUTED, RULE, TEXT, TICK_SIZE, WIDTH
from aiinfra.show.words import plain, sentence

BAR_ROOM, TALLEST = 1.1, 4.2  # inches


def image(
    array: Any,
    title: str,
    *,
    label: str = "",
    source: str = "",
    log: bool = False,
    zoom: tuple[int, int, int, int] | None = None,
    alt: str | None = None,
) -> HouseAxes:
    """Draw a 2-D array of numbers, row 0 on top; brighter is more, ``label`` names the unit.

    ``zoom`` = (row, column, rows, columns) frames a part and shows it enlarged at the right.
    Colours run evenly from dark to bright (viridis), so they also read in grey. Raises
    ``ValueError`` when the array is not 2-D.
    """
    data = np.asarray(array, float)
    if data.ndim != 2 or data.size == 0:
        raise ValueError(f"image needs a 2-D array, this one has shape {np.shape(array)}")
    panels = 2 if zoom else 1
    room = WIDTH - 2 * MARGIN - BAR_ROOM - 0.25 * (panels - 1)
    width = min(room / panels, TALLEST * data.shape[1] / data.shape[0])
    height = min(max(width * data.shape[0] / data.shape[1], 0.5), TALLEST)
    norm = _norm(data, log)
    right = WIDTH - 2 * MARGIN - width
    axes = new_axes(title, source, height, left=0.0, right=right, above=0.12, below=0.05)
    with house_rc():
        _show(axes, data, norm)
        end = width
        if zoom is not None:
            end = 2 * width + 0.25
            _draw_zoom(axes, data, zoom, norm, width)
        _draw_bar(axes, norm, end + 0.18, label)
    return finish(axes, alt or describe(data, title, label, zoom))


def describe(data: Any, title: str, label: str, zoom: Any) -> str:
    """Say in a sentence the size of the picture and the range of its values."""
    rows, columns = data.shape
    words = f"{label} " if label else "values "
    text = f"A picture of {columns} by {rows} cells: {words}from {plain(float(np.nanmin(data)))}"
    part = f"; the part at row {zoom[0]}, column {zoom[1]} is shown enlarged" if zoom else ""
    return sentence(title, f"{text} to {plain(float(np.nanmax(data)))}{part}")


def _norm(data: Any, log: bool) -> Normalize:
    low, high = float(np.nanmin(data)), float(np.nanmax(data))
    if log and high > 0:
        low = float(np.min(data[data > 0]))
        return LogNorm(low, high if high > low else low * 10, clip=True)
    return Normalize(low, high if high > low else low + 1)


def _show(axes: Any, data: Any, norm: Normalize) -> None:
    big = max(data.shape) > 300  # more cells than pixels: average; fewer: keep cells sharp
    axes.imshow(
        data,
        cmap="viridis",
        norm=norm,
        aspect="auto",
        interpolation="antialiased" if big else "nearest",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _draw_zoom(
    axes: HouseAxes, data: Any, zoom: tuple[int, int, int, int], norm: Normalize, width: float
) -> None:
    row, column, rows, columns = zoom
    box = axes.get_position()
    step = (width + 0.25) / WIDTH
    inset = axes.whole.add_axes((box.x0 + step, box.y0, box.width, box.height))
    _show(inset, data[row : row + rows, column : column + columns], norm)
    for edge in inset.spines.values():
        edge.set(visible=True, color=TEXT, linewidth=1.6)
    corner = (column - 0.5, row - 0.5)
    for colour, line in (("white", 3.4), (TEXT, 1.6)):
        axes.add_patch(
            Rectangle(
                corner, columns, rows, facecolor="none", edgecolor=colour, linewidth=line, zorder=5
            )
        )
    right = (column + columns - 0.5 + 0.5) / data.shape[1] * width
    for share, y in ((1 - row / data.shape[0], 1.0), (1 - (row + rows) / data.shape[0], 0.0)):
        height = axes.size[1]
        stroke(axes, [right, width + 0.25], [share * height, y * height], RULE)


def _draw_bar(axes: HouseAxes, norm: Normalize, left: float, label: str) -> None:
    figure, height = axes.whole, axes.size[1]
    total = figure.get_size_inches()[1]
    long = min(height - 0.3, 2.2)
    bottom = axes.get_position().y0 + (height - 0.3 - long) / total
    spot = ((MARGIN + left) / WIDTH, bottom, 0.16 / WIDTH, long / total)
    bar_axes = figure.add_axes(spot)
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), cax=bar_axes)
    bar.outline.set_visible(False)
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 1.0)
    middle = (low * high) ** 0.5 if isinstance(norm, LogNorm) else (low + high) / 2
    values = [low, float(f"{middle:.2g}"), high] if long > 0.8 else [low, high]
    bar.set_ticks(values, labels=[plain(float(f"{v:.3g}")) for v in values])
    bar.ax.tick_params(labelsize=TICK_SIZE, labelcolor=MUTED, length=0)
    bar.minorticks_off()
    write(axes, left, height - 0.1, label, colour=MUTED, gid="axis")
