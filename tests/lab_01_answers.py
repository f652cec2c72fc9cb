"""Right and wrong kernels for lab 01, as learners write them; ``test_lab_01`` grades them."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, float64, int32

# ruff: noqa: F841, RUF059
TILE, ROWS, SQUARE, THREADS, BINS = 32, 8, 16, 128, 64
WIDE, FULL = TILE + 1, 0xFFFFFFFF


# --- relu ---------------------------------------------------------------------------------------
def relu_by_hand(x, out):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i >= out.shape[0]:
        return
    value = x[i]
    if value < 0:
        value = np.float32(0.0)
    out[i] = value


def relu_in_a_stride(x, out):
    i = cuda.grid(1)
    while i < len(x):
        out[i] = x[i] if x[i] > 0 else 0.0
        i += cuda.gridsize(1)


@cuda.jit(device=True)
def positive(value):
    return (value > 0) * value


@cuda.jit
def relu_with_a_helper(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = positive(x[i])


def relu_without_guard(x, out):
    i = cuda.grid(1)
    out[i] = max(x[i], 0.0)


def relu_with_late_guard(x, out):
    i = cuda.grid(1)
    if i <= x.size:
        out[i] = max(x[i], 0.0)


def relu_across(x, out):
    i = cuda.threadIdx.x * cuda.gridDim.x + cuda.blockIdx.x
    if i < x.size:
        out[i] = max(x[i], 0.0)


def relu_by_one_thread(x, out):
    if cuda.grid(1) == 0:
        for i in range(x.size):
            out[i] = max(x[i], 0.0)


def relu_by_everybody(x, out):
    if cuda.grid(1) >= 0:
        for i in range(x.size):
            out[i] = max(x[i], 0.0)


def relu_by_numpy(x, out):
    out[:] = np.maximum(x, 0)


def relu_by_numpy_with_a_thread(x, out):
    i = cuda.grid(1)
    np.maximum(x, 0, out)


def relu_that_returns(x, out):
    i = cuda.grid(1)
    return max(x[i], 0.0)


def relu_of_nothing(x, out):
    i = cuda.grid(1)


def relu_of_zeros(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = 0.0


def relu_of_1000(x, out):
    i = cuda.grid(1)
    if i < x.size and i < 1000:
        out[i] = max(x[i], 0.0)


def relu_of_one_block(x, out):
    i = cuda.threadIdx.x
    if i < x.size:
        out[i] = max(x[i], 0.0)


def relu_in_place(x, out):
    i = cuda.grid(1)
    if i < x.size:
        x[i] = max(x[i], 0.0)
        out[i] = x[i]


def relu_of_3000(x, out):
    i = cuda.grid(1)
    if i < x.size and i < 3000:
        out[i] = max(x[i], 0.0)


# --- saxpy --------------------------------------------------------------------------------------
def saxpy_in_a_while(a, x, y):
    step = cuda.gridDim.x * cuda.blockDim.x
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    while i < y.size:
        y[i] += a * x[i]
        i += step


def saxpy_of_whole_blocks(a, x, y):
    start = cuda.blockIdx.x * cuda.blockDim.x
    for first in range(start, x.size, cuda.gridsize(1)):
        i = first + cuda.threadIdx.x
        if i < x.size:
            y[i] = y[i] + a * x[i]


def saxpy_once(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = a * x[i] + y[i]


def saxpy_in_stretches(a, x, y):
    each = (x.size + cuda.gridsize(1) - 1) // cuda.gridsize(1)
    first = cuda.grid(1) * each
    for i in range(first, min(first + each, x.size)):
        y[i] = a * x[i] + y[i]


def saxpy_without_guard(a, x, y):
    for turn in range(x.size // cuda.gridsize(1) + 1):
        i = cuda.grid(1) + turn * cuda.gridsize(1)
        y[i] = a * x[i] + y[i]


def saxpy_that_overlaps(a, x, y):
    for i in range(cuda.grid(1), x.size, cuda.blockDim.x):
        y[i] = a * x[i] + y[i]


def saxpy_by_numpy(a, x, y):
    y += a * x


def saxpy_of_nothing(a, x, y):
    i = cuda.grid(1)


def saxpy_of_zeros(a, x, y):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[i] = 0.0


def saxpy_for_96_threads(a, x, y):
    for i in range(cuda.grid(1), x.size, 3 * 96):
        y[i] = a * x[i] + y[i]


def saxpy_without_a(a, x, y):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[i] = x[i] + y[i]


def saxpy_of_100_turns(a, x, y):
    i = cuda.grid(1)
    for _ in range(100):
        if i < x.size:
            y[i] = a * x[i] + y[i]
        i += cuda.gridsize(1)


def saxpy_by_one_thread(a, x, y):
    if cuda.grid(1) == 0:
        for i in range(x.size):
            y[i] = a * x[i] + y[i]


def saxpy_by_one_block(a, x, y):
    if cuda.blockIdx.x == 0:
        for i in range(cuda.threadIdx.x, x.size, cuda.blockDim.x):
            y[i] = a * x[i] + y[i]


# --- transpose ----------------------------------------------------------------------------------
def transpose_by_swizzle(x, out):
    tile = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.blockIdx.x * TILE + tx, cuda.blockIdx.y * TILE
    for j in range(ty, TILE, ROWS):
        if row + j < x.shape[0] and column < x.shape[1]:
            tile[j, tx ^ j] = x[row + j, column]
    cuda.syncthreads()
    column, row = cuda.blockIdx.y * TILE + tx, cuda.blockIdx.x * TILE
    for j in range(ty, TILE, ROWS):
        if row + j < out.shape[0] and column < out.shape[1]:
            out[row + j, column] = tile[tx, j ^ tx]


def transpose_stored_turned(x, out):
    tile = cuda.shared.array(shape=(32, 33), dtype=np.float32)
    across, down = cuda.threadIdx.x, cuda.threadIdx.y
    for part in range(4):
        at = down + 8 * part
        i, j = cuda.blockIdx.y * 32 + at, cuda.blockIdx.x * 32 + across
        if i < x.shape[0] and j < x.shape[1]:
            tile[across, at] = x[i, j]
    cuda.syncthreads()
    for part in range(4):
        at = down + 8 * part
        i, j = cuda.blockIdx.x * 32 + at, cuda.blockIdx.y * 32 + across
        if i < out.shape[0] and j < out.shape[1]:
            out[i, j] = tile[at, across]


def transpose_straight(x, out):
    column = cuda.blockIdx.x * TILE + cuda.threadIdx.x
    for row in range(cuda.blockIdx.y * TILE + cuda.threadIdx.y, x.shape[0], ROWS):
        if row < (cuda.blockIdx.y + 1) * TILE and column < x.shape[1]:
            out[column, row] = x[row, column]


def transpose_without_padding(x, out):
    tile = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for j in range(ty, TILE, ROWS):
        if top + j < x.shape[0] and left + tx < x.shape[1]:
            tile[j, tx] = x[top + j, left + tx]
    cuda.syncthreads()
    for j in range(ty, TILE, ROWS):
        if left + j < out.shape[0] and top + tx < out.shape[1]:
            out[left + j, top + tx] = tile[tx, j]


def transpose_without_barrier(x, out):
    tile = cuda.shared.array((TILE, WIDE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for j in range(ty, TILE, ROWS):
        if top + j < x.shape[0] and left + tx < x.shape[1]:
            tile[j, tx] = x[top + j, left + tx]
    for j in range(ty, TILE, ROWS):
        if left + j < out.shape[0] and top + tx < out.shape[1]:
            out[left + j, top + tx] = tile[tx, j]


def transpose_with_barrier_in_a_branch(x, out):
    tile = cuda.shared.array((TILE, WIDE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for j in range(ty, TILE, ROWS):
        if top + j < x.shape[0] and left + tx < x.shape[1]:
            tile[j, tx] = x[top + j, left + tx]
            cuda.syncthreads()
    for j in range(ty, TILE, ROWS):
        if left + j < out.shape[0] and top + tx < out.shape[1]:
            out[left + j, top + tx] = tile[tx, j]


def transpose_without_guard(x, out):
    tile = cuda.shared.array((TILE, WIDE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for j in range(ty, TILE, ROWS):
        tile[j, tx] = x[top + j, left + tx]
    cuda.syncthreads()
    for j in range(ty, TILE, ROWS):
        out[left + j, top + tx] = tile[tx, j]


def transpose_of_lesson_02(x, out):
    tile = cuda.shared.array((32, 33), float32)
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    if row < x.shape[0] and column < x.shape[1]:
        tile[j, i] = x[row, column]
    cuda.syncthreads()
    column, row = cuda.blockIdx.y * 32 + i, cuda.blockIdx.x * 32 + j
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = tile[i, j]


def transpose_of_computed_shape(x, out):
    tile = cuda.shared.array((TILE, TILE + 1), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for j in range(ty, TILE, ROWS):
        if top + j < x.shape[0] and left + tx < x.shape[1]:
            tile[j, tx] = x[top + j, left + tx]
    cuda.syncthreads()
    for j in range(ty, TILE, ROWS):
        if left + j < out.shape[0] and top + tx < out.shape[1]:
            out[left + j, top + tx] = tile[tx, j]


def transpose_by_exchange(x, out):
    column = cuda.blockIdx.x * TILE + cuda.threadIdx.x
    for row in range(cuda.blockIdx.y * TILE + cuda.threadIdx.y, x.shape[0], ROWS):
        if row < (cuda.blockIdx.y + 1) * TILE and column < x.shape[1]:
            cuda.atomic.exch(out, (column, row), x[row, column])


def transpose_by_numpy(x, out):
    out[:] = x.T


def transpose_of_nothing(x, out):
    column, row = cuda.grid(2)


def transpose_of_zeros(x, out):
    column = cuda.blockIdx.y * TILE + cuda.threadIdx.x
    for j in range(cuda.threadIdx.y, TILE, ROWS):
        row = cuda.blockIdx.x * TILE + j
        if row < out.shape[0] and column < out.shape[1]:
            out[row, column] = 0.0


def transpose_of_a_copy(x, out):
    column = cuda.blockIdx.x * TILE + cuda.threadIdx.x
    for j in range(cuda.threadIdx.y, TILE, ROWS):
        row = cuda.blockIdx.y * TILE + j
        if row < min(x.shape[0], out.shape[0]) and column < min(x.shape[1], out.shape[1]):
            out[row, column] = x[row, column]


def transpose_of_70_by_32(x, out):
    for j in range(cuda.threadIdx.y, TILE, ROWS):
        column, row = cuda.blockIdx.x * TILE + cuda.threadIdx.x, cuda.blockIdx.y * TILE + j
        if row < 70 and column < 32:
            out[column, row] = x[row, column]


def transpose_of_patches(x, out):
    t, w = cuda.threadIdx.x, cuda.threadIdx.y
    for k in range(4):
        row = cuda.blockIdx.y * TILE + 4 * w + t // 8
        column = cuda.blockIdx.x * TILE + 8 * k + t % 8
        if row < x.shape[0] and column < x.shape[1]:
            out[column, row] = x[row, column]


def transpose_read_by_atomics(x, out):
    tile = cuda.shared.array((TILE, TILE), float32)
    tx = cuda.threadIdx.x
    for j in range(cuda.threadIdx.y, TILE, ROWS):
        row, column = cuda.blockIdx.y * TILE + j, cuda.blockIdx.x * TILE + tx
        tile[j, tx] = x[row, column] if row < x.shape[0] and column < x.shape[1] else 0.0
    cuda.syncthreads()
    for j in range(cuda.threadIdx.y, TILE, ROWS):
        row, column = cuda.blockIdx.x * TILE + j, cuda.blockIdx.y * TILE + tx
        value = cuda.atomic.max(tile, (tx, j), float32(-1e30))
        if row < out.shape[0] and column < out.shape[1]:
            out[row, column] = value


# --- reduce -------------------------------------------------------------------------------------
def reduce_by_shuffles(x, out):
    sums = cuda.shared.array(4, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    value = x[i] if i < x.size else float32(0)
    for step in (16, 8, 4, 2, 1):
        value += cuda.shfl_down_sync(FULL, value, step)
    if t % 32 == 0:
        sums[t // 32] = value
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = sums[0] + sums[1] + sums[2] + sums[3]


def reduce_by_one_atomic_a_warp(x, out):
    total = cuda.shared.array(1, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if t == 0:
        total[0] = 0
    value = float32(0)
    if i < x.size:
        value = x[i]
    step = 16
    while step:
        value += cuda.shfl_xor_sync(FULL, value, step)
        step //= 2
    cuda.syncthreads()
    if t % 32 == 0:
        cuda.atomic.add(total, 0, value)
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = total[0]


@cuda.jit(device=True)
def fold(part, t, half):
    if t < half:
        part[t] = part[t] + part[t + half]
    cuda.syncthreads()


def reduce_unrolled(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = 0
    if i < x.size:
        part[t] = x[i]
    cuda.syncthreads()
    for half in (64, 32, 16, 8, 4, 2, 1):
        fold(part, t, half)
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


def reduce_without_barrier(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else float32(0)
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


def reduce_with_barrier_in_a_branch(x, out):
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


def reduce_interleaved(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    step = 1
    while step < THREADS:
        if t % (2 * step) == 0:
            part[t] += part[t + step]
        cuda.syncthreads()
        step *= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


def reduce_by_thread_zero(x, out):
    t = cuda.threadIdx.x
    if t == 0:
        total = float32(0)
        for i in range(cuda.grid(1), min(cuda.grid(1) + THREADS, x.size)):
            total += x[i]
        out[cuda.blockIdx.x] = total


def reduce_by_global_atomics(x, out):
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if t == 0:
        out[cuda.blockIdx.x] = 0
    cuda.syncthreads()
    if i < x.size:
        cuda.atomic.add(out, cuda.blockIdx.x, x[i])


def reduce_by_shared_atomics(x, out):
    total = cuda.shared.array(1, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if t == 0:
        total[0] = 0
    cuda.syncthreads()
    if i < x.size:
        cuda.atomic.add(total, 0, x[i])
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = total[0]


def reduce_without_guard(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i]
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


def reduce_that_forgets_idle_threads(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if i < x.size:
        part[t] = x[i]
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


def reduce_in_a_block_as_large_as_it_is(x, out):
    part = cuda.shared.array(shape=cuda.blockDim.x, dtype=float32)
    part[cuda.threadIdx.x] = 0


def reduce_by_numpy(x, out):
    out[0] = np.sum(x)


def reduce_by_numpy_in_a_thread(x, out):
    b = cuda.blockIdx.x
    out[b] = np.sum(x[b * THREADS : (b + 1) * THREADS])


def reduce_of_nothing(x, out):
    t = cuda.threadIdx.x


def reduce_of_zeros(x, out):
    if cuda.threadIdx.x == 0:
        out[cuda.blockIdx.x] = 0.0


def reduce_of_everything_into_one(x, out):
    i = cuda.grid(1)
    if i == 0:
        for b in range(out.size):
            out[b] = 0
        for k in range(x.size):
            out[0] += x[k]


def reduce_of_33(x, out):
    if cuda.threadIdx.x == 0:
        total = float32(0)
        for k in range(33):
            if k < x.size:
                total += x[k]
        out[cuda.blockIdx.x] = total


@cuda.jit(device=True)
def warp_sum(value):
    for distance in (16, 8, 4, 2, 1):
        value += cuda.shfl_down_sync(FULL, value, distance)
    return value


def reduce_by_a_global_atomic_a_warp(x, out):
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if t == 0:
        out[cuda.blockIdx.x] = 0
    cuda.syncthreads()
    total = warp_sum(x[i] if i < x.size else float32(0))
    if t % 32 == 0:
        cuda.atomic.add(out, cuda.blockIdx.x, total)


def reduce_in_double_precision(x, out):
    part = cuda.shared.array(THREADS, float64)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size and i >= 0 and t < THREADS else 0
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if t < half:
            part[t] += part[t + half]
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


def reduce_by_four_threads(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else 0
    cuda.syncthreads()
    total = 0.0
    if t < 4:
        for k in range(32):
            total += part[t + 4 * k]
    cuda.syncthreads()
    if t < 4:
        part[t] = total
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = part[0] + part[1] + part[2] + part[3]


def reduce_by_eight_threads(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else 0
    cuda.syncthreads()
    if t < 8:
        total = float32(0)
        for k in range(16):
            total += part[t + 8 * k]
        part[t] = total
    cuda.syncthreads()
    if t == 0:
        total = float32(0)
        for k in range(8):
            total += part[k]
        out[cuda.blockIdx.x] = total


def reduce_by_a_shuffle_for_each_lane(x, out):
    sums = cuda.shared.array(4, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    value, total = x[i] if i < x.size else float32(0), float32(0)
    for lane in range(32):
        total += cuda.shfl_sync(FULL, value, lane)
    if t % 32 == 0:
        sums[t // 32] = total
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = sums[0] + sums[1] + sums[2] + sums[3]


def reduce_in_fours(x, out):
    n = 128
    part = cuda.shared.array(n, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else float32(0)
    quarter = n // 4
    while quarter > 0:
        cuda.syncthreads()
        if t < quarter:
            part[t] += part[t + quarter] + part[t + 2 * quarter] + part[t + 3 * quarter]
        quarter //= 4
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = part[0] + part[1]


def reduce_by_product(x, out):
    i = cuda.grid(1)
    value = x[i] if i < x.size else 0.0
    for b in range(cuda.gridDim.x):
        total = np.matmul(value, 1.0 * (cuda.blockIdx.x == b))
        if i == b * cuda.blockDim.x:
            out[b] = total


def reduce_by_shuffles_in_a_branch(x, out):
    part = cuda.shared.array(4, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    value = x[i] if i < x.size else 0.0
    half = 16
    while half > 0:
        if t % 32 < 2 * half:
            value += cuda.shfl_down_sync(FULL, value, half)
        half //= 2
    if t % 32 == 0:
        part[t // 32] = value
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = part[0] + part[1] + part[2] + part[3]


def reduce_by_shuffles_of_nobody(x, out):
    part = cuda.shared.array(4, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    value, total = x[i] if i < x.size else 0.0, 0.0
    for lane in range(32):
        total += cuda.shfl_sync(0, value, lane)
    if t % 32 == 0:
        part[t // 32] = total
    cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = part[0] + part[1] + part[2] + part[3]


def reduce_with_a_lonely_syncwarp(x, out):
    part = cuda.shared.array(THREADS, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else 0
    cuda.syncthreads()
    if t < 32:
        part[t] += part[t + 32] + part[t + 64] + part[t + 96]
        half = 16
        while half > 0:
            if t < half:
                cuda.syncwarp()
                part[t] += part[t + half]
            half //= 2
        if t == 0:
            out[cuda.blockIdx.x] = part[0]


# --- histogram ----------------------------------------------------------------------------------
def histogram_of_many_bins_a_thread(x, bins):
    mine = cuda.shared.array((2, BINS), int32)
    t = cuda.threadIdx.x
    for v in range(t, BINS, cuda.blockDim.x):
        mine[0, v] = 0
        mine[1, v] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, (t // 32 % 2, x[i]), 1)
    cuda.syncthreads()
    for v in range(t, BINS, cuda.blockDim.x):
        count = mine[0, v] + mine[1, v]
        if count > 0:
            cuda.atomic.add(bins, v, count)


def histogram_with_a_guarded_step(x, bins):
    mine = cuda.shared.array(64, np.int32)
    t = cuda.threadIdx.x
    if t < 64:
        mine[t] = 0
    cuda.syncthreads()
    i = cuda.grid(1)
    while True:
        if i >= x.size:
            break
        cuda.atomic.add(mine, x[i], 1)
        i += cuda.gridsize(1)
    cuda.syncthreads()
    if t < 64:
        cuda.atomic.add(bins, t, mine[t])


def histogram_in_global_memory(x, bins):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(bins, x[i], 1)


def histogram_without_atomics(x, bins):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        bins[x[i]] += 1


def histogram_without_zeroing(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    if t < BINS:
        cuda.atomic.add(bins, t, mine[t])


def histogram_without_first_barrier(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        mine[t] = 0
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    if t < BINS:
        cuda.atomic.add(bins, t, mine[t])


def histogram_without_last_barrier(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, x[i], 1)
    if t < BINS:
        cuda.atomic.add(bins, t, mine[t])


def histogram_in_stretches(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    each = (x.size + cuda.gridsize(1) - 1) // cuda.gridsize(1)
    for i in range(cuda.grid(1) * each, min(x.size, (cuda.grid(1) + 1) * each)):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    if t < BINS:
        cuda.atomic.add(bins, t, mine[t])


def histogram_without_guard(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    mine[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    cuda.atomic.add(bins, t, mine[t])


def histogram_that_overwrites(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    for i in range(t, x.size, cuda.blockDim.x):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    if t < BINS and cuda.blockIdx.x == 0:
        bins[t] = mine[t]


def histogram_by_numpy(x, bins):
    bins += np.bincount(x, minlength=64)


def histogram_of_nothing(x, bins):
    t = cuda.threadIdx.x


def histogram_of_zeros(x, bins):
    t = cuda.grid(1)
    if t < BINS:
        bins[t] = 0


def histogram_of_33(x, bins):
    if cuda.grid(1) == 0:
        for i in range(33):
            if i < x.size:
                bins[x[i]] += 1


def histogram_of_14_turns(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    for _ in range(14):
        if i < x.size:
            cuda.atomic.add(mine, x[i], 1)
        i += cuda.gridsize(1)
    cuda.syncthreads()
    if t < BINS:
        cuda.atomic.add(bins, t, mine[t])


def histogram_by_block_zero(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if cuda.blockIdx.x > 0:
        return
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    for i in range(t, x.size, cuda.blockDim.x):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    if t < BINS:
        bins[t] += mine[t]


def histogram_behind_a_fence(x, bins):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    cuda.threadfence()
    for b in range(cuda.gridDim.x):
        if cuda.blockIdx.x == b and t < BINS:
            bins[t] += mine[t]


# --- matmul -------------------------------------------------------------------------------------
def matmul_with_padded_tiles(a, b, c):
    left = cuda.shared.array((SQUARE, 16 + 1), float32)
    right = cuda.shared.array((SQUARE, 16 + 1), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    i, j = cuda.blockIdx.y * SQUARE + ty, cuda.blockIdx.x * SQUARE + tx
    total = 0.0
    for step in range((a.shape[1] + SQUARE - 1) // SQUARE):
        k = step * SQUARE
        left[ty, tx] = a[i, k + tx] if i < a.shape[0] and k + tx < a.shape[1] else 0.0
        right[ty, tx] = b[k + ty, j] if k + ty < b.shape[0] and j < b.shape[1] else 0.0
        cuda.syncthreads()
        for n in range(SQUARE):
            total += left[ty, n] * right[n, tx]
        cuda.syncthreads()
    if i < c.shape[0] and j < c.shape[1]:
        c[i, j] = total


def matmul_with_longer_tiles(a, b, c):
    left = cuda.shared.array((16, 32), float32)
    right = cuda.shared.array((32, 16), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for k in range(0, a.shape[1], 32):
        for half in (0, 16):
            x, y = half + tx, half + ty
            left[ty, x] = a[i, k + x] if i < a.shape[0] and k + x < a.shape[1] else 0.0
            right[y, tx] = b[k + y, j] if k + y < b.shape[0] and j < b.shape[1] else 0.0
        cuda.syncthreads()
        for n in range(min(32, a.shape[1] - k)):
            total += left[ty, n] * right[n, tx]
        cuda.syncthreads()
    if i < c.shape[0] and j < c.shape[1]:
        c[i, j] = total


def matmul_of_6_tiles(a, b, c):
    left = cuda.shared.array((SQUARE, SQUARE), float32)
    right = cuda.shared.array((SQUARE, SQUARE), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for k in range(0, 96, SQUARE):
        left[ty, tx] = a[i, k + tx] if i < a.shape[0] and k + tx < a.shape[1] else 0.0
        right[ty, tx] = b[k + ty, j] if k + ty < b.shape[0] and j < b.shape[1] else 0.0
        cuda.syncthreads()
        for n in range(SQUARE):
            total += left[ty, n] * right[n, tx]
        cuda.syncthreads()
    if i < c.shape[0] and j < c.shape[1]:
        c[i, j] = total


def matmul_naive(a, b, c):
    j, i = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        c[i, j] = total


def matmul_naive_across(a, b, c):
    i, j = cuda.blockIdx.y * SQUARE + cuda.threadIdx.x, cuda.blockIdx.x * SQUARE + cuda.threadIdx.y
    if i < c.shape[0] and j < c.shape[1]:
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        c[i, j] = total


def matmul_tiled(a, b, c, first, second):
    left = cuda.shared.array((SQUARE, SQUARE), float32)
    right = cuda.shared.array((SQUARE, SQUARE), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for k in range(0, a.shape[1], SQUARE):
        left[ty, tx] = a[i, k + tx] if i < a.shape[0] and k + tx < a.shape[1] else 0.0
        right[ty, tx] = b[k + ty, j] if k + ty < b.shape[0] and j < b.shape[1] else 0.0
        if first:
            cuda.syncthreads()
        for n in range(SQUARE):
            total += left[ty, n] * right[n, tx]
        if second:
            cuda.syncthreads()
    if i < c.shape[0] and j < c.shape[1]:
        c[i, j] = total


def matmul_without_first_barrier(a, b, c):
    if cuda.grid(1) >= 0:
        matmul_tiled(a, b, c, False, True)


def matmul_without_second_barrier(a, b, c):
    if cuda.grid(1) >= 0:
        matmul_tiled(a, b, c, True, False)


def matmul_without_guard(a, b, c):
    left = cuda.shared.array((SQUARE, SQUARE), float32)
    right = cuda.shared.array((SQUARE, SQUARE), float32)
    j, i = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for k in range(0, a.shape[1], SQUARE):
        left[ty, tx] = a[i, k + tx]
        right[ty, tx] = b[k + ty, j]
        cuda.syncthreads()
        for n in range(SQUARE):
            total += left[ty, n] * right[n, tx]
        cuda.syncthreads()
    c[i, j] = total


def matmul_with_early_return(a, b, c):
    left = cuda.shared.array((SQUARE, SQUARE), float32)
    right = cuda.shared.array((SQUARE, SQUARE), float32)
    j, i = cuda.grid(2)
    if i >= c.shape[0] or j >= c.shape[1]:
        return
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for k in range(0, a.shape[1], SQUARE):
        left[ty, tx] = a[i, k + tx] if k + tx < a.shape[1] else 0.0
        right[ty, tx] = b[k + ty, j] if k + ty < b.shape[0] else 0.0
        cuda.syncthreads()
        for n in range(SQUARE):
            total += left[ty, n] * right[n, tx]
        cuda.syncthreads()
    c[i, j] = total


def matmul_by_operator(a, b, c):
    i, j = cuda.grid(2)
    c[:] = a @ b


def matmul_by_numpy(a, b, c):
    np.dot(a, b, out=c)


def matmul_of_nothing(a, b, c):
    i, j = cuda.grid(2)


def matmul_of_zeros(a, b, c):
    j, i = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        c[i, j] = 0.0


def matmul_of_squares(a, b, c):
    j, i = cuda.grid(2)
    n = a.shape[0]
    if i < n and j < n:
        total = float32(0)
        for k in range(n):
            total += a[i, k] * b[k, j]
        c[i, j] = total


def matmul_of_k_33(a, b, c):
    j, i = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        total = float32(0)
        for k in range(min(33, a.shape[1])):
            total += a[i, k] * b[k, j]
        c[i, j] = total


RIGHT = {
    "relu": [relu_by_hand, relu_in_a_stride, relu_with_a_helper],
    "saxpy": [saxpy_in_a_while, saxpy_of_whole_blocks],
    "transpose": [transpose_by_swizzle, transpose_stored_turned],
    "reduce": [
        reduce_by_shuffles,
        reduce_by_one_atomic_a_warp,
        reduce_by_a_global_atomic_a_warp,
        reduce_in_double_precision,
        reduce_in_fours,
        reduce_unrolled,
    ],
    "histogram": [histogram_of_many_bins_a_thread, histogram_with_a_guarded_step],
    "matmul": [matmul_with_padded_tiles, matmul_with_longer_tiles],
}
GUARD, HOST, UNWRITTEN = r"With .*\d.*block .*thread .*reads", "no kernel", "no thread writes"
WASTE = r"sectors of 32 bytes move where [\d,]+ are enough .*wasted"
ALONE = "one thread does the work of many"
# Kernel, what the message must say, what it earns.
WRONG = {
    "relu": [
        (relu_without_guard, GUARD, 0),
        (relu_with_late_guard, GUARD, 0),
        (relu_across, WASTE, 0.5),
        (relu_by_one_thread, ALONE, 0),
        (relu_of_3000, r"no thread writes out\[3000\]", 0),
        (relu_by_everybody, "race", 0),
        (relu_by_numpy, HOST, 0),
        (relu_by_numpy_with_a_thread, "maximum of a whole array", 0),
        (relu_that_returns, "returns nothing", 0),
        (relu_of_nothing, UNWRITTEN, 0),
        (relu_of_zeros, r"block \d+, thread \d+ writes 0 to out\[\d+\], which is too low", 0),
        (relu_of_1000, r"no thread writes out\[1000\]", 0),
        (relu_of_one_block, r"race", 0),
        (relu_in_place, "x is an input", 0),
    ],
    "saxpy": [
        (saxpy_of_100_turns, r"no thread writes y\[100\]", 0),
        (saxpy_by_one_thread, ALONE, 0),
        (saxpy_by_one_block, "elements are loaded by one block where", 0.5),
        (saxpy_once, r"With 33 elements.*no thread writes y\[32\]", 0),
        (saxpy_in_stretches, WASTE, 0.5),
        (saxpy_without_guard, GUARD, 0),
        (saxpy_that_overlaps, "race", 0),
        (saxpy_by_numpy, HOST, 0),
        (saxpy_of_nothing, UNWRITTEN, 0),
        (saxpy_of_zeros, r"writes .* which is", 0),
        (saxpy_for_96_threads, UNWRITTEN + "|race", 0),
        (saxpy_without_a, r"writes .* which is", 0),
    ],
    "transpose": [
        (transpose_straight, WASTE, 0.5),
        (transpose_of_patches, WASTE, 0.5),
        (transpose_read_by_atomics, "extra passes", 0.75),
        (transpose_without_padding, "extra passes", 0.75),
        (transpose_without_barrier, r"tile, element \d+, which.*a race", 0),
        (transpose_with_barrier_in_a_branch, "whole block.*only", 0),
        (transpose_without_guard, GUARD, 0),
        (transpose_of_lesson_02, "before anybody wrote it", 0),
        (transpose_of_computed_shape, "plain numbers or names of constants", 0),
        (transpose_by_exchange, WASTE, 0.5),
        (transpose_by_numpy, HOST, 0),
        (transpose_of_nothing, UNWRITTEN, 0),
        (transpose_of_zeros, r"writes 0 to out\[\d+, \d+\], which is", 0),
        (transpose_of_a_copy, "no thread writes|which is", 0),
        (transpose_of_70_by_32, GUARD, 0),
    ],
    "reduce": [
        (reduce_by_four_threads, "passes over shared memory where", 0.75),
        (reduce_by_eight_threads, "24 numbers are taken in by one thread.*where 15 are", 0.75),
        (reduce_by_a_shuffle_for_each_lane, "calls of shfl_sync: [0-9,]+ requests", 0.75),
        (reduce_by_product, "matmul is not supported", 0),
        (reduce_by_shuffles_in_a_branch, "mask names lane .* takes another way", 0),
        (reduce_by_shuffles_of_nobody, "mask that leaves out the thread itself", 0),
        (reduce_with_a_lonely_syncwarp, "calls syncwarp and its mask names lane 16", 0),
        (reduce_without_barrier, r"part, element \d+, which.*a race", 0),
        (reduce_with_barrier_in_a_branch, "whole block.*only 64 of 128", 0),
        (reduce_interleaved, "passes over shared memory where", 0.75),
        (reduce_by_thread_zero, ALONE, 0),
        (reduce_by_global_atomics, "atomic additions to global memory where", 0.5),
        (reduce_by_shared_atomics, "passes over shared memory where", 0.75),
        (reduce_without_guard, GUARD, 0),
        (reduce_that_forgets_idle_threads, "of shared memory before anybody wrote it", 0),
        (reduce_in_a_block_as_large_as_it_is, "plain numbers or names of constants", 0),
        (reduce_by_numpy, HOST, 0),
        (reduce_by_numpy_in_a_thread, "call of sum|sum of a whole array", 0),
        (reduce_of_nothing, UNWRITTEN, 0),
        (reduce_of_zeros, r"writes .* which is", 0),
        (reduce_of_everything_into_one, r"writes .* which is", 0),
        (reduce_of_33, r"writes .* which is", 0),
    ],
    "histogram": [
        (histogram_of_14_turns, "which is|no thread", 0),
        (histogram_by_block_zero, "elements are loaded by one block where", 0.5),
        (histogram_behind_a_fence, "block 0.* a race", 0),
        (histogram_in_global_memory, "atomic additions to global memory where", 0.5),
        (histogram_without_atomics, "a race", 0),
        (histogram_without_zeroing, "before anybody wrote it", 0),
        (histogram_without_first_barrier, "a race", 0),
        (histogram_without_last_barrier, "a race", 0),
        (histogram_in_stretches, WASTE, 0.5),
        (histogram_without_guard, r"writes mine\[64\]", 0),
        (histogram_that_overwrites, r"block 0, thread \d+ writes \d+ to bins", 0),
        (histogram_by_numpy, HOST, 0),
        (histogram_of_nothing, UNWRITTEN, 0),
        (histogram_of_zeros, r"which is|no thread", 0),
        (histogram_of_33, r"no thread writes|which is", 0),
    ],
    "matmul": [
        (matmul_of_6_tiles, r"\(20 x 4\d\d\) .*writes .* which is", 0),
        (matmul_naive, WASTE, 0.5),
        (matmul_naive_across, WASTE, 0.5),
        (matmul_without_first_barrier, "a race", 0),
        (matmul_without_second_barrier, "a race", 0),
        (matmul_without_guard, GUARD, 0),
        (matmul_with_early_return, "whole block.*only.*returned", 0),
        (matmul_by_operator, "operator @", 0),
        (matmul_by_numpy, HOST, 0),
        (matmul_of_nothing, UNWRITTEN, 0),
        (matmul_of_zeros, r"writes .* which is", 0),
        (matmul_of_squares, "reads|which is|no thread", 0),
        (matmul_of_k_33, r"writes .* which is", 0),
    ],
}
