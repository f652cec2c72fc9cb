"""Right and wrong answers to lab 02: functions of a case and its evidence that return an answer."""

from __future__ import annotations

import numpy as np

from aiinfra.model.roofline import operator_time
from aiinfra.teach.graders.suspect_truth import truth_of
from aiinfra.teach.suspect_pool import KINDS

PEAK, BANDWIDTH = 60e9, 30e9  # FLOP/s and B/s of the core on which the tests' evidence was made up
SHARES = {"chain": 0.02, "indirect": 0.08, "arithmetic": 0.5, "matrix product": 0.6}


def truths(case):
    return {suspect.number: truth_of(case, suspect.number) for suspect in case.suspects}


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


def from_shapes(case):
    """Bytes of all arguments, or two FLOP for each element of the largest: a guess."""
    return {
        s.number: s.working_set if s.counters["bytes"] is None
        else 2 * max(int(np.prod(shape)) for shape in s.shapes)
        for s in case.suspects
    }  # fmt: skip


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

RIGHT_OF = r"\d of 8 are right\. "
WRONG = {
    "kinds": [
        (each(lambda t: "streaming"), RIGHT_OF, None),
        (but_one(right_kinds, "fast"), "Suspect 8: 'fast' is none of", 0),
        (each(lambda t: KINDS[(KINDS.index(t.kind) + 1) % 7]), RIGHT_OF + "[A-Z]", None),
        (but_the_last(right_kinds), "7 of 8 are right. No answer yet for 1", None),
        (lambda case: list(right_kinds(case).values()), "A dictionary is asked for", 0),
        (lambda case: right_kinds(case) | {9: "chain"}, "no suspect 9", 0),
        (each(lambda t: True), "True is none of", 0),
        (each(lambda t: ["chain"]), "is none of", 0),
        (lambda case: {str(n): k for n, k in right_kinds(case).items()}, "no suspect '1'", 0),
        (lambda case: {float(n): k for n, k in right_kinds(case).items()}, "no suspect 1.0", 0),
        (lambda case: {True: "chain"}, "no suspect True", 0),
    ],
    "count": [
        (each(lambda t: missing(t) / 2), "0 of 8 .*(operations of one|read, written or both)", 0),
        (each(lambda t: missing(t) / 8), "0 of 8 .*(operations of one|8 of them)", 0),
        (each(lambda t: t.flop + t.n_bytes - missing(t)), RIGHT_OF, None),
        (each(lambda t: missing(t) / 1000), "0 of 8 .*(a loop was missed|read, written)", 0),
        (each(lambda t: 1.7 * missing(t)), "0 of 8", 0),
        (each(lambda t: "many"), "Suspect 1: 'many' is not a number", 0),
        (but_one(right_counts, float("nan")), "Suspect 8: nan is not a finite number", 0),
        (but_one(right_counts, 0), "7 of 8", None),
        (but_one(right_counts, -1.0), "7 of 8", None),
        (but_one(right_counts, None), "Suspect 8: None is not a number", 0),
        (but_the_last(right_counts), "No answer yet for 1", None),
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
        (each(lambda t: "memory"), RIGHT_OF, 0),
        (each(lambda t: "compute"), RIGHT_OF, 0),
        (each(lambda t: "neither"), "First the share: what comes near", None),
        (each(lambda t: {"memory": "compute"}.get(bound(t), bound(t))), "side of the ridge", None),
        (each(lambda t: "latency"), "'latency' is none of", 0),
        (each(lambda t: bound(t) if bound(t) != "neither" else "memory"), "stays far below", None),
        (but_the_last(right_bounds), "No answer yet for 1", None),
    ],
    "elsewhere": [
        (each_there(lambda case, t: least(t) / share(t)), "promises|this machine", None),
        (each_there(lambda case, t: least(t, *_roofs(case))), "promises|left out", None),
        (each_there(lambda case, t: least(t, *_roofs(case)) / share(t)), "promises a time", None),
        (
            each_there(lambda case, t: None if bound(t) == "neither" else least(t, *_roofs(case))),
            "The share of the roof was left out",
            None,
        ),
        (
            each_there(lambda case, t: None if bound(t) == "neither" else least(t) / share(t)),
            "still that of this machine",
            None,
        ),
        (each_there(lambda case, t: None if bound(t) == "neither" else 1.0), "From FLOP", None),
        (
            each_there(lambda case, t: None if bound(t) == "neither" else 1e400),
            "inf is not a finite number",
            0,
        ),
        (but_one(each(lambda t: None), 1.0), "promises a time", None),
        (each_there(lambda case, t: (seconds_there(case, t) or 1) * 1e3), RIGHT_OF, None),
        (each(lambda t: "soon"), "Suspect 1: 'soon' is not seconds or None", 0),
    ],
    "mends": [
        (each(lambda t: "fewer bytes"), "A remedy", None),
        (each(lambda t: "faster arithmetic"), "A remedy", None),
        (each(lambda t: "more at once"), "leaves the wall where it is", None),
        (each(lambda t: "more per call"), "A remedy", None),
        (each(lambda t: "better addresses"), "A remedy", None),
        (each(lambda t: "a new machine"), "is none of", 0),
        (but_the_last(right_mends), "No answer yet for 1", None),
    ],
}


def _roofs(case):
    return case.target.peaks["fp64"], case.target.memory_bandwidth
