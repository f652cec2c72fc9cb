"""Reading a prompt is arithmetic, writing tokens is traffic, and every part adds up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiinfra.facts.catalogue import accelerator
from aiinfra.model.engine import engine
from aiinfra.model.formats import FORMATS, NAMES, number_format
from aiinfra.model.forward import experts_touched, layer_traffic
from aiinfra.model.gemm import gemm_time
from aiinfra.model.inference import (
    Deployment,
    attention_rate,
    decode_step,
    kernels,
    kv_bytes,
    largest_batch,
    mean_step,
    prefill,
    static_batch,
    weight_bytes,
)
from aiinfra.model.transformer import Transformer
from aiinfra.model.validate import RowError, find_set, validate

LLAMA_7B = Transformer(4096, 32, 32, 32, 11008, True, 32000, name="Llama-2-7B")
LLAMA_70B = Transformer(8192, 80, 64, 8, 28672, True, 32000, name="Llama-2-70B")
MIXTRAL = Transformer(
    4096, 32, 32, 8, 14336, True, 32000, experts=8, active_experts=2, name="Mixtral 8x7B"
)
A100 = Deployment.of("a100-sxm-80gb")
H100 = Deployment.of("h100-sxm")
EARLY = "lmdeploy 0.1"
DEVICES = ("v100-sxm-32gb", "a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200-sxm", "l40s")


# Keys and values, weights, capacity


def test_kv_cache_of_llama_2_7b_at_4096_tokens_is_2_gib():
    # 2 (keys, values) x 32 layers x 32 heads x 128 x 2 B = 512 KiB a token
    assert kv_bytes(LLAMA_7B, A100) == 512 * 2**10
    assert kv_bytes(LLAMA_7B, A100, batch=1, context=4096) == 2 * 2**30


def test_grouped_queries_shrink_the_cache_by_the_group():
    ungrouped = replace(LLAMA_70B, kv_heads=64)
    assert kv_bytes(ungrouped, A100) == 8 * kv_bytes(LLAMA_70B, A100)


def test_ranks_beyond_the_kv_heads_each_keep_a_whole_head():
    per_rank = [kv_bytes(LLAMA_70B, replace(H100, tensor=n)) for n in (1, 4, 8, 16)]
    assert per_rank[0] == 4 * per_rank[1] == 8 * per_rank[2] == 8 * per_rank[3]


def test_weights_of_llama_2_7b_by_hand():
    # 32 x (4 x 4096**2 + 3 x 4096 x 11008) + 2 x 32000 x 4096 parameters of 2 B
    assert weight_bytes(LLAMA_7B, A100) == 2 * (32 * 202_375_168 + 262_144_000)
    four_bits = weight_bytes(LLAMA_7B, replace(A100, precision="awq"))
    assert 0.27 < four_bits / weight_bytes(LLAMA_7B, A100) < 0.32


def test_largest_batch_fills_the_memory_and_not_more():
    batch = largest_batch(LLAMA_7B, A100, context=4096)
    # 0.9 x 80 GiB less 12.55 GiB of weights, at 2 GiB a sequence
    assert batch == 29
    used = weight_bytes(LLAMA_7B, A100) + kv_bytes(LLAMA_7B, A100, batch, 4096)
    assert used <= 0.9 * A100.device.memory_bytes < used + kv_bytes(LLAMA_7B, A100, 1, 4096)


def test_a_model_that_does_not_fit_has_no_batch():
    assert largest_batch(LLAMA_70B, A100, context=128) == 0
    assert largest_batch(LLAMA_70B, replace(A100, tensor=4), context=128) > 0


# What bounds each pass


@pytest.mark.parametrize("device", DEVICES)
def test_decode_of_one_sequence_is_bandwidth_bound(device):
    time = decode_step(LLAMA_7B, Deployment.of(device), batch=1, context=1024)
    assert time.bound == "memory"
    assert time.weights > 0.5 * time.seconds


@pytest.mark.parametrize("device", DEVICES)
def test_prefill_of_a_long_prompt_is_compute_bound(device):
    assert prefill(LLAMA_7B, Deployment.of(device), prompt=4096).bound == "compute"


def test_decode_streams_weights_no_faster_than_the_memory():
    for model, on in ((LLAMA_7B, A100), (LLAMA_7B, H100), (LLAMA_70B, replace(H100, tensor=8))):
        layers = 2.0 * model.layers * model.layer_parameters / on.tensor
        assert decode_step(model, on, 1, 0).seconds > layers / on.device.memory_bandwidth


def test_prefill_computes_no_faster_than_the_peak():
    flop = 2.0 * 4096 * LLAMA_7B.layers * LLAMA_7B.layer_parameters
    assert prefill(LLAMA_7B, H100, 4096).seconds > flop / H100.device.peaks["fp16"]


def test_a_long_context_turns_decode_from_weights_to_cache():
    short = decode_step(LLAMA_7B, A100, 16, 128)
    long = decode_step(LLAMA_7B, A100, 16, 8192)
    assert short.weights > short.cache
    assert long.cache > 2 * long.weights


def test_cache_time_by_hand():
    # 512 KiB a token at most at the memory's 2.039 TB/s
    least = 16 * 1024 * 512 * 2**10 / 2.039e12
    assert least < decode_step(LLAMA_7B, A100, 16, 1024).cache < 1.3 * least


def test_activations_of_a_layer_by_hand():
    # 2 B x (8 x 4096 + 2 x 3 x 4096 + 3 x 11008)
    assert layer_traffic(LLAMA_7B) == 2 * (32768 + 24576 + 33024)


def test_attention_of_a_prompt_by_hand():
    # each of 1000 queries sees 500.5 keys on average: 4 x 1000 x 500.5 x 4096 FLOP in 32 layers
    flop = 32 * 4 * 1000 * 500.5 * 4096
    rate = 0.6 * 312e12 * 1000 / (1000 + 300)
    assert prefill(LLAMA_7B, A100, 1000).attention == pytest.approx(flop / rate)


def test_attention_reaches_more_of_a_hopper_where_its_kernels_are_made_for_it():
    old, new = (replace(H100, engine_name=name) for name in ("vLLM 0.6.3", "vLLM 0.8.5"))
    assert attention_rate(old, 8192) < 0.4 * 989e12 < attention_rate(new, 8192) < 0.6 * 989e12
    # Ampere runs the same kernels under both.
    ampere = [replace(A100, engine_name=name) for name in ("vLLM 0.6.3", "vLLM 0.8.5")]
    assert attention_rate(ampere[0], 8192) == attention_rate(ampere[1], 8192)


def test_kernels_of_a_layer_by_hand():
    assert kernels(H100) == 12
    assert kernels(replace(H100, tensor=2)) == 14  # two all-reduces
    assert kernels(replace(H100, tensor=2, precision="fp8")) == 18  # four inputs are quantised
    assert kernels(replace(H100, precision="w4a16")) == 12


def test_a_short_prefill_waits_for_the_host_and_a_long_one_does_not():
    # 32 layers x 16 kernels x 12.5 us = 6.4 ms, longer than the device takes for 128 tokens in fp8.
    fast = replace(H100, precision="fp8")
    short, long = (prefill(LLAMA_7B, fast, n) for n in (16, 4096))
    floor = 32 * 16 * engine().launch
    assert short.seconds == pytest.approx(floor + engine().step)
    assert short.bound == "overhead"
    assert long.host == pytest.approx(engine().step)
    # On an A100 in 16 bits the device is the slower one, as the published rows have it.
    assert prefill(LLAMA_7B, A100, 128).host == pytest.approx(engine().step)


def test_ranks_beyond_a_node_pay_the_network():
    large = replace(LLAMA_70B, heads=128, kv_heads=16, hidden=16384, head_size=128)
    eight, sixteen = (decode_step(large, replace(H100, tensor=n), 8, 512) for n in (8, 16))
    assert sixteen.collectives > 2 * eight.collectives
    rack = Deployment.of("gb200", 16)
    assert decode_step(large, rack, 8, 512).collectives < sixteen.collectives / 2


def test_the_host_pays_for_every_sequence():
    one, many = (decode_step(LLAMA_7B, A100, n, 128).host for n in (1, 64))
    assert many - one == pytest.approx(63 * engine().sequence)


def test_the_first_token_needs_logits():
    wide = replace(LLAMA_7B, vocab=1_000_000)
    assert prefill(wide, A100, 128).seconds > 1.2 * prefill(LLAMA_7B, A100, 128).seconds


def test_engines_that_stall_lose_a_share_of_the_batch():
    on = replace(A100, engine_name=EARLY)
    batch = static_batch(LLAMA_7B, on, 4, 128, 11)
    work = batch.prefill.seconds + batch.decode.seconds
    assert batch.parts["stall"] == pytest.approx(engine(EARLY).stall * work)
    assert batch.seconds > 1.01 * work


# Properties


def parts_of(time):
    return sum(time.parts.values())


def test_parts_sum_to_the_whole():
    on = replace(H100, tensor=4)
    for time in (
        prefill(LLAMA_70B, on, 777, 3),
        decode_step(LLAMA_70B, on, 5, 999.5),
        static_batch(LLAMA_70B, on, 5, 100, 50),
        static_batch(LLAMA_70B, replace(on, engine_name=EARLY), 5, 100, 50),
    ):
        assert parts_of(time) == pytest.approx(time.seconds, rel=1e-12)
        assert all(part >= 0 for part in time.parts.values())


@pytest.mark.parametrize("name", ["", EARLY, "vLLM 0.6.3", "TensorRT-LLM 0.9"])
def test_more_sequences_and_longer_contexts_never_take_less_time(name):
    on = replace(A100, engine_name=name, tensor=4)
    batches = [decode_step(LLAMA_70B, on, n, 1024).seconds for n in (1, 4, 16, 64, 256)]
    assert batches == sorted(batches)
    contexts = [decode_step(LLAMA_70B, on, 8, n).seconds for n in (0, 128, 1024, 8192)]
    assert contexts == sorted(contexts)
    prompts = [prefill(LLAMA_70B, on, n).seconds for n in (128, 512, 2048, 8192)]
    assert prompts == sorted(prompts)


def test_a_bigger_batch_yields_more_tokens_a_second():
    rates = [static_batch(LLAMA_7B, A100, n, 128, 128).tokens_per_second for n in (1, 8, 64)]
    assert rates[0] * 4 < rates[1]
    assert rates[1] * 2 < rates[2]


def test_one_rank_communicates_nothing():
    assert prefill(LLAMA_7B, A100, 512).collectives == 0
    assert decode_step(LLAMA_7B, A100, 8, 512).collectives == 0
    assert decode_step(LLAMA_7B, replace(A100, tensor=2), 8, 512).collectives > 0


def test_tensor_parallel_ranks_divide_the_weights_and_pay_in_collectives():
    one, four = (decode_step(LLAMA_70B, replace(H100, tensor=n), 1, 128) for n in (1, 4))
    assert 3 < one.weights / four.weights <= 4.01
    assert one.seconds / four.seconds < 4


def test_more_bandwidth_means_faster_decode():
    times = [decode_step(LLAMA_7B, Deployment.of(name), 1, 128).seconds for name in DEVICES[:5]]
    assert times == sorted(times, reverse=True)


def test_the_mean_step_is_the_mean_over_the_output():
    steps = [decode_step(LLAMA_7B, A100, 16, 128 + i + 0.5).seconds for i in range(64)]
    mean = mean_step(LLAMA_7B, A100, 16, 128, 64).seconds
    assert mean == pytest.approx(sum(steps) / 64, rel=1e-6)


def test_a_batch_is_its_prefill_and_all_further_steps():
    batch = static_batch(LLAMA_7B, A100, 4, 128, 11)
    step = mean_step(LLAMA_7B, A100, 4, 128, 11).seconds
    assert batch.seconds == pytest.approx(prefill(LLAMA_7B, A100, 128, 4).seconds + 10 * step)
    assert batch.tokens_per_second == 44 / batch.seconds
    alone = static_batch(LLAMA_7B, A100, 4, 128, 1)
    assert alone.decode.seconds == 0


# Number formats


def test_narrow_weights_speed_up_decode_by_less_than_their_bytes():
    half, eight, four = (
        decode_step(LLAMA_7B, replace(A100, precision=name), 1, 128).weights
        for name in ("fp16", "w8a16", "w4a16")
    )
    assert 1.3 < half / eight < 2
    assert 1.7 < half / four < 3.8


def test_weight_only_formats_do_not_speed_up_a_long_prefill():
    half, four, eight = (
        prefill(LLAMA_7B, replace(H100, precision=name), 4096).matmul
        for name in ("fp16", "w4a16", "fp8")
    )
    assert 0.98 < four / half < 1.03
    assert eight < 0.75 * half


@pytest.mark.parametrize("device", ["a100-sxm-80gb", "h100-sxm", "l40s"])
@pytest.mark.parametrize("tokens", [1, 16, 64, 128, 129, 512, 4096])
def test_narrow_weights_save_traffic_and_no_arithmetic(device, tokens):
    shape = tokens, 12288, 4096, "fp16", accelerator(device)
    wide, narrow = gemm_time(*shape), gemm_time(*shape, weights=0.52)
    assert narrow.memory < wide.memory
    if wide.bound == "compute":
        assert narrow.compute == wide.compute
    assert narrow.seconds <= 1.01 * wide.seconds
    assert wide.seconds < 4 * narrow.seconds


def test_fp8_on_a_device_without_it_only_narrows_the_weights():
    found = number_format("fp8", accelerator("a100-sxm-80gb"))
    assert (found.compute, found.weight_bytes, found.weight_only) == ("fp16", 1.0, True)
    with pytest.raises(ValueError, match="does not compute in fp8; it has fp64"):
        number_format("fp8", accelerator("a100-sxm-80gb"), widen=False)
    # Weight-only formats run wherever there are 16 bits.
    assert number_format("int4", accelerator("v100-sxm-32gb"), widen=False).compute == "fp16"


@pytest.mark.parametrize(
    ("text", "compute", "weight", "cache"),
    [
        ("fp16", "fp16", 2, 2),
        ("Half", "fp16", 2, 2),
        ("bfloat16", "bf16", 2, 2),
        ("FP8", "fp8", 1, 2),
        ("fp8-kv8", "fp8", 1, 1),
        ("fp8 kv fp8", "fp8", 1, 1),
        ("w8a8", "int8", 1, 2),
        ("int8", "int8", 1, 2),
        ("W8A16", "fp16", 1, 2),
        ("awq", "fp16", 0.5195, 2),
        ("int4", "fp16", 0.5195, 2),
        ("w4a16kv8", "fp16", 0.5195, 1),
        ("w4a16_kv4", "fp16", 0.5195, 0.5),
        ("auto", "fp16", 2, 2),
        ("torch.bfloat16", "bf16", 2, 2),
        ("TF32", "tf32", 4, 2),
        ("fp8_e4m3", "fp8", 1, 2),
        ("fp8_e5m2", "fp8", 1, 2),
        ("fp8_e4m3fn", "fp8", 1, 2),
        ("float8_e4m3fn", "fp8", 1, 2),
        ("float8_e5m2", "fp8", 1, 2),
        ("fp8_block", "fp8", 1, 2),
        ("fp8_static", "fp8", 1, 2),
        ("fp8_ootb", "fp8", 1, 2),
        ("w8a8_sq", "int8", 1, 2),
        ("sq", "int8", 1, 2),
        ("int8_wo", "fp16", 1, 2),
        ("int4_wo", "fp16", 0.5195, 2),
        ("w4a16_awq", "fp16", 0.5195, 2),
        ("W4A16-AWQ", "fp16", 0.5195, 2),
        ("gptq", "fp16", 0.5195, 2),
        ("gptq-int4", "fp16", 0.5195, 2),
        ("w4a8_awq", "fp8", 0.5195, 2),
        ("nvfp4", "fp16", 0.5625, 2),
        ("mxfp4", "fp16", 0.53125, 2),
        ("fp16-int8kv", "fp16", 2, 1),
        ("fp8_kvfp8", "fp8", 1, 1),
        ("fp8-kv-fp8", "fp8", 1, 1),
    ],
)
def test_precisions_are_read_as_engines_write_them(text, compute, weight, cache):
    found = number_format(text, accelerator("h100-sxm"))
    assert (found.compute, found.cache_bytes) == (compute, cache)
    assert found.weight_bytes == pytest.approx(weight, abs=1e-3)


def test_unknown_precisions_are_refused_with_those_there_are():
    with pytest.raises(ValueError, match="unknown precision 'fp17'; write one of auto, fp16, bf16"):
        number_format("fp17", accelerator("h100-sxm"))
    with pytest.raises(ValueError, match="does not compute in bf16; it has fp64, fp32, fp16"):
        number_format("bf16", accelerator("v100-sxm-32gb"))


def test_every_spelling_means_one_format():
    assert set(NAMES.values()) == set(FORMATS)
    assert len(NAMES) > 60


# Engines


def test_engines_are_found_by_name_and_version():
    assert engine("lmdeploy 0.1") == engine("LMDeploy 0.1.0") != engine("lmdeploy")
    assert engine("lmdeploy 0.10") == engine("lmdeploy 0.6") == engine("lmdeploy") != engine()
    assert engine("unheard-of 3") == engine("lmdeployer") == engine()
    assert engine("vLLM") == engine("vllm 0.10.2") == engine("vLLM v1") != engine()
    assert engine("vllm 0.6.3") == engine("vLLM-0.7") != engine("vllm")  # FlashAttention-2
    for name in ("TRT-LLM 0.9", "TensorRT-LLM", "tensorrt_llm 0.12", "TensorRT LLM"):
        assert engine(name).fp8_cache == 1
    assert engine("TurboMind") == engine("lmdeploy")


def test_an_engine_keeps_fp8_caches_only_where_the_row_does_not_say():
    on = replace(H100, engine_name="TensorRT-LLM", precision="fp8")
    assert on.format.cache_bytes == 1
    assert replace(on, precision="fp8-kv16").format.cache_bytes == 2
    assert replace(on, precision="fp16").format.cache_bytes == 2


def test_readers_of_one_head_cost_only_where_the_engine_does_not_group_them():
    on = replace(A100, tensor=4)
    early = replace(on, engine_name=EARLY)
    grouped, single = (decode_step(LLAMA_70B, d, 16, 2048).cache for d in (on, early))
    assert 1.5 < single / grouped < 8
    own = replace(A100, engine_name=EARLY)
    grouped, single = (decode_step(LLAMA_7B, d, 16, 2048).cache for d in (A100, own))
    assert single == grouped


def test_one_sequence_does_not_fill_a_device_with_a_block_a_head():
    on = replace(A100, tensor=4, engine_name=EARLY)
    one, four = (decode_step(LLAMA_70B, on, n, 2048).cache for n in (1, 4))
    assert four < 1.2 * one


# Mixture of experts


def test_one_token_reads_only_its_experts_and_many_read_all():
    def read(tokens):
        return {g.name: (g.m, g.count) for g in experts_touched(MIXTRAL, tokens, H100)}

    assert read(1)["feed-forward up"] == (1, 2)
    assert read(1)["query, key, value"] == (1, 1)
    assert read(64)["feed-forward up"] == (16, 8)


def test_a_mixture_decodes_one_sequence_as_fast_as_its_active_weights():
    dense = replace(MIXTRAL, experts=1, active_experts=1, ffn=2 * MIXTRAL.ffn)
    ratio = decode_step(MIXTRAL, H100, 1, 128).seconds / decode_step(dense, H100, 1, 128).seconds
    assert 0.9 < ratio < 1.15
    many = decode_step(MIXTRAL, H100, 32, 128).seconds / decode_step(dense, H100, 32, 128).seconds
    assert many > 2


# Bad input


def test_what_cannot_be_priced_is_refused():
    with pytest.raises(ValueError, match="tensor parallel degree 3 must divide heads"):
        decode_step(LLAMA_7B, replace(A100, tensor=3), 1, 128)
    with pytest.raises(ValueError, match="batch must be at least 1"):
        decode_step(LLAMA_7B, A100, 0, 128)
    with pytest.raises(ValueError, match="batch and prompt must be at least 1, got 1 and 0"):
        prefill(LLAMA_7B, A100, 0)


# Published rows


@pytest.mark.parametrize(("name", "tolerance"), [("decode", 5), ("prefill", 4), ("throughput", 7)])
def test_published_rows_are_met(name, tolerance):
    assert 100 * validate(name, find_set(name)).mape < tolerance


HEADER = (
    "gpu,engine,precision,hidden,layers,heads,kv_heads,ffn,vocab,tp,prompt_tokens,output_tokens"
)
GOOD = {
    "gpu": "H200-SXM", "engine": "SGLang 0.4", "precision": "fp8", "hidden": "8192",
    "layers": "80", "heads": "64", "kv_heads": "8", "ffn": "28672", "vocab": "128256", "tp": "8",
    "prompt_tokens": "1024", "output_tokens": "256",
}  # fmt: skip
MEASURED = {
    "decode": "tpot_ms", "prefill": "ttft_ms", "throughput": "output_tokens_per_s_per_gpu",
}  # fmt: skip


def priced(name, tmp_path, **changes):
    row = {**GOOD, **changes, MEASURED[name]: "10"}
    path = tmp_path / "rows.csv"
    path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    return validate(name, find_set(name), path).cases[0].predicted


@pytest.mark.parametrize("name", MEASURED)
def test_rows_of_other_devices_engines_and_formats_are_priced(name, tmp_path):
    for gpu, precision in (
        ("V100-SXM", "fp16"), ("A100-PCIe", "w4a16"), ("H100-SXM-80GB", "bf16"), ("L40S", "fp8"),
        ("B200-SXM", "nvfp4"), ("B200-SXM", "fp8"), ("A100-SXM", "int8"), ("mi300x", "fp8"),
    ):  # fmt: skip
        assert priced(name, tmp_path, gpu=gpu, precision=precision) > 0
    blank = dict.fromkeys(("engine", "precision", "kv_heads", "tp"), "")
    assert priced(name, tmp_path, **blank) > 0


@pytest.mark.parametrize("name", MEASURED)
def test_a_rows_batch_counts(name, tmp_path):
    ratio = priced(name, tmp_path, batch="64") / priced(name, tmp_path, batch="1")
    assert ratio > 1.2


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tp": "3"}, "column 'tp': tensor parallel degree 3 must divide heads 64"),
        ({"precision": "fp17"}, "column 'precision': unknown precision 'fp17'; write one of"),
        ({"precision": "bf16", "gpu": "V100-SXM"}, "column 'precision': .* does not compute in"),
        ({"kv_heads": "7"}, "column 'kv_heads': 7 must divide heads 64"),
        ({"hidden": "8191"}, "column 'heads': 64 must divide hidden 8191"),
        ({"gpu": "H1000"}, "column 'gpu': no accelerator 'H1000'"),
        ({"layers": "-80"}, "column 'layers'"),
        ({"vocab": ""}, "column 'vocab': is blank"),
    ],
)
def test_rows_that_cannot_be_priced_name_row_and_column(name, changes, told, tmp_path):
    with pytest.raises(RowError, match=rf"line 2 .*{told}"):
        priced(name, tmp_path, **changes)
