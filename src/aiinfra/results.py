"""The results that rooms hand to one another: a quantity, a table of them, a comparison.

A number never travels without its unit and its source; that is what makes a figure able to say
where every mark comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiinfra.units import format_quantity

KINDS = {
    "measured here": "measured", "replayed": "replayed", "counted": "counted",
    "model": "modelled", "source": "published", "guess": "guessed",
}  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """One number in SI units with its unit, spread and source.

    ``low`` and ``high`` are the 25th and 75th percentile of the repeats (or the bounds that the
    source states); ``None`` where there is no spread. ``source`` is a sentence that begins with
    "measured here", "replayed", "counted" (by a program that runs the code, such as the
    interpreter of kernels), "model", "source" or "guess"; several, joined by "; ", where the
    number was computed from several.
    """

    value: float
    unit: str
    source: str
    low: float | None = None
    high: float | None = None

    @property
    def spread(self) -> float | None:
        """Width of the interquartile range relative to the value (0.03 means 3 %)."""
        if self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / abs(self.value)

    @property
    def kind(self) -> str:
        """What the number is by its sources: "measured", "replayed", ... or "partly modelled"."""
        kinds = {
            kind
            for part in self.source.split("; ")
            for start, kind in KINDS.items()
            if part.startswith(start)
        }
        if len(kinds) > 1:
            rest = (kind for kind in ("modelled", "replayed", "published") if kind in kinds)
            return f"partly {next(rest, 'counted')}"
        return kinds.pop() if kinds else "unsourced"

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        text = format_quantity(self.value, self.unit)
        if self.spread is not None:
            text += f" ± {50 * self.spread:.0f} %"
        return f"{text} ({self.source})"


@dataclass(frozen=True)
class Table:
    """Named columns of equal length, each with its unit ("" for labels and counts)."""

    columns: Mapping[str, Sequence[Any]]
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns differ in length: {lengths}; give each row every column")
        unknown = set(self.units) - set(self.columns)
        if unknown:
            raise ValueError(f"units for columns that do not exist: {sorted(unknown)}")

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> Table:
        """Build a table from a list of rows that share their keys.

        ``seconds_low`` and ``seconds_high`` take the unit of ``seconds``.
        """
        if not rows:
            raise ValueError("a table needs at least one row")
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        spread = {
            f"{name}_{end}": unit
            for name, unit in units.items()
            for end in ("low", "high")
            if f"{name}_{end}" in columns
        }
        return cls(columns, {**spread, **units})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, column: str) -> Sequence[Any]:
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns)}")
        return self.columns[column]

    def rows(self) -> list[dict[str, Any]]:
        """Return the table as a list of rows."""
        return [{name: self.columns[name][i] for name in self.columns} for i in range(len(self))]

    def where(self, **match: Any) -> Table:
        """Return the rows whose columns equal the given values; ``KeyError`` when none does."""
        kept = [row for row in self.rows() if all(row[name] == v for name, v in match.items())]
        if not kept:
            raise KeyError(f"no row with {match}")
        return Table.from_rows(kept, self.units)

    def cell(self, row: int, column: str) -> str:
        """Return one cell as text, formatted with its column's unit."""
        value, unit = self.columns[column][row], self.units.get(column, "")
        if isinstance(value, int) and not isinstance(value, bool) and not unit:
            return f"{value:,}"  # a count is exact
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return format_quantity(value, unit)
        return str(value)

    def __str__(self) -> str:
        cells = [list(self.columns)] + [
            [self.cell(i, name) for name in self.columns] for i in range(len(self))
        ]
        widths = [max(len(row[j]) for row in cells) for j in range(len(self.columns))]
        lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class Comparison:
    """A guess, a measurement, a model and a physical limit of the same quantity.

    Any of them may be ``None`` except ``measured``; ``show.gap`` draws it.
    """

    measured: Quantity
    guess: Quantity | None = None
    model: Quantity | None = None
    limit: Quantity | None = None
    question: str = ""

    @property
    def guess_ratio(self) -> float | None:
        """The guess divided by the measurement."""
        return None if self.guess is None else self.guess.value / self.measured.value

    @property
    def is_test(self) -> bool:
        """Whether it could prove a model wrong; a modelled "measurement" cannot."""
        return self.measured.kind != "modelled"

    @property
    def model_ratio(self) -> float | None:
        """The model divided by the measurement."""
        return None if self.model is None else self.model.value / self.measured.value
