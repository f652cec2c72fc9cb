"""Graders of lesson 99: the error of a model, its one constant, rows held back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiinfra.teach.graders.helpers import close_to, failed, number_of, passed
from aiinfra.teach.verdict import Verdict

Rows = list[float]


def judge(submission: Callable[[Rows, Rows], Any], rng: Any) -> Verdict:
    """``judge(predicted, measured) -> (mean absolute error, mean signed error)``, relative."""
    signed_wrong = ""
    for count in (1, 2, 7, 13, 30):
        measured = _sizes(rng, count)
        errors = rng.uniform(-0.6, 0.9, count) + 0.15
        predicted = [float(m * (1 + e)) for m, e in zip(measured, errors, strict=True)]
        answer = _numbers(submission(list(predicted), list(measured)))
        if answer is None or len(answer) != 2:
            return failed("Return two numbers: the mean absolute error, then the mean signed one.")
        size, bias = answer
        backwards = sum(abs(1 - m / p) for m, p in zip(measured, predicted, strict=True)) / count
        if abs(size - backwards) < 1e-9 and count > 1:
            return failed("Relative to what was measured, please: divide by measured.")
        verdict = close_to(size, float(abs(errors).mean()), rtol=1e-6)
        if not verdict.passed:
            return failed(f"The mean absolute error of {count} rows: {verdict.message}")
        if not close_to(bias, float(errors.mean()), rtol=1e-6).passed:
            signed_wrong = f"The mean signed error of {count} rows is not right yet."
    if signed_wrong:
        return failed(signed_wrong, 0.5)
    return passed("The first says how far a row is off, the second whether all lean one way.")


def fit(submission: Callable[[Rows, Rows, Rows], Any], rng: Any) -> Verdict:
    """``fit(products, rest, measured) -> share``: least squares of relative errors."""
    for count in (2, 3, 9, 20):
        products, share = _sizes(rng, count), float(rng.uniform(0.4, 1.1))
        rest = [float(p * f) for p, f in zip(products, rng.uniform(0.05, 0.9, count), strict=True)]
        noise = rng.uniform(0.85, 1.15, count)
        measured = [
            float((r + p / share) * n) for p, r, n in zip(products, rest, noise, strict=True)
        ]
        answer = submission(list(products), list(rest), list(measured))
        number = number_of(answer)
        right, absolute = _least(products, rest, measured), _absolute(products, rest, measured)
        if number is not None and abs(number * right - 1) < 1e-6 and abs(right - 1) > 1e-3:
            return failed("That is x = 1/s; the share itself is asked for.", 0.5)
        if number is not None and abs(number / absolute - 1) < 1e-6 < abs(right / absolute - 1):
            return failed("Those squares are of seconds: divide each error by its measured[i].")
        verdict = close_to(answer, right, rtol=1e-6)
        if not verdict.passed:
            return failed(f"For {count} rows: {verdict.message}")
    return passed("One constant, fitted so that short and long steps count alike.")


def leave_one_out(submission: Callable[[Rows, Rows], Any], rng: Any) -> Verdict:
    """``leave_one_out(work, measured) -> signed error of each row, fitted on the others``."""
    for count in (2, 3, 9, 17):
        work = _sizes(rng, count)
        shares = rng.uniform(0.3, 0.7, count)
        measured = [float(w / s) for w, s in zip(work, shares, strict=True)]
        answer = _numbers(submission(list(work), list(measured)))
        if answer is None or len(answer) != count:
            return failed(f"For {count} rows, return a list of {count} numbers.")
        total = float(shares.sum())
        for i, share in enumerate(float(s) for s in shares):
            right = share * (count - 1) / (total - share) - 1
            if abs(answer[i] - (share * count / total - 1)) < 1e-9:
                return failed(f"Row {i} of {count} took part in its own fit.")
            verdict = close_to(answer[i], right, rtol=1e-6)
            if not verdict.passed:
                return failed(f"Row {i} of {count}: {verdict.message}")
    return passed("No row was judged by a fit that had seen it.")


def _sizes(rng: Any, count: int) -> Rows:
    """Seconds over two powers of ten, so that long rows cannot hide short ones."""
    return [float(x) for x in 10 ** rng.uniform(-0.5, 1.5, count)]


def _numbers(answer: Any) -> list[float] | None:
    """Read a list, tuple or array of numbers; ``None`` where it is none."""
    try:
        found = [number_of(each) for each in answer]
    except TypeError:
        return None
    return None if any(each is None for each in found) else [float(each or 0.0) for each in found]


def _least(products: Sequence[float], rest: Sequence[float], measured: Sequence[float]) -> float:
    """The share with the least squares of relative errors."""
    a = [p / m for p, m in zip(products, measured, strict=True)]
    b = [1 - r / m for r, m in zip(rest, measured, strict=True)]
    return sum(x * x for x in a) / sum(x * y for x, y in zip(a, b, strict=True))


def _absolute(products: Sequence[float], rest: Sequence[float], measured: Sequence[float]) -> float:
    """The share with the least squares of seconds."""
    left = [m - r for m, r in zip(measured, rest, strict=True)]
    cross = sum(p * x for p, x in zip(products, left, strict=True))
    return sum(p * p for p in products) / cross
