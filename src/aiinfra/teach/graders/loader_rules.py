"""What the parts of lab 03 must hold to: each function reads an answer or says what is wrong.

Every sample is used once, every request and eviction can be carried out, nothing is in memory that
does not fit. Times are virtual: ``requests * latency + bytes / bandwidth``.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from aiinfra.teach.graders.helpers import scalar_of

IDLE = 0.05  # the most of its time that the accelerator may wait


class Wrong(ValueError):  # noqa: N818
    """What a part returned breaks a rule; the message names the rule and where."""


def read_seconds(requests: Any, latency: float, bandwidth: float) -> float:
    """Seconds of the store: ``requests * latency + bytes / bandwidth``."""
    table = np.asarray(requests, float).reshape(-1, 3)
    return float(len(table) * latency + (table[:, 2] - table[:, 1]).sum() / bandwidth)


def covered(places: Sequence[tuple[int, int, int]], answer: Any) -> list[tuple[int, int, int]]:
    """Return requests as a list; raises ``Wrong`` unless each place lies within one of them."""
    requests = rows_of(answer)
    by_shard: dict[int, list[tuple[int, int]]] = {}
    for shard, start, stop in requests:
        if stop <= start:
            raise Wrong(f"the request ({shard}, {start}, {stop}) reads nothing")
        by_shard.setdefault(shard, []).append((start, stop))
    for shard, start, stop in places:
        if not any(a <= start and stop <= b for a, b in by_shard.get(shard, ())):
            raise Wrong(f"no request holds the sample at ({shard}, {start}, {stop})")
    return requests


def rows_of(answer: Any) -> list[tuple[int, int, int]]:
    """Read a list of (shard, start, stop) in whole numbers."""
    if answer is None:
        raise Wrong("nothing was returned, where a list of requests is asked for")
    try:
        table = np.asarray(list(answer) if isinstance(answer, (set, frozenset)) else answer, float)
        table = table.reshape(-1, 3) if table.size == 0 else table
        good = table.ndim == 2 and table.shape[1] == 3 and all_whole(table)
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise Wrong("a list of (shard, start, stop) in whole bytes is asked for")
    return [(int(a), int(b), int(c)) for a, b, c in table.tolist()]


def all_whole(values: Any) -> bool:
    """Tell whether all numbers of an array are finite and whole."""
    return bool((np.isfinite(values) & (values == np.floor(values))).all())


def whole_numbers(answer: Any, what: str) -> list[int]:
    """Read a list of whole numbers; ``what`` names them where it is something else."""
    if answer is None:
        raise Wrong(f"nothing was returned, where {what} are asked for")
    try:
        values = np.asarray(list(answer), float)
        good = values.ndim == 1 and all_whole(values)
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise Wrong(f"{what} are asked for, as a list of whole numbers")
    return [int(value) for value in values.tolist()]


def peak_held(shards: Sequence[Sequence[int]], order: Sequence[int]) -> int:
    """Most samples in memory when the first use of a shard reads all of it."""
    home = {sample: k for k, shard in enumerate(shards) for sample in shard}
    opened: set[int] = set()
    held = peak = 0
    for sample in order:
        shard = home[sample]
        if shard not in opened:
            opened.add(shard)
            held += len(shards[shard])
        peak = max(peak, held)
        held -= 1
    return peak


def shuffled(shards: Sequence[Sequence[int]], buffer: int, answer: Any) -> list[int]:
    """Return an order as a list; raises ``Wrong`` unless each sample is in it once, in memory."""
    order = whole_numbers(answer, "samples")
    wanted = {sample for shard in shards for sample in shard}
    seen: set[int] = set()
    for sample in order:
        if sample not in wanted:
            raise Wrong(f"{sample} is no sample of these shards")
        if sample in seen:
            raise Wrong(f"sample {sample} comes twice in one epoch")
        seen.add(sample)
    if len(seen) < len(wanted):
        raise Wrong(f"{len(wanted - seen):,} of {len(wanted):,} samples never come")
    if (peak := peak_held(shards, order)) > buffer:
        raise Wrong(f"{peak:,} samples are in memory at once, where {buffer:,} fit")
    return order


def shards_in_batch(shards: Sequence[Sequence[int]], order: Sequence[int], batch: int) -> float:
    """Mean number of shards that the samples of a batch come from."""
    home = {sample: k for k, shard in enumerate(shards) for sample in shard}
    counts = [
        len({home[s] for s in order[i : i + batch]})
        for i in range(0, len(order) - batch + 1, batch)
    ]
    return float(np.mean(counts)) if counts else 0.0


def play_cache(samples: Sequence[int], capacity: int, answer: Any) -> Any:
    """Play an eviction for each request; return which requests hit.

    On a miss the sample is read and put into the cache. Where that makes it hold one too many, the
    entry of the answer leaves: a sample that is held, or the one just read. Raises ``Wrong``.
    """
    if answer is None:
        raise Wrong("nothing was returned, where a list with an entry a request is asked for")
    drops = list(answer) if isinstance(answer, (list, tuple)) or hasattr(answer, "tolist") else []
    if len(drops) != len(samples):
        raise Wrong(f"{len(drops):,} entries for {len(samples):,} requests; one each is asked for")
    held: set[int] = set()
    hits = np.zeros(len(samples), bool)
    for i, (sample, drop) in enumerate(zip(samples, drops, strict=True)):
        hits[i] = sample in held
        held.add(sample)
        if len(held) <= capacity:
            if drop is not None:
                raise Wrong(f"at request {i} nothing has to leave, and the entry is {drop!r}")
            continue
        if not isinstance(drop, Real) or drop not in held:
            raise Wrong(
                f"at request {i} (sample {sample}) the cache is full, and {drop!r} is not in it"
            )
        held.discard(int(float(drop)))
    return hits


def longest(seconds: Sequence[float], workers: int, answer: Any) -> float:
    """Seconds of the busiest worker; raises ``Wrong`` unless each item has exactly one worker."""
    shares = shares_of(seconds, workers, answer)
    return max((sum(seconds[i] for i in share) for share in shares), default=0.0)


def shares_of(seconds: Sequence[float], workers: int, answer: Any) -> list[list[int]]:
    """Read the items of each worker; raises ``Wrong`` unless each item has exactly one."""
    if answer is None or not hasattr(answer, "__iter__") or isinstance(answer, (str, dict)):
        raise Wrong("a list with one list of items for each worker is asked for")
    shares = [whole_numbers(share, "items of a worker") for share in answer]
    if len(shares) > workers:
        raise Wrong(f"{len(shares)} lists for {workers} workers")
    counts: dict[int, int] = {}
    for item in (i for share in shares for i in share):
        counts[item] = counts.get(item, 0) + 1
    for item in counts.keys() | set(range(len(seconds))):
        if not 0 <= item < len(seconds):
            raise Wrong(f"there is no item {item} among {len(seconds)}")
        if (times := counts.get(item, 0)) != 1:
            raise Wrong(f"item {item} is given to {times} workers")
    return shares


def depth_of(answer: Any, most: int) -> int | None:
    """Read what ``prefetch`` returned: a depth of 1 to ``most``, or ``None``."""
    if answer is None:
        return None
    value = scalar_of(answer)
    try:
        good = isinstance(value, Real) and float(value).is_integer()
    except OverflowError:
        good = False
    if not good:
        raise Wrong("one whole number of batches is asked for, or None where no depth is enough")
    depth = int(value)
    if not 1 <= depth <= most:
        raise Wrong(f"{depth} batches, where 1 to {most} fit")
    return depth
