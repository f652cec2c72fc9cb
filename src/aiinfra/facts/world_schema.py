"""The shapes of the wider catalogue: models, servers, electricity grids, prices.

As in ``schema``: values in the unit that the field's metadata names, a source for each entry, and
``unchecked`` for what nobody compared with it. Electricity is sold and its carbon counted by the
kilowatt-hour, so ``g/kWh`` and ``$/kWh`` stay as published; ``units.KILOWATT_HOUR`` converts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from aiinfra.facts.schema import provenance, quantity_of
from aiinfra.results import Quantity

COOLINGS = ("air", "liquid")
KINDS_OF_PRICE = ("rent", "server", "network", "electricity", "building")


def _unit(name: str) -> dict[str, str]:
    return {"unit": name}


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The shape of a published decoder-only transformer, as its configuration states it.

    ``ffn`` is the width of the feed-forward network (of one expert), ``head_size`` is stated only
    where it is not ``hidden / heads``, ``context`` the longest sequence in tokens, ``parameters``
    and ``training_tokens`` what the authors say.
    """

    slug: str
    name: str
    maker: str
    year: int
    hidden: int = field(metadata=_unit(""))
    layers: int = field(metadata=_unit(""))
    heads: int = field(metadata=_unit(""))
    kv_heads: int = field(metadata=_unit(""))
    ffn: int = field(metadata=_unit(""))
    gated_ffn: bool
    vocab: int = field(metadata=_unit("tokens"))
    head_size: int | None = field(default=None, metadata=_unit(""))
    experts: int = field(default=1, metadata=_unit(""))
    active_experts: int = field(default=1, metadata=_unit(""))
    tied_embeddings: bool = False
    context: int = field(metadata=_unit("tokens"))
    parameters: float = field(metadata=_unit("parameters"))
    training_tokens: float | None = field(default=None, metadata=_unit("tokens"))
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
        """Return a field with its unit and source."""
        return quantity_of(self, name)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server (or a rack sold as one machine) around ``count`` accelerators on one device link.

    ``power`` is the most it draws by its specification, ``training_power`` the most that somebody
    measured while it trained. ``host_power`` is all its CPUs at their limit, ``network_power`` its
    adapters; ``airflow`` is what its fans move, in m^3/s, ``height`` counts rack units of 44.45 mm.
    """

    slug: str
    name: str
    year: int
    accelerator: str
    count: int = field(metadata=_unit(""))
    power: float = field(metadata=_unit("W"))
    training_power: float | None = field(default=None, metadata=_unit("W"))
    host_power: float | None = field(default=None, metadata=_unit("W"))
    network_power: float | None = field(default=None, metadata=_unit("W"))
    height: int = field(metadata=_unit("rack units"))
    cooling: str
    airflow: float | None = field(default=None, metadata=_unit("m^3/s"))
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
        """Return a field with its unit and source."""
        return quantity_of(self, name)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """An electricity grid over one year: grams of CO2 equivalent for a kilowatt-hour consumed.

    ``renewable`` and ``carbon_free`` are shares of the electricity consumed. ``winter_day`` and
    ``summer_day`` are measured means by hour of the day (UTC) in g/kWh, 24 values or none; their
    shape counts, since another year and another method of accounting set their level.
    """

    slug: str
    name: str
    year: int
    intensity: float = field(metadata=_unit("g/kWh"))
    renewable: float | None = field(default=None, metadata=_unit("ratio"))
    carbon_free: float | None = field(default=None, metadata=_unit("ratio"))
    winter_day: tuple[float, ...] = field(default=(), metadata=_unit("g/kWh"))
    summer_day: tuple[float, ...] = field(default=(), metadata=_unit("g/kWh"))
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
        """Return a field with its unit and source."""
        return quantity_of(self, name)


@dataclass(frozen=True, kw_only=True)
class Price:
    """What something cost on a day: ``value`` in ``unit``, with the range that was quoted.

    ``kind`` is rent (of one accelerator for an hour), server, network (of a whole cluster, for each
    accelerator), electricity or building (for a watt of IT load). ``item`` is the slug of the
    accelerator, server or grid that the price belongs to.
    """

    slug: str
    name: str
    kind: str
    item: str = ""
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    as_of: date
    aliases: tuple[str, ...] = ()
    source: str
    url: str = ""
    read: date
    unchecked: tuple[str, ...] = ()
    other_sources: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def checked(self) -> bool:
        """Whether the figure was compared with its source."""
        return not self.unchecked

    def quantity(self, name: str = "value") -> Quantity:
        """Return the value with its unit, range and source."""
        return Quantity(getattr(self, name), self.unit, provenance(self, name), self.low, self.high)
