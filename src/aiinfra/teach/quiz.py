"""Quizzes: a few questions at the end of a lesson, with a word on every choice."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Any

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
    choices: tuple[str, ...]
    answer: int
    feedback: tuple[str, ...]

    def text(self, number: int) -> str:
        """Write the question without its answer."""
        lines = [f"{number}. {self.question}"]
        lines += [f"   {ascii_lowercase[i]}) {choice}" for i, choice in enumerate(self.choices)]
        return "\n".join(lines)

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
    questions = questions_of(lesson, path)
    if answers is not None:
        try:
            chosen = [letter_index(a, q) for a, q in zip(answers, questions, strict=True)]
        except ValueError as problem:
            say(f"Not graded: {complaint(problem, answers, questions)}.")
            return None
        return grade(lesson, questions, chosen, open_progress(store))
    if widgets_available():
        show_quiz(lesson, questions, open_progress(store))
        return None
    print("\n".join(question.text(i + 1) for i, question in enumerate(questions)))
    example = ", ".join('"a"' for _ in questions)
    print(f'Answer with quiz("{lesson}", answers=[{example}]), one letter for each question.')
    return None


def grade(lesson: str, questions: list[Question], chosen: list[int], store: Progress) -> QuizResult:
    """Grade a full set of answers, say the feedback, and note the attempt."""
    result = note(lesson, questions, chosen, store)
    lines = [
        f"{i + 1}. {q.response(c)}" for i, (q, c) in enumerate(zip(questions, chosen, strict=True))
    ]
    say("\n".join([*lines, "", str(result)]))
    return result


def note(lesson: str, questions: list[Question], chosen: list[int], store: Progress) -> QuizResult:
    """Put an attempt into the progress file and return its result."""
    pairs = zip(questions, chosen, strict=True)
    result = QuizResult(lesson, tuple(question.answer == choice for question, choice in pairs))
    store.add_quiz(lesson, result.score, [ascii_lowercase[choice] for choice in chosen])
    return result


def letter_index(answer: str, question: Question) -> int:
    """Return the index of a letter; raises ``ValueError`` when the question has no such choice."""
    letters = ascii_lowercase[: len(question.choices)]
    letter = str(answer).strip().lower()
    if len(letter) != 1 or letter not in letters:
        raise ValueError(f"{answer!r} is not one of {', '.join(letters)}")
    return letters.index(letter)


def complaint(problem: ValueError, answers: Sequence[str], questions: list[Question]) -> str:
    """Say what is wrong with a set of answers."""
    if len(answers) != len(questions):
        return f"there are {len(questions)} questions and {len(answers)} answers"
    return str(problem)


def questions_of(lesson: str, path: Path = QUIZZES) -> list[Question]:
    """Return the questions of one lesson; raises ``QuizError`` when it has none."""
    quizzes = load_quizzes(path)
    if lesson not in quizzes:
        listed = ", ".join(quizzes) or "none yet"
        raise QuizError(f"no quiz {lesson!r} in {path.name}; there are: {listed}")
    return quizzes[lesson]


def load_quizzes(path: Path = QUIZZES) -> dict[str, list[Question]]:
    """Read and validate all quizzes; raises ``QuizError`` naming file, section and field."""
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise QuizError(f"{path.name} cannot be read: {problem}") from None
    quizzes = {}
    for lesson, items in sections.items():
        if not isinstance(items, list) or not items:
            raise QuizError(f'{path.name}, section {lesson}: write each question as [["{lesson}"]]')
        where = f"{path.name}, section {lesson}, question"
        quizzes[lesson] = [question_of(item, f"{where} {i + 1}") for i, item in enumerate(items)]
    return quizzes


def question_of(item: dict[str, Any], where: str) -> Question:
    """Validate one question; ``where`` begins the message of a ``QuizError``."""
    for field, kind in FIELDS.items():
        if type(item.get(field)) is not kind:
            raise QuizError(f"{where}, field {field}: it must be a {kind.__name__}")
    unknown = sorted(set(item) - set(FIELDS))
    if unknown:
        raise QuizError(f"{where}, field {unknown[0]}: there is no such field")
    count = len(item["choices"])
    if not 2 <= count <= MOST_CHOICES or len(set(map(str, item["choices"]))) != count:
        raise QuizError(f"{where}, field choices: 2 to {MOST_CHOICES} different ones are needed")
    if not 0 <= item["answer"] < count:
        raise QuizError(f"{where}, field answer: {item['answer']} is not an index into choices")
    if len(item["feedback"]) != count:
        raise QuizError(f"{where}, field feedback: one sentence for each of {count} choices")
    for field in ("choices", "feedback"):
        if not all(isinstance(text, str) and text.strip() for text in item[field]):
            raise QuizError(f"{where}, field {field}: every one must be text")
    return Question(
        item["question"], tuple(item["choices"]), item["answer"], tuple(item["feedback"])
    )


def show_quiz(lesson: str, questions: list[Question], store: Progress) -> None:
    """Display the quiz as widgets."""
    from IPython.display import display

    from aiinfra.teach.quiz_box import quiz_box

    display(quiz_box(lesson, questions, store))  # type: ignore[no-untyped-call,unused-ignore]
