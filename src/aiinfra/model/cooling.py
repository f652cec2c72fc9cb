"""Who carries the heat away: flows of air and water, and how many servers a rack takes.

Energy balance of a coolant: ``Q = rho V c dT``, ASHRAE Handbook, Fundamentals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiinfra.facts.world_schema import Server
from aiinfra.model.facility import figure


@dataclass(frozen=True)
class Coolant:
    """What carries heat: ``density`` in kg/m^3, ``heat`` (specific) in J/(kg K)."""

    density: float
    heat: float

    def flow(self, watts: float, rise: float) -> float:
        """Return the m^3/s that carry ``watts`` away and warm by ``rise`` K: ``Q/(rho c dT)``.

        Known error: 2 % for air between 10 and 40 °C, more at altitude, where it is thinner.
        Raises ``ValueError`` unless the rise is positive.

        >>> round(air().flow(40e3, 15), 2), round(1000 * water().flow(120e3, 10), 2)
        (2.2, 2.87)
        """
        if rise <= 0:
            raise ValueError(f"the coolant must warm by more than 0 K, got {rise}")
        return watts / (self.density * self.heat * rise)

    def carries(self, flow: float, rise: float) -> float:
        """Return the watts that ``flow`` m^3/s carry away, warming by ``rise`` K."""
        return self.density * self.heat * flow * rise


def air() -> Coolant:
    """Return dry air at 20 °C."""
    return Coolant(figure("air-density"), figure("air-heat"))


def water() -> Coolant:
    """Return water at 27 °C; mixtures with 25 % glycol carry some 10 % less (unchecked)."""
    return Coolant(figure("water-density"), figure("water-heat"))


@dataclass(frozen=True)
class RackFit:
    """How many servers a rack takes by each limit, and what they draw together in W."""

    by_space: int
    by_power: int
    by_cooling: int
    power: float

    @property
    def servers(self) -> int:
        """The smallest of the three."""
        return min(self.by_space, self.by_power, self.by_cooling)

    @property
    def bound(self) -> str:
        """The limit that is met first: space, power or cooling."""
        limits = {"space": self.by_space, "power": self.by_power, "cooling": self.by_cooling}
        return min(limits, key=lambda name: limits[name])


def rack_fit(
    machine: Server, units: int, feed: float, flow: float, rise: float, coolant: Coolant
) -> RackFit:
    """Count the servers that fit a rack of ``units`` rack units.

    ``feed`` is what the rack's supply delivers in W, ``flow`` the m^3/s of ``coolant`` that reach
    it and ``rise`` the K by which it may warm. Servers count at their specified maximum, as
    electricians ask for. Known error: a rack that recirculates warm air takes fewer.
    """
    limit = coolant.carries(flow, rise)
    counts = (
        units // machine.height,
        math.floor(feed / machine.power),
        math.floor(limit / machine.power),
    )
    return RackFit(*counts, power=min(counts) * machine.power)


@dataclass(frozen=True)
class HeatPaths:
    """Watts that leave a rack by air and by liquid, and the flows in m^3/s that carry them."""

    air: float
    liquid: float
    air_flow: float
    liquid_flow: float

    @property
    def total(self) -> float:
        """All heat, in W."""
        return self.air + self.liquid

    @property
    def bound(self) -> str:
        """The path that carries most."""
        return "air" if self.air >= self.liquid else "liquid"


def heat_paths(watts: float, liquid_share: float, air_rise: float, water_rise: float) -> HeatPaths:
    """Split a rack's heat between cold plates and air, each warming its coolant by its rise in K.

    Every watt that a rack draws leaves it as heat. ``liquid_share`` is what cold plates catch: all
    of the accelerators and CPUs they sit on, none of memory, adapters and supplies.
    Raises ``ValueError`` on a share outside 0..1.
    """
    if not 0 <= liquid_share <= 1:
        raise ValueError(f"liquid_share lies between 0 and 1, got {liquid_share}")
    liquid = liquid_share * watts
    rest = watts - liquid
    return HeatPaths(rest, liquid, air().flow(rest, air_rise), water().flow(liquid, water_rise))
