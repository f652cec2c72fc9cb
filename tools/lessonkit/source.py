"""Read a lesson or lab source (py:percent) into cells that know their line in the file.

A source starts, optionally, with a jupytext header and comment lines; then come the cells. One
comment line is read by the tests, and only where a lesson needs more than 60 s or 700 MB::

    # budget: 90 s, 900 MB because the GPT of round 2 trains for a minute
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext

MARKER = re.compile(r"^#\s*%%(\s|$)")
BUDGET = re.compile(r"^#\s*budget:\s*(\d+)\s*s,\s*(\d+)\s*MB\s+because\s+\S+")
LESSON_NAME = re.compile(r"\d\d_[a-z0-9_]+$")
LAB_NAME = re.compile(r"lab_\d\d_[a-z0-9_]+$")


@dataclass(frozen=True)
class Problem:
    """Something an author has to mend, and where it stands."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class LessonError(Exception):
    """A source cannot become a notebook; ``problems`` says why, each with file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Budget:
    """What Run All may take on two cores: wall time in seconds and peak memory in bytes."""

    seconds: float = 60.0
    memory_bytes: float = 700e6


@dataclass(frozen=True)
class Cell:
    """One cell: its text as the notebook holds it, as the file holds it, and its first line."""

    kind: str
    text: str
    raw: tuple[str, ...]
    line: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A lesson or lab source."""

    path: Path
    cells: tuple[Cell, ...]
    budget: Budget = Budget()

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def is_lab(self) -> bool:
        return self.stem.startswith("lab_")


def read_source(path: Path) -> Source:
    """Read ``path``; ``LessonError`` when its cells cannot be told apart."""
    return parse_source(path.read_text(encoding="utf-8"), path)


def parse_source(text: str, path: Path) -> Source:
    """Parse the text of a source; ``path`` names it in messages and in cell ids."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if MARKER.match(line)]
    if not starts:
        raise LessonError([Problem(path, 1, 'no cells; start one with "# %%"')])
    budget = read_budget(lines[: starts[0]], path)
    read = jupytext.reads("\n".join(lines[starts[0] :]) + "\n", fmt="py:percent").cells
    if len(read) != len(starts):
        told = f"{len(starts)} cell markers but {len(read)} cells; is one inside a string?"
        raise LessonError([Problem(path, starts[0] + 1, told)])
    ends = [*starts[1:], len(lines)]
    cells = (make_cell(cell, lines, a, b) for cell, a, b in zip(read, starts, ends, strict=True))
    return Source(path, tuple(cells), budget)


def make_cell(cell: Any, lines: list[str], start: int, end: int) -> Cell:
    """Pair what jupytext read with the lines of the file (from the marker up to ``end``)."""
    first, last = start + 1, end
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    tags = tuple(cell.metadata.get("tags", ()))
    return Cell(cell.cell_type, cell.source.strip("\n"), tuple(lines[first:last]), first + 1, tags)


def read_budget(preamble: list[str], path: Path) -> Budget:
    """Read the budget line among the lines above the first cell, which hold only comments."""
    budget = Budget()
    for number, line in enumerate(preamble, start=1):
        if line.strip() and not line.startswith("#"):
            raise LessonError([Problem(path, number, "code above the first cell; give it one")])
        if re.match(r"^#\s*budget:", line):
            match = BUDGET.match(line)
            if match is None:
                told = 'write the budget as "# budget: 90 s, 900 MB because ..."'
                raise LessonError([Problem(path, number, told)])
            budget = Budget(float(match[1]), float(match[2]) * 1e6)
    return budget


def find_sources(root: Path) -> list[Path]:
    """List the lessons, then the labs, under ``root``; ``LessonError`` on a misnamed file."""
    found, problems = [], []
    for folder, pattern, example in (
        ("notebooks", LESSON_NAME, "07_training.py"),
        ("labs", LAB_NAME, "lab_03_starved_loader.py"),
    ):
        for path in sorted((root / "lessons" / folder).glob("*.py")):
            if pattern.match(path.stem):
                found.append(path)
            else:
                problems.append(Problem(path, 1, f"name it like {example}"))
    if problems:
        raise LessonError(problems)
    return found
