"""Try an answer before it is checked: run it, draw what it does, say what went wrong.

A trial never ends in a traceback: a stub, a mistake or a kernel without the kind of access that
the figure shows gets a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiinfra.teach import watchdog
from aiinfra.teach.stub import attempted
from aiinfra.teach.words import say

if TYPE_CHECKING:
    from aiinfra.measure.simt import Access, Report

STUB = "Write the kernel first: here you will see what it does to memory."
MOST_STEPS = 100_000
SECTOR = 32  # bytes


@dataclass(frozen=True)
class Trial:
    """One launch of the learner's kernel, for figures to draw; counts as the check counts."""

    report: Report

    @property
    def sectors(self) -> int:
        """Sectors of global memory: loads, stores and atomics."""
        return sum(site.sectors for site in self.report.sites if site.space == "global")

    @property
    def useful(self) -> float:
        """Share of these sectors' bytes that a lane asked for, 0 to 1; 1 without traffic."""
        used = sum(s.bytes_useful for s in self.report.sites if s.space == "global")
        return used / (SECTOR * self.sectors) if self.sectors else 1.0

    @property
    def atomics(self) -> int:
        """Atomic operations on global memory, one a thread."""
        sites = (s for s in self.report.sites if (s.space, s.action) == ("global", "atomic"))
        return sum(site.lanes for site in sites)

    @property
    def passes(self) -> int:
        """Passes over shared memory."""
        from aiinfra.teach.graders.kernels import shared_passes

        return shared_passes(self.report)

    def requests(self, space: str, most: int = 3) -> dict[str, Access]:
        """The fullest request of a warp at each place of the source, in the order of execution.

        Raises ``ValueError`` where there is none.
        """
        best: dict[tuple[int, int, str, str], Access] = {}
        for row in self.report.accesses:
            place = (row.line, row.column, row.array, row.action)
            if row.space == space:
                kept = best.setdefault(place, row)
                best[place] = row if len(row.lanes) > len(kept.lanes) else kept
        if not best:
            raise ValueError(f"the kernel makes no access to {space} memory")
        named: dict[str, Access] = {}
        for (line, _, array, action), row in best.items():
            named.setdefault(f"line {line}, {action} {array}", row)
        return dict(list(named.items())[:most])


def trial(
    kernel: Any, grid: Any, block: Any, *arguments: Any, draw: Callable[[Trial], Any]
) -> Any | None:
    """Launch ``kernel[grid, block](*arguments)`` in the interpreter and return ``draw(trial)``.

    Where there is nothing to draw, say why and return ``None``. What the interpreter found, such
    as an access out of bounds or a race, is said too.
    """
    from aiinfra.measure.simt import KernelError, launch
    from aiinfra.teach.graders.kernel_words import findings

    if not attempted(kernel):
        say(STUB)
        return None
    try:
        report = launch(kernel, grid, block, *arguments, max_steps=MOST_STEPS)
    except Exception as problem:  # whatever a beginner's kernel may provoke
        kind = "" if isinstance(problem, KernelError) else f"{type(problem).__name__}: "
        say(f"The kernel does not run yet. {kind}{problem}")
        return None
    for line, told in findings(report, {}):
        say(f"Line {line}: {told}")
        break
    try:
        return draw(Trial(report))
    except ValueError as problem:
        say(f"Nothing to draw: {problem}.")
        return None


def tried(function: Any, use: Callable[[Any], Any]) -> Any | None:
    """Return ``use(function)``, a figure of what the learner's function does.

    Where the function is a stub, where it fails, ends the program or does not end, say so and
    return ``None``.
    """
    if not attempted(function):
        say("Write the function first: here you will see what it does.")
        return None
    limit = watchdog.SECONDS
    try:
        with watchdog.watchdog(limit):
            return use(function)
    except watchdog.StillRunning:
        say(f"Stopped after {limit:.0f} s: does a loop in your function never end?")
        return None
    except SystemExit:
        say("It does not work yet. Your function ends the program (`exit`): use `return` instead.")
        return None
    except Exception as problem:  # whatever a beginner's function may provoke
        kind = "" if type(problem).__name__ == "Wrong" else f"{type(problem).__name__}: "
        say(f"It does not work yet. {kind}{problem}")
        return None
