"""The kernels of lab 02, for one core: what each computes, on what data, and what it must move.

FLOP and bytes are counted by formula, with the conventions of ``model.roofline``: each byte of
the inputs and outputs once. Do not read on before you have solved the lab.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.model import roofline
from aiinfra.model.roofline import Work

WORD = 8  # bytes of a float64 or an int64
BINS, DEGREE, DIAGONALS = 256, 96, 5
KINDS = ("streaming", "stencil", "reduction", "indirect", "matrix product", "arithmetic", "chain")
Arrays = tuple[Any, ...]


@dataclass(frozen=True)
class Entry:
    """One kernel of the pool: its kind, its data for a size, its work, and its sizes."""

    body: Callable[..., Any]
    kind: str
    data: Callable[[Any, int], Arrays]
    work: Callable[[int], Work]
    sizes: tuple[int, int]
    also: tuple[str, ...] = ()
    small: bool = False
    most_flop: float = 1.0  # times the FLOP of ``work``, where a formula has several true counts
    most_share: float = 2.0  # of the roof, on any machine
    places: tuple[int, ...] = ()  # which argument holds positions, and into which one


def triad(out, x, y):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = x[i] + 1.5 * y[i]


def axpy(x, y):  # type: ignore[no-untyped-def]
    for i in range(y.size):
        y[i] += 0.5 * x[i]


def scale(out, x):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = 3.0 * x[i]


def dot(x, y):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


def total(x):  # type: ignore[no-untyped-def]
    found = 0.0
    for i in range(x.size):
        found += x[i]
    return found


def squares(x):  # type: ignore[no-untyped-def]
    found = 0.0
    for i in range(x.size):
        found += x[i] * x[i]
    return found


def cross(out, x):  # type: ignore[no-untyped-def]
    for i in range(x.shape[0] - 2):
        above, here, below, to = x[i], x[i + 1], x[i + 2], out[i + 1]
        for j in range(x.shape[1] - 2):
            around = above[j + 1] + below[j + 1] + here[j] + here[j + 2]
            to[j + 1] = 0.5 * here[j + 1] + 0.125 * around


def neighbours(out, x):  # type: ignore[no-untyped-def]
    for i in range(x.size - 2):
        out[i + 1] = 0.5 * x[i + 1] + 0.25 * (x[i] + x[i + 2])


def gather(out, x, where):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = 2.0 * x[where[i]]


def sparse(out, values, columns, x):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        found = 0.0
        for j in range(values.shape[1]):
            found += values[i, j] * x[columns[i, j]]
        out[i] = found


def count(bins, x):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        bins[x[i]] += 1.0


def multiply(out, a, b):  # type: ignore[no-untyped-def]
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = 0.0
        for k in range(0, a.shape[1] - 3, 4):
            p, q, r, s = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            for j in range(b.shape[1]):
                out[i, j] += p * b[k, j] + q * b[k + 1, j] + r * b[k + 2, j] + s * b[k + 3, j]
        for k in range(a.shape[1] // 4 * 4, a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


def apply(out, a, x):  # type: ignore[no-untyped-def]
    for i in range(a.shape[0]):
        found = 0.0
        for j in range(a.shape[1]):
            found += a[i, j] * x[j]
        out[i] = found


def polynomial(out, x):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        found, here = 1.0, x[i]
        for _ in range(DEGREE):
            found = found * here + 0.5
        out[i] = found


def pairs(out, x):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        found, here = 0.0, x[i]
        for j in range(x.size):
            away = x[j] - here
            found += away * away
        out[i] = found


def products(out, x):  # type: ignore[no-untyped-def]
    for i in range(0, x.size - 3, 4):
        p, q, r, s = x[i], x[i + 1], x[i + 2], x[i + 3]
        a = b = c = d = 0.0
        for j in range(x.size):
            here = x[j]
            a += p * here
            b += q * here
            c += r * here
            d += s * here
        out[i], out[i + 1], out[i + 2], out[i + 3] = a, b, c, d


def logistic(out, steps):  # type: ignore[no-untyped-def]
    here = out[0]
    for _ in range(steps[0]):
        here = 3.7 * here * (1.0 - here)
    out[0] = here


def fraction(x):  # type: ignore[no-untyped-def]
    found = 1.0
    for i in range(x.size):
        found = x[i] + 1.0 / found
    return found


def chase(following, x):  # type: ignore[no-untyped-def]
    found, here = 0.0, 0
    for _ in range(x.size // 64):
        found += x[here]
        here = following[here]
    return found


def floats(*shapes: Callable[[int], Any]) -> Callable[[Any, int], Arrays]:
    """Arrays of random numbers between 0.1 and 1 with these shapes of n."""
    return lambda rng, n: tuple(rng.uniform(0.1, 1.0, shape(n)) for shape in shapes)


def flat(n: int) -> int:
    return n


def square(n: int) -> tuple[int, int]:
    return n, n


def gathered(rng: Any, n: int) -> Arrays:
    return np.zeros(n), rng.uniform(0.1, 1.0, n), rng.permutation(n)


def sparse_data(rng: Any, n: int) -> Arrays:
    columns = rng.integers(0, n, (n, DIAGONALS))
    return np.zeros(n), rng.uniform(0.1, 1.0, (n, DIAGONALS)), columns, rng.uniform(0.1, 1.0, n)


def counted(rng: Any, n: int) -> Arrays:
    return np.zeros(BINS), rng.integers(0, BINS, n)


def ring(rng: Any, n: int) -> Arrays:
    """A walk through all places in random order, and a number at each."""
    tour, following = rng.permutation(n), np.empty(n, np.int64)
    following[tour] = np.roll(tour, -1)
    return following, rng.uniform(0.1, 1.0, n)


def stepped(rng: Any, n: int) -> Arrays:
    return rng.uniform(0.1, 0.9, 1), np.array([n])


def plain(flop: float, read: float, written: float, fresh: float = 0.0) -> Callable[[int], Work]:
    """Work in proportion to n: FLOP, and words read and written, for each element."""
    return lambda n: Work(flop * n, WORD * read * n, WORD * written * n, WORD * fresh * n)


def summed(flop: float, read: float) -> Callable[[int], Work]:
    """A reduction of n elements to one number that stays in a register."""
    return lambda n: Work(flop * n, WORD * read * n, 0, 0)


BIG = (5_000_000, 7_000_000)
POOL: tuple[Entry, ...] = (
    Entry(triad, "streaming", floats(flat, flat, flat), lambda n: roofline.triad(n, WORD), BIG),
    Entry(axpy, "streaming", floats(flat, flat), lambda n: roofline.axpy(n, WORD), BIG),
    Entry(scale, "streaming", floats(flat, flat), plain(1, 1, 1, 1), BIG),
    Entry(axpy, "streaming", floats(flat, flat), lambda n: roofline.axpy(n, WORD), (2, 9),
          small=True, most_share=0.3),
    Entry(dot, "reduction", floats(flat, flat), summed(2, 2), BIG),
    Entry(total, "reduction", floats(flat), summed(1, 1), BIG),
    Entry(squares, "reduction", floats(flat), summed(2, 1), BIG),
    Entry(cross, "stencil", floats(square, square),
          lambda n: roofline.stencil(n, n, WORD), (2200, 2600), most_flop=9 / 6),
    Entry(neighbours, "stencil", floats(flat, flat), plain(4, 1, 1, 1), BIG, most_flop=5 / 4),
    Entry(gather, "indirect", gathered, plain(1, 2, 1, 1), BIG, places=(2, 1)),
    Entry(sparse, "indirect", sparse_data, plain(2 * DIAGONALS, 2 * DIAGONALS + 1, 1, 1),
          (600_000, 900_000), places=(2, 3)),
    Entry(count, "indirect", counted,
          lambda n: Work(n, WORD * (n + BINS), WORD * BINS, 0), BIG, ("reduction",),
          places=(1, 0)),
    Entry(multiply, "matrix product", floats(square, square, square),
          lambda n: roofline.matmul(n, n, n, WORD), (200, 320)),
    Entry(apply, "matrix product", floats(flat, square, flat),
          lambda n: Work(2 * n * n, WORD * (n * n + n), WORD * n, WORD * n), (2200, 2600),
          ("reduction",)),
    Entry(polynomial, "arithmetic", floats(flat, flat), plain(2 * DEGREE, 1, 1, 1),
          (200_000, 600_000), ("streaming",)),
    Entry(pairs, "arithmetic", floats(flat, flat),
          lambda n: Work(3 * n * n, WORD * n, WORD * n, WORD * n), (1500, 4000)),
    Entry(logistic, "chain", stepped, lambda n: Work(3 * n, 2 * WORD, WORD, 0), (200_000, 900_000),
          most_share=0.15),
    Entry(fraction, "chain", floats(flat), summed(2, 1), (4_000_000, 5_000_000), ("reduction",),
          most_share=0.3),
    Entry(chase, "chain", ring, lambda n: Work(n // 64, 2 * WORD * (n // 64), 0, 0), BIG,
          ("indirect",), most_share=0.15, places=(0, 1)),
)  # fmt: skip
