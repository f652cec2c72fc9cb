"""Lab 01: solutions and other right kernels pass; wrong ones fail and hear why; cheats fail."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import linecache
import re
import zlib
from pathlib import Path
from typing import Any

import build
import numpy as np
import pytest
from conftest import ROOT
from lab_01_answers import RIGHT, WRONG, reduce_by_a_global_atomic_a_warp, relu_of_zeros
from lessonkit.repository import read_repository
from lessonkit.source import read_source
from numba import cuda, float32

from aiinfra.measure.simt import KernelError, launch
from aiinfra.measure.simt.cuda_calls import CudaName
from aiinfra.measure.simt.parcel import from_json, to_json
from aiinfra.measure.simt.portable import pack, unpack
from aiinfra.teach import trial
from aiinfra.teach.check import check, find_grader
from aiinfra.teach.progress import Progress
from aiinfra.teach.score import score
from aiinfra.teach.verdict import Verdict

SOURCE = read_source(ROOT / "lessons" / "labs" / "lab_01_kernels.py")
TASKS = list(RIGHT)
SCALE = np.arange(3.0)


@functools.cache
def cells() -> list[str]:
    """The code cells of the notebook as the learner gets them, stubs and all."""
    notebook = build.make_notebook(SOURCE, read_repository(ROOT))
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def run_cell(text: str, scope: dict[str, Any]) -> None:
    """Run a cell as a notebook does: its text is kept, so that source can be read."""
    name = f"<ipython-input-{zlib.crc32(text.encode())}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec", dont_inherit=True), scope)


def stub_cell(task: str) -> str:
    return next(cell for cell in cells() if f"def {task}(" in cell)


def imports() -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec("import numpy as np\nfrom numba import cuda, float32, int32", scope)
    return scope


@functools.cache
def solutions() -> dict[str, Any]:
    """The kernels of the source, solutions included."""
    body = ast.parse(SOURCE.path.read_text()).body
    scope = imports()
    constants = [
        n for n in body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]).isupper()
    ]
    wanted = [*constants, *(n for n in body if isinstance(n, ast.FunctionDef))]
    exec(compile(ast.Module(wanted, []), str(SOURCE.path), "exec"), scope)
    return {task: scope[task] for task in TASKS}


def grade(task: str, kernel: Any) -> Verdict:
    """Grade in this process; the one apart has tests below."""
    return find_grader(f"lab_01.{task}")(kernel, np.random.default_rng())


def apart(task: str, submission: Any, tmp_path: Path) -> Verdict:
    return check(f"lab_01.{task}", submission, store=Progress(tmp_path / "progress.json"))


@pytest.mark.parametrize("task", TASKS)
def test_solution_scores_full_marks(task: str, tmp_path: Path) -> None:
    verdict = apart(task, solutions()[task], tmp_path)
    assert verdict.passed, verdict
    assert verdict.score == 1


@pytest.mark.parametrize("task", TASKS)
def test_solution_passes_whatever_the_dice_say(task: str) -> None:
    kernel = solutions()[task]
    for seed in range(4):
        assert find_grader(f"lab_01.{task}")(kernel, np.random.default_rng(seed)).passed


RIGHT_CASES = [(task, kernel) for task, kernels in RIGHT.items() for kernel in kernels]
WRONG_CASES = [(task, *case) for task, wrong in WRONG.items() for case in wrong]


def name_of(value: Any) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize(("task", "kernel"), RIGHT_CASES, ids=name_of)
def test_unexpected_but_right_kernels_pass(task: str, kernel: Any) -> None:
    verdict = grade(task, kernel)
    assert verdict.passed, verdict


@pytest.mark.parametrize(("task", "kernel", "words", "earned"), WRONG_CASES, ids=name_of)
def test_wrong_kernels_fail_and_hear_why(task: str, kernel: Any, words: str, earned: float) -> None:
    verdict = grade(task, kernel)
    assert not verdict.passed
    assert re.search(words, verdict.message), verdict.message
    assert verdict.score == earned
    answer = {line for line in lines_of(solutions()[task]) if "=" in line} - lines_of(kernel)
    assert not [line for line in answer if line in verdict.message], "gives the answer away"


def lines_of(kernel: Any) -> set[str]:
    text = inspect.getsource(getattr(kernel, "py_func", kernel))
    return {line.strip() for line in text.splitlines()}


def test_every_task_has_two_right_and_six_wrong_kernels() -> None:
    assert {f"lab_01.{task}" for task in TASKS} == {
        task for task in find_tasks() if task.startswith("lab_01.")
    }
    assert all(len(RIGHT[task]) >= 2 and len(WRONG[task]) >= 6 for task in TASKS)


def find_tasks() -> list[str]:
    from aiinfra.teach.check import tasks

    return tasks()


# --- what a notebook hands in -------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_untouched_stub_is_not_attempted_and_draws_nothing(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = imports()
    run_cell(stub_cell(task), scope)
    assert not apart(task, scope[task], tmp_path).attempted
    assert trial(scope[task], 1, 32, draw=lambda run: pytest.fail("drawn")) is None
    assert "Write the kernel first" in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS)
def test_cell_with_a_syntax_error_leaves_the_stub(task: str, tmp_path: Path) -> None:
    scope, stub = imports(), stub_cell(task)
    run_cell(stub, scope)
    broken = stub.replace("    ...", "    i = cuda.grid(1\n    if i < :")
    with pytest.raises(SyntaxError):
        run_cell(broken, scope)
    assert not apart(task, scope[task], tmp_path).attempted
    assert "cannot read this" in apart(task, broken, tmp_path).message


def test_filled_stub_passes_and_its_lines_are_named(tmp_path: Path) -> None:
    scope, stub = imports(), stub_cell("relu")
    run_cell(stub.replace("    ...", "    i = cuda.grid(1)\n    out[i] = max(x[i], 0)"), scope)
    line = stub.splitlines().index("    ...") + 2
    assert f"line {line}: out[i] = max(x[i], 0)" in apart("relu", scope["relu"], tmp_path).message


# --- what the cheat tries -----------------------------------------------------------------------


def spins(x, out):
    while cuda.grid(1) >= 0:
        pass


def swells(x, out):
    huge = cuda.local.array(10**9, float32)
    huge[0] = cuda.grid(1)


def shares_too_much(x, out):
    huge = cuda.shared.array(10**9, float32)
    huge[0] = cuda.grid(1)


def swallows(x, out):
    try:  # noqa: SIM105
        out[cuda.grid(1)] = x[cuda.grid(1)]
    except Exception:
        pass


def shouts(x, out):
    i = cuda.grid(1)
    if i < x.size:
        print("mine", i)
        out[i] = max(x[i], 0.0)


def imports_the_host(x, out):
    out[cuda.grid(1)] = open("witness")  # noqa: SIM115


def patches_the_checker(x, out):
    i = cuda.grid(1)
    launch(i, 1, 1)


class Evil:
    """Runs when it is copied, compared or shown."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('never')",)

    def __repr__(self) -> str:
        raise AssertionError("shown")


