"""Which cores and which memory belong together, and how to stay on some of them. Linux tells both.

A NUMA node is a CPU, or a part of one, with the memory that it reaches without a detour.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiinfra.measure.readings import affinity


def usable_cores() -> tuple[int, ...]:
    """Return the cores that this thread may run on; none where the system does not tell."""
    return tuple(sorted(affinity() or ()))


def numa_nodes(root: Path = Path("/")) -> dict[int, tuple[int, ...]]:
    """Return the usable cores of each NUMA node; ``{0: ()}`` where the system does not tell."""
    nodes = {}
    for folder in sorted((root / "sys/devices/system/node").glob("node[0-9]*")):
        if mine := tuple(c for c in usable_cores() if (folder / f"cpu{c}").exists()):
            nodes[int(folder.name[4:])] = mine
    return nodes or {0: ()}


@contextmanager
def on_cores(*cores: int) -> Iterator[None]:
    """Keep the calling thread on these cores for a while; on all of its own where none is named.

    Threads and processes that start meanwhile inherit the choice. Raises ``RuntimeError`` where the
    system cannot be told so, as on macOS.
    """
    before, tell = usable_cores(), getattr(os, "sched_setaffinity", None)
    if cores and tell is None:
        raise RuntimeError("this system does not let a program choose its cores; Linux does")
    if cores and tell:
        tell(0, cores)
    try:
        yield
    finally:
        if cores and tell:
            tell(0, before)
