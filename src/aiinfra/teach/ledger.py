"""The learner's ledger: numbers measured on this machine, for later lessons to use.

A number that nobody has measured here is replaced by the recorded reference, and the lesson says
so. ``ledger.toml`` names the lesson that measures each.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from aiinfra.facts import recordings
from aiinfra.results import Quantity
from aiinfra.teach.progress import Progress, open_progress
from aiinfra.teach.words import brief, in_unit, say

EDGE = re.compile(r"_(low|high)$")  # the spread of another column
NAMES_FILE = Path(__file__).with_name("ledger.toml")


class LedgerError(LookupError):
    """A number that has neither been measured here nor recorded; the message names the lesson."""


def keep(
    name: str,
    run: Any,
    column: str | None = None,
    *,
    store: Progress | None = None,
    **where: Any,
) -> Quantity:
    """Keep a number that was measured on this machine, and return it.

    From the ``Run`` of an experiment, ``column`` and the conditions pick the cell:
    ``keep("triad_bandwidth", run, "bandwidth", threads=2)``. Replays and models are returned and
    not kept: the ledger holds this machine's own numbers. While recording, the number also
    becomes the reference for others.
    """
    found = run if isinstance(run, Quantity) else cell_of(name, run, column, where)
    quantity = in_unit(found, found.unit)
    told = f"{name.replace('_', ' ')}: {brief(quantity.value, quantity.unit)}"
    if not quantity.source.startswith("measured here"):
        say(f"Not kept in your ledger, because it was not measured here: {told}.")
        return quantity
    machine = quantity.source.partition(":")[2].strip()
    entry = {
        "value": quantity.value, "unit": quantity.unit, "low": quantity.low, "high": quantity.high,
        "source": quantity.source, "machine": machine, "lesson": lesson_name(),
    }  # fmt: skip
    open_progress(store).keep(name, entry)
    if os.environ.get("AIINFRA_RECORD"):
        recordings.write_reference(name, quantity, machine or "unknown", lesson_name())
    say(f"Kept in your ledger: {told}.")
    return quantity


def get(name: str, *, store: Progress | None = None) -> Quantity:
    """Return a number of the ledger: measured here, else the recorded one, which it says.

    Raises ``LedgerError`` when there is neither.
    """
    entry = open_progress(store).state()["ledger"].get(name)
    if entry is not None:
        return own_quantity(entry)
    reference = recordings.read_reference(name)
    if reference is None:
        raise LedgerError(how_to_measure(name))
    quantity = reference.quantity
    say(
        f"You have not measured the {name.replace('_', ' ')} of this machine "
        f"({reference.lesson or 'an earlier lesson'} does); the recorded run stands in: "
        f"{brief(quantity.value, quantity.unit)} on {reference.device}, {reference.date}."
    )
    return quantity


def own_quantity(entry: dict[str, Any]) -> Quantity:
    """Return a ledger entry as a quantity that says when, where and on what it was measured."""
    day = str(entry["time"])[:10]
    lesson = f" in lesson {entry['lesson']}" if entry.get("lesson") else ""
    machine = f": {entry['machine']}" if entry.get("machine") else ""
    source = f"measured here on {day}{lesson}{machine}"
    return Quantity(entry["value"], entry["unit"], source, entry.get("low"), entry.get("high"))


def cell_of(name: str, run: Any, column: str | None, where: dict[str, Any]) -> Quantity:
    """Return one cell of a run.

    Without ``column`` it is the only one with a unit, or the only one that ``name`` ends in
    ("triad_bandwidth" keeps "bandwidth"); raises ``ValueError`` when that does not decide.
    """
    if column is None:
        with_unit = [c for c, unit in run.table.units.items() if unit and not EDGE.search(c)]
        named = [c for c in with_unit if name.endswith(c)] or with_unit
        if len(named) != 1:
            there = ", ".join(with_unit) or "none with a unit"
            raise ValueError(
                f'name the column to keep, as in ledger.keep("{name}", run, "bandwidth"); '
                f"there are: {there}"
            )
        column = named[0]
    quantity: Quantity = run.quantity(column, **where)
    return quantity


def how_to_measure(name: str) -> str:
    """Say which lesson measures a number, or which names there are."""
    known = tomllib.loads(NAMES_FILE.read_text(encoding="utf-8"))
    if name in known:
        return (
            f"{name} has not been measured on this machine and has no recorded run: "
            f"run lesson {known[name]['lesson']} first"
        )
    listed = ", ".join(sorted(known)) or "none"
    return f"the ledger has no {name!r}; lessons measure: {listed}"


def lesson_name() -> str:
    """Return the stem of the lesson that is running, empty where that cannot be found out."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    candidates = (os.environ.get("AIINFRA_LESSON"), os.environ.get("JPY_SESSION_NAME"), main)
    stems = [Path(c).stem for c in candidates if c and Path(c).suffix in ("", ".py", ".ipynb")]
    return stems[0] if stems and not stems[0].startswith("__") else ""
