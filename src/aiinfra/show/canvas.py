"""The canvas of every figure: title, room for the drawing, source line, and how it displays.

A figure is a matplotlib ``Axes`` outside of pyplot. As the last expression of a cell it shows
itself once, with alternative text; in a script it is silent, unless ``AIINFRA_FIGURES`` names a
folder to save it in. Places are in inches from the lower left of the drawing area, as text is.
"""

from __future__ import annotations

import base64
import html
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from aiinfra.show.layout import text_size, wrap
from aiinfra.show.style import (
    DPI,
    FONT,
    INNER,
    MARGIN,
    MUTED,
    RULE,
    SOURCE_SIZE,
    TEXT,
    TICK_SIZE,
    TITLE_SIZE,
    WIDTH,
)

Array = NDArray[np.float64]
SHOWN_DPI = 100  # pixels of a page for each inch of a figure
# Decorates whatever makes or draws artists: the reader's own matplotlib settings stay out of it.
# Hinting would cost a fifth of a frame, and at these resolutions nobody sees it.
RC = {"font.family": FONT, "text.parse_math": False, "text.hinting": "no_hinting"}
house_style = style.context(["default", RC])


class HouseAxes(Axes):
    """Axes that carry their title, alternative text and source line, and show themselves."""

    title_text: str = ""
    alt: str = ""
    source_line: str = ""

    @property
    def whole(self) -> Any:
        """The figure that holds these axes."""
        return self.get_figure(root=True)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the drawing area in inches."""
        box, (width, height) = self.get_position(), self.whole.get_size_inches()
        return float(box.width * width), float(box.height * height)

    @property
    def left(self) -> float:
        """Inches from the margin to the drawing area."""
        return float(self.get_position().x0 * WIDTH) - MARGIN

    @property
    def inches(self) -> Any:
        """Transform from inches, measured from the lower left of the drawing area, to pixels."""
        box, (width, height) = self.get_position(), self.whole.get_size_inches()
        scale = self.whole.dpi_scale_trans
        return scale + ScaledTranslation(box.x0 * width, box.y0 * height, scale)

    def path(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Convert data points to inches, shape (n, 2)."""
        points = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
        return np.asarray((self.transScale + self.transLimits).transform(points) * self.size)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Convert one data point to inches."""
        place = self.path([x], [y])[0]
        return float(place[0]), float(place[1])

    @house_style
    def png(self, dpi: float = DPI, compress_level: int = 9) -> bytes:
        """Draw the whole figure and return it as PNG bytes with the alternative text inside."""
        canvas = self.whole.canvas
        canvas.figure.set_dpi(dpi)
        canvas.draw()
        size, pixels = canvas.get_width_height(), canvas.buffer_rgba()
        picture = Image.frombuffer("RGBA", size, pixels, "raw", "RGBA", 0, 1).convert("RGB")
        # 256 colours are plenty and take a third of the room.
        fast, plain = Image.Quantize.FASTOCTREE, Image.Dither.NONE
        out, info = io.BytesIO(), PngInfo()
        info.add_itxt("Description", self.alt)
        picture = picture.quantize(256, method=fast, dither=plain)
        picture.save(out, "png", compress_level=compress_level, pnginfo=info)
        return out.getvalue()

    def img(self, picture: bytes) -> str:
        """Return PNG bytes as an ``<img>`` that never grows beyond the page."""
        data = base64.b64encode(picture).decode("ascii")
        width, height = (round(side * SHOWN_DPI) for side in self.whole.get_size_inches())
        return (
            f'<img alt="{html.escape(self.alt)}" width="{width}" height="{height}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{data}">'
        )

    def __repr__(self) -> str:
        return f"{self.alt} [{self.source_line}]" if self.alt else super().__repr__()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Offer HTML first: notebooks drop the alternative text of a bare PNG."""
        picture = self.png()
        width, height = (round(side * SHOWN_DPI) for side in self.whole.get_size_inches())
        bundle = {
            "text/html": self.img(picture),
            "image/png": base64.b64encode(picture).decode("ascii"),
            "text/plain": repr(self),
        }
        return bundle, {"image/png": {"alt": self.alt, "width": width, "height": height}}


def new_axes(
    title: str,
    source: str,
    height: float,
    *,
    left: float = 0.0,
    right: float = 0.0,
    above: float = 0.1,
    below: float = 0.3,
) -> HouseAxes:
    """Make a figure whose drawing area is ``height`` inches tall and return its axes.

    ``left``, ``right``, ``above`` and ``below`` are inches kept free around the drawing area for
    tick labels and direct labels. The figure grows with the lines of its title and source.
    """
    head = wrap(title, INNER, TITLE_SIZE, bold=True)
    foot = wrap(source, INNER, SOURCE_SIZE)
    top = text_size(head, TITLE_SIZE)[1] + MARGIN + above
    bottom = text_size(foot, SOURCE_SIZE)[1] + 0.08 + MARGIN + below
    total = top + height + bottom
    figure = Figure(figsize=(WIDTH, total), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    place = (MARGIN + left) / WIDTH, bottom / total, (INNER - left - right) / WIDTH, height / total
    axes = HouseAxes(figure, place)
    figure.add_axes(axes)
    words: dict[str, Any] = {"transform": figure.dpi_scale_trans, "linespacing": 1.2}
    bold: dict[str, Any] = {"size": TITLE_SIZE, "weight": "bold", "gid": "title"}
    figure.text(MARGIN, total - MARGIN, head, color=TEXT, va="top", **bold, **words)
    figure.text(MARGIN, MARGIN * 0.8, foot, size=SOURCE_SIZE, color=MUTED, va="bottom", **words)
    _plain_frame(axes)
    axes.title_text, axes.source_line = title, source
    return axes


def _plain_frame(axes: Axes) -> None:
    """No box: a thin base line and quiet ticks."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TICK_SIZE, labelcolor=MUTED, color=RULE, length=3, pad=4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_label_coords(0, 0)  # unused: spares the search for a place beside the tick labels


def finish(axes: HouseAxes, alt: str) -> HouseAxes:
    """Set the alternative text, save the figure where ``AIINFRA_FIGURES`` asks, return it."""
    axes.alt = alt
    folder = os.environ.get("AIINFRA_FIGURES")
    if folder:
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        number = len(list(target.glob("*.png"))) + 1
        slug = re.sub(r"[^a-z0-9]+", "_", axes.title_text.lower()).strip("_")[:60]
        (target / f"{number:02d}_{slug}.png").write_bytes(axes.png())
    return axes
