"""Graders of lesson 00: reporting, calibrating and doubting a measurement."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

from aiinfra.teach.graders.helpers import failed, number_of, passed
from aiinfra.teach.verdict import Verdict


def report(submission: Callable[[list[float]], Any], rng: Any) -> Verdict:
    """``report(calls) -> (low, median, high)`` of the warm calls, as quartiles in seconds."""
    for count in (6, 7, 20, 33):
        calls = [float(rng.uniform(0.5, 2.0)), *map(float, rng.lognormal(-7, 0.4, count - 1))]
        answer = submission(list(calls))
        numbers = [number_of(x) for x in answer] if isinstance(answer, (tuple, list)) else []
        if len(numbers) != 3 or None in numbers:
            return failed("Return three numbers: (low, median, high).")
        got = [float(x) for x in numbers if x is not None]
        if math.isclose(got[1], statistics.median(calls), rel_tol=1e-9):
            return failed("The first call is still among them: it is the warm-up.")
        if not math.isclose(got[1], statistics.median(calls[1:]), rel_tol=1e-9):
            return failed(f"The median of {count - 1} warm calls is off; is the list sorted?")
        if not any(
            math.isclose(got[0], low, rel_tol=1e-6) and math.isclose(got[2], high, rel_tol=1e-6)
            for low, high in _quartiles(calls[1:])
        ):
            return failed(
                "The median is right; low and high are the 25th and 75th percentile.", 0.5
            )
    return passed("Warm calls only, the median, and the middle half as its spread.")


def _quartiles(calls: list[float]) -> list[tuple[float, float]]:
    """The usual definitions of quartiles; any of them is right."""
    import numpy as np

    kinds = ("linear", "lower", "higher", "nearest", "midpoint", "weibull", "hazen")
    pairs = [np.quantile(calls, [0.25, 0.75], method=kind) for kind in kinds]  # type: ignore[call-overload]
    return [(float(low), float(high)) for low, high in pairs]


def loops(submission: Callable[[float, float, float], Any], rng: Any) -> Verdict:
    """``loops(call, clock, share) -> int``: the fewest loops that keep the clock below a share."""
    cases = [(20e-9, 100e-9, 0.01), (1.0, 100e-9, 0.01), (64e-9, 64e-9, 0.125)]
    cases += [
        (float(10 ** rng.uniform(-9, -3)), float(10 ** rng.uniform(-8, -6)), float(share))
        for share in rng.uniform(0.001, 0.2, 20)
    ]
    for call, clock, share in cases:
        told = f"a call of {call:.3g} s, a clock of {clock:.3g} s and a share of {share:.3g}"
        got = number_of(submission(call, clock, share))
        if got is None or got != int(got) or got < 1:
            return failed(f"For {told}: return a whole number, at least 1.")
        if clock > share * got * call * (1 + 1e-9):
            return failed(f"For {told}: {got:.0f} loops leave the clock above the share.")
        if got > 1 and clock <= share * (got - 1) * call * (1 - 1e-9):
            return failed(f"For {told}: {got:.0f} loops are enough, but fewer would be too.", 0.5)
    return passed("The fewest loops that make the clock's own cost small enough.")


def too_fast(submission: Callable[[float, float, float], Any], rng: Any) -> Verdict:
    """``too_fast(n_bytes, seconds, limit) -> bool``: does a reading exceed what memory can do?"""
    for factor in [1.01, 0.99, 30.0, 0.03, *map(float, 10 ** rng.uniform(-2, 2, 20))]:
        n_bytes, limit = float(rng.integers(1, 2**34)), float(10 ** rng.uniform(9, 13))
        answer = submission(n_bytes, n_bytes / (factor * limit), limit)
        if not (isinstance(answer, bool) or type(answer).__name__ in ("bool", "bool_")):
            return failed(f"Return True or False, not {answer!r}.")
        if bool(answer) != (factor > 1):
            word = "is" if factor > 1 else "is not"
            return failed(f"A reading at {factor:.3g} times the limit {word} too fast to be true.")
    return passed("A reading above the physical limit is a mistake of the clock.")
