"""Run a submission in a process of its own, which can hang, crash or swell there.

The grader stays in this process and holds a ``Remote``. Each call sends its arguments to a fresh
Python process that holds the submission (functions of a notebook by value, through the
cloudpickle that numba carries), and gets plain data back, which is never unpickled. A forked copy
of the kernel would be quicker, but dies of the threads that torch, OpenMP and CUDA leave behind.

What this keeps out: endless loops and allocation, ``os._exit``, crashes, processes left behind,
and any change that the submission makes to the checker's code, because it changes its own copy.
What it does not keep out: the graders are files that everybody may read, and code that runs as
you may do to your files and processes whatever you may. The notebook and the progress file belong
to the learner, who can replace ``check`` itself: marks that matter are graded by somebody else.
"""

from __future__ import annotations

import functools
import inspect
import io
import json
import linecache
import os
import pickle
import queue
import reprlib
import signal
import site
import subprocess
import sys
import threading
import time
from collections import ChainMap
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiinfra.teach.plain import PLAIN_ONLY, NotPlain, Unfit, decode, encode, receive, refuse, send
from aiinfra.teach.verdict import Verdict, failed, not_attempted
from aiinfra.units import GIB, format_binary

START_SECONDS = 60.0  # to start Python and import on the slowest disk; not the learner's time
POLL_SECONDS = 0.05
ARGUMENT_CHARACTERS = 100
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
WORKER = "from aiinfra.teach.worker import main; main()"
CANNOT_COPY = (
    "Your answer cannot be copied for the checker ({}). Pass data as arguments, and keep widgets, "
    "open files and locks out of the function."
)


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds from its first call on, bytes beyond its imports."""

    seconds: float = 30.0
    memory_bytes: float = GIB


class Ended(Exception):  # noqa: N818  (no error of ours: the submission's end, with its verdict)
    """The submission gave no result, and ``verdict`` says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def grade(grader: Any, submission: Any, limits: Limits) -> Verdict:
    """Grade plain data here, and code, but for ``plain_only``, through a process of its own."""
    if inspect.iscoroutinefunction(submission):
        return failed("Your function is an `async def`; a plain `def` is asked for.")
    try:
        try:
            return judge(grader, decode(encode(submission, refuse, at_rest=True), refuse))
        except NotPlain:
            if getattr(grader, "plain_only", False):
                return failed(PLAIN_ONLY)
            payload = copy_of(submission)
    except Unfit as problem:
        return failed(f"Your answer cannot be checked: {problem}.")
    except (Exception, SystemExit) as problem:
        return failed(CANNOT_COPY.format(str(problem)[:200]))
    apart = Apart(limits)
    try:
        verdict = judge(lambda _, rng: grader(apart.load(payload), rng), None)
    finally:
        apart.end()
    return replace(verdict, printed=apart.printed)


def judge(grader: Any, submission: Any) -> Verdict:
    """Call the grader, and turn whatever ends it into a verdict."""
    import numpy as np

    try:
        verdict = grader(submission, np.random.default_rng())
    except Ended as end:
        return end.verdict
    except Exception as problem:
        what = f"{type(problem).__name__}: {problem}"[:200]
        return failed(f"The checker could not use your answer.\n{what}")
    if isinstance(verdict, Verdict):
        return verdict
    return failed("The checker of this task gave no verdict: please report it to the course.")


def copy_of(submission: Any) -> bytes:
    """Pickle a submission by value, functions behind ``functools.cache`` included."""
    from numba import cloudpickle

    cached: Any = {functools._lru_cache_wrapper: reduce_cached}
    table = ChainMap(cached, cloudpickle.Pickler.dispatch_table)
    parcel = io.BytesIO()
    type("Copier", (cloudpickle.Pickler,), {"dispatch_table": table})(parcel).dump(submission)
    return parcel.getvalue()


def reduce_cached(function: Any) -> tuple[Any, ...]:
    """Pickle a cached function as the function and its cache's settings."""
    return cached_again, (function.__wrapped__, function.cache_parameters())


def cached_again(function: Any, settings: dict[str, Any]) -> Any:
    """Give a function its cache back, empty."""
    return functools.lru_cache(**settings)(function)


