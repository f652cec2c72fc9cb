"""Simulate one replica under a trace of requests, iteration by iteration.

Sources: G. Yu et al., "Orca: a distributed serving system for transformer-based generative
models", OSDI 2022 (scheduling per iteration); W. Kwon et al., "Efficient memory management for
large language model serving with PagedAttention", SOSP 2023, arXiv 2309.06180 (pages, preemption
by recomputation); A. Agrawal et al., "Taming throughput-latency tradeoff in LLM inference with
Sarathi-Serve", OSDI 2024, arXiv 2403.02310 (chunked prefill under a token budget).
"""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

import numpy as np

from aiinfra.model.serving import kernel, static
from aiinfra.model.serving.cost import StepCost, StepTime
from aiinfra.model.serving.replica import UNLIMITED, Replica
from aiinfra.model.serving.requests import Requests
from aiinfra.model.serving.results import Served, Slo


def simulate(requests: Requests, cost: StepCost, replica: Replica) -> Served:
    """Serve ``requests`` on one replica and return the times of each.

    An iteration decodes one token for every running sequence, continues the prompts under way and
    admits from the queue, in order of arrival, while the batch, the pages of the cache and the
    token budget allow. A sequence that needs a page where none is free sends the youngest back to
    the queue; its cache is computed again, prompt and answer so far. The iteration takes
    ``cost.step``; tokens appear at its end.

    Known error: no network, tokenizer or detokenizer, no prefix cache, no swapping, no
    speculation; the scheduler works in no time except what ``cost.fixed`` holds. Against real
    engines expect 10-20 % on throughput and more on tails (unchecked here).
    Raises ``ValueError`` where a request does not fit the cache even alone.
    """
    replica.check(requests)
    times = np.full((len(requests), kernel.TIMES), -1.0)
    times[:, kernel.ARRIVAL] = requests.arrival
    clock = np.zeros(kernel.CLOCKS)
    preempted = np.zeros(len(requests), dtype=np.int64)
    if replica.batching == "static":
        count = static.serve(requests, cost, replica, times, clock)
    else:
        count, preempted = _continuous(requests, cost, replica, times, clock)
    blocked = clock[kernel.BLOCKED_SECONDS : kernel.BLOCKED_SECONDS + 3].tolist()
    parts = clock[kernel.OVERHEAD : kernel.KV + 1].tolist()
    return Served(
        requests=requests,
        replica=replica,
        admitted=times[:, kernel.ADMITTED].copy(),
        first_token=times[:, kernel.FIRST].copy(),
        finish=times[:, kernel.FINISH].copy(),
        preempted=preempted,
        parts=dict(zip([part.name for part in fields(StepTime)], parts, strict=True)),
        blocked=dict(zip(("batch limit", "KV capacity", "token budget"), blocked, strict=True)),
        iterations=int(count[kernel.ITERATIONS]),
        computed_tokens=int(count[kernel.PREFILLED]),
        decoded_tokens=int(count[kernel.DECODED]),
        batch_seconds=float(clock[kernel.BATCH_SECONDS]),
        page_seconds=float(clock[kernel.PAGE_SECONDS]),
    )


def _continuous(
    requests: Requests, cost: StepCost, replica: Replica, times: Any, clock: Any
) -> tuple[Any, Any]:
    """Lay out the arrays, run the compiled loop, and return its counts and the preemptions."""
    state = np.zeros((len(requests), kernel.STATES), dtype=np.int64)
    state[:, kernel.PROMPT], state[:, kernel.OUTPUT] = requests.prompt, requests.output
    most = min(replica.max_batch, len(requests))
    reserve = 0 if replica.kv_blocks == UNLIMITED else int(replica.watermark * replica.kv_blocks)
    budget = UNLIMITED if replica.token_budget is None else replica.token_budget
    limits = np.array([most, replica.block_tokens, budget, reserve], dtype=np.int64)
    count = np.zeros(kernel.COUNTS, dtype=np.int64)
    count[kernel.FREE] = replica.kv_blocks
    coefficients = tuple(map(float, astuple(cost)))
    running = np.zeros(most, dtype=np.int64)
    kernel.compiled()(state, times, running, limits, coefficients, count, clock)
    return count, state[:, kernel.PREEMPTED].copy()


def capacity(
    requests: Requests, cost: StepCost, replica: Replica, slo: Slo, share: float = 0.99
) -> float:
    """Return the highest rate, in requests/s, at which ``share`` of the requests keep ``slo``.

    The trace is replayed faster and slower (``Requests.at_rate``), and the rate bisected to 1 %.
    Zero where even a request alone misses the objective. Known error: a trace of ``n`` requests
    shows an overload only after it has built up; use thousands.
    """

    def kept(rate: float) -> bool:
        return simulate(requests.at_rate(rate), cost, replica).summary(slo).attainment >= share

    low, high = 0.0, requests.rate
    if not kept(high):
        low = high / 2**20
        if not kept(low):
            return 0.0
    while high < 2**40 and kept(high):
        low, high = high, 2 * high
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low
