"""Lab 03: solutions and other right parts pass, wrong ones fail and hear why, time is exact."""

from __future__ import annotations

import itertools
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_03_answers import (
    RIGHT,
    WRONG,
    evict_a_random_used_one,
    evict_farthest,
    requests_one_each,
    share_out_in_stacks,
    split_from_a_classmate,
    split_from_another_classmate,
    split_of_whole_shards,
    split_that_writes,
)
from lab_kit import Lab

from aiinfra.model.pipeline import Floats, pipeline
from aiinfra.teach import tried, watchdog
from aiinfra.teach.check import tasks
from aiinfra.teach.graders.loader_blame import blame
from aiinfra.teach.graders.loader_cases import fewest_reads, scattered
from aiinfra.teach.graders.loader_job import PARTS, PLIGHTS, Job, make_job, run_job
from aiinfra.teach.graders.loader_rules import Wrong, depth_of, peak_held, read_seconds

LAB = Lab("lab_03_starved_loader")
TASKS = list(RIGHT)


def solution(name: str) -> Any:
    return LAB.solutions[name]


def submission(task: str, function: Any) -> Any:
    """What the notebook hands in: one function, or all six with this one as the last."""
    if task != "rescue":
        return function
    return [*(solution(name) for name in PARTS[:-1]), function]


def own(task: str) -> Any:
    return submission(task, solution("split" if task == "rescue" else task))


RIGHT_CASES = [(task, part) for task, parts in RIGHT.items() for part in parts]
WRONG_CASES = [(task, *case) for task, cases in WRONG.items() for case in cases]


def name_of(value: Any) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize("task", TASKS)
def test_solution_scores_full_marks(task: str, tmp_path: Path) -> None:
    verdict = LAB.apart(task, own(task), tmp_path)
    assert verdict.passed, verdict
    assert verdict.score == 1


@pytest.mark.parametrize("task", TASKS)
def test_solution_passes_whatever_the_dice_say(task: str) -> None:
    for seed in range(3):
        assert (verdict := LAB.grade(task, own(task), seed)).passed, verdict


@pytest.mark.parametrize("seed", range(20))
def test_solution_rescues_every_job_that_is_drawn(seed: int) -> None:
    verdict = LAB.grade("rescue", own("rescue"), seed)
    assert verdict.passed, verdict
    assert verdict.score == 1


@pytest.mark.parametrize(
    ("split", "least"),
    [(split_from_a_classmate, 20), (split_from_another_classmate, 8), (split_of_whole_shards, 20)],
)
def test_recipe_that_does_not_look_at_the_job_fails(split: Any, least: int) -> None:
    passes = [LAB.grade("rescue", submission("rescue", split), s).passed for s in range(20)]
    assert passes.count(False) >= least


def could_fit(job: Job, buffer: int, cache: Floats, piece: int) -> Floats:
    """Tell what may keep idle to 5 %: it fits, a piece is in time, the misses are not too many.

    What the first batch reads, at most a full buffer and a batch, is not counted as idle.
    """
    ends = np.concatenate(([0], np.cumsum(job.size)))
    in_time = (ends[piece::piece] - ends[:-piece:piece]).max() / job.bandwidth + job.latency
    missed = 2 * (job.samples - cache) - buffer - job.batch
    read = missed * (0.97 * job.size.mean() / job.bandwidth + job.latency / piece)
    busy = 2 * job.samples / job.batch * job.step
    fits = (job.memory - buffer - cache >= job.batch) & (buffer >= piece)
    return fits & (in_time <= job.deadline) & (read <= busy / 0.95 + 5 * job.step)


def test_no_constant_split_fits_all_four_jobs() -> None:
    caches = np.arange(0, 6000, 50)
    passed = {(b, p): np.zeros(len(caches)) for b in (48, 120, 240, 400) for p in (6, 10, 14, 20)}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        jobs = [make_job(rng, plight) for plight in PLIGHTS]
        for buffer, piece in passed:
            fits = [could_fit(job, buffer, caches, piece) for job in jobs]
            passed[buffer, piece] += np.all(fits, axis=0)
        for job in jobs:
            buffer, cache, piece = solution("split")(job)
            assert could_fit(job, buffer, np.array(cache), piece), "a necessary condition is none"
    assert max(counts.max() for counts in passed.values()) == 0


@pytest.mark.parametrize("share", [0.4, 0.45, 0.5, 0.55])
def test_no_constant_share_of_the_samples_fits_all_four_jobs(share: float) -> None:
    def split(job: Job) -> tuple[int, int, int]:
        return 112, int(share * job.samples), 14

    for seed in range(5):
        assert not LAB.grade("rescue", submission("rescue", split), seed).passed


