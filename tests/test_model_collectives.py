"""Collectives: hand-worked rings and trees, properties, and rows that the fit has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.facts.catalogue import accelerator, link, links
from aiinfra.facts.schema import Link
from aiinfra.model.collectives import (
    CollectiveTime,
    LinkLike,
    all_gather_time,
    all_reduce_time,
    all_to_all_time,
    hierarchical_all_reduce_time,
    reduce_scatter_time,
)
from aiinfra.model.nodes import group_all_gather, group_all_reduce, node_size
from aiinfra.model.validate import RowError, find_set, validate
from aiinfra.model.validate.report import PUBLISHED
from aiinfra.model.validate.rows import read_rows

PAIR = (100e9, 1e-6)  # B/s a direction, s a step
NVLINK3, NVLINK4 = link("nvlink-3"), link("nvlink-4")
EVERY = [all_reduce_time, all_gather_time, reduce_scatter_time, all_to_all_time]
Operation = Callable[[float, int, LinkLike], CollectiveTime]
every_operation = pytest.mark.parametrize("operation", EVERY, ids=lambda f: f.__name__)
sizes = st.floats(1, 1e10)
ranks = st.integers(2, 512)


def test_ring_by_hand() -> None:
    # 8 ranks: 14 steps of 1 us, 2 * 7/8 * 64 MB = 112 MB over 100 GB/s = 1.12 ms.
    time = all_reduce_time(64e6, 8, PAIR, "ring")
    assert (time.latency, time.transfer) == pytest.approx((14e-6, 1.12e-3))
    assert time.seconds == pytest.approx(1.134e-3)
    assert time.bound == "bandwidth"


def test_tree_by_hand() -> None:
    # 8 ranks: up and down 3 levels of 1 us, the message twice over the link.
    time = all_reduce_time(64e6, 8, PAIR, "tree")
    assert (time.latency, time.transfer) == pytest.approx((6e-6, 1.28e-3))


def test_small_messages_take_the_tree_and_large_ones_the_ring() -> None:
    assert all_reduce_time(1e3, 64, PAIR).algorithm == "tree"
    assert all_reduce_time(1e9, 64, PAIR).algorithm == "ring"
    assert all_reduce_time(1e3, 64, PAIR).bound == "latency"


def test_all_to_all_by_hand() -> None:
    # 4 ranks keep a quarter and send three quarters of 8 MB: 60 us, and one step.
    time = all_to_all_time(8e6, 4, PAIR)
    assert (time.latency, time.transfer) == pytest.approx((1e-6, 60e-6))


def test_hierarchical_by_hand() -> None:
    # 16 ranks in nodes of 8, 80 MB: 7 steps and 7/8 * 80 MB inside, twice (700 us each);
    # between the two nodes 2 steps and 10 MB at 10 GB/s (1 ms).
    time = hierarchical_all_reduce_time(80e6, 16, 8, PAIR, (10e9, 5e-6))
    assert time.latency == pytest.approx(2 * 7e-6 + 2 * 5e-6)
    assert time.transfer == pytest.approx(2 * 0.7e-3 + 1e-3)


@given(n_bytes=sizes, n=ranks)
def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather(n_bytes: float, n: int) -> None:
    halves = (
        reduce_scatter_time(n_bytes, n, PAIR).seconds + all_gather_time(n_bytes, n, PAIR).seconds
    )
    assert all_reduce_time(n_bytes, n, PAIR, "ring").seconds == pytest.approx(halves)


@given(n=ranks)
def test_a_ring_moves_at_most_twice_the_message(n: int) -> None:
    time = all_reduce_time(1e9, n, (100e9, 0.0), "ring")
    assert time.seconds == pytest.approx(2 * (n - 1) / n * 1e9 / 100e9)


@every_operation
@pytest.mark.parametrize("on", [PAIR, NVLINK4], ids=["pair", "nvlink"])
def test_one_rank_communicates_nothing(operation: Operation, on: LinkLike) -> None:
    time = operation(1e9, 1, on)
    assert (time.seconds, time.bound) == (0.0, "nothing")
    assert hierarchical_all_reduce_time(1e9, 1, 1, on, on).seconds == 0


@every_operation
@given(n_bytes=sizes, n=ranks, on=st.sampled_from([PAIR, *links()]))
def test_more_bytes_never_take_less(
    operation: Operation, n_bytes: float, n: int, on: LinkLike
) -> None:
    less = operation(n_bytes, n, on).seconds
    assert operation(2 * n_bytes, n, on).seconds >= less > 0


@every_operation
@given(n_bytes=sizes, n=ranks, on=st.sampled_from(links()))
def test_a_wider_link_never_takes_longer(
    operation: Operation, n_bytes: float, n: int, on: Link
) -> None:
    wide = replace(on, bandwidth_per_direction=2 * on.bandwidth_per_direction)
    assert operation(n_bytes, n, wide).seconds <= operation(n_bytes, n, on).seconds


@given(n_bytes=sizes, n=st.sampled_from([2, 4, 8]), on=st.sampled_from(links()))
def test_no_link_carries_more_than_its_rate(n_bytes: float, n: int, on: Link) -> None:
    for time in (all_gather_time(n_bytes, n, on), all_to_all_time(n_bytes, n, on)):
        assert time.transfer > (n - 1) / n * n_bytes / on.bandwidth_per_direction


@given(n_bytes=sizes, on=st.sampled_from([NVLINK3, NVLINK4]))
def test_four_ranks_lie_between_two_and_eight(n_bytes: float, on: LinkLike) -> None:
    two, four, eight = (all_reduce_time(n_bytes, n, on, "ring").seconds for n in (2, 4, 8))
    assert two < four < eight


def test_the_switch_adds_up_from_nvlink_4_on() -> None:
    assert all_reduce_time(2**29, 8, NVLINK4).algorithm == "switch"
    assert all_reduce_time(2**29, 2, NVLINK4).algorithm == "ring"
    assert all_reduce_time(2**29, 8, NVLINK3).algorithm == "ring"
    ring = all_reduce_time(2**29, 8, NVLINK4, "ring").seconds
    assert all_reduce_time(2**29, 8, NVLINK4).seconds < 0.8 * ring


def test_small_messages_wait_and_large_ones_move() -> None:
    assert all_reduce_time(512, 8, NVLINK3).bound == "latency"
    assert all_reduce_time(2**29, 8, NVLINK3).bound == "bandwidth"


def test_across_a_network_a_thousand_ranks_take_a_tree_for_small_messages() -> None:
    network = link("infiniband-ndr")
    assert all_reduce_time(1e4, 1024, network).algorithm == "tree"
    assert all_reduce_time(1e9, 16, network).algorithm == "ring"


def test_nodes_first_is_faster_than_one_ring_over_the_network() -> None:
    network = link("infiniband-hdr")
    nodes_first = hierarchical_all_reduce_time(1e9, 64, 8, NVLINK3, network)
    assert nodes_first.algorithm == "hierarchical"
    assert nodes_first.seconds < 0.3 * all_reduce_time(1e9, 64, network).seconds


@pytest.mark.parametrize("n_bytes", [128, 2**10, 2**16, 2**20, 2**26])
@pytest.mark.parametrize("n", [2, 4, 8])
@pytest.mark.parametrize(
    ("slower", "faster"), [("pcie-4-x16", "nvlink-3"), ("pcie-5-x16", "nvlink-4"),
                           ("infiniband-hdr", "nvlink-3"), ("infiniband-ndr", "nvlink-4")],
)  # fmt: skip
def test_no_message_is_faster_over_the_host_or_a_network_than_over_nvlink(
    n_bytes: float, n: int, slower: str, faster: str
) -> None:
    over, direct = (all_reduce_time(n_bytes, n, link(name)).seconds for name in (slower, faster))
    assert over > direct


def test_a_launch_is_paid_on_every_link() -> None:
    # A kernel and its host take microseconds before the first byte moves.
    for on in links():
        assert all_reduce_time(1, 2, on).seconds > 4e-6


def test_a_node_of_eight_ends_its_links() -> None:
    h100, rack, torus = (accelerator(name) for name in ("h100-sxm", "gb200", "tpu-v5p"))
    assert [node_size(h100, n) for n in (2, 8, 12, 16, 72)] == [2, 8, 6, 8, 8]
    assert node_size(rack, 72) == 72
    assert node_size(torus, 256) == 256


def test_sixteen_ranks_pay_the_network() -> None:
    h100 = accelerator("h100-sxm")
    eight, sixteen = (group_all_reduce(2**28, n, h100) for n in (8, 16))
    assert eight == all_reduce_time(2**28, 8, NVLINK4)
    assert sixteen.algorithm == "hierarchical"
    # Each rank sends an eighth of 256 MiB over its own port of 50 GB/s, and both links take turns.
    assert sixteen.seconds > 2**28 / 8 / 50e9 + 2 * 7 / 8 * 2**28 / 450e9
    assert group_all_reduce(2**28, 16, accelerator("gb200")).algorithm == "switch"


def test_gathering_over_two_nodes_costs_more_than_in_one() -> None:
    h100 = accelerator("h100-sxm")
    assert group_all_gather(1e6, 8, h100) == all_gather_time(1e6, 8, NVLINK4).seconds
    assert group_all_gather(1e6, 16, h100) > 1.2 * group_all_gather(1e6, 8, h100)
    assert group_all_gather(1e6, 1, h100) == 0


def test_wrong_questions_are_answered_with_the_mend() -> None:
    with pytest.raises(ValueError, match="12 ranks do not fill nodes of 8"):
        hierarchical_all_reduce_time(1e6, 12, 8, PAIR, PAIR)
    with pytest.raises(ValueError, match="there are auto, ring, tree"):
        all_reduce_time(1e6, 8, PAIR, "star")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="offers no 'switch'; use 'auto' or 'ring'"):
        all_reduce_time(1e6, 8, NVLINK3, "switch")
    with pytest.raises(ValueError, match="at least one rank"):
        all_reduce_time(1e6, 0, PAIR)
    with pytest.raises(ValueError, match="no negative bytes"):
        all_gather_time(-1, 8, PAIR)
    with pytest.raises(ValueError, match="needs bandwidth"):
        all_to_all_time(1e6, 8, (0.0, 1e-6))


def test_rows_held_back_from_the_fit_miss_by_less_than_a_tenth() -> None:
    rows = read_rows(PUBLISHED / "all_reduce.csv", find_set("all_reduce"))[::4]
    errors = [
        abs(find_set("all_reduce").predict(row) / row.number("latency_us") - 1) for row in rows
    ]
    assert 0.02 < sum(errors) / len(errors) < 0.1


HEADER = "gpu,gpus,dtype,message_bytes,latency_us\n"


def test_a_row_of_another_device_and_count_is_priced(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = ("H200-SXM,4,half,1024,9\nB200-SXM,8,,1073741824,9\nV100-SXM,4,half,1e6,9\n"
            "L40S,2,half,1e6,50\nA100-SXM,16,half,1e6,50\n")  # fmt: skip
    file.write_text(HEADER + rows)
    cases = validate("all_reduce", find_set("all_reduce"), file).cases
    small, large, old, pcie, two_nodes = (case.predicted for case in cases)
    assert two_nodes > 70
    assert 5 < small < 20
    wire = 2**30 / link(accelerator("b200-sxm").device_link or "").bandwidth_per_direction
    assert 1e6 * wire < large < 3e6 * wire
    assert old < pcie


@pytest.mark.parametrize(
    ("row", "column", "mend"),
    [
        ("A100-SXM,1,half,512,9", "gpus", "at least 2"),
        ("A100-SXM,2.5,half,512,9", "gpus", "at least 2"),
        ("A101,2,half,512,9", "gpu", "a100"),
        ("A100-SXM,2,half,-512,9", "message_bytes", "not positive"),
        ("A100-SXM,2,half,,9", "message_bytes", "blank"),
        ("A100-SXM,2,half,512,fast", "latency_us", "number"),
        ("apple-m4-max,2,half,512,9", "gpu", "link"),
    ],
)
def test_a_row_that_cannot_be_priced_names_its_column(
    tmp_path: Path, row: str, column: str, mend: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(HEADER + row + "\n")
    with pytest.raises(RowError, match=rf"line 2 .*column '{column}'.*{mend}"):
        validate("all_reduce", find_set("all_reduce"), file)
