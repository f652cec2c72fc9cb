"""What the tests of labs share: the stubs of the notebook, the solutions of the source, a check."""

from __future__ import annotations

import ast
import functools
import linecache
import zlib
from pathlib import Path
from typing import Any

import build
import numpy as np
from conftest import ROOT
from lessonkit.repository import read_repository
from lessonkit.source import Source, read_source

from aiinfra.teach.check import check, find_grader
from aiinfra.teach.progress import Progress
from aiinfra.teach.verdict import Verdict


class Lab:
    """One lab: its cells as the learner gets them, and its solutions."""

    def __init__(self, name: str) -> None:
        self.source: Source = read_source(ROOT / "lessons" / "labs" / f"{name}.py")
        self.prefix = name[:6]

    @functools.cached_property
    def cells(self) -> list[str]:
        """The code cells of the notebook, stubs and all."""
        notebook = build.make_notebook(self.source, read_repository(ROOT))
        return [cell.source for cell in notebook.cells if cell.cell_type == "code"]

    @functools.cached_property
    def solutions(self) -> dict[str, Any]:
        """The functions of the source, solutions included."""
        body = ast.parse(self.source.path.read_text()).body
        kinds = (ast.FunctionDef, ast.Import, ast.ImportFrom)
        scope: dict[str, Any] = {"__name__": "__main__"}  # so that they travel by value
        wanted: list[ast.stmt] = [node for node in body if isinstance(node, kinds)]
        exec(compile(ast.Module(wanted, []), str(self.source.path), "exec"), scope)
        return scope

    def stub(self, name: str, scope: dict[str, Any] | None = None) -> Any:
        """The untouched stub of a function, defined as a notebook defines it."""
        held = {} if scope is None else scope
        run_cell(self.stub_cell(name), held)
        return held[name]

    def stub_cell(self, name: str) -> str:
        """The cell that holds the stub."""
        return next(cell for cell in self.cells if f"def {name}(" in cell)

    def grade(self, task: str, answer: Any, seed: int | None = None) -> Verdict:
        """Grade in this process."""
        return find_grader(f"{self.prefix}.{task}")(answer, np.random.default_rng(seed))

    def apart(self, task: str, answer: Any, folder: Path) -> Verdict:
        """Grade as a notebook does, in a process of its own."""
        return check(f"{self.prefix}.{task}", answer, store=Progress(folder / "progress.json"))


def run_cell(text: str, scope: dict[str, Any]) -> None:
    """Run a cell as a notebook does: its text is kept, so that source can be read."""
    name = f"<ipython-input-{zlib.crc32(text.encode())}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec", dont_inherit=True), scope)
