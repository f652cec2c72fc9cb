"""Measured or replayed, never faked: every run says which, and of which code."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import psutil
import pytest
from numba import cuda

from aiinfra.facts import recordings as store
from aiinfra.facts.recordings import Recording, RecordingError
from aiinfra.measure import MissingRecording, experiment, needs, probe, timing
from aiinfra.measure.experiment import NotLiveHereError, choose
from aiinfra.measure.readings import Gpu
from aiinfra.measure.record import LessonError, find_lessons, list_recordings, record
from aiinfra.measure.run import Run
from aiinfra.measure.source_hash import (
    ambiguous_names,
    experiments_in,
    hash_function,
    hash_in_file,
    hash_in_text,
)
from aiinfra.results import Quantity, Table

SRC = Path(store.__file__).resolve().parents[2]
TABLE = Table({"size": [1, 2], "rate": [10.0, 20.0]}, {"size": "B", "rate": "B/s"})

LESSON = '''# %% [markdown]
# # A lesson

# %%
import numba
from numba import cuda

from aiinfra.measure import experiment
from aiinfra.results import Table

# %%
BLOCK = 16
CUDA_C = r"""
extern "C" __global__ void copy(float *x) {  // 100 % CUDA C
    x[0] = 1.0f;

}
"""


def slow(n):  # a plain loop
    return sum(range(n)) * BLOCK


# %%
@cuda.jit(fastmath=True)
def kernel(x):
    x[0] = helper(1)


def helper(i):
    return i + 1


fast = numba.njit(parallel=False)(slow)
shadowed = 1


# %%
@experiment(needs="cpu")
def timed(sizes=(1, 2), *, text="a # b"):
    """Return a table."""
    shadowed = len(CUDA_C)
    names = [kernel.py_func.__name__ for _ in sizes][:shadowed]

    return Table({"size": list(sizes), "n": [fast(s) for s in sizes], "name": names})
'''


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """Keep the environment of the person who runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("AIINFRA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIINFRA_RECORDED", str(tmp_path / "recorded"))
    monkeypatch.setenv("PYTHONPATH", str(SRC))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # logs of failed lessons stay
    return tmp_path / "recorded"


@pytest.fixture
def recorded(clean):
    return clean


@pytest.fixture
def no_gpu(monkeypatch):
    """Make this machine one without a GPU."""
    monkeypatch.setattr(needs, "gpu", lambda machine: "no NVIDIA GPU is visible here")
    needs.why_not_live.cache_clear()
    yield
    needs.why_not_live.cache_clear()


@pytest.fixture
def gpu_machine(monkeypatch):
    """A machine with a GPU of the given driver, and the libraries that work there."""

    def forget():
        needs.why_not_live.cache_clear()
        timing.gpu_clock.cache_clear()

    def make(driver: str, *working: str):
        forget()
        gpu = Gpu("NVIDIA T4", 16 * 10**9, driver, "7.5")
        machine = dataclasses.replace(probe(), gpus=(gpu,))
        monkeypatch.setattr(needs, "probe", lambda: machine)
        cupy = types.ModuleType("cupy")
        cupy.__spec__ = ModuleSpec("cupy", None)
        runtime = types.SimpleNamespace(getDeviceCount=lambda: 1, deviceSynchronize=None)
        cupy.cuda = types.SimpleNamespace(runtime=runtime, Event=None, get_elapsed_time=None)
        monkeypatch.setitem(sys.modules, "cupy", cupy if "cupy" in working else None)
        monkeypatch.setattr("numba.cuda.is_available", lambda: "numba.cuda" in working)
        return cupy

    yield make
    forget()


