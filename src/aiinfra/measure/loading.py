"""Samples in files, and a training loop that notes who was busy when.

They stand here because the worker processes of a ``DataLoader`` import what they run. The clock is
the system's monotonic one, which all processes of a machine share. No torch is imported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 60.0  # seconds until a loader that hangs becomes an error


class FileSamples:
    """A data set with one sample a file; ``wait`` emulates the seconds until a store answers.

    A sample is its bytes and the times ``(begin, end)`` at which they were asked for and there.
    """

    def __init__(self, paths: Sequence[Path], wait: float) -> None:
        self.paths = list(paths)
        self.wait = wait

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        begin = time.perf_counter()
        time.sleep(self.wait)
        sample = np.fromfile(self.paths[index], np.uint8)
        return sample, np.array([begin, time.perf_counter()])


@dataclass(frozen=True)
class Step:
    """One batch, in seconds from the first step: loaded between two times, computed between two."""

    load_begin: float
    load_end: float
    begin: float
    end: float


def train(loader: Iterable[Any], step: float) -> list[Step]:
    """Run a training loop whose accelerator is emulated: ``step`` seconds of sleep a batch."""
    noted = []
    for _, times in loader:
        begin = time.perf_counter()
        time.sleep(step)
        end = time.perf_counter()
        noted.append((float(times[:, 0].min()), float(times[:, 1].max()), begin, end))
    return [Step(*(moment - noted[0][2] for moment in row)) for row in noted]


def idle(steps: Sequence[Step]) -> float:
    """Share of the time from the first step to the end of the last in which none computes."""
    return 1 - sum(s.end - s.begin for s in steps) / (steps[-1].end - steps[0].begin)


def worker_options(workers: int, prefetch: int) -> dict[str, Any]:
    """Return the arguments of a ``DataLoader`` with that many processes, safe in a notebook.

    On Linux they fork, which starts them in milliseconds; elsewhere they start afresh.
    """
    if workers == 0:
        return {"num_workers": 0}
    return {
        "num_workers": workers,
        "prefetch_factor": prefetch,
        "timeout": LONGEST,
        "multiprocessing_context": "fork" if sys.platform == "linux" else "spawn",
    }
