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
    """Break ``text`` into lines no wider than ``width`` inches; a longer word is cut."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in _pieces(paragraph, width, size, bold):
            longer = f"{line} {word}" if line else word
            if line and line_width(longer, size, bold) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _pieces(paragraph: str, width: float, size: float, bold: bool) -> list[str]:
    pieces: list[str] = []
    for word in paragraph.split():
        while line_width(word, size, bold) > width and len(word) > 1:
            cut = len(word) - 1
            while cut > 1 and line_width(word[:cut], size, bold) > width:
                cut -= 1
            pieces.append(word[:cut])
            word = word[cut:]
        pieces.append(word)
    return pieces


def spread_out(
    centres: Sequence[float], sizes: Sequence[float], low: float, high: float, gap: float = 0.05
) -> list[float]:
    """Move intervals apart along one axis, each as little as possible (least squares).

    Interval i has the given size around ``centres[i]``; the result has no overlaps, keeps the
    order and stays in [low, high] where there is room. The constraint p[i+1] - p[i] >= d[i]
    turns into an increasing sequence once the running sum of d is taken off, and the nearest
    increasing sequence is found by pooling neighbours that violate it.
    """
    if not centres:
        return []
    order = sorted(range(len(centres)), key=lambda i: centres[i])
    steps = [0.0] + [(sizes[a] + sizes[b]) / 2 + gap for a, b in pairwise(order)]
    offsets = np.cumsum(steps)
    pools: list[tuple[float, int]] = []
    for i, offset in zip(order, offsets, strict=True):
        mean, count = centres[i] - float(offset), 1
        while pools and pools[-1][0] > mean:
            other, n = pools.pop()
            mean, count = (mean * count + other * n) / (count + n), count + n
        pools.append((mean, count))
    flat = [mean for mean, count in pools for _ in range(count)]
    first = low + sizes[order[0]] / 2
    last = high - sizes[order[-1]] / 2 - float(offsets[-1])
    placed = [0.0] * len(centres)
    for i, offset, mean in zip(order, offsets, flat, strict=True):
        placed[i] = float(min(max(mean, first), max(last, first)) + offset)
    return placed