def recording(**changes) -> Recording:
    base = Recording(
        experiment="copy", lesson="03_memory", code_hash="abc", arguments={"sizes": [1, 2]},
        device="NVIDIA H200", driver="580.65", host="x", packages={}, repeats=9, spread=0.01,
        recorded_at="2026-11-23T10:00:00+00:00", table=TABLE,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def gpu_experiment(model=None):
    @experiment(needs="gpu", model=model)
    def copy(sizes=(1, 2)):
        raise AssertionError("this must not run without a GPU")

    return copy


def recorded_here(copy, folder, **changes) -> None:
    """Save a recording whose code is the code of ``copy``."""
    found = hash_function(copy.function)
    assert found
    store.save(recording(code_hash=found.digest, **changes), folder)


# --- what an experiment needs of a GPU ----------------------------------------------------------


@cuda.jit
def double(x):
    x[0] *= 2


def with_cupy(n=1):
    import cupy as cp

    return Table({"n": [n], "module": [cp.__name__]})


def with_cupyx(n=1):
    from cupy.cuda import Event

    return Event


def with_a_helper(n=1):
    return [lambda: with_cupy(n)]


def with_numba(n=1):
    return cuda.to_device(np.zeros(n))


def with_a_kernel(n=1):
    double[1, 1](np.zeros(n))


def with_numba_inside(n=1):
    from numba import cuda as here

    return here


def with_neither(cuda=1):
    """Its argument is no module, and this word is not code: import cupy."""
    return TABLE.cupy + cuda


@pytest.mark.parametrize(
    ("function", "uses"),
    [
        (with_cupy, ("cupy",)),
        (with_cupyx, ("cupy",)),
        (with_a_helper, ("cupy",)),
        (with_numba, ("numba.cuda",)),
        (with_a_kernel, ("numba.cuda",)),
        (with_numba_inside, ("numba.cuda",)),
        (with_neither, ()),
    ],
)
def test_an_experiment_uses_the_gpu_libraries_that_its_code_names(function, uses):
    assert needs.gpu_libraries(function) == uses


@pytest.mark.parametrize(
    ("driver", "package"), [("550.54", "cupy-cuda12x"), ("580.65", "cupy-cuda13x")]
)
def test_a_gpu_without_cupy_names_the_package_and_stands_in(gpu_machine, driver, package):
    gpu_machine(driver, "numba.cuda")
    on_numba, on_cupy = experiment(needs="gpu")(with_numba), experiment(needs="gpu")(with_cupy)
    assert on_numba.available()
    reason = on_cupy.why_not_live() or ""
    for words in ("NVIDIA T4 is here", "CuPy, which is not installed", package, "AIINFRA_REPLAY"):
        assert words in reason
    assert needs.install_command(package[5:-1]) in reason
    with pytest.raises(MissingRecording, match=package):
        on_cupy()
    with pytest.raises(NotLiveHereError, match=package):
        on_cupy.live()
    run = experiment(needs="gpu", model=lambda n=1: (TABLE, "roofline"))(with_cupy)()
    assert run.kind == "model"
    assert run.notes == [f"not measured here: {reason}"]


def test_a_replay_on_a_gpu_says_why_it_is_one_unless_asked_for(gpu_machine, recorded, monkeypatch):
    gpu_machine("580.65", "numba.cuda")
    on_cupy = experiment(needs="gpu")(with_cupy)
    recorded_here(on_cupy, recorded, experiment="with_cupy", arguments={"n": 1})
    (note,) = on_cupy().notes
    assert note.startswith("not measured here: NVIDIA T4")
    monkeypatch.setenv("AIINFRA_REPLAY", "1")
    assert on_cupy().notes == []


def test_a_gpu_with_cupy_alone_runs_what_uses_cupy(gpu_machine):
    gpu_machine("580.65", "cupy")
    run = experiment(needs="gpu")(with_cupy)()
    assert (run.kind, run["module"], run.notes) == ("measured", ["cupy"], [])
    reason = experiment(needs="gpu")(with_numba).why_not_live() or ""
    assert "numba.cuda, which does not work" in reason
    assert "numba-cuda[cu13]" in reason


def test_a_cupy_that_does_not_work_says_what_it_said(gpu_machine):
    cupy = gpu_machine("550.54", "numba.cuda", "cupy")
    cupy.cuda.runtime.getDeviceCount = lambda: 1 // 0
    reason = experiment(needs="gpu")(with_cupy).why_not_live() or ""
    assert "CuPy, which does not work (ZeroDivisionError" in reason


# --- one hash, however the code is run ---------------------------------------------------------


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


AS_SCRIPT = """
import runpy, sys
from aiinfra.measure.source_hash import hash_function
print(hash_function(runpy.run_path(sys.argv[1], run_name="__main__")["timed"].function).digest)
"""
AS_CELLS = """
import re, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in re.split(r"^# %%.*$", open(sys.argv[1]).read(), flags=re.M):
    assert shell.run_cell(cell, store_history=True).success
for cell in sys.argv[2:]:
    assert shell.run_cell(cell, store_history=True).success
shell.run_cell("from aiinfra.measure.source_hash import hash_function", store_history=True)
print(shell.ev("hash_function(timed.function).digest"))
"""


@pytest.fixture
def lesson(tmp_path) -> Path:
    path = tmp_path / "01_lesson.py"
    path.write_text(LESSON)
    return path


def test_script_notebook_and_file_give_the_same_hash(lesson):
    pytest.importorskip("IPython")
    static = hash_in_file(lesson, "timed").digest
    assert run_python(AS_SCRIPT, str(lesson)) == static
    assert run_python(AS_CELLS, str(lesson)) == static


def test_an_edited_cell_changes_the_hash_in_a_notebook(lesson):
    pytest.importorskip("IPython")
    edited = "def helper(i):\n    return i + 2"
    changed = LESSON.replace("return i + 1", "return i + 2")
    expected = hash_in_text(changed, "timed").digest
    assert run_python(AS_CELLS, str(lesson), edited) == expected
    assert expected != hash_in_text(LESSON, "timed").digest


def test_a_plain_interpreter_has_no_hash():
    names: dict = {}
    exec("def typed():\n    return 1", names)
    assert hash_function(names["typed"]) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # a plain loop", ""),
        ("# %%\n", "# %% another cell\n\n\n"),
        ("* BLOCK\n", "* BLOCK   \n"),
        ('@experiment(needs="cpu")', '@experiment(\n    needs="gpu",\n)'),
        ("shadowed = 1\n", "shadowed = 2\n"),
        ("[:shadowed]\n\n", "[:shadowed]\n    # why\n"),
    ],
)
def test_comments_blank_lines_and_unnamed_code_do_not_count(old, new):
    assert old in LESSON
    changed = LESSON.replace(old, new)
    assert hash_in_text(changed, "timed") == hash_in_text(LESSON, "timed")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sum(range(n))", "sum(range(n + 1))"),
        ("return i + 1", "return i + 3"),
        ("BLOCK = 16", "BLOCK = 32"),
        ("fastmath=True", "fastmath=False"),
        ("parallel=False", "parallel=True"),
        ("x[0] = 1.0f;", "x[0] = 2.0f;"),
        ('"a # b"', '"a # c"'),
        ("list(sizes)", "sorted(sizes)"),
    ],
)
def test_every_part_that_the_experiment_names_counts(old, new):
    changed = LESSON.replace(old, new)
    assert changed != LESSON
    assert hash_in_text(changed, "timed").digest != hash_in_text(LESSON, "timed").digest


