"""Products by cuBLAS: rounding to its precisions here, and on a GPU the products themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiinfra.measure import cublas


def widened(bits: Any) -> Any:
    """The float32 numbers that bf16 numbers in 16-bit integers stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize(
    ("bits", "kept"),
    [
        (0x3F80_0000, 0x3F80),  # 1 stays
        (0x3F80_7FFF, 0x3F80),  # below half: down
        (0x3F80_8000, 0x3F80),  # half way between even and odd: down to the even one
        (0x3F80_8001, 0x3F81),  # above half: up
        (0x3F81_8000, 0x3F82),  # half way between odd and even: up to the even one
        (0xBF80_8000, 0xBF80),  # the same with a minus sign
        (0xBF81_8000, 0xBF82),
        (0x3FFF_8000, 0x4000),  # a carry into the exponent: just below 2 becomes 2
        (0x0000_8000, 0x0000),  # a tie among the tiniest numbers goes to zero
        (0x0001_8000, 0x0002),
        (0x7F7F_FFFF, 0x7F80),  # the largest float32 becomes infinite
        (0xFF80_0000, 0xFF80),  # minus infinity stays
    ],
)
def test_bf16_rounds_ties_to_even(bits: int, kept: int) -> None:
    x = np.array([bits], np.uint32).view(np.float32)
    assert cublas.rounded(x, "bf16").tolist() == [kept]


def test_bf16_is_the_nearest_number_of_eight_significant_bits() -> None:
    bits = np.random.default_rng(4).integers(0x0080_0000, 0x7F7F_0000, 10_000, np.uint32)
    ties = bits[:1000] >> 16 << 16 | 0x8000
    x = np.concatenate([bits, ties, ties | 0x8000_0000]).view(np.float32)
    fraction, exponent = np.frexp(x.astype(np.float64))
    nearest = np.ldexp(np.round(fraction * 2**8), exponent - 8)  # NumPy rounds ties to even
    assert np.array_equal(widened(cublas.rounded(x, "bf16")), nearest.astype(np.float32))


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
    operands = [cublas.rounded(cp.asarray(x), precision) for x in (a, b)]
    cublas.product(*operands, c, precision)
    if precision == "tf32":  # rounded inside cuBLAS
        want, allowed = a.astype(float) @ b.astype(float), 0.3
    else:
        wide = [cp.asnumpy(x) for x in operands]
        wide = [widened(x) if precision == "bf16" else x for x in wide]
        want, allowed = wide[0].astype(float) @ wide[1].astype(float), 1e-4
    assert np.abs(cp.asnumpy(c) - want).max() < allowed
