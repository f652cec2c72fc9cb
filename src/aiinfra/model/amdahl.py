"""Amdahl's law: what you leave alone limits what you gain.

Source: G. Amdahl, "Validity of the single processor approach to achieving large scale computing
capabilities", AFIPS 1967.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def speedup(parallel_fraction: float, factor: float) -> float:
    """Return the speedup of a program of which a fraction runs ``factor`` times faster.

    ``S = 1 / ((1 - p) + p / s)`` with ``p`` the fraction of the original time that is sped up
    and ``s`` by how much. Raises ``ValueError`` unless ``0 <= p <= 1`` and ``s > 0``.

    >>> speedup(0.9, 10), round(speedup(0.9, 1e9), 3)
    (5.263157894736842, 10.0)
    """
    if not 0 <= parallel_fraction <= 1:
        raise ValueError(f"a fraction lies between 0 and 1, got {parallel_fraction}")
    if factor <= 0:
        raise ValueError(f"a speedup factor must be positive, got {factor}")
    return 1 / ((1 - parallel_fraction) + parallel_fraction / factor)


@dataclass(frozen=True)
class AmdahlFit:
    """The fraction that best explains measured speedups."""

    parallel_fraction: float
    worst_error: float

    @property
    def limit(self) -> float:
        """The speedup that no factor can exceed, ``1 / (1 - p)``."""
        serial = 1 - self.parallel_fraction
        return math.inf if serial == 0 else 1 / serial


def fit(factors: Sequence[float], speedups: Sequence[float]) -> AmdahlFit:
    """Fit Amdahl's law to measured ``(factor, speedup)`` pairs by least squares.

    In inverse speedups the law is linear: ``1 - 1/S = p (1 - 1/s)``, so that
    ``p = sum(a b) / sum(a a)`` with ``a = 1 - 1/s`` and ``b = 1 - 1/S``. The result is clipped to
    0..1; ``worst_error`` is the largest relative error of the fitted speedups.
    Raises ``ValueError`` when no pair has a factor other than 1.
    """
    if len(factors) != len(speedups):
        raise ValueError(f"{len(factors)} factors but {len(speedups)} speedups; give one for each")
    a = [1 - 1 / factor for factor in factors]
    b = [1 - 1 / gain for gain in speedups]
    weight = sum(x * x for x in a)
    if weight == 0:
        raise ValueError("no factor differs from 1; measure at least one faster version")
    p = min(1.0, max(0.0, sum(x * y for x, y in zip(a, b, strict=True)) / weight))
    errors = [abs(speedup(p, s) / gain - 1) for s, gain in zip(factors, speedups, strict=True)]
    return AmdahlFit(parallel_fraction=p, worst_error=max(errors))
