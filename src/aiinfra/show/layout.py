"""Where words go: measuring, wrapping, and moving labels apart so that none covers another.

Everything is in inches, so a layout holds at any resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from aiinfra.show.style import DPI, FONT, LABEL_SIZE

LINE = 1.2 / 72  # inches of line height for each point of font size


@lru_cache(maxsize=4096)
def line_width(text: str, size: float = LABEL_SIZE, bold: bool = False) -> float:
    """Width in inches of one line of text."""
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    width, _, _ = _renderer().get_text_width_height_descent(text, font, False)
    return float(width) / DPI


@lru_cache(maxsize=1)
def _renderer() -> Any:
    make: Any = RendererAgg
    return make(8, 8, DPI)


def text_size(text: str, size: float = LABEL_SIZE, bold: bool = False) -> tuple[float, float]:
    """Width and height in inches of a text of one or more lines."""
    lines = text.split("\n")
    return max(line_width(line, size, bold) for line in lines), LINE * size * len(lines)


def wrap(text: str, width: float, size: float = LABEL_SIZE, bold: bool = False) -> str:
    """Break ``text`` between words into lines no wider than ``width`` inches."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".lstrip()
            if line and line_width(longer, size, bold) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def spread_out(
    centres: Sequence[float], sizes: Sequence[float], low: float, high: float, gap: float = 0.05
) -> list[float]:
    """Move intervals apart along one axis, each as little as possible (least squares).

    Interval i has the given size around ``centres[i]``; the result has no overlaps, keeps the
    order and stays in [low, high] where there is room. Once the room that the intervals need is
    taken off, the places must only increase: neighbours out of order are pooled at their mean.
    """
    order = sorted(range(len(centres)), key=lambda i: centres[i])
    steps = [(sizes[a] + sizes[b]) / 2 + gap for a, b in pairwise(order)]
    offsets = [float(offset) for offset in np.cumsum([0.0, *steps])]
    pools: list[list[float]] = []
    for i, offset in zip(order, offsets, strict=False):
        pool = [centres[i] - offset]
        while pools and np.mean(pools[-1]) > np.mean(pool):
            pool = pools.pop() + pool
        pools.append(pool)
    places = [float(np.mean(pool)) for pool in pools for _ in pool]
    placed = [0.0] * len(centres)
    for i, offset, place in zip(order, offsets, places, strict=False):
        first = low + sizes[order[0]] / 2
        last = max(high - sizes[order[-1]] / 2 - offsets[-1], first)
        placed[i] = min(max(place, first), last) + offset
    return placed
