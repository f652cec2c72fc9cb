# %% [markdown]
# # Rescue a starved accelerator
#
# **How much of its time does an accelerator wait for data, and what brings that to 5 %?**
#
# *You'll do:* write the five parts of a loader that read, shuffle, cache, decode and fetch ahead,
# then share one memory out among them.
#
# *You'll learn*
#
# - to read as few bytes in as few requests as the store allows;
# - to shuffle, cache and fetch ahead in a memory that is smaller than the data;
# - to tell a slow average from a burst, and to mend each.
#
# *You'll need:* lesson 06, 60 to 110 minutes, any computer.

# %%
import itertools

import numpy as np

from aiinfra.facts.workloads import workload
from aiinfra.model.pipeline import pipeline
from aiinfra.show import Span, timeline
from aiinfra.teach import check, score, tried
from aiinfra.teach.graders.loader_job import PARTS, PLIGHTS, make_job, openings, run_job
from aiinfra.teach.graders.loader_rules import (
    Wrong,
    covered,
    depth_of,
    play_cache,
    read_seconds,
    shards_in_batch,
    shares_of,
    shuffled,
)

# %% [markdown]
# ## The job
#
# An H100 trains ResNet-50. MLPerf Storage says how many bytes a sample has and how long the H100
# takes for it. The rest is made up: a shared store with little bandwidth and milliseconds
# for a request, images that take very different times to decode, and a memory that holds about
# three quarters of the data.
#
# The data lie in 96 files, the *shards*, one sample behind the other. A pass over all samples is
# an *epoch*; every sample is used once in it, in an order that must be random.
#
# Nothing is timed. The clock is virtual: the same plan always takes the same time, so a check can
# be strict.

# %%
job = make_job(np.random.default_rng(3))
resnet = workload("resnet50-h100")
SOURCE = f"model: three stages in virtual time; bytes and step from {resnet.source}"
print(f"{job.samples:,} samples in {len(job.shards)} shards, {job.batch} in a batch")
print(f"a step takes {1e3 * job.step:.1f} ms; {job.workers} workers decode")
print(f"store: {1e3 * job.latency:.1f} ms a request, {job.bandwidth / 1e6:.0f} MB/s")
print(f"a sample has {job.size.mean() / 1e3:.0f} kB and takes", end=" ")
print(f"{1e3 * job.decode.mean():.1f} ms of one worker, both on average")
print(f"memory for {job.memory:,} samples; a batch must mix {job.mixed:.0f} shards")

# %% [markdown]
# `pipeline(read, decode, step, depth)` follows each batch through store, decoders and
# accelerator. At most `depth` batches are on their way at once: reading of batch 7 waits, with a
# depth of 4, until batch 3 begins to compute. `.idle()` is the share of the time in which nothing
# computes, from the begin of the first step on: the wait for the first batch does not count.
#
# The next cell draws timelines; there is nothing to edit. Hatched grey is idle time.


# %%
def lanes(run, first=0, count=12):
    """The three stages between the begin of batch `first` and the end of `count` batches."""
    start, stop = run.begin[first] if first else 0.0, run.end[first + count - 1]
    stages = {
        "store": (run.read_begin, run.read_end, "storage"),
        f"{job.workers} decoders": (run.decode_begin, run.decode_end, "cpu"),
        "accelerator": (run.begin, run.end, "gpu"),
    }
    return {
        name: [
            Span(max(a, start) - start, min(b, stop) - start, kind=kind)
            for a, b in zip(begin, end, strict=True)
            if b > a and b > start and a < stop
        ]
        for name, (begin, end, kind) in stages.items()
    }


def both(before, after, title, **window):
    """Draw two runs of the same batches one below the other."""
    runs = {"before": lanes(before, **window), "after": lanes(after, **window)}
    return timeline(runs, title, source=SOURCE)


