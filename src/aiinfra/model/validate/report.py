"""Predicted against measured, row by row, and the mean absolute percentage error."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiinfra.model.validate.rows import RowError, RowSet, read_rows
from aiinfra.units import significant

PUBLISHED = Path(__file__).parents[2] / "facts" / "published"


@dataclass(frozen=True)
class Case:
    """One row: what was measured and what the model says, both in the set's unit."""

    case: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Signed relative error, ``predicted / measured - 1``."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Validation:
    """A model against the rows of a set."""

    name: str
    unit: str
    cases: tuple[Case, ...]

    @property
    def mape(self) -> float:
        """Mean absolute relative error over all rows (0.04 means 4 %)."""
        return sum(abs(case.error) for case in self.cases) / len(self.cases)

    @property
    def summary(self) -> str:
        """The last line of the report."""
        rows = "row" if len(self.cases) == 1 else "rows"
        return f"MAPE {100 * self.mape:.1f} % over {len(self.cases)} {rows}"

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        cases = [{**asdict(case), "error": case.error} for case in self.cases]
        return {
            "set": self.name, "unit": self.unit, "cases": cases,
            "mape_percent": 100 * self.mape, "rows": len(cases),
        }  # fmt: skip

    def __str__(self) -> str:
        width = max(len("CASE"), *(len(case.case) for case in self.cases))
        heads = (f"MEASURED {self.unit}", f"PREDICTED {self.unit}", "ERROR")
        lines = [f"{'CASE':<{width}}  {heads[0]:>16}  {heads[1]:>16}  {heads[2]:>8}"]
        for case in self.cases:
            numbers = (significant(case.measured, 4), significant(case.predicted, 4))
            told = f"{numbers[0]:>16}  {numbers[1]:>16}  {100 * case.error:>+7.1f} %"
            lines.append(f"{case.case:<{width}}  {told}")
        return "\n".join([*lines, self.summary])


def validate(name: str, rows: RowSet, path: Path | None = None) -> Validation:
    """Price every row of a file, or of the set's published rows.

    Raises ``RowError``, which names row and column, for the first row that cannot be read or
    priced; no row is ever skipped.
    """
    cases = []
    for row in read_rows(path or PUBLISHED / f"{name}.csv", rows):
        measured = sum(row.number(column) for column in rows.measured)
        try:
            predicted = rows.predict(row)
        except RowError:
            raise
        except ValueError as problem:
            raise RowError(f"line {row.line} ({row.case}): {problem}") from None
        cases.append(Case(row.case, measured, predicted))
    return Validation(name, rows.unit, tuple(cases))
