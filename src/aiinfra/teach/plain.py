"""Plain data between two processes: rebuilt from JSON on arrival, and never unpickled.

Numbers, text, lists, tuples, sets, dictionaries, arrays and quantities travel by value. Anything
else stays where it is, and a handle travels in its place.
"""

from __future__ import annotations

import base64
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MappingView
from decimal import Decimal
from numbers import Integral, Number, Real
from typing import Any

from aiinfra.results import Quantity

SERIES: Any = (Iterator, range, MappingView, deque)  # these travel as lists
AT_REST: Any = (range, deque, type({}.keys()), type({}.values()), type({}.items()))
LIBRARIES = ("numpy", "pandas", "torch", "cupy", "decimal", "fractions")
GROUPS: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
MOST_ITEMS, MOST_AT_REST = 1_000_000, 200_000
MOST_BYTES, MOST_BITS = 2**27, 13_000  # the second is below Python's limit for int to text

PLAIN_ONLY = (
    "The answer holds something that is no plain data. Numbers, text, lists, tuples, dictionaries "
    "and arrays can be checked here."
)


def encode(value: Any, keep: Callable[[Any], int], at_rest: bool = False) -> Any:
    """Return JSON for ``value``; ``keep`` takes what is not plain and returns its handle.

    Containers are read with the methods of the builtin types, whatever a subclass makes of them,
    and up to a limit in all. ``at_rest`` is for a process that must not hang: no code of
    the value runs, so that iterators raise ``Unfit`` and classes that nobody knows go to ``keep``.
    Raises ``Unfit`` also for what is too large.
    """
    return Encoder(keep, at_rest).encode(value)


class Unfit(ValueError):  # noqa: N818
    """Data that cannot travel; the message says why, and what to hand in instead."""


class NotPlain(ValueError):  # noqa: N818
    """A submission that is code rather than data."""


def refuse(*_: Any) -> Any:
    """Say that a submission is not plain data."""
    raise NotPlain


class Encoder:
    """Turns one value into JSON, and counts how many items that takes."""

    def __init__(self, keep: Callable[[Any], int], at_rest: bool) -> None:
        self.keep, self.at_rest = keep, at_rest
        self.most = self.left = MOST_AT_REST if at_rest else MOST_ITEMS

    def encode(self, value: Any) -> Any:
        """Return JSON for one value and all that it holds."""
        self.left -= 1
        if self.left < 0:
            raise Unfit(f"it has more than {self.most:,} items, or no end")
        if value is None or type(value) in (bool, float):
            return value
        if type(value) in (int, str):  # for speed: asking what else it may be takes longer
            return self.leaf(value)
        for name, kind in GROUPS.items():
            if isinstance(value, kind):
                return {name: self.series(kind.__iter__(value))}
        if isinstance(value, dict):
            pairs = dict.items(value)
            return {"dict": [[self.encode(key), self.encode(held)] for key, held in pairs]}
        if isinstance(value, Quantity):
            return {"Quantity": self.series(vars(value).values())}
        return self.other(value)

    def other(self, value: Any) -> Any:
        """Return JSON for what is neither empty nor a container of Python's."""
        kind = type(value)
        if isinstance(value, Iterator) and self.at_rest:
            raise Unfit(f"it holds a {kind.__name__}, and a list is asked for: list(...) makes one")
        if isinstance(value, SERIES) and (not self.at_rest or kind in AT_REST):
            return {"list": self.series(value)}
        single = isinstance(value, (str, Number)) or hasattr(kind, "__array__")
        if single and (not self.at_rest or is_known(value)):
            return self.leaf(value)
        return {"foreign": [self.keep(value), kind.__name__]}

    def series(self, values: Iterable[Any]) -> list[Any]:
        """Return JSON for each of them."""
        return [self.encode(part) for part in values]

    def leaf(self, value: Any) -> Any:
        """Return JSON for text, a number or an array; arrays of objects travel as lists."""
        if isinstance(value, str):
            if str.__len__(value) > MOST_BYTES:
                raise Unfit(f"it holds a text of more than {MOST_BYTES:,} characters")
            return str.__str__(value)
        if isinstance(value, Integral):
            number = int.__pos__(value) if isinstance(value, int) else int(value)
            if number.bit_length() > MOST_BITS:
                raise Unfit(f"it holds a whole number of more than {MOST_BITS:,} bits")
            return number
        if isinstance(value, (Real, Decimal)):
            return float.__float__(value) if isinstance(value, float) else float(value)
        import numpy as np

        array = np.asarray(value)
        if array.nbytes > MOST_BYTES:
            raise Unfit(f"it holds an array of more than {MOST_BYTES:,} bytes")
        if array.dtype.kind not in "biufcSU":
            return self.encode(array.tolist())
        text = base64.b64encode(array.tobytes()).decode()
        return {"array": [array.dtype.str, list(array.shape), text]}


def is_known(value: Any) -> bool:
    """Tell whether a number, text or array is of a builtin type or of a known library.

    A subclass of a builtin type counts: it is read with the methods of that type. A class that
    only says that it is of a library is none of its module's.
    """
    if isinstance(value, (int, float, complex, str)):
        return True
    kind = type(value)
    library = str(kind.__module__).partition(".")[0] in LIBRARIES
    return library and getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind


def decode(data: Any, foreign: Callable[[int, str], Any]) -> Any:
    """Rebuild a value from its JSON; ``foreign(handle, kind)`` makes what stands for the rest.

    Raises ``ValueError``, ``TypeError`` and the like on JSON that ``encode`` did not write.
    """
    if not isinstance(data, dict):
        return data
    ((name, held),) = data.items()
    if name in GROUPS:
        return GROUPS[name](decode(part, foreign) for part in held)
    if name == "dict":
        return {decode(key, foreign): decode(value, foreign) for key, value in held}
    if name == "Quantity":
        value, unit, source, low, high = (decode(part, foreign) for part in held)
        return Quantity(value, unit, source, low, high)
    if name == "array":
        import numpy as np

        kind, shape, text = held
        return np.frombuffer(base64.b64decode(text), np.dtype(kind)).reshape(shape).copy()[()]
    handle, kind = held
    return foreign(int(handle), str(kind))


def send(file: Any, data: bytes) -> None:
    """Write one message to an unbuffered file, its length in front."""
    rest = memoryview(len(data).to_bytes(8, "big") + data)
    while rest:
        rest = rest[file.write(rest) :]


def receive(file: Any) -> bytes:
    """Read one message; empty at the end of the file and for a message beyond all measure."""
    size = int.from_bytes(read(file, 8), "big")
    return read(file, size) if size <= MOST_BYTES else b""


def read(file: Any, size: int) -> bytes:
    """Read ``size`` bytes from an unbuffered file, fewer only at its end."""
    data = bytearray()
    while len(data) < size and (part := file.read(size - len(data))):
        data += part
    return bytes(data)
