"""Labels near their points: each finds a place off the lines and off every other label."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from aiinfra.show.canvas import Array, HouseAxes
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.marks import Look, leader, write
from aiinfra.show.style import INK

Note = tuple[float, float, str, str]  # x and y in data units, text, kind
Place = tuple[float, float]  # inches
# Where a label may stand, in order of preference: the direction from the point, and which part
# of the label's width and height (0 left or bottom, 1 right or top) is nearest to the point.
SPOTS = (
    (0.7, 0.7, 0.0, 0.0), (-0.7, 0.7, 1.0, 0.0), (1, 0, 0.0, 0.5), (-1, 0, 1.0, 0.5),
    (0.7, -0.7, 0.0, 1.0), (-0.7, -0.7, 1.0, 1.0), (0, 1, 0.5, 0.0), (0, -1, 0.5, 1.0),
    (0, 1, 0.2, 0.0), (0, 1, 0.8, 0.0), (0, -1, 0.2, 1.0), (0, -1, 0.8, 1.0),
)  # fmt: skip
FAR = 9.0  # cost of an inch between a label and its point
REACHES = (0.09, 0.13, 0.18, 0.26, 0.4, 0.55, 0.75, 1.0, 1.3, 1.7)


@dataclass(frozen=True)
class Box:
    """A rectangle in inches."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """Area shared with another rectangle."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0

    def count(self, points: Array) -> int:
        """Number of points (n, 2) inside."""
        low, high = (self.left, self.bottom), (self.right, self.top)
        return int(np.sum(((points > low) & (points < high)).all(axis=1)))

    def nearest(self, point: Place) -> Place:
        """The point of the rectangle nearest to ``point``."""
        x = min(max(point[0], self.left), self.right)
        return x, min(max(point[1], self.bottom), self.top)

    def distance(self, point: Place) -> float:
        """How far ``point`` is from the rectangle."""
        return float(np.hypot(*np.subtract(self.nearest(point), point)))


@dataclass
class Labels:
    """What stands on the axes already, and the notes that keep off it; all in inches."""

    axes: HouseAxes
    points: Array = field(default_factory=lambda: np.empty((0, 2)))
    boxes: list[Box] = field(default_factory=list)

    def keep_off_line(self, x: ArrayLike, y: ArrayLike) -> None:
        """Keep labels off a polyline given in data units."""
        self.points = np.concatenate([self.points, dense(self.axes.path(x, y))])

    def keep_off_spot(self, x: float, y: float) -> None:
        """Keep labels off a marker given in data units; it weighs as much as a short line."""
        spread = np.mgrid[-2:3, -2:3].reshape(2, -1).T * 0.04
        self.points = np.concatenate([self.points, self.axes.at(x, y) + spread])

    def call_out(self, notes: Sequence[Note], width: float = 1.9) -> None:
        """Write each note near its point, with a thin leader line where they are apart."""
        anchors = [self.axes.at(x, y) for x, y, *_ in notes]
        for x, y, text, kind in sorted(notes, reverse=True):  # from the right: labels prefer it
            text, anchor = wrap(text, width), self.axes.at(x, y)
            wide, tall = text_size(text)
            options = self.candidates(anchor, wide + 0.06, tall + 0.02)
            strangers = [other for other in anchors if other != anchor]
            box = self.cheapest(anchor, strangers, options)
            end = box.nearest(anchor)
            if np.hypot(end[0] - anchor[0], end[1] - anchor[1]) > 0.14:
                leader(self.axes, anchor, end)
                self.points = np.concatenate([self.points, dense(np.array([anchor, end]))])
            self.boxes.append(box)
            self._write(text, box, anchor, INK[kind])

    def candidates(self, anchor: tuple[float, float], wide: float, tall: float) -> Iterator[Box]:
        """Rectangles around an anchor, nearest first, moved into the drawing area."""
        width, height = self.axes.size
        for reach in REACHES:
            for dx, dy, part_x, part_y in SPOTS:
                x = anchor[0] + dx * reach - part_x * wide
                y = anchor[1] + dy * reach - part_y * tall
                x, y = min(max(x, 0.0), width - wide), min(max(y, 0.0), height - tall)
                yield Box(x, y, x + wide, y + tall)

    def cheapest(self, anchor: Place, strangers: Sequence[Place], options: Iterator[Box]) -> Box:
        """The first of the places with the least cost; one too far away for that is not priced."""
        best, least = next(options), math.inf
        for box in (best, *options):
            if FAR * box.distance(anchor) < least:
                cost = self.cost(anchor, strangers, box)
                best, least = (box, cost) if cost < least else (best, least)
        return best

    def cost(self, anchor: Place, strangers: Sequence[Place], box: Box) -> float:
        """How bad a place is: far away, upon other labels, upon lines, nearer to a stranger."""
        shared = [area for other in self.boxes if (area := box.overlap(other))]
        way = np.linspace(anchor, box.nearest(anchor), 9)
        crossed = sum(other.count(way) for other in self.boxes)
        reach = box.distance(anchor)
        under = min(box.count(self.points), 40)
        wrong = sum(box.distance(other) < reach + 0.04 for other in strangers)
        costs = 600 * sum(shared), 9 * len(shared), 1.5 * under, 3 * crossed, 6 * wrong
        return FAR * reach + sum(costs)

    def _write(self, text: str, box: Box, anchor: tuple[float, float], ink: str) -> None:
        side, x = "center", (box.left + box.right) / 2
        if box.left > anchor[0]:
            side, x = "left", box.left + 0.03
        elif box.right < anchor[0]:
            side, x = "right", box.right - 0.03
        y, look = (box.bottom + box.top) / 2, Look(ha=side, multialignment=side, zorder=9)
        write(self.axes, x, y, text, colour=ink, patch="white", **look)


def dense(line: Array, step: float = 0.03) -> Array:
    """Points along a polyline (n, 2) every ``step`` inches, as obstacles."""
    pieces = [line[:1]]
    for start, end in pairwise(line):
        count = int(np.hypot(*(end - start)) / step) + 2
        pieces.append(np.linspace(start, end, count))
    return np.concatenate(pieces)