EVIL = Evil()


def holds_an_object(x, out):
    out[cuda.grid(1)] = EVIL


CHEATS = [
    (spins, "line .*a loop never ends"),
    (swells, "more memory"),
    (shares_too_much, "at most 49152 fit"),
    (swallows, "try is not supported"),
    (imports_the_host, "call of open is not supported"),
    (patches_the_checker, "list|call of|operator|not supported|not defined"),
    (holds_an_object, "uses EVIL, a Evil"),
    (np.maximum, "Pass the kernel itself|needs a kernel"),
    (lambda x, out: None, "lambda"),
    (np.zeros(3), "Pass the kernel itself"),
    (Evil(), "Pass the kernel itself"),
    (3, "Pass the kernel itself"),
    ("def relu(x, out):\n    pass", "This is text"),
]


@pytest.mark.parametrize(("submission", "words"), CHEATS, ids=lambda v: name_of(v))
def test_cheats_fail_in_words(submission: Any, words: str, tmp_path: Path) -> None:
    verdict = apart("relu", submission, tmp_path)
    assert not verdict.passed
    assert verdict.score == 0
    assert re.search(words, verdict.message), verdict.message


def test_printing_kernel_passes_and_is_cut_short(tmp_path: Path) -> None:
    verdict = apart("relu", shouts, tmp_path)
    assert verdict.passed
    assert len(verdict.printed) < 3000


def test_patched_launch_and_numpy_do_not_reach_the_grader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiinfra.measure import simt
    from aiinfra.measure.simt import engine
    from aiinfra.teach.graders import helpers, kernels

    for module in (simt, engine, kernels):
        monkeypatch.setattr(module, "launch", lambda *_, **__: None)
    monkeypatch.setattr(np, "isclose", lambda *_, **__: np.True_)
    monkeypatch.setattr(helpers, "arrays_match", lambda *_, **__: None)
    monkeypatch.setattr(kernels, "graded", lambda *_: Verdict(True, "", 1.0))
    verdict = apart("relu", relu_of_zeros, tmp_path)
    assert verdict.score == 0
    assert "writes 0 to out" in verdict.message


