"""The command line: clear output, one sentence for bad input, honest exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aiinfra import doctor
from aiinfra.cli import main
from aiinfra.teach.progress import open_progress


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIINFRA_HOME", str(tmp_path))
    monkeypatch.setenv("AIINFRA_RECORDED", str(tmp_path / "recorded"))
    monkeypatch.delenv("AIINFRA_REPLAY", raising=False)
    return tmp_path


def test_bare_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in ("doctor", "record", "recordings", "bench", "progress"):
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
        ["progress", "--import", __file__],
        ["record", "99_no_such_lesson"],
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"aiinfra {arguments[0]}: ")
    assert err.count("\n") == 1


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


def test_bench_is_handed_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Path | None] = []
    bench = ModuleType("aiinfra.bench")
    bench.run = seen.append  # type: ignore[attr-defined]
    bench.__spec__ = __import__("importlib").machinery.ModuleSpec("aiinfra.bench", None)
    monkeypatch.setitem(sys.modules, "aiinfra.bench", bench)
    assert main(["bench", "--json", "out.json"]) == 0
    assert main(["bench"]) == 0
    assert seen == [Path("out.json"), None]


def test_recordings_lists_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recordings"]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


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
    assert all(kind["mode"] in ("live", "replayed", "modelled") for kind in report["kinds"])
    assert all(kind["reason"] for kind in report["kinds"] if kind["mode"] != "live")


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
        assert commands == {f"pip install 'aiinfra[{extra}]'"}


def test_doctor_says_replay_when_the_environment_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIINFRA_REPLAY", "1")
    assert all("AIINFRA_REPLAY" in kind.reason for kind in doctor.examine().kinds)


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
