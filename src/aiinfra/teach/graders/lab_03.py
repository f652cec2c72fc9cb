"""Graders of lab 03: five parts of a loader and the memory they share, counted in virtual time.

Each answer must first be right (every sample once, nothing out of memory) and then within 1 or 2 %
of the best that can be counted; near that it earns half of the point, and as found nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aiinfra.model.pipeline import pipeline
from aiinfra.teach.graders.helpers import failed, limited, passed
from aiinfra.teach.graders.loader_blame import blame
from aiinfra.teach.graders.loader_cases import (
    alike,
    by_groups,
    fewest_reads,
    fresh,
    heaviest_first,
    merged,
    numbered,
    scattered,
    smallest_depth,
    spread,
    straight,
    traces,
)
from aiinfra.teach.graders.loader_job import PARTS, PLIGHTS, make_job, run_job
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
)
from aiinfra.teach.verdict import Verdict

BATCH = 32


def requests(submission: Any, rng: Any) -> Verdict:
    """``requests(places, latency, bandwidth)``: ranges that hold all places in the least time."""
    worst = (1.0, "")
    for n, density in [(0, 1), (1, 1), (2, 0.5), (31, 0.9), (33, 0.1), *[(250, None)] * 12]:
        share = float(rng.uniform(0.05, 0.8)) if density is None else density
        places = scattered(rng, n, share)
        latency, bandwidth = float(rng.uniform(2e-4, 5e-3)), float(rng.uniform(5e7, 8e8))
        told = f"For {n} samples, {1e3 * latency:.2g} ms a request and {bandwidth / 1e6:.3g} MB/s"
        try:
            found = covered(places, submission(list(places), latency, bandwidth))
        except Wrong as problem:
            return failed(f"{told}, {problem}.")
        best = read_seconds(merged(places, latency * bandwidth), latency, bandwidth)
        took = read_seconds(found, latency, bandwidth)
        if took > best * worst[0]:
            size = (
                f"{len(found)} requests for {spread(found):.3g} MB take {1e3 * took:.3g} ms, "
                f"{took / max(best, 1e-9):.2f}x the least"
            )
            worst = (took / max(best, 1e-9), f"{told}, {size}.")
    if worst[0] > 1.001:
        why = "When is it cheaper to read a gap?"
        return failed(f"All samples are read. {worst[1]} {why}", 0.5 * (worst[0] <= 1.25))
    return passed("No other set of ranges takes less time.")


def order(submission: Any, rng: Any) -> Verdict:
    """``order(shards, buffer, rng)``: each sample once, in random order, within the buffer."""
    for lengths, buffer in [((), 10), ((1,), 1), ((5, 0, 3), 5), ((7, 31, 1), 33), ((9,) * 5, 200)]:
        shards = numbered(rng, lengths)
        try:
            shuffled(shards, buffer, submission([*map(list, shards)], buffer, fresh(rng)))
        except Wrong as problem:
            return failed(
                f"For shards of {list(lengths)} samples and room for {buffer}: {problem}."
            )
    shards = numbered(rng, (8,) * 12)
    told = "For 12 shards of 8 samples and room for 24"
    try:
        epochs = [
            shuffled(shards, 24, submission([*map(list, shards)], 24, fresh(rng)))
            for _ in range(12)
        ]
    except Wrong as problem:
        return failed(f"{told}: {problem}.")
    if said := alike(shards, epochs):
        return failed(f"{told}, {said}.")
    return _mixed_well(submission, rng)


def _mixed_well(submission: Any, rng: Any) -> Verdict:
    """Hold an order against one that fills the buffer, mixes it and fills it again."""
    for held in (3, 8):
        shards = numbered(rng, tuple(rng.integers(40, 65, 41).tolist()))
        buffer = held * 64
        told = f"For 41 shards of 40 to 64 samples and room for {buffer}"
        try:
            got = shuffled(shards, buffer, submission([*map(list, shards)], buffer, fresh(rng)))
        except Wrong as problem:
            return failed(f"{told}: {problem}.")
        if straight(shards, got) > 0.5:
            return failed(f"{told}: the samples of a shard come in the order in which they lie.")
        reference = shards_in_batch(shards, by_groups(shards, buffer, fresh(rng)), BATCH)
        mixed = shards_in_batch(shards, got, BATCH)
        if mixed < 0.8 * reference:
            why = f"a batch of {BATCH} comes from {mixed:.1f} shards on average"
            return failed(f"{told}: {why}. The buffer has room for a better mix.", 0.5)
    return passed(
        "Whole shards in, single samples out, and the mix is as good as the buffer allows."
    )


def evict(submission: Any, rng: Any) -> Verdict:
    """``evict(samples, capacity)``: what leaves the cache at each request, for fewest reads."""
    cases = [(0, 1, 3), (1, 3, 1), (5, 3, 0), (7, 3, 7), (31, 2, 40), (200, 4, 60), (300, 3, 210)]
    worst = (1.0, "")
    for n, epochs, capacity in cases:
        trace = [s for _ in range(epochs) for s in (3 * rng.permutation(n)).tolist()]
        told = f"For {epochs} epochs of {n} samples and a cache for {capacity}"
        try:
            hits = play_cache(trace, capacity, submission(list(trace), capacity))
        except Wrong as problem:
            return failed(f"{told}: {problem}.")
        took, best = len(trace) - int(hits.sum()), fewest_reads(trace, capacity)
        if best and took / best > worst[0]:
            worst = (took / best, f"{told}, {took} reads, {took / best:.2f}x the fewest.")
    if worst[0] > 1.01:
        why = "Which samples stay until their next use?"
        return failed(f"The cache holds. {worst[1]} {why}", 0.5 * (worst[0] < 1.1))
    return _spread_well(submission, rng)


def _spread_well(submission: Any, rng: Any) -> Verdict:
    """Ask that the misses of an epoch do not fall together: the store must work all the time."""
    n, capacity = 1200, 600
    trace = [s for _ in range(3) for s in rng.permutation(n).tolist()]
    missed = ~play_cache(trace, capacity, submission(list(trace), capacity))[n : 2 * n]
    late = missed[n // 2 :].sum() / missed.sum()
    if not 0.4 <= late <= 0.6:
        told = f"For 3 epochs of {n:,} samples and a cache for {capacity}, the reads are as few as"
        half = (
            f"{100 * (1 - late):.0f} % of an epoch's fall into its first half, {100 * late:.0f} %"
        )
        why = "spread what you evict, so that the store works all the time"
        return failed(f"{told} can be, but {half} into its second: {why}.", 0.75)
    return passed("No cache of this size reads less: it hits as many an epoch as it holds.")


def share_out(submission: Any, rng: Any) -> Verdict:
    """``share_out(seconds, workers)``: lists of items, so that the last worker ends early."""
    cases = [(0, 3), (1, 4), (3, 5), (5, 1), (7, 2), (31, 4), (33, 5), *[(64, 6)] * 10]
    ratios, worst = [], (0.0, "")
    for n, workers in cases:
        seconds = (0.01 * rng.lognormal(0, 1, n)).tolist()
        told = f"For {n} items and {workers} workers"
        try:
            took = longest(seconds, workers, submission(list(seconds), workers))
        except Wrong as problem:
            return failed(f"{told}: {problem}.")
        if n:
            ratio = took / heaviest_first(seconds, workers)
            ratios.append(ratio)
            worst = max(
                worst,
                (ratio, f"{told}, the last one ends {ratio:.2f}x as late as in Graham's plan."),
            )
    mean = float(np.mean(ratios))
    if mean > 1.02 or worst[0] > 1.15:
        why = f"The mean of all is {mean:.2f}x. Which item is placed first?"
        return failed(f"Each item has a worker. {worst[1]} {why}", 0.5 * (mean <= 1.1))
    return passed("The last worker ends soon after the mean, or with the heaviest item.")


@limited(seconds=60)
def prefetch(submission: Any, rng: Any) -> Verdict:
    """``prefetch(read, decode, step, most)``: the smallest depth that keeps idle to 5 %."""
    wasteful = ""
    for told, read, decode, step, most in traces(rng):
        best = smallest_depth(read, decode, step, most)
        told = f"For {told} and at most {most} batches"
        try:
            got = depth_of(submission(list(read), list(decode), step, most), most)
        except Wrong as problem:
            return failed(f"{told}, {problem}.")
        if best is None and got is not None:
            return failed(f"{told}: no depth is enough; return None.")
        if got is None and best is not None:
            return failed(f"{told}: None, where some depth is enough.")
        if got is None or best is None:
            continue
        idle = pipeline(read, decode, step, got).idle()
        if idle > IDLE:
            return failed(f"{told}: a depth of {got} leaves {100 * idle:.0f} % idle.")
        if got > best:
            wasteful = wasteful or f"{told}: a depth of {got} holds more memory than is needed."
    if wasteful:
        return failed(f"The accelerator is busy. {wasteful}", 0.5)
    return passed("Depth evens out bursts, and no depth makes up for a slow average.")


@limited(seconds=60)
def rescue(submission: Any, rng: Any) -> Verdict:
    """Six functions play whole jobs: at most 5 % idle from the second epoch on."""
    if not isinstance(submission, (list, tuple)) or len(submission) != len(PARTS):
        return failed(f"Pass the six functions: [{', '.join(PARTS)}].")
    tools: dict[str, Callable[..., Any]] = dict(zip(PARTS, submission, strict=True))
    idles = []
    for plight in rng.permutation(list(PLIGHTS)).tolist():
        job = make_job(rng, plight)
        told = f"For a job with {plight}, {job.samples:,} samples and memory for {job.memory:,}"
        try:
            outcome = run_job(job, tools)
        except Wrong as problem:
            return failed(f"{told}: {problem}.")
        if outcome.mixed < job.mixed:
            why = f"a batch comes from {outcome.mixed:.1f} shards, where {job.mixed:.0f} are asked"
            return failed(f"{told}: {why}. Is the buffer too small, or the order too tame?")
        idles.append(outcome.idle)
        if outcome.idle > IDLE:
            why = f"idle {100 * outcome.idle:.1f} %, where {100 * IDLE:.0f} % are allowed"
            return failed(f"{told}: {why}. {blame(job, outcome)}", 0.5 * (outcome.idle < 0.2))
        if outcome.depth != outcome.least:
            why = f"`prefetch`: depth {outcome.depth}, where {outcome.least} are enough"
            return failed(f"{told}: {why}.", 0.5)
    return passed(f"Idle {100 * max(idles):.1f} % at most, every sample once an epoch.")
