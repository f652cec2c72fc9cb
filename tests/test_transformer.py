"""A transformer's parameters, products and cache, by hand and against published models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.model.transformer import Transformer

GPT3 = Transformer(12288, 96, 96, 96, 4 * 12288, False, 50257, tied_embeddings=True)
LLAMA_405B = Transformer(16384, 126, 128, 8, 53248, True, 128256)
MIXTRAL = Transformer(4096, 32, 32, 8, 14336, True, 32000, experts=8, active_experts=2)


@pytest.mark.parametrize(
    ("model", "published"),
    [(GPT3, 175e9), (LLAMA_405B, 405e9), (MIXTRAL, 46.7e9)],
    ids=["GPT-3", "Llama 3.1 405B", "Mixtral 8x7B"],
)
def test_parameters_match_the_published_count(model, published):
    assert model.parameters == pytest.approx(published, rel=0.005)


def test_a_token_of_mixtral_passes_two_of_eight_experts():
    assert MIXTRAL.active_parameters == pytest.approx(12.9e9, rel=0.005)


def test_one_layer_by_hand():
    tiny = Transformer(hidden=8, layers=3, heads=4, kv_heads=2, ffn=16, gated_ffn=True, vocab=10)
    assert tiny.attention_parameters == 8 * 8 + 2 * 8 * 4 + 8 * 8
    assert tiny.expert_parameters == 3 * 8 * 16
    assert tiny.parameters == 3 * (192 + 384) + 2 * 10 * 8


def test_grouped_queries_shrink_the_cache_by_heads_over_kv_heads():
    grouped, full = (Transformer(8192, 80, 64, kv, 28672, True, 32000) for kv in (8, 64))
    assert full.kv_bytes_per_token() == 8 * grouped.kv_bytes_per_token()
    assert grouped.kv_bytes_per_token(1) * 2 == grouped.kv_bytes_per_token()


@given(tokens=st.integers(1, 4096), tensor=st.sampled_from([1, 2, 4, 8]))
def test_ranks_share_the_flop_of_a_layer(tokens, tensor):
    model = Transformer(1024, 4, 16, 8, 4096, True, 1000)
    whole = sum(gemm.flop for gemm in model.layer_gemms(tokens))
    shared = sum(gemm.flop for gemm in model.layer_gemms(tokens, tensor))
    assert whole == 2 * tokens * model.layer_parameters
    assert shared * tensor == whole


def test_more_ranks_than_kv_heads_keep_a_whole_head_each():
    model = Transformer(1024, 1, 16, 2, 4096, False, 1000)
    first = model.layer_gemms(1, tensor=8)[0]
    assert first.n == 2 * 64 + 2 * 64


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"heads": 3}, "kv_heads must divide heads"),
        ({"heads": 12, "kv_heads": 4}, "heads must divide hidden"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"active_experts": 2}, "active_experts must lie between 1 and 1"),
    ],
)
def test_shapes_that_cannot_be_built_say_why(change, told):
    shape = dict(hidden=64, layers=1, heads=4, kv_heads=4, ffn=64, gated_ffn=False, vocab=9)
    if change.get("heads") == 3:
        shape["kv_heads"] = 2
    with pytest.raises(ValueError, match=told):
        Transformer(**(shape | change))


def test_ranks_that_cannot_share_a_layer_are_refused():
    with pytest.raises(ValueError, match="must divide heads 96"):
        GPT3.layer_gemms(1, tensor=7)
