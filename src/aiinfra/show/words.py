"""The words that figures write: ratios, tick labels, sentences for the alternative text."""

from __future__ import annotations

from collections.abc import Iterable

from aiinfra.results import Quantity
from aiinfra.units import (
    BIG_WORDS,
    BINARY_PREFIXES,
    PLAIN_WORDS,
    PREFIXED,
    format_quantity,
    scale_of,
)


def value_words(quantity: Quantity) -> str:
    """Write a quantity and half its relative spread: "12.8 GB/s ±3 %"."""
    text, half = format_quantity(quantity.value, quantity.unit), 50 * (quantity.spread or 0)
    if half < 0.05:
        return text
    return f"{text} ±{half:.0f} %" if half >= 0.95 else f"{text} ±{half:.1f} %"


def tick_words(value: float, unit: str, binary: bool = False) -> str:
    """Label a tick: "10 µs", "32 KiB", "1 million"; other units stand in the axis label.

    >>> tick_words(1e-5, "s"), tick_words(32768, "B", True), tick_words(2e6, "pixels/s")
    ('10 µs', '32 KiB', '2 million')
    """
    if binary and unit == "B":
        for prefix, factor in reversed(BINARY_PREFIXES.items()):
            if value >= factor:
                return f"{value / factor:,.6g} {prefix}B"
    if unit in PREFIXED:
        divisor, name = scale_of(value, unit)
        return f"{value / divisor:,.6g} {name}"
    return plain(value) + PLAIN_WORDS.get(unit, "")


def plain(value: float, digits: int = 6) -> str:
    """Write a number without its unit: "0.5", "20,000", "3 million", "1e+15"."""
    value = float(f"{value:.{digits}g}")
    for size, word in BIG_WORDS:
        if size * 0.9995 <= abs(value) < 1e15:
            return f"{value / size:,.6g} {word}"
    return f"{value:,.6g}" if 1e-4 <= abs(value) < 1e6 or value == 0 else f"{value:.3g}"


def axis_words(label: str, unit: str) -> str:
    """Name an axis, with the unit where the ticks do not carry it."""
    carried = unit in PREFIXED or unit in PLAIN_WORDS or unit == label
    return label if carried else f"{label} ({unit})"


def join_sources(sources: Iterable[str]) -> str:
    """Join the distinct sources of a figure in order; the learner's own guess needs none."""
    kept = [text for text in sources if text and not text.startswith("guess")]
    return " | ".join(dict.fromkeys(kept))


def sentence(*parts: str) -> str:
    """Join parts into one line of sentences, each ending with a period."""
    ended = [part if part.endswith((".", "?", "!")) else part + "." for part in parts if part]
    return " ".join(" ".join(ended).split())


def percent(share: float) -> str:
    """Write a share of the whole: "34 %", "0.4 %"."""
    if 0 < share < 5e-5:
        return "< 0.01 %"
    return f"{share * 100:.0f} %" if share >= 0.0095 or share == 0 else f"{share * 100:.1g} %"
