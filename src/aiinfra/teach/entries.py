"""What the progress file holds, how entries change, and how two files become one.

Everything here is a pure function of plain JSON values: ``progress.py`` does the saving.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

SCHEMA = 1
Entry = dict[str, Any]
State = dict[str, Any]
NUMBER = (int, float)
GUESS = ("value", "time", "after_answer")

# Each section maps a name to an entry; these are the fields that every entry has.
FIELDS: dict[str, dict[str, Any]] = {
    "guesses": {"question": str, "unit": str, "revised": list, "after_answer": bool},
    "checks": {"passed": bool, "attempts": int, "score": NUMBER, "time": str},
    "quizzes": {"score": NUMBER, "first_score": NUMBER, "attempts": int, "time": str},
    "ledger": {"value": NUMBER, "unit": str, "source": str, "time": str},
}


def now() -> str:
    """Return the present moment in UTC as ISO 8601 text, which sorts by time."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def empty() -> State:
    """Return the state of a learner who has done nothing yet."""
    return {"schema": SCHEMA, **{section: {} for section in FIELDS}}


def problem_of(state: Any) -> str | None:
    """Say what is wrong with the shape of a state that was read, or return ``None``."""
    if not isinstance(state, dict) or not isinstance(state.get("schema"), int):
        return "it is not a progress file"
    for section, fields in FIELDS.items():
        entries = state.get(section, {})
        if not isinstance(entries, dict):
            return f"its section {section!r} is not a table"
        for name, entry in entries.items():
            for field, kind in fields.items():
                if not isinstance(entry, dict) or not isinstance(entry.get(field), kind):
                    return f"{section}.{name} has no proper field {field!r}"
    return None


def add_guess(state: State, key: str, question: str, value: float, unit: str, when: str) -> None:
    """Note a prediction: the first is kept, later ones stand beside it with their time."""
    entry = state["guesses"].get(key)
    if entry is None or entry["unit"] != unit:
        entry = state["guesses"][key] = blank_guess(question, unit)
    late = entry.get("shown") is not None
    if entry["value"] is None:
        entry.update(value=value, time=when, after_answer=late)
        return
    latest = entry["revised"][-1] if entry["revised"] else entry
    if latest["value"] != value:
        entry["revised"].append({"value": value, "time": when, "after_answer": late})


def blank_guess(question: str, unit: str) -> Entry:
    """Return a prediction that has been asked for and not made."""
    return {
        "question": question, "unit": unit, "value": None, "time": None,
        "after_answer": False, "revised": [], "shown": None,
    }  # fmt: skip


def standing_guess(entry: Entry) -> Entry | None:
    """Return the guess that counts: the last one before the answer was shown, else the last."""
    if entry["value"] is None:
        return None
    made: list[Entry] = [entry, *entry["revised"]]
    in_time = [guess for guess in made if not guess["after_answer"]]
    return (in_time or made)[-1]


def mark_shown(state: State, key: str, question: str, unit: str, when: str) -> None:
    """Note that the learner has seen the answer to this prediction."""
    entry = state["guesses"].setdefault(key, blank_guess(question, unit))
    entry["shown"] = entry.get("shown") or when


def add_check(state: State, task: str, passed: bool, score: float, when: str) -> None:
    """Note one attempt at a task; a task once passed stays passed, the best score counts.

    Wrong answers that were noted in a field "wrong" stay there.
    """
    old = state["checks"].get(task, {"passed": False, "attempts": 0, "score": 0.0})
    state["checks"][task] = {
        **old,
        "passed": old["passed"] or passed,
        "attempts": old["attempts"] + 1,
        "score": max(old["score"], score),
        "time": when,
    }


def add_quiz(state: State, lesson: str, score: float, answers: list[str], when: str) -> None:
    """Note one attempt at a quiz; the first and the best score are both kept."""
    old = state["quizzes"].get(lesson, {"score": score, "first_score": score, "attempts": 0})
    state["quizzes"][lesson] = {
        "score": max(old["score"], score),
        "first_score": old["first_score"],
        "attempts": old["attempts"] + 1,
        "answers": answers,
        "time": when,
    }


def merge(mine: State, theirs: State) -> State:
    """Join two states so that nothing is lost; merging the same state twice changes nothing."""
    merged = empty()
    for section, merger in MERGERS.items():
        ours, others = mine.get(section, {}), theirs.get(section, {})
        both = {name: merger(ours[name], others[name]) for name in ours.keys() & others.keys()}
        merged[section] = {**ours, **others, **both}
    return merged


def merge_guesses(mine: Entry, theirs: Entry) -> Entry:
    """Put all guesses of both in the order of time; a question in another unit is another one."""
    if mine["unit"] != theirs["unit"]:
        return mine
    guesses = [guess for entry in (mine, theirs) for guess in (entry, *entry["revised"])]
    made = {
        (guess["time"] or "", guess["value"]): {name: guess[name] for name in GUESS}
        for guess in guesses
        if guess["value"] is not None
    }
    first, *revised = [made[moment] for moment in sorted(made)] or [{}]
    shown = min(filter(None, (mine.get("shown"), theirs.get("shown"))), default=None)
    blank = blank_guess(mine["question"], mine["unit"])
    return {**blank, **first, "revised": revised, "shown": shown}


def merge_scores(mine: Entry, theirs: Entry) -> Entry:
    """Keep the better result, the larger count, the later time and all wrong answers of both."""
    first, last = sorted((mine, theirs), key=lambda entry: str(entry["time"]))
    best: Entry = {
        name: max(mine[name], theirs[name])
        for name in ("score", "attempts", "passed")
        if name in mine and name in theirs
    }
    kept: Entry = {"first_score": first["first_score"]} if "first_score" in first else {}
    if "wrong" in mine or "wrong" in theirs:
        kept["wrong"] = sorted({*mine.get("wrong", []), *theirs.get("wrong", [])})
    return {**last, **best, **kept}


def merge_ledger(mine: Entry, theirs: Entry) -> Entry:
    """Keep the later measurement."""
    return max(mine, theirs, key=lambda entry: str(entry["time"]))


MERGERS: dict[str, Callable[[Entry, Entry], Entry]] = {
    "guesses": merge_guesses,
    "checks": merge_scores,
    "quizzes": merge_scores,
    "ledger": merge_ledger,
}
