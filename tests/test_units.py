"""One formatter, one parser: what is written can be read back."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra import units
from aiinfra.results import Quantity, Table


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(units).failed == 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (999.9e9, "B/s", "1.00 TB/s"),
        (0, "s", "0 s"),
        (3.2e-13, "s", "0.320 ps"),
        (1.5e-3, "FLOP/B", "0.00150 FLOP/B"),
        (12345, "s", "12,300 s"),
        (989.4e12, "FLOP/s", "989 TFLOP/s"),
        (float("inf"), "x", "inf x"),
        (42, "pixels", "42 pixels"),
        (6.5, "GPUs", "6.50 GPUs"),
        (37.5, "%", "37.5 %"),
    ],
)
def test_values_read_as_people_write_them(value, unit, text):
    assert units.format_quantity(value, unit) == text


@given(
    value=st.floats(1e-12, 1e18),
    unit=st.sampled_from(["B/s", "FLOP/s", "s", "W", "B", "x", "pixels"]),
)
def test_what_is_written_can_be_read_back(value, unit):
    text = units.format_quantity(value, unit)
    written = units.parse_quantity(text, unit)
    assert written == pytest.approx(value, rel=5e-3, abs=5e-12)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("12", "GB/s", 12e9),
        ("12 GB/s", "MB/s", 12e9),
        ("1,500", "x", 1500),
        ("1,5", "x", 1.5),
        ("3e9", "B/s", 3e9),
        ("5k", "pixels", 5e3),
        ("4 GiB", "GB", 4 * 2**30),
        ("80 µs", "ms", 80e-6),
        ("2 million pixels", "pixels", 2e6),
        ("2 Million", "pixels", 2e6),
        ("0,125", "x", 0.125),
        ("1 500", "x", 1500),
        ("1 234 567", "x", 1234567),
        ("2k", "ns", 2e-6),
        ("2 thousand", "ns", 2e-6),
        ("2K", "pixels", 2e3),
        ("12 G", "GB/s", 12e9),
        ("5k pixels", "pixels", 5e3),
        ("5 us", "ms", 5e-6),
        ("5 sec", "ms", 5.0),
        ("10 X", "x", 10.0),
        ("10 times", "x", 10.0),
        ("12 gb/s", "MB/s", 12e9),
        ("4 gib", "GB", 4 * 2**30),
    ],
)
def test_learners_may_type_numbers_their_own_way(text, unit, value):
    assert units.parse_quantity(text, unit) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "lots", "12 parsecs", "x", "1.2.3", "12 mW", "1 50"])
def test_what_is_not_a_number_says_so(text):
    with pytest.raises(ValueError, match=r"is not a number|but the question asks"):
        units.parse_quantity(text, "GB/s")


def test_a_quantity_names_its_source():
    bandwidth = Quantity(20e9, "B/s", "measured here: a laptop", low=19e9, high=21e9)
    assert str(bandwidth) == "20.0 GB/s ± 5 % (measured here: a laptop)"


def test_a_table_refuses_ragged_columns():
    with pytest.raises(ValueError, match="differ in length"):
        Table({"size": [1, 2], "seconds": [1.0]})


def test_a_table_finds_rows_by_value_and_says_when_there_are_none():
    table = Table({"size": [1, 2], "seconds": [0.1, 0.2]}, {"seconds": "s"})
    assert table.where(size=2)["seconds"] == [0.2]
    with pytest.raises(KeyError, match="no row"):
        table.where(size=3)
    with pytest.raises(KeyError, match="there are size, seconds"):
        table["speed"]


def test_a_spread_has_the_unit_of_its_column():
    table = Table.from_rows(
        [{"seconds": 1.0, "seconds_low": 0.9, "seconds_high": 1.2}], {"seconds": "s"}
    )
    assert table.units["seconds_low"] == table.units["seconds_high"] == "s"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("measured here: a laptop", "measured"),
        ("replayed: NVIDIA H200, 2026-11-23", "replayed"),
        ("model: NVIDIA H100", "modelled"),
        ("measured here: a laptop; model: NVIDIA H100", "partly modelled"),
        ("measured here: a laptop; replayed: NVIDIA H200", "partly replayed"),
        ("source: a data sheet, read 2026-11-23", "published"),
        ("made up", "unsourced"),
    ],
)
def test_a_number_of_mixed_origin_says_so(source, kind):
    assert Quantity(1.0, "x", source).kind == kind


def test_a_distance_is_a_factor_and_a_side():
    assert units.distance(10, 26) == "2.6x low"
    assert units.distance(1.04, 1) == "1.04x high"
    assert units.distance(1.0, 1.0) == "within 1 %"
    assert units.distance(2.6e6, 1) == "2.6 million x high"
