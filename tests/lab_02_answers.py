"""Right and wrong answers to lab 02: functions of a case and its evidence that return an answer."""

from __future__ import annotations

import numpy as np

from aiinfra.model.roofline import operator_time
from aiinfra.teach.graders.lab_02 import _truth_of
from aiinfra.teach.suspect_pool import KINDS

PEAK, BANDWIDTH = 60e9, 30e9  # FLOP/s and B/s of the core on which the tests' evidence was made up
SHARES = {"chain": 0.02, "indirect": 0.08, "arithmetic": 0.5, "matrix product": 0.6}


def truths(case):
    return {suspect.number: _truth_of(case, suspect.number) for suspect in case.suspects}


def least(truth, peak=PEAK, bandwidth=BANDWIDTH):
    return operator_time(truth.flop, truth.n_bytes, peak, bandwidth).seconds


def share(truth):
    return 0.005 if truth.small else SHARES.get(truth.kind, 0.8)


def made_up(case, **changed):
    """Evidence in which each kind reaches its share of the roof."""
    seconds = {number: least(truth) / share(truth) for number, truth in truths(case).items()}
    return case.evidence(seconds | changed.pop("seconds", {}), PEAK, BANDWIDTH)


def bound(truth):
    if share(truth) < 0.2:
        return "neither"
    return "memory" if truth.flop / truth.n_bytes < PEAK / BANDWIDTH else "compute"


def missing(truth):
    return truth.flop if truth.hidden == "flop" else truth.n_bytes


def mend(truth):
    if truth.small:
        return "more per call"
    known = {"memory": "fewer bytes", "compute": "faster arithmetic"}
    waits = {"indirect": "better addresses"}.get(truth.kind, "more at once")
    return known.get(bound(truth), waits)


def seconds_there(case, truth):
    if bound(truth) == "neither":
        return None
    return least(truth, case.target.peaks["fp64"], case.target.memory_bandwidth) / share(truth)


def each(answer):
    """Answer for every suspect with a function of its truth."""
    return lambda case: {number: answer(truth) for number, truth in truths(case).items()}


def each_there(answer):
    return lambda case: {number: answer(case, truth) for number, truth in truths(case).items()}


def but_one(right, wrong):
    """Right for all but the last suspect."""
    return lambda case: {**right(case), 8: wrong}


def but_the_last(right):
    return lambda case: {number: value for number, value in right(case).items() if number < 8}


def place_by_rates(flop, n_bytes, seconds, peak, bandwidth):
    intensity = flop / n_bytes
    return [intensity, flop / seconds, flop / seconds / min(peak, intensity * bandwidth)]


def place_by_hand(flop, n_bytes, seconds, peak, bandwidth):
    least_seconds = max(flop / peak, n_bytes / bandwidth)
    return flop / n_bytes, flop / seconds, least_seconds / seconds


def place_in_an_array(flop, n_bytes, seconds, peak, bandwidth):
    return np.array(place_by_hand(flop, n_bytes, seconds, peak, bandwidth))


def place_upside_down(flop, n_bytes, seconds, peak, bandwidth):
    return n_bytes / flop, flop / seconds, max(flop / peak, n_bytes / bandwidth) / seconds


def place_in_bytes(flop, n_bytes, seconds, peak, bandwidth):
    return flop / n_bytes, n_bytes / seconds, max(flop / peak, n_bytes / bandwidth) / seconds


def place_under_the_peak_alone(flop, n_bytes, seconds, peak, bandwidth):
    return flop / n_bytes, flop / seconds, flop / seconds / peak


def place_one_after_the_other(flop, n_bytes, seconds, peak, bandwidth):
    return flop / n_bytes, flop / seconds, (flop / peak + n_bytes / bandwidth) / seconds


def place_below_both(flop, n_bytes, seconds, peak, bandwidth):
    return flop / n_bytes, flop / seconds, min(flop / peak, n_bytes / bandwidth) / seconds


def place_of_distance(flop, n_bytes, seconds, peak, bandwidth):
    return flop / n_bytes, flop / seconds, seconds / max(flop / peak, n_bytes / bandwidth)


def place_of_none(flop, n_bytes, seconds, peak, bandwidth):
    flop / n_bytes


def place_of_one_number(flop, n_bytes, seconds, peak, bandwidth):
    return flop / n_bytes


def place_of_the_example(flop, n_bytes, seconds, peak, bandwidth):
    return 2e6 / 24e6, 2e6 / 3e-3, 0.8


right_kinds = each(lambda t: t.kind)
right_counts = each(missing)
right_bounds = each(bound)
right_mends = each(mend)
right_times = each_there(seconds_there)

