"""What this machine is, what runs on it live, what is replayed and why, and what is missing.

Looks packages up without importing them, so that it answers in a second even where they are slow
or broken.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from aiinfra.units import MIB, format_binary

if TYPE_CHECKING:
    from aiinfra.measure.machine import Machine

WIDTH = 88
LEAST_MEMORY_BYTES = 900 * MIB  # JupyterLab takes 160 MB, a lesson may take 700 MB
KINDS = {
    "cpu": "CPU kernels, caches and memory",
    "gpu": "GPU kernels and transfers",
    "ranks": "two processes that train together",
    "links": "shaped network links",
    "disk": "reading and writing files",
}
# Package, what it is for, the extra that brings it.
WANTED = (
    ("jupyterlab", "opening the notebooks here", "lab"),
    ("torch", "the training and serving lessons", "torch"),
)
INSTALL = re.compile(r'pip install (-e )?"[^"]+"')
NO_EXPERIMENTS = "no experiments yet"
COMPILERS = ("cc", "gcc", "clang", "cl")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


@dataclass(frozen=True)
class Kind:
    """One kind of experiment, and in ``mode`` what becomes of it here.

    "live", "replayed: 2 of 3 recorded", "modelled", "no experiments yet", or "replayed or modelled"
    where the lessons are not beside the package and cannot be counted.
    """

    name: str
    what: str
    mode: str
    reason: str


@dataclass(frozen=True)
class Missing:
    """Something that is not here, what it is for, and the command that mends it."""

    name: str
    purpose: str
    command: str
    needed: bool = False


@dataclass(frozen=True)
class Report:
    """The whole examination; ``healthy`` when every lesson can be run or replayed."""

    machine: tuple[tuple[str, str], ...]
    kinds: tuple[Kind, ...]
    missing: tuple[Missing, ...]
    verdict: str
    healthy: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON."""
        return {**asdict(self), "machine": dict(self.machine)}

    def __str__(self) -> str:
        missing = [(item.name, f"{item.purpose}: {item.command}") for item in self.missing]
        kinds = [(kind.name, f"{kind.mode} ({kind.what}){_because(kind)}") for kind in self.kinds]
        blocks = [
            block("This machine", self.machine),
            block("What runs here", kinds),
            block("Missing", missing or [("nothing", "")]),
        ]
        return "\n\n".join([*blocks, "\n".join(textwrap.wrap(self.verdict, WIDTH))])


def examine() -> Report:
    """Examine this machine."""
    from aiinfra.measure.machine import probe

    machine = probe()
    kinds = tuple(examine_kinds())
    missing = tuple(find_missing(machine))
    rows = (*machine.summary(), ("Packages", packages()))
    healthy = not any(item.needed for item in missing)
    return Report(rows, kinds, missing, verdict(kinds, missing), healthy)


def examine_kinds() -> list[Kind]:
    """Say of each kind of experiment whether it runs live, and if not, why."""
    by_need = experiments_by_need()
    return [
        examine_kind(name, what, None if by_need is None else by_need.get(name, []))
        for name, what in KINDS.items()
    ]


def examine_kind(name: str, what: str, experiments: list[str] | None) -> Kind:
    """Say whether these experiments, ``None`` where nobody can tell which, run live here."""
    from aiinfra.measure.needs import why_replayed

    if experiments == []:
        return Kind(name, what, NO_EXPERIMENTS, "")
    reason = why_replayed(name)
    if reason is None:
        return Kind(name, what, "live", "")
    mode = "replayed or modelled" if experiments is None else stand_in(experiments)
    note = " (no recording of it yet)" if mode == "modelled" else ""
    return Kind(name, what, mode, f"{reason}{note}")


def experiments_by_need() -> dict[str, list[str]] | None:
    """Return the course's experiments by what they need; ``None`` outside a checkout."""
    from aiinfra.measure.record import LessonError, find_checkout, lesson_files
    from aiinfra.measure.source_hash import experiments_in

    needs: dict[str, list[str]] = {}
    try:
        files = lesson_files(find_checkout())
    except LessonError:
        return None
    for path in files:
        try:
            experiments = experiments_in(path)
        except (OSError, ValueError, SyntaxError):  # a lesson that is being edited
            continue
        for experiment, need in experiments.items():
            needs.setdefault(need, []).append(experiment)
    return needs


