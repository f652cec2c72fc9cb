"""The loop of continuous batching, written so that numba can compile it: numbers and arrays only.

Requests are numbered by arrival and admitted in order; the youngest is preempted first. So every
running request is older than every waiting one, and the queue is one number: ``head``, the oldest
request that waits. Nothing is sorted, and a preemption only moves ``head`` back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

# Slots of `count` (whole numbers that change) and of `clock` (seconds by part, and integrals).
HEAD, RUNNING, FREE, PREFILL, DECODES, KV_TOKENS, PAIRS, CHANGED, BLOCKED = range(9)
ITERATIONS, PREFILLED, DECODED, COUNTS = 9, 10, 11, 12
NOW, OVERHEAD, WEIGHTS, COMPUTE, ACTIVATIONS, KV = range(6)
BLOCKED_SECONDS = 6  # three slots: by batch, by cache, by token budget
BATCH_SECONDS, PAGE_SECONDS, CLOCKS = 9, 10, 11
BY_NOTHING, BY_BATCH, BY_CACHE, BY_BUDGET = -1, 0, 1, 2
# Columns of `state`: 64 bytes a request, one cache line. Then the limits of the replica.
PROMPT, OUTPUT, EMITTED, TODO, CACHED, PAGES, PREEMPTED = range(7)
STATES = 8
MAX_BATCH, BLOCK_TOKENS, TOKEN_BUDGET, RESERVE = range(4)
ARRIVAL, ADMITTED, FIRST, FINISH, TIMES = range(5)


def preempt_youngest(state: Any, running: Any, count: Any) -> int:
    """Drop the cache of the youngest running request and send it back to the queue's front."""
    count[RUNNING] -= 1
    victim = running[count[RUNNING]]
    count[FREE] += state[victim, PAGES]
    state[victim, PAGES] = state[victim, CACHED] = state[victim, TODO] = 0
    state[victim, PREEMPTED] += 1
    count[HEAD] = victim
    count[BLOCKED] = BY_CACHE
    return int(victim)


def decode(state: Any, running: Any, limits: Any, count: Any) -> None:
    """Give every sequence whose prompt is done one more token, oldest first."""
    i = 0
    while i < count[RUNNING]:
        r = running[i]
        if state[r, TODO] == 0:
            victim = -1
            if state[r, CACHED] == state[r, PAGES] * limits[BLOCK_TOKENS]:
                while count[FREE] == 0 and victim != r:
                    victim = preempt_youngest(state, running, count)
                if victim == r:
                    break
                count[FREE] -= 1
                state[r, PAGES] += 1
            state[r, CACHED] += 1
            state[r, EMITTED] += 1
            count[DECODES] += 1
            count[KV_TOKENS] += state[r, CACHED]
            if state[r, EMITTED] == state[r, OUTPUT]:
                count[CHANGED] = 1
        i += 1


def prefill(state: Any, r: int, count: Any, left: int) -> int:
    """Compute the next chunk of a prompt (with what was generated before a preemption)."""
    take = min(state[r, TODO], left)
    done = state[r, CACHED]
    state[r, TODO] -= take
    state[r, CACHED] += take
    count[PREFILL] += take
    count[PAIRS] += take * done + take * (take + 1) // 2
    if state[r, TODO] == 0:
        state[r, EMITTED] += 1
        count[CHANGED] = 1
    return int(left - take)


def resume(state: Any, running: Any, count: Any, left: int) -> int:
    """Continue the prompts under way, which are the youngest of those running."""
    begun = count[RUNNING]
    while begun > 0 and state[running[begun - 1], TODO] > 0:
        begun -= 1
    for i in range(begun, count[RUNNING]):
        if left > 0:
            left = prefill(state, running[i], count, left)
    return left


def obstacle(pages: int, limits: Any, count: Any, left: int) -> int:
    """What keeps the head of the queue out, if anything does; it needs ``pages``."""
    reserve = limits[RESERVE] if count[RUNNING] > 0 else 0
    if count[RUNNING] == limits[MAX_BATCH]:
        return BY_BATCH
    if pages > count[FREE] - reserve:
        return BY_CACHE
    return BY_BUDGET if left <= 0 else BY_NOTHING


def skip_finished(state: Any, count: Any) -> bool:
    """Move the head past requests that finished before a preemption; whether one is left."""
    while count[HEAD] < len(state) and (state[count[HEAD], EMITTED] == state[count[HEAD], OUTPUT]):
        count[HEAD] += 1
    return bool(count[HEAD] < len(state))


def admit(state: Any, times: Any, running: Any, limits: Any, count: Any, clock: Any) -> None:
    """Continue the prompts under way, then admit from the queue while everything allows."""
    left = resume(state, running, count, limits[TOKEN_BUDGET] - count[DECODES])
    while count[BLOCKED] == BY_NOTHING and skip_finished(state, count):
        r = count[HEAD]
        if times[r, ARRIVAL] > clock[NOW]:
            break
        need = state[r, PROMPT] + state[r, EMITTED]
        pages = (need + limits[BLOCK_TOKENS] - 1) // limits[BLOCK_TOKENS]
        count[BLOCKED] = obstacle(pages, limits, count, left)
        if count[BLOCKED] == BY_NOTHING:
            running[count[RUNNING]] = r
            count[RUNNING] += 1
            count[HEAD] += 1
            count[FREE] -= pages
            state[r, PAGES] = pages
            state[r, TODO] = need
            if times[r, ADMITTED] < 0:
                times[r, ADMITTED] = clock[NOW]
            left = prefill(state, r, count, left)


