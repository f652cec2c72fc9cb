"""Right and wrong answers to the exercises of lesson 06; ``test_graders`` runs them."""

from __future__ import annotations

import math

import numpy as np


def read_seconds(n_bytes, block, depth, latency, bandwidth):
    return max(n_bytes / block * (latency + block / bandwidth) / depth, n_bytes / bandwidth)


def read_seconds_by_rate(n_bytes, block, depth, latency, bandwidth):
    one_request = latency + block / bandwidth
    return np.float64(n_bytes) / min(bandwidth, depth * block / one_request)


def read_seconds_in_rounds(n_bytes, block, depth, latency, bandwidth):
    rounds = math.ceil(n_bytes / block / depth)
    return max(rounds * (latency + block / bandwidth), n_bytes / bandwidth)


def fewest_workers(step, load, idle):
    if step >= (1 - idle) * (step + load):
        return 0
    return max(1, math.ceil(load * (1 - idle) / step - 1e-9))


def fewest_workers_by_counting(step, load, idle):
    count = 0
    while True:
        period = step + load if count == 0 else max(step, load / count)
        if (period - step) / period <= idle + 1e-12:
            return np.int64(count)
        count += 1


def least_interval(parameters, bandwidth, share):
    return 14 * parameters / bandwidth * (1 - share) / share


def least_interval_in_steps(parameters, bandwidth, share):
    save = (2 + 12) * parameters / bandwidth
    return save / share - save


RIGHT = [
    ("06.read_seconds", read_seconds),
    ("06.read_seconds", read_seconds_by_rate),
    ("06.read_seconds", read_seconds_in_rounds),
    ("06.fewest_workers", fewest_workers),
    ("06.fewest_workers", fewest_workers_by_counting),
    ("06.least_interval", least_interval),
    ("06.least_interval", least_interval_in_steps),
]

WRONG = [
    ("06.read_seconds", lambda n, b, d, t, w: n / b * t / d + n / w, "too"),
    ("06.read_seconds", lambda n, b, d, t, w: n / b * (t + b / w) / d, "too low"),
    ("06.read_seconds", lambda n, b, d, t, w: max(n / b * (t + b / w), n / w), "too high"),
    ("06.read_seconds", lambda n, b, d, t, w: n / w, "too low"),
    ("06.read_seconds", lambda *values: None, ""),
    ("06.fewest_workers", lambda s, x, i: math.ceil(x / s), "more than is needed"),
    ("06.fewest_workers", lambda s, x, i: x * (1 - i) / s, "whole number"),
    ("06.fewest_workers", lambda s, x, i: max(1, fewest_workers(s, x, i)), "more than is needed"),
    ("06.fewest_workers", lambda s, x, i: max(0, fewest_workers(s, x, i) - 1), "idles too much"),
    ("06.fewest_workers", lambda s, x, i: 1 + fewest_workers(s, x, i), "more than is needed"),
    ("06.fewest_workers", lambda s, x, i: "two", "a number"),
    ("06.least_interval", lambda p, b, s: 14 * p / b / s, "training and save together"),
    ("06.least_interval", lambda p, b, s: 2 * p / b * (1 - s) / s, "too low"),
    ("06.least_interval", lambda p, b, s: 14 * p / b * s / (1 - s), "too"),
    ("06.least_interval", lambda p, b, s: 14 * p / b, "too"),
]
