# %% [markdown]
# # Measure your first honest number
#
# **What machine is this notebook on, and how long does one small operation on it really take?**
#
# *You'll do:* look at the machine under you, then time the same small jobs wrongly in three ways
# and rightly in one.
#
# *You'll learn*
#
# - why the first run lies, and what a warm-up is for;
# - why one run lies, and how to report a number that someone else can trust;
# - when work is done, and when a clock may stop.
#
# *You'll need:* Python, 20 minutes, any computer. No lesson needs a GPU.

# %%
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from aiinfra.facts.catalogue import accelerator, overhead
from aiinfra.measure import call_series, experiment, first_call, probe, time_call
from aiinfra.results import Comparison, Quantity, Table
from aiinfra.show import Series, Span, gap, samples, sweep, timeline
from aiinfra.teach import check, compare, learned, ledger, predict, quiz

# %% [markdown]
# Every number depends on the machine, so every lesson asks for it first. What you may *use* often
# differs from what the hardware has: a free notebook server may have 64 processors and 500 GB of
# memory, and grant you one processor and 2 GB.

# %%
machine = probe()
machine

# %% [markdown]
# An experiment that this machine can run is **measured here**. One that it cannot, because it
# needs a GPU, is **replayed** from a run of a named device on a named day. Where no run has been
# recorded yet, a named **model** computes it. No number in this course comes without one of these
# labels, and one that mixes them says so.
#
# A lesson asks you for a number before it shows one. A wrong guess is worth more than none: you
# remember the distance. Type into the box, press Enter, and only then run the cells below it; a
# guess that comes after the answer is marked as such.

# %% [markdown]
# ## Why does the first run lie?
#
# The subject is a sum of one million numbers. `numba.njit` marks the loop for compilation to
# machine code.


# %%
@numba.njit(nogil=True)
def total(x):
    """Add the numbers one after another."""
    s = 0.0
    for value in x:
        s += value
    return s


numbers = np.random.default_rng(1).random(1_000_000)

# %%
guess_first = predict(
    "You call `total(numbers)` twenty times. How many times slower than usual is the first call?",
    unit="x",
    key="00.first_call",
)

# %% [markdown]
# **Measure.** `call_series` notes how long each single call takes, in order, without any
# preparation.

# %%
calls = call_series(total, 20, numbers)
samples(
    calls,
    title="Twenty calls of one function: the first is not like the others",
    source=f"measured here: {machine.name}",
)

# %%
typical = float(np.median(calls[1:]))
first_gap = compare(
    guess_first,
    measured=Quantity(calls[0] / typical, "x", f"measured here: {machine.name}"),
)
gap(first_gap, title="The first call is in another league")

# %% [markdown]
# **Explain.** The first call compiles the loop; the others only run it. Compilers are one reason
# of several: the first touch of memory costs extra, caches are empty, clocks are low, a GPU loads
# its driver. None of this is the speed of the loop. A *warm-up* pays for it before the clock
# starts, and an honest report says so.
#
# **Change one thing.** Run the last two cells once more. `total` is compiled now. Where does the
# first dot go?

# %% [markdown]
# ## Why does one run lie?
#
# A much shorter subject: `len` of a list. Reading a clock takes time too, like the thumb on a
# stopwatch.

# %%
guess_len = predict("How long does `len` of a short list take?", unit="ns", key="00.len")

# %% [markdown]
# **Measure.** First two hundred single readings. Then `time_call`: it repeats the call between
# two readings until the clock's own cost no longer counts, does so several times, and reports the
# *median* with the middle half of its samples.

# %%
short_list = [1, 2, 3]
readings = call_series(len, 200, short_list)
honest = time_call(len, short_list)
samples(
    readings,
    first=False,
    reference=honest.quantity(),
    title="Two hundred single readings, none of them right",
    source=f"measured here: {machine.name}",
)

# %%
one_reading = float(np.median(readings))
gap(
    compare(guess_len, measured=honest.quantity()),
    title=f"One reading is {one_reading / honest.median:.1f} times too long: it times the clock",
)

