"""The training job of lab 03, and what its five parts must hold to; all in virtual time.

``run_job`` plays a job with the learner's functions and counts requests, bytes and idle seconds.
Bytes and seconds of a sample are those of ResNet-50 on an H100 in MLPerf Storage; the rest of the
job (store, sizes of shards, decoding) is made up and drawn at random.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aiinfra.facts.workloads import workload
from aiinfra.model.pipeline import PipelineRun, pipeline
from aiinfra.teach.graders.loader_cases import smallest_depth
from aiinfra.teach.graders.loader_rules import (
    Wrong,
    covered,
    depth_of,
    longest,
    play_cache,
    read_seconds,
    shards_in_batch,
    shuffled,
    whole_numbers,
)

PARTS = ("requests", "order", "evict", "share_out", "prefetch", "split")
Tools = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, eq=False)
class Job:
    """One training job; ``split`` gets it whole.

    ``shards`` are lists of samples in the order in which they lie; ``start``, ``size`` (bytes),
    ``shard_of`` and ``decode`` (s on one worker) have an entry for each sample. ``step`` is s a
    batch, ``latency`` s a request, ``bandwidth`` B/s, ``deadline`` the s after which the store
    gives a request up. ``memory`` is in samples, ``mixed`` the least number of shards in a batch,
    on average. The arrays are read-only.
    """

    shards: tuple[tuple[int, ...], ...]
    shard_of: Any
    start: Any
    size: Any
    decode: Any
    batch: int
    step: float
    latency: float
    bandwidth: float
    workers: int
    memory: int
    mixed: float
    deadline: float
    epochs: int = 3

    def __post_init__(self) -> None:
        for values in (self.shard_of, self.start, self.size, self.decode):
            values.flags.writeable = False

    @property
    def samples(self) -> int:
        """Samples of an epoch."""
        return len(self.size)

    def places(self, samples: Sequence[int]) -> list[tuple[int, int, int]]:
        """Where samples lie: (shard, first byte, byte behind the last)."""
        return [
            (int(self.shard_of[s]), int(self.start[s]), int(self.start[s] + self.size[s]))
            for s in samples
        ]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A job played with five parts: its times, and what was counted from the second epoch on.

    ``gaps`` is the share of the bytes read that no sample needed, ``torn`` the share of the pieces
    read of which the cache held a part, both 0 to 1.
    """

    run: PipelineRun
    read: Any
    decode: Any
    depth: int | None
    least: int | None
    hits: float
    requests: int
    mixed: float
    gaps: float
    torn: float

    @property
    def idle(self) -> float:
        """Share of the time in which the accelerator waits."""
        return self.run.idle()


@dataclass(frozen=True)
class Plight:
    """What is hard about a job: low and high ends that its numbers are drawn between.

    The four jobs differ in their number of samples and in ``slow``, so that no constant split fits
    all: the cache that a large job needs is larger than the whole memory of a small one. Neither
    does a constant share: the largest job has room for a smaller one than others need.
    """

    shards: int = 96
    lengths: tuple[int, int] = (48, 65)  # samples of a shard
    latency: tuple[float, float] = (2e-3, 4e-3)
    slow: tuple[float, float] = (1.4, 1.5)  # seconds of the store over those of the accelerator
    decode: float = 0.75  # of a step, with all workers busy all the time
    patience: tuple[int, int] | None = None  # samples that a request may ask for
    batches: int = 26  # in flight, that the memory has room for


PLIGHTS = {
    "small shards": Plight(),
    "large shards": Plight(8, (400, 521), slow=(1.1, 1.25)),
    "short deadline": Plight(144, latency=(5e-4, 1e-3), slow=(1.7, 1.9), patience=(16, 29)),
    "slow decoding": Plight(192, latency=(1e-3, 2e-3), slow=(1.0, 1.1), decode=0.9),
}


