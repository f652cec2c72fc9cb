# %% [markdown]
# # Find out why memory runs out before arithmetic
#
# **How many operations must a program do with each byte, so that memory does not hold it up?**
#
# *You'll do:* measure the caches and the memory of this machine, count the bytes that a line of
# NumPy moves, and draw the roof under which every kernel stands.
#
# *You'll learn*
#
# - what each step from the nearest cache to memory costs;
# - which bytes a loop pays for, and what joining loops saves;
# - what a roofline says about a kernel, on this machine and on an accelerator.
#
# *You'll need:* lessons 00 and 01, 75 minutes, any computer.

# %%
import numba
import numpy as np
from numba import cuda, prange

from aiinfra.facts.catalogue import accelerator
from aiinfra.measure import cublas, experiment, probe, time_call
from aiinfra.measure.machine import cores_at_work
from aiinfra.model import roofline as model
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Ceiling, Choice, Point, Series, Slider, Span, explorer, gap, roofline, sweep, timeline
)
from aiinfra.show.ridges import ridges
from aiinfra.teach import check, compare, learned, ledger, predict, quiz
from aiinfra.units import format_quantity

f32 = np.float32
machine = probe()
cores = min(machine.cores_usable, numba.config.NUMBA_NUM_THREADS)
numba.set_num_threads(cores)
roomy = (machine.memory_available or 2**31) > 2**30  # else smaller arrays
caches = [cache for cache in machine.caches if cache.kind != "instruction"]
machine

# %% [markdown]
# ## What does a step away from the core cost?
#
# Between a core and memory lie caches: small memories that keep the lines (64 bytes, on most
# machines) used last. The table names this machine's. What does not fit one is fetched from the
# next, larger and slower.
#
# STREAM, the benchmark of J. McCalpin, times four loops that do almost nothing but move numbers,
# here of 8 bytes. It counts what the formula names:
#
# - copy, `a = b`, and scale, `a = s*b`: 16 bytes an element;
# - add, `a = b + c`, and triad, `a = b + s*c`: 24 bytes.
#
# The *working set* is all that a loop touches, its arrays together.

# %%
guess_steps = predict(
    "One core: how many times faster does a triad run in the nearest cache than from memory?",
    unit="x", key="03.caches",
)

# %% [markdown]
# **Measure.** Each loop goes over its arrays again and again, so that what fits a cache is there.
# NumPy needs two passes for a triad and gets room for its results. *Bandwidth* is bytes a second,
# here the bytes that STREAM counts. Like STREAM, the figure shows the fastest of the repeats:
# others on the machine only ever slow a loop down. Whiskers reach down to the median. All cores
# wait for the last of them: where one is shared, their line sinks, and says little on short loops.


# %%
@numba.njit
def copy(a, b, c, s):
    """Two arrays, 16 bytes an element."""
    for i in range(a.size):
        a[i] = b[i]


@numba.njit
def scale(a, b, c, s):
    """Two arrays, 16 bytes an element."""
    for i in range(a.size):
        a[i] = s * b[i]


@numba.njit
def add(a, b, c, s):
    """Three arrays, 24 bytes an element."""
    for i in range(a.size):
        a[i] = b[i] + c[i]


@numba.njit
def triad(a, b, c, s):
    """Three arrays, 24 bytes an element."""
    for i in range(a.size):
        a[i] = b[i] + s * c[i]


def shared_out(kernel):
    """Compile a kernel for one core and for all: each takes a part and repeats it."""
    def run(a, b, c, s, parts, times):
        for part in prange(parts):
            first, end = part * a.size // parts, (part + 1) * a.size // parts
            for _ in range(times):
                kernel(a[first:end], b[first:end], c[first:end], s)

    return numba.njit(run), numba.njit(parallel=True)(run)


def by_numpy(name, a, b, c, s):
    """The same four in NumPy, one call for each pass."""
    match name:
        case "copy":
            np.copyto(a, b)
        case "scale":
            np.multiply(b, s, out=a)
        case "add":
            np.add(b, c, out=a)
        case "triad":
            np.multiply(c, s, out=a)
            np.add(a, b, out=a)


