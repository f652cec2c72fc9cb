"""The command line: clear output, one sentence for bad input, honest exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from aiinfra import bench, doctor
from aiinfra.cli import main
from aiinfra.facts import recordings
from aiinfra.facts.recordings import Recording
from aiinfra.measure import needs, record
from aiinfra.results import Table
from aiinfra.teach.progress import open_progress

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("AIINFRA_RECORDED", str(tmp_path / "recorded"))
    monkeypatch.delenv("AIINFRA_REPLAY", raising=False)
    return tmp_path


def test_bare_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in ("doctor", "record", "recordings", "bench", "validate", "progress"):
        assert command in out


@pytest.mark.parametrize(
    "arguments",
    [["dance"], ["doctor", "--loud"], ["progress", "--export"], ["progress", "--json", "--reset"]],
)
def test_bad_arguments_are_one_sentence_and_exit_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["progress", "--import", "/nowhere/progress.json"],
        ["progress", "--export", "/nowhere/at/all/progress.json"],
        ["progress", "--export", str(Path(__file__).parent)],
        ["progress", "--import", __file__],
        ["progress", "--import", str(Path(__file__).parent)],
        ["record", "99_no_such_lesson"],
        ["record", "--out", f"{__file__}/recordings"],
        ["bench", "--json", "/nowhere/at/all/bench.json"],
        ["bench", "--json", str(Path(__file__).parent)],
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "record_lesson", pytest.fail)  # the path comes before the work
    monkeypatch.setattr(bench, "cases", pytest.fail)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"aiinfra {arguments[0]}: ")
    assert err.count("\n") == 1
    assert arguments[-1] in err
    assert not re.search(r"Errno|\.tmp|char 0|Error", err)
    assert out == ""


def test_progress_export_import_reset(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_progress().add_check("01.amdahl", True, 1.0)
    copy = home / "copy.json"
    assert main(["progress", "--export", str(copy)]) == 0
    assert main(["progress", "--reset"]) == 0
    capsys.readouterr()
    assert main(["progress", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"] == {}
    assert main(["progress", "--import", str(copy)]) == 0
    assert main(["progress"]) == 0
    assert "01.amdahl: passed" in capsys.readouterr().out


def test_bench_is_handed_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path | None] = []
    monkeypatch.setattr(bench, "run", seen.append)
    assert main(["bench", "--json", str(home / "out.json")]) == 0
    assert main(["bench"]) == 0
    assert seen == [home / "out.json", None]


def keep_recording(experiment: str, **arguments: int) -> None:
    """Put a recording of an experiment into the recorded folder of the test."""
    table = Table({"n": [1]}, {})
    item = Recording(
        experiment, "01_cpu_vs_gpu", "abc", arguments, device="Xeon", driver="", host="",
        packages={}, recorded_at="2026-11-23", repeats=9, spread=0.1, table=table,
    )  # fmt: skip
    recordings.save(item, recordings.recorded_folder(), beside=True)


def rows_of_recordings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["recordings"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


def test_recordings_lists_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows, blank, verdict = rows_of_recordings(capsys)
    assert head.split() == ["LESSON", "EXPERIMENT", "ARGUMENTS", "STATE", "DEVICE", "DATE", "SIZE"]
    names = {row.split()[1] for row in rows}
    assert {"gpu_square", "gpu_saxpy", "cpu_saxpy"} <= names
    assert all(row.split()[2:] == ["missing"] for row in rows)
    assert (blank, verdict) == ("", f"0 of {len(rows)} current.")


def test_recordings_of_one_experiment_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    keep_recording("draw_and_save", limit=20, width=64)
    keep_recording("draw_and_save", limit=200, width=64)
    rows = [row for row in rows_of_recordings(capsys) if "draw_and_save" in row]
    assert sorted(row.split()[2] for row in rows) == ["limit=20", "limit=200"]


def test_doctor_has_three_blocks_and_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor"])
    out = capsys.readouterr().out
    for title in ("This machine", "What runs here", "Missing"):
        assert f"{title}\n{'-' * len(title)}\n" in out
    assert code == (0 if "Ready: " in out else 1)
    assert max(map(len, out.splitlines())) <= doctor.WIDTH + 10


def test_doctor_json_has_the_same_content(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"machine", "kinds", "missing", "verdict", "healthy"}
    assert [kind["name"] for kind in report["kinds"]] == list(doctor.KINDS)
    modes = {kind["mode"].partition(":")[0] for kind in report["kinds"]}
    assert modes <= {"live", "replayed", "modelled", doctor.NO_EXPERIMENTS}
    silent = {kind["mode"] for kind in report["kinds"] if not kind["reason"]}
    assert silent <= {"live", doctor.NO_EXPERIMENTS}


def test_doctor_exits_1_when_something_needed_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: name != "numba" and real(name))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "Not ready: numba is missing; mend it with: pip install numba" in out


def test_doctor_exits_1_when_memory_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from aiinfra.measure import machine

    small = replace(machine.probe(), memory_limit_bytes=512 * 2**20)
    monkeypatch.setattr(machine, "probe", lambda: small)
    assert main(["doctor"]) == 1


def test_doctor_asks_for_gpu_packages_only_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from aiinfra.measure import machine
    from aiinfra.measure.readings import Gpu

    monkeypatch.setattr(doctor, "installed", lambda name: name not in ("cupy", "numba_cuda"))
    bare = replace(machine.probe(), gpus=())
    assert not doctor.missing_for_gpu(bare)
    for driver, extra in (("550.54", "cuda12"), ("580.65", "cuda13")):
        gpu = Gpu("NVIDIA T4", None, driver, "7.5")
        commands = {item.command for item in doctor.missing_for_gpu(replace(bare, gpus=(gpu,)))}
        assert commands == {needs.install_command(extra)}


def test_the_install_command_names_the_repository_and_stays_on_one_line() -> None:
    address = tomllib.loads(PYPROJECT.read_text())["project"]["urls"]["Repository"]
    command = needs.install_command("cuda12")
    assert command == f'pip install "aiinfra[cuda12] @ git+{address}"'
    printed = doctor.block("Missing", [("numba-cuda", f"running GPU kernels: {command}")])
    assert command in printed


def test_an_uninstalled_checkout_installs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(needs, "metadata", absent)
    monkeypatch.setattr(needs, "requires", absent)
    assert needs.install_command("torch") == 'pip install -e ".[torch]"'
    assert needs.distributions("torch") == ["aiinfra"]


def test_what_is_needed_comes_from_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2.0", "no-such.package>=10.0",
        'torch>=2.9; (sys_platform != "darwin") and extra == "torch"',
        'numba-cuda[cu12]>=0.20; extra == "cuda12"',
    ]  # fmt: skip
    monkeypatch.setattr(needs, "requires", lambda name: lines)
    assert needs.distributions() == ["numpy", "no-such.package"]
    assert needs.distributions("cuda12") == ["numpy", "no-such.package", "numba-cuda"]
    report = doctor.examine()
    assert not report.healthy
    assert [item.name for item in report.missing if item.needed] == ["no-such.package"]


def test_the_course_requires_pillow() -> None:
    required = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    assert any(line.startswith("pillow") for line in required)
    assert doctor.installed("pillow")  # a distribution whose module has another name


def test_doctor_counts_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_recording("first")
    keep_recording("second")
    experiments = {"cpu": ["first", "second", "third"], "gpu": ["third"], "disk": ["first"]}
    monkeypatch.setattr(doctor, "experiments_by_need", lambda: experiments)
    monkeypatch.setenv("AIINFRA_REPLAY", "1")
    modes = {kind.name: kind.mode for kind in doctor.examine_kinds()}
    assert modes == {
        "cpu": "replayed: 2 of 3 recorded", "gpu": "modelled", "disk": "replayed: 1 of 1 recorded",
        "ranks": doctor.NO_EXPERIMENTS, "links": doctor.NO_EXPERIMENTS,
    }  # fmt: skip


def test_doctor_does_not_count_without_the_lessons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "experiments_by_need", lambda: None)
    monkeypatch.setenv("AIINFRA_REPLAY", "1")
    assert {kind.mode for kind in doctor.examine_kinds()} == {"replayed or modelled"}


def test_doctor_says_replay_when_the_environment_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIINFRA_REPLAY", "1")
    kinds = [kind for kind in doctor.examine_kinds() if kind.mode != doctor.NO_EXPERIMENTS]
    assert {kind.name for kind in kinds} >= {"cpu", "gpu"}
    assert all("AIINFRA_REPLAY" in kind.reason for kind in kinds)


def test_doctor_imports_nothing_heavy(home: Path) -> None:
    code = (
        "import sys; from aiinfra.cli import main; main(['doctor', '--json'])\n"
        "print(sorted({'torch', 'matplotlib', 'ipywidgets'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


def test_reader_that_stops_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m aiinfra.cli doctor | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "This machine\n"
    assert done.stderr == ""
