"""Quizzes: a few questions at the end of a lesson, with a word on every choice."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from aiinfra.teach.predict import rich, status_html
from aiinfra.teach.progress import Progress, open_progress
from aiinfra.teach.words import say, widgets_available

QUIZZES = Path(__file__).with_name("quizzes.toml")
FIELDS = {"question": str, "choices": list, "answer": int, "feedback": list}
MOST_CHOICES = 6


class QuizError(ValueError):
    """A quiz that does not exist or is badly written; the message names file, section and field."""


@dataclass(frozen=True)
class Question:
    """One question; ``feedback`` has a sentence for each choice."""

    question: str
    choices: list[str]
    answer: int
    feedback: list[str]

    def options(self) -> list[str]:
        """Return the choices with their letters."""
        return [f"{ascii_lowercase[i]}) {choice}" for i, choice in enumerate(self.choices)]

    def index(self, answer: str) -> int:
        """Return the index of a letter; raises ``ValueError`` when there is no such choice."""
        letters = list(ascii_lowercase[: len(self.choices)])
        if str(answer).strip().lower() not in letters:
            raise ValueError(f"{answer!r} is not one of {', '.join(letters)}")
        return letters.index(str(answer).strip().lower())

    def response(self, chosen: int) -> str:
        """Say whether a choice is right, and why."""
        return f"{'✓ Right.' if chosen == self.answer else '✗ Not this.'} {self.feedback[chosen]}"


@dataclass(frozen=True)
class QuizResult:
    """The outcome of one attempt: which answers were right, in the order of the questions."""

    lesson: str
    right: tuple[bool, ...]

    @property
    def score(self) -> float:
        """Share of right answers, 0 to 1."""
        return sum(self.right) / len(self.right)

    def __str__(self) -> str:
        return f"{sum(self.right)} of {len(self.right)} right"

    __repr__ = __str__


def quiz(
    lesson: str,
    answers: Sequence[str] | None = None,
    *,
    path: Path = QUIZZES,
    store: Progress | None = None,
) -> QuizResult | None:
    """Show the quiz of a lesson, or grade ``answers`` such as ``["b", "a", "c"]``.

    Raises ``QuizError`` when there is no such quiz or its file is badly written.
    """
    quizzes = load_quizzes(path)
    if lesson not in quizzes:
        listed = ", ".join(quizzes) or "none yet"
        raise QuizError(f"no quiz {lesson!r} in {path.name}; there are: {listed}")
    questions = quizzes[lesson]
    if answers is not None:
        return grade(lesson, questions, answers, open_progress(store))
    if widgets_available():
        from IPython.display import display

        box = quiz_box(lesson, questions, open_progress(store))
        display(box)  # type: ignore[no-untyped-call,unused-ignore]
        return None
    for number, question in enumerate(questions, 1):
        print(f"{number}. {question.question}", *question.options(), sep="\n   ")
    example = ", ".join('"a"' for _ in questions)
    print(f'Answer with quiz("{lesson}", answers=[{example}]), one letter for each question.')
    return None


def grade(
    lesson: str, questions: list[Question], answers: Sequence[str], store: Progress
) -> QuizResult | None:
    """Grade a full set of letters, say the feedback, and note the attempt."""
    try:
        given = list(answers)
        if len(given) != len(questions):
            raise ValueError(f"one letter for each of {len(questions)} questions is asked for")
        chosen = [question.index(a) for a, question in zip(given, questions, strict=True)]
    except (TypeError, ValueError) as problem:
        say(f"Not graded: {problem}.")
        return None
    result = note(lesson, questions, chosen, store)
    pairs = enumerate(zip(questions, chosen, strict=True), 1)
    say("\n".join([*(f"{n}. {q.response(c)}" for n, (q, c) in pairs), "", str(result)]))
    return result


def note(lesson: str, questions: list[Question], chosen: list[int], store: Progress) -> QuizResult:
    """Put an attempt into the progress file and return its result."""
    pairs = zip(questions, chosen, strict=True)
    result = QuizResult(lesson, tuple(question.answer == choice for question, choice in pairs))
    store.add_quiz(lesson, result.score, [ascii_lowercase[choice] for choice in chosen])
    return result


def load_quizzes(path: Path = QUIZZES) -> dict[str, list[Question]]:
    """Read and validate all quizzes; raises ``QuizError`` naming file, section and field."""
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise QuizError(f"{path.name} cannot be read: {problem}") from None
    quizzes: dict[str, list[Question]] = {}
    for lesson, items in sections.items():
        for number, item in enumerate(items, 1):
            where = f"{path.name}, section {lesson}, question {number}, field"
            if problem_text := problem_of(item):
                raise QuizError(f"{where} {problem_text}")
            quizzes.setdefault(lesson, []).append(Question(**item))
    return quizzes


def problem_of(item: dict[str, Any]) -> str:
    """Name the field of a question that is wrong, and the mend; empty for a good question."""
    for field, kind in FIELDS.items():
        if type(item.get(field)) is not kind:
            return f"{field}: it must be a {kind.__name__}"
    for field in item.keys() - FIELDS:
        return f"{field}: there is no such field"
    count = len(item["choices"])
    if not 2 <= count <= MOST_CHOICES or len({*map(str, item["choices"])}) != count:
        return f"choices: 2 to {MOST_CHOICES} different ones are needed"
    if not 0 <= item["answer"] < count:
        return f"answer: {item['answer']} is not an index into choices"
    if len(item["feedback"]) != count:
        return f"feedback: one sentence for each of {count} choices"
    for field in ("choices", "feedback"):
        if not all(isinstance(text, str) and text.strip() for text in item[field]):
            return f"{field}: every one must be text"
    return ""


def quiz_box(lesson: str, questions: list[Question], store: Progress) -> Any:
    """Build the widget of a quiz; its parts carry nothing that gives an answer away."""
    import ipywidgets

    rows = [question_row(question, number) for number, question in enumerate(questions, 1)]
    button = ipywidgets.Button(description="Check my answers", layout={"width": "12rem"})
    total = ipywidgets.HTML(value=status_html(""))

    def submit(_: Any) -> None:
        chosen = [choices.value for _, choices, _ in rows]
        for question, (_, choices, feedback) in zip(questions, rows, strict=True):
            missing = choices.value is None
            text = "No answer yet." if missing else question.response(choices.value)
            feedback.value = status_html(text)
        if None in chosen:
            total.value = status_html("Answer every question, then check again.")
        else:
            total.value = status_html(f"{note(lesson, questions, chosen, store)}.")

    button.on_click(submit)
    return ipywidgets.VBox([*(part for row in rows for part in row), button, total])


def question_row(question: Question, number: int) -> tuple[Any, Any, Any]:
    """Build the widgets of one question: its text, its choices and an empty line of feedback."""
    import ipywidgets

    text = ipywidgets.HTML(value=f"<b>{number}. {rich(question.question)}</b>")
    options = [(choice, i) for i, choice in enumerate(question.options())]
    choices = ipywidgets.RadioButtons(
        options=options, value=None, tooltip=question.question, layout={"width": "auto"}
    )
    return text, choices, ipywidgets.HTML(value=status_html(""))
