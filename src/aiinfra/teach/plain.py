"""Plain data between two processes: rebuilt from JSON on arrival, and never unpickled.

Numbers, text, lists, tuples, sets, dictionaries, arrays and quantities travel by value. Anything
else stays where it is, and a handle travels in its place.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Iterator, MappingView
from decimal import Decimal
from itertools import islice
from numbers import Integral, Number, Real
from typing import Any

from aiinfra.results import Quantity

SERIES: Any = (Iterator, range, MappingView, deque)  # these travel as lists, cut at MOST_ITEMS
GROUPS: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
MOST_ITEMS = 1_000_000
MOST_BYTES, MOST_DIGITS = 2**27, 4000  # the second is below Python's limit for int to text


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """Return JSON for ``value``; ``keep`` takes what is not plain and returns its handle."""
    if value is None or type(value) is bool:
        return value
    for name, kind in GROUPS.items():
        if isinstance(value, kind):
            return {name: [encode(part, keep) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key, keep), encode(held, keep)] for key, held in value.items()]}
    if isinstance(value, Quantity):
        return {"Quantity": [encode(field, keep) for field in vars(value).values()]}
    if isinstance(value, SERIES):
        return {"list": [encode(part, keep) for part in islice(value, MOST_ITEMS)]}
    if isinstance(value, (str, Number)) or hasattr(type(value), "__array__"):
        return encode_leaf(value, keep)
    return {"foreign": [keep(value), type(value).__name__]}


def encode_leaf(value: Any, keep: Callable[[Any], int]) -> Any:
    """Return JSON for text, a number or an array; arrays of objects travel as lists."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral):
        if abs(int(value)) >= 10**MOST_DIGITS:
            raise OverflowError(f"a whole number of more than {MOST_DIGITS:,} digits")
        return int(value)
    if isinstance(value, (Real, Decimal)):
        return float(value)
    import numpy as np

    array = np.asarray(value)
    if array.dtype.kind not in "biufcSU":
        return encode(array.tolist(), keep)
    text = base64.b64encode(array.tobytes()).decode()
    return {"array": [array.dtype.str, list(array.shape), text]}


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
