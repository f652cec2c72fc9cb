"""What lab 03 is tried on, and the best that can be counted on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from aiinfra.model.pipeline import pipeline
from aiinfra.teach.graders.loader_rules import IDLE

Place = tuple[int, int, int]


def scattered(rng: Any, n: int, density: float) -> list[tuple[int, int, int]]:
    """Places of ``n`` samples, unsorted, in a few shards of which ``density`` is wanted."""
    total = max(n, int(n / density))
    sizes = rng.integers(20_000, 300_000, total)
    shard = np.sort(rng.integers(0, 4, total))
    ends = np.cumsum(sizes)
    first = {int(k): int(ends[shard == k][0] - sizes[shard == k][0]) for k in np.unique(shard)}
    chosen = rng.permutation(total)[:n].tolist()
    rows = ((int(shard[i]), int(ends[i]) - first[int(shard[i])], int(sizes[i])) for i in chosen)
    return [(k, end - size, end) for k, end, size in rows]


def merged(places: list[tuple[int, int, int]], gap: float) -> list[tuple[int, int, int]]:
    """Join neighbours of one shard that lie at most ``gap`` bytes apart."""
    out: list[tuple[int, int, int]] = []
    for shard, start, stop in sorted(places):
        if out and out[-1][0] == shard and start - out[-1][2] <= gap:
            out[-1] = (shard, out[-1][1], max(stop, out[-1][2]))
        else:
            out.append((shard, start, stop))
    return out


def spread(found: list[tuple[int, int, int]]) -> float:
    """Megabytes of the requests."""
    return sum(stop - start for _, start, stop in found) / 1e6


def numbered(rng: Any, lengths: tuple[int, ...]) -> list[list[int]]:
    """Shards of these lengths whose samples have arbitrary numbers, increasing in each shard."""
    names = np.sort(rng.permutation(4 * sum(lengths) + 4)[: sum(lengths)]).tolist()
    shards, at = [], 0
    for length in lengths:
        shards.append(names[at : at + length])
        at += length
    return shards


def fresh(rng: Any) -> Any:
    """A generator of its own, for one call."""
    return np.random.default_rng(int(rng.integers(2**32)))


def by_groups(shards: list[list[int]], buffer: int, rng: Any) -> list[int]:
    """Read whole shards until the next does not fit, deliver them in random order, repeat."""
    out: list[int] = []
    group: list[int] = []
    for k in rng.permutation(len(shards)).tolist():
        if len(group) + len(shards[k]) > buffer:
            out += rng.permutation(group).tolist()
            group = []
        group += shards[k]
    return [*out, *rng.permutation(group).tolist()]


def straight(shards: list[list[int]], got: list[int]) -> float:
    """Mean correlation of the place in the shard and the place in the order."""
    place = {sample: i for i, sample in enumerate(got)}
    rows = [[place[s] for s in shard] for shard in shards if len(shard) > 2]
    return float(np.mean([np.corrcoef(range(len(row)), row)[0, 1] for row in rows]))


def alike(shards: list[list[int]], epochs: list[list[int]]) -> str:
    """Say in what epochs repeat each other where a random order does not; "" where they differ.

    Shards have one length. At each place of the order stand a shard and a position within it;
    random epochs share a twelfth of the first and an eighth of the second.
    """
    home = {s: (k, i) for k, shard in enumerate(shards) for i, s in enumerate(shard)}
    played = np.array([[home[s] for s in epoch] for epoch in epochs])
    for column, what in enumerate(("shards", "samples of a shard")):
        rows = played[:, :, column]
        same = [np.mean(a == b) for a, b in itertools.combinations(rows, 2)]
        if max(same) > 0.5:
            return (
                f"two epochs take the {what} in the same order at {100 * max(same):.0f} % of places"
            )
    if len(set(played[:, 0, 0].tolist())) < 4:
        return f"{len(epochs)} epochs begin with the same few shards: is their order random too?"
    place = np.argsort(np.array(epochs), axis=1).reshape(len(epochs), len(shards), -1)
    early = place[:, :, :, None] < place[:, :, None, :]
    always = early.all(axis=0).sum() / (early.shape[1] * early.shape[2] * (early.shape[2] - 1) / 2)
    if always > 0.05:
        return f"{100 * always:.0f} % of the pairs within a shard always come in the same order"
    return ""


def heaviest_first(seconds: list[float], workers: int) -> float:
    """Give each item, the heaviest first, to the worker that ends first (Graham, 1969)."""
    load = [0.0] * workers
    for value in sorted(seconds, reverse=True):
        load[load.index(min(load))] += value
    return max(load)


def traces(rng: Any) -> list[tuple[str, list[float], list[float], float, int]]:
    """Readings and decodings of batches: even, in bursts, and too slow on average."""
    found = []
    for every, most in [(1, 4), (3, 12), (8, 40), (8, 3), (13, 60), (20, 64)]:
        n, step = int(rng.integers(97, 160)), float(rng.uniform(0.01, 0.1))
        read = np.zeros(n)
        read[::every] = every * step * rng.uniform(0.6, 0.8)
        decode = step * rng.uniform(0.3, 0.9, n)
        found.append((f"a read every {every} batches", read.tolist(), decode.tolist(), step, most))
    slow = (1.3 * step * np.ones(80)).tolist()
    found.append(("reads that are too slow", slow, [0.0] * 80, step, 50))
    found.append(("decoding that is too slow", [0.0] * 80, slow, step, 50))
    found.append(("one batch", [step], [step], step, 5))
    return found


def smallest_depth(read: Any, decode: Any, step: float, most: int) -> int | None:
    """The least depth up to ``most`` with at most 5 % idle, ``None`` where there is none."""
    depths = range(1, most + 1)
    return next((d for d in depths if pipeline(read, decode, step, d).idle() <= IDLE), None)


def fewest_reads(samples: Sequence[int], capacity: int) -> int:
    """Reads of the best cache: what is needed again last of all leaves (Belady, 1966)."""
    following = [0.0] * len(samples)
    later: dict[int, float] = {}
    for i in range(len(samples) - 1, -1, -1):
        following[i] = later.get(samples[i], float("inf"))
        later[samples[i]] = float(i)
    held: dict[int, float] = {}
    reads = 0
    for sample, again in zip(samples, following, strict=True):
        reads += sample not in held
        held[sample] = again
        if len(held) > capacity:
            del held[max(held, key=lambda s: held[s])]
    return reads
