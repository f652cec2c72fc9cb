"""The kernels that NVIDIA's library has for matrix products, on one device and precision.

What a device costs a kernel is reckoned once, so that pricing a shape is a few comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from aiinfra.facts.calibration import constant
from aiinfra.facts.calibration import constants as every
from aiinfra.facts.schema import Accelerator

BYTES = {"fp64": 8, "fp64_tensor": 8, "fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "fp8": 1,
         "int8": 1, "fp4": 0.5}  # fmt: skip
TILES = ((256, 128), (128, 128), (128, 64), (64, 64), (64, 16))
REGISTERS = 2 * 128 * 128  # elements of C that a unit holds at once: its tiles in flight
CLASSES = ("warp", "warpgroup")  # who feeds a tensor core: one warp, or four together
WARPGROUP = ("hopper", "blackwell")  # architectures of the second class
PAIRS = ("tau", "epilogue")  # constants that differ by class


@dataclass(frozen=True, eq=False)
class Constants:
    """What was fitted; ``PAIRS`` by class of tensor core (warp, warpgroup).

    ``launch`` starts and ends a kernel, ``split`` starts the second one that adds the parts of k
    (s); ``tau`` is the time of the k loop an element when nothing hides its latency (s);
    ``intensity`` the tile's a b / (a + b) at which feeding takes as long as arithmetic;
    ``sustained`` the share of peak at full clock, which falls by ``heat`` with the logarithm of
    operands over L2, by ``narrow`` below 16 bit, and where power falls short of ``energy``, J a
    16-bit FLOP of the whole board by architecture (``throttle``); ``memory`` the share of
    memory bandwidth; ``rotation`` how many copies of B the measured loop walks through; ``gather``
    the bandwidth that adds up parts and ``epilogue`` the time to write a wave's tiles, both
    relative to memory; ``later`` what each later wave still pays of the latter; ``overlap`` and
    ``blend`` the exponents that join arithmetic with traffic and with feeding.
    """

    launch: float
    split: float
    tau: tuple[float, float]
    epilogue: tuple[float, float]
    intensity: float
    sustained: float
    heat: float
    narrow: float
    memory: float
    rotation: float
    gather: float
    later: float
    overlap: float
    blend: float
    energy: Mapping[str, float]


@lru_cache(maxsize=1)
def constants() -> Constants:
    """Read the constants of section ``gemm`` of the calibration file."""
    values: dict[str, object] = {}
    for name in Constants.__dataclass_fields__:
        if name in PAIRS:
            values[name] = tuple(constant(f"gemm.{name}.{kind}") for kind in CLASSES)
        elif name != "energy":
            values[name] = constant(f"gemm.{name}")
    head = "gemm.energy."
    energy = {n.removeprefix(head): c.value for n, c in every().items() if n.startswith(head)}
    return Constants(**values, energy=energy)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Tile:
    """A kernel's tile of C on one device: long and short side, and what a unit needs for it.

    ``work`` is seconds of arithmetic and feeding for an element of k, ``held`` how many tiles a
    unit has in flight.
    """

    long: int
    short: int
    work: float
    held: int


@dataclass(frozen=True, eq=False, slots=True)
class Machine:
    """A device and a precision, reckoned once: what the price of every shape needs.

    Without ``tiles``, where the catalogue does not say how many units there are, only roofs hold.
    ``weights`` is bytes of a value of B, ``unpack`` the share of bandwidth at which it is widened.
    """

    fitted: Constants
    width: float
    weights: float
    unpack: float
    out_width: float
    units: int
    tiles: tuple[Tile, ...]
    roof: float
    memory: float
    cache: float
    warpgroup: bool
    tau: float
    epilogue: float
    gather: float


def machine(
    precision: str,
    device: Accelerator,
    fitted: Constants | None = None,
    weights: float | None = None,
) -> Machine:
    """Reckon a device once; its figures are the key, so that two of one name do not mix.

    ``weights`` is bytes of a value of B, where it is kept narrower than ``precision``.
    """
    peaks = device.peaks
    peak = peaks.get(precision) or device.peak(precision).value
    half = peaks.get("bf16") or peaks.get("fp16") or peak
    return _machine(
        precision, peak, half, device.compute_units or 0, device.memory_bandwidth,
        device.l2_bytes or 0.0, device.architecture, device.power or math.inf,
        weights or BYTES[precision], constant("inference.weight_only") if weights else 1.0,
        fitted or constants(),
    )  # fmt: skip


def throttle(power: float, half: float, energy: float) -> float:
    """Share of the full clock that ``power`` in W sustains: ``min(1, sqrt(power / needed))``.

    ``needed = half * energy`` W, the peak in 16 bit times the joules of its FLOP. A slower clock
    takes a lower voltage, so power goes with a power of the clock between 1, where voltage is at
    its floor, and 3; 2 fits an H100 SXM with its PCIe card, and an L40S with an L4.
    """
    return min(1.0, math.sqrt(power / (half * energy))) if energy else 1.0


@lru_cache(maxsize=256)
def _machine(
    precision: str, peak: float, half: float, units: int, bandwidth: float, cache: float,
    architecture: str, power: float, weights: float, unpack: float, fitted: Constants,
) -> Machine:  # fmt: skip
    width = BYTES[precision]
    kind = architecture.lower().replace(" ", "-")
    warpgroup = kind in WARPGROUP
    clock = throttle(power, half, fitted.energy.get(kind, 0.0))
    hungry = fitted.intensity * (width / 2) * (peak / half)  # bytes an operation, against 16 bit
    return Machine(
        fitted=fitted,
        width=width,
        weights=weights,
        unpack=unpack,
        out_width=max(width, 2),
        units=units,
        tiles=tuple(
            _tile(a, b, peak / units, hungry, weights / width, fitted) for a, b in TILES if units
        ),
        roof=peak * fitted.sustained * clock * (fitted.narrow if width < 2 else 1.0),
        memory=bandwidth * fitted.memory,
        cache=cache,
        warpgroup=warpgroup,
        tau=fitted.tau[warpgroup] * weights / 2,
        epilogue=fitted.epilogue[warpgroup] * max(width, 2) / bandwidth,
        gather=4 / (bandwidth * fitted.gather),
    )


def _tile(
    long: int, short: int, rate: float, hungry: float, narrow: float, fitted: Constants
) -> Tile:
    """Reckon a tile: arithmetic joined with the feeding of ``a + b`` values an element of k.

    Weights ``narrow`` times as wide lie along the long side (small batches) and are fed as they
    are kept.
    """
    area = long * short
    fed = hungry * (long * narrow + short) / area
    work = 2 * area / rate * (1 + fed**fitted.blend) ** (1 / fitted.blend)
    return Tile(long, short, work, min(8, max(1, REGISTERS // area)))
