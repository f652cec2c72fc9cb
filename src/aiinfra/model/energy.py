"""Joules, grams and litres of running IT equipment, by the grid and by the hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aiinfra.facts.world_schema import Grid
from aiinfra.model.facility import figure, room_power
from aiinfra.model.parts import Parts
from aiinfra.units import HOUR, KILOWATT_HOUR, LITRE

Season = Literal["winter", "summer"]


@dataclass(frozen=True)
class Energy(Parts):
    """Joules by where they go; the parts sum to ``total``."""

    it: float
    delivery: float
    cooling: float


def energy(it_power: float, seconds: float, pue: float) -> Energy:
    """Return the joules of ``it_power`` W for some seconds in a room of this PUE.

    ``E = PUE * P * t``, split as ``facility.room_power`` splits it. Known error: PUE is a mean of
    the year, higher in summer and at part load. Raises ``ValueError`` on a negative time.
    """
    if seconds < 0:
        raise ValueError(f"time cannot be negative, got {seconds} s")
    room = room_power(it_power, pue)
    delivery = room.transformer + room.ups + room.distribution
    return Energy(seconds * room.it, seconds * delivery, seconds * room.cooling)


def carbon(joules: float, grid: Grid) -> float:
    """Return the grams of CO2 equivalent of consuming ``joules`` from a grid over a year.

    ``m = E * intensity`` with the grid's yearly mean. Known error: the location's mean says
    neither what one more kilowatt-hour causes (the marginal plant, often gas) nor what
    certificates claim; making the servers and the building is not counted.
    """
    return joules / KILOWATT_HOUR * grid.intensity


def water_used(it_joules: float) -> float:
    """Return the m^3 of water that cooling uses on site for ``it_joules`` of IT energy.

    ``V = WUE * E_it`` with the mean of the United States (``wue-us``). Known error: from near
    zero (dry coolers) to five times as much (evaporation in a hot place); power plants' own use
    is not counted.
    """
    return figure("wue-us") * LITRE * it_joules / KILOWATT_HOUR


def hourly_intensity(grid: Grid, season: Season) -> tuple[float, ...]:
    """Return g/kWh by hour of the day (UTC): the measured day's shape at the year's level.

    ``I_h = I_year * day_h / mean(day)``. Raises ``ValueError`` for a grid whose catalogue entry
    has no measured day.
    """
    day = grid.winter_day if season == "winter" else grid.summer_day
    if not day:
        raise ValueError(f"grid {grid.slug!r} has no measured {season} day; 'gb' has one")
    mean = sum(day) / len(day)
    return tuple(grid.intensity * hour / mean for hour in day)


def carbon_by_hour(power: float, start: int, hours: int, intensity: Sequence[float]) -> float:
    """Return the grams of running at ``power`` W for whole hours from hour ``start`` of the day.

    ``intensity`` is g/kWh by hour; the day repeats. Raises ``ValueError`` on negative hours.
    """
    if hours < 0:
        raise ValueError(f"hours cannot be negative, got {hours}")
    each = power * HOUR / KILOWATT_HOUR
    return sum(each * intensity[(start + i) % len(intensity)] for i in range(hours))


def cleanest_start(hours: int, intensity: Sequence[float]) -> int:
    """Return the hour of the day at which a run of ``hours`` hours emits least."""
    starts = range(len(intensity))
    return min(starts, key=lambda start: carbon_by_hour(1.0, start, hours, intensity))
