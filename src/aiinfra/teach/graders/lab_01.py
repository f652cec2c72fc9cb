"""Graders of lab 01: six kernels, right on every size and within a budget of memory traffic.

Budgets are multiples of the least that the task's data needs, counted by the interpreter on the
last and largest launch. They leave room for other right ways of writing the same kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aiinfra.teach.graders.kernel_shares import longest_chain
from aiinfra.teach.graders.kernels import (
    Budget,
    Case,
    blank,
    blocks_for,
    floats,
    global_atomics,
    graded,
    kernel_task,
    many,
    sectors_of,
    shared_out,
    shared_passes,
    site_passes,
    traffic,
)
from aiinfra.teach.verdict import Verdict

SIZES = (31, 33, 1, 1000, 0)  # the most telling one first
TILE, TILE_ROWS, MATMUL_TILE, REDUCE_THREADS, BINS = 32, 8, 16, 128, 64
NEIGHBOURS = "Do the 32 threads of a warp ask for elements that lie side by side?"


@kernel_task
def relu(kernel: Any, rng: Any) -> Verdict:
    """``relu(x, out)``: out = max(x, 0), a thread for each element and some to spare."""
    cases = []
    large = int(rng.integers(70_000, 80_000))  # more than any number that a kernel might hold
    for n, threads, spare in [*zip(SIZES, (32, 32, 64, 128, 32), (0, 0, 1, 2, 0), strict=True),
                              (large, 100, 0), (large, 128, 0)]:  # fmt: skip
        x = floats(rng, n) * rng.choice(np.array([1, 1e-12, 1e12], np.float32), n)
        grid = blocks_for(n, threads) + spare
        cases.append(Case(many(n), grid, threads, (x, blank(n)), np.maximum(x, 0), 1e-6, 0))
    budgets = [traffic(2 * sectors_of(large), 2.5, NEIGHBOURS)]
    praise = "Right on every size."
    return graded(kernel, cases, budgets, praise)


@kernel_task
def saxpy(kernel: Any, rng: Any) -> Verdict:
    """``saxpy(a, x, y)``: y = a x + y in place, with far fewer threads than elements."""
    cases = []
    large = int(rng.integers(2000, 3000))
    turns = int(rng.integers(2000, 2500))  # of one thread alone, for loops of a fixed length
    launches = [(1, 32), (1, 32), (2, 32), (5, 64), (1, 32), (1, 1), (1, 1), (3, 96)]
    for n, (grid, threads) in zip([*SIZES, 97, turns, large], launches, strict=True):
        a, x, y = np.float32(rng.uniform(1.5, 3)), floats(rng, n), floats(rng, n)
        cases.append(Case(many(n), grid, threads, (a, x, y), a * x + y))
    why = "Which element does the next thread of the warp take in the same turn of the loop?"
    budgets = [traffic(3 * sectors_of(large), 2, why), shared_out(2 * -(-large // 3))]
    praise = "Right for any number of threads."
    return graded(kernel, cases, budgets, praise)


@kernel_task
def transpose(kernel: Any, rng: Any) -> Verdict:
    """``transpose(x, out)``: out = x.T in squares of 32 x 32, each by a block of 32 x 8 threads."""
    cases = []
    large = (32 * int(rng.integers(2, 4)), 32 * int(rng.integers(4, 6)))
    for rows, columns in [(31, 33), (33, 31), (1, 1), (1, 100), (70, 32), (0, 5), large]:
        x = floats(rng, rows, columns)
        grid = (blocks_for(columns, TILE), blocks_for(rows, TILE))
        size = f"{rows} x {columns} elements"
        cases.append(Case(size, grid, (TILE, TILE_ROWS), (x, blank(columns, rows)), x.T))
    why = "One side reads along a row; does the other side write along a row too?"
    banks = Budget(
        lambda report: report.bank_conflicts, 0, 4 * large[0] * large[1] // 1024,
        "extra passes over the banks of shared memory",
        "Which bank does each lane of a warp ask for?", 0.75, lambda site: site.conflicts,
    )  # fmt: skip
    elements = large[0] * large[1]
    # 1.25, because the best that goes without shared memory moves 1.5 times what is needed.
    budgets = [traffic(2 * sectors_of(elements), 1.25, why), banks, shared_out(TILE * TILE)]
    praise = "Both sides move whole sectors, and no lane waits for another's bank."
    return graded(kernel, cases, budgets, praise)


@kernel_task
def reduce(kernel: Any, rng: Any) -> Verdict:
    """``reduce(x, out)``: out[b] is the sum of block b's elements, one for each of 128 threads."""
    cases = []
    large = REDUCE_THREADS * int(rng.integers(8, 12))
    for n, spare in [*zip(SIZES, (1, 0, 0, 0, 0), strict=True), (large - 100, 1), (large, 0)]:
        x = floats(rng, n)
        grid = blocks_for(n, REDUCE_THREADS) + spare
        padded = np.zeros(grid * REDUCE_THREADS)
        padded[:n] = x
        sums = padded.reshape(grid, REDUCE_THREADS).sum(axis=1)
        arguments = (x, blank(grid))
        cases.append(Case(many(n), grid, REDUCE_THREADS, arguments, sums, 1e-4, 1e-3))
    grid = large // REDUCE_THREADS
    atomics = Budget(
        global_atomics, grid, 4 * grid, "atomic additions to global memory",
        "Threads of one block can meet in shared memory.", 0.5, lambda site: site.turns,
    )  # fmt: skip
    passes = Budget(
        shared_passes, 29 * grid, 36 * grid, "passes over shared memory",
        "How many warps have work in each step, and do the lanes of one meet in a bank?",
        0.75, site_passes,
    )  # fmt: skip
    # A tree takes two numbers in each of 7 steps and one at the end; steps of 4 or 8 take more.
    chain = Budget(
        longest_chain, 15, 20, "numbers are taken in by one thread, one after the other,",
        "How much is left to add after each step, if every thread that can adds two numbers?",
        0.75, lambda site: site.requests * (site.space in ("shared", "register")),
    )  # fmt: skip
    sectors = traffic(sectors_of(large) + grid, 1.5, NEIGHBOURS)
    budgets = [sectors, atomics, passes, chain, shared_out(REDUCE_THREADS)]
    praise = "Right on every size, and most warps go home early."
    return graded(kernel, cases, budgets, praise)


