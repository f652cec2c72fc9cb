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
from itertools import pairwise

import numba
import numpy as np
from numba import prange

from aiinfra.facts.catalogue import accelerator, overhead
from aiinfra.measure import experiment, probe, time_call
from aiinfra.model.tiles import Read, Tile, residency, tile_time
from aiinfra.results import Quantity, Table
from aiinfra.show import Ceiling, Point, Scale, Series, gap, ladder, roofline, sweep
from aiinfra.teach import check, compare, learned, ledger, predict, quiz

f32 = np.float32
machine = probe()
numba.set_num_threads(min(machine.cores_usable, numba.config.NUMBA_NUM_THREADS))
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
# numbers that stay in registers.


# %%
@numba.njit(fastmath={"contract"})  # may fuse a multiply and an add, as hardware does
def row_by_column(a, b, c):
    """Finish one number of c after another."""
    n = len(a)
    for i in range(n):
        for j in range(n):
            s = f32(0)
            for k in range(n):
                s += a[i, k] * b[k, j]
            c[i, j] = s


@numba.njit(fastmath={"contract"})
def row_by_row(a, b, c):
    """Add multiples of the rows of b to a row of c."""
    c[:] = 0
    n = len(a)
    for i in range(n):
        for k in range(n):
            x = a[i, k]
            for j in range(n):
                c[i, j] += x * b[k, j]


@numba.njit(fastmath={"contract"})
def total(x, times):
    """Multiply and add to one sum: each addition waits for the one before."""
    s = f32(0)
    for k in range(times):
        for value in x:
            s += f32(k) * value
    return s


@numba.njit(fastmath={"contract"})
def polynomials(x, y):
    """Four polynomials of degree 32 at each x: 256 FLOP for each number read."""
    for i in range(x.size):
        v, p, q, r, s = x[i], f32(1), f32(2), f32(3), f32(4)
        for _ in range(32):
            p, q, r, s = p * v + v, q * v + v, r * v + v, s * v + v
        y[i] = p + q + r + s


@numba.njit(fastmath={"contract"})
def update(x, y, times):
    """Add multiples of x to y again and again: 12 bytes for each multiply-add."""
    for k in range(times):
        for j in range(x.size):
            y[j] += f32(k) * x[j]


# %%
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


@experiment(needs="cpu")
def ceilings():
    """Measure what one core can do at best, and what it does when each step waits for the last."""
    x, y = aligned(np.full(2048, f32(0.5))), aligned(np.zeros(2048, f32))
    runs = {  # a limit is what the fastest of many short samples shows: others disturb the rest
        "peak": (256 * x.size, (polynomials, x, y)),
        "cache": (12 * 100 * x.size, (update, x, y, 100)),
        "chain": (2 * 100 * x.size, (total, x, 100)),
    }
    best = {k: work / time_call(*call, repeats=300).best for k, (work, call) in runs.items()}
    return Table.from_rows([best], {"peak": "FLOP/s", "cache": "B/s", "chain": "FLOP/s"})


@experiment(needs="cpu")
def loop_orders(size):
    """Run the three loops in two orders on one core."""
    rows = []
    for order, multiply in {"row by column": row_by_column, "row by row": row_by_row}.items():
        run = time_call(multiply, *matrices(size), repeats=7)
        rows.append({"order": order, **run.columns("rate", work=2 * size**3)})
    return Table.from_rows(rows, {"rate": "FLOP/s"})


SIZE = 768
core, orders = ceilings(), loop_orders(SIZE)
peak, cache, chain = (core.quantity(name) for name in ("peak", "cache", "chain"))
fast = min(peak.value, cache.value * 2 / 12)
limits = ("a chain of additions", chain.value), ("the nearest cache", fast)
print(Table.from_rows([
    {"loop": order, "rate": rate, "its limit": name, "limit": most, "share (%)": 100 * rate / most}
    for order, rate, (name, most) in zip(orders["order"], orders["rate"], limits, strict=True)
], {"rate": "FLOP/s", "limit": "FLOP/s"}), orders.source, sep="\n")
order_gap = compare(
    guess_order,
    measured=Quantity(orders["rate"][1] / orders["rate"][0], "x", orders.source),
    model=Quantity(fast / chain.value, "x", "model: cache traffic against a chain of additions"),
)
gap(order_gap, title=f"Swapping two loops is worth {order_gap.measured.value:.0f} cores")

