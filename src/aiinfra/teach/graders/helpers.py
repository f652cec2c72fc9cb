"""What graders share: comparing numbers and arrays, and naming the usual mistakes.

    def speedup(answer, rng):
        return close_to(answer, amdahl(0.95, 8), rtol=0.02, unit="x")

``passed``, ``failed``, ``not_attempted`` make verdicts; ``attempted`` recognises blanks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any

from aiinfra.results import Quantity
from aiinfra.teach.sandbox import Limits
from aiinfra.teach.stub import attempted
from aiinfra.teach.verdict import Verdict, failed, not_attempted, passed
from aiinfra.teach.words import brief
from aiinfra.units import significant, split_unit

__all__ = [
    "arrays_match", "attempted", "close_to", "failed", "kind_of", "limited", "not_attempted",
    "number_of", "passed", "scalar_of",
]  # fmt: skip

# Factors that a mixed-up unit or prefix leaves between an answer and the truth, by unit.
ANY_UNIT: tuple[tuple[float, str], ...] = (
    (1e3, "one prefix (k, M, G, T) is off: they differ by 1,000"),
    (1e6, "two prefixes (k, M, G, T) are off: they differ by 1,000 each"),
    (1e9, "three prefixes are off: answer in the base unit or in the one that is asked for"),
    (2.0, "a factor of 2: both directions or one, FMA or FLOP, read and write or read"),
)
BYTES: tuple[tuple[float, str], ...] = (
    (8.0, "bits and bytes differ by 8"),
    (1024.0 / 1000, "Ki and k differ: 1,024 against 1,000"),
    (1024.0**2 / 1e6, "MiB and MB differ by 4.9 %"),
    (1024.0**3 / 1e9, "GiB and GB differ by 7.4 %"),
    (1024.0**4 / 1e12, "TiB and TB differ by 10 %"),
    (1024.0, "one binary prefix (Ki, Mi, Gi) is off: they differ by 1,024"),
)
TIME = ((60.0, "minutes and seconds differ by 60"), (3600.0, "hours and seconds differ by 3,600"))
SHARE = ((100.0, "per cent and fractions differ by 100"),)
MIX_UPS = {"": SHARE, "%": SHARE, "x": SHARE, "s": TIME + ANY_UNIT} | dict.fromkeys(
    ("B", "B/s", "bit/s"), BYTES + ANY_UNIT
)
MIX_UP_MARGIN = 0.005


def limited(
    seconds: float = Limits.seconds, memory_bytes: float = Limits.memory_bytes
) -> Callable[[Any], Any]:
    """Give a grader its own limits: ``@limited(seconds=60)``."""

    def set_limits(grader: Any) -> Any:
        grader.limits = Limits(seconds, memory_bytes)
        return grader

    return set_limits


def kind_of(answer: Any) -> str:
    """Name the type of an answer, also of one that stayed in the submission's process."""
    return str(getattr(answer, "_kind", type(answer).__name__))


def scalar_of(answer: Any) -> Any:
    """Return the one element of an array of one, and anything else as it is."""
    alone = type(answer).__module__ == "numpy" and getattr(answer, "size", 0) == 1
    return answer.item() if alone else answer


def number_of(answer: Any) -> float | None:
    """Read a number, a one-element array or a ``Quantity`` in SI; ``None`` when it is neither.

    Truth values and text are no numbers; a number beyond all measure is infinite.
    """
    if isinstance(answer, Quantity):
        return float(answer.value) * split_unit(answer.unit)[1]
    answer = scalar_of(answer)
    if isinstance(answer, bool) or not isinstance(answer, (Real, Decimal)):
        return None
    try:
        return float(answer)
    except OverflowError:
        return math.inf


def close_to(answer: Any, expected: float, rtol: float = 0.02, unit: str = "") -> Verdict:
    """Accept a number within ``rtol`` of ``expected``; say how far it is off if it is not.

    The message never allows the expected value to be worked out.
    """
    if not attempted(answer):
        return not_attempted()
    number = number_of(answer)
    if number is None:
        return failed(f"A number is asked for, and this is a {kind_of(answer)}.")
    if isinstance(answer, Quantity) and split_unit(answer.unit)[0] != split_unit(unit)[0]:
        return failed(
            f"The answer is asked for in {unit or 'a plain number'}, not {answer.unit!r}."
        )
    if not math.isfinite(number):
        return failed(f"{number} is not a finite number: is there a division by zero?")
    if math.isclose(number, expected, rel_tol=rtol, abs_tol=0.0 if expected else rtol):
        return passed(f"{brief(number, unit)} is right, to within {significant(100 * rtol, 2)} %.")
    return failed(f"{brief(number, unit)} is {how_far(number, expected, unit)}.")


def how_far(number: float, expected: float, unit: str = "") -> str:
    """Say in words how a wrong number misses, and by which common mistake."""
    if expected == 0 or number == 0:
        return "too high" if number > expected else "too low"
    if (number < 0) != (expected < 0):
        return "of the wrong sign"
    ratio = abs(number) / abs(expected)
    factor = max(ratio, 1 / ratio) if ratio else math.inf
    side = "too high" if ratio > 1 else "too low"
    for known, hint in MIX_UPS.get(split_unit(unit)[0], ANY_UNIT):
        if abs(factor / known - 1) < MIX_UP_MARGIN:
            return f"{side} by {significant(factor)}: {hint}"
    steps = (
        (1.1, "by less than a tenth"),
        (2, "by less than a factor of 2"),
        (10, "several times"),
    )
    return f"{side}, {next((text for most, text in steps if factor < most), 'more than 10 times')}"


def arrays_match(answer: Any, expected: Any, rtol: float = 1e-5, atol: float = 0.0) -> str | None:
    """Say how an array differs from the expected one, or return ``None`` when it does not."""
    import numpy as np

    if answer is None:
        return "nothing was returned"
    got, want = np.asarray(answer), np.asarray(expected)
    if got.dtype.kind not in "biufc":
        return f"numbers are asked for, and this holds {got.dtype}"
    if got.shape != want.shape:
        return f"the shape is {got.shape}, and {want.shape} is asked for"
    wrong = ~np.isclose(got, want, rtol=rtol, atol=atol)
    if not wrong.any():
        return None
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"at index {first[0] if len(first) == 1 else first}, " if first else ""
    if not np.isfinite(got[first]):
        return f"{where}the value is {got[first]}; {int(wrong.sum())} of {wrong.size} are wrong"
    miss = how_far(float(got[first].real), float(want[first].real))
    return f"{where}{got[first]} is {miss}; {int(wrong.sum())} of {wrong.size} are wrong"
