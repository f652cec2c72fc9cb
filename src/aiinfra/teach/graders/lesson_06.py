"""Graders of lesson 06: requests and waits, workers, the interval between checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aiinfra.teach.graders.helpers import close_to, failed, number_of, passed
from aiinfra.teach.verdict import Verdict


def read_seconds(submission: Callable[..., Any], rng: Any) -> Verdict:
    """``read_seconds(n_bytes, block, depth, latency, bandwidth) -> float``."""
    cases = [
        (2**28, 4096, 1, 1e-4, 3e9),
        (2**28, 2**23, 1, 1e-4, 3e9),
        (2**28, 2**20, 64, 1e-4, 3e9),
    ]
    for _ in range(30):
        block = 2 ** int(rng.integers(9, 24))
        depth = int(rng.integers(1, 65))
        n_bytes = depth * block * int(rng.integers(1, 99))  # no request is left over
        latency, bandwidth = (float(10**x) for x in (rng.uniform(-5, -2), rng.uniform(7.5, 10.5)))
        cases.append((n_bytes, block, depth, latency, bandwidth))
    for n_bytes, block, depth, latency, bandwidth in cases:
        waits = n_bytes / block * (latency + block / bandwidth) / depth
        answer = submission(n_bytes, block, depth, latency, bandwidth)
        verdict = close_to(answer, max(waits, n_bytes / bandwidth), rtol=1e-6, unit="s")
        if not verdict.passed:
            told = f"{n_bytes} bytes in blocks of {block}, {depth} under way, {latency:.2g} s each"
            return failed(f"For {told}, at {bandwidth:.3g} B/s: {verdict.message}")
    return passed("Small blocks pay for waits, and depth divides them until the disk is full.")


def fewest_workers(submission: Callable[[float, float, float], Any], rng: Any) -> Verdict:
    """``fewest_workers(step, load, idle) -> int``: the first number that is good enough."""
    cases = [(0.04, 0.096, 0.0), (0.04, 0.096, 0.2), (0.04, 0.002, 0.1), (0.04, 0.08, 0.0)]
    cases += [
        (float(rng.uniform(0.01, 0.5)), float(rng.uniform(0.001, 4)), float(rng.uniform(0, 0.6)))
        for _ in range(40)
    ]
    for step, load, idle in cases:
        answer, right = number_of(submission(step, load, idle)), _workers(step, load, idle)
        told = f"For a step of {step:.3g} s, a load of {load:.3g} s and idle={idle:.3g}"
        if answer is None:
            return failed(f"{told}: a number of workers is asked for.")
        if answer != math.floor(answer):
            return failed(f"{told}: {answer:g} is no whole number of workers.")
        if answer != right:
            fault = "still idles too much" if answer < right else "is more than is needed"
            return failed(f"{told}: {answer:g} {fault}.")
    return passed("More workers than that cost memory and gain nothing.")


def _workers(step: float, load: float, idle: float) -> int:
    """Count up until the idle share is small enough; equality counts."""
    workers = 0
    while True:
        period = max(step, load / workers) if workers else step + load
        if 1 - step / period <= idle + 1e-12:
            return workers
        workers += 1


def least_interval(submission: Callable[[float, float, float], Any], rng: Any) -> Verdict:
    """``least_interval(parameters, bandwidth, share) -> float`` in seconds of training."""
    cases = [(405e9, 275e9, 0.01), (8e9, 1e9, 0.5)]
    cases += [
        (10.0 ** rng.uniform(8, 12.3), 10.0 ** rng.uniform(8, 12), float(rng.uniform(0.005, 0.6)))
        for _ in range(30)
    ]
    for parameters, bandwidth, share in cases:
        save = 14 * parameters / bandwidth
        answer = submission(parameters, bandwidth, share)
        verdict = close_to(answer, save * (1 - share) / share, rtol=1e-6, unit="s")
        if not verdict.passed:
            told = f"{parameters:.3g} parameters, {bandwidth:.3g} B/s, share={share:.3g}"
            number = number_of(answer)
            whole = number is not None and math.isclose(number, save / share, rel_tol=1e-6)
            hint = " That is training and save together." if whole else ""
            return failed(f"For {told}: {verdict.message}{hint}")
    return passed("At one per cent, a job trains 99 times as long as it saves.")
