"""Graders of lesson 00: reporting, calibrating and doubting a measurement."""

from __future__ import annotations

import math
import reprlib
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from aiinfra.teach.graders.helpers import failed, number_of, passed, scalar_of
from aiinfra.teach.verdict import Verdict


def report(submission: Callable[[list[float]], Any], rng: Any) -> Verdict:
    """``report(calls) -> (low, median, high)`` of the warm calls, as quartiles in seconds."""
    spread_right = True
    for count, first in ((6, 1.0), (7, 1e-9), (20, 1.0), (33, 1e-3)):
        calls = [first * float(rng.uniform(1, 2)), *map(float, rng.lognormal(-7, 0.4, count - 1))]
        answer = submission(list(calls))
        series = isinstance(answer, Iterable) and not isinstance(answer, (str, dict, set))
        numbers = [number_of(part) for part in answer] if series else []
        if len(numbers) != 3 or None in numbers:
            return failed("Return three numbers: (low, median, high).")
        low, median, high = (float(x) for x in numbers if x is not None)
        if math.isclose(median, statistics.median(calls), rel_tol=1e-6):
            return failed("The first call is still among them: it is the warm-up.")
        if not math.isclose(median, statistics.median(calls[1:]), rel_tol=1e-6):
            slow = "slow" if first == 1 else "quick"
            return failed(f"The median of {count - 1} calls after a {slow} first one is off.")
        spread_right = spread_right and any(
            math.isclose(low, a, rel_tol=1e-6) and math.isclose(high, b, rel_tol=1e-6)
            for a, b in _quartiles(calls[1:])
        )
    if not spread_right:
        return failed("The median is right; low and high are the 25th and 75th percentile.", 0.5)
    return passed("Warm calls only, the median, and the middle half as its spread.")


def _quartiles(calls: list[float]) -> list[Any]:
    """The usual definitions of quartiles; any of them is right."""
    import numpy as np

    kinds: Any = (
        "linear", "lower", "higher", "nearest", "midpoint", "weibull", "hazen", "inverted_cdf",
        "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
        "median_unbiased", "normal_unbiased",
    )  # fmt: skip
    return [np.quantile(calls, [0.25, 0.75], method=kind) for kind in kinds]


def loops(submission: Callable[[float, float, float], Any], rng: Any) -> Verdict:
    """``loops(call, clock, share) -> int``: the fewest loops that keep the clock below a share."""
    cases = [(20e-9, 100e-9, 0.01), (1.0, 100e-9, 0.01), (64e-9, 64e-9, 0.125)]
    cases += [
        (float(10 ** rng.uniform(-9, -3)), float(10 ** rng.uniform(-8, -6)), float(share))
        for share in rng.uniform(0.001, 0.2, 20)
    ]
    too_many = []
    for call, clock, share in cases:
        told = f"a call of {call:.3g} s, a clock of {clock:.3g} s and a share of {share:.3g}"
        got = number_of(submission(call, clock, share))
        if got is None or not math.isfinite(got) or got != int(got) or got < 1:
            return failed(f"For {told}: return a whole number, at least 1.")
        slack = 0.0 if share == 0.125 else 1e-9  # eighths of a clock are exact, others are rounded
        if got < math.ceil(clock / (share * call) * (1 - slack)):
            return failed(f"For {told}: {got:.0f} loops leave the clock above the share.")
        excess = got - max(1, math.ceil(clock / (share * call) * (1 + slack)))
        too_many += [(excess, f"For {told}: {got:.0f} loops are enough, but fewer would be too.")]
    most, worst = max(too_many)
    if most > 0:
        return failed(worst, 0.5 if most == 1 else 0.0)
    return passed("The fewest loops that make the clock's own cost small enough.")


def too_fast(submission: Callable[[float, float, float], Any], rng: Any) -> Verdict:
    """``too_fast(n_bytes, seconds, limit) -> bool``: does a reading exceed what memory can do?"""
    for factor in [1.01, 0.99, 30.0, 0.03, *map(float, 10 ** rng.uniform(-2, 2, 20))]:
        n_bytes, limit = float(rng.integers(1, 2**34)), float(10 ** rng.uniform(9, 13))
        answer = scalar_of(submission(n_bytes, n_bytes / (factor * limit), limit))
        if not isinstance(answer, bool):
            return failed(f"Return True or False, not {reprlib.repr(answer)}.")
        if answer != (factor > 1):
            word = "is" if factor > 1 else "is not"
            return failed(f"A reading at {factor:.3g} times the limit {word} too fast to be true.")
    return passed("A reading above the physical limit is a mistake of the clock.")
