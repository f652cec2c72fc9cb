"""Record mode: what a lesson's process writes while ``aiinfra record`` runs it.

``AIINFRA_RECORD`` names the folder, ``AIINFRA_LESSON`` the lesson, and ``AIINFRA_RECORD_STATUS`` a
file of JSON lines that tells the parent process what was written and what failed.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiinfra.facts.recordings import Recording, save
from aiinfra.measure.machine import Machine, probe
from aiinfra.measure.needs import distributions
from aiinfra.measure.source_hash import hash_function
from aiinfra.results import Table


def folder() -> Path | None:
    """Return the folder to record into, ``None`` outside record mode."""
    chosen = os.environ.get("AIINFRA_RECORD")
    return Path(chosen) if chosen else None


def lesson_of(function: Callable[..., Any]) -> str:
    """Return the lesson that a function belongs to: as told, else its file's name."""
    told = os.environ.get("AIINFRA_LESSON")
    return told or Path(function.__code__.co_filename).stem.strip("<>") or "unknown"


def write(
    function: Callable[..., Any],
    needs: str,
    table: Table,
    arguments: dict[str, Any],
    into: Path,
    beside: bool,
) -> Path:
    """Write one recording of a live call and tell the parent process about it."""
    machine, source = probe(), hash_function(function)
    on_gpu = needs == "gpu" and bool(machine.gpus)
    recording = Recording(
        experiment=function.__name__,
        lesson=lesson_of(function),
        code_hash=source.digest if source else None,
        arguments=arguments,
        device=machine.gpus[0].name if on_gpu else machine.cpu_name,
        driver=machine.gpus[0].driver if on_gpu else "",
        host=describe_host(machine),
        packages=package_versions(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        repeats=repeats_of(table),
        spread=spread_of(table),
        table=table,
        kernels=dict(source.parts) if source else {},
    )
    path = save(recording, into, beside)
    report("recorded", function.__name__, path=str(path))
    return path


def report_failure(name: str, error: Exception) -> None:
    """Say on stderr, and to the parent process, that an experiment was not recorded."""
    words = f"{type(error).__name__}: {error}"
    print(f"{name} was not recorded: {words}", file=sys.stderr)
    report("failed", name, error=words)


def report(event: str, name: str, **details: str) -> None:
    """Append one line to the status file, if a parent process asked for one."""
    status = os.environ.get("AIINFRA_RECORD_STATUS")
    if status:
        with open(status, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "name": name, **details}) + "\n")


def describe_host(machine: Machine) -> str:
    """Describe the machine around the device, without naming it."""
    return f"{machine.name}, {machine.os}, {machine.host}"


def package_versions() -> dict[str, str]:
    """Return the versions of Python, the course and what it requires, as far as they are here."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": probe().python}
    for package in ("aiinfra", *distributions("torch", "cuda12", "cuda13")):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def repeats_of(table: Table) -> int | None:
    """Return the fewest repeats behind any row, where the table has a ``repeats`` column."""
    counts = [n for n in table.columns.get("repeats", ()) if isinstance(n, int)]
    return min(counts, default=None)


def spread_of(table: Table) -> float | None:
    """Return the median interquartile range relative to its value, over all cells that have one."""
    spreads = []
    for name, values in table.columns.items():
        lows, highs = (table.columns.get(f"{name}_{end}") for end in ("low", "high"))
        if lows is not None and highs is not None:
            rows = zip(values, lows, highs, strict=True)
            spreads += [(h - lo) / abs(v) for v, lo, h in rows if v and None not in (lo, h)]
    return statistics.median(spreads) if spreads else None