# %% [markdown]
# This is the loader as it was found, the "before" of tasks 1, 2 and 6. It draws 32 samples at
# random, asks for each with a request of its own, gives each decoder a stack of as many samples,
# and keeps one batch ready.

# %%
rng = np.random.default_rng(0)
drawn = rng.permutation(job.samples)[: 48 * job.batch].reshape(-1, job.batch)
one_by_one = [read_seconds(job.places(batch), job.latency, job.bandwidth) for batch in drawn]
in_stacks = [
    max(part.sum() for part in np.array_split(job.decode[batch], job.workers)) for batch in drawn
]
start = pipeline(one_by_one, in_stacks, job.step, depth=1)
found = f"Over 48 batches the accelerator waits {100 * start.idle():.0f} % (12 are shown)"
timeline(lanes(start), found, source=SOURCE)

# %% [markdown]
# ## Task 1: fewer requests
#
# The store takes `latency` seconds for each request and `bandwidth` bytes a second. Samples that
# lie near each other can share a request, which also reads what lies between them and throws it
# away.
#
# Write `requests(places, latency, bandwidth)`. `places` is a list of `(shard, start, stop)`: bytes
# `start` up to `stop` of a shard hold a sample; in any order, without overlap. Return a list of
# `(shard, start, stop)` in which every place lies within one entry, so that the store takes the
# least time: requests times latency, plus bytes over bandwidth.

# %% [markdown]
# Budget: no other list of requests takes less time.
#
# <details><summary>Hint 1</summary>Sort the places. For two neighbours in one shard there are two
# choices: a second request, or the bytes of the gap. What does each cost?</details>
#
# <details><summary>Hint 2</summary>In the time of one request the store could have read
# <code>latency * bandwidth</code> bytes. Walk through the sorted places and let the last request
# grow as long as the gap is not larger than that.</details>


# %%
def requests(places, latency, bandwidth):
    """Return (shard, start, stop) ranges that hold all places and take the least time."""
    # begin solution
    joined = []
    for shard, start, stop in sorted(places):
        if joined and joined[-1][0] == shard and start - joined[-1][2] <= latency * bandwidth:
            joined[-1] = (shard, joined[-1][1], stop)
        else:
            joined.append((shard, start, stop))
    return joined
    # end solution


# %% [markdown]
# A loader knows its order ahead of time. Here it fetches 48 batches in one window. That takes
# memory for 1,536 samples, and the first batch waits for all of them; the picture spreads the
# reading evenly instead.


# %%
def in_windows(part, batches=48):
    """Draw the job when the samples of 48 batches are fetched together."""
    read, made = [], 0
    for window in drawn.reshape(-1, batches * job.batch):
        places = job.places(window)
        found = covered(places, part(list(places), job.latency, job.bandwidth))
        made += len(found)
        read += [read_seconds(found, job.latency, job.bandwidth) / batches] * batches
    after = pipeline(read, in_stacks, job.step, depth=1)
    idle = f"idle {100 * start.idle():.0f} % before, {100 * after.idle():.0f} % after"
    return both(start, after, f"{made:,} requests for {drawn.size:,} samples: {idle}")


tried(requests, in_windows)

# %%
check("lab_03.requests", requests)

# %% [markdown]
# ## Task 2: shuffle what is read in one go
#
# Samples drawn from all over the data lie far apart. So read whole shards, one request each, and
# shuffle in memory. The memory is a *buffer* of limited size: a whole shard takes its place when
# its first sample is used, and each sample frees its own when it is used.
#
# Write `order(shards, buffer, rng)`: `shards` is a list of lists of samples, `buffer` the number
# of samples that fit, never smaller than a shard. Return all samples in the order of use, each
# once. Draw with `rng`, so that the order of the shards, and of the samples within, differs from
# epoch to epoch. The picture has a buffer of 512.

