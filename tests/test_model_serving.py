"""Serving: hand-worked runs, queueing theory, and a slow reference that shares no code with it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfra.model import inference
from aiinfra.model.inference import Deployment
from aiinfra.model.serving import (
    Policy,
    Replica,
    Requests,
    Slo,
    StepCost,
    autoscale,
    capacity,
    lognormal_lengths,
    simulate,
)
from aiinfra.model.serving.scaling import decisions
from aiinfra.model.transformer import Transformer

PLAIN = StepCost(fixed=1.0, token=0.0)
COST = StepCost(2e-3, 1e-5, sequence=5e-6, kv_token=1e-8, weights=8e-3, pair=1e-9, activation=1e-6)
ROOMY = Replica(max_batch=64)


def trace(arrival, prompt, output):
    return Requests(np.array(arrival, dtype=float), np.array(prompt), np.array(output))


def poisson(rate, count=2000, prompt=100, output=50, seed=0):
    return Requests.poisson(np.random.default_rng(seed), rate, count, prompt, output)


# --- a slow simulator in plain Python: queues, lists of pages, one object a request ---


@dataclass(eq=False)
class Job:
    number: int
    arrival: float
    prompt: int
    output: int
    emitted: int = 0
    computed: int = 0  # tokens in the cache
    goal: int = 0  # tokens to compute before the next token appears, 0 while decoding
    pages: int = 0
    first: float = math.nan
    finish: float = math.nan
    preempted: int = 0


class Slow:
    """One replica, written for reading: lists and queues of jobs instead of numbers."""

    def __init__(self, requests, cost, replica):
        columns = (requests.arrival, requests.prompt, requests.output)
        self.jobs = [
            Job(i, float(a), int(p), int(o))
            for i, (a, p, o) in enumerate(zip(*columns, strict=True))
        ]
        self.cost, self.replica, self.now, self.free = cost, replica, 0.0, replica.kv_blocks
        self.future, self.waiting, self.running = deque(self.jobs), deque(), []

    def run(self):
        while self.future or self.waiting or self.running:
            if not self.running and not self.waiting:
                self.now = max(self.now, self.future[0].arrival)
            while self.future and self.future[0].arrival <= self.now:
                self.waiting.append(self.future.popleft())
            self.decoded, self.done, self.preempted = [], [], False
            self.prefilled = self.pairs = 0
            for job in list(self.running):
                if job in self.running and not job.goal:
                    self.decode(job)
            self.budget = (self.replica.token_budget or 10**9) - len(self.decoded)
            for job in self.running:
                if job.goal:
                    self.chunk(job)
            while not self.preempted and self.admit():
                pass
            self.end_iteration()
        assert self.free == self.replica.kv_blocks
        return self.jobs

    def decode(self, job):
        page = self.replica.block_tokens
        while job in self.running and job.computed == job.pages * page and not self.free:
            victim = self.running.pop()
            self.waiting.appendleft(victim)
            self.free += victim.pages
            victim.pages = victim.computed = victim.goal = 0
            victim.preempted += 1
            self.preempted = True
        if job in self.running:
            if job.computed == job.pages * page:
                job.pages, self.free = job.pages + 1, self.free - 1
            job.computed += 1
            self.decoded.append(job)

    def chunk(self, job):
        take = min(self.budget - self.prefilled, job.goal - job.computed)
        self.pairs += sum(job.computed + n + 1 for n in range(take))
        self.prefilled += take
        job.computed += take
        if job.computed == job.goal:
            job.goal = 0
            self.done.append(job)

    def admit(self):
        if not self.waiting or len(self.running) == self.replica.max_batch:
            return False
        job = self.waiting[0]
        goal = job.prompt + job.emitted
        pages = math.ceil(goal / self.replica.block_tokens)
        kept = int(self.replica.watermark * self.replica.kv_blocks) if self.running else 0
        if pages > self.free - kept or self.prefilled >= self.budget:
            return False
        self.running.append(self.waiting.popleft())
        job.goal, job.pages, self.free = goal, pages, self.free - pages
        self.chunk(job)
        return True

    def end_iteration(self):
        read = sum(job.computed for job in self.decoded)
        step = self.cost.step(self.prefilled, len(self.decoded), read, self.pairs)
        self.now += step.seconds
        for job in self.decoded + self.done:
            job.emitted += 1
            if job.emitted == 1:
                job.first = self.now
            if job.emitted == job.output:
                job.finish = self.now
                self.running.remove(job)
                self.free += job.pages


replicas = st.builds(
    lambda batch, blocks, page, chunk, mark: Replica(
        batch, blocks, page, None if chunk is None else batch + chunk, watermark=mark
    ),
    st.integers(1, 6),
    st.integers(6, 16),
    st.sampled_from([2, 3, 4, 8]),
    st.one_of(st.none(), st.integers(0, 10)),
    st.sampled_from([0.0, 0.3]),
)
small = st.lists(
    st.tuples(st.sampled_from([0, 0, 0.013, 0.09]), st.integers(1, 6), st.integers(1, 7)),
    min_size=1,
    max_size=14,
)


@settings(max_examples=250, deadline=None)
@given(jobs=small, replica=replicas)
def test_the_fast_loop_equals_a_slow_reference(jobs, replica):
    gaps, prompt, output = zip(*jobs, strict=True)
    requests = trace(np.cumsum(gaps), prompt, output)
    served = simulate(requests, COST, replica)
    expected = Slow(requests, COST, replica).run()
    assert served.preempted.tolist() == [job.preempted for job in expected]
    np.testing.assert_allclose(served.first_token, [job.first for job in expected], rtol=1e-9)
    np.testing.assert_allclose(served.finish, [job.finish for job in expected], rtol=1e-9)


def test_two_requests_by_hand():
    # Steps of 1 s. The first runs 0-3 s; the second comes at 0.5 s, joins at 1 s, ends at 3 s.
    served = simulate(trace([0, 0.5], [4, 4], [3, 2]), PLAIN, ROOMY)
    assert served.admitted.tolist() == [0, 1]
    assert served.first_token.tolist() == [1, 2]
    assert served.finish.tolist() == [3, 3]
    assert served.tpot.tolist() == [1, 1]
    assert served.iterations == 3


def test_a_batch_of_one_makes_the_second_wait():
    served = simulate(trace([0, 0.5], [4, 4], [3, 2]), PLAIN, Replica(max_batch=1))
    assert served.admitted.tolist() == [0, 3]
    assert served.finish.tolist() == [3, 5]
    assert served.queue(np.array([0.4, 0.6, 3.1])).tolist() == [0, 1, 0]


def test_a_step_is_the_sum_of_its_parts_and_the_longer_of_weights_and_compute():
    cost = StepCost(1.0, 0.1, sequence=0.25, kv_token=0.01, weights=2.0, pair=0.2, activation=0.3)
    few, many = cost.step(0, 4, 100), cost.step(30, 4, 100, pairs=5)
    assert few.seconds == pytest.approx(1 + 4 * 0.25 + 2 + 4 * 0.3 + 1)  # 0.4 s are hidden
    assert many.seconds == pytest.approx(1 + 4 * 0.25 + (3.4 + 1) + 34 * 0.3 + 1)
    assert (few.compute, many.weights) == (0, 0)
    assert (few.bound, many.bound) == ("memory bandwidth", "activations")
    assert cost.knee == pytest.approx(20)


LLAMA_8B = Transformer(4096, 32, 32, 8, 14336, True, 128256)
LLAMA_70B = Transformer(8192, 80, 64, 8, 28672, True, 128256)


@pytest.mark.parametrize(
    ("model", "on"),
    [
        (LLAMA_8B, Deployment.of("H100-SXM-80GB")),
        (LLAMA_8B, Deployment.of("L40S", precision="int8")),
        (LLAMA_70B, Deployment.of("H100-SXM-80GB", 4, "fp8")),
    ],
    ids=["8B on H100", "8B int8 on L40S", "70B fp8 on four H100"],
)
def test_a_step_costs_what_inference_says(model, on):
    cost = StepCost.of(model, on)
    for batch in (1, 8, 64, 256):
        for context in (256, 2048):
            step = cost.step(0, batch, batch * context).seconds
            priced = inference.decode_step(model, on, batch, float(context)).seconds
            assert step == pytest.approx(priced, rel=0.15 if batch <= 64 else 0.35)
    for prompt in (256, 1024, 4096, 8192):
        step = cost.step(prompt, 0, 0, prompt * (prompt + 1) / 2).seconds
        priced = inference.prefill(model, on, prompt).seconds
        assert step == pytest.approx(priced, rel=0.1 if prompt >= 4096 else 0.35)


def test_the_cache_takes_what_the_weights_leave():
    # 80 GiB x 0.9 less 16.06 GB of weights, over 16 tokens of 128 KiB.
    on = Deployment.of("H100-SXM-80GB")
    replica = Replica.of(LLAMA_8B, on)
    free = 0.9 * 80 * 2**30 - 2 * LLAMA_8B.parameters
    assert replica.kv_blocks == math.floor(free / (16 * 2 * 32 * 1024 * 2))
    with pytest.raises(ValueError, match="raise tensor"):
        Replica.of(LLAMA_70B, on)


def test_chunks_let_others_decode_while_a_long_prompt_is_read():
    # The first answer has 4 tokens left when a prompt of 1000 tokens joins it.
    cost = StepCost(fixed=1e-3, token=1e-3)
    requests = trace([0, 0.006], [4, 1000], [6, 2])
    whole = simulate(requests, cost, Replica(4))
    chunked = simulate(requests, cost, Replica(4, token_budget=50))
    assert whole.finish[0] > 1.0  # it waits for the whole prompt
    assert chunked.finish[0] < 0.25  # it waits for 4 chunks of 49 tokens
    assert chunked.first_token[1] > whole.first_token[1]  # which pay for 21 iterations


def test_a_full_cache_preempts_the_youngest_and_loses_nobody():
    # Pages of 4 tokens, 4 of them: both prompts fit, both answers do not.
    requests = trace([0, 0], [4, 4], [9, 9])
    served = simulate(requests, PLAIN, Replica(8, kv_blocks=4, block_tokens=4, watermark=0))
    assert served.preempted.tolist() == [0, 1]
    assert served.finish[0] == 9
    assert served.computed_tokens > requests.prompt.sum()
    assert np.isfinite(served.finish).all()


@settings(max_examples=60, deadline=None)
@given(jobs=small, replica=replicas)
def test_every_request_finishes_once_and_every_token_costs_a_step(jobs, replica):
    gaps, prompt, output = zip(*jobs, strict=True)
    requests = trace(np.cumsum(gaps), prompt, output)
    served = simulate(requests, PLAIN, replica)
    assert (served.admitted >= requests.arrival).all()
    assert (served.first_token >= served.admitted + 1 - 1e-9).all()
    # One iteration of 1 s for each token after the first, at least.
    assert (served.finish - served.first_token >= requests.output - 1 - 1e-6).all()
    assert served.computed_tokens >= requests.prompt.sum()
    assert served.busy == pytest.approx(served.iterations)
    if not served.preempted.any():
        assert served.computed_tokens == requests.prompt.sum()
        assert served.decoded_tokens == (requests.output - 1).sum()
        assert served.batch_seconds == pytest.approx((served.finish - served.admitted).sum())


def test_an_empty_replica_admits_past_its_watermark():
    # The prompt needs every page, and half of them are held back while others run.
    served = simulate(trace([0], [16], [1]), PLAIN, Replica(2, 4, block_tokens=4, watermark=0.5))
    assert served.finish.tolist() == [1]


def test_pages_in_use_by_hand():
    # A prompt of 4 tokens takes one page for 1 s; 4 more tokens take a second one for 4 s.
    served = simulate(trace([0], [4], [5]), PLAIN, Replica(2, kv_blocks=10, block_tokens=4))
    assert served.summary().cache_use == pytest.approx((1 + 4 * 2) / (5 * 10))
    assert served.summary().mean_batch == 1


def test_order_of_arrival_is_order_of_admission():
    served = simulate(poisson(40, output=20), COST, Replica(4))
    assert (np.diff(served.admitted) >= 0).all()


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_one_at_a_time_waits_as_pollaczek_and_khinchine_say(load):
    # M/D/1: one request a batch, one iteration each. W = rho S / (2 (1 - rho)).
    served = simulate(poisson(load, count=200_000, output=1), PLAIN, Replica(max_batch=1))
    wait = (served.admitted - served.requests.arrival).mean()
    assert wait == pytest.approx(load / (2 * (1 - load)), rel=0.05)


def test_answers_of_unequal_length_wait_longer_by_their_variance():
    # M/G/1: S = output steps of 1 s. W = rate E[S^2] / (2 (1 - rho)).
    rng = np.random.default_rng(1)
    lengths = rng.geometric(0.2, 200_000)
    rate = 0.6 / lengths.mean()
    requests = Requests.poisson(rng, rate, len(lengths), 10, lengths)
    served = simulate(requests, PLAIN, Replica(max_batch=1))
    expected = rate * (lengths.astype(float) ** 2).mean() / (2 * (1 - 0.6))
    assert (served.admitted - requests.arrival).mean() == pytest.approx(expected, rel=0.1)


def test_requests_in_the_system_are_rate_times_latency():
    served = simulate(poisson(20, count=20_000), COST, ROOMY)
    moments = np.linspace(0.1, 0.9, 4001) * served.makespan
    inside = served.in_system(moments).mean()
    rate = len(served.requests) / served.makespan
    assert inside == pytest.approx(rate * served.latency.mean(), rel=0.03)


def test_more_load_means_more_waiting():
    requests = poisson(1, count=5000, output=100)
    runs = [simulate(requests.at_rate(rate), COST, Replica(16)) for rate in (2, 8, 14, 30, 100)]
    means = [run.latency.mean() for run in runs]
    assert means == sorted(means)
    assert [run.summary().utilisation for run in runs] == sorted(
        run.summary().utilisation for run in runs
    )
    attained = [run.summary(Slo(ttft=0.5)).attainment for run in runs]
    assert attained == sorted(attained, reverse=True)


def test_throughput_saturates_at_a_full_batch():
    overload = simulate(poisson(1000, count=5000, output=100), COST, Replica(16))
    step = COST.step(0, 16, 16 * 150).seconds
    assert overload.summary().throughput == pytest.approx(16 / step, rel=0.1)
    assert overload.summary().mean_batch == pytest.approx(16, rel=0.02)


def test_continuous_batching_beats_static_where_answers_differ_in_length():
    rng = np.random.default_rng(2)
    output = lognormal_lengths(rng, 3000, 100, 1.0, 1000)
    requests = Requests.poisson(rng, 1000, 3000, 100, output)
    continuous = simulate(requests, COST, Replica(16)).summary()
    static = simulate(requests, COST, Replica(16, batching="static")).summary()
    assert continuous.throughput > 2 * static.throughput
    assert continuous.latency_p50 < static.latency_p50


def test_a_static_batch_ends_with_its_longest_answer():
    # Three arrive in turn. The first runs alone for 2 steps; the others form a batch of 4 steps.
    replica = Replica(2, batching="static")
    served = simulate(trace([0, 0.5, 1], [4, 4, 4], [2, 4, 1]), PLAIN, replica)
    assert served.admitted.tolist() == [0, 2, 2]
    assert served.first_token.tolist() == [1, 3, 3]
    assert served.finish.tolist() == [2, 6, 6]


def test_patience_fills_a_static_batch():
    requests = trace([0, 0.5, 9], [4, 4, 4], [2, 2, 2])
    patient = simulate(requests, PLAIN, Replica(2, batching="static", patience=5.0))
    assert patient.admitted.tolist() == [0.5, 0.5, 9]
    assert simulate(requests, PLAIN, Replica(2, batching="static")).admitted[0] == 0


def test_padded_caches_that_do_not_fit_together_run_one_after_the_other():
    # Each padded to 4 + 20 - 1 tokens takes 6 pages of 4; there are 8.
    requests = trace([0, 0], [4, 4], [2, 20])
    tight = Replica(2, kv_blocks=8, block_tokens=4, batching="static")
    assert simulate(requests, PLAIN, tight).admitted.tolist() == [0, 2]
    assert simulate(requests, PLAIN, replace(tight, kv_blocks=12)).admitted.tolist() == [0, 0]


@pytest.mark.parametrize("cost", [COST, replace(COST, weights=0.0, pair=1e-4)])
def test_static_equals_continuous_for_one_request(cost):
    requests = trace([0.3], [37], [11])
    continuous = simulate(requests, cost, Replica(4))
    static = simulate(requests, cost, Replica(4, batching="static"))
    assert static.finish == pytest.approx(continuous.finish, rel=1e-9)
    assert static.first_token == pytest.approx(continuous.first_token, rel=1e-9)
    for part, seconds in continuous.parts.items():
        assert static.parts[part] == pytest.approx(seconds, rel=1e-9)


@pytest.mark.parametrize(
    ("cost", "replica", "rate", "bound"),
    [
        (COST, ROOMY, 1.0, "arrivals"),
        (COST, Replica(8), 1000.0, "batch limit"),
        (COST, Replica(256, kv_blocks=100), 1000.0, "KV capacity"),
        (replace(COST, token=1e-3), Replica(64), 1000.0, "compute"),
        (replace(COST, kv_token=1e-5), Replica(64), 1000.0, "memory bandwidth"),
        (replace(COST, activation=1e-3), Replica(64), 1000.0, "activations"),
        (COST, Replica(256, token_budget=256), 1000.0, "memory bandwidth"),
    ],
)
def test_the_bound_names_what_to_add(cost, replica, rate, bound):
    served = simulate(poisson(rate), cost, replica)
    assert served.summary().bound == bound
    assert sum(served.parts.values()) == pytest.approx(served.busy)


def test_goodput_counts_only_who_kept_the_objective():
    served = simulate(trace([0, 0.5], [4, 4], [3, 2]), PLAIN, Replica(max_batch=1))
    summary = served.summary(Slo(ttft=2.0))
    assert summary.attainment == 0.5  # the second waits 3.5 s
    assert summary.goodput == pytest.approx(1 / 5)
    assert summary.request_rate == pytest.approx(2 / 5)
    assert summary.throughput == pytest.approx(5 / 5)
    assert summary.latency_p50 == pytest.approx((3 + 4.5) / 2)


def test_capacity_is_the_last_rate_that_keeps_the_objective():
    requests, replica, slo = poisson(10, count=4000), Replica(16), Slo(ttft=0.2)
    rate = capacity(requests, COST, replica, slo)
    below = simulate(requests.at_rate(rate), COST, replica).summary(slo)
    above = simulate(requests.at_rate(1.05 * rate), COST, replica).summary(slo)
    assert below.attainment >= 0.99 > above.attainment
    assert capacity(requests, COST, replica, Slo(ttft=1e-6)) == 0


# --- autoscaling ---


def ramp(low=2.0, high=20.0, quarter=1000.0, seed=0):
    rng = np.random.default_rng(seed)
    rates = [low, high, high, low]
    parts = [
        np.sort(rng.uniform(i * quarter, (i + 1) * quarter, int(rate * quarter)))
        for i, rate in enumerate(rates)
    ]
    arrival = np.concatenate(parts)
    return Requests(arrival, 100, 20)


POLICY = Policy(replica_rate=5.0, target=0.8, start_delay=100.0)


def test_wanted_replicas_by_hand():
    assert [POLICY.wanted(rate) for rate in (0, 3.9, 4.1, 40)] == [1, 1, 2, 10]
    assert replace(POLICY, most=3).wanted(40) == 3


def test_replicas_come_late_and_leave_later():
    times, rate, paid, serving = decisions(ramp(), POLICY)
    rise = int(np.argmax(paid >= 5))
    assert 1000 <= times[rise] <= 1000 + POLICY.window
    ready = int(np.argmax(serving >= 5))
    assert times[ready] - times[rise] == pytest.approx(100, abs=POLICY.period)
    fall = int(np.argmax((times > 3000) & (paid <= 2)))
    assert 3000 + POLICY.hold <= times[fall] <= 3000 + POLICY.hold + 2 * POLICY.window
    assert (serving <= paid).all()
    assert rate[(times > 1200) & (times < 2900)].mean() == pytest.approx(20, rel=0.05)


def test_a_longer_start_breaks_more_promises():
    cost, slo = StepCost(fixed=0.01, token=1e-4), Slo(ttft=1.0)
    runs = [
        autoscale(ramp(), cost, Replica(2), replace(POLICY, start_delay=delay))
        for delay in (0.0, 120.0, 400.0)
    ]
    kept = [run.attainment(slo) for run in runs]
    assert kept[0] > kept[1] > kept[2]
    assert all(np.isfinite(run.ttft).all() for run in runs)


def test_following_the_load_costs_less_than_holding_the_peak():
    cost = StepCost(fixed=0.01, token=1e-4)
    follow = autoscale(ramp(), cost, Replica(4), POLICY)
    held = autoscale(ramp(), cost, Replica(4), replace(POLICY, least=5, most=5))
    assert held.replica_seconds == pytest.approx(5 * 4000, rel=0.01)
    assert follow.replica_seconds < 0.8 * held.replica_seconds
    assert (follow.serving.max(), follow.serving.min()) == (pytest.approx(6, abs=1), 1)


def test_a_replica_given_back_is_paid_until_it_has_finished():
    # Two a second for 10 s need two replicas; nobody until 100 s. Answers take 30 s.
    requests = trace([*np.arange(0.25, 10, 0.5), 100], 4, 30)
    policy = Policy(1.0, target=1.0, start_delay=0, period=10, window=10, hold=0)
    run = autoscale(requests, PLAIN, Replica(64), policy)
    assert run.paid.tolist() == [2, 2] + 9 * [1]
    after = run.finish[run.route == 1].max() - 20
    assert after > 15
    assert run.finish.max() == 130
    assert run.replica_seconds == pytest.approx(10 * (2 + 2 + 8) + after + 30)


# --- what cannot run says why ---


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: trace([1, 0], [1, 1], [1, 1]), "sort the trace"),
        (lambda: trace([0, 1], [1, 0], [1, 1]), "prompt lengths must be whole"),
        (lambda: trace([0, 1], [1], [1, 1]), "give one for each"),
        (lambda: trace([], [], []), "at least one request"),
        (lambda: poisson(0), "must be positive"),
        (lambda: StepCost(fixed=-1, token=1), "fixed must be a time"),
        (lambda: StepCost(fixed=0, token=0), "never ends"),
        (lambda: Replica(0), "max_batch must be at least 1"),
        (lambda: Replica(8, token_budget=4), "at least max_batch"),
        (lambda: Replica(8, token_budget=8, batching="static"), "leave token_budget out"),
        (lambda: simulate(trace([0], [40], [1]), PLAIN, Replica(1, 2)), "request 0 needs 3 pages"),
        (lambda: Slo(ttft=0), "must be positive"),
        (lambda: Policy(replica_rate=0), "must be positive"),
        (lambda: trace([0], [1], [1]).at_rate(3), "no rate to change"),
    ],
)
def test_what_cannot_run_says_why(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_lengths_have_the_mean_they_were_drawn_with():
    lengths = lognormal_lengths(np.random.default_rng(0), 100_000, 300, 1.0, 100_000)
    assert lengths.mean() == pytest.approx(300, rel=0.02)
    assert lengths.std() == pytest.approx(300, rel=0.05)
    assert lengths.min() >= 1


def test_importing_serving_compiles_nothing():
    code = "import sys, aiinfra.model.serving; print('numba' in sys.modules)"
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert told.strip() == "False"
