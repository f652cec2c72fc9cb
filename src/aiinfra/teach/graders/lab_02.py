"""Graders of lab 02: eight unlabelled kernels, counted, placed, named and moved elsewhere.

The truth follows from the formulas of the pool and from the measurement that the learner was
shown, never from what the learner says. Each suspect earns a part of the point; in a choice from a
list only those beyond what the best single word would get right for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.model.roofline import operator_time
from aiinfra.teach.graders.helpers import close_to, failed, how_far, number_of, passed
from aiinfra.teach.suspect_pool import KINDS
from aiinfra.teach.suspects import PRECISION, Case, seal
from aiinfra.teach.verdict import Verdict

SHARE, MARGIN = 0.2, 1.3  # of the roof, and how near to a border both answers count
BOUNDS = ("memory", "compute", "neither")
MENDS = ("fewer bytes", "faster arithmetic", "more at once", "better addresses", "more per call")
_CLUES = {
    "streaming": "does each output depend on inputs of the same place alone?",
    "stencil": "change one input in the middle: which outputs move, and by what weights?",
    "reduction": "how many numbers come out, and does their order matter?",
    "indirect": "is there an argument of whole numbers, and what is it for?",
    "matrix product": "what do the shapes of the arguments have in common?",
    "arithmetic": "how does the time, or the FLOP, compare with the bytes?",
    "chain": "can a step begin before the one before it has ended?",
}


@dataclass(frozen=True)
class Truth:
    """What the checker knows of one suspect."""

    kind: str
    also: tuple[str, ...]
    flop: float
    most_flop: float
    n_bytes: float
    hidden: str
    small: bool


def _truth_of(case: Case, number: int) -> Truth:
    """What is so about a suspect."""
    suspect = case.suspects[number - 1]
    entry, work = suspect._entry, suspect._entry.work(suspect._n)
    hidden, most = "bytes" if suspect._shown == "flop" else "flop", work.flop * entry.most_flop
    return Truth(entry.kind, entry.also, work.flop, most, work.n_bytes, hidden, entry.small)


@dataclass(frozen=True)
class _Shown:
    """One suspect as it was measured: its truth, its seconds, and the roofs of the core."""

    truth: Truth
    seconds: float
    peak: float
    bandwidth: float

    @property
    def share(self) -> float:
        """Share of the roof that it reaches."""
        work = self.truth
        return (
            operator_time(work.flop, work.n_bytes, self.peak, self.bandwidth).seconds / self.seconds
        )

    @property
    def past_ridge(self) -> float:
        """Intensity over that of the ridge."""
        return self.truth.flop / self.truth.n_bytes * self.bandwidth / self.peak

    def bounds(self) -> set[str]:
        """What may be called the bound: two answers near a border."""
        found = {"neither"} if self.share < SHARE * MARGIN else set()
        if self.share > SHARE / MARGIN:
            found |= {"memory"} if self.past_ridge < MARGIN else set()
            found |= {"compute"} if self.past_ridge > 1 / MARGIN else set()
        return found

    def mends(self) -> set[str]:
        """What may be called the remedy."""
        known = {"memory": "fewer bytes", "compute": "faster arithmetic"}
        found = {known[bound] for bound in self.bounds() if bound in known}
        if "neither" in self.bounds():
            kinds = {self.truth.kind, *self.truth.also}
            found |= {"more per call"} if self.truth.small else set()
            found |= {"better addresses", "more at once"} if "indirect" in kinds else set()
            found |= {"more at once"} if not self.truth.small else set()
            dense = kinds & {"arithmetic", "matrix product"} and not self.truth.small
            found |= {"faster arithmetic"} if dense else set()
        return found


def kinds(submission: Any, rng: Any) -> Verdict:
    """``{number: kind}``, one of seven kinds."""

    def judge(number: int, shown: _Shown, answer: Any) -> str:
        if not isinstance(answer, str) or answer not in KINDS:
            return f"{answer!r} is none of {', '.join(KINDS)}."
        if answer in (shown.truth.kind, *shown.truth.also):
            return ""
        return f"no {answer}, or not mainly: {_CLUES[str(answer)]}"

    return _each(submission, judge, "Eight kernels recognised by what they do.", KINDS)


def count(submission: Any, rng: Any) -> Verdict:
    """``{number: missing counter}``, FLOP or bytes of one call, within 10 %."""

    def judge(number: int, shown: _Shown, answer: Any) -> str:
        want = shown.truth.flop if shown.truth.hidden == "flop" else shown.truth.n_bytes
        given, most = number_of(answer), 1.1 * shown.truth.most_flop
        if shown.truth.hidden == "flop" and given is not None and want <= given <= most:
            return ""
        verdict = close_to(
            answer, want, rtol=0.1, unit="FLOP" if shown.truth.hidden == "flop" else "B"
        )
        return "" if verdict.passed else f"{shown.truth.hidden}: {verdict.message}"

    return _each(submission, judge, "All counters are there: time can be set against work.")


def place(submission: Callable[..., Any], rng: Any) -> Verdict:
    """``place(flop, n_bytes, seconds, peak, bandwidth)``: intensity, rate, share of the roof."""
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


def bounds(submission: Any, rng: Any) -> Verdict:
    """``{number: "memory", "compute" or "neither"}`` by the stated rule."""

    def judge(number: int, shown: _Shown, answer: Any) -> str:
        if not isinstance(answer, str) or answer not in BOUNDS:
            return f"{answer!r} is none of {', '.join(BOUNDS)}."
        if answer in shown.bounds():
            return ""
        if answer == "neither":
            return "it comes too near to its roof for that."
        if shown.bounds() == {"neither"}:
            return "how far below the roof does it lie?"
        return "on which side of the ridge does it lie?"

    return _each(submission, judge, "Each kernel has its wall.", BOUNDS)


def elsewhere(submission: Any, rng: Any) -> Verdict:
    """``{number: seconds on the target, None where neither roof bounds it}``, within 15 %."""
    case = _case_of(submission)
    target = None if case is None else case.target

    def judge(number: int, shown: _Shown, answer: Any) -> str:
        if target is None:
            return "there is no case."
        if answer is None:
            return "" if "neither" in shown.bounds() else "its roof bounds it; it can be predicted."
        if shown.bounds() == {"neither"}:
            return "neither roof bounds it, so the roofline promises nothing: None."
        peak, bandwidth = target.peaks[PRECISION], target.memory_bandwidth
        work = shown.truth
        there = operator_time(work.flop, work.n_bytes, peak, bandwidth).seconds / shown.share
        number_given = number_of(answer)
        if number_given is None or not math.isfinite(number_given):
            return f"{answer!r} is no number of seconds."
        if math.isclose(number_given, there, rel_tol=0.15):
            return ""
        return f"the time is {how_far(number_given, there, 's')}."

    praise = "Same share of another roof: a prediction to be tested there."
    return _each(submission, judge, praise, (None,))


def mends(submission: Any, rng: Any) -> Verdict:
    """``{number: remedy}``, one of five."""

    def judge(number: int, shown: _Shown, answer: Any) -> str:
        if not isinstance(answer, str) or answer not in MENDS:
            return f"{answer!r} is none of {', '.join(MENDS)}."
        return "" if answer in shown.mends() else f"{answer!r} does not move what bounds it."

    return _each(submission, judge, "The mend follows from the wall.", MENDS)


def _case_of(submission: Any) -> Case | None:
    """The case that a submission is about, ``None`` where it says none."""
    evidence = submission.get("evidence") if isinstance(submission, dict) else None
    learner = evidence.get("learner") if isinstance(evidence, dict) else None
    return Case(learner) if isinstance(learner, str) else None


def _each(
    submission: Any,
    judge: Callable[[int, _Shown, Any], str],
    praise: str,
    constants: tuple[Any, ...] = (),
) -> Verdict:
    """Judge the answer to each suspect; name the first that is wrong, and how many are right.

    What the best of ``constants`` gets right as the answer to all suspects earns nothing.
    """
    case = _case_of(submission)
    if case is None:
        return failed("Pass case.claim(evidence, answer).")
    evidence, answer = submission["evidence"], submission.get("answer")
    numbers = range(1, len(case.suspects) + 1)
    told = _broken(evidence, len(numbers))
    if told:
        return failed(told)
    measured = {
        k: _Shown(_truth_of(case, k), evidence["seconds"][k - 1], evidence["peak"],
                  evidence["bandwidth"])
        for k in numbers
    }  # fmt: skip
    if told := _impossible(measured):
        return failed(told)
    if not isinstance(answer, dict):
        return failed("A dictionary is asked for, with the number of each suspect as key.")
    if strange := [key for key in answer if key not in numbers]:
        return failed(f"There is no suspect {strange[0]!r}; they are numbered 1 to {len(numbers)}.")
    wrong = []
    for number in numbers:
        given = number in answer
        said = judge(number, measured[number], answer[number]) if given else "no answer."
        if said:
            wrong.append(f"suspect {number}: {said}")
    if not wrong:
        return passed(praise)
    right = len(numbers) - len(wrong)
    free = max((sum(not judge(k, measured[k], c) for k in numbers) for c in constants), default=0)
    earned = max(0, right - free) / max(1, len(numbers) - free)
    return failed(f"{right} of {len(numbers)} are right. First wrong, {wrong[0]}", earned)


def _broken(evidence: dict[str, Any], count: int) -> str:
    """Say what is wrong with the evidence, if anything."""
    try:
        good = evidence["seal"] == seal(evidence)
        numbers = [*evidence["seconds"], evidence["peak"], evidence["bandwidth"]]
        if not good:
            return "The evidence was changed after it was measured: run the cell above again."
        if len(numbers) != count + 2 or not all(0 < x < math.inf for x in numbers):
            return "The evidence does not hold a time for each suspect: run the cell above again."
    except (KeyError, TypeError):
        return "The evidence is incomplete: run the cell that makes it again."
    return ""


def _impossible(measured: dict[int, _Shown]) -> str:
    """Say which time or roof no machine can have, if any."""
    again = "Measure again, with nothing else running."
    core = measured[1]
    if not all(1e8 <= x <= 1e13 for x in (core.peak, core.bandwidth)):
        return f"No core has a roof of {core.peak:.3g} FLOP/s and {core.bandwidth:.3g} B/s. {again}"
    if not 0.3 <= core.peak / core.bandwidth <= 100:
        return f"No core has a ridge at {core.peak / core.bandwidth:.3g} FLOP/B. {again}"
    for number, shown in measured.items():
        low, high = (0.0, 0.5) if shown.truth.kind == "chain" else (0.0, 2.0)
        if shown.truth.kind in ("streaming", "reduction", "arithmetic") and not shown.truth.small:
            low = 0.03
        if not low <= shown.share <= high:
            side = "short" if shown.share > high else "long"
            return f"The time of suspect {number} is too {side} for these roofs. {again}"
    return ""
