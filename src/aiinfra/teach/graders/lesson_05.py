"""Graders of lesson 05: cores for a GPU, the period of a feeding loop, a path through a server."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aiinfra.teach.graders.helpers import close_to, failed, number_of, passed
from aiinfra.teach.verdict import Verdict

WAYS = ("pageable", "pinned", "stream")
LOW, HIGH = (6, 9, 9.5, -4), (9, 11, 11, 0)  # powers of ten: B, B/s, B/s, s


def cores_needed(submission: Callable[..., Any], rng: Any) -> Verdict:
    """``cores_needed(gpu_rate, core_rate, gpus, others) -> int``: rounded up once, for all GPUs."""
    cases = [(1786.0, 300.0, 8, 1), (900.0, 300.0, 1, 0), (920.0, 250.0, 3, 2), (10.0, 400.0, 1, 1)]
    cases += [
        (float(rng.uniform(50, 5000)), float(rng.uniform(60, 900)), int(rng.integers(1, 9)),
         int(rng.integers(0, 4))) for _ in range(30)
    ]  # fmt: skip
    for gpu_rate, core_rate, gpus, others in cases:
        told = (
            f"{gpus} GPUs of {gpu_rate:.4g} samples/s, {core_rate:.4g} a core, {others} other cores"
        )
        number = number_of(submission(gpu_rate, core_rate, gpus, others))
        if number is None:
            return failed(f"For {told}: a whole number is asked for.")
        if number != int(number):
            return failed(f"For {told}: {number:.4g} is not a whole number of cores.")
        loaders = number - gpus * others
        if loaders * core_rate < gpus * gpu_rate * (1 - 1e-12):
            return failed(f"For {told}: with that few cores a GPU waits.")
        if (loaders - 1) * core_rate >= gpus * gpu_rate:
            return failed(f"For {told}: fewer cores would be enough.")
    return passed("Demand over rate, rounded up once: cores serve whichever GPU asks.")


def period(submission: Callable[..., Any], rng: Any) -> Verdict:
    """``period(n_bytes, cpu_copy, pcie, step, way) -> float`` in s, from batch to batch."""
    sizes = [(241e6, 8e9, 55.6e9, 0.224), (241e6, 80e9, 12e9, 0.004), (1e6, 5e9, 25e9, 1e-4)]
    for _ in range(12):
        size, copying, link, compute = (float(v) for v in 10 ** rng.uniform(LOW, HIGH))
        sizes.append((size, copying, link, compute))
    for n_bytes, cpu_copy, pcie, step in sizes:
        for way in WAYS:
            copy = n_bytes / (min(cpu_copy, pcie) if way == "pageable" else pcie)
            expected = max(copy, step) if way == "stream" else copy + step
            answer = submission(n_bytes, cpu_copy, pcie, step, way)
            verdict = close_to(answer, expected, rtol=1e-6, unit="s")
            if not verdict.passed:
                told = f"{n_bytes:.3g} B, copy {cpu_copy:.3g} B/s, PCIe {pcie:.3g} B/s"
                return failed(f"For {told}, step {step:.3g} s, {way}: {verdict.message}")
    return passed("Taking turns adds up; side by side, the longer one is all there is.")


def load_time(submission: Callable[..., Any], rng: Any) -> Verdict:
    """``load_time(n_bytes, legs, chunk) -> float`` in s, chunks following through the legs."""
    for _ in range(25):
        legs = [[float(r) for r in 10 ** rng.uniform(9, 11.7, rng.integers(1, 5))]
                for _ in range(rng.integers(1, 4))]  # fmt: skip
        count, chunk = int(rng.integers(1, 40)), float(rng.integers(1, 64) * 2**18)
        times = [chunk / min(leg) for leg in legs]
        expected = math.fsum(times) + (count - 1) * max(times)
        answer = submission(count * chunk, [list(leg) for leg in legs], chunk)
        verdict = close_to(answer, expected, rtol=1e-6, unit="s")
        if not verdict.passed:
            rates = ", then ".join(" ".join(f"{r:.3g}" for r in leg) for leg in legs)
            return failed(
                f"For {count} chunks of {chunk:.3g} B over {rates} B/s: {verdict.message}"
            )
    return passed("One chunk pays for every leg, the rest only for the slowest.")
