"""What operators must compute and move: hand-worked counts and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.model import roofline
from aiinfra.model.roofline import Work

count = st.integers(min_value=1, max_value=4096)


def test_triad_counts_24_bytes_fetches_24_and_moves_32():
    # a = b + s*c in float64: b and c read, a written, and a's lines fetched before that.
    work = roofline.triad(10)
    assert (work.n_bytes, work.fetched, work.moved) == (240, 240, 320)
    assert work.intensity == pytest.approx(1 / 12)


def test_writing_over_an_input_fetches_a_third_less():
    fresh, over = roofline.triad(10), roofline.elementwise(10, 2, 2, 8, in_place=True)
    assert over.n_bytes == fresh.n_bytes
    assert over.fetched / fresh.fetched == pytest.approx(2 / 3)


def test_axpy_moves_only_what_it_counts():
    assert roofline.axpy(7) == Work(flop=14, read=56, written=28, fresh=0)
    assert roofline.axpy(7).moved == roofline.axpy(7).n_bytes


def test_two_numpy_passes_move_twice_a_compiled_loop_in_place():
    # multiply(s, c, out=a), then add(b, a, out=a): 48 B moved against 24.
    two = roofline.elementwise(1, 1, 1, 8) + roofline.elementwise(1, 2, 1, 8, in_place=True)
    one = roofline.elementwise(1, 2, 2, 8, in_place=True)
    assert (two.n_bytes, two.moved, two.flop) == (40, 48, one.flop)
    assert two.moved / one.moved == two.fetched / one.fetched == 2


def test_every_operator_by_hand():
    assert roofline.dot(5) == Work(10, 40, 4, 4)
    assert roofline.stencil(3, 5) == Work(90, 60, 60, 60)
    # 7 values and 7 columns, 4 row starts, a vector of 2: 28 + 28 + 16 + 8 bytes.
    assert roofline.spmv(3, 2, 7) == Work(14, 80, 12, 12)
    assert roofline.softmax(3, 5) == Work(75, 60, 60, 60)
    assert roofline.layer_norm(3, 5) == Work(120, 100, 60, 60)
    assert roofline.matmul(2, 3, 5, word=2) == Work(60, 50, 12, 12)
    # 2 heads, 3 queries, 5 keys, width 7: 4 * 7 + 5 FLOP for each of 30 scores.
    assert roofline.attention(3, 5, 7, heads=2) == Work(990, 4 * (42 + 140), 168, 168)


def test_storing_the_scores_moves_them_four_times():
    fused = roofline.attention(64, 64, 16)
    stored = roofline.attention(64, 64, 16, fused=False)
    assert stored.n_bytes - fused.n_bytes == 4 * 64 * 64 * 4
    assert stored.flop == fused.flop


def test_a_product_for_one_token_is_memory_bound_and_for_many_is_not():
    # An H100 (989 TFLOP/s in bf16, 3.35 TB/s) turns at 295 FLOP/B.
    bounds = [
        roofline.operator_time(work.flop, work.n_bytes, 989.4e12, 3.35e12).bound
        for work in (roofline.matmul(m, 4096, 4096, word=2) for m in (1, 344, 346))
    ]
    assert bounds == ["memory", "memory", "compute"]


@given(m=count, n=count, k=count)
def test_intensity_of_a_product_stays_below_its_smallest_side(m, n, k):
    # 2mnk / (mk + kn + mn) / word, and each of the three terms alone is a bound.
    assert roofline.matmul(m, n, k, word=2).intensity < min(m, n, k)


@given(queries=count, keys=count)
def test_fusing_never_moves_more(queries, keys):
    fused, stored = (roofline.attention(queries, keys, 64, fused=f) for f in (True, False))
    assert fused.moved < stored.moved
    assert fused.intensity > stored.intensity


def test_work_cannot_be_negative():
    with pytest.raises(ValueError, match="negative"):
        Work(1, -1, 0, 0)
    with pytest.raises(ValueError, match="exceed"):
        Work(1, 1, 1, 2)
