"""Pieces that several figures draw alike: walls, guides, and labels placed near their points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aiinfra.show.canvas import HouseAxes, frame, grid, to_inches, write
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.placing import Array, Box, dense, nearest, place
from aiinfra.show.strokes import panel, stroke
from aiinfra.show.style import COLOURS, MUTED
from aiinfra.show.ticks import Scale, set_ticks
from aiinfra.show.words import axis_words

HALO = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}


@dataclass
class Obstacles:
    """What labels must keep off: points of lines, and rectangles of words, in inches."""

    points: list[Array] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)

    def line(self, axes: HouseAxes, x: Sequence[float], y: Sequence[float]) -> None:
        """Add a polyline given in data units."""
        corners = np.array([to_inches(axes, a, b) for a, b in zip(x, y, strict=True)])
        self.points.append(dense(corners))

    def spot(self, axes: HouseAxes, x: float, y: float) -> None:
        """Add a marker given in data units; it weighs as much as a short line."""
        spread = np.array([(a, b) for a in (-0.05, 0, 0.05) for b in (-0.05, 0, 0.05)])
        self.points.append(np.array(to_inches(axes, x, y)) + np.tile(spread, (3, 1)))

    def all_points(self) -> Array:
        """All points as one array (n, 2)."""
        return np.concatenate(self.points) if self.points else np.empty((0, 2))


def call_out(
    axes: HouseAxes,
    notes: Sequence[tuple[float, float, str, str]],
    keep_off: Obstacles,
    *,
    width: float = 1.9,
    pad: float = 0.0,
) -> None:
    """Write each note (x, y, text, colour; data units) near its point, off everything else.

    A thin leader line joins a label to its point where they are apart.
    """
    texts = [wrap(text, width) for _, _, text, _ in notes]
    sizes = [(w + 0.06, h + 0.02) for w, h in (text_size(text) for text in texts)]
    anchors = [to_inches(axes, x, y) for x, y, _, _ in notes]
    boxes = place(anchors, sizes, frame(axes, pad), keep_off.all_points(), keep_off.boxes)
    for anchor, box, text, (_, _, _, colour) in zip(anchors, boxes, texts, notes, strict=True):
        end = nearest(box, anchor)
        if np.hypot(end[0] - anchor[0], end[1] - anchor[1]) > 0.14:
            leader(axes, anchor, end)
        middle = (box.left + box.right) / 2
        side = "left" if box.left > anchor[0] else "right" if box.right < anchor[0] else "center"
        x = {"left": box.left + 0.03, "right": box.right - 0.03, "center": middle}[side]
        write(
            axes,
            x,
            (box.bottom + box.top) / 2,
            text,
            colour=colour,
            ha=side,
            zorder=9,
            multialignment=side,
            bbox=HALO,
        )
    keep_off.boxes.extend(boxes)


def leader(axes: HouseAxes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a thin line from a point to its label, both in inches."""
    stroke(axes, [start[0], end[0]], [start[1], end[1]], "#8A8A8A", 0.8, z=8)


def wall(axes: HouseAxes, value: float, label: str, keep_off: Obstacles) -> None:
    """Draw a physical limit of the y axis as a black line, hatched above, its name upon it."""
    width, height = axes.size
    _, y = to_inches(axes, axes.get_xlim()[0], value)
    panel(axes, 0, y, width, min(0.12, height + 0.12 - y), "#F4F4F4", hatch="////", ink="#9A9A9A")
    stroke(axes, [0, width], [y, y], COLOURS["limit"], 2.6)
    text = wrap(label, width * 0.8)
    size = text_size(text)
    write(axes, 0.03, y + 0.16, text, va="bottom", zorder=9)
    keep_off.boxes.append(Box(0, y, width, y + 0.14))
    keep_off.boxes.append(Box(0, y + 0.14, size[0] + 0.06, y + 0.18 + size[1]))


def guide(axes: HouseAxes, value: float, label: str, keep_off: Obstacles, level: float) -> None:
    """Draw a thin dotted vertical line at ``value`` with its name at ``level`` inches."""
    x, _ = to_inches(axes, value, axes.get_ylim()[0])
    stroke(axes, [x, x], [0, axes.size[1]], "#A8A8A8", 1, dash=(0, (1, 2)), z=1.8)
    keep_off.points.append(dense(np.array([(x, 0.0), (x, level)])))
    size = text_size(label)
    flip = x + size[0] + 0.08 > axes.size[0]
    write(
        axes,
        x + (-0.05 if flip else 0.05),
        level - 0.08,
        label,
        colour=MUTED,
        ha="right" if flip else "left",
        bbox=HALO,
    )
    left = x - size[0] - 0.08 if flip else x
    keep_off.boxes.append(
        Box(left, level - 0.08 - size[1] / 2, left + size[0] + 0.08, level + 0.02)
    )


def quiet_y(axes: HouseAxes, scale: Scale, left: float) -> None:
    """Tick and name the y axis: thin grid lines, its name in level words flush with the title."""
    set_ticks(axes, "y", scale, axes.size[1], most=6)
    grid(axes, "y")
    axes.tick_params(axis="y", length=0)
    words = axis_words(scale.label, scale.unit)
    write(axes, -left, axes.size[1] + 0.17, words, colour=MUTED, gid="axis")


def name_x(axes: HouseAxes, text: str) -> None:
    """Name the x axis below its ticks."""
    write(axes, axes.size[0] / 2, -0.38, text, colour=MUTED, ha="center", gid="axis")
