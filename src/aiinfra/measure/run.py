"""What an experiment gives back: a table that says where its numbers come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiinfra.results import Quantity, Table

ROWS_SHOWN = 24
SAME_NUMBER = 1e-5  # recordings keep six digits


@dataclass(frozen=True)
class Run:
    """The result of one call of an experiment.

    ``kind`` is "measured", "replayed" or "model", and ``source`` says it in a sentence; ``notes``
    say what to keep in mind, such as a replay of other code than the code above.
    """

    name: str
    table: Table
    source: str
    kind: str
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, column: str) -> Sequence[Any]:
        return self.table[column]

    def __len__(self) -> int:
        return len(self.table)

    def quantity(self, column: str, **where: Any) -> Quantity:
        """Return one cell with its unit, source and spread.

        ``where`` picks the row by the values of other columns. Columns ``<column>_low`` and
        ``<column>_high`` become the spread. Raises ``KeyError`` for a column or row that is not
        there and ``ValueError`` when several rows fit.
        """
        row = self.table.rows()[self._row(where)]
        self.table[column]
        if not isinstance(row[column], (int, float)):
            raise ValueError(f"{column!r} holds {row[column]!r} here, not a number")
        low, high = (row.get(f"{column}_{end}") for end in ("low", "high"))
        unit = self.table.units.get(column, "")
        return Quantity(row[column], unit, self.source, low, high)

    def _row(self, where: dict[str, Any]) -> int:
        columns = {name: self.table[name] for name in where}
        fits = [
            i for i in range(len(self)) if all(same(columns[n][i], v) for n, v in where.items())
        ]
        if len(fits) == 1:
            return fits[0]
        asked = ", ".join(f"{name}={value!r}" for name, value in where.items()) or "no condition"
        if fits:
            raise ValueError(
                f"{len(fits)} rows of {self.name} fit {asked}; name the values of more columns: "
                f"{', '.join(self.table.columns)}"
            )
        there = {name: list(dict.fromkeys(map(str, column))) for name, column in columns.items()}
        raise KeyError(f"no row of {self.name} fits {asked}; there are {there}")

    def _lines_below(self) -> list[str]:
        return [self.source, *(f"Note: {note}" for note in self.notes)]

    def __str__(self) -> str:
        return "\n".join([str(self.table), *self._lines_below()])

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        names = list(self.table.columns)
        shown = range(min(len(self), ROWS_SHOWN))
        body = [[self.table.cell(i, name) for name in names] for i in shown]
        numbers = [_is_number(self.table[name]) for name in names]
        rule = ["---:" if number else "---" for number in numbers]
        lines = ["| " + " | ".join(row) + " |" for row in (names, rule, *body)]
        if len(self) > ROWS_SHOWN:
            lines += ["", f"({len(self) - ROWS_SHOWN} more rows)"]
        return "\n".join([*lines, "", *(f"*{line}*  " for line in self._lines_below())])


def _is_number(column: Sequence[Any]) -> bool:
    return bool(column) and isinstance(column[0], (int, float)) and not isinstance(column[0], bool)


def same(cell: Any, wanted: Any) -> bool:
    """Say whether a cell holds the wanted value; numbers to the digits that recordings keep."""
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (cell, wanted))
    return math.isclose(cell, wanted, rel_tol=SAME_NUMBER) if numbers else bool(cell == wanted)
