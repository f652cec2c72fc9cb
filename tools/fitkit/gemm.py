"""Fit the constants of matrix products on published rows of A100 and H100, and say what they miss.

Every fifth row is held back. It prices rows with the model as it ships: nothing is written twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiinfra.facts.calibration import Constant
from aiinfra.model import gemm, kernels
from aiinfra.model.validate import find_set
from aiinfra.model.validate.gemm import precision
from aiinfra.model.validate.report import PUBLISHED
from aiinfra.model.validate.rows import Row, read_rows
from fitkit.descent import descend, mape, of_errors

PROVENANCE = "fitted on gemm.csv, A100 and H100, bfloat16, 480 of 600 rows (every fifth held back)"
NARROW = (
    "mean over H200 and B200 of the best fp8 product's share of peak over the best bf16 one's: "
    "S. Bekman, Machine Learning Engineering, MAMF table (read 2026-11-24)"
)

# Name, first guess, bounds, unit, meaning; some by class of tensor core.
FITTED = (
    ("launch", 2.7e-6, (1e-6, 6e-6), "s", "start and end of a kernel in a graph of kernels"),
    ("split", 2.5e-6, (0.5e-6, 6e-6), "s", "the second kernel, which adds up the parts of k"),
    ("tau.warp", 6e-9, (3e-10, 2e-8), "s", "k loop an element of k, latency bare, Volta to Ada"),
    ("tau.warpgroup", 1.2e-9, (3e-10, 2e-8), "s", "the same from Hopper on (bulk copies ahead)"),
    ("epilogue.warp", 2.0, (0.05, 5), "ratio", "writing a wave's tiles, over bytes / bandwidth"),
    ("epilogue.warpgroup", 0.85, (0.05, 5), "ratio", "the same from Hopper on"),
    ("intensity", 64, (20, 150), "elements", "a b / (a + b) of a tile fed as fast as it works"),
    ("sustained.warp", 0.9, (0.6, 1.0), "ratio", "share of peak that power lets stand, to Ada"),
    ("sustained.warpgroup", 0.86, (0.6, 1.0), "ratio", "the same from Hopper on"),
    ("heat", 0.03, (1e-4, 0.2), "ratio", "loss of it for each e-fold of operands over L2"),
    ("memory", 0.83, (0.5, 0.98), "ratio", "share of peak memory bandwidth"),
    ("rotation", 16, (1, 30), "copies", "copies of B that the measured loop walks through"),
    ("gather", 2.2, (0.3, 10), "ratio", "bandwidth of adding up parts over that of memory"),
    ("later", 0.5, (0.01, 1), "ratio", "share of the epilogue that each later wave exposes"),
    ("overlap", 2.7, (1.2, 10), "exponent", "how well arithmetic and traffic overlap"),
    ("blend", 5.8, (1.2, 10), "exponent", "how well arithmetic and feeding overlap"),
)  # fmt: skip
Case = tuple[int, int, int, str, object, float]


def fit() -> list[Constant]:
    """Fit on four fifths, print the errors, and return the constants."""
    cases = [case(row) for row in read_rows(PUBLISHED / "gemm.csv", find_set("gemm"))]
    held = cases[::5]
    kept = [one for i, one in enumerate(cases) if i % 5]
    start = [guess for _, guess, *_ in FITTED]
    values = search(start, kept)
    print(f"fitted on {len(kept)} rows: {mape(errors(values, kept)):.2f} %")
    print(f"held back {len(held)} rows: {mape(errors(values, held)):.2f} %")
    for slug in ("a100-sxm-80gb", "h100-sxm"):
        part = [one for one in held if one[4].slug == slug]  # type: ignore[attr-defined]
        print(f"  held back, {slug}: {mape(errors(values, part)):.2f} % over {len(part)}")
    narrow = Constant("gemm.narrow", 0.948, "ratio", "sustained share below 16 bit over that at 16",
                      NARROW)  # fmt: skip
    return [
        *(Constant(f"gemm.{name}", value, unit, meaning, PROVENANCE)
          for (name, _, _, unit, meaning), value in zip(FITTED, values, strict=True)),
        narrow,
    ]  # fmt: skip


def case(row: Row) -> Case:
    """A row as the fit needs it: shape, precision, device, measured seconds."""
    shape = row.count("m"), row.count("n"), row.count("k")
    return (*shape, precision(row), row.device(), 1e-6 * row.number("latency_us"))


def build(values: Sequence[float], narrow: float = 0.948) -> kernels.Constants:
    """The model's constants from the fit's list."""
    named = dict(zip((name for name, *_ in FITTED), values, strict=True))
    pairs = {p: tuple(named.pop(f"{p}.{kind}") for kind in kernels.CLASSES) for p in kernels.PAIRS}
    return kernels.Constants(**named, **pairs, narrow=narrow)  # type: ignore[arg-type]


def errors(values: Sequence[float], cases: Sequence[Case]) -> list[float]:
    """Logarithms of predicted over measured."""
    fitted, machines = build(values), {}
    found = []
    for m, n, k, kind, device, seconds in cases:
        key = (kind, device.slug)  # type: ignore[attr-defined]
        if key not in machines:
            machines[key] = kernels.machine(kind, device, fitted)  # type: ignore[arg-type]
        time = gemm.price(m, n, k, machines[key])
        found.append(math.log(time.seconds / seconds))
    return found


def search(
    start: Sequence[float], cases: Sequence[Case], rounds: int = 15, free: Sequence[str] = ()
) -> list[float]:
    """Fit on cases, all constants or those named."""
    names, limits = [name for name, *_ in FITTED], [bounds for _, _, bounds, *_ in FITTED]
    positions = [names.index(name) for name in free] or None
    return descend(lambda v: of_errors(errors(v, cases)), start, limits, rounds, positions)
