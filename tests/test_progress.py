"""The progress file: nothing that was confirmed is ever lost."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiinfra.measure import Run
from aiinfra.results import Table
from aiinfra.teach import entries, ledger
from aiinfra.teach.progress import Progress, ProgressError, open_progress
from aiinfra.teach.report import report
from aiinfra.teach.storage import locked

WRITER = """
import sys
from pathlib import Path
from aiinfra.teach.progress import Progress
store, name, count = Progress(Path(sys.argv[1]), lock_seconds=60), sys.argv[2], int(sys.argv[3])
for i in range(count):
    store.add_check(f"{name}.task{i}", True, 1.0)
    print(i, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "home" / "progress.json")


def writer(store: Progress, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(store.path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def saved(store: Progress) -> dict:
    return json.loads(store.path.read_text())


def test_entries_are_read_back_by_a_new_store(store: Progress) -> None:
    store.add_guess("k", "How many?", 12.0, "x")
    store.add_check("01.a", True, 1.0)
    store.add_quiz("01", 0.5, ["a"])
    again = Progress(store.path).state()
    assert again["guesses"]["k"]["value"] == 12.0
    assert again["checks"]["01.a"]["passed"]
    assert again["quizzes"]["01"]["score"] == 0.5
    assert again["schema"] == entries.SCHEMA


def test_the_file_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIINFRA_HOME", str(tmp_path / "one"))
    open_progress().add_check("01.a", True, 1.0)
    monkeypatch.setenv("AIINFRA_HOME", str(tmp_path / "two"))
    assert open_progress().state()["checks"] == {}
    assert (tmp_path / "one" / "progress.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_in_the_middle_of_a_save_never_damages_the_file(store: Progress) -> None:
    rng, confirmed_in_all = random.Random(7), 0
    for round_ in range(8):
        process = writer(store, f"round{round_}", 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        confirmed = 1 + len([line for line in process.stdout.read().split("\n") if line])
        process.wait()
        kept = [name for name in saved(store)["checks"] if name.startswith(f"round{round_}.")]
        assert len(kept) >= confirmed - 1  # the last line may have been cut short
        confirmed_in_all += confirmed
    assert confirmed_in_all > 20
    store.add_check("after", True, 1.0)
    assert not list(store.path.parent.glob("*.tmp"))
    assert not list(store.path.parent.glob("*damaged*"))


def test_two_processes_at_once_lose_nothing(store: Progress) -> None:
    processes = [writer(store, name, 50) for name in ("one", "two")]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(saved(store)["checks"]) == 100


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"schema": 1, "checks": {"a": 3}}', b"null"]
)
def test_damaged_file_is_set_aside_and_reported(
    store: Progress, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    store.path.parent.mkdir(parents=True)
    store.path.write_bytes(content)
    assert store.state()["checks"] == {}
    store.add_check("01.a", True, 1.0)
    aside = list(store.path.parent.glob("progress.damaged-*.json"))
    assert [path.read_bytes() for path in aside] == [content]
    assert str(aside[0]) in capsys.readouterr().err
    assert list(saved(store)["checks"]) == ["01.a"]


def test_file_of_a_newer_version_is_left_alone(
    store: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    store.path.parent.mkdir(parents=True)
    newer = json.dumps({"schema": entries.SCHEMA + 1, "wonders": {}})
    store.path.write_text(newer)
    store.add_check("01.a", True, 1.0)
    store.add_check("01.b", True, 1.0)
    assert store.path.read_text() == newer
    assert set(store.state()["checks"]) == {"01.a", "01.b"}
    assert capsys.readouterr().err.count("upgrade") == 1


def test_home_that_cannot_be_written_works_in_memory_and_warns_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Progress(tmp_path / "file" / "progress.json")
    store.add_guess("k", "How many?", 12.0, "x")
    store.add_check("01.a", False, 0.0)
    store.add_check("01.a", True, 1.0)
    assert store.state()["guesses"]["k"]["value"] == 12.0
    assert store.state()["checks"]["01.a"]["attempts"] == 2
    assert capsys.readouterr().err.count("AIINFRA_HOME") == 1


def test_report_says_what_a_passed_task_earned(tmp_path: Path) -> None:
    store = Progress(tmp_path / "progress.json")
    store.add_check("01.a", True, 1.0)
    store.add_check("01.b", True, 0.6)
    assert "01.a: passed (1 attempt)\n  01.b: passed, 60 % (1 attempt)" in report(store.state())


def test_what_waited_in_memory_is_saved_once_the_home_can_be_written(tmp_path: Path) -> None:
    blocker = tmp_path / "home"
    blocker.write_text("not a folder yet")
    store = Progress(blocker / "progress.json")
    store.add_check("01.a", True, 1.0)
    blocker.unlink()
    store.add_check("01.b", True, 1.0)
    assert set(saved(store)["checks"]) == {"01.a", "01.b"}
    assert saved(store)["checks"]["01.a"]["attempts"] == 1


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere"
)
def test_read_only_folder_works_in_memory(store: Progress) -> None:
    store.add_check("01.a", True, 1.0)
    store.path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert not store.update(lambda state: None)
        assert "01.a" in store.state()["checks"]
    finally:
        store.path.parent.chmod(stat.S_IRWXU)


def test_lock_held_by_somebody_else_keeps_the_entry_in_memory(store: Progress) -> None:
    hasty = Progress(store.path, lock_seconds=0.05)
    with locked(store.path):
        hasty.add_check("01.a", True, 1.0)
        assert not store.path.exists()
    hasty.add_check("01.b", True, 1.0)
    assert set(saved(store)["checks"]) == {"01.a", "01.b"}


def test_export_and_import_round_trip(store: Progress, tmp_path: Path) -> None:
    store.add_guess("k", "How many?", 12.0, "x")
    store.keep("triad", {"value": 1e10, "unit": "B/s", "source": "measured here: toy"})
    store.export(tmp_path / "copy.json")
    other = Progress(tmp_path / "other" / "progress.json")
    assert other.import_from(tmp_path / "copy.json")
    assert other.state() == store.state()


def test_import_merges_and_importing_twice_changes_nothing(store: Progress, tmp_path: Path) -> None:
    other = Progress(tmp_path / "other.json")
    store.add_guess("k", "How many?", 12.0, "x")
    other.add_guess("k", "How many?", 20.0, "x")
    other.add_check("01.a", True, 1.0)
    store.add_check("01.a", False, 0.3)
    store.add_check("01.b", True, 1.0)
    store.import_from(other.path)
    once = store.state()
    store.import_from(other.path)
    assert store.state() == once
    assert once["guesses"]["k"]["value"] == 12.0
    assert [revised["value"] for revised in once["guesses"]["k"]["revised"]] == [20.0]
    assert once["checks"]["01.a"]["passed"]
    assert "01.b" in once["checks"]


def test_import_of_something_else_is_refused_and_nothing_changes(
    store: Progress, tmp_path: Path
) -> None:
    store.add_check("01.a", True, 1.0)
    before = store.state()
    (tmp_path / "else.json").write_text('{"cells": []}')
    with pytest.raises(ProgressError, match="cannot be imported"):
        store.import_from(tmp_path / "else.json")
    assert store.state() == before


def test_reset_keeps_the_old_file(store: Progress) -> None:
    store.add_check("01.a", True, 1.0)
    old = store.reset()
    assert old is not None
    assert "01.a" in json.loads(old.read_text())["checks"]
    assert store.state() == entries.empty()


def test_a_task_once_passed_stays_passed(store: Progress) -> None:
    store.add_check("01.a", True, 1.0)
    store.add_check("01.a", False, 0.2)
    assert store.state()["checks"]["01.a"] == {
        **store.state()["checks"]["01.a"], "passed": True, "score": 1.0, "attempts": 2,
    }  # fmt: skip


def test_wrong_answers_outlive_other_attempts_and_are_joined_by_an_import(
    store: Progress, tmp_path: Path
) -> None:
    other = Progress(tmp_path / "other.json")
    for one, names in ((store, ["a", "b"]), (other, ["b", "c"])):
        one.add_check("01.a", False, 0.0)
        one.update(lambda state, names=names: state["checks"]["01.a"].update(wrong=names))
        one.add_check("01.a", False, 0.0)
    for _ in range(2):
        store.import_from(other.path)
        assert store.state()["checks"]["01.a"]["wrong"] == ["a", "b", "c"]


def test_ledger_keeps_the_one_column_that_its_name_names(store: Progress) -> None:
    table = Table({"bandwidth": [2e10], "seconds": [0.1]}, {"bandwidth": "B/s", "seconds": "s"})
    run = Run("stream", table, "measured here: a laptop", "measured")
    assert ledger.keep("triad_bandwidth", run, store=store).value == 2e10
    with pytest.raises(ValueError, match="name the column"):
        ledger.keep("triad", run, store=store)
