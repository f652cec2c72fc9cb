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


def tiled(a, b, tile):
    c = np.zeros((len(a), b.shape[1]))
    for i in range(0, len(a), tile):
        for j in range(0, b.shape[1], tile):
            for step in range(0, len(b), tile):
                part = a[i : i + tile, step : step + tile] @ b[step : step + tile, j : j + tile]
                c[i : i + tile, j : j + tile] += part
    return c


def outer_products(a, b, tile):
    return sum(
        (np.outer(a[:, step], b[step]) for step in range(len(b))), np.zeros((len(a), b.shape[1]))
    ).tolist()


def no_edges(a, b, tile):
    c = np.zeros((len(a), b.shape[1]))
    for i in range(0, len(a) - tile + 1, tile):
        for j in range(0, b.shape[1] - tile + 1, tile):
            c[i : i + tile, j : j + tile] = a[i : i + tile] @ b[:, j : j + tile]
    return c


def changes_its_input(a, b, tile):
    c = a @ b
    a[:] = 0
    return c


RIGHT = [
    ("04.l2_bytes", l2_bytes),
    ("04.l2_bytes", l2_by_blocks),
    ("04.blocks_per_sm", blocks),
    ("04.blocks_per_sm", blocks_by_adding),
    ("04.tiled", tiled),
    ("04.tiled", outer_products),
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
    ("04.tiled", no_edges, "wrong"),
    ("04.tiled", changes_its_input, "changed"),
    ("04.tiled", lambda a, b, tile: a[:, :tile] @ b[:tile], "wrong"),
    ("04.tiled", lambda a, b, tile: np.zeros((len(a), b.shape[1])), "wrong"),
]
