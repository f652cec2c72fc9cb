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
# 100 elements in blocks of 32 take 4 blocks, so 28 threads have no element. On a GPU they would
# read and overwrite somebody else's memory. The interpreter catches them, and a *guard* stops
# them.

# %%
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
# at the same time, in *lockstep*, and what they read or write together is one *request*. Memory
# takes and gives *sectors* of 32 bytes, whole, however little of one was asked for.
#
# Lockstep is a habit, not a promise: [since
# Volta](https://docs.nvidia.com/cuda/volta-tuning-guide/index.html) lanes that take different
# branches may stay apart. Where one lane reads what another wrote, a barrier belongs between.
#
# The kernel below copies every `stride`-th number of `x` into a dense `out`: 4 bytes read and 4
# written per lane. An H100 has nothing else to do here than to move bytes.

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
# memory. (`seconds_each` also prices shared memory, which the next round needs. The rest of that
# cell is bookkeeping: it fills the memory with random numbers, warms the GPU up, times the kernel
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
    "The further apart the lanes read, the more bytes come along",
)


# %%
def seconds_each(report, elements):
    """Seconds per element: bytes at full bandwidth, or a pass of the banks per boost clock, SM."""
    memory = report.bytes_moved / device.memory_bandwidth
    banks = report.shared_wavefronts / (device.compute_units * device.boost_clock)
    return max(memory, banks) / elements


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
    mark=[(8, useful[8], f"stride 8: {100 * useful[8] / useful[1]:.0f} % of stride 1")],
    title="From stride 8 on, each lane pays for a sector of its own",
)

# %%
seconds = dict(zip(strided["stride"], strided["seconds"], strict=True))
slower = seconds[4] / seconds[1]
stride_gap = compare(
    guess_stride,
    measured=Quantity(slower, "x", strided.source),
    model=Quantity((16 + 4) / (4 + 4), "x", "model: 16 sectors in and 4 out, against 4 and 4"),
)
gap(stride_gap, "Every fourth number costs less than four times: only the loads suffer", kind="gpu")

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
    title = f"Stride {stride}, offset {offset}, {load.itemsize} bytes: {load.sectors} sectors"
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
# a *barrier*, `cuda.syncthreads()`. *Shared memory* has 32 *banks* on each SM: word `k` (4 bytes) lies in
# bank `k % 32`, and in one *pass*, one clock, each bank serves one word. Lanes that want
# different words of one bank take passes in turn, a *bank conflict*.
#
# Read a matrix along rows and write it along columns, and the lanes of a warp write far apart.
# So for a transpose a block reads a 32 by 32 tile along rows into shared memory, waits, takes
# columns from there, and writes along rows.

# %%
guess_passes = predict(
    "A warp reads one column of a 32 by 32 tile of float32. In how many passes?",
    unit="passes", key="02.passes",
)

# %%
chip = gpu if gpu and gpu.compute_units and gpu.boost_clock else None
known = "" if chip is None else (
    f"The {chip.compute_units} SMs of the {chip.name} run at {chip.boost_clock / 1e9:.2f} GHz, "
    f"its memory moves {chip.memory_bandwidth / 1e12:.2f} TB/s. "
)
guess_tile = predict(
    f"{known}A transpose through tiles of 32 words per row reads and writes dense memory. How many "
    "useful TB/s does it reach?",
    unit="TB/s", key="02.tile",
)

# %% [markdown]
# **Measure.** In a 32 by 32 block threads are numbered along x first: a warp is the 32 threads with
# one `threadIdx.y`, so `threadIdx.x` is the lane. `cuda.grid(2)` gives (x, y) = (column, row), each
# `blockIdx * blockDim + threadIdx`. Block (bx, by) reads the tile at row 32 by, column 32 bx and
# writes it at row 32 bx, column 32 by; hence the swapped `blockIdx`. The barrier stands outside
# every `if`: all threads of the block must reach it.
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
bank_map(columns, f"Padding the rows turns {conflict} passes over the banks into {repaired}")

# %%
def transpose_model(size):
    """Price a small transpose: its sectors in memory, or its passes over the banks."""
    reports = {name: count_transpose(kernel) for name, kernel in transposes.items()}
    rows = [{"kernel": name, "rate": 8 / seconds_each(report, 64 * 64)}
            for name, report in reports.items()]
    return Table.from_rows(rows, {"rate": "B/s"}), f"counted sectors and passes, {device.name}"


@experiment(needs="gpu", model=transpose_model)
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


