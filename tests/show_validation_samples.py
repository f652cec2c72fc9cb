"""Figures of validations for test_show and test_show_validations: rows made up, errors known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aiinfra import show
from aiinfra.model.validate import Case, Validation

SOURCE = "source: two papers, tables 1 and 5 | model: rows made up for a test"


def rows(name: str, unit: str, errors: list[float], measured: float = 1.0) -> Validation:
    """A validation whose rows miss by the given errors."""
    cases = [
        Case(f"{name} {i}", measured * 1.7**i, measured * 1.7**i * (1 + error))
        for i, error in enumerate(errors)
    ]
    return Validation(name, unit, tuple(cases))


def many(name: str, unit: str, count: int, measured: float) -> Validation:
    """A crowd of rows over two powers of ten."""
    rng = np.random.default_rng(3)
    sizes = measured * 10 ** rng.uniform(0, 2, count)
    cases = [
        Case(f"A100-SXM {name} {i}", float(size), float(size * (1 + error)))
        for i, (size, error) in enumerate(zip(sizes, rng.normal(0, 0.08, count), strict=True))
    ]
    return Validation(name, unit, tuple(cases))


TRAINING = rows("training", "s", [0.02, -0.01, 0.0, 0.3, -0.04])
RECENT = rows("training_recent", "s", [-0.02, 0.12], 0.9)
DECODE = rows("decode", "ms", [0.05, -0.2, 0.01], 9.0)
GEMM = many("gemm", "us", 600, 4.0)
ALL_REDUCE = many("all_reduce", "us", 40, 9.0)
MEMORY = rows("memory", "GiB", [0.0, 0.0, 0.0, 0.0], 50.0)
THROUGHPUT = rows("throughput", "tokens/s", [0.22, -0.01, 0.6], 100.0)
TERMS = [
    ("products of matrices", (0.51, 0.18)),
    ("waiting for the pipeline", (0.037, 0.033)),
    ("norms", (0.036, 0.0172)),
]


def validation_figures() -> dict[str, Callable[[], Any]]:
    """The figures by name."""
    times = [TRAINING, RECENT, DECODE, GEMM, ALL_REDUCE]
    everything = [*times, MEMORY, THROUGHPUT]
    one = [Validation("a rival with a name of many words", "s", TRAINING.cases)]
    marks = ("left out", "left out, constant fitted again")
    draw = show.error_by_size
    return {
        "validation_times": lambda: draw(times, "Six powers of ten", source=SOURCE),
        "validation_one": lambda: draw([GEMM], "One crowd", source=SOURCE),
        "validation_rate": lambda: draw([THROUGHPUT], "Rates", source=SOURCE),
        "validation_strip": lambda: show.error_strip(everything, "Errors by set", source=SOURCE),
        "validation_strip_one": lambda: show.error_strip(one, "One lane", source=SOURCE),
        "validation_ladder": lambda: show.error_ladder(
            TERMS, "Terms", marks=marks, source=SOURCE, baseline=(0.0154, "whole model")
        ),
        "validation_ladder_three": lambda: show.error_ladder(
            [("power law", (0.021, 0.034, 2614.0)), ("one", (0.05, 0.05, 0.05))], "Three errors",
            marks=("fitted", "a row held back", "large runs held back"), source=SOURCE,
        ),
    }  # fmt: skip
