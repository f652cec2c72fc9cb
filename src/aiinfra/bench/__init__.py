"""Performance as ratios measured in one run: ``make bench``.

Each case runs two ways of doing the same thing in turns, so that a machine that slows down slows
both; the ratio of each pair is one sample. A case on all cores still depends on what else runs: it
loses more than a case on one core, so the load is printed first. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiinfra.files import write_atomic
from aiinfra.units import significant

ROUNDS = 9
REST = 0.05  # seconds, longer than waiting threads spin


@dataclass(frozen=True)
class Ratio:
    """How many times longer ``reference`` took than ``subject``: median and quartiles."""

    case: str
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        spread = f"{significant(self.low)}-{significant(self.high)}"
        return f"{self.case:<66} {significant(self.median):>8}x  ({spread})"


def quartiles(case: str, ratios: list[float]) -> Ratio:
    """Sum up the ratios of several rounds."""
    low, median, high = statistics.quantiles(ratios, n=4)
    return Ratio(case, median, low, high)


def interleaved(
    case: str,
    subject: Callable[[], object],
    reference: Callable[[], object],
    rounds: int = ROUNDS,
    rest: float = 0.0,
) -> Ratio:
    """Time both callables in turns and return the ratio reference / subject with its spread.

    ``rest`` is a pause before each call, in s: threads of the other side that wait for more work
    give up and sleep meanwhile.
    """

    def seconds(call: Callable[[], object]) -> float:
        time.sleep(rest)
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    subject(), reference()
    pairs = [(seconds(subject), seconds(reference)) for _ in range(rounds)]
    return quartiles(case, [theirs / ours for ours, theirs in pairs])


def on(threads: int) -> str:
    """Write a number of threads."""
    return "one thread" if threads == 1 else f"{threads} threads"


def cases() -> Iterator[Ratio | str]:
    """Run every case, one after another; a text says what a case needs or lacks."""
    from aiinfra.bench import host, rungs, simulator, triad

    yield host.timing()
    yield host.saxpy()
    yield host.importing()
    yield from triad.triads()
    yield from rungs.matmuls()
    yield simulator.matmul()
    yield simulator.block_sum()


def load() -> str:
    """Say how busy the machine was in the last minute, before the first case."""
    import psutil

    return (
        f"Load average {significant(psutil.getloadavg()[0], 2)} on {psutil.cpu_count()} cores: "
        "other programs make the cases on all cores slower."
    )


def run(json_path: Path | None = None) -> list[Ratio]:
    """Print each ratio as it is measured and save all of them as JSON where a path is given."""
    from aiinfra.measure import probe

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before any OpenMP library is loaded
    remarks, results = [load()], list[Ratio]()
    print(remarks[0], flush=True)
    for told in cases():
        print(told, flush=True)
        if isinstance(told, Ratio):
            results.append(told)
        else:
            remarks.append(told)
    if json_path is not None:
        saved = {
            "machine": probe().name,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "remarks": remarks,
            "ratios": [asdict(ratio) for ratio in results],
        }
        write_atomic(json_path, json.dumps(saved, indent=1) + "\n")
    return results