def make_job(rng: Any, plight: str = "small shards") -> Job:
    """Draw a job of one of the ``PLIGHTS``."""
    kind, resnet = PLIGHTS[plight], workload("resnet50-h100")
    lengths = rng.integers(*kind.lengths, kind.shards)
    shard_of = np.repeat(np.arange(kind.shards), lengths)
    n = len(shard_of)
    size = (resnet.sample_bytes * np.clip(rng.lognormal(-0.08, 0.4, n), 0.3, 3)).astype(int)
    ends = [np.cumsum(size[shard_of == k]) for k in range(kind.shards)]
    start = np.concatenate([np.concatenate(([0], end[:-1])) for end in ends])
    batch, each = 32, resnet.step / resnet.samples
    workers, slow = int(rng.integers(4, 7)), float(rng.uniform(*kind.slow))
    bandwidth, latency = float(size.mean() / each / slow), float(rng.uniform(*kind.latency))
    most = 3 * max(lengths) if kind.patience is None else rng.integers(*kind.patience)
    return Job(
        tuple(tuple(np.flatnonzero(shard_of == k).tolist()) for k in range(kind.shards)),
        shard_of, start, size,
        decode=each * workers * kind.decode * np.minimum(rng.lognormal(-0.32, 0.8, n), 5),
        batch=batch, step=batch * each, latency=latency, bandwidth=bandwidth,
        workers=workers, memory=int(n * (1 - 0.72 / slow)) + 400 + kind.batches * batch,
        mixed=5.0, deadline=latency + float(most * size.mean() / bandwidth),
    )  # fmt: skip


