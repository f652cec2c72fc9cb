"""Graders of lesson 02: sectors of a request, passes over the banks, bytes that fusing saves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aiinfra.teach.graders.helpers import close_to, failed, number_of, passed
from aiinfra.teach.verdict import Verdict

LANES = BANKS = 32
SECTOR = 32  # bytes


def sectors(submission: Callable[[int, int, int], Any], rng: Any) -> Verdict:
    """``sectors(stride, offset, itemsize) -> int``: 32-byte sectors that a warp's load touches."""
    cases = [
        (1, 0, 4),
        (2, 0, 4),
        (1, 1, 4),
        (0, 5, 4),
        (1, 0, 8),
        (3, 0, 2),
        (32, 0, 4),
        (7, 3, 16),
    ]
    cases += [
        (int(rng.integers(0, 40)), int(rng.integers(0, 100)), int(2 ** rng.integers(0, 5)))
        for _ in range(40)
    ]
    for stride, offset, itemsize in cases:
        told = f"stride {stride}, offset {offset}, {itemsize} bytes an element"
        firsts = [(lane * stride + offset) * itemsize for lane in range(LANES)]
        right = len({first // SECTOR for first in firsts})
        got = _whole(submission(stride, offset, itemsize))
        if got is None:
            return failed(f"For {told}: return a whole number of sectors.")
        if got == right:
            continue
        if offset and got == len({(first - offset * itemsize) // SECTOR for first in firsts}):
            return failed(f"For {told}: the offset moves the request to other sectors.", 0.5)
        if stride == 0:
            return failed(f"For {told}: all lanes read one element, and share its sector.")
        side = "fewer" if got > right else "more"
        return failed(f"For {told}: {got} is wrong, the lanes touch {side} sectors.")
    return passed("Bytes that no lane asks for come along, and now you know how many.")


def column_passes(submission: Callable[[int], Any], rng: Any) -> Verdict:
    """``column_passes(width) -> int``: passes to read a column of a tile ``width`` words wide."""
    for width in [32, 33, 1, 31, 34, 48, 64, 40, *map(int, rng.integers(1, 300, 40))]:
        got, right = _whole(submission(width)), math.gcd(width, BANKS)
        if got is None:
            return failed(f"For a width of {width}: return a whole number of passes.")
        if got != right:
            why = "fewer lanes meet" if got > right else "more lanes meet"
            return failed(f"For a width of {width}: {got} is wrong, {why} at a bank.")
    return passed("Every odd width is free of conflicts: one word of padding is enough.")


def fused_gain(submission: Callable[[int, int], Any], rng: Any) -> Verdict:
    """``fused_gain(inputs, steps) -> float``: bytes of an expression per byte of a fused kernel."""
    for inputs, steps in [(2, 1), (2, 2), (3, 5), *rng.integers(1, 30, (20, 2)).tolist()]:
        verdict = close_to(submission(inputs, steps), 3 * steps / (inputs + 1), rtol=1e-6, unit="x")
        if not verdict.passed:
            return failed(f"For {inputs} inputs and {steps} steps: {verdict.message}")
    return passed("The longer the expression, the more its temporary arrays cost.")


def _whole(answer: Any) -> int | None:
    """The answer as a whole number, or ``None`` when it is not one."""
    number = number_of(answer)
    return int(number) if number is not None and math.isfinite(number) and number % 1 == 0 else None
