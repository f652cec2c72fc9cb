"""The figures say what they show, in words that fit, and explorers answer every control."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import subprocess
import sys
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image
from show_samples import LINKS, SAMPLES, comparison, cpu_time, gpu_parts, q

from aiinfra import show
from aiinfra.show import Choice, Series, Slider
from aiinfra.show.break_even import SIZES, message
from aiinfra.show.canvas import new_axes
from aiinfra.show.labels import Labels
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.style import COLOURS, INK, tint, words_on
from aiinfra.units import distance, ratio_words

EVERY = pytest.mark.parametrize("name", list(SAMPLES))
CACHE: dict[str, Any] = {}


def figure(name: str) -> Any:
    if name not in CACHE:
        CACHE[name] = SAMPLES[name]()
    return CACHE[name]


def words_of(axes: Any, dpi: float = 100) -> list[tuple[Text, Any]]:
    """Every visible text with its extent in pixels."""
    drawn = axes.get_figure(root=True)
    drawn.set_dpi(dpi)
    drawn.canvas.draw()
    texts = [t for t in drawn.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [(t, t.get_window_extent(drawn.canvas.get_renderer())) for t in texts]


@EVERY
def test_figure_has_title_source_and_alt_in_sentences(name: str) -> None:
    axes = figure(name)
    assert axes.title_text
    assert axes.source_line.startswith(("measured here", "replayed", "counted", "model", "source"))
    assert axes.alt.endswith(".")
    assert len(axes.alt) > len(axes.title_text) + 20
    assert re.search(r"\d", axes.alt)
    assert "  " not in axes.alt
    assert "\n" not in axes.alt


@EVERY
@pytest.mark.parametrize("dpi", [100, 200])
def test_no_text_is_cut_off_at_the_border(name: str, dpi: float) -> None:
    axes = figure(name)
    texts = words_of(axes, dpi)
    width, height = axes.get_figure(root=True).get_size_inches() * dpi
    assert len(texts) >= 3
    for text, box in texts:
        assert box.x0 >= 0, text.get_text()
        assert box.y0 >= 0, text.get_text()
        assert box.x1 <= width, text.get_text()
        assert box.y1 <= height, text.get_text()


@EVERY
def test_no_words_cover_other_words(name: str) -> None:
    level = [(t, box) for t, box in words_of(figure(name), 200) if t.get_rotation() == 0]
    for (one, a), (other, b) in combinations(level, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        up = min(a.y1, b.y1) - max(a.y0, b.y0)
        # Boxes of text hold empty room for descenders: 3 px at 200 dpi is nothing to the eye.
        assert across <= 1 or up <= 3, f"{one.get_text()!r} covers {other.get_text()!r}"


@EVERY
def test_words_are_eleven_pixels_or_more_at_600_pixels_wide(name: str) -> None:
    axes = figure(name)
    scale = 600 / axes.get_figure(root=True).get_size_inches()[0] / 72
    for text, _ in words_of(axes):
        assert text.get_fontsize() * scale >= 11, text.get_text()
        assert text.get_fontfamily() == ["DejaVu Sans"] or text.get_fontname() == "DejaVu Sans"


@EVERY
def test_marks_take_their_colours_from_the_palette(name: str) -> None:
    if name.startswith("image"):
        pytest.skip("a picture has a colour map")
    axes = figure(name)
    known = {c.lower() for c in (*COLOURS.values(), *INK.values(), *map(tint, COLOURS.values()))}
    used = [line.get_color() for line in axes.lines] + [p.get_facecolor() for p in axes.patches]
    for colour in used:
        red, green, blue = (int(to_hex(colour)[i : i + 2], 16) for i in (1, 3, 5))
        grey = max(red, green, blue) - min(red, green, blue) <= 2
        assert grey or to_hex(colour) in known, to_hex(colour)


@EVERY
def test_display_bundle_carries_escaped_alt_and_stays_small(name: str) -> None:
    axes = figure(name)
    kept = axes.alt
    try:
        axes.alt = 'a "quoted" <alt> & more.'
        data, metadata = axes._repr_mimebundle_()
    finally:
        axes.alt = kept
    assert 'alt="a &quot;quoted&quot; &lt;alt&gt; &amp; more."' in data["text/html"]
    assert "max-width:100%" in data["text/html"]
    assert metadata["image/png"]["alt"] == 'a "quoted" <alt> & more.'
    assert 'a "quoted" <alt>' in data["text/plain"]
    assert axes.source_line in data["text/plain"]
    picture = base64.b64decode(data["image/png"])
    assert len(picture) < 80_000
    assert Image.open(io.BytesIO(picture)).width == 1400


def test_figures_stay_out_of_pyplot() -> None:
    from matplotlib import pyplot

    for make in SAMPLES.values():
        make()
    assert pyplot.get_fignums() == []


def test_the_readers_own_style_does_not_change_a_figure() -> None:
    import matplotlib as mpl

    plain = SAMPLES["gap_money"]().png()
    with mpl.rc_context(
        {
            "font.size": 30,
            "axes.facecolor": "black",
            "lines.linewidth": 9,
            "figure.facecolor": "red",
            "font.family": "serif",
        }
    ):
        assert SAMPLES["gap_money"]().png() == plain


def test_dollar_signs_are_money_not_mathematics() -> None:
    texts = [t.get_text() for t, _ in words_of(figure("gap_money"))]
    assert "It costs $26, not $10" in texts
    assert all(
        not t.get_parse_math() for t, _ in words_of(figure("gap_money")) if "$" in t.get_text()
    )


def test_importing_the_room_loads_no_matplotlib() -> None:
    code = (
        "import sys, aiinfra.show; print([m for m in sys.modules if m.split('.')[0] in "
        "('matplotlib', 'ipywidgets', 'numba', 'PIL')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_loads() -> None:
    for name in show.__all__:
        assert getattr(show, name) is not None
    with pytest.raises(AttributeError, match="it has"):
        _ = show.nothing_of_the_kind


def test_figures_are_saved_where_a_script_asks(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AIINFRA_FIGURES", str(tmp_path))
    SAMPLES["gap_plain"]()
    SAMPLES["ladder_one"]()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "01_memory_streams_three_times_your_guess.png",
        "02_one_rung.png",
    ]


# gap


def texts(axes: Any) -> str:
    return " | ".join(t.get_text().replace("\n", " ") for t, _ in words_of(axes))


def test_gap_writes_the_distances_as_ratios() -> None:
    said = texts(figure("gap_plain"))
    for words in ("your guess 3.2x low", "model 1.2x high", "limit 1.6x away", "12.8 GB/s ±5 %"):
        assert words in said


def test_gap_says_when_the_measurement_is_beyond_the_limit() -> None:
    assert "measured 1.2x above the limit: check both" in texts(figure("gap_above"))


def test_gap_takes_a_time_limit_as_the_least_and_a_rate_limit_as_the_most() -> None:
    assert "limit 1.8x away" in texts(figure("gap_floor"))
    fast = show.gap(comparison(q(1e-3, "s"), limit=1.4e-3))
    assert "measured 1.4x below the limit: check both" in texts(fast)
    assert "limit 1.4x away" in texts(
        show.gap(comparison(q(1e-3, "s"), limit=1.4e-3), limit_is="most")
    )


def test_gap_pins_a_guess_of_zero_and_claims_no_ratio_for_it() -> None:
    said = texts(figure("gap_zero"))
    assert "0 B/s" in said
    assert "your guess 3" not in said
    assert "low" not in said


def test_gap_copes_with_a_guess_a_million_times_off() -> None:
    axes = figure("gap_far")
    low, high = axes.get_xlim()
    assert low < 12.8e3
    assert high > 21e9
    assert "your guess 1 million x low" in texts(axes)


def test_gap_refuses_a_measurement_of_zero() -> None:
    with pytest.raises(ValueError, match="logarithmic"):
        show.gap(comparison(q(0.0)))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("measured here: a laptop", "measured"),
        ("replayed: NVIDIA H200, 2026-11-23", "replayed"),
        ("model: NVIDIA H100", "modelled"),
        ("source: a paper, read 2026-11-02", "published"),
        ("measured here: a laptop; model: NVIDIA H100", "partly modelled"),
    ],
)
def test_a_number_is_called_measured_only_if_it_was(source: str, name: str) -> None:
    axes = show.gap(comparison(q(1e9, source=source), 2e9), "t")
    assert name in [t.get_text() for t, _ in words_of(axes)]
    assert f"{name} 1.00 GB/s" in axes.alt


def test_gap_shows_no_agreement_where_a_model_stands_in_for_the_measurement() -> None:
    axes = show.gap(comparison(q(1e9, source="model: counted sectors"), 2e9, 1e9), "t")
    assert "model: within 1 %" not in texts(axes)
    assert "tests no model" in axes.source_line
    counted = show.gap(comparison(q(1e9, source="counted by the interpreter"), 2e9, 1e9), "t")
    assert "model: within 1 %" in texts(counted)
    assert "tests no model" not in counted.source_line


# the others


def test_guides_under_every_point_replace_the_numbers_of_a_linear_axis() -> None:
    line, across = Series("s", [1, 2, 3], [1.0, 2.0, 3.0]), show.Scale("rung", log=False)
    guides = [(1, "naive"), (2, "coalesced"), (3, "shared")]
    named = show.sweep([line], "t", x=across, y="r", guides=guides)
    assert not ticks(named)
    assert ticks(show.sweep([line], "t", x=across, y="r", guides=guides[:2]))


def test_sweep_leaves_out_what_a_log_axis_cannot_hold() -> None:
    axes = show.sweep(
        [Series("s", [0, 1, 10], [5.0, float("nan"), 7.0])], "t", x="n", y=("r", "B/s")
    )
    assert list(axes.lines[0].get_xdata()) == [10]
    with pytest.raises(ValueError, match="no positive point"):
        show.sweep([Series("s", [0], [1.0])], "t", x="n", y="r")


def ticks(axes: Any) -> list[str]:
    axes.get_figure(root=True).canvas.draw()
    return [label.get_text() for label in axes.get_xticklabels()]


def test_sizes_that_are_powers_of_two_are_ticked_at_powers_of_two() -> None:
    assert ticks(figure("sweep_powers")) == [str(2**k) for k in range(10)]
    some = show.sweep([Series("s", [4**k for k in range(6, 13)], range(1, 8))], "t", x="n", y="r")
    assert "1 million" in ticks(some)
    lots = show.sweep(
        [Series("s", [2**k for k in range(12, 29)], range(1, 18))], "t", x=("size", "B"), y="r"
    )
    assert "64 KiB" in ticks(lots)


def test_series_of_one_kind_differ_in_shape() -> None:
    axes = figure("sweep_crossing")
    looks = {
        (line.get_color(), line.get_marker(), line.get_markerfacecolor()) for line in axes.lines[:3]
    }
    assert len(looks) == 3


def test_lines_of_one_kind_differ_in_shade_and_show_their_marker_beside_the_name() -> None:
    lines = [Series(name, [1, 10], [n, 2 * n]) for n, name in enumerate("abc", start=1)]
    axes = show.sweep([*lines, Series("m", [1, 10], [5, 5], "model")], "t", x="n", y="r")
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 2][:3]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in drawn}) == 3
    keys = [mark for mark in axes.lines if mark.get_linestyle() == "None"]
    assert [mark.get_markerfacecolor() for mark in keys] == [
        line.get_markerfacecolor() for line in drawn
    ]


def test_a_line_alone_of_its_kind_needs_no_key() -> None:
    axes = show.sweep([Series("a", [1, 10], [1, 2])], "t", x="n", y="r")
    assert not [mark for mark in axes.lines if mark.get_linestyle() == "None"]


def test_roofline_says_how_far_below_or_above_the_roof() -> None:
    said = texts(figure("roofline_crowd"))
    assert "2.9x above the roof: check both" in said
    assert "at the roof (within 1 %)" in said
    assert "3.9x below the roof" in texts(figure("roofline_plain"))


def test_many_kernels_are_named_and_listed_with_their_distance() -> None:
    said = texts(figure("roofline_listed"))
    assert "BLAS matmul: 1.2x" in said
    assert "BLAS matmul" in said


def test_timeline_shows_idle_lanes_and_busy_shares() -> None:
    said = texts(figure("timeline_edge"))
    assert "busy 0 %" in said
    assert "idle" in said
    assert "waits" in said
    assert "busy 20 %" in said


def test_overlapping_spans_are_busy_once() -> None:
    axes = show.timeline({"a": [show.Span(0, 2), show.Span(1, 3), show.Span(9, 10)]}, "t")
    assert "a is busy 40 %" in axes.alt


def test_breakdown_parts_sum_to_the_whole() -> None:
    axes = figure("breakdown_bytes")
    assert "93.6 GB in all" in axes.alt
    assert "optimizer states 56.0 GB (60 %)" in texts(axes)
    with pytest.raises(ValueError, match="positive"):
        show.breakdown([("a", -1.0, "cpu")], "t")


def test_ladder_steps_follow_better() -> None:
    assert "4.00x" in texts(figure("ladder_times"))
    assert "1.40x worse" in texts(figure("ladder_times"))
    assert "25.0x" in texts(figure("ladder_rates"))


@pytest.mark.parametrize("ratio", [3.214, 26.44, 1084.0, 36_310.0])
def test_ladder_and_gap_write_the_same_ratio_the_same(ratio: float) -> None:
    rungs = [(n, q(v), "cpu") for n, v in (("a", 1e9), ("b", 2e9), ("c", 1e9 * ratio))]
    total = re.search(r"(\S+) in all", texts(show.ladder(rungs, "t")))
    assert total
    assert texts(show.gap(comparison(q(ratio, "x")), "t")).startswith(f"{total[1]} ±")


def test_ladder_within_a_factor_of_ten_starts_at_zero() -> None:
    near = figure("ladder_times")
    assert (near.get_xscale(), near.get_xlim()[0]) == ("linear", 0)
    assert "2.84x in all" in texts(near)
    assert figure("ladder_rates").get_xscale() == "log"
    rungs = [(n, q(v, source="model: bytes"), "gpu") for n, v in (("a", 1e9), ("b", 3e9))]
    assert "modelled" in show.ladder(rungs, "t").source_line
    assert "modelled" not in near.source_line


def test_runs_of_a_timeline_end_where_they_end() -> None:
    long, short = {"a": [show.Span(0, 4)]}, {"b": [show.Span(0, 1)], "c": [show.Span(1, 2)]}
    axes = show.timeline({"one": long, "two": short}, "t")
    assert "two: done after 2.00 s" in texts(axes)
    assert "b is busy 50 %" in axes.alt


def test_samples_leave_the_first_run_out_of_the_median() -> None:
    axes = show.samples([1.0, 0.01, 0.01, 0.01], "t")
    assert "median 10.0 ms" in axes.alt
    assert "100x the median" in axes.alt
    assert "first run" not in show.samples([1.0, 0.01], "t", first=False).alt


def test_samples_name_the_reference_and_its_distance() -> None:
    axes = figure("samples_reference")
    assert "reference 21.0 ns: median 4.3x high" in texts(axes)
    assert "reference 21.0 ns: median 4.3x high" in axes.alt
    low, high = axes.get_ylim()
    assert low < 2.1e-8 < high
    assert axes.source_line == "measured here: Intel Xeon (2 cores, no GPU) | model: a loop"


def test_image_shows_row_zero_on_top_and_refuses_vectors() -> None:
    assert figure("image_plain").get_ylim()[0] > figure("image_plain").get_ylim()[1]
    with pytest.raises(ValueError, match="2-D"):
        show.image(np.zeros(3), "t")


def test_an_unknown_kind_names_the_kinds() -> None:
    with pytest.raises(ValueError, match="network"):
        show.gap(comparison(q(1.0)), "t", kind="tpu")


# words and layout


def test_ratios_can_be_said_aloud() -> None:
    assert [ratio_words(r) for r in (1.04, 1.25, 26.4, 99.4, 99.6, 1084, 1e6)] == [
        "1.04x",
        "1.2x",
        "26x",
        "99x",
        "100x",
        "1,080x",
        "1 million x",
    ]
    assert distance(4, 12.8) == "3.2x low"
    assert distance(1.0, 1.0) == "within 1 %"


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_words_read_well_on_white_and_on_every_block() -> None:
    assert all(contrast(ink, "#FFFFFF") >= 4.5 for ink in INK.values())
    assert all(contrast(words_on(kind), fill) >= 3.8 for kind, fill in COLOURS.items())


def test_spread_out_separates_and_keeps_order() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        centres = list(rng.uniform(0, 10, 9))
        sizes = list(rng.uniform(0.2, 0.9, 9))
        placed = spread_out(centres, sizes, 0, 10, gap=0.05)
        order = np.argsort(centres, kind="stable")
        for a, b in pairwise(order):
            assert placed[b] - placed[a] >= (sizes[a] + sizes[b]) / 2 + 0.05 - 1e-9
        assert min(p - s / 2 for p, s in zip(placed, sizes, strict=True)) >= -1e-9
        assert max(p + s / 2 for p, s in zip(placed, sizes, strict=True)) <= 10 + 1e-9


def test_spread_out_leaves_apart_what_is_apart() -> None:
    assert spread_out([1.0, 5.0], [1.0, 1.0], 0, 10) == [1.0, 5.0]


def test_a_called_out_label_stands_nearer_to_its_own_point_than_to_another() -> None:
    axes = new_axes("t", "", 3.0)
    labels, dots = Labels(axes), [(0.5, 0.64), (0.5, 0.5)]  # one above the other, under a slope
    labels.keep_off_line([0.2, 0.8], [0.38, 0.98])
    for x, y in dots:
        labels.keep_off_line([x, x], [y, 0.68])
        labels.keep_off_spot(x, y)
    labels.call_out([(x, y, "a kernel\n1.3x below the roof", "cpu") for x, y in dots])
    upper, lower = (axes.at(x, y) for x, y in dots)
    above, below = labels.boxes  # the label of the upper dot is placed first
    assert above.distance(upper) < above.distance(lower)
    assert below.distance(lower) < below.distance(upper)


def test_called_out_labels_stay_inside_and_apart() -> None:
    axes = new_axes("t", "", 3.0)
    labels = Labels(axes)
    labels.call_out([(0.5 + i / 100, 0.4, f"label {i}", "cpu") for i in range(6)])
    assert len(labels.boxes) == 6
    width, height = axes.size
    assert all(b.left >= 0 and b.right <= width for b in labels.boxes)
    assert all(b.bottom >= 0 and b.top <= height for b in labels.boxes)
    assert sum(a.overlap(b) for a, b in combinations(labels.boxes, 2)) == 0


def test_wrap_keeps_lines_within_the_width_and_every_word() -> None:
    text = "a guess that is a million times low " * 5
    lines = wrap(text, 2.0).split("\n")
    assert len(lines) > 5
    assert all(text_size(line)[0] <= 2.0 for line in lines)
    assert " ".join(lines).split() == text.split()


# explorers


def test_break_even_says_where_the_gpu_wins() -> None:
    cpu, gpu = SIZES / 1e9, SIZES / 1e11 + 1e-3
    assert message(1.01e6, cpu, gpu) == "the GPU wins from 1 million elements"
    assert message(None, cpu, gpu + 10 * cpu) == "the GPU never wins here"
    assert message(None, cpu + 1e-4, 2 * cpu) == "the GPU wins small problems only"
    assert message(float(SIZES[0]), cpu + 1, gpu) == "the GPU always wins here"


def test_break_even_names_winner_ratio_and_parts() -> None:
    said = texts(figure("break_even_wins"))
    for words in (
        "the GPU is 4.0x faster",
        "CPU 938 µs",
        "transfer 218 µs (94 %)",
        "GPU wins from 13,000",
    ):
        assert words in said
    assert "the GPU never wins here" in texts(figure("break_even_never"))


def frame(exp: Any) -> tuple[bytes, str]:
    found = re.search(r'alt="([^"]*)".*base64,([^"]*)"', exp.image.value)
    assert found
    return base64.b64decode(found[2]), found[1]


@pytest.mark.parametrize("name", ["elements", "flop_per_byte", "link"])
def test_each_control_changes_picture_and_alt_together(name: str) -> None:
    exp = show.break_even_explorer(cpu_time, gpu_parts, links=LINKS)
    before = frame(exp)
    exp.controls[name].index = 2
    after = frame(exp)
    assert after[0] != before[0]
    assert after[1] != before[1]
    assert after[1].endswith(".")


@pytest.mark.parametrize("index", [0, 7, 20, 33, 50, 65, -1])
@pytest.mark.parametrize("flop", [0, 20, -1])
def test_words_of_the_explorer_fit_wherever_it_stands(index: int, flop: int) -> None:
    exp = show.break_even_explorer(cpu_time, gpu_parts, links=LINKS)
    for name, i in (("elements", index), ("flop_per_byte", flop)):
        exp.controls[name].index = i % len(exp.controls[name].options)
    CACHE["explorer"] = exp.axes
    test_no_text_is_cut_off_at_the_border("explorer", 100)
    test_no_words_cover_other_words("explorer")


def test_an_explorer_may_make_a_new_figure_each_time() -> None:
    exp = show.explorer(
        lambda axes, n, kind: show.samples([1e-3] * n, f"{n} runs", kind=kind),
        [
            Slider("n", "runs", 1, 9, 3, 1),
            Choice("kind", "device", [("cpu", "CPU"), ("gpu", "GPU")], "cpu"),
        ],
    )
    before = frame(exp)
    exp.controls["n"].value = 5
    assert frame(exp)[1].startswith("5 runs")
    exp.controls["kind"].value = "gpu"
    assert frame(exp)[0] != before[0]


def test_controls_carry_labels_units_and_descriptions() -> None:
    exp = show.break_even_explorer(cpu_time, gpu_parts, links=LINKS)
    for widget in exp.controls.values():
        assert widget.description
        assert len(widget.tooltip) > 10
    labels = [label for label, _ in exp.controls["elements"].options]
    assert labels[0] == "100 elements"
    assert "1 million elements" in labels
    assert labels[-1] == "1 billion elements"
    assert exp.controls["elements"].value == 1e6


def test_a_drag_draws_few_frames_and_ends_on_the_last_value() -> None:
    async def drag() -> Any:
        exp = show.break_even_explorer(cpu_time, gpu_parts, links=LINKS)
        for i in range(60):
            exp.controls["elements"].index = i
        early = exp.frames
        for _ in range(300):
            await asyncio.sleep(0.01)
            if not exp._waiting:
                break
        return exp, early

    exp, early = asyncio.run(drag())
    assert early <= 10
    assert "At 79 million elements" in frame(exp)[1]
    said = exp.controls["elements"].label.removesuffix(" elements")
    assert f"At {said} elements" in frame(exp)[1]


def test_two_controls_of_one_name_are_refused() -> None:
    twice = [Slider("n", "a", 1, 9, 3, 1), Slider("n", "b", 1, 9, 3, 1)]
    with pytest.raises(ValueError, match="share a name"):
        show.explorer(lambda axes, n: None, twice)  # type: ignore[arg-type,return-value]


def test_without_ipywidgets_an_explorer_is_its_first_figure() -> None:
    code = (
        "import sys; sys.modules['ipywidgets'] = None; sys.path.insert(0, 'tests')\n"
        "from show_samples import LINKS, cpu_time, gpu_parts\n"
        "from aiinfra.show import HouseAxes, break_even_explorer\n"
        "axes = break_even_explorer(cpu_time, gpu_parts, links=LINKS)\n"
        "assert isinstance(axes, HouseAxes); print(axes.alt)"
    )
    from pathlib import Path

    root = Path(__file__).parent.parent
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert out.returncode == 0, out.stderr
    assert "1 million elements the GPU is 4.0x faster" in out.stdout
