"""Time of a matrix product on an accelerator, as its vendor's library would run it.

The library cuts C into tiles, deals them to the compute units in waves, may cut k as well so that
every unit has work, and picks the cheapest of the kernels it has; so does ``gemm_time``. Kernels
and constants are those of NVIDIA's libraries: other vendors' devices are priced by the same rules,
which for them is a guess.
Sources: NVIDIA, "Matrix Multiplication Background User's Guide" (tiles, waves, quantisation);
NVIDIA CUTLASS, "Efficient GEMM in CUDA" (split k, pipelines); both read 2026-11-24.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from aiinfra.facts.schema import Accelerator
from aiinfra.model.kernels import Machine, machine

SLICE_BYTES = 64  # the k loop advances by this much of a row
SHORTEST_PART = 512  # bytes of a row below which no kernel cuts k
SHORTEST_OF_VECTOR = 256  # the same where m or n is 1


@dataclass(frozen=True, slots=True)
class GemmTime:
    """Seconds of one product: arithmetic and memory traffic overlap, the overhead adds to them.

    ``compute`` holds the tiles' arithmetic, feeding and latency; ``memory`` the traffic to DRAM;
    ``overhead`` launch, split of k, writing of tiles, and what overlaps badly.
    """

    compute: float
    memory: float
    overhead: float

    @property
    def seconds(self) -> float:
        """``max(compute, memory) + overhead``."""
        return max(self.compute, self.memory) + self.overhead

    @property
    def bound(self) -> str:
        """The largest part: compute, memory or launch."""
        if self.overhead > max(self.compute, self.memory):
            return "launch"
        return "compute" if self.compute >= self.memory else "memory"


def gemm_time(
    m: int,
    n: int,
    k: int,
    precision: str,
    device: Accelerator,
    *,
    cold: bool = False,
    weights: float | None = None,
) -> GemmTime:
    """Price C[m, n] = A[m, k] @ B[k, n] with tiles of a x b, and k cut into s parts.

    ``t = launch + split + epilogue + (core^p + dram^p)^(1/p)``, the least over tiles and parts;
    ``core = max(waves a b k/s 2 / rate * feed, rounds k/s tau, flop / sustained)``;
    ``waves = ceil(tiles / units)`` on warp-fed tensor cores (Volta to Ada), ``tiles / units`` on
    warpgroup-fed ones (Hopper and Blackwell: kernels that stay, and clocks that rise while units
    idle); ``sustained`` falls where the board's power does not hold the full clock
    (``kernels.throttle``); ``dram = bytes / (share of bandwidth)``, less what stays in L2 between
    repetitions. A vector (m or n of 1) has neither split nor pipeline latency. Inputs have the
    precision's width, C at least 2 bytes. Where a loop repeats the product, small operands stay in
    L2; ``cold`` takes B from DRAM always, as a model does whose other layers pass between.

    ``weights`` is bytes of a value of B that is kept narrower and widened on the way (weight-only
    formats): less traffic and latency, the same arithmetic (E. Frantar and D. Alistarh, "Marlin",
    README, read 2026-11-24: near the ratio of bytes in small batches, no gain in large ones); no
    such product was measured alone. Raises ``ValueError`` on an empty shape, ``CatalogueError``
    where the device has no such peak.

    Known error, bf16 (``tools/fit.py gemm --dry-run``): 6.3 % mean absolute, 6.5 % with each fifth
    of the rows held back in turn (A100 7, H100 5). From one of the two to the other: 7 to 9 % where
    the constants of its class are fitted on it, 14 to 19 % where none is; expect that of NVIDIA's
    other devices. Large products are within 12 % on the H100 PCIe, H200 and H20, which nothing was
    fitted on (public figures, ``tests/test_model_gemm.py``), a third too fast on an L4. Single
    shapes miss by up to 60 %, where the library picks a poor kernel. Other vendors' devices may be
    off by a factor of two.
    """
    if m < 1 or n < 1 or k < 1:
        raise ValueError(f"a matrix product needs m, n and k of at least 1, got {m}, {n}, {k}")
    wide = price(m, n, k, machine(precision, device), cold)
    if weights is None:
        return wide
    found = price(m, n, k, machine(precision, device, weights=weights), cold)
    if wide.compute < max(wide.memory, found.compute):
        return found
    return GemmTime(wide.compute, found.memory, found.overhead)  # unpacking takes what feeding won


@lru_cache(maxsize=1 << 17)
def price(m: int, n: int, k: int, on: Machine, cold: bool = False) -> GemmTime:
    """Find the cheapest kernel; plain floats, about 10 microseconds."""
    c = on.fitted
    weights, rest = on.weights * k * n, on.width * k * m + on.out_width * m * n
    roof, dram = 2.0 * m * n * k / on.roof, weights + rest
    if on.cache:
        roof *= 1 + c.heat * math.log1p(on.width * k * (m + n) / on.cache)
        share = 1 if cold else _missed(c.rotation * weights + rest, on.cache)
        dram = weights * share / on.unpack + rest * _missed(weights + rest, on.cache)
    dram /= on.memory
    core, extra = _cheapest(m, n, k, roof, dram, on) if on.tiles else (roof, 0.0)
    joined = (core**c.overlap + dram**c.overlap) ** (1 / c.overlap)
    return GemmTime(core, dram, c.launch + extra + joined - max(core, dram))


def _missed(footprint: float, cache: float) -> float:
    """Share of the bytes that come from DRAM when a loop touches ``footprint`` bytes."""
    ratio = cache / footprint
    return 1 / (1 + ratio * ratio)


def _cheapest(m: int, n: int, k: int, roof: float, dram: float, on: Machine) -> tuple[float, float]:
    """Seconds that the units are busy, and what comes on top, for the cheapest kernel.

    The longer side of a tile lies along the longer side of C.
    """
    c, units = on.fitted, on.units
    overlap = c.overlap
    vector = m == 1 or n == 1
    tau, split = (0.0, 0.0) if vector else (on.tau, c.split)
    long, short = (m, n) if m >= n else (n, m)
    step = int(SLICE_BYTES / on.weights)
    least = int((SHORTEST_OF_VECTOR if vector else SHORTEST_PART) / on.width)
    most = -(-k // least)
    limit, best, found = dram**overlap, math.inf, (roof, 0.0)
    for tile in on.tiles:
        a, b = tile.long, tile.short
        grid = -(-long // a) * -(-short // b)
        whole = min(long, a) * min(short, b) * on.epilogue
        for share in (0, units, 2 * units):
            parts = 1
            if share:
                parts = min(share // grid, most)
                if parts < 2:
                    continue
            tiles = grid * parts
            each = -(-tiles // units)
            held = each if each < tile.held else tile.held
            rounds = -(-each // held)
            waves = each if not on.warpgroup else tiles / units if tiles > units else 1
            depth = step * -(-k // (parts * step))
            if parts > 1 and depth < least:
                depth = least
            busy = max(waves * depth * tile.work, rounds * depth * tau, roof)
            extra = (1 + (rounds - 1) * c.later) * min(tiles, held * units) * whole
            if parts > 1:
                extra += split + (parts + 1) * m * n * on.gather
            if max(busy, dram) + extra < best:  # a lower bound of the total spares two powers
                total = (busy**overlap + limit) ** (1 / overlap) + extra
                if total < best:
                    best, found = total, (busy, extra)
    return found
