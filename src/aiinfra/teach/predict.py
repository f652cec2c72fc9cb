"""Predictions: the learner commits to a number before the measurement is shown.

In a notebook ``predict`` shows a box; everywhere else it prints the question. Nothing here waits
or stops: a notebook that runs from top to bottom without an answer goes on.
"""

from __future__ import annotations

import html
import re
import reprlib
from dataclasses import dataclass, field
from typing import Any

from aiinfra.results import Quantity
from aiinfra.teach import entries
from aiinfra.teach.progress import Progress, open_progress
from aiinfra.teach.words import brief, in_unit, widgets_available
from aiinfra.units import parse_quantity, split_unit

LATE = "entered after the answer was shown"
SMALLEST, LARGEST = 1e-30, 1e30  # beyond these, a ratio may overflow
CODE_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Guess:
    """A question and what the learner has answered so far; a later answer is seen at once."""

    question: str
    unit: str
    key: str
    store: Progress = field(repr=False, compare=False)

    @property
    def base_unit(self) -> str:
        """The SI unit without prefix, in which ``value`` stands."""
        return split_unit(self.unit)[0]

    @property
    def standing(self) -> entries.Entry | None:
        """The guess that counts: the last before the answer was shown, else the last of all."""
        entry = self.store.guess(self.key)
        if entry is None or entry["unit"] != self.base_unit:
            return None
        return entries.standing_guess(entry)

    @property
    def value(self) -> float | None:
        """The guess in SI units, or ``None`` as long as there is none."""
        return None if self.standing is None else float(self.standing["value"])

    def quantity(self) -> Quantity | None:
        """Return the guess as a quantity whose source says that it is one."""
        standing = self.standing
        if standing is None:
            return None
        source = f"guess, {LATE}" if standing["after_answer"] else "guess"
        return Quantity(float(standing["value"]), self.base_unit, source)

    def commit(self, answer: Any) -> str:
        """Store an answer and return the sentence that confirms it.

        A number is in the unit of the question; raises ``ValueError`` with the mend in words.
        """
        value = read_answer(answer, self.unit)
        self.store.add_guess(self.key, self.question, value, self.base_unit)
        return self.status()

    def status(self) -> str:
        """Say what is committed; empty as long as nothing is."""
        standing = self.standing
        if standing is None:
            return ""
        said = brief(float(standing["value"]), self.base_unit)
        if standing["after_answer"]:
            return f"Noted: {said}, {LATE}. Run the comparison below again."
        entry = self.store.guess(self.key) or {}
        if entry.get("shown"):
            return f"Your prediction: {said}, made before you saw the answer."
        return f"Committed: {said}. Now measure."

    def answer(self, answer: Any) -> Guess:
        """Answer as plain code: ``guess.answer("12 GB/s")`` or ``guess.answer(12)``."""
        try:
            print(self.commit(answer))
        except ValueError as problem:
            print(f"Not committed: {problem}.")
        return self


def predict(
    question: str,
    unit: str = "",
    key: str | None = None,
    answer: Any = None,
    store: Progress | None = None,
) -> Guess:
    """Ask the learner for a number and return the ``Guess``, answered or not.

    ``unit`` may carry a prefix ("GB/s"): a bare number is then taken in it. The guess is kept in
    the progress file under ``key`` (made from the question where there is none) and shown again
    when the cell is run again.
    """
    guess = Guess(question, unit, key or slug(question), open_progress(store))
    if widgets_available():
        show_box(guess, answer)
        return guess
    print(f"Predict: {question}" + (f" [{unit}]" if unit else ""))
    if answer is not None:
        return guess.answer(answer)
    print(guess.status() or "No prediction yet: add answer=... to predict(), or call .answer(...).")
    return guess


def read_answer(answer: Any, unit: str) -> float:
    """Read an answer in SI units; raises ``ValueError`` with a sentence for the learner."""
    if isinstance(answer, str):
        value = parse_quantity(answer, unit)
    elif isinstance(answer, Quantity):
        value = in_unit(answer, unit).value
    else:
        try:
            value = float("no" if isinstance(answer, bool) else answer) * split_unit(unit)[1]
        except (TypeError, ValueError, OverflowError):
            shown = reprlib.repr(answer)
            raise ValueError(f"{shown} is not a number; type for example 12 or 1.5e3") from None
    if not SMALLEST < value < LARGEST:
        shown = reprlib.repr(answer)
        raise ValueError(f"{shown} is not above zero and finite; every comparison is a ratio")
    return value


def slug(question: str) -> str:
    """Make a key from a question: ``"How many lanes?"`` becomes ``how-many-lanes``."""
    return re.sub(r"[^a-z0-9]+", "-", question.lower()).strip("-")[:80] or "question"


def show_box(guess: Guess, answer: Any) -> None:
    """Display the question, the field and the status line, and answer when it is committed."""
    from IPython.display import display

    box, field_widget, commit = prediction_box(guess)
    if answer is not None:
        commit(str(answer))
    elif guess.value is not None:
        field_widget.value = f"{guess.value / split_unit(guess.unit)[1]:g}"
    field_widget.observe(lambda change: commit(change["new"]), names="value")
    display(box)  # type: ignore[no-untyped-call,unused-ignore]


def prediction_box(guess: Guess) -> tuple[Any, Any, Any]:
    """Build the box of a prediction: the whole, its text field and the function that commits."""
    import ipywidgets

    wanted = {"": "a number", "x": "a factor, such as 1.5"}.get(guess.unit)
    placeholder = f"type {wanted or f'a number in {guess.unit}'}, Enter"
    wide = ipywidgets.Layout(width="22rem")
    field_widget = ipywidgets.Text(
        placeholder=placeholder,
        description=guess.question,  # without width: names the field for screen readers alone
        style={"description_width": "0px"},
        continuous_update=False,
        layout=wide,
    )
    status = ipywidgets.HTML(value=status_html(guess.status()))

    def commit(text: str) -> None:
        if not text.strip():
            return
        try:
            status.value = status_html(guess.commit(text))
        except ValueError as problem:
            status.value = status_html(f"Not committed: {problem}.")

    question = ipywidgets.HTML(value=f"<b>{rich(guess.question)}</b>")
    return ipywidgets.VBox([question, field_widget, status]), field_widget, commit


def status_html(sentence: str) -> str:
    """Wrap the status line so that screen readers announce a change."""
    return f'<div role="status" aria-live="polite">{rich(sentence)}</div>'


def rich(text: str) -> str:
    """Escape text for HTML and keep its `code`."""
    return CODE_SPAN.sub(r"<code>\1</code>", html.escape(text, quote=False))