# %% [markdown]
# **Explain.** Row by column adds each product to the same sum: every addition waits for the one
# before, a few cycles each time: the chain of the table. Walking down a column of `b` mostly
# hides behind it.
#
# Row by row waits for nothing. Neighbours in `c` are independent and lie side by side, so one
# vector instruction updates many. The model takes the nearest cache as its limit; `b` comes from
# a farther one.
#
# **Change one thing.** Set `SIZE = 512` and run from there. Which of the two changes? Numbers of
# a column, each on its own *cache line* (64 bytes that move together), are now 2,048 bytes apart,
# and a cache has few places for such addresses.

# %% [markdown]
# ## How far is my loop from the library?
#
# Row by row still leaves most of the core idle. Each multiply-add moves 12 bytes: it reads one
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
# **Measure.** Matrices are square here, their sides multiples of 64. The second loop keeps a 4 by
# 4 tile of `a` in registers, so that 4 numbers of the panel and 4 sums serve 16 multiply-adds.
#
# The second figure is a *roofline*: no loop runs faster than the cache delivers its bytes (the
# slope) or than the core computes (the flat roof).


# %%
PANEL = 64


def by_panels(a, b, c):
    """Row by row, over panels of b that are copied into a small array."""
    n = len(a)
    for left in range(0, n, PANEL):
        panel, t = np.empty(PANEL * PANEL, f32), np.empty(PANEL, f32)
        c[:, left : left + PANEL] = 0
        for top in range(0, n, PANEL):
            for k in range(PANEL):
                panel[PANEL * k : PANEL * (k + 1)] = b[top + k, left : left + PANEL]
            for i in range(n):
                t[:] = 0
                for k in range(PANEL):
                    x = a[i, top + k]
                    for j in range(PANEL):
                        t[j] += x * panel[PANEL * k + j]
                c[i, left : left + PANEL] += t


def by_registers(a, b, c):
    """By panels, four rows and four steps at a time."""
    n = len(a)
    for number in prange(n // PANEL):
        left = PANEL * number
        panel, t = np.empty(PANEL * PANEL, f32), np.empty(4 * PANEL, f32)
        c[:, left : left + PANEL] = 0
        for top in range(0, n, PANEL):
            for k in range(PANEL):
                panel[PANEL * k : PANEL * (k + 1)] = b[top + k, left : left + PANEL]
            for i in range(0, n, 4):
                t[:] = 0
                for k in range(top, top + PANEL, 4):
                    p0, p1, p2, p3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
                    q0, q1, q2, q3 = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2], a[i + 1, k + 3]
                    r0, r1, r2, r3 = a[i + 2, k], a[i + 2, k + 1], a[i + 2, k + 2], a[i + 2, k + 3]
                    s0, s1, s2, s3 = a[i + 3, k], a[i + 3, k + 1], a[i + 3, k + 2], a[i + 3, k + 3]
                    first = PANEL * (k - top)
                    for j in range(PANEL):
                        y0, y1 = panel[first + j], panel[first + PANEL + j]
                        y2, y3 = panel[first + 2 * PANEL + j], panel[first + 3 * PANEL + j]
                        t[j] += p0 * y0 + p1 * y1 + p2 * y2 + p3 * y3
                        t[PANEL + j] += q0 * y0 + q1 * y1 + q2 * y2 + q3 * y3
                        t[2 * PANEL + j] += r0 * y0 + r1 * y1 + r2 * y2 + r3 * y3
                        t[3 * PANEL + j] += s0 * y0 + s1 * y1 + s2 * y2 + s3 * y3
                for row in range(4):
                    c[i + row, left : left + PANEL] += t[PANEL * row : PANEL * (row + 1)]


