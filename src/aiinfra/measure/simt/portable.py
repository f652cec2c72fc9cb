"""Carry a kernel to another process as text and plain values, so that none of its code comes along.

``pack`` reads the source of a kernel and of the device functions it calls, and the values of the
names in them; ``unpack`` makes functions of it again that the interpreter can read. In between a
parcel is JSON (see ``parcel``): whoever holds one can interpret the kernel without running a line
of whoever wrote it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import math
import textwrap
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from aiinfra.measure.simt.cuda_calls import CudaName, cuda_name
from aiinfra.measure.simt.errors import KernelError, at_line
from aiinfra.measure.simt.parcel import MOST_BYTES, NUMBERS, Parcel, Text
from aiinfra.measure.simt.source import MODULES, Source, read_source, text_of
from aiinfra.measure.simt.values import data_type

TYPES = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
TYPES += ["float16", "float32", "float64", "complex64", "complex128"]


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
    body = ast.walk(ast.Module(list(source.tree.body), []))
    used = [node for node in body if isinstance(node, ast.Name) and node.id not in source.locals]
    names = {}
    for node in sorted(used, key=lambda node: (node.id, -node.lineno)):  # the first use wins
        try:
            value = source.lookup(node.id)
        except (KeyError, ValueError):
            continue  # the interpreter names it, with its line, when it is read
        if vars(builtins).get(node.id) is not value or value is None:
            names[node.id] = _meaning(source.name, node, value, sources)
    first_line, lines = function.__code__.co_firstlineno, textwrap.dedent(text_of(function))
    defaults = tuple(v for v in function.__defaults__ or () if type(v) in NUMBERS)
    return Text(source.name, lines, first_line, names, defaults)


def _meaning(kernel: str, node: ast.Name, value: Any, sources: list[Source]) -> tuple[str, Any]:
    """What a name stands for, as a kind and plain data."""
    known = None if isinstance(value, CudaName) else cuda_name(value)
    if known is not None:
        return "cuda", known.path
    if type(value) is ModuleType and value.__name__ in MODULES:
        return "module", MODULES[value.__name__]
    if (kind := data_type(value)) is not None:
        return "type", kind.str
    called = getattr(value, "__name__", "")
    called = called if type(called) is str else ""
    if type(value) is np.ufunc and vars(np).get(called) is value:
        return "numpy", called
    if called and vars(math).get(called) is value:
        return "math", called
    if (plain := _plain(value)) is not None:
        return "value", plain
    if type(value) is int:
        raise at_line(kernel, node, f"{node.id} is a number that does not fit into 64 bits")
    if not inspect.isfunction(function := getattr(value, "py_func", value)):
        raise at_line(
            kernel,
            node,
            f"the kernel uses {node.id}, a {type(value).__name__}; a kernel can use numbers, "
            "arrays, numba.cuda, math and functions like itself",
        )
    known_functions = [source.function for source in sources]
    if function not in known_functions:
        sources.append(read_source(function))
        known_functions.append(function)
    return "function", known_functions.index(function)


def _plain(value: Any) -> Any:
    """Numbers, tuples of them and arrays, of exactly these types; None for anything else."""
    kind = type(value)
    if kind is np.ndarray or issubclass(kind, np.generic):
        fits = value.dtype.kind in "biufc" and value.nbytes <= MOST_BYTES
        return np.array(value)[()] if fits else None
    if kind is int:
        return value if -(2**63) <= value < 2**64 else None
    if kind in NUMBERS:
        return value
    if issubclass(kind, int):  # an IntEnum
        return int.__pos__(value)
    if kind is tuple:
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
