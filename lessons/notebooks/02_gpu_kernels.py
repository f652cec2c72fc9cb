# %% [markdown]
# # Write kernels that waste no bytes
#
# **How many of the bytes that a kernel moves does anybody use, and what does the rest cost?**
#
# *You'll do:* write GPU kernels in Python, run them without a GPU in an interpreter that counts
# as the hardware does, and see what each one moves.
#
# *You'll learn*
#
# - why the neighbours in a warp must read neighbours in memory;
# - what a block can do that a thread cannot, and what its barriers and banks cost;
# - what it costs to meet at one address, and which way to write a kernel is right when.
#
# *You'll need:* lesson 01, 60 minutes, any computer.

# %%
import inspect
from math import prod

import numpy as np
from numba import cuda, float32, int32

from aiinfra.facts.catalogue import accelerator, overhead
from aiinfra.measure import MissingRecording, experiment, time_call
from aiinfra.measure.simt import launch
from aiinfra.measure.timing import EventClock
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Choice, Series, Slider, Span, bank_map, explorer, gap, ladder, reduction_tree,
    sweep, timeline, warp_sectors
)
from aiinfra.teach import check, compare, learned, predict, quiz

f32 = np.float32
device = accelerator("h100-sxm")

# %% [markdown]
# ## One thread, one element
#
# A *kernel* is a function that every *thread* of a GPU runs, each with another index. Threads come
# in *blocks* of a size that you choose, the blocks make up the *grid*, and `cuda.grid(1)` is a
# thread's place in the whole grid. `launch(kernel, blocks, threads, ...)` runs a kernel here, on
# the CPU, in an interpreter: slow, exact, and it sees every access. On a GPU the same kernel is
# launched as `kernel[blocks, threads](...)`.
#
# 100 elements in blocks of 32 take 4 blocks, so 28 threads have no element. On a GPU they would
# read and overwrite somebody else's memory. The interpreter catches them, and a *guard* stops
# them.


# %%
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
# 32 threads in a row form a *warp* and run in lockstep; a thread of a warp is a *lane*. When a
# warp reads, its lanes ask together: one *request*. Memory answers in *sectors* of 32 bytes. A
# sector moves whole, however little of it was asked for.
#
# The kernel below copies every `stride`-th number of `x` into a dense `out`: lane by lane, 4 bytes
# read and 4 written. An H100 has nothing else to do here than to move bytes.

# %%
guess_stride = predict(
    "The kernel reads every fourth number instead of every number, and copies as many as before. "
    "How many times longer does it take?",
    unit="x", key="02.stride",
)

# %% [markdown]
# **Measure.** First one warp, counted by the interpreter: its lanes above, the sectors of their
# request below. Edit the pairs and draw again.
#
# Then the whole kernel on a GPU. Where there is neither a GPU nor a recording, a model stands in:
# the sectors that the interpreter counts, loads and stores, at the full bandwidth of the memory.
# (`seconds_each` also prices shared memory, which the next round needs.)


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


pairs = [(1, 0), (1, 1), (4, 0), (8, 0)]
warp_sectors(
    {f"stride {stride}, offset {offset}": one_warp(stride, offset) for stride, offset in pairs},
    "The further apart the lanes read, the more bytes come along",
)


# %%
def seconds_each(report, elements):
    """Seconds an element: bytes moved at full bandwidth, or a pass of the banks each clock."""
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


