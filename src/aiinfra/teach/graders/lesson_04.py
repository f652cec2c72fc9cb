"""Graders of lesson 04: traffic of tiles, blocks in a multiprocessor, the least tile."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aiinfra.teach.graders.helpers import (
    attempted,
    close_to,
    failed,
    not_attempted,
    number_of,
    passed,
)
from aiinfra.teach.verdict import Verdict

REGISTERS, SHARED, THREADS, BLOCKS = 65536, 228 * 1024, 2048, 32


def l2_bytes(submission: Callable[[int, int, int, int, int, int], Any], rng: Any) -> Verdict:
    """``l2_bytes(m, n, k, rows, columns, word) -> bytes``: every block reads its slices once."""
    cases = [(256, 256, 64, 32, 32, 4), (1000, 777, 333, 128, 64, 4), (130, 70, 9, 64, 256, 2)]
    for _ in range(20):
        m, n, k, rows, columns = (int(x) for x in rng.integers(1, 2000, 5))
        cases.append((m, n, k, rows % 256 + 1, columns % 256 + 1, int(rng.choice([2, 4, 8]))))
    for m, n, k, rows, columns, word in cases:
        blocks = -(-m // rows) * -(-n // columns)
        answer = submission(m, n, k, rows, columns, word)
        verdict = close_to(answer, blocks * k * (rows + columns) * word, rtol=1e-9, unit="B")
        if not verdict.passed:
            told = f"{m} by {n}, {k} steps, tiles of {rows} by {columns}, {word} bytes a number"
            return failed(f"For {told}: {verdict.message}")
    return passed("Twice the tile in both directions halves the traffic: that is what a tile buys.")


def blocks_per_sm(submission: Callable[[int, int, int], Any], rng: Any) -> Verdict:
    """``blocks_per_sm(threads, registers, shared) -> int``: the scarcest resource decides."""
    cases = [(256, 128, 16640), (1024, 32, 0), (512, 40, 4096), (256, 214, 98304), (32, 16, 0),
             (256, 33, 0), (128, 24, 40_000), (1024, 64, 0), (96, 41, 6000)]  # fmt: skip
    cases += [
        (32 * int(rng.integers(1, 33)), int(rng.integers(16, 65)), int(rng.integers(0, 100_000)))
        for _ in range(40)
    ]
    nearly = ""
    for threads, registers, shared in cases:
        each = -(-registers // 8) * 8
        limits = (REGISTERS // (each * threads), SHARED // (shared + 1024), THREADS // threads)
        expected = min(*limits, BLOCKS)
        answer = submission(threads, registers, shared)
        if not attempted(answer):
            return not_attempted()
        number = number_of(answer)
        told = f"{threads} threads of {registers} registers and {shared:,} bytes"
        if number is None or number != math.floor(number):
            return failed(f"For {told}, a whole number of blocks is asked for, not {answer!r:.40}.")
        if number > expected:
            nearly = f"For {told}, more blocks are answered than fit: one resource is forgotten."
            if number != min(REGISTERS // (registers * threads), *limits[1:], BLOCKS):
                return failed(nearly)
        elif number < expected:
            return failed(f"For {told}, another block fits.")
    if nearly:
        return failed(f"{nearly} Registers are handed out in steps of 8.", 0.5)
    return passed("Registers decide most often: sums held in them are what makes a kernel fast.")


def least_tile(submission: Callable[[float, float, int], Any], rng: Any) -> Verdict:
    """``least_tile(peak, bandwidth, word) -> int``: smallest power of two that the L2 can feed."""
    cases = [(66.9e12, 6.65e12, 4), (64e12, 4e12, 4), (1e12, 8e12, 4), (989.4e12, 6.65e12, 2)]
    for _ in range(30):
        peak, bandwidth = float(10 ** rng.uniform(12, 15.3)), float(10 ** rng.uniform(11.5, 13.3))
        cases.append((peak, bandwidth, int(rng.choice([1, 2, 4, 8]))))
    for peak, bandwidth, word in cases:
        answer = submission(peak, bandwidth, word)
        if not attempted(answer):
            return not_attempted()
        number, told = number_of(answer), f"{peak:.3g} FLOP/s, {bandwidth:.3g} B/s, {word} bytes"
        if number is None or number < 1 or math.log2(number) % 1:
            return failed(f"For {told}: a power of two is asked for, 1 at least.")
        if number < word * peak / bandwidth:
            return failed(f"For {told}: with this tile the L2 cache is too slow.")
        if number > 1 and number / 2 >= word * peak / bandwidth:
            return failed(f"For {told}: half of this tile is enough.")
    return passed(
        "For bf16 on an H200 it is 512, more than the registers of one SM hold: newer GPUs let "
        "several SMs share what one of them fetches."
    )
