"""What a simulated service did: times of each request, and the summary that an operator reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aiinfra.model.serving.replica import Replica
from aiinfra.model.serving.requests import Floats, Integers, Requests

BUSY_QUEUE = 0.5  # a server whose queue is empty for more than half its busy time keeps up


@dataclass(frozen=True)
class Slo:
    """A service level objective: limits on time to first token and time per output token, in s."""

    ttft: float = float("inf")
    tpot: float = float("inf")

    def __post_init__(self) -> None:
        if self.ttft <= 0 or self.tpot <= 0:
            raise ValueError(f"limits must be positive, got {self.ttft} s and {self.tpot} s")


@dataclass(frozen=True)
class Summary:
    """Times in s at the 50th and 99th percentile, rates per s, shares of 0..1.

    ``throughput`` counts output tokens, ``request_rate`` requests, ``goodput`` the requests that
    kept the objective, ``attainment`` their share. ``utilisation`` is the share of the time in
    which an iteration ran, ``mean_batch`` and ``cache_use`` are means over that time.
    """

    ttft_p50: float
    ttft_p99: float
    tpot_p50: float
    tpot_p99: float
    latency_p50: float
    latency_p99: float
    throughput: float
    request_rate: float
    goodput: float
    attainment: float
    utilisation: float
    mean_batch: float
    cache_use: float
    preemptions: int
    bound: str


@dataclass(frozen=True, eq=False)
class Served:
    """One run: when each request was admitted first, gave its first token and its last, in s.

    ``parts`` are the busy seconds by what they went into, ``blocked`` the busy seconds in which a
    request waited, by what kept it out. ``computed_tokens`` counts tokens prefilled, again after a
    preemption and with padding in a static batch; ``decoded_tokens`` those of answers that came
    one an iteration, all but the one that each prefill yields.
    """

    requests: Requests = field(repr=False)
    replica: Replica
    admitted: Floats = field(repr=False)
    first_token: Floats = field(repr=False)
    finish: Floats = field(repr=False)
    preempted: Integers = field(repr=False)
    parts: Mapping[str, float]
    blocked: Mapping[str, float]
    iterations: int
    computed_tokens: int
    decoded_tokens: int
    batch_seconds: float = field(repr=False)
    page_seconds: float = field(repr=False)

    @property
    def ttft(self) -> Floats:
        """Time to first token: from arrival."""
        return self.first_token - self.requests.arrival

    @property
    def latency(self) -> Floats:
        """From arrival to the last token."""
        return self.finish - self.requests.arrival

    @property
    def tpot(self) -> Floats:
        """Mean time per output token after the first; ``nan`` for an answer of one token."""
        after = np.where(self.requests.output > 1, self.requests.output - 1.0, np.nan)
        return np.asarray((self.finish - self.first_token) / after)

    @property
    def makespan(self) -> float:
        """From the first arrival to the last token."""
        return float(self.finish.max() - self.requests.arrival[0])

    @property
    def busy(self) -> float:
        """Seconds in which an iteration ran."""
        return sum(self.parts.values())

    def in_system(self, times: Floats) -> Integers:
        """Requests that have arrived but not finished, at each of ``times``."""
        return _count(self.requests.arrival, times) - _count(self.finish, times)

    def queue(self, times: Floats) -> Integers:
        """Requests that wait for their first admission, at each of ``times``."""
        return _count(self.requests.arrival, times) - _count(self.admitted, times)

    @property
    def bound(self) -> str:
        """What to add for more: "arrivals" where the server keeps up with its load.

        Else "compute", "activations" or "memory bandwidth" where arithmetic, moving activations or
        the cache takes most of the time. Where weights or overhead do, a larger batch would share
        them: "KV capacity" or "batch limit" say which of the two keeps it small, "memory
        bandwidth" or "overhead" that neither does.
        """
        if sum(self.blocked.values()) < BUSY_QUEUE * self.busy:
            return "arrivals"
        most = max(self.parts, key=lambda name: self.parts[name])
        if most in ("compute", "activations", "kv"):
            return "memory bandwidth" if most == "kv" else most
        reason = max(self.blocked, key=lambda name: self.blocked[name])
        if reason != "token budget":
            return reason
        return "memory bandwidth" if most == "weights" else "overhead"

    def kept(self, slo: Slo) -> NDArray[np.bool_]:
        """Which requests kept the objective."""
        within = np.nan_to_num(self.tpot, nan=0.0) <= slo.tpot
        return np.asarray((self.ttft <= slo.ttft) & within)

    def summary(self, slo: Slo | None = None) -> Summary:
        """Sum up the whole run, its start and its end included; no ``slo`` is always kept."""
        kept = self.kept(slo or Slo())
        tpot = self.tpot[~np.isnan(self.tpot)]
        ttft_p50, ttft_p99 = np.percentile(self.ttft, [50, 99])
        tpot_p50, tpot_p99 = np.percentile(tpot, [50, 99]) if len(tpot) else (0.0, 0.0)
        latency_p50, latency_p99 = np.percentile(self.latency, [50, 99])
        return Summary(
            ttft_p50=float(ttft_p50),
            ttft_p99=float(ttft_p99),
            tpot_p50=float(tpot_p50),
            tpot_p99=float(tpot_p99),
            latency_p50=float(latency_p50),
            latency_p99=float(latency_p99),
            throughput=float(self.requests.output.sum()) / self.makespan,
            request_rate=len(self.requests) / self.makespan,
            goodput=float(kept.sum()) / self.makespan,
            attainment=float(kept.mean()),
            utilisation=min(1.0, self.busy / self.makespan),  # sums of many parts round
            mean_batch=self.batch_seconds / self.busy,
            cache_use=self.page_seconds / (self.busy * self.replica.kv_blocks),
            preemptions=int(self.preempted.sum()),
            bound=self.bound,
        )


def _count(events: Floats, times: Floats) -> Integers:
    """How many of ``events`` lie at or before each of ``times``."""
    return np.searchsorted(np.sort(events), times, side="right").astype(np.int64)
