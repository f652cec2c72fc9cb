"""The catalogue: complete, sourced, dense, one-directional, and strict about what it reads."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aiinfra.facts.catalogue import (
    CatalogueError,
    accelerator,
    accelerator_of,
    accelerators,
    drive,
    drives,
    link,
    links,
    load_accelerators,
    memory_kind,
    memory_kinds,
    overhead,
    overheads,
)
from aiinfra.facts.reading import read_entries
from aiinfra.facts.schema import PRECISIONS, Accelerator, Entry, Link, Overhead

DEVICES = {
    "v100-sxm-32gb": "fp64 fp32 fp16",
    "t4": "fp32 fp16 int8",
    "a100-sxm-40gb": "fp64 fp64_tensor fp32 tf32 fp16 bf16 int8",
    "a100-sxm-80gb": "fp64 fp64_tensor fp32 tf32 fp16 bf16 int8",
    "a100-pcie-40gb": "fp64 fp64_tensor fp32 tf32 fp16 bf16 int8",
    "a100-pcie-80gb": "fp64 fp64_tensor fp32 tf32 fp16 bf16 int8",
    "l4": "fp32 tf32 fp16 bf16 fp8 int8",
    "l40s": "fp32 tf32 fp16 bf16 fp8 int8",
    "h100-sxm": "fp64 fp64_tensor fp32 tf32 fp16 bf16 fp8 int8",
    "h100-pcie": "fp64 fp64_tensor fp32 tf32 fp16 bf16 fp8 int8",
    "h200-sxm": "fp64 fp64_tensor fp32 tf32 fp16 bf16 fp8 int8",
    "b200-sxm": "fp64 fp64_tensor fp32 tf32 fp16 bf16 fp8 int8 fp4",
    "gb200": "fp64 fp64_tensor fp32 tf32 fp16 bf16 fp8 int8 fp4",
    "mi300x": "fp64 fp64_tensor fp32 tf32 fp16 bf16 fp8 int8",
    "mi355x": "fp64 fp64_tensor fp32 fp16 bf16 fp8 int8 fp4",
    "tpu-v4": "bf16 int8",
    "tpu-v5e": "bf16 int8",
    "tpu-v5p": "bf16 int8",
    "tpu-v6e": "bf16 int8",
    "gaudi-3": "bf16 fp8",
    "trainium2": "fp32 bf16 fp8",
    "jetson-agx-orin-64gb": "fp32 fp16 int8",
    "apple-m4-max": "fp32 fp16",
}
EVERY_ENTRY = (*accelerators(), *links(), *memory_kinds(), *drives(), *overheads())
GOOD = """
[[accelerator]]
slug = "my-gpu"
name = "My GPU"
vendor = "Me"
year = 2026
form_factor = "PCIe card"
memory_bytes = "16 GiB"
memory_sold_as = "16 GB"
memory_bandwidth = "1 TB/s"
memory_kind = "gddr6"
power = "200 W"
host_link = "pcie-4-x16"
aliases = ["Mine"]
source = "my own data sheet"
read = 2026-11-23
[accelerator.peaks]
fp32 = "20 TFLOP/s"
bf16 = 80e12
"""


@pytest.mark.parametrize(("slug", "precisions"), DEVICES.items())
def test_every_device_is_there_with_its_peaks(slug: str, precisions: str) -> None:
    assert set(precisions.split()) <= set(accelerator(slug).peaks)


@pytest.mark.parametrize(
    ("name", "slug"),
    {
        "A100-SXM-80GB": "a100-sxm-80gb",
        "A100-SXM": "a100-sxm-80gb",
        "H100-SXM-80GB": "h100-sxm",
        "H100-SXM": "h100-sxm",
        "H200-SXM": "h200-sxm",
        "B200-SXM": "b200-sxm",
        "V100-SXM": "v100-sxm-32gb",
        "V100-SXM-16GB": "v100-sxm-16gb",
        "V100-SXM2-32GB": "v100-sxm-32gb",
        "V100-PCIE": "v100-pcie-16gb",
        "A100-80GB": "a100-sxm-80gb",
        "A100-40GB": "a100-sxm-40gb",
        "GB200-SXM": "gb200",
        "B200-SXM-180GB": "b200-sxm",
        "B200-SXM-192GB": "b200-sxm",
        "L40": "l40",
        "A10": "a10",
        "A10G": "a10g",
        "A30": "a30",
        "H100-NVL": "h100-nvl",
        "H20": "h20-sxm",
        "L40S": "l40s",
        "nvidia h100 80gb hbm3": "h100-sxm",
        "h100_sxm": "h100-sxm",
        "NVIDIA-H100-80GB-HBM3": "h100-sxm",
        " h200 ": "h200-sxm",
    }.items(),
)
def test_aliases_find_the_device_in_any_case(name: str, slug: str) -> None:
    assert accelerator(name).slug == slug


@pytest.mark.parametrize(
    ("slug", "precision", "dense"),
    [
        ("v100-sxm-32gb", "fp16", 125e12),
        ("a100-sxm-80gb", "bf16", 312e12),
        ("h100-sxm", "bf16", 989.4e12),
        ("h100-sxm", "fp8", 1978.9e12),
        ("h200-sxm", "bf16", 989.4e12),
        ("b200-sxm", "bf16", 2250e12),
        ("l40s", "fp16", 362.05e12),
        ("mi300x", "bf16", 1307.4e12),
    ],
)
def test_peaks_are_dense(slug: str, precision: str, dense: float) -> None:
    assert accelerator(slug).peak(precision).value == dense


@pytest.mark.parametrize("device", accelerators(), ids=lambda device: device.slug)
def test_two_of_four_sparsity_doubles_the_dense_peak(device: Accelerator) -> None:
    for precision, sparse in device.sparse_peaks.items():
        assert device.sparsity is not None
        ratio = sparse / device.peaks[precision]
        assert ratio == pytest.approx(2, rel=0.03) or (device.sparsity != "2:4" and 1.9 < ratio < 4)


@pytest.mark.parametrize("device", accelerators(), ids=lambda device: device.slug)
def test_figures_are_physically_sane(device: Accelerator) -> None:
    fastest = device.peaks.get("bf16") or device.peaks["fp16"]
    assert 50e9 < device.memory_bandwidth < 20e12
    assert 16 * 2**30 <= device.memory_bytes < 2**39
    assert 5 < fastest / device.memory_bandwidth < 2000
    assert device.power is None or 0.1e12 < fastest / device.power < 10e12
    order = [device.peaks[p] for p in PRECISIONS if p in ("fp64", "fp32", "tf32", "bf16", "fp8")
             and p in device.peaks]  # fmt: skip
    assert order == sorted(order)


@pytest.mark.parametrize(
    "slug", ["v100-sxm-32gb", "t4", "a100-sxm-80gb", "l4", "l40s", "h100-sxm", "h100-pcie"]
)
def test_fp32_peak_is_lanes_times_two_times_the_clock(slug: str) -> None:
    device = accelerator(slug)
    assert device.fp32_lanes is not None
    assert device.boost_clock is not None
    reckoned = device.fp32_lanes * 2 * device.boost_clock
    assert device.peak("fp32").value == pytest.approx(reckoned, rel=0.01)


@pytest.mark.parametrize("entry", [entry for entry in links() if entry.lanes], ids=lambda e: e.slug)
def test_link_rate_follows_from_lanes_and_line_code(entry: Link) -> None:
    assert entry.lanes is not None
    assert entry.lane_rate is not None
    payload, coded = entry.encoding
    reckoned = entry.lanes * entry.lane_rate * payload / coded / 8
    assert entry.bandwidth_per_direction == pytest.approx(reckoned, rel=1e-3)


def test_pcie_5_by_hand() -> None:
    assert link("pcie-5-x16").bandwidth_per_direction == pytest.approx(
        32e9 * 16 * 128 / 130 / 8, rel=1e-3
    )


@pytest.mark.parametrize(
    ("slug", "both"),
    [("nvlink-2", 300e9), ("nvlink-3", 600e9), ("nvlink-4", 900e9), ("nvlink-5", 1800e9),
     ("nvlink-c2c", 900e9), ("infinity-fabric-mi300x", 896e9), ("ici-v5p", 1200e9)],
)  # fmt: skip
def test_links_count_one_direction(slug: str, both: float) -> None:
    assert link(slug).bandwidth_per_direction == both / 2


def test_every_named_speed_of_network_is_there() -> None:
    speeds = {"10": 10, "25": 25, "40": 40, "100": 100, "200": 200, "400": 400, "800": 800}
    for name, gigabits in speeds.items():
        assert link(f"ethernet-{name}g").bandwidth_per_direction == gigabits * 1e9 / 8
    for name, gigabits in {"hdr": 200, "ndr": 400, "xdr": 800}.items():
        assert link(f"infiniband-{name}").bandwidth_per_direction == gigabits * 1e9 / 8


def test_memory_bandwidth_is_width_times_pin_rate() -> None:
    for kind in memory_kinds():
        assert kind.bandwidth == pytest.approx(kind.width * kind.pin_rate / 8, rel=1e-3)


def test_no_drive_outruns_its_link() -> None:
    lane_limits = {"SATA 6 Gb/s": 0.6e9, "PCIe 3.0 x4": 3.94e9, "PCIe 4.0 x4": 7.88e9,
                   "PCIe 5.0 x4": 15.75e9}  # fmt: skip
    for entry in drives():
        assert entry.sequential_write < entry.sequential_read < lane_limits[entry.interface]
        assert entry.random_read * 4096 < lane_limits[entry.interface]


@pytest.mark.parametrize(
    ("source", "slug"),
    [("measured here: Intel Xeon (16 cores, NVIDIA H100 80GB HBM3)", "h100-sxm"),
     ("measured here: AMD EPYC (64 cores, 8x NVIDIA H200)", "h200-sxm"),
     ("replayed: NVIDIA H100 PCIe, driver 570.1, 2026-11-24", "h100-pcie"),
     ("replayed: NVIDIA L40S, driver 570.1, 2026-11-24", "l40s"),
     ("replayed: NVIDIA GH200 480GB, driver 570.1, 2026-11-24", None),
     ("measured here: Intel Xeon (2 cores, no GPU)", None)],
)  # fmt: skip
def test_a_run_names_its_accelerator(source: str, slug: str | None) -> None:
    assert accelerator_of(source) is (accelerator(slug) if slug else None)


def test_every_accelerator_is_found_by_the_name_that_a_model_gives() -> None:
    for device in accelerators():
        assert accelerator_of(f"model: bytes, {device.name}") is device


def test_a_copy_stays_below_its_link() -> None:
    copies = {
        "pcie-3-copy": "pcie-3-x16",
        "pcie-4-copy": "pcie-4-x16",
        "pcie-5-copy": "pcie-5-x16",
        "nvlink-4-copy": "nvlink-4",
    }
    for copy, slug in copies.items():
        assert 0.7 < overhead(copy).value / link(slug).bandwidth_per_direction < 0.95


def test_launch_overheads_shrink_as_less_is_synchronised() -> None:
    slugs = ("cuda-short-kernel", "cuda-kernel-in-graph", "cuda-kernel-queued")
    times = [overhead(slug).value for slug in (*slugs, "cuda-kernel-synchronised")]
    assert times == pytest.approx([2.9e-6, 3.4e-6, 3.8e-6, 9.6e-6])


@pytest.mark.parametrize("entry", EVERY_ENTRY, ids=lambda entry: entry.slug)
def test_every_entry_names_its_source_and_day(entry: Entry) -> None:
    assert len(entry.source) > 10
    assert entry.read.year >= 2026


@pytest.mark.parametrize(
    "slug", ["v100-sxm-32gb", "t4", "a100-sxm-80gb", "l4", "l40s", "h100-sxm", "h200-sxm",
             "b200-sxm", "mi300x"]
)  # fmt: skip
def test_figures_that_lessons_lean_on_were_checked(slug: str) -> None:
    device = accelerator(slug)
    peaks = [f"peaks.{precision}" for precision in device.peaks]
    for name in ("memory_bytes", "memory_bandwidth", "power", *peaks):
        assert not device.quantity(name).source.endswith("not checked")


def test_quantity_carries_unit_source_and_day() -> None:
    bandwidth = accelerator("h100-sxm").quantity("memory_bandwidth")
    assert (bandwidth.value, bandwidth.unit) == (3.35e12, "B/s")
    assert bandwidth.source == "source: HPCTech: NVIDIA H100 data sheet table, read 2026-11-23"
    assert overhead("cuda-launch").quantity().low == pytest.approx(4e-6)
    assert drive("nvme-pcie-4").quantity("random_read").unit == "operations/s"


def test_an_unchecked_figure_says_so_and_its_neighbours_do_not() -> None:
    device = accelerator("mi355x")
    assert device.peak("bf16").source.endswith("not checked")
    assert not device.peak("fp8").source.endswith("not checked")
    assert link("neuronlink-3").quantity("bandwidth_per_direction").source.endswith("not checked")
    assert not device.checked
    assert overhead("warp-size").checked


def test_missing_precision_lists_the_ones_there_are() -> None:
    with pytest.raises(CatalogueError, match=r"v100-sxm-32gb has no .*bf16.*peaks\.fp16"):
        accelerator("V100").peak("bf16")
    with pytest.raises(CatalogueError, match="has no published 'power'"):
        accelerator("tpu-v5e").quantity("power")


@pytest.mark.parametrize(
    ("find", "typo", "meant"),
    [(accelerator, "h100-sx", "h100-sxm"), (link, "nvlink4", "nvlink-4"),
     (drive, "nvme-pcie4", "nvme-pcie-4"), (memory_kind, "hbm-3", "hbm3"),
     (overhead, "warpsize", "warp-size"), (accelerator, "zzz", "mi300x")],
)  # fmt: skip
def test_unknown_name_suggests_close_ones(
    find: Callable[[str], Entry], typo: str, meant: str
) -> None:
    with pytest.raises(CatalogueError, match=rf"{typo}.*{meant}"):
        find(typo)


def test_a_file_of_ones_own_is_read_and_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    mine = load_accelerators(file)
    device = accelerator("mine", own=mine)
    assert (device.memory_bytes, device.peaks["bf16"], device.power) == (2**34, 80e12, 200.0)
    assert accelerator("h100-sxm", own=mine).slug == "h100-sxm"
    assert "my-gpu" not in {entry.slug for entry in accelerators()}


@pytest.mark.parametrize(
    ("old", "new", "entry", "field"),
    [
        ('slug = "my-gpu"\n', "", "number 1", "slug"),
        ('vendor = "Me"\n', "", "my-gpu", "vendor"),
        ('source = "my own data sheet"\n', "", "my-gpu", "source"),
        ("power =", "pwoer =", "my-gpu", "pwoer"),
        ("year = 2026", 'year = "2026"', "my-gpu", "year"),
        ('name = "My GPU"', "name = 7", "my-gpu", "name"),
        ("read = 2026-11-23", 'read = "yesterday"', "my-gpu", "read"),
        ('aliases = ["Mine"]', 'aliases = "Mine"', "my-gpu", "aliases"),
        ('"200 W"', "-200", "my-gpu", "power"),
        ('"200 W"', "true", "my-gpu", "power"),
        ('"1 TB/s"', "0", "my-gpu", "memory_bandwidth"),
        ('"1 TB/s"', "nan", "my-gpu", "memory_bandwidth"),
        ('"1 TB/s"', '"1 TB"', "my-gpu", "memory_bandwidth"),
        ('"1 TB/s"', '"1 T"', "my-gpu", "memory_bandwidth"),
        ('"16 GiB"', '"16 Gbit/s"', "my-gpu", "memory_bytes"),
        ("bf16 = 80e12", 'bf17 = "80 TFLOP/s"', "my-gpu", "peaks"),
        ('"20 TFLOP/s"', '"20 TFLOP"', "my-gpu", "peaks.fp32"),
        ('"pcie-4-x16"', '"pcie-9-x16"', "my-gpu", "host_link"),
        ('"gddr6"', '"gddr9"', "my-gpu", "memory_kind"),
        ('["Mine"]', '["Mine", "mine"]', "my-gpu", "aliases"),
        ("aliases =", 'unchecked = ["powr"]\naliases =', "my-gpu", "unchecked"),
    ],
)
def test_a_malformed_entry_is_named_with_file_and_field(
    tmp_path: Path, old: str, new: str, entry: str, field: str
) -> None:
    assert GOOD.count(old) == 1
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(old, new))
    expected = re.escape(f"mine.toml: entry '{entry}', field '{field}': ")
    with pytest.raises(CatalogueError, match=expected):
        load_accelerators(file)


def test_one_slug_cannot_name_two_devices(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD + GOOD)
    with pytest.raises(CatalogueError, match=r"mine\.toml: entry 'my-gpu', field 'slug'"):
        load_accelerators(file)


@pytest.mark.parametrize("text", ["[[accelerator", "", "[[link]]\nslug = 'x'", "accelerator = 3"])
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(CatalogueError, match=r"mine\.toml"):
        load_accelerators(file)


def test_an_overhead_is_kept_in_si_units(tmp_path: Path) -> None:
    file = tmp_path / "overheads.toml"
    row = 'slug="a"\nname="A"\nunit="µs"\nvalue="2 µs"\nsource="somewhere"\nread=2026-11-23\n'
    file.write_text("[[overhead]]\n" + row)
    with pytest.raises(CatalogueError, match="name the SI unit"):
        read_entries(Overhead, "overhead", file)


def test_importing_the_catalogue_reads_no_file() -> None:
    code = "import pathlib; pathlib.Path.read_text = None; import aiinfra.facts.catalogue"
    subprocess.run([sys.executable, "-c", code], check=True)
