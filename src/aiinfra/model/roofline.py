"""The roofline: an operator takes as long as the slower of its arithmetic and its memory traffic.

Source: S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance
model for multicore architectures", CACM 52(4), 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Bound = Literal["compute", "memory"]


@dataclass(frozen=True)
class OperatorTime:
    """Seconds an operator spends on arithmetic and on memory traffic, fully overlapped."""

    compute: float
    memory: float

    @property
    def seconds(self) -> float:
        """The longer of the two."""
        return max(self.compute, self.memory)

    @property
    def bound(self) -> Bound:
        """What the operator waits for."""
        return "compute" if self.compute >= self.memory else "memory"


def operator_time(flop: float, n_bytes: float, peak: float, bandwidth: float) -> OperatorTime:
    """Price one operator: ``max(flop / peak, n_bytes / bandwidth)``.

    ``flop`` in FLOP, ``n_bytes`` in bytes moved to and from memory, ``peak`` in FLOP/s,
    ``bandwidth`` in B/s. Known error: a lower bound on time, but for data left in a cache,
    which come faster. Tuned kernels with enough work reach 60-95 % of the roof that bounds them;
    others, and work too small to fill the machine, a tenth or less.
    Raises ``ValueError`` on a roof that is not positive or on negative work.
    """
    if peak <= 0 or bandwidth <= 0:
        raise ValueError(f"peak and bandwidth must be positive, got {peak} and {bandwidth}")
    if flop < 0 or n_bytes < 0:
        raise ValueError(f"work cannot be negative, got {flop} FLOP and {n_bytes} B")
    return OperatorTime(compute=flop / peak, memory=n_bytes / bandwidth)


def attainable(intensity: float, peak: float, bandwidth: float) -> float:
    """Return the FLOP/s under the roof at ``intensity`` FLOP/B: ``min(peak, I * bandwidth)``."""
    return min(peak, intensity * bandwidth)


def ridge(peak: float, bandwidth: float) -> float:
    """Return the intensity in FLOP/B at which a machine turns compute bound."""
    return peak / bandwidth


@dataclass(frozen=True)
class Work:
    """What an operator must compute and move: FLOP, and bytes to and from memory.

    ``read`` counts each byte of the inputs once and ``written`` each byte of the outputs once, as
    with caches of any size: the compulsory traffic. ``fresh`` is the part of ``written`` whose
    lines the operator does not read anyway: a CPU fetches those lines before it overwrites them
    (write-allocate), a GPU does not. Raises ``ValueError`` on negative work.
    """

    flop: float
    read: float
    written: float
    fresh: float

    def __post_init__(self) -> None:
        if min(self.flop, self.read, self.written, self.fresh) < 0 or self.fresh > self.written:
            raise ValueError(f"work cannot be negative, nor fresh exceed written; got {self}")

    @property
    def n_bytes(self) -> float:
        """The bytes counted: ``read + written``."""
        return self.read + self.written

    @property
    def fetched(self) -> float:
        """Bytes that travel from memory to a CPU that write-allocates: ``read + fresh``."""
        return self.read + self.fresh

    @property
    def moved(self) -> float:
        """Bytes both ways on a CPU that write-allocates: ``read + written + fresh``."""
        return self.n_bytes + self.fresh

    @property
    def intensity(self) -> float:
        """Arithmetic intensity in FLOP for each byte counted."""
        return self.flop / self.n_bytes

    def __add__(self, other: Work) -> Work:
        """One after the other, with nothing left in a cache between."""
        return Work(
            self.flop + other.flop,
            self.read + other.read,
            self.written + other.written,
            self.fresh + other.fresh,
        )


# How operators are counted. An addition, subtraction, multiplication, division, comparison or
# square root is 1 FLOP, and so is an exponential, which takes a CPU or a GPU many more
# instructions; a multiply-add is 2. `word` is the size of a number in bytes.


def elementwise(n: int, reads: int, flop: float, word: int = 4, *, in_place: bool = False) -> Work:
    """Count a pass over ``n`` places that reads ``reads`` arrays and writes one.

    ``flop`` is the arithmetic at each place; ``in_place`` means that the array written is one of
    those read. A chain of such passes is the sum of their work, fused or not.
    """
    size = n * word
    return Work(flop * n, reads * size, size, 0 if in_place else size)


def axpy(n: int, word: int = 4) -> Work:
    """Count ``y = a*x + y``: 2 FLOP a number, two read, one written back."""
    return elementwise(n, 2, 2, word, in_place=True)


def triad(n: int, word: int = 8) -> Work:
    """Count STREAM's ``a = b + s*c``: 2 FLOP a number, two read, one written afresh."""
    return elementwise(n, 2, 2, word)


def dot(n: int, word: int = 4) -> Work:
    """Count the dot product of two vectors of ``n`` numbers: 2 FLOP and two numbers read each."""
    return Work(2 * n, 2 * n * word, word, word)


def stencil(rows: int, columns: int, word: int = 4) -> Work:
    """Count ``p*here + q*(up + down + left + right)`` on a grid: 6 FLOP a point, read once."""
    size = rows * columns * word
    return Work(6 * rows * columns, size, size, size)


def spmv(rows: int, columns: int, nonzeros: int, word: int = 4, index: int = 4) -> Work:
    """Count a sparse matrix times a vector: 2 FLOP a non-zero.

    The matrix is in CSR form: value and column of each non-zero, and where each row starts.
    Every number of the vector counts once, however often rows ask for it.
    """
    read = nonzeros * (word + index) + (rows + 1) * index + columns * word
    return Work(2 * nonzeros, read, rows * word, rows * word)


def softmax(rows: int, columns: int, word: int = 4) -> Work:
    """Count softmax over each row: 5 FLOP a number.

    They are the maximum, subtract, exponential, sum, and multiply by one over the sum.
    """
    size = rows * columns * word
    return Work(5 * rows * columns, size, size, size)


def layer_norm(rows: int, columns: int, word: int = 4) -> Work:
    """Count layer normalisation of each row, with a scale and a shift for each column.

    8 FLOP a number: 1 for the mean, 3 for the variance, 4 to centre, divide, scale and shift.
    """
    size = rows * columns * word
    return Work(8 * rows * columns, size + 2 * columns * word, size, size)


def attention(
    queries: int, keys: int, width: int, heads: int = 1, word: int = 4, *, fused: bool = True
) -> Work:
    """Count attention without a mask: ``softmax(q @ k.T) @ v`` in ``heads`` heads of ``width``.

    ``4 q k d + 5 q k`` FLOP a head. Queries, keys, values and output move once. Not ``fused``,
    the scores go to memory and back twice: written, read for the softmax, written over, read.
    """
    scores = heads * queries * keys
    size, cache = heads * queries * width * word, heads * keys * width * word
    kept = 0 if fused else scores * word
    read = size + 2 * cache + 2 * kept
    return Work((4 * width + 5) * scores, read, size + 2 * kept, size + kept)


def matmul(m: int, n: int, k: int, word: int = 4) -> Work:
    """Count ``(m, k) @ (k, n)``: ``2 m n k`` FLOP, each of the three matrices moved once."""
    out = m * n * word
    return Work(2 * m * n * k, (m * k + k * n) * word, out, out)
