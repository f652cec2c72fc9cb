"""Samples in files, and a training loop that notes who was busy when.

They stand here because the worker processes of a ``DataLoader`` import what they run. The clock is
the system's monotonic one, which all processes of a machine share. No torch is imported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiinfra.measure.disk import forget_path

LONGEST = 60.0  # seconds until a loader that hangs becomes an error


class FileSamples:
    """A data set with one sample a file; ``wait`` emulates the seconds until a store answers.

    It is one number, or one for each file. A sample is its bytes and the times ``(begin, end)`` at
    which they were asked for and there.
    """

    def __init__(self, paths: Sequence[Path], wait: ArrayLike) -> None:
        self.paths = list(paths)
        self.waits = np.broadcast_to(np.asarray(wait, float), len(self.paths))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        begin = time.perf_counter()
        time.sleep(self.waits[index])
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
    """Share of the time, from the begin of the first step to that of the last, without a step.

    These are whole periods: the end of the last step, after which nobody waits, does not count.
    Raises ``ValueError`` for fewer than two steps.
    """
    if len(steps) < 2:
        raise ValueError(f"a period lies between two steps, got {len(steps)}; run more steps")
    return 1 - sum(s.end - s.begin for s in steps[:-1]) / (steps[-1].begin - steps[0].begin)


def train_together(loads: Sequence[Callable[[], object]], step: float, steps: int) -> float:
    """Run one emulated accelerator for each of ``loads``; the mean share in which they compute.

    A load reads one batch. It runs in a thread of its own, up to two batches ahead of ``steps``
    steps of ``step`` seconds. What a load raises is raised here, when all the others have ended.
    """

    def fill(load: Callable[[], object], queue: Queue[Any]) -> None:
        try:
            for _ in range(steps):
                load()
                queue.put((None, np.zeros((1, 2))))  # a batch; nobody asks for its times
        finally:
            queue.put(None)  # also after an error: nobody waits for ever

    queues: list[Queue[Any]] = [Queue(maxsize=2) for _ in loads]
    with ThreadPoolExecutor(2 * len(loads)) as pool:
        fills = [pool.submit(fill, *pair) for pair in zip(loads, queues, strict=True)]
        runs = [pool.submit(train, iter(queue.get, None), step) for queue in queues]
        for filled in fills:
            filled.result()
        return float(np.mean([1 - idle(run.result()) for run in runs]))


def save_beside(save: Callable[[], Any], step: float) -> tuple[float, float, int]:
    """Save, and run emulated steps until the state is safe: (stall, all seconds, steps run).

    ``save`` returns when the state is safe, or returns a future of it: then steps of ``step``
    seconds of sleep run until it is done. What the write raises is raised here.
    """
    start, steps = time.perf_counter(), 0
    given = save()
    stall = time.perf_counter() - start
    if isinstance(given, Future):
        while not given.done():
            time.sleep(step)
            steps += 1
        given.result()
    return stall, time.perf_counter() - start, steps


def write_samples(folder: Path, count: int, n_bytes: int) -> list[Path]:
    """Write files of random bytes, and drop them from the page cache."""
    rng, paths = np.random.default_rng(), [folder / f"{i:05d}.bin" for i in range(count)]
    for path in paths:
        path.write_bytes(rng.bytes(n_bytes))
    for path in paths:
        forget_path(path)
    return paths


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
