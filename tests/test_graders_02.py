"""Right and wrong answers to the exercises of lesson 02; ``test_graders`` runs them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np


def sectors(stride, offset, itemsize):
    return len({(lane * stride + offset) * itemsize // 32 for lane in range(32)})


def sectors_by_arrays(stride, offset, itemsize):
    firsts = (np.arange(32) * stride + offset) * itemsize
    return np.unique(firsts >> 5).size


def passes_by_counting(width):
    return max(Counter(lane * width % 32 for lane in range(32)).values())


RIGHT = [
    ("02.sectors", sectors),
    ("02.sectors", sectors_by_arrays),
    ("02.column_passes", lambda width: math.gcd(width, 32)),
    ("02.column_passes", passes_by_counting),
    ("02.fused_gain", lambda inputs, steps: 3 * steps / (inputs + 1)),
    ("02.fused_gain", lambda inputs, steps: np.float32(3 * steps) / np.float32(inputs + 1)),
]

WRONG = [
    ("02.sectors", lambda stride, offset, itemsize: sectors(stride, 0, itemsize), "offset"),
    ("02.sectors", lambda stride, offset, itemsize: min(32, stride * itemsize), "offset"),
    ("02.sectors", lambda stride, offset, itemsize: 32 * itemsize * stride / 32 + 0.5, "whole"),
    ("02.sectors", lambda stride, offset, itemsize: sectors(max(1, stride), offset, 4), "share"),
    ("02.column_passes", lambda width: 32 if width % 32 == 0 else 1, "more lanes"),
    ("02.column_passes", lambda width: 32, "fewer lanes"),
    ("02.column_passes", lambda width: 32 / math.gcd(width, 32), "more lanes"),
    ("02.column_passes", lambda width: None, "whole number"),
    ("02.fused_gain", lambda inputs, steps: steps, "too"),
    ("02.fused_gain", lambda inputs, steps: (inputs + 1) / (3 * steps), "too low"),
    ("02.fused_gain", lambda inputs, steps: 3 * steps / inputs, "too high"),
    ("02.fused_gain", lambda inputs, steps: str(steps), "number is asked"),
]
