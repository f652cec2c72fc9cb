"""The interpreter counts as the hardware counts, computes as numba does, finds what is wrong."""

from __future__ import annotations

import linecache
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda, float32, float64, int32

from aiinfra.measure.simt import (
    KernelError,
    Report,
    SourceMissingError,
    StepLimitError,
    UnsupportedError,
    launch,
)

SIZES = [0, 1, 31, 33, 1000]
THREADS, TILE = 64, 8
TABLE = np.array([1.0, 10.0, 100.0], np.float32)


# --- kernels, plain functions: here they run interpreted, in a subprocess by numba's simulator ---
def gather(x, index, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[index[i]]


def square(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[i] * x[i]


def saxpy(a, x, y):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[i] = a * x[i] + y[i]


@cuda.jit(device=True)
def block_sum(partial, thread):
    half = cuda.blockDim.x // 2
    while half > 0:
        if thread < half:
            partial[thread] += partial[thread + half]
        cuda.syncthreads()
        half //= 2
    return partial[0]


def reduction(x, out):
    partial = cuda.shared.array(THREADS, float64)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    partial[t] = x[i] if i < x.size else 0.0
    cuda.syncthreads()
    total = block_sum(partial, t)
    if t == 0:
        cuda.atomic.add(out, 0, total)


def transpose(x, out):
    tile = cuda.shared.array((TILE, TILE + 1), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    col, row = cuda.grid(2)
    if row < x.shape[0] and col < x.shape[1]:
        tile[ty, tx] = x[row, col]
    cuda.syncthreads()
    col = cuda.blockIdx.y * TILE + tx
    row = cuda.blockIdx.x * TILE + ty
    if row < out.shape[0] and col < out.shape[1]:
        out[row, col] = tile[tx, ty]


def histogram(x, bins):
    local = cuda.shared.array(16, int32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if t < 16:
        local[t] = 0
    cuda.syncthreads()
    if i < x.size:
        cuda.atomic.add(local, x[i], 1)
    cuda.syncthreads()
    if t < 16:
        cuda.atomic.add(bins, t, local[t])


def matmul(a, b, c):
    ta = cuda.shared.array((TILE, TILE), float32)
    tb = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0.0)
    for step in range((a.shape[1] + TILE - 1) // TILE):
        k = step * TILE
        inside = y < a.shape[0] and k + tx < a.shape[1]
        ta[ty, tx] = a[y, k + tx] if inside else 0.0
        tb[ty, tx] = 0.0
        if k + ty < b.shape[0] and x < b.shape[1]:
            tb[ty, tx] = b[k + ty, x]
        cuda.syncthreads()
        for j in range(TILE):
            total += ta[ty, j] * tb[j, tx]
        cuda.syncthreads()
    if y < c.shape[0] and x < c.shape[1]:
        c[y, x] = total


def collatz(x, out):
    i = cuda.grid(1)
    if i >= x.size:
        return
    n, steps = x[i], 0
    while True:
        if n <= 1:
            break
        if n % 2 == 0:
            n //= 2
            steps += 1
            continue
        n, steps = 3 * n + 1, steps + 1
        if steps > 1000:
            break
    out[i] = steps


def mixed(x, out):
    mine = cuda.local.array(3, float32)
    weights = cuda.const.array_like(TABLE)
    i = cuda.grid(1)
    if i < x.size:
        for k in range(3):
            mine[k] = weights[k] * x[i] + k / 2
        value = mine[i % 3] if x[i] > 0 and i > 2 else -mine[-1]
        out[i] = max(value, math.sqrt(abs(x[i])), min(i, 5))


def many_atomics(x, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.max(out, 0, x[i])
        cuda.atomic.min(out, 1, x[i])
        cuda.atomic.exch(out, 2, 7)
        cuda.atomic.cas(out, 3, 0, 9)
        out[4 + cuda.atomic.add(out, 4 + x.size, 1)] = 1


def tiles(extents: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(1, -(-extent // TILE)) for extent in extents)


def cases(n: int) -> dict[str, tuple[Any, Any, Any, list[Any]]]:
    """Kernel, grid, block, arguments of everything that both can run."""
    rng = np.random.default_rng(n)
    x = rng.standard_normal(n).astype(np.float32)
    whole = rng.integers(0, 16, n)
    blocks = max(1, -(-n // THREADS))
    a = rng.standard_normal((n % 40, 13)).astype(np.float32)
    b = rng.standard_normal((13, 9)).astype(np.float32)
    return {
        "square": (square, blocks, THREADS, [x, np.zeros_like(x)]),
        "saxpy": (saxpy, 2, 32, [np.float32(2.5), x, x[::-1].copy()]),
        "reduction": (reduction, blocks, THREADS, [x.astype(float), np.zeros(1)]),
        "transpose": (transpose, tiles(a.T.shape), (TILE, TILE), [a, np.zeros_like(a.T.copy())]),
        "histogram": (histogram, blocks, THREADS, [whole, np.zeros(16, np.int32)]),
        "matmul": (matmul, tiles((9, len(a))), (TILE, TILE), [a, b, np.zeros_like(a @ b)]),
        "collatz": (collatz, blocks, THREADS, [whole * 5, np.zeros(n, np.int64)]),
        "mixed": (mixed, blocks, THREADS, [x, np.zeros_like(x)]),
        "many_atomics": (many_atomics, blocks, THREADS, [whole, np.zeros(5 + 2 * n, np.int64)]),
    }


def simulate(path: str, n: int) -> None:
    """Run every case by numba's simulator and keep what it wrote."""
    results = {}
    for name, (kernel, grid, block, arguments) in cases(n).items():
        cuda.jit(kernel)[grid, block](*arguments)
        results[name] = arguments[-1]
    np.savez(path, **results)


# --- global memory: sectors ---
def read_at(index: Any, dtype: Any = np.float32, size: int = 4096) -> Report:
    """The loads of one warp at these elements."""
    index = np.asarray(index)
    out = np.zeros(len(index), dtype)
    report = launch(gather, 1, len(index), np.arange(size).astype(dtype), index, out)
    assert np.array_equal(out, np.arange(size).astype(dtype)[index])
    return report


def sectors_of(index: Any, dtype: Any = np.float32) -> int:
    (load,) = [a for a in read_at(index, dtype).accesses if a.array == "x"]
    assert load.addresses == tuple(np.asarray(index) * np.dtype(dtype).itemsize)
    return load.sectors


LANES = np.arange(32)


@pytest.mark.parametrize(
    ("index", "dtype", "sectors"),
    [
        (LANES, np.float32, 4),
        (2 * LANES, np.float32, 8),
        (LANES[::-1] ^ 5, np.float32, 4),
        (LANES + 1, np.float32, 5),
        (8 * LANES, np.float32, 32),
        (0 * LANES, np.float32, 1),
        (LANES, np.float64, 8),
        (LANES, np.float16, 2),
        (LANES + 1, np.float16, 3),
        (LANES[:8], np.float32, 1),
    ],
)
def test_sectors_of_a_request_by_hand(index: Any, dtype: Any, sectors: int) -> None:
    assert sectors_of(index, dtype) == sectors


@given(st.lists(st.integers(0, 4095), min_size=1, max_size=32))
@settings(max_examples=30, deadline=None)
def test_sectors_of_any_request_are_its_distinct_lines(index: list[int]) -> None:
    assert sectors_of(index) == len({4 * i // 32 for i in index})


def test_square_moves_what_it_uses() -> None:
    report = launch(square, 4, 32, np.ones(128, np.float32), np.zeros(128, np.float32))
    # x[i] * x[i] is written as two loads: 4 warps x (2 loads + 1 store) x 4 sectors
    assert (report.requests, report.sectors, report.sectors_per_request) == (12, 48, 4.0)
    assert (report.bytes_useful, report.bytes_moved, report.efficiency) == (1536, 1536, 1.0)
    assert (report.loads, report.stores) == (256, 128)
    assert {site.line for site in report.sites} == {square.__code__.co_firstlineno + 3}


def test_guard_of_the_last_warp_diverges_once() -> None:
    report = launch(square, 2, 32, np.ones(33, np.float32), np.zeros(33, np.float32))
    assert (report.branches, report.divergent_branches) == (2, 1)
    assert report.out_of_bounds == []


# --- shared memory: banks ---
def shared_kernel(dtype: Any, width: int) -> Any:
    def by_column(out):
        tile = cuda.shared.array((32, width), dtype)
        t = cuda.threadIdx.x
        for row in range(32):
            tile[row, t] = row
        cuda.syncthreads()
        out[t] = tile[t, 1]

    return by_column


@pytest.mark.parametrize(
    ("dtype", "width", "wavefronts", "conflicts"),
    [
        (float32, 32, 32, 31),
        (float32, 33, 1, 0),
        (float64, 32, 32, 30),  # two half warps, 16 ways each
        (float64, 33, 2, 0),
        (np.float16, 32, 16, 15),  # rows of 64 B: every second row meets in a bank
        (np.float16, 34, 1, 0),
    ],
)
def test_column_of_a_shared_tile(dtype: Any, width: int, wavefronts: int, conflicts: int) -> None:
    report = launch(shared_kernel(dtype, width), 1, 32, np.zeros(32))
    (load,) = [s for s in report.sites if s.space == "shared" and s.action == "load"]
    assert (load.wavefronts, load.conflicts) == (wavefronts, conflicts)
    assert report.bank_conflicts == conflicts, "rows are written without conflicts"
    assert report.races == []


# --- results ---
@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("simulator") / "results.npz"
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, str(Path(__file__)), str(path), "70"]
    subprocess.run(command, env=environment, check=True, timeout=120)
    return np.load(path)


@pytest.mark.parametrize("name", list(cases(70)))
def test_result_is_that_of_numbas_simulator(name: str, simulated: Any) -> None:
    kernel, grid, block, arguments = cases(70)[name]
    report = launch(cuda.jit(kernel), grid, block, *arguments)
    assert np.allclose(arguments[-1], simulated[name], rtol=1e-6, atol=1e-6)
    assert arguments[-1].any()
    assert (report.races, report.out_of_bounds, report.divergent_barriers) == ([], [], [])
    assert report.uninitialised == []


sizes = st.sampled_from(SIZES) | st.integers(0, 300)


@given(sizes, st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_kernels_agree_with_numpy(n: int, grid: int) -> None:
    case = cases(n)
    for name, (kernel, blocks, block, arguments) in case.items():
        before = [np.copy(argument) for argument in arguments]
        launch(kernel, grid if name == "saxpy" else blocks, block, *arguments)
        got, first = arguments[-1], before[0]
        expected = {
            "square": lambda first=first: first**2,
            "saxpy": lambda before=before: before[0] * before[1] + before[2],
            "reduction": lambda first=first: first.sum(),
            "transpose": lambda first=first: first.T,
            "histogram": lambda first=first: np.bincount(first, minlength=16),
            "matmul": lambda before=before: before[0] @ before[1],
        }
        if name in expected:
            assert np.allclose(got, expected[name](), rtol=1e-4, atol=1e-4), (name, n)


def warp_kernel(x, out):
    t = cuda.threadIdx.x
    value = x[t]
    for delta in (16, 8, 4, 2, 1):
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, delta)
    out[0, t] = cuda.shfl_sync(0xFFFFFFFF, value, 0)
    out[1, t] = cuda.shfl_up_sync(0xFFFFFFFF, x[t], 1)
    out[2, t] = cuda.shfl_xor_sync(0xFFFFFFFF, x[t], 1)
    out[3, t] = cuda.popc(cuda.ballot_sync(0xFFFFFFFF, x[t] > 10))
    out[4, t] = cuda.any_sync(0xFFFFFFFF, x[t] > 30) + 2 * cuda.all_sync(0xFFFFFFFF, x[t] > 30)
    out[5, t] = cuda.laneid
    cuda.syncwarp()


def test_warp_collectives_by_hand() -> None:
    x = np.concatenate([LANES, np.full(32, 40)])
    out = np.zeros((6, 64), np.int64)
    launch(warp_kernel, 1, 64, x, out)
    assert out[0].tolist() == [496] * 32 + [1280] * 32
    assert out[1, :32].tolist() == [0, *range(31)]
    assert out[2, :32].tolist() == (LANES ^ 1).tolist()
    assert out[3].tolist() == [21] * 32 + [32] * 32
    assert out[4].tolist() == [1] * 32 + [3] * 32
    assert out[5].tolist() == [*LANES, *LANES]


def three_dimensions(out):
    x, y, z = cuda.grid(3)
    sx, sy, sz = cuda.gridsize(3)
    out[z, y, x] = x + sx * (y + sy * z) + 0 * sz + cuda.blockDim.z - cuda.gridDim.z


def test_grid_in_three_dimensions() -> None:
    out = np.zeros((4, 3, 4), np.int64)
    launch(three_dimensions, (2, 3, 2), (2, 1, 2), out)
    assert np.array_equal(out.ravel(), np.arange(48))


def reverse_dynamic(x):
    buffer = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    upper = buffer[cuda.blockDim.x :]
    upper[t] = x[t]
    cuda.syncthreads()
    x[t] = upper[cuda.blockDim.x - 1 - t]


def test_dynamic_shared_memory_is_as_large_as_the_launch_says() -> None:
    x = np.arange(32, dtype=np.float32)
    report = launch(reverse_dynamic, 1, 32, x, shared_bytes=256)
    assert x.tolist() == list(range(32))[::-1]
    assert report.out_of_bounds == []
    assert launch(reverse_dynamic, 1, 32, x, shared_bytes=128).found["out_of_bounds"] == 64


def narrow(x, out):
    total = float32(0.0)
    for i in range(x.size):
        total += x[i]
    out[0] = total


def test_float32_accumulates_in_float32() -> None:
    x, out = np.full(1000, 0.1, np.float32), np.zeros(1)
    launch(narrow, 1, 1, x, out)
    expected = np.float32(0)
    for value in x:
        expected += value
    assert out[0] == expected != np.float64(x.sum(dtype=np.float64))


def scaled(x, out):
    out[0] = x[0] * 0.1


def chain_of_conditions(x, out):
    i = cuda.grid(1)
    inside = i < 20 and i >= 0 and i != 3 and x.size > 0
    outside = i < 5 or i < 0 or i >= 30 or x.size == 0
    either = (i < 4 or i > 27) and not (i == 1 or i == 2 or i == 30) and i != 29
    between = 2 <= i < 9 != i < 8
    out[0, i], out[1, i] = inside, outside
    out[2, i], out[3, i] = either, between


def test_every_condition_of_a_chain_counts() -> None:
    out = np.zeros((4, 32))
    launch(chain_of_conditions, 1, 32, np.ones(3), out)
    lanes = range(32)
    assert out[0].tolist() == [i < 20 and i != 3 for i in lanes]
    assert out[1].tolist() == [i < 5 or i >= 30 for i in lanes]
    assert out[2].tolist() == [i in (0, 3, 28, 31) for i in lanes]
    assert out[3].tolist() == [2 <= i < 9 != i < 8 for i in lanes]


def guards_within_a_chain(x, out):
    i = cuda.grid(1)
    if i < x.size and i >= 0 and x[i] > 0:
        out[0] += 0
    if i >= x.size or i < 0 or x[i] > 0:
        out[0] += 0
    if i < x.size <= x[i]:
        out[0] += 0


def test_a_chain_reads_memory_only_where_nothing_has_decided() -> None:
    report = launch(guards_within_a_chain, 1, 32, np.ones(3), np.zeros(1))
    assert not report.out_of_bounds


def test_a_literal_is_float64_as_numba_types_it() -> None:
    x, out = np.full(1, 0.1, np.float32), np.zeros(1)
    launch(scaled, 1, 1, x, out)
    assert out[0] == float(x[0]) * 0.1 != np.float32(x[0] * np.float32(0.1))


def test_strided_and_fortran_arrays_are_written_in_place() -> None:
    base = np.zeros((6, 8), np.float32, order="F")
    launch(transpose, 1, (8, 8), np.arange(24, dtype=np.float32).reshape(4, 6), base[:, ::2])
    assert np.array_equal(base[:, ::2], np.arange(24).reshape(4, 6).T)
    assert not base[:, 1::2].any()


# --- findings ---
def neighbour(barrier: bool) -> Any:
    def without(x):
        cell = cuda.shared.array(64, float32)
        t = cuda.threadIdx.x
        cell[t] = x[t]
        x[t] = cell[63 - t]

    def with_barrier(x):
        cell = cuda.shared.array(64, float32)
        t = cuda.threadIdx.x
        cell[t] = x[t]
        cuda.syncthreads()
        x[t] = cell[63 - t]

    return with_barrier if barrier else without


def test_race_is_found_and_a_barrier_removes_it() -> None:
    race = launch(neighbour(False), 1, 64, np.zeros(64)).races[0]
    assert (race.array, race.space, race.index, race.thread) == ("cell", "shared", 63, 0)
    assert (race.other_thread, race.line - race.other_line) == (63, 1)
    assert launch(neighbour(True), 1, 64, np.zeros(64)).races == []


def lost_update(bins):
    bins[0] += 1


def counted_update(bins):
    cuda.atomic.add(bins, 0, 1)
    cuda.atomic.add(bins, 0, 1)


def test_lost_update_is_a_race_and_an_atomic_is_none() -> None:
    assert launch(lost_update, 3, 1, np.zeros(1)).found["races"] > 0, "one thread in each block"
    bins = np.zeros(1)
    report = launch(counted_update, 3, 64, bins)
    assert (bins[0], report.races, report.atomics, report.atomic_contention) == (384, [], 384, 32)


def read_beside_atomic(x, out):
    count = cuda.shared.array(1, int32)
    if cuda.threadIdx.x == 0:
        count[0] = 0
    cuda.syncthreads()
    cuda.atomic.add(count, 0, 1)
    out[cuda.threadIdx.x] = count[0]


def test_reading_what_others_still_add_to_is_a_race() -> None:
    report = launch(read_beside_atomic, 1, 64, np.zeros(1), np.zeros(64))
    assert {race.kind for race in report.races} == {"read after write"}


def half_a_barrier(out):
    t = cuda.threadIdx.x
    if t < 16:
        cuda.syncthreads()
    out[t] = t


def early_exit(out):
    t = cuda.grid(1)
    if t >= out.size:
        return
    cuda.syncthreads()
    out[t] = t


def test_divergent_barrier_is_reported_and_does_not_hang() -> None:
    out = np.zeros(32)
    (found,) = launch(half_a_barrier, 1, 32, out).divergent_barriers
    assert (found.block, found.arrived, found.expected, found.exited) == (0, 16, 32, 0)
    assert out.tolist() == LANES.tolist()
    (exited,) = launch(early_exit, 2, 32, np.zeros(40)).divergent_barriers
    assert (exited.block, exited.arrived, exited.exited) == (1, 8, 24)


def no_guard(x, out):
    i, j = cuda.grid(2)
    out[i, j] = x[i, j] + 1


def test_out_of_bounds_names_array_index_block_and_thread() -> None:
    out = np.zeros((3, 4))
    report = launch(no_guard, (2, 1), (2, 4), np.zeros((3, 4)), out)
    load, store = report.out_of_bounds[0], report.out_of_bounds[-1]
    assert (load.array, load.index, load.block, load.thread) == ("x", (3, 0), (1, 0), (1, 0))
    assert (store.array, store.index, store.action) == ("out", (3, 3), "store")
    assert len(report.out_of_bounds) == 8
    assert (out == 1).all()
    one = launch(lambda_free_store, 2, 4, np.zeros(5)).out_of_bounds[0]
    assert (one.array, one.index, one.block, one.thread) == ("out", 5, 1, 1)


def lambda_free_store(out):
    out[cuda.grid(1)] = 1


def unset_tile(out):
    tile = cuda.shared.array(32, float32)
    out[cuda.threadIdx.x] = tile[cuda.threadIdx.x]


def test_shared_memory_that_nobody_wrote_is_reported() -> None:
    out = np.zeros(32)
    report = launch(unset_tile, 1, 32, out)
    assert report.found["uninitialised"] == 32
    assert np.isnan(out).all(), "a kernel must not pass by luck"


# --- what cannot run ---
def uses_list(x):
    x[0] = [1, 2][0]


def uses_clock(x):
    x[0] = cuda.clz(1)


def uses_try(x):
    try:
        x[0] = 1
    except ValueError:
        x[0] = 2


def uses_sorted(x):
    x[0] = sorted((1, 2))


def uses_row(x):
    x[:] = 0


@pytest.mark.parametrize(
    ("kernel", "construct", "line"),
    [
        (uses_list, "a list", 1),
        (uses_clock, "cuda.clz", 1),
        (uses_try, "try", 1),
        (uses_sorted, "call of sorted", 1),
        (uses_row, "row or slice", 1),
    ],
)
def test_unsupported_construct_is_named_with_its_line(
    kernel: Any, construct: str, line: int
) -> None:
    with pytest.raises(UnsupportedError) as error:
        launch(kernel, 1, 1, np.zeros(4))
    assert construct in str(error.value)
    assert f"line {kernel.__code__.co_firstlineno + line}" in str(error.value)


def spins(x):
    while x[0] == 0:
        pass


def test_kernel_that_spins_is_stopped() -> None:
    with pytest.raises(StepLimitError, match="never ends"):
        launch(spins, 1, 32, np.zeros(1), max_steps=1000)


def test_kernel_of_a_notebook_cell_runs_and_one_without_source_says_so() -> None:
    text = "def cell(x):\n    x[cuda.grid(1)] = 3\n"
    for name, kept in (("<cell 7>", True), ("<nowhere>", False)):
        scope: dict[str, Any] = {"cuda": cuda}
        exec(compile(text, name, "exec"), scope)
        if kept:
            linecache.cache[name] = (len(text), None, text.splitlines(True), name)
            x = np.zeros(4)
            assert launch(scope["cell"], 1, 4, x).sites[0].line == 2
            assert x.tolist() == [3] * 4
        else:
            with pytest.raises(SourceMissingError, match="notebook cell"):
                launch(scope["cell"], 1, 4, np.zeros(4))


@pytest.mark.parametrize(
    ("grid", "block", "words"),
    [(0, 32, "grid 0"), (1, 2048, "block 2048"), (1, (64, 32), "2048 threads"), (1.5, 1, "1.5")],
)
def test_launch_that_no_gpu_accepts_is_refused(grid: Any, block: Any, words: str) -> None:
    with pytest.raises(KernelError, match=words):
        launch(square, grid, block, np.zeros(1), np.zeros(1))


def undefined(x):
    if cuda.threadIdx.x == 0:
        value = 1.0
    x[cuda.threadIdx.x] = value


def test_mistakes_of_the_kernel_name_their_line() -> None:
    with pytest.raises(KernelError, match=r"line \d+: value is read before"):
        launch(undefined, 1, 2, np.zeros(2))
    with pytest.raises(KernelError, match="takes 2 arguments"):
        launch(square, 1, 1, np.zeros(1))
    with pytest.raises(KernelError, match="x is a list"):
        launch(square, 1, 1, [1], np.zeros(1))


def square_root_of_an_array(x):
    x[0] = math.sqrt(x)


def grid_without_dimensions(x):
    x[cuda.grid()] = 1


@pytest.mark.parametrize("kernel", [square_root_of_an_array, grid_without_dimensions])
def test_errors_from_below_name_the_line_too(kernel: Any) -> None:
    with pytest.raises(KernelError, match=f"line {kernel.__code__.co_firstlineno + 1}"):
        launch(kernel, 1, 1, np.zeros(2))


def hand_over(x):
    shared = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    cuda.syncwarp()
    x[t] = shared[t ^ 1]


def fenced_total(x, out):
    t, b = cuda.threadIdx.x, cuda.blockIdx.x
    ticket = cuda.shared.array(1, int32)
    if t == 0:
        out[1 + b] = x[b]
        cuda.threadfence()
        ticket[0] = cuda.atomic.add(out, 0, 1)
    cuda.syncthreads()
    if ticket[0] == cuda.gridDim.x - 1 and t == 0:
        for k in range(1, cuda.gridDim.x):
            out[1] += out[1 + k]


def test_syncwarp_orders_a_warp_and_the_last_block_sees_all() -> None:
    assert launch(hand_over, 1, 32, np.zeros(32)).races == []
    out = np.zeros(9)
    report = launch(fenced_total, 8, 32, np.arange(8.0), out)
    assert (out[0], out[1]) == (8, 28)
    assert report.races == []


def fenced_in_vain(x, out):
    if cuda.threadIdx.x == 0:
        cuda.threadfence()
        out[0] += x[cuda.blockIdx.x]


def fenced_after_the_atomic(x, out):
    t, b = cuda.threadIdx.x, cuda.blockIdx.x
    for turn in range(cuda.gridDim.x):
        if turn == b and t == 0:
            cuda.atomic.add(out, 1, 0)
            out[0] += x[b]
            cuda.threadfence()


def fenced_before_the_store(x, out):
    if cuda.threadIdx.x == 0:
        cuda.threadfence()
        out[2 + cuda.blockIdx.x] = 1
        if cuda.atomic.add(out, 0, 1) == cuda.gridDim.x - 1:
            out[1] = out[2] + out[3]


@pytest.mark.parametrize(
    "kernel", [fenced_in_vain, fenced_after_the_atomic, fenced_before_the_store]
)
def test_a_fence_alone_orders_nothing_between_blocks(kernel: Any) -> None:
    assert launch(kernel, 2, 32, np.ones(2), np.zeros(4)).races


def missed_by_half(x):
    shared = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    if t < 16:
        cuda.syncwarp()
    x[t] = shared[31 - t]


def ordered_by_half(x):
    shared = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    if t < 16:
        cuda.syncwarp(0xFFFF)
        x[t] = shared[15 - t]
    else:
        cuda.syncwarp(0xFFFF0000)
        x[t] = shared[47 - t]


def ordered_too_little(x):
    shared = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    shared[t] = x[t]
    if t < 16:
        cuda.syncwarp(0xFFFF)
    x[t] = shared[31 - t]


def test_syncwarp_orders_the_lanes_that_its_mask_names_and_that_come() -> None:
    report = launch(missed_by_half, 1, 32, np.zeros(32))
    assert (report.found["absent_lanes"], report.found["races"]) == (1, 32)
    missed = report.absent_lanes[0]
    assert (missed.call, missed.why, missed.lane, missed.thread) == ("syncwarp", "named", 16, 0)
    report = launch(ordered_by_half, 1, 32, np.zeros(32))
    assert (report.absent_lanes, report.races) == ([], [])
    report = launch(ordered_too_little, 1, 32, np.zeros(32))
    assert (report.absent_lanes, report.found["races"]) == ([], 32)


def shuffled_in_a_branch(x, out):
    t = cuda.threadIdx.x
    if t < 16:
        out[t] = cuda.shfl_down_sync(0xFFFFFFFF, x[t], 8)


def shuffled_without_a_name(x, out):
    t = cuda.threadIdx.x
    out[t] = cuda.shfl_sync(0xFFFF, x[t], 3)


def shuffled_from_nobody(x, out):
    t = cuda.threadIdx.x
    out[t] = cuda.shfl_down_sync(0xFFFFFFFF, x[t], 8)


def shuffled_by_those_who_stay(x, out):
    t = cuda.threadIdx.x
    if t >= 16:
        return
    out[t] = cuda.shfl_xor_sync(0xFFFFFFFF, x[t], 8)
    if t < 8:
        out[t] += cuda.shfl_xor_sync(0xFF, x[t], 4)


@pytest.mark.parametrize(
    ("kernel", "block", "found"),
    [(shuffled_in_a_branch, 32, ("named", 16)), (shuffled_without_a_name, 32, ("unnamed", 16)),
     (shuffled_from_nobody, 20, ("read", 20)), (shuffled_by_those_who_stay, 32, None)],
)  # fmt: skip
def test_shuffle_counts_on_nobody_who_is_absent(kernel: Any, block: int, found: Any) -> None:
    report = launch(kernel, 1, block, np.arange(32.0), np.zeros(32))
    assert [(absent.why, absent.lane) for absent in report.absent_lanes] == [found] * bool(found)


def equals(x, out):
    out[cuda.grid(1)] = cuda.popc(cuda.match_any_sync(0xFFFFFFFF, x[cuda.grid(1)]))


def test_match_any_finds_the_lanes_with_the_same_value() -> None:
    x, out = np.arange(64) % 5, np.zeros(64, np.int64)
    launch(equals, 1, 64, x, out)
    expected = [np.count_nonzero(x[t // 32 * 32 :][:32] == x[t]) for t in range(64)]
    assert out.tolist() == expected


def adds_in_one_bank(x, out):
    tile = cuda.shared.array((32, 32), int32)
    t = cuda.threadIdx.x
    for row in range(32):
        tile[row, t] = 0
    cuda.syncthreads()
    cuda.atomic.add(tile, (t, 0), 1)
    cuda.atomic.add(tile, (0, t), 1)
    cuda.atomic.add(tile, (1, 1), 1)


def test_atomics_on_one_bank_take_a_pass_each() -> None:
    report = launch(adds_in_one_bank, 1, 32, np.zeros(1), np.zeros(1))
    sites = [site for site in report.sites if site.action == "atomic"]
    counts = [(site.wavefronts, site.conflicts, site.turns) for site in sites]
    assert counts == [(32, 31, 1), (1, 0, 1), (1, 0, 32)]
    assert report.bank_conflicts == 31


def product_across_lanes(x, out):
    out[0] = np.matmul(x[cuda.grid(1)], 1.0)


def product_into_a_lane(x, out):
    value = x[cuda.grid(1)]
    out[0] = np.multiply(value, 2.0, value)


HUGE = 10**400


def too_large(x, out):
    out[0] = x[0] + HUGE


@pytest.mark.parametrize(
    ("kernel", "words"),
    [(product_across_lanes, "matmul is not supported"), (product_into_a_lane, "no further"),
     (too_large, "does not fit into 64 bits")],
)  # fmt: skip
def test_what_no_lane_can_compute_is_refused_with_its_line(kernel: Any, words: str) -> None:
    with pytest.raises(KernelError, match=rf"line \d+: .*{words}"):
        launch(kernel, 1, 1, np.ones(2), np.zeros(1))


def reads_twice_and_writes(x):
    t = cuda.threadIdx.x
    x[0] += t


def added_by_two_and_read(x, out):
    t = cuda.threadIdx.x
    if t % 32 == 0:
        cuda.atomic.add(x, 0, 1)
        out[t] = x[0]


def test_plain_read_races_with_the_atomics_of_others_though_its_own_came_last() -> None:
    report = launch(added_by_two_and_read, 1, 64, np.zeros(1), np.zeros(64))
    assert {race.thread for race in report.races} == {0, 32}


@cuda.jit(device=True)
def mirrored(value):
    held = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    held[t] = value
    cuda.syncthreads()
    return held[63 - t]


def calls_in_a_loop(x, out):
    t = cuda.threadIdx.x
    for _ in range(300):
        out[t] += mirrored(x[t])


def test_shared_array_of_a_device_function_is_the_same_in_each_call() -> None:
    report = launch(calls_in_a_loop, 1, 64, np.ones(64), np.zeros(64))
    assert report.found["races"] == 299 * 64, "no barrier between a read and the next call's write"


def takes_much(x):
    held = cuda.shared.array(12000, float32)
    more = cuda.shared.array(0, float32)
    held[0] = more[0] = x[0]


def test_static_and_dynamic_shared_memory_have_one_limit() -> None:
    with pytest.raises(KernelError, match="take 52096 B, at most 49152"):
        launch(takes_much, 1, 1, np.zeros(1), shared_bytes=4096)


def xorshift(x):
    v = x[cuda.grid(1)]
    v ^= v << 13
    v ^= v >> 7
    x[cuda.grid(1)] = v & 0xFFFF


def test_bits_of_uint64_mix_with_literals() -> None:
    x = np.array([1, 2**63], np.uint64)
    launch(xorshift, 1, 2, x)
    expected = []
    for v in (1, 2**63):
        v ^= v << 13 & (2**64 - 1)
        expected.append((v ^ v >> 7) & 0xFFFF)
    assert x.tolist() == expected


def test_a_race_names_two_threads() -> None:
    for race in launch(reads_twice_and_writes, 1, 64, np.zeros(1)).races:
        assert race.thread != race.other_thread


@cuda.jit
def launched(x):
    x[0] = 1


def needs_a_number(x, n=3):
    x[0] = n


def test_launch_says_what_to_leave_out_or_to_give() -> None:
    with pytest.raises(TypeError, match=r"leave out the \[..\]"):
        launch(launched[80, 128], 80, 128, np.zeros(1))
    with pytest.raises(KernelError, match="no default at a launch"):
        launch(needs_a_number, 1, 1, np.zeros(1))


if __name__ == "__main__":
    simulate(sys.argv[1], int(sys.argv[2]))
