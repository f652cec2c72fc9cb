"""Our SIMT interpreter against numba's own CUDA simulator, on kernels with barriers.

The simulator takes the place of ``numba.cuda`` when that is imported, so it runs in a process of
its own and reports seconds of the launch alone. Both do what they always do: the interpreter counts
sectors, bank conflicts and races meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numba import cuda as numba_cuda
from numba import float32

from aiinfra.bench import Ratio, quartiles
from aiinfra.measure.simt import launch

cuda: Any = numba_cuda  # numba ships half of its types

ROUNDS = 3  # the simulator takes seconds a launch
TILE, WIDTH = 8, 32
THREADS, BLOCKS = 64, 8


def matmul_kernel(a: Any, b: Any, c: Any) -> None:
    """C = A @ B through shared tiles; the width is a multiple of the tile's."""
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * TILE + y, cuda.blockIdx.x * TILE + x
    total = float32(0)
    for step in range(WIDTH // TILE):
        tile_a[y, x] = a[row, step * TILE + x]
        tile_b[y, x] = b[step * TILE + y, column]
        cuda.syncthreads()
        for k in range(TILE):
            total += tile_a[y, k] * tile_b[k, x]
        cuda.syncthreads()
    c[row, column] = total


def sum_kernel(x: Any, sums: Any) -> None:
    """The sum of each block, as a tree of barriers."""
    partial = cuda.shared.array(THREADS, float32)
    thread, half = cuda.threadIdx.x, THREADS // 2
    partial[thread] = x[cuda.grid(1)]
    cuda.syncthreads()
    while half > 0:
        if thread < half:
            partial[thread] += partial[thread + half]
        cuda.syncthreads()
        half //= 2
    if thread == 0:
        sums[cuda.blockIdx.x] = partial[0]


def case(name: str) -> tuple[Any, Any, Any, list[Any]]:
    """Kernel, grid, block and arrays of a case."""
    if name == "matmul":
        square = [np.ones((WIDTH, WIDTH), np.float32) for _ in range(3)]
        return matmul_kernel, (WIDTH // TILE,) * 2, (TILE, TILE), square
    arrays = [np.ones(THREADS * BLOCKS, np.float32), np.zeros(BLOCKS, np.float32)]
    return sum_kernel, BLOCKS, THREADS, arrays


def interpreted(name: str) -> float:
    """Seconds of one launch in the interpreter."""
    kernel, grid, block, arrays = case(name)
    start = time.perf_counter()
    launch(kernel, grid, block, *arrays)
    return time.perf_counter() - start


def simulated(name: str) -> float:
    """Seconds of one launch in numba's simulator, in a process of its own."""
    command = [sys.executable, "-m", "aiinfra.bench.simulator", name]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def against_simulator(name: str, told: str) -> Ratio:
    """Take turns; the first launch of the interpreter, which reads the source, is not counted."""
    interpreted(name)
    ratios = [simulated(name) / interpreted(name) for _ in range(ROUNDS)]
    return quartiles(f"{told}: numba's simulator against our interpreter", ratios)


def matmul() -> Ratio:
    """A matrix product of 32 x 32 through shared tiles of 8 x 8."""
    return against_simulator("matmul", f"matmul {WIDTH} x {WIDTH}, tiles {TILE} x {TILE}")


def block_sum() -> Ratio:
    """A sum of 512 numbers in blocks of 64 threads."""
    return against_simulator("block_sum", f"block sum, {BLOCKS} blocks of {THREADS}")


if __name__ == "__main__":
    run, blocks, threads, inputs = case(sys.argv[1])
    begin = time.perf_counter()
    cuda.jit(run)[blocks, threads](*inputs)
    print(time.perf_counter() - begin)
