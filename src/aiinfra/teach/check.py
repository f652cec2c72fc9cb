"""Checks: a learner's answer meets the grader of its task.

``check("01.amdahl", answer)`` calls ``amdahl`` in ``graders/lesson_01.py``, and
``check("lab_01.reduce", kernel)`` calls ``reduce`` in ``graders/lab_01.py``. A grader is a public
function ``grader(submission, rng) -> Verdict``; its docstring and imports are its own.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from aiinfra.teach.progress import Progress, open_progress
from aiinfra.teach.sandbox import Limits, grade_apart
from aiinfra.teach.stub import attempted, placeholder_line
from aiinfra.teach.verdict import Verdict, not_attempted
from aiinfra.teach.words import kernel_shell, say

GRADERS = "aiinfra.teach.graders"
Grader = Callable[[Any, Any], Verdict]


class UnknownTaskError(LookupError):
    """A task that no grader goes with; the message lists those there are."""


def check(
    task: str, submission: Any = None, *, graders: str = GRADERS, store: Progress | None = None
) -> Verdict:
    """Grade a submission, say the verdict, note it in the progress file, and return it.

    The learner's mistakes end as a message; only a task that does not exist raises, with
    ``UnknownTaskError``.
    """
    module, grader = find_grader(task, graders)
    limits = getattr(grader, "limits", Limits())
    if attempted(submission):
        verdict = grade_apart(module.__name__, grader.__name__, submission, limits)
    else:
        verdict = not_attempted()
    line = None if verdict.passed else placeholder_line(submission)
    if line is not None:
        verdict = not_attempted(f"Replace the `...` in line {line}, then run this cell again.")
    shell = kernel_shell()
    verdict = replace(verdict, task=task, cell=shell.execution_count if shell else None)
    if verdict.attempted:
        open_progress(store).add_check(task, verdict.passed, verdict.score)
    say(verdict.markdown(), str(verdict))
    return verdict


def find_grader(task: str, graders: str = GRADERS) -> tuple[ModuleType, Grader]:
    """Return the module and the grader of a task, by the naming convention alone."""
    section, _, name = task.partition(".")
    stem = section if section.startswith("lab_") else f"lesson_{section}"
    known = tasks(graders)
    if task not in known:
        listed = ", ".join(known) or "none"
        raise UnknownTaskError(f"there is no task {task!r}; the tasks are: {listed}")
    module = importlib.import_module(f"{graders}.{stem}")
    grader: Grader = getattr(module, name)
    return module, grader


def tasks(graders: str = GRADERS) -> list[str]:
    """Return the names of all tasks, in order."""
    package = importlib.import_module(graders)
    found = []
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith(("lesson_", "lab_")):
            module = importlib.import_module(f"{graders}.{info.name}")
            section = info.name.removeprefix("lesson_")
            found += [f"{section}.{name}" for name in grader_names(module)]
    return sorted(found)


def grader_names(module: ModuleType) -> list[str]:
    """Return the public functions that a module of graders defines itself."""
    return [
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__
    ]
