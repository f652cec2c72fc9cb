"""The wider catalogue: models, servers, grids, prices, and the numbers of buildings.

To add one, add one table to its file under ``data``. ``facility_figure`` names single numbers (a
PUE, the density of air), ``find_server`` the server around an accelerator, ``price_of`` what
something costs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from aiinfra.facts.catalogue import accelerators, find
from aiinfra.facts.reading import Place, read_entries
from aiinfra.facts.schema import Accelerator, Overhead
from aiinfra.facts.world_schema import (
    COOLINGS,
    KINDS_OF_PRICE,
    Grid,
    ModelShape,
    Price,
    Server,
)

DATA = Path(__file__).parent / "data"
HOURS = 24


@cache
def model_shapes() -> tuple[ModelShape, ...]:
    """Return every model of the catalogue."""
    return read_entries(ModelShape, "model", DATA / "models.toml")


def load_servers(path: Path) -> tuple[Server, ...]:
    """Read servers; ``CatalogueError`` on an accelerator or a kind of cooling that is not known."""
    entries = read_entries(Server, "server", path)
    known = {entry.slug for entry in accelerators()}
    for entry in entries:
        if entry.accelerator not in known:
            problem = f"unknown accelerator {entry.accelerator!r}; there: {', '.join(known)}"
            raise Place(path, entry.slug, "accelerator").error(problem)
        if entry.cooling not in COOLINGS:
            problem = f"{entry.cooling!r} is not one of {', '.join(COOLINGS)}"
            raise Place(path, entry.slug, "cooling").error(problem)
    return entries


def load_grids(path: Path) -> tuple[Grid, ...]:
    """Read grids; ``CatalogueError`` on a day that has not 24 hours."""
    entries = read_entries(Grid, "grid", path)
    for entry in entries:
        for day in ("winter_day", "summer_day"):
            hours = len(getattr(entry, day))
            if hours not in (0, HOURS):
                raise Place(path, entry.slug, day).error(f"{hours} hours; write 24 values or none")
    return entries


def load_prices(path: Path) -> tuple[Price, ...]:
    """Read prices; ``CatalogueError`` on a kind that is not known."""
    entries = read_entries(Price, "price", path)
    for entry in entries:
        if entry.kind not in KINDS_OF_PRICE:
            problem = f"{entry.kind!r} is not one of {', '.join(KINDS_OF_PRICE)}"
            raise Place(path, entry.slug, "kind").error(problem)
    return entries


@cache
def servers() -> tuple[Server, ...]:
    """Return every server of the catalogue."""
    return load_servers(DATA / "servers.toml")


@cache
def grids() -> tuple[Grid, ...]:
    """Return every grid of the catalogue."""
    return load_grids(DATA / "grids.toml")


@cache
def prices() -> tuple[Price, ...]:
    """Return every price of the catalogue."""
    return load_prices(DATA / "prices.toml")


@cache
def facility_figures() -> tuple[Overhead, ...]:
    """Return every single number of power, heat and buildings."""
    return read_entries(Overhead, "overhead", DATA / "facility.toml")


def model_shape(name: str) -> ModelShape:
    """Find a model by slug or alias."""
    return find(name, model_shapes(), "model")


def server(name: str) -> Server:
    """Find a server by slug or alias."""
    return find(name, servers(), "server")


def grid(name: str) -> Grid:
    """Find a grid by slug or alias."""
    return find(name, grids(), "grid")


def price(name: str) -> Price:
    """Find a price by slug or alias."""
    return find(name, prices(), "price")


def facility_figure(name: str) -> Overhead:
    """Find a number of power, heat or buildings by slug or alias."""
    return find(name, facility_figures(), "number")


def find_server(device: Accelerator) -> Server | None:
    """Return the server around an accelerator; ``None`` where the catalogue has none."""
    return next((entry for entry in servers() if entry.accelerator == device.slug), None)


def price_of(kind: str, item: str = "") -> Price | None:
    """Return the price of a kind and item; ``None`` where nobody published one."""
    return next((p for p in prices() if (p.kind, p.item) == (kind, item)), None)