def test_the_parts_are_named():
    assert set(hash_in_text(LESSON, "timed").parts) == {
        "BLOCK", "CUDA_C", "fast", "helper", "kernel", "slow"
    }  # fmt: skip


def test_a_part_that_is_defined_twice_is_reported(tmp_path, lesson):
    assert ambiguous_names(lesson, "timed") == []
    lesson.write_text(LESSON + "\n\ndef slow(n):\n    return n\n")
    assert ambiguous_names(lesson, "timed") == ["slow"]


def test_experiments_are_found_without_running_the_lesson(lesson):
    assert experiments_in(lesson) == {"timed": "cpu"}


# --- live, replay, model, or an error that names the mend --------------------------------------


def test_a_live_run_says_measured_here_and_holds_plain_values():
    @experiment(needs="cpu")
    def squares(sizes):
        return Table({"size": sizes, "square": np.array(sizes) ** 2}, {"size": "B"})

    run = squares([1, 2, 3])
    assert run.kind == "measured"
    assert run.source.startswith("measured here: ")
    assert run["square"] == [1, 4, 9]
    assert type(run["square"][0]) is int
    assert (len(run), run.notes, squares.available()) == (3, [], True)


def test_a_replay_says_replayed_with_device_driver_and_day(recorded, no_gpu):
    copy = gpu_experiment()
    recorded_here(copy, recorded)
    run = copy()
    assert run.kind == "replayed"
    assert run.source == "replayed: NVIDIA H200, driver 580.65, 2026-11-23"
    assert run.notes == []
    assert run["rate"] == [10.0, 20.0]
    assert not copy.available()


def test_replay_of_edited_code_says_so(recorded, no_gpu):
    copy = gpu_experiment()
    store.save(recording(code_hash="of other code"), recorded)
    (note,) = copy().notes
    assert "differs from the code recorded" in note
    assert "Colab" in note


