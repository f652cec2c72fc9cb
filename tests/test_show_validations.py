"""The validation figures draw every row, name the worst, and write the errors that rows have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from show_samples import SAMPLES
from show_validation_samples import (
    ALL_REDUCE,
    DECODE,
    GEMM,
    MEMORY,
    SOURCE,
    TERMS,
    THROUGHPUT,
    TRAINING,
    rows,
)

from aiinfra import show
from aiinfra.model.validate import SETS, Case, Validation
from aiinfra.show.error_ladders import MARK, dodged
from aiinfra.show.style import COLOURS, MARKERS
from aiinfra.show.validations import LOOKS, Cloud, look_of, percents, worst_of


def said(axes: Any) -> str:
    return " | ".join(text.get_text().replace("\n", " ") for text in axes.texts)


def marked(axes: Any) -> list[Any]:
    """The lines that are markers, rings and keys included."""
    return [line for line in axes.lines if line.get_marker() not in ("", "None")]


def points(axes: Any) -> int:
    """How many points they hold."""
    return sum(len(line.get_xdata()) for line in marked(axes))


@pytest.mark.parametrize(
    ("share", "sign", "words"),
    [
        (0.062, False, "6.2 %"), (0.227, True, "+23 %"), (-0.004, True, "-0.4 %"),
        (0.0996, False, "10 %"), (0.0, True, "0.0 %"), (-0.0001, True, "0.0 %"),
        (26.1, False, "2,610 %"),
    ],
)  # fmt: skip
def test_an_error_is_written_with_two_digits_and_its_sign(
    share: float, sign: bool, words: str
) -> None:
    assert percents(share, sign) == words


def test_every_set_has_a_look_and_no_two_share_it() -> None:
    assert set(LOOKS) == set(SETS)
    assert len(set(LOOKS.values())) == len(LOOKS)
    assert {kind for kind, _, _ in LOOKS.values()} <= set(COLOURS)
    assert {marker for _, marker, _ in LOOKS.values()} <= set(MARKERS.values())


def test_points_are_in_si_units_whatever_the_set_counts_in() -> None:
    assert Cloud.of(DECODE).x[0] == pytest.approx(9e-3)
    assert Cloud.of(ALL_REDUCE).unit == "s"
    assert Cloud.of(MEMORY).x[0] == pytest.approx(50 * 2**30)
    assert Cloud.of(THROUGHPUT).unit == "tokens/s"


def test_every_row_is_a_point() -> None:
    axes = show.error_by_size([GEMM], "t", source=SOURCE)
    assert points(axes) == len(GEMM.cases) + 1  # and one in the key
    strip = show.error_strip([GEMM, TRAINING], "t", source=SOURCE)
    assert points(strip) == len(GEMM.cases) + len(TRAINING.cases)


def test_a_perfect_row_lies_on_the_line_and_a_high_one_above() -> None:
    for error in (0.0, 0.5, -0.5):
        axes = show.error_by_size([rows("training", "s", [error, error])], "t", source=SOURCE)
        heights = np.asarray(marked(axes)[0].get_ydata())
        middle = axes.at(1.0, 0.0)[1]
        assert (np.sign(np.round(heights - middle, 9)) == np.sign(error)).all()


def test_each_error_stands_over_its_own_row() -> None:
    axes = show.error_by_size([rows("training", "s", [-0.3, 0.1, 0.4])], "t", source=SOURCE)
    across, up = marked(axes)[0].get_data()
    assert list(across) == sorted(across)
    assert list(up) == sorted(up)


def test_rows_held_back_look_as_their_set_does() -> None:
    assert look_of("gemm, held back") == LOOKS["gemm"]
    assert look_of("one efficiency") not in LOOKS.values()


def test_the_key_says_error_and_rows() -> None:
    told = said(SAMPLES["validation_times"]())
    assert "MAPE 7.4 %, 5 rows" in told
    one = Validation("training", "s", TRAINING.cases[:1])
    told = said(show.error_by_size([one], "t", source=SOURCE)).split(" | ")
    assert "MAPE 2.0 %, 1 row" in told


def test_the_strip_writes_mean_and_median_and_names_the_worst() -> None:
    told = said(SAMPLES["validation_strip"]())
    assert "MAPE 7.4 % median 0.0 %" in told
    assert f"{worst_of(GEMM).case} {percents(worst_of(GEMM).error, sign=True)}" in told
    assert worst_of(TRAINING).case == "training 3"


def test_sets_of_different_units_are_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match=r"one unit, not B, s; draw several"):
        show.error_by_size([TRAINING, MEMORY], "t", source=SOURCE)
    with pytest.raises(ValueError, match="above 0"):
        Cloud.of(Validation("training", "s", (Case("a", 1.0, 0.0),)))


def test_an_error_ladder_tells_each_step_in_order() -> None:
    axes = SAMPLES["validation_ladder"]()
    told = said(axes)
    assert "51 % → 18 %" in told
    assert "3.6 % → 1.7 %" in told
    assert "whole model" in told
    assert "left out, then left out, constant fitted again" in axes.alt


def test_marks_that_would_cover_one_another_stand_apart() -> None:
    for places in ([1.0, 1.0, 1.0], [1.0, 1.1, 1.05], [2.0, 1.0, 1.0], [1.0, 3.0, 3.01]):
        moved = dodged(places)
        for i in range(3):
            for j in range(i):
                apart = abs(places[i] - places[j]), abs(moved[i] - moved[j])
                assert apart[0] >= MARK or apart[1] >= MARK / 2, places
    assert dodged([1.0, 2.0, 3.0]) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("variants", "marks", "problem"),
    [
        (TERMS, ("one",), "2 errors for 1 marks"),
        (TERMS, ("a", "b", "c", "d"), "one to 3 marks"),
        ([], ("one",), "needs variants"),
        ([("exact", (0.0,))], ("one",), "above 0"),
    ],
)
def test_an_error_ladder_refuses_what_it_cannot_draw(
    variants: Any, marks: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        show.error_ladder(variants, "t", marks=marks, source=SOURCE)
