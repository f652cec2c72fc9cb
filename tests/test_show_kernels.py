"""The kernel figures draw what the interpreter counted: sectors, passes, steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from show_kernel_samples import halves, interleaved, load, pick_wide, shared, tree
from show_samples import SAMPLES

from aiinfra import show
from aiinfra.results import Quantity
from aiinfra.show.banks import told_of, words_of
from aiinfra.show.trees import steps_of
from aiinfra.show.warps import strip_of

LANES = np.arange(32)


def said(axes: Any) -> str:
    return " | ".join(text.get_text().replace("\n", " ") for text in axes.texts)


@pytest.mark.parametrize(
    ("index", "kind", "sectors", "used"),
    [
        (LANES, np.float32, 4, 1.0),
        (LANES[::-1], np.float32, 4, 1.0),
        (2 * LANES, np.float32, 8, 0.5),
        (LANES + 1, np.float32, 5, 0.8),
        (8 * LANES, np.float32, 32, 0.125),
        (0 * LANES, np.float32, 1, 0.125),
        (LANES, np.float64, 8, 1.0),
        (LANES, np.float16, 2, 1.0),
    ],
)
def test_a_strip_holds_the_sectors_by_hand(
    index: Any, kind: Any, sectors: int, used: float
) -> None:
    strip = strip_of(load(index, kind))
    assert len(strip.sectors) == sectors
    assert strip.efficiency == used


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=32), st.sampled_from([2, 4, 8]))
def test_the_strip_agrees_with_the_count_and_keeps_lanes_apart(index: list[int], size: int) -> None:
    request = load(index, f"f{size}")
    strip = strip_of(request)
    assert len(strip.sectors) == request.sectors
    places = {strip.place(address) for address in request.addresses}
    assert len(places) == len(set(request.addresses))
    assert 0 <= min(places) < max(places) + size / 32 <= strip.length + 1e-9


def test_skipped_memory_shows_as_a_gap() -> None:
    near, far = strip_of(load(8 * LANES)), strip_of(load(16 * LANES))
    assert near.length == 32
    assert far.length > 32


def test_the_warp_figure_writes_sectors_and_waste() -> None:
    axes = SAMPLES["warp_strides"]()
    for words in (
        "32 lanes, 4 sectors, 100 % of 128 bytes used",
        "32 lanes, 8 sectors, 50 % of 256 bytes used",
        "32 lanes, 32 sectors, 12.5 % of 1,024 bytes used",
    ):
        assert words in said(axes)
        assert words in axes.alt
    assert "Useful bytes arrive at 419 GB/s of 3.35 TB/s (12.5 %)" in said(SAMPLES["warp_rate"]())


def test_on_one_scale_twice_the_bytes_are_twice_as_long() -> None:
    axes = SAMPLES["warp_strides"]()
    outer = [p for p in axes.patches if p.get_facecolor()[3] == 0 and p.get_linewidth() > 1]
    widths = [np.ptp(p.get_path().vertices[:, 0]) for p in outer]
    assert widths[1] == pytest.approx(2 * widths[0])


@pytest.mark.parametrize(
    ("stride", "passes"), [(0, 1), (1, 1), (2, 2), (4, 4), (8, 8), (32, 32), (33, 1), (31, 1)]
)
def test_banks_stack_lanes_by_hand(stride: int, passes: int) -> None:
    request = shared(stride)
    words = words_of(request)
    assert 1 + max(word.turn for word in words) == passes == request.wavefronts
    assert len({(word.bank, word.turn) for word in words}) == len(words)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 32), st.integers(1, 32), st.booleans())
def test_passes_agree_with_the_count(stride: int, threads: int, wide: bool) -> None:
    request = shared(stride, pick_wide, threads) if wide else shared(stride, threads=threads)
    words = words_of(request)
    assert 1 + max(word.turn for word in words) == request.wavefronts
    assert sorted(lane for word in words for lane in word.lanes) == list(range(threads))


def test_a_float64_takes_two_passes_without_a_conflict() -> None:
    assert told_of(words_of(shared(1, pick_wide))) == "32 lanes in 2 passes, no conflict"
    assert told_of(words_of(shared(2, pick_wide))) == "32 lanes in 4 passes, 2-way conflict"


def test_lanes_that_read_one_word_share_it() -> None:
    assert told_of(words_of(shared(0))) == "32 lanes, 1 word in 1 pass, no conflict"


def test_the_bank_figure_writes_the_conflict() -> None:
    axes = SAMPLES["bank_column"]()
    assert "32 lanes in 32 passes, 32-way conflict" in said(axes)
    assert "33 words a row: 32 lanes in 1 pass, no conflict" in axes.alt


@pytest.mark.parametrize("kernel", [halves, interleaved])
def test_each_step_halves_the_threads_and_adds_every_cell_once(kernel: Any) -> None:
    steps = steps_of(tree(kernel, 64))
    assert [len(step.threads) for step in steps] == [32, 16, 8, 4, 2, 1]
    summed = {cell: {cell} for cell in range(64)}
    for step in steps:
        for _, cell, (one, other) in step.work:
            assert not summed[one] & summed[other]
            summed[cell] = summed[one] | summed[other]
    assert summed[0] == set(range(64))


def test_halves_free_a_warp_and_neighbours_do_not() -> None:
    assert [step.warps for step in steps_of(tree(halves, 128))] == [2, 1, 1, 1, 1, 1, 1]
    assert [step.warps for step in steps_of(tree(interleaved, 128))] == [4, 4, 4, 4, 4, 2, 1]


def test_the_tree_figure_says_who_works() -> None:
    axes = SAMPLES["tree_two"]()
    assert "32 of 64 threads, 2 of 2 warps" in said(axes)
    assert "halves: 6 steps; 32 of 64 threads, 1 of 2 warps" in axes.alt


def test_what_cannot_be_drawn_is_refused_with_the_mend() -> None:
    report = tree(halves, 64)
    with pytest.raises(ValueError, match="pass a report"):
        show.warp_sectors({}, "nothing")
    with pytest.raises(ValueError, match="no request to global memory"):
        show.warp_sectors(shared(1), "a shared request")
    with pytest.raises(ValueError, match="no request to shared memory"):
        show.bank_map(load(LANES), "a global request")
    with pytest.raises(ValueError, match="adds two cells"):
        show.reduction_tree(launch_of_pick(), "no reduction")
    with pytest.raises(ValueError, match="at most 128"):
        show.reduction_tree(tree_of_256(), "too many")
    assert show.bank_map(report, "the first shared request").alt


def launch_of_pick() -> Any:
    from show_kernel_samples import pick

    from aiinfra.measure.simt import launch

    return launch(pick, 1, 32, np.zeros(32, np.float32), np.zeros(32, np.float32), 1)


def tree_of_256() -> Any:
    from dataclasses import replace

    return replace(tree(halves, 128), block=256)


def test_a_rate_above_the_peak_fills_the_bar_and_no_more() -> None:
    peak = Quantity(1e12, "B/s", "source: data sheet")
    axes = show.warp_sectors(load(LANES), "x", rate=(Quantity(2e12, "B/s", "model"), peak))
    right = max(p.get_path().vertices[:, 0].max() for p in axes.patches)
    assert right <= axes.size[0] + 1e-9
