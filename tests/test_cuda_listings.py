"""The CUDA C listings of lesson 04 multiply matrices; run here on the CPU, thread by thread."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_on_cpu import build, from_bf16, run, whole_tiles, why_not
from lesson_parts import lesson, load_parts

from aiinfra.measure.cublas import rounded

PARTS = load_parts(lesson("04_matmul_ladder"), ["GPU_RUNGS", "MMA_CUDA"])
RUNGS = PARTS["GPU_RUNGS"]
WHOLE = ("wide loads", "tensor cores")  # these take whole tiles only
SHAPES = {  # rows, columns, steps: none a multiple of a tile, several blocks each way
    "naive": (70, 45, 37), "coalesced": (70, 45, 37), "shared tile": (70, 45, 37),
    "registers, 8 by 1": (70, 131, 19), "registers, 8 by 8": (135, 141, 21),
    "wide loads": (137, 150, 43), "tensor cores": (130, 270, 170),
}  # fmt: skip
SCHEDULES = {  # which thread goes first, and when asynchronous copies arrive
    "first thread first, late copies": {"backwards": False, "eager": False},
    "last thread first, late copies": {"backwards": True, "eager": False},
    "first thread first, early copies": {"backwards": False, "eager": True},
    "last thread first, early copies": {"backwards": True, "eager": True},
}
pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def program(rung: str, folder: Path, change: tuple[str, str] = ("", "")) -> Path:
    """Compile a rung, perhaps with one passage replaced."""
    listing, kernel, tile = RUNGS[rung]
    own = listing.removeprefix(PARTS["MMA_CUDA"])  # the header stands in for its instructions
    assert change[0] in own
    operand = "float" if tile.word == 4 else "bf16"
    return build(own.replace(*change) if change[0] else own, kernel, operand, folder, *tile.defines)


def product(rung: str, built: Path, schedule: str) -> tuple[Any, Any, float]:
    """What the rung makes of random matrices, the same in float64, and the error allowed."""
    rng, (m, n, k), tile = np.random.default_rng(4), SHAPES[rung], RUNGS[rung][2]
    a, b = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(k, n)).astype("f4")
    wide_a, wide_b = a.astype("f8"), b.astype("f8")
    if rung in WHOLE:
        a, b = whole_tiles(a, b, tile)
    if tile.word == 2:
        a, b = rounded(a, "bf16"), rounded(b, "bf16")
        wide_a, wide_b = from_bf16(a)[:m, :k], from_bf16(b)[:k, :n]
    got = run(built, tile, a, b, **SCHEDULES[schedule])[:m, :n]
    allowed = k * 2**-23 * np.abs(wide_a).max() * np.abs(wide_b).max()
    return got, wide_a @ wide_b, float(allowed)


def schedules(rung: str) -> list[str]:
    """The schedules that differ for a rung: only some copy asynchronously."""
    return list(SCHEDULES)[: 4 if "fetch16(" in RUNGS[rung][0] else 2]


@pytest.mark.parametrize("rung", RUNGS)
def test_a_rung_equals_float64_however_its_threads_and_copies_run(
    rung: str, tmp_path: Path
) -> None:
    built = program(rung, tmp_path)
    for schedule in schedules(rung):
        got, want, allowed = product(rung, built, schedule)
        assert np.abs(got - want).max() <= allowed, schedule


STEP = re.search(r"( *__sync.*\n)( *fetch.*\n)", RUNGS["tensor cores"][0])
BARRIER, FETCH = STEP.groups() if STEP else ("not in the listing", "")
BROKEN = {
    "no first barrier": ("shared tile", "__syncthreads();  // everyone has written", ""),
    "no second barrier": ("shared tile", "__syncthreads();  // everyone has read", ""),
    "no guard": ("coalesced", "if (row >= m || col >= n) return;", ""),
    "rows and columns swapped": ("naive", "a[row * k + i] * b[i * n + col]",
                                 "a[row * k + i] * b[col * n + i]"),
    "one buffer": ("wide loads", "at / 8 % 2", "0"),
    "no wait for copies": ("tensor cores", "wait_for_batches<2>();", ""),
    "waits too late": ("tensor cores", "wait_for_batches<2>();", "wait_for_batches<3>();"),
    "no barrier": ("tensor cores", "__syncthreads();", ""),
    "pieces read elsewhere": ("tensor cores", "(lane ^ tid / 32)", "lane"),
    "fetches before the barrier": ("tensor cores", BARRIER + FETCH, FETCH + BARRIER),
    "three slices for four": ("tensor cores", "at / 32 % 4 *", "at / 32 % 3 *"),
}  # fmt: skip
ONLY_EARLY = ("fetches before the barrier", "three slices for four")  # late copies hide these


@pytest.mark.parametrize("defect", BROKEN)
def test_a_broken_rung_is_found_out(defect: str, tmp_path: Path) -> None:
    rung, before, after = BROKEN[defect]
    built = program(rung, tmp_path, (before, after))
    found = [schedule for schedule in schedules(rung) if is_wrong(rung, built, schedule)]
    assert found
    assert all("early" in schedule for schedule in found) or defect not in ONLY_EARLY


def is_wrong(rung: str, built: Path, schedule: str) -> bool:
    """Whether the product is wrong, or an access out of bounds ends the program."""
    try:
        got, want, allowed = product(rung, built, schedule)
    except AssertionError:
        return True
    return not np.abs(got - want).max() <= allowed
