"""Labels near their points: each finds a place off the lines and off every other label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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
        inside_x = (points[:, 0] > self.left) & (points[:, 0] < self.right)
        return int(np.sum(inside_x & (points[:, 1] > self.bottom) & (points[:, 1] < self.top)))

    def crossed(self, anchor: tuple[float, float], label: Box) -> int:
        """How much of the leader line from ``anchor`` to ``label`` lies inside, in eighths."""
        end, found = nearest(label, anchor), 0
        for i in range(8):
            x = anchor[0] + (end[0] - anchor[0]) * i / 8
            y = anchor[1] + (end[1] - anchor[1]) * i / 8
            found += self.left < x < self.right and self.bottom < y < self.top
        return found


# Where a label may stand, in order of preference: the direction from the point, and which part
# of the label's width and height (0 left or bottom, 1 right or top) is nearest to the point.
SPOTS = (
    (0.7, 0.7, 0.0, 0.0),
    (-0.7, 0.7, 1.0, 0.0),
    (1, 0, 0.0, 0.5),
    (-1, 0, 1.0, 0.5),
    (0.7, -0.7, 0.0, 1.0),
    (-0.7, -0.7, 1.0, 1.0),
    (0, 1, 0.5, 0.0),
    (0, -1, 0.5, 1.0),
    (0, 1, 0.25, 0.0),
    (0, 1, 0.75, 0.0),
    (0, -1, 0.25, 1.0),
    (0, -1, 0.75, 1.0),
    (0.95, 0.3, 0.0, 0.0),
    (0.95, -0.3, 0.0, 1.0),
    (-0.95, 0.3, 1.0, 0.0),
    (-0.95, -0.3, 1.0, 1.0),
)
DISTANCES = (0.09, 0.13, 0.18, 0.26, 0.4, 0.55, 0.75, 1.0, 1.3, 1.7)


def candidates(anchor: tuple[float, float], size: tuple[float, float]) -> list[Box]:
    """Rectangles of ``size`` around an anchor, nearest first."""
    boxes = []
    for reach in DISTANCES:
        for dx, dy, part_x, part_y in SPOTS:
            x = anchor[0] + dx * reach - part_x * size[0]
            y = anchor[1] + dy * reach - part_y * size[1]
            boxes.append(Box(x, y, x + size[0], y + size[1]))
    return boxes


def dense(line: Array, step: float = 0.03) -> Array:
    """Points along a polyline (n, 2) every ``step`` inches, as obstacles."""
    pieces = [line[:1]]
    for start, end in pairwise(line):
        n = max(2, min(2000, int(np.hypot(*(end - start)) / step)))
        pieces.append(start + (end - start) * np.linspace(0, 1, n)[:, None])
    return np.concatenate(pieces)


def place(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    obstacles: Array,
    taken: Sequence[Box] = (),
) -> list[Box]:
    """Find a rectangle for each label near its anchor: inside ``frame``, off the lines, apart.

    Each candidate costs its distance from the anchor, the obstacles under it and under its leader
    line, and, weighing the most, its overlap with other labels. Labels are placed in turn, then
    each is moved to its best place given the others, until none moves; of several orders the
    cheapest is kept.
    """
    n = len(anchors)
    options = [candidates(anchor, size) for anchor, size in zip(anchors, sizes, strict=True)]
    own = [
        [_cost(rank, box, anchor, frame, obstacles, taken) for rank, box in enumerate(boxes)]
        for boxes, anchor in zip(options, anchors, strict=True)
    ]
    orders = [list(range(n)), list(range(n))[::-1], sorted(range(n), key=lambda i: anchors[i][1])]
    tries = [_settle(order, options, own, anchors) for order in orders if n]
    best = min(tries, default=(0.0, {}), key=lambda found: found[0])[1]
    return [options[i][best[i]] for i in range(n)]


def _cost(
    rank: int,
    box: Box,
    anchor: tuple[float, float],
    frame: Box,
    obstacles: Array,
    taken: Sequence[Box],
) -> float:
    outside = (box.right - box.left) * (box.top - box.bottom) - box.overlap(frame)
    overlap = sum(box.overlap(other) for other in taken)
    end = nearest(box, anchor)
    reach = float(np.hypot(end[0] - anchor[0], end[1] - anchor[1]))
    under = min(box.count(obstacles), 40)
    return rank * 0.05 + reach * 9 + 600 * (outside + overlap) + under * 1.5


def _settle(
    order: list[int],
    options: list[list[Box]],
    own: list[list[float]],
    anchors: Sequence[tuple[float, float]],
) -> tuple[float, dict[int, int]]:
    chosen: dict[int, int] = {}

    def cost(i: int, rank: int) -> float:
        box, total = options[i][rank], own[i][rank]
        for j, other_rank in chosen.items():
            if j != i:
                other = options[j][other_rank]
                shared = box.overlap(other)
                total += 600 * shared + 5 * (shared > 0) + 3 * other.crossed(anchors[i], box)
                total += 3 * box.crossed(anchors[j], other)
        return total

    for _ in range(8):
        before = dict(chosen)
        for i in order:
            chosen[i] = min(range(len(options[i])), key=lambda rank: cost(i, rank))
        if chosen == before:
            break
    return sum(cost(i, rank) for i, rank in chosen.items()), chosen


def nearest(box: Box, point: tuple[float, float]) -> tuple[float, float]:
    """The point of a rectangle's edge nearest to ``point``."""
    return (
        min(max(point[0], box.left), box.right),
        min(max(point[1], box.bottom), box.top),
    )
