"""Tell an untouched stub from an attempt, by looking at the source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

from aiinfra.results import Quantity


def attempted(value: Any) -> bool:
    """Tell whether a submission is more than a blank: not ``None``, ``...`` or an empty stub.

    A list, tuple or dictionary counts as attempted when any part of it is.
    """
    if value is None or value is ... or value is NotImplemented:
        return False
    if type(value) in (list, tuple, set, dict) and value:
        parts = value.values() if isinstance(value, dict) else value
        try:
            return any(attempted(part) for part in parts)
        except RecursionError:  # a list that contains itself
            return True
    if isinstance(value, Quantity):
        return value.value is not None
    tree = tree_of(value)
    return tree is None or not is_blank(tree)


def tree_of(value: Any) -> ast.AST | None:
    """Return the syntax tree of a function, kernel or class; ``None`` without a source."""
    try:
        function = getattr(value, "py_func", value)  # numba and numba.cuda keep the plain function
        if inspect.isfunction(function) or inspect.isclass(function):
            return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except Exception:  # no source, a cycle of __wrapped__, a __getattr__ that raises
        pass
    return None


def is_blank(tree: ast.AST) -> bool:
    """Tell whether a definition does nothing: documentation and placeholders only."""
    if isinstance(tree, ast.ClassDef):
        return all(is_blank(node) or is_placeholder(node) for node in tree.body)
    if isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return all(is_placeholder(node) for node in tree.body)
    return False


def is_placeholder(node: ast.stmt) -> bool:
    """Tell whether a statement stands for code that is still to be written."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)  # a docstring or ``...``
    if isinstance(node, ast.Return):
        return ast.unparse(node) in ("return", "return None", "return ...")
    raised = isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node)
    return raised or isinstance(node, ast.Pass)


def placeholder_line(value: Any) -> int | None:
    """Return the line of a ``...`` that still stands for code, within the submission's source.

    ``array[...]`` is code; ``...`` as a statement, an assigned or a returned value is not.
    """
    tree = tree_of(value)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, (ast.Expr, ast.Assign, ast.Return, ast.AnnAssign)):
            held = node.value
            if isinstance(held, ast.Constant) and held.value is ...:
                return node.lineno
    return None
