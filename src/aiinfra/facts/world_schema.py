"""The shapes of the wider catalogue: models, servers, electricity grids, prices.

As in ``schema``: values in the unit that the field's metadata names, a source for each entry, and
``unchecked`` for what nobody compared with it. Electricity is sold and its carbon counted by the
kilowatt-hour, so ``g/kWh`` and ``$/kWh`` stay as published; ``units.KILOWATT_HOUR`` converts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from aiinfra.facts.schema import Entry, Figure, unit

COOLINGS = ("air", "liquid")
KINDS_OF_PRICE = ("rent", "server", "network", "electricity", "building")


@dataclass(frozen=True, kw_only=True)
class ModelShape(Entry):
    """The shape of a published decoder-only transformer, as its configuration states it.

    ``ffn`` is the width of the feed-forward network (of one expert), ``head_size`` is stated only
    where it is not ``hidden / heads``, ``context`` the longest sequence in tokens, ``parameters``
    and ``training_tokens`` what the authors say.
    """

    maker: str
    year: int
    hidden: int = field(metadata=unit(""))
    layers: int = field(metadata=unit(""))
    heads: int = field(metadata=unit(""))
    kv_heads: int = field(metadata=unit(""))
    ffn: int = field(metadata=unit(""))
    gated_ffn: bool
    vocab: int = field(metadata=unit("tokens"))
    head_size: int | None = field(default=None, metadata=unit(""))
    experts: int = field(default=1, metadata=unit(""))
    active_experts: int = field(default=1, metadata=unit(""))
    tied_embeddings: bool = False
    context: int = field(metadata=unit("tokens"))
    parameters: float = field(metadata=unit("parameters"))
    training_tokens: float | None = field(default=None, metadata=unit("tokens"))


@dataclass(frozen=True, kw_only=True)
class Server(Entry):
    """A server (or a rack sold as one machine) around ``count`` accelerators on one device link.

    ``power`` is the most it draws by its specification, ``training_power`` the most that somebody
    measured while it trained. ``host_power`` is all its CPUs at their limit, ``network_power`` its
    adapters; ``airflow`` is what its fans move, in m^3/s, ``height`` counts rack units of 44.45 mm.
    """

    year: int
    accelerator: str
    count: int = field(metadata=unit(""))
    power: float = field(metadata=unit("W"))
    training_power: float | None = field(default=None, metadata=unit("W"))
    host_power: float | None = field(default=None, metadata=unit("W"))
    network_power: float | None = field(default=None, metadata=unit("W"))
    height: int = field(metadata=unit("rack units"))
    cooling: str
    airflow: float | None = field(default=None, metadata=unit("m^3/s"))


@dataclass(frozen=True, kw_only=True)
class Grid(Entry):
    """An electricity grid over one year: grams of CO2 equivalent for a kilowatt-hour consumed.

    ``renewable`` and ``carbon_free`` are shares of the electricity consumed. ``winter_day`` and
    ``summer_day`` are measured means by hour of the day (UTC) in g/kWh, 24 values or none; their
    shape counts, since another year and another method of accounting set their level.
    """

    year: int
    intensity: float = field(metadata=unit("g/kWh"))
    renewable: float | None = field(default=None, metadata=unit("ratio"))
    carbon_free: float | None = field(default=None, metadata=unit("ratio"))
    winter_day: tuple[float, ...] = field(default=(), metadata=unit("g/kWh"))
    summer_day: tuple[float, ...] = field(default=(), metadata=unit("g/kWh"))


@dataclass(frozen=True, kw_only=True)
class Price(Figure):
    """What something cost on a day: ``value`` in ``unit``, with the range that was quoted.

    ``kind`` is rent (of one accelerator for an hour), server, network (of a whole cluster, for each
    accelerator), electricity or building (for a watt of IT load). ``item`` is the slug of the
    accelerator, server or grid that the price belongs to.
    """

    kind: str
    item: str = ""
    as_of: date
