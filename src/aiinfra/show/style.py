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
    "cpu": "", "gpu": "--", "memory": "....", "network": "\\\\\\\\", "storage": "xxxx",
    "guess": "", "model": "----", "limit": "", "idle": "", "other": "OO",
}  # fmt: skip
DASHED, DOTTED = (0, (3, 1.5)), (0, (1, 1.5))

TEXT, MUTED, GRID, RULE = "#1F1F1F", "#595959", "#E4E4E4", "#9A9A9A"
FONT = "DejaVu Sans"  # ships with matplotlib: the same picture everywhere
# At 7 inches shown 600 pixels wide, 9.3 pt is 11 px: nothing is smaller.
TITLE_SIZE, LABEL_SIZE, TICK_SIZE, SOURCE_SIZE = 12.5, 10.0, 9.5, 9.3
WIDTH = 7.0  # inches
MARGIN = 0.14  # inches between the words and the edge of the picture
INNER = WIDTH - 2 * MARGIN
DPI = 200  # twice the 100 pixels an inch at which the picture is shown


def known_kind(kind: str) -> str:
    """Return ``kind``; ``ValueError`` lists the kinds that have a colour."""
    if kind not in COLOURS:
        raise ValueError(f"no kind {kind!r}; use one of {', '.join(COLOURS)}")
    return kind


def words_on(kind: str) -> str:
    """The colour of bold words on a block of ``kind``: white where it reads well."""
    return "#FFFFFF" if kind in ("cpu", "gpu", "model", "limit") else TEXT


def tint(fill: str, share: float = 0.35) -> str:
    """A colour a ``share`` of the way to white: a third for hatching that does not disturb."""
    parts = [int(fill[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(p + (255 - p) * share):02X}" for p in parts)