def test_replay_of_code_without_source_says_it_cannot_tell(recorded, no_gpu):
    store.save(recording(), recorded)
    names: dict = {}
    exec("def copy(sizes=(1, 2)):\n    return None", names)
    (note,) = experiment(needs="gpu")(names["copy"])().notes
    assert "not found" in note


def test_replay_with_other_arguments_says_which_were_recorded(recorded, no_gpu):
    copy = gpu_experiment()
    recorded_here(copy, recorded)
    (note,) = copy(sizes=(4, 8)).notes
    assert "recorded with sizes=[1, 2]" in note
    assert "asked for sizes=[4, 8]" in note


def test_the_same_code_wins_over_the_same_arguments_over_the_device():
    old = recording(code_hash="old")
    other_arguments = recording(code_hash="new", arguments={"sizes": [9]})
    small = recording(code_hash="new", device="Tesla T4")
    large = recording(code_hash="new", device="NVIDIA H100 80GB HBM3")
    asked = {"sizes": [1, 2]}
    assert choose([old, other_arguments], "new", asked) is other_arguments
    assert choose([other_arguments, small], "new", asked) is small
    assert choose([small, large], "new", asked) is large


def test_a_device_can_be_chosen_and_a_missing_one_lists_what_is_there(recorded, no_gpu):
    copy = gpu_experiment()
    recorded_here(copy, recorded)
    recorded_here(copy, recorded, device="Tesla T4", driver="550.1")
    assert copy.replay(device="T4").source.startswith("replayed: Tesla T4")
    with pytest.raises(MissingRecording, match="NVIDIA H200"):
        copy.replay(device="MI300X")


def test_the_model_stands_in_and_says_so(no_gpu):
    run = gpu_experiment(model=lambda sizes=(): (TABLE, "roofline of the H200"))()
    assert run.kind == "model"
    assert run.source == "model: roofline of the H200"


def test_a_recording_wins_over_the_model(recorded, no_gpu):
    copy = gpu_experiment(model=lambda sizes=(): (TABLE, "roofline"))
    recorded_here(copy, recorded)
    assert copy().kind == "replayed"


def test_with_nothing_at_all_the_error_names_the_mend(no_gpu):
    with pytest.raises(MissingRecording, match=r"aiinfra record test_experiment.*Colab"):
        gpu_experiment()()
    with pytest.raises(NotLiveHereError, match="no NVIDIA GPU"):
        gpu_experiment().live()


def test_replay_can_be_forced(recorded, monkeypatch):
    @experiment(needs="cpu")
    def copy(sizes=(1, 2)):
        return TABLE

    recorded_here(copy, recorded)
    assert copy().kind == "measured"
    monkeypatch.setenv("AIINFRA_REPLAY", "1")
    assert copy().kind == "replayed"


def test_a_wrong_need_and_a_wrong_result_name_the_mend():
    with pytest.raises(ValueError, match="one of cpu, gpu, ranks, links, disk"):
        experiment(needs="tpu")
    with pytest.raises(TypeError, match="return a Table"):
        experiment(needs="cpu")(lambda: [1, 2])()


def test_a_bug_in_live_code_reaches_the_learner():
    with pytest.raises(ZeroDivisionError):
        experiment(needs="cpu")(lambda: 1 / 0)()


# --- what a run gives ---------------------------------------------------------------------------


def spread_run() -> Run:
    columns = {"name": ["a", "b"], "size": [1, 1 / 3], "t": [2.0, 3.0], "t_low": [1.5, 2.5],
               "t_high": [2.5, 4.0]}  # fmt: skip
    return Run("copy", Table(columns, {"t": "s"}), "measured here: x", "measured", ["mind this"])


def test_a_quantity_takes_its_spread_from_the_low_and_high_columns():
    quantity = spread_run().quantity("t", name="b")
    assert quantity == Quantity(3.0, "s", "measured here: x", 2.5, 4.0)
    assert spread_run().quantity("size", name="a").low is None


def test_a_row_is_found_by_a_rounded_number():
    assert spread_run().quantity("t", size=0.333333).value == 3.0


def test_an_unclear_quantity_is_an_error_that_says_what_there_is():
    with pytest.raises(ValueError, match="2 rows"):
        spread_run().quantity("t")
    with pytest.raises(KeyError, match="'a', 'b'"):
        spread_run().quantity("t", name="c")
    with pytest.raises(KeyError, match="no column 'speed'"):
        spread_run().quantity("speed", name="a")
    with pytest.raises(ValueError, match="not a number"):
        spread_run().quantity("name", name="a")


