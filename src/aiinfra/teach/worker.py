"""The other side of ``sandbox``: hold one submission and do what the grader asks of it."""

from __future__ import annotations

import ctypes
import functools
import importlib
import io
import json
import linecache
import os
import pickle
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiinfra.teach.plain import encode, receive, send

PRINTED_CHARACTERS = 2000
ERROR_CHARACTERS = 200
REPLY_BYTES = 32 * 2**20
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


class FirstWords(io.TextIOBase):
    """A text stream that keeps the first characters written to it and drops the rest."""

    def __init__(self) -> None:
        self.kept = ""
        self.limit = PRINTED_CHARACTERS

    def write(self, text: str) -> int:
        """Keep what still fits."""
        room = self.limit - len(self.kept)
        self.kept += text[: max(room, 0)]
        if len(text) > room >= 0:
            self.kept += "\n[more was printed]"
        return len(text)


def main() -> None:
    """Take the submission from standard input, and answer one request after the other."""
    inbox, outbox = (os.fdopen(os.dup(n), mode, 0) for n, mode in ((0, "rb"), (1, "wb")))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    words = sys.stdout = sys.stderr = FirstWords()
    objects: list[Any] = []
    turn = threading.Lock()

    def reply(content: dict[str, Any]) -> None:
        with turn:
            send(outbox, json.dumps({**content, "printed": words.kept}).encode())

    header = pickle.loads(receive(inbox))
    for name, lines in header["sources"].items():
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
    importlib.import_module("numpy")  # the learner pays neither for this nor for the payload's
    reply(outcome(objects, lambda: pickle.loads(header["payload"])))
    contain(header["memory_bytes"])
    watch_clock(header["seconds"], reply)
    while request := receive(inbox):
        reply(outcome(objects, functools.partial(perform, objects, request)))
    os._exit(0)


def perform(objects: list[Any], request: bytes) -> Any:
    """Do one thing with an object: call it, read an attribute, hand it to a function of ours."""
    verb, handle, module, name, args, options = pickle.loads(request)
    held = objects[handle]
    if verb == "get":
        return getattr(held, name)
    if verb == "run":
        return getattr(importlib.import_module(module), name)(held, *args, **options)
    return held(*args, **options)


def outcome(objects: list[Any], action: Callable[[], Any]) -> dict[str, Any]:
    """Return a reply: a value, an error in words, or neither for a blank."""

    def keep(value: Any) -> int:
        objects.append(value)
        return len(objects) - 1

    try:
        value = action()
        blank = value is ... or value is NotImplemented
        return {} if blank else {"value": encode(value, keep)}
    except NotImplementedError:
        return {}
    except MemoryError as problem:
        make_room()
        traceback.clear_frames(problem.__traceback__)
        return {"error": "Your code asked for more memory than a check may use."}
    except BaseException as problem:  # SystemExit and KeyboardInterrupt too
        return {"error": explain(problem)}


def explain(problem: BaseException) -> str:
    """Say what the learner's code raised and on which of its lines."""
    what = "".join(traceback.format_exception_only(problem)).strip()
    if len(what) > ERROR_CHARACTERS:
        what = what[:ERROR_CHARACTERS] + "…"
    line = learners_line(traceback.extract_tb(problem.__traceback__))
    return f"Your code raised an error.{line}\n{what}"


def learners_line(frames: traceback.StackSummary) -> str:
    """Return the innermost line of the learner: neither ours, nor Python's, nor a package's."""
    folders = [Path(__file__).parents[1]]
    folders += [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    for frame in reversed(frames):
        typed = not frame.filename.startswith("<") or frame.filename.startswith("<ipython-input")
        if typed and not any(Path(frame.filename).is_relative_to(folder) for folder in folders):
            return f"\nline {frame.lineno}: {frame.line}"
    return ""


def watch_clock(seconds: float, reply: Callable[[dict[str, Any]], None]) -> None:
    """Report the line where the learner's code still is when its time is up, and end."""
    main_thread = threading.get_ident()

    def stop() -> None:
        make_room()
        line = learners_line(traceback.extract_stack(sys._current_frames().get(main_thread)))
        reply({"error": f"Still running after {seconds:.0f} s, so it was stopped.{line}"})
        os._exit(1)

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()


def contain(extra_bytes: float) -> None:
    """Let this process grow by ``extra_bytes`` and keep its orphans, where that works (Linux).

    Should memory run out all the same, the system is to end this process and not the kernel.
    """
    if not sys.platform.startswith("linux"):
        return
    import resource

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(SUBREAPER, 1)  # so that the sandbox finds and kills them
    with suppress(OSError, ValueError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        limit = int(pages * resource.getpagesize() + extra_bytes)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit + REPLY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def make_room() -> None:
    """Free the memory that was set aside for saying that there is none left."""
    if sys.platform.startswith("linux"):
        import resource

        with suppress(OSError, ValueError):
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
