"""Performance as ratios measured in one run: ``make bench``.

Each case runs two ways of doing the same thing in turns, so that a machine that slows down slows
both; the ratio of each pair is one sample. A case on all cores still depends on what else runs: it
loses more than a case on one core, so the load is printed first. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import timeit
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
    low, median, high = statistics.quantiles(ratios, n=4)
    return Ratio(case, median, low, high)


def saxpy() -> Ratio:
    """saxpy of 4 million floats: numba on all cores against NumPy."""
    import numba
    import numpy as np

    x, y, scaled = (np.ones(2**22, np.float32) for _ in range(3))
    a = np.float32(0.5)

    @numba.njit(parallel=True)
    def fused(a: np.float32, x: np.ndarray, y: np.ndarray) -> None:
        for i in numba.prange(x.size):
            y[i] = a * x[i] + y[i]

    def two_passes() -> None:
        np.multiply(x, a, out=scaled)
        np.add(scaled, y, out=y)

    case = "saxpy: NumPy, two passes in place, against numba on all cores"
    return interleaved(case, lambda: fused(a, x, y), two_passes)


def timing() -> Ratio:
    """Our clock against the standard library's: the ratio should be close to one."""
    import numpy as np

    from aiinfra.measure.timing import time_call

    x = np.ones(100_000)
    ratios = []
    for _ in range(ROUNDS):
        ours = time_call(np.sum, x).median
        theirs = statistics.median(timeit.repeat(lambda: np.sum(x), number=100, repeat=9)) / 100
        ratios.append(theirs / ours)
    low, median, high = statistics.quantiles(ratios, n=4)
    return Ratio("one NumPy sum: timeit against time_call (should be 1)", median, low, high)


def importing() -> Ratio:
    """Starting Python and importing the package against starting Python alone."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    return interleaved(
        "start-up: with `import aiinfra` against bare Python",
        start("pass"),
        start("import aiinfra"),
    )


def cases() -> Iterator[Ratio]:
    """Run every case, one after another."""
    yield timing()
    yield saxpy()
    yield importing()


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
