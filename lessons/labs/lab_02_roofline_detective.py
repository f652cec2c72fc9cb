# %% [markdown]
# # Unmask eight kernels by their roofline
#
# **What does a kernel without a name do, which wall does it run into, and how long would it take
# on another machine?**
#
# *You'll do:* probe eight compiled kernels, count what they compute and move, place them under
# the roof of one core, and predict them on a GPU.
#
# *You'll learn*
#
# - to recognise a kernel by what it does to its data;
# - to count FLOP and bytes from a formula and an array's shape;
# - to tell what bounds a kernel, what would change that, and what to promise elsewhere.
#
# *You'll need:* lesson 03, 50 to 90 minutes, any computer.

# %%
import numpy as np

from aiinfra.measure import experiment, time_call
from aiinfra.results import Table
from aiinfra.show import Ceiling, Point, roofline
from aiinfra.teach import check, score, tried
from aiinfra.teach.suspects import PRECISION, Case, ceiling_calls

# %% [markdown]
# ## Your case
#
# Write your name. It decides which eight of nineteen kernels you get, on data of what size, and
# for which GPU you predict at the end: the same name, the same case.
#
# All of them are compiled for one core and compute in float64. You may run a suspect on its own
# data or on yours; you see its arguments (`suspect.shapes` has their shapes as numbers) and one of
# its two counters. Hardware counts FLOP and bytes of memory; here both follow from a formula, each
# byte of the inputs and outputs counted once. One of the two was not recorded.

# %% [markdown]
# A check says how many of your eight answers are right and which idea a wrong one misses, not which
# one it is. In each task three different wrong answers are free, and each further one takes a fifth
# of the point: measure first, then hand in. A measurement that the checker refuses costs nothing:
# measure again. Short of all eight, what one guess for all would get right earns nothing.
# `score("lab_02")` at the end adds up the best of each.

# %%
NAME = "Ada"
case = Case(NAME)
for suspect in case.suspects:
    known = {name: v for name, v in suspect.counters.items() if v is not None}
    print(f"{suspect.number}: {suspect.arguments}", *(f"{v:,.0f} {k}" for k, v in known.items()))

# %% [markdown]
# A claim goes to the checker with the *evidence*: the times that this machine measured. The
# fastest of nine to twenty repeats counts, since other programs can only make a kernel slower. The
# roofs of one core are the best that six kernels reach, four in memory and two in the nearest
# cache, as in lesson 03. Where the slowest repeat took much longer than the fastest, close other
# programs and measure again.


# %%
@experiment(needs="cpu")
def line_up(name):
    """Time the eight suspects of a name, each on its own data."""
    rows = []
    for suspect in Case(name).suspects:
        run = time_call(suspect.ready())
        rows.append({"suspect": str(suspect.number), "seconds": run.best, "slowest": run.worst})
    return Table.from_rows(rows, units={"seconds": "s", "slowest": "s"})


@experiment(needs="cpu")
def roofs():
    """Find bandwidth and peak of one core."""
    row = {
        name: max(work / time_call(call).best for call, work in calls)
        for name, calls in ceiling_calls().items()
    }
    return Table.from_rows([row], units={"bandwidth": "B/s", "peak": "FLOP/s"})


# %%
timed, roof = line_up(NAME), roofs()
peak, bandwidth = roof["peak"][0], roof["bandwidth"][0]
evidence = case.evidence(timed["seconds"], peak, bandwidth)
print(f"one core: {peak / 1e9:.3g} GFLOP/s, {bandwidth / 1e9:.3g} GB/s,", end=" ")
print(f"ridge at {peak / bandwidth:.2g} FLOP/B")
timed

# %% [markdown]
# ## Task 1: what kind is it?
#
# | kind | what it does |
# |---|---|
# | `"streaming"` | each output from the inputs at the same place |
# | `"stencil"` | each output from a place and its neighbours |
# | `"reduction"` | one number, or few, from all |
# | `"indirect"` | one argument says where in another to read or write |
# | `"matrix product"` | rows times columns, or times a vector |
# | `"arithmetic"` | very many operations for each number |
# | `"chain"` | each step needs the result of the step before |

