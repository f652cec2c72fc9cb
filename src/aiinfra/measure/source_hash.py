"""One hash for the code of an experiment, however that code is run.

The hash covers the experiment's source and everything at module level that it names, recursively:
functions, compiled kernels (``@njit``, ``@cuda.jit``, ``fast = njit(slow)``), constants, CUDA C in
strings. Imported modules are not followed. Comments, blank lines, trailing spaces and the
``@experiment`` line itself do not count. It reads text, never objects, so a notebook (the cells
run so far), a script (its file) and a file that nobody runs all give the same hash.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import linecache
import textwrap
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CELL_HISTORY = "_ih"  # IPython keeps the source of every executed cell here, in order


@dataclass(frozen=True)
class SourceHash:
    """The hash of an experiment and of each part that it names."""

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Definition:
    """One module-level name: its normalised text, the names it uses, how often it is bound."""

    text: str
    uses: frozenset[str]
    bound: int = 1


def hash_function(fn: Callable[..., Any]) -> SourceHash | None:
    """Hash a live function; ``None`` when its source cannot be found (a plain interpreter)."""
    plain = inspect.unwrap(getattr(fn, "py_func", fn))
    code = getattr(plain, "__code__", None)
    if code is None:
        return None
    if Path(code.co_filename).is_file():  # a file may have changed; a notebook cell cannot
        linecache.checkcache(code.co_filename)
    own = "".join(linecache.getlines(code.co_filename, plain.__globals__))
    node = _function_at(own, code.co_name, code.co_firstlineno)
    if node is None:
        return None
    history = plain.__globals__.get(CELL_HISTORY)
    known = collect([own] if history is None else [str(cell) for cell in history])
    return combine(define(own, node), known)


def hash_in_text(text: str, name: str) -> SourceHash:
    """Hash an experiment from the text of its lesson; ``KeyError`` when it is not there."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return combine(define(text, node), collect([text]))
    raise KeyError(f"no function {name!r} in this text")


def hash_in_file(path: Path, name: str) -> SourceHash:
    """Hash an experiment from its lesson's file without running it."""
    return hash_in_text(Path(path).read_text(encoding="utf-8"), name)


def experiments_in(path: Path) -> dict[str, str]:
    """Return the experiments that a lesson's file defines, each with what it needs."""
    found = {}
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            for decorator in filter(is_experiment, node.decorator_list):
                found[node.name] = _needs_of(decorator)
    return found


def ambiguous_names(path: Path, name: str) -> list[str]:
    """Return the parts of an experiment that its lesson binds twice.

    A notebook that is half run would then hash the first binding and a script the last.
    """
    text = Path(path).read_text(encoding="utf-8")
    known = collect([text])
    return [part for part in hash_in_text(text, name).parts if known[part].bound > 1]


def combine(root: Definition, known: Mapping[str, Definition]) -> SourceHash:
    """Hash a definition together with all it reaches through ``known``."""
    reached: dict[str, Definition] = {}
    waiting = sorted(root.uses)
    while waiting:
        name = waiting.pop()
        if name in known and name not in reached and known[name].text != root.text:
            reached[name] = known[name]
            waiting += known[name].uses
    parts = {name: _digest(reached[name].text) for name in sorted(reached)}
    lines = [root.text, *(f"{name} {digest}" for name, digest in parts.items())]
    return SourceHash(_digest("\n".join(lines)), parts)


def collect(sources: Sequence[str]) -> dict[str, Definition]:
    """Return every module-level definition of these texts; a later one replaces an earlier."""
    known: dict[str, Definition] = {}
    for text in sources:
        try:
            statements = ast.parse(text).body
        except SyntaxError:
            continue  # a cell that did not run
        for statement in statements:
            for name, definition in _definitions(text, statement).items():
                bound = known[name].bound + 1 if name in known else 1
                known[name] = Definition(definition.text, definition.uses, bound)
    return known


def _definitions(text: str, statement: ast.stmt) -> dict[str, Definition]:
    """Return what one top-level statement defines; both branches of an ``if`` count together."""
    found: dict[str, Definition] = {}
    for node in _simple_statements(statement):
        for name in _names_bound(node):
            new, old = define(text, node), found.get(name)
            joined = f"{old.text}\n{new.text}" if old else new.text
            found[name] = Definition(joined, new.uses | (old.uses if old else frozenset()))
    return found


def _simple_statements(statement: ast.stmt) -> Iterator[ast.stmt]:
    yield statement
    if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.ExceptHandler):
                for inner in child.body:
                    yield from _simple_statements(inner)
            elif isinstance(child, ast.stmt):
                yield from _simple_statements(child)


def _names_bound(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        targets: Sequence[ast.expr] = node.targets
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    else:
        return []
    names = [item for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)]
    return [item.id for item in names if isinstance(item.ctx, ast.Store)]


def define(text: str, node: ast.stmt) -> Definition:
    """Return a statement's normalised text, decorators included except ``@experiment``."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    marked = [item for item in decorators if is_experiment(item)]
    shown: list[ast.expr | ast.stmt] = [item for item in decorators if item not in marked]
    lines = text.split("\n")
    pieces = ["\n".join(lines[part.lineno - 1 : part.end_lineno]) for part in (*shown, node)]
    body = "\n".join(textwrap.dedent(piece) for piece in pieces)
    inside = [child for child in ast.iter_child_nodes(node) if child not in marked]
    uses = _loaded(inside) - (_bound_inside(inside) if hasattr(node, "decorator_list") else set())
    return Definition(normalise(body), frozenset(uses))


def _loaded(nodes: Sequence[ast.AST]) -> set[str]:
    found = (item for node in nodes for item in ast.walk(node) if isinstance(item, ast.Name))
    return {item.id for item in found if isinstance(item.ctx, ast.Load)}


def _bound_inside(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the local names: arguments, targets, nested functions, imports."""
    names: set[str] = set()
    for item in (inner for node in nodes for inner in ast.walk(node)):
        if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load):
            names.add(item.id)
        elif isinstance(item, ast.arg):
            names.add(item.arg)
        elif isinstance(item, ast.alias):
            names.add((item.asname or item.name).partition(".")[0])
        elif isinstance(item, (ast.FunctionDef, ast.ClassDef)):
            names.add(item.name)
    return names


def is_experiment(decorator: ast.expr) -> bool:
    """Say whether a decorator is ``@experiment`` in any spelling."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name == "experiment"


def _needs_of(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call):
        given = [word.value for word in decorator.keywords if word.arg == "needs"]
        for value in [*decorator.args[:1], *given]:
            if isinstance(value, ast.Constant):
                return str(value.value)
    return "cpu"


def normalise(text: str) -> str:
    """Drop comments, blank lines and trailing spaces from Python source."""
    lines = text.split("\n")
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError):
        pass  # a fragment that only makes sense inside its block: compare it as it is
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _function_at(text: str, name: str, first_line: int) -> ast.FunctionDef | None:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            starts = [node.lineno, *(item.lineno for item in node.decorator_list)]
            if first_line in starts:
                return node
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
