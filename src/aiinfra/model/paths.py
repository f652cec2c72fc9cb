"""The way of data through a server: which links it crosses, how long it takes, which one bounds it.

A path is made of *legs*. Within a leg data flows through all links at once, so the slowest sets the
pace; between legs it rests in a memory. A path from drive to GPU has one leg with GPUDirect, and
two by a bounce buffer in the memory of the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiinfra.facts.catalogue import accelerator, drive, link, memory_kind
from aiinfra.facts.schema import Accelerator, Link
from aiinfra.facts.topology import Topology
from aiinfra.facts.world_catalogue import server

SOURCES = ("drive", "far drive", "memory", "far memory", "network", "GPU")
STOPPING = ("drive", "far drive", "network")  # what the CPU may catch in a buffer on its way


@dataclass(frozen=True)
class Hop:
    """One link from part ``start`` to part ``end`` in B/s, with a latency in s.

    ``users`` is how many accelerators lean on it when all of them load at once.
    """

    start: str
    end: str
    name: str
    rate: float
    latency: float = 0.0
    users: int = 1


@dataclass(frozen=True)
class PathTime:
    """Seconds by leg, from the first byte to the last, and the link that bounds the path."""

    legs: tuple[float, ...]
    seconds: float
    bound: Hop
    rate: float


Legs = Sequence[Sequence[Hop]]


def path_time(n_bytes: float, legs: Legs, chunk: float | None = None) -> PathTime:
    """Price ``n_bytes`` on their way through ``legs``.

    ``t_leg = sum(latency) + n / min(rate)``. Without ``chunk`` a leg waits for the one before it:
    ``t = sum(t_leg)``. With it, chunks of so many bytes follow one another and the legs overlap:
    ``t = sum(t_leg(chunk)) + (n / chunk - 1) * max(t_leg(chunk))``. Raises ``ValueError`` for no
    bytes, no link or a chunk of nothing. Known error: rates are the links' own. A copy reaches 12
    to 25 % less of PCIe (``pcie-5-copy`` and its neighbours), a file system costs time, and a
    memory that is written and read at once shares its one rate between the two.
    """
    if n_bytes <= 0 or not legs or not all(legs) or (chunk is not None and chunk <= 0):
        raise ValueError("a path needs bytes, at least one link in each leg, and chunks of > 0 B")

    def leg_time(leg: Sequence[Hop], size: float) -> float:
        return sum(hop.latency for hop in leg) + size / min(hop.rate for hop in leg)

    whole = tuple(leg_time(leg, n_bytes) for leg in legs)
    seconds = sum(whole)
    if chunk is not None and chunk < n_bytes:
        parts = [leg_time(leg, chunk) for leg in legs]
        seconds = sum(parts) + (n_bytes / chunk - 1) * max(parts)
    slowest = min((hop for leg in legs for hop in leg), key=lambda hop: hop.rate)
    return PathTime(whole, seconds, slowest, n_bytes / seconds)


def crowded(legs: Legs) -> list[list[Hop]]:
    """Return the legs as one accelerator sees them when all of them load at once."""
    return [
        [
            replace(hop, rate=hop.rate / hop.users, name=f"{hop.name}, shared by {hop.users}")
            if hop.users > 1
            else hop
            for hop in leg
        ]
        for leg in legs
    ]


@dataclass(frozen=True)
class Links:
    """The links of a server, as hops between its named parts."""

    box: Topology

    @property
    def gpu(self) -> Accelerator:
        """The accelerator of the server."""
        return accelerator(server(self.box.server).accelerator)

    @property
    def bus(self) -> Link:
        """The PCIe link of each accelerator and of each switch."""
        return link(self.gpu.host_link or "")

    @property
    def per_switch(self) -> int:
        """Accelerators on one PCIe switch."""
        return server(self.box.server).count // (self.box.cpus * self.box.switches)

    @property
    def per_cpu(self) -> int:
        """Accelerators below one CPU."""
        return self.per_switch * self.box.switches

    def uplink(self, switch: int, up: bool) -> Hop:
        """Between a PCIe switch and its CPU."""
        ends = f"switch {switch}", f"CPU {switch // self.box.switches}"
        name, rate = f"{self.bus.name}, CPU and switch", self.bus.bandwidth_per_direction
        return Hop(*(ends if up else ends[::-1]), name, rate, users=self.per_switch)

    def memory(self, cpu: int, write: bool) -> Hop:
        """Between a CPU and its own memory, all channels."""
        ends, rate = (f"CPU {cpu}", f"memory {cpu}"), memory_kind(self.box.memory).bandwidth
        turned = ends if write else ends[::-1]
        name = f"{'write to' if write else 'read from'} memory of CPU {cpu}"
        return Hop(*turned, name, rate * self.box.channels, users=self.per_cpu)

    def across(self) -> Hop:
        """From the second CPU to the first."""
        return Hop(
            "CPU 1", "CPU 0", "link between the CPUs", self.box.socket_link, users=self.per_cpu
        )

    def into(self) -> Hop:
        """From the first switch into GPU 0."""
        name = f"{self.bus.name}, switch and GPU"
        return Hop("switch 0", "GPU 0", name, self.bus.bandwidth_per_direction)

    def drive(self, switch: int) -> Hop:
        """From a drive to its switch."""
        disk, users = drive(self.box.drive), -(-self.per_switch // self.box.drives)
        name = f"one {disk.interface} drive"
        return Hop(f"drives {switch}", f"switch {switch}", name, disk.sequential_read, users=users)

    def port(self) -> Hop:
        """From the network to the first switch."""
        nic, users = link(self.box.nic), -(-self.per_switch // self.box.nics)
        return Hop("NICs 0", "switch 0", nic.name, nic.bandwidth_per_direction, users=users)

    def peers(self) -> list[Hop]:
        """From the last accelerator to GPU 0."""
        fabric, last = link(self.gpu.device_link or ""), f"GPU {server(self.box.server).count - 1}"
        ends = (last, "NVSwitch"), ("NVSwitch", "GPU 0")
        return [Hop(*pair, fabric.name, fabric.bandwidth_per_direction) for pair in ends]


def legs_to_gpu(box: Topology, source: str, direct: bool = True) -> list[list[Hop]]:
    """Return the legs from ``source`` to GPU 0 of a server, by names of its parts.

    ``source`` is one of ``SOURCES``; the far ones belong to the other CPU. Drives and network are
    caught in the CPU's memory first unless ``direct``. Raises ``ValueError`` for other sources.
    """
    if source not in SOURCES:
        raise ValueError(f"no source {source!r}; there are {', '.join(SOURCES)}")
    links, far = Links(box), source.startswith("far")
    if source == "GPU":
        return [links.peers()]
    across = [links.across()] if far else []
    out = [links.memory(int(far), write=False), *across, links.uplink(0, up=False), links.into()]
    if source not in STOPPING:
        return [out]
    switch = box.cpus * box.switches - 1 if far else 0
    first = links.port() if source == "network" else links.drive(switch)
    if direct and not far:
        return [[first, links.into()]]
    up = links.uplink(switch, up=True)
    if direct:
        return [[first, up, *out[1:]]]
    return [[first, up, links.memory(int(far), write=True)], out]
