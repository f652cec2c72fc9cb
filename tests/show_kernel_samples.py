"""Figures of kernels for test_show and test_show_kernels: launches of the interpreter, drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from aiinfra import show
from aiinfra.measure.simt import Access, Report, launch
from aiinfra.results import Quantity


def gather(x, index, out):  # type: ignore[no-untyped-def]
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[index[i]]


def pick(x, out, stride):  # type: ignore[no-untyped-def]
    tile = cuda.shared.array(1056, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    cuda.syncthreads()
    out[t] = tile[t * stride]


def pick_wide(x, out, stride):  # type: ignore[no-untyped-def]
    tile = cuda.shared.array(1056, float64)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    cuda.syncthreads()
    out[t] = tile[t * stride]


def halves(x, out):  # type: ignore[no-untyped-def]
    tile = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    cuda.syncthreads()
    s = cuda.blockDim.x // 2
    while s > 0:
        if t < s:
            tile[t] += tile[t + s]
        cuda.syncthreads()
        s //= 2
    if t == 0:
        out[0] = tile[0]


def interleaved(x, out):  # type: ignore[no-untyped-def]
    tile = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    cuda.syncthreads()
    s = 1
    while s < cuda.blockDim.x:
        if t % (2 * s) == 0:
            tile[t] += tile[t + s]
        cuda.syncthreads()
        s *= 2
    if t == 0:
        out[0] = tile[0]


def load(index: Any, kind: Any = np.float32, threads: int = 32) -> Access:
    """The load of x by one warp whose lanes read the elements ``index``."""
    index = np.asarray(index)
    x, out = np.zeros(int(index.max()) + 1, kind), np.zeros(len(index), kind)
    report = launch(gather, 1, threads, x, index, out)
    return next(access for access in report.accesses if access.array == "x")


def shared(stride: int, kernel: Any = pick, threads: int = 32) -> Access:
    """The load of a tile by one warp at a stride."""
    kind = np.float64 if kernel is pick_wide else np.float32
    report = launch(kernel, 1, threads, np.zeros(32, kind), np.zeros(32, kind), stride)
    return next(a for a in report.accesses if (a.space, a.action) == ("shared", "load"))


def tree(kernel: Any, threads: int) -> Report:
    """A reduction of as many numbers as the block has threads."""
    return launch(kernel, 1, threads, np.ones(threads, np.float32), np.zeros(1, np.float32))


def kernel_figures() -> dict[str, Callable[[], Any]]:
    """One sample for each shape that the kernel figures take."""
    lanes = np.arange(32)
    peak = Quantity(3.35e12, "B/s", "source: data sheet")
    random = np.random.default_rng(1).integers(0, 5000, 21)
    strides = {f"stride {s}": load(s * lanes) for s in (1, 2, 32)}
    return {
        "warp_strides": lambda: show.warp_sectors(strides, "Length is bytes moved"),
        "warp_rate": lambda: show.warp_sectors(
            load(8 * lanes + 3), "One sector a lane", rate=(Quantity(4.19e11, "B/s", "model"), peak)
        ),
        "warp_random": lambda: show.warp_sectors(load(random), "A gather of 21 lanes"),
        "warp_one": lambda: show.warp_sectors({"all read x[5]": load(0 * lanes + 5)}, "Broadcast"),
        "warp_kinds": lambda: show.warp_sectors(
            {"half": load(3 * lanes, np.float16), "double": load(lanes + 1, np.float64)}, "Kinds"
        ),
        "bank_column": lambda: show.bank_map(
            {"32 words a row": shared(32), "33 words a row": shared(33)}, "Padding parts the lanes"
        ),
        "bank_strides": lambda: show.bank_map(
            {f"stride {s}": shared(s) for s in (0, 1, 2, 4)}, "Even strides meet"
        ),
        "bank_wide": lambda: show.bank_map(
            {f"float64, stride {s}": shared(s, pick_wide) for s in (1, 2)}, "Two banks a number"
        ),
        "tree_small": lambda: show.reduction_tree(tree(halves, 16), "Sixteen take four steps"),
        "tree_two": lambda: show.reduction_tree(
            {"neighbours": tree(interleaved, 64), "halves": tree(halves, 64)}, "Two trees"
        ),
        "tree_large": lambda: show.reduction_tree(tree(halves, 128), "128 take seven steps"),
    }
