"""Compile the numba kernels of one lesson to PTX without a GPU; run as a program by test_compile.

Nothing says which types a kernel is called with, so they are read from its code: what is indexed
is an array, the rest are numbers. The first assignment of types that compiles counts.
"""

from __future__ import annotations

import ast
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lesson_parts import load_parts

CAPABILITIES = ((7, 5), (8, 0), (9, 0), (10, 0))


def array_ranks(function: ast.FunctionDef) -> dict[str, int]:
    """Number of dimensions of each argument; 0 for plain numbers."""
    ranks = {argument.arg: 0 for argument in function.args.args}
    for node in ast.walk(function):
        for name, rank in shown_ranks(node):
            if name in ranks:
                ranks[name] = max(ranks[name], rank)
    return ranks


def shown_ranks(node: ast.AST) -> Iterator[tuple[str, int]]:
    """What a piece of code says of arrays: x[i, j], x.shape[1], m, n = x.shape, len(x), atomics."""
    if isinstance(node, ast.Subscript):
        yield ast.unparse(node.value), rank_of(node.slice)
        if ast.unparse(node.value).endswith(".shape") and isinstance(node.slice, ast.Constant):
            yield ast.unparse(node.value).removesuffix(".shape"), int(node.slice.value) + 1  # type: ignore[arg-type]
    elif isinstance(node, ast.Attribute) and node.attr in ("shape", "size", "ndim"):
        yield ast.unparse(node.value), 1
    elif isinstance(node, ast.Assign) and ast.unparse(node.value).endswith(".shape"):
        names = node.targets[0]
        rank = len(names.elts) if isinstance(names, ast.Tuple) else 1
        yield ast.unparse(node.value).removesuffix(".shape"), rank
    elif isinstance(node, ast.Call) and node.args:
        called = ast.unparse(node.func)
        if called == "len":
            yield ast.unparse(node.args[0]), 1
        elif ".atomic." in called:
            yield ast.unparse(node.args[0]), rank_of(node.args[1])


def rank_of(index: ast.expr) -> int:
    """How many numbers an index holds."""
    return len(index.elts) if isinstance(index, ast.Tuple) else 1


def signatures(function: ast.FunctionDef) -> Iterator[tuple[Any, ...]]:
    """Types of the arguments worth trying, the likeliest first."""
    from numba import types

    ranks = array_ranks(function)
    kinds = [
        (types.float32, types.int32, types.uint8) if rank else (types.int32, types.float32)
        for rank in ranks.values()
    ]
    for chosen in itertools.product(*kinds):
        yield tuple(
            types.Array(kind, rank, "C") if rank else kind
            for kind, rank in zip(chosen, ranks.values(), strict=True)
        )


def compile_kernel(kernel: Any, function: ast.FunctionDef, capability: tuple[int, int]) -> str:
    """Return PTX; raises the last error when no assignment of types compiles."""
    from numba import cuda
    from numba.cuda import dispatcher

    # numba asks the driver for which GPU it compiles the functions that a kernel calls.
    asked = SimpleNamespace(compute_capability=capability)
    if hasattr(dispatcher, "get_current_device"):
        dispatcher.get_current_device = lambda: asked
    plain = getattr(kernel, "py_func", kernel)
    error: Exception = ValueError("a kernel without arguments does nothing")
    for types in signatures(function):
        try:
            return str(cuda.compile_ptx(plain, types, cc=capability)[0])
        except Exception as problem:
            error = problem
    raise error


def problems(path: Path, names: list[str]) -> Iterator[str]:
    """What does not compile, kernel by kernel."""
    parts = load_parts(path, names)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, capability in itertools.product(names, CAPABILITIES):
        try:
            ptx = compile_kernel(parts[name], functions[name], capability)
            if ".entry" not in ptx:
                yield f"{name}: no entry point for sm_{capability[0]}{capability[1]}"
        except Exception as problem:
            yield f"{name} for sm_{capability[0]}{capability[1]}: {problem}"


if __name__ == "__main__":
    print(json.dumps(list(problems(Path(sys.argv[1]), sys.argv[2:]))))
