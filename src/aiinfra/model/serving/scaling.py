"""Autoscaling: replicas that follow the load, late, and what they cost in replica-seconds.

Source: the rule of Kubernetes' HorizontalPodAutoscaler (its reference, read 2026-11-24): replicas
proportional to load over target, rounded up; every 15 s; the highest wish of the last 300 s holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aiinfra.model.serving.cost import StepCost
from aiinfra.model.serving.replica import Replica
from aiinfra.model.serving.requests import Floats, Integers, Requests
from aiinfra.model.serving.results import Served, Slo
from aiinfra.model.serving.simulate import simulate


@dataclass(frozen=True)
class Policy:
    """Keep ``rate / (replicas * replica_rate)`` at ``target``.

    Every ``period`` seconds the rate of arrivals over the last ``window`` seconds is divided by
    what a replica carries: ``wanted = ceil(rate / (target * replica_rate))``, clipped to
    ``least..most``. A new replica is paid at once and serves after ``start_delay`` (a machine, a
    container, the weights; 120 s is an assumption); one is given back once fewer have been wanted
    for ``hold`` seconds. Raises ``ValueError`` on values that cannot work.
    """

    replica_rate: float
    target: float = 0.7
    start_delay: float = 120.0
    period: float = 15.0
    window: float = 60.0
    hold: float = 300.0
    least: int = 1
    most: int = 1000

    def __post_init__(self) -> None:
        if min(self.replica_rate, self.target, self.period, self.window) <= 0:
            raise ValueError("replica_rate, target, period and window must be positive")
        if min(self.start_delay, self.hold) < 0:
            raise ValueError("start_delay and hold must not be negative")
        if not 1 <= self.least <= self.most:
            raise ValueError(f"least must lie in 1..{self.most}, got {self.least}")

    def wanted(self, rate: float) -> int:
        """Replicas that would carry ``rate`` requests/s at the target."""
        return min(self.most, max(self.least, math.ceil(rate / (self.target * self.replica_rate))))


@dataclass(frozen=True, eq=False)
class Scaled:
    """A run under a policy: at each decision the replicas paid and serving, and every request.

    ``ttft`` and ``tpot`` are as in ``Served``, in the order of the trace; ``route`` is the replica
    that took each request, ``replica_seconds`` what is paid, starting and draining included.
    """

    times: Floats = field(repr=False)
    rate: Floats = field(repr=False)
    paid: Integers = field(repr=False)
    serving: Integers = field(repr=False)
    route: Integers = field(repr=False)
    ttft: Floats = field(repr=False)
    tpot: Floats = field(repr=False)
    finish: Floats = field(repr=False)
    replica_seconds: float

    def attainment(self, slo: Slo) -> float:
        """Share of the requests that kept the objective."""
        within = np.nan_to_num(self.tpot, nan=0.0) <= slo.tpot
        return float(((self.ttft <= slo.ttft) & within).mean())


def decisions(requests: Requests, policy: Policy) -> tuple[Floats, Floats, Integers, Integers]:
    """Run the control loop: times, arrival rate seen, replicas paid and replicas serving.

    The loop starts with what the first window wants, already serving.
    """
    count = math.ceil(float(requests.arrival[-1]) / policy.period) + 1
    times = np.asarray(policy.period * np.arange(count), dtype=np.float64)
    seen = np.searchsorted(requests.arrival, times, side="right")
    before = np.searchsorted(requests.arrival, times - policy.window, side="right")
    rate = np.asarray((seen - before) / np.clip(times, policy.period, policy.window))
    first = np.searchsorted(requests.arrival, policy.window, side="right") / policy.window
    wanted = [policy.wanted(float(first)), *(policy.wanted(float(value)) for value in rate[1:])]
    held, late = (math.ceil(span / policy.period) for span in (policy.hold, policy.start_delay))
    paid = [max(wanted[max(0, i - held) : i + 1]) for i in range(count)]
    serving = [min(paid[max(0, i - late) : i + 1]) for i in range(count)]
    return times, rate, np.array(paid, dtype=np.int64), np.array(serving, dtype=np.int64)


def autoscale(requests: Requests, cost: StepCost, replica: Replica, policy: Policy) -> Scaled:
    """Serve a trace on replicas that a policy starts and stops; requests go round in turn.

    A request is routed on arrival to one of the replicas that serve then; a replica given back
    finishes what it has. ``policy.replica_rate`` is best taken from ``capacity``.

    Known error: the policy sees arrivals, not queues, so it does not add replicas to work off a
    backlog, and round robin ignores how long requests are; a router that sends each to the
    emptiest replica has a shorter tail.
    """
    times, rate, paid, serving = decisions(requests, policy)
    tick = np.searchsorted(times, requests.arrival, side="right") - 1
    route = np.arange(len(requests)) % serving[tick]
    ttft, tpot, finish = (np.empty(len(requests)) for _ in range(3))
    drained = 0.0
    for k in range(int(serving.max())):
        chosen = np.flatnonzero(route == k)
        if len(chosen) == 0:
            continue
        served = simulate(requests.take(chosen), cost, replica)
        ttft[chosen], tpot[chosen], finish[chosen] = served.ttft, served.tpot, served.finish
        drained += _draining(served, times, paid > k)
    seconds = policy.period * float(paid[:-1].sum()) + drained
    return Scaled(times, rate, paid, serving, route, ttft, tpot, finish, seconds)


def _draining(served: Served, times: Floats, wanted: NDArray[np.bool_]) -> float:
    """Seconds that one replica works on after each time it is given back, and after the end."""
    ends = list(times[1:][wanted[:-1] & ~wanted[1:]])
    if wanted[-1]:
        ends.append(times[-1])
    starts = [*times[1:][~wanted[:-1] & wanted[1:]], np.inf]
    total = 0.0
    for end in ends:
        again = min((start for start in starts if start > end), default=np.inf)
        before = served.requests.arrival <= end
        last = float(served.finish[before].max()) if before.any() else 0.0
        total += max(0.0, min(last, again) - end)
    return total
