"""Carry a kernel to another process as text and plain values, so that none of its code comes along.

``pack`` reads the source of a kernel and of the device functions it calls, and the values of the
names in them; ``unpack`` makes functions of it again that the interpreter can read. Whoever holds
a parcel can interpret the kernel without running a line of whoever wrote it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import math
import textwrap
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from aiinfra.measure.simt.cuda_calls import CudaName, cuda_name
from aiinfra.measure.simt.errors import KernelError
from aiinfra.measure.simt.source import Source, read_source, text_of
from aiinfra.measure.simt.values import data_type

MOST_BYTES = 2**20  # of one constant array
NUMBERS: tuple[Any, ...] = (bool, int, float, complex)
MODULES = {"numba": "numba", "numba.cuda": "numba.cuda", "math": "math", "numpy": "numpy"}
MODULES |= dict.fromkeys(("numba.types", "numba.core.types", "numba.cuda.types"), "numba")
TYPES = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
TYPES += ["float16", "float32", "float64", "complex64", "complex128"]


@dataclass(frozen=True)
class Text:
    """One function: its lines as typed, where they begin, and what its outer names mean."""

    name: str
    lines: str
    first_line: int
    names: dict[str, tuple[str, Any]]
    defaults: tuple[Any, ...]


@dataclass(frozen=True)
class Parcel:
    """A kernel and its device functions, the kernel first; a name refers to them by number."""

    functions: tuple[Text, ...]


def pack(kernel: Any) -> Parcel:
    """Read a kernel into a parcel; raises KernelError for a value that no kernel can use."""
    try:
        sources = [read_source(kernel)]
    except TypeError as error:
        raise KernelError(str(error)) from error
    texts: list[Text] = []
    for source in sources:  # grows while it is read
        texts.append(_text(source, sources))
    return Parcel(tuple(texts))


def _text(source: Source, sources: list[Source]) -> Text:
    function = source.function
    body = ast.Module(list(source.tree.body), [])
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    names = {}
    for name in sorted(used - source.locals):
        try:
            value = source.lookup(name)
        except (KeyError, ValueError):
            continue  # the interpreter names it, with its line, when it is read
        if vars(builtins).get(name) is not value or value is None:
            names[name] = _meaning(source.name, name, value, sources)
    first_line, lines = function.__code__.co_firstlineno, textwrap.dedent(text_of(function))
    defaults = tuple(v for v in function.__defaults__ or () if isinstance(v, NUMBERS))
    return Text(source.name, lines, first_line, names, defaults)


def _meaning(kernel: str, name: str, value: Any, sources: list[Source]) -> tuple[str, Any]:
    """What a name stands for, as a kind and plain data."""
    if (known := cuda_name(value)) is not None:
        return "cuda", known.path
    if isinstance(value, ModuleType) and value.__name__ in MODULES:
        return "module", MODULES[value.__name__]
    if (kind := data_type(value)) is not None:
        return "type", kind.str
    called = str(getattr(value, "__name__", ""))
    if isinstance(value, np.ufunc) and getattr(np, called, None) is value:
        return "numpy", called
    if getattr(math, called, None) is value:
        return "math", called
    if (plain := _plain(value)) is not None:
        return "value", plain
    if not inspect.isfunction(function := getattr(value, "py_func", value)):
        raise KernelError(
            f"{kernel} uses {name}, a {type(value).__name__}; a kernel can use numbers, arrays, "
            "numba.cuda, math and functions like itself"
        )
    known_functions = [source.function for source in sources]
    if function not in known_functions:
        sources.append(read_source(function))
        known_functions.append(function)
    return "function", known_functions.index(function)


def _plain(value: Any) -> Any:
    """Numbers, tuples of them and arrays, free of subclasses; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc" and value.nbytes <= MOST_BYTES:
        return np.array(value, copy=True, subok=False)
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return np.array(value)[()]
    for kind in NUMBERS:
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, tuple):
        parts = tuple(_plain(part) for part in value)
        return None if any(part is None for part in parts) else parts
    return None


def unpack(parcel: Parcel) -> Any:
    """Make the kernel again: a function to interpret; its ``def`` runs, its body never does."""
    made = [_function(text, at) for at, text in enumerate(parcel.functions)]
    for text, function in zip(parcel.functions, made, strict=True):
        for name, (kind, held) in text.names.items():
            function.__globals__[name] = _value(kind, held, made)
    return made[0]


def _function(text: Text, number: int) -> FunctionType:
    tree = ast.parse(text.lines)
    found = tree.body[0]
    if not isinstance(found, ast.FunctionDef):
        raise KernelError(f"{text.name} is no plain def")
    place = f"<kernel {number} {text.name}>"
    lines = [*["\n"] * (text.first_line - 1), *text.lines.splitlines(keepends=True)]
    linecache.cache[place] = (sum(map(len, lines)), None, lines, place)
    ast.increment_lineno(tree, text.first_line - 1)
    # Whatever runs when a function is defined goes: decorators, defaults, annotations.
    found.decorator_list, found.returns = [], None
    found.args.defaults, found.args.kw_defaults = [], [None] * len(found.args.kwonlyargs)
    for argument in ast.walk(found.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    scope: dict[str, Any] = {}
    exec(compile(ast.Module([found], []), place, "exec"), scope)
    function: FunctionType = scope.pop(found.name)
    function.__defaults__ = text.defaults or None
    return function


def _value(kind: str, held: Any, made: list[FunctionType]) -> Any:
    if kind == "module":
        return {"math": math, "numpy": np}.get(held) or _stand_in(held)
    if kind in ("math", "numpy"):
        return getattr(math if kind == "math" else np, held)
    if kind == "cuda":
        return CudaName(held) if held else _stand_in("numba.cuda")
    if kind == "type":
        return np.dtype(held).type
    return made[held] if kind == "function" else held


def _stand_in(name: str) -> ModuleType:
    """A module that answers for numba: the interpreter asks it only for names and types."""
    module = ModuleType(name)
    if name == "numba":
        types = {word: np.dtype(word).type for word in TYPES}
        vars(module).update(types, cuda=ModuleType("numba.cuda"), boolean=np.bool_, types=module)
    return module