# %% [markdown]
# Where two fit, take the one that says more about its time. An argument that holds positions makes
# a kernel indirect, also where few numbers come out; where a position leads to the next, a chain.
#
# The next cell runs one suspect on data that you choose. `inputs(8)` makes data for a size of 8
# (rows, or elements); take a larger size, such as 640, where a suspect seems to do nothing with 8.
# Change any element, but let positions stay within the array that they point into: `probe` refuses
# data that the kernel cannot run on. It returns what the arguments hold afterwards, and last what
# the kernel returned.

# %%
suspect = case.suspects[0]
before = suspect.inputs(8)
for array in before:
    print("before:  ", np.round(array, 2).tolist())
*after, returned = suspect.probe(*before)
for array in after:
    print("after:   ", np.round(array, 2).tolist())
print("returned:", returned)

# %% [markdown]
# An *impulse* is one 1 among zeros. Here it goes into the last argument, which may not be the
# right one for your suspect.

# %%
*others, last = suspect.inputs(8)
impulse = np.zeros_like(last)
impulse.flat[impulse.size // 2] = 1
*after, returned = suspect.probe(*(np.zeros_like(array) for array in others), impulse)
for array in after:
    print("after:   ", np.round(array, 2).tolist())
print("returned:", returned)

# %% [markdown]
# <details><summary>Hint 1</summary>Set all inputs to 0 but one, which is 1. The outputs that move
# are those that depend on it, and how far they move is its weight. Then set all of them to 1, or
# double one that holds no positions.</details>
#
# <details><summary>Hint 2</summary>The shapes tell a lot: three squares, a square and two vectors,
# an argument of whole numbers, a single array and one number out. Two vectors of a few thousand
# that take long: what if every element meets every other?</details>


# %%
def kinds():
    """Return {number: kind} for your eight suspects."""

    # begin solution
    def kind(suspect):
        data = suspect.inputs(16)
        *after, returned = suspect.probe(*data)
        positions = [array for array in data if array.dtype.kind == "i"]
        squares = sum(array.ndim == 2 for array in data)
        if positions:  # a number of steps, or places that only lead on: a chain
            written = any(not np.array_equal(a, b) for a, b in zip(data, after, strict=True))
            return "indirect" if written and positions[0].size > 1 else "chain"
        if squares:
            return "stencil" if squares == 2 else "matrix product"
        if returned is not None:
            backwards = suspect.probe(*(array[::-1] for array in data))[-1]
            return "reduction" if np.isclose(backwards, returned) else "chain"
        *others, last = data
        nudged = suspect.probe(*others, last + (np.arange(last.size) == 8))[:-1]
        moved = {i for a, b in zip(after, nudged, strict=True) for i in np.flatnonzero(a != b)}
        if len(moved) > 1:
            return "stencil" if len(moved) == 3 else "arithmetic"
        twice = suspect.probe(*(2 * array for array in data))[:-1]
        linear = all(np.allclose(2 * a, b) for a, b in zip(after, twice, strict=True))
        return "streaming" if linear else "arithmetic"

    return {suspect.number: kind(suspect) for suspect in case.suspects}
    # end solution


# %%
check("lab_02.kinds", case.claim(evidence, kinds()))

# %% [markdown]
# ## Task 2: the missing counter
#
# For each suspect one counter is missing: FLOP or bytes of one call. An addition, subtraction,
# multiplication or division is 1 FLOP, a multiply-add is 2; arithmetic on positions does not
# count. Where neighbours have equal weights, both ways count: added first and multiplied once, or
# each multiplied. Bytes count an element that is read once, one that is written once, and one
# that is both read and written as two; 8 bytes each. What nobody touches does not count.
#
# Write `count()`: `{number: the missing counter}`, within 10 %. Nobody counts borders.

# %% [markdown]
# <details><summary>Hint 1</summary>Write down the formula for one output, count its operations, and
# multiply by the number of outputs. The weights of the impulse are the factors of the formula. For
# bytes, ask of each argument: is it read, written, or both?</details>
#
# <details><summary>Hint 2</summary>How many turns does a loop make that you cannot see? Feed it
# data that count: a sum of ones tells how many it added, a polynomial at 1 how many steps it took,
# and the known counter, divided by the size, what one element costs.</details>


# %%
def count():
    """Return {number: FLOP or bytes of one call, whichever is missing}."""

    # begin solution
    # ruff: noqa: C901 (one small function for each thing to find out)
    def written(suspect, data):
        after = suspect.probe(*data)
        return [not np.array_equal(a, b) for a, b in zip(data, after, strict=False)]

    def read(suspect, data, number):
        """Does what comes out depend on it? Borders, which may stay as they are, are left out."""
        if data[number].dtype.kind == "i":
            return True
        nudge = np.zeros_like(data[number])
        nudge[(slice(1, -1),) * nudge.ndim if nudge.size > 2 else ...] = 0.1
        other = [a + nudge if k == number else a for k, a in enumerate(data)]
        outputs = [*written(suspect, data), True]
        return any(
            out and not np.array_equal(np.asarray(a, float), np.asarray(b, float))
            for a, b, out in zip(suspect.probe(*data), suspect.probe(*other), outputs, strict=True)
            if a is not None
        )

    def turns(suspect):
        """Share of the elements that a walk with ones adds up."""
        ones = (a if a.dtype.kind == "i" else np.ones_like(a) for a in suspect.inputs(640))
        return suspect.probe(*ones)[-1] / 640

    def n_bytes(suspect, sizes, walks):
        data = suspect.inputs(640)
        times = [w + read(suspect, data, k) for k, w in enumerate(written(suspect, data))]
        touched = 8 * sum(size * t for size, t in zip(sizes, times, strict=True))
        return touched * (turns(suspect) if walks else 1)

    def weights(suspect):
        """What an impulse in each argument leaves in the one that is written."""
        data = suspect.inputs(9)
        out = int(np.argmax(written(suspect, data)))
        found = []
        for number in range(len(data)):
            if read(suspect, data, number):
                impulse = [np.zeros_like(a) for a in data]
                impulse[number].flat[data[number].size // 2] = 1
                found += [w for w in suspect.probe(*impulse)[out].flat if w]
        return found

    def flop(suspect, sizes, walks, kind):
        data = suspect.inputs(16)
        squares = [size for size, a in zip(sizes, data, strict=True) if a.ndim == 2]
        if kind == "chain" and sizes[0] == 1:
            return 3 * float(suspect.arguments.split()[-1])  # that many steps of a product
        if kind == "chain":
            return sizes[0] * (turns(suspect) if walks else 2)
        if kind == "matrix product":
            return 2 * squares[0] * (squares[0] ** 0.5 if len(squares) == 3 else 1)
        if kind == "indirect":
            return 2 * squares[0] if squares else max(sizes)
        once, twice = (suspect.probe(*(k * a for a in data)) for k in (1, 2))
        if kind == "reduction":  # doubled data: twice the sum, or four times a sum of products
            return sizes[0] * (2 if twice[-1] > 3 * once[-1] else 1)
        if kind == "arithmetic":
            zeros, ones = (suspect.probe(0 * data[0], 0 * data[1] + k)[0] for k in (0, 1))
            all_pairs = ones[0] == 0  # equal numbers have no difference
            return 3 * sizes[0] ** 2 if all_pairs else 2 * (ones[0] - 1) / zeros[0] * sizes[0]
        found = weights(suspect)
        return sizes[0] * (sum(w != 1 for w in found) + len(found) - 1)

    answer, kind_of = {}, kinds()
    for suspect in case.suspects:
        sizes = [int(np.prod(shape)) for shape in suspect.shapes]
        walks = "int64" in suspect.arguments and suspect.probe(*suspect.inputs())[-1] is not None
        missing_flop = suspect.counters["flop"] is None
        answer[suspect.number] = (
            flop(suspect, sizes, walks, kind_of[suspect.number]) if missing_flop
            else n_bytes(suspect, sizes, walks)
        )  # fmt: skip
    return answer
    # end solution


# %%
counted = count()  # kept for the tasks below: run this cell again after a change
check("lab_02.count", case.claim(evidence, counted))

# %% [markdown]
# ## Task 3: place them
#
# Write `place(flop, n_bytes, seconds, peak, bandwidth)`: return the arithmetic intensity in FLOP/B,
# the rate in FLOP/s, and the share of the roof that is reached: the time that the roofline gives,
# over the time that it took. Your own kernels are drawn with it; this needs Task 2.

# %% [markdown]
# <details><summary>Hint 1</summary>The roofline gives the longer of two times: that of the
# arithmetic at the peak, and that of the bytes at the bandwidth.</details>
#
# <details><summary>Hint 2</summary>A share of 1 is a kernel at its roof. Above 1, the count or the
# roof is wrong: kernels that only read may go there, since a triad also fetches what it
# overwrites.</details>


# %%
def place(flop, n_bytes, seconds, peak, bandwidth):
    """Return intensity (FLOP/B), rate (FLOP/s) and share of the roof."""
    # begin solution
    least = max(flop / peak, n_bytes / bandwidth)
    return flop / n_bytes, flop / seconds, least / seconds
    # end solution


# %%
def counters(number):
    """FLOP, bytes and seconds of a suspect: what was recorded, what you counted, the time."""
    known, mine = case.suspects[number - 1].counters, (counted or {}).get(number)
    if mine is None:
        raise ValueError(f"Task 2 first: its check has seen no counter for suspect {number} yet")
    flop, n_bytes = (float(mine) if known[k] is None else known[k] for k in ("flop", "bytes"))
    return flop, n_bytes, timed["seconds"][number - 1]


def under_the_roof(part, numbers):
    """Draw some suspects under the roof of one core."""
    dots = []
    for number in numbers:
        intensity, rate, _ = part(*counters(number), peak, bandwidth)
        if intensity > 0:  # 0 FLOP has no place on a logarithmic axis
            dots.append(Point(str(number), intensity, rate, "cpu", source=timed.source))
    core = Ceiling("one core", bandwidth, peak, "cpu", source=roof.source)
    title = f"Suspects {numbers[0]} to {numbers[-1]} under the roof of one core"
    return roofline([core], dots, title)


tried(place, lambda part: under_the_roof(part, range(1, 5)))

# %%
tried(place, lambda part: under_the_roof(part, range(5, 9)))

# %%
check("lab_02.place", place)

# %% [markdown]
# ## Task 4: name the wall
#
# The rule, on this machine: a kernel that reaches less than a fifth of its roof is bound by
# `"neither"`; the others by `"memory"` on the left of the ridge and by `"compute"` on its right.
# Within a factor of 1.3 of a border both answers count, in the tasks below as well. A share above 1
# is taken as it is.
#
# Write `bounds()`: `{number: bound}` for your eight suspects. You may write them down, or let
# `place` and `counters` decide.

# %% [markdown]
# <details><summary>Hint 1</summary>The ridge is where both times are equal, at an intensity of
# <code>peak / bandwidth</code>.</details>
#
# <details><summary>Hint 2</summary>For each number ask <code>place(*counters(number), peak,
# bandwidth)</code>. First the share; only if it is a fifth or more, the intensity.</details>


# %%
def bounds():
    """Return {number: "memory", "compute" or "neither"}."""
    # begin solution
    found = {}
    for number in range(1, 9):
        intensity, _, share = place(*counters(number), peak, bandwidth)
        side = "memory" if intensity < peak / bandwidth else "compute"
        found[number] = side if share >= 0.2 else "neither"
    return found
    # end solution


# %%
check("lab_02.bounds", case.claim(evidence, bounds()))

# %% [markdown]
# ## Task 5: how long on another machine?
#
# A kernel that reaches half of the roof here may reach half of another roof as well, if it is
# written as well for it. That is the whole promise of a roofline, and it holds only for kernels
# that a roof bounds.
#
# Write `elsewhere()`: `{number: seconds}` on the GPU of your case, whose float64 peak and
# bandwidth the next cell prints, with the same share of its roof; `None` for a suspect that
# neither roof bounds; near that border both count. The checker allows 15 %.

# %%
target = case.target
there = target.peaks[PRECISION], target.memory_bandwidth
print(f"{target.name}: {there[0] / 1e12:.3g} TFLOP/s in {PRECISION}, {there[1] / 1e12:.3g} TB/s")
print(target.quantity("memory_bandwidth").source)

# %% [markdown]
# <details><summary>Hint 1</summary>The other machine has another ridge: a kernel that memory
# bounds here may be bound by arithmetic there. Compute the time under the new roof from FLOP and
# bytes.</details>
#
# <details><summary>Hint 2</summary>Seconds there are the least seconds there, divided by the share
# reached here. <code>place(flop, n_bytes, 1.0, *there)</code> has the least seconds as its third
# result.</details>


# %%
def elsewhere():
    """Return {number: seconds on the target, or None where no roof bounds the kernel}."""
    # begin solution
    found = {}
    for number, bound in bounds().items():
        flop, n_bytes, seconds = counters(number)
        share = place(flop, n_bytes, seconds, peak, bandwidth)[2]
        least = place(flop, n_bytes, 1.0, *there)[2]
        found[number] = None if bound == "neither" else least / share
    return found
    # end solution


# %%
check("lab_02.elsewhere", case.claim(evidence, elsewhere()))

# %% [markdown]
# ## Task 6: what would move the wall?
#
# | remedy | what it means |
# |---|---|
# | `"fewer bytes"` | fuse it with its neighbours, use smaller numbers, keep more in caches |
# | `"faster arithmetic"` | SIMD lanes, tensor cores, lower precision, a higher clock |
# | `"more at once"` | independent work while something is waited for |
# | `"better addresses"` | sort or group, so that whole lines are used |
# | `"more per call"` | a larger batch: calling takes longer than computing |
#
# Write `mends()`: `{number: remedy}`, one that moves what bounds the suspect on this machine. Where
# two remedies fit, either counts.

# %% [markdown]
# <details><summary>Hint 1</summary>Start from the bound. For memory and compute it names the
# remedy.</details>
#
# <details><summary>Hint 2</summary>For "neither" ask what it waits for: the result of the step
# before, lines of memory of which it uses one number, Python, which calls it, or arithmetic that
# does one thing at a time where the peak does eight.</details>


# %%
def mends():
    """Return {number: remedy}."""
    # begin solution
    known = {"memory": "fewer bytes", "compute": "faster arithmetic"}
    found, kind_of = {}, kinds()
    for number, bound in bounds().items():
        small = case.suspects[number - 1].working_set < 1000 and kind_of[number] == "streaming"
        waits = {"indirect": "better addresses"}.get(kind_of[number], "more at once")
        found[number] = known.get(bound, "more per call" if small else waits)
    return found
    # end solution


# %%
check("lab_02.mends", case.claim(evidence, mends()))

# %% [markdown]
# ## Where this model breaks
#
# - Counted bytes are the least that can move. A gather moves a line of 64 bytes for a number of 8,
#   and a store to a fresh line fetches it first: both put a kernel below its roof for no fault of
#   its code.
# - Caches have roofs of their own. A working set that fits one may stand above the roof of memory.
# - A time of a few microseconds on the GPU is about what a launch takes, which no roof counts.
# - The prediction says "if it is written as well there". A gather or a stencil often is not.

# %% [markdown]
# ## You learned
#
# - One impulse in a field of zeros shows what a kernel does to its data.
# - FLOP and bytes follow from a formula and from shapes; with the time they give the place under
#   the roof, and the share of it.
# - The wall names the remedy, and the share travels to another machine, if a wall there is.

# %%
score("lab_02")

# %% [markdown]
# ## Further reading
#
# - [Roofline: an insightful visual performance model](https://doi.org/10.1145/1498765.1498785):
#   Williams, Waterman and Patterson in 2009, with kernels like these on four machines.
# - [LIKWID](https://github.com/RRZE-HPC/likwid): reads the counters of real hardware, where you
#   may, FLOP and bytes of memory among them.
# - [Nsight Compute's roofline](https://docs.nvidia.com/nsight-compute/ProfilingGuide/index.html):
#   the same picture for a GPU, from its own counters.