@pytest.mark.parametrize("plight", ["large shards", "short deadline"])
def test_whole_shards_cannot_be_read_everywhere(plight: str) -> None:
    mine = dict(zip(PARTS, own("rescue"), strict=True))
    for seed in range(10):
        job = make_job(np.random.default_rng(seed), plight)
        longest = max(map(len, job.shards))
        room = job.memory - int(job.mixed) * longest - job.batch
        said = ""
        try:
            idle = run_job(job, {**mine, "split": lambda j, a=5 * longest, b=room: (a, b)}).idle
        except Wrong as problem:
            said, idle = str(problem), 1.0
        assert re.search("gives up|are left|must be", said) or idle > 0.05


def test_request_beyond_its_piece_is_blamed_on_requests() -> None:
    parts = own("rescue")
    parts[0] = lambda places, *_: [(shard, 0, 10**12) for shard in {p[0] for p in places}]
    assert "`requests`: 1e+06 MB in one request" in LAB.grade("rescue", parts, 0).message


def test_slow_decoding_takes_nine_tenths_of_a_step_at_best() -> None:
    """Then shares come before depth: in stacks no depth is enough, whatever the store does."""
    mine = dict(zip(PARTS, own("rescue"), strict=True))
    for seed in range(5):
        job = make_job(np.random.default_rng(seed), "slow decoding")
        best = run_job(job, mine)
        assert best.decode.mean() / job.step == pytest.approx(0.9, abs=0.04)
        stacked = run_job(job, {**mine, "share_out": share_out_in_stacks})
        assert stacked.depth is None
        assert "The decoding takes" in blame(job, stacked)


@pytest.mark.parametrize(("task", "part"), RIGHT_CASES, ids=name_of)
def test_unexpected_but_right_parts_pass(task: str, part: Any) -> None:
    for seed in range(2):
        assert (verdict := LAB.grade(task, submission(task, part), seed)).passed, verdict


@pytest.mark.parametrize(
    ("task", "part"), [case for case in RIGHT_CASES if case[0] != "rescue"], ids=name_of
)
def test_any_right_part_rescues_the_job(task: str, part: Any) -> None:
    parts = own("rescue")
    parts[PARTS.index(task)] = part
    for seed in range(3):
        assert (verdict := LAB.grade("rescue", parts, seed)).passed, verdict


@pytest.mark.parametrize(("task", "part", "words", "earned"), WRONG_CASES, ids=name_of)
def test_wrong_parts_fail_and_hear_why(
    task: str, part: Any, words: str, earned: float | None
) -> None:
    for seed in range(1 if task == "rescue" else 3):
        verdict = LAB.grade(task, submission(task, part), seed)
        assert not verdict.passed, f"passed with seed {seed}"
        assert re.search(words, verdict.message), verdict.message
        assert verdict.score < 1 if earned is None else verdict.score == earned, verdict


def test_every_task_has_two_right_and_six_wrong_answers() -> None:
    assert {f"lab_03.{task}" for task in TASKS} == {t for t in tasks() if t.startswith("lab_03.")}
    assert all(len(RIGHT[task]) >= 2 and len(WRONG[task]) >= 6 for task in TASKS)


# --- what a notebook hands in -------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_untouched_stub_is_not_attempted(task: str, tmp_path: Path) -> None:
    names = PARTS if task == "rescue" else (task,)
    stubs = [LAB.stub(name) for name in names]
    assert not LAB.apart(task, stubs if task == "rescue" else stubs[0], tmp_path).attempted


def test_rescue_names_the_part_that_is_still_a_stub(tmp_path: Path) -> None:
    parts = own("rescue")
    parts[1] = LAB.stub("order")
    verdict = LAB.apart("rescue", parts, tmp_path)
    assert not verdict.passed
    assert "`order`: nothing was returned" in verdict.message


def test_stub_draws_nothing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert tried(LAB.stub("requests"), lambda part: pytest.fail("used")) is None
    assert "Write the function first" in capsys.readouterr().out


@pytest.fixture
def notebook() -> dict[str, Any]:
    """The names of the notebook after all cells but the set-up; nothing tried, checked, drawn."""
    scope: dict[str, Any] = {}
    for cell in LAB.cells[1:]:
        exec(re.sub(r"(?m)^(tried|check|score)\(.*$", "", cell), scope)
        scope["timeline"] = lambda *_, **__: "drawn"
    return scope


