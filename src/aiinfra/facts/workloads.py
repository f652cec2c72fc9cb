"""Training jobs as a storage benchmark emulates them: what a step reads, and how long it takes.

To add one, add a ``[[workload]]`` table to ``data/workloads.toml``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from aiinfra.facts.catalogue import DATA, find
from aiinfra.facts.reading import read_entries
from aiinfra.facts.schema import Entry, unit


@dataclass(frozen=True, kw_only=True)
class Workload(Entry):
    """One model on one accelerator: ``samples`` of ``sample_bytes`` in a ``step`` of seconds.

    ``sample_bytes`` is the mean size as stored, ``sample_spread`` its standard deviation where the
    sizes vary. ``utilisation`` is the share of the time in which the accelerator must compute to
    count as fed.
    """

    model: str
    accelerator: str
    step: float = field(metadata=unit("s"))
    samples: int = field(metadata=unit(""))
    sample_bytes: float = field(metadata=unit("B"))
    sample_spread: float | None = field(default=None, metadata=unit("B"))
    samples_per_file: int = field(default=1, metadata=unit(""))
    utilisation: float = field(metadata=unit(""))

    @property
    def rate(self) -> float:
        """Samples a second of one accelerator that never waits: ``samples / step``."""
        return self.samples / self.step


@cache
def workloads() -> tuple[Workload, ...]:
    """Return every workload of the catalogue."""
    return read_entries(Workload, "workload", DATA / "workloads.toml")


def workload(name: str) -> Workload:
    """Find a workload by slug or alias."""
    return find(name, workloads(), "workload")
