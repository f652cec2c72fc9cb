"""Tiled matrix products on a GPU: what a tile costs in traffic, registers, shared memory and time.

A block of threads computes a tile of ``c = a @ b``, each thread a smaller tile in its registers,
and walks along the inner dimension. Each number of the block's slices of ``a`` and ``b`` comes
once through the L2 cache and is then read many times from shared memory, or from the L1 cache.

Sources: NVIDIA CUTLASS, "Efficient GEMM in CUDA"; S. Boehm, SGEMM_CUDA, README (both read
2026-11-24; Boehm's article on the same kernels was not checked).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from aiinfra.facts.catalogue import overhead
from aiinfra.facts.schema import Accelerator

WARP, BANKS, LINE = 32, 32, 128  # threads, banks of four bytes, bytes
BOOKKEEPING = 22  # registers for addresses and counters, beside those that a tile needs
REGISTER_UNIT = 8  # a thread's registers are handed out in steps of these
OUTPUT_BYTES = 4  # c is float32 also where the operands are narrower


@dataclass(frozen=True)
class Tile:
    """The tile of a block (``rows`` x ``columns``, ``depth`` at a time) and that of each thread.

    ``depth`` 0 uses no shared memory; ``stages`` slices of it are held there at once. ``word`` is
    the size of an operand in bytes; ``pad`` the bytes that a slice of ``a`` carries beside its
    numbers.
    """

    rows: int
    columns: int
    depth: int = 0
    thread_rows: int = 1
    thread_columns: int = 1
    stages: int = 1
    word: int = 4
    pad: int = 0

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.rows // self.thread_rows * (self.columns // self.thread_columns)

    @property
    def shared_bytes(self) -> int:
        """Shared memory of a block in bytes: ``stages * depth * (rows + columns) * word``."""
        return self.stages * ((self.rows + self.columns) * self.depth * self.word + self.pad)

    @property
    def registers(self) -> int:
        """Registers of a thread, estimated: sums, operands, what is on its way, bookkeeping.

        Known error: compilers differ from it by some 20 %; wide tensor-core tiles by more.
        """
        own = self.thread_rows * self.thread_columns + self.thread_rows + self.thread_columns
        coming = 0
        if self.stages == 2:  # the next slice waits in registers
            coming = (self.rows + self.columns) * self.depth // self.threads
        return ceil((own + coming + BOOKKEEPING) / REGISTER_UNIT) * REGISTER_UNIT

    @property
    def intensity(self) -> float:
        """FLOP for each byte that comes through the L2: ``2 R C / (word (R + C))``."""
        return 2 * self.rows * self.columns / (self.word * (self.rows + self.columns))

    @property
    def defines(self) -> tuple[str, ...]:
        """Compiler options that hand the sizes to a listing: BM, BN, BK, TM, TN."""
        sizes = (self.rows, self.columns, self.depth, self.thread_rows, self.thread_columns)
        return tuple(
            f"-D{name}={size}"
            for name, size in zip(("BM", "BN", "BK", "TM", "TN"), sizes, strict=True)
        )

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """Blocks across and down that cover a product of this many rows and columns."""
        return ceil(columns / self.columns), ceil(rows / self.rows)


@dataclass(frozen=True)
class Read:
    """A load that every warp issues ``times`` for each step along the inner dimension.

    ``address`` gives the byte offset that a lane (0 to 31) reads, ``width`` how many bytes.
    """

    times: float
    width: int
    address: Callable[[int], int]
    shared: bool = True

    @property
    def wavefronts(self) -> int:
        """Cycles that one request occupies the L1 and shared memory unit, at least.

        From shared memory: the most distinct words that fall on one bank, or the cycles in which
        the words return, ``width / 4``, whichever is more; where lanes l and l ^ 1, or l and
        l ^ 2, ask for the same, two words return at once. From the L1 cache: the 128-byte lines
        touched. Source of the words returned: NVIDIA Developer Forums, Unexpected shared memory
        bank conflict, post 2 (read 2026-11-24; said of Volta and Turing, unchecked for newer
        GPUs). Known error: wide loads are served in groups of lanes, and the banks of each group
        count for itself.
        """
        starts = [self.address(lane) for lane in range(WARP)]
        if not self.shared:
            return len({start // LINE for start in starts})
        words = {(start + i) // 4 for start in starts for i in range(0, self.width, 4)}
        most = max(sum(word % BANKS == bank for word in words) for bank in range(BANKS))
        paired = any(starts == [starts[lane ^ d] for lane in range(WARP)] for d in (1, 2))
        return max(most, ceil(self.width / (8 if paired else 4)))


@dataclass(frozen=True)
class Residency:
    """How many blocks a streaming multiprocessor (SM) holds at once, and what stops another."""

    blocks: int
    warps: int
    occupancy: float
    limited_by: str


def residency(tile: Tile, registers: int | None = None) -> Residency:
    """Count the blocks that one SM of an H100 or H200 holds: the scarcest resource decides.

    ``blocks = min(65536 / registers, 228 KiB / shared, 64 / warps, 32)``, each rounded down, with
    registers handed out in steps of 8 a thread. ``registers`` a thread, where the compiler has
    said it, replaces the tile's estimate.
    """
    warps = ceil(tile.threads / WARP)
    each = ceil((registers or tile.registers) / REGISTER_UNIT) * REGISTER_UNIT
    room = {
        "threads": int(overhead("sm-warps").value) // warps,
        "blocks": int(overhead("sm-blocks").value),
        "registers": int(overhead("sm-registers").value) // (each * WARP * warps),
    }
    if tile.shared_bytes:
        system = 1024  # bytes of each block that CUDA keeps for itself
        held = int(overhead("sm-shared-bytes").value)
        room["shared memory"] = held // (tile.shared_bytes + system)
    scarcest = min(room, key=lambda name: room[name])
    blocks = room[scarcest]
    share = blocks * warps / overhead("sm-warps").value
    return Residency(blocks, blocks * warps, share, scarcest)


@dataclass(frozen=True)
class TileTime:
    """Seconds that each part of the GPU needs for a whole product, all of them overlapped.

    ``load`` is the load unit of the SMs. ``balance`` is the share of the SMs that have a tile,
    averaged over the run.
    """

    issue: float
    load: float
    l2: float
    memory: float
    balance: float

    @property
    def seconds(self) -> float:
        """The longest part, stretched by the SMs without a tile."""
        on_chip = max(self.issue, self.load) / self.balance
        return max(on_chip, self.l2, self.memory)

    @property
    def bound(self) -> str:
        """The part that takes longest."""
        issue, load = self.issue / self.balance, self.load / self.balance
        parts = {"issue": issue, "load unit": load, "L2": self.l2, "memory": self.memory}
        return max(parts, key=lambda name: parts[name])


def tile_time(
    tile: Tile,
    reads: Sequence[Read],
    size: int | tuple[int, int, int],
    device: Accelerator,
    precision: str = "fp32",
    request_cycles: float | None = None,
) -> TileTime:
    """Price ``c = a @ b`` by counted traffic; ``size`` is n, or (rows, columns, steps): m, n, k.

    issue: ``2 m n k / peak``, stretched by the loads that share the issue slots (fp32) or by what
    Hopper grants ``mma.sync`` (bf16). load: wavefronts, one a cycle and SM, or requests where
    these take longer (``request_cycles`` each, one where nothing is said). L2:
    ``m n k word (1/R + 1/C)`` and ``c`` once. memory: every matrix once. An estimate, not a bound.
    Known error: no latency, no barriers, no address arithmetic (with all compiled instructions, 8
    by 8 sums a thread lose a fourth), no copies into shared memory, no caches that fail; the L2's
    rate is an H100's on every device.
    Against Boehm's kernels on an A6000 it is from 6 % too slow to 1.9 times too fast, with the
    two cycles for a request that others measured on that card; with one, up to 2.4 times.
    Raises ``ValueError`` where the device's clock or number of SMs is not published.
    """
    if device.boost_clock is None or device.compute_units is None:
        raise ValueError(f"{device.slug} has no published clock or number of SMs; choose another")
    m, n, k = (size, size, size) if isinstance(size, int) else size
    flop, written = 2.0 * m * n * k, m * n * OUTPUT_BYTES
    madds = tile.thread_rows * tile.thread_columns  # of a thread, each step
    loads = sum(read.times for read in reads)
    tensor = precision != "fp32"
    usable = overhead("mma-sync-hopper").value if tensor else madds / (madds + loads)
    fronts = sum(read.times * read.wavefronts for read in reads)
    warp_steps = flop / 2 / (WARP * madds)
    rounds = ceil(m / tile.rows) * ceil(n / tile.columns) / device.compute_units
    each = overhead("memory-request").value if request_cycles is None else request_cycles
    cycles = warp_steps * max(fronts, loads * each)
    return TileTime(
        issue=flop / (device.peaks[precision] * usable),
        load=cycles / (device.compute_units * device.boost_clock),
        l2=(flop / tile.intensity + written) / overhead("l2-bandwidth-h100").value,
        memory=((m + n) * k * tile.word + written) / device.memory_bandwidth,
        balance=rounds / ceil(rounds),
    )
