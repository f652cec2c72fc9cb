"""Rows of published measurements: a CSV file read against the columns that a set asks for.

Every complaint names the file's line, the row's case and the column, and what to write instead.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aiinfra.facts.catalogue import accelerator
from aiinfra.facts.schema import Accelerator, CatalogueError

Kind = Literal["text", "count", "number", "flag"]
FLAGS = {"0": False, "no": False, "false": False, "n": False, "f": False,
         "1": True, "yes": True, "true": True, "y": True, "t": True}  # fmt: skip
Value = str | int | float | bool


class RowError(ValueError):
    """A row that cannot be priced; the message names row, column and mend."""


@dataclass(frozen=True)
class Column:
    """What a column holds; ``default`` stands in for a blank, and ``None`` allows no blank.

    ``count`` is a whole number of at least ``least``, ``number`` a positive one, ``flag`` 0 or 1
    (or no and yes, false and true), ``text`` one of ``choices`` where there are any, in any case.
    ``meaning`` documents the default.
    """

    kind: Kind = "count"
    default: Value | None = None
    least: int = 1
    choices: tuple[str, ...] = ()
    meaning: str = ""


@dataclass(frozen=True)
class Row:
    """One row: its line in the file, its case, and its values by column."""

    line: int
    case: str
    values: Mapping[str, Value]
    given: frozenset[str]

    def error(self, column: str, problem: str) -> RowError:
        """Build the error that names row and column."""
        return RowError(f"line {self.line} ({self.case}), column {column!r}: {problem}")

    def count(self, column: str) -> int:
        """A whole number."""
        return int(self.values[column])

    def number(self, column: str) -> float:
        """A number."""
        return float(self.values[column])

    def text(self, column: str) -> str:
        """A text."""
        return str(self.values[column])

    def flag(self, column: str) -> bool:
        """A yes or no."""
        return bool(self.values[column])

    def blank(self, column: str) -> bool:
        """Whether the file left the column out, so that the default stands."""
        return column not in self.given

    def device(self, column: str = "gpu") -> Accelerator:
        """The accelerator that a column names."""
        try:
            return accelerator(self.text(column))
        except CatalogueError as problem:
            raise self.error(column, str(problem)) from None


@dataclass(frozen=True)
class RowSet:
    """Columns of a set, the measured ones (summed), their unit, and the model that predicts them.

    ``label`` names the columns that make up a case where the file has no ``case``.
    """

    columns: Mapping[str, Column]
    measured: tuple[str, ...]
    unit: str
    predict: Callable[[Row], float]
    label: tuple[str, ...] = ("case",)


def read_rows(path: Path, wanted: RowSet) -> list[Row]:
    """Read a CSV file; lines that begin with # are comments.

    Raises ``RowError`` on a column that is missing or misspelt, and on the first wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise RowError(f"cannot read {path}: {problem}") from None
    kept = [(i, line) for i, line in enumerate(text.splitlines(), start=1)]
    kept = [(i, line) for i, line in kept if line.strip() and not line.lstrip().startswith("#")]
    if len(kept) < 2:
        raise RowError(f"{path} holds no rows; it needs a line of column names and rows below it")
    header, *records = csv.reader([line for _, line in kept], skipinitialspace=True)
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and sign in header[0]:
            raise RowError(f"{path}: columns are separated by {name}; separate them by commas")
    known = {name.casefold(): name for name in wanted.columns}
    header = [known.get(name.strip().casefold(), name.strip()) for name in header]
    check_header(header, wanted, path)
    lines = [number for number, _ in kept[1:]]
    if len(records) != len(lines):
        raise RowError(f"{path}: a quoted text runs over a line's end; keep each row on one line")
    return [
        read_row(line, header, record, wanted) for line, record in zip(lines, records, strict=True)
    ]


def check_header(header: list[str], wanted: RowSet, path: Path) -> None:
    """Raise ``RowError`` for a needed column that is absent, misspelt or there twice."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise RowError(f"{path}: column {twice[0]!r} is there twice; keep one")
    columns = wanted.columns.items()
    missing = [name for name, column in columns if name not in header and column.default is None]
    if missing:
        raise RowError(f"{path}: column {missing[0]!r} is missing; add it to the first line")
    absent = [name for name in wanted.columns if name not in header]
    for name in header:
        close = [] if name in wanted.columns else difflib.get_close_matches(name, absent, 1, 0.8)
        if close:
            raise RowError(f"{path}: column {name!r} is unknown; did you mean {close[0]!r}?")


def read_row(line: int, header: list[str], record: list[str], wanted: RowSet) -> Row:
    """Read one record into a row, blanks by their defaults."""
    if len(record) != len(header):
        raise RowError(f"line {line}: {len(record)} values for {len(header)} columns")
    cells = {name: cell.strip() for name, cell in zip(header, record, strict=True)}
    case = " ".join(cells[name] for name in wanted.label if cells.get(name))
    given = frozenset(name for name, cell in cells.items() if cell)
    bare = Row(line, case or f"row at line {line}", {}, given)
    values = {
        name: read_value(bare, name, cells.get(name, ""), column)
        for name, column in wanted.columns.items()
    }
    return Row(line, bare.case, values, given)


def read_value(row: Row, name: str, cell: str, column: Column) -> Value:
    """Read one value; ``RowError`` says what to write instead."""
    if not cell:
        if column.default is None:
            raise row.error(name, "is blank, and nothing stands in for it; write a value")
        return column.default
    if column.kind == "text":
        return _choice(row, name, cell, column)
    if column.kind == "flag" and cell.casefold() in FLAGS:
        return FLAGS[cell.casefold()]
    try:
        number = float(cell)
    except ValueError:
        mend = "write 0 or 1" if column.kind == "flag" else "write it without a unit"
        raise row.error(name, f"{cell!r} is not a number; {mend}") from None
    wrong = wrong_number(number, column)
    if wrong:
        raise row.error(name, f"{cell!r} is {wrong}")
    return number if column.kind == "number" else int(number)


def _choice(row: Row, name: str, cell: str, column: Column) -> str:
    """A text as its column spells it."""
    known = {choice.casefold(): choice for choice in column.choices} or {cell.casefold(): cell}
    if cell.casefold() not in known:
        raise row.error(name, f"{cell!r} is not one of {', '.join(column.choices)}")
    return known[cell.casefold()]


def wrong_number(number: float, column: Column) -> str | None:
    """Say what a number is that its column cannot hold."""
    if not math.isfinite(number):
        return "not finite"
    if column.kind == "flag":
        return None if number in (0, 1) else "neither 0 nor 1; write one of them"
    if column.kind == "number":
        return None if number > 0 else "not positive"
    fits = number == int(number) and number >= column.least
    return None if fits else f"not a whole number of at least {column.least}"
