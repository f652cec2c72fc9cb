# %% [markdown]
# # Climb from three loops to the library
#
# **How far from the library is my loop, and which step brings me how much closer?**
#
# *You'll do:* run and edit one matrix product six ways on this CPU, and read seven more for a GPU,
# each rung explained by the traffic that it saves.
#
# *You'll learn*
#
# - what the order of three loops is worth, and why;
# - how to count the bytes that a loop moves, and what sharing them in registers is worth;
# - what tiles, wide loads and tensor cores each repair on a GPU.
#
# *You'll need:* lessons 01 and 02, 90 minutes, any computer.

# %%
import os
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numba
import numpy as np
from numba import prange
from threadpoolctl import threadpool_info, threadpool_limits

from aiinfra.facts.catalogue import accelerator, overhead
from aiinfra.measure import cublas, experiment, probe, time_call
from aiinfra.model.tiles import Read, Tile, residency, tile_time
from aiinfra.results import Quantity, Table
from aiinfra.show import (Ceiling, Choice, Point, Scale, Series, Span, explorer, gap, ladder,
                          roofline, sweep, timeline)
from aiinfra.teach import check, compare, learned, ledger, predict, quiz
from aiinfra.units import format_quantity

f32 = np.float32
machine = probe()
threads = min(machine.cores_usable, numba.config.NUMBA_NUM_THREADS)
numba.set_num_threads(threads)
threadpool_limits(threads, user_api="blas")  # NumPy gets no more threads than these loops


def flops(value):
    """Write a rate."""
    return format_quantity(value, "FLOP/s")


