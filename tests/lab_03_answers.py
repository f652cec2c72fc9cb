"""Right and wrong answers to lab 03, written as learners might; wrong ones with what they hear."""

from __future__ import annotations

import bisect
import heapq
import math
from collections import OrderedDict

import numpy as np

from aiinfra.model.pipeline import pipeline

# --- requests -----------------------------------------------------------------------------------


def requests_by_shard(places, latency, bandwidth):
    out = []
    for shard in {place[0] for place in places}:
        mine = np.array(sorted(p[1:] for p in places if p[0] == shard))
        cut = np.flatnonzero((mine[1:, 0] - mine[:-1, 1]) / bandwidth > latency) + 1
        out += [(shard, part[0, 0], part[-1, 1]) for part in np.split(mine, cut)]
    return np.array(out)


def requests_from_behind(places, latency, bandwidth):
    out = []
    for shard, start, stop in sorted(places, reverse=True):
        if out and out[-1][0] == shard and out[-1][1] - stop < latency * bandwidth:
            out[-1][1] = start
        else:
            out.append([shard, start, stop])
    return out


def requests_one_each(places, latency, bandwidth):
    return places


def requests_whole_shards(places, latency, bandwidth):
    shards = {p[0] for p in places}
    return [(s, 0, max(p[2] for p in places if p[0] == s)) for s in shards]


def requests_adjacent_only(places, latency, bandwidth):
    return requests_by_shard(places, 0, bandwidth)


def requests_in_bits(places, latency, bandwidth):
    return requests_by_shard(places, latency / 8, bandwidth)


def requests_unsorted(places, latency, bandwidth):
    out = []
    for shard, start, stop in places:
        if out and out[-1][0] == shard and 0 <= start - out[-1][2] <= latency * bandwidth:
            out[-1] = (shard, out[-1][1], stop)
        else:
            out.append((shard, start, stop))
    return out


def requests_across_shards(places, latency, bandwidth):
    out = []
    for shard, start, stop in sorted(places):
        if out and start - out[-1][2] <= latency * bandwidth:
            out[-1] = (out[-1][0], out[-1][1], stop)
        else:
            out.append((shard, start, stop))
    return out


def requests_but_the_last(places, latency, bandwidth):
    return requests_by_shard(places, latency, bandwidth)[:-1]


def requests_one_byte_short(places, latency, bandwidth):
    return [(s, a, b - 1) for s, a, b in requests_by_shard(places, latency, bandwidth)]


def requests_of_nothing(places, latency, bandwidth):
    places.clear()
    return []


def requests_of_none(places, latency, bandwidth):
    sorted(places)


def requests_of_the_example(places, latency, bandwidth):
    return requests_by_shard(places, 2.7e-3, 138e6)


def requests_that_raise(places, latency, bandwidth):
    return places[len(places)]


def requests_in_pairs(places, latency, bandwidth):
    return [(start, stop) for _, start, stop in places]


# --- order --------------------------------------------------------------------------------------


def order_in_groups(shards, buffer, rng):
    out, group = [], []
    for k in rng.permutation(len(shards)):
        if len(group) + len(shards[k]) > buffer:
            out += rng.permutation(group).tolist()
            group = []
        group = group + list(shards[k])
    return out + rng.permutation(group).tolist()


def order_from_a_full_pool(shards, buffer, rng):
    names = iter(rng.permutation(len(shards)).tolist())
    pool, following = [], next(names, None)
    while True:
        while following is not None and len(pool) + len(shards[following]) <= buffer:
            pool.extend(shards[following])
            following = next(names, None)
        if not pool:
            return
        yield pool.pop(rng.integers(len(pool)))


def order_all_at_once(shards, buffer, rng):
    return rng.permutation([s for shard in shards for s in shard])


def order_as_it_lies(shards, buffer, rng):
    return [s for shard in shards for s in shard]


def order_of_shards_alone(shards, buffer, rng):
    return [s for k in rng.permutation(len(shards)) for s in shards[k]]


def order_within_shards_alone(shards, buffer, rng):
    return [int(s) for shard in shards for s in rng.permutation(shard)]


def order_one_shard_at_a_time(shards, buffer, rng):
    return [int(s) for k in rng.permutation(len(shards)) for s in rng.permutation(shards[k])]


def order_with_a_fixed_seed(shards, buffer, rng):
    return order_in_groups(shards, buffer, np.random.default_rng(0))


