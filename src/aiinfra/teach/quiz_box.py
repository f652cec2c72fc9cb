"""The quiz as widgets: choices to click or to walk with the arrow keys, feedback below each."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

from aiinfra.teach.predict import rich, status_html
from aiinfra.teach.progress import Progress
from aiinfra.teach.quiz import Question, note


def quiz_box(lesson: str, questions: list[Question], store: Progress) -> Any:
    """Build the widget of a quiz; its parts carry nothing that gives an answer away."""
    import ipywidgets

    rows = [question_row(question, i + 1) for i, question in enumerate(questions)]
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
    parts = [part for row in rows for part in row]
    return ipywidgets.VBox([*parts, button, total])


def question_row(question: Question, number: int) -> tuple[Any, Any, Any]:
    """Build the widgets of one question: its text, its choices and an empty line of feedback."""
    import ipywidgets

    text = ipywidgets.HTML(value=f"<b>{number}. {rich(question.question)}</b>")
    options = [(f"{ascii_lowercase[i]}) {c}", i) for i, c in enumerate(question.choices)]
    choices = ipywidgets.RadioButtons(
        options=options, value=None, tooltip=question.question, layout={"width": "auto"}
    )
    return text, choices, ipywidgets.HTML(value=status_html(""))
