"""Count as the hardware counts: sectors of global requests, wavefronts of shared requests.

Sources: CUDA C++ Programming Guide, "Global Memory" and "Shared Memory" of compute capability 5.x
to 9.0 (https://docs.nvidia.com/cuda/cuda-c-programming-guide/, compute capabilities); Nsight
Compute documentation, "Memory Tables" (sectors, wavefronts). Atomics on shared memory meet at banks
as loads do (its counter l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_atom); lanes that meet at
one address are counted apart, as turns.
"""

from __future__ import annotations

import numpy as np

from aiinfra.measure.simt.layout import WARP, Array

SECTOR = 32  # bytes that L2 and DRAM move at least
BANK_BYTES = 4  # width of a shared-memory bank
BANKS = 32


def by_warp(slots: Array, values: Array, warps: int) -> Array:
    """Values laid out as (warps, 32); -1 where a lane takes no part."""
    if len(slots) == warps * WARP:
        return values.reshape(warps, WARP)
    rows = np.full(warps * WARP, -1, np.int64)
    rows[slots] = values
    return rows.reshape(warps, WARP)


def _firsts(ordered: Array) -> Array:
    """Where a new value begins in sorted rows (-1 is nobody)."""
    new = ordered >= 0
    new[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    return new


def sectors_and_addresses(rows: Array) -> tuple[Array, Array]:
    """Distinct 32-byte sectors and distinct byte addresses of each warp's request."""
    ordered = np.sort(rows, axis=1)
    sectors = np.count_nonzero(_firsts(ordered // SECTOR), axis=1)
    return sectors, np.count_nonzero(_firsts(ordered), axis=1)


def wavefronts(rows: Array, itemsize: int) -> tuple[Array, Array]:
    """Wavefronts that each warp's shared request takes, and the least its width allows.

    A wavefront reads one 4-byte word from each of 32 banks; lanes that read the same word share
    it (broadcast), so a request takes as many wavefronts as the busiest bank has distinct words.
    Elements of 8 bytes are served half a warp at a time and of 16 bytes a quarter: these parts
    are requests of their own, and their first wavefront is no conflict. Elements below 4 bytes
    share a word. Source: see the module.
    """
    width = max(BANK_BYTES, itemsize)
    group = BANKS * BANK_BYTES // width
    units = np.sort((rows // width).reshape(-1, group), axis=1)
    new = _firsts(units)
    keys = np.arange(len(units))[:, None] * group + units % group
    words = np.bincount(keys[new], minlength=units.size).reshape(-1, group)
    busiest = words.max(axis=1).reshape(len(rows), -1)
    return busiest.sum(axis=1), np.count_nonzero(busiest, axis=1)


def contention(rows: Array) -> Array:
    """How many lanes of each warp meet at its most wanted address: the turns of an atomic."""
    ordered = np.sort(rows, axis=1)
    run = np.cumsum(_firsts(ordered), axis=1) - 1
    keys = np.arange(len(rows))[:, None] * WARP + run
    counts = np.bincount(keys[ordered >= 0], minlength=rows.size)
    return np.asarray(counts.reshape(len(rows), WARP).max(axis=1))
