"""Every lesson and lab keeps the promises of the house, on this machine, today."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import build
import pytest
from conftest import ROOT, lesson_sources
from lesson_rules import LAB_RULES, LESSON_RULES, Rule
from lesson_runner import Executed, execute, over_budget, run_script
from lessonkit.repository import read_repository
from lessonkit.solutions import BEGIN, END
from lessonkit.source import Source, parse_source
from output_rules import OUTPUT_RULES
from spoilers import lasting, spoilers

LESSONS, LABS = lesson_sources(labs=False), lesson_sources(labs=True)
Run = Callable[[Source], Executed]

every_source = pytest.mark.parametrize("source", [*LESSONS, *LABS], ids=lambda s: s.stem)
every_lesson = pytest.mark.parametrize("source", LESSONS, ids=lambda s: s.stem)
every_lab = pytest.mark.parametrize("source", LABS, ids=lambda s: s.stem)


def expect_none(problems: list[str]) -> None:
    """Fail with one line for each problem."""
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_there_are_lessons() -> None:
    assert [source.stem for source in LESSONS][:1] == ["00_start_here"]


def test_notebooks_on_disk_are_fresh() -> None:
    expect_none(build.differences(ROOT, build.build_all(ROOT)))


@every_lesson
@pytest.mark.parametrize("rule", LESSON_RULES, ids=lambda rule: rule.__name__)
def test_lesson_follows_the_house_style(source: Source, rule: Rule) -> None:
    expect_none(rule(build.make_notebook(source, read_repository(ROOT))))


@every_lab
@pytest.mark.parametrize("rule", LAB_RULES, ids=lambda rule: rule.__name__)
def test_lab_follows_the_house_style(source: Source, rule: Rule) -> None:
    expect_none(rule(build.make_notebook(source, read_repository(ROOT))))


@pytest.mark.lessons
@every_source
def test_run_all_ends_without_an_error(source: Source, executed: Run) -> None:
    expect_none([error] if (error := executed(source).error) else [])


@pytest.mark.lessons
@every_source
def test_run_all_stays_within_its_budget(source: Source, executed: Run) -> None:
    expect_none(over_budget(executed(source), source))


@pytest.mark.lessons
@every_source
@pytest.mark.parametrize("rule", OUTPUT_RULES, ids=lambda rule: rule.__name__)
def test_what_a_lesson_shows(source: Source, rule: Rule, executed: Run) -> None:
    run = executed(source)
    expect_none(["it did not run to its end"] if run.error else rule(run.notebook))


@pytest.mark.lessons
@every_lab
def test_solved_lab_passes_every_check_and_its_figures_speak(
    source: Source, tmp_path: Path
) -> None:
    lines = source.path.read_text().splitlines()
    text = "\n".join(line for line in lines if line.strip() not in (BEGIN, END))
    solved = build.make_notebook(parse_source(text, source.path), read_repository(ROOT))
    run = execute(solved, tmp_path / "solved.ipynb", tmp_path / "work")
    expect_none([run.error] if run.error else [])
    expect_none([problem for rule in OUTPUT_RULES for problem in rule(run.notebook)])
    verdicts = re.findall(r"([✓✗○]) lab_\d\d\.", str(run.notebook))
    assert verdicts, "no check"
    assert set(verdicts) == {"✓"}
    assert "image/png" in str(run.notebook) or "<img" in str(run.notebook), "no figure"


@pytest.mark.lessons
@every_lesson
def test_no_answer_stands_above_its_prediction(
    source: Source, executed: Run, tmp_path: Path
) -> None:
    run = executed(source)
    told = ["it did not run to its end"] if run.error else spoilers(run.notebook)
    if told and not run.error:
        notebook = build.make_notebook(source, read_repository(ROOT))
        again = execute(notebook, tmp_path / "again.ipynb", tmp_path / "work")
        told = lasting(told, spoilers(again.notebook), run.notebook)
    expect_none(told)


@pytest.mark.lessons
@every_source
def test_lesson_runs_as_a_script_without_ipython(source: Source, tmp_path: Path) -> None:
    finished = run_script(source, tmp_path)
    assert finished.returncode == 0, finished.output[-3000:]
    assert finished.figures or source.is_lab, "no figure was drawn into AIINFRA_FIGURES"


@pytest.mark.lessons
@every_lesson
def test_lesson_goes_through_on_replays_alone(source: Source, tmp_path: Path) -> None:
    finished = run_script(source, tmp_path, AIINFRA_REPLAY="1")
    assert finished.returncode == 0, finished.output[-3000:]
