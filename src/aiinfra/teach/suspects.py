"""Eight unlabelled kernels of lab 02, drawn from the learner's name, and what was measured on them.

A suspect can be run, probed with any data and asked for its counters. Counters are computed by
formula (see ``suspect_pool``), since hardware counters are seldom at hand; half of them are kept
back. Nothing here is secret: who wants to read the pool can.
"""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aiinfra.facts.catalogue import accelerator
from aiinfra.facts.schema import Accelerator
from aiinfra.teach.stub import attempted
from aiinfra.teach.suspect_pool import (
    KINDS,
    POOL,
    Entry,
    dot,
    pairs,
    products,
    scale,
    total,
    triad,
)

TARGETS = ("a100-sxm-80gb", "h100-sxm", "h200-sxm", "v100-sxm-32gb")
PRECISION = "fp64"
MOST_FLOP = 1e9  # of one probe: seconds on one core
OTHER = {"flop": "bytes", "bytes": "flop"}
MOST_GUESSED = 5  # of eight missing counters, by who looks at shapes alone
FAST = {"reassoc", "contract", "nsz", "arcp"}


@functools.cache
def compiled(body: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel for one core; sums may be reordered, so that SIMD lanes can be used."""
    import numba

    unnamed = types.FunctionType(body.__code__.replace(co_name="kernel"), body.__globals__)
    return numba.njit(fastmath=FAST, error_model="numpy")(unnamed)


class Suspect:
    """One kernel without a name; ``number`` is all that it is called by."""

    def __init__(self, number: int, entry: Entry, n: int, seed: int, shown: str) -> None:
        self.number = number
        self._entry, self._n, self._seed, self._shown = entry, n, seed, shown

    def __repr__(self) -> str:
        return f"suspect {self.number}: {self.arguments}, {self.counters}"

    @functools.cached_property
    def _shape(self) -> tuple[str, int, list[tuple[int, ...]]]:
        data = self._data()
        names = [
            f"{array.dtype}[{', '.join(map(str, array.shape))}]"
            + (f" = {array.item():.6g}" if array.size == 1 else "")
            for array in data
        ]
        n_bytes = sum(array.nbytes for array in data)
        return ", ".join(names), n_bytes, [array.shape for array in data]

    @property
    def arguments(self) -> str:
        """Types and shapes of what it is called with; of a single number also its value."""
        return self._shape[0]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each argument."""
        return list(self._shape[2])

    def _data(self) -> tuple[Any, ...]:
        return self._entry.data(np.random.default_rng(self._seed), self._n)

    @property
    def working_set(self) -> int:
        """Bytes of all arguments."""
        return self._shape[1]

    @property
    def counters(self) -> dict[str, float | None]:
        """FLOP and bytes of one call; one of the two is ``None``: it was not counted."""
        work = self._entry.work(self._n)
        known = {"flop": float(work.flop), "bytes": float(work.n_bytes)}
        return {name: value if name == self._shown else None for name, value in known.items()}

    def inputs(self, n: int = 8, seed: int = 0) -> tuple[Any, ...]:
        """Small data of the right kinds, for ``probe``."""
        return self._entry.data(np.random.default_rng(seed), n)

    def probe(self, *arrays: Any) -> tuple[Any, ...]:
        """Run on copies of these arrays; return the arrays afterwards and what it returned.

        Raises ``ValueError`` for arrays that this kernel cannot be given.
        """
        copies = fitting(self._entry, arrays)
        returned = compiled(self._entry.body)(*copies)
        return (*copies, returned)

    def ready(self) -> Callable[[], Any]:
        """Return a call of the whole kernel without arguments, to be timed."""
        kernel, data = compiled(self._entry.body), self._data()
        return lambda: kernel(*data)


def fitting(entry: Entry, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Copy arrays for a kernel: of the types and shapes of its own data for some size.

    Raises ``ValueError`` also for positions outside the array that they point into, and for a size
    that would keep one core busy for many seconds: compiled code can be neither caught nor stopped.
    """
    one, two = (entry.data(np.random.default_rng(0), n) for n in (8, 9))
    if len(arrays) != len(one):
        raise ValueError(f"inputs() makes {len(one)} arguments; got {len(arrays)}")
    copies: list[Any] = []
    sizes: set[int] = set()
    for number, (given, like, larger) in enumerate(zip(arrays, one, two, strict=True), start=1):
        array, wanted = np.asarray(given), f"argument {number} of inputs() is {like.dtype}"
        if array.ndim != like.ndim or not np.can_cast(array.dtype, like.dtype):
            told = f"{like.ndim} dimensional; got {array.dtype}, {array.ndim} dimensional"
            raise ValueError(f"{wanted}, {told}")
        for length, eight, nine in zip(array.shape, like.shape, larger.shape, strict=True):
            if eight == nine != length:
                raise ValueError(f"{wanted} with a length of {eight}; got {length}")
            sizes |= {length} if eight != nine else set()
        copies.append(np.array(array, like.dtype, order="C"))
    if len(sizes) > 1:
        told = " and ".join(map(str, sorted(sizes)))
        raise ValueError(f"inputs(n) makes lengths that belong together; got {told}")
    n = sizes.pop() if sizes else int(copies[-1].max())  # without a size, a number of steps
    if n < 0 or entry.work(n).flop > MOST_FLOP:
        raise ValueError(f"a size of {n:,} is below 0 or would run for too long")
    if entry.places:
        where, into = (copies[k] for k in entry.places)
        if where.size and not 0 <= where.min() <= where.max() < len(into):
            told = f"holds positions, each from 0 to {len(into) - 1}"
            found = f"{where.min()} to {where.max()}"
            raise ValueError(f"argument {entry.places[0] + 1} {told}; got {found}")
    return tuple(copies)


@functools.cache
def naive(entry: Entry) -> frozenset[str]:
    """Which counters a guess gets right that looks at shapes alone, as far as 10 % tell.

    It takes the bytes of all arguments, and two FLOP for each element of the largest.
    """
    n = min(entry.sizes[0], 10_000)
    data, work = entry.data(np.random.default_rng(0), n), entry.work(n)
    guess = {"bytes": sum(a.nbytes for a in data), "flop": 2 * max(a.size for a in data)}
    true = {"bytes": work.n_bytes, "flop": work.flop}
    return frozenset(name for name in true if abs(guess[name] / true[name] - 1) <= 0.1)


class Case:
    """The eight suspects of a learner and the machine to predict for, all drawn from the name."""

    def __init__(self, learner: str) -> None:
        self.learner = str(learner).strip().casefold()
        self.learner = self.learner.encode(errors="replace").decode()  # half of a character
        digest = hashlib.sha256(self.learner.encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        chosen, shown = drawn(rng)
        self.suspects: list[Suspect] = []
        for number, (entry, counter) in enumerate(zip(chosen, shown, strict=True), start=1):
            low, high = entry.sizes
            n, seed = int(rng.integers(low, high)), int(rng.integers(2**31))
            self.suspects.append(Suspect(number, entry, n, seed, counter))
        self.target: Accelerator = accelerator(str(rng.choice(TARGETS)))

    def evidence(
        self, seconds: Mapping[int, float] | Sequence[float], peak: float, bandwidth: float
    ) -> dict[str, Any]:
        """Keep what was measured: s of each suspect, FLOP/s and B/s of this core, under a seal."""
        values = seconds.values() if isinstance(seconds, Mapping) else seconds
        kept = {
            "learner": self.learner, "seconds": [float(value) for value in values],
            "peak": float(peak), "bandwidth": float(bandwidth),
        }  # fmt: skip
        return {**kept, "seal": seal(kept)}

    def claim(self, evidence: Any, answer: Any) -> dict[str, Any] | None:
        """Put an answer and its evidence together for ``check``; ``None`` for a blank answer."""
        claim = {"learner": self.learner, "evidence": evidence, "answer": answer}
        return claim if attempted(answer) else None


def drawn(rng: Any) -> tuple[list[Entry], list[str]]:
    """One entry of each kind and one more, shuffled, and which counter of each is shown.

    Drawn again where the shapes alone would give most of the missing counters away.
    """
    while True:
        chosen = [int(rng.choice([i for i, e in enumerate(POOL) if e.kind == k])) for k in KINDS]
        rest = [i for i in range(len(POOL)) if i not in chosen]
        chosen.append(int(rng.choice(rest)))
        entries = [POOL[i] for i in rng.permutation(chosen).tolist()]
        shown: list[str] = rng.permutation(list(OTHER) * (len(entries) // 2)).tolist()
        both = zip(entries, shown, strict=True)
        if sum(OTHER[counter] in naive(entry) for entry, counter in both) <= MOST_GUESSED:
            return entries, shown


def seal(kept: Mapping[str, Any]) -> str:
    """A checksum that shows a number changed since it was measured; no protection."""
    text = repr([kept[name] for name in ("learner", "seconds", "peak", "bandwidth")])
    return hashlib.sha256(f"lab_02 {text}".encode()).hexdigest()[:16]


def ceiling_calls(n: int = 6_000_000) -> dict[str, list[tuple[Callable[[], Any], float]]]:
    """Calls that show the roofs of one core, each with its bytes or FLOP; the best one counts.

    Bandwidth is that of a triad, a scaling, a dot product and a sum. Peak is that of two kernels
    within the nearest cache: multiply-adds alone, and multiply-adds with as many subtractions,
    which some cores compute beside them.
    """
    far, near = np.ones((3, n)), np.full((2, 1024), 0.5)
    turns = float(near.shape[1] ** 2)
    return {
        "bandwidth": [
            (functools.partial(compiled(triad), *far), 24.0 * n),
            (functools.partial(compiled(scale), *far[:2]), 16.0 * n),
            (functools.partial(compiled(dot), *far[:2]), 16.0 * n),
            (functools.partial(compiled(total), far[0]), 8.0 * n),
        ],
        "peak": [
            (functools.partial(compiled(products), *near), 2 * turns),
            (functools.partial(compiled(pairs), *near), 3 * turns),
        ],
    }
