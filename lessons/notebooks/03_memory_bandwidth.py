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
from aiinfra.measure import cublas, experiment, probe, time_call, time_in_turns
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
LARGEST = 2**28 if roomy else 2**26  # bytes
last = caches[-1] if caches else None
far = "memory" if last is None or 8 * last.bytes <= LARGEST else f"L{last.level} or memory"
machine

# %% [markdown]
# ## What does a step away from the core cost?
#
# Between a core and memory lie caches: small memories that keep the lines, mostly of 64 bytes,
# used last. What does not fit one is fetched from the next, larger and slower. A virtual machine
# often gets a part of the last: where that could hold the arrays, you read "L3 or memory".
#
# STREAM, the benchmark of J. McCalpin, times loops that do almost nothing but move numbers of 8
# bytes. Two of its four: *copy*, `a = b`, and *triad*, `a = b + s*c`. It counts what the formula
# names: 16 bytes an element for a copy, 24 for a triad.
#
# The *working set* is all that a loop touches, its arrays together.

# %%
guess_steps = predict(
    "One core: how many times faster does a triad run in the nearest cache than on large arrays?",
    unit="x", key="03.caches",
)

# %% [markdown]
# **Measure.** Each loop goes over its arrays again and again, so that what fits a cache is there.
# NumPy needs two passes for a triad and gets room for its results. *Bandwidth* is bytes a second,
# here the bytes that STREAM counts. Like STREAM, the figure shows the fastest of the repeats:
# others on the machine only ever slow a loop down. Whiskers reach down to the median. All cores
# wait for the last of them: where others use one, their line sinks and jumps.


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


NUMPY = {  # the same four, one call for each pass
    "copy": lambda a, b, c, s: np.copyto(a, b), "scale": lambda a, b, c, s: np.multiply(b, s, a),
    "add": lambda a, b, c, s: np.add(b, c, a),
    "triad": lambda a, b, c, s: np.add(np.multiply(c, s, a), b, a),
}


def shared_out(kernel):
    """Compile a kernel for one core and for all: each takes a part and repeats it."""
    def run(a, b, c, s, parts, times):
        for part in prange(parts):
            first, end = part * a.size // parts, (part + 1) * a.size // parts
            for _ in range(times):
                kernel(a[first:end], b[first:end], c[first:end], s)

    return numba.njit(run), numba.njit(parallel=True)(run)


