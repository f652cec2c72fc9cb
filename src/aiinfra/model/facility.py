"""Power of servers and rooms: who draws it and what is lost on the way.

Power usage effectiveness (PUE), what a room takes over what its servers draw: The Green Grid,
ISO/IEC 30134-2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiinfra.facts.catalogue import accelerator
from aiinfra.facts.schema import Accelerator
from aiinfra.facts.world_catalogue import facility_figure, server
from aiinfra.facts.world_schema import Server
from aiinfra.model.parts import Parts


def figure(name: str) -> float:
    """Return a number of the catalogue of facilities."""
    return facility_figure(name).value


@dataclass(frozen=True)
class ServerPower(Parts):
    """Watts at the plug of one server, by who draws them; the parts sum to ``total``.

    ``other`` is what fans, memory, drives, NVSwitch and the supplies' own loss have left.
    """

    accelerators: float
    host: float
    network: float
    other: float


def server_power(machine: Server, share: float = 1.0) -> ServerPower:
    """Split what a server draws at ``share`` of its specified maximum, in W.

    Accelerators, CPUs and adapters count at their limits times ``share``; the rest is what the
    vendor's maximum leaves. Known error: at part load accelerators fall further than fans do, and
    a measured training run drew 76 to 82 % of the maximum (``training-power-share``).
    Raises ``ValueError`` on a share outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share lies between 0 and 1, got {share}")
    board = accelerator(machine.accelerator).power or 0.0
    known = (machine.count * board, machine.host_power or 0.0, machine.network_power or 0.0)
    other = machine.power - sum(known)
    return ServerPower(*(share * watts for watts in (*known, other)))


def rated_power(device: Accelerator, machine: Server | None) -> float | None:
    """Return what one accelerator and its part of the server draw at most, in W.

    Where the catalogue has no server around it, the board's limit is scaled as in a DGX H100,
    ``10.2 kW / (8 * 700 W)``; ``None`` where the board's limit is not published.
    """
    if machine is not None:
        return machine.power / machine.count
    if device.power is None:
        return None
    pattern = server("dgx-h100")
    boards = pattern.count * (accelerator(pattern.accelerator).power or math.nan)
    return device.power * pattern.power / boards


@dataclass(frozen=True)
class RoomPower(Parts):
    """Watts that a room takes from the grid; the parts sum to ``total``.

    ``it`` is what servers draw; ``transformer``, ``ups`` and ``distribution`` what each stage of
    the delivery loses; ``cooling`` the rest of the overhead: chillers, pumps, fans, lights.
    """

    AIM = "it"

    it: float
    transformer: float
    ups: float
    distribution: float
    cooling: float

    @property
    def pue(self) -> float:
        """Power usage effectiveness, ``total / it``."""
        return self.total / self.it


def delivery_losses(it: float) -> dict[str, float]:
    """Return what transformer, UPS and distribution lose on the way to ``it`` W of servers.

    Each stage passes on a share ``eta``, so that it takes ``P / eta`` and loses ``P (1/eta - 1)``,
    counted from the servers back to the grid. Sources: ``facility.toml``. Known error: shares are
    of full load; a UPS at 30 % load loses several percent more.
    """
    losses = {}
    power = it
    for stage in ("distribution", "ups", "transformer"):
        losses[stage] = power * (1 / figure(f"{stage}-efficiency") - 1)
        power += losses[stage]
    return losses


def room_power(it: float, pue: float) -> RoomPower:
    """Split what a room with ``it`` W of servers and a given PUE takes from the grid.

    Where the losses of an ordinary chain already exceed the overhead, as in rooms that bypass
    the UPS, they are scaled to it and nothing is left for cooling.
    Raises ``ValueError`` for a PUE below 1 or without servers.
    """
    if pue < 1 or it <= 0:
        raise ValueError(f"PUE is at least 1 and IT power positive, got {pue} and {it} W")
    overhead = (pue - 1) * it
    losses = delivery_losses(it)
    scale = min(1.0, overhead / sum(losses.values()))
    scaled = {stage: scale * watts for stage, watts in losses.items()}
    return RoomPower(it=it, cooling=overhead - sum(scaled.values()), **scaled)