# %% [markdown]
# **Explain.** A single reading holds the clock's own cost, so it is wrong by the same amount each
# time, and a thousand of them are no better. Repeating the call between two readings is better.
# What is left is noise: other work on the machine makes a run longer, a change of the clock speed
# moves it both ways. The mean follows the rare bad runs, the median does not. If two medians
# differ by less than their spreads, call it a tie.
#
# **Change one thing.** Time `sorted` on `list(range(1000))` instead. Why do both ways agree now?

# %% [markdown]
# ## When is the work done?
#
# In an AI server, many hands work at once: threads, GPUs, network cards. The job below adds the
# million numbers twenty times, on another thread (`nogil` lets it run beside yours).

# %%
guess_submit = predict(
    "The job takes some ten milliseconds. What does a clock show that stops when submit returns?",
    unit="ms",
    key="00.submit",
)

# %% [markdown]
# **Measure.** The clock is read twice: when `submit` returns, and when the result is there.


# %%
def job():
    """Twenty sums, which the caller need not wait for."""
    for _ in range(20):
        total(numbers)


@experiment(needs="cpu")
def hand_over(repeats):
    """Stop the clock when the job is handed over, and again when it is done."""
    rows = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(job).result()  # warm-up: start the thread
        for _ in range(repeats):
            jobs = []
            early = first_call(lambda: jobs.append(pool.submit(job)))
            rows.append({"early": early, "done": early + first_call(jobs[0].result)})
    return Table.from_rows(rows, {"early": "s", "done": "s"})


clocks = hand_over(repeats=9)
early, done = (float(np.median(clocks[name])) for name in ("early", "done"))
timeline(
    {
        "your thread": [Span(0, early, "submit", "cpu"), Span(early, done, "waits", "idle")],
        "other thread": [Span(early, done, "the job", "cpu")],
    },
    title="A clock that stops after submit sees none of the work",
    source=clocks.source,
)

# %%
submit_gap = compare(
    guess_submit,
    measured=Quantity(early, "s", clocks.source),
    model=Quantity(20 * typical, "s", "model: the job itself, twenty typical sums"),
)
gap(submit_gap, title="Stopping the clock too early hides all the work")

# %% [markdown]
# **Explain.** The model takes it for granted that the clock sees the work, and is wrong by all of
# it. `submit` is *asynchronous*: it hands work over and returns, at the same price for a short
# job and a long one. A GPU works like that too: a *launch* returns after microseconds while the
# *kernel*, the GPU's program, runs on. The remedy is to wait for the result, or a pair of
# *events*: time stamps that the GPU writes before and after the kernel.

# %% [markdown]
# The next cell shows what happens otherwise, measured where there is a GPU and modelled
# elsewhere. Squaring reads 4 bytes and writes 4 for each number. *Bandwidth* is bytes moved a
# second, and a clock that claims more than the memory can do is wrong.
#
# **Change one thing.** Put `"a100-sxm-80gb"` in place of `"h100-sxm"`. Which line moves?


# %%
gpu = accelerator("h100-sxm")


def square_model(sizes):
    """From the catalogue: 8 bytes an element at full bandwidth, but no faster than a launch."""
    launch = overhead("cuda-launch").value
    done = [max(launch, 8 * size / gpu.memory_bandwidth) for size in sizes]
    columns = {"elements": sizes, "early": [launch] * len(sizes), "done": done}
    return Table(columns, {"early": "s", "done": "s"}), gpu.name


@experiment(needs="gpu", model=square_model)
def gpu_square(sizes):
    """Square numbers on a GPU: the clock stopped at the launch, and by events after the work."""
    import cupy as cp

    rows = []
    for size in sizes:
        x, y = cp.ones(size, np.float32), cp.empty(size, np.float32)
        done = time_call(cp.square, x, out=y, device="gpu").columns("done")
        early = []
        for _ in range(20):
            early.append(first_call(cp.square, x, out=y))
            cp.cuda.Device().synchronize()
        rows.append({"elements": size, "early": float(np.median(early)), **done})
    return Table.from_rows(rows, {"early": "s", "done": "s"})


