"""The house style: one colour, one marker and one hatch for each meaning, the same in every lesson.

The colours are the Okabe-Ito set, which colour-blind readers tell apart; ``INK`` holds a darker
shade of each for words on white (contrast of 4.5 to 1 or more). Nothing here draws.
"""

from __future__ import annotations

COLOURS: dict[str, str] = {
    "cpu": "#0072B2", "gpu": "#D55E00", "memory": "#009E73", "network": "#56B4E9",
    "storage": "#E69F00", "guess": "#CC79A7", "model": "#4D4D4D", "limit": "#000000",
    "idle": "#EFEFEF", "other": "#9A9A9A",
}  # fmt: skip
INK: dict[str, str] = {
    "cpu": "#00619A", "gpu": "#B34700", "memory": "#007556", "network": "#20719F",
    "storage": "#8A5A00", "guess": "#9E4377", "model": "#4D4D4D", "limit": "#000000",
    "idle": "#666666", "other": "#595959",
}  # fmt: skip
# The second cue beside colour, so that a figure survives a grey-scale print.
MARKERS: dict[str, str] = {
    "cpu": "o", "gpu": "s", "memory": "^", "network": "D", "storage": "v",
    "guess": "o", "model": "", "limit": "", "idle": "", "other": "P",
}  # fmt: skip
HATCHES: dict[str, str] = {
    "cpu": "", "gpu": "////", "memory": "....", "network": "\\\\\\\\", "storage": "xxxx",
    "guess": "", "model": "----", "limit": "", "idle": "", "other": "||||",
}  # fmt: skip

TEXT, MUTED, GRID, RULE = "#1F1F1F", "#595959", "#E4E4E4", "#9A9A9A"
FONT = "DejaVu Sans"  # ships with matplotlib: the same picture everywhere
# At 7 inches shown 600 pixels wide, 9.3 pt is 11 px: nothing is smaller.
TITLE_SIZE, LABEL_SIZE, TICK_SIZE, SOURCE_SIZE = 12.5, 10.0, 9.5, 9.3
WIDTH = 7.0  # inches
MARGIN = 0.14  # inches between the words and the edge of the picture
DPI = 200  # twice the 100 pixels an inch at which the picture is shown


def known_kind(kind: str) -> str:
    """Return ``kind``; ``ValueError`` lists the kinds that have a colour."""
    if kind not in COLOURS:
        raise ValueError(f"no kind {kind!r}; use one of {', '.join(COLOURS)}")
    return kind


def luminance(colour: str) -> float:
    """Relative luminance of ``#RRGGBB``, 0 for black and 1 for white (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def words_on(fill: str) -> str:
    """The colour of bold words on ``fill``: white where it reads well, else near black."""
    return "#FFFFFF" if contrast(fill, "#FFFFFF") >= 3.8 else TEXT
