"""The kernels that a vendor's library has for matrix products, on one device and precision.

What a device costs a kernel is reckoned once, so that pricing a shape is a few comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from aiinfra.facts.calibration import constant
from aiinfra.facts.schema import Accelerator

BYTES = {"fp64": 8, "fp64_tensor": 8, "fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "fp8": 1,
         "int8": 1, "fp4": 0.5}  # fmt: skip
TILES = ((256, 128), (128, 128), (128, 64), (64, 64), (64, 16))
REGISTERS = 2 * 128 * 128  # elements of C that a unit holds at once: its tiles in flight
WARPGROUP_RATE = 5e12  # 16-bit FLOP/s of one unit above which a warp alone cannot feed it
CLASSES = ("warp", "warpgroup")
PAIRS = ("tau", "epilogue", "sustained")  # constants that differ by class


@dataclass(frozen=True, eq=False)
class Constants:
    """What was fitted; ``PAIRS`` by class of tensor core (warp, warpgroup).

    ``launch`` starts and ends a kernel, ``split`` starts the second one that adds the parts of k
    (s); ``tau`` is the time of the k loop an element when nothing hides its latency (s);
    ``intensity`` the tile's a b / (a + b) at which feeding takes as long as arithmetic;
    ``sustained`` the share of peak that the power limit lets stand, which falls by ``heat`` with
    the logarithm of operands over L2, and by ``narrow`` below 16 bit; ``memory`` the share of
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
    sustained: tuple[float, float]
    heat: float
    narrow: float
    memory: float
    rotation: float
    gather: float
    later: float
    overlap: float
    blend: float


@lru_cache(maxsize=1)
def constants() -> Constants:
    """Read the constants of section ``gemm`` of the calibration file."""
    values = {}
    for name in Constants.__dataclass_fields__:
        pair = name in PAIRS
        names = [f"gemm.{name}.{kind}" for kind in CLASSES] if pair else [f"gemm.{name}"]
        found = tuple(constant(each) for each in names)
        values[name] = found if pair else found[0]
    return Constants(**values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Tile:
    """A kernel's tile of C on one device: long and short side, and what a unit needs for it.

    ``work`` is seconds of arithmetic and feeding for an element of k, ``held`` how many tiles a
    unit has in flight. A C within ``least`` (long, short) has a smaller tile that wastes less.
    """

    long: int
    short: int
    least: tuple[int, int]
    work: float
    held: int


@dataclass(frozen=True, eq=False, slots=True)
class Machine:
    """A device and a precision, reckoned once: what the price of every shape needs.

    Without ``tiles``, where the catalogue does not say how many units there are, only roofs hold.
    """

    fitted: Constants
    width: float
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


def machine(precision: str, device: Accelerator, fitted: Constants | None = None) -> Machine:
    """Reckon a device once; its figures are the key, so that two of one name do not mix."""
    peaks = device.peaks
    peak = peaks.get(precision) or device.peak(precision).value
    half = peaks.get("bf16") or peaks.get("fp16") or peak
    return _machine(
        precision, peak, half, device.compute_units or 0, device.memory_bandwidth,
        device.l2_bytes or 0.0, fitted or constants(),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _machine(
    precision: str, peak: float, half: float, units: int, bandwidth: float, cache: float,
    fitted: Constants,
) -> Machine:  # fmt: skip
    width = BYTES[precision]
    warpgroup = units > 0 and half / units > WARPGROUP_RATE
    hungry = fitted.intensity * (width / 2) * (peak / half)  # bytes an operation, against 16 bit
    return Machine(
        fitted=fitted,
        width=width,
        out_width=max(width, 2),
        units=units,
        tiles=tuple(_tile(a, b, peak / units, hungry, fitted) for a, b in TILES) if units else (),
        roof=peak * fitted.sustained[warpgroup] * (fitted.narrow if width < 2 else 1.0),
        memory=bandwidth * fitted.memory,
        cache=cache,
        warpgroup=warpgroup,
        tau=fitted.tau[warpgroup] * width / 2,
        epilogue=fitted.epilogue[warpgroup] * max(width, 2) / bandwidth,
        gather=4 / (bandwidth * fitted.gather),
    )


def _tile(long: int, short: int, rate: float, hungry: float, fitted: Constants) -> Tile:
    """Reckon a tile: arithmetic joined with the feeding of ``a + b`` values an element of k."""
    area = long * short
    fed = hungry * (long + short) / area
    work = 2 * area / rate * (1 + fed**fitted.blend) ** (1 / fitted.blend)
    least = (
        max((a for a, _ in TILES if a < long), default=0),
        max((b for _, b in TILES if b < short), default=0),
    )
    return Tile(long, short, least, work, min(8, max(1, REGISTERS // area)))
