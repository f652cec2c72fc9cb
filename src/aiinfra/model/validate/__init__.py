"""The models against published measurements: one module for each set of rows.

A set's module holds ``SET``: its columns, the measured column, and the function that prices a row.
"""

from __future__ import annotations

from importlib import import_module

from aiinfra.model.validate.report import Case, Validation, validate
from aiinfra.model.validate.rows import Column, Row, RowError, RowSet

SETS = (
    "training", "training_recent", "memory", "decode", "prefill", "throughput", "gemm",
    "all_reduce",
)  # fmt: skip

__all__ = [
    "SETS", "Case", "Column", "Row", "RowError", "RowSet", "Validation", "find_set", "validate",
]  # fmt: skip


def find_set(name: str) -> RowSet:
    """Return the set of that name; ``ValueError`` lists those there are.

    ``training_recent`` has the columns and the model of ``training`` and rows of its own.
    """
    if name not in SETS:
        raise ValueError(f"there is no set {name!r}; there are {', '.join(SETS)}")
    module = import_module(f"aiinfra.model.validate.{name.removesuffix('_recent')}")
    found: RowSet = module.SET
    return found