FIGURES = {
    "requests": "in_windows",
    "order": "whole_shards",
    "evict": "with_cache",
    "share_out": "one_batch",
    "prefetch": "in_bursts",
}


def test_figures_take_every_right_part(notebook: dict[str, Any]) -> None:
    for task, figure in FIGURES.items():
        for part in (*RIGHT[task], solution(task)):
            assert tried(part, notebook[figure]) == "drawn", (task, part)


def test_figures_say_in_words_what_is_wrong(
    notebook: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for task, figure in FIGURES.items():
        for part, *_ in WRONG[task]:
            drawn = tried(part, notebook[figure])
            said = capsys.readouterr().out
            assert drawn == "drawn" or "It does not work yet" in said
            assert not re.search("(Type|Value|Index|Key)Error", said), (part, said)


def test_function_that_ends_the_program_draws_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert tried(leaves, lambda part: part()) is None
    assert "ends the program" in capsys.readouterr().out


def test_trial_that_does_not_end_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watchdog, "SECONDS", 0.2)
    alarm = getattr(signal, "SIGALRM", signal.SIGINT)  # Windows has none
    before = signal.getsignal(alarm)
    assert tried(spins, lambda part: part()) is None
    assert "Stopped after" in capsys.readouterr().out
    assert signal.getsignal(alarm) is before