turned = gpu_transpose(size=8192)
rates = dict(zip(turned["kernel"], turned["rate"], strict=True))
faster = rates["padded"] / rates["direct"]
banks = {}
for name in ("tile", "padded"):
    passes = counted[name].shared_wavefronts / (64 * 64 / 32)
    if chip:  # 8 bytes for each of 32 numbers, and as many passes a second as all SMs have clocks
        rate = 8 * 32 / passes * chip.compute_units * chip.boost_clock
        banks[name] = Quantity(rate, "B/s", f"model: {passes:.0f} passes, {chip.name}")
    print(f"{name}: {passes:.0f} passes for 32 numbers; the banks allow",
          banks.get(name, "what the catalogue has no clock for"))
print("Published for an H100:")
for name in ("direct", "tile", "padded", "padded-4"):
    print(f"- {name}: {overhead(f'transpose-h100-{name}').quantity()}")
tile_gap = compare(
    guess_tile, measured=turned.quantity("rate", kernel="tile"), model=banks.get("tile")
)
ladder(
    [(name, turned.quantity("rate", kernel=name), "gpu") for name in transposes],
    title="The tile repairs the sectors, the padding repairs the tile",
    label="useful bytes per second",
)

# %% [markdown]
# **Explain.** Per 32 numbers the direct kernel moves 36 sectors, the others 8: the count says 4.5
# times. A tile's banks take 1 pass to fill and 32 to read; padded, 1 and 1.
#
# Published runs gain [3.6 on an H100](https://yencal.github.io/gpu-matrix-transpose-optimization/)
# and [2.8 on another GPU](https://sjang1594.github.io/portfolio/cuda-image-transposed). That H100
# stays below two thirds of the counted rates: one number per thread keeps too few bytes under way.
# With four it gains 5.8.
#
# **Change one thing.** Mend the barrier of `turn_around`: 0 races. Give `transpose_padded` rows of
# 34 words: 2 passes.
#
# ## How long is the queue at one address?
#
# In a histogram, threads that add to one bin at once lose counts. With *atomic* additions lanes
# that meet take *turns*.

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
# The model stops at pairs of lanes: one turn, and one more if any two meet.


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
    title="The fewer the bins, the longer the queue at each",
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
sites = {s.space: s.lanes for s in by_shared.sites if s.action == "atomic"}
print(f"8,192 values: one kernel adds {by_global.atomics:,} times in global memory, the other "
      f"{sites['shared']:,} times in shared and {sites['global']:,} times in global memory.")
turns_gap = compare(
    guess_turns,
    measured=Quantity(by_global.atomic_contention, "turns", "counted by the interpreter"),
    model=Quantity(pairs_meet(256), "turns", "model: chance that two lanes meet"),
)
ladder(
    [(name, timed.quantity("rate", kernel=name), "gpu") for name in timed["kernel"]],
    title="What queues cost: all values in one bin, or spread over 256",
) if timed else gap(turns_gap, "With eight bins for each lane, two still meet", kind="gpu")

# %% [markdown]
# **Explain.** 32 lanes form 496 pairs; each meets with a chance of 1 in 256. That none meets has
# a chance of 255/256 x ... x 225/256, 13 %: like birthdays in a class. The model forgets that three
# may meet. Shared memory does not shorten a warp's queue; it keeps queues on the SM.
#
# **Change one thing.** Add `values *= 0` below `values` in `count_turns`, and run both cells: the
# counted line lies flat at 32 turns.
#
# ## Which way to write it is right?
#
# How far apart are two matrices, row by row? Sum `(x - y)**2`. Threads that add to one address
# would queue, so those of a block add two by two, then the sums: a *reduction*. CuPy does it by
# `d = x - y; (d * d).sum(axis=1)`.

# %%
guess_fused = predict(
    "Two matrices of 8,192 by 8,192 float32: how many times longer than one kernel that does all "
    "at once does `d = x - y; (d * d).sum(axis=1)` take?",
    unit="x", key="02.fused",
)

# %% [markdown]
# **Measure.** First the reduction of a block, in two versions with the same steps and barriers.
# They differ in who works, and a warp with one thread at work takes as long as a full one: so count
# *busy warps*, summed over the steps. Then five ways to write the whole, of which the last is the
# second kernel below.


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
sums, trees = {}, {}
for name, kernel in both.items():
    sums[name] = np.zeros(2, f32)
    trees[name] = launch(kernel, 2, 64, left, right, sums[name])
    print(name, "- right:", np.allclose(sums[name], ((left - right) ** 2).sum(axis=1)))
reduction_tree(trees, "Let the first half add, and whole warps go home early")

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


def busy_warps(kernel, threads=256):
    """Warps with a thread at work, summed over the steps of one block's reduction."""
    x, y = np.ones((2, 1, threads), f32)
    report = launch(kernel, 1, threads, x, y, np.zeros(1, f32))
    stores = sum(s.requests for s in report.sites if (s.space, s.action) == ("shared", "store"))
    return stores - threads // 32  # the first store of each warp only fills the tile


