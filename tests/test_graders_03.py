"""Right and wrong answers to the exercises of lesson 03; ``test_graders`` runs them."""

from __future__ import annotations

import math

import numpy as np


def chain_bytes(passes, word, fused):
    if fused:
        return word * (sum(passes) - (len(passes) - 1) + 2)
    return word * (sum(passes) + len(passes) + 1)


def chain_by_passes(passes, word, fused):
    first, *later = passes
    if fused:
        return word * (first + sum(reads - 1 for reads in later)) + 2 * word
    return word * (first + 2) + sum(word * (reads + 1) for reads in later)


def gather(indices, word, line):
    return line * len({i * word // line for i in indices})


def gather_by_numpy(indices, word, line):
    lines = np.unique(np.asarray(indices, dtype=np.int64) // (line // word))
    return lines.size * line


def tokens(peak, bandwidth, side, word):
    ridge = peak / bandwidth * word
    if ridge >= side:
        return None
    return math.ceil(ridge * side / (2 * (side - ridge)))


def tokens_by_search(peak, bandwidth, side, word):
    def bound(t):
        return 2 * t * side * side / peak >= (2 * t * side + side * side) * word / bandwidth

    if not bound(10**12):
        return None
    low, high = 0, 10**12
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle) else (middle, high)
    return high


RIGHT = [
    ("03.chain_bytes", chain_bytes),
    ("03.chain_bytes", chain_by_passes),
    ("03.gather_bytes", gather),
    ("03.gather_bytes", gather_by_numpy),
    ("03.least_tokens", tokens),
    ("03.least_tokens", tokens_by_search),
]

WRONG = [
    ("03.chain_bytes", lambda p, w, f: w * (sum(p) + len(p)), "too low"),
    ("03.chain_bytes", lambda p, w, f: chain_bytes(p, w, False), "too high"),
    ("03.chain_bytes", lambda p, w, f: chain_bytes(p, 1, f), "too low"),
    ("03.chain_bytes", lambda p, w, f: w * (sum(p) + 2 * len(p)), "too"),
    ("03.chain_bytes", lambda p, w, f: None, ""),
    ("03.gather_bytes", lambda i, w, n: len(i) * w, "too"),
    ("03.gather_bytes", lambda i, w, n: len(i) * n, "too high"),
    ("03.gather_bytes", lambda i, w, n: len(set(i)) * n, "too high"),
    ("03.gather_bytes", lambda i, w, n: gather(i, w, 64), "too"),
    ("03.least_tokens", lambda p, b, s, w: math.ceil(w * p / b / 2), "too few|so few|return None"),
    ("03.least_tokens", lambda p, b, s, w: 10**9, "fewer|return None"),
    ("03.least_tokens", lambda p, b, s, w: None, ""),
    ("03.least_tokens", lambda p, b, s, w: tokens(p, b, s, 2), "tokens|None"),
    ("03.least_tokens", lambda p, b, s, w: w * p / b, "whole number"),
]
