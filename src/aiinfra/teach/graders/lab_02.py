"""Graders of lab 02: eight unlabelled kernels, counted, placed, named and moved elsewhere.

The truth follows from the formulas of the pool and from the measurement that the learner was
shown, never from what the learner says. Each suspect earns a part of the point; in a choice from a
list only those beyond what the best single word would get right for all.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aiinfra.model.roofline import operator_time
from aiinfra.teach.graders.helpers import close_to, failed, number_of, passed
from aiinfra.teach.graders.suspect_truth import Shown, broken, impossible, truth_of
from aiinfra.teach.suspect_pool import KINDS
from aiinfra.teach.suspects import PRECISION, Case
from aiinfra.teach.verdict import Verdict

BOUNDS = ("memory", "compute", "neither")
MENDS = ("fewer bytes", "faster arithmetic", "more at once", "better addresses", "more per call")
_BY_TIME = ("bounds", "elsewhere", "mends")  # tasks whose truth follows from the evidence
NUMBER, TIME = "a number", "seconds or None"  # what else may be asked for each suspect
_IMPULSE = (
    "An output may depend on its own place, on a few neighbours or on everything: put an impulse "
    "in the middle and count the outputs that move."
)
_TESTS = {
    "streaming": _IMPULSE,
    "stencil": _IMPULSE,
    "reduction": "Count the numbers that come out, and swap two inputs: does it change them?",
    "indirect": "Where an argument holds whole numbers, find out what they are for.",
    "matrix product": "Compare the shapes: along which of them is something summed?",
    "arithmetic": "Set work against data: FLOP, or time, for each byte.",
    "chain": "Ask whether a step could begin before the one before it has ended.",
}
_PROMISE = "The roofline promises a time where a roof bounds the kernel here, and None elsewhere."
_RIDGE = "The other machine has another ridge: take the longer of the two times there."
_ONCE = "a formula is off by a few times: count the operations of one output, a multiply-add as 2"
_PASS = "ask of each argument whether it is read, written or both, and whether all of it is"
_LOOP = "a loop was missed, or counted too often: how often is each element used?"


def _asked(form: Sequence[Any] | str) -> Callable[[Any], Any]:
    """Mark a grader of one answer a suspect: plain data in, and wrong ones are counted."""

    def mark(grader: Any) -> Any:
        grader.plain_only = True
        grader.tries = lambda submission: _tried(grader.__name__, form, submission)
        return grader

    return mark


@_asked(KINDS)
def kinds(submission: Any, rng: Any) -> Verdict:
    """``{number: kind}``, one of seven kinds."""

    def judge(shown: Shown, answer: Any) -> str:
        return "" if answer in (shown.truth.kind, *shown.truth.also) else _TESTS[shown.truth.kind]

    return _each(submission, KINDS, judge, "Eight kernels recognised by what they do.")


@_asked(NUMBER)
def count(submission: Any, rng: Any) -> Verdict:
    """``{number: missing counter}``, FLOP or bytes of one call, within 10 %."""

    def judge(shown: Shown, answer: Any) -> str:
        truth, given = shown.truth, number_of(answer) or 0.0
        least, most = (
            (truth.flop, truth.most_flop) if truth.hidden == "flop" else (truth.n_bytes,) * 2
        )
        if 0.9 * least <= given <= 1.1 * most:
            return ""
        ratio = max(given / least, least / given) if given > 0 else math.inf
        if truth.hidden == "flop":
            return f"FLOP: {_LOOP if ratio > 20 else _ONCE}."
        return f"Bytes: {'8 of them make an element' if 7 < ratio < 9 else _PASS}."

    return _each(submission, NUMBER, judge, "All counters are there: time can be set against work.")


def place(submission: Callable[..., Any], rng: Any) -> Verdict:
    """``place(flop, n_bytes, seconds, peak, bandwidth)``: intensity, rate, share of the roof."""
    if not callable(submission):
        return failed("Pass the function itself: place, without parentheses.")
    cases = [
        (2e6, 24e6, 3e-3, 3e10, 1e10),
        (2e9, 1e6, 0.1, 3e10, 1e10),
        (3e9, 1e9, 0.2, 3e10, 1e10),
    ]
    for _ in range(30):
        low, high = [5, 5, -4, 9.5, 9.5], [10, 10, 0, 13, 12.5]
        a, b, c, d, e = (float(10**x) for x in rng.uniform(low, high))
        cases.append((a, b, c, d, e))
    for flop, n_bytes, seconds, peak, bandwidth in cases:
        told = f"For {flop:.3g} FLOP, {n_bytes:.3g} B, {seconds:.3g} s, roofs {peak:.3g} and"
        told = f"{told} {bandwidth:.3g}"
        answer = submission(flop, n_bytes, seconds, peak, bandwidth)
        answer = answer.tolist() if isinstance(answer, np.ndarray) else answer
        if not isinstance(answer, (list, tuple)) or len(answer) != 3:
            return failed(f"{told}: three numbers are asked for, intensity, rate and share.")
        roof = operator_time(flop, n_bytes, peak, bandwidth).seconds
        wanted = {"intensity": flop / n_bytes, "rate": flop / seconds, "share": roof / seconds}
        for (name, want), got in zip(wanted.items(), answer, strict=True):
            verdict = close_to(got, want, rtol=1e-6)
            if not verdict.passed:
                return failed(f"{told}: the {name} {verdict.message}")
    return passed("A dot and its distance to the roof, for any kernel and any machine.")


@_asked(BOUNDS)
def bounds(submission: Any, rng: Any) -> Verdict:
    """``{number: "memory", "compute" or "neither"}`` by the stated rule."""

    def judge(shown: Shown, answer: Any) -> str:
        if answer in shown.bounds():
            return ""
        if answer == "neither":
            return "First the share: what comes near enough to its roof is bound by it."
        if shown.bounds() == {"neither"}:
            return "First the share: what stays far below its roof is bound by something else."
        return "Then the intensity: on which side of the ridge?"

    return _each(submission, BOUNDS, judge, "Each kernel has its wall.")


@_asked(TIME)
def elsewhere(submission: Any, rng: Any) -> Verdict:
    """``{number: seconds on the target, None where neither roof bounds it}``, within 15 %."""
    case = _case_of(submission)
    praise = "Same share of another roof: a prediction to be tested there."
    if case is None:
        return _each(submission, TIME, lambda *_: "", praise)
    peak, bandwidth = _roofs_there(case)

    def judge(shown: Shown, answer: Any) -> str:
        bound, number = shown.bounds(), number_of(answer)
        if number is None:
            return "" if "neither" in bound else _PROMISE
        if bound == {"neither"}:
            return _PROMISE
        there = operator_time(shown.truth.flop, shown.truth.n_bytes, peak, bandwidth)
        if math.isclose(number, there.seconds / shown.share, rel_tol=0.15):
            return ""
        usual = {
            shown.seconds: "A time is still that of this machine.",
            there.seconds: "The share of the roof was left out: this is the least time there.",
            min(there.compute, there.memory) / shown.share: _RIDGE,
        }
        said = (text for wrong, text in usual.items() if math.isclose(number, wrong, rel_tol=0.05))
        return next(said, "From FLOP and bytes to the least time there, and from it by the share.")

    return _each(submission, TIME, judge, praise, (None,))


@_asked(MENDS)
def mends(submission: Any, rng: Any) -> Verdict:
    """``{number: remedy}``, one of five."""

    def judge(shown: Shown, answer: Any) -> str:
        if answer in shown.mends():
            return ""
        if shown.bounds() == {"neither"}:
            return "A remedy does not help with waiting: what is it that the kernel waits for?"
        return "A remedy leaves the wall where it is: memory and compute have one each."

    return _each(submission, MENDS, judge, "The mend follows from the wall.")


def _roofs_there(case: Case) -> tuple[float, float]:
    """Peak in FLOP/s and bandwidth in B/s of the machine to predict for."""
    return case.target.peaks[PRECISION], case.target.memory_bandwidth


def _case_of(submission: Any) -> Case | None:
    """The case that a submission is about, ``None`` where it says none."""
    evidence = submission.get("evidence") if isinstance(submission, dict) else None
    learner = evidence.get("learner") if isinstance(evidence, dict) else None
    return Case(learner) if isinstance(learner, str) else None


def _each(
    submission: Any,
    form: Sequence[Any] | str,
    judge: Callable[[Shown, Any], str],
    praise: str,
    constants: Sequence[Any] = (),
) -> Verdict:
    """Judge the answer to each suspect; tell how many are right and which idea is violated most.

    Which one is wrong stays unsaid, so that it has to be measured. What the best of the words
    gets right as the answer to all suspects, or a count from shapes alone, earns nothing.
    """
    case, told = _case_of(submission), _unreadable(submission, form)
    if told or case is None:
        return failed(told)
    measured, answer = _measured(case, submission["evidence"]), submission["answer"]
    numbers = list(measured)
    if told := impossible(measured):
        return failed(told)
    said = [judge(measured[k], answer[k]) for k in numbers if k in answer]
    right, wrong = said.count(""), [text for text in said if text]
    if right == len(numbers):
        return passed(praise)
    words = constants or (() if isinstance(form, str) else form)
    free = max((sum(not judge(measured[k], word) for k in numbers) for word in words), default=0)
    free = sum(shown.truth.naive for shown in measured.values()) if form == NUMBER else free
    earned = max(0, right - free) / max(1, len(numbers) - free)
    parts = [f"{right} of {len(numbers)} are right."]
    parts += [f"No answer yet for {len(numbers) - len(said)}."] if len(said) < len(numbers) else []
    parts += [max(sorted(set(wrong)), key=wrong.count)] if wrong else []
    return failed(" ".join(parts), earned)


def _measured(case: Case, evidence: dict[str, Any]) -> dict[int, Shown]:
    """What is so about each suspect, with its time and the roofs."""
    roofs = evidence["peak"], evidence["bandwidth"]
    times = enumerate(evidence["seconds"], start=1)
    return {k: Shown(truth_of(case, k), seconds, *roofs) for k, seconds in times}


def _unreadable(submission: Any, form: Sequence[Any] | str) -> str:
    """Say what is wrong with the form of a submission, if anything; its truth is not looked at."""
    case = _case_of(submission)
    if case is None:
        return "Pass case.claim(evidence, answer)."
    numbers, answer = range(1, len(case.suspects) + 1), submission.get("answer")
    if told := broken(submission["evidence"], len(numbers)):
        return told
    if submission.get("learner") != case.learner:
        return (
            f"The evidence is that of {case.learner!r}, the case that of "
            f"{submission.get('learner')!r}: run the cell that measures again."
        )
    if not isinstance(answer, dict):
        return "A dictionary is asked for, with the number of each suspect as key."
    if not answer:
        return "No suspect has an answer yet."
    if strange := [key for key in answer if type(key) is not int or key not in numbers]:
        return f"There is no suspect {strange[0]!r}; they are numbered 1 to {len(numbers)}."
    for number, given in answer.items():
        if told := _no_form(given, form):
            return f"Suspect {number}: {told}"
    return ""


def _no_form(given: Any, form: Sequence[Any] | str) -> str:
    """Say that one answer is not of the kind that is asked for."""
    shown = reprlib.repr(given)
    if not isinstance(form, str):
        known = isinstance(given, str) and given in form
        return "" if known else f"{shown} is none of {', '.join(form)}."
    if given is None and form == TIME:
        return ""
    number = number_of(given)
    if number is None:
        return f"{shown} is not {form}."
    return "" if math.isfinite(number) else f"{shown} is not a finite number."


def _tried(task: str, form: Sequence[Any] | str, submission: Any) -> str:
    """Name an answer, so that it is counted once; "" where it was not judged.

    The name holds all that a verdict depends on: the answers, numbers to two digits, and what the
    evidence makes true, so that the same answer after another measurement costs nothing more.
    """
    case = _case_of(submission)
    if _unreadable(submission, form) or case is None:
        return ""
    measured = _measured(case, submission["evidence"])
    if impossible(measured):
        return ""
    said = {}
    for number, given in sorted(submission["answer"].items()):
        value = number_of(given)
        if value is not None and form == TIME:  # against its truth: that moves with the evidence
            truth, share = measured[number].truth, measured[number].share
            there = operator_time(truth.flop, truth.n_bytes, *_roofs_there(case)).seconds
            value *= share / there
        said[number] = given if value is None else f"{value:.2g}"
    true = [sorted(shown.bounds()) for shown in measured.values()] if task in _BY_TIME else []
    return f"{case.learner} {said} {true}"
