"""Graders of lesson 03: bytes of a chain, lines of a gather, tokens that share the weights."""

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


def chain_bytes(submission: Callable[[list[int], int, bool], Any], rng: Any) -> Verdict:
    """``chain_bytes(passes, word, fused) -> bytes`` that a core moves for each element."""
    cases = [([2], 8, False), ([2], 8, True), ([1, 2], 8, False), ([1, 2], 8, True),
             ([1, 1, 1, 1, 2], 4, False), ([1, 1, 1, 1, 2], 4, True)]  # fmt: skip
    for _ in range(20):
        passes = [int(reads) for reads in rng.integers(1, 5, int(rng.integers(1, 8)))]
        cases += [(passes, int(rng.choice([1, 2, 4, 8])), fused) for fused in (False, True)]
    for passes, word, fused in cases:
        again = len(passes) - 1  # arrays that later passes read because the passes are apart
        arrays = sum(passes) - again + 2 if fused else sum(passes) + len(passes) + 1
        verdict = close_to(submission(list(passes), word, fused), arrays * word, 1e-9, "B")
        if not verdict.passed:
            told = f"passes that read {passes}, {word} bytes a number, fused={fused}"
            return failed(f"For {told}: {verdict.message}") if verdict.attempted else verdict
    return passed("Five passes of the layer's chain move 48 bytes an element, fused 16.")


def gather_bytes(submission: Callable[[Any, int, int], Any], rng: Any) -> Verdict:
    """``gather_bytes(indices, word, line) -> bytes``: different lines, each fetched whole."""
    cases: list[tuple[list[int], int, int]] = [
        ([0, 1, 2, 3], 4, 64), ([0, 16, 32], 4, 64), ([15, 16], 4, 64), ([7, 7, 7], 8, 64),
        ([], 4, 64), ([100, 3, 100, 2], 8, 32),
    ]  # fmt: skip
    for _ in range(20):
        word, line = int(rng.choice([1, 2, 4, 8])), int(rng.choice([32, 64, 128]))
        many, far = int(rng.integers(1, 200)), int(rng.integers(1, 5000))
        cases.append(([int(i) for i in rng.integers(0, far, many)], word, line))
    for indices, word, line in cases:
        expected = line * len({index * word // line for index in indices})
        verdict = close_to(submission(list(indices), word, line), expected, 1e-9, "B")
        if not verdict.passed:
            told = f"{len(indices)} numbers of {word} bytes in lines of {line}, at {indices[:4]}"
            return failed(f"For {told}...: {verdict.message}") if verdict.attempted else verdict
    return passed("A random gather of float32 pays for up to 16 times the bytes that it uses.")


def least_tokens(submission: Callable[[float, float, int, int], Any], rng: Any) -> Verdict:
    """``least_tokens(peak, bandwidth, side, word) -> int | None``: the roofline, solved for t."""
    cases = [(989.4e12, 3.35e12, 4096, 2), (2e11, 4e10, 4096, 4), (918e12, 1.64e12, 1024, 2),
             (1e12, 1e12, 64, 4), (1e15, 1e12, 1024, 2)]  # fmt: skip
    for _ in range(30):
        peak, bandwidth = float(10 ** rng.uniform(10.5, 15.3)), float(10 ** rng.uniform(10, 13))
        cases.append((peak, bandwidth, int(rng.integers(64, 9000)), int(rng.choice([1, 2, 4]))))
    for peak, bandwidth, side, word in cases:
        ridge = word * peak / bandwidth  # in FLOP for each number
        exact = ridge * side / (2 * (side - ridge)) if ridge < side else None
        answer = submission(peak, bandwidth, side, word)
        told = f"{peak:.3g} FLOP/s, {bandwidth:.3g} B/s, {side} wide, {word} bytes"
        if exact is None:
            if answer is not None and number_of(answer) != math.inf:
                return failed(f"For {told}: no number is enough; return None.")
            continue
        if answer is None:
            return failed(f"For {told}: some number is enough; None is for none.")
        if not attempted(answer):
            return not_attempted()
        number = number_of(answer)
        if number is None or number != math.floor(number):
            return failed(f"For {told}: a whole number is asked for, not {answer!r:.40}.")
        if number < exact * (1 - 1e-9):
            return failed(f"For {told}: with so few tokens memory still sets the pace.")
        if number >= exact * (1 + 1e-9) + 1:
            return failed(f"For {told}: fewer tokens are enough.")
    return passed("An H100 wants some 350 in bf16: that is why servers of models batch requests.")