def run_job(job: Job, tools: Tools) -> Outcome:
    """Play the job with the parts; raises ``Wrong`` where one of them breaks a rule.

    Times and idleness are those from the second epoch on: the first one has to read everything.
    """
    buffer, cache, piece = memory_split(job, named("split", tools)(replace(job)))
    whole, job = job, in_pieces(job, piece)
    order = epochs(job, buffer, tools)
    opened = openings(job, order)
    trace = [sample for _, shard in opened for sample in job.shards[shard]]
    keeper = named("evict", tools)
    hits = part("evict", lambda: play_cache(trace, cache, keeper(list(trace), cache)))
    read, (count, n_bytes, useful, pieces, torn) = reads(job, opened, hits, tools)
    decode = decodings(job, order, tools)
    first = len(decode) // job.epochs
    read, decode = read[first:], decode[first:]
    most = (job.memory - buffer - cache) // job.batch
    asked = named("prefetch", tools)(list(read), list(decode), job.step, most)
    depth = part("prefetch", lambda: depth_of(asked, most))
    least = smallest_depth(read, decode, job.step, most)
    if depth is None and least is not None:
        raise Wrong("`prefetch`: None, where some depth is enough")
    run = pipeline(read, decode, job.step, depth or most)
    mixed = shards_in_batch(whole.shards, order, job.batch)
    late = float(hits[len(hits) // job.epochs :].mean())
    gaps, torn = 1 - useful / max(n_bytes, 1), torn / max(pieces, 1)
    times = np.array(read), np.array(decode)
    return Outcome(run, *times, depth, least, late, int(count), mixed, gaps, torn)


def epochs(job: Job, buffer: int, tools: Tools) -> list[int]:
    """The samples of all epochs in the order of use, whole batches of each."""
    shuffler, found = named("order", tools), []
    for epoch in range(job.epochs):
        listed = [list(shard) for shard in job.shards]
        answer = shuffler(listed, buffer, np.random.default_rng(epoch))
        found += part("order", functools.partial(shuffled, job.shards, buffer, answer))
    return found


def decodings(job: Job, order: Sequence[int], tools: Tools) -> list[float]:
    """Seconds that the team takes for each whole batch."""
    sharer, found = named("share_out", tools), []
    for k in range(len(order) // job.batch):
        seconds = job.decode[order[k * job.batch : (k + 1) * job.batch]].tolist()
        answer = sharer(list(seconds), job.workers)
        found.append(part("share_out", functools.partial(longest, seconds, job.workers, answer)))
    return found


def part(name: str, action: Callable[[], Any]) -> Any:
    """Do something with a part, and put its name before what is wrong."""
    try:
        return action()
    except Wrong as problem:
        raise Wrong(f"`{name}`: {problem}") from None


def named(name: str, tools: Tools) -> Callable[..., Any]:
    """Return a part; raises ``Wrong`` where it is no function."""
    if not callable(tools[name]):
        raise Wrong(f"`{name}` is no function")
    return tools[name]


def memory_split(job: Job, answer: Any) -> tuple[int, int, int]:
    """Read (buffer, cache, piece) in samples; raises ``Wrong`` where they do not fit the memory.

    Without a piece, shards are read whole.
    """
    values = part("split", lambda: whole_numbers(answer, "numbers for buffer, cache and piece"))
    if len(values) not in (2, 3) or min(values) < 0:
        raise Wrong("`split`: numbers of samples for buffer, cache and piece are asked for")
    longest = max(map(len, job.shards))
    buffer, cache, piece = values if len(values) == 3 else [*values, longest]
    if piece < 1:
        raise Wrong("`split`: a piece of 0 samples reads nothing")
    if (rest := job.memory - buffer - cache) < job.batch:
        raise Wrong(f"`split`: {rest:,} of {job.memory:,} samples are left for batches in flight")
    if buffer < (most := min(piece, longest)):
        what = "one shard" if piece >= longest else "one piece"
        raise Wrong(f"`split`: a buffer of {buffer} does not hold {what} of {most}")
    return buffer, cache, most


def in_pieces(job: Job, piece: int) -> Job:
    """The same job with its shards cut into pieces of so many samples, the last one shorter."""
    cut = [s[i : i + piece] for s in job.shards for i in range(0, len(s), piece)]
    return replace(
        job, shards=tuple(cut), shard_of=np.repeat(np.arange(len(cut)), [*map(len, cut)])
    )


def openings(job: Job, order: Sequence[int]) -> list[tuple[int, int]]:
    """The batch in which each shard is opened, and the shard, epoch by epoch."""
    found, opened = [], set()
    for i, sample in enumerate(order):
        place = (i // job.samples, int(job.shard_of[sample]))
        if place not in opened:
            opened.add(place)
            found.append((i // job.batch, place[1]))
    return found


def reads(
    job: Job, opened: Sequence[tuple[int, int]], hits: Any, tools: Tools
) -> tuple[list[float], list[float]]:
    """Seconds of the store for each batch, and what was read from the second epoch on.

    That is: requests, their bytes, bytes of missed samples, pieces, and pieces held in part.
    """
    batches = job.epochs * job.samples // job.batch
    seconds, counts, at = [0.0] * batches, np.zeros(5), 0
    asker = named("requests", tools)
    for i, (batch, shard) in enumerate(opened):
        samples = job.shards[shard]
        missed = [s for k, s in enumerate(samples, at) if not hits[k]]
        at += len(samples)
        if missed:
            places = job.places(missed)
            answer = asker(list(places), job.latency, job.bandwidth)
            found = part("requests", functools.partial(covered, places, answer))
            ends = job.places([samples[0], samples[-1]])
            fits = job.latency + (ends[1][2] - ends[0][1]) / job.bandwidth <= job.deadline
            part("requests" if fits else "split", functools.partial(in_time, job, found))
            seconds[min(batch, batches - 1)] += read_seconds(found, job.latency, job.bandwidth)
            n_bytes, useful = (sum(b - a for _, a, b in rows) for rows in (found, places))
            if i >= len(job.shards):
                counts += len(found), n_bytes, useful, 1, len(missed) < len(samples)
    return seconds, counts.tolist()


def in_time(job: Job, requests: Sequence[tuple[int, int, int]]) -> None:
    """Raise ``Wrong`` where a request takes longer than the store's deadline."""
    for request in requests:
        if (seconds := read_seconds([request], job.latency, job.bandwidth)) > job.deadline:
            size = f"{(request[2] - request[1]) / 1e6:.2g} MB in one request"
            limit = f"the store gives up after {1e3 * job.deadline:.0f} ms"
            raise Wrong(f"{size} take {1e3 * seconds:.0f} ms, and {limit}: ask for less at once")
