"""Checks: work passes, and everything else does not."""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import math
import os
import re
import subprocess
import sys
import textwrap
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from aiinfra.results import Quantity
from aiinfra.teach import sandbox
from aiinfra.teach.check import UnknownTaskError, check, find_grader, tasks
from aiinfra.teach.graders.helpers import arrays_match, attempted, close_to, number_of
from aiinfra.teach.plain import decode
from aiinfra.teach.progress import Progress
from aiinfra.teach.stub import placeholder_line
from aiinfra.teach.verdict import Verdict

GRADERS = '''
from aiinfra.teach.graders.helpers import arrays_match, attempted, close_to, failed, limited, passed

def ratio(answer, rng):
    """A number."""
    return close_to(answer, 8.0, rtol=0.02, unit="x")

@limited(seconds=30.0, memory_bytes=300e6)
def total(function, rng):
    """A function that sums an array; odd sizes, random content."""
    for size in (1, 7, int(rng.integers(100, 1000)) * 2 + 1):
        data = rng.normal(size=size)
        result = function(data.copy())
        miss = arrays_match(result, data.sum(), rtol=1e-9, atol=1e-9)
        if miss:
            return failed(f"For {size} random numbers: {miss}.")
    return passed("Right on three random arrays.")

@limited(seconds=1.0)
def hasty(function, rng):
    return total(function, rng)

@limited(seconds=60.0)
def patient(function, rng):
    return total(function, rng)

def elsewhere(function, rng):
    """Where a function runs."""
    import os
    return passed() if function() != os.getpid() else failed("Here.")

def launched(function, rng):
    """A function that code of the package runs beside the submission."""
    got = function.run("functools", "reduce", [1, 2, 3])
    return passed() if got == 6 else failed(f"{got}")

def whatever(answer, rng):
    """Shows what arrived."""
    return passed(repr(answer() if hasattr(answer, "run") else answer))

def broken(answer, rng):
    """A grader whose author forgot to return a verdict."""

def _private(answer, rng):
    return passed()
'''
LAB = """
from aiinfra.teach.graders.helpers import failed, passed

def counter(cls, rng):
    box = cls()
    for _ in range(3):
        box.add()
    return passed() if box.count == 3 else failed("It does not count.")
"""
PACKAGE = "toy_graders"


