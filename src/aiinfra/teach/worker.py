"""The other side of ``sandbox``: grade one submission in this process and report once."""

from __future__ import annotations

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
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiinfra.teach.verdict import Verdict, failed, not_attempted

PRINTED_CHARACTERS = 2000
REPORT_BYTES = 32 * 2**20
WATCHED = ("aiinfra", "numpy", "math", "builtins", "json", "random")
Snapshot = dict[tuple[str, str], Any]
Report = Callable[[Verdict], None]


class FirstWords(io.TextIOBase):
    """A text stream that keeps the first characters written to it and drops the rest."""

    def __init__(self, limit: int = PRINTED_CHARACTERS) -> None:
        self.kept = ""
        self.limit = limit

    def write(self, text: str) -> int:
        """Keep what still fits."""
        room = self.limit - len(self.kept)
        if len(text) > room > 0:
            self.kept += text[:room] + "\n[more was printed]"
            self.limit = 0
        elif room > 0:
            self.kept += text
        return len(text)


def main() -> None:
    """Read the parcel from standard input, grade it, report on standard output, and end."""
    header = json.loads(sys.stdin.buffer.readline())
    payload = sys.stdin.buffer.read()
    channel, words = take_over_output()
    report = reporter(channel, header.pop("token"), words)
    for name, lines in header["sources"].items():
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
    module = importlib.import_module(header["module"])
    import numpy as np  # before the snapshot and the limits: the learner does not pay for imports

    rng = np.random.default_rng()
    before = snapshot(module.__name__)
    limit_memory(header["memory_bytes"])
    watch_clock(header["seconds"], report, module)
    report(Verdict(False, "started"))
    verdict = grade(getattr(module, header["function"]), payload, rng, module)
    if verdict.passed and snapshot(module.__name__, before) != before:
        verdict = failed("The checker's own functions were changed while your code ran.")
    report(verdict)
    os._exit(0)


def take_over_output() -> tuple[int, FirstWords]:
    """Keep the pipe to the notebook for the verdict, and collect what the learner prints."""
    channel = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    words = FirstWords()
    sys.stdout = sys.stderr = words
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  (open until the process ends)
    return channel, words


def reporter(channel: int, token: str, words: FirstWords) -> Report:
    """Return the function that sends a verdict; the token stays inside it."""
    lock = threading.Lock()
    write, dumps = os.write, json.dumps

    def report(verdict: Verdict) -> None:
        message = {
            "token": token, "started": verdict.message == "started", "passed": verdict.passed,
            "message": str(verdict.message)[:20_000], "score": float(verdict.score),
            "attempted": verdict.attempted, "printed": words.kept.rstrip(),
        }  # fmt: skip
        data = dumps(message).encode() + b"\n"
        with lock:
            while data:
                data = data[write(channel, data) :]

    return report


def grade(grader: Any, payload: bytes, rng: Any, module: types.ModuleType) -> Verdict:
    """Unpack and grade; whatever the learner's code raises becomes a message."""
    try:
        submission = pickle.loads(payload)
        verdict = grader(submission, rng)
    except NotImplementedError:
        return not_attempted()
    except MemoryError as problem:
        make_room()
        traceback.clear_frames(problem.__traceback__)
        return failed("Your code asked for more memory than a check may use.")
    except BaseException as problem:  # SystemExit and KeyboardInterrupt too
        return failed(explain(problem, module))
    if type(verdict) is not Verdict:
        raise TypeError(f"the grader returned {verdict!r}; it must return a Verdict")
    return verdict


def explain(problem: BaseException, module: types.ModuleType) -> str:
    """Say what the learner's code raised and on which of its lines."""
    what = f"{type(problem).__name__}: {problem}".rstrip(": ")
    frames = traceback.extract_tb(problem.__traceback__)
    for frame in reversed(frames):
        if is_learners(frame.filename, module):
            return f"Your code raised an error.\nline {frame.lineno}: {frame.line}\n{what}"
    return f"The checker could not use your answer.\n{what}"


def is_learners(filename: str, module: types.ModuleType) -> bool:
    """Tell whether a frame belongs to the learner: neither ours, nor Python's, nor a package's."""
    if filename.startswith("<") and not filename.startswith(("<ipython-input", "<stdin")):
        return False
    ours = [Path(__file__).parents[1], Path(module.__file__ or "").parent]
    theirs = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    return not any(Path(filename).is_relative_to(folder) for folder in ours + theirs)


def watch_clock(seconds: float, report: Report, module: types.ModuleType) -> None:
    """Report the line where the learner's code still is when its time is up, and end."""
    main_thread = threading.get_ident()

    def stop() -> None:
        make_room()
        frame = sys._current_frames().get(main_thread)
        stack = traceback.extract_stack(frame)
        where = next((f for f in reversed(stack) if is_learners(f.filename, module)), None)
        message = f"Still running after {seconds:.0f} s, so it was stopped."
        if where is not None:
            message += f"\nline {where.lineno}: {where.line}"
        report(failed(message))
        os._exit(1)

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()


def limit_memory(extra_bytes: float) -> None:
    """Let this process grow by ``extra_bytes``, where the system can enforce that (Linux).

    Should memory run out all the same, the system is to end this process and not the kernel.
    """
    if not sys.platform.startswith("linux"):
        return
    import resource

    with suppress(OSError, ValueError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        limit = int(pages * resource.getpagesize() + extra_bytes)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit + REPORT_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def make_room() -> None:
    """Free the memory that was set aside for reporting that there is none left."""
    if sys.platform.startswith("linux"):
        import resource

        with suppress(OSError, ValueError):
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def snapshot(graders: str, names: Snapshot | None = None) -> Snapshot:
    """Note what the names of the checker and of the libraries it relies on stand for.

    With ``names``, only those are looked up: modules may grow while the learner's code runs, but
    nothing that was there may be exchanged. Functions count as exchanged when their code is.
    """
    if names is not None:
        return {(m, name): identity(sys.modules.get(m), name) for m, name in names}
    roots = (*WATCHED, graders.rpartition(".")[0] or graders)
    modules = [m for m in sys.modules if m.startswith(roots) and m.split(".")[0] != "__main__"]
    return {
        (m, name): identity(sys.modules[m], name) for m in modules for name in dir(sys.modules[m])
    }


def identity(module: Any, name: str) -> tuple[Any, ...]:
    """Return what must not change about one name: the object, its code or its members."""
    found = getattr(module, name, None)
    if isinstance(found, types.FunctionType):
        return (id(found), id(found.__code__), found.__defaults__)
    if isinstance(found, type) and found.__module__.startswith("aiinfra"):
        return (id(found), *(id(member) for member in vars(found).values()))
    return (id(found),)