@experiment(needs="gpu", model=strides_model)
def gpu_strides(strides, size):
    """Time the kernel for growing strides; a useful byte is one that a thread asked for."""
    x, out = cuda.device_array(size * max(strides), f32), cuda.device_array(size, f32)
    copy = copy_strided[-(-size // 256), 256]  # blocks, rounded up, and threads
    rows = []
    for stride in strides:
        run = time_call(copy, x, out, stride, 0, device="gpu")
        rates = run.columns("useful", work=8 * size)
        rows.append({"stride": stride, **run.columns(), **rates})
    return Table.from_rows(rows, {"seconds": "s", "useful": "B/s"})


strided = gpu_strides([1, 2, 3, 4, 6, 8, 12, 16], size=2**26)
sweep(
    [Series("useful bytes", strided["stride"], strided["useful"], "gpu", source=strided.source)],
    x="stride, in numbers of 4 bytes", y=("bandwidth of useful bytes", "B/s"),
    wall_at=[(device.memory_bandwidth, f"memory of the {device.slug}")],
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
# **Explain.** At stride 4 a load moves four times the sectors, of which a quarter is used. The
# store is dense as before, so the whole grows by less. From stride 8 on no two lanes share a
# sector, and it gets no worse. An offset of one number makes the request straddle one sector
# more.
#
# Bytes that come along are not lost if somebody asks for them soon: they lie in a cache. This
# model has none.
#
# **Change one thing.** Move stride, offset and size of an element. When is a large element better
# than a small one? (`warp_sectors` above draws the same without sliders.)


# %%
def draw(axes, stride, offset, kind):
    """One load of one warp, and the bandwidth that its useful bytes get."""
    load = one_warp(stride, offset, np.dtype(kind))
    share = len(set(load.addresses)) * load.itemsize / (32 * load.sectors)
    peak = Quantity(device.memory_bandwidth, "B/s", f"source: {device.name}")
    title = f"Stride {stride}, offset {offset}, {load.itemsize} bytes: {load.sectors} sectors"
    useful = Quantity(share * peak.value, "B/s", "model: share of the moved bytes")
    source = f"model: sectors counted by the interpreter, loads only, {device.name}"
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
# Its threads share a small memory on the chip, and wait for one another at a *barrier*,
# `cuda.syncthreads()`. *Shared memory* has 32 *banks*: word `k` (4 bytes) lies in bank `k % 32`,
# and in one *pass* each bank serves one word. Lanes that want different words of one bank take
# passes in turn, a *bank conflict*.
#
# A transpose needs it. Read along rows and write along columns, and the lanes of a warp write far
# apart. So a block reads a 32 by 32 tile along rows into shared memory, waits, takes columns from
# there, and writes along rows.

# %%
guess_passes = predict(
    "A warp reads one column of a 32 by 32 tile of float32. In how many passes?",
    unit="passes", key="02.passes",
)
guess_transpose = predict(
    "An 8192 by 8192 matrix of float32 on an H100: how many times faster than the direct transpose "
    "is one through tiles without bank conflicts?",
    unit="x", key="02.transpose",
)

# %% [markdown]
# **Measure.** The direct kernel, and the tile in two versions: the second has rows of 33 words, the
# last of which stays empty. The barrier stands outside every `if`: all threads of the block must
# reach it.
#
# The small `turn_around` in the cell after it has no barrier. Its threads read words that other
# warps may not have written yet, a *race*. On a GPU the result is right on some days; the
# interpreter reports the race on every day.


# %%
@cuda.jit
def transpose_direct(x, out):
    """Read along rows, write along columns."""
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        out[column, row] = x[row, column]


@cuda.jit
def transpose_tile(x, out):
    """Through a tile of 32 words a row."""
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
    """Through a tile of 33 words a row, of which 32 are used."""
    tile = cuda.shared.array((32, 33), float32)
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        tile[j, i] = x[row, column]
    cuda.syncthreads()
    column, row = cuda.blockIdx.y * 32 + i, cuda.blockIdx.x * 32 + j
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = tile[i, j]


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
counted = {name: count_transpose(kernel) for name, kernel in transposes.items()}
columns = {
    f"{name}, read by column": next(
        a for a in counted[name].accesses if (a.space, a.action) == ("shared", "load")
    )
    for name in ("tile", "padded")
}
conflict = columns["tile, read by column"].wavefronts
passes_gap = compare(
    guess_passes,
    measured=Quantity(conflict, "passes", "model: counted by the interpreter"),
    model=Quantity(32 / np.unique(np.arange(32) * 32 % 32).size, "passes", "model: k % 32"),
)
bank_map(columns, "One empty word a row gives each lane its own bank")

# %%
def transpose_model(size):
    """Count a small transpose: its sectors in memory, or its passes over the banks."""
    reports = {name: count_transpose(kernel) for name, kernel in transposes.items()}
    rows = [{"kernel": name, "rate": 8 / seconds_each(report, 64 * 64)}
            for name, report in reports.items()]
    return Table.from_rows(rows, {"rate": "B/s"}), f"counted sectors and passes, {device.name}"


@experiment(needs="gpu", model=transpose_model)
def gpu_transpose(size):
    """Time the three transposes; each element counts 4 bytes in and 4 out."""
    x, out = cuda.device_array((size, size), f32), cuda.device_array((size, size), f32)
    rows = []
    for name, kernel in transposes.items():
        blocks = -(-size // 32)
        run = time_call(kernel[(blocks, blocks), (32, 32)], x, out, device="gpu")
        rows.append({"kernel": name, **run.columns("rate", work=8 * size * size)})
    return Table.from_rows(rows, {"rate": "B/s"})


turned = gpu_transpose(size=8192)
rates = dict(zip(turned["kernel"], turned["rate"], strict=True))
faster = rates["padded"] / rates["direct"]
transpose_gap = compare(
    guess_transpose,
    measured=Quantity(faster, "x", turned.source),
    model=Quantity((4 + 32) / (4 + 4), "x", "model: 4 sectors in and 32 out, against 4 and 4"),
)
ladder(
    [(name, turned.quantity("rate", kernel=name), "gpu") for name in transposes],
    title="The tile repairs the sectors, the padding repairs the tile",
    label="useful bytes per second",
)

# %% [markdown]
# **Explain.** Directly, each store of a warp touches one sector a lane. Through the tile, loads
# and stores are dense; then the tile's column is the bottleneck, all of it in one bank, until
# padding moves each row one bank on.
#
# **Change one thing.** Mend the barrier of `turn_around` and run its cell again. Then give the
# tile of `transpose_padded` rows of 34 words.
#
# ## What does it cost to meet at one address?
#
# A histogram counts how often each value occurs. Two threads that add to one bin at the same time
# would lose a count. An *atomic* addition lets them in one after another: lanes of a warp that
# meet at one bin take *turns*.

# %%
guess_turns = predict(
    "The 32 lanes of a warp add to 256 bins at random. How many turns does the addition take on "
    "average, that is, how many lanes meet at the fullest bin?",
    unit="turns", key="02.turns",
)

# %% [markdown]
# **Measure.** The second kernel is the usual one: each block counts in a histogram of its own in
# shared memory, and adds it to the common one at the end. Its loop lets few blocks walk over many
# values, a whole grid a step (a *grid-stride loop*). The model stops at pairs: one turn, and one
# more if any two lanes meet.


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
    [Series("counted", sizes, turns, "gpu", source="model: counted by the interpreter"),
     Series("pairs only", sizes, [pairs_meet(bins) for bins in sizes], "model",
            source="model: chance that two lanes meet")],
    x="bins", y="turns of an addition",
    title="The fewer the bins, the longer the queue at each",
)


# %%
@experiment(needs="gpu")
def gpu_histograms(size):
    """Time both kernels on random and on equal values; a rate is values per second."""
    draws = np.random.default_rng(2).integers(0, 256, size, dtype=np.int32)
    bins, rows = cuda.to_device(np.zeros(256, np.int32)), []
    for name, values in {"random": draws, "equal": 0 * draws}.items():
        values = cuda.to_device(values)
        for kernel, blocks in ((histogram_global, -(-size // 256)), (histogram_shared, 512)):
            run = time_call(kernel[blocks, 256], values, bins, device="gpu")
            columns = {"kernel": kernel.__name__, "values": name}
            rows.append({**columns, **run.columns("rate", work=size)})
    return Table.from_rows(rows, {"rate": "values/s"})


try:
    print(gpu_histograms(size=2**26))
except MissingRecording:
    print("Neither a GPU nor a recording of one is at hand, and no model prices a turn.")
by_global, by_shared = count_turns(256), count_turns(256, histogram_shared, blocks=4)
sites = {s.space: s.lanes for s in by_shared.sites if s.action == "atomic"}
print(f"8,192 values: one kernel adds {by_global.atomics:,} times in global memory, the other "
      f"{sites['shared']:,} times in shared and {sites['global']:,} times in global memory.")
turns_gap = compare(
    guess_turns,
    measured=Quantity(by_global.atomic_contention, "turns", "model: counted by the interpreter"),
    model=Quantity(pairs_meet(256), "turns", "model: chance that two lanes meet"),
)
gap(turns_gap, "With eight bins for each lane, some two lanes still meet", kind="gpu")

# %% [markdown]
# **Explain.** 32 lanes form 496 pairs, so in seven of eight additions some two meet, like birthdays
# in a class. The model forgets that three may. Shared memory does not shorten the queue of a warp;
# it keeps the queues on the chip, and apart from those of other blocks.
#
# **Change one thing.** Make all values equal in `count_turns`: add `values *= 0`.
#
# ## Which way to write it is right?
#
# How far apart are many pairs of vectors? For each pair, sum `(x - y)**2`. Threads that all add to
# one address would queue, so those of a block add numbers two by two, then the sums: a
# *reduction*. CuPy, with a pair a row, does it by `d = x - y; (d * d).sum(axis=1)`.

# %%
guess_fused = predict(
    "8,192 pairs of vectors of 8,192 float32: how many times longer than one kernel that does all "
    "at once does `d = x - y; (d * d).sum(axis=1)` take?",
    unit="x", key="02.fused",
)

# %% [markdown]
# **Measure.** First the reduction of a block, in two versions with the same steps and barriers.
# They differ in who works. A warp with one thread at work takes as long as a full one. Then five
# ways to write the whole, of which the last is the second kernel below.


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
out = np.zeros(2, f32)
trees = {
    "every second adds its neighbour": launch(distance_neighbours, 2, 64, left, right, out),
    "the first half adds the second": launch(distance_halves, 2, 64, left, right, out),
}
print("right:", np.allclose(out, ((left - right) ** 2).sum(axis=1)))
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
WAYS = {  # bytes a number: each array, temporary ones too, is written once and read once
    "array expression": (4 + 4 + 4) + (4 + 4) + 4,
    "ElementwiseKernel, then sum": (4 + 4 + 4) + 4,
    "ReductionKernel": 4 + 4,
    "RawKernel, CUDA C": 4 + 4,
    "numba.cuda": 4 + 4,
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

    x, y = cp.ones((rows, columns), f32), cp.zeros((rows, columns), f32)
    out, pair = cp.zeros(rows, f32), "float32 x, float32 y"
    square = cp.ElementwiseKernel(pair, "float32 z", "z = (x - y) * (x - y)", "square_difference")
    fused = cp.ReductionKernel(
        pair, "float32 z", "(x - y) * (x - y)", "a + b", "z = a", "0", "fused_distance"
    )
    raw = cp.RawKernel(DISTANCE_CUDA, "distance")
    views = [cuda.as_cuda_array(array) for array in (x, y, out)]

    def expression():
        d = x - y
        return (d * d).sum(axis=1)

    calls = {
        "array expression": expression,
        "ElementwiseKernel, then sum": lambda: square(x, y).sum(axis=1),
        "ReductionKernel": lambda: fused(x, y, axis=1),
        "RawKernel, CUDA C": lambda: raw((rows,), (256,), (x, y, out, np.int32(columns))),
        "numba.cuda": lambda: distance_halves[rows, 256](*views),
    }
    runs = {way: time_call(call, device="gpu") for way, call in calls.items()}
    table = [{"way": way, **run.columns()} for way, run in runs.items()]
    return Table.from_rows(table, {"seconds": "s"})


ways = gpu_ways(rows=8192, columns=8192)
times = dict(zip(ways["way"], ways["seconds"], strict=True))
dearer = times["array expression"] / times["ReductionKernel"]
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
# **Explain.** The expression runs three kernels, and two temporary arrays travel between them. When
# is each way right?
#
# - *Array expression*: always first. It is right at once, and often fast enough.
# - *ElementwiseKernel*, *ReductionKernel*: a profile shows that expressions take the time. Have
#   many results: [one alone may run in a single
#   block](https://github.com/cupy/cupy/issues/6512).
# - *RawKernel*: you need shared memory, atomics, or anything else that CUDA C has.
# - *numba.cuda*: the same in Python, tested here without a GPU.
#
# **Change one thing.** Kernels of one *stream* run in the order of their launch; those of
# different streams may overlap. A clock must wait for all: an *event* is a time stamp in the
# queue. Raise `cycles` or `kernels` below.

# %%
SPIN_CUDA = r"""
extern "C" __global__ void spin(long long cycles)
{
    long long start = clock64();
    while (clock64() - start < cycles) { }
}
"""


def streams_model(kernels, cycles):
    """Cycles at the boost clock, and a launch after the other."""
    busy, start = cycles / device.boost_clock, overhead("cuda-launch").value
    times = [start + kernels * busy, kernels * start + busy]
    table = Table({"streams": [1, kernels], "seconds": times}, {"seconds": "s"})
    return table, f"clock and launches, {device.name}"


@experiment(needs="gpu", model=streams_model)
def gpu_streams(kernels, cycles):
    """Launch kernels of one block each that keep one processor busy, in one queue or several."""
    import cupy as cp

    spin, rows = cp.RawKernel(SPIN_CUDA, "spin"), []
    for streams in (1, kernels):
        queues = [cp.cuda.Stream() for _ in range(streams)]

        def submit(queues=queues):
            for k in range(kernels):
                with queues[k % len(queues)]:
                    spin((1,), (1,), (np.int64(cycles),))

        rows.append({"streams": streams, **time_call(submit, device="gpu").columns()})
    return Table.from_rows(rows, {"seconds": "s"})


kernels = 4
print(inspect.getsource(EventClock.measure))  # what time_call(..., device="gpu") does
queues = gpu_streams(kernels, cycles=200_000)
one, many = (queues.quantity("seconds", streams=n).value for n in (1, kernels))
names = {k: f"kernel {k + 1}" for k in range(kernels)}
queue = [Span(k * one / kernels, (k + 1) * one / kernels, names[k], "gpu") for k in names]
timeline(
    {"one stream": queue}
    | {f"stream {k + 1} of {kernels}": [Span(0, many, names[k], "gpu")] for k in names},
    title="Small kernels share the GPU only if they stand in different queues",
    source=f"{queues.source}; totals, drawn in equal parts",
)

# %% [markdown]
# ## Where this model breaks
#
# - It knows no caches. A neighbour warp often finds the sector that an offset dragged in, and L2
#   may gather scattered stores: expect hardly a price for an offset, and less gain from the tile.
# - [Some GPUs fetch 64 bytes](https://forums.developer.nvidia.com/t/global-memory-access-patterns-too-slow/286508)
#   from memory where 32 are asked for: then large strides cost up to twice as much.
# - It moves bytes at the full rate and prices neither latency nor launch: few threads or short
#   kernels are slower.
# - A compiler may load a number once and keep it; the interpreter counts it each time.
# - Turns: for one bin the model of pairs says 2, the count 32.
#
# ## You learned

# %%
loads = {stride: one_warp(stride, 0).sectors for stride in (1, 4, 8)}
learned(
    f"A warp's load of float32 moves {loads[1]} sectors at stride 1, {loads[4]} at 4 and "
    f"{loads[8]} at 8 (counted); the copy takes {slower:.1f} times as long at 4 ({strided.kind}).",
    f"A block trades scattered stores for a tile and gets {faster:.1f} times faster "
    f"({turned.kind}), once padding has turned {conflict} passes into 1 (counted).",
    f"32 lanes on 256 bins queue for {by_global.atomic_contention:.2f} turns (counted); an array "
    f"expression took {dearer:.1f} times as long as one kernel "
    f"({ways.kind}).",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: count the sectors
#
# Write `sectors(stride, offset, itemsize)`: how many 32-byte sectors does a warp's load touch,
# when lane `k` reads element `k * stride + offset` of an array of `itemsize` bytes an element? The
# array begins at a sector; `itemsize` is 1, 2, 4, 8 or 16.
#
# <details><summary>Hint 1</summary>At which byte does lane k read, and in which sector is
# that?</details>
#
# <details><summary>Hint 2</summary>Put the sectors of all 32 lanes into a set.</details>


# %%
def sectors(stride, offset, itemsize):
    """Return a whole number of sectors."""
    ...


check("02.sectors", sectors)

# %% [markdown]
# ### Exercise 2: how much padding?
#
# Write `column_passes(width)`: in how many passes does a warp read a column of 32 words from a
# tile of float32 with `width` words a row? Then: which widths are free of conflicts?
#
# <details><summary>Hint 1</summary>Lane k reads word k * width. In which bank is it?</details>
#
# <details><summary>Hint 2</summary>Count how many lanes are in the fullest bank.</details>


# %%
def column_passes(width):
    """Return a whole number of passes."""
    ...


check("02.column_passes", column_passes)

# %% [markdown]
# ### Exercise 3: what does fusing save?
#
# Write `fused_gain(inputs, steps)`: an expression over `inputs` long arrays takes `steps` kernels,
# each of which reads two arrays and writes one. A fused kernel reads each input once and writes
# the result once. How many times fewer bytes does it move? All elements have the same size.
#
# <details><summary>Hint 1</summary>How many arrays travel in either case, there or
# back?</details>
#
# <details><summary>Hint 2</summary>Three for each step, against the inputs and one.</details>


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