def test_every_display_carries_source_and_notes():
    for text in (str(spread_run()), spread_run()._repr_markdown_()):
        assert "measured here: x" in text
        assert "mind this" in text
        assert "2.00 s" in text


# --- recordings ---------------------------------------------------------------------------------


def test_a_recording_reads_back_and_keeps_the_order_of_columns(recorded):
    table = Table({"z": [1, 2], "a": [1 / 3, float("nan")], "s": ["x", True]}, {"a": "s"})
    path = store.save(recording(table=table), recorded)
    assert path == recorded / "03_memory" / "copy--nvidia-h200.json"
    (back,) = store.find("copy", device="h200")
    assert list(back.table.columns) == ["z", "a", "s"]
    assert back.table["a"] == [0.333333, None]
    assert back.table.units == {"a": "s"}
    assert list(json.loads(path.read_text())) == sorted(json.loads(path.read_text()))
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_other_arguments_stand_beside_the_first(recorded):
    first = store.save(recording(), recorded)
    second = store.save(recording(arguments={"sizes": [7]}), recorded, beside=True)
    assert first != second
    assert len(store.find("copy")) == 2
    assert store.find("cop") == []


def test_a_large_recording_is_refused_and_named(recorded):
    rows = list(range(100_000))
    with pytest.raises(RecordingError, match=r"copy takes .* KB"):
        store.save(recording(table=Table({"i": rows})), recorded)
    assert not list(recorded.glob("*/*"))


def test_a_damaged_recording_is_named(recorded):
    path = store.save(recording(), recorded)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(RecordingError, match=path.name):
        store.find("copy")


def test_the_reference_ledger_reads_back_and_keeps_other_names(recorded):
    assert store.read_reference("triad") is None
    for name, value in (("triad", 8e9), ("peak", 1e12)):
        quantity = Quantity(value, "B/s", "measured here: x", 0.9 * value, value)
        store.write_reference(name, quantity, "Intel Xeon (2 cores)", "03_memory", "2026-11-23")
    reference = store.read_reference("triad")
    assert reference is not None
    assert reference.quantity.value == 8e9
    assert reference.quantity.low == 7.2e9
    assert reference.quantity.source == "replayed: Intel Xeon (2 cores), 2026-11-23"
    assert reference.lesson == "03_memory"
    assert store.read_reference("peak") is not None


# --- record mode --------------------------------------------------------------------------------

HEAD = """
from aiinfra.measure import experiment
from aiinfra.results import Table


@experiment(needs="cpu")
def first(n=2):
    return Table({"n": [n], "t": [4.0], "t_low": [3.0], "t_high": [5.0], "repeats": [9]})


@experiment(needs="cpu")
def last():
    return Table({"n": [3]})

"""
BROKEN = """
@experiment(needs="cpu")
def broken():
    raise RuntimeError("out of memory")

run = first()
print("hello from the lesson")
bad = broken()
bad["n"]
again = first(n=5)
end = last()
assert end.kind == "measured"
"""


@pytest.fixture
def course(tmp_path) -> Path:
    folder = tmp_path / "course" / "lessons" / "notebooks"
    folder.mkdir(parents=True)
    (folder.parent / "labs").mkdir()
    (folder / "01_cpu.py").write_text(HEAD + BROKEN)
    (folder.parent / "labs" / "lab_01_kernels.py").write_text("print('no experiment')\n")
    return tmp_path / "course"


def test_record_mode_writes_while_the_run_stays_measured(recorded, tmp_path, monkeypatch):
    @experiment(needs="cpu")
    def copy(sizes=(1, 2)):
        return TABLE

    monkeypatch.setenv("AIINFRA_RECORD", str(tmp_path / "new"))
    monkeypatch.setenv("AIINFRA_LESSON", "03_memory")
    assert copy().kind == "measured"
    (path,) = (tmp_path / "new").glob("03_memory/copy--*.json")
    found = hash_function(copy.function)
    assert found
    assert store.load(path).code_hash == found.digest
    assert store.load(path).arguments == {"sizes": [1, 2]}


