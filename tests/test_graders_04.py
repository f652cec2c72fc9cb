"""Right and wrong answers to the exercises of lesson 04; ``test_graders`` runs them."""

from __future__ import annotations

import math

import numpy as np


def l2_bytes(m, n, k, rows, columns, word):
    return math.ceil(m / rows) * math.ceil(n / columns) * k * (rows + columns) * word


def l2_by_blocks(m, n, k, rows, columns, word):
    starts = [(i, j) for i in range(0, m, rows) for j in range(0, n, columns)]
    return sum(word * k * (rows + columns) for _ in starts)


def blocks(threads, registers, shared):
    each = (registers + 7) // 8 * 8
    room = [65536 // (each * threads), 228 * 1024 // (shared + 1024), 2048 // threads, 32]
    return min(room)


def blocks_by_adding(threads, registers, shared):
    each, count = math.ceil(registers / 8) * 8, 0
    while (
        count < 32
        and (count + 1) * threads <= 2048
        and (count + 1) * each * threads <= 65536
        and (count + 1) * (shared + 1024) <= 228 * 1024
    ):
        count += 1
    return np.int64(count)


def least_tile(peak, bandwidth, word):
    side = 1
    while side / word < peak / bandwidth:
        side *= 2
    return side


def least_tile_by_logarithm(peak, bandwidth, word):
    return 2 ** max(0, math.ceil(round(math.log2(word * peak / bandwidth), 12)))


RIGHT = [
    ("04.l2_bytes", l2_bytes),
    ("04.l2_bytes", l2_by_blocks),
    ("04.blocks_per_sm", blocks),
    ("04.blocks_per_sm", blocks_by_adding),
    ("04.least_tile", least_tile),
    ("04.least_tile", least_tile_by_logarithm),
]

WRONG = [
    ("04.l2_bytes", lambda m, n, k, r, c, w: m * n * k * w * (1 / r + 1 / c), "too low"),
    ("04.l2_bytes", lambda m, n, k, r, c, w: l2_bytes(m, n, k, r, c, 1), "too low"),
    ("04.l2_bytes", lambda m, n, k, r, c, w: (m + n) * k * w, "too"),
    ("04.l2_bytes", lambda *sizes: None, ""),
    ("04.blocks_per_sm", lambda t, r, s: blocks(t, r, 0), "more blocks"),
    ("04.blocks_per_sm", lambda t, r, s: blocks(t, r - r % 8, s), "more blocks"),
    ("04.blocks_per_sm", lambda t, r, s: 65536 / (r * t), "whole number|more"),
    ("04.blocks_per_sm", lambda t, r, s: 1, "another block"),
    ("04.blocks_per_sm", lambda t, r, s: min(32, 65536 // (r * t), 2048 // t), "more blocks"),
    ("04.least_tile", lambda p, b, w: w * p / b, "power of two"),
    ("04.least_tile", lambda p, b, w: 2 * least_tile(p, b, w), "half of this tile"),
    ("04.least_tile", lambda p, b, w: least_tile(p, b, w) / 2, "too slow|power of two"),
    ("04.least_tile", lambda p, b, w: least_tile(p, b, 4), "too slow|half"),
    ("04.least_tile", lambda p, b, w: 64, "too slow|half"),
]
