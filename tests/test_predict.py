"""Predictions, comparisons, quizzes and the ledger, as plain code and in a real kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiinfra.facts import recordings
from aiinfra.results import Quantity, Table
from aiinfra.teach import compare, ledger, predict, quiz
from aiinfra.teach.compare import ARITHMETIC, NO_PREDICTION, sentence
from aiinfra.teach.ledger import LedgerError
from aiinfra.teach.predict import LATE, prediction_box
from aiinfra.teach.progress import Progress
from aiinfra.teach.quiz import QuizError, load_quizzes, quiz_box
from aiinfra.teach.report import report
from aiinfra.teach.words import brief

MEASURED = Quantity(26.0, "x", "measured here: toy")
MODEL = Quantity(32.0, "x", "model: Amdahl")
QUIZ = """
[["01"]]
question = "Which is larger, a GiB or a GB?"
choices = ["GB", "GiB"]
answer = 1
feedback = ["It is 7.4 % smaller.", "By 7.4 %."]
[["01"]]
question = "And FLOP or FLOP/s?"
choices = ["larger", "smaller", "neither"]
answer = 2
feedback = ["One is a rate.", "One is a rate.", "Work and rate cannot be compared."]
"""


@pytest.fixture
def store(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "progress.json")


@pytest.fixture
def quizzes(tmp_path: Path) -> Path:
    path = tmp_path / "quizzes.toml"
    path.write_text(QUIZ)
    return path


def ask(store: Progress, **options: Any) -> Any:
    return predict("How many times faster?", unit="x", key="01.speedup", store=store, **options)


# Words


def test_numbers_in_sentences_have_no_trailing_zeros() -> None:
    assert brief(12e9, "B/s") == "12 GB/s"
    assert brief(1230.0) == "1,230"
    assert brief(0.05, "s") == "50 ms"


# Predictions as plain code


def test_plain_predict_prints_the_question_and_goes_on(
    store: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    guess = ask(store)
    assert guess.value is None
    assert guess.quantity() is None
    assert "How many times faster? [x]" in capsys.readouterr().out


def test_bare_number_is_in_the_unit_of_the_question(store: Progress) -> None:
    guess = predict("How fast?", unit="GB/s", store=store)
    assert guess.answer("12").value == 12e9
    assert guess.answer(13).value == 13e9
    assert guess.answer("1.4e10 B/s").value == 1.4e10
    assert guess.quantity() == Quantity(1.4e10, "B/s", "guess")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "12 GB",
        "nan",
        "1e999",
        "-3",
        "0",
        True,
        10**400,
        "1.797e308",
        [3],
        Quantity(3.0, "s", "x"),
    ],
)
def test_bad_text_is_explained_and_nothing_is_stored(
    store: Progress, text: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    guess = predict("How fast?", unit="GB/s", store=store, answer=text)
    assert guess.value is None
    out = capsys.readouterr().out
    assert "Not committed" in out
    assert "Traceback" not in out


def test_answers_may_be_arrays_of_one_and_quantities(store: Progress) -> None:
    guess = predict("How fast?", unit="GB/s", store=store)
    assert guess.answer(Quantity(3.0, "MB/s", "model")).value == 3e6
    assert guess.answer(np.float32(2)).value == 2e9
    guess.answer(np.array([1, 2]))
    assert guess.value == 2e9


def test_comma_separates_thousands(store: Progress) -> None:
    assert predict("How many?", store=store, answer="1,230,000").value == 1_230_000


def test_comma_may_be_a_decimal_comma(store: Progress) -> None:
    assert predict("How much?", store=store, answer="1,5").value == 1.5


def test_guess_survives_a_restart(store: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    ask(store, answer="12")
    again = ask(Progress(store.path))
    assert again.value == 12
    assert "Committed: 12x. Now measure." in capsys.readouterr().out


def test_guess_in_another_unit_is_another_question(store: Progress) -> None:
    predict("How long?", unit="s", key="k", store=store, answer=3)
    assert predict("How far?", unit="m", key="k", store=store).value is None


def test_guess_may_change_until_the_answer_is_shown_and_all_are_kept(store: Progress) -> None:
    guess = ask(store, answer=100)
    guess.answer(10)
    compare(guess, MEASURED)
    guess.answer(26)
    assert guess.value == 10
    entry = store.guess("01.speedup")
    assert entry is not None
    assert entry["value"] == 100
    assert [(r["value"], r["after_answer"]) for r in entry["revised"]] == [(10, False), (26, True)]


def test_running_the_cell_again_adds_no_revision(store: Progress) -> None:
    ask(store, answer=10)
    ask(store, answer=10)
    entry = store.guess("01.speedup")
    assert entry is not None
    assert entry["revised"] == []


# Comparisons


def test_comparison_says_ratios(store: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    guess = ask(store, answer=10)
    capsys.readouterr()
    comparison = compare(guess, MEASURED, MODEL)
    expected = "You said 10x, measured 26x: 2.6x low. The model says 32x, 1.2x high."
    assert capsys.readouterr().out.strip() == expected
    assert comparison.guess_ratio == pytest.approx(10 / 26)
    assert comparison.question == "How many times faster?"


def test_comparison_without_a_guess_still_shows_the_figures(
    store: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    guess = ask(store)
    comparison = compare(guess, MEASURED, MODEL)
    out = capsys.readouterr().out
    assert NO_PREDICTION in out
    assert "Measured 26x. The model says 32x" in out
    assert comparison.guess is None
    assert comparison.measured == MEASURED


def test_guess_after_the_answer_is_marked(
    store: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    guess = ask(store)
    compare(guess, MEASURED)
    guess.answer(26)
    comparison = compare(guess, MEASURED)
    assert comparison.guess is not None
    assert comparison.guess.source == f"guess, {LATE}"
    assert f"You said 26x ({LATE}), measured 26x: within 1 %." in capsys.readouterr().out


def test_replays_and_models_are_not_called_measured(store: Progress) -> None:
    guess = ask(store, answer=10)
    replayed = Quantity(26.0, "x", "replayed: NVIDIA H200, 2026-11-23")
    assert "the recorded run (NVIDIA H200, 2026-11-23) shows 26x" in sentence(
        compare(guess, replayed)
    )
    assert "the model computes 32x" in sentence(compare(guess, MODEL))
    counted = Quantity(32.0, "passes", "counted by the interpreter")
    assert "The interpreter counts 32 passes." in sentence(compare(None, counted))


def test_a_model_is_no_test_of_itself(store: Progress) -> None:
    again = Quantity(32.0, "x", "model: the same counts")
    said = sentence(compare(ask(store, answer=10), MODEL, model=again))
    assert said.endswith(ARITHMETIC)
    assert "The model says" not in said
    assert "within" not in said
    counted = Quantity(32.0, "x", "counted by the interpreter")
    assert "The model says 32x" in sentence(compare(None, counted, model=MODEL))


def test_plain_number_is_in_the_si_unit_of_the_guess(store: Progress) -> None:
    guess = predict("How fast?", unit="GB/s", store=store, answer=12)
    assert compare(guess, 24e9).guess_ratio == 0.5
    assert compare(guess, Quantity(24.0, "GB/s", "measured here")).guess_ratio == 0.5


def test_different_units_are_an_error(store: Progress) -> None:
    guess = predict("How fast?", unit="GB/s", store=store, answer=12)
    with pytest.raises(ValueError, match="same unit"):
        compare(guess, Quantity(3.0, "s", "measured here"))


# Widgets


def test_field_of_a_prediction_commits_and_explains(store: Progress) -> None:
    guess = predict("How `fast` & far?", unit="GB/s", store=store)
    box, field, commit = prediction_box(guess)
    question, status = box.children[0], box.children[2]
    assert question.value == "<b>How <code>fast</code> &amp; far?</b>"
    assert field.placeholder == "type a number in GB/s, Enter"
    assert field.description == "How `fast` & far?"
    commit("abc")
    assert "not a number" in status.value
    commit("12")
    assert "Committed: 12 GB/s. Now measure." in status.value
    assert guess.value == 12e9


def test_kernel_shows_a_widget_and_late_answers_reach_the_comparison(tmp_path: Path) -> None:
    outputs = run_cells(
        tmp_path,
        "from aiinfra.teach import predict, compare\n"
        "from aiinfra.results import Quantity\n"
        "guess = predict('How many?', unit='x', key='k')",
        "c = compare(guess, Quantity(26.5, 'x', 'measured here: toy'))",
        # what the browser does: find the field among the live widgets and type into it
        "import ipywidgets, gc\n"
        "field = next(w for w in gc.get_objects() if isinstance(w, ipywidgets.Text))\n"
        "field.value = '13'\n"
        "print(guess.value)",
        "c = compare(guess, Quantity(26.5, 'x', 'measured here: toy'))",
    )
    assert "application/vnd.jupyter.widget-view+json" in outputs[0][0]["data"]
    assert "26.5" not in str(outputs[0])
    first = outputs[1][0]["data"]
    assert NO_PREDICTION in first["text/markdown"]
    assert NO_PREDICTION in first["text/plain"]
    assert outputs[2][0]["text"].strip() == "13.0"
    assert f"You said 13x ({LATE})" in outputs[3][0]["data"]["text/markdown"]


def test_without_ipywidgets_or_ipython_predict_prints(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ipywidgets'] = sys.modules['IPython'] = None\n"
        "from aiinfra.teach import predict, compare, quiz\n"
        "compare(predict('How many?', unit='x', answer=13), 26.0)"
    )
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "You said 13x, measured 26x: 2x low." in done.stdout.replace("2.0", "2")


def test_importing_the_room_pulls_in_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; import aiinfra.teach\n"
        "heavy = {'torch', 'numba', 'cupy', 'matplotlib', 'ipywidgets', 'IPython', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert run_python(code, tmp_path).stdout.strip() == "[]"


def run_python(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60, env=environment(home),
    )  # fmt: skip


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "AIINFRA_HOME": str(home)}


def run_cells(home: Path, *cells: str) -> list[list[Any]]:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, timeout=90, kernel_name="python3").execute(env=environment(home))
    return [cell.outputs for cell in notebook.cells]


# Quizzes


def test_quiz_as_plain_code_asks_without_telling(
    quizzes: Path, store: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quiz("01", path=quizzes, store=store) is None
    out = capsys.readouterr().out
    assert "1. Which is larger" in out
    assert "b) GiB" in out
    assert "7.4" not in out


def test_quiz_grades_with_feedback_per_choice(
    quizzes: Path, store: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    result = quiz("01", answers=["A", "c"], path=quizzes, store=store)
    assert result is not None
    assert result.right == (False, True)
    out = capsys.readouterr().out
    assert "✗ Not this. It is 7.4 % smaller." in out
    assert "1 of 2 right" in out
    quiz("01", answers=["b", "c"], path=quizzes, store=store)
    entry = store.state()["quizzes"]["01"]
    assert (entry["first_score"], entry["score"], entry["attempts"]) == (0.5, 1.0, 2)


@pytest.mark.parametrize("answers", [["a"], ["a", "d"], ["a", ""], ["a", "ab"], 5])
def test_malformed_answers_are_explained_and_not_counted(
    quizzes: Path, store: Progress, answers: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quiz("01", answers=answers, path=quizzes, store=store) is None
    assert "Not graded" in capsys.readouterr().out
    assert store.state()["quizzes"] == {}


def test_quiz_box_shows_nothing_before_and_feedback_after(quizzes: Path, store: Progress) -> None:
    box = quiz_box("01", load_quizzes(quizzes)["01"], store)
    _, first, feedback_1, _, second, feedback_2, button, total = box.children
    assert "7.4" not in "".join(str(part.get_state()) for part in box.children)
    first.value = 1
    button.click()
    assert "Right" in feedback_1.value
    assert "No answer yet" in feedback_2.value
    assert store.state()["quizzes"] == {}
    second.value = 0
    button.click()
    assert "Not this. One is a rate." in feedback_2.value
    assert "neither" not in feedback_2.value
    assert "1 of 2 right" in total.value
    assert store.state()["quizzes"]["01"]["score"] == 0.5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("answer = 1", "answer = 2"), "answer"),
        (("answer = 1", "answer = true"), "answer"),
        (("answer = 1", 'answer = "b"'), "answer"),
        ((', "By 7.4 %."', ""), "feedback"),
        (('"GB", "GiB"', '"GB"'), "choices"),
        (('"GB", "GiB"', '"GB", 3'), "choices"),
        (('question = "Which', 'query = "Which'), "question"),
        (("answer = 1", 'answer = 1\nhint = "x"'), "hint"),
    ],
)
def test_badly_written_quiz_names_file_section_and_field(
    quizzes: Path, change: tuple[str, str], field: str
) -> None:
    quizzes.write_text(QUIZ.replace(*change, 1))
    with pytest.raises(QuizError, match=rf"quizzes.toml, section 01, question 1, field {field}:"):
        load_quizzes(quizzes)


def test_unknown_quiz_lists_those_there_are(quizzes: Path) -> None:
    with pytest.raises(QuizError, match="there are: 01"):
        quiz("77", path=quizzes)


def test_quizzes_of_the_course_are_well_written() -> None:
    load_quizzes()


# Ledger


class ToyRun:
    """A run of two rows, as experiments return them."""

    table = Table({"threads": [1, 2], "bandwidth": [1e10, 2e10]}, {"bandwidth": "B/s"})

    def quantity(self, column: str, **where: Any) -> Quantity:
        row = self.table.where(**where)
        return Quantity(row[column][0], "B/s", "measured here: toy machine")


@pytest.fixture
def no_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIINFRA_RECORDED", str(tmp_path / "recorded"))
    monkeypatch.delenv("AIINFRA_RECORD", raising=False)
    return tmp_path / "recorded"


@pytest.mark.usefixtures("no_reference")
def test_ledger_gives_back_what_was_kept_and_says_when(
    store: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIINFRA_LESSON", "03_memory_bandwidth")
    ledger.keep("triad_bandwidth", ToyRun(), "bandwidth", threads=2, store=store)
    kept = ledger.get("triad_bandwidth", store=Progress(store.path))
    assert (kept.value, kept.unit) == (2e10, "B/s")
    assert kept.source.startswith("measured here on 20")
    assert "in lesson 03_memory_bandwidth: toy machine" in kept.source


@pytest.mark.usefixtures("no_reference")
def test_ledger_does_not_take_a_replay_for_this_machine(store: Progress) -> None:
    replay = Quantity(4.8e12, "B/s", "replayed: NVIDIA H200, 2026-11-23")
    assert ledger.keep("copy_bandwidth", replay, store=store) == replay
    assert store.state()["ledger"] == {}


def test_recorded_reference_stands_in_and_says_so(
    store: Progress, no_reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quantity = Quantity(2e10, "B/s", "measured here: Xeon")
    recordings.write_reference(
        "triad_bandwidth", quantity, "Xeon", "03_memory_bandwidth", folder=no_reference
    )
    found = ledger.get("triad_bandwidth", store=store)
    assert found.value == 2e10
    assert found.source.startswith("replayed: Xeon")
    assert "the recorded run stands in: 20 GB/s on Xeon" in capsys.readouterr().out


def test_record_mode_also_writes_the_reference(
    store: Progress, no_reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIINFRA_RECORD", str(no_reference))
    monkeypatch.setenv("AIINFRA_LESSON", "03_memory_bandwidth")
    ledger.keep("triad_bandwidth", Quantity(2e10, "B/s", "measured here: Xeon"), store=store)
    reference = recordings.read_reference("triad_bandwidth")
    assert reference is not None
    assert (reference.device, reference.lesson) == ("Xeon", "03_memory_bandwidth")


@pytest.mark.usefixtures("no_reference")
def test_missing_number_names_the_lesson_that_measures_it(
    store: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tmp_path / "ledger.toml"
    names.write_text('[triad_bandwidth]\nlesson = "03_memory_bandwidth"\nmeaning = "a sample"\n')
    monkeypatch.setattr(ledger, "NAMES_FILE", names)
    with pytest.raises(LedgerError, match="run lesson 03_memory_bandwidth first"):
        ledger.get("triad_bandwidth", store=store)
    with pytest.raises(LedgerError, match=r"lessons measure: .*triad_bandwidth"):
        ledger.get("triad_bandwith", store=store)


@pytest.mark.usefixtures("no_reference")
def test_report_shows_every_kind_of_entry(store: Progress, quizzes: Path) -> None:
    assert "Nothing done yet" in report(store.state())
    guess = ask(store, answer=100)
    guess.answer(10)
    store.add_check("01.amdahl", True, 1.0)
    quiz("01", answers=["b", "a"], path=quizzes, store=store)
    ledger.keep("triad_bandwidth", Quantity(2e10, "B/s", "measured here: Xeon"), store=store)
    text = report(store.state())
    assert "How many times faster? 10x (first said 100x)" in text
    assert "01.amdahl: passed (1 attempt)" in text
    assert "01: 50 % right" in text
    assert "triad_bandwidth: 20.0 GB/s (measured here on" in text
