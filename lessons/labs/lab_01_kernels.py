# %% [markdown]
# # Keep six kernels within a traffic budget
#
# **How many bytes must these six kernels move, and how many do yours?**
#
# *You'll do:* write a map, a grid-stride loop, a transpose, a sum, a histogram and a matrix
# product, see the memory traffic of each, and have it checked.
#
# *You'll learn*
#
# - to write a kernel that is right at every size and for every launch;
# - to read the traffic of a kernel from the addresses of one warp;
# - to use shared memory for what it is good at, with the barriers that it needs.
#
# *You'll need:* lesson 02, 50 to 110 minutes, any computer.

# %%
import numpy as np
from numba import cuda, float32, int32

from aiinfra.show import bank_map, reduction_tree, warp_sectors
from aiinfra.teach import check, score, trial

rng = np.random.default_rng()

# %% [markdown]
# ## How a kernel is checked
#
# Each check launches your kernel many times in the interpreter of lesson 02, with random data of
# sizes such as 0, 1, 31, 33, 1000 and many thousands. A kernel fails when it
#
# - leaves a wrong number, or touches memory outside an array;
# - has a *race*: two threads use one address, one of them writes, and no barrier stands between;
# - has a barrier that only part of a block reaches, a shuffle or `syncwarp` whose mask names a lane
#   that does not come, or reads shared memory that nobody wrote;
# - lets one thread do the work of many.

# %% [markdown]
# A kernel that is right is then held to the budget of its task, on the largest data: 32-byte
# sectors moved, atomics to global memory, passes over shared memory. A request of a warp takes one
# pass, and more where lanes wait for a bank or at an atomic. In tasks 2 to 5 no block may load more
# than 1.5 times its share. The budget leaves room for your own way of writing it.
#
# A task is one point. Right but over the budget earns half of it, and three quarters where only
# the passes are too many. Nothing is timed. Run the checks as often as you like: the best result
# counts.

# %% [markdown]
# Write `@cuda.jit` without a signature: with one, numba compiles at once, which takes a GPU.
#
# Before each check you can look at your own traffic. These three functions draw it; there is
# nothing to edit.


# %%
def sectors(run):
    """Draw the sectors that a warp of the kernel moves at each place."""
    used = f"{100 * run.useful:.0f} % of their bytes used"
    more = f"{run.atomics:,} global atomics" if run.atomics else used
    title = f"Your kernel: {run.sectors:,} sectors, {more}"
    return warp_sectors(run.requests("global"), title)


def banks(run):
    """Draw the banks that a warp of the kernel meets at each place."""
    extra = run.report.bank_conflicts
    title = f"Your tile: {extra:,} extra passes" if extra else "Your tile: no lane waits for a bank"
    return bank_map(run.requests("shared"), title)


def tree(run):
    """Draw who adds what in the first block of the kernel."""
    return reduction_tree(run.report, f"Your block: {run.passes} passes over shared memory")


# %% [markdown]
# ## Task 1: one thread, one element
#
# The *rectifier*, `out = max(x, 0)`, is the simplest of the functions that stand between the
# layers of a neural network. It computes next to nothing: its cost is the memory traffic.
#
# Write `relu(x, out)`. It is launched with at least as many threads as there are elements, often
# with more, in blocks of 32 to 128 threads. Even for no elements at all, one block is launched.

# %% [markdown]
# Budget: 2.5 times the sectors that hold `x` and `out`.
#
# <details><summary>Hint 1</summary>A thread finds its element with <code>cuda.grid(1)</code>.
# What must a thread do that has none?</details>
#
# <details><summary>Hint 2</summary>Compare the thread's position with <code>x.size</code> before
# you touch either array, and let thread i take element i.</details>


# %%
@cuda.jit
def relu(x, out):
    """Store max(x, 0) in out; one thread for each element, and some to spare."""
    # begin solution
    i = cuda.grid(1)
    if i < x.size:
        out[i] = max(x[i], float32(0))
    # end solution


# %%
x = rng.standard_normal(1024).astype(np.float32)
trial(relu, 8, 128, x, np.empty_like(x), draw=sectors)

# %%
check("lab_01.relu", relu)

# %% [markdown]
# ## Task 2: fewer threads than elements
#
# A launch of one thread for each element ties the kernel to the size of the data. A *grid-stride
# loop* does not: the same kernel works for any number of threads, and one launch that fills the
# GPU is enough for data of any size.
#
# Write `saxpy(a, x, y)`: `y = a*x + y`, in place, with 1 to 5 blocks of 1 to 96 threads and
# thousands of elements.
#
# There are two ways to share the elements out: each thread takes a stretch of neighbours, or
# neighbouring threads take neighbours, turn by turn. Both give the right numbers; the budget wants
# the second. Draw both.

# %% [markdown]
# Budget: twice the sectors that are needed (`x` and `y` are read, `y` is written).
#
# <details><summary>Hint 1</summary>How many threads are there in all? Numba has a word for it:
# <code>cuda.gridsize(1)</code>.</details>
#
# <details><summary>Hint 2</summary>In each turn of the loop the whole grid takes as many elements
# in a row as it has threads. So a thread starts at its own position and steps by the size of the
# grid.</details>


