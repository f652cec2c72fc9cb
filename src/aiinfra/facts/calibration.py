"""Constants that were fitted on published measurements, each with its meaning and provenance."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aiinfra.facts.schema import CatalogueError

FILE = Path(__file__).parent / "data" / "calibration.toml"
FIELDS = ("value", "unit", "meaning", "provenance")


@dataclass(frozen=True)
class Constant:
    """One calibrated constant in SI units.

    ``provenance`` names the rows it was fitted on, or the source it was read from.
    """

    name: str
    value: float
    unit: str
    meaning: str
    provenance: str


@cache
def constants(path: Path = FILE) -> Mapping[str, Constant]:
    """Return every constant of the file by its dotted name; ``CatalogueError`` names a bad one."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as problem:
        raise CatalogueError(f"{path}: cannot be read as TOML: {problem}") from None
    return {constant.name: constant for constant in _walk(content, "", path)}


def _walk(table: Mapping[str, Any], name: str, path: Path) -> Iterator[Constant]:
    """The constants of a table and of the tables within it."""
    if "value" not in table:
        for key, inner in table.items():
            where = f"{name}.{key}" if name else key
            if not isinstance(inner, Mapping):
                raise CatalogueError(f"{path.name}: {where} is no table; give it a value and unit")
            yield from _walk(inner, where, path)
        return
    missing = [field for field in FIELDS if field not in table]
    unknown = sorted(set(table) - set(FIELDS))
    if missing or unknown:
        raise CatalogueError(f"{path.name}: {name} lacks {missing}, and {unknown} is unknown")
    if isinstance(table["value"], bool) or not isinstance(table["value"], int | float):
        raise CatalogueError(f"{path.name}: {name}: {table['value']!r} is not a number")
    yield Constant(name, float(table["value"]), *(str(table[field]) for field in FIELDS[1:]))


def constant(name: str, default: str | None = None) -> float:
    """Return a constant's value by its dotted name, or that of ``default`` where it has none.

    ``constant("inference.engine.vllm.step", "inference.engine.other.step")``. Raises
    ``CatalogueError`` with close names where neither exists.
    """
    known = constants()
    found = known.get(name) or known.get(default or "")
    if found is None:
        close = ", ".join(difflib.get_close_matches(name, known, 3, 0.5)) or "none that is close"
        raise CatalogueError(f"no calibrated constant {name!r}; there is {close}")
    return found.value
