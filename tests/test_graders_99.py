"""Right and wrong answers to the exercises of lesson 99; ``test_graders`` runs them."""

from __future__ import annotations

import statistics

import numpy as np


def judge(predicted, measured):
    errors = [p / m - 1 for p, m in zip(predicted, measured, strict=True)]
    return statistics.mean(map(abs, errors)), statistics.mean(errors)


def judge_arrays(predicted, measured):
    errors = (np.array(predicted) - measured) / measured
    return np.array([abs(errors).mean(), errors.mean()])


def fit(products, rest, measured):
    a, b = np.array(products) / measured, 1 - np.array(rest) / measured
    return (a @ a) / (a @ b)


def fit_by_lstsq(products, rest, measured):
    a = (np.array(products) / measured)[:, None]
    return 1 / np.linalg.lstsq(a, 1 - np.array(rest) / measured, rcond=None)[0][0]


def fit_seconds(products, rest, measured):
    left = np.array(measured) - rest
    return (np.array(products) @ products) / (np.array(products) @ left)


def fit_by_median(products, rest, measured):
    return statistics.median(p / (m - r) for p, r, m in zip(products, rest, measured, strict=True))


def leave_one_out(work, measured):
    told = []
    for i in range(len(work)):
        others = [w / m for j, (w, m) in enumerate(zip(work, measured, strict=True)) if j != i]
        told.append(work[i] / statistics.mean(others) / measured[i] - 1)
    return told


def leave_one_out_at_once(work, measured):
    shares = np.array(work) / measured
    others = (shares.sum() - shares) / (len(shares) - 1)
    return shares / others - 1


def leave_none_out(work, measured):
    shares = np.array(work) / measured
    return shares / shares.mean() - 1


RIGHT = [
    ("99.judge", judge),
    ("99.judge", judge_arrays),
    ("99.fit", fit),
    ("99.fit", fit_by_lstsq),
    ("99.leave_one_out", leave_one_out),
    ("99.leave_one_out", leave_one_out_at_once),
]

WRONG = [
    ("99.judge", lambda p, m: judge(p, m)[0], "two numbers"),
    ("99.judge", lambda p, m: judge(p, m)[::-1], "absolute"),
    ("99.judge", lambda p, m: judge(m, p), "divide by measured|absolute"),
    ("99.judge", lambda p, m: (judge(p, m)[0], -judge(p, m)[1]), "signed"),
    ("99.judge", lambda p, m: [100 * x for x in judge(p, m)], "100"),
    ("99.judge", lambda p, m: (0.0, 0.0), "too low"),
    ("99.fit", lambda *rows: 1 / fit(*rows), "x = 1/s"),
    ("99.fit", fit_seconds, "seconds"),
    ("99.fit", fit_by_median, "rows"),
    ("99.fit", lambda products, rest, measured: sum(products) / sum(measured), "too"),
    ("99.fit", lambda *rows: 0.86, "too"),
    ("99.leave_one_out", leave_none_out, "its own fit"),
    ("99.leave_one_out", lambda w, m: statistics.mean(leave_one_out(w, m)), "a list"),
    ("99.leave_one_out", lambda w, m: [abs(e) for e in leave_one_out(w, m)], "sign"),
    ("99.leave_one_out", lambda w, m: [0.0] * len(w), "too"),
]
