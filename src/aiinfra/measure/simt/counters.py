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


def wavefronts(rows: Array, itemsize: int, load: bool = True) -> tuple[Array, Array]:
    """Wavefronts that each warp's shared request takes, and the least its width allows.

    A wavefront reads one 4-byte word from each of 32 banks; lanes that read the same word share
    it (broadcast), so a request takes as many wavefronts as the busiest bank has distinct words.
    Elements of 8 bytes are served half a warp at a time and of 16 bytes a quarter: these parts
    are requests of their own, and their first wavefront is no conflict. Parts are twice as large
    in a load where all lanes n and n ^ 1, or all n and n ^ 2, read the same address. Elements
    below 4 bytes share a word. Source: see the module; for the pairs an answer of NVIDIA's on
    compute capability 7.x ("Unexpected shared memory bank conflict",
    https://forums.developer.nvidia.com/t/77228, read 2026-11-24), later ones unchecked.
    """
    width = max(BANK_BYTES, itemsize)
    group = BANKS * BANK_BYTES // width
    fronts, least = _passes(rows // width, group, group)
    if load and width > BANK_BYTES and (paired := _in_pairs(rows)).any():
        fronts[paired], least[paired] = _passes(rows[paired] // width, 2 * group, group)
    return fronts, least


def _passes(units: Array, part: int, banks: int) -> tuple[Array, Array]:
    """Wavefronts of each row, served ``part`` lanes at a time, and in how many parts."""
    units = np.sort(units.reshape(-1, part), axis=1)
    new = _firsts(units)
    keys = np.arange(len(units))[:, None] * banks + units % banks
    words = np.bincount(keys[new], minlength=len(units) * banks).reshape(-1, banks)
    busiest = words.max(axis=1).reshape(-1, WARP // part)
    return busiest.sum(axis=1), np.count_nonzero(busiest, axis=1)


def _in_pairs(rows: Array) -> Array:
    """Rows in which every lane's neighbour at distance 1, or at 2, has its address or is idle."""
    lanes, found = np.arange(WARP), np.zeros(len(rows), bool)
    for distance in (1, 2):
        other = rows[:, lanes ^ distance]
        found |= ((rows == other) | (rows < 0) | (other < 0)).all(axis=1)
    return found


def contention(rows: Array) -> Array:
    """How many lanes of each warp meet at its most wanted address: the turns of an atomic."""
    ordered = np.sort(rows, axis=1)
    run = np.cumsum(_firsts(ordered), axis=1) - 1
    keys = np.arange(len(rows))[:, None] * WARP + run
    counts = np.bincount(keys[ordered >= 0], minlength=rows.size)
    return np.asarray(counts.reshape(len(rows), WARP).max(axis=1))
