"""What a grader says about a submission."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    ``score`` runs from 0 to 1; ``attempted`` is false for a stub that nobody has touched;
    ``printed`` is what the learner's code printed while it was graded.
    """

    passed: bool
    message: str
    score: float = 0.0
    attempted: bool = True
    task: str = ""
    printed: str = ""
    cell: int | None = None  # the notebook execution that has shown it already

    def __str__(self) -> str:
        head = f"{self.sign} {self.task}: {self.outcome}".replace(" :", "")
        text = f"{head}. {self.message}".strip()
        return f"{text}\nYour code printed:\n{self.printed}" if self.printed else text

    __repr__ = __str__

    @property
    def sign(self) -> str:
        """A mark that does not rely on colour."""
        return "✓" if self.passed else "✗" if self.attempted else "○"

    @property
    def outcome(self) -> str:
        """The outcome in words."""
        if self.passed:
            return "passed"
        if not self.attempted:
            return "not attempted"
        return f"not yet, {100 * self.score:.0f} % of the way" if self.score else "not yet"

    def with_hint(self, sentence: str) -> Verdict:
        """Return the verdict with a sentence behind the first line of its message."""
        first, newline, rest = self.message.partition("\n")
        return replace(self, message=f"{first} {sentence}{newline}{rest}")

    def markdown(self) -> str:
        """Write the verdict for a notebook; code and tracebacks keep their shape."""
        first, _, rest = self.message.partition("\n")
        text = f"**{self.sign} `{self.task}`: {self.outcome}.** {first}"
        if rest:
            text += f"\n\n{fenced(rest)}"
        return f"{text}\n\nYour code printed:\n\n{fenced(self.printed)}" if self.printed else text

    def _ipython_display_(self) -> None:
        """Show nothing when the cell that checked has just shown it, and the verdict later."""
        from aiinfra.teach.words import kernel_shell, say

        shell = kernel_shell()
        if shell is None or shell.execution_count != self.cell:
            say(self.markdown(), str(self))


def fenced(text: str) -> str:
    """Put text in a code block whose fence is longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def passed(message: str = "") -> Verdict:
    """Return a pass."""
    return Verdict(True, message, 1.0)


def failed(message: str, score: float = 0.0) -> Verdict:
    """Return a fail, with the part of the points earned so far (below 1)."""
    return Verdict(False, message, min(max(score, 0.0), 0.99))


def not_attempted(message: str = "Fill in the stub, then run this cell again.") -> Verdict:
    """Return the verdict on an untouched stub."""
    return Verdict(False, message, 0.0, attempted=False)
