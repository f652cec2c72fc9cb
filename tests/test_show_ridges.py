"""Bars end at the ridge, so that a kernel's line shows on which side of it the kernel lies."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from aiinfra.show import Ceiling
from aiinfra.show.ridges import BAR, ridges
from aiinfra.show.style import COLOURS

ROOFS = [
    Ceiling("here", 20e9, 200e9, "cpu", "measured here: toy", compute_label="fp32"),
    Ceiling("card", 1e12, 20e12, "gpu", "source: sheet", compute_label="fp32"),
    Ceiling("card", 1e12, 300e12, "gpu", "source: sheet", compute_label="bf16"),
]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_bar_ends_where_memory_and_arithmetic_take_equally_long() -> None:
    axes = ridges(ROOFS, {"axpy": 1 / 6, "product": 1000.0}, "t")
    drawn = [p for p in axes.patches if isinstance(p, Rectangle)]
    green = [p.get_width() for p in drawn if to_hex(p.get_facecolor()) == to_hex(COLOURS["memory"])]
    assert green == pytest.approx([axes.at(roof.ridge, 1)[0] for roof in ROOFS])
    assert all(p.get_height() == BAR for p in drawn)


def test_lines_of_kernels_stand_at_their_intensities() -> None:
    axes = ridges(ROOFS, {"axpy": 1 / 6, "product": 1000.0}, "t")
    feet = [line.get_xdata()[-1] for line in axes.lines]
    assert feet == pytest.approx([axes.at(1 / 6, 1)[0], axes.at(1000.0, 1)[0]])


def test_a_machine_is_named_once_and_shows_only_the_precisions_it_has() -> None:
    said = texts(ridges(ROOFS, {}, "t"))
    assert said.count("card") == 1
    assert said.count("1.00 TB/s") == 1
    assert (said.count("fp32"), said.count("bf16"), said.count("fp8")) == (2, 1, 0)
    assert {"10", "20", "300", "20.0 TFLOP/s", "300 TFLOP/s", "200 GFLOP/s"} <= set(said)
    assert said.count("memory limits") == said.count("arithmetic limits") == 1


def test_ridges_say_in_words_what_they_show() -> None:
    axes = ridges(ROOFS, {"axpy": 1 / 6}, "Two machines")
    assert "card, 1.00 TB/s: fp32 20.0 TFLOP/s from 20 on, bf16 300 TFLOP/s from 300" in axes.alt
    assert axes.alt.endswith("Kernels: axpy at 0.17 FLOP/B.")
    assert "Kernels" not in ridges(ROOFS, {}, "t").alt
    with pytest.raises(ValueError, match="at least one Ceiling"):
        ridges([], {}, "t")