class Apart:
    """The process of one submission, with its limits; ``end`` it whatever happens.

    An ``isolated`` one sees neither the learner's folders nor the cells of the notebook.
    """

    def __init__(self, limits: Limits, isolated: bool = False) -> None:
        import psutil

        self.limits, self.isolated = limits, isolated
        self.printed = ""
        self.deadline = time.monotonic() + START_SECONDS
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        program = ["-I", "-c", alone()] if isolated else ["-P", "-c", WORKER]
        self.process = subprocess.Popen(
            [sys.executable, *program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            env={**os.environ, "PYTHONPATH": path, "AIINFRA_RECORD": ""}, start_new_session=True,
        )  # fmt: skip
        self.root = psutil.Process(self.process.pid)
        self.seen: set[Any] = set()

    def load(self, payload: bytes) -> Any:
        """Hand over the submission and return what stands for it; from now on its time runs."""
        header = {
            "payload": payload, "sources": {} if self.isolated else typed_sources(),
            "seconds": self.limits.seconds, "memory_bytes": self.limits.memory_bytes,
        }  # fmt: skip
        submission = self.ask(header)
        self.deadline = time.monotonic() + self.limits.seconds + 2
        return submission

    def ask(self, request: Any, told: Any = None) -> Any:
        """Send a request and return its result; raises ``Ended``; ``told`` are its arguments."""
        text = self.exchange(pickle.dumps(request))
        try:
            if not text:
                raise Ended(failed(how_it_ended(self.process.wait(timeout=1))))
            reply = json.loads(text)
            self.printed = str(reply["printed"]).rstrip()[:2100]
            if "value" in reply:
                return decode(reply["value"], functools.partial(Remote, self))
            error = reply.get("error")
        except (*UNREADABLE, subprocess.TimeoutExpired):
            raise Ended(failed("Your code sent the checker something unreadable.")) from None
        if error is None:
            raise Ended(not_attempted())
        called = f"\nwhen called with {shortened(told)}" if told else ""
        raise Ended(failed(f"{error}{called}"))

    def exchange(self, request: bytes) -> bytes:
        """Send a request and wait for the reply within the limits; empty where none can come."""
        inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def transfer() -> None:
            try:
                send(self.process.stdin, request)
                inbox.put(receive(self.process.stdout))
            except (OSError, ValueError):
                inbox.put(b"")  # the pipe was closed at either end

        # A thread, because a submission may keep its end of a pipe open for ever.
        threading.Thread(target=transfer, daemon=True).start()
        while True:
            over = self.process.poll() is not None
            try:
                return inbox.get(timeout=0.5 if over else POLL_SECONDS)
            except queue.Empty:
                if over:
                    return b""
            self.watch()

    def watch(self) -> None:
        """Raise ``Ended`` when the time or the memory of the submission is used up."""
        if time.monotonic() > self.deadline:
            seconds = self.limits.seconds
            raise Ended(failed(f"Stopped after {seconds:.0f} s: is there an endless loop?"))
        if sum(map(memory_of, [self.root, *self.family()])) > 2 * self.limits.memory_bytes:
            size = format_binary(self.limits.memory_bytes)
            raise Ended(failed(f"Stopped: your code used more than {size} of memory."))

    def family(self) -> set[Any]:
        """Return every process that the submission has been seen to start."""
        with suppress(Exception):  # psutil's errors, when it is gone
            self.seen.update(self.root.children(recursive=True))
        return self.seen

    def end(self) -> None:
        """Kill the submission and whatever it has started."""
        killed: set[Any] = set()
        for _ in range(100):  # a process may start another while it is being killed
            if not (alive := self.family() - killed):
                break
            for process in alive:
                with suppress(Exception):
                    process.kill()
            killed |= alive
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            pipe.close()


class Remote:
    """What stands in the grader for a function or object of the submission.

    Call it, or read an attribute: plain data comes back by value, anything else as a ``Remote``.
    ``run`` hands it to a function of the package beside it: ``kernel.run("aiinfra.measure.simt",
    "launch", grid, block)`` calls ``launch(kernel, grid, block)`` in the submission's process,
    where the submission could also change what ``launch`` does (``kernel_check`` sends text).
    """

    def __init__(self, apart: Apart, handle: int, kind: str) -> None:
        self._apart, self._handle, self._kind = apart, handle, kind

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._apart.ask(("call", self._handle, "", "", args, options), args)

    def run(self, module: str, function: str, *args: Any, **options: Any) -> Any:
        """Call ``module.function(submission, *args)`` in the submission's process."""
        return self._apart.ask(("run", self._handle, module, function, args, options), args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._apart.ask(("get", self._handle, "", name, (), {}))


def shortened(arguments: Any) -> str:
    """Write the arguments of a call on one line, long ones with a gap."""
    writer = reprlib.Repr()
    writer.maxother = ARGUMENT_CHARACTERS
    return " ".join(writer.repr(arguments).split())


def alone() -> str:
    """Return the worker's program for ``python -I``: this package, and what is installed."""
    folders = [str(Path(__file__).parents[2]), *site.getsitepackages(), site.getusersitepackages()]
    return f"import sys; sys.path += {folders!r}; {WORKER}"


def typed_sources() -> dict[str, list[str]]:
    """Return the source of notebook cells, so that the other process can name lines."""
    cells = {name: entry for name, entry in linecache.cache.items() if len(entry) == 4}
    return {name: list(entry[2]) for name, entry in cells.items() if entry[1] is None}


def memory_of(process: Any) -> float:
    """Return the resident memory of a process in bytes, 0 once it is gone."""
    try:
        return float(process.memory_info().rss)
    except Exception:  # psutil's errors
        return 0.0


def how_it_ended(code: int) -> str:
    """Say how a process ended that sent no reply."""
    if code < 0:
        return (
            f"Your code crashed Python ({signal.Signals(-code).name}), often by running out of "
            "memory or by writing outside an array."
        )
    return f"Your code ended the program (exit code {code}) before the answer was checked."
