"""The catalogue of hardware: one TOML file per kind of thing under ``data``.

To add a device, add one ``[[accelerator]]`` table to ``data/accelerators.toml``, or to a file of
your own and pass it to ``load_accelerators``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from aiinfra.facts.reading import E, Place, read_entries
from aiinfra.facts.schema import Accelerator, CatalogueError, Drive, Link, MemoryKind, Overhead

__all__ = [
    "CatalogueError",
    "accelerator",
    "accelerator_of",
    "accelerators",
    "drive",
    "drives",
    "find",
    "link",
    "links",
    "load_accelerators",
    "memory_kind",
    "memory_kinds",
    "overhead",
    "overheads",
]

DATA = Path(__file__).parent / "data"


def find(name: str, entries: Sequence[E], what: str) -> E:
    """Find an entry by slug or alias, ignoring case and whether words are joined by -, _ or space.

    The error lists close names.
    """
    wanted = _folded(name)
    names = {_folded(text): entry for entry in entries for text in (entry.slug, *entry.aliases)}
    if wanted in names:
        return names[wanted]
    close = difflib.get_close_matches(wanted, names, 4, 0.4)
    nearest = list(dict.fromkeys(names[text].slug for text in close))
    if nearest:
        raise CatalogueError(f"no {what} {name!r}; did you mean one of: {', '.join(nearest)}?")
    listed = ", ".join(entry.slug for entry in entries)
    raise CatalogueError(f"no {what} {name!r}; there are: {listed}")


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())


def load_accelerators(path: str | Path) -> tuple[Accelerator, ...]:
    """Read accelerators from a TOML file; links and memories must be in the catalogue."""
    file = Path(path)
    entries = read_entries(Accelerator, "accelerator", file)
    for entry in entries:
        for field, slug in (("host_link", entry.host_link), ("device_link", entry.device_link)):
            if slug is not None and slug not in {known.slug for known in links()}:
                known = ", ".join(known.slug for known in links())
                raise Place(file, entry.slug, field).error(f"unknown link {slug!r}; there: {known}")
        if entry.memory_kind not in {kind.slug for kind in memory_kinds()}:
            known = ", ".join(kind.slug for kind in memory_kinds())
            problem = f"unknown memory {entry.memory_kind!r}; there: {known}"
            raise Place(file, entry.slug, "memory_kind").error(problem)
    return entries


@cache
def accelerators() -> tuple[Accelerator, ...]:
    """Return every accelerator of the catalogue, in its order."""
    return load_accelerators(DATA / "accelerators.toml")


@cache
def links() -> tuple[Link, ...]:
    """Return every link of the catalogue."""
    return read_entries(Link, "link", DATA / "links.toml")


@cache
def memory_kinds() -> tuple[MemoryKind, ...]:
    """Return every kind of memory of the catalogue."""
    return read_entries(MemoryKind, "memory_kind", DATA / "memory_kinds.toml")


@cache
def drives() -> tuple[Drive, ...]:
    """Return every drive of the catalogue."""
    return read_entries(Drive, "drive", DATA / "drives.toml")


@cache
def overheads() -> tuple[Overhead, ...]:
    """Return every single published number of the catalogue."""
    return read_entries(Overhead, "overhead", DATA / "overheads.toml")


def accelerator(name: str, own: Iterable[Accelerator] = ()) -> Accelerator:
    """Find an accelerator by slug or alias; ``own`` entries come first."""
    mine = tuple(own)
    slugs = {entry.slug for entry in mine}
    return find(name, (*(e for e in accelerators() if e.slug not in slugs), *mine), "accelerator")


def accelerator_of(source: str) -> Accelerator | None:
    """Find the accelerator that the source of a run names; ``None`` where there is none.

    Of several names that the text holds, the longest counts. A driver's name that only begins
    like one of the catalogue ("NVIDIA H200 NVL") is taken for that one.

    >>> accelerator_of("measured here: Intel Xeon (16 cores, NVIDIA H100 80GB HBM3)").slug
    'h100-sxm'
    """
    text, found = _folded(source), dict[str, Accelerator]()
    for entry in accelerators():
        for name in map(_folded, (entry.slug, entry.name, *entry.aliases)):
            if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text):
                found[name] = entry
    return found[max(found, key=len)] if found else None


def link(name: str) -> Link:
    """Find a link by slug or alias."""
    return find(name, links(), "link")


def memory_kind(name: str) -> MemoryKind:
    """Find a kind of memory by slug or alias."""
    return find(name, memory_kinds(), "kind of memory")


def drive(name: str) -> Drive:
    """Find a drive by slug or alias."""
    return find(name, drives(), "drive")


def overhead(name: str) -> Overhead:
    """Find a published number by slug or alias."""
    return find(name, overheads(), "overhead")
