"""What a training run takes beyond time: joules, grams, litres and dollars of a planned layout."""

from __future__ import annotations

from dataclasses import dataclass

from aiinfra.facts.schema import Accelerator
from aiinfra.facts.world_catalogue import facility_figure, find_server, price, price_of
from aiinfra.facts.world_schema import Grid, Server
from aiinfra.model.cost import Bill, Ownership, own, rent
from aiinfra.model.energy import Energy, carbon, energy, water_used
from aiinfra.model.facility import rated_power
from aiinfra.model.plan import Candidate, Job

TOKENS_PER_PARAMETER = 20  # J. Hoffmann et al., "Training compute-optimal LLMs", arXiv 2203.15556


@dataclass(frozen=True)
class Site:
    """Where it runs and at what prices; ``None`` where a price or a power is not published.

    ``watts`` is what one accelerator and its share of the server draw while they train, ``rent``
    $ an hour for one, ``owner`` what owning one costs, ``price_per_kwh`` $ for electricity by the
    ``tariff`` named.
    """

    pue: float
    grid: Grid
    price_per_kwh: float
    tariff: str
    watts: float | None
    rent: float | None = None
    owner: Ownership | None = None


@dataclass(frozen=True)
class Run:
    """A whole training run; what cannot be reckoned is ``None``.

    ``seconds`` and ``steps``; ``energy`` in J at the meter, ``carbon`` in g of CO2 equivalent,
    ``water`` in m^3 on site, ``rented`` in $, ``owned`` in $ by part.
    """

    steps: float
    seconds: float
    energy: Energy | None
    carbon: float | None
    water: float | None
    rented: float | None
    owned: Bill | None


def training_watts(device: Accelerator, machine: Server | None) -> float | None:
    """Return the W at the plug that training takes for one accelerator and its share of a server.

    The specified maximum times ``training-power-share``, measured on eight H100.
    Known error: 10 % on that node, unknown on others.
    """
    rated = rated_power(device, machine)
    return None if rated is None else facility_figure("training-power-share").value * rated


def owner_of(device: Accelerator, machine: Server | None) -> Ownership | None:
    """Return what owning one accelerator costs by the catalogue; ``None`` without a server's price.

    The building is priced by the specified maximum, which is what it must be able to deliver.
    """
    found = price_of("server", machine.slug) if machine else None
    rated = rated_power(device, machine)
    if machine is None or found is None or rated is None:
        return None
    network = price_of("network", machine.slug)
    return Ownership(
        servers=found.value / machine.count,
        network=network.value if network else 0.0,
        building=price("building").value * rated,
    )


def site_of(device: Accelerator, grid: Grid, pue: float) -> Site:
    """Build a site from the catalogue; grids without a price of electricity take Virginia's."""
    machine = find_server(device)
    rented = price_of("rent", device.slug)
    electricity = price_of("electricity", grid.slug) or price("electricity-virginia")
    return Site(
        pue=pue,
        grid=grid,
        price_per_kwh=electricity.value,
        tariff=f"{electricity.name.removeprefix('A kilowatt-hour for ')}, {electricity.as_of.year}",
        watts=training_watts(device, machine),
        rent=rented.value if rented else None,
        owner=owner_of(device, machine),
    )


def run_of(job: Job, candidate: Candidate, tokens: float, site: Site) -> Run:
    """Reckon a run over ``tokens`` tokens: ``steps = tokens / tokens per step``.

    Known error: a real run also restarts, evaluates and writes checkpoints; Llama 3.1 405B was
    training 90 % of its time (arXiv 2407.21783, section 3.3.4; unchecked).
    """
    steps = tokens / job.tokens
    seconds = steps * candidate.seconds
    used = None
    if site.watts is not None:
        used = energy(job.count * site.watts, seconds, site.pue)
    return Run(
        steps=steps,
        seconds=seconds,
        energy=used,
        carbon=carbon(used.total, site.grid) if used else None,
        water=water_used(used.it) if used else None,
        rented=None if site.rent is None else rent(job.count, seconds, site.rent),
        owned=own(job.count, seconds, site.owner, used.total, site.price_per_kwh)
        if site.owner and used
        else None,
    )