# %%
@cuda.jit
def saxpy(a, x, y):
    """Add a*x to y, in place, with any number of threads."""
    # begin solution
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[i] = a * x[i] + y[i]
    # end solution


# %%
x, y = rng.standard_normal((2, 1920)).astype(np.float32)
trial(saxpy, 3, 96, np.float32(2), x, y, draw=sectors)

# %%
check("lab_01.saxpy", saxpy)

# %% [markdown]
# ## Task 3: a transpose with four rows a thread
#
# A transpose reads rows and writes columns: one side runs along memory, the other strides. In
# lesson 02 a block took a square of 32 x 32 through shared memory, with 1,024 threads. Fewer
# threads with more work each leave room for other blocks on the same processor.
#
# Write `transpose(x, out)` for blocks of 32 x 8 threads, each block with a square of 32 x 32, so
# that each thread moves 4 numbers. Block (bx, by) takes the square of `x` at row 32 by and column
# 32 bx. `x` is not square and seldom a multiple of 32.

# %% [markdown]
# Budget: 1.25 times the sectors that hold `x` and `out`, and no lane waits for another's bank.
#
# <details><summary>Hint 1</summary>Threads that differ in <code>threadIdx.x</code> must be
# neighbours in <code>x</code> when they read and in <code>out</code> when they write. Where does
# the square of the block lie in <code>out</code>?</details>
#
# <details><summary>Hint 2</summary>Two loops of four turns, one that fills the tile and one that
# empties it. Guards stand within the loops, the barrier between them. For the banks: what if a row
# of the tile is one word longer than it needs to be? (Numba wants the shape in plain numbers or
# names of constants.)</details>

# %%
TILE, ROWS = 32, 8


@cuda.jit
def transpose(x, out):
    """Store the transpose of x in out; squares of 32 x 32 by blocks of 32 x 8 threads."""
    # begin solution
    tile = cuda.shared.array((32, 33), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for j in range(ty, TILE, ROWS):
        if top + j < x.shape[0] and left + tx < x.shape[1]:
            tile[j, tx] = x[top + j, left + tx]
    cuda.syncthreads()
    for j in range(ty, TILE, ROWS):
        if left + j < out.shape[0] and top + tx < out.shape[1]:
            out[left + j, top + tx] = tile[tx, j]
    # end solution


# %%
x, out = rng.standard_normal((64, 96)).astype(np.float32), np.empty((96, 64), np.float32)
trial(transpose, (3, 2), (TILE, ROWS), x, out, draw=sectors)

# %%
trial(transpose, (3, 2), (TILE, ROWS), x, out, draw=banks)

# %%
check("lab_01.transpose", transpose)

# %% [markdown]
# ## Task 4: a block that adds
#
# Losses, norms, averages, softmax: all of them need a sum over many threads. A block can add its
# elements in a few steps, each of which halves what is left.
#
# Write `reduce(x, out)`: `out[b]` becomes the sum of the elements of block `b`, one for each of
# its 128 threads; a block without elements has the sum 0. What `out` holds before is rubbish.
#
# Which threads add in which step decides how many warps must run. Look at the tree: a warp whose
# threads are all idle costs nothing, a warp with one busy thread costs as much as a full one.

# %% [markdown]
# Budget for each block: 36 passes over shared memory, where a tree needs 29; 20 numbers that one
# thread reads on the chip, where a tree needs 15; 4 atomic additions to global memory; 1.5 times the
# sectors that hold `x` and `out`.
#
# <details><summary>Hint 1</summary>Put one number of each thread into shared memory, 0 where
# there is none. In the first step half of the threads add the number of a partner to their
# own.</details>
#
# <details><summary>Hint 2</summary>Let the partner be half the block away, then a quarter, then
# an eighth: the busy threads stay side by side. Everybody must have stored before anybody reads
# it, in each step, and the whole block must reach each barrier.</details>

# %%
THREADS = 128


@cuda.jit
def reduce(x, out):
    """Store the sum of each block's elements in out; blocks of 128 threads."""
    # begin solution
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]
    # end solution


# %%
x = rng.standard_normal(THREADS).astype(np.float32)
trial(reduce, 1, THREADS, x, np.empty(1, np.float32), draw=tree)

# %%
check("lab_01.reduce", reduce)

# %% [markdown]
# ## Task 5: a histogram without a queue
#
# Counting is a reduction in which the data decide who meets whom. `bins[v] += 1` loses counts as
# soon as two threads meet, so it takes an *atomic* addition. Atomics to one address wait for each
# other, and in global memory threads of the whole GPU stand in one queue.
#
# Write `histogram(x, bins)`: add to `bins[v]` how often `v` stands in `x`, for 64 values. One to
# four blocks of 64 or 128 threads, thousands of elements; `bins` holds earlier counts, which must
# stay in the sum.

# %% [markdown]
# Budget: one atomic addition to global memory for each bin of each block, and 1.5 times the sectors
# that hold `x`.
#
# <details><summary>Hint 1</summary>Let each block count in bins of its own in shared memory,
# which hold rubbish at first.</details>
#
# <details><summary>Hint 2</summary>Three stages: set 64 bins to 0, count in a grid-stride loop,
# hand the bins in. Which barriers keep the stages apart?</details>

