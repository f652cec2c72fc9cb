"""Record lessons on this machine, and say which recordings are current.

The functions return plain data; ``aiinfra record`` and ``aiinfra recordings`` print it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiinfra.facts.recordings import RecordingError, load, recorded_folder
from aiinfra.measure.source_hash import ambiguous_names, experiments_in, hash_in_file

LESSON_FOLDERS = ("lessons/notebooks", "lessons/labs")
TIMEOUT = 600.0
Say = Callable[[str], None]


class LessonError(LookupError):
    """A lesson that is not there, or two that clash; the message says which there are."""


@dataclass(frozen=True)
class Failure:
    """One experiment or statement that failed, and why in one line."""

    name: str
    error: str


@dataclass(frozen=True)
class RecordedLesson:
    """What recording one lesson gave: files written, what failed, the log of the run.

    The log is there for as long as something failed; where all went well it is removed.
    ``problem`` is one sentence when the lesson as a whole did not finish well, else ``None``.
    """

    lesson: str
    seconds: float
    recordings: tuple[Path, ...]
    failures: tuple[Failure, ...]
    log: Path
    problem: str | None

    @property
    def ok(self) -> bool:
        """True when the lesson ran to its end and nothing in it failed."""
        return self.problem is None and not self.failures


@dataclass(frozen=True)
class RecordingState:
    """One line of ``aiinfra recordings``.

    ``state`` is "current", "stale: code changed", "orphan: no such experiment", "missing",
    "damaged: ..." or "ambiguous: ..."; a missing one has neither device, date, size nor path.
    """

    experiment: str
    lesson: str
    state: str
    device: str = ""
    date: str = ""
    size: int = 0
    path: Path | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def find_checkout(checkout: Path | None = None) -> Path:
    """Return the folder that holds ``lessons/``: as given, around this package, or around here."""
    here = Path.cwd()
    around = [checkout] if checkout else [*Path(__file__).resolve().parents, here, *here.parents]
    for folder in around:
        if (folder / LESSON_FOLDERS[0]).is_dir():
            return folder
    raise LessonError(
        f"no {LESSON_FOLDERS[0]} around {around[0]}: lessons are not part of the installed "
        "package; run this in a checkout of the course"
    )


def lesson_files(checkout: Path) -> list[Path]:
    """Return the sources of all lessons and labs, in the order of the course."""
    return [path for name in LESSON_FOLDERS for path in sorted((checkout / name).glob("*.py"))]


def find_lessons(names: Sequence[str], checkout: Path) -> list[Path]:
    """Return the lessons meant by numbers, stems or paths; all of them for no names."""
    files = lesson_files(checkout)
    chosen = []
    for name in names:
        stem = Path(name).name.removesuffix(".py").removesuffix(".ipynb")
        stem = stem.zfill(2) if stem.isdigit() else stem
        fits = [path for path in files if path.stem == stem or path.stem.startswith(f"{stem}_")]
        if not fits:
            there = ", ".join(path.stem for path in files) or "none yet"
            raise LessonError(f"no lesson {name!r}; there are: {there}")
        chosen += fits
    return list(dict.fromkeys(chosen)) if names else files


def record(
    lessons: Sequence[str] = (),
    folder: Path | None = None,
    timeout: float = TIMEOUT,
    checkout: Path | None = None,
    say: Say | None = None,
) -> list[RecordedLesson]:
    """Run lessons on this machine as scripts and write a recording of every live experiment.

    ``folder`` defaults to the package's recorded runs; ``timeout`` is in seconds a lesson; ``say``
    gets one line for each lesson, recording and failure. A lesson that fails, hangs or is killed
    keeps the recordings that it had written. The learner's own progress is not touched. Raises
    ``OSError`` in plain words when ``folder`` cannot be written.
    """
    base = find_checkout(checkout)
    files = find_lessons(lessons, base)
    target = (folder or recorded_folder()).resolve()
    check_folder(target)
    logs = Path(tempfile.mkdtemp(prefix="aiinfra-record-"))
    done: list[RecordedLesson] = []
    try:
        for path in files:
            done.append(record_lesson(path, target, logs, base, timeout))
            if say:
                for line in report_lines(done[-1]):
                    say(line)
    finally:
        if all(item.ok for item in done):
            shutil.rmtree(logs, ignore_errors=True)
    return done


def check_folder(folder: Path) -> None:
    """Make the folder and try to write in it; raise ``OSError`` with one sentence if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as problem:
        raise OSError(
            f"cannot write recordings in {folder}: {problem.strerror}; name a folder of yours"
        ) from None


