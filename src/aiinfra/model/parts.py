"""A whole and the parts that sum to it: what a figure breaks down and a sentence names."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import ClassVar


@dataclass(frozen=True)
class Parts:
    """A result whose fields, but those named in ``BESIDE``, sum to ``total``.

    ``AIM`` names the part that the others are the overhead of, where there is one.
    """

    BESIDE: ClassVar[tuple[str, ...]] = ()
    AIM: ClassVar[str] = ""

    @property
    def parts(self) -> dict[str, float]:
        """The parts by name, in the order of the fields."""
        kind: type = type(self)
        return {name: getattr(self, name) for name in names_of(kind)}

    @property
    def total(self) -> float:
        """All parts."""
        return sum(self.parts.values())

    @property
    def bound(self) -> str:
        """The largest part; of the overhead where the result has an aim."""
        rest = {name: value for name, value in self.parts.items() if name != self.AIM}
        return max(rest, key=lambda name: rest[name])


@cache
def names_of(kind: type) -> tuple[str, ...]:
    """The names of the parts of a kind of result."""
    beside: tuple[str, ...] = getattr(kind, "BESIDE", ())
    return tuple(part.name for part in fields(kind) if part.name not in beside)


@dataclass(frozen=True)
class TimeParts(Parts):
    """Seconds by part."""

    @property
    def seconds(self) -> float:
        """All parts."""
        return self.total
