"""Reads ``[[entries]]`` of the catalogue from TOML and says exactly what is wrong with one.

Numbers are text with a unit, "3.35 TB/s", or bare SI numbers. Every complaint names the file, the
entry and the field, and what to write instead.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from aiinfra.facts.schema import (
    EVERYTHING,
    PRECISIONS,
    CatalogueError,
    Entry,
)
from aiinfra.units import parse_quantity, split_unit

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True)
class Place:
    """Where a value stands, for the message."""

    path: Path
    entry: str
    field: str = ""

    def error(self, problem: str) -> CatalogueError:
        """Build the error that names file, entry and field."""
        where = f"{self.path.name}: entry {self.entry!r}"
        return CatalogueError(f"{where}, field {self.field!r}: {problem}")


def _text(value: Any, unit: str, place: Place) -> str:
    if not isinstance(value, str) or not value.strip():
        raise place.error(f"{value!r} is not a text; write it in quotes")
    return value


def _number(value: Any, unit: str, place: Place) -> float:
    """Read "3.35 TB/s" or a bare SI number; it must be positive and finite."""
    if split_unit(unit)[1] != 1.0:
        raise place.error(f"unit {unit!r} has a prefix; name the SI unit, as in 's' or 'B/s'")
    example = f'"1.5 {unit}"' if unit else "1.5"
    if isinstance(value, str):
        problem = f"{value!r} is not in {unit or 'plain numbers'}; write {example}"
        if not value.endswith(unit):
            raise place.error(problem)
        try:
            value = parse_quantity(value, unit)
        except ValueError:
            raise place.error(problem) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.error(f"{value!r} is not a number; write {example}")
    if not (value > 0 and math.isfinite(value)):
        raise place.error(f"{value!r} is not positive and finite; leave the field out if unknown")
    return float(value)


def _count(value: Any, unit: str, place: Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.error(f"{value!r} is not a whole number; write it without quotes or point")
    return int(_number(value, unit, place))


def _day(value: Any, unit: str, place: Place) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise place.error(f"{value!r} is not a date; write 2026-11-23, without quotes")
    return value


def _texts(value: Any, unit: str, place: Place) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise place.error(f'{value!r} is not a list; write ["..."]')
    return tuple(_text(item, unit, place) for item in value)


def _flag(value: Any, unit: str, place: Place) -> bool:
    if not isinstance(value, bool):
        raise place.error(f"{value!r} is neither true nor false; write one of them, without quotes")
    return value


def _numbers(value: Any, unit: str, place: Place) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise place.error(f"{value!r} is not a list; write [1.5, ...]")
    return tuple(_number(item, unit, place) for item in value)


def _code(value: Any, unit: str, place: Place) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise place.error(f"{value!r} is not a line code; write [128, 130]")
    payload, coded = (_count(item, unit, place) for item in value)
    if payload > coded:
        raise place.error(f"{value!r} carries more than it sends; write [payload, coded]")
    return payload, coded


def _table(value: Any, place: Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise place.error(f"{value!r} is not a table; write [accelerator.{place.field}] above it")
    return value


def _rates(value: Any, unit: str, place: Place) -> dict[str, float]:
    rates = _table(value, place)
    for precision in rates:
        if precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise place.error(f"unknown precision {precision!r}; there are {known}")
    spots = {name: Place(place.path, place.entry, f"{place.field}.{name}") for name in rates}
    return {name: _number(rate, unit, spots[name]) for name, rate in rates.items()}


def _named_texts(value: Any, unit: str, place: Place) -> dict[str, str]:
    return {name: _text(text, unit, place) for name, text in _table(value, place).items()}


# How to read a field, by its annotation in schema.py.
READERS: dict[str, Callable[[Any, str, Place], Any]] = {
    "str": _text,
    "str | None": _text,
    "int": _count,
    "int | None": _count,
    "float": _number,
    "float | None": _number,
    "bool": _flag,
    "date": _day,
    "tuple[str, ...]": _texts,
    "tuple[float, ...]": _numbers,
    "tuple[int, int]": _code,
    "Mapping[str, float]": _rates,
    "Mapping[str, str]": _named_texts,
}


def _required(spec: Field[Any]) -> bool:
    return spec.default is MISSING and spec.default_factory is MISSING


def _entry(kind: type[E], row: Mapping[str, Any], path: Path, position: int) -> E:
    """Build one entry from its table, complaining about the first wrong field."""
    slug = str(row.get("slug", f"number {position}"))
    specs = {spec.name: spec for spec in fields(kind)}
    for name in row:
        if name not in specs:
            close = difflib.get_close_matches(name, specs, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(specs)}"
            raise Place(path, slug, name).error(f"unknown field; {hint}")
    values: dict[str, Any] = {}
    for name, spec in specs.items():
        if name in row:
            unit = spec.metadata.get("unit", row.get("unit", ""))
            values[name] = READERS[str(spec.type)](row[name], unit, Place(path, slug, name))
        elif _required(spec):
            raise Place(path, slug, name).error("missing; every entry needs it")
    built = kind(**values)
    _check_references_to_fields(built, path, specs)
    return built


def _check_references_to_fields(entry: Entry, path: Path, specs: Mapping[str, Any]) -> None:
    for where in ("unchecked", "other_sources"):
        for name in getattr(entry, where):
            if name.split(".")[0] not in specs and name != EVERYTHING:
                raise Place(path, entry.slug, where).error(f"there is no field {name!r} to name")


def read_entries(kind: type[E], table: str, path: Path) -> tuple[E, ...]:
    """Read the ``[[table]]`` entries of a TOML file; ``CatalogueError`` on the first wrong one."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{path}: cannot be read as TOML: {error}") from None
    rows = content.get(table)
    if not isinstance(rows, list) or set(content) != {table}:
        raise CatalogueError(f"{path.name}: holds {list(content)}; write [[{table}]] tables only")
    entries = tuple(_entry(kind, row, path, i) for i, row in enumerate(rows, start=1))
    taken: dict[str, str] = {}
    for entry in entries:
        for field, name in [("slug", entry.slug), *(("aliases", a) for a in entry.aliases)]:
            if name.casefold() in taken:
                owner = taken[name.casefold()]
                raise Place(path, entry.slug, field).error(f"{name!r} already names {owner!r}")
            taken[name.casefold()] = entry.slug
    return entries
