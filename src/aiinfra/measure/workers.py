"""The same job in several processes at once, as a data loader's workers do it.

Each worker is a fresh interpreter that reads its jobs from its standard input, so nothing depends
on forking and nothing imports the notebook or script that asks; that holds on Linux, macOS and
Windows. Functions of a notebook travel by value (``numba`` ships the pickler for that).
"""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO

from aiinfra.measure.timing import first_call

COMMAND = [sys.executable, "-m", "aiinfra.measure.workers"]
SIGN = struct.Struct("=sd")  # "r" for ready, and the core-seconds of the work
Process = subprocess.Popen[bytes]
Job = Callable[[int], object]


@dataclass(frozen=True)
class Shift:
    """Seconds by the clock from the sign to the last worker's end; core-seconds of all workers.

    ``busy`` counts only the time for which the system let them work: on a machine that others use
    too it hardly grows, while ``seconds`` does.
    """

    seconds: float
    busy: float


@contextmanager
def crew(
    *jobs: Job, workers: int, calls: int, timeout: float = 60.0
) -> Iterator[Callable[[int, int], Shift]]:
    """Start processes, and yield ``work(n, which)``: the shift of ``n`` of them at one job.

    Each of the first ``n`` calls ``jobs[which]`` ``calls`` times, with the numbers from 0; the
    others wait without work. So several crowds and jobs can be timed in turns, and a slow moment
    of the machine meets all of them. Starting the processes and one call of each job to warm up
    are not counted. All processes are gone in the end. Raises ``ValueError`` for no job, no worker
    or no call and for more workers than there are, ``RuntimeError`` where one of them fails or is
    not done after ``timeout`` seconds.
    """
    if workers < 1 or calls < 1 or not jobs:
        raise ValueError(f"ask for one job, one worker and one call or more, not {len(jobs)}, "
                         f"{workers} and {calls}")  # fmt: skip
    pickler: Any = import_module("numba.cloudpickle")
    parcel = pickler.dumps((jobs, calls))
    started = [_start(parcel) for _ in range(workers)]

    def work(n: int, which: int = 0) -> Shift:
        if not (0 < n <= workers and 0 <= which < len(jobs)):
            raise ValueError(f"there are {workers} workers and {len(jobs)} jobs")
        spent: list[float] = []
        with _watched(started, timeout):
            wall = first_call(_run, started[:n], bytes([which]), spent)
        return Shift(wall, sum(spent))

    try:
        with _watched(started, timeout):
            _hear(started)
        yield work
    finally:
        _stop(started)


def _start(parcel: bytes) -> Process:
    pipe = subprocess.PIPE
    process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    _tell(process, parcel)
    return process


@contextmanager
def _watched(started: list[Process], timeout: float) -> Iterator[None]:
    """End the processes where the block takes longer than that."""
    watchdog = threading.Timer(timeout, _stop, [started])
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _run(some: list[Process], which: bytes, spent: list[float]) -> None:
    for process in some:
        _tell(process, which)
    spent += _hear(some)


def _tell(process: Process, message: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(message)
        process.stdin.flush()
    except OSError:
        pass  # it has died: the next reading says so


def _hear(some: list[Process]) -> list[float]:
    """Wait for a sign of every worker: its core-seconds."""
    spent = []
    for process in some:
        assert process.stdout is not None
        sign = process.stdout.read(SIGN.size)
        if len(sign) < SIGN.size or SIGN.unpack(sign)[0] != b"r":
            raise RuntimeError(
                "a worker process failed or took too long; call the job once in this notebook to "
                "see why"
            )
        spent.append(SIGN.unpack(sign)[1])
    return spent


def _stop(started: list[Process]) -> None:
    for process in started:
        process.kill()
    for process in started:
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and threading.current_thread() is threading.main_thread():
                pipe.close()


def main() -> None:
    """Be a worker: read the jobs, warm up, say so; then work at each sign, and say so."""
    source, signs = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a job prints is no sign
    jobs, calls = pickle.load(source)
    for job in jobs:
        job(0)
    _sign(signs, 0.0)
    while which := source.read(1):
        start = time.process_time()
        for number in range(calls):
            jobs[which[0]](number)
        _sign(signs, time.process_time() - start)


def _sign(signs: BinaryIO, spent: float) -> None:
    signs.write(SIGN.pack(b"r", spent))
    signs.flush()


if __name__ == "__main__":
    main()