def order_rotated(shards, buffer, rng):
    k = int(rng.integers(len(shards))) if shards else 0
    return order_in_groups(shards[k:] + shards[:k], buffer, np.random.default_rng(0))


def order_with_replacement(shards, buffer, rng):
    every = [s for shard in shards for s in shard]
    return rng.choice(every, len(every)) if every else []


def order_that_drops_the_tail(shards, buffer, rng):
    full = order_in_groups(shards, buffer, rng)
    return full[: len(full) // 32 * 32]


def order_that_overfills(shards, buffer, rng):
    return order_in_groups(shards, buffer + 64, rng)


def order_of_positions(shards, buffer, rng):
    return order_in_groups([list(range(len(s))) for s in shards], buffer, rng)


def order_in_turns(shards, buffer, rng):
    held = max(1, buffer // max([1, *map(len, shards)]))
    out, names = [], rng.permutation(len(shards)).tolist()
    for i in range(0, len(names), held):
        group = [shards[k] for k in names[i : i + held]]
        longest = max(map(len, group))
        out += [shard[j] for j in range(longest) for shard in group if j < len(shard)]
    return out


def order_of_none(shards, buffer, rng):
    rng.permutation(len(shards))


def order_after_emptying(shards, buffer, rng):
    shards.clear()
    return []


# --- evict --------------------------------------------------------------------------------------


def evict_newest(samples, capacity):
    held, leaves = [], []
    for sample in samples:
        drop = None
        if sample in held:
            held.remove(sample)
        elif len(held) == capacity:
            drop = held.pop() if held else sample
        if capacity:
            held.append(sample)
        leaves.append(drop)
    return leaves


def evict_by_arrays(samples, capacity):
    first = list(OrderedDict.fromkeys(samples))[:capacity]
    stays = np.isin(samples, first)
    return [None if keep else s for s, keep in zip(samples, stays, strict=True)]


def evict_by_popping(samples, capacity):
    held, leaves = set(), []
    while samples:
        sample = samples.pop(0)
        if sample in held or len(held) < capacity:
            held.add(sample)
            leaves.append(None)
        else:
            leaves.append(sample)
    return leaves


def evict_a_random_used_one(samples, capacity):
    """As few reads as can be, but what stays lies scattered over all pieces."""
    rng, n = np.random.default_rng(0), max(1, len(set(samples)))
    held, used, leaves = set(), [], []
    for i, sample in enumerate(samples):
        used = used if i % n else []
        drop = None
        if sample not in held and len(held) == capacity:
            k = int(rng.integers(len(used) + 1))
            drop = sample if k == len(used) else used[k]
            used[k : k + 1] = [] if k == len(used) else [sample]
            held.discard(drop)
        else:
            used.append(sample)
        if drop != sample:
            held.add(sample)
        leaves.append(drop)
    return leaves


def evict_farthest(samples, capacity):
    later, following = {}, [0] * len(samples)
    for i in range(len(samples) - 1, -1, -1):
        following[i] = later.get(samples[i], len(samples))
        later[samples[i]] = i
    held, heap, leaves = {}, [], []
    for sample, again in zip(samples, following, strict=True):
        held[sample] = again
        heapq.heappush(heap, (-again, sample))
        drop = None
        while len(held) > capacity:
            when, name = heapq.heappop(heap)
            if held.get(name) == -when:
                drop = name
                del held[name]
        leaves.append(drop)
    return leaves


def evict_least_recently_used(samples, capacity):
    held, leaves = OrderedDict(), []
    for sample in samples:
        held.pop(sample, None)
        held[sample] = True
        leaves.append(held.popitem(last=False)[0] if len(held) > capacity else None)
    return leaves


def evict_first_in(samples, capacity):
    held, leaves = [], []
    for sample in samples:
        drop = None
        if sample not in held:
            held.append(sample)
            drop = held.pop(0) if len(held) > capacity else None
        leaves.append(drop)
    return leaves


def evict_at_random(samples, capacity):
    rng, held, leaves = np.random.default_rng(1), [], []
    for sample in samples:
        drop = None
        if sample not in held:
            held.append(sample)
            drop = held.pop(rng.integers(len(held))) if len(held) > capacity else None
        leaves.append(drop)
    return leaves


def evict_nobody(samples, capacity):
    return [None] * len(samples)


def evict_everybody(samples, capacity):
    return list(samples)


def evict_one_too_early(samples, capacity):
    return evict_by_arrays(samples, max(0, capacity - 20))


def evict_who_is_gone(samples, capacity):
    return [None if i < capacity else samples[i - 1] for i in range(len(samples))]


def evict_half(samples, capacity):
    return evict_by_arrays(samples, capacity)[: len(samples) // 2]


def evict_of_none(samples, capacity):
    set(samples)


def evict_hits(samples, capacity):
    return [True] * len(samples)


# --- share_out ----------------------------------------------------------------------------------


def share_out_by_heap(seconds, workers):
    heap = [(0.0, w) for w in range(workers)]
    shares = [[] for _ in heap]
    for i in np.argsort(seconds, kind="stable")[::-1]:
        load, w = heapq.heappop(heap)
        shares[w].append(int(i))
        heapq.heappush(heap, (load + seconds[i], w))
    return shares


def share_out_then_swap(seconds, workers):
    shares = share_out_by_heap(seconds, workers)
    if workers < 2:
        return np.array(shares)
    for _ in range(3):
        load = [sum(seconds[i] for i in share) for share in shares]
        most, least = int(np.argmax(load)), int(np.argmin(load))
        for i in list(shares[most]):
            if load[least] + seconds[i] < load[most]:
                shares[most].remove(i)
                shares[least].append(i)
                break
    return tuple(map(tuple, shares))


def share_out_by_marking(seconds, workers):
    shares, load = [[] for _ in range(workers)], [0.0] * workers
    for _ in range(len(seconds)):
        item, worker = int(np.argmax(seconds)), load.index(min(load))
        shares[worker].append(item)
        load[worker] += seconds[item]
        seconds[item] = -1
    return shares


def share_out_in_stacks(seconds, workers):
    return [part.tolist() for part in np.array_split(np.arange(len(seconds)), workers)]


def share_out_in_turn(seconds, workers):
    return [list(range(w, len(seconds), workers)) for w in range(workers)]


def share_out_sorted_in_turn(seconds, workers):
    ranked = sorted(range(len(seconds)), key=lambda i: -seconds[i])
    return [ranked[w::workers] for w in range(workers)]


def share_out_as_they_come(seconds, workers):
    shares, load = [[] for _ in range(workers)], [0.0] * workers
    for i, value in enumerate(seconds):
        w = load.index(min(load))
        shares[w].append(i)
        load[w] += value
    return shares


def share_out_lightest_first(seconds, workers):
    shares, load = [[] for _ in range(workers)], [0.0] * workers
    for i in sorted(range(len(seconds)), key=seconds.__getitem__):
        w = load.index(min(load))
        shares[w].append(i)
        load[w] += seconds[i]
    return shares


def share_out_twice(seconds, workers):
    return [list(range(len(seconds)))] * workers


def share_out_without_the_heaviest(seconds, workers):
    shares = share_out_by_heap(seconds, workers)
    return [share[1:] for share in shares]


def share_out_to_more(seconds, workers):
    return share_out_by_heap(seconds, workers + 1)


def share_out_seconds(seconds, workers):
    return [[seconds[i] for i in share] for share in share_out_by_heap(seconds, workers)]


def share_out_of_none(seconds, workers):
    sorted(seconds)


def share_out_after_emptying(seconds, workers):
    seconds[:] = []
    return [[] for _ in range(workers)]


# --- prefetch -----------------------------------------------------------------------------------


def prefetch_by_halves(read, decode, step, most):
    enough = [pipeline(read, decode, step, d + 1).idle() <= 0.05 for d in range(most)]
    first = bisect.bisect_left(enough, True)
    return first + 1 if first < most else None


def prefetch_by_hand(read, decode, step, most):
    for depth in range(1, most + 1):
        begins, fetched, ready, free = [], 0.0, 0.0, 0.0
        for k, (r, d) in enumerate(zip(read, decode, strict=True)):
            fetched = max(fetched, begins[k - depth] if k >= depth else 0.0) + r
            ready = max(fetched, ready) + d
            begins.append(max(ready, free))
            free = begins[-1] + step
        if len(read) * step >= 0.95 * (free - begins[0]):
            return depth
    return None


def prefetch_all(read, decode, step, most):
    return most


def prefetch_two(read, decode, step, most):
    return 2


def prefetch_by_the_mean(read, decode, step, most):
    return max(1, math.ceil(np.mean(read) / step))


def prefetch_by_the_longest(read, decode, step, most):
    return min(most, math.ceil(max(read) / step) + 1)


def prefetch_without_none(read, decode, step, most):
    return prefetch_by_halves(read, decode, step, most) or most


def prefetch_one_too_few(read, decode, step, most):
    depth = prefetch_by_halves(read, decode, step, most)
    return None if depth is None else max(1, depth - 1)


def prefetch_one_too_many(read, decode, step, most):
    depth = prefetch_by_halves(read, decode, step, most)
    return None if depth is None else min(most, depth + 1)


def prefetch_none(read, decode, step, most):
    read.clear()


def prefetch_half(read, decode, step, most):
    return 1.5


def prefetch_without_end(read, decode, step, most):
    return math.inf


def prefetch_of_nothing(read, decode, step, most):
    return 0


def prefetch_text(read, decode, step, most):
    return "3"


def prefetch_beyond(read, decode, step, most):
    return 1000


# --- split --------------------------------------------------------------------------------------


def piece_of(job):
    """Samples that are in time even where all of them are as large as the largest."""
    allowed = (job.deadline - job.latency) * job.bandwidth / job.size.max()
    return max(4, min(48, int(allowed), len(job.shards[0])))


def split_by_what_is_left(job):
    """Give the cache what eight pieces and twelve batches leave."""
    piece = piece_of(job)
    return np.array([8 * piece, job.memory - 8 * piece - 12 * job.batch, piece])


def split_by_modelled_seconds(job):
    """Try all pieces and caches on the mean seconds of a batch, and take the smallest cache."""
    runs = np.concatenate(([0], np.cumsum(job.size)))
    for cache in range(0, job.samples, 50):
        for piece in (60, 40, 20, 10, 5):
            longest = (runs[piece:] - runs[:-piece]).max() / job.bandwidth + job.latency
            missed = job.batch * (1 - cache / job.samples)
            read = missed * job.size.mean() / job.bandwidth + job.batch / piece * job.latency
            if longest < job.deadline and read < 0.74 * job.step:
                return [7 * piece, cache, piece]
    return None


def split_from_a_classmate(job):
    return 384, 2600, 64


def split_from_another_classmate(job):
    return 120, 2900, 16


def split_of_whole_shards(job):
    return 6 * max(map(len, job.shards)), int(0.45 * job.samples)


def split_into_single_samples(job):
    return 64, job.samples // 2, 1


def split_into_no_pieces(job):
    return 400, 2000, 0


def split_in_thirds(job):
    return job.memory // 3, job.memory // 3, piece_of(job)


def split_all_to_the_cache(job):
    piece = piece_of(job)
    return piece, job.memory - piece - 3 * job.batch, piece


def split_without_cache(job):
    return 6 * piece_of(job), 0, piece_of(job)


def split_all_to_the_buffer(job):
    return job.memory - 15 * job.batch, 0, piece_of(job)


def split_without_depth(job):
    piece = piece_of(job)
    return 6 * piece, job.memory - 6 * piece - job.batch, piece


def split_beyond(job):
    return job.memory, job.memory


def split_of_a_dream(job):
    object.__setattr__(job, "memory", 10 * job.memory)
    object.__setattr__(job, "deadline", 1e9)
    return 6 * 64, job.samples, 64


def split_that_writes(job):
    job.size[:] = 1
    return 384, 2600, 64


def split_into_four(job):
    return 400, 2000, 10, 10


def split_of_none(job):
    job.samples  # noqa: B018


def split_below_a_shard(job):
    return 10, job.samples // 2


RIGHT = {
    "requests": [requests_by_shard, requests_from_behind],
    "order": [order_in_groups, order_from_a_full_pool],
    "evict": [evict_newest, evict_by_arrays, evict_by_popping],
    "share_out": [share_out_by_heap, share_out_then_swap, share_out_by_marking],
    "prefetch": [prefetch_by_halves, prefetch_by_hand],
    "rescue": [split_by_what_is_left, split_by_modelled_seconds],
}

WRONG = {
    "requests": [
        (requests_one_each, "requests for .* the least", None),
        (requests_whole_shards, "the least", None),
        (requests_adjacent_only, "the least", None),
        (requests_in_bits, "the least", None),
        (requests_unsorted, "the least", None),
        (requests_across_shards, "no request holds the sample|reads nothing", 0),
        (requests_but_the_last, "For 1 samples.*no request holds", 0),
        (requests_one_byte_short, "no request holds the sample", 0),
        (requests_of_nothing, "no request holds the sample", 0),
        (requests_of_none, "nothing was returned", 0),
        (requests_of_the_example, "the least", None),
        (requests_in_pairs, r"\(shard, start, stop\)", 0),
    ],
    "order": [
        (order_all_at_once, "samples are in memory at once, where", 0),
        (order_as_it_lies, "two epochs take the shards in the same order", 0),
        (order_of_shards_alone, "the samples of a shard in the same order", 0),
        (order_within_shards_alone, "the shards in the same order", 0),
        (order_one_shard_at_a_time, "from 2.. shards|better mix", 0.5),
        (order_with_a_fixed_seed, "in the same order", 0),
        (order_rotated, "in the same order", 0),
        (order_with_replacement, "comes twice", 0),
        (order_that_drops_the_tail, "never come", 0),
        (order_that_overfills, "samples are in memory at once", 0),
        (order_of_positions, "is no sample|comes twice", 0),
        (order_in_turns, "in the same order", 0),
        (order_of_none, "nothing was returned", 0),
        (order_after_emptying, "never come", 0),
    ],
    "evict": [
        (evict_farthest, "of an epoch's fall into its first half", 0.75),
        (evict_least_recently_used, "x the fewest", 0),
        (evict_first_in, "x the fewest", 0),
        (evict_at_random, "x the fewest", 0),
        (evict_nobody, "the cache is full, and None is not in it", 0),
        (evict_everybody, "nothing has to leave", 0),
        (evict_one_too_early, "nothing has to leave", 0),
        (evict_who_is_gone, "is not in it|nothing has to leave", 0),
        (evict_half, "entries for", 0),
        (evict_of_none, "nothing was returned", 0),
        (evict_hits, "nothing has to leave", 0),
    ],
    "share_out": [
        (share_out_in_stacks, "as in Graham", None),
        (share_out_in_turn, "as in Graham", None),
        (share_out_sorted_in_turn, "as in Graham", None),
        (share_out_as_they_come, "as in Graham", None),
        (share_out_lightest_first, "as in Graham", None),
        (share_out_twice, "is given to 4 workers", 0),
        (share_out_without_the_heaviest, "is given to 0 workers", 0),
        (share_out_to_more, "lists for", 0),
        (share_out_seconds, "whole numbers", 0),
        (share_out_of_none, "one list of items for each worker", 0),
        (share_out_after_emptying, "is given to 0 workers", 0),
    ],
    "prefetch": [
        (prefetch_all, "return None|more memory than is needed", None),
        (prefetch_two, "leaves .* % idle|return None", 0),
        (prefetch_by_the_mean, "leaves .* % idle|return None", 0),
        (prefetch_by_the_longest, "idle|return None|more memory", None),
        (prefetch_without_none, "no depth is enough; return None", 0),
        (prefetch_one_too_few, "% idle", 0),
        (prefetch_one_too_many, "more memory than is needed", 0.5),
        (prefetch_none, "None, where some depth is enough", 0),
        (prefetch_half, "one whole number of batches", 0),
        (prefetch_without_end, "one whole number of batches", 0),
        (prefetch_text, "one whole number of batches", 0),
        (prefetch_of_nothing, "0 batches, where 1 to 4 fit", 0),
        (prefetch_beyond, "1000 batches, where 1 to 4 fit", 0),
    ],
    "rescue": [
        (split_in_thirds, "idle .*The store takes", None),
        (split_all_to_the_cache, "come|shards, where 5 are asked", 0),
        (split_without_cache, "idle .*The store takes", None),
        (split_all_to_the_buffer, "idle .*The store takes", None),
        (split_without_depth, "idle .*bursts", None),
        (split_beyond, "are left for batches in flight", 0),
        (split_of_a_dream, "are left for batches in flight", 0),
        (split_into_four, "numbers of samples for buffer", 0),
        (split_of_none, "nothing was returned", 0),
        (split_below_a_shard, "does not hold one shard", 0),
        (split_of_whole_shards, "gives up after|samples are left|idle", 0),
        (split_from_a_classmate, "gives up after|idle|samples are left", None),
        (split_into_single_samples, "idle .*The store takes", None),
        (split_into_no_pieces, "a piece of 0 samples", 0),
    ],
}