squares = gpu_square(sizes=[4**k for k in range(7, 15)])
elements, moved = squares["elements"], 8 * np.array(squares["elements"])
sweep(
    [Series("clock stopped at launch", elements, moved / squares["early"], "other"),
     Series("clock stopped by events", elements, moved / squares["done"], "gpu",
            source=squares.source)],
    x="elements squared",
    y=("bandwidth by that clock", "B/s"),
    wall_at=[(gpu.memory_bandwidth, f"memory of the {gpu.slug}")],
    title="Without waiting, a GPU seems faster than its own memory",
)

# %% [markdown]
# Every result names its source. The recording of `hand_over` ships with the course, so that you
# can compare your machine with it. Change the twenty sums in `job`, run that cell and then the
# next: the replay warns that your code differs. What you measure goes into your *ledger*, from
# which later lessons take your numbers in place of textbook values.

# %%
ledger.keep("sum_seconds", time_call(total, numbers).quantity())
hand_over.replay(repeats=9)

# %% [markdown]
# ## Where this model breaks
#
# The median of warm runs describes warm runs. A service that starts a fresh process for each
# request pays the first call every time, and there the honest number is the one that this lesson
# threw away. The median also hides the tail: a user who waits for the slowest of a hundred
# machines waits for the 99th percentile, not for the median.

# %%
tail = float(np.percentile(call_series(total, 300, numbers), 99))
broken = Comparison(
    measured=Quantity(tail, "s", f"measured here: {machine.name}"),
    model=Quantity(typical, "s", "model: the median stands for all"),
)
gap(broken, title="The slowest of a hundred calls is not the median call")

# %% [markdown]
# ## You learned

# %%
learned(
    f"The first call took {first_gap.measured.value:,.0f} times a typical one, for it compiled.",
    f"`len` takes {1e9 * honest.median:.0f} ns; a single reading says {1e9 * one_reading:.0f} ns.",
    f"`submit` returned after {100 * early / done:.2f} % of the time, with the work still to come.",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: report a series
#
# Write `report(calls)`: from the seconds of single calls in order, the first of which is a
# warm-up, return `(low, median, high)`, with low and high the 25th and 75th percentile.
#
# <details><summary>Hint 1</summary>Drop the first call before anything else.</details>
#
# <details><summary>Hint 2</summary>np.percentile takes a list of percentages.</details>


# %%
def report(calls):
    """Return (low, median, high) in seconds."""
    ...


check("00.report", report)

# %% [markdown]
# ### Exercise 2: how many loops are enough?
#
# A call takes `call` seconds; the two readings around a loop of calls cost `clock` seconds
# together. Write `loops(call, clock, share)`: the fewest calls for which the clock costs at most
# `share` of their time. For 20 ns, 100 ns and 1 %, that is 500.
#
# <details><summary>Hint 1</summary>The condition is clock ≤ share × loops × call.</details>
#
# <details><summary>Hint 2</summary>Solve for loops and round up; there is always at least
# one.</details>


# %%
def loops(call, clock, share):
    """Return a whole number of calls."""
    ...


check("00.loops", loops)

# %% [markdown]
# ### Exercise 3: catch a lie
#
# Write `too_fast(n_bytes, seconds, limit)`: does a reading claim more bytes a second than
# `limit`, the most that the hardware can move in B/s?
#
# <details><summary>Hint 1</summary>What bandwidth does the reading claim?</details>
#
# <details><summary>Hint 2</summary>Compare n_bytes / seconds with limit, and return the
# comparison itself.</details>


# %%
def too_fast(n_bytes, seconds, limit):
    """Return True where the clock must be wrong."""
    ...


check("00.too_fast", too_fast)

# %%
quiz("00")

# %% [markdown]
# ## Further reading
#
# - [timeit](https://docs.python.org/3/library/timeit.html): the standard library's clock, and why
#   it repeats.
# - [Scientific benchmarking of parallel computing
#   systems](https://doi.org/10.1145/2807591.2807644): twelve rules for numbers that others can
#   trust, from people who read a great many papers.
# - [CUDA C++ Best Practices Guide,
#   Timing](https://docs.nvidia.com/cuda/cuda-c-best-practices-guide/#timing): CPU timers, events,
#   and what each one sees.
# - [The Tail at Scale](https://doi.org/10.1145/2408776.2408794): why the slowest of a hundred
#   machines decides.
