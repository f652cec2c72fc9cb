"""Time of a collective operation: what waits for steps, and what moves bytes over links.

A ring passes pieces round its ranks: an all-reduce takes ``2 (n - 1)`` steps and moves
``2 (n - 1) / n`` of the message over each rank's link, all-gather and reduce-scatter half of both.
Source: P. Patarasu and X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
workstations", 2009. How NCCL sends small, middle and large messages (protocols LL, LL128, Simple,
and reduction in the switch, NVLS) and what a step costs off NVLink: NCCL, src/graph/tuning.cc,
read 2026-11-24.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from aiinfra.facts.calibration import constant
from aiinfra.facts.schema import Link

Algorithm = Literal["auto", "ring", "tree", "switch"]
LinkLike = Link | tuple[float, float]
ALGORITHMS = ("auto", "ring", "tree", "switch")
NETWORKS = ("InfiniBand", "Ethernet")
FITTED = (
    "ll.share", "ll128.latency", "ll128.share", "simple.base", "simple.step", "simple.share",
    "fill", "nvls.base", "nvls.share",
)  # fmt: skip
# From this year on a link of that kind goes with devices and hosts of the NVLink 4 generation,
# whose collectives start sooner; from NVLink 4 on the switch adds up by itself.
NEWER = {"NVLink": 2022, "InfiniBand": 2022, "Ethernet": 2022, "PCIe": 2019}


@dataclass(frozen=True, slots=True)
class CollectiveTime:
    """Seconds of one collective: waiting for steps (latency) and moving bytes (transfer)."""

    latency: float
    transfer: float
    algorithm: str

    @property
    def seconds(self) -> float:
        """``latency + transfer``."""
        return self.latency + self.transfer

    @property
    def bound(self) -> str:
        """The larger part: latency or bandwidth; nothing for one rank."""
        if self.algorithm == "none":
            return "nothing"
        return "latency" if self.latency >= self.transfer else "bandwidth"


NOTHING = CollectiveTime(0.0, 0.0, "none")


@dataclass(frozen=True, slots=True)
class Regime:
    """One way to send: start and step in s, B/s, and the s in which a pipeline of chunks fills."""

    algorithm: str
    base: float
    step: float
    bandwidth: float
    fill: float = 0.0

    def time(self, steps: int, n_bytes: float) -> tuple[float, float]:
        """Reckon latency ``base + steps step`` and transfer ``w + 2 sqrt(fill w)`` in seconds.

        ``w = bytes / bandwidth``. The root is what the best number of chunks leaves: few chunks
        fill the ring late, many pay a start each.
        """
        wire = n_bytes / self.bandwidth
        return self.base + steps * self.step, wire + 2 * math.sqrt(self.fill * wire)


def all_reduce_time(
    n_bytes: float, ranks: int, link: LinkLike, algorithm: Algorithm = "auto"
) -> CollectiveTime:
    """Price an all-reduce: every rank holds ``n_bytes`` and ends with their sum.

    Ring ``2 (n - 1)`` steps and ``2 (n - 1) / n`` of the bytes, tree ``2 ceil(log2 n)`` steps and
    twice the bytes, switch no steps and the bytes once (NVLink from generation 4); ``auto`` takes
    the fastest that the link offers (inside an NVLink node NCCL uses no trees). ``link`` is one
    from the catalogue, priced as NCCL uses it, or a pair of B/s a direction and seconds a step,
    priced exactly. Raises ``ValueError`` on negative bytes, no ranks, or an algorithm that the
    link does not offer. Known error: 5 % mean absolute on rows of NCCL inside nodes of 2 and 8
    A100 or H100, 6 % on every fourth held back, 6 to 9 % on a whole curve (one device and number of
    ranks) held back, single sizes up to 35 %, where NCCL changes its protocol late. Off NVLink it
    is read from NCCL's own table, not measured, with the start that was fitted on NVLink.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"no algorithm {algorithm!r}; there are {', '.join(ALGORITHMS)}")
    return _price("all_reduce", n_bytes, ranks, *_key(link), algorithm)


def all_gather_time(n_bytes: float, ranks: int, link: LinkLike) -> CollectiveTime:
    """Price a ring all-gather that leaves ``n_bytes`` on every rank, each having brought its share.

    ``n - 1`` steps, ``(n - 1) / n`` of the bytes. Raises as ``all_reduce_time`` does. Not measured:
    the regimes are those fitted on all-reduces.
    """
    return _price("all_gather", n_bytes, ranks, *_key(link), "ring")


def reduce_scatter_time(n_bytes: float, ranks: int, link: LinkLike) -> CollectiveTime:
    """Price a ring reduce-scatter of ``n_bytes`` on every rank: an all-gather run backwards."""
    return all_gather_time(n_bytes, ranks, link)


def all_to_all_time(n_bytes: float, ranks: int, link: LinkLike) -> CollectiveTime:
    """Price an all-to-all: each rank holds ``n_bytes``, keeps ``1 / n``, sends the rest directly.

    One step, ``(n - 1) / n`` of the bytes. Raises as ``all_reduce_time`` does. Known error: no
    contention in the fabric, so optimistic across many nodes. Not measured.
    """
    return _price("all_to_all", n_bytes, ranks, *_key(link), "ring")


