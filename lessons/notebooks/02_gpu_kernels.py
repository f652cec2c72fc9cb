# %% [markdown]
# # Write kernels that waste no bytes
#
# **How many of the bytes that a kernel moves does anybody use, and what does the rest cost?**
#
# *You'll do:* write GPU kernels in Python, run them without a GPU in an interpreter that counts
# what each warp asks of the memory, and see what each one moves.
#
# *You'll learn*
#
# - why the neighbours in a warp must read neighbours in memory;
# - what a block can do that a thread cannot, and what its barriers and banks cost;
# - how long the queue at one address is, and which way to write a kernel is right when.
#
# *You'll need:* lesson 01, 60 minutes, any computer.

# %% [markdown]
# ## One thread, one element
#
# A *kernel* is a function that every *thread* of a GPU runs, each with another index. Threads
# come in *blocks* of a size that you choose, the blocks make up the *grid*, and `cuda.grid(1)`
# is a thread's place in it. `launch(kernel, blocks, threads, ...)` runs a kernel here, on the
# CPU, in an interpreter that sees every access. On a GPU it is `kernel[blocks, threads](...)`,
# and each block runs on one *streaming multiprocessor* (SM); an H100 has 132.
#
# 100 elements in blocks of 32 take 4 blocks, so 28 threads have no element. On a GPU their loads
# and stores would touch somebody else's memory. The interpreter catches both, 56 accesses, and a
# *guard* stops them.

# %%
from itertools import pairwise
from math import prod

import numpy as np
from numba import cuda, float32, int32
from numpy.testing import assert_allclose, assert_array_equal

from aiinfra.facts.catalogue import accelerator, accelerator_of, overhead
from aiinfra.measure import MissingRecording, experiment, time_call
from aiinfra.measure.simt import launch
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Choice, Scale, Series, Slider, Span, bank_map, explorer, gap, ladder, reduction_tree,
    sweep, timeline, warp_sectors
)
from aiinfra.teach import check, compare, learned, predict, quiz

f32 = np.float32
device = accelerator("h100-sxm")  # what the models price; name another GPU of the catalogue here


@cuda.jit
def double_unguarded(x, out):
    """One thread, one element, whether there is one or not."""
    i = cuda.grid(1)
    out[i] = 2 * x[i]


@cuda.jit
def double(x, out):
    """The same with a guard."""
    i = cuda.grid(1)
    if i < out.size:
        out[i] = 2 * x[i]


x, out = np.arange(100, dtype=f32), np.zeros(100, f32)
careless, careful = launch(double_unguarded, 4, 32, x, out), launch(double, 4, 32, x, out)
print(careless.found["out_of_bounds"], "accesses beyond the arrays. The first:")
print(careless.out_of_bounds[0])
print("With the guard:", careful.out_of_bounds, "and the result is right:", (out == 2 * x).all())

# %% [markdown]
# ## Why must neighbours read neighbours?
#
# 32 threads in a row form a *warp*. Its threads, the *lanes*, as a rule take the same instruction
# at the same time, in *lockstep*; what they read or write together is one *request*. Memory
# moves whole *sectors* of 32 bytes, however little of one was asked for.
#
# Lockstep is a habit, not a promise: [since the Volta
# GPUs](https://docs.nvidia.com/cuda/volta-tuning-guide/index.html) of 2017 lanes that take
# different branches may stay apart. Where one lane reads what another wrote, a *barrier* belongs
# between: no thread of a block passes it before all are there.
#
# The kernel below copies every `stride`-th number of `x` into a dense `out`: 4 bytes read and 4
# written per lane.

# %%
guess_stride = predict(
    "The kernel reads every fourth number instead of every number, and copies as many as before. "
    "How many times longer does it take?",
    unit="x", key="02.stride",
)

# %% [markdown]
# **Measure.** First one warp, counted by the interpreter: its lanes above, the sectors of their
# request below. Edit `cases` and draw again.
#
# Then the whole kernel on a GPU. Where there is neither a GPU nor a recording, arithmetic stands
# in: the sectors that the interpreter counts, loads and stores, at the full bandwidth of an H100's
# memory. (`seconds_each` also prices shared memory, for the next round. Both work at the same time,
# so the slower one sets the pace: `max`. The rest of that cell is bookkeeping: it fills the memory with random numbers, warms the GPU up, times the kernel
# and checks what it wrote. Run it, read the figure.)


# %%
@cuda.jit
def copy_strided(x, out, stride, offset):
    """Copy every stride-th number, from number offset on."""
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i * stride + offset]


def one_warp(stride, offset, kind=f32):
    """The load of one warp, as the interpreter saw it."""
    x, out = np.zeros(32 * stride + offset + 1, kind), np.zeros(32, kind)
    return launch(copy_strided, 1, 32, x, out, stride, offset).accesses[0]


cases = [(1, 0), (1, 1), (4, 0), (8, 0)]
warp_sectors(
    {f"stride {stride}, offset {offset}": one_warp(stride, offset) for stride, offset in cases},
    "Stride and offset bring bytes that nobody asked for",
)