# %%
def aligned(n, dtype=np.float64):
    """Ones that begin where a cache line does."""
    word = np.dtype(dtype).itemsize
    space = np.empty(n + 64 // word, dtype)
    x = space[-space.ctypes.data // word % (64 // word) :][:n]
    x[:] = 1
    return x


def best_rate(run, n_bytes, name="bandwidth"):
    """The fastest of the repeats as a rate, with the median as its lower end."""
    best, median = n_bytes / run.best, n_bytes / run.median
    return {name: best, f"{name}_low": median, f"{name}_high": best}


STREAM = {kernel.__name__: shared_out(kernel) for kernel in (copy, scale, add, triad)}
ARRAYS = {"copy": 2, "scale": 2, "add": 3, "triad": 3}


@experiment(needs="cpu")
def stream(sizes):
    """STREAM over growing working sets: NumPy, compiled on one core, compiled on all."""
    rows = []
    for name, (one, every) in STREAM.items():
        for size in sizes:
            a, b, *more = (aligned(size // (8 * ARRAYS[name])) for _ in range(ARRAYS[name]))
            data, times = (a, b, *(more or [b]), 0.5), max(1, 2**23 // size)
            runs = {
                "NumPy": (1, time_call(by_numpy, name, *data, repeats=7)),
                "one core": (times, time_call(one, *data, 1, times, repeats=7)),
                "all cores": (times, time_call(every, *data, cores, times, repeats=7)),
            }
            work = 8 * ARRAYS[name] * a.size
            rows += [{"kernel": name, "way": way, "size": size, **best_rate(run, work * turns)}
                     for way, (turns, run) in runs.items()]
            del a, b, more, data  # before the next ones ask for room
    return Table.from_rows(rows, {"size": "B", "bandwidth": "B/s"})


LARGEST, SHOWN = 2**28 if roomy else 2**26, "triad"  # bytes; the kernel in the figure
streams = stream([2**k for k in range(12, LARGEST.bit_length())])
ways = {way: streams.table.where(kernel=SHOWN, way=way) for way in dict.fromkeys(streams["way"])}
one = ways["one core"]["bandwidth"]
large = [streams.quantity("bandwidth", kernel="triad", way=way, size=LARGEST) for way in ways]
ledger.keep("triad_bandwidth", max(large[1:], key=float))  # compiled; one core or all
steps_gap = compare(guess_steps, measured=Quantity(max(one) / one[-1], "x", streams.source))
sweep(
    [Series(way, t["size"], t["bandwidth"], "cpu", t["bandwidth_low"], t["bandwidth_high"],
            streams.source) for way, t in ways.items()],
    x=("working set", "B"), y=(f"bandwidth of the {SHOWN}, as counted", "B/s"),
    guides=[(cache.bytes, f"L{cache.level}") for cache in caches],
    title=f"Caches are steps: one core falls from {max(one) / 1e9:.0f} to {one[-1] / 1e9:.0f} GB/s",
)

# %% [markdown]
# **Explain.** A line from the nearest cache, L1, comes every cycle or two; one from memory takes
# hundreds. With `n` lines of 64 bytes under way and a delay of `d` seconds a core gets `64 n / d`:
# 40 lines and 100 ns make 26 GB/s. Each physical core has its own L1 and L2; where two of yours are
# *hardware threads* of one, the first table says so. NumPy is slow on the left: each call takes
# longer than its work.
#
# **Change one thing.** Set `SHOWN = "copy"`. Which end changes more?
#
# ## Which bytes does a loop pay for?
#
# `b + s*c` counts 24 bytes an element. Two programs do it on one core, outside all caches: a
# compiled loop that writes over `b`, and NumPy's `a = b + s * c`.

# %%
guess_line = predict(
    "How many times longer than the compiled loop does NumPy's line take?", unit="x",
    key="03.numpy_line",
)

# %% [markdown]
# **Measure.** Beside the two, three more ways show what makes the difference: reading one array
# and adding it up, the compiled triad into an array of its own, and NumPy with room for its
# results. The table counts bytes an element in three ways. A core that writes to a line it has
# not read first *fetches* that line, to keep the rest of it: *write-allocate*. So:
#
# - *counted*: each number that the formula reads or writes, in each pass;
# - *fetched*: what travels from memory to the core, lines to be overwritten included;
# - *moved*: what travels either way, lines fetched and lines written back.


# %%
@numba.njit(fastmath=True)
def total(a, b, c, s):
    """Read one array."""
    t = 0.0
    for i in range(b.size):
        t += b[i]
    return t


@numba.njit
def triad_over(a, b, c, s):
    """The triad, written over one of its inputs."""
    for i in range(b.size):
        b[i] = b[i] + s * c[i]


def numpy_line(a, b, c, s):
    """The line as people write it: `s * c` needs room, asked for anew, that the sum goes over."""
    return b + s * c


read = model.Work(1, 8, 0, 0)  # for one element: FLOP, bytes read, written, written without reading
over = model.elementwise(1, reads=2, flop=2, word=8, in_place=True)
two_passes = model.elementwise(1, 1, 1, 8) + model.elementwise(1, 2, 1, 8, in_place=True)
WAYS = {
    "sum": (total, read), "triad over b": (triad_over, over), "triad": (triad, model.triad(1)),
    "NumPy, with room": (lambda *data: by_numpy("triad", *data), two_passes),
    "NumPy's line": (numpy_line, two_passes),
}


@experiment(needs="cpu")
def ways_to_add(elements):
    """Five ways through large arrays on one core: time for an element, rates by three counts."""
    data, rows = (*(aligned(elements) for _ in range(3)), 1e-9), []
    for way, (loop, work) in WAYS.items():
        each = time_call(loop, *data, repeats=11, warmup=2).best / elements
        rates = {"counted": work.n_bytes, "fetched": work.fetched, "moved": work.moved}
        rows.append({"way": way, "seconds": each} | {a: n / each for a, n in rates.items()})
    return Table.from_rows(rows, {"seconds": "s"} | dict.fromkeys(rates, "B/s"))


adding = ways_to_add(LARGEST // 32)
print(adding, "Of the first four, the fastest over the slowest:", sep="\n")
for a in ("counted", "fetched", "moved"):
    print(f"  {a}: {max(adding[a][:4]) / min(adding[a][:4]):.2f}x")
line_gap = compare(
    guess_line,
    measured=Quantity(adding["seconds"][-1] / adding["seconds"][1], "x", adding.source),
    model=Quantity(two_passes.moved / over.moved, "x", "model: bytes moved, 48 against 24"),
)
gap(line_gap, title=f"One line of NumPy, {line_gap.measured.value:.1f} times the time of one loop")

# %% [markdown]
# **Explain.** The right account is the one by which the first four run alike: the last lines of
# the output say which. Mostly a core waits for what it fetches; where many share the wires to
# memory, what is moved does. A second pass doubles either. The rest of NumPy's line is new
# memory, which the system clears page by page, often 4 KiB each.
#
# **Change one thing.** A chain as at the end of a layer: scale, shift, cut at zero, scale, add a
# *residual* `r`. NumPy takes five passes. *Fused*, one loop does all five while a number is at
# hand. Or five passes over a *block* that fits a cache, then the next. Which gain?


# %%
def chain_in_blocks(x, r, y, block):
    """Five NumPy passes over one block after another."""
    for first in range(0, x.size, block):
        part = slice(first, first + block)
        u, v = x[part], y[part]
        np.multiply(u, f32(0.5), out=v)
        np.add(v, f32(0.1), out=v)
        np.maximum(v, f32(0), out=v)
        np.multiply(v, f32(2), out=v)
        np.add(v, r[part], out=v)


@numba.njit
def chain_fused(x, r, y):
    """The same in one pass."""
    for i in range(x.size):
        y[i] = max(x[i] * f32(0.5) + f32(0.1), f32(0)) * f32(2) + r[i]


fused = model.elementwise(1, reads=2, flop=5)
unfused = model.elementwise(1, 1, 1) + model.elementwise(1, 2, 1, in_place=True)
for _ in range(3):
    unfused += model.elementwise(1, 1, 1, in_place=True)


@experiment(needs="cpu")
def chains(elements, blocks):
    """The chain fused, and in blocks of NumPy, on one core."""
    x, r, y = (aligned(elements, f32) for _ in range(3))
    runs = {block: time_call(chain_in_blocks, x, r, y, block, repeats=5) for block in blocks}
    runs[0] = time_call(chain_fused, x, r, y, repeats=11)
    return Table.from_rows([{"block": block, **best_rate(run, elements, "rate")}
                            for block, run in runs.items()], {"rate": "elements/s"})


blocks = [2**k for k in range(10, 24)]
chain = chains(2**23, blocks)
passes = chain.table.where(block=0)["rate"][0]
whole = chain.quantity("rate", block=blocks[-1])
by_bytes = [passes * fused.fetched / unfused.fetched] * 2
sweep(
    [Series("NumPy, in blocks", blocks, chain["rate"][:-1], "cpu", chain["rate_low"][:-1],
            chain["rate_high"][:-1], chain.source),
     Series("fused loop", [blocks[0], blocks[-1]], [passes] * 2, "cpu", source=chain.source),
     Series("model: five passes through memory", blocks[-4::3], by_bytes, "model",
            source="model: bytes fetched, 28 against 12")],
    x=("elements in a block", ""), y=("elements a second", "elements/s"),
    guides=[(cache.bytes / 12, f"L{cache.level}") for cache in caches],
    title=f"Fusing makes the chain {passes / whole.value:.1f} times faster, "
          f"blocks {max(chain['rate'][:-1]) / whole.value:.1f} times at best",
)

# %% [markdown]
# **Explain.** Blocks save trips to memory but make more calls, each of the same cost: small ones
# lose more than their cache gives. The fused loop has one call and no trips.
#
# ## How much of this CPU's arithmetic can a kernel use?
#
# A program that does `I` operations (FLOP; a multiply-add is two) for each byte counted, its
# *arithmetic intensity*, cannot run faster than `I` times the bandwidth; nor faster than the
# arithmetic, the *peak*. The lower is the *roof*. At the *ridge* they meet: left of it memory sets
# the pace, right of it arithmetic.
#
# The ceilings: the fastest of two triads and reading alone, of multiply-adds on numbers
# kept in the core and a product by NumPy's library (BLAS).


# %%
@numba.njit(fastmath={"contract"})  # may fuse a multiply and an add, as hardware does
def polynomials(a, b, c, s):
    """Four polynomials of degree 32 at each b: 256 FLOP for each number read."""
    for i in range(b.size):
        v, p, q, r, t = b[i], f32(1), f32(2), f32(3), f32(4)
        for _ in range(32):
            p, q, r, t = p * v + v, q * v + v, r * v + v, t * v + v
        a[i] = p + q + r + t


@numba.njit(parallel=True, fastmath=True)
def dot(x, y):
    """Sum of the products: 2 FLOP and 8 bytes."""
    t = f32(0)
    for i in prange(x.size):
        t += x[i] * y[i]
    return t


@experiment(needs="cpu")
def ceilings(size):
    """The best rates of memory and of float32 arithmetic that anything here reaches."""
    data = (*(aligned(size // 24) for _ in range(3)), 1e-9)
    x, y = aligned(2048 * cores, f32) / f32(2), aligned(2048 * cores, f32)
    a, b, c = np.ones((3, 1024, 1024), f32)
    lone, together = shared_out(polynomials)
    many, flop = (y, x, x, 0, cores, 64), 256 * x.size * 64
    calls = {
        "triad": (24 * data[0].size, "B/s", shared_out(triad)[1], *data, cores, 1),
        "triad over b": (24 * data[0].size, "B/s", shared_out(triad_over)[1], *data, cores, 1),
        "reading alone": (16 * data[0].size, "B/s", dot, *data[:2]),
        "multiply-adds, one core": (flop, "FLOP/s", lone, *many),
        "multiply-adds, all cores": (flop, "FLOP/s", together, *many),
        "BLAS": (2 * 1024**3, "FLOP/s", np.matmul, a, b, c),
    }
    best = {name: (0.0, unit) for name, (_, unit, *_) in calls.items()}
    for _ in range(5):  # in turns: a system may put all threads on one core for a while
        for name, (work, unit, *call) in calls.items():
            rate = work / time_call(*call, repeats=5).best
            best[name] = max(best[name], (rate, unit))
    return Table.from_rows([{"limit": k, "rate": v, "of": u} for k, (v, u) in best.items()], {})


tops = ceilings(LARGEST)
limits = dict(zip(tops["limit"], tops["rate"], strict=True))
for limit, unit in zip(limits, tops["of"], strict=True):
    print(f"{limit}: {format_quantity(limits[limit], unit)}")

# %%
def sharing():
    """Say that these cores are shared, in words for the source of the peak; nothing if not."""
    if tops.kind != "measured":
        return ""
    had = cores_at_work(dot, *(aligned(2**22, f32) for _ in range(2)))
    print(f"A loop on all cores gets {had:.2g} of {cores}: processor time over time on the clock.")
    if machine.threads_share:
        print(f"These are {machine.cores_words}: two of one core share its arithmetic.")
    if had < 0.85 * cores:
        return f", with {had:.2g} of {cores} cores to itself"
    gain = limits["multiply-adds, all cores"] / limits["multiply-adds, one core"]
    alike = gain < min(cores, 1.5) and not machine.threads_share
    return ", where all cores do little more than one" if alike else ""


bandwidth = Quantity(max(tops.table.where(of="B/s")["rate"]), "B/s", tops.source)
peak = Quantity(max(tops.table.where(of="FLOP/s")["rate"]), "FLOP/s", tops.source + sharing())
ledger.keep("peak_rate", peak)
ridge = model.ridge(peak.value, bandwidth.value)
print(f"roof: {bandwidth}", f"      {peak}", f"ridge: {ridge:.1f} FLOP/B", sep="\n")
guess_axpy = predict(
    "All cores: what share of this CPU's peak does axpy, y = a*x + y, reach on long vectors?",
    unit="%", key="03.axpy_share",
)

# %% [markdown]
# **Measure.** Eight kernels, compiled or NumPy's, on large float32 arrays, each counted by its
# docstring; the table adds the bytes moved. *Layer norm* gives each row mean 0 and variance 1.
# *Attention* compares *queries* with *keys* and mixes *values* accordingly, in several
# independent *heads*.
#
# The roof uses bytes as counted. The triad into a new array (your ledger keeps it) moves 32 for 24
# counted, the other two loops what they count. The fastest makes the roof: for kernels that write
# afresh it lies up to 1.5 times too high. And axpy *is* the triad over `b`, in float32: beside a
# slope of its own making it would test nothing, so its model takes the faster of the other two.


# %%
@numba.njit(parallel=True)
def axpy(a, x, y):
    """Add a*x to y: 2 FLOP and 12 bytes."""
    for i in prange(x.size):
        y[i] += a * x[i]


@numba.njit(parallel=True)
def stencil(x, y):
    """Mix each point of a grid with its four neighbours: 6 FLOP and 8 bytes."""
    for i in prange(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            around = x[i - 1, j] + x[i + 1, j] + x[i, j - 1] + x[i, j + 1]
            y[i, j] = f32(0.5) * x[i, j] + f32(0.125) * around


@numba.njit(parallel=True, fastmath=True)
def spmv(start, column, value, x, y):
    """Sparse matrix by vector: 2 FLOP and 8 bytes for each number that is not zero."""
    for i in prange(y.size):
        t = f32(0)
        for j in range(start[i], start[i + 1]):
            t += value[j] * x[column[j]]
        y[i] = t


@numba.njit(parallel=True, fastmath=True)
def softmax(x, y):
    """Exponentials of each row, scaled to sum to one: 5 FLOP and 8 bytes."""
    for i in prange(x.shape[0]):
        row, out = x[i], y[i]
        top, t = row[0], f32(0)
        for j in range(row.size):
            top = max(top, row[j])
        for j in range(row.size):
            out[j] = np.exp(row[j] - top)
            t += out[j]
        for j in range(row.size):
            out[j] *= f32(1) / t


@numba.njit(parallel=True, fastmath=True)
def layer_norm(x, scale, shift, y):
    """Shift and scale each row to mean 0 and variance 1, then as learned: 8 FLOP and 8 bytes."""
    for i in prange(x.shape[0]):
        row, out, mean, square = x[i], y[i], f32(0), f32(0)
        for j in range(row.size):
            mean += row[j] / f32(row.size)
        for j in range(row.size):
            square += (row[j] - mean) * (row[j] - mean)
        factor = f32(1) / np.sqrt(square / f32(row.size) + f32(1e-5))
        for j in range(row.size):
            out[j] = (row[j] - mean) * factor * scale[j] + shift[j]


# %%
SIDE = 4096 if roomy else 2048  # numbers in a row, and rows


def attention(q, k, v, scores, out):
    """Each query takes the mean of v, weighted by its products with the keys; in each head."""
    np.matmul(q, k.swapaxes(1, 2), out=scores)
    rows = scores.reshape(-1, scores.shape[-1])
    softmax(rows, rows)
    np.matmul(scores, v, out=out)


def cases(x, y):
    """Kernels on large arrays: what each must do and move, and how to run it."""
    n, grid, out = SIDE * SIDE, x.reshape(SIDE, SIDE), y.reshape(SIDE, SIDE)
    rows, wide = n // 64, SIDE * 16  # of the sparse matrix, 32 numbers a row, and of its vector
    start = np.arange(0, 32 * rows + 1, 32, dtype=np.int32)
    column = np.random.default_rng(3).integers(0, wide, 32 * rows, dtype=np.int32)
    (k, v), few = x.reshape(2, 32, -1, 64), n // 4096
    yield from [("axpy", model.axpy(n), (axpy, f32(0.5), x, y)), ("dot", model.dot(n), (dot, x, y)),
                ("stencil", model.stencil(SIDE, SIDE), (stencil, grid, out))]
    sparse = (spmv, start, column, x, x[:wide], y[:rows])
    yield "sparse matrix", model.spmv(rows, wide, 32 * rows), sparse
    yield "layer norm", model.layer_norm(SIDE, SIDE), (layer_norm, grid, x[:SIDE], y[:SIDE], out)
    yield "softmax", model.softmax(SIDE, SIDE), (softmax, grid, out)
    one, room = x[:2048].reshape(32, 1, 64), y[: 32 * few].reshape(32, 1, few)
    last = (attention, one, k, v, room, y[-2048:].reshape(32, 1, 64))
    yield "attention, 1 query", model.attention(1, few, 64, 32), last
    product = (np.matmul, grid[:512], grid, out[:512])
    yield "matmul, 512 rows", model.matmul(512, SIDE, SIDE), product


@experiment(needs="cpu")
def kernels():
    """Time real kernels on all cores, on large arrays of float32."""
    (x, y), rows = np.random.default_rng(1).random((2, SIDE * SIDE), f32), []
    for name, work, call in cases(x, y):
        run = time_call(*call, repeats=7)
        counts = {"FLOP": work.flop, "counted": work.n_bytes, "moved": work.moved}
        rows.append({"kernel": name, **counts, "intensity": work.intensity,
                     **best_rate(run, work.flop, "rate")})
    return Table.from_rows(rows, {"FLOP": "FLOP", "counted": "B", "moved": "B",
                                  "intensity": "FLOP/B", "rate": "FLOP/s"})


placed = kernels()
apart = max(limits[name] for name in ("triad", "reading alone"))  # other loops than axpy
axpy_gap = compare(
    guess_axpy,
    measured=Quantity(100 * placed["rate"][0] / peak.value, "%", placed.source),
    model=Quantity(100 * model.axpy(1).intensity * apart / peak.value, "%",
                   "model: intensity times bandwidth, of the triad or reading alone"),
)
gap(axpy_gap, title=f"Memory leaves axpy {axpy_gap.measured.value:.1f} % of the arithmetic")

# %%
here = Ceiling("this machine", bandwidth.value, peak.value, "cpu", peak.source)
points = [Point(*row, "cpu", placed.source)
          for row in zip(placed["kernel"], placed["intensity"], placed["rate"], strict=True)]
left = sum(point.intensity < ridge for point in points)
near = sum(2 * point.rate > here.at(point.intensity) for point in points)
print(Table.from_rows([
    {name: row[name] for name in ("kernel", "FLOP", "counted", "moved")}
    | {"share of the roof (%)": 100 * row["rate"] / here.at(row["intensity"])}
    for row in placed.table.rows()
], {"FLOP": "FLOP", "counted": "B", "moved": "B"}), placed.source, sep="\n")
roofline([here], points,
         title=f"{left} of {len(points)} lie left of the ridge, {near} within 2x of the roof")

# %% [markdown]
# **Explain.** Only where a number serves many others does arithmetic set the pace. Lines fetched
# to be overwritten explain at most 1.5 times. The rest is instructions: layer norm passes three
# times over a row, a stencil loads five numbers for one, this softmax calls a function for each
# exponential, a sparse matrix looks up each number by an index. A point above the roof found a
# cache or a quieter moment.
#
# **Change one thing.** Set `SIDE = 1024`. Which points rise?
#
# ## How many must share the weights, so that arithmetic sets the pace?
#
# A layer of a language model multiplies its weights, `SIDE` by `SIDE`, by a vector for each
# *token*, a piece of text. Tokens together share the reading.

# %%
guess_tokens = predict(
    "From how many tokens at once on does this CPU wait for arithmetic, not for memory?",
    unit="tokens", key="03.tokens",
)

# %% [markdown]
# **Measure.** Weights of `word` bytes serve `t` tokens with 2 t FLOP each: 2 t / word FLOP a byte,
# to compare with the ridge. Left of it more tokens cost nothing; right of it each costs the same.
# The answer is where these two lines meet.
#
# Then accelerators. Their peaks depend on the *precision*: fp32 has 32 bits, tf32 19 of them, fp16
# and bf16 16, fp8 8, fp4 4; all but fp32 for *tensor cores*, units that only multiply matrices.
# *Sparse* peaks hold if two of every four weights are zero: quote the dense ones. At last a real
# GPU, where there is one: STREAM, products by its library (cuBLAS), kernels in CuPy.


# %%
@experiment(needs="cpu")
def batches(tokens):
    """Multiply one layer's weights by growing numbers of tokens, float32, with NumPy."""
    weights = np.random.default_rng(2).random((SIDE, SIDE), f32)
    best = dict.fromkeys(tokens, np.inf)
    for _ in range(4):  # in turns, so that a busy moment hits no size alone
        for m in tokens:
            x, y = np.ones((m, SIDE), f32), np.empty((m, SIDE), f32)
            best[m] = min(best[m], time_call(np.matmul, x, weights, y, repeats=2).best)
    rows = [{"tokens": m, "seconds": seconds} for m, seconds in best.items()]
    return Table.from_rows(rows, {"seconds": "s"})


def layer_time(tokens, peak, bandwidth, word=4, side=SIDE):
    """Price the same by the roofline."""
    work = model.matmul(tokens, side, side, word)
    return model.operator_time(work.flop, work.n_bytes, peak, bandwidth)


def tokens_needed(*machine):
    """The first number of tokens that arithmetic bounds, up to a million, or None."""
    bound = (m for m in range(1, 10**6) if layer_time(m, *machine).bound == "compute")
    return next(bound, None)


served = batches([2**k for k in range(10)])
roofs = [layer_time(m, peak.value, bandwidth.value).seconds for m in served["tokens"]]
spent = np.array(served["seconds"])
dearer = spent[1] / spent[0]  # two tokens against one
rest = spent[int(dearer > 1.5) :]  # then one token runs another loop
flat = np.median(rest[rest < 1.5 * rest[0]])  # the points where memory sets the pace
each = np.median(spent[-3:] / np.array(served["tokens"][-3:]))  # what one of many costs
meet = float(flat / each)
share = 200 * SIDE**2 * np.array(served["tokens"]) / spent / peak.value
print(Table({"tokens": served["tokens"], "share of the peak (%)": [float(s) for s in share]}),
      served.source, sep="\n")
tokens_gap = compare(
    guess_tokens, measured=Quantity(meet, "tokens", served.source),
    model=Quantity(tokens_needed(peak.value, bandwidth.value), "tokens", "model: roofline"),
)
sweep(
    [Series("NumPy", served["tokens"], served["seconds"], "cpu", source=served.source),
     Series("model: roofline", served["tokens"], roofs, "model", source="model: ceilings above")],
    x=("tokens at once", ""), y=("time for all of them", "s"),
    title=f"From about {meet:.0f} tokens on, one more costs time",
)

# %%
NAMES = {"A100": "a100-sxm-80gb", "H200": "h200-sxm", "MI300X": "mi300x", "B200": "b200-sxm",
         "H100": "h100-sxm", "TPU v6e": "tpu-v6e"}
devices = {name: accelerator(slug) for name, slug in NAMES.items()}


def peaks_of(name, device):
    """One row of the table; a precision that a device lacks stays empty."""
    dense = {p: rate_words(device.peaks.get(p)) for p in ("fp32", "tf32", "bf16", "fp8", "fp4")}
    sparse = rate_words(device.sparse_peaks.get("bf16"))
    needed = tokens_needed(device.peaks["bf16"], device.memory_bandwidth, 2, 4096)
    return {"dense": name} | dense | {"not this: sparse bf16": sparse,
                                      "tokens": str(needed or "never")}


def rate_words(rate):
    """A rate in FLOP/s as text."""
    return format_quantity(rate, "FLOP/s") if rate else ""


print(Table.from_rows([peaks_of(*item) for item in devices.items()], {}))
print(*dict.fromkeys(d.peak("bf16").source for d in devices.values()), sep="\n")
sheets, rows = "source: catalogue, as listed above; dense peaks", devices.items()
roofs = [Ceiling("this machine", bandwidth.value, peak.value, "cpu", peak.source, "", "fp32")]
roofs += [Ceiling(name, d.memory_bandwidth, d.peaks[p], "gpu", sheets, "", p)
          for name, d in rows for p in ("fp32", "bf16", "fp8", "fp4") if p in d.peaks]
needed = [roof.ridge for roof in roofs if roof.compute_label == "bf16"]
weights = {m: model.matmul(m, 4096, 4096, word=2).intensity for m in (64, 4096)}
lines = {"axpy\nfp32": model.axpy(1).intensity,
         "layer norm\nfp32": model.layer_norm(4096, 4096).intensity}
lines |= {f"weights, bf16\n{m:,} tokens": intensity for m, intensity in weights.items()}
ridges(roofs, lines, title=f"Memory limits below {min(needed):.0f} to {max(needed):.0f} "
                           f"FLOP a byte in bf16, {ridge:.1f} here")


# %%
@cuda.jit
def copy_on_gpu(a, b, c, s):
    i = cuda.grid(1)
    if i < a.size:
        a[i] = b[i]


@cuda.jit
def triad_on_gpu(a, b, c, s):
    i = cuda.grid(1)
    if i < a.size:
        a[i] = b[i] + s * c[i]


card = accelerator("h100-sxm")  # what the models price; name another GPU of the catalogue here
STEADY = {"device": "gpu", "min_time": 0.1}  # finding how many calls last 0.1 s warms the GPU up
LINES = {"copy": "a = b", "scale": "a = s * b", "add": "a = b + c", "triad": "a = b + s * c"}
RATES = {"intensity": "FLOP/B", "rate": "FLOP/s"}
ON_GPU = {"copy": copy_on_gpu, "triad": triad_on_gpu}


def gpu_stream_model(elements):
    """At the bandwidth of the data sheet: an upper bound on every rate."""
    routes = ["the card's copy", *(f"{name}, CuPy" for name in LINES),
              *(f"{name}, numba" for name in ON_GPU)]
    rows = [{"route": route, "bandwidth": card.memory_bandwidth} for route in routes]
    return Table.from_rows(rows, {"bandwidth": "B/s"}), f"data sheet of an {card.name}"


@experiment(needs="gpu", model=gpu_stream_model)
def gpu_stream(elements):
    """STREAM on the GPU, checked, and the copy that the driver of the card makes."""
    import cupy as cp

    b, c = (cp.random.default_rng(seed).random(elements) for seed in (1, 2))
    a, null, rows = cp.empty_like(b), cp.cuda.Stream.null, []
    want = {"copy": b, "scale": b / 2, "add": b + c, "triad": b + c / 2}
    run = time_call(a.data.copy_from_device_async, b.data, b.nbytes, null, **STEADY)
    rows.append({"route": "the card's copy", **run.columns("bandwidth", 2 * b.nbytes)})
    grid, views = (-(-elements // 256), 256), [cuda.as_cuda_array(x) for x in (a, b, c)]
    kinds = "float64 b, float64 c, float64 s", "float64 a"
    calls = {f"{name}, CuPy": (cp.ElementwiseKernel(*kinds, line, name), (b, c, 0.5, a))
             for name, line in LINES.items()}
    calls |= {f"{name}, numba": (ON_GPU[name][grid], (*views, 0.5)) for name in ON_GPU}
    for route, (call, data) in calls.items():
        name, a[:] = route.split(",")[0], 0
        run = time_call(call, *data, **STEADY)
        assert cp.allclose(a, want[name]), route
        rows.append({"route": route, **run.columns("bandwidth", ARRAYS[name] * b.nbytes)})
    return Table.from_rows(rows, {"bandwidth": "B/s"})


carried = gpu_stream(2**26)
carried if carried.kind != "model" else print("No GPU and no recording: no rates to show.")

# %%
def gpu_work(side):
    """What each kernel must do and move, fused."""
    n = side * side
    return {"axpy": model.axpy(n), "dot": model.dot(n), "stencil": model.stencil(side, side),
            "softmax": model.softmax(side, side), "layer norm": model.layer_norm(side, side),
            "attention, 1 query": model.attention(1, n // 4096, 64, 32)}


def gpu_kernels_model(side):
    """The roofline of the data sheet, in float32."""
    rows = [{"kernel": name, "intensity": work.intensity, "rate": model.attainable(
                work.intensity, card.peaks["fp32"], card.memory_bandwidth)}
            for name, work in gpu_work(side).items()]
    return Table.from_rows(rows, RATES), f"roofline of an {card.name}"


@experiment(needs="gpu", model=gpu_kernels_model)
def gpu_kernels(side):
    """Kernels in float32 as people write them in CuPy, each checked against float64."""
    import cupy as cp

    rng, kv, rows = cp.random.default_rng(1), (2, 32, -1, 64), []
    x, other = rng.random((side, side), f32), rng.random(side**2, f32)
    y = cp.zeros((side, side), f32)
    axpy = cp.ElementwiseKernel("float32 a, float32 x", "float32 y", "y += a * x", "axpy")

    def softmax(x):
        power = cp.exp(x - x.max(-1, keepdims=True))
        return power / power.sum(-1, keepdims=True)

    def layer_norm(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / cp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * x[0] + x[1]

    calls = {
        "axpy": lambda x: axpy(f32(0.5), x, y),
        "dot": lambda x: x.ravel() @ other.astype(x.dtype, copy=False),
        "stencil": lambda x: x[1:-1, 1:-1] / 2 + (
            x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]) / 8,
        "softmax": softmax, "layer norm": layer_norm,
        "attention, 1 query": lambda x: softmax(
            x[0, :2048].reshape(32, 1, 64) @ x.reshape(kv)[0].swapaxes(1, 2)) @ x.reshape(kv)[1],
    }
    for name, work in gpu_work(side).items():
        got = calls[name](x)
        want = x.astype(float) / 2 if name == "axpy" else calls[name](x.astype(float))
        assert cp.allclose(got, want, rtol=1e-3, atol=1e-6), name
        run = time_call(calls[name], x, **STEADY)
        rows.append({"kernel": name, "intensity": work.intensity, **run.columns("rate", work.flop)})
    return Table.from_rows(rows, RATES)

# %%
def gpu_products_model(shapes, precisions):
    """The roofline of the data sheet."""
    works = [(p, shape[0], model.matmul(*shape, 4 if "32" in p else 2))
             for p in precisions if p in card.peaks for shape in shapes]
    rows = [{"precision": p, "rows": m, "intensity": work.intensity, "rate": model.attainable(
                work.intensity, card.peaks[p], card.memory_bandwidth)} for p, m, work in works]
    return Table.from_rows(rows, RATES), f"roofline of an {card.name}"


@experiment(needs="gpu", model=gpu_products_model)
def gpu_products(shapes, precisions):
    """Products with cuBLAS, checked against float64; shapes are (m, n, k)."""
    import cupy as cp

    rows = []
    for precision in [p for p in precisions if p in cublas.precisions()]:
        for m, n, k in shapes:
            x, y = (cp.random.default_rng(s).random(size, f32) - f32(0.5)
                    for s, size in ((1, (m, k)), (2, (k, n))))
            a, b, c = (*(cublas.rounded(z, precision) for z in (x, y)), cp.empty((m, n), f32))
            run = time_call(cublas.product, a, b, c, precision, **STEADY)
            want = x[:1].astype(float) @ y.astype(float)
            assert cp.abs(c[:1] - want).max() < 0.01 * k**0.5, (precision, m, n, k)
            work = model.matmul(m, n, k, a.itemsize)
            rows.append({"precision": precision, "rows": m, "intensity": work.intensity,
                         **run.columns("rate", work.flop)})
    return Table.from_rows(rows, RATES)


there = gpu_kernels(8192)
squares = gpu_products([(8192, 8192, 8192)], ["fp32", "tf32", "fp16", "bf16"])
layers = gpu_products([(m, 16384, 16384) for m in (1, 16, 256)], ["fp16"])  # fits no L2
if there.kind == "model":
    print(f"No GPU and no recording: the roofline of an {card.name} would test nothing.")
else:
    tops_gpu = dict(zip(squares["precision"], squares["rate"], strict=True))
    gpu_roofs = [Ceiling(name, max(carried["bandwidth"]), tops_gpu[name], "gpu", carried.source)
                 for name in ("fp16", "fp32")]
    dots = [Point(*row, "gpu", there.source, "fp32")
            for row in zip(there["kernel"], there["intensity"], there["rate"], strict=True)]
    dots += [Point(f"matmul, m = {m}", i, r, "gpu", layers.source, "fp16")
             for m, i, r in zip(layers["rows"], layers["intensity"], layers["rate"], strict=True)]
    near = sum(2 * dot.rate > roof.at(dot.intensity) for dot in dots
               for roof in gpu_roofs if roof.label == dot.under)
    roofline(gpu_roofs, dots, title=f"On a GPU {near} of {len(dots)} come within 2x of the roof")

# %% [markdown]
# **Explain.** Left of the crossing the bytes of the weights are the price; right of it each token
# pays for its own arithmetic. A library may first copy the weights into the order that its loops
# want: then two tokens cost far more than one. An accelerator's arithmetic grew more than its
# memory, so it takes hundreds. In fp8 its peak doubles, and so does the intensity of the
# weights: as many must share.
#
# **Change one thing.** A layer with vectors of 4,096 numbers and 32 heads of attention: choose what
# it does, for how many tokens, in which precision and where. From how many tokens on do fewer bytes
# stop helping the weights? Which kernel never gets there?


# %%
LAYER = {  # name: work for so many tokens with numbers of so many bytes; on tensor cores or not
    "weights": (lambda t, word: model.matmul(t, 4096, 4096, word), True),
    "attention, one query": (lambda t, word: model.attention(1, t, 128, 32, word), True),
    "attention, all queries": (lambda t, word: model.attention(t, t, 128, 32, word), True),
    "layer norm": (lambda t, word: model.layer_norm(t, 4096, word), False),
    "residual": (lambda t, word: model.axpy(4096 * t, word), False),
}
WORDS = {"fp32": 4, "bf16": 2, "fp8": 1}
MACHINES = {"this machine": ({"fp32": peak.value}, bandwidth.value)} | {
    name: (device.peaks, device.memory_bandwidth) for name, device in devices.items()}


def judge(axes, kernel, tokens, precision, name):
    """Price one kernel, and say what would change its time."""
    (count, tensor), (peaks, rate) = LAYER[kernel], MACHINES[name]
    tokens, names = round(tokens), ("fp8", "bf16", "fp32")
    work, many = count(tokens, WORDS[precision]), "s" * (tokens > 1)
    # Vector work runs in float32; without a precision, the next wider one computes.
    units = names[names.index(precision if tensor else "fp32") :]
    unit = next(u for u in (*units, "bf16") if u in peaks)
    price = model.operator_time(work.flop, work.n_bytes, peaks[unit], rate)
    mend = {"memory": "fewer bytes", "compute": "more FLOP/s"}
    kind, source = (("cpu", tops.source) if name == "this machine"
                    else ("gpu", "source: catalogue, dense peaks"))
    lanes = {"memory": [Span(0, price.memory, "moves bytes", "memory")],
             "arithmetic": [Span(0, price.compute, unit, kind)]}
    return timeline(lanes, f"{tokens} token{many} in {format_quantity(price.seconds, 's')}: "
                    f"{mend[price.bound]} would help", source=f"model: roofline | {source}")


judge(None, "weights", 16, "bf16", "H100")

# %%
explorer(judge, [
    Choice("kernel", "what it does", [(k, k) for k in LAYER], "weights"),
    Slider("tokens", "tokens", 1, 16384, 1, 0.3, log=True),
    Choice("precision", "precision", [(k, k) for k in WORDS], "bf16"),
    Choice("name", "machine", [(k, k) for k in MACHINES], "H100"),
])

# %% [markdown]
# ## Where this model breaks
#
# - It overlaps memory and arithmetic perfectly, and fills a machine with the smallest work. A GPU
#   given 16 tokens leaves multiprocessors idle unless its library splits the sums.
# - It counts an exponential as one FLOP; the softmax above calls many instructions for each.
# - It counts each byte once. A *gather*, reading at scattered places of a vector that fits no
#   cache, fetches a line for each number; see exercise 2.
# - Data that stay in a cache between calls, as weights in a GPU's L2, rise above the roof. A
#   machine whose last cache holds `LARGEST` bytes shows no memory at all.
#
# ## You learned

# %%
few_tokens, many_tokens = min(needed), max(needed)
learned(
    f"The same loop is {steps_gap.measured.value:.0f} times slower from memory than from the "
    f"nearest cache, on one core ({streams.kind}).",
    f"A line of NumPy whose formula needs 24 bytes counts 40 in two passes, moves 48 and took "
    f"{line_gap.measured.value:.1f} times as long as a loop in place; fusing a chain of five "
    f"passes gained {passes / whole.value:.1f} times ({chain.kind}).",
    f"This CPU needs {ridge:.1f} FLOP for each byte (accelerators {few_tokens:.0f} to "
    f"{many_tokens:.0f}): axpy gets {axpy_gap.measured.value:.1f} % of its peak. In a layer "
    f"one more token costs time from about {meet:.0f} on, and two cost {dearer:.1f} times one; "
    f"{served['tokens'][-1]} reach {share[-1]:.0f} % of the peak ({served.kind}).",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how many bytes does a chain move?
#
# Write `chain_bytes(passes, word, fused)`: the bytes that a core *moves* for each element,
# write-allocate included. `passes` lists how many arrays each pass reads. The first writes a new
# array; each later one reads that array, as one of its own, and writes over it. Fused, the
# others are read once and the result, a new array, is written once.
#
# <details><summary>Hint 1</summary>A new array costs its write twice: its lines are fetched
# first.</details>
#
# <details><summary>Hint 2</summary>Each later pass reads one array that exists only because the
# passes are apart. Fused, it is read by nobody.</details>


# %%
def chain_bytes(passes, word, fused):
    """Return bytes for each element."""
    ...


check("03.chain_bytes", chain_bytes)

# %% [markdown]
# ### Exercise 2: what does a gather fetch?
#
# Write `gather_bytes(indices, word, line)`: the bytes that come from memory when numbers of `word`
# bytes are read at `indices`, in lines of `line` bytes. The array begins where a line does, `line`
# is a multiple of `word`, and a cache keeps every line once it has come.
#
# <details><summary>Hint 1</summary>On which line does number i lie?</details>
#
# <details><summary>Hint 2</summary>Count different lines, not different numbers.</details>


# %%
def gather_bytes(indices, word, line):
    """Return bytes fetched."""
    ...


check("03.gather_bytes", gather_bytes)

# %% [markdown]
# ### Exercise 3: how many must share?
#
# Write `least_tokens(peak, bandwidth, side, word)`: the least whole number of tokens for which the
# product of `tokens` by `side` numbers with `side` by `side` weights is bound by arithmetic on a
# machine of `peak` FLOP/s and `bandwidth` B/s. Every matrix moves once. Return `None` where no
# number is enough.
#
# <details><summary>Hint 1</summary>2 t n² FLOP and (2 t n + n²) numbers: when is their ratio the
# ridge?</details>
#
# <details><summary>Hint 2</summary>Solve for t. However large it gets, the intensity stays below
# n / word.</details>


# %%
def least_tokens(peak, bandwidth, side, word):
    """Return a whole number, or None."""
    ...


check("03.least_tokens", least_tokens)
quiz("03")

# %% [markdown]
# ## Further reading
#
# - [Roofline](https://doi.org/10.1145/1498765.1498785): Williams, Waterman and Patterson draw the
#   figure that this lesson lives on, in 12 pages.
# - [STREAM](https://www.cs.virginia.edu/stream/): McCalpin's benchmark, its rules and decades of
#   results.
# - [What Every Programmer Should Know About
#   Memory](https://people.freebsd.org/~lstewart/articles/cpumemory.pdf): Drepper on why caches
#   look as they do, with measurements.
# - [FlashAttention](https://arxiv.org/abs/2205.14135): attention fused so that its scores never
#   reach memory, and what that is worth on an A100.
# - [Making Deep Learning Go Brrrr](https://horace.io/brrr_intro.html): H. He on compute, memory and
#   overhead in PyTorch.
