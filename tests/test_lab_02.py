"""Lab 02: every name gets a fair case, its truth is counted, and wrong answers hear where."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_02_answers import (
    BANDWIDTH,
    PEAK,
    RIGHT,
    WRONG,
    from_shapes,
    least,
    made_up,
    right_kinds,
    truths,
)
from lab_kit import Lab

from aiinfra.teach.check import tasks
from aiinfra.teach.graders.lab_02 import BOUNDS, MENDS
from aiinfra.teach.graders.suspect_truth import Shown, impossible
from aiinfra.teach.progress import Progress
from aiinfra.teach.suspect_pool import KINDS, POOL, Entry
from aiinfra.teach.suspects import MOST_FLOP, PRECISION, TARGETS, Case, Suspect, compiled

LAB = Lab("lab_02_roofline_detective")
TASKS = list(RIGHT)
NAMES = ["Ada", "grace", "Alan T.", "名前", ""]
SMALL = {"multiply": 16, "count": 4000, "chase": 6400, "apply": 40}  # else 64


def handed_in(task: str, case: Case, answer: Any) -> Any:
    return answer if task == "place" else case.claim(made_up(case), answer(case))


RIGHT_CASES = [(task, i, name) for task in TASKS for i in range(len(RIGHT[task])) for name in NAMES]
WRONG_CASES = [(task, i) for task in TASKS for i in range(len(WRONG[task]))]


@pytest.mark.parametrize(("task", "i", "name"), RIGHT_CASES)
def test_right_answers_pass_whatever_the_name(task: str, i: int, name: str) -> None:
    verdict = LAB.grade(task, handed_in(task, Case(name), RIGHT[task][i]))
    assert verdict.passed, verdict


@pytest.mark.parametrize(("task", "i"), WRONG_CASES)
@pytest.mark.parametrize("name", NAMES[:3])
def test_wrong_answers_fail_and_hear_why(task: str, i: int, name: str) -> None:
    answer, words, earned = WRONG[task][i]
    verdict = LAB.grade(task, handed_in(task, Case(name), answer))
    assert not verdict.passed
    assert re.search(words, verdict.message), verdict.message
    assert verdict.score < 1 if earned is None else verdict.score == pytest.approx(earned)


@pytest.mark.parametrize("name", NAMES)
def test_verdict_never_tells_the_kind(name: str) -> None:
    case = Case(name)
    for kind in KINDS:
        answer = dict.fromkeys(range(1, 9), kind)
        message = LAB.grade("kinds", case.claim(made_up(case), answer)).message
        assert not [other for other in KINDS if other != kind and f'"{other}"' in message]
        assert "pairs" not in message


def test_every_task_has_two_right_and_six_wrong_answers() -> None:
    assert {f"lab_02.{task}" for task in TASKS} == {t for t in tasks() if t.startswith("lab_02.")}
    assert all(len(RIGHT[task]) >= 2 and len(WRONG[task]) >= 6 for task in TASKS)


# --- evidence -----------------------------------------------------------------------------------


def test_truth_follows_the_measurement_and_not_the_claim() -> None:
    """The same claim is right with one measurement and wrong with another."""
    case = Case("Ada")
    number = next(n for n, t in truths(case).items() if t.kind == "stencil")
    slow = made_up(case, seconds={number: 10 * least(truths(case)[number])})
    answer = RIGHT["bounds"][0](case)
    assert LAB.grade("bounds", case.claim(made_up(case), answer)).passed
    verdict = LAB.grade("bounds", case.claim(slow, answer))
    assert "7 of 8 are right. First the share" in verdict.message
    assert LAB.grade("bounds", case.claim(slow, answer | {number: "neither"})).passed


@pytest.mark.parametrize("factor", [4.0, 10.0, 30.0])
@pytest.mark.parametrize("name", NAMES)
def test_times_that_put_all_kernels_below_their_roof_are_refused(name: str, factor: float) -> None:
    """Else "neither" for all would be right, on evidence that was slowed down by a factor."""
    case = Case(name)
    evidence = made_up(case)
    slow = case.evidence([factor * s for s in evidence["seconds"]], PEAK, BANDWIDTH)
    verdict = LAB.grade("bounds", case.claim(slow, dict.fromkeys(range(1, 9), "neither")))
    assert not verdict.passed
    assert "Measure both again" in verdict.message


@pytest.mark.parametrize(
    "change", [{"seconds": [1.0] * 8}, {"peak": 1.0}, {"learner": "grace"}, {"seal": "0"}]
)
def test_changed_evidence_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    case = Case("Ada")
    claim = case.claim(made_up(case) | change, right_kinds(case))
    assert "was changed" in LAB.apart("kinds", claim, tmp_path).message


@pytest.mark.parametrize(
    "submission",
    [3, "kinds", {1: "chain"}, {"evidence": None, "answer": {}}, {"evidence": {"learner": 3}}],
)
def test_answer_without_evidence_is_refused(submission: Any, tmp_path: Path) -> None:
    verdict = LAB.apart("kinds", submission, tmp_path)
    assert not verdict.passed
    assert "case.claim(evidence, answer)" in verdict.message


@pytest.mark.parametrize("seconds", [[1.0] * 7, [0.0] * 8, [float("nan")] * 8])
def test_times_that_cannot_be_are_refused(seconds: list[float]) -> None:
    case = Case("Ada")
    evidence = case.evidence(seconds, PEAK, BANDWIDTH)
    assert "a time for each" in LAB.grade("kinds", case.claim(evidence, {1: "chain"})).message


@pytest.mark.parametrize(
    ("seconds", "peak", "bandwidth"),
    [(1e9, 3e10, 1e10), (1e-12, 1e30, 1e10), (1e-15, 1e-3, 1e300), (1e-3, 1e12, 1e9)],
)
def test_evidence_of_no_machine_is_refused(seconds: float, peak: float, bandwidth: float) -> None:
    case = Case("Ada")
    evidence = case.evidence([seconds] * 8, peak, bandwidth)
    verdict = LAB.grade("bounds", case.claim(evidence, dict.fromkeys(range(1, 9), "neither")))
    assert verdict.score == 0
    assert "Measure both again" in verdict.message


@pytest.mark.parametrize(("ridge", "reached"), [(95.0, 0.3), (20.0, 0.3), (2.0, 0.3), (2.0, 0.16)])
@pytest.mark.parametrize("name", NAMES)
def test_evidence_that_makes_one_word_right_for_all_is_refused(
    name: str, ridge: float, reached: float
) -> None:
    """Seconds can be made up from the printed line, so that all kernels share one wall."""
    case, peak = Case(name), ridge * BANDWIDTH
    seconds = [least(truth, peak) / reached for truth in truths(case).values()]
    evidence = case.evidence(seconds, peak, BANDWIDTH)
    for task, words in (("bounds", BOUNDS), ("mends", MENDS)):
        for word in words:
            verdict = LAB.grade(task, case.claim(evidence, dict.fromkeys(range(1, 9), word)))
            assert not verdict.passed
            assert verdict.score == 0
            assert ridge < 25 or "No core has a ridge at 95" in verdict.message


def test_one_wall_is_refused_whatever_the_shares() -> None:
    """A share of 0.24 is within a factor of 1.3 of the border: "neither" is right for all."""
    truth = {k: replace(t, kind="stencil") for k, t in truths(Case("Ada")).items()}
    shown = {k: Shown(t, least(t) / 0.24, PEAK, BANDWIDTH) for k, t in truth.items()}
    allowed = {
        k: replace(one, truth=replace(one.truth, most_share=2.0)) for k, one in shown.items()
    }
    assert "No machine has one wall for all eight" in impossible(allowed)


def test_what_a_real_core_showed_is_accepted() -> None:
    folder = resources.files("aiinfra.facts") / "recorded" / LAB.source.path.stem
    kept = {
        experiment: {
            column["name"]: column["values"]
            for path in folder.iterdir()
            if path.name.startswith(experiment)
            for column in json.loads(path.read_text(encoding="utf-8"))["table"]
        }
        for experiment in ("line_up", "roofs")
    }
    case, roofs = Case("Ada"), (kept["roofs"]["peak"][0], kept["roofs"]["bandwidth"][0])
    evidence = case.evidence(kept["line_up"]["seconds"], *roofs)
    assert LAB.grade("kinds", case.claim(evidence, right_kinds(case))).passed


def test_evidence_of_another_name_says_so(tmp_path: Path) -> None:
    ada, grace = Case("Ada"), Case("grace")
    verdict = LAB.apart("kinds", grace.claim(made_up(ada), right_kinds(grace)), tmp_path)
    assert "The evidence is that of 'ada', the case that of 'grace'" in verdict.message
    assert "wrong answers" not in verdict.message


def test_name_with_half_a_character_is_a_name(tmp_path: Path) -> None:
    case = Case("A\ud800")
    assert LAB.apart("kinds", case.claim(made_up(case), right_kinds(case)), tmp_path).passed


def test_place_is_a_function(tmp_path: Path) -> None:
    assert "Pass the function itself" in LAB.apart("place", 3, tmp_path).message


def test_case_gives_neither_truth_nor_names_away() -> None:
    case = Case("Ada")
    assert not hasattr(case, "truth")
    for suspect in case.suspects:
        assert suspect._entry.body.__name__ not in repr(suspect.ready())
        assert compiled(suspect._entry.body).py_func.__name__ == "kernel"


def test_near_a_border_both_bounds_count() -> None:
    case = Case("Ada")
    number, truth = next((n, t) for n, t in truths(case).items() if t.kind == "stencil")
    roof = max(truth.flop / PEAK, truth.n_bytes / BANDWIDTH)
    evidence = made_up(case, seconds={number: roof / 0.19})
    for bound in ("memory", "neither"):
        answer = RIGHT["bounds"][0](case) | {number: bound}
        assert LAB.grade("bounds", case.claim(evidence, answer)).passed


# --- trying and trying again --------------------------------------------------------------------


@pytest.mark.parametrize("task", [task for task in TASKS if task != "place"])
def test_verdict_says_neither_which_is_wrong_nor_on_which_side(task: str) -> None:
    """One wrong answer at a time: the message is the same wherever it stands."""
    case = Case("grace")
    right = RIGHT[task][0](case)
    told: dict[str, set[str]] = {}
    for number in range(1, 9):
        others = KINDS if task == "kinds" else BOUNDS if task == "bounds" else MENDS
        wrong = [1e-9, 1e12] if task in ("count", "elsewhere") else others
        for value in wrong:
            message = LAB.grade(task, case.claim(made_up(case), right | {number: value})).message
            assert not re.search(r"[Ss]uspect|too (high|low)|\b(1e|None:)", message), message
            told.setdefault(message, set()).add(str(number))
    assert len(told) <= 7, "as many messages as suspects would name them"
    assert any(len(numbers) > 2 for numbers in told.values())


def blind(task: str, words: tuple[str, ...], case: Case, folder: Path) -> float:
    """Keep each word that makes more answers right, as somebody does who measures nothing."""
    answer, best, verdict = dict.fromkeys(range(1, 9), words[0]), -1, None
    for number in range(1, 9):
        for word in words:
            trial = answer | {number: word}
            verdict = LAB.apart(task, case.claim(made_up(case), trial), folder)
            right = 8 if verdict.passed else int(verdict.message[0])
            answer, best = (trial, right) if right > best else (answer, best)
    assert LAB.apart(task, case.claim(made_up(case), answer), folder).passed
    return float(Progress(folder / "progress.json").state()["checks"][f"lab_02.{task}"]["score"])


@pytest.mark.parametrize(("task", "words"), [("kinds", KINDS), ("bounds", BOUNDS)])
@pytest.mark.parametrize("name", NAMES[:3])
def test_blind_retry_does_not_pay(
    task: str, words: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    assert blind(task, words, Case(name), tmp_path) <= 0.5


def test_same_wrong_answer_costs_once_and_form_costs_nothing(tmp_path: Path) -> None:
    case = Case("Ada")
    right = right_kinds(case)
    for answer in [{}, {1: "fast"}, {9: "chain"}, [1], *[right | {1: "chain", 2: "chain"}] * 6]:
        verdict = LAB.apart("kinds", case.claim(made_up(case), answer), tmp_path)
    assert "Different wrong answers so far: 1. 3 are free" in verdict.message
    assert LAB.apart("kinds", case.claim(made_up(case), right), tmp_path).score == 1


def wrong_ones(task: str, folder: Path) -> int:
    state = Progress(folder / "progress.json").state()["checks"]
    return len(state[f"lab_02.{task}"].get("wrong", []))


def test_empty_answer_does_not_wipe_the_count(tmp_path: Path) -> None:
    case = Case("Ada")
    right = right_kinds(case)
    swaps = [right | {1: right[2], 2: right[1], 3: kind} for kind in KINDS]
    for answer in [*swaps[:3], {}, swaps[3]]:
        LAB.apart("kinds", case.claim(made_up(case), answer), tmp_path)
    assert wrong_ones("kinds", tmp_path) == 4


def test_numbers_that_differ_by_a_tenth_are_two_tries(tmp_path: Path) -> None:
    case = Case("Ada")
    for factor in (2.0, 2.2, 2.2001):
        LAB.apart("count", case.claim(made_up(case), {1: factor}), tmp_path)
    assert wrong_ones("count", tmp_path) == 2


@pytest.mark.parametrize(
    ("task", "wrong"), [("bounds", "memory"), ("mends", "fewer bytes"), ("elsewhere", None)]
)
def test_evidence_that_changes_what_is_true_makes_another_try(
    task: str, wrong: Any, tmp_path: Path
) -> None:
    """The same answer after a measurement that differs by noise costs nothing more."""
    case = Case("Ada")
    answer = dict.fromkeys(range(1, 9), wrong) | {1: wrong or 1.0}
    number = next(n for n, t in truths(case).items() if t.kind == "stencil")
    for factor, tries in ((1.0, 1), (1.001, 1), (6.0, 2)):
        seconds = {number: factor * made_up(case)["seconds"][number - 1]}
        LAB.apart(task, case.claim(made_up(case, seconds=seconds), answer), tmp_path)
        assert wrong_ones(task, tmp_path) == tries


def test_refused_measurement_is_no_wrong_answer(tmp_path: Path) -> None:
    case = Case("Ada")
    noisy = case.evidence([10 * s for s in made_up(case)["seconds"]], PEAK, BANDWIDTH)
    for task in ("kinds", "bounds"):
        answer = dict.fromkeys(range(1, 9), KINDS[0] if task == "kinds" else "memory")
        message = LAB.apart(task, case.claim(noisy, answer), tmp_path).message
        assert "Measure both again, line_up and roofs" in message
        assert wrong_ones(task, tmp_path) == 0


@pytest.mark.parametrize("name", [*NAMES, *map(str, range(40))])
def test_count_from_shapes_alone_earns_nothing(name: str) -> None:
    case = Case(name)
    verdict = LAB.grade("count", case.claim(made_up(case), from_shapes(case)))
    assert not verdict.passed
    assert verdict.score == 0


# --- what a notebook hands in -------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_untouched_stub_is_not_attempted(task: str, tmp_path: Path) -> None:
    stub, case = LAB.stub(task), Case("Ada")
    answer = stub if task == "place" else case.claim(made_up(case), stub())
    assert not LAB.apart(task, answer, tmp_path).attempted


def solved(case: Case, evidence: dict[str, Any]) -> dict[str, Any]:
    """The solutions of the source, in the notebook of this case."""
    scope, target = LAB.solutions, case.target
    there = target.peaks[PRECISION], target.memory_bandwidth
    rows = {"seconds": evidence["seconds"]}
    scope |= {"case": case, "timed": rows, "peak": PEAK, "bandwidth": BANDWIDTH, "there": there}
    scope["counted"] = scope["count"]()
    return scope


@pytest.mark.parametrize("name", [*NAMES, *map(str, range(15))])
def test_solutions_find_the_answers_of_any_case(name: str, tmp_path: Path) -> None:
    """They know no answer by heart: each follows from probing, shapes and times."""
    case = Case(name)
    evidence = made_up(case)
    scope = solved(case, evidence)
    for task in TASKS:
        answer = scope[task] if task == "place" else case.claim(evidence, scope[task]())
        verdict = LAB.grade(task, answer) if name else LAB.apart(task, answer, tmp_path)
        assert verdict.passed, verdict
        assert verdict.score == 1


def test_source_holds_no_table_of_answers() -> None:
    text = LAB.source.path.read_text()
    assert not re.search(r"\b[1-8]: *(\"|8 \*|[23] \*|16 \*|\d{3})", text)


@pytest.mark.parametrize("words", ["KeyError", "more memory"])
def test_place_that_breaks_fails_in_words(words: str, tmp_path: Path) -> None:
    def raises(*arguments: float) -> Any:
        raise KeyError("forgotten")

    def swells(*arguments: float) -> Any:
        return [0] * 10**11

    broken = raises if words == "KeyError" else swells
    assert words in LAB.apart("place", broken, tmp_path).message


# --- the pool -----------------------------------------------------------------------------------


def test_same_name_same_case() -> None:
    one, two, other = (repr(Case(name).suspects) for name in ("Ada", " ada ", "Bob"))
    assert one == two != other


def test_every_case_has_all_kinds_and_half_of_the_counters() -> None:
    seen = set()
    for name in map(str, range(60)):
        case = Case(name)
        kinds = [truth.kind for truth in truths(case).values()]
        assert len(kinds) == 8
        assert set(kinds) == set(KINDS)
        counters = [value for s in case.suspects for value in s.counters.values()]
        assert sum(value is None for value in counters) == 8
        assert case.target.slug in TARGETS
        seen |= {suspect._entry for suspect in case.suspects}
    assert seen == set(POOL), "an entry that nobody ever gets"


def test_suspect_hides_its_name_and_keeps_your_arrays() -> None:
    suspect = Case("Ada").suspects[0]
    assert suspect._entry.body.__name__ not in repr(suspect)
    arrays = suspect.inputs(6)
    copies = [array.copy() for array in arrays]
    suspect.probe(*arrays)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, copies, strict=True))


def suspect_of(name: str) -> Suspect:
    """A suspect with this kernel."""
    entry = next(entry for entry in POOL if entry.body.__name__ == name)
    return Suspect(1, entry, entry.sizes[0], 1, "flop")


@pytest.mark.parametrize("entry", POOL, ids=lambda e: e.body.__name__)
def test_probe_takes_what_the_hint_says(entry: Entry) -> None:
    """All zero but one, all one, one doubled that holds no positions."""
    suspect = Suspect(1, entry, entry.sizes[0], 1, "flop")
    for n in (8, 640):
        data = suspect.inputs(n)
        suspect.probe(*(np.ones_like(array) for array in data))
        for number, array in enumerate(data):
            impulse = [np.zeros_like(other) for other in data]
            impulse[number].flat[array.size // 2] = 1
            suspect.probe(*impulse)
            if array.dtype.kind == "f":
                suspect.probe(*(a * 2 if k == number else a for k, a in enumerate(data)))


@pytest.mark.parametrize("name", ["gather", "sparse", "chase", "count"])
@pytest.mark.parametrize("move", [lambda a: 2 * a, lambda a: a - 1])
def test_probe_refuses_positions_outside(name: str, move: Any) -> None:
    suspect = suspect_of(name)
    data = [move(a) if a.dtype.kind == "i" else a for a in suspect.inputs(640)]
    with pytest.raises(ValueError, match="holds positions, each from 0 to"):
        suspect.probe(*data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("axpy", (np.ones(8), np.ones(9))), ("axpy", (np.ones(8),)),
        ("axpy", (np.ones((8, 1)), np.ones((8, 1)))), ("axpy", (np.ones(8, complex),) * 2),
        ("gather", (np.ones(8), np.ones(8), np.ones(8))), ("axpy", (["a"] * 8,) * 2),
        ("sparse", (np.ones(8), np.ones((8, 3)), np.ones((8, 3), int), np.ones(8))),
        ("logistic", (np.ones(1), np.array([10**11]))), ("logistic", (np.ones(1), [-1])),
        ("pairs", (np.ones(10**6), np.ones(10**6))), ("multiply", (np.ones((4, 4)),) * 2),
    ],
)  # fmt: skip
def test_probe_refuses_in_one_sentence_what_cannot_run(name: str, data: Any) -> None:
    with pytest.raises(ValueError, match=r"argument|length|size") as caught:
        suspect_of(name).probe(*data)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert MOST_FLOP <= 1e9


class Meter:
    """FLOP, elements first read, and elements written, of one run."""

    def __init__(self) -> None:
        self.flop = 0
        self.read: set[tuple[int, int]] = set()
        self.written: set[tuple[int, int]] = set()


def counted(meter: Meter) -> type:
    """A float that counts what is done with it."""

    def operation(name: str) -> Any:
        def run(self: Any, other: Any) -> Any:
            meter.flop += 1
            return made(getattr(float, name)(self, other))

        return run

    names = ["add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv"]
    made: Any = type("Number", (float,), {f"__{n}__": operation(f"__{n}__") for n in names})
    return made


class Watch:
    """An array that notes which elements are read first or written."""

    def __init__(self, array: Any, places: Any, which: int, meter: Meter, number: Any) -> None:
        self.array, self.places, self.which = array, places, which
        self.meter, self.number = meter, number
        self.shape, self.size = array.shape, array.size

    def __getitem__(self, key: Any) -> Any:
        value = self.array[key]
        if isinstance(value, np.ndarray):
            return Watch(value, self.places[key], self.which, self.meter, self.number)
        place = (self.which, int(self.places[key]))
        if place not in self.meter.written:
            self.meter.read.add(place)
        return int(value) if self.array.dtype.kind == "i" else self.number(value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.meter.written.add((self.which, int(self.places[key])))
        self.array[key] = float(value)


@pytest.mark.parametrize("entry", POOL, ids=lambda e: e.body.__name__)
def test_formula_counts_what_an_instrumented_run_does(entry: Entry) -> None:
    n = SMALL.get(entry.body.__name__, 64)
    meter = Meter()
    number = counted(meter)
    data = entry.data(np.random.default_rng(1), n)
    places = (np.arange(array.size).reshape(array.shape) for array in data)
    watched = [
        Watch(array, place, which, meter, number)
        for which, (array, place) in enumerate(zip(data, places, strict=True))
    ]
    entry.body(*watched)
    work = entry.work(n)
    assert work.flop == pytest.approx(meter.flop, rel=0.08)
    assert work.read == pytest.approx(8 * len(meter.read), rel=0.08, abs=16)
    assert work.written == pytest.approx(8 * len(meter.written), rel=0.08, abs=16)


@pytest.mark.parametrize("entry", POOL, ids=lambda e: e.body.__name__)
def test_compiled_kernel_does_the_same_as_python(entry: Entry) -> None:
    n = 13
    results = []
    for body in (entry.body, compiled(entry.body)):
        data = entry.data(np.random.default_rng(2), n)
        results.append([*data, body(*data) or 0.0])
    for one, two in zip(*results, strict=True):
        assert np.allclose(one, two, rtol=1e-6)


def test_words_of_the_lab_are_those_of_the_checker() -> None:
    text = LAB.source.path.read_text()
    assert not [word for word in (*KINDS, *BOUNDS, *MENDS) if f'`"{word}"`' not in text]
