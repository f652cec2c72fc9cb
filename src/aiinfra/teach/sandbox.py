"""Run a grader on a submission in a fresh process that can hang, crash or swell on its own.

The submission is copied into a new Python process (functions of a notebook by value, through the
cloudpickle that numba carries), which is killed when its time or memory is used up. A forked
copy of the kernel would be quicker, but dies of the threads that torch, OpenMP and CUDA leave
behind, and does not exist on Windows.

What this keeps out: endless loops, endless allocation, ``os._exit``, crashes, checker functions
replaced in the notebook or while the check runs, and verdicts that the learner's code prints.
What it cannot keep out: the learner's code and the grader share that process, so code that
walks the interpreter's frames can read the answer key; and the notebook and progress file belong
to the learner, who can replace ``check`` itself. Marks that matter are graded by somebody else.
"""

from __future__ import annotations

import hmac
import json
import linecache
import os
import pickle
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from aiinfra.teach.verdict import Verdict, failed, not_attempted
from aiinfra.units import GIB, format_binary

START_SECONDS = 60.0  # to start Python and import on the slowest disk; not the learner's time
LINE_BYTES = 1 << 20
MESSAGE_LIMIT = 64
PLAIN = (type(None), bool, int, float, complex, str, bytes)


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds from the start of grading, bytes beyond the imports."""

    seconds: float = 10.0
    memory_bytes: float = GIB


class CannotCopyError(ValueError):
    """A submission that refers to something that cannot be sent to another process."""


def grade_apart(module: str, function: str, submission: Any, limits: Limits) -> Verdict:
    """Grade ``submission`` with ``module.function`` in a process of its own."""
    try:
        payload = copy_of(submission)
    except CannotCopyError as problem:
        return failed(str(problem))
    token = secrets.token_hex(16)
    header = {
        "token": token, "module": module, "function": function,
        "seconds": limits.seconds, "memory_bytes": limits.memory_bytes, "sources": typed_sources(),
    }  # fmt: skip
    with tempfile.TemporaryFile() as parcel:
        parcel.write(json.dumps(header).encode() + b"\n" + payload)
        parcel.seek(0)
        process = start(parcel)
        try:
            return verdict_of(process, token, limits)
        finally:
            end(process)


def copy_of(submission: Any) -> bytes:
    """Pickle a submission; raises ``CannotCopyError`` with the mend."""
    try:
        if is_plain(submission):
            return pickle.dumps(submission)
        from numba import cloudpickle

        return bytes(cloudpickle.dumps(submission))  # type: ignore[no-untyped-call,unused-ignore]
    except Exception as problem:
        raise CannotCopyError(
            f"Your answer cannot be copied for the checker ({problem}). Pass data as arguments, "
            "and keep widgets, open files and locks out of the function."
        ) from None


def is_plain(value: Any) -> bool:
    """Tell whether a value is made of built-in data alone."""
    if type(value) in (list, tuple, set, frozenset):
        return all(is_plain(part) for part in value)
    if type(value) is dict:
        return all(is_plain(part) for item in value.items() for part in item)
    return type(value) in PLAIN


def typed_sources() -> dict[str, list[str]]:
    """Return the source of notebook cells, so that the other process can name and parse lines."""
    return {
        name: list(entry[2])
        for name, entry in linecache.cache.items()
        if len(entry) == 4 and entry[1] is None
    }


def start(parcel: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the worker, with the same import path and nothing to read but the parcel."""
    path = [entry or os.getcwd() for entry in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from aiinfra.teach.worker import main; main()"],
        stdin=parcel,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "AIINFRA_RECORD": ""},
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the worker and whatever it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def verdict_of(process: subprocess.Popen[bytes], token: str, limits: Limits) -> Verdict:
    """Wait for the verdict, the deadline, too much memory or the end of the process."""
    deadline = time.monotonic() + START_SECONDS
    for message in messages_of(process, token):
        if message is None:
            if time.monotonic() > deadline:
                return failed(f"Stopped after {limits.seconds:.0f} s: is there an endless loop?")
            if memory_of(process) > 2 * limits.memory_bytes:
                size = format_binary(limits.memory_bytes)
                return failed(f"Stopped: your code used more than {size} of memory.")
        elif message.get("started"):
            deadline = time.monotonic() + limits.seconds + 2
        elif message.get("attempted") is False:
            return not_attempted(message["message"])
        else:
            return Verdict(
                message["passed"] is True,
                message["message"],
                float(message["score"]),
                printed=message["printed"],
            )
    return failed(how_it_ended(process.wait()))


def messages_of(process: subprocess.Popen[bytes], token: str) -> Iterator[dict[str, Any] | None]:
    """Yield the worker's messages, and ``None`` whenever it is time to look at the limits."""
    inbox: queue.Queue[bytes] = queue.Queue(MESSAGE_LIMIT)
    threading.Thread(target=read_lines, args=(process, inbox), daemon=True).start()
    while True:
        try:
            line = inbox.get(timeout=0.02)
        except queue.Empty:
            if process.poll() is not None:
                end_grace = inbox_rest(inbox)
                yield from (found for found in (genuine(x, token) for x in end_grace) if found)
                return
            yield None
            continue
        message = genuine(line, token)
        if message is not None:
            yield message


def read_lines(process: subprocess.Popen[bytes], inbox: queue.Queue[bytes]) -> None:
    """Move lines from the pipe into the inbox until the pipe closes."""
    try:
        while process.stdout is not None and (line := process.stdout.readline(LINE_BYTES)):
            inbox.put(line)
    except (OSError, ValueError):
        return  # the pipe was closed at the end


def inbox_rest(inbox: queue.Queue[bytes]) -> list[bytes]:
    """Return the lines that arrived while the process ended."""
    rest: list[bytes] = []
    try:
        while True:
            rest.append(inbox.get(timeout=0.1))
    except queue.Empty:
        return rest


def genuine(line: bytes, token: str) -> dict[str, Any] | None:
    """Return the message of a line that carries this check's token."""
    try:
        message = json.loads(line)
        if hmac.compare_digest(str(message["token"]).encode(), token.encode()):
            return dict(message)
    except (ValueError, TypeError, KeyError):
        pass
    return None


def memory_of(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of the worker in bytes, 0 once it is gone."""
    import psutil

    try:
        return float(psutil.Process(process.pid).memory_info().rss)
    except psutil.Error:
        return 0.0


def how_it_ended(code: int) -> str:
    """Say how a worker ended that gave no verdict."""
    if code < 0:
        return (
            f"Your code crashed Python ({signal.Signals(-code).name}), often by running out of "
            "memory or by writing outside an array."
        )
    return f"Your code ended the program (exit code {code}) before the answer was checked."
