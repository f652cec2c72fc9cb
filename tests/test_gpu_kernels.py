"""On a GPU: every rung of the ladder is right, and the top ones come close to cuBLAS."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pytest
from cuda_on_cpu import from_bf16, whole_tiles
from lesson_parts import lesson, load_parts

from aiinfra.measure import cublas

PARTS = load_parts(lesson("04_matmul_ladder"), ["GPU_RUNGS", "PRECISION", "launcher"])
RUNGS = PARTS["GPU_RUNGS"]
SHAPES = [(1, 1, 1), (33, 31, 65), (257, 129, 1000), (1001, 777, 333)]
pytestmark = pytest.mark.gpu


def operands(rung: str, m: int, n: int, k: int) -> tuple[Any, Any, Any, Any]:
    """Random arrays as the rung takes them, their float64 product, and the error allowed."""
    rng, tile = np.random.default_rng(), RUNGS[rung][2]
    a, b = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(k, n)).astype("f4")
    want, scale = a.astype("f8") @ b.astype("f8"), np.abs(a).max() * np.abs(b).max()
    if rung in ("wide loads", "tensor cores"):
        a, b = whole_tiles(a, b, tile)
    if tile.word == 2:
        a, b = cublas.rounded(a, "bf16"), cublas.rounded(b, "bf16")
        want = (from_bf16(a) @ from_bf16(b))[:m, :n]
    return a, b, want, k * 2**-22 * scale


def needs_bf16(rung: str) -> None:
    """Skip where the GPU has no bf16."""
    pytest.importorskip("cupy")
    if PARTS["PRECISION"][RUNGS[rung][2].word] not in cublas.precisions():
        pytest.skip("bf16 begins with compute capability 8.0")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rung", RUNGS)
def test_a_rung_equals_float64_on_odd_sizes(rung: str, shape: tuple[int, int, int]) -> None:
    needs_bf16(rung)
    import cupy as cp

    a, b, want, allowed = operands(rung, *shape)
    c = cp.full((a.shape[0], b.shape[1]), cp.nan, cp.float32)
    PARTS["launcher"](rung)(cp.asarray(a), cp.asarray(b), c)
    assert np.abs(cp.asnumpy(c)[: shape[0], : shape[1]] - want).max() <= allowed


@pytest.mark.parametrize(("rung", "least"), [("wide loads", 0.8), ("tensor cores", 0.5)])
def test_a_top_rung_comes_close_to_cublas(rung: str, least: float) -> None:
    needs_bf16(rung)
    import cupy as cp

    from aiinfra.measure import time_call

    a, b, *_ = operands(rung, 4096, 4096, 4096)
    a, b, c = cp.asarray(a), cp.asarray(b), cp.empty((4096, 4096), cp.float32)
    precision = PARTS["PRECISION"][RUNGS[rung][2].word]
    ways, ratios = (PARTS["launcher"](rung), partial(cublas.product, precision=precision)), []
    for _ in range(5):  # in turns, so that a clock that falls with the heat falls for both
        own, library = (
            time_call(way, a, b, c, device="gpu", warmup=5, min_time=0.02).median for way in ways
        )
        ratios.append(library / own)
    assert median(ratios) >= least
