"""The same job in several processes at once, as a data loader's workers do it.

Each worker is a fresh interpreter that reads the job from its standard input, so nothing depends on
forking and nothing imports the notebook or script that asks; that holds on Linux, macOS and
Windows. Functions of a notebook travel by value (``numba`` ships the pickler for that).
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from aiinfra.measure.timing import first_call

COMMAND = [sys.executable, "-m", "aiinfra.measure.workers"]
READY, GO = b"r", b"g"


def time_in_processes(
    job: Callable[[int], object], workers: int, calls: int, timeout: float = 60.0
) -> float:
    """Return the seconds that ``workers`` processes take for ``calls`` calls of ``job`` each.

    ``job`` gets the number of the call, from 0. Starting the processes and one call to warm up are
    not counted. All processes are gone when this returns. Raises ``RuntimeError`` where one of them
    fails or is not done after ``timeout`` seconds.
    """
    if workers < 1 or calls < 1:
        raise ValueError(f"ask for one worker and one call or more, not {workers} and {calls}")
    pickler: Any = import_module("numba.cloudpickle")
    parcel = pickler.dumps((job, calls))
    started = [_start(parcel) for _ in range(workers)]
    watchdog = threading.Timer(timeout, _stop, [started])
    watchdog.start()
    try:
        _hear(started)
        return first_call(_run, started)
    finally:
        watchdog.cancel()
        _stop(started)


Process = subprocess.Popen[bytes]


def _start(parcel: bytes) -> Process:
    pipe = subprocess.PIPE
    process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    try:
        process.stdin.write(parcel)
        process.stdin.flush()
    except OSError:
        pass  # it has died: the next reading says so
    return process


def _run(started: list[Process]) -> None:
    for process in started:
        assert process.stdin is not None
        process.stdin.write(GO)
        process.stdin.flush()
    _hear(started)


def _hear(started: list[Process]) -> None:
    """Wait for a sign of every worker."""
    for process in started:
        assert process.stdout is not None
        if process.stdout.read(1) != READY:
            raise RuntimeError(
                "a worker process failed or took too long; call the job once in this notebook to "
                "see why"
            )


def _stop(started: list[Process]) -> None:
    for process in started:
        process.kill()
    for process in started:
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and threading.current_thread() is threading.main_thread():
                pipe.close()


def main() -> None:
    """Be a worker: read the job, warm up, say so, wait for the sign, work, say so."""
    source, signs = sys.stdin.buffer, sys.stdout.buffer
    job, calls = pickle.load(source)
    job(0)
    signs.write(READY)
    signs.flush()
    if source.read(1) == GO:
        for number in range(calls):
            job(number)
        signs.write(READY)
        signs.flush()


if __name__ == "__main__":
    main()
