"""Matrix products: hand-worked kernels, properties, and rows that the fit has not seen."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfra.facts.catalogue import accelerator, accelerators
from aiinfra.facts.schema import Accelerator, CatalogueError
from aiinfra.model import gemm, kernels
from aiinfra.model.gemm import gemm_time
from aiinfra.model.validate import RowError, find_set, validate
from aiinfra.model.validate.report import PUBLISHED
from aiinfra.model.validate.rows import read_rows

A100, H100 = accelerator("a100-sxm-80gb"), accelerator("h100-sxm")
sizes = st.sampled_from([1, 2, 5, 16, 31, 64, 100, 128, 257, 512, 1000, 2048, 4096])

# A machine without flaws: only launches, waves and splits are left.
IDEAL = kernels.Constants(
    launch=1e-6, split=2e-6, tau=(0.0, 0.0), epilogue=(0.0, 0.0), intensity=0.0,
    sustained=1.0, heat=0.0, narrow=1.0, memory=1.0, rotation=1.0, gather=math.inf,
    later=0.0, overlap=20.0, blend=2.0, energy={},
)  # fmt: skip


def device(units: int, rate: float, bandwidth: float = 1e18, **fields: object) -> Accelerator:
    """A made-up device: ``units`` of ``rate`` FLOP/s in bf16, no L2."""
    figures = {"compute_units": units, "peaks": {"bf16": units * rate}, "l2_bytes": None}
    return replace(A100, memory_bandwidth=bandwidth, **{**figures, **fields})  # type: ignore[arg-type]


def ideal(m: int, n: int, k: int, on: Accelerator, **changes: float) -> gemm.GemmTime:
    return gemm.price(m, n, k, kernels.machine("bf16", on, replace(IDEAL, **changes)))  # type: ignore[arg-type]


def test_one_full_wave_by_hand() -> None:
    # 100 tiles of 256 x 128 on 100 units: each does 2 * 256 * 128 * 1024 = 67.1 MFLOP at 1 TFLOP/s.
    time = ideal(256, 12800, 1024, device(100, 1e12))
    assert time.seconds == pytest.approx(67.1e-6 + 1e-6, rel=1e-3)
    assert time.bound == "compute"


def test_one_tile_too_many_costs_a_wave_where_kernels_do_not_stay() -> None:
    # Feeding makes small tiles dear: 102 tiles of 256 x 128 take two waves; from Hopper on 1.02.
    fed = {"intensity": 1e3, "blend": 20.0}
    full, more = (ideal(256, 128 * n, 1024, device(100, 1e12), **fed).compute for n in (100, 101))
    assert more > 1.3 * full
    hopper = device(100, 6e12, architecture="Hopper")
    full, more = (ideal(256, 128 * n, 1024, hopper, **fed).compute for n in (100, 101))
    assert more == pytest.approx(1.02 * full)


def test_few_tiles_are_split_along_k_when_that_pays() -> None:
    # One tile of 64 x 64 on 100 units: alone 2 * 64 * 64 * k at 1 TFLOP/s, 8.2 ns an element of k.
    on = device(100, 1e12)
    assert ideal(64, 64, 256, on).seconds == pytest.approx(1e-6 + 4 * 64 * 8.2e-9 / 4, rel=0.01)
    split = ideal(64, 64, 65536, on)
    assert split.seconds < 0.05 * 65536 * 8.2e-9
    assert split.overhead == pytest.approx(1e-6 + 2e-6, rel=0.01)


def test_a_product_too_thin_to_hide_latency_waits_for_each_slice_of_k() -> None:
    slow = replace(IDEAL, tau=(1e-8, 1e-8), split=1.0)
    time = gemm.price(64, 64, 4096, kernels.machine("bf16", device(100, 1e12), slow))
    assert time.compute == pytest.approx(4096 * 1e-8)
    assert gemm.price(1, 64, 4096, kernels.machine("bf16", device(100, 1e12), slow)).compute < 5e-6


def test_slow_units_are_fed_with_ease() -> None:
    # fp32 does a sixteenth of the operations of bf16 on twice the bytes: an eighth of the hunger.
    hungry, easy = (kernels.machine(precision, A100).tiles[0] for precision in ("bf16", "fp32"))
    area = hungry.long * hungry.short
    bare = [2 * area / (A100.peaks[p] / 108) for p in ("bf16", "fp32")]
    assert easy.work / bare[1] - 1 < 0.1 * (hungry.work / bare[0] - 1)


def test_traffic_by_hand() -> None:
    # 2 B * (1024 * 1024 + 2 * 16 * 1024) at 1 GB/s.
    time = ideal(16, 1024, 1024, device(100, 1e12, bandwidth=1e9))
    assert time.memory == pytest.approx(2 * (1024 * 1024 + 2 * 16 * 1024) / 1e9)
    assert time.bound == "memory"


def test_bounds_of_published_shapes() -> None:
    assert gemm_time(8192, 8192, 8192, "bf16", A100).bound == "compute"
    assert gemm_time(1, 12288, 12288, "bf16", A100).bound == "memory"
    assert gemm_time(8, 32, 32, "bf16", A100).bound == "launch"


def test_wave_quantisation_halves_an_a100() -> None:
    # Measured: 47 % of peak with 112 tiles on 108 units, 90 % with 320 tiles in three waves.
    def share(m: int, n: int, k: int) -> float:
        return 2 * m * n * k / gemm_time(m, n, k, "bf16", A100).seconds / A100.peaks["bf16"]

    assert share(2048, 5120, 5120) > 1.4 * share(1024, 3584, 4096)


def test_large_products_reach_what_others_found() -> None:
    """Shares of peak that the fit has not seen, but for the B200's in 16 bit.

    MAMF table (S. Bekman); H100 PCIe, L4 and H20: zzc0721, torch-performance-test-data, issues 95,
    120 and 77, at 8192 (read 2026-11-24).
    """
    found = {("a100-sxm-80gb", "bf16"): 0.87, ("h200-sxm", "bf16"): 0.803,
             ("h200-sxm", "fp8"): 0.734, ("b200-sxm", "bf16"): 0.776,
             ("b200-sxm", "fp8"): 0.763, ("h100-pcie", "bf16"): 0.652,
             ("h100-pcie", "tf32"): 0.636, ("h20-sxm", "bf16"): 0.937}  # fmt: skip
    for (slug, precision), best in found.items():
        on = accelerator(slug)
        rate = 2 * 8192**3 / gemm_time(8192, 8192, 8192, precision, on).seconds
        assert rate / on.peaks[precision] == pytest.approx(best, rel=0.12)


def test_less_power_means_a_slower_clock() -> None:
    # Half the power holds 1 / sqrt(2) of the clock; more than the chip needs holds all of it.
    power, peak = 300.0, 300e12
    assert kernels.throttle(power, peak, 2e-12) == pytest.approx(0.5**0.5)
    assert kernels.throttle(power, peak, 0.5e-12) == 1
    assert kernels.throttle(power, peak, 0.0) == 1  # an architecture that nobody measured
    large = 8192, 8192, 8192, "bf16"
    card, module = (gemm_time(*large, accelerator(n)) for n in ("a100-pcie-80gb", "a100-sxm-80gb"))
    assert 1.05 < card.seconds / module.seconds < 1.3
    # What memory bounds does not slow down.
    thin = [gemm_time(4, 8192, 8192, "bf16", replace(H100, power=p)).seconds for p in (350, 700)]
    assert thin[0] == pytest.approx(thin[1], rel=0.01)


def test_the_class_of_kernels_goes_with_the_architecture_and_not_with_the_rate() -> None:
    # An H20 has a seventh of the H100's rate and its kernels; MI300X units are fast and warp-fed.
    def stays(name: str) -> bool:
        return kernels.machine("bf16", accelerator(name)).warpgroup

    assert stays("h20-sxm")
    assert stays("h100-pcie")
    assert not stays("l40s")
    assert not stays("mi300x")


@given(m=sizes, n=sizes, k=sizes, on=st.sampled_from([A100, H100]))
def test_parts_sum_to_the_whole_and_no_roof_is_broken(
    m: int, n: int, k: int, on: Accelerator
) -> None:
    time = gemm_time(m, n, k, "bf16", on)
    assert time.seconds == max(time.compute, time.memory) + time.overhead
    assert time.overhead > 0
    assert time.compute >= 2 * m * n * k / on.peaks["bf16"]


@settings(max_examples=200)
@given(m=sizes, n=sizes, k=sizes, on=st.sampled_from([A100, H100]))
def test_more_is_never_cheaper_by_more_than_3_percent(
    m: int, n: int, k: int, on: Accelerator
) -> None:
    less = gemm_time(m, n, k, "bf16", on).seconds
    for shape in ((2 * m, n, k), (m, 2 * n, k), (m, n, 2 * k), (m + 1, n, k), (m, n, k + 1)):
        assert gemm_time(*shape, "bf16", on).seconds >= 0.97 * less


@pytest.mark.parametrize("k", [127, 191, 255, 1000])
def test_a_vector_takes_no_less_for_a_longer_row(k: int) -> None:
    less, more = (gemm_time(1, 1024, n, "fp32", A100).seconds for n in (k, 2 * k))
    assert more >= 0.99 * less


def test_one_column_more_than_a_narrow_tile_costs() -> None:
    narrow, wide = (gemm_time(65536, n, 96, "bf16", A100).seconds for n in (64, 65))
    assert wide >= 0.99 * narrow


@given(m=sizes, n=sizes, k=sizes)
def test_a_better_device_is_never_slower(m: int, n: int, k: int) -> None:
    now = gemm_time(m, n, k, "bf16", A100).seconds
    faster = replace(A100, peaks={"bf16": 1.5 * A100.peaks["bf16"]})
    for better in (
        replace(A100, memory_bandwidth=2 * A100.memory_bandwidth),
        replace(A100, l2_bytes=2 * (A100.l2_bytes or 0)),
        faster,
    ):
        assert gemm_time(m, n, k, "bf16", better).seconds <= now * (1 + 1e-9)


def test_a_and_b_may_change_places() -> None:
    there, back = (gemm_time(*s, "bf16", A100) for s in ((8192, 512, 8192), (512, 8192, 8192)))
    assert there.compute == pytest.approx(back.compute)


def test_two_devices_of_one_name_do_not_mix() -> None:
    slow = replace(A100, memory_bandwidth=A100.memory_bandwidth / 10)
    fast = gemm_time(1, 8192, 8192, "bf16", A100).seconds
    assert gemm_time(1, 8192, 8192, "bf16", slow).seconds > 5 * fast


def test_a_shape_is_priced_once() -> None:
    gemm_time(123, 456, 789, "bf16", A100)
    hits = gemm.price.cache_info().hits
    gemm_time(123, 456, 789, "bf16", A100)
    assert gemm.price.cache_info().hits == hits + 1


def test_weights_that_others_pushed_out_of_l2_come_from_memory() -> None:
    warm, cold = (gemm_time(16, 1024, 1024, "bf16", H100, cold=c) for c in (False, True))
    assert cold.memory > 2 * warm.memory
    large = [gemm_time(16, 16384, 16384, "bf16", H100, cold=c).seconds for c in (False, True)]
    assert large[0] == pytest.approx(large[1], rel=0.01)


def test_half_the_bytes_halve_what_memory_bounds() -> None:
    wide, narrow = (gemm_time(16, 16384, 16384, p, H100) for p in ("bf16", "fp8"))
    assert wide.memory == pytest.approx(2 * narrow.memory, rel=0.05)


@pytest.mark.parametrize("on", accelerators(), ids=lambda on: on.slug)
def test_every_device_of_the_catalogue_is_priced_between_its_roof_and_three_times_that(
    on: Accelerator,
) -> None:
    for precision in on.peaks:
        if precision in kernels.BYTES:
            time = gemm_time(8192, 8192, 8192, precision, on).seconds
            roof = 2 * 8192**3 / on.peaks[precision]
            assert roof < time < 3 * roof


def test_wrong_questions_are_answered_with_the_mend() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0, 5, 5"):
        gemm_time(0, 5, 5, "bf16", A100)
    with pytest.raises(CatalogueError, match=r"a100-sxm-80gb has no .*fp8.*peaks\.bf16"):
        gemm_time(5, 5, 5, "fp8", A100)


def test_rows_held_back_from_the_fit_miss_by_less_than_the_best_peer() -> None:
    rows = read_rows(PUBLISHED / "gemm.csv", find_set("gemm"))[::5]  # what tools/fit.py holds back
    found: dict[str, list[float]] = {}
    for row in rows:
        error = find_set("gemm").predict(row) / row.number("latency_us") - 1
        found.setdefault(row.text("gpu"), []).append(abs(error))
    for gpu, limit in (("A100-SXM", 0.085), ("H100-SXM", 0.07)):
        assert sum(found[gpu]) / len(found[gpu]) < limit
    assert 0.04 < sum(map(sum, found.values())) / len(rows) < 0.08


HEADER = "gpu,dtype,m,n,k,latency_us\n"


def test_a_row_of_another_device_and_type_is_priced(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = "V100-SXM,half,512,512,512,9\nB200-SXM,fp8,512,4096,4096,9\nL40S,,64,4096,4096,50\n"
    rows += "V100-PCIE,int4_wo,512,2048,2048,9\nH20,FP8_e4m3,64,4096,4096,9\n"
    rows += "A100-80GB,w4a16_awq,512,2048,2048,9\nA10G,auto,16,2048,2048,9\n"
    file.write_text(HEADER + rows + "A100-PCIe,int8,512,4096,4096,50\n")
    cases = validate("gemm", find_set("gemm"), file).cases
    assert all(2 < case.predicted < 200 for case in cases)


def test_weight_only_rows_compute_in_16_bits_with_narrow_weights(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    types = ("half", "int8_wo", "int4_wo")
    for m in (8, 8192):
        file.write_text(HEADER + "".join(f"A100-SXM,{t},{m},8192,8192,9\n" for t in types))
        wide, eight, four = (c.predicted for c in validate("gemm", find_set("gemm"), file).cases)
        if m == 8:
            assert wide > 1.4 * eight > 1.4 * 1.3 * four
        else:
            assert wide == pytest.approx(eight, rel=0.01) == pytest.approx(four, rel=0.01)


@pytest.mark.parametrize(
    ("row", "column", "mend"),
    [
        ("A100-SXM,fp8,512,512,512,9", "dtype", "does not compute in fp8; it has .*bf16"),
        ("V100-SXM,bf16,512,512,512,9", "dtype", "does not compute in bf16; it has .*fp16"),
        ("A100-SXM,bfloat17,512,512,512,9", "dtype", "write one of auto, fp16, bf16"),
        ("A101,half,512,512,512,9", "gpu", "a100"),
        ("A100-SXM,half,0,512,512,9", "m", "at least 1"),
        ("A100-SXM,half,512,-3,512,9", "n", "at least 1"),
        ("A100-SXM,half,512,512,,9", "k", "blank"),
        ("A100-SXM,half,512,512,512,nine", "latency_us", "number"),
    ],
)
def test_a_row_that_cannot_be_priced_names_its_column(
    tmp_path: Path, row: str, column: str, mend: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(HEADER + row + "\n")
    with pytest.raises(RowError, match=rf"line 2 .*column '{column}'.*{mend}"):
        validate("gemm", find_set("gemm"), file)