# %% [markdown]
# Budget: never more than `buffer` samples in memory, and a batch of 32 comes from at least 0.8
# times as many shards as when the buffer is filled with whole shards, used up in random order and
# filled again.
#
# <details><summary>Hint 1</summary>Shuffle the shards with <code>rng.permutation</code>. Take
# shards into a pool as long as the next one fits.</details>
#
# <details><summary>Hint 2</summary>Draw a random sample from the pool and put it at the end of the
# order. As soon as there is room for a whole shard again, take one in. The budget counts a
# shard later, from its first use, so you are safe.</details>


# %%
def order(shards, buffer, rng):
    """Return every sample once, at random, with at most `buffer` samples in memory."""
    # begin solution
    waiting = [shards[k] for k in rng.permutation(len(shards))]
    pool, used = [], []
    while waiting or pool:
        while waiting and len(pool) + len(waiting[-1]) <= buffer:
            pool += waiting.pop()
        if not pool:
            continue
        k = int(rng.integers(len(pool)))
        pool[k], pool[-1] = pool[-1], pool[k]
        used.append(pool.pop())
    return used
    # end solution


# %%
def whole_shards(part, buffer=512):
    """Draw the job when the first use of a shard reads all of it."""
    answer = part([list(shard) for shard in job.shards], buffer, np.random.default_rng(1))
    used = shuffled(job.shards, buffer, answer)
    read = np.zeros(len(used) // job.batch)
    for batch, shard in openings(job, used):
        n_bytes = sum(job.size[sample] for sample in job.shards[shard])
        read[min(batch, len(read) - 1)] += job.latency + n_bytes / job.bandwidth
    after = pipeline(read, np.resize(in_stacks, len(read)), job.step, depth=16)
    mix = shards_in_batch(job.shards, used, job.batch)
    idle = f"idle {100 * start.idle():.0f} % before, {100 * after.idle():.0f} % after"
    return both(start, after, f"A batch mixes {mix:.1f} shards; {idle}")


tried(order, whole_shards)

# %%
check("lab_03.order", order)

# %% [markdown]
# ## Task 3: keep what will be used again
#
# Now the requests are few, and the bytes alone are too many: the store is slower than the
# accelerator. From the second epoch on, what is still in memory need not be read.
#
# Write `evict(samples, capacity)`. `samples` are the requests in order, several epochs long; the
# loader knows them because it made them. On a miss a sample is read and enters the cache. Where
# the cache then holds more than `capacity` samples, one must leave. Return a list with one entry
# for each request: the sample that leaves, which may be the one just read, or `None` where nothing
# has to.

# %% [markdown]
# Budget: at most 1.01 times the reads of the best cache of this size; and neither half of an epoch
# has more than 60 % of its reads, or the store is idle first and swamped later.
#
# <details><summary>Hint 1</summary>Most caches drop what was not used for longest. Each epoch
# uses every sample once: how soon is that sample wanted again, compared with one just
# used?</details>
#
# <details><summary>Hint 2</summary>A cache of C samples cannot hit more than C times an epoch. It
# does hit C times when the samples that it holds first stay for ever: a newcomer that does not fit
# leaves at once. Dropping what is wanted last of all hits as often, but all early.</details>


# %%
def evict(samples, capacity):
    """Return for each request what leaves the cache: a sample, or None."""
    # begin solution
    held, leaves = set(), []
    for sample in samples:
        fits = sample in held or len(held) < capacity
        if fits:
            held.add(sample)
        leaves.append(None if fits else sample)
    return leaves
    # end solution


# %%
def with_cache(part, epochs=3):
    """Draw the last epoch without a cache ("before"), and with one for half of the samples."""
    asked = [s for _ in range(epochs) for s in rng.permutation(job.samples).tolist()]
    hits = play_cache(asked, job.samples // 2, part(list(asked), job.samples // 2))
    n_bytes = job.size[asked] * np.array([[1], [0]]) + job.size[asked] * ~hits * [[0], [1]]
    count = job.samples // job.batch
    late = n_bytes[:, -count * job.batch :].reshape(2, count, -1).sum(axis=2)
    without, cached = (
        pipeline(job.latency + row / job.bandwidth, 0.6 * job.step, job.step, 4) for row in late
    )
    share = 100 * hits[-job.samples :].mean()
    idle = f"idle {100 * without.idle():.0f} % before, {100 * cached.idle():.0f} % after"
    return both(without, cached, f"The cache hits {share:.0f} % of the time: {idle}")


tried(evict, with_cache)

# %%
check("lab_03.evict", evict)

# %% [markdown]
# ## Task 4: nobody waits for the last decoder
#
# PyTorch's `DataLoader` gives every worker a whole batch, so that workers times prefetch batches
# lie in memory. Here all workers decode the same batch. That takes less memory, and a batch is
# ready when the last worker is.
#
# Decoding times differ: a large picture takes many times as long as a small one. The sizes tell in
# advance.
#
# Write `share_out(seconds, workers)`: a list of `workers` lists with the positions in `seconds`
# that each worker takes.

# %% [markdown]
# Budget: the last worker ends, on average over many batches, at most 1.02 times as late as in the
# plan that [Graham described in 1969](https://doi.org/10.1137/0117039), and never 1.15 times as
# late.
#
# <details><summary>Hint 1</summary>Give each item to the worker that has least to do so far. Which
# items do the most harm when they come last?</details>
#
# <details><summary>Hint 2</summary>Heaviest first (LPT, longest processing time): sort the positions
# by falling seconds, and keep a list of what each worker has to do.</details>


# %%
def share_out(seconds, workers):
    """Return for each worker the positions of the items that it decodes."""
    # begin solution
    shares, load = [[] for _ in range(workers)], [0.0] * workers
    for item in sorted(range(len(seconds)), key=lambda i: -seconds[i]):
        worker = load.index(min(load))
        shares[worker].append(item)
        load[worker] += seconds[item]
    return shares
    # end solution


# %%
def by_worker(shares, seconds):
    """One lane for each worker, its items one after the other."""
    found = {}
    for number, items in enumerate(shares, start=1):
        ends = np.cumsum([0.0, *(seconds[i] for i in items)]).tolist()
        spans = [Span(a, b) for a, b in itertools.pairwise(ends)]
        found[f"worker {number}"] = spans
    return found


def one_batch(part):
    """Draw who decodes what in one batch."""
    seconds = job.decode[drawn[0]].tolist()
    stacks = np.array_split(np.arange(len(seconds)), job.workers)
    shares = shares_of(seconds, job.workers, part(list(seconds), job.workers))
    ends = [max(sum(seconds[i] for i in items) for items in plan) for plan in (stacks, shares)]
    runs = {"in stacks": by_worker(stacks, seconds), "yours": by_worker(shares, seconds)}
    old, new = (f"{1e3 * end:.0f} ms" for end in ends)
    title = f"The batch is ready after {old} in stacks, {new} yours"
    return timeline(runs, title, source="model: decoding times drawn at random")


tried(share_out, one_batch)

# %%
check("lab_03.share_out", share_out)

# %% [markdown]
# ## Task 5: fetch ahead, but not too far
#
# Shards come in bursts: a batch that opens one waits for all of it, the next ten wait for
# nothing. A loader that runs ahead hides the burst. Every batch ahead takes memory.
#
# Write `prefetch(read, decode, step, most)`. `read` and `decode` are the seconds of each batch in
# the store and at the decoders, `step` those of the accelerator. Return the smallest depth from 1
# to `most` that leaves the accelerator idle for at most 5 % of the time, as
# `pipeline(read, decode, step, depth).idle()` counts it, and `None` where no depth does.

# %% [markdown]
# Budget: not one batch more than is needed. And where the answer is `None`: what would you change
# instead? Task 6 will ask.
#
# <details><summary>Hint 1</summary>More depth never makes the accelerator wait longer. So which
# depth do you try first?</details>
#
# <details><summary>Hint 2</summary>Ask <code>pipeline</code> about one depth after the other and
# stop at the first that is enough. Without one, a mean of read or decode is too near to a step:
# fewer bytes or more workers help, depth does not.</details>


# %%
def prefetch(read, decode, step, most):
    """Return the smallest depth with at most 5 % idle, or None."""
    # begin solution
    for depth in range(1, most + 1):
        if pipeline(read, decode, step, depth).idle() <= 0.05:
            return depth
    return None
    # end solution


# %%
def in_bursts(part, every=10):
    """Draw reads that come every ten batches, with a depth of 2 and with yours."""
    read = np.zeros(100)
    read[::every] = 0.8 * every * job.step
    depth = depth_of(part(read.tolist(), [0.6 * job.step] * len(read), job.step, 40), 40)
    if depth is None:
        raise Wrong("None, where some depth is enough")
    before, after = (pipeline(read, 0.6 * job.step, job.step, d) for d in (2, depth))
    title = f"A depth of 2 leaves {100 * before.idle():.0f} % idle, one of {depth} leaves"
    return both(before, after, f"{title} {100 * after.idle():.0f} %", first=40, count=22)


tried(prefetch, in_bursts)

# %%
check("lab_03.prefetch", prefetch)

# %% [markdown]
# ## Task 6: one memory for all
#
# The shuffle buffer, the cache and the batches in flight live in the same memory. Give one too
# much and another starves. And a whole shard may be too much: too large for the buffer, or for a
# store that gives a request up after `job.deadline` seconds. Then shards are cut into *pieces*,
# each read, shuffled and freed like a shard.
#
# Write `split(job)`: return `(buffer, cache, piece)`, all in samples; without a piece, shards are
# read whole. What is left of `job.memory` holds batches in flight, `job.batch` samples each. From
# the second epoch on the accelerator may be idle for at most 5 %, and a batch must come from
# `job.mixed` shards on average.

# %% [markdown]
# The check plays four jobs with your six functions: small shards, as above; large shards; a short
# deadline; and decoding that takes nine tenths of a step even when it is shared out well. They
# differ in samples, store and memory, so numbers that fit one job fail in another: take them from
# the job.

# %% [markdown]
# Your parts play one epoch like this:
#
# ```
# used  = order(pieces, buffer, rng)       # decides when each piece is opened, and each batch
# asked = all samples of each piece, as it is opened
# miss  = evict(asked, cache)              # over all epochs in a row
# read  = for each piece: requests(its missed samples), charged to the batch that opens it
# decode = the busiest worker of share_out, for each batch
# depth = prefetch(read, decode, step, most), with most = (memory - buffer - cache) // batch
# ```
#
# Where `prefetch` finds none, the job runs with `most`, and is idle for too long. The samples of a
# piece are asked for one behind the other. A cache that holds some of them saves bytes, one that
# holds all of them the request as well.
#
# A job has `samples`, `shards` (lists of samples), `size` (bytes, one a sample), `batch`, `step`,
# `latency`, `bandwidth`, `deadline`, `workers`, `memory`, `mixed`. Samples are numbered as they lie,
# shard by shard.

# %% [markdown]
# <details><summary>Hint 1</summary>How many bytes a step can the store deliver, and what share of
# the samples must therefore come from the cache? Leave it some air: bursts need an average
# well below the step. For the piece: how many bytes does the deadline allow, and how many samples
# are that at least?</details>

# %% [markdown]
# <details><summary>Hint 2</summary>A batch takes <code>batch * size.mean() / bandwidth</code>
# seconds without a cache, and <code>batch / piece * latency</code> for requests. A cache for a share
# h leaves 1 - h of the first; aim at three quarters of a step. Take a piece of 64 samples, or fewer
# where a shard or the deadline asks for it, and a buffer for <code>mixed + 3</code> pieces, since
# two may come from one shard. The rest belongs to the batches in flight.</details>


# %%
def split(job):
    """Return (buffer, cache, piece) in samples; batches in flight get the rest of the memory."""
    # begin solution
    ends = np.concatenate(([0], np.cumsum(job.size)))
    most = (job.deadline - job.latency) * job.bandwidth  # bytes of one request
    piece = min(64, max(len(shard) for shard in job.shards))
    while (ends[piece:] - ends[:-piece]).max() > most:
        piece -= 1
    without = job.batch * job.size.mean() / job.bandwidth
    waits = job.batch / piece * job.latency  # a request a piece
    share = 1 - (0.75 * job.step - waits) / without
    return int(job.mixed + 3) * piece, int(max(share, 0) * job.samples), piece
    # end solution


# %%
def with_all(part, job):
    """Play a job with all of your functions."""
    mine = dict(zip(PARTS, (requests, order, evict, share_out, prefetch, part), strict=True))
    return run_job(job, mine)


def whole_job(part):
    """Draw the job as it was found, and with all of your functions."""
    after = with_all(part, job)
    idle = f"idle {100 * start.idle():.0f} % before, {100 * after.idle:.0f} % after"
    counted = f"{100 * after.hits:.0f} % hits, {after.mixed:.1f} shards a batch"
    depth = f"depth {after.depth}" if after.depth else "no depth is enough"
    return both(start, after.run, f"{idle} ({counted}, {depth})".capitalize(), first=12, count=24)


tried(split, whole_job)

# %% [markdown]
# The other three jobs, one drawn of each. Another seed draws others, as the check does.


# %%
def other_jobs(part, seed=1):
    """Print how a job of each plight fares with your functions."""
    for plight in PLIGHTS:
        drawn_job = make_job(np.random.default_rng(seed), plight)
        try:
            run = with_all(part, drawn_job)
        except Wrong as problem:
            print(f"{plight}: {problem}")
            continue
        stages = {"store": run.read, "decoders": run.decode}
        busy = [f"{k} busy {100 * v.mean() / job.step:.0f} % of a step" for k, v in stages.items()]
        print(f"{plight}: idle {100 * run.idle:.1f} %, depth {run.depth},", ", ".join(busy))


tried(split, other_jobs)

# %%
check("lab_03.rescue", [requests, order, evict, share_out, prefetch, split])

# %% [markdown]
# ## Where this model breaks
#
# - The store serves one request after the other. Real ones serve many at once: a deep queue hides
#   latency, and lesson 06 measures how much. Then fewer requests gain less.
# - Latency and bandwidth stand still. Shared stores have bad seconds; then a depth that is just
#   enough is not.
# - Decoding times are known before decoding. Sizes in bytes tell most of it, not all.
# - The cache holds encoded samples. One that holds decoded ones saves the decoders as well, and
#   fits several times fewer.
# - Idle time counts from the second epoch on. A job that reads its data once, as a language model
#   does, gains nothing from a cache.

# %% [markdown]
# ## You learned
#
# - A gap is worth reading when it is smaller than latency times bandwidth: what the store could
#   have read while it answered.
# - Whole shards and a buffer give a random order from sequential reads; where every epoch uses
#   each sample once, the best cache is one that never lets go, and the usual one hits least.
# - An average that is too slow needs fewer bytes, more workers or a faster store. A burst needs
#   depth, and depth needs memory.

# %%
score("lab_03")

# %% [markdown]
# ## Further reading
#
# - [Clairvoyant Prefetching for Distributed Machine Learning I/O](https://arxiv.org/abs/2101.08734):
#   a loader that uses what you used in task 3, that it knows its own order.
# - [WebDataset on the Hugging Face Hub](https://huggingface.co/docs/hub/datasets-webdataset): task
#   2 in daily use, shards as tar files and a shuffle buffer.
# - [DALI's reader of such shards](https://docs.nvidia.com/deeplearning/dali/user-guide/docs/examples/use_cases/webdataset-externalsource.html):
#   the same files, decoded on the GPU instead of by workers.
