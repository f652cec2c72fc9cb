"""Run a lesson as learners do, and weigh it: as a notebook (Run All) and as a plain script.

A lesson may take 60 s and 700 MB; one that needs more says so above its first cell, with the
reason (read by ``lessonkit.source``)::

    # budget: 90 s, 900 MB because the GPT of round 2 trains for a minute

Memory is the peak of the kernel's whole process tree, each shared page counted once (PSS where the
system tells it, else resident size), sampled ten times a second.
"""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from lessonkit.source import Source
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

SRC = Path(__file__).resolve().parents[1] / "src"
HARD_LIMIT = 600  # seconds: past this a lesson hangs
ANSI = re.compile(r"\x1b\[[0-9;]*m")
BLOCKED = ("IPython", "ipywidgets", "ipykernel")
BLOCKER = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"{{name}} is kept away by the test", name=name)

sys.meta_path.insert(0, Absent())
"""


@dataclass(frozen=True)
class Executed:
    """An executed notebook and what it took; ``error`` is empty when every cell ran."""

    notebook: nbformat.NotebookNode
    path: Path
    seconds: float
    peak_bytes: int
    error: str = ""


@dataclass(frozen=True)
class Script:
    """A lesson run as a plain script: exit code, what it printed, the figures that it drew."""

    returncode: int
    output: str
    figures: tuple[Path, ...]


@dataclass
class MemoryPeak:
    """The largest memory of a process tree while it is watched."""

    peak_bytes: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def watch(self, pid_of: Callable[[], int | None]) -> None:
        while not self.done.wait(0.1):
            pid = pid_of()
            if pid is not None:
                self.peak_bytes = max(self.peak_bytes, tree_bytes(pid))


def tree_bytes(pid: int) -> int:
    """Memory of a process and its descendants in bytes; 0 when it is gone."""
    try:
        root = psutil.Process(pid)
        return sum(map(process_bytes, [root, *root.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0


def process_bytes(process: psutil.Process) -> int:
    """Proportional memory of one process, else resident; 0 when it is gone or not ours to see."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.AccessDenied:
        return 0
    except psutil.NoSuchProcess:
        return 0


def quiet_environment(home: Path) -> dict[str, str]:
    """The environment of a lesson under test: a progress file of its own, patient threads."""
    fresh = {
        "AIINFRA_HOME": str(home),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "PYTHONUNBUFFERED": "1",
    }
    kept = {k: v for k, v in os.environ.items() if k not in ("AIINFRA_RECORD", "AIINFRA_LESSON")}
    return {**kept, **fresh}


@contextmanager
def watched(pid_of: Callable[[], int | None]) -> Iterator[MemoryPeak]:
    """Sample the memory of a process tree, once ``pid_of`` knows its root, during the block."""
    peak = MemoryPeak()
    thread = threading.Thread(target=peak.watch, args=(pid_of,), daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        peak.done.set()
        thread.join()


def execute(
    notebook: nbformat.NotebookNode,
    target: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    kernel: str = "python3",
) -> Executed:
    """Run every cell in a fresh kernel with working directory ``folder``; write ``target``."""
    folder.mkdir(parents=True, exist_ok=True)
    notebook = copy.deepcopy(notebook)
    client = NotebookClient(
        notebook,
        kernel_name=kernel,
        timeout=HARD_LIMIT,
        resources={"metadata": {"path": folder}},
    )

    def pid_of() -> int | None:
        return client.km.provisioner.pid if client.km and client.km.provisioner else None

    error, begin = "", time.perf_counter()
    with watched(pid_of) as peak:
        try:
            client.execute(env={**quiet_environment(folder / "home"), **(environment or {})})
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
            error = ANSI.sub("", str(failure))
    seconds = time.perf_counter() - begin
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook.metadata["aiinfra"] = {"seconds": seconds, "peak_bytes": peak.peak_bytes}
    nbformat.write(notebook, target)
    return Executed(notebook, target, seconds, peak.peak_bytes, error)


def run_script(source: Source, folder: Path, **more: str) -> Script:
    """Run the source with neither IPython nor ipywidgets, drawing its figures into ``folder``."""
    blocker, figures = folder / "blocker", folder / "figures"
    blocker.mkdir(parents=True)
    (blocker / "sitecustomize.py").write_text(BLOCKER)
    environment = {
        **quiet_environment(folder / "home"),
        "PYTHONPATH": os.pathsep.join([str(blocker), str(SRC)]),
        "MPLBACKEND": "Agg",
        "AIINFRA_FIGURES": str(figures),
        **more,
    }
    finished = subprocess.run(
        [sys.executable, str(source.path)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HARD_LIMIT,
        check=False,
    )
    return Script(finished.returncode, finished.stdout, tuple(sorted(figures.glob("*.png"))))


def over_budget(executed: Executed, source: Source) -> list[str]:
    """What a run took beyond its budget."""
    told = []
    if executed.seconds > source.budget.seconds:
        told.append(f"took {executed.seconds:.0f} s; the budget is {source.budget.seconds:.0f} s")
    if executed.peak_bytes > source.budget.memory_bytes:
        megabytes = f"{executed.peak_bytes / 1e6:.0f} MB"
        told.append(f"took {megabytes}; the budget is {source.budget.memory_bytes / 1e6:.0f} MB")
    return told