def test_a_broken_experiment_falls_back_in_record_mode(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AIINFRA_RECORD", str(tmp_path / "new"))

    def copy(sizes=(1, 2)):
        raise RuntimeError("no room")

    run = experiment(needs="cpu", model=lambda sizes: (TABLE, "roofline"))(copy)((1, 2))
    assert run.kind == "model"
    assert "no room" in capsys.readouterr().err


def test_a_broken_experiment_does_not_lose_the_others(course, recorded):
    lines: list[str] = []
    (result,) = record(["1"], recorded, checkout=course, say=lines.append)
    names = [path.name.split("--")[0] for path in result.recordings]
    assert names == ["first", "first", "last"]
    assert all(path.exists() for path in result.recordings)
    assert ("broken", "RuntimeError: out of memory") in [
        (item.name, item.error) for item in result.failures
    ]
    assert not result.ok
    assert "hello from the lesson" in result.log.read_text()
    assert sum(str(result.log) in line for line in lines) == 1
    assert sum("recorded" in line for line in lines) == 3
    first = next(item for item in store.find("first") if item.arguments == {"n": 2})
    assert (first.repeats, first.spread, first.lesson) == (9, 0.5, "01_cpu")


def test_a_recorded_lesson_replays_clean_and_is_listed_as_current(course, recorded, monkeypatch):
    path = course / "lessons/notebooks/01_cpu.py"
    path.write_text(HEAD + "run = first()\nprint(run.kind, run.notes)\nlast()\n")
    (result,) = record(["01_cpu"], recorded, checkout=course)
    assert result.ok
    assert result.problem is None
    assert not result.log.parent.exists()
    assert {item.state for item in list_recordings(recorded, course)} == {"current"}
    monkeypatch.setenv("AIINFRA_REPLAY", "1")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "replayed []\n"


def test_stale_orphaned_damaged_and_missing_recordings_are_told_apart(course, recorded):
    path = course / "lessons/notebooks/01_cpu.py"
    path.write_text(HEAD + "first()\nlast()\n")
    record(["01"], recorded, checkout=course)
    store.save(recording(), recorded)
    changed = HEAD.replace('"n": [n]', '"n": [n + 1]').replace("def last", "def renamed")
    path.write_text(changed)
    (recorded / "01_cpu" / "cut--x.json").write_text("{")
    states = {
        item.experiment: item.state.partition(":")[0] for item in list_recordings(recorded, course)
    }
    assert states == {"first": "stale", "last": "orphan", "renamed": "missing", "copy": "orphan",
                      "cut": "damaged"}  # fmt: skip


def test_a_lesson_that_hangs_is_stopped_and_keeps_what_it_recorded(course, recorded):
    path = course / "lessons/notebooks/01_cpu.py"
    worker = "import subprocess, time\nprint(subprocess.Popen(['sleep', '600']).pid)\n"
    path.write_text(HEAD + worker + "first()\ntime.sleep(600)\nlast()\n")
    (result,) = record(["01"], recorded, checkout=course, timeout=6)
    assert [item.name.split("--")[0] for item in result.recordings] == ["first"]
    assert "stopped after 6 s" in (result.problem or "")
    left_behind = int(result.log.read_text().split()[0])
    assert not psutil.pid_exists(left_behind) or psutil.Process(left_behind).status() == "zombie"


def test_a_lesson_that_is_killed_keeps_what_it_recorded(course, recorded):
    path = course / "lessons/notebooks/01_cpu.py"
    path.write_text(HEAD + "import os, signal\nfirst()\nos.kill(os.getpid(), signal.SIGKILL)\n")
    (result,) = record(["01"], recorded, checkout=course)
    assert len(result.recordings) == 1
    assert "ended with code" in (result.problem or "")


@pytest.mark.parametrize("name", ["lab_01", "lab_01_kernels", "lessons/labs/lab_01_kernels.py"])
def test_lessons_are_found_by_number_stem_or_path(course, name):
    assert [path.stem for path in find_lessons([name], course)] == ["lab_01_kernels"]
    assert [path.stem for path in find_lessons([], course)] == ["01_cpu", "lab_01_kernels"]


def test_an_unknown_lesson_lists_those_there_are(course):
    with pytest.raises(LessonError, match=r"01_cpu, lab_01_kernels"):
        find_lessons(["99"], course)


def test_an_experiment_name_twice_in_the_course_is_an_error(course):
    (course / "lessons/labs/lab_01_kernels.py").write_text(HEAD)
    with pytest.raises(LessonError, match=r"'first' is defined in 01_cpu and in lab_01_kernels"):
        list_recordings(checkout=course)
