"""What can go wrong before or while a kernel runs; every message names the construct and the line."""

from __future__ import annotations

import ast


class KernelError(Exception):
    """The kernel cannot be run, or cannot go on."""


class SourceMissing(KernelError):
    """The interpreter reads source text, and there is none for this function."""


class Unsupported(KernelError):
    """A construct that the interpreter does not know."""


class StepLimit(KernelError):
    """The kernel ran for so many steps that it probably never ends."""


def unsupported(kernel: str, node: ast.AST, construct: str, mend: str = "") -> Unsupported:
    """The error for ``construct`` at ``node``, with what to write instead."""
    line = getattr(node, "lineno", 0)
    return Unsupported(
        f"{kernel}, line {line}: {construct} is not supported in a kernel here"
        + (f"; {mend}" if mend else "")
    )


def at_line(kernel: str, node: ast.AST, message: str) -> KernelError:
    """An error of the running kernel, at its line."""
    return KernelError(f"{kernel}, line {getattr(node, 'lineno', 0)}: {message}")
