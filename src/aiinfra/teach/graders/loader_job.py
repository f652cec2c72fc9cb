"""The training job of lab 03, and what its five parts must hold to; all in virtual time.

``run_job`` plays a job with the learner's functions and counts requests, bytes and idle seconds.
Bytes and seconds of a sample are those of ResNet-50 on an H100 in MLPerf Storage; the rest of the
job (store, sizes of shards, decoding) is made up and drawn at random.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aiinfra.facts.workloads import workload
from aiinfra.model.pipeline import PipelineRun, pipeline
from aiinfra.teach.graders.loader_cases import smallest_depth
from aiinfra.teach.graders.loader_rules import (
    IDLE,
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
    batch, ``latency`` s a request, ``bandwidth`` B/s. ``memory`` is in samples, ``mixed`` the
    least number of shards in a batch, on average.
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
    epochs: int = 3

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
    """A job played with five parts: its times, and what was counted from the second epoch on."""

    run: PipelineRun
    read: Any
    decode: Any
    depth: int | None
    least: int | None
    hits: float
    requests: int
    mixed: float

    @property
    def idle(self) -> float:
        """Share of the time in which the accelerator waits."""
        return self.run.idle()


def make_job(rng: Any, shards: int = 96) -> Job:
    """Draw a job: shards of 48 to 64 samples, a store that is too slow by half or more."""
    resnet = workload("resnet50-h100")
    lengths = rng.integers(48, 65, shards)
    shard_of = np.repeat(np.arange(shards), lengths)
    n = len(shard_of)
    size = (resnet.sample_bytes * np.clip(rng.lognormal(-0.08, 0.4, n), 0.3, 3)).astype(int)
    ends = [np.cumsum(size[shard_of == k]) for k in range(shards)]
    start = np.concatenate([np.concatenate(([0], end[:-1])) for end in ends])
    bounds = np.concatenate(([0], np.cumsum(lengths)))
    ids = [tuple(range(a, b)) for a, b in itertools.pairwise(bounds.tolist())]
    batch, each = 32, resnet.step / resnet.samples
    workers = int(rng.integers(4, 7))
    return Job(
        tuple(ids), shard_of, start, size,
        decode=each * workers * 0.75 * np.minimum(rng.lognormal(-0.32, 0.8, n), 5),
        batch=batch, step=batch * each, latency=float(rng.uniform(2e-3, 4e-3)),
        bandwidth=float(size.mean() / each / rng.uniform(1.4, 1.5)),
        workers=workers, memory=n // 2 + 400 + 20 * batch, mixed=5.0,
    )  # fmt: skip


def run_job(job: Job, tools: Tools) -> Outcome:
    """Play the job with the parts; raises ``Wrong`` where one of them breaks a rule.

    Times and idleness are those from the second epoch on: the first one has to read everything.
    """
    buffer, cache = memory_split(job, named("split", tools)(replace(job)))
    order = epochs(job, buffer, tools)
    opened = openings(job, order)
    trace = [sample for _, shard in opened for sample in job.shards[shard]]
    keeper = named("evict", tools)
    hits = part("evict", lambda: play_cache(trace, cache, keeper(list(trace), cache)))
    read, count = reads(job, opened, hits, tools)
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
    mixed = shards_in_batch(job.shards, order, job.batch)
    late = float(hits[len(hits) // job.epochs :].mean())
    return Outcome(run, np.array(read), np.array(decode), depth, least, late, count, mixed)


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


def memory_split(job: Job, answer: Any) -> tuple[int, int]:
    """Read (buffer, cache) in samples; raises ``Wrong`` where they do not fit the memory."""
    values = part("split", lambda: whole_numbers(answer, "two numbers, buffer and cache"))
    if len(values) != 2 or min(values) < 0:
        raise Wrong("`split`: two numbers of samples, buffer and cache, are asked for")
    if (rest := job.memory - sum(values)) < job.batch:
        raise Wrong(f"`split`: {rest:,} of {job.memory:,} samples are left for batches in flight")
    if values[0] < (most := max(map(len, job.shards))):
        raise Wrong(f"`split`: a buffer of {values[0]} does not hold one shard of {most}")
    return values[0], values[1]


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
) -> tuple[list[float], int]:
    """Seconds of the store for each batch, and the requests made from the second epoch on."""
    batches = job.epochs * job.samples // job.batch
    seconds, count, at = [0.0] * batches, 0, 0
    asker = named("requests", tools)
    for i, (batch, shard) in enumerate(opened):
        samples = job.shards[shard]
        missed = [s for k, s in enumerate(samples, at) if not hits[k]]
        at += len(samples)
        if missed:
            places = job.places(missed)
            answer = asker(list(places), job.latency, job.bandwidth)
            found = part("requests", functools.partial(covered, places, answer))
            seconds[min(batch, batches - 1)] += read_seconds(found, job.latency, job.bandwidth)
            count += len(found) * (i >= len(job.shards))
    return seconds, count


def blame(job: Any, outcome: Any) -> str:
    """Say which stage an idle accelerator waits for."""
    stages = {"store": outcome.read.mean(), "decoding": outcome.decode.mean()}
    name = max(stages, key=lambda stage: stages[stage])
    seconds = (
        f"The {name} takes {1e3 * stages[name]:.1f} ms a batch, a step {1e3 * job.step:.1f} ms"
    )
    if stages[name] > (1 - IDLE) * job.step:
        return f"{seconds}."
    depth = "the batches in flight" if outcome.depth is None else f"{outcome.depth} batches"
    return f"{seconds}: fast enough on average, so it comes in bursts that {depth} do not cover."
