"""Loaders and checkpoints: hand-worked cases, a simulated pipeline, and published ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.facts import catalogue
from aiinfra.model.storage import (
    Disk,
    Loading,
    burst,
    checkpoint_bytes,
    fed_accelerators,
    loader_time,
    loader_timeline,
)

# MLPerf Storage, configs/dlio/workload (read 2026-11-24).
UNET3D_H100 = Loading(step=0.323, samples=7, sample_bytes=146_600_628)
UNET3D_A100 = Loading(step=0.636, samples=7, sample_bytes=146_600_628)
RESNET50_H100 = Loading(step=0.224, samples=400, sample_bytes=114_660)
FAST = Disk(bandwidth=1e12)


def seconds(work, disk):
    """The times of one batch: read, prepare."""
    operations = work.samples * work.operations
    return disk.seconds(work.batch_bytes, operations), work.samples * work.prepare


def test_a_slow_disk_idles_the_accelerator_by_hand():
    # 100 samples of 1 MB in 50 ms need 2 GB/s; the disk gives 0.5: a batch takes 200 ms.
    time = loader_time(Loading(step=0.05, samples=100, sample_bytes=1e6), Disk(0.5e9))
    assert time.bound == "disk bandwidth"
    assert time.seconds == pytest.approx(0.2)
    assert time.idle == pytest.approx(0.75)


def test_small_files_wait_for_operations_not_bytes():
    work = Loading(step=0.05, samples=1000, sample_bytes=4096, operations=2)
    time = loader_time(work, Disk(bandwidth=3e9, operations=10_000))
    assert time.bound == "disk operations"
    assert time.seconds == pytest.approx(0.2)


def test_latency_hides_behind_workers():
    work = Loading(step=0.05, samples=100, sample_bytes=4096, workers=1)
    one = loader_time(work, Disk(3e9, 1e6, latency=1e-3))
    assert (one.bound, one.seconds) == ("workers", pytest.approx(0.1 + 100 * 4096 / 3e9))
    four = Loading(step=0.05, samples=100, sample_bytes=4096, workers=4)
    assert loader_time(four, Disk(3e9, 1e6, latency=1e-3)).idle == 0


@pytest.mark.parametrize(("workers", "period"), [(0, 0.15), (1, 0.1), (2, 0.05), (4, 0.05)])
def test_ten_items_of_ten_milliseconds_against_a_step_of_fifty(workers, period):
    work = Loading(step=0.05, samples=10, sample_bytes=1, prepare=0.01, workers=workers)
    assert loader_time(work, FAST).seconds == pytest.approx(period, rel=1e-6)


@given(
    read=st.floats(0, 2),
    prepare=st.floats(0, 8),
    step=st.floats(0.1, 2),
    workers=st.integers(0, 5),
    prefetch=st.integers(1, 3),
)
def test_the_steady_state_is_where_the_pipeline_settles(read, prepare, step, workers, prefetch):
    count = 240
    line = loader_timeline(np.full(count, read), prepare, step, workers, prefetch)
    work = Loading(step=step, samples=1, sample_bytes=1, prepare=prepare, workers=workers)
    disk = Disk(bandwidth=1 / read if read else 1e300)
    # The mean over whole rounds of the workers, once the pipeline is full.
    rounds = slice(60, 60 + 120)
    period = np.diff(line.begin)[rounds].mean()
    assert period == pytest.approx(loader_time(work, disk).seconds, rel=1e-6, abs=1e-9)


def test_the_pipeline_by_hand():
    # One worker, one slot: read 1, prepare 1, step 3. A batch is asked for when the last is taken.
    line = loader_timeline(np.ones(3), 1, 3, workers=1, prefetch=1)
    assert line.asked.tolist() == [0, 2, 5]
    assert line.ready.tolist() == [2, 4, 7]
    assert line.begin.tolist() == [2, 5, 8]
    assert line.end.tolist() == [5, 8, 11]
    assert line.idle == 0


def test_prefetch_hides_batches_that_vary():
    rng = np.random.default_rng(0)
    prepare = rng.lognormal(0, 0.5, 4000)
    step = prepare.mean() / 3
    idle = [loader_timeline(0, prepare, step, 4, depth).idle for depth in (1, 2, 8, 64)]
    assert idle == sorted(idle, reverse=True)
    assert idle[0] > 2 * idle[-1]


@given(st.floats(1e8, 1e11), st.floats(1.1, 10))
def test_a_faster_disk_never_idles_more(bandwidth, faster):
    slow = loader_time(UNET3D_H100, Disk(bandwidth))
    fast = loader_time(UNET3D_H100, Disk(faster * bandwidth))
    assert fast.idle <= slow.idle
    assert 0 <= slow.idle < 1
    assert slow.utilisation == pytest.approx(slow.accelerator / max(slow.stages.values()))


def test_an_h100_on_3d_unet_needs_three_gigabytes_a_second():
    # 7 volumes of 146.6 MB in 0.323 s; at 90 % it is 2.86 GB/s, half of that for an A100.
    assert UNET3D_H100.needed == pytest.approx(3.177e9, rel=1e-3)
    assert UNET3D_H100.needed / UNET3D_A100.needed == pytest.approx(0.636 / 0.323)


@pytest.mark.parametrize("work", [UNET3D_H100, UNET3D_A100, RESNET50_H100])
def test_one_accelerator_more_than_fed_falls_below_ninety_percent(work):
    disk = Disk(catalogue.drive("nvme-pcie-5").sequential_read)
    fed = fed_accelerators(work, disk)
    assert fed >= 1
    assert loader_time(work, disk, fed).utilisation >= 0.9
    assert loader_time(work, disk, fed + 1).utilisation < 0.9


def test_a_disk_feeds_nobody_whose_workers_cannot_keep_up():
    work = Loading(step=0.01, samples=10, sample_bytes=1e3, prepare=0.01, workers=2)
    assert fed_accelerators(work, FAST) == 0


def test_checkpoint_of_a_trillion_parameters_is_as_published():
    # SC21, section 5.10: 1.008 T parameters, 13.8 TB, saved at 273 GB/s.
    n_bytes = checkpoint_bytes(1.008e12)
    assert n_bytes == pytest.approx(13.8e12, rel=0.03)
    saved = burst(n_bytes, interval=3600, storage_bandwidth=273e9, nodes=384, node_bandwidth=25e9)
    assert saved.write == pytest.approx(13.8e12 / 273e9, rel=0.03)
    assert saved.bound == "storage"
    assert saved.stall_fraction == pytest.approx(0.0142, rel=0.02)


def test_asynchronous_saving_stalls_for_the_copy_alone():
    both = [
        burst(14e12, 600, 200e9, nodes=100, copy_bandwidth=100e9, asynchronous=flag)
        for flag in (False, True)
    ]
    assert both[0].stall == pytest.approx(70)
    assert both[0].stall_fraction == pytest.approx(70 / 670)
    assert both[1].storage_use == pytest.approx(70 / 601.4)
    assert both[1].stall == pytest.approx(14e12 / (100 * 100e9))
    assert both[0].write == both[1].write


def test_a_write_that_outlasts_the_interval_stalls_for_the_rest():
    late = burst(14e12, 50, 200e9, nodes=100, copy_bandwidth=100e9, asynchronous=True)
    assert late.stall == pytest.approx(1.4 + 20)
    assert late.storage_use <= 1


def test_few_nodes_write_as_fast_as_their_links():
    few = burst(1e12, 600, 1e12, nodes=4, node_bandwidth=10e9)
    assert (few.bound, few.write) == ("node link", pytest.approx(25))


@given(st.floats(1e9, 1e13), st.floats(10, 1e4), st.floats(1e9, 1e12), st.integers(1, 1000))
def test_saving_behind_the_training_never_stalls_longer(n_bytes, interval, bandwidth, nodes):
    # A copy to host memory is at least as fast as the storage behind it.
    def stall(asynchronous):
        return burst(n_bytes, interval, bandwidth, nodes, bandwidth, asynchronous, bandwidth).stall

    copy = n_bytes / (nodes * bandwidth)
    assert stall(True) <= stall(False) + copy + 1e-9


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Disk(0), "must be positive"),
        (lambda: Loading(step=0, samples=1, sample_bytes=1), "must be positive"),
        (lambda: Loading(step=1, samples=1, sample_bytes=1, prefetch=0), "prefetch >= 1"),
        (lambda: loader_time(UNET3D_H100, FAST, 0), "at least one accelerator"),
        (lambda: fed_accelerators(UNET3D_H100, FAST, 1.5), "between 0 and 1"),
        (lambda: loader_timeline(1, 1, 1, -1), "workers must be >= 0"),
        (lambda: loader_timeline(-1, 1, 1, 1), "must not be negative"),
        (lambda: burst(1, 0, 1), "interval positive"),
        (lambda: burst(1, 1, 0), "bandwidths must be positive"),
        (lambda: checkpoint_bytes(-1), "must not be negative"),
    ],
)
def test_what_cannot_be_says_why(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_infinite_operations_cost_nothing():
    assert Disk(1e9).operations == math.inf
    assert loader_time(UNET3D_H100, FAST).disk_operations == 0
