"""Arrows run one way, modules are read in one sitting, and importing costs next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "src" / "aiinfra"
ALLOWED = {
    "units": set(),
    "results": {"units"},
    "files": set(),
    "facts": {"units", "results", "files"},
    "measure": {"units", "results", "facts"},
    "model": {"units", "results", "facts"},
    "show": {"units", "results", "facts", "model"},
    "teach": {"units", "results", "files", "facts", "measure", "model"},
    "doctor": {"units", "results", "facts", "measure"},
    "planner": {"units", "results", "facts", "model"},
    "bench": {"units", "results", "files", "facts", "measure", "model", "show", "teach", "doctor"},
    "cli": {
        "units",
        "results",
        "facts",
        "measure",
        "model",
        "show",
        "teach",
        "doctor",
        "bench",
        "planner",
    },
}
ROOMS = ("facts", "measure", "model", "show", "teach")
HEAVY = ("torch", "cupy", "matplotlib", "ipywidgets", "numba")
MOST_MODULE_LINES, MOST_FUNCTION_LINES = 300, 45
SLOWEST_IMPORT = 0.3  # seconds, interpreter start not counted

MODULES = sorted(PACKAGE.rglob("*.py"))
every_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)


def room_of(path: Path, package: Path = PACKAGE) -> str:
    """The room a module belongs to: its folder, or its own name at the top."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def rooms_imported(tree: ast.Module, within: str) -> Iterator[tuple[int, str]]:
    """Line and room of every import of the package; ``within`` is the dotted folder."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = within.split(".")[: len(within.split(".")) - node.level + 1]
            module = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "aiinfra" and len(parts) > 1:
                yield node.lineno, parts[1]


def wrong_arrows(text: str, room: str, within: str = "aiinfra") -> list[str]:
    """Imports against the direction of the house."""
    allowed = ALLOWED.get(room, set()) | {room, "__version__"}
    return [
        f"line {line}: {room} imports {other}"
        for line, other in rooms_imported(ast.parse(text), within)
        if other not in allowed
    ]


def long_functions(text: str) -> list[str]:
    """Functions beyond the hard limit, decorators and docstring included."""
    return [
        f"{node.name}: {lines} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_FUNCTION_LINES
    ]


def cost_of_import(module: str) -> tuple[float, list[str]]:
    """Seconds that ``import module`` takes in a fresh interpreter, and the heavy modules loaded."""
    script = (
        f"import sys, time; begin = time.perf_counter(); import {module}; "
        f"print(time.perf_counter() - begin, *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    seconds, *heavy = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    return float(seconds), heavy


def test_every_room_has_its_arrows() -> None:
    assert {room_of(path) for path in MODULES} - {"__init__"} <= set(ALLOWED)
    assert {room_of(path) for path in MODULES} >= set(ROOMS)


@every_module
def test_imports_follow_the_arrows(path: Path) -> None:
    room = room_of(path)
    within = ".".join(["aiinfra", *path.relative_to(PACKAGE).parent.parts])
    assert wrong_arrows(path.read_text(), room, within) == []


@every_module
def test_module_is_read_in_one_sitting(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_MODULE_LINES
    assert long_functions(text) == []


@pytest.mark.parametrize("module", ["aiinfra", *(f"aiinfra.{room}" for room in ROOMS)])
def test_import_is_cheap(module: str) -> None:
    costs = [cost_of_import(module) for _ in range(5)]
    assert costs[0][1] == [], "heavy modules are imported inside functions"
    assert min(seconds for seconds, _ in costs) < SLOWEST_IMPORT


@pytest.mark.parametrize(
    "line",
    [
        "from aiinfra.measure import probe",
        "from aiinfra import measure",
        "import aiinfra.measure.timing",
        "from ..measure import probe",
        "def f():\n    from aiinfra.measure.machine import probe",
    ],
)
def test_model_that_measures_is_caught(line: str) -> None:
    assert len(wrong_arrows(line, "model", "aiinfra.model")) == 1
    assert wrong_arrows(line, "cli", "aiinfra.model") == []


def test_relative_import_within_a_room_is_fine() -> None:
    text = "from .amdahl import speedup\nfrom . import amdahl"
    assert wrong_arrows(text, "model", "aiinfra.model") == []


def test_long_function_is_caught() -> None:
    assert long_functions("def f():\n" + "    x = 1\n" * 45) == ["f: 46 lines"]


def test_heavy_import_is_caught() -> None:
    assert cost_of_import("matplotlib")[1] == ["matplotlib"]
