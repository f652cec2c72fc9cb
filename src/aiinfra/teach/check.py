"""Checks: a learner's answer meets the grader of its task.

``check("01.amdahl", answer)`` calls ``amdahl`` in ``graders/lesson_01.py``, and
``check("lab_01.reduce", kernel)`` calls ``reduce`` in ``graders/lab_01.py``. A grader is a public
function ``grader(submission, rng) -> Verdict``; its docstring and imports are its own.

A task with few possible answers could be solved by trying them all. Its grader has an attribute
``tries``: a function that names a submission. ``FREE`` different wrong ones cost nothing, each
further one takes ``EACH`` off what the task can still earn.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiinfra.teach.entries import State, add_check
from aiinfra.teach.entries import now as now_utc
from aiinfra.teach.kernel_check import grade_kernel
from aiinfra.teach.plain import decode, encode, refuse
from aiinfra.teach.progress import Progress, open_progress
from aiinfra.teach.sandbox import Limits, grade
from aiinfra.teach.stub import attempted, placeholder_line
from aiinfra.teach.verdict import Verdict, not_attempted
from aiinfra.teach.words import kernel_shell, say

GRADERS = "aiinfra.teach.graders"
FREE, EACH = 3, 0.2  # wrong answers that cost nothing, and what each further one takes
Grader = Callable[[Any, Any], Verdict]


class UnknownTaskError(LookupError):
    """A task that no grader goes with; the message lists those there are."""


def check(
    task: str, submission: Any = None, *, graders: str = GRADERS, store: Progress | None = None
) -> Verdict:
    """Grade a submission, say the verdict, note it in the progress file, and return it.

    The learner's mistakes end as a message; only a task that does not exist raises, with
    ``UnknownTaskError``. Graders of another package note nothing in the learner's own file.
    """
    grader = find_grader(task, graders)
    verdict, judged = not_attempted(), submission
    if attempted(submission):
        way = grade_kernel if getattr(grader, "takes_kernel", False) else grade
        if hasattr(grader, "tries"):
            judged = plain_copy(submission)
        verdict = way(grader, judged, getattr(grader, "limits", Limits()))
    line = placeholder_line(submission) if verdict.attempted and not verdict.passed else None
    if line is not None:
        verdict = verdict.with_hint(f"In line {line} a `...` still waits for your code.")
    shell = kernel_shell()
    verdict = replace(verdict, task=task, cell=shell.execution_count if shell else None)
    if verdict.attempted and (graders == GRADERS or store is not None):
        verdict = noted(verdict, name_of(grader, judged), open_progress(store))
    say(verdict.markdown(), str(verdict))
    return verdict


def plain_copy(submission: Any) -> Any:
    """Read a submission once, so that it is judged and named alike; itself where it is code."""
    try:
        return decode(encode(submission, refuse, at_rest=True), refuse)
    except Exception:  # the sandbox says what is wrong with it
        return submission


def name_of(grader: Any, submission: Any) -> str:
    """Name a submission where wrong ones are counted; "" where they are not."""
    if not hasattr(grader, "tries"):
        return ""
    try:
        return str(grader.tries(submission))
    except Exception:  # what cannot be read was not judged
        return ""


def noted(verdict: Verdict, name: str, store: Progress) -> Verdict:
    """Note a verdict in the progress file; where tries are counted, take off what they cost."""
    task = verdict.task
    if not name:
        store.add_check(task, verdict.passed, verdict.score)
        return verdict
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:16]
    wrong = store.state()["checks"].get(task, {}).get("wrong", [])
    earlier = [other for other in wrong if other != digest]
    now = [*earlier, *([] if verdict.passed else [digest])]
    share = max(0.0, 1 - EACH * max(0, len(earlier) - FREE))
    told = f"Different wrong answers so far: {len(now)}. {FREE} are free"
    if verdict.passed and share < 1:
        told = f"{told}; this one earns {100 * share:.0f} %."
    else:
        told = f"{told}, each further one takes {100 * EACH:.0f} % of the point."
    if now and not (verdict.passed and share == 1):
        verdict = verdict.with_hint(told)
    verdict = replace(verdict, score=share * verdict.score)

    def change(state: State) -> None:
        before = state["checks"].get(task, {}).get("wrong", [])  # another notebook may have added
        add_check(state, task, verdict.passed, verdict.score, now_utc())
        state["checks"][task]["wrong"] = list(dict.fromkeys([*before, *now]))

    store.update(change)
    return verdict


def find_grader(task: str, graders: str = GRADERS) -> Grader:
    """Return the grader of a task, by the naming convention alone."""
    known = all_graders(graders)
    if not isinstance(task, str) or task not in known:
        raise UnknownTaskError(
            f"there is no task {task!r}; write check(task, answer), "
            f"where the task is one of: {', '.join(known) or 'none'}"
        )
    return known[task]


def tasks(graders: str = GRADERS) -> list[str]:
    """Return the names of all tasks, in order."""
    return list(all_graders(graders))


def all_graders(graders: str) -> dict[str, Grader]:
    """Return the public functions that the graders' modules define themselves, by task."""
    found: dict[str, Grader] = {}
    for info in pkgutil.iter_modules(importlib.import_module(graders).__path__):
        if info.name.startswith(("lesson_", "lab_")):
            module = importlib.import_module(f"{graders}.{info.name}")
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    found[f"{info.name.removeprefix('lesson_')}.{name}"] = function
    return dict(sorted(found.items()))