# %%
free_order = {"contract", "reassoc"}  # may also add in another order, as a library does
CPU_RUNGS = {
    "row by row": row_by_row,
    "+ panel": numba.njit(fastmath=free_order)(by_panels),
    "+ registers": numba.njit(fastmath=free_order)(by_registers),
    "+ all cores": numba.njit(fastmath=free_order, parallel=True)(by_registers),
    "NumPy (BLAS)": lambda a, b, c: np.matmul(a, b, out=c),
}


@experiment(needs="cpu")
def matmul_on_cpu(size):
    """Multiply two matrices on every rung, each warmed up until its rate settles."""
    rows = []
    for rung, multiply in CPU_RUNGS.items():
        run = time_call(multiply, *matrices(size), repeats=9, warmup=3, min_time=0.02)
        rows.append({"rung": rung, **run.columns("rate", work=2 * size**3)})
    return Table.from_rows(rows, {"rate": "FLOP/s"})


climb = matmul_on_cpu(SIZE)
rate = dict(zip(climb["rung"], climb["rate"], strict=True))
ladder(
    [(rung, climb.quantity("rate", rung=rung), "cpu") for rung in CPU_RUNGS],
    title=f"{SIZE} rows: a panel alone gives {rate['+ panel'] / rate['row by row']:.1f} times, "
          f"sharing in registers {rate['+ registers'] / rate['+ panel']:.1f} times",
)

# %%
BYTES = {"row by row": 12, "+ panel": 12, "+ registers": 3}  # for each multiply-add
one_core = Ceiling("one core", cache.value, peak.value, "cpu", core.source, "nearest cache")
roofline(
    [one_core],
    [Point(rung, 2 / moved, rate[rung], "cpu", climb.source) for rung, moved in BYTES.items()],
    title="Registers move a loop out from under the slope",
)

# %%
cores, numpy = machine.cores_usable, climb.quantity("rate", rung="NumPy (BLAS)")
best = max(rate["+ registers"], rate["+ all cores"])
roof = min(peak.value, cache.value * 2 / BYTES["+ registers"]) * cores
library_gap = compare(
    guess_library,
    measured=Quantity(100 * best / numpy.value, "%", climb.source),
    limit=Quantity(100 * roof / numpy.value, "%", f"model: the roof of {cores} cores"),
)
ledger.keep("matmul_rate", numpy)  # the ledger holds your numbers for later lessons
share, of_roof = library_gap.measured.value, [100 * x / roof for x in (numpy.value, best)]
gap(library_gap, title=f"{share:.0f} % of the library: NumPy runs at {of_roof[0]:.0f} % of the "
                       f"roof of {cores} cores, this loop at {of_roof[1]:.0f} %")

# %% [markdown]
# **Explain.** The panel changes where `b` is read from, not how much: 12 bytes cross the nearest
# cache for each multiply-add. Its rows are short: for 64 numbers, a few vectors, starting the loop
# and filling and emptying `t` weigh as much as the work. The copy does not: each number serves
# 768 rows.
#
# The register tile reads 4 numbers of the panel and 4 sums, and writes 4: 48 bytes for 16
# multiply-adds, 3 for each. Now arithmetic is the roof, and each core brings its own.
#
# A library goes on: sums that stay in registers, tiles for every cache.
#
# **Change one thing.** Set `PANEL = 256` and run from there. Which rungs gain? What do three
# panels mean for your cores?

# %% [markdown]
# ## What does each rung of a GPU ladder repair?
#
# Lesson 02 had threads in warps of 32, blocks that share memory, and coalesced loads. A *streaming
# multiprocessor* (SM) runs a few blocks at a time. In each cycle it can issue four warp
# instructions, and its *load unit* can serve one *wavefront*: a line (128 bytes) of the L1 cache,
# or a word from each of the 32 banks of shared memory.
#
# So a rung has a price that can be counted: wavefronts, issue slots (a load takes one from
# arithmetic), and bytes through the L2 cache that all SMs share. Registers and shared memory
# decide how many warps are at hand while one waits: the *occupancy*.

# %%
device = accelerator("h200-sxm")
print("peaks:", device.peak("fp32"), device.peak("bf16"), sep="\n")
guess_ladder = predict(
    "4,096 by 4,096 numbers on an H200: how many times faster is the last rung, with tensor "
    "cores, than the first, with one thread for each number of c?",
    unit="x", key="04.gpu_ladder",
)

