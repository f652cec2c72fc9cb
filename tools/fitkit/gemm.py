"""Fit the constants of matrix products on published rows of A100 and H100, and say what they miss.

Every fifth row is held back; then each fifth in turn, and each of the two devices, with and
without the constants of its class. It prices rows with the model as it ships: nothing is written
twice. What a FLOP costs elsewhere is read from the best products that others measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiinfra.facts.calibration import Constant
from aiinfra.facts.catalogue import accelerator
from aiinfra.facts.schema import Accelerator
from aiinfra.model import gemm, kernels
from aiinfra.model.validate import find_set
from aiinfra.model.validate.gemm import kept as format_of
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
    ("sustained", 0.98, (0.6, 1.0), "ratio", "share of peak at full clock"),
    ("energy.hopper", 0.92e-12, (1e-13, 1e-11), "J/FLOP", "energy a 16-bit FLOP, whole board"),
    ("heat", 0.03, (1e-4, 0.2), "ratio", "loss of it for each e-fold of operands over L2"),
    ("memory", 0.83, (0.5, 0.98), "ratio", "share of peak memory bandwidth"),
    ("rotation", 16, (1, 30), "copies", "copies of B that the measured loop walks through"),
    ("gather", 2.2, (0.3, 10), "ratio", "bandwidth of adding up parts over that of memory"),
    ("later", 0.5, (0.01, 1), "ratio", "share of the epilogue that each later wave exposes"),
    ("overlap", 2.7, (1.2, 10), "exponent", "how well arithmetic and traffic overlap"),
    ("blend", 5.8, (1.2, 10), "exponent", "how well arithmetic and feeding overlap"),
)  # fmt: skip
BESTS = "zzc0721, torch-performance-test-data (read 2026-11-24)"
# Architecture, its device, share of the 16-bit peak that others' large products reached, source.
MEASURED = (
    ("volta", "v100-sxm-32gb", 0.76, f"94.8 of 125 TFLOP/s on a V100 SXM2: {BESTS}, issue 52; 95: "
     "M. Li, transformers-benchmarks"),
    ("turing", "t4", 0.51, f"T4 of 65 TFLOP/s: 42.7 at best ({BESTS}, pull request 29) and 24 "
     "sustained (NVIDIA developer forum 264462); the middle"),
    ("ampere", "a100-pcie-40gb", 0.71, "222 of 312 TFLOP/s, mean of fp16 and bf16 at 4096 and "
     f"8192 on an A100 PCIe of 250 W: {BESTS}, issue 108"),
    ("ampere-ga102", "rtx-a6000", 0.61, "95 of 155 TFLOP/s in fp16 on an RTX A6000: M. Li, "
     "transformers-benchmarks (read 2026-11-24)"),
    ("ada", "l40s", 0.74, f"264 to 269 of 362 TFLOP/s on an L40S: {BESTS}, issue 43"),
    ("blackwell", "b200-sxm", 0.776, "S. Bekman, Machine Learning Engineering, MAMF table "
     "(read 2026-11-24): B200, bf16"),
    ("cdna-3", "mi300x", 0.54, "S. Bekman, Machine Learning Engineering, MAMF table: MI300X, bf16 "
     "(unchecked); holds what its library loses too"),
    ("cdna-4", "mi300x", 0.54, "reckoned, not measured: as CDNA 3"),
)  # fmt: skip
DEVICES = {"a100-sxm-80gb": "warp", "h100-sxm": "warpgroup"}
HERE = {"a100-sxm-80gb": "ampere", "h100-sxm": "hopper"}
Case = tuple[int, int, int, str, Accelerator, float]


def fit() -> list[Constant]:
    """Fit on four fifths, print the errors, and return the constants."""
    cases = [case(row) for row in read_rows(PUBLISHED / "gemm.csv", find_set("gemm"))]
    start = [guess for _, guess, *_ in FITTED]
    folds = [search(start, [one for i, one in enumerate(cases) if i % 5 != n]) for n in range(5)]
    values, kept = folds[0], [one for i, one in enumerate(cases) if i % 5]
    print(f"fitted on {len(kept)} rows: {mape(errors(values, kept)):.2f} %")
    told("every fifth row held back", values, cases[::5])
    every = [e for n, fold in enumerate(folds) for e in errors(fold, cases[n::5])]
    print(f"each fifth held back in turn: {mape(every):.2f} % over {len(every)}")
    transfer(cases)
    narrow = Constant("gemm.narrow", 0.948, "ratio", "sustained share below 16 bit over that at 16",
                      NARROW)  # fmt: skip
    fitted = [
        Constant(f"gemm.{name}", value, unit, meaning, PROVENANCE)
        for (name, _, _, unit, meaning), value in zip(FITTED, values, strict=True)
    ]
    return [*fitted, *energies(values), narrow]


def told(title: str, values: Sequence[float], cases: Sequence[Case]) -> None:
    """Print the mean absolute error, of all cases and by device."""
    print(f"{title}: {mape(errors(values, cases)):.2f} % over {len(cases)}")
    for slug in DEVICES:
        part = [one for one in cases if one[4].slug == slug]
        if 0 < len(part) < len(cases):
            print(f"  {slug}: {mape(errors(values, part)):.2f} % over {len(part)}")


def transfer(cases: Sequence[Case]) -> None:
    """Fit on one device and predict the other: with its own constants of class, then with none."""
    start, names = [guess for _, guess, *_ in FITTED], [name for name, *_ in FITTED]
    for slug, kind in DEVICES.items():
        other = [one for one in cases if one[4].slug != slug]
        mine = [one for one in cases if one[4].slug == slug]
        alone = search(start, other, rounds=8)
        own = [name for name in names if name.endswith((f".{kind}", f"energy.{HERE[slug]}"))]
        told(f"{slug} from the other, {', '.join(own)} refitted", search(alone, mine, 8, own), mine)
        for name in own:
            twin = name.replace(".warpgroup", ".warp") if kind == "warpgroup" else f"{name}group"
            full = 0.0  # of an energy that nobody fitted: the full clock
            alone[names.index(name)] = alone[names.index(twin)] if twin in names else full
        told(f"{slug} from the other, with the other's class", alone, mine)


def energies(values: Sequence[float]) -> list[Constant]:
    """Joules a FLOP at full clock: what makes the model reach the share that others measured.

    ``energy = power / peak / (measured / unlimited)**2``; no more than leaves the fitted A100 its
    full clock.
    """
    free, found = build(values), []
    for name, slug, share, source in MEASURED:
        device = accelerator(slug)
        half, power = device.peaks["fp16"], device.power or 0.0
        time = gemm.price(8192, 8192, 8192, kernels.machine("fp16", device, free)).seconds
        clock = min(1.0, share / (2 * 8192**3 / time / half))
        value = power / half / clock**2
        if name == "ampere":
            full = accelerator("a100-sxm-80gb")
            value = min(value, (full.power or 0.0) / full.peaks["fp16"])
        meaning = "energy a 16-bit FLOP at full clock, of the whole board"
        found.append(Constant(f"gemm.energy.{name}", value, "J/FLOP", meaning, source))
    return found


def case(row: Row) -> Case:
    """A row as the fit needs it: shape, precision, device, measured seconds."""
    shape = row.count("m"), row.count("n"), row.count("k")
    return (*shape, format_of(row).compute, row.device(), 1e-6 * row.number("latency_us"))


def build(values: Sequence[float], narrow: float = 0.948) -> kernels.Constants:
    """The model's constants from the fit's list."""
    named = dict(zip((name for name, *_ in FITTED), values, strict=True))
    pairs = {p: tuple(named.pop(f"{p}.{kind}") for kind in kernels.CLASSES) for p in kernels.PAIRS}
    energy = {"hopper": named.pop("energy.hopper")}
    return kernels.Constants(**named, **pairs, narrow=narrow, energy=energy)  # type: ignore[arg-type]


def errors(values: Sequence[float], cases: Sequence[Case]) -> list[float]:
    """Logarithms of predicted over measured."""
    fitted, machines = build(values), {}
    found = []
    for m, n, k, kind, device, seconds in cases:
        key = (kind, device.slug)
        if key not in machines:
            machines[key] = kernels.machine(kind, device, fitted)
        time = gemm.price(m, n, k, machines[key])
        found.append(math.log(time.seconds / seconds))
    return found


def search(
    start: Sequence[float], cases: Sequence[Case], rounds: int = 25, free: Sequence[str] = ()
) -> list[float]:
    """Fit on cases, all constants or those named."""
    names, limits = [name for name, *_ in FITTED], [bounds for _, _, bounds, *_ in FITTED]
    positions = [names.index(name) for name in free] or None
    return descend(lambda v: of_errors(errors(v, cases)), start, limits, rounds, positions)