# %%
def seconds_each(report, elements, on=device):
    """Seconds per element: all bytes at full bandwidth, or all turns of shared memory."""
    memory = report.bytes_moved / on.memory_bandwidth
    passes = report.shared_wavefronts  # one for each SM and cycle of the boost clock, the highest
    return max(memory, passes / (on.compute_units * on.boost_clock) if passes else 0) / elements


def strides_model(strides, size):
    """Count the sectors of 8 blocks and scale them up to the size."""
    rows = []
    for stride in strides:
        few = np.zeros(2048 * stride, f32), np.zeros(2048, f32), stride, 0
        seconds = size * seconds_each(launch(copy_strided, 8, 256, *few), 2048)
        rows.append({"stride": stride, "seconds": seconds, "useful": 8 * size / seconds})
    table = Table.from_rows(rows, {"seconds": "s", "useful": "B/s"})
    return table, f"counted sectors, {device.name}"


STEADY = {"device": "gpu", "min_time": 0.1}  # to find how many calls last 0.1 s warms the GPU up


def repeated(few, size):
    """At least `size` numbers in the GPU's memory: `few`, again and again."""
    copies = -(-size // few.size)  # rounded up
    source, out = cuda.to_device(few), cuda.device_array(copies * few.size, few.dtype)
    for k in range(copies):
        out[k * few.size : (k + 1) * few.size].copy_to_device(source)
    return out


@experiment(needs="gpu", model=strides_model)
def gpu_strides(strides, size):
    """Time the kernel for growing strides; a useful byte is one that a thread asked for."""
    few, rows = np.random.default_rng(2).random(2**20, f32), []
    x, out = repeated(few, size * max(strides)), cuda.device_array(size, f32)
    last = np.arange(max(0, size - 2**16), size)  # whose results are checked
    for stride in strides:
        run = time_call(copy_strided[-(-size // 256), 256], x, out, stride, 0, **STEADY)
        assert_array_equal(out[last[0] :].copy_to_host(), few[last * stride % few.size])
        rows.append({"stride": stride, **run.columns(), **run.columns("useful", work=8 * size)})
    return Table.from_rows(rows, {"seconds": "s", "useful": "B/s"})


strided = gpu_strides([1, 2, 4, 8, 16], size=2**26)
useful = dict(zip(strided["stride"], strided["useful"], strict=True))
gpu = accelerator_of(strided.source)  # None where the catalogue lacks the GPU of the run
kind = "model" if strided.kind == "model" else "gpu"
sweep(
    [Series("useful bytes", strided["stride"], strided["useful"], kind, source=strided.source)],
    x=Scale("stride, in numbers of 4 bytes", binary=True),
    y=("bandwidth of useful bytes", "B/s"),
    wall_at=[(gpu.memory_bandwidth, f"memory of the {gpu.name}")] if gpu else [],
    mark=[(8, useful[8], "a sector for each lane")],
    title=f"At stride 8, {100 * useful[8] / useful[1]:.0f} % of the useful bandwidth is left",
)

# %%
seconds = dict(zip(strided["stride"], strided["seconds"], strict=True))
slower = seconds[4] / seconds[1]
stride_gap = compare(
    guess_stride,
    measured=Quantity(slower, "x", strided.source),
    model=Quantity((16 + 4) / (4 + 4), "x", "model: 16 sectors in and 4 out, against 4 and 4"),
)
title = f"Every fourth number: {slower:.1f} times as long, because only the loads suffer"
gap(stride_gap, title, kind="gpu") if stride_gap.is_test else None

# %% [markdown]
# **Explain.** At stride 4 a load moves 16 sectors, not 4; the store is dense as before. So
# 4 + 4 sectors become 16 + 4. From stride 8 on each lane has a sector of its own. Of what stride 8
# *loads*, 12.5 % is used (4 of 32 bytes per lane), of all that it *moves* 22 % (8 of 36). The
# explorer counts loads only.
#
# Bytes that come along may wait in a *cache*, a fast memory; this count has none.
#
# **Change one thing.** What does stride 0, a *broadcast*, move? From which stride on does float64
# use more of a sector than float32?
# <details><summary>Answer</summary>One sector serves all lanes. From 5; from 8, twice as
# much.</details>


# %%
def draw(axes, stride, offset, kind):
    """One load of one warp, and the bandwidth that its useful bytes get."""
    load = one_warp(stride, offset, np.dtype(kind))
    share = len(set(load.addresses)) * load.itemsize / (32 * load.sectors)
    priced = gpu or device
    peak = Quantity(priced.memory_bandwidth, "B/s", f"source: {priced.name}")
    moved = f"{load.sectors} sectors" if stride else "one element serves 32 lanes"
    title = f"Stride {stride}, offset {offset}, {load.itemsize} bytes: {moved}"
    useful = Quantity(share * peak.value, "B/s", "model: share of the moved bytes")
    source = f"model: sectors counted by the interpreter, loads only, {priced.name}"
    return warp_sectors({f"load of {kind}": load}, title, rate=(useful, peak), source=source)


kinds = [("float16", "2 bytes"), ("float32", "4 bytes"), ("float64", "8 bytes")]
explorer(draw, [
    Slider("stride", "stride", 0, 32, 2, 1, description="Numbers from lane to lane"),
    Slider("offset", "offset", 0, 32, 0, 1, description="Number that lane 0 reads"),
    Choice("kind", "size of an element", kinds, "float32"),
])

# %% [markdown]
# ## What can a block do that a thread cannot?
#
# Its threads share a small memory on their SM (228 KiB on an H100), and wait for one another at
# a barrier, `cuda.syncthreads()`. *Shared memory* has 32 *banks* on each SM: word `k` (4 bytes)
# lies in bank `k % 32`, and in one *pass* (a *wavefront* in reports), one clock, each bank serves
# one word. Lanes that want different words of one bank take passes in turn, a *bank conflict*.
#
# A transpose that reads along rows writes along columns: lanes far apart. So a block reads a 32 by
# 32 tile along rows into shared memory, waits, takes columns from there, and writes along rows.

# %%
guess_passes = predict(
    "A warp reads one column of a 32 by 32 tile of float32. In how many passes?",
    unit="passes", key="02.passes",
)

# %% [markdown]
# **Measure.** In a 32 by 32 block threads are numbered along x first: a warp is the 32 threads with
# one `threadIdx.y`, and `threadIdx.x` is the lane. `cuda.grid(2)` gives (column, row), each
# `blockIdx * blockDim + threadIdx`. Warp `j` reads row `j` of its tile of `x` and stores it as row
# `j` of the shared tile, waits, loads column `j` from there, and writes it as row `j` of the
# mirrored tile of `out`; hence the swapped `blockIdx`. All threads must reach the barrier, so it
# stands outside every `if`.
#
# The second cell forgets a barrier: threads read words that other warps may not have written yet,
# a *race*. On a GPU the result is right on some days; the interpreter reports it on every day.


# %%
@cuda.jit
def transpose_direct(x, out):
    """Read along rows, write along columns."""
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        out[column, row] = x[row, column]


@cuda.jit
def transpose_tile(x, out):
    """Through a tile of 32 words per row."""
    tile = cuda.shared.array((32, 32), float32)
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        tile[j, i] = x[row, column]
    cuda.syncthreads()
    column, row = cuda.blockIdx.y * 32 + i, cuda.blockIdx.x * 32 + j
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = tile[i, j]


@cuda.jit
def transpose_padded(x, out):
    """Through a tile of 33 words per row, of which 32 are used."""
    tile = cuda.shared.array((32, 33), float32)  # 33 instead of 32: the only change
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        tile[j, i] = x[row, column]
    cuda.syncthreads()
    column, row = cuda.blockIdx.y * 32 + i, cuda.blockIdx.x * 32 + j
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = tile[i, j]


# %%
@cuda.jit
def turn_around(x, out):
    """Write the 64 numbers of a block in reverse order; the barrier is missing."""
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    # cuda.syncthreads()
    out[t] = tile[63 - t]


hasty = launch(turn_around, 1, 64, np.arange(64, dtype=f32), np.zeros(64, f32))
print("Races in turn_around:", hasty.found["races"])
for race in hasty.races[:1]:
    print(f"Thread {race.thread} reads {race.array}[{race.index}], which thread "
          f"{race.other_thread} writes, and no barrier stands between.")

# %%
transposes = {"direct": transpose_direct, "tile": transpose_tile, "padded": transpose_padded}


def count_transpose(kernel, rows=64, columns=64):
    """Run a transpose in the interpreter and check it; return what it moved."""
    x = np.arange(rows * columns, dtype=f32).reshape(rows, columns)
    out = np.zeros((columns, rows), f32)
    report = launch(kernel, (-(-columns // 32), -(-rows // 32)), (32, 32), x, out)
    assert (out == x.T).all()
    assert not report.races + report.out_of_bounds
    return report


counted = {name: count_transpose(kernel) for name, kernel in transposes.items()}
columns = {
    f"{name}, read by column": next(
        a for a in counted[name].accesses if (a.space, a.action) == ("shared", "load")
    )
    for name in ("tile", "padded")
}
conflict, repaired = (request.wavefronts for request in columns.values())
passes_gap = compare(
    guess_passes, measured=Quantity(conflict, "passes", "counted by the interpreter")
)
for words in (32, 33):
    held = [words * lane % 32 for lane in range(4)]
    print(f"Rows of {words} words: lane k reads word {words}k, so lanes 0 to 3 meet banks {held}")
bank_map(columns, f"A column takes {conflict} passes, and {repaired} where the rows are padded")

# %%
known = strided.kind != "model" and gpu and gpu.compute_units and gpu.boost_clock
lent = gpu if known else accelerator("h100-sxm")  # the GPU of the run, or of the published runs
guess_tile = predict(
    "A transpose through the tile of 32 words per row carries 8 useful bytes for each number, and "
    f"for 32 numbers its banks take 1 pass to fill and {conflict} to read. The {lent.name} has "
    f"{lent.compute_units} SMs at {lent.boost_clock / 1e9:.2f} GHz, a pass per SM and clock, and "
    f"{lent.memory_bandwidth / 1e12:.2f} TB/s of memory. How many useful TB/s does it reach?",
    unit="TB/s", key="02.tile",
)


# %%
@experiment(needs="gpu")
def gpu_transpose(size):
    """Time the three transposes; each element counts 4 bytes in and 4 out."""
    x, blocks, rows = np.random.default_rng(2).random((size, size), f32), -(-size // 32), []
    there = cuda.to_device(x)
    for name, kernel in transposes.items():
        out = cuda.to_device(np.zeros(x.shape, f32))
        run = time_call(kernel[(blocks, blocks), (32, 32)], there, out, **STEADY)
        assert_array_equal(out[-64:].copy_to_host(), x.T[-64:], err_msg=name)
        rows.append({"kernel": name, **run.columns("rate", work=8 * size * size)})
    return Table.from_rows(rows, {"rate": "B/s"})


try:
    turned = gpu_transpose(size=8192)
    rates = {name: turned.quantity("rate", kernel=name) for name in transposes}
except MissingRecording:
    turned = None
    print("Neither a GPU nor a recording is at hand; published runs on an H100 stand in.")
    runs = {name: overhead(f"transpose-h100-{name}") for name in (*transposes, "padded-4")}
    source = "source: " + runs["direct"].source.partition(":")[0] + ", NVIDIA H100"
    rates = {name: Quantity(run.value, "B/s", source) for name, run in runs.items()}
print(f"Useful bytes, and what sectors and passes allow on the {lent.name}:")
for name, rate in rates.items():
    most = 8 / seconds_each(counted[name.partition("-")[0]], 64 * 64, lent)
    print(f"{name}: {rate.value / 1e9:,.0f} of {most / 1e9:,.0f} GB/s, "
          f"{100 * rate.value / most:.0f} %")
most = 8 / seconds_each(counted["tile"], 64 * 64, lent)
tile_gap = compare(guess_tile, measured=rates["tile"],
                   limit=Quantity(most, "B/s", f"model: banks and memory, {lent.name}"))
steps = [b.value / a.value for a, b in pairwise(list(rates.values())[:3])]
faster = prod(steps)
ladder(
    [(name, rate, "gpu") for name, rate in rates.items()],
    title=f"The tile gains {steps[0]:.1f}x over direct, the padding {steps[1]:.1f}x over the tile",
    label="useful bytes per second",
)

# %% [markdown]
# **Explain.** Per 32 numbers the direct kernel moves 36 sectors, the others 8: 4.5 times fewer.
# With rows of 33 words a column meets all 32 banks. Padding pays only where memory moves over
# `8 x 32 / 33 = 7.76` bytes per SM and clock: on an H100, not on a T4 (320 GB/s; banks 493).
#
# [Published runs](https://yencal.github.io/gpu-matrix-transpose-optimization/) stay below their
# limits, direct by a third. Four numbers per thread (`padded-4`) keep more loads waiting: 83 %, and a
# gain over 4.5.
#
# **Change one thing.** Give `transpose_padded` rows of 34 words.
# <details><summary>Answer</summary>2 passes.</details>
#
# ## How long is the queue at one address?
#
# Threads that count into one bin at once lose counts. *Atomic* additions read, add and write
# undisturbed; lanes that meet take *turns*.

# %%
guess_turns = predict(
    "The 32 lanes of a warp add to 256 bins at random. How many turns does the addition take on "
    "average, that is, how many lanes meet at the fullest bin?",
    unit="turns", key="02.turns",
)

# %% [markdown]
# **Measure.** The second kernel is the usual one: each block counts in a histogram of its own in
# shared memory, and adds it to the common one at the end. Its loop lets few blocks walk over many
# values, a whole grid per step (a *grid-stride loop*; `gridsize(1)` is the number of all threads).
# Counted are the turns within one warp (`atomic_contention` in reports), of either kernel. The model
# stops at pairs of lanes: one turn, and one more if any two meet.


# %%
@cuda.jit
def histogram_global(values, bins):
    """Add each value to its bin in global memory."""
    i = cuda.grid(1)
    if i < values.size:
        cuda.atomic.add(bins, values[i], 1)


@cuda.jit
def histogram_shared(values, bins):
    """Count in a histogram of the block, of 256 threads, and add it up at the end."""
    own = cuda.shared.array(256, int32)
    t = cuda.threadIdx.x
    own[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        cuda.atomic.add(own, values[i], 1)
    cuda.syncthreads()
    cuda.atomic.add(bins, t, own[t])


def count_turns(bins, kernel=histogram_global, size=2**13, blocks=32):
    """Run a histogram of random values in the interpreter and check it."""
    values = np.random.default_rng(2).integers(0, bins, size, dtype=np.int32)
    found = np.zeros(256 if kernel is histogram_shared else bins, np.int32)
    report = launch(kernel, blocks, 256, values, found)
    assert (found[:bins] == np.bincount(values, minlength=bins)).all()
    return report


def pairs_meet(bins):
    """1 + the chance that any two of 32 lanes meet."""
    return 2 - prod(max(0, 1 - lane / bins) for lane in range(32))


sizes = [2**k for k in range(13)]
turns = [count_turns(bins).atomic_contention for bins in sizes]
sweep(
    [Series("counted", sizes, turns, "gpu", source="counted by the interpreter"),
     Series("pairs only", sizes, [pairs_meet(bins) for bins in sizes], "model",
            source="model: chance that two lanes meet")],
    x="bins", y="turns of an addition",
    title=f"Inside one warp: {turns[0]:.0f} turns for 1 bin, {turns[-1]:.1f} for {sizes[-1]:,}",
)


# %%
@experiment(needs="gpu")
def gpu_histograms(size):
    """Time both kernels on random and on equal values; a rate is values per second."""
    draws = np.random.default_rng(2).integers(0, 256, 2**20, dtype=np.int32)
    full, rows = 8 * cuda.get_current_device().MULTIPROCESSOR_COUNT, []  # fills all SMs
    for name, few in {"equal": 0 * draws, "random": draws}.items():
        values = repeated(few, size)
        right = np.bincount(few, minlength=256)
        blocks = {histogram_global: -(-values.size // 256), histogram_shared: full}
        for kernel in (histogram_global, histogram_shared):
            bins = cuda.to_device(np.zeros(256, np.int32))
            kernel[blocks[kernel], 256](values, bins)
            assert_array_equal(bins.copy_to_host(), values.size // few.size * right)
            run = time_call(kernel[blocks[kernel], 256], values, bins, **STEADY)  # goes on adding
            row = {"kernel": f"{kernel.__name__[10:]}, {name} values"}
            rows.append({**row, **run.columns("rate", work=values.size)})
    return Table.from_rows(rows, {"rate": "values/s"})


try:
    timed = gpu_histograms(size=2**26)
except MissingRecording:
    timed = None
    print("Neither a GPU nor a recording is at hand: what a turn costs waits for a recorded run.")
by_global, by_shared = count_turns(256), count_turns(256, histogram_shared, blocks=4)
adds = {s.space: s.lanes for s in by_shared.sites if s.action == "atomic"}
per_block = adds["global"] // 4
direct, merged = 2**26, per_block * 8 * device.compute_units
print(f"2^26 values on the {device.name}: {direct:,} additions in global memory, or {merged:,} "
      f"by 8 blocks per SM, {per_block} bins each: {direct / merged:.0f} times fewer.")
turns_gap = compare(
    guess_turns,
    measured=Quantity(by_global.atomic_contention, "turns", "counted by the interpreter"),
    model=Quantity(pairs_meet(256), "turns", "model: chance that two lanes meet"),
)
ladder(
    [(name, timed.quantity("rate", kernel=name), "gpu") for name in timed["kernel"]],
    title="What queues cost: all values in one bin, or spread over 256",
) if timed else gap(
    turns_gap, f"32 lanes on 256 bins queue for {by_global.atomic_contention:.2f} turns", kind="gpu"
)

# %% [markdown]
# **Explain.** That no two lanes meet has a chance of 255/256 x ... x 225/256, 13 %: like birthdays
# in a class. The model forgets that three may meet. Shared memory does not shorten a warp's queue.
# It wins because few additions reach the global histogram, where warps of all SMs queue; this
# count does not see that.
#
# **Change one thing.** Add `values *= 0` below `values` in `count_turns`, and run both cells.
# <details><summary>Answer</summary>The counted line lies flat at 32 turns.</details>
#
# ## Which way to write it is right?
#
# How far apart are two matrices, row by row? Sum `(x - y)**2`. In a *reduction* the threads of a
# block add pairs, then pairs of sums, until one is left. CuPy, NumPy for GPUs:
# `d = x - y; (d * d).sum(axis=1)`.

# %%
guess_fused = predict(
    "Two matrices of 8,192 by 8,192 float32: how many times longer than one kernel that does all "
    "at once does `d = x - y; (d * d).sum(axis=1)` take?",
    unit="x", key="02.fused",
)

# %% [markdown]
# **Measure.** First the reduction of a block of 128 threads, in two versions with the same steps and
# barriers. They differ in who works, and a warp with one thread at work takes as long as a full
# one: so count *busy warps*, summed over the steps. Then five ways to write the whole:
# `ElementwiseKernel(inputs, output, operation, name)` has CuPy write the loop over elements,
# `ReductionKernel(inputs, output, map, reduce, finish, start, name)` the reduction, too;
# `RawKernel(code, name)` takes CUDA C. The last is the second kernel below.


# %%
@cuda.jit
def distance_neighbours(x, y, out):
    """One block, one row; in each step every second of the threads left adds its neighbour."""
    tile = cuda.shared.array(256, float32)
    t, row, own = cuda.threadIdx.x, cuda.blockIdx.x, float32(0)
    for i in range(t, x.shape[1], cuda.blockDim.x):
        own += (x[row, i] - y[row, i]) * (x[row, i] - y[row, i])
    tile[t] = own
    cuda.syncthreads()
    s = 1
    while s < cuda.blockDim.x:
        if t % (2 * s) == 0:
            tile[t] += tile[t + s]
        cuda.syncthreads()
        s *= 2
    if t == 0:
        out[row] = tile[0]


@cuda.jit
def distance_halves(x, y, out):
    """One block, one row; in each step the first half of the threads left adds the second."""
    tile = cuda.shared.array(256, float32)
    t, row, own = cuda.threadIdx.x, cuda.blockIdx.x, float32(0)
    for i in range(t, x.shape[1], cuda.blockDim.x):
        own += (x[row, i] - y[row, i]) * (x[row, i] - y[row, i])
    tile[t] = own
    cuda.syncthreads()
    s = cuda.blockDim.x // 2
    while s > 0:
        if t < s:
            tile[t] += tile[t + s]
        cuda.syncthreads()
        s //= 2
    if t == 0:
        out[row] = tile[0]


left, right = np.arange(200, dtype=f32).reshape(2, 100), np.ones((2, 100), f32)
both = {"every second adds its neighbour": distance_neighbours,
        "the first half adds the second": distance_halves}
threads, trees, busy = 128, {}, {}
for name, kernel in both.items():
    sums = np.zeros(2, f32)
    trees[name] = report = launch(kernel, 2, threads, left, right, sums)
    assert_allclose(sums, ((left - right) ** 2).sum(axis=1), 1e-5)
    stores = sum(s.requests for s in report.sites if (s.space, s.action) == ("shared", "store"))
    busy[name] = (stores - 2 * threads // 32) // 2  # of a block; a warp's first only fills the tile
reduction_tree(trees, "Over its steps a tree keeps {} warps busy, or {}".format(*busy.values()))

# %%
DISTANCE_CUDA = r"""
extern "C" __global__
void distance(const float* x, const float* y, float* out, int columns)
{
    __shared__ float tile[256];
    int t = threadIdx.x;
    long long row = (long long)blockIdx.x * columns;
    float own = 0.0f;
    for (int i = t; i < columns; i += blockDim.x) {
        float d = x[row + i] - y[row + i];
        own += d * d;
    }
    tile[t] = own;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s /= 2) {
        if (t < s) tile[t] += tile[t + s];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = tile[0];
}
"""
WAYS = {  # bytes per number, 4 for each array that is read or written
    "array expression": 12 + 8 + 4,  # x - y: read x, y, write d; d * d: read d, write e; read e
    "ElementwiseKernel, then sum": 12 + 4,  # read x, y, write z; read z
    "ReductionKernel": 8,  # read x, y
    "RawKernel, CUDA C": 8,
    "numba.cuda": 8,
}


def ways_model(rows, columns):
    """Bytes at full bandwidth."""
    times = [each * rows * columns / device.memory_bandwidth for each in WAYS.values()]
    return Table({"way": list(WAYS), "seconds": times}, {"seconds": "s"}), f"bytes, {device.name}"


# %%
@experiment(needs="gpu", model=ways_model)
def gpu_ways(rows, columns):
    """Time one distance for each row, written in five ways."""
    import cupy as cp

    few = np.random.default_rng(2).random((2, 64, columns), f32)
    copies, pair = -(-rows // 64), "float32 x, float32 y"
    x, y = (cp.tile(cp.asarray(part), (copies, 1))[:rows] for part in few)
    right, out = np.tile(((few[0] - few[1]) ** 2).sum(1), copies)[:rows], cp.zeros(rows, f32)
    square = cp.ElementwiseKernel(pair, "float32 z", "z = (x - y) * (x - y)", "square_difference")
    fused = cp.ReductionKernel(
        pair, "float32 z", "(x - y) * (x - y)", "a + b", "z = a", "0", "fused_distance"
    )
    raw = cp.RawKernel(DISTANCE_CUDA, "distance")
    views = [cuda.as_cuda_array(array) for array in (x, y, out)]

    calls = {
        "array expression": lambda: ((d := x - y) * d).sum(axis=1),
        "ElementwiseKernel, then sum": lambda: square(x, y).sum(axis=1),
        "ReductionKernel": lambda: fused(x, y, axis=1),
        "RawKernel, CUDA C": lambda: raw((rows,), (threads,), (x, y, out, np.int32(columns))),
        "numba.cuda": lambda: distance_halves[rows, threads](*views),
    }
    table = []
    for way, call in calls.items():
        out.fill(0)
        found = call()  # None where a kernel writes to out
        assert_allclose(cp.asnumpy(out if found is None else found), right, 1e-4, err_msg=way)
        table.append({"way": way, **time_call(call, **STEADY).columns()})
    return Table.from_rows(table, {"seconds": "s"})


ways = gpu_ways(rows=8192, columns=8192)
times = dict(zip(ways["way"], ways["seconds"], strict=True))
dearer = times["array expression"] / times["ReductionKernel"]
submit, priced = overhead("cuda-launch"), accelerator_of(ways.source) or device
print(f"While a CPU submits one kernel ({submit.value * 1e6:.0f} µs, published with a "
      f"{submit.device.partition(',')[0]}), the memory of the {priced.name} moves "
      f"{submit.value * priced.memory_bandwidth / 1e6:.0f} MB.")
fused_gap = compare(
    guess_fused,
    measured=Quantity(dearer, "x", ways.source),
    model=Quantity(24 / 8, "x", "model: 24 bytes for each number against 8"),
)
rows = [(way, ways.quantity("seconds", way=way), "gpu") for way in WAYS]
if ways.kind == "model":  # to which all single kernels are one
    rows[2:] = [("one kernel, any of the three", *rows[2][1:])]
ladder(rows, title="Each temporary array costs a trip to memory and back", label="time")

# %% [markdown]
# **Explain.** For 8,192 columns the loop before the tree takes 64 rounds of 4 warps, 256 in all. On
# top come 23 busy warps or 8: 15 of 279, and no byte. In the model
# both hide behind the time of the memory, so the better tree pays for short rows.
#
# The array expression runs three kernels, and two temporary arrays travel between them: 24 bytes
# per number, not 8. Arrays smaller than the megabytes printed above are done before the CPU has
# submitted the next kernel. For them the number of *launches* counts, not the bytes.

# %% [markdown]
# |way|lines|right when|
# |---|---|---|
# |array expression|1|first; often fast enough|
# |`ElementwiseKernel`|2|a profile blames the expression|
# |`ReductionKernel`|2|the same, with a sum|
# |`RawKernel`|20|you need shared memory, atomics|
# |`numba.cuda`|17|the same, tested here without a GPU|
#
# ### Queues, and the clock that waits for them
#
# Kernels of one *stream*, a queue, run in order; those of different streams may overlap. A launch
# returns at once, so the CPU's clock would stop too early. An *event* is a time stamp that the GPU
# writes when its queue gets there: `time_call(..., device="gpu")` puts one before the work and one
# behind.
#
# **Change one thing.** Below, set `cycles` to 10,000, as long as a launch. Do four queues help?
# <details><summary>Answer</summary>Hardly: launches are the queue now.</details>

# %%
SPIN_CUDA = r"""extern "C" __global__ void spin(long long cycles, long long* took) {
    long long start = clock64(), spent = 0;
    while (spent < cycles) spent = clock64() - start;
    *took = spent;
}"""

clock = (device if ways.kind == "model" else lent).boost_clock
guess_streams = predict(
    f"A launch takes {submit.value * 1e6:.0f} µs. Four kernels, of one block each, keep an SM busy "
    f"for {200_000 / clock * 1e6:.0f} µs. How many times sooner are they done in four "
    "streams than in one?",
    unit="x", key="02.streams",
)

# %%
def streams_model(kernels, cycles):
    """Cycles at the boost clock, and a launch after the other."""
    launching = overhead("cuda-launch")
    busy, start = cycles / device.boost_clock, launching.value
    times = [start + kernels * busy, kernels * start + busy]
    table = {"streams": [1, kernels], "seconds": times, "launch": [start, start]}
    told = f"boost clock, {device.name}, and launches as on a {launching.device}"
    return Table(table, {"seconds": "s", "launch": "s"}), told


@experiment(needs="gpu", model=streams_model)
def gpu_streams(kernels, cycles):
    """Launch kernels of one block each that keep one processor busy, in one queue or several."""
    import cupy as cp

    spin, took, rows = cp.RawKernel(SPIN_CUDA, "spin"), cp.zeros(kernels, np.int64), []
    slots = [took[k : k + 1] for k in range(kernels)]
    empty = time_call(spin, (1,), (1,), (np.int64(0), slots[0]), **STEADY)  # warms up, too
    for streams in (1, kernels):
        queues = [cp.cuda.Stream() for _ in range(streams)]

        def submit(queues=queues):
            for k in range(kernels):
                with queues[k % len(queues)]:
                    spin((1,), (1,), (np.int64(cycles), slots[k]))

        took.fill(0)
        run = time_call(submit, device="gpu", min_time=0)  # one round at a time
        assert (cp.asnumpy(took) >= cycles).all()
        rows.append({"streams": streams, **run.columns(), "launch": empty.median})
    return Table.from_rows(rows, {"seconds": "s", "launch": "s"})


kernels = 4
queues = gpu_streams(kernels, cycles=200_000)
launching, (one, many) = queues["launch"][0], queues["seconds"]
alone, beside = (one - launching) / kernels, max(0, many - kernels * launching)
overlap = Quantity(one / (kernels * launching + alone), "x", "model: launches take turns")
compare(guess_streams, measured=Quantity(one / many, "x", queues.source), model=overlap)
modelled = queues.kind == "model"
kind, finish = ("model", "should finish") if modelled else ("gpu", "finish")
calls = [Span(k * launching, (k + 1) * launching, "launch", "cpu") for k in range(kernels)]
names, first = [f"kernel {k + 1}" for k in range(kernels)], launching
row = [Span(first + k * alone, first + (k + 1) * alone, name, kind) for k, name in enumerate(names)]
side = {f"stream {name[7:]}": [Span(call.end, call.end + beside, name, kind)]
        for name, call in zip(names, calls, strict=True)}
timeline(
    {"One stream": {"CPU": calls, "stream": row}, f"{kernels} streams": {"CPU": calls, **side}},
    title=f"{kernels} queues {finish} in {many * 1e6:.0f} µs what one does in {one * 1e6:.0f} µs",
    source=f"{queues.source}; totals drawn as equal kernels, launches of {launching * 1e6:.1f} µs",
)

# %% [markdown]
# ## Where this model breaks
#
# - It knows no caches. A neighbour warp often finds the sector that an offset dragged in, nearly
#   for free.
# - [Some GPUs fetch 64
#   bytes](https://forums.developer.nvidia.com/t/global-memory-access-patterns-too-slow/286508)
#   where 32 are asked for: it gets worse up to stride 16.
# - It prices neither latency nor launch: short kernels are slower, and so are those with few loads
#   waiting at once.
# - It fills all SMs. One row alone [may go to a single
#   block](https://github.com/cupy/cupy/issues/6512).
# - A compiler may keep what it loaded; the interpreter counts each load.
# - Turns: for one bin the model of pairs says 2, the count 32. Hardware may merge lanes that
#   meet: [sixteen became one](https://github.com/accel-sim/gpgpu-sim_distribution/pull/33) on a
#   V100.
#
# ## You learned

# %%
loads = {stride: one_warp(stride, 0).sectors for stride in (1, 4, 8)}


def outcome(run, took, take):
    """What a run showed, or what the count says that it should show."""
    return f"should, by the model, {take}" if run.kind == "model" else f"{took} ({run.kind})"


learned(
    f"A warp's load of float32 moves {loads[1]} sectors at stride 1, {loads[4]} at 4 and "
    f"{loads[8]} at 8 (counted in the interpreter); at stride 4 the copy "
    f"{outcome(strided, 'took', 'take')} {slower:.1f} times as long.",
    f"Through a padded tile a transpose became {faster:.1f} times faster "
    f"({turned.kind if turned else 'published, H100'}), once padding turned {conflict} passes into "
    f"{repaired} (counted in the interpreter).",
    f"32 lanes on 256 bins queue for {by_global.atomic_contention:.2f} turns (counted in the "
    f"interpreter); an array expression {outcome(ways, 'took', 'take')} {dearer:.1f} times as long "
    "as one kernel.",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: count the sectors
#
# Write `sectors(stride, offset, itemsize)`: how many 32-byte sectors does a warp's load touch, when
# lane `k` reads element `k * stride + offset`? Elements have `itemsize` bytes: 1, 2, 4, 8 or 16.
# The array begins at a sector.
#
# <details><summary>Hint 1</summary>At which byte does lane k read?</details>
#
# <details><summary>Hint 2</summary>Put the sectors of all lanes into a set.</details>
#
# ### Exercise 2: how much padding?
#
# Write `column_passes(width)`: in how many passes does a warp read a column of 32 words from a tile
# of float32 with `width` words per row? Which widths are free of conflicts?
#
# <details><summary>Hint 1</summary>Which word does lane k read, in which bank?</details>
#
# <details><summary>Hint 2</summary>Count the lanes in the fullest bank.</details>


# %% [markdown]
# ### Exercise 3: what does fusing save?
#
# Write `fused_gain(inputs, steps)`: an expression over `inputs` long arrays takes `steps` kernels,
# each of which reads two different arrays and writes one. A fused kernel reads each input once and writes
# the result once. How many times fewer bytes does it move? All elements have the same size.
#
# <details><summary>Hint 1</summary>How many arrays travel in either case, there or
# back?</details>
#
# <details><summary>Hint 2</summary>Which of them does a fused kernel never see?</details>


# %%
def sectors(stride, offset, itemsize):
    """Return a whole number of sectors."""
    ...


def column_passes(width):
    """Return a whole number of passes."""
    ...


def fused_gain(inputs, steps):
    """Return a ratio of bytes."""
    ...


check("02.sectors", sectors)
check("02.column_passes", column_passes)
check("02.fused_gain", fused_gain)
quiz("02")

# %% [markdown]
# ## Further reading
#
# - [How to Access Global Memory Efficiently in
#   CUDA](https://developer.nvidia.com/blog/how-access-global-memory-efficiently-cuda-c-kernels/):
#   offset and stride, measured on three generations of GPUs.
# - [An Efficient Matrix Transpose in
#   CUDA](https://developer.nvidia.com/blog/efficient-matrix-transpose-cuda-cc/): the tile and its
#   padding, step by step.
# - [Optimizing Parallel Reduction in
#   CUDA](https://developer.download.nvidia.com/assets/cuda/files/reduction.pdf): seven versions of
#   the tree, each with its bandwidth.
# - [CuPy, User-Defined Kernels](https://docs.cupy.dev/en/stable/user_guide/kernel.html): the three
#   kinds of kernel with all their options.
