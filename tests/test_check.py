"""Checks: work passes, and everything else does not."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiinfra.results import Quantity
from aiinfra.teach import sandbox
from aiinfra.teach.check import UnknownTaskError, check, find_grader, tasks
from aiinfra.teach.graders.helpers import arrays_match, attempted, close_to, number_of
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
        stub_ellipsis, stub_raise, stub_none, stub_with_given_code, stub_assigned,
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

    verdict = verdict_on("99.total", total, store)
    assert not verdict.passed
    assert verdict.printed.startswith('{"token": "0"')


def test_functions_replaced_during_the_check_do_not_pass(store: Progress) -> None:
    def swap_helper(data):
        import toy_graders.lesson_99 as grader

        grader.arrays_match = lambda *args, **options: None
        return 0.0

    def swap_numpy(data):
        np.isclose = lambda got, want, **options: np.ones(np.shape(want), bool)
        return 0.0

    def swap_verdict(data):
        from aiinfra.teach import verdict

        verdict.Verdict.__init__.__code__ = (lambda self, *a, **k: None).__code__
        return 0.0

    def swap_worker(data):
        from aiinfra.teach import worker

        worker.snapshot = lambda *args: {}
        worker.grade = None
        return 0.0

    for cheat in (swap_helper, swap_numpy, swap_verdict, swap_worker):
        assert not verdict_on("99.total", cheat, store).passed, cheat


def test_functions_replaced_in_the_notebook_do_not_pass(
    store: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiinfra.teach.graders import helpers

    module, _ = find_grader("99.ratio", PACKAGE)
    monkeypatch.setattr(helpers, "close_to", lambda *args, **options: Verdict(True, ""))
    monkeypatch.setattr(module, "close_to", lambda *args, **options: Verdict(True, ""))
    assert not verdict_on("99.ratio", 1.0, store).passed


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


def test_background_process_does_not_outlive_the_check(store: Progress, tmp_path: Path) -> None:
    flag = str(tmp_path / "alive")

    def total(data):
        code = f"import time; time.sleep(2); open({flag!r}, 'w')"
        subprocess.Popen([sys.executable, "-c", code])
        return data.sum()

    assert verdict_on("99.total", total, store).passed
    time.sleep(2.5)
    assert not Path(flag).exists()


# Graders and their authors


def test_unknown_task_lists_those_there_are() -> None:
    with pytest.raises(
        UnknownTaskError,
        match=r"99.broken, 99.hasty, 99.patient, 99.ratio, 99.total, lab_99.counter",
    ):
        find_grader("99.nothing", PACKAGE)
    with pytest.raises(UnknownTaskError):
        find_grader("99._private", PACKAGE)
    with pytest.raises(UnknownTaskError):
        find_grader("99.close_to", PACKAGE)


def test_grader_without_a_verdict_does_not_pass(store: Progress) -> None:
    assert not verdict_on("99.broken", 1, store).passed


def test_tasks_of_the_course_can_be_listed() -> None:
    assert isinstance(tasks(), list)


def test_wrong_number_gets_its_ratio_and_the_usual_mix_up() -> None:
    assert "too low, 2.5 times" in close_to(4.0, 10.0).message
    assert "differ by 1,000" in close_to(8000.0, 8.0).message
    assert "bits and bytes" in close_to(1e9, 8e9, unit="B").message
    assert "GiB and GB" in close_to(24 * 2**30, 24e9, unit="B").message
    assert "of the wrong sign" in close_to(-8.0, 8.0).message
    assert "not 's'" in close_to(Quantity(8.0, "s", "x"), 8.0, unit="B").message


def test_wrong_number_does_not_learn_the_right_one() -> None:
    assert "8.25" not in close_to(3.0, 8.25).message


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
        "at index (1, 2), 10.0 is too high by 2.00: a factor of 2: both directions or one, "
        "FMA or FLOP, read and write or read; 1 of 6 are wrong"
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
