"""Tiles on a GPU: traffic and residency worked by hand, and a ladder that others measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lesson_parts import lesson, load_parts

from aiinfra.facts.catalogue import accelerator, overhead
from aiinfra.model.tiles import Read, Tile, residency, tile_time

PARTS = ["GPU_RUNGS", "READS", "PUBLISHED", "refuse", "launcher"]
LESSON = load_parts(lesson("04_matmul_ladder"), PARTS)
TILES = {rung: tile for rung, (_, _, tile) in LESSON["GPU_RUNGS"].items()}


@pytest.mark.parametrize(
    ("read", "wavefronts"),
    [
        (Read(1, 4, lambda lane: 0), 1),  # one word for all
        (Read(1, 4, lambda lane: 4 * lane), 1),  # every bank once
        (Read(1, 4, lambda lane: 8 * lane), 2),  # every other bank twice
        (Read(1, 4, lambda lane: 128 * lane), 32),  # one bank for all
        (Read(1, 4, lambda lane: 132 * lane), 1),  # padded by a word
        (Read(1, 16, lambda lane: 16 * lane), 4),  # 512 bytes through 128
        (Read(1, 16, lambda lane: 0), 2),  # one address for all, four words for each lane
        (Read(1, 8, lambda lane: 0), 1),
        (Read(1, 16, lambda lane: lane // 2 % 8 * 16), 2),  # neighbours ask for the same
        (Read(1, 16, lambda lane: lane // 16 * 32 + lane % 2 * 16), 2),  # lanes l and l ^ 2 do
        (Read(1, 16, lambda lane: lane % 8 * 16), 4),  # no pairs: a word a cycle
        (Read(1, 4, lambda lane: 4 * lane, shared=False), 1),  # one line
        (Read(1, 4, lambda lane: 16384 * lane, shared=False), 32),  # a line for each lane
        (Read(1, 4, lambda lane: 4 * lane + 64, shared=False), 2),  # across a line's edge
    ],
)
def test_wavefronts_are_counted_by_hand(read: Read, wavefronts: int) -> None:
    assert read.wavefronts == wavefronts


def test_a_tile_of_128_moves_a_byte_for_32_flop() -> None:
    # 2 * 128 * 128 FLOP a step for 256 numbers of 4 bytes
    assert Tile(128, 128, 8, 8, 8).intensity == 32
    assert Tile(128, 256, 32, 8, 16, word=2).intensity == pytest.approx(85.33, abs=0.01)


def test_residency_of_the_cuda_examples_is_worked_by_hand() -> None:
    square = Tile(128, 128, 8, 8, 8)  # 256 threads
    held = residency(square, registers=128)  # 32768 registers a block, two of them fill the SM
    assert (held.blocks, held.warps, held.occupancy) == (2, 16, 0.25)
    assert held.limited_by == "registers"
    assert residency(square, registers=121) == held  # handed out in steps of 8
    big = residency(Tile(128, 256, 32, 8, 16, stages=4, word=2))
    assert big.blocks == 1
    hungry = replace(square, depth=64, stages=2)  # 128 KiB of shared memory
    assert residency(hungry, registers=32).limited_by == "shared memory"
    assert residency(Tile(32, 32), registers=16).limited_by == "threads"


@given(st.sampled_from([512, 1024, 2048, 4096, 8192]), st.sampled_from(list(TILES)))
def test_no_rung_beats_the_peak_or_the_memory(size: int, rung: str) -> None:
    device, tile = accelerator("h200-sxm"), TILES[rung]
    precision = "fp32" if tile.word == 4 else "bf16"
    time = tile_time(tile, LESSON["READS"][rung], size, device, precision)
    assert time.seconds >= 2 * size**3 / device.peaks[precision]
    assert time.seconds >= 3 * size**2 * tile.word / device.memory_bandwidth * 0.99
    assert 0 < time.balance <= 1


def test_each_rung_is_faster_than_the_one_before() -> None:
    device = accelerator("h200-sxm")
    seconds = [
        tile_time(
            tile, LESSON["READS"][r], 4096, device, "fp32" if tile.word == 4 else "bf16"
        ).seconds
        for r, tile in TILES.items()
    ]
    assert seconds == sorted(seconds, reverse=True)


def boehm(rung: str, cycles: float) -> float:
    """The model's rate for a published rung, as a share of the measured one."""
    published = overhead(f"sgemm-a6000-{LESSON['PUBLISHED'][rung]}").value
    reads, device = LESSON["READS"][rung], accelerator("rtx-a6000")
    time = tile_time(TILES[rung], reads, 4096, device, request_cycles=cycles)
    return 2 * 4096**3 / time.seconds / published


def test_boehms_ladder_is_predicted_within_a_factor_of_two() -> None:
    cycles = overhead("memory-request-a6000").value
    ratios = [boehm(rung, cycles) for rung in LESSON["PUBLISHED"]]
    assert 0.9 < min(ratios) < max(ratios) < 2
    assert max(boehm(rung, 1) for rung in LESSON["PUBLISHED"]) > 2  # the interval counts