def aligned(n, dtype=np.float64):
    """Ones that begin where a cache line does."""
    word = np.dtype(dtype).itemsize
    space = np.empty(n + 64 // word, dtype)
    x = space[-space.ctypes.data // word % (64 // word) :][:n]
    x[:] = 1
    return x


def best_rate(run, work, name="bandwidth"):
    """The fastest of the repeats as a rate, with the median as its lower end."""
    best, median = work / run.best, work / run.median
    return {name: best, f"{name}_low": median, f"{name}_high": best}


# %%
STREAM = {kernel.__name__: shared_out(kernel) for kernel in (copy, scale, add, triad)}
ARRAYS = {"copy": 2, "scale": 2, "add": 3, "triad": 3}
WHO = ("one core", "all cores", "NumPy")


@experiment(needs="cpu")
def stream(sizes):
    """STREAM over growing working sets: NumPy, compiled on one core, compiled on all."""
    rows = []
    for name, (one, every) in STREAM.items():
        for size in sizes:
            a, b, *more = (aligned(size // (8 * ARRAYS[name])) for _ in range(ARRAYS[name]))
            data, times = (a, b, *(more or [b]), 0.5), max(1, 2**25 // size)
            runs = time_in_turns({"NumPy": (NUMPY[name], *data),
                             "one core": (one, *data, 1, times),
                             "all cores": (every, *data, cores, times)}, rounds=2)
            work = 8 * ARRAYS[name] * a.size
            rows += [{"kernel": name, "way": way, "size": size,
                      **best_rate(run, work * (1 if way == "NumPy" else times))}
                     for way, run in runs.items()]
            del a, b, more, data  # before the next ones ask for room
    return Table.from_rows(rows, {"size": "B", "bandwidth": "B/s"})


streams = stream([2**k for k in range(12, LARGEST.bit_length())])
large, SHOWN = streams.table.where(size=LARGEST), "triad"
print(streams.source, Table({"kernel": list(STREAM)} | {
    way: large.where(way=way)["bandwidth"] for way in WHO}, dict.fromkeys(WHO, "B/s")), sep="\n")
on_large = [streams.quantity("bandwidth", kernel="triad", way=way, size=LARGEST)
            for way in ("one core", "all cores")]
ledger.keep("triad_bandwidth", max(on_large, key=float))
near_rate = max(streams.table.where(kernel="triad", way="one core")["bandwidth"])
steps_gap = compare(guess_steps, Quantity(near_rate / float(on_large[0]), "x", streams.source))
ways = {way: streams.table.where(kernel=SHOWN, way=way) for way in WHO}
one = dict(zip(ways["one core"]["size"], ways["one core"]["bandwidth"], strict=True))
own = caches if streams.kind == "measured" else []  # a recording may be another machine's
steps = {f"L{c.level}": 2 ** (c.bytes.bit_length() - 2) for c in own if 8 * c.bytes <= LARGEST}
sweep(
    [Series(way, t["size"], t["bandwidth"], "cpu", t["bandwidth_low"], t["bandwidth_high"],
            streams.source) for way, t in ways.items()],
    x=("working set", "B"), y=(f"bandwidth of the {SHOWN}, as counted", "B/s"),
    guides=[(cache.bytes, f"L{cache.level}") for cache in own],
    mark=[(n, one[n], f"{name}: {format_quantity(one[n], 'B/s')}")
          for name, n in (steps | {far: LARGEST}).items()],
    title=f"One core falls in steps, from {max(one.values()) / 1e9:.0f} "
          f"to {one[LARGEST] / 1e9:.0f} GB/s",
)

# %% [markdown]
# **Explain.** A line from the nearest cache, L1, comes every cycle or two; one from memory takes
# hundreds. A core waits for many at once: 40 lines, each 100 ns on its way, make 26 GB/s. NumPy's
# calls take longer than their work on the left.
#
# **Change one thing.** Set `SHOWN = "copy"`. Where does NumPy catch up?
#
# <details><summary>Answer</summary>On the right: a copy is one pass.</details>
#
# ## Which bytes does a loop pay for?
#
# `b + s*c` counts 24 bytes. On one core a compiled loop writes it over `b`, and NumPy does
# `a = b + s * c`. Then a chain, as in a layer: scale, shift, cut at zero, scale, add. NumPy takes
# five passes; *fused*, one loop does all while a number is at hand.

# %%
guess_line = predict(
    "How many times longer than the compiled loop does NumPy's line take?", unit="x",
    key="03.numpy_line",
)
guess_chain = predict(
    "How many times faster is the fused chain than five passes?", unit="x", key="03.chain"
)

# %% [markdown]
# **Measure.** First the line. Three more ways show what makes the difference: reading one array and
# adding it up, the compiled triad into an array of its own, and NumPy with room for its results.
#
# Before it writes to a line that it has not read, a core *fetches* that line, to keep the rest of
# it: *write-allocate*. So bytes can be counted in three ways:
#
# - *counted*: each number that the formula reads or writes, in each pass;
# - *fetched*: what travels from memory to the core, lines to be overwritten included;
# - *moved*: what travels either way, lines fetched and lines written back.
#
# The right way is the one by which the loops run at the same rate.


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
    "NumPy, with room": (NUMPY["triad"], two_passes),
    "NumPy's line": (numpy_line, two_passes),
}


@experiment(needs="cpu")
def ways_to_add(elements):
    """Five ways through large arrays on one core: time for an element."""
    data = (*(aligned(elements) for _ in range(3)), 1e-9)
    runs = time_in_turns({way: (loop, *data) for way, (loop, _) in WAYS.items()})
    rows = [{"way": way, "seconds": run.best / elements} for way, run in runs.items()]
    return Table.from_rows(rows, {"seconds": "s"})


adding = ways_to_add(LARGEST // 32)
bytes_of = {"counted": "n_bytes", "fetched": "fetched", "moved": "moved"}  # of model.Work
counts = {name: [getattr(work, of) for _, work in WAYS.values()] for name, of in bytes_of.items()}
rates = {name: (np.array(n) / adding["seconds"])[:4] for name, n in counts.items()}
apart = {name: rate.max() / rate.min() for name, rate in rates.items()}
print(Table(dict(adding.table.columns) | counts, {"seconds": "s", **dict.fromkeys(counts, "B")}),
      adding.source, "Rates of the first four, the fastest over the slowest, by bytes", sep="\n")
print(*(f"  {name}: {ratio:.2f}x" for name, ratio in apart.items()), sep="\n")
account = min(apart, key=apart.get)
line_gap = compare(
    guess_line, Quantity(adding["seconds"][-1] / adding["seconds"][1], "x", adding.source),
    model=Quantity(two_passes.moved / over.moved, "x",
                   "model: bytes, moved 48 against 24 (fetched 32 against 16)"),
)
gap(line_gap, title=f"One line of NumPy, {line_gap.measured.value:.1f} times the time of one loop")

# %% [markdown]
# **Explain.** The smallest of the three ratios names what this core pays for. On some
# machines it is what it fetches, while lines go back beside; on others what is moved. NumPy's
# second pass doubles either. The rest of its line is new memory for the results, which the system
# clears page by page, often 4 KiB each.
#
# Now the chain, fused and in *blocks*: five NumPy passes over a block that fits a cache, then over
# the next. Dotted lines, if measured here: a block of the three arrays fills a cache.


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
unfused, again = model.elementwise(1, 1, 1), model.elementwise(1, 1, 1, in_place=True)
unfused += again + again + again + model.elementwise(1, 2, 1, in_place=True)


@experiment(needs="cpu")
def chains(elements, blocks):
    """The chain fused, and in blocks of NumPy, on one core."""
    x, r, y = (aligned(elements, f32) for _ in range(3))
    calls = {block: (chain_in_blocks, x, r, y, block) for block in blocks}
    runs = time_in_turns(calls | {0: (chain_fused, x, r, y)})
    return Table.from_rows([{"block": block, **best_rate(run, elements, "rate")}
                            for block, run in runs.items()], {"rate": "elements/s"})


blocks = [2**k for k in range(10, 24)]
chain = chains(blocks[-1], blocks)
fast = chain.table.where(block=0)["rate"][0]
whole = chain.quantity("rate", block=blocks[-1])
by_fused, by_passes = (getattr(work, bytes_of[account]) for work in (fused, unfused))
reason = f"model: bytes {account}, {by_passes:.0f} against {by_fused:.0f}"
chain_gap = compare(guess_chain, Quantity(fast / whole.value, "x", chain.source),
                    model=Quantity(by_passes / by_fused, "x", reason))
sweep(
    [Series("NumPy, in blocks", blocks, chain["rate"][:-1], "cpu", chain["rate_low"][:-1],
            chain["rate_high"][:-1], chain.source),
     Series("fused loop", [blocks[0], blocks[-1]], [fast] * 2, "cpu", source=chain.source),
     Series("model of five passes", blocks[-4::3], [fast * by_fused / by_passes] * 2, "model",
            source=f"{reason} of the fused loop")],
    x=("elements in a block", ""), y=("elements a second", "elements/s"),
    guides=[(cache.bytes / 12, f"L{cache.level}") for cache in own],
    title=f"Fusing makes the chain {fast / whole.value:.1f} times faster, "
          f"blocks {max(chain['rate'][:-1]) / whole.value:.1f} times at best",
)

# %% [markdown]
# **Explain.** Blocks save trips to memory, yet may gain nothing: five passes through a cache take
# time too, and small blocks pay for calls. The model divides the fused loop's rate.
#
# **Change one thing.** Start `blocks` at `2**6`. What does a call cost?
#
# ## How much of this CPU's arithmetic can a kernel use?
#
# A program that does `I` operations (FLOP; a multiply-add is two) for each byte counted, its
# *arithmetic intensity*, runs at most at `I` times the bandwidth, and at most at the *peak* of
# arithmetic. The lower is the *roof*. They meet at the *ridge*, peak over bandwidth: at a smaller
# `I` memory sets the pace. The ceilings are the best reached here, the roof no lower.


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
    n = size // 24
    data, x, y = (*(aligned(n) for _ in range(3)), 1e-9), *np.ones((2, 2048 * cores), f32)
    calls = {f"{name}, {who}": (run, *data, parts, 1)
             for name, loop in {"triad": triad, "triad over b": triad_over}.items()
             for who, parts, run in zip(("one core", "all cores"), (1, cores), shared_out(loop),
                                        strict=True)}
    work = dict.fromkeys(calls, 24 * n) | {"reading, one core": 8 * n, "reading, all cores": 16 * n}
    calls |= {"reading, one core": (total, *data), "reading, all cores": (dot, *data[:2])}
    many, (lone, together) = (y, x / f32(2), x, 0, cores, 64), shared_out(polynomials)
    sums = {"multiply-adds, one core": (lone, *many), "multiply-adds, all cores": (together, *many),
            "BLAS": (np.matmul, *np.ones((3, 2048, 2048), f32))}
    work |= dict.fromkeys(sums, 256 * x.size * 64) | {"BLAS": 2 * 2048**3}
    return Table.from_rows([
        {"limit": name, "rate": work[name] / run.best, "of": "B/s" if name in calls else "FLOP/s"}
        for name, run in time_in_turns(calls | sums).items()], {})


tops = ceilings(LARGEST // 2)  # as much as the kernels below touch
limits = dict(zip(tops["limit"], tops["rate"], strict=True))
for limit, unit in zip(limits, tops["of"], strict=True):
    print(f"{limit}: {format_quantity(limits[limit], unit)}")

# %%
def sharing():
    """Say that these cores are shared, in words for a source; nothing if not."""
    if tops.kind != "measured":
        return ""
    had = cores_at_work(dot, *(aligned(2**22, f32) for _ in range(2)))
    print(f"A loop that would keep {cores} cores busy got {had:.2g} of them, by processor time.")
    if machine.threads_share:
        print(f"These are {machine.cores_words}: two of one core share its arithmetic.")
    if had < 0.85 * cores:
        return f", with {had:.2g} of {cores} cores to itself"
    gain = limits["multiply-adds, all cores"] / limits["multiply-adds, one core"]
    alike = gain < min(cores, 1.5) and not machine.threads_share
    return ", where all cores do little more than one" if alike else ""


shared = sharing()
bandwidth = Quantity(max(tops.table.where(of="B/s")["rate"]), "B/s", tops.source + shared)
peak = Quantity(max(tops.table.where(of="FLOP/s")["rate"]), "FLOP/s", tops.source + shared)
ledger.keep("peak_rate", peak)
ridge = model.ridge(peak.value, bandwidth.value)
print(f"roof, at least: {bandwidth}", f"{peak}", f"ridge: {ridge:.1f} FLOP/B", sep="\n")
guess_axpy = predict(
    "All cores: what share of this CPU's peak does axpy, y = a*x + y, reach on long vectors?",
    unit="%", key="03.axpy_share",
)

# %% [markdown]
# **Measure.** Ten kernels on large float32 arrays, most counted in their docstrings; the table
# adds the bytes moved. *Layer norm* gives each row mean 0 and variance 1. *Attention* compares
# *queries* with *keys* and mixes *values* accordingly, in several independent *heads*.
#
# The model for axpy comes from another loop. All cores share the wires, so by bytes *moved*: a
# triad into a new array moves 32 where it counts 24; axpy moves 12 for 2 FLOP. So axpy gets
# `2 / 12 * 32 / 24` of the triad's bandwidth. The roof uses bytes as counted: for kernels that only
# read, or write afresh, it lies up to 1.5 times too high.


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
    for m in (1, 32, 512):
        product = (np.matmul, grid[:m], grid, out[:m])
        yield f"matmul, {m} row{'s' * (m > 1)}", model.matmul(m, SIDE, SIDE), product


@experiment(needs="cpu")
def kernels():
    """Time real kernels on all cores, on large arrays of float32."""
    x, y = np.random.default_rng(1).random((2, SIDE * SIDE), f32)
    works = {name: work for name, work, _ in cases(x, y)}
    runs = time_in_turns({name: call for name, _, call in cases(x, y)})
    rows = [{"kernel": name, "FLOP": work.flop, "counted": work.n_bytes, "moved": work.moved,
             "intensity": work.intensity, **best_rate(runs[name], work.flop, "rate")}
            for name, work in works.items()]
    return Table.from_rows(rows, {"FLOP": "FLOP", "counted": "B", "moved": "B",
                                  "intensity": "FLOP/B", "rate": "FLOP/s"})


placed = kernels()
triads = max(limits["triad, one core"], limits["triad, all cores"])  # another loop than axpy
axpy_gap = compare(
    guess_axpy, measured=Quantity(100 * placed["rate"][0] / peak.value, "%", placed.source),
    model=Quantity(100 * triads * 32 / 24 * 2 / 12 / peak.value, "%",
                   "model: bytes moved, at the triad's rate"),
)
gap(axpy_gap, title=f"Memory leaves axpy {axpy_gap.measured.value:.1f} % of the arithmetic")

# %%
def shown_roof():
    """Print the kernels with their share of the roof, and draw them under it."""
    here = Ceiling("this machine", bandwidth.value, peak.value, "cpu", peak.source, "at least")
    points = [Point(*row, "cpu", peak.source if placed.kind == tops.kind else placed.source)
              for row in zip(placed["kernel"], placed["intensity"], placed["rate"], strict=True)]
    shares = [100 * point.rate / here.at(point.intensity) for point in points]
    told = {name: placed[name] for name in ("kernel", "FLOP", "counted", "moved")}
    units = {"FLOP": "FLOP", "counted": "B", "moved": "B"}
    print(Table(told | {"share of the roof (%)": shares}, units), placed.source, sep="\n")
    left, near = sum(p.intensity < ridge for p in points), sum(share > 50 for share in shares)
    return roofline([here], points, title=f"{left} of {len(points)} lie left of the ridge, "
                                          f"{near} within 2x of the roof")


shown_roof()

# %% [markdown]
# **Explain.** Only where a number serves many others does arithmetic set the pace. The roof's own
# loop writes in place, which explains up to 1.5 times. The rest is instructions: a softmax calls a
# function for each exponential, a sparse matrix jumps to each number. A point above the roof found
# a cache.
#
# **Change one thing.** Set `SIDE = 1024`, run that cell and the next. Which points rise? Then set
# it back.
#
# <details><summary>Answer</summary>Those that wait for memory: 4 MiB fit a cache.</details>
#
# ## How many must share the weights, so that arithmetic sets the pace?
#
# A layer of a language model multiplies its float32 weights, `SIDE` by `SIDE`, by a vector for
# each *token*, a piece of text.

# %%
@numba.njit(parallel=True, fastmath=True)
def serve(weights, x, y):
    """Two rows of the weights at a time meet all tokens, two by two, while a cache holds them."""
    for i in prange(weights.shape[0] // 2):
        a, b = weights[2 * i], weights[2 * i + 1]
        for t in range(0, x.shape[0], 2):
            u = min(t + 1, x.shape[0] - 1)  # a last token alone is done twice
            p, q, ap, aq, bp, bq = x[t], x[u], f32(0), f32(0), f32(0), f32(0)
            for j in range(a.size):
                ap += a[j] * p[j]
                aq += a[j] * q[j]
                bp += b[j] * p[j]
                bq += b[j] * q[j]
            y[t, 2 * i], y[u, 2 * i], y[t, 2 * i + 1], y[u, 2 * i + 1] = ap, aq, bp, bq


guess_tokens = predict(
    "From how many tokens at once on does this CPU wait for arithmetic, not for memory?",
    unit="tokens", key="03.tokens",
)

# %% [markdown]
# **Measure.** Weights of `word` bytes serve `t` tokens with 2 t FLOP each: 2 t / word FLOP a byte,
# to compare with the ridge. Below it reading sets the time, above it each token adds its
# arithmetic. The answer: the faster way's time for one token over NumPy's time for each of 256.
#
# Then accelerators. Their peaks depend on the *precision*: fp32 has 32 bits, tf32 19 of them, fp16
# and bf16 16, fp8 8, fp4 4; all but fp32 for *tensor cores*, units that only multiply matrices.
# *Sparse* peaks hold if two of four weights are zero: quote the dense ones.
#
# The last three cells need a GPU.


# %%
@experiment(needs="cpu")
def batches(tokens):
    """Multiply one layer's weights by growing numbers of tokens, float32, on all cores."""
    weights = np.random.default_rng(2).random((SIDE, SIDE), f32)
    x, y = np.ones((2, max(tokens), SIDE), f32)
    calls = {("NumPy", m): (np.matmul, x[:m], weights.T, y[:m]) for m in tokens[::2]}
    calls |= {("own loop", m): (serve, weights, x[:m], y[:m]) for m in tokens if m <= 32}
    rows = [{"way": way, "tokens": m, "seconds": run.best, "seconds_high": run.median}
            for (way, m), run in time_in_turns(calls).items()]
    return Table.from_rows(rows, {"seconds": "s", "seconds_high": "s"})


def tokens_needed(peak, bandwidth, word=4, side=SIDE):
    """The first number of tokens that arithmetic bounds, up to a million, or None."""
    bound = (m for m in range(1, 10**6)
             if layer_time(m, peak, bandwidth, word, side).bound == "compute")
    return next(bound, None)


def layer_time(tokens, peak, bandwidth, word=4, side=SIDE):
    """Price it by the roofline."""
    work = model.matmul(tokens, side, side, word)
    return model.operator_time(work.flop, work.n_bytes, peak, bandwidth)


def meeting(alone, many):
    """The time of one token alone over the time of one among the most; columns of the table."""
    seconds = min(each[alone][0] for each in by_way.values())
    return seconds * by_way["NumPy"]["tokens"][-1] / by_way["NumPy"][many][-1]


served = batches([2**k for k in range(9)])
by_way = {way: served.table.where(way=way) for way in ("NumPy", "own loop")}
meets = meeting("seconds", "seconds_high"), meeting("seconds_high", "seconds")
tokens_gap = compare(
    guess_tokens, Quantity(meeting("seconds", "seconds"), "tokens", served.source + shared, *meets),
    model=Quantity(tokens_needed(peak.value, bandwidth.value), "tokens", "model: roofline"),
)
about = " to ".join(dict.fromkeys(f"{tokens:.0f}" for tokens in meets))
freer = max(layer_time(m, peak.value, bandwidth.value).seconds / seconds
            for m, seconds in zip(served["tokens"], served["seconds"], strict=True))
if freer > 1.1:
    print(f"Times are up to {freer:.1f} times below the model: the roof was measured in a busier "
          "moment and lies higher.")
fine = np.geomspace(1, max(served["tokens"]), 100)
roof = [layer_time(m, peak.value, bandwidth.value).seconds for m in fine]
sweep(
    [Series(way, t["tokens"], t["seconds"], "cpu", t["seconds"], t["seconds_high"],
            served.source + shared) for way, t in by_way.items()]
    + [Series("model: roofline", fine, roof, "model", source="model: ceilings above")],
    x=("tokens at once", ""), y=("time for all of them", "s"),
    title=f"One token alone takes as long as {about} of 256 together",
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
    return {"machine": name} | dense | {"bf16, sparse": sparse, "tokens": str(needed or "never")}


def rate_words(rate):
    """A rate in FLOP/s as text."""
    return format_quantity(rate, "FLOP/s") if rate else ""


print(Table.from_rows([peaks_of(*item) for item in devices.items()], {}))
print(*dict.fromkeys(d.peak("bf16").source for d in devices.values()), sep="\n")
sheets, rows = "source: catalogue, as listed above; dense peaks", devices.items()
roofs = [Ceiling("this machine", bandwidth.value, peak.value, "cpu", peak.source, "", "fp32")]
roofs += [Ceiling(name, d.memory_bandwidth, d.peaks[p], "gpu", sheets, "", p)
          for name, d in rows for p in ("fp32", "bf16", "fp8", "fp4") if p in d.peaks]


def ridges_in(precision):
    """The lowest and the highest ridge of the accelerators."""
    found = [roof.ridge for roof in roofs[1:] if roof.compute_label == precision]
    return f"{min(found):.0f} to {max(found):.0f}"


weights = {m: model.matmul(m, 4096, 4096, word=2).intensity for m in (64, 4096)}
lines = {"axpy\nfp32": model.axpy(1).intensity,
         "layer norm\nfp32": model.layer_norm(4096, 4096).intensity}
lines |= {f"weights, bf16\n{m:,} tokens": intensity for m, intensity in weights.items()}
ridges(roofs, lines, title=f"fp32 ridges: {ridge:.1f} here, {ridges_in('fp32')} elsewhere; "
                           f"bf16: {ridges_in('bf16')}")


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
    routes = ["the card's copy", *(f"{n}, CuPy" for n in LINES), *(f"{n}, numba" for n in ON_GPU)]
    rates = {"route": routes, "bandwidth": [card.memory_bandwidth] * len(routes)}
    return Table(rates, {"bandwidth": "B/s"}), f"data sheet of an {card.name}"


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
carried if carried.kind != "model" else print(
    f"No GPU and no recording. By its data sheet an {card.name} moves at most "
    f"{format_quantity(card.memory_bandwidth, 'B/s')}, "
    f"{card.memory_bandwidth / bandwidth.value:.0f} times this machine's rate (model).")

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
    print(f"No GPU and no recording. In fp16 an {card.name} gets at most, of its peak:")
    for m, rate in zip(layers["rows"], layers["rate"], strict=True):
        print(f"  {100 * rate / card.peaks['fp16']:.2g} % for {m} token{'s' * (m > 1)} (model)")
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
# **Explain.** Few tokens wait for the weights; each of many pays for its arithmetic. Between, in
# the figure of tokens, the loop is far from the peak, and NumPy's library first copies the weights.
#
# In fp32 ridges lie in the tens at most. What outgrew memory is the arithmetic of tensor cores on
# narrow numbers: hundreds of tokens must share, somewhat more than the ridge, for vectors move too.
#
# **Change one thing.** A layer of width 4,096. From how many tokens on do fewer bytes stop helping
# the weights? Which kernels never get there?
#
# <details><summary>Answer</summary>From the number in the table. One query, layer norm and
# adding never: their bytes grow with the tokens.</details>


# %%
LAYER = {  # name: work for so many tokens with numbers of so many bytes; on tensor cores or not
    "weights": (lambda t, word: model.matmul(t, 4096, 4096, word), True),
    "attention, one query": (lambda t, word: model.attention(1, t, 128, 32, word), True),
    "attention, all queries": (lambda t, word: model.attention(t, t, 128, 32, word), True),
    "layer norm": (lambda t, word: model.layer_norm(t, 4096, word), False),
    "adding the layer's input": (lambda t, word: model.axpy(4096 * t, word), False),
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
             f"{unit} arithmetic": [Span(0, price.compute, "", kind)]}
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
learned(
    f"The same loop is {steps_gap.measured.value:.0f} times slower from {far} than from the "
    f"nearest cache, on one core ({streams.kind}).",
    f"A line of NumPy whose formula needs 24 bytes counts 40 in two passes, moves 48 and took "
    f"{line_gap.measured.value:.1f} times as long as a loop in place; fusing a chain of five "
    f"passes gained {chain_gap.measured.value:.1f} times ({chain.kind}).",
    f"This CPU needs {ridge:.1f} FLOP for each byte in fp32 (accelerators {ridges_in('fp32')}, in "
    f"bf16 {ridges_in('bf16')}): axpy gets {axpy_gap.measured.value:.1f} % of its peak. Reading "
    f"a layer's weights took as long as computing {about} tokens ({served.kind}{shared}).",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how many bytes does a chain move?
#
# Write `chain_bytes(passes, word, fused)`: the bytes that a core *moves* for each element,
# write-allocate included. `passes` lists how many arrays each pass reads. The first writes a new
# array; each later one reads that array too (its number includes it) and writes over it. Fused,
# only the other arrays are read, once each, and the result, a new array, is written once.
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
