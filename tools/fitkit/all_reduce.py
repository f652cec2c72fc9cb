"""Fit the constants of all-reduces inside NVLink nodes on published rows, and say what they miss.

Every fourth row is held back; then each whole curve, of one device and number of ranks. It prices
rows with the model as it ships. What holds off NVLink (network, PCIe) is read from NCCL.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiinfra.facts.calibration import Constant
from aiinfra.facts.catalogue import link
from aiinfra.facts.schema import Link
from aiinfra.model import collectives
from aiinfra.model.validate import find_set
from aiinfra.model.validate.report import PUBLISHED
from aiinfra.model.validate.rows import Row, read_rows
from fitkit.descent import descend, mape, of_errors

PROVENANCE = (
    "fitted on all_reduce.csv, 2 and 8 A100 or H100, 63 of 84 rows (every fourth held back)"
)
NCCL = "NVIDIA NCCL, src/graph/tuning.cc of 2021 (read 2026-11-24)"

# Name, first guess, unit, meaning. Bounds are a tenth and ten times the guess, shares up to 1.
FITTED = (
    ("base.nvlink3", 8e-6, "s", "start of a collective, up to NVLink 3"),
    ("base.nvlink4", 4.5e-6, "s", "the same from NVLink 4 on"),
    ("step.nvlink3", 0.9e-6, "s", "a step to the neighbour in protocol LL, up to NVLink 3"),
    ("step.nvlink4", 0.8e-6, "s", "the same from NVLink 4 on"),
    ("ll.share", 0.03, "ratio", "share of the link's bandwidth that LL reaches"),
    ("ll128.latency", 1.15, "ratio", "start and step of LL128 over those of LL"),
    ("ll128.share", 0.24, "ratio", "share of the link's bandwidth that LL128 reaches"),
    ("simple.base", 3.4, "ratio", "start of Simple over that of LL"),
    ("simple.step", 0.2, "ratio", "step of Simple over that of LL (chunks overlap)"),
    ("simple.share", 0.69, "ratio", "share of the link's bandwidth that Simple reaches"),
    ("fill", 0.8e-6, "s", "start of a chunk, which fills the ring of chunks late"),
    ("nvls.base", 45e-6, "s", "start of a reduction in the switch"),
    ("nvls.share", 0.6, "ratio", "share of the link's bandwidth that it reaches"),
)
READ = (
    ("ll.payload", 0.25, "ratio", "share of the bandwidth that LL reaches off NVLink"),
    ("network.share", 0.92, "ratio", "payload of a network's bandwidth, 120 of 128 bytes and less"),
    ("ring.ll.base", 3.6e-6, "s", "start of a ring off NVLink, LL"),
    ("ring.simple.base", 8.4e-6, "s", "start of a ring off NVLink, Simple"),
    ("tree.ll.base", 4.4e-6, "s", "start of a tree, LL"),
    ("tree.simple.base", 0.0, "s", "start of a tree, Simple (in its steps)"),
    ("nvlink.ring.ll.step", 0.47e-6, "s", "the table's step over NVLink: the fit finds more"),
    ("network.ring.ll.step", 2.7e-6, "s", "a step of a ring across a network, LL"),
    ("network.ring.simple.step", 9.6e-6, "s", "a step of a ring across a network, Simple"),
    ("network.tree.ll.step", 5e-6, "s", "a step of a tree across a network, LL"),
    ("network.tree.simple.step", 50e-6, "s", "a step of a tree across a network, Simple"),
    ("pcie.ring.ll.step", 1e-6, "s", "a step of a ring over PCIe, LL"),
    ("pcie.ring.simple.step", 5.7e-6, "s", "a step of a ring over PCIe, Simple"),
)
COPY = Constant(
    "all_reduce.pcie.share", 0.787, "ratio", "share of PCIe that a pinned copy reaches",
    "24.8 of 31.5 GB/s: overhead pcie-4-copy of the catalogue",
)  # fmt: skip
Case = tuple[float, int, str, Link, float]


def fit() -> list[Constant]:
    """Fit on three quarters, print the errors, and return the constants."""
    cases = [case(row) for row in read_rows(PUBLISHED / "all_reduce.csv", find_set("all_reduce"))]
    held = cases[::4]
    kept = [one for i, one in enumerate(cases) if i % 4]
    values = search(kept)
    print(f"fitted on {len(kept)} rows: {mape(errors(values, kept)):.2f} %")
    print(f"held back {len(held)} rows: {mape(errors(values, held)):.2f} %")
    for curve in sorted({(on.name, ranks) for _, ranks, _, on, _ in cases}):
        away = [one for one in cases if (one[3].name, one[1]) == curve]
        rest = search([one for one in cases if one not in away])
        missed = errors(rest, away)
        worst = max(abs(math.exp(error) - 1) for error in missed)
        print(f"held back {curve[0]}, {curve[1]} ranks: {mape(missed):.2f} %, worst {worst:.0%}")
    fitted = [
        Constant(f"all_reduce.{name}", value, unit, meaning, PROVENANCE)
        for (name, _, unit, meaning), value in zip(FITTED, values, strict=True)
    ]
    read = [Constant(f"all_reduce.{name}", *rest, NCCL) for name, *rest in READ]
    return [*fitted, *read, COPY]


def case(row: Row) -> Case:
    """A row as the fit needs it: bytes, ranks, generation and link, measured seconds."""
    on = link(row.device().device_link or "")
    seconds = 1e-6 * row.number("latency_us")
    return row.number("message_bytes"), row.count("gpus"), collectives.generation(on), on, seconds


def errors(values: Sequence[float], cases: Sequence[Case]) -> list[float]:
    """Logarithms of predicted over measured."""
    named = dict(zip((name for name, *_ in FITTED), values, strict=True))
    found = []
    for n_bytes, ranks, era, on, seconds in cases:
        regimes = collectives.fitted_regimes(named, era, on.bandwidth_per_direction)
        time = collectives.fastest("all_reduce", n_bytes, ranks, regimes)
        found.append(math.log(time.seconds / seconds))
    return found


def search(cases: Sequence[Case], rounds: int = 40) -> list[float]:
    """Fit on cases."""
    start = [guess for _, guess, *_ in FITTED]
    bounds = [(guess / 10, min(10 * guess, 1.0) if "share" in name else 10 * guess)
              for name, guess, *_ in FITTED]  # fmt: skip
    return descend(lambda v: of_errors(errors(v, cases)), start, bounds, rounds)
