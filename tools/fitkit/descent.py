"""Walk down a loss along one positive constant after another, in steps of its logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Bounds = tuple[float, float]


def descend(
    loss: Callable[[Sequence[float]], float],
    start: Sequence[float],
    bounds: Sequence[Bounds],
    rounds: int = 15,
    free: Sequence[int] | None = None,
) -> list[float]:
    """Return the constants at which the loss stops falling.

    A step that helps grows by 1.4, one that does not shrinks by 0.6. ``free`` are the positions
    that may move, all where it is ``None``. Slow and sure: the loss need not be smooth.
    """
    values, least = list(start), loss(start)
    steps = [0.15] * len(values)
    for _ in range(rounds):
        before = least
        for i in range(len(values)) if free is None else free:
            for sign in (1, -1):
                trial = list(values)
                moved = trial[i] * math.exp(sign * steps[i])
                trial[i] = min(max(moved, bounds[i][0]), bounds[i][1])
                found = loss(trial)
                if found < least:
                    values, least = trial, found
                    steps[i] *= 1.4
                    break
            else:
                steps[i] *= 0.6
        if before - least < 1e-5 and max(steps) < 0.02:
            break
    return values


def of_errors(errors: Sequence[float]) -> float:
    """Mean absolute logarithm of predicted over measured, and a little square against outliers.

    The mean absolute percentage error punishes too much more than too little; the logarithm does
    not, and so does not teach a model to guess low.
    """
    return sum(abs(e) + 0.02 * e * e for e in errors) / len(errors)


def mape(errors: Sequence[float]) -> float:
    """Mean absolute percentage error of logarithms of predicted over measured."""
    return 100 * sum(abs(math.exp(e) - 1) for e in errors) / len(errors)
