"""The picture: a two-dimensional array as an image, with a named colour bar and a zoom."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.marks import leader, write
from aiinfra.show.style import INNER, MUTED, TEXT, TICK_SIZE
from aiinfra.show.words import plain, sentence

BAR_ROOM, BETWEEN, TALLEST = 1.1, 0.25, 4.2  # inches


@house_style
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
    panels, tall = 2 if zoom else 1, data.shape[0] / data.shape[1]
    width = min((INNER - BAR_ROOM - BETWEEN * (panels - 1)) / panels, TALLEST / tall)
    height = max(width * tall, 0.5)
    axes = new_axes(title, source, height, right=INNER - width, above=0.12, below=0.05)
    norm = _norm(data, log)
    shown = _show(axes, data, norm)
    if zoom is not None:
        _draw_zoom(axes, data, zoom, norm)
    end = panels * width + BETWEEN * (panels - 1) + 0.18
    long = min(height - 0.3, 2.2)
    place = (end, height - 0.3 - long, 0.16, long)
    bar = axes.whole.colorbar(shown, cax=axes.inset_axes(place, transform=axes.inches))
    bar.outline.set_visible(False)
    bar.minorticks_off()
    low, high = shown.get_clim()
    middle = (low * high) ** 0.5 if log and low > 0 else (low + high) / 2
    values = [low, middle, high] if long > 0.8 else [low, high]
    bar.set_ticks(values, labels=[plain(v, 2 if v == middle else 3) for v in values])
    bar.ax.tick_params(labelsize=TICK_SIZE, labelcolor=MUTED, length=0)
    write(axes, end, height - 0.1, label, colour=MUTED)
    return finish(axes, alt or describe(data, title, label, zoom))


def describe(data: Any, title: str, label: str, zoom: tuple[int, int, int, int] | None) -> str:
    """Say in a sentence the size of the picture and the range of its values."""
    rows, columns = data.shape
    low, high = plain(float(np.nanmin(data))), plain(float(np.nanmax(data)))
    part = f"; the part at row {zoom[0]}, column {zoom[1]} is shown enlarged" if zoom else ""
    values = f"{label or 'values'} from {low} to {high}"
    return sentence(title, f"A picture of {columns} by {rows} cells: {values}{part}")


def _norm(data: Any, log: bool) -> Normalize:
    low, high = float(np.nanmin(data)), float(np.nanmax(data))
    if log and high > 0:
        return LogNorm(data[data > 0].min(), high, clip=True)
    return Normalize(low, high if high > low else low + 1)


def _show(axes: Any, data: Any, norm: Normalize) -> Any:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes.imshow(data, cmap="viridis", norm=norm, aspect="auto")


def _draw_zoom(
    axes: HouseAxes, data: Any, zoom: tuple[int, int, int, int], norm: Normalize
) -> None:
    row, column, rows, columns = zoom
    width, height = axes.size
    inset = axes.inset_axes((width + BETWEEN, 0, width, height), transform=axes.inches)
    _show(inset, data, norm)
    inset.set_xlim(column - 0.5, column + columns - 0.5)
    inset.set_ylim(row + rows - 0.5, row - 0.5)
    inset.spines[:].set(visible=True, color=TEXT, linewidth=1.6)
    for colour, line in (("white", 3.4), (TEXT, 1.6)):
        box = (column - 0.5, row - 0.5, columns, rows)
        axes.indicate_inset(box, edgecolor=colour, linewidth=line, alpha=1)
    for y, corner in ((height, row - 0.5), (0, row + rows - 0.5)):
        leader(axes, axes.at(column + columns - 0.5, corner), (width + BETWEEN, y))