@pytest.fixture(autouse=True)
def graders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "lesson_99.py").write_text(GRADERS)
    (package / "lab_99.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def store(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "progress.json")


def verdict_on(task: str, submission: Any, store: Progress) -> Verdict:
    return check(task, submission, graders=PACKAGE, store=store)


# What passes


def test_right_number_passes_and_is_noted(
    store: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = verdict_on("99.ratio", 8.05, store)
    assert verdict.passed
    assert verdict.score == 1.0
    assert "✓ 99.ratio: passed" in capsys.readouterr().out
    assert store.state()["checks"]["99.ratio"]["passed"]


def test_right_functions_pass_however_they_are_written(store: Progress) -> None:
    def loop(data):
        total = 0.0
        for x in data:
            total += x
        return total

    state = {"offset": 0.0}
    spare = ...  # an ellipsis elsewhere is no placeholder of the function

    class Callable:
        def __call__(self, data):
            return sum(data) + state["offset"]

    def sliced(data):
        assert spare is ...
        return data[...].sum()

    for right in (loop, sum, np.sum, lambda data: math.fsum(data), Callable(), sliced):
        assert verdict_on("99.total", right, store).passed, right


def test_numba_function_passes(store: Progress) -> None:
    import numba

    @numba.njit
    def total(data):
        result = 0.0
        for x in data:
            result += x
        return result

    assert verdict_on("99.patient", total, store).passed


def test_class_passes_in_a_lab(store: Progress) -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def add(self) -> None:
            self.count += 1

    assert verdict_on("lab_99.counter", Counter, store).passed


def test_working_code_passes_although_a_placeholder_was_left_in(store: Progress) -> None:
    def total(data):
        result = data.sum()
        ...
        return result

    assert verdict_on("99.total", total, store).passed


def test_cached_functions_pass_also_when_they_call_themselves(store: Progress) -> None:
    @functools.cache
    def total_of(data):
        return data[0] + total_of(data[1:]) if data else 0.0

    total = lambda data: total_of(tuple(data[:50])) + sum(data[50:])  # noqa: E731
    assert verdict_on("99.total", total, store).passed
    assert (
        verdict_on("99.whatever", functools.lru_cache(maxsize=3)(lambda: 7), store).message == "7"
    )


# What was not attempted


def stub_ellipsis(data):
    """Sum the data."""
    ...


def stub_raise(data):
    raise NotImplementedError("your code")


def stub_none(data):
    """Sum the data."""
    return None


def stub_with_given_code(data):
    result = 0.0
    for _x in data:
        ...  # your code
    return result


def stub_assigned(data):
    total = ...
    return total


@pytest.mark.parametrize(
    "blank",
    [
        None, ..., [None, ...], {"a": None},
        stub_ellipsis, stub_raise, stub_none, stub_assigned,
    ],
)  # fmt: skip
def test_blank_is_not_attempted_and_not_counted(blank: Any, store: Progress) -> None:
    verdict = verdict_on("99.total", blank, store)
    assert not verdict.passed
    assert not verdict.attempted
    assert str(verdict).startswith("○ 99.total: not attempted")
    assert store.state()["checks"] == {}


def test_untouched_class_is_not_attempted(store: Progress) -> None:
    class Counter:
        """Count."""

        def add(self) -> None: ...

    assert not verdict_on("lab_99.counter", Counter, store).attempted


def test_stub_that_is_called_by_the_submission_is_not_attempted(store: Progress) -> None:
    def total(data):
        return stub_raise(data)

    assert not verdict_on("99.total", total, store).attempted


def test_placeholder_is_named_by_its_line() -> None:
    assert placeholder_line(stub_with_given_code) == 4
    assert placeholder_line(lambda data: data[...]) is None
    assert attempted(stub_with_given_code)
    assert attempted(0)
    assert attempted(False)
    assert attempted(np.zeros(3))


def test_wrong_code_beside_a_placeholder_hears_both(store: Progress) -> None:
    verdict = verdict_on("99.total", stub_with_given_code, store)
    assert verdict.attempted
    assert verdict.message.startswith("For 1 random numbers: 0.0 is too")
    assert "line 4 a `...` still waits" in verdict.message


# What the cheat tries


def zeros_like(data):
    return np.zeros_like(data)


def zero(data):
    return 0.0


def first(data):
    return data[0]


class Yes:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __abs__(self):
        return 0.0


@pytest.mark.parametrize(
    "wrong", [zeros_like, zero, first, lambda data: Yes(), lambda data: "3", lambda data: True]
)
def test_wrong_functions_fail(wrong: Any, store: Progress) -> None:
    verdict = verdict_on("99.total", wrong, store)
    assert not verdict.passed
    assert verdict.attempted
    assert store.state()["checks"]["99.total"]["attempts"] == 1


@pytest.mark.parametrize(
    "wrong", [0, 8.3, -8, "8", True, float("nan"), float("inf"), np.zeros(3), [8.0], Yes(), 64.0]
)
def test_wrong_numbers_fail(wrong: Any, store: Progress) -> None:
    assert not verdict_on("99.ratio", wrong, store).passed


def test_endless_loop_is_stopped_with_its_line(store: Progress) -> None:
    def total(data):
        while True:
            try:  # noqa: SIM105
                sum(data)
            except BaseException:
                pass

    begun = time.monotonic()
    verdict = verdict_on("99.hasty", total, store)
    assert "Still running after 1 s" in verdict.message
    assert "while True:" in verdict.message or "sum(data)" in verdict.message
    assert time.monotonic() - begun < sandbox.START_SECONDS


def test_endless_loop_that_holds_the_interpreter_is_stopped(store: Progress) -> None:
    def total(data):
        return 3 ** (3 ** (3**3))  # a single operation: no Python thread gets a turn

    assert "Stopped" in verdict_on("99.hasty", total, store).message


def test_endless_allocation_is_stopped(store: Progress) -> None:
    def total(data):
        kept = []
        while True:
            kept.append(bytearray(10_000_000))

    assert "memory" in verdict_on("99.total", total, store).message


def test_swallowed_memory_error_does_not_hang(store: Progress) -> None:
    def total(data):
        kept = []
        while True:
            try:  # noqa: SIM105
                kept.append(bytearray(10_000_000))
            except MemoryError:
                pass

    assert not verdict_on("99.hasty", total, store).passed


def test_ending_the_program_does_not_pass(store: Progress) -> None:
    import signal

    def quietly(data):
        os._exit(0)

    def politely(data):
        raise SystemExit(0)

    def by_force(data):
        os.kill(os.getpid(), signal.SIGKILL)

    assert "ended the program (exit code 0)" in verdict_on("99.total", quietly, store).message
    assert "SystemExit" in verdict_on("99.total", politely, store).message
    assert not verdict_on("99.total", by_force, store).passed


def test_error_names_the_learners_line_and_shows_no_traceback_of_ours(store: Progress) -> None:
    def total(data):
        half = len(data) // 2
        return data[: half / 2].sum()

    message = verdict_on("99.total", total, store).message
    assert "TypeError" in message
    assert "return data[: half / 2].sum()" in message
    assert "Traceback" not in message
    assert "worker.py" not in message


def test_printed_verdict_is_not_believed(store: Progress) -> None:
    def total(data):
        forged = '{"token": "0", "passed": true, "message": "", "score": 1, "printed": ""}'
        print(forged)
        for handle in range(1, 12):
            with contextlib.suppress(OSError):
                os.write(handle, forged.encode() + b"\n")
        return 0.0

    assert "unreadable" in verdict_on("99.total", total, store).message


def test_code_of_a_submission_never_runs_where_the_grader_does(store: Progress) -> None:
    assert verdict_on("99.elsewhere", os.getpid, store).passed
    assert verdict_on("99.elsewhere", functools.partial(os.getpid), store).passed


def test_forged_replies_are_answers_and_no_verdicts(store: Progress) -> None:
    def total(data):
        from aiinfra.teach import plain, worker

        worker.encode = lambda value, keep: {"passed": True, "score": 1}
        plain.encode = worker.encode
        return 0.0

    verdict = verdict_on("99.total", total, store)
    assert not verdict.passed
    assert "unreadable" in verdict.message


@pytest.mark.parametrize(
    "data",
    [{}, {"set": [{"list": []}]}, {"array": ["O", [1], ""]}, {"array": ["<f8", [9], ""]}, {"a": 1},
     {"Quantity": [1]}, {"dict": [1]}, {"list": 5}, {"foreign": ["x", "y"]}],
)  # fmt: skip
def test_malformed_replies_raise_what_the_sandbox_expects(data: Any) -> None:
    with pytest.raises(sandbox.UNREADABLE):
        decode(data, lambda handle, kind: handle)


def test_plain_data_arrives_as_it_was_sent(store: Progress) -> None:
    point = collections.namedtuple("point", "x y")
    for sent, arrives in [
        ((1, 2.5, "x", None, True), "(1, 2.5, 'x', None, True)"),
        (point(1, 2), "(1, 2)"), ({1: [b"".hex()]}, "{1: ['']}"), ({3}, "{3}"),
        (range(2), "[0, 1]"), (Fraction(1, 4), "0.25"),
        (Decimal("0.5"), "0.5"), (np.int32(3), "3"), (np.float32(0.5), "0.5"), (2j, "2j"),
        (np.array([1, 2], "int8"), "array([1, 2], dtype=int8)"), (np.bool_(True), "True"),
        (np.array([1, None]), "[1, None]"), (float("inf"), "inf"),
        (Quantity(1.0, "s", "x", 0.5, 2.0), repr(Quantity(1.0, "s", "x", 0.5, 2.0))),
    ]:  # fmt: skip
        assert arrives in verdict_on("99.whatever", sent, store).message
    function = lambda: (np.arange(2.0), {"a": 1 + 2j}, (x for x in "ab"))  # noqa: E731
    arrived = verdict_on("99.whatever", function, store).message
    assert arrived == "(array([0., 1.]), {'a': np.complex128(1+2j)}, ['a', 'b'])"


class EndlessList(list[Any]):
    def __iter__(self):
        while True:
            yield 1


class EndlessDict(dict[Any, Any]):
    def items(self):
        return itertools.count()


class EndlessArray:
    def __array__(self, *_: Any):
        time.sleep(1e6)


class EndlessNumber(float):
    def __float__(self):
        time.sleep(1e6)
        return 1.0


def endless_lists() -> list[Any]:
    deep: list[Any] = [1]
    for _ in range(40):
        deep = [deep, deep]
    return deep


def endless() -> list[Any]:
    ticks = (time.sleep(1e6) for _ in "a")
    return [
        itertools.count(), iter(int, 1), ticks, {1: itertools.repeat(2)}, [ticks],
        range(10**12), endless_lists(), np.broadcast_to(0.0, (10**9, 10**3)), "x" * 2**28,
    ]  # fmt: skip


@pytest.mark.parametrize("answer", endless(), ids=lambda answer: type(answer).__name__)
def test_endless_answer_is_refused_at_once(answer: Any, store: Progress) -> None:
    start = time.monotonic()
    verdict = verdict_on("99.whatever", answer, store)
    assert time.monotonic() - start < 5
    assert "cannot be checked: it h" in verdict.message


def test_classes_of_ones_own_are_read_as_the_type_that_they_extend(store: Progress) -> None:
    for sent, arrives in [
        (EndlessList([1, 2]), "[1, 2]"), (EndlessDict({1: 2}), "{1: 2}"),
        (EndlessNumber(0.5), "0.5"), (collections.OrderedDict(a=1), "{'a': 1}"),
    ]:  # fmt: skip
        assert verdict_on("99.whatever", sent, store).message == arrives


def test_array_of_ones_own_class_stays_out_of_this_process(
    store: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_grader("99.whatever", PACKAGE), "plain_only", True, raising=False)
    for code in (EndlessArray(), lambda: 1, [object()]):
        assert "no plain data" in verdict_on("99.whatever", code, store).message


def test_wrong_answers_cost_where_a_grader_names_them(
    store: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_grader("99.ratio", PACKAGE), "tries", repr, raising=False)
    for wrong in (1, 2, 3, 3, 2):
        message = verdict_on("99.ratio", wrong, store).message
    assert "Different wrong answers so far: 3. 3 are free" in message
    assert verdict_on("99.ratio", 8.0, store).score == 1
    for wrong in (4, 5, 6):
        verdict_on("99.ratio", wrong, store)
    late = verdict_on("99.ratio", 8.0, store)
    assert late.passed
    assert late.score == pytest.approx(0.4)
    assert "this one earns 40 %" in late.message
    assert store.state()["checks"]["99.ratio"]["score"] == 1


def test_answers_that_cannot_be_judged_leave_the_count_of_wrong_ones(
    store: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = lambda answer: repr(answer) if isinstance(answer, int) else ""  # noqa: E731
    monkeypatch.setattr(find_grader("99.ratio", PACKAGE), "tries", names, raising=False)
    for wrong in (1, 2, 3, {}, "", 4):
        message = verdict_on("99.ratio", wrong, store).message
    assert "Different wrong answers so far: 4. 3 are free" in message


def test_counted_answer_is_read_once(store: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    class Slow:
        def __array__(self, *_: Any, **__: Any):
            reads.append(1)
            return np.array(8.0)

    monkeypatch.setattr(Slow, "__module__", "fractions")
    monkeypatch.setattr("fractions.Slow", Slow, raising=False)
    monkeypatch.setattr(find_grader("99.ratio", PACKAGE), "tries", repr, raising=False)
    assert verdict_on("99.ratio", Slow(), store).passed
    assert len(reads) == 1


def test_class_that_claims_a_library_is_not_read_here(
    store: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_grader("99.whatever", PACKAGE), "plain_only", True, raising=False)
    array = lambda *_, **__: np.array(8.0)  # noqa: E731
    forged = type("float64", (), {"__module__": "numpy", "__array__": array})
    assert "no plain data" in verdict_on("99.whatever", forged(), store).message


def test_code_of_the_package_can_run_beside_the_submission(store: Progress) -> None:
    assert verdict_on("99.launched", lambda a, b: a + b, store).passed


def test_submission_that_cannot_be_copied_is_explained(store: Progress) -> None:
    import threading

    lock = threading.Lock()

    def total(data):
        with lock:
            return data.sum()

    assert "cannot be copied" in verdict_on("99.total", total, store).message


def test_flood_of_output_is_cut(store: Progress) -> None:
    def total(data):
        for _ in range(10_000):
            print("x" * 100)
        return data.sum()

    verdict = verdict_on("99.total", total, store)
    assert verdict.passed
    assert len(verdict.printed) < 3000


@pytest.mark.skipif(sys.platform != "linux", reason="needs os.fork and a subreaper")
def test_no_process_outlives_the_check_nor_holds_it_up(store: Progress, tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("plain", "session", "forked", "orphan")]

    def total(data):
        for name in names:  # of the call before
            Path(name).unlink(missing_ok=True)
        for name, apart in zip(names[:2], (False, True), strict=True):
            code = f"import time; open({name!r}, 'w').write(str(__import__('os').getpid()))"
            command = [sys.executable, "-c", f"{code}; time.sleep(60)"]
            subprocess.Popen(command, start_new_session=apart)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                Path(names[3]).write_text(str(os.getpid()))
                time.sleep(60)
            Path(names[2]).write_text(str(os.getpid()))
            os._exit(0)
        while not all(os.path.exists(name) and Path(name).read_text() for name in names):
            time.sleep(0.01)
        return data.sum()

    begun = time.monotonic()
    assert verdict_on("99.total", total, store).passed
    assert time.monotonic() - begun < 30
    time.sleep(0.2)
    for name in names:
        with contextlib.suppress(psutil.NoSuchProcess):
            ended = psutil.Process(int(Path(name).read_text()))
            assert ended.status() == psutil.STATUS_ZOMBIE, name  # where init buries nobody


@pytest.mark.skipif(sys.platform != "linux", reason="needs os.fork")
def test_memory_of_child_processes_counts(store: Progress) -> None:
    def total(data):
        for _ in range(8):
            if os.fork() == 0:
                kept = bytearray(b"x" * 100_000_000)
                time.sleep(60)
                os._exit(len(kept))
        time.sleep(20)

    assert "more than 286 MiB of memory" in verdict_on("99.total", total, store).message


# What is odd and must end as a message


class Odd:
    def __getattr__(self, name):
        raise RuntimeError(name)


class Leaves:
    def __reduce__(self):
        raise SystemExit


def cyclic(data):
    return 0.0


cyclic.__wrapped__ = cyclic


def odd_submissions() -> list[Any]:
    itself: list[Any] = [None]
    itself.append(itself)
    return [itself, [itself], Odd(), Leaves(), cyclic, 10**5000, Odd]


@pytest.mark.parametrize("odd", odd_submissions(), ids=lambda odd: type(odd).__name__)
def test_odd_submissions_end_as_a_message(odd: Any, store: Progress) -> None:
    assert not verdict_on("99.ratio", odd, store).passed


def test_async_function_is_refused_in_words(store: Progress) -> None:
    async def total(data):
        return data.sum()

    assert "async def" in verdict_on("99.total", total, store).message


def test_error_names_the_arguments_and_is_cut(store: Progress) -> None:
    def total(data):
        raise ValueError("\ud800" + "x" * 10_000 + f"{1 / (len(data) - 1)}")

    message = verdict_on("99.total", total, store).message
    assert "ZeroDivisionError" in message
    assert "when called with (array([" in message

    def long(data):
        raise ValueError("\ud800" + "x" * 10_000)

    assert len(verdict_on("99.total", long, store).message) < 700


def test_printed_fences_and_surrogates_do_no_harm(store: Progress) -> None:
    def total(data):
        print("```\nloud\n```\ud800")
        return data.sum()

    verdict = verdict_on("99.total", total, store)
    assert verdict.passed
    assert verdict.markdown().endswith("````")


def test_swapped_arguments_are_explained() -> None:
    with pytest.raises(UnknownTaskError, match=r"check\(task, answer\)"):
        check(sum, "99.total", graders=PACKAGE)
    with pytest.raises(UnknownTaskError):
        check([1.0], "99.ratio", graders=PACKAGE)


# Graders and their authors


def test_unknown_task_lists_those_there_are() -> None:
    with pytest.raises(
        UnknownTaskError,
        match=r"99.broken, 99.elsewhere, 99.hasty, .*, 99.whatever, lab_99.counter",
    ):
        find_grader("99.nothing", PACKAGE)
    with pytest.raises(UnknownTaskError):
        find_grader("99._private", PACKAGE)
    with pytest.raises(UnknownTaskError):
        find_grader("99.close_to", PACKAGE)


def test_graders_of_another_package_note_nothing_for_the_learner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIINFRA_HOME", str(tmp_path))
    assert check("99.ratio", 8.0, graders=PACKAGE).attempted
    assert not (tmp_path / "progress.json").exists()


def test_grader_without_a_verdict_does_not_pass(store: Progress) -> None:
    assert not verdict_on("99.broken", 1, store).passed


def test_tasks_of_the_course_can_be_listed() -> None:
    assert isinstance(tasks(), list)


def test_wrong_number_gets_its_side_and_the_usual_mix_up() -> None:
    assert "too low, several times" in close_to(4.0, 10.0).message
    assert "differ by 1,000" in close_to(8000.0, 8.0, unit="W").message
    assert "bits and bytes" in close_to(1e9, 8e9, unit="B").message
    assert "GiB and GB" in close_to(24 * 2**30, 24e9, unit="B").message
    assert "per cent" in close_to(50.0, 0.5).message
    assert "differ" not in close_to(0.5, 0.5 * 1.0486).message  # no bytes, no MiB
    assert "of the wrong sign" in close_to(-8.0, 8.0).message
    assert "not 's'" in close_to(Quantity(8.0, "s", "x"), 8.0, unit="B").message
    assert "not a finite number" in close_to(10**400, 8.0).message


@pytest.mark.parametrize("expected", [8.25, 3.0, 1.05, 20.0, 0.123])
def test_wrong_number_does_not_learn_the_right_one(expected: float) -> None:
    for guess in (1.0, 0.9 * expected, 2.5 * expected):
        message = close_to(guess, expected, unit="x").message
        for number in re.findall(r"\d[\d.]*\d|\d", message.partition(" is ")[2]):
            for told in (guess * float(number), guess / float(number)):
                assert not math.isclose(told, expected, rel_tol=0.02), message


def test_numbers_are_read_from_quantities_and_numpy() -> None:
    assert number_of(Quantity(3.0, "GB/s", "x")) == 3e9
    assert number_of(np.float32(2.0)) == 2.0
    assert number_of(np.array([2.0])) == 2.0
    assert number_of(np.array([2.0, 3.0])) is None
    assert number_of(True) is None


def test_arrays_differ_in_words() -> None:
    want = np.arange(6.0).reshape(2, 3)
    assert arrays_match(want, want) is None
    assert "shape" in str(arrays_match(want.T, want))
    wrong = want.copy()
    wrong[1, 2] = 10.0
    assert arrays_match(wrong, want) == (
        "at index (1, 2), 10.0 is too high, several times; 1 of 6 are wrong"
    )
    assert "nan" in str(arrays_match(want * np.nan, want))
    assert "numbers" in str(arrays_match(np.array(["a"]), np.array([1.0])))


# In a notebook


def test_functions_of_a_notebook_are_graded_with_their_cells(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    cells = [
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import numpy as np\nfrom aiinfra.teach import check\nSCALE = 1.0",
        "def half(data):\n    return data.sum() * SCALE",
        "def total(data):\n    return half(data)",
        f"check('99.total', total, graders={PACKAGE!r})",
        "def total(data):\n    ...",
        f"check('99.total', total, graders={PACKAGE!r})",
        "def total(data):\n    return data.nonsense()",
        f"verdict = check('99.total', total, graders={PACKAGE!r})",
        "verdict",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    environment = {**os.environ, "AIINFRA_HOME": str(tmp_path)}
    NotebookClient(notebook, timeout=90, kernel_name="python3").execute(env=environment)
    outputs = [cell.outputs for cell in notebook.cells]
    assert [len(output) for output in outputs[3:]] == [1, 0, 1, 0, 1, 1]
    assert "passed" in outputs[3][0]["data"]["text/markdown"]
    assert "not attempted" in outputs[5][0]["data"]["text/plain"]
    assert "line 2: return data.nonsense()" in outputs[7][0]["data"]["text/markdown"]
    assert outputs[8][0]["data"] == outputs[7][0]["data"]


def test_check_runs_in_a_plain_script(tmp_path: Path) -> None:
    script = tmp_path / "lesson.py"
    script.write_text(
        textwrap.dedent(f"""
        from aiinfra.teach import check
        FACTOR = 1

        def total(data):
            return sum(data) * FACTOR

        check("99.total", total, graders={PACKAGE!r})
        """)
    )
    environment = {**os.environ, "AIINFRA_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stdout.startswith("✓ 99.total: passed"), done.stderr
