"""What can go wrong before or while a kernel runs; messages name the construct and the line."""

from __future__ import annotations

import ast


class KernelError(Exception):
    """The kernel cannot be run, or cannot go on."""


class SourceMissingError(KernelError):
    """The interpreter reads source text, and there is none for this function."""


class UnsupportedError(KernelError):
    """A construct that the interpreter does not know."""


class StepLimitError(KernelError):
    """The kernel ran for so many steps that it probably never ends."""


def unsupported(kernel: str, node: ast.AST, construct: str, mend: str = "") -> UnsupportedError:
    """The error for ``construct`` at ``node``, with what to write instead."""
    line = getattr(node, "lineno", 0)
    return UnsupportedError(
        f"{kernel}, line {line}: {construct} is not supported in a kernel here"
        + (f"; {mend}" if mend else "")
    )


def at_line(kernel: str, node: ast.AST, message: str) -> KernelError:
    """An error of the running kernel, at its line."""
    return KernelError(f"{kernel}, line {getattr(node, 'lineno', 0)}: {message}")
