"""How the parts of a server hang together: CPUs, PCIe switches, GPUs, adapters, drives.

To add one, add a ``[[topology]]`` table to ``data/topologies.toml``; every part is an entry of the
catalogue already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from aiinfra.facts.catalogue import DATA, find
from aiinfra.facts.reading import read_entries
from aiinfra.facts.schema import Entry, unit


@dataclass(frozen=True, kw_only=True)
class Topology(Entry):
    """A server of ``cpus`` CPUs, each with its memory and its PCIe switches.

    ``switches`` hang on one CPU, ``nics`` and ``drives`` on one switch; the accelerators of
    ``server`` spread evenly over all switches, on their ``host_link``. ``socket_link`` is what one
    CPU reads from the other's memory, in B/s and one direction. ``memory``, ``nic`` and ``drive``
    are slugs of the catalogue; ``cores`` are those of one CPU.
    """

    server: str
    cpus: int = field(metadata=unit(""))
    cores: int = field(metadata=unit(""))
    memory: str
    channels: int = field(metadata=unit(""))
    socket_link: float = field(metadata=unit("B/s"))
    switches: int = field(metadata=unit(""))
    nics: int = field(metadata=unit(""))
    nic: str
    drives: int = field(metadata=unit(""))
    drive: str
    nvswitches: int = field(metadata=unit(""))


@cache
def topologies() -> tuple[Topology, ...]:
    """Return every topology of the catalogue."""
    return read_entries(Topology, "topology", DATA / "topologies.toml")


def topology(name: str) -> Topology:
    """Find a topology by slug or alias."""
    return find(name, topologies(), "topology")