# %%
BINS = 64


@cuda.jit
def histogram(x, bins):
    """Add the counts of the values 0 to 63 in x to bins."""
    # begin solution
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    if t < BINS:
        cuda.atomic.add(bins, t, mine[t])
    # end solution


# %%
x, bins = rng.integers(0, BINS, 2000).astype(np.int32), np.zeros(BINS, np.int32)
trial(histogram, 2, 128, x, bins, draw=sectors)

# %%
check("lab_01.histogram", histogram)

# %% [markdown]
# ## Task 6: a matrix product, tile by tile
#
# Nearly all the arithmetic of a language model is matrix products. Each element of `a` and `b` is
# needed many times over. A kernel in which each thread reads its own row and column fetches it
# from global memory every time; a block of 16 x 16 threads can fetch it once and use it 16 times.
#
# Write `matmul(a, b, c)`: `c = a @ b`, float32, any shapes. Blocks of 16 x 16 threads, each with
# its square of `c`; `cuda.grid(2)` gives column and row of `c`. The length that is summed over may
# be 0, and is seldom a multiple of 16. The three matrices of the picture fill 1,536 sectors: how
# many does your kernel move?

# %% [markdown]
# Budget: 1.5 times the sectors of a kernel that loads each square once for each block that needs
# it, and one extra pass over shared memory a request.
#
# <details><summary>Hint 1</summary>Walk along <code>k</code> in steps of 16. In each step the
# block puts a square of <code>a</code> and a square of <code>b</code> into shared memory, one
# element a thread, and each thread adds 16 products.</details>
#
# <details><summary>Hint 2</summary>Store 0 where a square hangs over the edge, so that the loop
# over 16 needs no guard. Two barriers a step: before the squares are read, and before they are
# overwritten. Threads outside <code>c</code> still load and still wait.</details>

# %%
SQUARE = 16


@cuda.jit
def matmul(a, b, c):
    """Store the matrix product of a and b in c; blocks of 16 x 16 threads."""
    # begin solution
    tile_a = cuda.shared.array((SQUARE, SQUARE), float32)
    tile_b = cuda.shared.array((SQUARE, SQUARE), float32)
    column, row = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for k in range(0, a.shape[1], SQUARE):
        tile_a[ty, tx] = 0
        if row < a.shape[0] and k + tx < a.shape[1]:
            tile_a[ty, tx] = a[row, k + tx]
        tile_b[ty, tx] = 0
        if k + ty < b.shape[0] and column < b.shape[1]:
            tile_b[ty, tx] = b[k + ty, column]
        cuda.syncthreads()
        for j in range(SQUARE):
            total += tile_a[ty, j] * tile_b[j, tx]
        cuda.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total
    # end solution


# %%
a, b = rng.standard_normal((2, 64, 64)).astype(np.float32)
trial(matmul, (4, 4), (SQUARE, SQUARE), a, b, np.empty_like(a), draw=sectors)

# %%
check("lab_01.matmul", matmul)

# %% [markdown]
# ## Where these counts break
#
# - The interpreter counts the kernel as written. A compiler keeps in a register what you load
#   twice, and may move a load out of a loop.
# - It knows no caches. A matrix product without tiles asks for many times the sectors of the tiled
#   one; on a GPU the cache beside the cores serves part of them.
# - Its threads run in lockstep, so that a kernel without its barrier often gives the right
#   numbers. On a GPU it may or may not, from run to run. So races fail, whatever the numbers.
# - Fewer sectors mean less time only where memory is the limit: see lessons 03 and 04.

# %% [markdown]
# ## You learned
#
# - A kernel that is right guards each access, whatever the launch: threads to spare, too few
#   threads, sizes that no block divides, no elements at all.
# - 32 lanes that ask for 32 floats in a row move 4 sectors; 32 lanes that stride move 32, for the
#   same 128 bytes.
# - Shared memory turns strides into rows, halves a sum at each step, counts without the global
#   queue and feeds 16 uses from one load; each time it takes a barrier between who writes and who
#   reads.
#
# The kernels are ordinary `numba.cuda`: on a machine with an NVIDIA GPU, `relu[8, 128](x, out)`
# runs them as they are.

# %%
score("lab_01")

# %% [markdown]
# ## Further reading
#
# - [An Efficient Matrix Transpose in CUDA
#   C/C++](https://developer.nvidia.com/blog/efficient-matrix-transpose-cuda-cc/): task 3 measured
#   on a GPU, with fewer threads than elements in a tile.
# - [Optimizing Parallel Reduction in
#   CUDA](https://developer.download.nvidia.com/assets/cuda/files/reduction.pdf): task 4 in seven
#   versions, each with its bandwidth.
# - [GPU Pro Tip: Fast Histograms Using Shared Atomics on
#   Maxwell](https://developer.nvidia.com/blog/gpu-pro-tip-fast-histograms-using-shared-atomics-maxwell/):
#   task 5 on real pictures, where neighbours look alike.
