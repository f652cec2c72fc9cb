"""Every grader accepts right answers, two of them written differently, and refuses wrong ones."""

from __future__ import annotations

import math
import re
import statistics
from decimal import Decimal

import numpy as np
import pytest
import test_graders_02
import test_graders_03
import test_graders_04
import test_graders_05
import test_graders_06
import test_graders_99

from aiinfra.teach.check import find_grader, tasks


def grade(task, submission):
    """Grade in this process; the sandbox has tests of its own."""
    return find_grader(task)(submission, np.random.default_rng())


def report(calls):
    low, high = np.percentile(calls[1:], [25, 75])
    return low, statistics.median(calls[1:]), high


def report_another_way(calls):
    warm = sorted(calls[1:])
    low, _, high = statistics.quantiles(warm, n=4, method="inclusive")
    return [low, np.median(warm), high]


def loops(call, clock, share):
    return max(1, math.ceil(clock / (share * call)))


def needed_factor(share, target):
    left = 1 / target - (1 - share)
    return share / left if left > 1e-12 else None


def tile_efficiency(turns, wide, high):
    rows, columns = turns.shape
    tiles = turns.reshape(rows // high, high, columns // wide, wide)
    return turns.sum() / (tiles.max(axis=(1, 3)).sum() * wide * high)


def tile_efficiency_by_loops(turns, wide, high):
    rows, columns = turns.shape
    spent = 0
    for row in range(0, rows, high):
        for column in range(0, columns, wide):
            spent += int(turns[row : row + high, column : column + wide].max()) * wide * high
    return int(turns.sum()) / spent


def gpu_wins_from(cpu_fixed, cpu_each, gpu_fixed, gpu_each):
    if gpu_each == cpu_each:
        return 0 if gpu_fixed < cpu_fixed else None
    if gpu_each > cpu_each:
        return None
    return max(0, (gpu_fixed - cpu_fixed) / (cpu_each - gpu_each))


def report_as_array(calls):
    return np.percentile(calls[1:], [25, 50, 75], method="median_unbiased").astype("float32")


def drop_the_slowest(calls):
    warm = sorted(calls)[:-1]
    return report([0.0, *warm])


def with_whole(turn):
    def wins_from(*costs):
        exact = gpu_wins_from(*costs)
        return exact and turn(exact)

    return wins_from


RIGHT = [
    ("00.report", report_as_array),
    ("00.report", lambda calls: (Decimal(x) for x in report(calls))),
    ("00.too_fast", lambda n_bytes, seconds, limit: np.array(n_bytes / seconds > limit)),
    ("01.gpu_wins_from", with_whole(math.ceil)),
    ("01.gpu_wins_from", with_whole(lambda exact: math.floor(exact) + 1)),
    ("00.report", report),
    ("00.report", report_another_way),
    ("00.loops", loops),
    ("00.too_fast", lambda n_bytes, seconds, limit: n_bytes / seconds > limit),
    ("00.too_fast", lambda n_bytes, seconds, limit: np.float64(n_bytes) > limit * seconds),
    ("01.needed_factor", needed_factor),
    ("01.tile_efficiency", tile_efficiency),
    ("01.tile_efficiency", tile_efficiency_by_loops),
    ("01.gpu_wins_from", gpu_wins_from),
]

WRONG = [
    ("00.report", drop_the_slowest, "median"),
    ("00.report", lambda calls: {1.0, 2.0, 3.0}, "three numbers"),
    ("00.loops", lambda call, clock, share: int(clock / (share * call)) + 1, "fewer"),
    ("00.loops", lambda call, clock, share: math.inf, "whole number"),
    ("00.too_fast", lambda n_bytes, seconds, limit: "x" * 10_000, "True or False"),
    ("01.gpu_wins_from", with_whole(int), "too low"),
    ("01.gpu_wins_from", lambda a, b, c, d: gpu_wins_from(a, b, c, d) if b != d else None, "stays"),
    ("00.report", lambda calls: report([0.0, *calls]), "first call"),
    ("00.report", lambda calls: (min(calls[1:]), statistics.median(calls[1:]), max(calls)), "25th"),
    ("00.report", lambda calls: statistics.median(calls[1:]), "three numbers"),
    ("00.report", lambda calls: (0.0, statistics.mean(calls[1:]), 0.0), "median"),
    ("00.loops", lambda call, clock, share: clock / (share * call), "whole number"),
    ("00.loops", lambda call, clock, share: max(1, int(clock / (share * call))), "above"),
    ("00.loops", lambda call, clock, share: loops(call, clock, share) + 1, "fewer"),
    ("00.loops", lambda call, clock, share: 0, "at least 1"),
    ("00.too_fast", lambda n_bytes, seconds, limit: n_bytes / seconds, "True or False"),
    ("00.too_fast", lambda n_bytes, seconds, limit: True, "is not"),
    ("00.too_fast", lambda n_bytes, seconds, limit: n_bytes / seconds < limit, "too fast"),
    ("01.needed_factor", lambda share, target: target / share, "needed|factor|too"),
    ("01.needed_factor", lambda share, target: None, "there is a factor"),
    ("01.needed_factor", lambda share, target: share / (1 / target - 1 + share + 1e-15), "None"),
    ("01.tile_efficiency", lambda turns, wide, high: 0.5, "too"),
    ("01.tile_efficiency", lambda turns, wide, high: tile_efficiency(turns, wide, 1), "too high"),
    ("01.tile_efficiency", lambda turns, wide, high: turns.mean() / turns.max(), "too low"),
    ("01.tile_efficiency", lambda turns, wide, high: np.zeros(turns.shape), "number is asked"),
    ("01.gpu_wins_from", lambda a, b, c, d: max(0, (c - a) / (b - d)) if b != d else 0, "None"),
    ("01.gpu_wins_from", lambda a, b, c, d: None, "from some size"),
    ("01.gpu_wins_from", lambda a, b, c, d: (c - a) / (b - d) if b > d else None, "sign|high|low"),
]

for answers in (
    test_graders_02,
    test_graders_03,
    test_graders_04,
    test_graders_05,
    test_graders_06,
    test_graders_99,
):
    RIGHT += answers.RIGHT
    WRONG += answers.WRONG


@pytest.mark.parametrize(("task", "submission"), RIGHT)
def test_right_answers_pass(task, submission):
    verdict = grade(task, submission)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(("task", "submission", "told"), WRONG)
def test_wrong_answers_fail_and_hear_why(task, submission, told):
    verdict = grade(task, submission)
    assert not verdict.passed
    assert re.search(told, verdict.message), verdict.message


@pytest.mark.parametrize(
    ("task", "constant"),
    [("00.loops", 10**12), ("01.needed_factor", 16.0), ("01.gpu_wins_from", 1e-5 / 9e-9)],
)
def test_constants_earn_nothing(task, constant):
    assert grade(task, lambda *inputs: constant).score == 0


@pytest.mark.parametrize(
    ("task", "nearly"),
    [
        ("00.report", lambda calls: (0.0, statistics.median(calls[1:]), 0.0)),
        ("00.loops", lambda call, clock, share: loops(call, clock, share) + 1),
        ("01.needed_factor", lambda share, target: needed_factor(share, target) or -1.0),
        ("01.gpu_wins_from", lambda *costs: 0 if (n := gpu_wins_from(*costs)) is None else n),
    ],
)
def test_half_of_the_idea_earns_half(task, nearly):
    assert grade(task, nearly).score == 0.5


def test_messages_stay_short():
    assert len(grade("00.too_fast", lambda *inputs: "x" * 10_000).message) < 200


def test_every_task_has_a_right_and_two_wrong_answers():
    for task in tasks():
        if task.startswith("lab_"):  # a lab has a test file of its own
            continue
        assert any(name == task for name, _ in RIGHT), task
        assert sum(name == task for name, _, _ in WRONG) >= 2, task