def record_lesson(
    path: Path, target: Path, logs: Path, base: Path, timeout: float
) -> RecordedLesson:
    """Run one lesson in a process of its own and gather what it wrote."""
    log, status = logs / f"{path.stem}.log", logs / f"{path.stem}.jsonl"
    environ = {name: value for name, value in os.environ.items() if name != "AIINFRA_REPLAY"}
    source = Path(__file__).resolve().parents[2]
    environ |= {
        "AIINFRA_RECORD": str(target),
        "AIINFRA_RECORD_STATUS": str(status),
        "AIINFRA_LESSON": path.stem,
        "AIINFRA_HOME": str(logs / "home"),
        "MPLBACKEND": "Agg",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(source), environ.get("PYTHONPATH")])),
    }
    start = time.monotonic()
    problem = run_child(path, log, base, environ, timeout)
    events = read_status(status)
    return RecordedLesson(
        lesson=path.stem,
        seconds=time.monotonic() - start,
        recordings=tuple(
            dict.fromkeys(Path(item["path"]) for item in events if item["event"] == "recorded")
        ),
        failures=tuple(
            Failure(item["name"], item["error"]) for item in events if item["event"] != "recorded"
        ),
        log=log,
        problem=problem,
    )


def run_child(
    path: Path, log: Path, base: Path, environ: dict[str, str], timeout: float
) -> str | None:
    """Run a lesson with a hard time limit; return what went wrong in one sentence."""
    command = [sys.executable, "-m", "aiinfra.measure.lesson_runner", str(path)]
    with log.open("w", encoding="utf-8") as output:
        child = subprocess.Popen(
            command,
            cwd=base,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"stopped after {timeout:g} s; see {log}"
        finally:
            end_group(child)
    return None if code == 0 else f"ended with code {code}; see {log}"


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a lesson's process and the ranks and workers that it may have left behind."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def read_status(path: Path) -> list[dict[str, str]]:
    """Read the lines that a lesson's process left; a line cut short by a kill is dropped."""
    events = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            events.append(json.loads(line))
    return events


def report_lines(result: RecordedLesson) -> list[str]:
    """Describe a recorded lesson, one line for each recording and failure."""
    lines = [f"{result.lesson}: recorded {path.name}" for path in result.recordings]
    lines += [f"{result.lesson}: {item.name} failed: {item.error}" for item in result.failures]
    if result.problem:
        lines.append(f"{result.lesson}: {result.problem}")
    elif result.failures:
        lines.append(f"{result.lesson}: the log is {result.log}")
    return lines or [f"{result.lesson}: nothing to record"]


def experiments_of_course(checkout: Path) -> dict[str, Path]:
    """Return every experiment with its lesson's file; ``LessonError`` when a name comes twice."""
    found: dict[str, Path] = {}
    for path in lesson_files(checkout):
        for name in experiments_in(path):
            if name in found:
                raise LessonError(
                    f"experiment {name!r} is defined in {found[name].stem} and in {path.stem}; "
                    "rename one, because recordings are found by name"
                )
            found[name] = path
    return found


def list_recordings(
    folder: Path | None = None, checkout: Path | None = None
) -> list[RecordingState]:
    """Return the state of every recording, and of every experiment that has none.

    Nothing is run: a recording is current when the hash of the lesson's source equals its own.
    """
    experiments = experiments_of_course(find_checkout(checkout))
    states = [
        state_of(path, experiments)
        for path in sorted((folder or recorded_folder()).glob("*/*.json"))
    ]
    recorded = {item.experiment for item in states}
    states += [
        RecordingState(name, path.stem, "missing")
        for name, path in experiments.items()
        if name not in recorded
    ]
    return sorted(states, key=lambda item: (item.lesson, item.experiment, item.device))


def state_of(path: Path, experiments: dict[str, Path]) -> RecordingState:
    """Judge one recording against the source of its lesson."""
    size = path.stat().st_size
    try:
        item = load(path)
    except RecordingError as error:
        name = path.stem.partition("--")[0]
        return RecordingState(name, path.parent.name, f"damaged: {error}", size=size, path=path)
    lesson = experiments.get(item.experiment)
    if lesson is None:
        state = "orphan: no such experiment"
    elif twice := ambiguous_names(lesson, item.experiment):
        state = f"ambiguous: {', '.join(twice)} is defined twice in {lesson.stem}"
    elif hash_in_file(lesson, item.experiment).digest == item.code_hash:
        state = "current"
    else:
        state = "stale: code changed"
    return RecordingState(
        item.experiment, item.lesson, state, item.device, item.date, size, path, item.arguments
    )
