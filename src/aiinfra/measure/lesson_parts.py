"""Take parts of a lesson without running it: kernels, listings and what these need.

A part is executed together with the lesson's imports and every module-level definition that it
names, recursively; predictions, experiments and figures stay where they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aiinfra.measure.source_hash import define, is_experiment


def load_parts(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """Execute the definitions of ``names`` and what they use; return the namespace.

    Raises ``KeyError`` for a name that the file does not define.
    """
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    wanted = list(reached(text, tree, names))
    kept = [node for node in tree.body if is_import(node) or node in wanted]
    for node in kept:
        if isinstance(node, ast.FunctionDef):  # an experiment would look for its recording
            node.decorator_list = [d for d in node.decorator_list if not is_experiment(d)]
    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(ast.Module(kept, []), str(path), "exec"), namespace)
    return namespace


def reached(text: str, tree: ast.Module, names: Iterable[str]) -> Iterator[ast.stmt]:
    """The statements that bind ``names`` or anything that they use."""
    bound: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in names_bound(node):
            bound.setdefault(name, []).append(node)
    waiting, seen = list(names), set()
    if missing := [name for name in waiting if name not in bound]:
        raise KeyError(f"not defined: {', '.join(missing)}")
    while waiting:
        name = waiting.pop()
        if name not in seen and name in bound:
            seen.add(name)
            for node in bound[name]:
                yield node
                waiting += define(text, node).uses  # names of its own are not among them


def names_bound(node: ast.stmt) -> list[str]:
    """Names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [
        item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)
    ]


def is_import(node: ast.stmt) -> bool:
    """Whether a statement imports."""
    return isinstance(node, ast.Import | ast.ImportFrom)
