"""What a launch takes: arrays that share memory, views, read-only arrays; and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda, float32, float64, int32
from numba.cuda.random import xoroshiro128p_uniform_float32

from aiinfra.measure.simt import KernelError, UnsupportedError, launch

TILE = 8


def copy(x, out):
    i = cuda.grid(1)
    if i < out.shape[0]:
        out[i] = x[i]


def copy_2d(x, out):
    i, j = cuda.grid(2)
    if i < out.shape[0] and j < out.shape[1]:
        out[i, j] = x[i, j]


def site(report: Any, array: str) -> Any:
    (found,) = [one for one in report.sites if one.array == array]
    return found


# --- arrays that share memory ---
def test_every_store_arrives_when_one_argument_is_every_second_of_another() -> None:
    def both(whole, evens):
        i = cuda.grid(1)
        whole[2 * i] = whole[2 * i + 1] = 7
        evens[i] += 1

    whole = np.zeros(64, np.float32)
    report = launch(both, 1, 32, whole, whole[::2])
    assert whole.tolist() == [8, 7] * 32
    assert report.races == []


def test_a_shift_in_place_is_a_race_though_the_arguments_have_two_names() -> None:
    x = np.arange(65, dtype=np.float32)
    report = launch(copy, 2, 32, x[1:], x[:-1])
    assert {race.array for race in report.races} <= {"x", "out"}
    assert report.found["races"] == 63, "every cell but the last is read by one and written by one"
    assert launch(copy, 2, 32, x[33:], x[:32]).races == [], "halves of one array do not meet"
    assert launch(copy, 2, 32, x[::2], x[1::2]).races == [], "nor do its odd and even elements"


def test_arguments_of_two_types_on_the_same_bytes_race() -> None:
    def halves_and_wholes(narrow, wide):
        if cuda.threadIdx.x == 0:
            wide[0] = 1.0
        if cuda.threadIdx.x == 1:
            narrow[cuda.blockDim.x - 1] = 2

    wide = np.zeros(4)
    found = {}
    for block in (2, 3):  # narrow[1] is the upper half of wide[0], narrow[2] lies in wide[1]
        report = launch(halves_and_wholes, 1, block, wide.view(np.int32), wide)
        found[block] = [(race.array, race.index) for race in report.races]
    assert found == {2: [("narrow", 1)], 3: []}


@given(st.integers(1, 40), st.sampled_from([-3, -2, -1, 1, 2, 3]), st.integers(0, 5), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_view_is_written_in_place_and_nothing_beside_it(
    n: int, step: int, start: int, fortran: bool
) -> None:
    base = np.zeros((n + 7, 130), np.float32, order="F" if fortran else "C")
    expected = base.copy()
    out, place = base[start : start + n, ::step], expected[start : start + n, ::step]
    x = np.random.default_rng(n).random(out.shape)
    place[...] = x
    launch(copy_2d, (n, -(-out.shape[1] // 32)), (1, 32), x, out)
    assert np.array_equal(base, expected)


@pytest.mark.parametrize(
    ("view", "sectors"),
    [
        (slice(0, 32), 4),
        (slice(1, 33), 5),
        (slice(8, 40), 4),
        (slice(0, 64, 2), 8),
        (slice(1, 65, 2), 8),
        (slice(31, None, -1), 4),
        (slice(32, 0, -1), 5),
    ],
)
def test_a_view_moves_the_sectors_that_it_lies_on(view: slice, sectors: int) -> None:
    x = np.arange(100, dtype=np.float32)
    report = launch(copy, 1, 32, x[view], np.zeros(32, np.float32))
    assert (site(report, "x").sectors, site(report, "out").sectors) == (sectors, 4)
    assert site(report, "x").bytes_useful == 128


def test_a_row_of_a_matrix_begins_where_it_lies() -> None:
    x = np.zeros((4, 33), np.float32)
    counted = [site(launch(copy, 1, 32, row, np.zeros(32)), "x").sectors for row in x]
    assert counted == [4, 5, 5, 5]
    windows = np.lib.stride_tricks.sliding_window_view(x[0], 32)
    assert site(launch(copy, 1, 32, windows[1], np.zeros(32)), "x").sectors == 5


# --- arrays that can only be read ---
def test_a_read_only_array_is_read() -> None:
    x, out = np.broadcast_to(np.float32(3), 32), np.zeros(32, np.float32)
    report = launch(copy, 1, 32, x, out)
    assert (out == 3).all()
    assert site(report, "x").sectors == 1, "one number, read by all"
    frozen = np.arange(32.0)
    frozen.flags.writeable = False
    launch(copy, 1, 32, frozen, out)
    assert out.tolist() == list(range(32))


def test_a_store_into_a_read_only_array_is_an_error_with_its_line() -> None:
    def adds(x, out):
        cuda.atomic.add(out, 0, x[0])

    for kernel, line in ((copy, 3), (adds, 1)):
        place = rf"line {kernel.__code__.co_firstlineno + line}: out is read-only; pass out.copy"
        with pytest.raises(KernelError, match=place):
            launch(kernel, 1, 32, np.ones(32), np.broadcast_to(np.zeros(1), 32))


def test_a_writable_view_of_a_read_only_argument_is_written() -> None:
    base = np.zeros(33, np.float32)
    frozen = base[:-1]
    frozen.flags.writeable = False
    launch(copy, 1, 1, frozen, base[1:])
    assert base[1] == 0
    base[0] = 5
    launch(copy, 1, 1, frozen, base[1:])
    assert base[1] == 5


# --- dynamic shared memory ---
def two_types(x, out):
    floats = cuda.shared.array(0, float32)
    whole = cuda.shared.array(0, int32)
    t = cuda.threadIdx.x
    floats[t] = x[t]
    cuda.syncthreads()
    out[t] = whole[t]


def two_parts(x, out):
    wide = cuda.shared.array(0, float64)
    whole = cuda.shared.array(0, int32)
    t, n = cuda.threadIdx.x, cuda.blockDim.x
    wide[t] = x[t]
    whole[2 * n + t] = t
    cuda.syncthreads()
    out[t] = wide[t] + whole[2 * n + t]


def two_types_at_once(x, out):
    wide = cuda.shared.array(0, float64)
    whole = cuda.shared.array(0, int32)
    t = cuda.threadIdx.x
    wide[t] = x[t]
    out[t] = whole[2 * t + 2 if t < 31 else 0]


def test_dynamic_shared_memory_has_one_history_for_all_its_types() -> None:
    x, out = np.arange(32, dtype=np.float32), np.zeros(32)
    report = launch(two_types, 2, 32, x, out, shared_bytes=128)
    assert out.astype(np.int32).tolist() == x.view(np.int32).tolist()
    assert report.found["uninitialised"] == 0
    out = np.zeros(32)
    report = launch(two_parts, 1, 32, x.astype(float), out, shared_bytes=384)
    assert (out == 2 * x).all()
    assert (report.found["uninitialised"], report.races) == (0, [])
    report = launch(two_types_at_once, 1, 32, x.astype(float), out, shared_bytes=256)
    assert report.found["races"] == 32, "each reads half a number of a neighbour, once"


# --- what numba refuses too ---
def shared_of_argument(x, n):
    held = cuda.shared.array(n, float32)
    held[0] = x[0]


def local_of_size(x):
    held = cuda.local.array(x.size, float32)
    held[0] = x[0]


def shared_of_block(x):
    held = cuda.shared.array((TILE, cuda.blockDim.x), float32)
    held[0, 0] = x[0]


def local_of_varying(x):
    n = 4
    if x[0] > 0:
        n = 8
    held = cuda.local.array(n, float32)
    held[0] = x[0]


def returns_a_number(x):
    if x[0] > 5:
        return 5
    x[0] = 1


def takes_many(*arrays):
    arrays[0][0] = 1


def takes_a_word(x, *, n=3):
    x[0] = n


def draws(x):
    x[0] = xoroshiro128p_uniform_float32(x, 0)


@pytest.mark.parametrize(
    ("kernel", "arguments", "words", "line"),
    [
        (shared_of_argument, (4,), r"known only while the kernel runs \(n\)", 1),
        (local_of_size, (), r"known only while the kernel runs \(x.size\)", 1),
        (shared_of_block, (), r"\(\(TILE, cuda.blockDim.x\)\)", 1),
        (local_of_varying, (), r"while the kernel runs \(n\)", 4),
        (returns_a_number, (), "return 5", 2),
        (takes_many, (), r"the parameter arrays behind a \*", 0),
        (takes_a_word, (), r"the parameter n behind a \*", 0),
        (draws, (), "call of xoroshiro128p_uniform_float32", 1),
    ],
)
def test_what_numba_refuses_is_named_with_its_line(
    kernel: Any, arguments: tuple[Any, ...], words: str, line: int
) -> None:
    with pytest.raises(UnsupportedError, match=words) as error:
        launch(kernel, 1, 1, np.zeros(4, np.float32), *arguments)
    assert f"line {kernel.__code__.co_firstlineno + line}:" in str(error.value)


def arrays_of_fixed_shapes(x, /):
    n = 4
    shape = (n, TILE + 1)
    one = cuda.shared.array(shape, float32)
    two = cuda.local.array((TILE, 2 * TILE), float32)
    three = cuda.local.array(shape=x.ndim, dtype=x.dtype)
    one[0, TILE] = two[TILE - 1, 0] = three[0] = 1
    x[0] = one[0, TILE]
    return None


def test_a_shape_of_constants_is_fixed() -> None:
    x = np.zeros(1)
    assert launch(arrays_of_fixed_shapes, 1, 1, x).found["out_of_bounds"] == 0
    assert x[0] == 1


def test_arrays_that_no_kernel_takes_are_refused_by_name() -> None:
    records = np.zeros(4, [("a", np.int8), ("b", np.float32)])
    with pytest.raises(KernelError, match="an element of x is a record"):
        launch(copy, 1, 1, records, np.zeros(4))
    with pytest.raises(KernelError, match=r"x lies between the elements.*x\.copy\(\)"):
        launch(copy, 1, 1, records["b"], np.zeros(4))
    with pytest.raises(KernelError, match="an element of x is of type <U1"):
        launch(copy, 1, 1, np.array(["a"]), np.zeros(4))
