"""Failures: closed forms against simulated ones, and against what operators have published."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.model.failures import (
    DAY,
    HOUR,
    best_interval,
    daly_interval,
    expected_failures,
    job_mtbf,
    part_mtbf,
    run,
    survival,
    young_interval,
)
from aiinfra.model.stragglers import exponential_maximum, normal_maximum, repair, slowest_of

MINUTE = 60.0
# The Llama 3 herd of models, arXiv 2407.21783, section 3.3.4 (quoted in full elsewhere, read
# 2026-11-24): 466 interruptions in 54 days, 47 planned and 419 unexpected; "16K" GPUs.
LLAMA_3 = {"unexpected": 419, "seconds": 54 * DAY, "gpus": 16_384}


def simulate_run(rng, segments, mtbf, checkpoint, restart, interval, drain=0.0):
    """Live through a job failure by failure; seconds, failures and seconds of restarting."""
    now, failures, restarting, saved = 0.0, 0, 0.0, 0
    next_failure = rng.exponential(mtbf)
    pending: list[tuple[float, int]] = []  # checkpoints that are not yet safe
    done = 0
    while done < segments:
        end = now + interval + checkpoint
        if end <= next_failure:
            now, done = end, done + 1
            pending.append((now + drain, done))
            continue
        now, failures = next_failure, failures + 1
        saved = max([saved, *(index for safe, index in pending if safe <= now)])
        pending, done = [], saved
        while True:
            next_failure = now + rng.exponential(mtbf)
            if now + restart <= next_failure:
                now, restarting = now + restart, restarting + restart
                break
            restarting += next_failure - now
            now, failures = next_failure, failures + 1
    return now, failures, restarting


# --- rates ---


def test_rates_of_unlike_parts_add():
    # 1000 parts of 1000 h and 10 of 20 h: 1 + 0.5 failures an hour.
    assert job_mtbf([(1000 * HOUR, 1000), (20 * HOUR, 10)]) == pytest.approx(HOUR / 1.5)


@given(st.floats(1, 1e9), st.integers(1, 10**6), st.integers(2, 100))
def test_more_parts_fail_more_often(mtbf, count, factor):
    assert job_mtbf([(mtbf, count * factor)]) == pytest.approx(job_mtbf([(mtbf, count)]) / factor)


def test_part_and_job_are_inverse():
    mtbf = part_mtbf(12, 30 * DAY, 64)
    assert expected_failures(30 * DAY, job_mtbf([(mtbf, 64)])) == pytest.approx(12)
    assert survival(30 * DAY, 30 * DAY) == pytest.approx(math.exp(-1))


# --- published ---


def test_llama_3_broke_every_three_hours_and_a_gpu_every_six_years():
    gpu = part_mtbf(LLAMA_3["unexpected"], LLAMA_3["seconds"], LLAMA_3["gpus"])
    assert job_mtbf([(gpu, LLAMA_3["gpus"])]) / HOUR == pytest.approx(3.1, abs=0.05)
    # MLCommons reckons with 50,000 h an accelerator (MLPerf Storage 2.0, read 2026-11-24).
    assert gpu / HOUR == pytest.approx(50_000, rel=0.02)


def test_mlcommons_hundred_thousand_accelerators_fail_every_half_hour():
    assert job_mtbf([(50_000 * HOUR, 100_000)]) == pytest.approx(0.5 * HOUR)
    assert job_mtbf([(50_000 * HOUR, 1_000_000)]) == pytest.approx(3 * MINUTE)


def test_ninety_percent_effective_time_needs_quick_checkpoints():
    # Llama 3 reports more than 90 % effective training time. Its checkpoint and restart times are
    # not published; at its failure rate, 20 s and 5 min reach it, 5 min each do not.
    mtbf = LLAMA_3["seconds"] / LLAMA_3["unexpected"]
    assert run(54 * DAY, mtbf, checkpoint=20, restart=300).efficiency > 0.9
    assert run(54 * DAY, mtbf, checkpoint=300, restart=300).efficiency < 0.8


def test_opt_175b_restarts_follow_from_two_machines_a_day():
    # The logbook (facebookresearch/metaseq, final_update.md, read 2026-11-24) counts "~2 machines
    # a day" of 1,024 A100 in nodes of 8; the paper (arXiv 2205.01068, section 2.5) at least 35
    # manual and more than 70 automatic restarts on 992 of them in two months.
    host = part_mtbf(2, DAY, 128)
    assert host / DAY == pytest.approx(64)
    expected = expected_failures(60 * DAY, job_mtbf([(host, 124)]))
    assert expected == pytest.approx(35 + 70, rel=0.15)


@pytest.mark.parametrize(("gpus", "hours"), [(16_384, 1.8), (131_072, 0.23)])
def test_meta_projects_its_clusters_by_inverse_size(gpus, hours):
    # arXiv 2410.21680: 6.50 failures per 1,000 node-days of 8 A100 (quoted elsewhere).
    node = part_mtbf(6.5, DAY, 1000)
    assert job_mtbf([(node, gpus // 8)]) / HOUR == pytest.approx(hours, rel=0.03)


def test_and_smaller_jobs_broke_more_often_than_inverse_size_says():
    # The same study measured 7.9 h at 1,024 GPUs: the known error of independent failures.
    node = part_mtbf(6.5, DAY, 1000)
    assert job_mtbf([(node, 128)]) / HOUR / 7.9 == pytest.approx(3.6, abs=0.2)


@pytest.mark.parametrize(
    ("mtbf", "minutes", "rounding"),
    [(24 * HOUR, 117, 0.5), (6 * HOUR, 57, 0.5), (15 * MINUTE, 9.1, 0.05)],
)
def test_daly_2006_figures_3_to_5(mtbf, minutes, rounding):
    # M as given, R = 10 min, checkpoint = 5 min; the captions give the interval.
    assert daly_interval(5 * MINUTE, mtbf) / MINUTE == pytest.approx(minutes, abs=rounding)


# --- intervals ---


def test_young_by_hand():
    assert young_interval(2.0, 3600.0) == 120.0


@given(st.floats(1e-4, 1.9))
def test_daly_is_near_the_exact_optimum(cost):
    exact = run(1, 1, cost, 0.1, best_interval(cost, 1)).efficiency
    assert run(1, 1, cost, 0.1).efficiency >= 0.998 * exact
    for factor in (0.8, 0.95, 1.05, 1.25):
        other = run(1, 1, cost, 0.1, factor * best_interval(cost, 1)).efficiency
        assert other <= exact * (1 + 1e-12)


def test_young_is_good_while_checkpoints_are_cheap():
    def loss(cost):
        best = run(1, 1, cost, 0, best_interval(cost, 1)).efficiency
        return 1 - run(1, 1, cost, 0, young_interval(cost, 1)).efficiency / best

    assert loss(0.1) < 0.005 < 0.04 < loss(0.5)


# --- a job, against a job lived through ---


@pytest.mark.parametrize(
    ("mtbf", "checkpoint", "restart"),
    [(24 * HOUR, 300, 600), (HOUR, 300, 600), (900, 300, 600), (HOUR, 10, 0)],
)
def test_the_closed_form_is_what_happens(mtbf, checkpoint, restart):
    interval, segments = daly_interval(checkpoint, mtbf), 20_000
    rng = np.random.default_rng(0)
    now, failures, restarting = simulate_run(rng, segments, mtbf, checkpoint, restart, interval)
    model = run(segments * interval, mtbf, checkpoint, restart)
    assert model.seconds == pytest.approx(now, rel=0.02)
    assert model.failures == pytest.approx(failures, rel=0.05)
    assert model.restarts == pytest.approx(restarting, rel=0.05, abs=1e-9)
    assert sum(model.parts.values()) == pytest.approx(model.seconds)


def test_a_checkpoint_that_is_safe_later_loses_that_much_more():
    mtbf, checkpoint, restart, drain, interval = 4 * HOUR, 5.0, 300.0, 240.0, 1200.0
    segments = 30_000
    now, _, _ = simulate_run(
        np.random.default_rng(1), segments, mtbf, checkpoint, restart, interval, drain
    )
    model = run(segments * interval, mtbf, checkpoint, restart, interval, drain)
    at_once = run(segments * interval, mtbf, checkpoint, restart, interval)
    assert model.seconds == pytest.approx(now, rel=0.003)
    lost = (model.seconds - at_once.seconds) / model.failures
    assert lost == pytest.approx(drain, rel=0.1)


def test_a_machine_that_never_fails_only_saves():
    model = run(100 * HOUR, 1e15, 60, 600, interval=HOUR)
    assert model.checkpoints == 6000
    assert model.efficiency == pytest.approx(60 / 61, rel=1e-6)
    assert model.failures == pytest.approx(0, abs=1e-6)


@given(st.floats(600, 1e6), st.floats(1, 300), st.floats(0, 1200), st.floats(1.1, 5))
def test_efficiency_falls_with_failures_and_with_costs(mtbf, checkpoint, restart, more):
    base = run(1e6, mtbf, checkpoint, restart).efficiency
    assert 0 < base < 1
    assert run(1e6, mtbf / more, checkpoint, restart).efficiency <= base
    assert run(1e6, mtbf, checkpoint * more, restart).efficiency <= base + 2e-3  # Daly's own error
    assert run(1e6, mtbf, checkpoint, restart * more).efficiency <= base


def test_the_bound_is_what_costs_most():
    assert run(1e6, 1e4, 1, 1e4).bound == "restarts"
    assert run(1e6, 1e5, 100, 10, interval=500).bound == "checkpoints"
    assert run(1e6, 1e4, 1, 10, interval=2e4).bound == "lost"


# --- stragglers ---


@pytest.mark.parametrize(("ranks", "expected"), [(1, 0), (2, 0.5642), (3, 0.8463), (10, 1.5388)])
def test_the_largest_of_normal_draws_is_as_tabled(ranks, expected):
    # 1 / sqrt(pi), 3 / (2 sqrt(pi)), and the table of order statistics.
    assert normal_maximum(ranks) == pytest.approx(expected, abs=2e-4)


def test_the_largest_of_many_is_what_draws_give():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((2000, 1024)).max(axis=1).mean()
    assert normal_maximum(1024) == pytest.approx(normal, rel=0.02)
    delays = rng.exponential(1.0, (2000, 1024)).max(axis=1).mean()
    assert exponential_maximum(1024) == pytest.approx(delays, rel=0.02)
    assert exponential_maximum(3) == pytest.approx(1 + 1 / 2 + 1 / 3)


def test_measured_steps_give_the_slowest_rank():
    rng = np.random.default_rng(1)
    samples = rng.lognormal(0, 0.1, 500)
    drawn = rng.choice(samples, (20_000, 16)).max(axis=1).mean()
    assert slowest_of(samples, 16) == pytest.approx(drawn, rel=0.005)
    assert slowest_of(samples, 1) == pytest.approx(statistics.fmean(samples))
    assert slowest_of(samples, 10**6) == pytest.approx(samples.max())


# --- nodes in repair ---


def test_repair_against_nodes_that_fail_and_return():
    # 64 nodes of 20 days, repaired in 2 days whatever happens: 6.4 away on average.
    rng, nodes, mtbf, fix, spares, group = np.random.default_rng(2), 64, 20 * DAY, 2 * DAY, 4, 8
    starts = np.cumsum(rng.exponential(mtbf / nodes, 60_000))
    moments = rng.uniform(10 * DAY, starts[-1] - 10 * DAY, 20_000)
    away = np.searchsorted(starts, moments) - np.searchsorted(starts, moments - fix)
    left = np.clip(nodes + spares - away, 0, nodes)
    model = repair(nodes, mtbf, fix, spares, group)
    assert model.away == pytest.approx(6.4)
    assert model.rigid == pytest.approx((away <= spares).mean(), abs=0.01)
    assert model.elastic == pytest.approx(((left // group) * group / nodes).mean(), abs=0.01)


@given(st.integers(1, 64), st.floats(0, 0.5), st.integers(0, 16), st.sampled_from([1, 2, 4]))
def test_going_on_with_fewer_beats_waiting(groups, repair_time, spares, group):
    here = repair(groups * group, 1.0, repair_time, spares, group)
    assert 0 <= here.rigid <= here.elastic + 1e-9 <= 1 + 2e-9
    more = repair(groups * group, 1.0, repair_time, spares + 1, group)
    assert more.rigid >= here.rigid - 1e-9
    assert more.elastic >= here.elastic - 1e-9


def test_nodes_that_need_no_repair_cost_nothing():
    assert repair(16, DAY, 0.0) == repair(16, DAY, 0.0, 0, 4)
    assert repair(16, DAY, 0.0).elastic == repair(16, DAY, 0.0).rigid == 1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: job_mtbf([]), "positive MTBF"),
        (lambda: job_mtbf([(0.0, 3)]), "positive MTBF"),
        (lambda: part_mtbf(0, DAY, 8), "give 3"),
        (lambda: young_interval(-1, DAY), "mtbf positive"),
        (lambda: run(0, DAY, 1, 1), "work and interval must be positive"),
        (lambda: slowest_of([], 3), "at least one sample"),
        (lambda: normal_maximum(0), "at least one rank"),
        (lambda: repair(10, DAY, 1, 0, 3), "group 3 must divide nodes 10"),
    ],
)
def test_what_cannot_be_says_why(make, told):
    with pytest.raises(ValueError, match=told):
        make()
