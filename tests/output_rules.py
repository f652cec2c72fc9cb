"""Rules on an executed lesson: figures that can be read aloud, numbers that say whence they come.

Each is a pure function of the executed notebook that returns its problems.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from cell_text import IMG, NUMBER, cell_name, plain_text, text_of

from aiinfra.units import split_unit

SOURCE = re.compile(r"measured here|replayed|model:|source:|counted by|guess", re.I)
SHORTEST_ALT = 30


def figures_have_alt_text(notebook: Any) -> list[str]:
    """Every figure has a sentence of alternative text and a line that names its sources."""
    told = []
    for index, output in figure_outputs(notebook):
        name = cell_name(notebook.cells[index], index)
        alts = alt_texts(output)
        if not alts:
            told.append(f"{name}: a figure without alt text")
        for alt in alts:
            if len(alt) < SHORTEST_ALT or not alt.rstrip().endswith("."):
                told.append(f"{name}: alt text {alt[:40]!r} is no full sentence")
        if not SOURCE.search("\n".join([*alts, plain_text(output)])):
            told.append(f"{name}: a figure without a source line")
    return told


def figure_outputs(notebook: Any) -> Iterator[tuple[int, Any]]:
    """Outputs that show a picture, with the index of their cell."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            shown = any(kind.startswith("image/") for kind in data)
            if shown or IMG.search(text_of(data.get("text/html", ""))):
                yield index, output


def alt_texts(output: Any) -> list[str]:
    """Alternative texts of a figure output: of its html images, else of its image metadata."""
    alts = []
    for tag in IMG.findall(text_of(output["data"].get("text/html", ""))):
        match = re.search(r'\balt="([^"]*)"', tag)
        alts.append(html.unescape(match[1]) if match else "")
    for kind, metadata in output.get("metadata", {}).items():
        if not alts and kind.startswith("image/"):
            alts.append(metadata.get("alt", ""))
    return alts


def runs_say_their_source(notebook: Any) -> list[str]:
    """A table of numbers names where they come from: measured, replayed, model or source."""
    told = []
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            text = plain_text(output) + text_of(data.get("text/markdown", ""))
            if shows_table(text) and not SOURCE.search(text + text_of(data.get("text/html", ""))):
                told.append(f"{cell_name(cell, index)}: a table of numbers without its source")
    return told


def shows_table(text: str) -> bool:
    """Whether ``text`` holds two aligned lines with a quantity, or a markdown table with one."""
    rows = [line for line in text.splitlines() if re.search(r" {2,}\S|\|", line.strip())]
    return sum(bool(quantities(row)) for row in rows) >= 2


def quantities(line: str) -> list[str]:
    """Numbers of a line that carry a rate or another unit of the course."""
    measured = ("B/s", "FLOP", "FLOP/s", "FLOP/B", "W", "J", "s", "bit/s")
    return [
        match[0]
        for match in NUMBER.finditer(line)
        if split_unit(match[3] or "")[0] in measured or (match[3] or "").endswith("/s")
    ]


OUTPUT_RULES = (figures_have_alt_text, runs_say_their_source)