busy = {name: busy_warps(k) for name, k in both.items()}
print("Busy warps of a block of 256 threads:", busy)

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
        "RawKernel, CUDA C": lambda: raw((rows,), (256,), (x, y, out, np.int32(columns))),
        "numba.cuda": lambda: distance_halves[rows, 256](*views),
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
ladder(
    [(way, ways.quantity("seconds", way=way), "gpu") for way in WAYS],
    title="Each temporary array costs a trip to memory and back", label="time",
)

# %% [markdown]
# **Explain.** Both reductions take eight steps, but the first half keeps whole warps together:
# 12 busy warps, not 47. The expression runs three kernels, and two temporary arrays travel
# between them: 24 bytes per number, not 8. Below the megabytes printed above a kernel ends before
# the next is submitted: there fewer *launches* matter, beyond fewer *bytes*. When is each right?
#
# - *Array expression*: first. It is right at once, and often fast enough.
# - *ElementwiseKernel*, *ReductionKernel*: where a profile shows that expressions take the time.
#   One row alone [may run in a single block](https://github.com/cupy/cupy/issues/6512).
# - *RawKernel*: you need shared memory, atomics, other CUDA C.
# - *numba.cuda*: the same in Python, tested here without a GPU.

# %% [markdown]
# ### Queues, and the clock that waits for them
#
# Kernels of one *stream*, a queue, run in the order of their launch; those of different streams may
# overlap. A launch returns as soon as the kernel stands in its queue, so the CPU's clock stops too
# early. An *event* is a time stamp that the GPU writes when the queue reaches it:
# `time_call(..., device="gpu")` puts one before the work and one behind, in the default stream,
# which waits for the others.
#
# **Change one thing.** Set `cycles` to 10,000, as long as a launch: do four queues still help?

# %%
SPIN_CUDA = r"""extern "C" __global__ void spin(long long cycles, long long* took) {
    long long start = clock64(), spent = 0;
    while (spent < cycles) spent = clock64() - start;
    *took = spent;
}"""


def streams_model(kernels, cycles):
    """Cycles at the boost clock, and a launch after the other."""
    launching = overhead("cuda-launch")
    busy, start = cycles / device.boost_clock, launching.value
    times = [start + kernels * busy, kernels * start + busy]
    table = {"streams": [1, kernels], "seconds": times, "launch": [start, start]}
    words = f"boost clock, {device.name}, and launches as on a {launching.device}"
    return Table(table, {"seconds": "s", "launch": "s"}), words


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
calls = [Span(k * launching, (k + 1) * launching, "launch", "cpu") for k in range(kernels)]
row = [Span(launching + k * alone, launching + (k + 1) * alone, f"kernel {k + 1}", "gpu")
       for k in range(kernels)]
side = {f"stream {k + 1}": [Span(call.end, call.end + beside, f"kernel {k + 1}", "gpu")]
        for k, call in enumerate(calls)}
timeline(
    {"One stream": {"CPU": calls, "stream": row}, f"{kernels} streams": {"CPU": calls, **side}},
    title=f"{kernels} queues finish in {many * 1e6:.0f} µs what one does in {one * 1e6:.0f} µs",
    source=f"{queues.source}; totals drawn as equal kernels, launches of {launching * 1e6:.1f} µs",
)

# %% [markdown]
# ## Where this model breaks
#
# - It knows no caches. A neighbour warp often finds the sector that an offset dragged in: then it
#   costs hardly anything.
# - [Some GPUs fetch 64
#   bytes](https://forums.developer.nvidia.com/t/global-memory-access-patterns-too-slow/286508)
#   where 32 are asked for: then it gets worse up to stride 16.
# - It moves bytes at the full rate and prices neither latency nor launch: short kernels are slower,
#   and so are those with few bytes under way.
# - A compiler may keep a number that it loaded; the interpreter counts each load.
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
    f"{loads[8]} at 8 (counted); at stride 4 the copy "
    f"{outcome(strided, 'took', 'take')} {slower:.1f} times as long.",
    f"A block that trades scattered stores for a tile {outcome(turned, 'became', 'become')} up to "
    f"{faster:.1f} times faster, once padding turns {conflict} passes into {repaired} (counted).",
    f"32 lanes on 256 bins queue for {by_global.atomic_contention:.2f} turns (counted); an array "
    f"expression {outcome(ways, 'took', 'take')} {dearer:.1f} times as long as one kernel.",
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


# %%
def sectors(stride, offset, itemsize):
    """Return a whole number of sectors."""
    ...


def column_passes(width):
    """Return a whole number of passes."""
    ...


check("02.sectors", sectors)
check("02.column_passes", column_passes)

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
def fused_gain(inputs, steps):
    """Return a ratio of bytes."""
    ...


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