def test_nothing_of_a_kernel_runs_where_it_is_graded(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    speaks = f"open({str(witness)!r}, 'a').write('x')"
    text = (
        f"@(lambda f: ({speaks}, f)[1])\n"
        f"def relu(x, out: {speaks}, k={speaks}):\n"
        "    i = cuda.grid(1)\n"
    )
    scope = imports()
    run_cell(text, scope)
    assert len(witness.read_text()) == 3, "decorator, annotation and default have run"
    apart("relu", scope["relu"], tmp_path)
    assert len(witness.read_text()) == 3


class Spy:
    """Code that speaks where it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.speaks = f"open({str(witness)!r}, 'a').write('x') and 'grid'"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return eval, (self.speaks,)


class SpyNumber(Spy, int):
    def __new__(cls, witness: Path) -> Any:
        return int.__new__(cls, 3)


class SpyText(Spy, str):
    def __new__(cls, witness: Path) -> Any:
        return str.__new__(cls, "relu")


class SpyArray:
    """Passes for an array, and holds a spy."""

    __class__ = np.ndarray  # type: ignore[assignment]
    dtype, nbytes = np.dtype("f4"), 4

    def __init__(self, witness: Path) -> None:
        self.spy = Spy(witness)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        held = np.empty(1, object)
        held[0] = self.spy
        return held


def spies(witness: Path) -> dict[str, Any]:
    """A kernel for each way in which code of the notebook has tried to travel."""
    scope = imports()
    held = "def relu(x, out):\n    out[cuda.grid(1)] = HELD\n"
    for name in ("number", "name", "path", "array", "line"):
        fresh = imports()
        run_cell(f"{'# ' + name}\n{held}", fresh)
        scope[name] = fresh["relu"]
    scope["number"].__defaults__ = (SpyNumber(witness),)
    scope["number"].__globals__["HELD"] = SpyNumber(witness)
    scope["name"].__name__ = SpyText(witness)
    scope["name"].__globals__["HELD"] = 1
    scope["path"].__globals__["HELD"] = CudaName(Spy(witness))  # type: ignore[arg-type]
    scope["array"].__globals__["HELD"] = SpyArray(witness)
    scope["line"].__globals__["HELD"] = 1
    return {name: scope[name] for name in ("number", "name", "path", "array", "line")}


@pytest.mark.parametrize("way", ["number", "name", "path", "array", "line"])
def test_no_code_of_the_notebook_travels_with_a_kernel(way: str, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    kernel = spies(witness)[way]
    if way == "line":
        linecache.cache["<spy>"] = (1, None, [SpyText(witness)], "<spy>")
    try:
        assert not apart("relu", kernel, tmp_path).passed
    finally:
        linecache.cache.pop("<spy>", None)
    assert not witness.exists()


def test_modules_beside_the_notebook_are_not_seen_where_it_is_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = tmp_path / "witness"
    for name in ("sitecustomize.py", "usercustomize.py", "numbers.py"):
        (tmp_path / name).write_text(f"open({str(witness)!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert apart("relu", solutions()["relu"], tmp_path).passed
    assert not witness.exists()


def test_launch_configuration_is_to_be_left_out(tmp_path: Path) -> None:
    assert "leave out the [..]" in apart("relu", solutions()["relu"][80, 128], tmp_path).message


HUGE = 10**400


def holds_a_huge_number(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = max(x[i], 0) + 0 * (HUGE > 0)


def test_number_beyond_64_bits_is_named_with_its_line(tmp_path: Path) -> None:
    assert re.search(
        r"line \d+: HUGE is a number that does not fit into 64 bits",
        apart("relu", holds_a_huge_number, tmp_path).message,
    )


# --- carrying kernels as text -------------------------------------------------------------------


@cuda.jit(device=True)
def scaled(value, by=2.0):
    return value * by * SCALE[1]


def carried(x, out):
    import_free = float32(1)
    i = cuda.grid(1)
    if i < out.size:
        out[i] = scaled(x[i]) + import_free


def test_carried_kernel_does_the_same() -> None:
    x = np.arange(40.0)
    results = []
    for kernel in (carried, unpack(from_json(to_json(pack(carried))))):
        out = np.zeros(33)
        report = launch(kernel, 2, 32, x, out)
        results.append((out.tolist(), report.sectors, [site.line for site in report.sites]))
    assert results[0] == results[1]
    assert results[0][0][:3] == [1, 3, 5]


@pytest.mark.parametrize(
    "change",
    [{"name": "a b"}, {"lines": 3}, {"first_line": 10**9}, {"first_line": True}, {"defaults": [[]]},
     {"names": {"X": ["cuda", "jit"]}}, {"names": {"X": ["cuda", [1]]}},
     {"names": {"X": ["module", "os"]}}, {"names": {"X": ["numpy", "load"]}},
     {"names": {"X": ["math", "__loader__x"]}}, {"names": {"X": ["type", "O"]}},
     {"names": {"X": ["function", 7]}}, {"names": {"X": ["function", -1]}},
     {"names": {"X": ["value", "text"]}}, {"names": {"a b": ["value", 1]}},
     {"names": {"X": ["value", {"array": ["O", [1], "AAAAAAAA"]}]}},
     {"names": {"X": ["value", {"array": ["<f8", [9], ""]}]}}, {"names": {"X": ["else", 1]}}],
    ids=str,
)  # fmt: skip
def test_damaged_parcel_is_refused(change: dict[str, Any]) -> None:
    sent = json.loads(to_json(pack(carried)))
    assert from_json(json.dumps(sent)).functions[0].name == "carried"
    with pytest.raises(KernelError, match="damaged"):
        from_json(json.dumps([{**sent[0], **change}, *sent[1:]]))


def test_kernel_with_an_unusable_value_is_refused() -> None:
    with pytest.raises(KernelError, match="uses EVIL"):
        pack(holds_an_object)


# --- trying and scoring -------------------------------------------------------------------------


def test_trial_of_a_wrong_kernel_says_what_and_draws_what_it_can(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = np.zeros(33, np.float32)
    drawn = trial(WRONG["relu"][0][0], 2, 32, x, x.copy(), draw=lambda run: run.requests("global"))
    assert [label.split(", ")[1] for label in drawn] == ["load x", "store out"]
    assert "thread 1 reads x[33]" in capsys.readouterr().out
    assert trial(swallows, 1, 32, x, x, draw=print) is None
    assert "does not run yet" in capsys.readouterr().out


def drawn_tree(kernel: Any) -> Any:
    from aiinfra.show import reduction_tree

    x, out = np.zeros(128, np.float32), np.zeros(1, np.float32)
    return trial(kernel, 1, 128, x, out, draw=lambda run: reduction_tree(run.report, "t"))


def test_trial_without_anything_to_draw_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn_tree(reduce_by_a_global_atomic_a_warp) is None
    assert "what shuffles and atomics add leaves no such trace" in capsys.readouterr().out
    x = np.zeros(32, np.float32)
    assert (
        trial(solutions()["relu"], 1, 32, x, x.copy(), draw=lambda r: r.requests("shared")) is None
    )
    assert "the kernel makes no access to shared memory" in capsys.readouterr().out


def test_tree_of_a_kernel_with_shuffles_shows_what_meets_in_memory() -> None:
    told = drawn_tree(RIGHT["reduce"][0]).alt
    assert "1 step; 1 of 128 threads" in told


def test_trial_counts_and_shows_atomics_as_the_check_does() -> None:
    x, bins = np.arange(2000, dtype=np.int32) * 7 % 64, np.zeros(64, np.int32)
    runs = {}
    for kernel in (solutions()["histogram"], WRONG["histogram"][3][0]):
        runs[name_of(kernel)] = trial(kernel, 2, 128, x, bins, draw=lambda run: run)
    good, wasteful = runs.values()
    assert (good.atomics, wasteful.atomics) == (128, 2000)
    assert wasteful.sectors > 2 * good.sectors
    assert any("atomic bins" in label for label in wasteful.requests("global"))


def test_score_adds_the_best_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Progress(tmp_path / "progress.json")
    store.add_check("lab_01.relu", True, 1.0)
    store.add_check("lab_01.transpose", False, 0.75)
    score("lab_01", store=store)
    told = capsys.readouterr().out
    assert "1.75 of 6 points" in told
    assert "lab_01.matmul: not attempted" in told
    with pytest.raises(LookupError, match="lab_01"):
        score("lab_99", store=store)
