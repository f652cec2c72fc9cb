"""Right and wrong answers to the exercises of lesson 05; ``test_graders`` runs them."""

from __future__ import annotations

import math

import numpy as np


def cores_needed(gpu_rate, core_rate, gpus, others):
    return math.ceil(gpu_rate * gpus / core_rate) + others * gpus


def cores_by_adding(gpu_rate, core_rate, gpus, others):
    cores = 0
    while cores * core_rate < gpu_rate * gpus:
        cores += 1
    return np.int64(cores + others * gpus)


def period(n_bytes, cpu_copy, pcie, step, way):
    if way == "pageable":
        pcie = min(pcie, cpu_copy)
    copy = n_bytes / pcie
    return max(copy, step) if way == "stream" else copy + step


def load_time(n_bytes, legs, chunk):
    times = [chunk / min(leg) for leg in legs]
    return sum(times) + (n_bytes / chunk - 1) * max(times)


def load_time_by_following(n_bytes, legs, chunk):
    free = [0.0] * len(legs)
    for _ in range(round(n_bytes / chunk)):
        now = 0.0
        for i, leg in enumerate(legs):
            now = free[i] = max(now, free[i]) + chunk / min(leg)
    return free[-1]


RIGHT = [
    ("05.cores_needed", cores_needed),
    ("05.cores_needed", cores_by_adding),
    ("05.period", period),
    ("05.load_time", load_time),
    ("05.load_time", load_time_by_following),
]

WRONG = [
    ("05.cores_needed", lambda g, c, n, o: n * (math.ceil(g / c) + o), "fewer cores"),
    ("05.cores_needed", lambda g, c, n, o: int(n * g / c) + n * o, "waits"),
    ("05.cores_needed", lambda g, c, n, o: n * g / c + n * o, "not a whole number"),
    ("05.cores_needed", lambda g, c, n, o: math.ceil(n * g / c) + o, "waits"),
    ("05.cores_needed", lambda g, c, n, o: None, ""),
    ("05.period", lambda b, m, p, s, w: b / p + s, "too"),
    ("05.period", lambda b, m, p, s, w: max(b / p, s), "too"),
    ("05.period", lambda b, m, p, s, w: period(b, 1 / (1 / m + 1 / p), p, s, w), "too high"),
    ("05.period", lambda b, m, p, s, w: period(b, m, p, s, w) * 1e3, "too high"),
    ("05.load_time", lambda n, legs, c: n / min(min(leg) for leg in legs), "too low"),
    ("05.load_time", lambda n, legs, c: sum(n / min(leg) for leg in legs), "too high"),
    ("05.load_time", lambda n, legs, c: load_time(n + c, legs, c), "too high"),
    ("05.load_time", lambda n, legs, c: load_time(n, [[max(g)] for g in legs], c), "too low"),
]
