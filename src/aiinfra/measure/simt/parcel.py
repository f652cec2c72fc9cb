"""What a kernel becomes on its way to another process: JSON of text, numbers and arrays.

``to_json`` writes a parcel, ``from_json`` reads one and believes nothing: every field is checked
for what it may be, so that whatever arrives is text to interpret and data of plain types.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.measure.simt.cuda_calls import CudaName
from aiinfra.measure.simt.errors import KernelError
from aiinfra.measure.simt.source import MODULE_NAMES

MOST_BYTES = 2**20  # of one constant array
MOST_LINES = 10**6  # of the file or cell that holds a kernel
NUMBERS: tuple[Any, ...] = (bool, int, float, complex)


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


def to_json(parcel: Parcel) -> str:
    """Write a parcel."""
    return json.dumps([
        {
            "name": text.name, "lines": text.lines, "first_line": text.first_line,
            "names": {name: [kind, encode(held)] for name, (kind, held) in text.names.items()},
            "defaults": [encode(value) for value in text.defaults],
        }
        for text in parcel.functions
    ])  # fmt: skip


def encode(value: Any) -> Any:
    """Return JSON for text, a number, an array or a tuple of these, by exact type."""
    if type(value) in (bool, int, float, str):
        return value
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if type(value) is tuple:
        return {"tuple": [encode(part) for part in value]}
    array = np.asarray(value)
    text = base64.b64encode(array.tobytes()).decode()
    return {"array": [array.dtype.str, list(array.shape), text]}


def from_json(text: str) -> Parcel:
    """Read a parcel; raises KernelError for anything that ``to_json`` does not write."""
    try:
        functions = json.loads(text)
        return Parcel(tuple(_text(function, len(functions)) for function in functions))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise KernelError(f"the kernel arrived damaged ({error})") from error


def _text(data: dict[str, Any], functions: int) -> Text:
    name, lines, first = data["name"], data["lines"], data["first_line"]
    good = type(name) is str and name.isidentifier() and type(lines) is str
    if not good or type(first) is not int or not 1 <= first <= MOST_LINES:
        raise ValueError("no text of a function")
    names = {}
    for word, (kind, held) in data["names"].items():
        value = decode(held)
        if not word.isidentifier() or not MEANINGS[kind](value, functions):
            raise ValueError(f"{kind} {str(value)[:40]}")
        names[word] = (kind, value)
    defaults = tuple(decode(value) for value in data["defaults"])
    if any(type(value) not in NUMBERS for value in defaults):
        raise ValueError("a default that is no number")
    return Text(name, lines, first, names, defaults)


def decode(data: Any) -> Any:
    """Rebuild a value from its JSON; raises ValueError and the like for any other."""
    if type(data) in (bool, int, float, str):
        return data
    ((kind, held),) = data.items()
    if kind == "complex":
        return complex(*map(float, held))
    if kind == "tuple":
        return tuple(decode(part) for part in held)
    if kind != "array":
        raise ValueError(str(kind)[:40])
    dtype, (*shape,), text = np.dtype(str(held[0])), held[1], held[2]
    if dtype.kind not in "biufc" or any(type(extent) is not int for extent in shape):
        raise ValueError("no array of numbers")
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()[()]


def _is_plain(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_is_plain, value))
    return type(value) in (*NUMBERS, np.ndarray) or isinstance(value, np.generic)


MEANINGS: dict[str, Any] = {
    "cuda": lambda held, _: type(held) is str and CudaName(held).known(),
    "module": lambda held, _: type(held) is str and held in MODULE_NAMES,
    "type": lambda held, _: type(held) is str and np.dtype(held).kind in "biufc",
    "numpy": lambda held, _: type(held) is str and isinstance(vars(np).get(held), np.ufunc),
    "math": lambda held, _: type(held) is str and callable(vars(math).get(held)),
    "value": lambda held, _: _is_plain(held),
    "function": lambda held, functions: type(held) is int and 0 <= held < functions,
}