def hierarchical_all_reduce_time(
    n_bytes: float, ranks: int, node_size: int, inner: LinkLike, outer: LinkLike
) -> CollectiveTime:
    """Price an all-reduce inside nodes, then across them, one after the other.

    Reduce-scatter among the ``node_size`` ranks of a node, all-reduce of each rank's share over
    its own ``outer`` link with its peers in the other nodes, all-gather inside. Raises
    ``ValueError`` where ``node_size`` does not divide ``ranks``. Known error: pessimistic where
    the library overlaps the three.
    """
    if node_size < 1 or ranks % node_size:
        raise ValueError(f"{ranks} ranks do not fill nodes of {node_size}; use a multiple of it")
    inside = reduce_scatter_time(n_bytes, node_size, inner)
    across = all_reduce_time(n_bytes / node_size, ranks // node_size, outer)
    latency, transfer = 2 * inside.latency + across.latency, 2 * inside.transfer + across.transfer
    return CollectiveTime(latency, transfer, "hierarchical" if ranks > 1 else "none")


def _key(link: LinkLike) -> tuple[str, str, float, float]:
    """What the price depends on: family and generation of the link, B/s a direction, s a step."""
    if isinstance(link, Link):
        return (family(link), generation(link), link.bandwidth_per_direction, 0.0)
    return ("exact", "", *link)


def family(link: Link) -> str:
    """How a link is priced: as a network, as PCIe, or as NVLink."""
    if link.kind in NETWORKS:
        return "network"
    return "pcie" if link.kind == "PCIe" else "nvlink"


def generation(link: Link) -> str:
    """The NVLink generation whose devices and hosts a link goes with, up to 3 or from 4 on."""
    return "nvlink4" if link.year >= NEWER.get(link.kind, math.inf) else "nvlink3"


@lru_cache(maxsize=1 << 16)
def _price(
    operation: str, n_bytes: float, ranks: int, kind: str, era: str, bandwidth: float,
    latency: float, algorithm: str,
) -> CollectiveTime:  # fmt: skip
    if n_bytes < 0 or ranks < 1:
        raise ValueError(f"needs at least one rank and no negative bytes: {ranks}, {n_bytes}")
    if ranks == 1:
        return NOTHING
    regimes = _regimes(kind, era, bandwidth, latency)
    found = [r for r in regimes if algorithm in ("auto", r.algorithm)]
    if not found:
        raise ValueError(f"a {kind} link offers no {algorithm!r}; use 'auto' or 'ring'")
    return fastest(operation, n_bytes, ranks, found)


def fastest(
    operation: str, n_bytes: float, ranks: int, regimes: Sequence[Regime]
) -> CollectiveTime:
    """Take the fastest regime."""
    best, found = math.inf, (0.0, 0.0, "none")
    for regime in regimes:
        latency, transfer = regime.time(*_work(operation, regime.algorithm, n_bytes, ranks))
        if latency + transfer < best:
            best, found = latency + transfer, (latency, transfer, regime.algorithm)
    return CollectiveTime(*found)


def _work(operation: str, algorithm: str, n_bytes: float, ranks: int) -> tuple[int, float]:
    """Steps that follow one another, and the bytes that each rank's link carries one way."""
    share = (ranks - 1) / ranks * n_bytes
    if operation == "all_gather":
        return ranks - 1, share
    if operation == "all_to_all":
        return 1, share
    if algorithm == "tree":
        return 2 * math.ceil(math.log2(ranks)), 2 * n_bytes
    if algorithm == "switch":
        return 0, n_bytes
    return 2 * (ranks - 1), 2 * share


@lru_cache(maxsize=256)
def _regimes(kind: str, era: str, bandwidth: float, latency: float) -> tuple[Regime, ...]:
    """The ways that a library has to send over a link."""
    if bandwidth <= 0 or latency < 0:
        raise ValueError(f"a link needs bandwidth, and no negative latency: {bandwidth}, {latency}")
    if kind == "exact":
        return tuple(Regime(name, 0.0, latency, bandwidth) for name in ("ring", "tree"))
    if kind in ("network", "pcie"):
        return _read(kind, era, bandwidth)
    names = (*FITTED, f"base.{era}", f"step.{era}")
    return fitted_regimes({n: constant(f"all_reduce.{n}") for n in names}, era, bandwidth)


def fitted_regimes(get: Mapping[str, float], era: str, bandwidth: float) -> tuple[Regime, ...]:
    """Regimes inside an NVLink node (other direct links between devices are taken for such)."""
    base, step, fill = get[f"base.{era}"], get[f"step.{era}"], get["fill"]
    late = get["ll128.latency"]
    regimes = (
        Regime("ring", base, step, get["ll.share"] * bandwidth),
        Regime("ring", late * base, late * step, get["ll128.share"] * bandwidth),
        Regime("ring", get["simple.base"] * base, get["simple.step"] * step,
               get["simple.share"] * bandwidth, fill),
    )  # fmt: skip
    if era != "nvlink4":
        return regimes
    return (*regimes, Regime("switch", get["nvls.base"], 0.0, get["nvls.share"] * bandwidth, fill))


def _read(kind: str, era: str, bandwidth: float) -> tuple[Regime, ...]:
    """Regimes of a network or PCIe, by NCCL's own table; trees only across a network.

    The table ranks ways to send and leaves out what all have in common. On NVLink the fit finds a
    longer start (launch, host) and a longer step of LL than the table has, and so they are here:
    ``base - table's + fitted``, ``step * fitted / table's``.
    """
    reached = bandwidth * constant(f"all_reduce.{kind}.share")
    rates = {"ll": reached * constant("all_reduce.ll.payload"), "simple": reached}
    start = constant(f"all_reduce.base.{era}") - constant("all_reduce.ring.ll.base")
    slower = constant(f"all_reduce.step.{era}") / constant("all_reduce.nvlink.ring.ll.step")
    return tuple(
        Regime(
            name,
            max(0.0, start) + constant(f"all_reduce.{name}.{protocol}.base"),
            constant(f"all_reduce.{kind}.{name}.{protocol}.step")
            * (max(1.0, slower) if protocol == "ll" else 1.0),
            rate,
        )
        for name in (("ring", "tree") if kind == "network" else ("ring",))
        for protocol, rate in rates.items()
    )
