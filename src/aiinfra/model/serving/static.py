"""Static batching: a batch is formed, padded, run to its longest answer, and only then replaced."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np

from aiinfra.model.serving import kernel
from aiinfra.model.serving.cost import StepCost
from aiinfra.model.serving.replica import Replica
from aiinfra.model.serving.requests import Requests


def form(requests: Requests, replica: Replica, first: int, free_at: float) -> tuple[int, float]:
    """Return the end of the batch that begins with request ``first``, and when it starts.

    It starts once it is full or its first request has waited ``patience``, and holds who has
    arrived by then, in order, while the padded caches fit.
    """
    full = min(first + replica.max_batch, len(requests)) - 1
    waited = requests.arrival[first] + replica.patience
    start = max(free_at, min(float(requests.arrival[full]), float(waited)))
    end, longest_prompt, longest_output = first, 0, 0
    while end <= full and requests.arrival[end] <= start:
        longest_prompt = max(longest_prompt, int(requests.prompt[end]))
        longest_output = max(longest_output, int(requests.output[end]))
        pages = -(-(longest_prompt + longest_output - 1) // replica.block_tokens)
        if pages * (end + 1 - first) > replica.kv_blocks:
            break
        end += 1
    return end, start


def serve(requests: Requests, cost: StepCost, replica: Replica, times: Any, clock: Any) -> Any:
    """Run every batch; fill ``times`` and ``clock`` as the continuous loop does, return counts."""
    count = np.zeros(kernel.COUNTS, dtype=np.int64)
    first, now = 0, 0.0
    while first < len(requests):
        end, start = form(requests, replica, first, now)
        size, full = end - first, end - first == replica.max_batch
        prompt = int(requests.prompt[first:end].max())
        output = int(requests.output[first:end].max())
        opening = cost.step(size * prompt, 0, 0, size * prompt * (prompt + 1) / 2)
        tokens = size * (output - 1) * (prompt + output / 2)  # sum of prompt + 1 .. prompt + o - 1
        later = cost.step(0, size, 0)
        parts = np.array(astuple(later)) * (output - 1) + astuple(opening)
        parts[-1] = cost.kv_token * tokens
        times[first:end, kernel.ADMITTED] = start
        times[first:end, kernel.FIRST] = start + opening.seconds
        now = start + float(parts.sum())
        times[first:end, kernel.FINISH] = now
        waits = end < len(requests) and requests.arrival[end] <= start
        account(clock, parts, size, -(-(prompt + output - 1) // replica.block_tokens))
        if waits:
            reason = kernel.BY_BATCH if full else kernel.BY_CACHE
            clock[kernel.BLOCKED_SECONDS + reason] += parts.sum()
        count[kernel.ITERATIONS] += output
        count[kernel.PREFILLED] += size * prompt
        count[kernel.DECODED] += int((requests.output[first:end] - 1).sum())
        first = end
    clock[kernel.NOW] = now
    return count


def account(clock: Any, parts: Any, size: int, pages: int) -> None:
    """Add a batch's seconds to the clock, by part."""
    clock[kernel.OVERHEAD : kernel.KV + 1] += parts
    clock[kernel.BATCH_SECONDS] += parts.sum() * size
    clock[kernel.PAGE_SECONDS] += parts.sum() * size * pages
