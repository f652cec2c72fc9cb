"""Numbers have the types that numba gives them, and shared memory the passes of the hardware."""

from __future__ import annotations

import ast
import itertools
import operator
from typing import Any

import numpy as np
import pytest
from numba import cuda, float32, float64, int32, uint32
from numba.cuda.descriptor import cuda_target
from numba.np.numpy_support import from_dtype

from aiinfra.measure.simt import launch
from aiinfra.measure.simt.values import binary, choose, widen

FULL = 0xFFFFFFFF
LANES = np.arange(32)
TYPES = ["int32", "uint32", "int64", "uint64", "float32", "float64"]
WHOLE = ["int8", "uint8", *TYPES[:4]]
OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
OF_BITS = {
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}  # fmt: skip
CASES = [
    *itertools.product(OPERATORS, TYPES, TYPES),
    *itertools.product(OPERATORS | OF_BITS, WHOLE, WHOLE),
]


# --- numbers ---
def test_operators_have_the_types_that_numba_infers() -> None:
    """Integers below 64 bits are held in 64 of the same sign, in which numba computes too.

    That makes float64 of 8 or 16 bits and float32, of which numba makes float32: the known error.
    """
    context = cuda_target.typing_context
    context.refresh()
    wrong = []
    for node, left, right in CASES:
        function = (OPERATORS | OF_BITS)[node]
        kinds = tuple(from_dtype(np.dtype(kind)) for kind in (left, right))
        expected = str(context.resolve_function_type(function, kinds, {}).return_type)
        one, two = (widen(np.full(4, 3, kind)) for kind in (left, right))
        if (got := str(binary(node(), one, two).dtype)) != expected:
            wrong.append((node.__name__, left, right, got, expected))
    assert wrong == []


def narrow_numbers(x, y, out):
    i = cuda.grid(1)
    out[0, i] = x[i] - y[i]
    out[1, i] = -x[i]
    out[2, i] = x[i] - 3
    out[3, i] = max(x[i], -5)
    out[4, i] = x[i] if i > 0 else -1
    out[5, i] = uint32(-1) + 1


def test_narrow_unsigned_numbers_wrap_at_64_bits_among_themselves_only() -> None:
    x, y, out = np.array([1, 2], np.uint32), np.array([2, 1], np.uint32), np.zeros((6, 2))
    launch(narrow_numbers, 1, 2, x, y, out)
    assert out[0].tolist() == [2.0**64, 1], "uint64, rounded to float64 by the store"
    assert out[1].tolist() == [2.0**64, 2.0**64]
    assert out[2:].tolist() == [[-2, -1], [1, 2], [-1, 2], [2.0**32, 2.0**32]]


def test_a_choice_of_two_signs_is_signed() -> None:
    bits = np.array([True, False])
    assert choose(bits, np.uint64(2**53 + 1), np.int64(-1)).tolist() == [2**53 + 1, -1]


def unsigned_places(x, index, out):
    i = cuda.grid(1)
    for k in range(index[0], index[1]):
        out[index[i % 2] + k] += x[index[i % 2] :][k]


def test_unsigned_numbers_index_and_count() -> None:
    out = np.zeros(8)
    launch(unsigned_places, 1, 1, np.arange(8.0), np.array([1, 3], np.uint8), out)
    assert out.tolist() == [0, 0, 2, 3, 0, 0, 0, 0]


# --- warps ---
def votes(x, out):
    t = cuda.laneid
    ballot = cuda.ballot_sync(FULL, x[t] > 0)
    out[0, t] = ballot
    out[1, t] = ballot == FULL
    out[2, t] = cuda.popc(ballot)
    out[3, t] = cuda.popc(ballot & cuda.lanemask_lt())
    out[4, t] = cuda.shfl_sync(ballot, x[t], 3)
    out[5, t] = cuda.activemask()
    out[6, t] = cuda.match_any_sync(FULL, x[t] > 0)
    out[7, t] = ballot >> 1


def test_a_full_ballot_is_minus_one_as_numba_types_it() -> None:
    out = np.zeros((8, 32), np.int64)
    report = launch(votes, 1, 32, LANES + 1, out)
    assert (report.absent_lanes, report.shuffles) == ([], 1)
    assert out[:3, 0].tolist() == [-1, 0, 32]
    assert out[3].tolist() == LANES.tolist()
    assert (out[4] == 4).all()
    assert out[5:, 0].tolist() == [FULL, -1, -1]
    launch(votes, 1, 31, LANES[:31] + 1, out)
    assert out[0, 0] == 2**31 - 1, "31 lanes: the sign bit is free"


# --- shared memory ---
def reads_at(dtype: Any, where: Any) -> Any:
    def kernel(out):
        tile = cuda.shared.array(256, dtype)
        t = cuda.threadIdx.x
        for k in range(t, 256, 32):
            tile[k] = k
        cuda.syncthreads()
        out[t] = tile[where[t]]
        cuda.syncthreads()
        tile[where[t]] = 1

    return kernel


@pytest.mark.parametrize(
    ("index", "dtype", "load", "store"),
    [
        (0 * LANES, float64, 1, 2),  # one number for all: the halves of the warp are served at once
        (LANES // 2, float64, 1, 2),  # lanes n and n ^ 1 agree
        (LANES // 4 * 2 + LANES % 2, float64, 1, 2),  # lanes n and n ^ 2 agree
        (LANES // 2 * 16, float64, 16, 16),  # they agree, but 16 pairs meet in one bank
        (LANES % 16, float64, 2, 2),  # only n and n + 16 agree: half a warp at a time
        (LANES, float64, 2, 2),
        (LANES // 2, np.complex128, 2, 4),
        (LANES, np.complex128, 4, 4),
        (0 * LANES, float32, 1, 1),
        (LANES // 2, int32, 1, 1),
    ],
)
def test_passes_of_a_shared_request_by_hand(index: Any, dtype: Any, load: int, store: int) -> None:
    report = launch(reads_at(dtype, index), 1, 32, np.zeros(32, np.complex128))
    last = {site.action: site for site in report.sites if site.space == "shared"}
    assert (last["load"].wavefronts, last["store"].wavefronts) == (load, store)


# --- branches ---
def fixed_turns(x):
    for _ in range(3):
        x[0] += 0


def turns_by_lane(x):
    for _ in range(min(3, 3 + cuda.threadIdx.x)):
        x[0] += 0


def turns_of_while(x):
    k = 0
    while k < 3:
        k += 1


def broken_off(x):
    for k in range(3):
        if k == 1:
            break


def test_a_loop_of_three_turns_asks_four_times_however_it_is_written() -> None:
    counted = [
        launch(kernel, 1, 32, np.zeros(1)).branches
        for kernel in (fixed_turns, turns_by_lane, turns_of_while, broken_off)
    ]
    assert counted == [4, 4, 4, 4], "the last: two turns, and the condition within each"