# %% [markdown]
# **Measure.** Seven rungs in CUDA C, checked thread by thread on a CPU. Nobody has timed them for
# this course: a figure that says model shows counted traffic, not a clock.
#
# Skip the bodies at first and read the comment above each kernel, which says what it repairs. The
# first two differ by one line. The next listing serves two rungs, 8 by 1 and 8 by 8 sums a
# thread. A *slice* is what a block holds of `a` and `b` at once; *pad* are unused bytes that
# spread it over the banks. In the last listing, find the one line with `multiply_add`; the one
# before wraps instructions of the GPU. The table says what each rung costs.

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
    for (int i = threadIdx.x; i < BM * BK; i += THREADS) {
      int row = top + i / BK, col = at + i % BK;
      as[i / BK][i % BK] = row < m && col < k ? a[row * k + col] : 0;
    }
    for (int i = threadIdx.x; i < BK * BN; i += THREADS) {
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
  __shared__ __align__(16) float as[2][8][132], bs[2][8][128];  // 132: no two rows on one bank
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
  int tid = threadIdx.x, lane = tid % 32, top = tid / 128 * 64, left = tid / 32 % 4 * 64;
  const bf16 *from_a = a + blockIdx.y * 128 * k, *from_b = b + blockIdx.x * 256;
  auto fetch = [&](int at) {
    uint4 *as = pool + at / 32 % 4 * 1536, *bs = as + 512;
    for (int i = 0; i < 2 && at < k; i++) {
      int row = i * 64 + tid / 4, piece = tid % 4;
      fetch16(as + row * 4 + (piece ^ row / 2 % 4), from_a + row * k + at + piece * 8);
    }
    for (int i = 0; i < 4 && at < k; i++) {
      int row = i * 8 + tid / 32;  // ^ spreads the pieces: 8 rows in one wavefront
      fetch16(bs + row * 32 + (lane ^ row % 8), from_b + (at + row) * n + lane * 8);
    }
    close_batch();
  };
  for (int at = 0; at < 96; at += 32) fetch(at);
  float sum[4][8][4] = {};
  for (int at = 0; at < k; at += 32) {
    wait_for_batches<2>();  // this slice is here
    __syncthreads();        // for every thread, and the one before has been read
    fetch(at + 96);
    uint4 *as = pool + at / 32 % 4 * 1536, *bs = as + 512;
    for (int i = 0; i < 32; i += 16) {
      unsigned p[4][4], q[4][4];
      int row = top + lane % 16, step = i + lane % 16, h = lane / 16;
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
# Where four steps of one row lie side by side in shared memory, the compiler makes one load of
# them, 1/4 a step. It does not for 8 by 8, whose loop of steps it leaves as a loop.
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
            "rung": rung, "wavefronts for 32 multiply-adds": fronts / madds,
            "FLOP per L2 byte": tile.intensity, "waits for": price(rung, 4096).bound,
            "registers": str(tile.registers), "shared bytes": f"{tile.shared_bytes:,}",
            "warps of 64": str(held.warps), "no more for": held.limited_by,
        })
    return Table.from_rows(rows, {})


print(rung_table(), "model: counted from tiles and reads; room in an SM of an H100", sep="\n")

# %%
def to_bf16(x):
    """Round float32 numbers to bf16, kept in 16-bit integers: 8 significant bits of 24 stay."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def launcher(rung):
    """Compile a rung; return a function (a, b, c) that launches it."""
    import cupy as cp

    listing, name, tile = GPU_RUNGS[rung]
    if tile.word == 2 and int(cp.cuda.Device().compute_capability) < 80:
        raise RuntimeError("tensor cores have bf16 from compute capability 8.0 on")
    kernel = cp.RawKernel(listing, name, tile.defines)
    dynamic = tile.shared_bytes if tile.shared_bytes > 48 * 1024 else 0
    if dynamic:
        kernel.max_dynamic_shared_size_bytes = dynamic

    def launch(a, b, c):
        (m, k), n = a.shape, b.shape[1]
        numbers = (np.int32(m), np.int32(n), np.int32(k))
        kernel(tile.grid(m, n), (tile.threads,), (a, b, c, *numbers), shared_mem=dynamic)

    return launch


def cublas(a, b, c):
    """The library: plain float32, or bf16 with float32 sums."""
    import cupy as cp
    from cupy_backends.cuda.libs import cublas as lib

    if a.dtype == np.float32:
        return cp.matmul(a, b, out=c)
    (m, k), n, one, zero = a.shape, b.shape[1], np.ones(1, f32), np.zeros(1, f32)
    # cuBLAS counts by columns: it sees all three turned on their side. 14 is bf16, 0 is float32.
    lib.gemmEx(cp.cuda.device.get_cublas_handle(), 0, 0, n, m, k, one.ctypes.data,
               b.data.ptr, 14, n, a.data.ptr, 14, k, zero.ctypes.data, c.data.ptr, 0, n,
               lib.CUBLAS_COMPUTE_32F, -1)


# %%
def ladder_model(sizes):
    """From counted traffic and the data sheet: no latency, so an upper bound on every rate."""
    rows = [{"rung": rung, "size": size, "rate": 2 * size**3 / price(rung, size).seconds}
            for size in sizes for rung in GPU_RUNGS]
    return Table.from_rows(rows, {"rate": "FLOP/s"}), f"counted traffic on an {device.name}"


@experiment(needs="gpu", model=ladder_model)
def matmul_on_gpu(sizes):
    """Multiply matrices of several sizes on every rung and with cuBLAS."""
    import cupy as cp

    ways = {rung: (launcher(rung), tile.word) for rung, (_, _, tile) in GPU_RUNGS.items()
            if tile.word == 4 or int(cp.cuda.Device().compute_capability) >= 80}
    words = dict.fromkeys(word for _, word in ways.values())
    ways |= {"cuBLAS " + {4: "float32", 2: "bf16"}[word]: (cublas, word) for word in words}
    rows = []
    for size in sizes:
        a, b, c = map(cp.asarray, matrices(size))
        for rung, (multiply, word) in ways.items():
            x, y = (a, b) if word == 4 else (to_bf16(a), to_bf16(b))
            run = time_call(multiply, x, y, c, device="gpu")
            rows.append({"rung": rung, "size": size, **run.columns("rate", work=2 * size**3)})
    return Table.from_rows(rows, {"rate": "FLOP/s"})


on_gpu, GPU_SHOWN = matmul_on_gpu([512, 1024, 2048, 4096, 8192]), 4096
climbed = on_gpu.table.where(size=4096)["rung"]
of_h200 = on_gpu.kind == "model" or "H200" in on_gpu.source  # else its peaks say nothing here
wait = {rung: f"{rung} ({price(rung, GPU_SHOWN).bound})" for rung in GPU_RUNGS}
bars = [(wait.get(rung, rung), on_gpu.quantity("rate", rung=rung, size=GPU_SHOWN), "gpu")
        for rung in climbed]
peaks = [(f"peak, {name}", device.peak(name), "limit") for name in ("fp32", "bf16")] * of_h200
ladder(bars[:6] + peaks[:1] + bars[6:] + peaks[1:],
       title=f"{GPU_SHOWN:,} rows: in brackets, what the model says that a rung waits for")
price_l2, mma = price("tensor cores", 4096).l2, overhead("mma-sync-hopper").value
print(f"Two limits below an H200's bf16 peak: mma.sync {100 * mma:.0f} %, the L2 with this tile "
      f"{100 * 2 * 4096**3 / price_l2 / device.peaks['bf16']:.0f} %. The model takes the lower.")

# %%
gpu_rate = {rung: on_gpu.quantity("rate", rung=rung, size=4096).value for rung in climbed}
top_rung = "tensor cores" if "tensor cores" in gpu_rate else "wide loads"  # no bf16 before sm_80
never_wait = Quantity(device.peaks["bf16"] / gpu_rate["naive"], "x", "model: all tensor cores busy")
ladder_gap = compare(
    guess_ladder,
    measured=Quantity(gpu_rate[top_rung] / gpu_rate["naive"], "x", on_gpu.source),
    limit=never_wait if of_h200 else None,
)
factor, said = float(f"{ladder_gap.measured.value:.2g}"), ladder_gap.measured.kind
bits = ", part of it from 16-bit numbers" * (top_rung == "tensor cores")
gap(ladder_gap, kind="gpu", title=f"About {factor:,.0f} times ({said}){bits}")

# %% [markdown]
# **Explain.** The naive warp touches 32 lines for 32 numbers of `a`. From there on, each rung
# makes a load serve more multiply-adds. Once 8 by 8 sums free the load unit, loads still take
# issue slots, 16 for 64 multiply-adds and then 4: a fourth of the wavefronts gains little. Then
# only another unit helps: one instruction of a tensor core does 2,048 multiply-adds, on bf16, which
# keeps 8 of float32's 24 significant bits.
#
# Occupancy falls on the way: registers that hold sums are not there for more warps. Whether so
# few hide a wait, a model without latency cannot say.
#
# **Change one thing.** Set `GPU_SHOWN = 512`. Which rungs lose most? Count their tiles, and an
# H200's SMs: 132.

# %% [markdown]
# ## Where this model breaks
#
# - It knows no latency: waiting for memory, addresses, barriers, copies into shared memory, the
#   launch are free. It takes wide loads at their best, and each matrix once from memory.
# - How often a load unit takes a request is published for an A6000: every two cycles. For an H200
#   one is assumed.
# - It grants these tensor-core instructions 63 % of the peak, as a paper says; newer ones get
#   more. Nothing here checks that rung.
# - Exercise 1 counts reads. For 4,096 by 64 times 64 by 4,096, writing `c` costs more.
#
# Simon Boehm measured such a ladder on an A6000. The model, for that GPU:

# %%
PUBLISHED = {"naive": "naive", "coalesced": "coalesced", "shared tile": "shared",
             "registers, 8 by 1": "column", "registers, 8 by 8": "square",
             "wide loads": "vectorised"}


def published():
    """His rates beside the model's for the same GPU, with two and with one cycle for a request."""
    a6000, two = accelerator("rtx-a6000"), overhead("memory-request-a6000").value
    rows = []
    for rung, slug in PUBLISHED.items():
        times = [price(rung, 4096, a6000, request_cycles=cycles).seconds for cycles in (two, 1)]
        rate = overhead(f"sgemm-a6000-{slug}").quantity()
        rows.append((rate, *(2 * 4096**3 / seconds for seconds in times)))
    return rows


boehm = published()
steps, off = list(range(1, len(boehm) + 1)), [model / rate.value for rate, model, _ in boehm]
coalescing = [float(after) / float(before) for before, after in zip(*boehm[:2], strict=True)]
stairs = ("naive", "coalesced", "shared tile", "wide loads", top_rung)
gains = [gpu_rate[b] / gpu_rate[a] for a, b in pairwise(stairs)]
counted = "model: counted traffic on an RTX A6000, a request in two cycles (R. Huerta et al.)"
sweep(
    [Series("model", steps, [two for _, two, _ in boehm], "model", source=counted),
     Series("published", steps, [rate.value for rate, *_ in boehm], "gpu",
            source=boehm[0][0].source)],
    x=Scale("rung", log=False), y=("rate", "FLOP/s"), guides=list(enumerate(PUBLISHED, start=1)),
    title=f"Right order; the model gives {min(off):.2f} to {max(off):.1f} times the measured rate",
)

# %% [markdown]
# ## You learned

# %%
learned(
    f"Swapping two loops made this core {order_gap.measured.value:.0f} times faster; another "
    f"core gave {rate['+ all cores'] / rate['+ registers']:.1f} times ({climb.kind}).",
    f"On one core, 12 bytes for each multiply-add allow {cache.value / 6e9:.0f} GFLOP/s, 3 bytes "
    f"all of its {peak.value / 1e9:.0f}: the loop got {rate['+ registers'] / 1e9:.0f}. On all "
    f"cores it got {share:.0f} % of the library ({climb.kind}).",
    f"Coalescing gives {gains[0]:.0f} times, shared tiles {gains[1]:.1f}, registers and wide loads "
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
# `c` is not counted.
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
