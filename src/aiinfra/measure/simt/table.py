"""The table of accesses: requests are kept as matrices and become rows when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from aiinfra.measure.simt.findings import Access, place
from aiinfra.measure.simt.layout import Array, Dim, coordinates


class Batch(NamedTuple):
    """The requests of one instruction of one chunk, a row a warp; -1 is a lane that takes no part.

    ``site`` is array, space, action, line, column, itemsize; ``home`` is the grid, in how many
    dimensions it was given, the chunk's first block and its warps per block.
    """

    site: tuple[str, str, str, int, int, int]
    home: tuple[Dim, int, int, int]
    warps: Array
    addresses: Array
    sectors: Array
    wavefronts: Array


def rows(batch: Batch) -> Iterator[Access]:
    """The requests of a batch, one by one."""
    name, space, action, line, column, itemsize = batch.site
    grid, rank, first, warps_per_block = batch.home
    for at, row in enumerate(batch.warps.tolist()):
        lanes = np.flatnonzero(batch.addresses[at] >= 0)
        block, warp = divmod(row, warps_per_block)
        yield Access(
            *(name, space, action, line, column),
            block=place(coordinates(first + block, grid), rank),
            warp=warp,
            lanes=tuple(lanes.tolist()),
            addresses=tuple(batch.addresses[at][lanes].tolist()),
            itemsize=itemsize,
            sectors=int(batch.sectors[at]),
            wavefronts=int(batch.wavefronts[at]),
        )
