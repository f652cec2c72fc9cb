"""The kernels and listings of lessons and labs, by name."""

from __future__ import annotations

import ast
from pathlib import Path

from conftest import ROOT, lesson_sources

from aiinfra.measure.lesson_parts import load_parts, names_bound

__all__ = ["lesson", "lesson_paths", "listings", "load_parts", "numba_kernels"]

LISTING = "_CUDA"


def lesson_paths() -> list[Path]:
    """Every lesson and lab."""
    return [source.path for source in lesson_sources()]


def listings(path: Path) -> list[str]:
    """Names of the CUDA C listings: module-level constants that end in ``_CUDA``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [name for node in tree.body for name in names_bound(node) if name.endswith(LISTING)]


def numba_kernels(path: Path) -> list[str]:
    """Names of the functions that ``cuda.jit`` makes kernels, device functions apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in tree.body:
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
        texts = [ast.unparse(decorator) for decorator in decorators]
        if any(text.startswith("cuda.jit") and "device=True" not in text for text in texts):
            found.append(node.name)  # type: ignore[attr-defined]
    return found


def lesson(stem: str) -> Path:
    """The path of a lesson by its stem."""
    return ROOT / "lessons" / "notebooks" / f"{stem}.py"
