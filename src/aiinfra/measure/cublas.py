"""Matrix products by cuBLAS, NVIDIA's library, in a chosen precision, on arrays of CuPy."""

from __future__ import annotations

from typing import Any

import numpy as np

# CUDA's code of the numbers (float32, fp16, bf16), and whether cuBLAS may round float32 to tf32
# (CUBLAS_COMPUTE_32F_FAST_TF32, 77) or not (CUBLAS_COMPUTE_32F, 68). Sums are float32 in all four.
CODES = {"fp32": (0, 68), "tf32": (0, 77), "fp16": (2, 68), "bf16": (14, 68)}
AMPERE = 80  # the first compute capability with tf32 and bf16


def rounded(x: Any, precision: str) -> Any:
    """Round a float32 array of NumPy or CuPy to the nearest numbers of a precision, ties to even.

    bf16 numbers, the upper half of a float32, stand in 16-bit integers: 8 significant bits of 24
    stay. NaN does not survive it. Raises ``KeyError`` for a precision that is not in ``CODES``.
    """
    if CODES[precision][0] == CODES["bf16"][0]:
        bits, dropped = x.view(np.uint32), np.uint32(16)
        odd = bits >> dropped & np.uint32(1)  # then a tie goes up, to the even number
        return (bits + np.uint32(0x7FFF) + odd >> dropped).astype(np.uint16)
    return x.astype(np.float16) if precision == "fp16" else x


def precisions() -> list[str]:
    """Return the precisions that the GPU computes products in."""
    import cupy as cp

    able = int(cp.cuda.Device().compute_capability) >= AMPERE
    return list(CODES) if able else ["fp32", "fp16"]


def product(a: Any, b: Any, c: Any, precision: str) -> None:
    """Set ``c = a @ b``: rows of ``a`` (m, k) and ``b`` (k, n) as ``rounded``, ``c`` float32.

    All three lie row by row. cuBLAS counts by columns: it sees them turned, and swaps ``a`` and
    ``b``.
    """
    import cupy as cp
    from cupy_backends.cuda.libs import cublas

    (m, k), n = a.shape, b.shape[1]
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    code, compute = CODES[precision]
    handle, words = cp.cuda.device.get_cublas_handle(), (one.ctypes.data, zero.ctypes.data)
    left, right = (b.data.ptr, code, n), (a.data.ptr, code, k)
    out = (c.data.ptr, CODES["fp32"][0], n)
    cublas.gemmEx(handle, 0, 0, n, m, k, words[0], *left, *right, words[1], *out, compute, -1)
