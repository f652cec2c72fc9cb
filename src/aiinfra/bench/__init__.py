"""Performance as ratios measured in one run: ``make bench``.

Each case runs two ways of doing the same thing in turns, so that a machine that slows down slows
both; the ratio of each pair is one sample. A case on all cores still depends on what else runs: it
loses more than a case on one core, so the load is printed first. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from aiinfra.units import significant

ROUNDS = 9


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
    case: str, subject: Callable[[], object], reference: Callable[[], object], rounds: int = ROUNDS
) -> Ratio:
    """Time both callables in turns and return the ratio reference / subject with its spread."""
    subject(), reference()
    ratios = []
    for _ in range(rounds):
        start = time.perf_counter()
        subject()
        between = time.perf_counter()
        reference()
        ratios.append((time.perf_counter() - between) / (between - start))
    return quartiles(case, ratios)


def cases() -> Iterator[Ratio]:
    """Run every case, one after another."""
    from aiinfra.bench import host, simulator

    yield host.timing()
    yield host.saxpy()
    yield host.importing()
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
    print(load(), flush=True)
    results = []
    for ratio in cases():
        print(ratio, flush=True)
        results.append(ratio)
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(ratio) for ratio in results], indent=1) + "\n")
    return results
