"""The model room: hand-worked cases and properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.model import amdahl, offload, roofline

positive = st.floats(min_value=1e-3, max_value=1e12)


def test_saxpy_is_memory_bound_on_a_v100():
    # 2 FLOP and 12 bytes an element; 15.7 TFLOP/s and 900 GB/s: 13.3 ms of traffic for 1e9.
    time = roofline.operator_time(2e9, 12e9, peak=15.7e12, bandwidth=900e9)
    assert time.bound == "memory"
    assert time.seconds == pytest.approx(13.33e-3, rel=1e-3)


def test_ridge_is_where_both_roofs_meet():
    intensity = roofline.ridge(peak=100e12, bandwidth=2e12)
    assert intensity == 50
    assert roofline.attainable(intensity, 100e12, 2e12) == 100e12
    assert roofline.attainable(intensity / 2, 100e12, 2e12) == 50e12


@given(flop=positive, n_bytes=positive, peak=positive, bandwidth=positive)
def test_time_never_falls_with_more_work(flop, n_bytes, peak, bandwidth):
    less = roofline.operator_time(flop, n_bytes, peak, bandwidth).seconds
    assert roofline.operator_time(2 * flop, n_bytes, peak, bandwidth).seconds >= less
    assert roofline.operator_time(flop, 2 * n_bytes, peak, bandwidth).seconds >= less
    assert roofline.operator_time(flop, n_bytes, peak, 2 * bandwidth).seconds <= less


@pytest.mark.parametrize("roof", [(0, 1), (1, 0), (-1, 1)])
def test_a_roof_must_be_positive(roof):
    with pytest.raises(ValueError, match="positive"):
        roofline.operator_time(1, 1, *roof)


def test_half_the_program_left_alone_limits_the_gain_to_two():
    assert amdahl.speedup(0.5, 1e12) == pytest.approx(2)
    assert amdahl.speedup(0.95, 20) == pytest.approx(1 / (0.05 + 0.0475))


@given(p=st.floats(0.01, 0.999), factors=st.lists(st.floats(1.5, 1e4), min_size=1, max_size=6))
def test_the_fit_recovers_the_fraction_it_was_made_from(p, factors):
    fitted = amdahl.fit(factors, [amdahl.speedup(p, s) for s in factors])
    assert fitted.parallel_fraction == pytest.approx(p, abs=1e-6)
    assert fitted.limit == pytest.approx(1 / (1 - p), rel=1e-3)
    assert fitted.worst_error < 1e-3


def test_a_fit_needs_something_faster():
    with pytest.raises(ValueError, match="faster version"):
        amdahl.fit([1.0], [1.0])


SAXPY = offload.Workload(flop=2, memory_bytes=12, bytes_in=8, bytes_out=4)
SERVER = offload.Machine(peak=2e12, bandwidth=300e9, overhead=10e-6)
GPU = offload.Machine(peak=60e12, bandwidth=3e12, overhead=10e-6, link=63e9)


def test_saxpy_from_host_memory_never_pays_on_a_server():
    assert offload.break_even(SAXPY, SERVER, GPU) is None


def test_saxpy_by_hand():
    # 1e9 elements: 12 GB over 63 GB/s = 190.5 ms, 12 GB over 3 TB/s = 4 ms, 10 µs to launch.
    time = offload.offload_time(1e9, SAXPY, GPU)
    assert time.seconds == pytest.approx(0.19449, rel=1e-4)
    assert time.bound == "transfer"


@given(flop=st.floats(1, 1e4), overhead=st.floats(1e-6, 1e-3))
def test_at_break_even_both_take_the_same_time(flop, overhead):
    work = offload.Workload(flop=flop, memory_bytes=4, bytes_out=4)
    device = offload.Machine(peak=60e12, bandwidth=3e12, overhead=overhead, link=63e9)
    host = offload.Machine(peak=1e11, bandwidth=20e9, overhead=0.0)
    elements = offload.break_even(work, host, device)
    assert elements is not None
    host_seconds = offload.offload_time(elements, work, host).seconds
    assert offload.offload_time(elements, work, device).seconds == pytest.approx(host_seconds)


def test_data_already_there_crosses_no_link():
    there = offload.Machine(peak=60e12, bandwidth=3e12, overhead=0.0)
    assert there.link == math.inf
    assert offload.offload_time(1e9, SAXPY, there).transfer == 0


def test_one_slow_lane_holds_up_its_group():
    assert offload.lane_efficiency([1, 1, 1, 5], 4) == pytest.approx(8 / 20)
    assert offload.lane_efficiency([1, 1, 1, 5], 1) == 1
    assert offload.lane_efficiency([2, 2, 2], 2) == pytest.approx(6 / 8)


def test_crossing_lies_where_the_lines_meet():
    # host 1 µs each, device 100 µs flat: they meet at 100.
    assert offload.crossing([10, 1000], [10e-6, 1e-3], [1e-4, 1e-4]) == pytest.approx(100)
    assert offload.crossing([10, 20], [1, 1], [2, 2]) is None
    assert offload.crossing([10, 20], [2, 2], [1, 1]) == 10
