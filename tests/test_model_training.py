"""The step of a training job: by hand, against what was published, and what must always hold."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiinfra.facts.catalogue import accelerator, link
from aiinfra.model.data_parallel import cover, exposed, gather_time, rounds_of, units
from aiinfra.model.layer import Slice, layer_time
from aiinfra.model.layout import Cluster, Layout, LayoutError
from aiinfra.model.software import family, software
from aiinfra.model.training import StepTime, model_flop, step_time
from aiinfra.model.transformer import Transformer
from aiinfra.model.validate import RowError, find_set, validate
from aiinfra.model.validate.report import PUBLISHED
from aiinfra.model.validate.rows import Row, read_rows
from aiinfra.model.validate.training import fused, price, transformer, virtual_stages
from aiinfra.model.validate.training import layout as layout_of

GPT3 = Transformer(12288, 96, 96, 96, 4 * 12288, False, 51200, tied_embeddings=True)
GPT_7B = Transformer(4096, 32, 32, 32, 4 * 4096, False, 51200, tied_embeddings=True)
LLAMA_405B = Transformer(16384, 128, 128, 8, 53248, True, 128256)
MIXTRAL = Transformer(4096, 32, 32, 8, 14336, True, 32000, experts=8, active_experts=2)
SOFT = software("", "h100-sxm")
A100, H100 = Cluster.of("a100-sxm-80gb"), Cluster.of("h100-sxm")


def step(model: Transformer = GPT_7B, layout: Layout | None = None, **kwargs: object) -> StepTime:
    """A step of eight micro-batches on H100s, unless told otherwise."""
    layout = layout or Layout()
    told = {"cluster": H100, "sequence": 2048, "global_batch": 8 * layout.data * layout.micro_batch}
    return step_time(model, layout, **{**told, **kwargs})  # type: ignore[arg-type]


def test_flop_of_a_gpt3_step_by_hand() -> None:
    # 72 B s l h^2 (1 + s / 6h + V / 12 l h), B = 1536, s = 2048, l = 96, h = 12288, V = 51200:
    # 72 * 1536 * 2048 * 96 * 12288^2 * (1 + 0.02778 + 0.00362) = 3.386e18.
    assert model_flop(GPT3, 2048, 1536) == pytest.approx(3.386e18, rel=1e-3)


def test_gpt3_trains_in_a_month_on_1024_a100() -> None:
    # Narayanan et al., section 5: 300 B tokens, 1024 A100, batch 1536, recomputing: 34 days.
    layout = Layout(8, 8, 1, 16, micro_batch=1, recompute="full")
    time = step_time(
        GPT3, layout, A100, 2048, 1536, flash_attention=False, framework="Megatron-LM 2021"
    )
    days = 300e9 / (1536 * 2048) * time.seconds / 86400
    assert days == pytest.approx(34, rel=0.10)
    assert time.bound == "matmul"


@pytest.mark.parametrize(
    ("data", "context", "sequence", "published"),
    [(64, 1, 8192, 430e12), (128, 1, 8192, 400e12), (8, 16, 131072, 380e12)],
)
def test_llama_405b_on_8192_and_16384_h100(
    data: int, context: int, sequence: int, published: float
) -> None:
    # P. Balaji's slide, quoted in G. K. Lockwood's Digital garden, Llama-3.1 (read 2026-11-24):
    # tensor 8, pipeline 16, 16 M tokens a batch. None of it was fitted on. Our reading: a layer a
    # chunk, stages as of 128 layers (126 of them count), FLOP of unmasked scores only, gradients
    # scattered once in a round of 16 micro-batches. Priced for a typical stack, which is slower.
    layout = Layout(8, 16, 8, data, zero=2, sequence_parallel=True, context=context)
    batch = 2**24 // sequence
    time = step_time(LLAMA_405B, layout, H100, sequence, batch)
    masked = 3 * 128 * batch * LLAMA_405B.attention_flop(sequence, sequence / 2)
    flop = model_flop(LLAMA_405B, sequence, batch) - masked
    assert flop * 126 / 128 / time.seconds / layout.ranks == pytest.approx(published, rel=0.15)


def test_a_step_by_hand_when_nothing_but_products_counts() -> None:
    # One layer's forward products of 2048 tokens: 24 s h^2 = 0.825 TFLOP; on 989 TFLOP/s at the
    # very best 0.83 ms. Backward twice that, 32 layers, 8 micro-batches: 0.64 s.
    floor = 3 * 24 * 2048 * 4096**2 / 989.4e12 * 32 * 8
    assert floor == pytest.approx(0.64, rel=0.01)
    assert floor < step().matmul < 2 * floor


def test_bubble_is_stages_less_one_over_chunks() -> None:
    plain = step(layout=Layout(pipeline=4, data=1))
    work = plain.matmul + plain.attention + plain.elementwise + plain.recompute
    assert plain.bubble == pytest.approx(work * 3 / 8)
    interleaved = step(layout=Layout(pipeline=4, virtual_stages=4, data=1))
    assert interleaved.bubble == pytest.approx(plain.bubble / 4)
    assert interleaved.stages == pytest.approx(4 * plain.stages)


def test_one_rank_communicates_nothing_and_waits_for_nobody() -> None:
    parts = step().parts
    for part in ("tensor", "context", "expert", "stages", "data", "bubble"):
        assert parts[part] == 0


layouts = st.builds(
    Layout,
    tensor=st.sampled_from([1, 2, 4, 8]),
    pipeline=st.sampled_from([2, 4, 8]),
    virtual_stages=st.sampled_from([1, 2, 4]),
    data=st.sampled_from([1, 4, 16]),
    zero=st.sampled_from([0, 1, 2, 3]),
    micro_batch=st.integers(1, 2),
    recompute=st.sampled_from(["none", "selective", "full"]),
    sequence_parallel=st.booleans(),
    context=st.sampled_from([1, 2]),
)


@settings(max_examples=60)
@given(layout=layouts, flash=st.booleans())
def test_parts_sum_and_a_better_machine_is_never_slower(layout: Layout, flash: bool) -> None:
    now = step(layout=layout, flash_attention=flash)
    assert sum(now.parts.values()) == pytest.approx(now.seconds)
    assert min(now.parts.values()) >= 0
    assert 0 < now.causal_mfu < now.mfu < 1
    assert now.bound in now.parts
    network = replace(H100.network, bandwidth_per_direction=1e12)
    device = replace(H100.accelerator, memory_bandwidth=2 * H100.accelerator.memory_bandwidth)
    for better in (replace(H100, network=network), replace(H100, accelerator=device)):
        assert step(layout=layout, flash_attention=flash, cluster=better).seconds <= now.seconds
    more = step(layout=layout, flash_attention=flash, global_batch=16 * layout.data * 2)
    assert more.seconds > now.seconds


@settings(max_examples=150)
@given(
    layout=layouts,
    name=st.sampled_from(["v100", "a100-sxm-80gb", "h100-sxm", "b200-sxm"]),
    framework=st.sampled_from(["", "Megatron-LM 2021", "Megatron-Core", "PyTorch FSDP"]),
    sequence=st.sampled_from([512, 2048, 8192, 65536]),
    runs=st.integers(1, 9),
    flash=st.booleans(),
)
def test_more_work_takes_longer_and_a_higher_peak_shortens_it(
    layout: Layout, name: str, framework: str, sequence: int, runs: int, flash: bool
) -> None:
    cluster = Cluster.of(name)
    device = cluster.accelerator
    higher = replace(device, peaks={each: 1.5 * peak for each, peak in device.peaks.items()})
    told = {
        "layout": layout, "cluster": cluster, "sequence": sequence, "flash_attention": flash,
        "global_batch": runs * layout.data * layout.micro_batch, "framework": framework,
        "precision": "bf16" if "bf16" in device.peaks else "fp16",
    }  # fmt: skip
    now = step(**told).seconds
    assert step(**{**told, "sequence": 2 * sequence}).seconds > now
    assert step(**{**told, "global_batch": 2 * told["global_batch"]}).seconds > now
    assert step(**{**told, "cluster": replace(cluster, accelerator=higher)}).seconds <= now * (
        1 + 1e-12
    )


def test_a_long_sequence_exceeds_its_peak_only_where_masked_scores_count() -> None:
    long = step(layout=Layout(8), cluster=A100, sequence=2**22)
    assert long.mfu > 1
    assert 0.45 < long.causal_mfu < 0.6
    # 3 L B 4 s^2 h, of which the mask hides half.
    assert long.masked_flop == pytest.approx(3 * 32 * 8 * 4 * 2.0**44 * 4096 / 2)


def test_recomputation_costs_a_forward_pass() -> None:
    none, full = step(), step(layout=Layout(recompute="full"))
    share = full.recompute / (none.matmul + none.attention + none.elementwise)
    assert 0.28 < share < 0.36
    scores = step(layout=Layout(recompute="selective"), flash_attention=False)
    assert 0 < scores.recompute < scores.attention
    assert step(layout=Layout(recompute="selective"), flash_attention=True).recompute == 0


def test_masked_scores_in_memory_cost_more_than_fused_attention() -> None:
    assert step(flash_attention=False).attention > 2 * step(flash_attention=True).attention


def test_fused_attention_computes_five_products_backward_for_two_forward() -> None:
    forward, backward = layer_time(GPT_7B, Slice(1, 2048, flash_attention=True), H100, "bf16", SOFT)
    assert backward.attention == pytest.approx(2.5 * forward.attention)
    assert backward.matmul == pytest.approx(2 * forward.matmul, rel=0.1)


def test_narrow_products_leave_attention_wide() -> None:
    wide, narrow = step(precision="bf16"), step(precision="fp8")
    assert narrow.matmul < 0.7 * wide.matmul
    assert narrow.attention == wide.attention


def test_sequence_parallel_splits_norms_and_dropouts() -> None:
    whole = step(layout=Layout(8))
    split = step(layout=Layout(8, sequence_parallel=True))
    assert split.elementwise < 0.5 * whole.elementwise
    assert split.tensor >= whole.tensor


def test_tensor_parallel_beyond_the_node_crawls() -> None:
    inside = step(GPT3, Layout(8)).tensor
    assert step(GPT3, Layout(16)).tensor > 4 * inside


def test_overlap_hides_at_most_the_computation() -> None:
    assert exposed(10, computation=100, overlap=0.8) == pytest.approx(2)
    assert exposed(10, computation=4, overlap=0.8) == pytest.approx(6)
    assert exposed(10, computation=100, overlap=0) == 10


def test_stage_three_moves_weights_in_every_micro_batch() -> None:
    few, many = (
        step(layout=Layout(data=64, zero=3), global_batch=64 * count).data for count in (2, 8)
    )
    assert many == pytest.approx(4 * few)
    once, again = (
        step(layout=Layout(data=64, zero=1), global_batch=64 * count).data for count in (2, 8)
    )
    assert once == pytest.approx(again)


def test_stage_two_scatters_gradients_that_it_cannot_keep() -> None:
    assert rounds_of(Layout(), 8) == rounds_of(Layout(pipeline=4), 8) == 8
    assert rounds_of(Layout(pipeline=4, virtual_stages=2), 8) == 2
    one, two = (step(layout=Layout(data=64, zero=zero), global_batch=512).data for zero in (1, 2))
    assert 3 < two / one < 8
    whole, split = (
        step(layout=Layout(pipeline=8, virtual_stages=4, data=8, zero=zero)).data for zero in (1, 2)
    )
    assert split == pytest.approx(whole)


def test_stage_three_pays_a_latency_for_every_layer() -> None:
    # 32 layers, 512 ranks of 64 nodes: 33 gathers forward, 33 and as many scatters backward.
    layout = Layout(data=512, zero=3)
    layers, layer, table = units(GPT_7B, layout)
    each, last = (gather_time(2 * size, layout, H100) for size in (layer, table))
    at_once = gather_time(2 * (layers * layer + table), layout, H100)
    assert layers * each + last > 1.3 * at_once
    soft = replace(SOFT, data_overlap=0.0, gradient_bytes=2)
    data = step(layout=layout, framework=soft, global_batch=512).data
    assert data == pytest.approx(3 * (layers * each + last))


def test_sharding_the_optimizer_swaps_half_an_all_reduce_for_the_weights() -> None:
    # 2 x 4 B of gradients a parameter; or 4 B of gradients and 2 B of weights.
    whole, sharded = (
        step(layout=Layout(data=64, zero=zero), framework="Megatron-LM 2022").data
        for zero in (0, 1)
    )
    assert sharded == pytest.approx(whole * 6 / 8, rel=0.01)


def test_interleaved_chunks_hide_gradients_behind_each_other() -> None:
    assert cover(Layout(pipeline=8, virtual_stages=4), 32) == pytest.approx(6)
    assert cover(Layout(pipeline=8), 32) == cover(Layout(), 32) == 1


def test_no_more_micro_batches_hide_gradients_than_there_are() -> None:
    assert cover(Layout(pipeline=8, virtual_stages=4), 2) == 2
    layout = Layout(4, pipeline=4, virtual_stages=4, data=64)
    short, long = (step(layout=layout, global_batch=64, sequence=s).seconds for s in (1024, 2048))
    assert long > short


def test_gradients_that_no_product_adds_up_cost_traffic() -> None:
    # 6.65e9 parameters x 6 B over 0.85 x 3.35 TB/s, for each of eight micro-batches.
    parameters = 32 * 12 * 4096**2 + 51200 * 4096
    by_hand = 8 * 6 * parameters / (SOFT.memory * 3.35e12)
    assert step(framework="Megatron-LM 2021").accumulation == pytest.approx(by_hand)
    assert step(framework="Megatron-LM 2022").accumulation == 0


def test_a_sharded_optimizer_updates_its_shard() -> None:
    whole, shard = (step(layout=Layout(data=64, zero=zero)).optimizer for zero in (0, 1))
    assert shard == pytest.approx(whole / 64)


def test_experts_cost_their_active_share_and_two_exchanges() -> None:
    dense = replace(MIXTRAL, experts=1, active_experts=1)
    once, twice = step(dense), step(MIXTRAL, Layout(data=8, expert=8))
    assert 1.4 < twice.matmul / once.matmul < 2.2
    assert twice.expert > 0
    far = step(MIXTRAL, Layout(data=8, expert=8), cluster=replace(H100, node_size=4))
    assert far.expert > 2 * twice.expert
    own = Slice(1, 2048, expert=8).gemms(MIXTRAL)[-1]
    assert (own.count, own.m) == (1, 2048 * 2)


def test_context_parallel_hides_behind_long_attention() -> None:
    layout = Layout(context=8)
    assert step(layout=layout, sequence=131072).context == 0
    slow = replace(H100, device_link=replace(H100.device_link, bandwidth_per_direction=1e9))
    part = Slice(1, 8192, context=8, flash_attention=True)
    forward, backward = layer_time(GPT_7B, part, slow, "bf16", SOFT)
    assert backward.context > forward.context > 0
    halves = [step(layout=Layout(context=c), sequence=65536).attention for c in (1, 2)]
    assert halves[1] == pytest.approx(halves[0] / 2, rel=0.01)


def test_a_part_left_out_takes_its_bubble_along() -> None:
    whole = step(layout=Layout(8, pipeline=4))
    for part in whole.parts:
        lighter = whole.without(part)
        assert lighter.parts[part] == 0
        assert lighter.seconds <= whole.seconds * (1 + 1e-12)
    products = whole.without("matmul")
    assert products.bubble < whole.bubble
    with pytest.raises(ValueError, match="no part 'gemm'; there are matmul"):
        whole.without("gemm")


def test_a_layer_is_priced_once() -> None:
    layer_time.cache_clear()
    for data in (1, 2, 4, 8):
        step(layout=Layout(8, pipeline=4, data=data))
    assert layer_time.cache_info().misses == 1


def test_a_layout_is_priced_far_faster_than_its_products() -> None:
    layout = Layout(8, pipeline=4, data=2)
    part = Slice(1, 2048, 8, flash_attention=True)
    arguments = (GPT_7B, part, H100, "bf16", software("", "h100-sxm"))
    step(layout=layout)
    begin = time.perf_counter()
    for _ in range(200):
        step(layout=layout)
    warm = time.perf_counter() - begin
    begin = time.perf_counter()
    for _ in range(20):
        layer_time.__wrapped__(*arguments)
    assert warm < 100 * (time.perf_counter() - begin)


@pytest.mark.parametrize(
    "name", ["v100", "a100-pcie-80gb", "l40s", "h200-sxm", "b200-sxm", "gb200"]
)
def test_every_accelerator_has_a_price(name: str) -> None:
    device = accelerator(name)
    precision = "bf16" if "bf16" in device.peaks else "fp16"
    found = step(layout=Layout(8, data=8), cluster=Cluster.of(name), precision=precision)
    assert 0.02 < found.mfu < 0.9


def test_a_precision_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="bf16"):
        step(cluster=Cluster.of("v100"), precision="bf16")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Megatron-Core 0.12", "NeMo", "NVIDIA NeMo 2.0", "MCore", "Megatron Core 0.8",
          "Megatron-LM 2024", "Megatron-LM (core 0.8)"), "megatron-core"),
        (("MosaicML llm-foundry FSDP", "Composer FSDP", "PyTorch FSDP", "pytorch fsdp2"), "fsdp"),
        (("DeepSpeed", "DeepSpeed ZeRO-3"), "deepspeed"),
        (("Megatron-LM 2021", "Megatron-LM 2019", "Megatron-DeepSpeed"), "megatron-lm-2021"),
        (("Megatron-LM 2022",), "megatron-lm-2022"),
        (("Megatron-LM", "Megatron-LM 2023"), "megatron-lm"),
        (("", "MaxText", "nemotron"), "other"),
    ],
)  # fmt: skip
def test_a_framework_is_found_by_the_words_of_its_name(names: tuple[str, ...], found: str) -> None:
    assert {family(name) for name in names} == {found}


def test_what_a_framework_lacks_is_that_of_others() -> None:
    assert software("Megatron-LM 2021", "h100-sxm").gradient_bytes == 2
    assert software("Megatron-LM 2023", "h100-sxm").gradient_bytes == 4
    assert software("PyTorch FSDP", "h100-sxm").flash < software("", "h100-sxm").flash
    assert software("something else", "mi300x") == software("", "tpu-v4")


def test_dropout_moves_masks() -> None:
    times = [
        step(flash_attention=False, framework=replace(SOFT, dropout=dropout)) for dropout in (0, 1)
    ]
    assert times[0].elementwise < 0.95 * times[1].elementwise
    assert times[0].attention < times[1].attention
    assert times[0].matmul == times[1].matmul


@pytest.mark.parametrize(
    ("device", "network"),
    [("v100", 6.25e9), ("a100-pcie-80gb", 25e9), ("a100-sxm-80gb", 25e9), ("l40s", 25e9),
     ("t4", 12.5e9), ("h100-sxm", 50e9), ("b200-sxm", 50e9)],
)  # fmt: skip
def test_a_network_is_no_faster_than_the_slot_it_goes_through(device: str, network: float) -> None:
    assert Cluster.of(device).network.bandwidth_per_direction == network
    asked = Cluster.of(device, "infiniband-xdr").network.bandwidth_per_direction
    host = link(accelerator(device).host_link or "").bandwidth_per_direction
    assert asked == min(100e9, host)


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"multiple of data x micro_batch 3 x 2") as caught:
        step(layout=Layout(data=3, micro_batch=2), global_batch=8)
    assert caught.value.field == "global_batch"


# Published rows: the mean that the model was fitted to, and the worst row it may have.
@pytest.mark.parametrize(("name", "mean", "worst"), [("training", 0.03, 0.06),
                                                     ("training_recent", 0.06, 0.12)])  # fmt: skip
def test_published_steps_are_met(name: str, mean: float, worst: float) -> None:
    found = validate(name, find_set(name))
    assert found.mape < mean
    assert max(abs(case.error) for case in found.cases) < worst


def test_every_part_but_the_absent_ones_earns_its_place() -> None:
    rows = read_rows(PUBLISHED / "training.csv", find_set("training"))
    steps = [price(row) for row in rows]
    measured = [row.number("step_s") for row in rows]

    def scaled_error(predicted: list[float]) -> float:
        """Mean absolute error once a common factor is fitted anew."""
        ratios = [m / p for m, p in zip(measured, predicted, strict=True)]
        factor = math.exp(sum(map(math.log, ratios)) / len(ratios))
        return sum(abs(factor / ratio - 1) for ratio in ratios) / len(ratios)

    whole = scaled_error([each.seconds for each in steps])
    without = {
        part: scaled_error([each.without(part).seconds for each in steps])
        for part in steps[0].parts
    }
    assert all(error >= whole for error in without.values())
    assert without["attention"] > 3 * whole
    assert without["tensor"] > 2 * whole
    flop_alone = scaled_error([each.model_flop / each.peak for each in steps])
    assert flop_alone > 5 * whole


def test_published_memory_is_met() -> None:
    found = validate("memory", find_set("memory"))
    assert found.mape < 0.001


def published(name: str, **changed: str) -> str:
    """The header and first row of a published file, with some cells changed."""
    lines = [
        line for line in (PUBLISHED / f"{name}.csv").read_text().splitlines() if line[0] != "#"
    ]
    names, cells = lines[0].split(","), lines[1].split(",")
    return lines[0] + "\n" + ",".join(changed.get(n, c) for n, c in zip(names, cells, strict=True))


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"tp": "7"}, "gpus"),
        ({"tp": "32", "dp": "1"}, "tp"),
        ({"pp": "7", "dp": "1", "gpus": "7"}, "pp"),
        ({"pp": "2", "virtual_stages": "5", "dp": "16"}, "virtual_stages"),
        ({"global_batch": "100"}, "global_batch"),
        ({"heads": "23"}, "heads"),
        ({"gpu": "H900"}, "gpu"),
        ({"hidden": "-1"}, "hidden"),
        ({"step_s": "fast"}, "step_s"),
        ({"zero": "4"}, "zero"),
        ({"recompute": "half"}, "recompute"),
        ({"layers": ""}, "layers"),
    ],
)
def test_a_wrong_row_names_row_and_column(
    tmp_path: Path, changed: dict[str, str], column: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(published("training", **changed))
    with pytest.raises(RowError, match=rf"line 2 .*column '{column}'"):
        validate("training", find_set("training"), file)


def read(tmp_path: Path, **changed: str) -> Row:
    """The first published row of ``training`` with some cells changed."""
    file = tmp_path / "rows.csv"
    file.write_text(published("training", **changed))
    return read_rows(file, find_set("training"))[0]


@pytest.mark.parametrize(
    ("changed", "flash"),
    [
        ({}, False),  # Megatron-LM of 2021
        ({"framework": "Megatron-LM 2022"}, False),
        ({"framework": "Megatron-LM 2023"}, True),
        ({"framework": "PyTorch FSDP", "gpu": "H100-SXM"}, True),
        ({"framework": ""}, True),
        ({"framework": "", "gpu": "V100-SXM"}, False),
    ],
)
def test_attention_is_fused_where_a_row_does_not_say(
    tmp_path: Path, changed: dict[str, str], flash: bool
) -> None:
    assert fused(read(tmp_path, flash_attention="", **changed)) is flash
    assert not fused(read(tmp_path, flash_attention="0", **changed))


def test_a_blank_number_of_ranks_follows_from_the_others(tmp_path: Path) -> None:
    whole = read(tmp_path)  # tp 1, pp 1, dp 32 on 32
    for blanks in ({"dp": ""}, {"gpus": ""}, {"tp": "", "pp": ""}, {"tp": "", "dp": ""}):
        row = read(tmp_path, **blanks)
        assert layout_of(row, transformer(row)) == layout_of(whole, transformer(whole))


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"dp": "", "gpus": ""}, "dp"),
        ({"dp": "", "tp": "3"}, "gpus"),
        ({"tp": "", "dp": "8"}, "gpus"),
    ],
)
def test_ranks_that_do_not_multiply_are_refused(
    tmp_path: Path, changed: dict[str, str], column: str
) -> None:
    row = read(tmp_path, **changed)
    with pytest.raises(RowError, match=f"column '{column}'"):
        layout_of(row, transformer(row))


def test_memory_rows_count_sharding_and_fused_attention(tmp_path: Path) -> None:
    header, row = published("memory").splitlines()
    found = []
    for names, cells in (("", ""), (",dp,zero", ",64,3"), (",flash_attention", ",1")):
        file = tmp_path / "rows.csv"
        file.write_text(f"{header}{names}\n{row}{cells}")
        found.append(validate("memory", find_set("memory"), file).cases[0].predicted)
    whole, sharded, flash = found
    assert whole - sharded == pytest.approx(45.5625 * 63 / 64, rel=1e-3)  # GiB of state
    assert whole - flash == pytest.approx(60 - 60 / 3.5, rel=0.5)


def test_a_stage_that_does_not_divide_names_its_column(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(published("memory", pp="7"))
    with pytest.raises(RowError, match=r"line 2 .*column 'pp'"):
        validate("memory", find_set("memory"), file)


def test_blanks_and_unknown_frameworks_take_a_default(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    blanks = dict.fromkeys(
        ("framework", "virtual_stages", "micro_batch", "zero", "recompute", "sequence_parallel"), ""
    )
    file.write_text(published("training", **blanks))
    assert validate("training", find_set("training"), file).cases[0].predicted > 0
    file.write_text(published("training", framework="Somebody's fork 3"))
    assert validate("training", find_set("training"), file).mape < 0.3
    file.write_text(published("training", gpu="V100-SXM"))  # no bf16: priced in fp16
    assert validate("training", find_set("training"), file).cases[0].predicted > 3.528


def test_default_interleaving_has_one_layer_in_a_chunk() -> None:
    assert virtual_stages(GPT3, 8) == 12
    assert virtual_stages(GPT3, 1) == 1


def test_default_micro_batch_is_the_most_up_to_four_that_fits(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    sizes = []
    for changed in ({}, {"seq_len": "32768"}, {"global_batch": "64"}, {"pp": "2", "dp": "16"}):
        blank = {"micro_batch": "", "recompute": "full", "virtual_stages": "1"}
        file.write_text(published("training", **blank, **changed))
        row = read_rows(file, find_set("training"))[0]
        sizes.append(layout_of(row, transformer(row)).micro_batch)
    assert sizes == [4, 1, 2, 1]


def test_recomputation_that_stops_early_leaves_out_the_last_product() -> None:
    # Of 24 s h^2 FLOP of a layer's products the last has 8.
    whole = step(layout=Layout(recompute="full"))
    early = step(layout=Layout(recompute="full"), framework=replace(SOFT, early_stop=1))
    assert (whole.recompute - early.recompute) / (whole.matmul / 3) == pytest.approx(1 / 3, rel=0.1)