def test_eight_times_as_many_sums_are_worth_a_factor_of_two() -> None:
    # 5 wavefronts for 8 multiply-adds, then issue slots for 80 instructions instead of 64
    column, square = (
        tile_time(TILES[r], LESSON["READS"][r], 4096, accelerator("h200-sxm"))
        for r in ("registers, 8 by 1", "registers, 8 by 8")
    )
    assert column.seconds / square.seconds == pytest.approx(5 / 8 * 4 / (80 / 64), rel=0.01)
    measured = [overhead(f"sgemm-a6000-{slug}").value for slug in ("column", "square")]
    assert measured[1] / measured[0] == pytest.approx(column.seconds / square.seconds, rel=0.1)


def test_coalescing_is_worth_less_where_a_request_takes_two_cycles() -> None:
    # 33 wavefronts against 2 requests: 33 / max(2, 2 * 1), then 33 / max(2, 2 * 2)
    device = accelerator("rtx-a6000")
    naive, coalesced = (
        [tile_time(TILES[r], LESSON["READS"][r], 4096, device, request_cycles=c) for c in (1, 2)]
        for r in ("naive", "coalesced")
    )
    gains = [a.load / b.load for a, b in zip(naive, coalesced, strict=True)]
    assert gains == pytest.approx([16.5, 8.25])


def test_writing_c_outweighs_the_reads_of_a_thin_product() -> None:
    tile, reads = TILES["tensor cores"], LESSON["READS"]["tensor cores"]
    shape, device = (4096, 4096, 64), accelerator("h200-sxm")
    time = tile_time(tile, reads, shape, device, "bf16")
    read = 2 * 4096 * 4096 * 64 / tile.intensity
    assert time.l2 * overhead("l2-bandwidth-h100").value == pytest.approx(read + 4096 * 4096 * 4)
    assert read < 4096 * 4096 * 4
    assert tile_time(tile, reads, (64, 64, 64), device) == tile_time(tile, reads, 64, device)


def test_a_small_product_leaves_most_of_the_gpu_idle() -> None:
    tile, reads = TILES["wide loads"], LESSON["READS"]["wide loads"]
    assert tile_time(tile, reads, 512, accelerator("h200-sxm")).balance == pytest.approx(16 / 132)


def test_a_device_without_a_clock_is_an_error_with_its_mend() -> None:
    device = replace(accelerator("h200-sxm"), boost_clock=None)
    with pytest.raises(ValueError, match="choose another"):
        tile_time(TILES["naive"], LESSON["READS"]["naive"], 64, device)


def arrays(m: int, n: int, k: int, kind: Any = np.float32) -> list[Any]:
    """Operands and room for their product, as a rung takes them."""
    return [np.zeros((m, k), kind), np.zeros((k, n), kind), np.zeros((m, n), np.float32)]


@pytest.mark.parametrize(
    ("rung", "given"),
    [
        ("naive", arrays(33, 31, 65)),
        ("registers, 8 by 8", arrays(1, 1, 1)),
        ("wide loads", arrays(256, 128, 24)),
        ("tensor cores", arrays(128, 512, 96, np.uint16)),
    ],
)
def test_a_launch_takes_what_its_kernel_can_read(rung: str, given: list[Any]) -> None:
    LESSON["refuse"](rung, *given)


@pytest.mark.parametrize(
    ("rung", "given", "mend"),
    [
        ("wide loads", arrays(130, 128, 8), "pad with zeros to multiples of 128 rows"),
        ("wide loads", arrays(128, 100, 8), "128 columns"),
        ("wide loads", arrays(128, 128, 12), "8 steps"),
        ("tensor cores", arrays(128, 128, 32, np.uint16), "256 columns"),
        ("tensor cores", arrays(128, 256, 16, np.uint16), "32 steps"),
        ("tensor cores", arrays(128, 256, 32), "uint16"),
        ("naive", arrays(8, 8, 8, np.float64), "float32.*astype"),
        ("naive", [*arrays(8, 8, 8)[:2], np.zeros((8, 8))], "float32.*astype"),
        ("naive", [np.zeros((8, 16), "f4")[:, ::2], *arrays(8, 8, 8)[1:]], "ascontiguousarray"),
        ("naive", [*arrays(8, 8, 8)[:2], np.zeros((8, 9), "f4")], r"\(8, 8\)"),
        ("naive", [np.zeros((8, 8), "f4"), np.zeros((9, 8), "f4"), np.zeros((8, 8), "f4")], "8"),
    ],
)
def test_a_launch_refuses_what_its_kernel_would_misread(
    rung: str, given: list[Any], mend: str
) -> None:
    with pytest.raises(ValueError, match=mend):
        LESSON["refuse"](rung, *given)


@pytest.mark.parametrize(
    "name",
    ["CUPY_TF32", "NVIDIA_TF32_OVERRIDE", "CUPY_CUDA_PER_THREAD_DEFAULT_STREAM",
     "NUMBA_CUDA_PER_THREAD_DEFAULT_STREAM", "CUDA_PYTHON_CUDA_PER_THREAD_DEFAULT_STREAM"],
)  # fmt: skip
def test_settings_that_spoil_a_timing_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(RuntimeError, match=f"{name} would spoil"):
        LESSON["launcher"]("naive")
