"""Files on a disk, samples in files, and the jobs of the storage benchmark that lesson 06 uses."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aiinfra.facts.catalogue import CatalogueError
from aiinfra.facts.workloads import Workload, workload, workloads
from aiinfra.measure import disk, loading, needs
from aiinfra.model.storage import Loading

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="uses /proc and O_DIRECT")


def read_block(descriptor: int) -> bytes:
    buffer = mmap.mmap(-1, mmap.PAGESIZE)
    os.preadv(descriptor, [buffer], 0)
    return bytes(buffer)


def test_both_descriptors_read_the_same_random_bytes() -> None:
    with disk.disk_file(1_000_000) as file:
        assert os.fstat(file.cached).st_size == file.size == 1_000_000
        block = read_block(file.cached)
        assert len(set(block)) > 200  # nothing a disk could compress
        buffer = mmap.mmap(-1, mmap.PAGESIZE)
        file.read(buffer, 0)
        assert bytes(buffer) == block


def fail_with_a_file(folder: Path, error: type[BaseException]) -> disk.DiskFile:
    """Raise an error while a file is lent, and return the file all the same."""
    try:
        with disk.disk_file(100_000, folder) as file:
            raise error
    except error:
        return file


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_stays_on_the_disk_after_an_error(
    tmp_path: Path, error: type[BaseException]
) -> None:
    kept = fail_with_a_file(tmp_path, error)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kept.cached)


@on_linux
def test_the_file_has_no_name_while_it_is_read(tmp_path: Path) -> None:
    with disk.disk_file(100_000, tmp_path):
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@on_linux
def test_a_refused_o_direct_is_said_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    true_open = os.open

    def refuse(path: str, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(22, "Invalid argument")
        return true_open(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    with disk.disk_file(100_000) as file:
        assert "refuses O_DIRECT (Invalid argument)" in file.reason
        buffer = mmap.mmap(-1, mmap.PAGESIZE)
        file.read(buffer, 0)
        assert sum(cached_pages(file.cached)) == 0
        assert bytes(buffer) == read_block(file.cached)
        assert sum(cached_pages(file.cached)) > 0


@on_linux
def test_an_o_direct_that_opens_and_refuses_to_read_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(8192))

    def refuse(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "preadv", refuse)
    descriptor, reason = disk.open_direct(path)
    assert "Invalid argument" in reason
    assert len(os.listdir("/proc/self/fd")) == before + 1
    os.close(descriptor)


def test_memory_and_full_disks_are_refused_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="make room"):
        disk.place(1e18)
    monkeypatch.setattr(disk, "file_system", lambda folder: "tmpfs")
    with pytest.raises(OSError, match="is memory, not a disk"):
        disk.place(1, tmp_path)
    assert "is memory, not a disk" in (needs.disk(needs.probe()) or "")


@on_linux
def test_shared_memory_is_known_as_memory() -> None:
    if not os.path.ismount("/dev/shm"):
        pytest.skip("no /dev/shm here")
    assert disk.file_system(Path("/dev/shm")) in disk.IN_MEMORY


@on_linux
def test_a_forgotten_file_is_no_longer_in_the_page_cache(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(os.urandom(1 << 22))
    assert disk.forget_path(path)
    with path.open("rb") as file:
        assert sum(cached_pages(file.fileno())) == 0


def cached_pages(descriptor: int) -> list[bool]:
    """Which pages of a file are in memory, by the system call mincore."""
    size = os.fstat(descriptor).st_size
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped:
        view = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        address = np.frombuffer(mapped, np.uint8).ctypes.data
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), view) == 0
    return [bool(byte & 1) for byte in view]


def test_without_torch_the_reason_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.importlib.util, "find_spec", lambda name: None)
    assert "torch is not installed" in (needs.torch(needs.probe()) or "")


def test_a_sample_is_its_bytes_after_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "one.bin"
    path.write_bytes(b"abc")
    samples = loading.FileSamples([path], wait=0.02)
    sample, (begin, end) = samples[0]
    assert (len(samples), bytes(sample)) == (1, b"abc")
    assert end - begin >= 0.02


def test_each_file_may_have_a_wait_of_its_own(tmp_path: Path) -> None:
    samples = loading.FileSamples(loading.write_samples(tmp_path, 2, 300), wait=[0.0, 0.05])
    (first, (begin, end)), (second, (late_begin, late_end)) = samples[0], samples[1]
    assert (len(first), len(second)) == (300, 300)
    assert end - begin < 0.05 <= late_end - late_begin


@on_linux
def test_written_samples_are_not_in_the_page_cache(tmp_path: Path) -> None:
    for path in loading.write_samples(tmp_path, 3, 50_000):
        with path.open("rb") as file:
            assert sum(cached_pages(file.fileno())) == 0


@on_linux
def test_a_read_through_the_cache_leaves_the_block_there() -> None:
    with disk.disk_file(100_000) as file:
        buffer = mmap.mmap(-1, mmap.PAGESIZE)
        file.read_cached(buffer, 0)
        assert bytes(buffer) == read_block(file.cached)
        assert cached_pages(file.cached)[0]


def test_idle_counts_whole_periods_only() -> None:
    steps = [loading.Step(0, 0, 3.0 * k, 3.0 * k + 1) for k in range(4)]
    assert loading.idle(steps) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="run more steps"):
        loading.idle(steps[:1])


def test_accelerators_that_share_a_slow_store_all_idle() -> None:
    store = threading.Lock()

    def load() -> None:
        with store:
            time.sleep(0.02)

    shares = [loading.train_together([load] * count, step=0.04, steps=8) for count in (1, 8)]
    assert shares[0] > 0.7
    assert shares[1] < 0.5  # eight loads take 160 ms


def test_the_error_of_a_load_is_raised_and_nothing_hangs() -> None:
    def broken() -> None:
        raise OSError("no such block")

    with pytest.raises(OSError, match="no such block"):
        loading.train_together([broken, lambda: None], step=0.001, steps=4)


def test_steps_run_beside_a_save_that_returns_early_and_only_there() -> None:
    with ThreadPoolExecutor(1) as pool:
        stall, whole, steps = loading.save_beside(lambda: pool.submit(time.sleep, 0.1), 0.005)
    assert stall < whole / 2
    assert steps >= 2
    stall, whole, steps = loading.save_beside(lambda: time.sleep(0.05), 0.005)
    assert steps == 0
    assert 0.05 <= stall <= whole


def test_what_a_save_raises_later_is_raised() -> None:
    def fail() -> None:
        raise OSError("disk full")

    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="disk full"):
        loading.save_beside(lambda: pool.submit(fail), 0.001)


def test_an_accelerator_that_is_fed_late_idles() -> None:
    def late() -> object:
        for _ in range(4):
            time.sleep(0.05)
            yield None, np.zeros((2, 2))

    steps = loading.train(late(), step=0.01)
    assert len(steps) == 4
    assert steps[0].begin == 0
    assert all(a.end <= b.begin for a, b in pairwise(steps))
    assert 0.4 < loading.idle(steps) < 1


def test_an_accelerator_whose_batches_are_there_does_not_idle() -> None:
    steps = loading.train([(None, np.zeros((1, 2)))] * 4, step=0.02)
    assert loading.idle(steps) < 0.2


def test_a_data_loader_with_workers_ends_all_of_them(tmp_path: Path) -> None:
    data = pytest.importorskip("torch.utils.data")
    paths = [tmp_path / str(i) for i in range(8)]
    for path in paths:
        path.write_bytes(bytes(100))
    loader = data.DataLoader(
        loading.FileSamples(paths, 0.001), batch_size=2, **loading.worker_options(2, 2)
    )
    steps = loading.train(loader, 0.001)
    assert len(steps) == 4
    assert all(step.load_begin < step.load_end <= step.begin for step in steps)
    import psutil

    assert not [
        p for p in psutil.Process().children() if "resource_tracker" not in str(p.cmdline())
    ]
    assert threading.active_count() < 20


@pytest.mark.parametrize("job", workloads(), ids=lambda job: job.slug)
def test_every_job_names_its_source_and_is_sane(job: Workload) -> None:
    assert job.url.startswith("https://github.com/mlcommons/storage/")
    assert job.slug.replace("-", "_") in job.url
    assert 0.5 <= job.utilisation < 1
    assert 1e7 < job.rate * job.sample_bytes < 1e10  # B/s of one accelerator


def test_an_h100_asks_for_more_than_an_a100() -> None:
    for model in ("unet3d", "resnet50", "cosmoflow"):
        old, new = workload(f"{model}-a100"), workload(f"{model}-h100")
        assert old.sample_bytes == new.sample_bytes
        assert 1.5 < new.rate / old.rate < 2.1


def test_3d_unet_on_an_h100_needs_three_gigabytes_a_second() -> None:
    job = workload("unet3d-h100")
    needed = Loading(job.step, job.samples, job.sample_bytes).needed
    assert needed == pytest.approx(3.177e9, rel=1e-3)
    with pytest.raises(CatalogueError, match="did you mean one of: unet3d"):
        workload("unet3d-h10")