RIGHT = {
    "kinds": [right_kinds, each(lambda t: (*t.also, t.kind)[0])],
    "count": [
        right_counts,
        each(lambda t: round(1.08 * missing(t))),
        each(lambda t: t.most_flop if t.hidden == "flop" else t.n_bytes),
    ],
    "place": [place_by_rates, place_by_hand, place_in_an_array],
    "bounds": [right_bounds, lambda case: dict(reversed(right_bounds(case).items()))],
    "elsewhere": [
        right_times,
        lambda case: {n: t and 1.1 * t for n, t in right_times(case).items()},
    ],
    "mends": [
        right_mends,
        each(lambda t: "more at once" if mend(t) == "better addresses" else mend(t)),
    ],
}

NUMBER = r"First wrong, suspect \d: "
WRONG = {
    "kinds": [
        (each(lambda t: "streaming"), NUMBER + "no streaming", None),
        (but_one(right_kinds, "fast"), "7 of 8 .*'fast' is none of", None),
        (each(lambda t: KINDS[(KINDS.index(t.kind) + 1) % 7]), NUMBER + "no ", None),
        (but_the_last(right_kinds), "7 of 8 .*no answer", None),
        (lambda case: list(right_kinds(case).values()), "A dictionary is asked for", 0),
        (lambda case: right_kinds(case) | {9: "chain"}, "no suspect 9", 0),
        (each(lambda t: True), "True is none of", 0),
        (each(lambda t: ["chain"]), "is none of", 0),
        (lambda case: {str(n): k for n, k in right_kinds(case).items()}, "no suspect '1'", 0),
    ],
    "count": [
        (each(lambda t: missing(t) / 2), NUMBER + ".*factor of 2", 0),
        (each(lambda t: missing(t) / 8), NUMBER, 0),
        (each(lambda t: t.flop + t.n_bytes - missing(t)), NUMBER, None),
        (each(lambda t: 1.7 * missing(t)), "too high", 0),
        (each(lambda t: "many"), "A number is asked for", 0),
        (but_one(right_counts, float("nan")), "not a finite number", 7 / 8),
        (but_one(right_counts, 0), "7 of 8", 7 / 8),
        (but_one(right_counts, None), "7 of 8", 7 / 8),
        (but_the_last(right_counts), "no answer", 7 / 8),
    ],
    "place": [
        (place_upside_down, "the intensity", 0),
        (place_in_bytes, "the rate", 0),
        (place_under_the_peak_alone, "the share", 0),
        (place_one_after_the_other, "the share", 0),
        (place_below_both, "the share", 0),
        (place_of_distance, "the share", 0),
        (place_of_none, "three numbers", 0),
        (place_of_one_number, "three numbers", 0),
        (place_of_the_example, "For 2e.09 FLOP", 0),
    ],
    "bounds": [
        (each(lambda t: "memory"), NUMBER, 0),
        (each(lambda t: "compute"), NUMBER, 0),
        (each(lambda t: "neither"), "too near to its roof", None),
        (each(lambda t: {"memory": "compute"}.get(bound(t), bound(t))), "side of the ridge", None),
        (each(lambda t: "latency"), "'latency' is none of", 0),
        (each(lambda t: bound(t) if bound(t) != "neither" else "memory"), "below the roof", None),
        (but_the_last(right_bounds), "no answer", None),
    ],
    "elsewhere": [
        (each_there(lambda case, t: least(t) / share(t)), NUMBER, None),
        (each_there(lambda case, t: least(t, *_roofs(case))), NUMBER, None),
        (each_there(lambda case, t: least(t, *_roofs(case)) / share(t)), "promises nothing", None),
        (each_there(lambda case, t: None if bound(t) == "neither" else 1.0), "the time is", None),
        (
            each_there(lambda case, t: None if bound(t) == "neither" else 1e400),
            "no number of",
            None,
        ),
        (but_one(each(lambda t: None), 1.0), "it can be predicted|promises nothing", None),
        (each_there(lambda case, t: (seconds_there(case, t) or 1) * 1e3), NUMBER, None),
        (each(lambda t: "soon"), NUMBER, 0),
    ],
    "mends": [
        (each(lambda t: "fewer bytes"), "does not move what bounds it", None),
        (each(lambda t: "faster arithmetic"), "does not move what bounds it", None),
        (each(lambda t: "more at once"), "does not move what bounds it", None),
        (each(lambda t: "more per call"), "does not move what bounds it", None),
        (each(lambda t: "better addresses"), "does not move what bounds it", None),
        (each(lambda t: "a new machine"), "is none of", 0),
        (but_the_last(right_mends), "no answer", None),
    ],
}


def _roofs(case):
    return case.target.peaks["fp64"], case.target.memory_bandwidth