def test_trial_on_another_thread_is_stopped_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Windows, which has no ``SIGALRM``."""
    monkeypatch.setattr(watchdog, "SECONDS", 0.2)
    thread = threading.Thread(target=tried, args=(spins, lambda part: part()), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert "Stopped after" in capsys.readouterr().out


def test_trial_that_catches_everything_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn() -> None:
        try:
            spins()
        except:  # noqa: E722
            spins()

    monkeypatch.setattr(watchdog, "SECONDS", 0.2)
    assert tried(stubborn, lambda part: part()) is None


@pytest.mark.parametrize("way", [watchdog.watchdog, watchdog._by_thread])
def test_what_ends_in_time_is_left_alone_afterwards(way: Any) -> None:
    with way(0.05):
        pass
    stop = time.monotonic() + 0.15
    while time.monotonic() < stop:
        pass


def test_split_cannot_spoil_the_job() -> None:
    job = make_job(np.random.default_rng(3))
    size = job.size.copy()
    with pytest.raises(ValueError, match="read-only"):
        split_that_writes(job)
    assert (job.size == size).all()


def test_cache_of_single_samples_is_blamed_for_its_gaps() -> None:
    parts = own("rescue")
    parts[2] = evict_a_random_used_one
    for seed in range(3):
        assert LAB.grade("evict", evict_a_random_used_one, seed).passed
        verdict = LAB.grade("rescue", parts, seed)
        assert re.search(r"\d\d % of the bytes read are gaps: .* not whole pieces", verdict.message)


def test_depth_may_be_an_array_of_one() -> None:
    assert depth_of(np.array([3]), 4) == 3


def test_failing_part_draws_nothing_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert tried(requests_one_each, lambda part: part()) is None
    assert "TypeError" in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS[:5])
def test_cell_with_a_syntax_error_leaves_the_stub(task: str, tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    stub = LAB.stub(task, scope)
    with pytest.raises(SyntaxError):
        exec(LAB.stub_cell(task).replace("    ...", "    return ["), scope)
    assert not LAB.apart(task, stub, tmp_path).attempted


def raises(*arguments: Any) -> Any:
    raise KeyError("forgotten")


def spins(*arguments: Any) -> Any:
    while True:
        pass


def swells(*arguments: Any) -> Any:
    return [0] * 10**11


def leaves(*arguments: Any) -> Any:
    raise SystemExit


@pytest.mark.parametrize("task", ["order", "rescue"])
@pytest.mark.parametrize(
    ("part", "words"), [(raises, "KeyError"), (swells, "more memory"), (leaves, "error|ended")]
)
def test_part_that_breaks_fails_in_words(task: str, part: Any, words: str, tmp_path: Path) -> None:
    verdict = LAB.apart(task, submission(task, part), tmp_path)
    assert not verdict.passed
    assert verdict.score == 0
    assert re.search(words, verdict.message), verdict.message


def test_part_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiinfra.teach.check import find_grader
    from aiinfra.teach.sandbox import Limits

    monkeypatch.setattr(find_grader("lab_03.evict"), "limits", Limits(seconds=1), raising=False)
    assert "Still running after 1 s" in LAB.apart("evict", spins, tmp_path).message


@pytest.mark.parametrize(
    "answer", [3, "requests", [1, 2, 3], {"requests": 1}, np.zeros(3), [requests_one_each] * 5]
)
def test_anything_but_six_functions_fails_in_words(answer: Any, tmp_path: Path) -> None:
    verdict = LAB.apart("rescue", answer, tmp_path)
    assert not verdict.passed
    assert "six functions" in verdict.message


def test_six_numbers_are_no_functions(tmp_path: Path) -> None:
    assert "is no function" in LAB.apart("rescue", [1, 2, 3, 4, 5, 6], tmp_path).message


# --- the virtual clock --------------------------------------------------------------------------


def test_pipeline_by_hand() -> None:
    """Two batches in flight: the third read waits for the begin of the first step."""
    run = pipeline(read=[1, 1, 1], decode=[2, 2, 2], step=4, depth=2)
    assert run.read_begin.tolist() == [0, 1, 3]
    assert run.decode_end.tolist() == [3, 5, 7]
    assert run.begin.tolist() == [3, 7, 11]
    assert run.idle() == 0


def test_depth_evens_out_bursts_but_not_a_slow_average() -> None:
    bursts = np.zeros(200)
    bursts[::10] = 8.0
    idles = [pipeline(bursts, 0.0, 1.0, depth).idle() for depth in (1, 2, 5, 10, 20)]
    assert sorted(idles, reverse=True) == idles
    assert idles[0] > 0.3 > 0.01 > idles[-1]
    assert pipeline(np.full(200, 1.5), 0.0, 1.0, 100).idle() > 0.3


def test_no_depth_and_no_batch_are_refused() -> None:
    for case in [([1.0], 0), ([], 1), ([-1.0], 1)]:
        with pytest.raises(ValueError, match="depth must be"):
            pipeline(case[0], 1.0, 1.0, case[1])


def test_job_needs_every_one_of_its_parts() -> None:
    """Each part alone, left as it was found, starves the accelerator again."""
    job = make_job(np.random.default_rng(5))
    mine = dict(zip(PARTS, own("rescue"), strict=True))
    best = run_job(job, mine)
    assert best.idle <= 0.05
    assert best.depth is not None
    spoiled = {
        "requests": requests_one_each,
        "evict": evict_farthest,
        "share_out": share_out_in_stacks,
        "prefetch": lambda read, decode, step, most: 1,
    }
    for name, part in spoiled.items():
        assert run_job(job, {**mine, name: part}).idle > 1.5 * best.idle, name


def test_rescue_asks_for_the_smallest_depth() -> None:
    parts = own("rescue")
    for lazy, words in [(lambda *_: None, "None, where some"), (lambda *a: a[3], "are enough")]:
        parts[4] = lazy
        verdict = LAB.grade("rescue", parts, 1)
        assert verdict.score <= 0.5
        assert words in verdict.message


def test_job_is_the_same_for_the_same_dice() -> None:
    runs = []
    for _ in range(2):
        job = make_job(np.random.default_rng(8))
        runs.append(run_job(job, dict(zip(PARTS, own("rescue"), strict=True))).run.end.tolist())
    assert runs[0] == runs[1]


def test_peak_counts_whole_shards() -> None:
    assert peak_held([[1, 2, 3], [4, 5]], [1, 2, 4, 3, 5]) == 3
    assert peak_held([[1, 2, 3], [4, 5]], [1, 4, 2, 3, 5]) == 4


def test_fewest_reads_by_hand() -> None:
    assert fewest_reads([1, 2, 3, 1, 2, 3], 2) == 4
    assert fewest_reads([1, 2, 3, 1, 2, 3], 0) == 6
    assert fewest_reads([1, 2, 3, 1, 2, 3], 3) == 3


def test_no_cache_hits_more_an_epoch_than_it_holds() -> None:
    rng = np.random.default_rng(4)
    trace = [s for _ in range(3) for s in rng.permutation(50).tolist()]
    assert fewest_reads(trace, 20) == 150 - 2 * 20


def test_places_lie_side_by_side_in_their_shards() -> None:
    places = scattered(np.random.default_rng(2), 60, 1.0)
    assert len(set(places)) == 60
    for shard in {p[0] for p in places}:
        rows = sorted(p[1:] for p in places if p[0] == shard)
        assert rows[0][0] == 0
        assert all(a[1] == b[0] for a, b in itertools.pairwise(rows))


def test_store_takes_latency_and_bytes() -> None:
    assert read_seconds([(0, 0, 10), (1, 5, 25)], 1.0, 10.0) == pytest.approx(2 + 3)
    assert read_seconds([], 1.0, 10.0) == 0