def advance(cost: Any, pages: int, count: Any, clock: Any) -> None:
    """Price the iteration (``StepCost.step``) and move the clock."""
    fixed, token, sequence, kv_token, weights, pair, activation = cost
    tokens = count[PREFILL] + count[DECODES]
    overhead = fixed + sequence * count[DECODES]
    compute = token * tokens + pair * count[PAIRS]
    kv = kv_token * count[KV_TOKENS]
    seconds = overhead + max(weights, compute) + activation * tokens + kv
    clock[NOW] += seconds
    clock[OVERHEAD] += overhead
    clock[ACTIVATIONS] += activation * tokens
    clock[KV] += kv
    clock[COMPUTE if compute >= weights else WEIGHTS] += max(weights, compute)
    clock[BATCH_SECONDS] += seconds * count[RUNNING]
    clock[PAGE_SECONDS] += seconds * (pages - count[FREE])
    if count[BLOCKED] >= 0:
        clock[BLOCKED_SECONDS + count[BLOCKED]] += seconds
    count[ITERATIONS] += 1
    count[PREFILLED] += count[PREFILL]
    count[DECODED] += count[DECODES]


def steady(state: Any, running: Any, limits: Any, count: Any) -> int:
    """How many iterations will change nothing but the clock: no page, no prompt, no last token.

    Asked only where the answer is worth the look: a large batch needs a page at every turn.
    """
    few = 2 * count[RUNNING] <= limits[BLOCK_TOKENS] and count[DECODES] == count[RUNNING]
    if not few or count[PREFILL] > 0 or count[CHANGED] or count[BLOCKED] > BY_BATCH:
        return 0
    room = limits[BLOCK_TOKENS]
    for i in range(count[RUNNING]):
        r = running[i]
        room = min(room, state[r, PAGES] * limits[BLOCK_TOKENS] - state[r, CACHED])
        room = min(room, state[r, OUTPUT] - state[r, EMITTED] - 1)
    return int(room)


def coast(
    state: Any, times: Any, running: Any, limits: Any, cost: Any, pages: int, count: Any, clock: Any
) -> None:
    """Run as many steady iterations as there are before the next arrival, without the arrays."""
    room, done = steady(state, running, limits, count), 0
    waiting = count[BLOCKED] == BY_BATCH or count[HEAD] == len(times)
    while done < room and (waiting or times[count[HEAD], ARRIVAL] > clock[NOW]):
        count[KV_TOKENS] += count[RUNNING]
        advance(cost, pages, count, clock)
        done += 1
    for i in range(count[RUNNING] if done else 0):
        state[running[i], CACHED] += done
        state[running[i], EMITTED] += done


def release(state: Any, times: Any, running: Any, count: Any, clock: Any) -> None:
    """Note first tokens, and let those go that have their last."""
    kept = 0
    for i in range(count[RUNNING]):
        r = running[i]
        if state[r, TODO] == 0 and times[r, FIRST] < 0:
            times[r, FIRST] = clock[NOW]
        if state[r, EMITTED] == state[r, OUTPUT]:
            times[r, FINISH] = clock[NOW]
            count[FREE] += state[r, PAGES]
            state[r, PAGES] = 0
        else:
            running[kept] = r
            kept += 1
    count[RUNNING] = kept


def serve(
    state: Any, times: Any, running: Any, limits: Any, cost: Any, count: Any, clock: Any
) -> None:
    """Run iterations until every request is done; an idle server jumps to the next arrival."""
    pages = count[FREE]
    while skip_finished(state, count) or count[RUNNING] > 0:
        if count[RUNNING] == 0:
            clock[NOW] = max(clock[NOW], times[count[HEAD], ARRIVAL])
        for slot in range(PREFILL, BLOCKED):
            count[slot] = 0
        count[BLOCKED] = BY_NOTHING
        decode(state, running, limits, count)
        admit(state, times, running, limits, count, clock)
        advance(cost, pages, count, clock)
        if count[CHANGED]:
            release(state, times, running, count, clock)
        else:
            coast(state, times, running, limits, cost, pages, count, clock)


@cache
def compiled() -> Callable[..., None]:
    """Compile ``serve`` once; numba is imported here and nowhere else."""
    import numba
    from numba.extending import register_jitable

    helpers: tuple[Callable[..., Any], ...] = (
        preempt_youngest, decode, prefill, resume, obstacle, skip_finished, admit, advance, release,
        steady, coast,
    )  # fmt: skip
    for helper in helpers:
        register_jitable(helper)
    try:
        function: Callable[..., None] = numba.njit(cache=True)(serve)
    except RuntimeError:  # no folder to keep the compiled code in
        function = numba.njit(serve)
    return function
