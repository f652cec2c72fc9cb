"""Lines, markers and rectangles placed in inches (or data units), that never rescale the axes."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from aiinfra.show.canvas import inches
from aiinfra.show.style import COLOURS, HATCHES

DASHED, DOTTED = (0, (3, 1.5)), (0, (1, 1.5))


def stroke(
    axes: Axes,
    x: Any,
    y: Any,
    colour: str,
    width: float = 0.9,
    *,
    dash: Any = "solid",
    z: float = 2,
    data: bool = False,
    **more: Any,
) -> Line2D:
    """Draw a line through places in inches from the lower left, or in data units."""
    where = axes.transData if data else inches(axes)
    style = {"linewidth": width, "linestyle": dash, "zorder": z, "solid_capstyle": "butt"}
    return axes.plot(
        x,
        y,
        color=colour,
        transform=where,
        clip_on=False,
        scalex=False,
        scaley=False,
        **{**style, **more},
    )[0]


def spot(
    axes: Axes,
    x: Any,
    y: Any,
    marker: str,
    colour: str,
    size: float,
    *,
    hollow: float = 0.0,
    fill: str = "white",
    z: float = 6,
    data: bool = False,
) -> Line2D:
    """Draw a marker: solid with a white rim, or hollow with a rim ``hollow`` points wide."""
    where = axes.transData if data else inches(axes)
    rim: dict[str, Any] = {
        "markerfacecolor": fill if hollow else colour,
        "markeredgewidth": hollow or 1.0,
        "markeredgecolor": colour if hollow else "white",
    }
    return axes.plot(
        x,
        y,
        linestyle="none",
        marker=marker,
        color=colour,
        markersize=size,
        transform=where,
        zorder=z,
        clip_on=False,
        scalex=False,
        scaley=False,
        **rim,
    )[0]


def panel(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    *,
    z: float = 1.5,
    hatch: str = "",
    ink: str = "none",
    alpha: float | None = None,
) -> Rectangle:
    """Draw a rectangle in inches, without a border."""
    made = Rectangle(
        (x, y),
        width,
        height,
        transform=inches(axes),
        facecolor=fill,
        hatch=hatch,
        edgecolor=ink,
        alpha=alpha,
        linewidth=0,
        zorder=z,
        clip_on=False,
    )
    axes.add_patch(made)
    return made


def swatch(axes: Axes, x: float, y: float, width: float, height: float, kind: str) -> Rectangle:
    """Draw a rectangle in the colour and the faint hatch of a kind."""
    fill = COLOURS[kind]
    return panel(axes, x, y, width, height, fill, z=3, hatch=HATCHES[kind], ink=tint(fill))


def block(axes: Axes, x: float, y: float, width: float, height: float, kind: str) -> None:
    """Draw a swatch with a white rim that parts it from its neighbours."""
    swatch(axes, x, y, width, height, kind)
    rim = panel(axes, x, y, width, height, "none", z=4, ink="white")
    rim.set_linewidth(min(1.2, width * 24))


def tint(fill: str) -> str:
    """A colour a third of the way to white, for hatching that does not disturb."""
    parts = [int(fill[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(p + (255 - p) * 0.35):02X}" for p in parts)
