"""Products by cuBLAS: rounding to its precisions here, and on a GPU the products themselves."""

from __future__ import annotations

import numpy as np
import pytest

from aiinfra.measure import cublas


def test_bf16_keeps_eight_significant_bits() -> None:
    x = np.random.default_rng().normal(size=1000).astype(np.float32)
    back = (cublas.rounded(x, "bf16").astype(np.uint32) << 16).view(np.float32)
    assert np.max(np.abs(back / x - 1)) <= 2**-8
    assert np.max(np.abs(back / x - 1)) > 2**-10


def test_float32_stays_and_fp16_is_half_as_wide() -> None:
    x = np.ones(3, np.float32)
    assert cublas.rounded(x, "fp32") is x
    assert cublas.rounded(x, "fp16").itemsize == 2
    with pytest.raises(KeyError):
        cublas.rounded(x, "fp8")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", cublas.CODES)
def test_a_product_equals_float64_on_odd_sizes(precision: str) -> None:
    cp = pytest.importorskip("cupy")
    if precision not in cublas.precisions():
        pytest.skip(f"{precision} begins with compute capability 8.0")
    rng = np.random.default_rng()
    a, b = (rng.normal(size=s).astype(np.float32) for s in ((33, 64), (64, 130)))
    c = cp.empty((33, 130), np.float32)
    operands = (cublas.rounded(cp.asarray(x), precision) for x in (a, b))
    cublas.product(*operands, c, precision)
    allowed = {"fp32": 1e-4}.get(precision, 0.3)
    assert np.abs(cp.asnumpy(c) - a.astype(float) @ b.astype(float)).max() < allowed