@kernel_task
def histogram(kernel: Any, rng: Any) -> Verdict:
    """``histogram(x, bins)``: add the counts of 0 to 63 to bins, by few blocks in a grid stride."""
    cases = []
    large = int(rng.integers(5000, 7000))
    turns = 64 * int(rng.integers(110, 120))  # of one small block, for loops of a fixed length
    launches = [(2, 128), (1, 64), (1, 128), (3, 64), (1, 128), (1, 64), (4, 128)]
    for n, (grid, threads) in zip([*SIZES, turns, large], launches, strict=True):
        common = rng.integers(0, BINS)
        x = np.where(rng.random(n) < 0.3, common, rng.integers(0, BINS, n)).astype(np.int32)
        bins = rng.integers(0, 1000, BINS).astype(np.int32)
        expected = bins + np.bincount(x, minlength=BINS)
        cases.append(Case(many(n), grid, threads, (x, bins), expected, 0, 0))
    atomics = Budget(
        global_atomics, 4 * BINS, 4 * BINS, "atomic additions to global memory",
        "A block can count on its own first, and hand in its counts once.", 0.5,
        lambda site: site.turns * (site.space == "global"),
    )  # fmt: skip
    budgets = [atomics, traffic(sectors_of(large), 1.5, NEIGHBOURS), shared_out(-(-large // 4))]
    praise = "Right, and the queues stay on the chip."
    return graded(kernel, cases, budgets, praise)


@kernel_task
def matmul(kernel: Any, rng: Any) -> Verdict:
    """``matmul(a, b, c)``: c = a @ b by blocks of 16 x 16 threads, tile by tile."""
    cases = []
    large = tuple(16 * int(k) for k in rng.permutation([4, 5, 6]))
    long = int(rng.integers(400, 500))  # many steps along k, for loops of a fixed length
    shapes = [
        (31, 33, 17),
        (33, 1, 31),
        (1, 1, 1),
        (16, 50, 40),
        (5, 0, 3),
        (0, 5, 7),
        (20, long, 18),
        large,
    ]
    for m, k, n in shapes:
        a, b = floats(rng, m, k), floats(rng, k, n)
        grid = (blocks_for(n, MATMUL_TILE), blocks_for(m, MATMUL_TILE))
        exact = a.astype(float) @ b.astype(float)
        arguments, block = (a, b, blank(m, n)), (MATMUL_TILE, MATMUL_TILE)
        cases.append(Case(f"({m} x {k}) @ ({k} x {n})", grid, block, arguments, exact, 1e-4, 1e-3))
    m, k, n = large
    tiles = sectors_of(2 * k * (m // MATMUL_TILE) * (n // MATMUL_TILE) * MATMUL_TILE)
    why = "Each number of a tile is wanted by 16 threads: how often does it come from afar?"
    banks = Budget(
        lambda report: max(0, report.bank_conflicts - report.shared_requests), 0, 0,
        "passes over the banks, beyond two a request,",
        "Which bank does each lane of a warp ask for?", 0.75, lambda site: site.conflicts,
    )  # fmt: skip
    budgets = [traffic(tiles + sectors_of(m * n), 1.5, why), banks]
    praise = "Right on every shape, and a number that comes from afar is used 16 times."
    return graded(kernel, cases, budgets, praise)