def aligned(values):
    """Copy an array to where a cache line begins: elsewhere, vectors straddle two lines."""
    space = np.empty(values.size + 16, f32)
    x = space[-space.ctypes.data // 4 % 16 :][: values.size].reshape(values.shape)
    x[:] = values
    return x


def matrices(size):
    """Two random matrices and room for their product."""
    a, b = np.random.default_rng(4).random((2, size, size), f32)
    return aligned(a), aligned(b), aligned(np.zeros_like(a))


def race(loops, size, repeats):
    """The best rate of each loop; they take turns, so that a busy spell disturbs all alike."""
    best, arrays = dict.fromkeys(loops, 0.0), matrices(size)
    for loop in 4 * list(loops):
        run = time_call(loops[loop], *arrays, repeats=repeats)
        best[loop] = max(best[loop], 2 * size**3 / run.best)
    return Table({"loop": list(best), "rate": list(best.values())}, {"rate": "FLOP/s"})


machine

# %% [markdown]
# ## What does the order of three loops cost?
#
# Most of the arithmetic in AI is one operation: `c = a @ b`. Each number of `c` is a row of `a`
# times a column of `b`, so two matrices of `n` by `n` numbers take `n³` multiply-adds, or `2n³`
# FLOP. Three nested loops run them, and any order of the loops gives the same sums, but for
# rounding:
#
# - *row by column*: finish one number of `c`, then the next;
# - *row by row*: add a multiple of a row of `b` to a row of `c`, then the next row of `b`.
#
# Rows lie in memory one behind the other. Both versions take square matrices, are compiled with
# the same options, and use one core.

# %%
guess_order = predict(
    "For 768 by 768 numbers: how many times faster is row by row than row by column?",
    unit="x", key="04.loop_order",
)

# %% [markdown]
# **Measure.** The two loops, and beside them three limits of this core: additions that wait for
# one another, updates of a vector that stays in the cache next to the core, and multiply-adds on
# numbers that stay in registers. The last also on all cores at once, for the next round.
#
# Other programs only ever make a loop slower. So loops and limits take turns, and each shows its
# fastest sample.


# %%
compiled = numba.njit(fastmath={"contract"})  # may fuse a multiply and an add, as hardware does


@compiled
def row_by_column(a, b, c):
    """Finish one number of c after another."""
    n = len(a)
    for i in range(n):
        for j in range(n):
            s = f32(0)
            for k in range(n):
                s += a[i, k] * b[k, j]
            c[i, j] = s


@compiled
def row_by_row(a, b, c):
    """Add multiples of the rows of b to a row of c."""
    c[:] = 0
    n = len(a)
    for i in range(n):
        for k in range(n):
            x = a[i, k]
            for j in range(n):
                c[i, j] += x * b[k, j]


@compiled
def total(x, times):
    """Multiply and add to one sum: each addition waits for the one before."""
    s = f32(0)
    for k in range(times):
        for value in x:
            s += f32(k) * value
    return s


@compiled
def polynomials(x, y):
    """Four polynomials of degree 32 at each x: 256 FLOP for each number read."""
    for i in prange(x.size):  # a plain range where numba is not asked for all cores
        v, p, q, r, s = x[i], f32(1), f32(2), f32(3), f32(4)
        for _ in range(32):
            p, q, r, s = p * v + v, q * v + v, r * v + v, s * v + v
        y[i] = p + q + r + s


everywhere = numba.njit(fastmath={"contract"}, parallel=True)(polynomials.py_func)


@compiled
def update(x, y, times):
    """Add multiples of x to y again and again: 12 bytes for each multiply-add."""
    for k in range(times):
        for j in range(x.size):
            y[j] += f32(k) * x[j]


# %%
@experiment(needs="cpu")
def core_limits():
    """Measure what one core does at best, what when each step waits, and what all do at once."""
    x, y = aligned(np.full(2048, f32(0.5))), aligned(np.zeros(2048, f32))
    long = np.full((2, 2**20), f32(0.5))
    runs = {
        "peak": (256 * 2**14, (polynomials, *long[:, : 2**14])),
        "cache": (12 * 100 * x.size, (update, x, y, 100)),
        "chain": (2 * 100 * x.size, (total, x, 100)),
        "all_cores": (128 * long.size, (everywhere, *long)),
    }
    best = {k: work / time_call(*call, repeats=300).best for k, (work, call) in runs.items()}
    return Table.from_rows([best], {k: "B/s" if k == "cache" else "FLOP/s" for k in best})


@experiment(needs="cpu")
def loop_orders(size):
    """Run the three loops in two orders on one core."""
    return race({"row by column": row_by_column, "row by row": row_by_row}, size, repeats=2)


SIZE = 768
core, orders = core_limits(), loop_orders(SIZE)
peak, cache, chain, roof = (core.quantity(k) for k in ("peak", "cache", "chain", "all_cores"))
rate = dict(zip(orders["loop"], orders["rate"], strict=True))
allowed = {"row by column": chain.value, "row by row": cache.value * 2 / 12}
limits = "a chain of additions", "the nearest cache"
print(Table.from_rows([
    {"loop": loop, "rate": rate[loop], "its limit": limit, "limit": allowed[loop],
     "share (%)": 100 * rate[loop] / allowed[loop]}
    for loop, limit in zip(rate, limits, strict=True)
], {"rate": "FLOP/s", "limit": "FLOP/s"}), orders.source, sep="\n")
rests = "walking down the columns of b", "fetching b from a farther cache"
for loop, rest in zip(rate, rests, strict=True):
    far = allowed[loop] / rate[loop]
    print(f"{loop}: its limit explains it; {rest} hides behind it." if far < 1.33 else
          f"{loop}: {far:.1f}x below its limit; {rest}, or other programs, cost the rest.")
order_gap = compare(
    guess_order,
    measured=Quantity(rate["row by row"] / rate["row by column"], "x", orders.source),
    model=Quantity(allowed["row by row"] / chain.value, "x", "model: ratio of the two limits"),
)
swap = order_gap.measured.value
gap(order_gap, title=f"Swapping two loops makes one core {swap:.0f} times faster")

# %% [markdown]
# **Explain.** Row by column adds each product to the same sum: every addition waits for the one
# before, a few cycles each time: the chain of the table.
#
# Row by row waits for nothing. Neighbours in `c` are independent and lie side by side, so one
# vector instruction updates many. Its limit is the nearest cache, though `b` comes from a farther
# one. Read the shares too: a ratio hides what both loops miss alike.
#
# **Change one thing.** Set `SIZE = 512` and run that cell. Which loop changes more? Numbers of a
# column, each on its own *cache line* (64 bytes that move together), are now 2,048 bytes apart, and
# a cache has few places for such addresses. Put 768 back.

# %% [markdown]
# ## How far is my loop from the library?
#
# Row by row still leaves much of the core idle. Each multiply-add moves 12 bytes: it reads one
# number of `b`, reads one of `c`, writes that one back. Three rungs are left:
#
# - *panel*: copy 64 by 64 numbers of `b` into one small array that stays in the nearest cache;
# - *registers*: use each number four times while it is in a register;
# - *all cores*: share the panels out, with numba's parallel loop `prange`.
#
# At the top stands NumPy, which calls a BLAS library that people have tuned for decades.

# %%
guess_library = predict(
    "What share of NumPy's rate does the best of these loops reach, on all cores?",
    unit="%", key="04.library",
)

# %% [markdown]
# **Measure.** Matrices are square here, their sides multiples of 256. The second loop keeps a 4 by
# 4 tile of `a` in registers, so that 4 numbers of the panel and 4 sums serve 16 multiply-adds.
# All loops are compiled with the options of the first two.
#
# The second figure is a *roofline*: no loop runs faster than the cache delivers its bytes (the
# slope) or than the core computes (the flat roof).


# %%
def by_panels(width):
    """Row by row, over panels of b, width by width numbers, that are copied into a small array."""
    def multiply(a, b, c):
        n = len(a)
        for left in range(0, n, width):
            panel, t = np.empty(width * width, f32), np.empty(width, f32)
            c[:, left : left + width] = 0
            for top in range(0, n, width):
                panel.reshape(width, width)[:] = b[top : top + width, left : left + width]
                for i in range(n):
                    t[:] = 0
                    for k, x in enumerate(a[i, top : top + width]):
                        for j in range(width):
                            t[j] += x * panel[width * k + j]
                    c[i, left : left + width] += t
    return multiply


def by_registers(width):
    """By panels, four rows and four steps at a time; t holds the sums of four rows."""
    def multiply(a, b, c):
        n, w = len(a), width
        for number in prange(n // w):
            left = w * number
            panel, t = np.empty(w * w, f32), np.empty(4 * w, f32)
            c[:, left : left + w] = 0
            for top in range(0, n, w):
                panel.reshape(w, w)[:] = b[top : top + w, left : left + w]
                for i in range(0, n, 4):
                    p, q, r, s = a[i], a[i + 1], a[i + 2], a[i + 3]
                    t[:] = 0
                    for k in range(top, top + w, 4):
                        p0, p1, p2, p3 = p[k], p[k + 1], p[k + 2], p[k + 3]
                        q0, q1, q2, q3 = q[k], q[k + 1], q[k + 2], q[k + 3]
                        r0, r1, r2, r3 = r[k], r[k + 1], r[k + 2], r[k + 3]
                        s0, s1, s2, s3 = s[k], s[k + 1], s[k + 2], s[k + 3]
                        x = w * (k - top)
                        for j in range(w):
                            y0, y1 = panel[x + j], panel[x + w + j]
                            y2, y3 = panel[x + 2 * w + j], panel[x + 3 * w + j]
                            t[j] = t[j] + p0 * y0 + p1 * y1 + p2 * y2 + p3 * y3
                            t[w + j] = t[w + j] + q0 * y0 + q1 * y1 + q2 * y2 + q3 * y3
                            t[2 * w + j] = t[2 * w + j] + r0 * y0 + r1 * y1 + r2 * y2 + r3 * y3
                            t[3 * w + j] = t[3 * w + j] + s0 * y0 + s1 * y1 + s2 * y2 + s3 * y3
                    for row in range(4):
                        c[i + row, left : left + w] += t[w * row : w * (row + 1)]
    return multiply


# %%
PANEL, WIDE = 64, 256
CPU_RUNGS = {
    "row by row": row_by_row,
    "+ panel": compiled(by_panels(PANEL)),
    f"panel of {WIDE}": compiled(by_panels(WIDE)),
    "+ registers": compiled(by_registers(PANEL)),
    "+ all cores": numba.njit(fastmath={"contract"}, parallel=True)(by_registers(PANEL)),
    "NumPy (BLAS)": lambda a, b, c: np.matmul(a, b, out=c),
}


@experiment(needs="cpu")
def matmul_on_cpu(size):
    """Multiply two matrices on every rung that was not timed before."""
    if size % PANEL or size % WIDE:
        raise ValueError(f"{size} rows are no whole panels: take a multiple of {PANEL} and {WIDE}")
    new = {rung: loop for rung, loop in CPU_RUNGS.items() if loop is not row_by_row}
    return race(new, size, repeats=15)


pools = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
print("BLAS threads:", *pools or ["not told"], "| this machine:", threads,
      f"| panels to share out: {SIZE // PANEL}, and at most one core on each")
hold = {f"L{cache.level}" for cache in machine.caches
        if cache.kind != "instruction" and cache.bytes > 4 * PANEL**2}
print(f"A panel takes {PANEL**2 / 256:.0f} KiB. Caches that hold it:", *sorted(hold))
climb = matmul_on_cpu(SIZE)
rate |= dict(zip(climb["loop"], climb["rate"], strict=True))
library, best = rate["NumPy (BLAS)"], max(rate["+ registers"], rate["+ all cores"])
scaled, could = rate["+ all cores"] / rate["+ registers"], roof.value / peak.value
doubt = ", other programs ran" * (library < 0.3 * roof.value or scaled < 1.2 < 1.5 < could)
if doubt:
    print(f"NumPy reaches {100 * library / roof.value:.0f} % of what these cores can do, and all "
          f"cores ran {scaled:.1f} times as fast as one: other programs were running, or this "
          "NumPy has no tuned BLAS. Do not read shares; run again from the first loops on, alone.")
print(f"Rows of {PANEL} numbers in a panel: {flops(rate['+ panel'])}. Of {WIDE}: "
      f"{flops(rate[f'panel of {WIDE}'])}. Whole rows, no panel: {flops(rate['row by row'])}.")
panel_gain, share_gain = (rate[b] / rate[a] for a, b in (
    ("row by row", "+ panel"), ("+ panel", "+ registers")))
effect = ("changes little" if 0.95 < panel_gain < 1.05 else
          f"makes a loop {panel_gain:.1f} times as fast")
ladder(
    [(rung, Quantity(rate[rung], "FLOP/s", climb.source), "cpu")
     for rung in ("row by column", *CPU_RUNGS) if rung != f"panel of {WIDE}"],
    title=f"{SIZE} rows: a panel {effect}, registers then make it {share_gain:.1f} "
          f"times as fast{doubt}",
)

# %%
BYTES = {"+ panel": 12, "+ registers": 3}  # for each multiply-add
one_core = Ceiling("one core", cache.value, peak.value, "cpu", core.source, "nearest cache")
allows, most = (one_core.at(2 / moved) for moved in BYTES.values())
print(f"12 bytes for each multiply-add allow {flops(allows)}, 3 bytes {flops(most)}:",
      "the bytes no longer forbid the peak." if most == peak.value else "less than the peak.")
print(f"The loop runs {most / rate['+ registers']:.1f}x below that. What still holds it: for each "
      f"{PANEL} numbers in a row of the panel it starts anew and fetches 16 numbers of a.")
roofline([one_core], [Point(rung, 2 / moved, rate[rung], "cpu", climb.source)
                      for rung, moved in BYTES.items()],
         title=f"Sharing in registers lifts the roof over a loop {most / allows:.1f} times")

# %%
library_gap = compare(guess_library, measured=Quantity(100 * best / library, "%", climb.source))
ledger.keep("matmul_rate", Quantity(library, "FLOP/s", climb.source))  # for later lessons
print(f"What {threads} cores do with numbers in registers: {flops(roof.value)}." + (
    " NumPy does more: its BLAS uses wider vectors, or a unit that these loops do not reach."
    * (library > 1.05 * roof.value)))
share = library_gap.measured.value
gap(library_gap, title=f"{share:.0f} % of the library: {flops(best)} of {flops(library)}{doubt}")

# %% [markdown]
# **Explain.** The panel changes where `b` is read from, not how much, and its short rows cost:
# starting the loop, filling and emptying `t`. The register tile reads 4 numbers of the panel and 4
# sums, and writes 4, for 16 multiply-adds: 3 bytes each.
#
# **Change one thing.** Set `PANEL = 128` and run from there. Which rungs gain? How many panels are
# left for your cores? Put 64 back.
#
# ## What does each rung of a GPU ladder repair?
#
# A *streaming multiprocessor* (SM) starts four warp instructions a cycle at most. Its *load unit*
# serves a line of 128 bytes a cycle. *Tensor cores* multiply whole tiles of short numbers, such as
# *bf16* (16 bits). A *dense* peak skips no zeros.

# %%
device = accelerator("h200-sxm")
print("dense peaks, fp32 and bf16:", device.peak("fp32"), device.peak("bf16"), sep="\n")
guess_ladder = predict(
    "4,096 by 4,096 numbers on an H200: how many times faster is the last rung, with tensor cores, "
    "than the first, where each lane of a warp makes a number of another row of c? Hint: count the "
    "lines of a that its 32 lanes touch in one read.",
    unit="x", key="04.gpu_ladder",
)

# %% [markdown]
# **Measure.** Seven rungs in CUDA C, checked thread by thread on a CPU; model means counted traffic,
# no clock. Last comes a ladder that Simon Boehm measured on an A6000. Find these lines below; a
# *slice* is what a block holds of `a` and `b`.
#
# | rung | inner line | repairs |
# |---|---|---|
# | naive, coalesced | `sum += a[row * k + i] * b[i * n + col]` | order of lanes |
# | shared tile | `sum += as[y][i] * bs[i][x]` | trips to the cache |
# | registers | `sum[r][s] += p[r] * q[s]` | reads per sum |
# | wide loads | `WIDE(p) = WIDE(&now_a[i][y * 4])` | number of loads |
# | tensor cores | `multiply_add(sum[r][s], p[r], ...)` | the unit |
#
# **Task.** Store `a` by columns: where reads are counted, make the first naive one `4 * lane`. What
# does naive cost? Put `ROW * lane` back.

# %%
SIMPLE_CUDA = """
// Thread x takes row x: for each step a warp reads 32 rows of a, 32 lines for 32 numbers.
extern "C" __global__ void naive(const float* a, const float* b, float* c, int m, int n, int k) {
  int row = blockIdx.y * 32 + threadIdx.x % 32, col = blockIdx.x * 32 + threadIdx.x / 32;
  if (row >= m || col >= n) return;
  float sum = 0;
  for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + col];
  c[row * n + col] = sum;
}

// Thread x takes column x: one number of a for the warp, one line of b. Two loads a multiply-add.
extern "C" __global__ void coalesced(
    const float* a, const float* b, float* c, int m, int n, int k) {
  int row = blockIdx.y * 32 + threadIdx.x / 32, col = blockIdx.x * 32 + threadIdx.x % 32;
  if (row >= m || col >= n) return;
  float sum = 0;
  for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + col];
  c[row * n + col] = sum;
}

// The block copies its slices to shared memory once, instead of hoping for the L1 cache.
extern "C" __global__ void shared_tile(
    const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ float as[32][32], bs[32][32];
  int x = threadIdx.x % 32, y = threadIdx.x / 32;
  int row = blockIdx.y * 32 + y, col = blockIdx.x * 32 + x;
  float sum = 0;
  for (int at = 0; at < k; at += 32) {
    as[y][x] = row < m && at + x < k ? a[row * k + at + x] : 0;
    bs[y][x] = at + y < k && col < n ? b[(at + y) * n + col] : 0;
    __syncthreads();  // everyone has written
    for (int i = 0; i < 32; i++) sum += as[y][i] * bs[i][x];
    __syncthreads();  // everyone has read
  }
  if (row < m && col < n) c[row * n + col] = sum;
}
"""

# %%
REGISTER_CUDA = """
#ifndef BM  // the tile of a block: BM x BN numbers of c, BK steps at a time; TM x TN a thread
#define BM 128
#define BN 128
#define BK 8
#define TM 8
#define TN 8
#endif
#define THREADS (BM / TM * (BN / TN))
// A thread keeps TM x TN sums in registers: TM + TN reads serve TM * TN multiply-adds.
extern "C" __global__ void __launch_bounds__(THREADS) register_tile(
    const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ float as[BM][BK], bs[BK][BN];
  int x = threadIdx.x % (BN / TN), y = threadIdx.x / (BN / TN);
  int top = blockIdx.y * BM, left = blockIdx.x * BN;
  float sum[TM][TN] = {}, p[TM], q[TN];
  for (int at = 0; at < k; at += BK) {
    for (unsigned i = threadIdx.x; i < BM * BK; i += THREADS) {
      int row = top + i / BK, col = at + i % BK;
      as[i / BK][i % BK] = row < m && col < k ? a[row * k + col] : 0;
    }
    for (unsigned i = threadIdx.x; i < BK * BN; i += THREADS) {
      int row = at + i / BN, col = left + i % BN;
      bs[i / BN][i % BN] = row < k && col < n ? b[row * n + col] : 0;
    }
    __syncthreads();
    for (int i = 0; i < BK; i++) {
      for (int r = 0; r < TM; r++) p[r] = as[y + r * (BM / TM)][i];
      for (int s = 0; s < TN; s++) q[s] = bs[i][x + s * (BN / TN)];
      for (int r = 0; r < TM; r++)
        for (int s = 0; s < TN; s++) sum[r][s] += p[r] * q[s];
    }
    __syncthreads();
  }
  for (int r = 0; r < TM; r++)
    for (int s = 0; s < TN; s++) {
      int row = top + y + r * (BM / TM), col = left + x + s * (BN / TN);
      if (row < m && col < n) c[row * n + col] = sum[r][s];
    }
}
"""

# %%
VECTOR_CUDA = """
// Whole tiles of 128 x 128 only. Every load moves 16 bytes, so that 4 replace 16; a lies on its
// side in shared memory; while one slice is multiplied, the next is on its way to registers.
#define WIDE(place) (*(float4*)(place))
extern "C" __global__ void __launch_bounds__(256, 2) vectorised(
    const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ __align__(16) float as[2][8][132], bs[2][8][128];  // 132: see below
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int x = warp % 2 * 8 + lane / 2 % 8, y = warp / 2 * 4 + lane / 16 * 2 + lane % 2;
  int row = threadIdx.x / 2, col = threadIdx.x % 2 * 4;
  const float* from_a = a + (blockIdx.y * 128 + row) * k + col;
  const float* from_b = b + warp * n + blockIdx.x * 128 + lane * 4;
  float4 next_a = WIDE(from_a), next_b = WIDE(from_b);
  __align__(16) float sum[8][8] = {}, p[8], q[8];
  for (int at = 0; at < k; at += 8) {
    auto& now_a = as[at / 8 % 2];
    auto& now_b = bs[at / 8 % 2];
    // A warp writes 16 rows to two steps, 4 apart: 4 * 132 words put them on different banks.
    now_a[col][row] = next_a.x, now_a[col + 1][row] = next_a.y;
    now_a[col + 2][row] = next_a.z, now_a[col + 3][row] = next_a.w;
    WIDE(&now_b[warp][lane * 4]) = next_b;
    __syncthreads();  // one is enough: the other half is being read meanwhile
    if (at + 8 < k) {
      next_a = WIDE(from_a + at + 8);
      next_b = WIDE(from_b + (at + 8) * n);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      WIDE(p) = WIDE(&now_a[i][y * 4]), WIDE(p + 4) = WIDE(&now_a[i][64 + y * 4]);
      WIDE(q) = WIDE(&now_b[i][x * 4]), WIDE(q + 4) = WIDE(&now_b[i][64 + x * 4]);
      for (int r = 0; r < 8; r++)
        for (int s = 0; s < 8; s++) sum[r][s] += p[r] * q[s];
    }
  }
  for (int r = 0; r < 8; r++) {
    float* to = c + (blockIdx.y * 128 + r / 4 * 64 + y * 4 + r % 4) * n + blockIdx.x * 128 + x * 4;
    WIDE(to) = WIDE(sum[r]), WIDE(to + 64) = WIDE(sum[r] + 4);
  }
}
"""

# %%
MMA_CUDA = """
// What tensor cores need beyond CUDA C, one instruction of the GPU in each function.
typedef unsigned short bf16;  // the upper half of a float
#if __CUDA_ARCH__ >= 800
#define AT(place) "r"((unsigned)__cvta_generic_to_shared(place))
__device__ void fetch16(uint4* shared, const bf16* global) {  // 8 numbers, past the registers
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::AT(shared), "l"(global) : "memory");
}
__device__ void close_batch() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int open> __device__ void wait_for_batches() {  // until at most `open` are under way
  asm volatile("cp.async.wait_group %0;" ::"n"(open) : "memory");
}
// Lane l names row l; every lane gets its part of a 16 x 16 tile (of b: turned on its side).
__device__ void load_a(unsigned (&p)[4], const uint4* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(p[0]), "=r"(p[1]), "=r"(p[2]), "=r"(p[3]) : AT(row) : "memory");
}
__device__ void load_b(unsigned (&q)[4], const uint4* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(q[0]), "=r"(q[1]), "=r"(q[2]), "=r"(q[3]) : AT(row) : "memory");
}
// A warp multiplies 16 x 16 by 16 x 8 numbers and adds to 16 x 8 sums: 2,048 multiply-adds.
__device__ void multiply_add(float (&sum)[4], const unsigned (&p)[4], const unsigned* q) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "r"(q[0]), "r"(q[1]));
}
#else  // older GPUs have no bf16: the listing compiles, and the kernel stops at once
__device__ void fetch16(uint4*, const bf16*) { __trap(); }
__device__ void close_batch() {}
template <int open> __device__ void wait_for_batches() {}
__device__ void load_a(unsigned (&)[4], const uint4*) {}
__device__ void load_b(unsigned (&)[4], const uint4*) {}
__device__ void multiply_add(float (&)[4], const unsigned (&)[4], const unsigned*) {}
#endif
"""

# %%
TENSOR_CUDA = MMA_CUDA + """
// Whole tiles of 128 x 256, 32 steps at a time, 4 slices under way; each of 8 warps makes 64 x 64.
extern "C" __global__ void __launch_bounds__(256) tensor_cores(
    const bf16* a, const bf16* b, float* c, int m, int n, int k) {
  extern __shared__ uint4 pool[];  // 4 slices of 128 x 4 pieces of a and 32 x 32 pieces of b
  unsigned tid = threadIdx.x, lane = tid % 32, top = tid / 128 * 64, left = tid / 32 % 4 * 64;
  const bf16* from_a = a + (blockIdx.y * 128 + tid / 4) * k + tid % 4 * 8;
  const bf16* from_b = b + tid / 32 * n + blockIdx.x * 256 + lane * 8;
  uint4* to_a = pool + tid / 4 * 4 + (tid % 4 ^ tid / 8 % 4);  // ^ spreads the pieces of 8 rows
  uint4* to_b = pool + 512 + tid / 32 * 32 + (lane ^ tid / 32);  // over all banks
  auto fetch = [&](unsigned at) {
    unsigned slice = at / 32 % 4 * 1536;
    if (at < k) {
#pragma unroll
      for (int i = 0; i < 2; i++) fetch16(to_a + slice + i * 256, from_a + at + i * 64 * k);
#pragma unroll
      for (int i = 0; i < 4; i++) fetch16(to_b + slice + i * 256, from_b + (at + i * 8) * n);
    }
    close_batch();
  };
  for (unsigned at = 0; at < 96; at += 32) fetch(at);
  float sum[4][8][4] = {};
  for (unsigned at = 0; at < k; at += 32) {
    wait_for_batches<2>();  // this slice is here
    __syncthreads();        // for every thread, and the one before has been read
    fetch(at + 96);
    uint4 *as = pool + at / 32 % 4 * 1536, *bs = as + 512;
    for (unsigned i = 0; i < 32; i += 16) {
      unsigned p[4][4], q[4][4];
      unsigned row = top + lane % 16, step = i + lane % 16, h = lane / 16;
      for (int r = 0; r < 4; r++, row += 16)
        load_a(p[r], as + row * 4 + (i / 8 + h ^ row / 2 % 4));
      for (int s = 0; s < 4; s++)
        load_b(q[s], bs + step * 32 + (left / 8 + s * 2 + h ^ step % 8));
      for (int r = 0; r < 4; r++)
        for (int s = 0; s < 8; s++) multiply_add(sum[r][s], p[r], &q[s / 2][s % 2 * 2]);
    }
  }
  for (int i = 0; i < 32; i++) {  // a lane holds two neighbours in row l / 4, two 8 rows below
    int row = blockIdx.y * 128 + top + i / 8 * 16 + lane / 4;
    float* to = c + row * n + blockIdx.x * 256 + left + i % 8 * 8 + lane % 4 * 2;
    *(float2*)to = make_float2(sum[i / 8][i % 8][0], sum[i / 8][i % 8][1]);
    *(float2*)(to + 8 * n) = make_float2(sum[i / 8][i % 8][2], sum[i / 8][i % 8][3]);
  }
}
"""

# %%
ROW = 4 * 4096  # bytes from one row of a large matrix to the next
# The compiler makes one load of four steps that lie side by side (1/4 a step), not in 8 by 8.
uniform, neighbours = (lambda lane: 0), (lambda lane: 4 * lane)
GPU_RUNGS = {  # listing, kernel, tile of the block, steps and tile of the thread
    "naive": (SIMPLE_CUDA, "naive", Tile(32, 32)),
    "coalesced": (SIMPLE_CUDA, "coalesced", Tile(32, 32)),
    "shared tile": (SIMPLE_CUDA, "shared_tile", Tile(32, 32, 32)),
    "registers, 8 by 1": (REGISTER_CUDA, "register_tile", Tile(64, 64, 8, 8, 1)),
    "registers, 8 by 8": (REGISTER_CUDA, "register_tile", Tile(128, 128, 8, 8, 8)),
    "wide loads": (VECTOR_CUDA, "vectorised", Tile(128, 128, 8, 8, 8, stages=2, pad=128)),
    "tensor cores": (TENSOR_CUDA, "tensor_cores", Tile(128, 256, 32, 8, 16, stages=4, word=2)),
}
READS = {  # loads of a warp for each step: how many, bytes for a lane, where, from shared memory
    "naive": [Read(1, 4, lambda lane: ROW * lane, False), Read(1, 4, uniform, False)],
    "coalesced": [Read(1, 4, uniform, False), Read(1, 4, neighbours, False)],
    "shared tile": [Read(1 / 4, 16, uniform), Read(1, 4, neighbours)],
    "registers, 8 by 1": [Read(8 / 4, 16, uniform), Read(1, 4, neighbours)],
    "registers, 8 by 8": [Read(8, 4, lambda lane: lane // 16 * 32),
                          Read(8, 4, lambda lane: lane % 16 * 4)],
    "wide loads": [Read(4, 16, lambda lane: lane // 2 % 8 * 16)],
    "tensor cores": [Read(8 / 16, 16, lambda lane: lane * 16)],
}


def price(rung, size, gpu=device, **cycles):
    """Seconds of a rung by its counted traffic."""
    tile = GPU_RUNGS[rung][2]
    return tile_time(tile, READS[rung], size, gpu, "fp32" if tile.word == 4 else "bf16", **cycles)


def rung_table():
    """Count what a step costs a warp, and what an SM holds."""
    rows = []
    for rung, (_, _, tile) in GPU_RUNGS.items():
        held, madds = residency(tile), tile.thread_rows * tile.thread_columns
        fronts = sum(read.times * read.wavefronts for read in READS[rung])
        rows.append({
            "rung": rung, "wavefronts": fronts / madds,
            "FLOP per L2 byte": tile.intensity, "waits for": price(rung, 4096).bound,
            "registers": str(tile.registers), "shared bytes": f"{tile.shared_bytes:,}",
            "warps of 64": str(held.warps), "no more for": held.limited_by,
        })
    return Table.from_rows(rows, {})


eight, one = (read.times * read.wavefronts for read in READS["registers, 8 by 1"])
print(rung_table(), f"""model: counted from tiles and reads; room in an SM of an H200

One load of a warp is a request. The load unit serves it in wavefronts, one a cycle: a line of the
L1 cache, or a word (4 bytes) from each of 32 banks of shared memory; counted for 32 multiply-adds,
one a lane. A load takes an issue slot from arithmetic. Occupancy: how many warps of 64 an SM holds.
Worked, 8 by 1: a step takes 8 numbers of a, four steps in one load, in {eight:.0f} wavefronts, and
1 of b, in {one:.0f}. They serve 8 multiply-adds of a lane: {eight + one:.0f} / 8.""", sep="\n")

# %%
def refuse(rung, a, b, c):
    """Raise where a kernel would touch other numbers than those of these arrays."""
    tile, (m, k), n = GPU_RUNGS[rung][2], a.shape, b.shape[1]
    word = f32 if tile.word == 4 else np.uint16
    for x, shape, kind in (a, (m, k), word), (b, (k, n), word), (c, (m, n), f32):
        if x.shape != shape or x.dtype != kind or not x.flags.c_contiguous or x.size >= 2**31:
            raise ValueError(f"{rung} takes {shape} numbers of {kind.__name__} in rows one behind "
                             "the other: use astype and ascontiguousarray")
    if tile.stages > 1 and (m % tile.rows or n % tile.columns or k % tile.depth):  # no guards
        raise ValueError(f"{rung} takes whole tiles: pad with zeros to multiples of {tile.rows} "
                         f"rows, {tile.columns} columns, {tile.depth} steps")


PRECISION = {4: "fp32", 2: "bf16"}  # by the bytes of a number


def launcher(rung):
    """Compile a rung; return a function (a, b, c) that launches it, or refuses."""
    spoils = [name for name, value in os.environ.items() if value not in ("", "0")
              and name.endswith(("_TF32", "_TF32_OVERRIDE", "_PER_THREAD_DEFAULT_STREAM"))]
    if spoils:
        raise RuntimeError(f"{', '.join(spoils)} would spoil the timing: unset and start again")
    import cupy as cp

    listing, name, tile = GPU_RUNGS[rung]
    if PRECISION[tile.word] not in cublas.precisions():
        raise RuntimeError("tensor cores have bf16 from compute capability 8.0 on")
    kernel = cp.RawKernel(listing, name, tile.defines)
    dynamic = tile.shared_bytes if tile.shared_bytes > 48 * 1024 else 0
    if dynamic:
        kernel.max_dynamic_shared_size_bytes = dynamic

    def launch(a, b, c):
        refuse(rung, a, b, c)
        (m, k), n = a.shape, b.shape[1]
        numbers = (np.int32(m), np.int32(n), np.int32(k))
        kernel(tile.grid(m, n), (tile.threads,), (a, b, c, *numbers), shared_mem=dynamic)

    return launch


# %%
def ladder_model(sizes, most_seconds):
    """Estimate every rate from counted traffic and the data sheet; latency is left out."""
    rows = [{"rung": rung, "size": size, "rate": 2 * size**3 / price(rung, size).seconds}
            for size in sizes for rung in GPU_RUNGS]
    return Table.from_rows(rows, {"rate": "FLOP/s"}), f"counted traffic on an {device.name}"


@experiment(needs="gpu", model=ladder_model)
def matmul_on_gpu(sizes, most_seconds):
    """Multiply on every rung and by cuBLAS, sums in float32; above 4,096 only where it is fast."""
    import cupy as cp

    able, rows, speed = cublas.precisions(), [], {}
    ways = {rung: (launcher(rung), tile.word) for rung, (_, _, tile) in GPU_RUNGS.items()
            if PRECISION[tile.word] in able}
    ways |= {f"cuBLAS {name}": (partial(cublas.product, precision=PRECISION[word]), word)
             for name, word in (("float32", 4), ("bf16", 2)) if PRECISION[word] in able}
    for size in sizes:
        a, b, c = map(cp.asarray, matrices(size))
        want = cp.matmul(a, b)
        for rung, (multiply, word) in ways.items():
            if size > 4096 and 2 * size**3 / speed.get(rung, np.inf) > most_seconds:
                continue
            x, y = (cublas.rounded(z, PRECISION[word]) for z in (a, b))
            c.fill(np.nan)
            multiply(x, y, c)
            if not cp.allclose(c, want, rtol=1e-3):
                raise RuntimeError(f"{rung} gives a wrong product of {size} rows: mend its listing")
            run = time_call(multiply, x, y, c, device="gpu", warmup=5, min_time=0.02)
            speed[rung] = 2 * size**3 / run.median
            rows.append({"rung": rung, "size": size, **run.columns("rate", work=2 * size**3)})
    return Table.from_rows(rows, {"rate": "FLOP/s"})


SIZES, MOST_SECONDS, GPU_SHOWN = [512, 1024, 2048, 4096, 8192], 0.5, 4096
on_gpu = matmul_on_gpu(SIZES, MOST_SECONDS)
climbed, largest = (on_gpu.table.where(size=size)["rung"] for size in (4096, SIZES[-1]))
if left_out := [rung for rung in climbed if rung not in largest]:
    print(f"Left out at {SIZES[-1]:,}, over {MOST_SECONDS} s a call: {', '.join(left_out)}")
of_h200 = on_gpu.kind == "model" or "H200" in on_gpu.source  # else its peaks say nothing here
shown = {rung: (on_gpu.quantity("rate", rung=rung, size=GPU_SHOWN), "gpu")
         for rung in on_gpu.table.where(size=GPU_SHOWN)["rung"]}
wait = {rung: f"{rung} ({price(rung, GPU_SHOWN).bound})" for rung in GPU_RUNGS}
order = [*list(GPU_RUNGS)[:-1], "cuBLAS float32", "tensor cores", "cuBLAS bf16"]
price_l2, mma = price("tensor cores", 4096).l2, overhead("mma-sync-hopper").value
print(f"Two limits below an H200's dense bf16 peak: mma.sync, the instruction used here, reaches "
      f"{100 * mma:.0f} %, the L2 with this tile feeds "
      f"{200 * 4096**3 / price_l2 / device.peaks['bf16']:.0f} %. The model takes the lower.")
ladder([(wait.get(name, name), *shown[name]) for name in order if name in shown],
       title=f"{GPU_SHOWN:,} rows: in brackets, what the model says that a rung waits for")

# %%
gpu_rate = {rung: on_gpu.quantity("rate", rung=rung, size=4096).value for rung in climbed}
top_rung = "tensor cores" if "tensor cores" in gpu_rate else "wide loads"  # no bf16 before sm_80
said = Quantity(gpu_rate[top_rung] / gpu_rate["naive"], "x", on_gpu.source)
ladder_gap = compare(guess_ladder, measured=said)
never = format_quantity(device.peaks["bf16"] / gpu_rate["naive"], "x")
print(f"If an H200's tensor cores never waited (model): {never}." * of_h200)
halves = tile_time(replace(GPU_RUNGS["tensor cores"][2], word=4), READS["tensor cores"], 4096,
                   device, "bf16").l2 / price_l2
print(f"With tensor cores, 16 bits instead of 32 halve the bytes: through the L2 that is worth "
      f"{halves:.1f}x (model). The rest of that step is the unit.")
factor = format_quantity(said.value, "x")
gap(ladder_gap, kind="gpu", title=f"From one row a lane to {top_rung}: {factor} ({said.kind})")

# %%
PUBLISHED = {"naive": "naive", "coalesced": "coalesced", "shared tile": "shared",
             "registers, 8 by 1": "column", "registers, 8 by 8": "square",
             "wide loads": "vectorised"}
# Instructions of a warp for 8 steps, 512 of them multiply-adds, in NVRTC 13.5's code for sm_90.
COMPILED = {"registers, 8 by 8": 842, "wide loads": 577}
two = overhead("memory-request-a6000").value


def three_estimates(rung):
    """The model's rate on an H200, the same with two cycles a request, and by all instructions."""
    rates = [2 * 4096**3 / price(rung, 4096, request_cycles=cycles).seconds for cycles in (1, two)]
    slots = device.peaks["fp32"] * price(rung, 4096).balance * 512 / COMPILED.get(rung, np.nan)
    return {"rung": rung, "model": rates[0], "two cycles a request": rates[1],
            "all instructions": min(slots, rates[0]) if rung in COMPILED else "not counted"}


print(Table.from_rows([three_estimates(rung) for rung in PUBLISHED], dict.fromkeys(
    ("model", "two cycles a request", "all instructions"), "FLOP/s")))
print(f"model: {device.name}, 4,096 rows")
boehm = [(overhead(f"sgemm-a6000-{slug}").quantity(), 2 * 4096**3 / price(
    rung, 4096, accelerator("rtx-a6000"), request_cycles=two).seconds)
    for rung, slug in PUBLISHED.items()]
tested, modelled = [rate.value for rate, _ in boehm], [model for _, model in boehm]
steps, off = list(range(1, len(boehm) + 1)), [b / a for a, b in zip(tested, modelled, strict=True)]
stairs = ("naive", "coalesced", "shared tile", "wide loads", top_rung)
gains = [gpu_rate[b] / gpu_rate[a] for a, b in pairwise(stairs)]
slow, fast = (price(rung, 4096, request_cycles=two).seconds for rung in stairs[:2])
lines = f"{slow / fast:.0f} to " * (on_gpu.kind == "model") + f"{gains[0]:.0f}"
coalescing, last = ([rates[i + 1] / rates[i] for rates in (tested, modelled)] for i in (0, -2))
counted = "model: counted traffic on an RTX A6000, a request in two cycles (R. Huerta et al.)"
sweep(
    [Series("model", steps, modelled, "model", source=counted),
     Series("measured by Boehm", steps, tested, "gpu", source=boehm[0][0].source)],
    x=Scale("rung", log=False), y=("rate", "FLOP/s"), guides=list(enumerate(PUBLISHED, start=1)),
    mark=[(6, modelled[-1], f"step {last[1]:.1f}x"), (6, tested[-1], f"step {last[0]:.1f}x")],
    title=f"Wide loads: the model expects {last[1]:.1f} times, an A6000 gave {last[0]:.1f}",
)

# %% [markdown]
# **Explain.** A naive warp's read touches 32 lines for 32 numbers of `a`. Then each rung makes a
# load serve more multiply-adds: with 8 by 1 sums, 5 wavefronts serve 8; with 8 by 8, 16 serve 64,
# and the load unit keeps up. Loads still take issue slots, 16 and then 4 beside 64. Then another
# unit helps: one `mma.sync` does 2,048 multiply-adds. Now the L2 holds it back: a larger tile would
# read each number less often (Exercise 3).
#
# Occupancy falls: registers that hold sums are not there for more warps.
#
# **Change one thing.** Who sets the pace at 512 rows (an H200 has 132 SMs)? Which tile frees tensor
# cores from the L2, and does it fit?


# %%
GPUS = {slug: accelerator(slug).name for slug in ("h200-sxm", "rtx-a6000")}


def pace(axes, rung, scale, size, gpu, cycles):
    """How long each part of the GPU is busy, by the model: the longest sets the pace."""
    tile = GPU_RUNGS[rung][2]
    tile = replace(tile, rows=int(tile.rows * scale), columns=int(tile.columns * scale))
    time = tile_time(tile, READS[rung], int(size), accelerator(gpu),
                     "fp32" if tile.word == 4 else "bf16", request_cycles=cycles)
    parts = {"issue, arithmetic": time.issue / time.balance, "load unit": time.load / time.balance,
             "L2": time.l2, "memory": time.memory}
    fits = tile.threads <= 1024 and residency(tile).blocks
    title = f"{rung}, {size:,} rows: {flops(2 * size**3 / time.seconds)}, bound by {time.bound}"
    title += "" if fits else "; but a block of this tile fits no SM"
    spans = {name: [Span(0, seconds, "busy", "gpu")] for name, seconds in parts.items()}
    about = (f"model: counted traffic on an {GPUS[gpu]}, tile {tile.rows} by {tile.columns}, "
             f"cycles of a request: {cycles}; the L2 and mma.sync as on an H100")
    return timeline(spans, title, source=about)


pace(None, "wide loads", 1, 4096, "h200-sxm", 1)

# %%
explorer(pace, [
    Choice("rung", "rung", [(rung, rung) for rung in GPU_RUNGS], "registers, 8 by 8"),
    Choice("scale", "tile of a block", [(0.5, "half"), (1, "as written"), (2, "twice")], 1),
    Choice("size", "rows", [(2**n, f"{2**n:,}") for n in range(8, 15)], 4096),
    Choice("gpu", "GPU", list(GPUS.items()), "h200-sxm"),
    Choice("cycles", "a request takes", [(1, "1 cycle"), (2, "2 cycles")], 1),
])

# %% [markdown]
# ## Where this model breaks
#
# - It leaves out latency: waiting for memory, addresses, barriers, copies into shared memory, the
#   launch are free. Counting every compiled instruction of two rungs gives the table's last column.
# - NVIDIA's people say that a load unit takes a request each cycle; on an A6000, others measured
#   every two. Of an H200 neither spoke: see both. Naive stays where it is, because its request for
#   `a` already takes 32 wavefronts.
# - It grants `mma.sync` 63 % of the peak, as a paper says; newer instructions get more.
# - Boehm's wide loads gained much less than it expects: it cannot see what they wait for.
#
# ## You learned

# %%
learned(
    f"Swapping two loops made this core {swap:.0f} times faster; all cores together ran "
    f"{scaled:.1f} times as fast as one ({climb.kind}{doubt}).",
    f"On one core, 12 bytes for each multiply-add allow {flops(allows)}, 3 bytes "
    f"{flops(most)}: the loop got {flops(rate['+ registers'])}. On all cores it got "
    f"{share:.0f} % of the library ({climb.kind}{doubt}).",
    f"Coalescing gives {lines} times, shared tiles {gains[1]:.1f}, registers and wide loads "
    f"{gains[2]:.1f}, tensor cores {gains[3]:.1f} ({on_gpu.kind}). On an A6000 the model gives "
    f"coalescing {coalescing[1]:.1f} times and Boehm measured {coalescing[0]:.1f}: "
    "counting gives the order of the rungs, not their distance.",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how much traffic does a tile save?
#
# Write `l2_bytes(m, n, k, rows, columns, word)`: the bytes that all blocks together read for an
# `m` by `n` product with inner dimension `k`, each number of `word` bytes. Every block, also one
# at an edge that is only partly filled, reads `k` steps of its `rows` and its `columns`. Writing
# `c` is not counted, though for a thin product, 64 steps by tiles of 128 by 256 in bf16, it moves
# more than the reads.
#
# <details><summary>Hint 1</summary>How many blocks cover the product? Round up in both
# directions.</details>
#
# <details><summary>Hint 2</summary>One block reads k × (rows + columns) numbers.</details>


# %%
def l2_bytes(m, n, k, rows, columns, word):
    """Return the bytes read by all blocks."""
    ...


check("04.l2_bytes", l2_bytes)

# %% [markdown]
# ### Exercise 2: how many blocks fit?
#
# Write `blocks_per_sm(threads, registers, shared)` for an SM with 65,536 registers, 228 KiB of
# shared memory, room for 2,048 threads and 32 blocks. A block has `threads` threads (a multiple
# of 32) with `registers` each, handed out in steps of 8, and takes `shared` bytes and 1 KiB more.
#
# <details><summary>Hint 1</summary>Four quotients, each rounded down; the smallest
# decides.</details>
#
# <details><summary>Hint 2</summary>Round the registers of a thread up to a multiple of 8
# first.</details>


# %%
def blocks_per_sm(threads, registers, shared):
    """Return a whole number of blocks."""
    ...


check("04.blocks_per_sm", blocks_per_sm)

# %% [markdown]
# ### Exercise 3: how large must a tile be?
#
# Write `least_tile(peak, bandwidth, word)`: the side of the smallest square tile, a power of two,
# with which the L2 cache keeps up. It delivers `bandwidth` B/s, the SMs compute `peak` FLOP/s
# together, and a number has `word` bytes. On an H200 (6.65 TB/s from the L2, 66.9 TFLOP/s in
# float32, 989 in bf16) it is 64 for float32. Try bf16: do its sums, 4 bytes each, fit the 256 KiB
# of registers of an SM?
#
# <details><summary>Hint 1</summary>A tile of side R does 2R² FLOP for 2R numbers: how many FLOP
# for a byte?</details>
#
# <details><summary>Hint 2</summary>R / word must be at least peak / bandwidth. Double from 1
# until it is.</details>


# %%
def least_tile(peak, bandwidth, word):
    """Return a power of two."""
    ...


check("04.least_tile", least_tile)
quiz("04")

# %% [markdown]
# ## Further reading
#
# - [Anatomy of High-Performance Matrix Multiplication](https://doi.org/10.1145/1356052.1356053):
#   Goto and van de Geijn on which block belongs in which cache, the plan of every CPU library.
# - [How to Optimize a CUDA Matmul Kernel](https://siboehm.com/articles/22/CUDA-MMM): Boehm's
#   worklog, with measurements and profiles of each rung.
# - [CUTLASS: Efficient GEMM](https://github.com/NVIDIA/cutlass/blob/main/media/docs/cpp/efficient_gemm.md):
#   the same tiles as a library, up to the newest tensor cores.
# - [Analyzing Modern NVIDIA GPU cores](https://arxiv.org/abs/2503.20481): how an SM of an A6000
#   issues instructions and takes memory requests, found by experiment.
# - [Benchmarking and Dissecting the Nvidia Hopper GPU](https://arxiv.org/abs/2402.13499): what
#   `mma.sync` reaches on an H100 and why newer instructions reach more.
