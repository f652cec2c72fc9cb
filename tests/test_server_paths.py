"""Paths through a server: what bounds them, what chunks hide, and the map that shows them."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from aiinfra.facts.catalogue import accelerator, drive, link, memory_kind
from aiinfra.facts.topology import topologies, topology
from aiinfra.facts.world_catalogue import server
from aiinfra.measure.numa import numa_nodes, on_cores, usable_cores
from aiinfra.measure.workers import crew
from aiinfra.model.paths import SOURCES, Hop, crowded, legs_to_gpu, path_time
from aiinfra.show import server_map
from aiinfra.show.layout import text_size
from aiinfra.show.server_maps import label, links_of, place_parts

DGX = topology("dgx-h100")


def hop(rate: float, latency: float = 0.0, users: int = 1) -> Hop:
    return Hop("a", "b", "link", rate, latency, users)


def test_a_leg_flows_at_the_rate_of_its_slowest_link() -> None:
    time = path_time(100.0, [[hop(10), hop(5, latency=1.0), hop(20)]])
    assert time.seconds == pytest.approx(1 + 100 / 5)
    assert time.bound.rate == 5


def test_in_one_piece_legs_add_up_and_in_chunks_the_faster_one_hides() -> None:
    legs = [[hop(10)], [hop(40)]]
    assert path_time(80.0, legs).seconds == pytest.approx(8 + 2)
    assert path_time(80.0, legs, chunk=8.0).seconds == pytest.approx(0.8 + 0.2 + 9 * 0.8)
    assert path_time(80.0, legs, chunk=1e-3).seconds == pytest.approx(8, rel=1e-3)


def test_a_chunk_larger_than_the_data_is_the_data() -> None:
    legs = [[hop(10)], [hop(40)]]
    assert path_time(80.0, legs, chunk=1e9).seconds == path_time(80.0, legs).seconds


@pytest.mark.parametrize("wrong", [(0, [[hop(1)]], None), (1, [], None), (1, [[hop(1)]], 0)])
def test_a_path_of_nothing_is_refused(wrong: tuple[float, list[list[Hop]], float | None]) -> None:
    with pytest.raises(ValueError, match="a path needs bytes"):
        path_time(*wrong)


def test_sharing_divides_a_link_among_its_users() -> None:
    shared = crowded([[hop(12, users=4), hop(5)]])[0]
    assert [one.rate for one in shared] == [3, 5]
    assert "shared by 4" in shared[0].name


def test_one_drive_bounds_its_path_and_gpudirect_skips_the_memory() -> None:
    direct, bounced = (legs_to_gpu(DGX, "drive", direct=d) for d in (True, False))
    assert "drive" in path_time(1e9, direct).bound.name
    assert len(direct) == 1
    assert len(bounced) == 2
    assert not any("memory" in link.end for link in direct[0])
    assert path_time(1e9, bounced).seconds > path_time(1e9, direct).seconds


def test_gpudirect_pays_where_all_adapters_load_at_once() -> None:
    box = topology("dgx-a100")  # two GPUs and two adapters lean on one link to the CPU
    bounced, direct = (crowded(legs_to_gpu(box, "network", direct=d)) for d in (False, True))
    assert "CPU and switch" in path_time(1e9, bounced, chunk=4e6).bound.name
    gain = path_time(1e9, bounced, chunk=4e6).seconds / path_time(1e9, direct).seconds
    assert gain > 1.4


def test_on_an_h100_every_gpu_has_a_link_to_its_cpu_of_its_own() -> None:
    legs = crowded(legs_to_gpu(DGX, "memory"))
    assert "shared" not in next(h.name for h in legs[0] if "CPU and switch" in h.name)


def test_the_link_between_the_cpus_bounds_far_memory() -> None:
    assert path_time(1e9, legs_to_gpu(DGX, "far memory")).bound.name == "link between the CPUs"


def test_a_path_is_unbroken_from_part_to_part() -> None:
    for box in topologies():
        for source in SOURCES:
            for direct in (True, False):
                flat = [h for leg in legs_to_gpu(box, source, direct) for h in leg]
                assert flat[-1].end == "GPU 0"
                assert all(a.end == b.start for a, b in pairwise(flat))
                known = {frozenset(pair) for pair in links_of(box)}
                assert {frozenset((h.start, h.end)) for h in flat} <= known


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="far drive"):
        legs_to_gpu(DGX, "tape")


def test_every_part_of_a_topology_is_in_the_catalogue() -> None:
    for box in topologies():
        gpus = server(box.server)
        device = accelerator(gpus.accelerator)
        assert gpus.count % (box.cpus * box.switches) == 0
        assert link(device.host_link or "").kind == "PCIe"
        assert link(device.device_link or "").kind == "NVLink"
        assert memory_kind(box.memory).bandwidth * box.channels > box.socket_link
        assert link(box.nic).bandwidth_per_direction > drive(box.drive).sequential_read


def test_the_map_names_every_link_of_the_path_and_the_one_that_sets_the_pace() -> None:
    legs = legs_to_gpu(DGX, "far drive", direct=False)
    path = [h for leg in legs for h in leg]
    axes = server_map(DGX, path, "A title", bound=path_time(1e9, legs).bound, source="model: x")
    written = " ".join(text.get_text() for text in axes.texts)
    assert written.count("sets the pace") == 1
    for one in path:
        assert one.name in written
    assert "link between the CPUs" in axes.alt


def test_the_map_refuses_a_part_that_the_server_lacks() -> None:
    with pytest.raises(ValueError, match="GPU 99"):
        server_map(DGX, [Hop("GPU 99", "GPU 0", "x", 1.0)], "A title")


def test_no_box_of_the_map_covers_another() -> None:
    for box in topologies():
        spots = list(place_parts(box).values())
        for i, (x, y, wide, _) in enumerate(spots):
            for other_x, other_y, other_wide, _ in spots[i + 1 :]:
                assert y != other_y or abs(x - other_x) >= (wide + other_wide) / 2


def test_processes_share_the_work_and_are_gone_afterwards() -> None:
    offset = 0.02

    def job(number: int) -> None:  # local: it travels by value, with what it closes over
        time.sleep(offset)

    def longer(number: int) -> None:
        time.sleep(3 * offset)

    with crew(job, longer, workers=2, calls=20) as work:
        one, two, long = (work(n, which).seconds for n, which in ((1, 0), (2, 0), (2, 1)))
    assert one >= 20 * offset
    assert two < 1.7 * one
    assert long > 1.7 * one
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_words_of_the_map_stay_within_their_boxes() -> None:
    for box in topologies():
        widths = {label(name, box): place[2] for name, place in place_parts(box).items()}
        for text in server_map(box, [], "A title").texts:
            if text.get_text() in widths:
                wide, _ = text_size(text.get_text(), bold=text.get_fontweight() == "bold")
                assert wide < widths[text.get_text()], f"{box.name}: {text.get_text()}"


def test_core_seconds_count_work_and_no_waiting() -> None:
    def job(number: int) -> None:
        time.sleep(0.2)
        start = time.process_time()
        while time.process_time() - start < 0.1:
            pass

    with crew(job, workers=2, calls=2) as work:
        one, two = work(1, 0), work(2, 0)
    assert 0.2 <= one.busy < 0.35 <= one.seconds
    assert two.busy == pytest.approx(2 * one.busy, rel=0.3)


def test_a_worker_that_fails_or_hangs_ends_in_one_sentence() -> None:
    def broken(number: int) -> None:
        raise ZeroDivisionError

    def stuck(number: int) -> None:
        time.sleep(60)

    def stuck_later(number: int) -> None:
        time.sleep(60 * (number > 0))

    for job in (broken, stuck, stuck_later):
        with (
            pytest.raises(RuntimeError, match="failed or took too long"),
            crew(job, workers=1, calls=2, timeout=3.0) as work,
        ):
            work(1, 0)


def test_nodes_hold_the_cores_that_this_process_may_use(tmp_path: Path) -> None:
    cores = usable_cores()
    if not cores:
        pytest.skip("this system does not tell which cores a program may use")
    for node, mine in {0: cores[:1], 1: cores[1:], 2: ()}.items():
        for core in mine:
            (tmp_path / f"sys/devices/system/node/node{node}/cpu{core}").mkdir(parents=True)
    expected = {0: cores[:1]} | ({1: cores[1:]} if cores[1:] else {})
    assert numa_nodes(tmp_path) == expected
    assert numa_nodes(tmp_path / "nothing") == {0: ()}


def test_cores_are_given_back_even_after_an_error() -> None:
    before = usable_cores()
    if not before:
        pytest.skip("this system does not let a program choose its cores")

    def work() -> None:
        with on_cores(before[0]):
            assert usable_cores() == before[:1]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert usable_cores() == before


def test_no_job_no_worker_and_no_call_are_refused() -> None:
    wrong: list[tuple[int, int, int]] = [(0, 1, 1), (1, 0, 1), (1, 1, 0)]
    for jobs, workers, calls in wrong:
        with (
            pytest.raises(ValueError, match="one job, one worker and one call"),
            crew(*[print] * jobs, workers=workers, calls=calls),
        ):
            pass
    with (
        pytest.raises(ValueError, match="1 workers and 1 jobs"),
        crew(print, workers=1, calls=1) as work,
    ):
        work(2, 0)
