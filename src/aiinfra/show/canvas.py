"""The canvas of every figure: title, room for the drawing, source line, and how it displays.

A figure is a matplotlib ``Axes`` outside of pyplot. As the last expression of a cell it shows
itself once, with alternative text; in a script it is silent, unless ``AIINFRA_FIGURES`` names a
folder to save it in.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from aiinfra.show.axes import HouseAxes as HouseAxes
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.placing import Box
from aiinfra.show.style import (
    DPI,
    FONT,
    GRID,
    LABEL_SIZE,
    MARGIN,
    MUTED,
    RULE,
    SOURCE_SIZE,
    TEXT,
    TICK_SIZE,
    TITLE_SIZE,
    WIDTH,
)


def new_axes(
    title: str,
    source: str,
    height: float,
    *,
    left: float = 0.1,
    right: float = 0.1,
    above: float = 0.05,
    below: float = 0.45,
    title_lines: int = 1,
) -> HouseAxes:
    """Make a figure whose drawing area is ``height`` inches tall and return its axes.

    ``left``, ``right``, ``above`` and ``below`` are inches kept free around the drawing area for
    tick labels and direct labels. The figure grows with the lines of its title and source;
    ``title_lines`` reserves room for a title that will change.
    """
    title, source = title.strip(), source.strip()
    head = wrap(title, WIDTH - 2 * MARGIN, TITLE_SIZE, bold=True)
    head += "\n" * (title_lines - 1 - head.count("\n"))
    foot = wrap(source, WIDTH - 2 * MARGIN, SOURCE_SIZE) if source else ""
    top = text_size(head, TITLE_SIZE)[1] + MARGIN + above
    bottom = (text_size(foot, SOURCE_SIZE)[1] + 0.08 if foot else 0.0) + MARGIN + below
    total = top + height + bottom
    with house_rc():
        figure = Figure(figsize=(WIDTH, total), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        wide = WIDTH - 2 * MARGIN - left - right
        spot = ((MARGIN + left) / WIDTH, bottom / total, wide / WIDTH, height / total)
        axes = HouseAxes(figure, spot)
        figure.add_axes(axes)
        style: dict[str, Any] = {"transform": figure.dpi_scale_trans, "linespacing": 1.2}
        head_style = {**style, "size": TITLE_SIZE, "weight": "bold", "color": TEXT, "va": "top"}
        foot_style = {**style, "size": SOURCE_SIZE, "color": MUTED, "va": "bottom"}
        figure.text(MARGIN, total - MARGIN, head.rstrip("\n"), gid="title", **head_style)
        figure.text(MARGIN, MARGIN * 0.8, foot, gid="source", **foot_style)
        _plain_frame(axes)
    axes.title_text, axes.source_line = title, source
    return axes


def _plain_frame(axes: Axes) -> None:
    """No box: a thin base line and quiet ticks."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TICK_SIZE, labelcolor=MUTED, color=RULE, length=3, pad=4)
    axes.tick_params(which="minor", length=0)


def house_rc() -> Any:
    """The settings under which figures are made, whatever the reader's own settings are."""
    settings: Any = {**_plain_defaults(), "font.family": FONT, "text.parse_math": False}
    return rc_context(settings)


def _plain_defaults() -> dict[str, Any]:
    groups = (
        "axes.",
        "xtick.",
        "ytick.",
        "text.",
        "font.",
        "lines.",
        "patch.",
        "hatch.",
        "grid.",
        "figure.",
        "path.",
        "legend.",
        "image.",
        "date.",
    )
    return {k: v for k, v in rcParamsDefault.items() if k.startswith(groups)}


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    size: float = LABEL_SIZE,
    bold: bool = False,
    colour: str = TEXT,
    data: bool = False,
    **more: Any,
) -> Text:
    """Write words on axes: x and y in inches from the lower left, or in data units."""
    with house_rc():
        where = axes.transData if data else inches(axes)
        return axes.text(
            x,
            y,
            text,
            size=size,
            weight="bold" if bold else "normal",
            color=colour,
            transform=where,
            linespacing=1.2,
            clip_on=False,
            **{"ha": "left", "va": "center", "gid": "label", **more},
        )


def inches(axes: Axes) -> Any:
    """Transform from inches, measured from the lower left of the drawing area, to pixels."""
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.get_figure(root=True)
    box = axes.get_position()
    width, height = figure.get_size_inches()
    origin = ScaledTranslation(box.x0 * width, box.y0 * height, figure.dpi_scale_trans)
    return figure.dpi_scale_trans + origin


def to_inches(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Convert a data point to inches from the lower left of the drawing area."""
    px, py = inches(axes).inverted().transform(axes.transData.transform((x, y)))
    return float(px), float(py)


def frame(axes: HouseAxes, pad: float = 0.0) -> Box:
    """The drawing area as a rectangle in inches."""
    width, height = axes.size
    return Box(-pad, -pad, width + pad, height + pad)


def grid(axes: Axes, which: str) -> None:
    """Draw a thin grey grid behind the data."""
    axes.grid(True, which="major", axis=which, color=GRID, linewidth=0.8)  # type: ignore[arg-type]


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
