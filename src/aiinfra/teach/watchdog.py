"""Stop code of a learner that runs in the notebook itself and does not end."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 20.0  # a figure takes a few seconds on a slow machine


class StillRunning(BaseException):
    """Code has run for too long; no ``Exception``, so that ``except Exception`` lets it pass."""


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """Raise ``StillRunning`` in the body when it still runs after ``seconds``, and every s again.

    On the main thread of Linux and macOS by ``SIGALRM``; on Windows, and on other threads, by an
    exception that Python raises at the next bytecode, so that a call which waits outside of Python
    ends first.
    """
    if hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread():
        with _by_signal(seconds):
            yield
    else:
        with _by_thread(seconds):
            yield


@contextmanager
def _by_signal(seconds: float) -> Iterator[None]:
    """Let the timer of the process interrupt; give back the handler and the timer found."""

    def interrupt(number: int, frame: Any) -> None:
        raise StillRunning

    handler = signal.signal(signal.SIGALRM, interrupt)
    found = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    finally:  # also where the last signal came just before the timer was stopped
        signal.setitimer(signal.ITIMER_REAL, *found)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def _by_thread(seconds: float) -> Iterator[None]:
    """Let a second thread raise in this one, unless the body has ended."""
    ended, watched = threading.Event(), threading.get_ident()
    lock = threading.Lock()

    def watch() -> None:
        wait = seconds
        while not ended.wait(wait):
            with lock:
                if not ended.is_set():
                    _raise_in(watched, StillRunning)
            wait = 1.0

    threading.Thread(target=watch, daemon=True).start()
    try:
        try:
            yield
        finally:
            ended.set()
    finally:  # also where the last exception came just before the event was set
        ended.set()
        with lock:
            _raise_in(watched, None)  # one that was asked for and has not come yet


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Ask Python to raise ``kind`` in a thread, or with ``None`` to forget what was asked for."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if kind is None else ctypes.py_object(kind)
    )