def stand_in(experiments: list[str]) -> str:
    """Return what stands in for experiments that do not run: recordings, or else the model."""
    from aiinfra.facts.recordings import recorded_folder

    recorded = {path.name.partition("--")[0] for path in recorded_folder().glob("*/*--*.json")}
    found = sum(name in recorded for name in experiments)
    if not experiments:
        return NO_EXPERIMENTS
    return f"replayed: {found} of {len(experiments)} recorded" if found else "modelled"


def find_missing(machine: Machine) -> list[Missing]:
    """Return what is missing on this machine, what is needed first."""
    from aiinfra.measure.needs import distributions, install_command

    found = [
        Missing(name, "no lesson runs without it", f"pip install {name}", needed=True)
        for name in distributions()
        if not installed(name)
    ]
    memory = machine.memory_usable
    if memory is not None and memory < LEAST_MEMORY_BYTES:
        size = f"{format_binary(LEAST_MEMORY_BYTES)} of memory"
        purpose = f"only {format_binary(memory)} may be used here"
        found.append(Missing(size, purpose, "open the course on Colab or Binder", needed=True))
    found += [
        Missing(name, purpose, install_command(extra))
        for name, purpose, extra in WANTED
        if not installed(name)
    ]
    return found + missing_for_gpu(machine) + missing_programs()


def missing_for_gpu(machine: Machine) -> list[Missing]:
    """Return the packages that the GPU of this machine asks for; none without a GPU."""
    if not machine.gpus:
        return []
    from aiinfra.measure.needs import cuda_extra, install_command

    command = install_command(cuda_extra(machine))
    return [
        Missing(name, "running GPU kernels", command)
        for name, module in (("numba-cuda", "numba_cuda"), ("cupy", "cupy"))
        if not installed(module)
    ]


def missing_programs() -> list[Missing]:
    """Return the programs that are not here: a C compiler, a browser for the tests."""
    compiler = {"Darwin": "xcode-select --install", "Windows": "winget install LLVM.LLVM"}
    found = []
    if not first_program(COMPILERS):
        command = compiler.get(platform.system(), "sudo apt-get install gcc")
        found.append(Missing("C compiler", "C baselines beside the kernels", command))
    if not first_program(BROWSERS):
        found.append(
            Missing("chromium", "the browser tests, not the lessons", "playwright install chromium")
        )
    return found


def first_program(names: Iterable[str], which: Callable[[str], str | None] = shutil.which) -> str:
    """Return the first of these programs that is here, or an empty text."""
    return next((name for name in names if which(name)), "")


def installed(name: str) -> bool:
    """Tell whether a distribution or a module of this name is here, without importing it."""
    try:
        version(name)
    except PackageNotFoundError:
        try:
            return importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            return False
    return True


def packages() -> str:
    """Name the packages that are here with their versions."""
    from aiinfra.measure.needs import distributions

    found = []
    for name in dict.fromkeys(distributions("lab", "torch", "cuda12", "cuda13")):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) or "none"


def verdict(kinds: Iterable[Kind], missing: Iterable[Missing]) -> str:
    """Sum the examination up in one sentence."""
    needed = [item for item in missing if item.needed]
    if needed:
        return f"Not ready: {needed[0].name} is missing; mend it with: {needed[0].command}"
    names: dict[str, list[str]] = {}
    for kind in kinds:
        if kind.mode != NO_EXPERIMENTS:
            names.setdefault(kind.mode, []).append(kind.name)
    modes = [f"{listed(found)} {mode}" for mode, found in names.items()]
    return f"Ready: the lessons can be followed here, with {'; '.join(modes)}."


def listed(names: list[str]) -> str:
    """Join names as a sentence does."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def block(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Write a titled block of labelled lines, wrapped beside their labels; commands stay whole."""
    rows = list(rows)
    margin = max(len(label) for label, _ in rows) + 4
    lines = [title, "-" * len(title)]
    for label, text in rows:
        glued = INSTALL.sub(lambda command: command[0].replace(" ", "\u00a0"), text)
        wrapped = textwrap.wrap(
            glued, WIDTH - margin, break_on_hyphens=False, break_long_words=False
        ) or [""]
        lines.append(f"  {label}".ljust(margin) + wrapped[0])
        lines += [" " * margin + line for line in wrapped[1:]]
    return "\n".join(line.rstrip().replace("\u00a0", " ") for line in lines)


def _because(kind: Kind) -> str:
    return f", because {kind.reason}" if kind.reason else ""
