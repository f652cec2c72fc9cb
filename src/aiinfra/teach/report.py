"""The progress file as text."""

from __future__ import annotations

from collections.abc import Callable

from aiinfra.teach.entries import Entry, State, standing_guess
from aiinfra.teach.ledger import own_quantity
from aiinfra.teach.predict import LATE
from aiinfra.teach.words import brief


def report(state: State) -> str:
    """Write what the learner has done, one block for each kind of entry that there is."""
    writers: dict[str, Callable[[str, Entry], str]] = {
        "guesses": guess_line, "checks": check_line, "quizzes": quiz_line, "ledger": ledger_line,
    }  # fmt: skip
    titles = {"guesses": "Predictions"}
    blocks = [
        "\n  ".join([titles.get(section, section.title()), *(write(*item) for item in entries)])
        for section, write in writers.items()
        if (entries := sorted(state[section].items()))
    ]
    return "\n\n".join(blocks) or "Nothing done yet: open notebooks/00_start_here.ipynb."


def guess_line(_: str, entry: Entry) -> str:
    """Write one prediction with its history."""
    guess = standing_guess(entry)
    if guess is None:
        return f"{entry['question']} no prediction; the answer was shown"
    text = f"{entry['question']} {brief(guess['value'], entry['unit'])}"
    notes = [LATE] if guess["after_answer"] else []
    if entry["revised"]:
        notes.append(f"first said {brief(entry['value'], entry['unit'])}")
    return f"{text} ({'; '.join(notes)})" if notes else text


def check_line(name: str, entry: Entry) -> str:
    """Write one task with its outcome and attempts."""
    outcome = "passed" if entry["passed"] else "not yet"
    share = f", {100 * entry['score']:.0f} %" if entry["score"] < 1 else ""
    return f"{name}: {outcome}{share} ({attempts(entry)})"


def quiz_line(name: str, entry: Entry) -> str:
    """Write one quiz with its best score."""
    first = f", first {100 * entry['first_score']:.0f} %" if entry["attempts"] > 1 else ""
    return f"{name}: {100 * entry['score']:.0f} % right ({attempts(entry)}{first})"


def attempts(entry: Entry) -> str:
    """Count the attempts in words."""
    return "1 attempt" if entry["attempts"] == 1 else f"{entry['attempts']} attempts"


def ledger_line(name: str, entry: Entry) -> str:
    """Write one number of the ledger with its source."""
    return f"{name}: {own_quantity(entry)}"
