"""What a run costs in dollars: renting accelerators by the hour, or owning them.

Annuity: any textbook of finance, e.g. R. Brealey, S. Myers, F. Allen, "Principles of corporate
finance", chapter 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiinfra.model.parts import Parts
from aiinfra.units import HOUR, KILOWATT_HOUR, YEAR


def yearly_payment(price: float, years: float, interest: float = 0.0) -> float:
    """Return the dollars a year that pay off ``price`` over ``years``: ``P r / (1 - (1+r)^-n)``.

    Without interest this is straight-line depreciation, ``P / n``. Raises ``ValueError`` unless
    years are positive and interest is not negative.

    >>> yearly_payment(100, 4), round(yearly_payment(100, 4, 0.10), 2)
    (25.0, 31.55)
    """
    if years <= 0 or interest < 0:
        raise ValueError(f"years must be positive and interest not negative: {years}, {interest}")
    if interest == 0:
        return price / years
    return float(price * interest / (1 - (1 + interest) ** -years))


@dataclass(frozen=True)
class Ownership:
    """What an owner pays for: prices in $, lives in years, all for one accelerator.

    ``servers`` is an accelerator's share of its server, ``network`` of switches and cables,
    ``building`` of the hall (its watts times the price of a watt), ``upkeep`` the share of the
    servers' price that spares, staff and support take a year. ``utilisation`` is the share of the
    years in which the machines do paid work: idle hours are paid by the busy ones. The lives and
    the interest are assumptions, not facts: state yours.
    """

    servers: float
    network: float = 0.0
    building: float = 0.0
    upkeep: float = 0.0
    utilisation: float = 1.0
    life: float = 4.0
    building_life: float = 20.0
    interest: float = 0.0


@dataclass(frozen=True)
class Bill(Parts):
    """Dollars of a run by what they pay for; the parts sum to ``total``."""

    servers: float
    network: float
    building: float
    upkeep: float
    electricity: float


def own(count: int, seconds: float, owner: Ownership, joules: float, price_per_kwh: float) -> Bill:
    """Price a run of some seconds on ``count`` accelerators of one's own.

    Capital is paid by the second of the equipment's life that the run takes, over
    ``utilisation``; ``joules`` is the whole run at the meter. Known error: resale value, taxes and
    land are missing, and prices of accelerators fall by half in two years.
    Raises ``ValueError`` unless the utilisation lies in (0, 1].
    """
    if not 0 < owner.utilisation <= 1:
        raise ValueError(f"utilisation lies above 0 and at most at 1, got {owner.utilisation}")
    years = count * seconds / YEAR / owner.utilisation
    return Bill(
        servers=years * yearly_payment(owner.servers, owner.life, owner.interest),
        network=years * yearly_payment(owner.network, owner.life, owner.interest),
        building=years * yearly_payment(owner.building, owner.building_life, owner.interest),
        upkeep=years * owner.upkeep * owner.servers,
        electricity=joules / KILOWATT_HOUR * price_per_kwh,
    )


def rent(count: int, seconds: float, price_per_hour: float) -> float:
    """Return the dollars of renting ``count`` accelerators for some seconds."""
    return count * seconds / HOUR * price_per_hour


def break_even_utilisation(
    owner: Ownership, watts: float, price_per_kwh: float, price_per_hour: float
) -> float | None:
    """Return the share of the time from which owning beats renting; ``None`` for never.

    One accelerator, at ``watts`` at the meter while it works. Owning costs ``C`` a year whether
    it works or not and ``e`` in electricity for each hour it works; renting costs ``r`` for each
    hour: ``u = C / (hours (r - e))``. Known error: idle machines draw no power here.
    """
    full = own(1, YEAR, owner, 0.0, price_per_kwh)
    fixed = full.total * owner.utilisation
    margin = price_per_hour - watts * HOUR / KILOWATT_HOUR * price_per_kwh
    if margin <= 0:
        return None
    share = fixed / (YEAR / HOUR * margin)
    return share if share <= 1 else None
