"""The memory ledger: ZeRO's and Korthikanti's cases by hand, and what must hold for any layout."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.model.layout import Layout, LayoutError
from aiinfra.model.memory import MEGATRON, ZERO, memory_ledger, state
from aiinfra.model.transformer import Transformer
from aiinfra.units import GIB

GPT_22B = Transformer(6144, 48, 64, 64, 4 * 6144, False, 51200, tied_embeddings=True)
GPT_530B = Transformer(20480, 105, 128, 128, 4 * 20480, False, 51200, tied_embeddings=True)
MIXTRAL = Transformer(4096, 32, 32, 8, 14336, True, 32000, experts=8, active_experts=2)


@pytest.mark.parametrize(("zero", "gigabytes"), [(0, 120), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_zero_shards_7_5_billion_parameters_over_64_ranks(zero: int, gigabytes: float) -> None:
    # Figure 1 of the paper: 16 B a parameter; fp16 weights, fp16 gradients, 12 B of optimizer.
    assert state(7.5e9, 64, zero, ZERO).total / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_the_ledger_shards_what_the_stage_says() -> None:
    whole = memory_ledger(GPT_22B, Layout(data=64), 2048)
    sharded = [memory_ledger(GPT_22B, Layout(data=64, zero=zero), 2048) for zero in (1, 2, 3)]
    assert whole.weights + whole.gradients + whole.optimizer == pytest.approx(
        18 * 48 * 12 * 6144**2
    )
    for ledger, parts in zip(sharded, (1, 2, 3), strict=True):
        names = ("optimizer", "gradients", "weights")
        for i, name in enumerate(names):
            share = 64 if i < parts else 1
            assert getattr(ledger, name) == pytest.approx(getattr(whole, name) / share)
    assert sharded[0].activations == whole.activations


def test_a_layer_keeps_34_bytes_and_the_scores() -> None:
    # s b h (34 + 5 a s / h), one rank: 2048 * 4 * 6144 * 34, and 5 * 64 * 2048^2 * 4.
    ledger = memory_ledger(GPT_22B, Layout(micro_batch=4), 2048)
    assert ledger.activations == pytest.approx(48 * 34 * 2048 * 4 * 6144)
    assert ledger.attention_core == pytest.approx(48 * 5 * 64 * 2048**2 * 4)


def test_without_dropout_a_layer_keeps_no_masks() -> None:
    # s b h (32 + 2 a s / h): no masks of hidden states, of scores, or dropped scores.
    ledger = memory_ledger(GPT_22B, Layout(micro_batch=4), 2048, dropout=False)
    assert ledger.activations == pytest.approx(48 * 32 * 2048 * 4 * 6144)
    assert ledger.attention_core == pytest.approx(48 * 2 * 64 * 2048**2 * 4)
    assert ledger.input == 0


def test_stage_two_holds_the_gradients_of_two_interleaved_chunks() -> None:
    plain, chunks = (
        memory_ledger(GPT_22B, Layout(pipeline=4, virtual_stages=v, data=8, zero=2), 2048).working
        for v in (1, 3)
    )
    assert plain == 0
    assert chunks == pytest.approx(2 * 4 * 4 * 12 * 6144**2)  # chunks, layers, bytes, parameters


def test_tensor_parallel_leaves_ten_of_the_34_whole() -> None:
    ledger = memory_ledger(GPT_22B, Layout(tensor=8, micro_batch=4), 2048)
    assert ledger.activations == pytest.approx(48 * (10 + 24 / 8) * 2048 * 4 * 6144)
    split = memory_ledger(GPT_22B, Layout(tensor=8, micro_batch=4, sequence_parallel=True), 2048)
    assert split.activations == pytest.approx(48 * 34 / 8 * 2048 * 4 * 6144)


def test_the_530b_without_recomputation_needs_114_gib_of_activations() -> None:
    # Korthikanti et al., figure 1: 3 chunks of a layer, 1 + 34 / 105 times all 105 layers.
    layout = Layout(8, pipeline=35, virtual_stages=3)
    ledger = memory_ledger(GPT_530B, layout, 2048)
    assert (ledger.activations + ledger.attention_core) / GIB == pytest.approx(114.02, abs=0.01)
    both = replace(layout, recompute="selective", sequence_parallel=True)
    assert memory_ledger(GPT_530B, both, 2048).activations / GIB == pytest.approx(23.08, abs=0.01)


def test_full_recomputation_keeps_a_layers_input_and_works_on_one() -> None:
    ledger = memory_ledger(GPT_22B, Layout(8, micro_batch=4, recompute="full"), 2048)
    assert ledger.activations == pytest.approx(48 * 2 * 2048 * 4 * 6144)
    assert ledger.attention_core == 0
    whole = memory_ledger(GPT_22B, Layout(8, micro_batch=4), 2048)
    assert ledger.working == pytest.approx((whole.activations + whole.attention_core) / 48)


def test_the_embedding_and_the_logits_are_in_the_ledger() -> None:
    # 51200 x 6144 on 8 ranks at 18 B; fp32 logits of 8192 tokens, inputs of norm and output layer.
    ledger = memory_ledger(GPT_22B, Layout(8, micro_batch=4), 2048)
    assert ledger.embedding == pytest.approx(18 * 51200 * 6144 / 8)
    assert ledger.logits == pytest.approx(8192 * (4 * 6144 + 4 * 51200 / 8))
    assert memory_ledger(GPT_22B, Layout(8, 2, micro_batch=4), 2048).logits == 0


def test_untied_tables_share_a_device_only_without_a_pipeline() -> None:
    untied = replace(GPT_22B, tied_embeddings=False)
    table = 18 * 51200 * 6144
    assert memory_ledger(untied, Layout(), 2048).embedding == pytest.approx(2 * table)
    assert memory_ledger(untied, Layout(pipeline=2), 2048).embedding == pytest.approx(table)


def test_flash_attention_keeps_no_scores() -> None:
    plain = memory_ledger(GPT_22B, Layout(), 8192)
    flash = memory_ledger(GPT_22B, Layout(), 8192, flash_attention=True)
    assert flash.attention_core < plain.attention_core / 1000
    assert flash.activations == plain.activations


def test_few_micro_batches_do_not_fill_the_pipeline() -> None:
    layout = Layout(8, pipeline=6)
    full = memory_ledger(GPT_22B, layout, 2048, global_batch=64)
    few = memory_ledger(GPT_22B, layout, 2048, global_batch=3)
    assert few.activations == pytest.approx(full.activations / 2)


def test_experts_spread_over_the_data_ranks() -> None:
    together = memory_ledger(MIXTRAL, Layout(data=8), 4096, flash_attention=True)
    spread = memory_ledger(MIXTRAL, Layout(data=8, expert=8), 4096, flash_attention=True)
    experts = 2 * 32 * 8 * 3 * 4096 * 14336
    assert together.weights - spread.weights == pytest.approx(experts * 7 / 8)
    sharded = memory_ledger(MIXTRAL, Layout(data=8, zero=1, expert=8), 4096, flash_attention=True)
    attention = 32 * (MIXTRAL.layer_parameters - 8 * MIXTRAL.expert_parameters)
    own = 32 * MIXTRAL.expert_parameters  # one expert a rank, and nobody to share it with
    assert sharded.optimizer == pytest.approx(12 * (attention / 8 + own))


def test_stage_three_holds_two_gathered_layers() -> None:
    ledger = memory_ledger(GPT_22B, Layout(data=8, zero=3), 2048)
    assert ledger.working == pytest.approx(2 * 2 * 12 * 6144**2)


layouts = st.builds(
    Layout,
    tensor=st.sampled_from([1, 2, 4, 8]),
    pipeline=st.sampled_from([2, 4, 8]),
    virtual_stages=st.sampled_from([1, 2, 3]),
    data=st.sampled_from([1, 2, 16]),
    zero=st.sampled_from([0, 1, 2, 3]),
    micro_batch=st.integers(1, 4),
    recompute=st.sampled_from(["none", "selective", "full"]),
    sequence_parallel=st.booleans(),
    context=st.sampled_from([1, 2, 4]),
)


@given(layout=layouts)
def test_parts_sum_and_more_splitting_never_costs_memory(layout: Layout) -> None:
    ledger = memory_ledger(GPT_22B, layout, 2048)
    assert sum(ledger.parts.values()) == pytest.approx(ledger.total)
    assert min(ledger.parts.values()) >= 0
    assert (
        memory_ledger(GPT_22B, replace(layout, tensor=2 * layout.tensor), 2048).total < ledger.total
    )
    longer = memory_ledger(GPT_22B, layout, 4096)
    assert longer.total > ledger.total
    assert longer.state == ledger.state


def test_megatron_keeps_gradients_in_fp32() -> None:
    assert state(1, recipe=MEGATRON).total == 18
    assert state(1, recipe=ZERO).total == 16


@pytest.mark.parametrize(
    ("layout", "field", "words"),
    [
        (Layout(tensor=7), "tensor", "must divide heads 64"),
        (Layout(pipeline=5), "pipeline", "48 layers do not divide"),
        (Layout(pipeline=8, virtual_stages=4), "virtual_stages", "48 layers do not divide"),
        (Layout(context=3), "context", "must divide sequence 2048"),
        (Layout(virtual_stages=2), "virtual_stages", "more than one pipeline stage"),
    ],
)
def test_what_does_not_divide_names_the_number_to_change(
    layout: Layout, field: str, words: str
) -> None:
    with pytest.raises(LayoutError, match=words) as caught:
        memory_ledger(GPT_22B, layout, 2048)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"tensor": 0}, "tensor"),
        ({"zero": 4}, "zero"),
        ({"recompute": "some"}, "recompute"),
        ({"data": 4, "expert": 3}, "expert"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(LayoutError) as caught:
        Layout(**wrong)  # type: ignore[arg-type]
    assert caught.value.field == field
