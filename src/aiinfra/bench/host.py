"""The host: our clock against the standard library's, numba against NumPy, the cost of start-up."""

from __future__ import annotations

import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable

from aiinfra.bench import ROUNDS, Ratio, interleaved, quartiles


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
    return quartiles("one NumPy sum: timeit against time_call (should be 1)", ratios)


def importing() -> Ratio:
    """Starting Python and importing the package against starting Python alone."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    return interleaved(
        "start-up: with `import aiinfra` against bare Python",
        start("pass"),
        start("import aiinfra"),
    )
