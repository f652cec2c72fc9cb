"""Graders of lesson 01: Amdahl's law, lanes in lockstep, the trip to a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aiinfra.teach.graders.helpers import close_to, failed, number_of, passed
from aiinfra.teach.verdict import Verdict


def needed_factor(submission: Callable[[float, float], Any], rng: Any) -> Verdict:
    """``needed_factor(share, target) -> float | None`` by Amdahl's law."""
    cases = [(0.8, 4.0), (0.5, 2.0), (0.5, 3.0), (1.0, 7.0), (0.95, 1.0)]
    cases += [(float(rng.uniform(0.05, 0.99)), float(rng.uniform(1.05, 30))) for _ in range(30)]
    beyond = ""
    for share, target in cases:
        answer = submission(share, target)
        told = f"share={share:.3g}, target={target:.3g}"
        left = 1 / target - (1 - share)
        if left <= 1e-12:
            if answer is not None and number_of(answer) != math.inf:
                beyond = f"For {told} no factor is enough; return None."
            continue
        if answer is None:
            return failed(f"For {told} there is a factor; None is for targets beyond the wall.")
        verdict = close_to(answer, share / left, rtol=1e-6, unit="x")
        if not verdict.passed:
            return failed(f"For {told}: {verdict.message}")
    if beyond:
        return failed(beyond, 0.5)
    return passed("The part must gain far more than the whole, and beyond the wall nothing helps.")


def tile_efficiency(submission: Callable[[Any, int, int], Any], rng: Any) -> Verdict:
    """``tile_efficiency(turns, wide, high) -> float``: useful lanes of tiles in lockstep."""
    shapes = [(8, 4, 3, 5), (32, 1, 2, 7), (1, 1, 5, 3), (4, 8, 1, 1), (3, 5, 4, 2)]
    for wide, high, across, down in shapes:
        turns = rng.integers(1, 200, (down * high, across * wide)).astype("int32")
        tiles = turns.reshape(down, high, across, wide)
        spent = tiles.max(axis=(1, 3)).sum() * wide * high
        answer = submission(turns.copy(), wide, high)
        verdict = close_to(answer, float(turns.sum() / spent), rtol=1e-6)
        if not verdict.passed:
            size = f"{turns.shape[0]} by {turns.shape[1]} pixels"
            return failed(f"For {size} in tiles {wide} wide and {high} high: {verdict.message}")
    return passed(
        "On the picture, tiles 8 wide and 4 high keep more lanes at work than rows of 32: "
        "neighbours in both directions look more alike."
    )


def gpu_wins_from(submission: Callable[[float, float, float, float], Any], rng: Any) -> Verdict:
    """``gpu_wins_from(cpu_fixed, cpu_each, gpu_fixed, gpu_each) -> float | None``."""
    cases = [
        (0.0, 1e-8, 1e-5, 1e-9), (1e-5, 1e-9, 0.0, 1e-8), (1e-5, 1e-8, 1e-6, 1e-9),
        (1e-6, 1e-9, 1e-5, 1e-9), (1e-5, 1e-9, 1e-6, 1e-9), (0.0, 1e-9, 1e-5, 1e-8),
    ]  # fmt: skip
    cases += [tuple(map(float, 10 ** rng.uniform(-9, -4, 4))) for _ in range(30)]  # type: ignore[misc]
    never = ""
    for case in cases:
        told = "cpu {:.2g} + {:.2g} n, gpu {:.2g} + {:.2g} n seconds".format(*case)
        answer, crossing = submission(*case), _crossing(*case)
        if crossing is None:
            if answer is not None:
                never = f"For {told}, the GPU does not stay faster; return None."
        elif answer is None:
            return failed(f"For {told}, the GPU stays faster from some size on; None is for never.")
        elif number_of(answer) not in _whole(crossing):
            verdict = close_to(answer, max(0.0, crossing), rtol=1e-6, unit="elements")
            if not verdict.passed:
                return failed(f"For {told}: {verdict.message}")
    if never:
        return failed(never, 0.5)
    return passed("A fixed price and a price for each element: the crossing is their ratio.")


def _crossing(cpu_fixed: float, cpu_each: float, gpu_fixed: float, gpu_each: float) -> float | None:
    """Where the lines cross, below 0 where the GPU always wins, ``None`` where it never does."""
    if gpu_each == cpu_each:
        return -1.0 if gpu_fixed < cpu_fixed else None
    return (gpu_fixed - cpu_fixed) / (cpu_each - gpu_each) if gpu_each < cpu_each else None


def _whole(crossing: float) -> set[int]:
    """The whole numbers that are right too: at the crossing or the first one beyond it."""
    sides = (crossing * (1 - 1e-9), crossing * (1 + 1e-9)) if crossing >= 0 else ()
    return {math.ceil(x) for x in sides} | {math.floor(x) + 1 for x in sides}
