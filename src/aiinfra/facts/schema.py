"""The shapes of the catalogue: accelerator, link, memory, drive, overhead.

Values are in SI units; the unit of a field stands in its metadata, so that the loader can read
"3.35 TB/s" and ``quantity`` can name it. Peaks are dense, links count one direction, and each
entry says which of its fields nobody has compared with the source (``unchecked``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date

from aiinfra.results import Quantity

PRECISIONS = ("fp64", "fp64_tensor", "fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4")
EVERYTHING = "everything"  # in `unchecked`: no figure of this entry was compared with its source


class CatalogueError(ValueError):
    """An entry that cannot be read or found; the message names it and the mend."""


def unit(name: str) -> dict[str, str]:
    """Return the metadata of a field that is read and shown in this unit."""
    return {"unit": name}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What every entry of the catalogue has: names, and where its figures come from.

    ``other_sources`` names the source of single fields, ``unchecked`` the fields that nobody has
    compared with theirs.
    """

    slug: str
    name: str
    aliases: tuple[str, ...] = ()
    source: str
    url: str = ""
    read: date
    unchecked: tuple[str, ...] = ()
    other_sources: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def checked(self) -> bool:
        """Whether every figure was compared with its source."""
        return not self.unchecked

    def quantity(self, name: str) -> Quantity:
        """Return a field with its unit and source; ``"peaks.bf16"`` names one of a table."""
        return quantity_of(self, name)


@dataclass(frozen=True, kw_only=True)
class Figure(Entry):
    """A single number with its own unit.

    ``value`` is in the SI unit named by ``unit``; ``low`` and ``high`` are the range that the
    source states, where it states one.
    """

    unit: str
    value: float
    low: float | None = None
    high: float | None = None

    def quantity(self, name: str = "value") -> Quantity:
        """Return the value with its unit, range and source."""
        return Quantity(getattr(self, name), self.unit, provenance(self, name), self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Accelerator(Entry):
    """One device as its vendor specifies it.

    ``peaks`` and ``sparse_peaks`` are FLOP/s by precision: dense, and with the structured
    sparsity named in ``sparsity``. A precision stands for the fastest unit that computes it
    (tensor or matrix cores from TF32 down); ``fp64`` and ``fp32`` are the vector units, and
    ``int8`` counts integer operations in the same unit. ``memory_bytes`` is binary: what is sold
    as 80 GB is 80 GiB. ``power`` is the board's limit, ``l2_bytes`` the cache that all units share,
    ``architecture`` the vendor's name of the generation. ``None`` means not published.
    """

    vendor: str
    year: int
    form_factor: str
    architecture: str = ""
    peaks: Mapping[str, float] = field(metadata=unit("FLOP/s"))
    sparse_peaks: Mapping[str, float] = field(default_factory=dict, metadata=unit("FLOP/s"))
    sparsity: str | None = None
    memory_bytes: float = field(metadata=unit("B"))
    memory_sold_as: str
    memory_bandwidth: float = field(metadata=unit("B/s"))
    memory_kind: str
    power: float | None = field(default=None, metadata=unit("W"))
    boost_clock: float | None = field(default=None, metadata=unit("Hz"))
    compute_units: int | None = field(default=None, metadata=unit(""))
    fp32_lanes: int | None = field(default=None, metadata=unit(""))
    l2_bytes: float | None = field(default=None, metadata=unit("B"))
    host_link: str | None = None
    device_link: str | None = None

    def peak(self, precision: str, *, sparse: bool = False) -> Quantity:
        """Return the peak rate in FLOP/s; ``CatalogueError`` names the precisions there are."""
        table = "sparse_peaks" if sparse else "peaks"
        return quantity_of(self, f"{table}.{precision}")


@dataclass(frozen=True, kw_only=True)
class Link(Entry):
    """A link between devices; ``bandwidth_per_direction`` in B/s after the line code.

    Where ``lanes`` and ``lane_rate`` (bit/s, one direction) are given,
    ``bandwidth_per_direction = lanes * lane_rate * encoding[0] / encoding[1] / 8``.
    """

    kind: str
    year: int
    bandwidth_per_direction: float = field(metadata=unit("B/s"))
    lanes: int | None = field(default=None, metadata=unit(""))
    lane_rate: float | None = field(default=None, metadata=unit("bit/s"))
    encoding: tuple[int, int] = (1, 1)
    latency: float | None = field(default=None, metadata=unit("s"))


@dataclass(frozen=True, kw_only=True)
class MemoryKind(Entry):
    """A kind of memory; ``bandwidth`` of one ``per`` (channel, stack, chip) in B/s.

    ``bandwidth = width * pin_rate / 8``, with ``width`` in data pins and ``pin_rate`` in bit/s.
    """

    per: str
    width: int = field(metadata=unit(""))
    pin_rate: float = field(metadata=unit("bit/s"))
    bandwidth: float = field(metadata=unit("B/s"))


@dataclass(frozen=True, kw_only=True)
class Drive(Entry):
    """A drive as its data sheet has it: rates in B/s, random 4 KiB operations per second."""

    interface: str
    year: int
    capacity_bytes: float = field(metadata=unit("B"))
    sequential_read: float = field(metadata=unit("B/s"))
    sequential_write: float = field(metadata=unit("B/s"))
    random_read: float = field(metadata=unit("operations/s"))
    random_write: float = field(metadata=unit("operations/s"))
    read_latency: float | None = field(default=None, metadata=unit("s"))


@dataclass(frozen=True, kw_only=True)
class Overhead(Figure):
    """A published latency, width or efficiency, of ``device`` where it belongs to one."""

    device: str = ""


def provenance(entry: Entry, name: str) -> str:
    """Say where a field comes from: "source: title, read 2026-11-23[, not checked]"."""
    parent = name.split(".")[0]
    title = entry.other_sources.get(name, entry.other_sources.get(parent, entry.source))
    doubtful = {EVERYTHING, parent, name}.intersection(entry.unchecked)
    return f"source: {title}, read {entry.read}" + (", not checked" if doubtful else "")


def quantity_of(entry: Entry, name: str) -> Quantity:
    """Return a numeric field of an entry as a quantity; ``table.key`` reaches into a table."""
    units = {f.name: f.metadata["unit"] for f in fields(entry) if "unit" in f.metadata}
    parent, _, key = name.partition(".")
    value = getattr(entry, parent) if parent in units else None
    known = ", ".join(units)
    if isinstance(value, Mapping):
        known = ", ".join(f"{parent}.{precision}" for precision in value)
        value = value.get(key)
    elif key:
        value = None
    if value is None:
        raise CatalogueError(f"{entry.slug} has no published {name!r}; ask for one of {known}")
    return Quantity(value, units[parent], provenance(entry, name))
