"""The end of a lab: its tasks, how each one stands in the progress file, and the points."""

from __future__ import annotations

from typing import Any

from aiinfra.teach.check import GRADERS, all_graders
from aiinfra.teach.progress import Progress, open_progress
from aiinfra.teach.report import check_line
from aiinfra.teach.words import say


def score(lab: str, *, graders: str = GRADERS, store: Progress | None = None) -> None:
    """List the tasks of a lab with the best result of each, and their sum; a task is a point.

    Raises ``LookupError`` for a lab that does not exist.
    """
    known: dict[str, Any] = all_graders(graders)
    mine = [task for task in known if task.startswith(f"{lab}.")]
    mine.sort(key=lambda task: known[task].__code__.co_firstlineno)  # as in the lab
    if not mine:
        labs = sorted({task.partition(".")[0] for task in known})
        raise LookupError(f"there is no lab {lab!r}; there are {', '.join(labs)}")
    checks = open_progress(store).state()["checks"]
    lines = [
        check_line(task, checks[task]) if task in checks else f"{task}: not attempted"
        for task in mine
    ]
    points = sum(checks[task]["score"] for task in mine if task in checks)
    total = f"{points:g} of {len(mine)} points. `aiinfra progress` prints them again."
    say("\n".join([*(f"- {line}" for line in lines), "", total]), "\n".join([*lines, total]))
