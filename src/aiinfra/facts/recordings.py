"""Recorded runs of real hardware: what a replay shows, and from which device and day.

One JSON file holds one experiment on one device: ``recorded/<lesson>/<experiment>--<device>.json``.
Where a lesson calls an experiment with several arguments, the later calls stand beside the first
as ``...--<device>--<digest of the arguments>.json``. ``recorded/ledger.json`` holds the reference
ledger: the numbers that stand in where a learner has not measured their own.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date as calendar_date
from pathlib import Path
from typing import Any

from aiinfra.files import write_atomic
from aiinfra.results import Quantity, Table

SIZE_LIMIT_BYTES = 400_000
FLOAT_DIGITS = 6
LEDGER = "ledger.json"


class RecordingError(Exception):
    """A recording that cannot be read or written; the message names the file and the mend."""


@dataclass(frozen=True)
class Recording:
    """One recorded call of an experiment, with everything needed to judge it.

    ``code_hash`` covers the experiment's source and what it names, ``kernels`` each named part by
    itself; ``spread`` is the median interquartile range relative to the value (0.03 means 3 %).
    """

    experiment: str
    lesson: str
    code_hash: str | None
    arguments: Mapping[str, Any]
    device: str
    driver: str
    host: str
    packages: Mapping[str, str]
    recorded_at: str
    repeats: int | None
    spread: float | None
    table: Table
    kernels: Mapping[str, str] = field(default_factory=dict)

    @property
    def date(self) -> str:
        """Day of the recording, such as ``2026-11-23``."""
        return self.recorded_at[:10]

    @property
    def source(self) -> str:
        """The sentence that every figure of a replay carries."""
        return replay_source(self.device, self.driver, self.date)


@dataclass(frozen=True)
class Reference:
    """One number of the reference ledger, with the device and day it was measured."""

    name: str
    quantity: Quantity
    device: str
    lesson: str
    date: str


def replay_source(device: str, driver: str, date: str) -> str:
    """Write the source of a replayed number: device, driver where there is one, day."""
    return (
        f"replayed: {device}, driver {driver}, {date}" if driver else f"replayed: {device}, {date}"
    )


def recorded_folder() -> Path:
    """Return the folder that is searched: ``$AIINFRA_RECORDED``, else the package's own."""
    chosen = os.environ.get("AIINFRA_RECORDED")
    return Path(chosen) if chosen else Path(__file__).parent / "recorded"


def device_slug(device: str) -> str:
    """Turn a device's name into the part of a file name.

    >>> device_slug("NVIDIA H200"), device_slug("Intel Xeon (2 cores)")
    ('nvidia-h200', 'intel-xeon-2-cores')
    """
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "unknown"


def plain(value: Any) -> Any:
    """Turn numpy scalars and arrays, tuples, sets and paths into what JSON can hold."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def compact(value: Any) -> Any:
    """Round the floats of a plain value to six digits; NaN and infinity become null."""
    if isinstance(value, dict):
        return {key: compact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [compact(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{FLOAT_DIGITS}g}") if math.isfinite(value) else None
    return value


def save(recording: Recording, folder: Path, beside: bool = False) -> Path:
    """Write a recording under ``folder`` and return its path; atomic, keys sorted.

    ``beside=True`` keeps an earlier recording of other arguments. Raises ``RecordingError`` above
    400 KB, because recordings travel with the package.
    """
    text = as_text(recording)
    if len(text.encode()) > SIZE_LIMIT_BYTES:
        raise RecordingError(
            f"the recording of {recording.experiment} takes {len(text.encode()) / 1000:.0f} KB, "
            f"more than {SIZE_LIMIT_BYTES // 1000} KB: return fewer rows, or medians instead of "
            "single samples"
        )
    stem = f"{recording.experiment}--{device_slug(recording.device)}"
    if beside:
        arguments = json.dumps(compact(plain(recording.arguments)), sort_keys=True)
        stem += "--" + hashlib.sha256(arguments.encode()).hexdigest()[:8]
    path = Path(folder) / recording.lesson / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
    return path


def as_text(recording: Recording) -> str:
    """Write a recording as JSON; a list of columns keeps their order, which sorted keys lose."""
    entry = {item.name: getattr(recording, item.name) for item in fields(recording)}
    entry["table"] = [
        {"name": name, "unit": recording.table.units.get(name, ""), "values": values}
        for name, values in recording.table.columns.items()
    ]
    return json_lines(entry)


def json_lines(entry: Mapping[str, Any]) -> str:
    """Write a mapping as JSON with one sorted key a line, so that a diff can be read."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(compact(plain(entry[key])), sort_keys=True)}"
        for key in sorted(entry)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def load(path: Path) -> Recording:
    """Read one recording; ``RecordingError`` names the file when it is damaged or incomplete."""
    try:
        entry = json.loads(Path(path).read_text(encoding="utf-8"))
        columns = entry.pop("table")
        table = Table(
            {column["name"]: column["values"] for column in columns},
            {column["name"]: column["unit"] for column in columns if column["unit"]},
        )
        known = {item.name for item in fields(Recording)}
        return Recording(table=table, **{key: entry[key] for key in entry if key in known})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(
            f"{path} is not a recording ({error}); restore it or record it again: aiinfra record"
        ) from error


def find(experiment: str, device: str | None = None, folder: Path | None = None) -> list[Recording]:
    """Return the recordings of an experiment, newest first.

    ``device`` keeps those whose device contains it ("H200", "nvidia-h200").
    """
    paths = (folder or recorded_folder()).glob(f"*/{experiment}--*.json")
    found = [load(path) for path in sorted(paths)]
    if device is not None:
        found = [item for item in found if device_slug(device) in device_slug(item.device)]
    return sorted(found, key=lambda item: item.recorded_at, reverse=True)


def write_reference(
    name: str,
    quantity: Quantity,
    device: str,
    lesson: str,
    date: str | None = None,
    folder: Path | None = None,
) -> Path:
    """Keep a number in the reference ledger; atomic, other names stay.

    ``folder`` defaults to ``$AIINFRA_RECORD`` (set while recording), else the recorded folder.
    """
    target = folder or Path(os.environ.get("AIINFRA_RECORD") or recorded_folder())
    path = Path(target) / LEDGER
    entry = {
        "value": quantity.value,
        "unit": quantity.unit,
        "low": quantity.low,
        "high": quantity.high,
        "device": device,
        "lesson": lesson,
        "date": date or calendar_date.today().isoformat(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json_lines({**_ledger(path), name: entry}))
    return path


def read_reference(name: str, folder: Path | None = None) -> Reference | None:
    """Return a number of the reference ledger as a replay, or ``None`` where there is none."""
    path = (folder or recorded_folder()) / LEDGER
    entry = _ledger(path).get(name)
    if entry is None:
        return None
    try:
        source = replay_source(entry["device"], "", entry["date"])
        quantity = Quantity(entry["value"], entry["unit"], source, entry["low"], entry["high"])
        return Reference(name, quantity, entry["device"], entry["lesson"], entry["date"])
    except (KeyError, TypeError) as error:
        raise RecordingError(f"{path}: entry {name!r} lacks {error}; record it again") from error


def _ledger(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} is not a ledger ({error}); restore or delete it") from error
    if not isinstance(entries, dict):
        raise RecordingError(f"{path} is not a ledger; restore or delete it")
    return entries
