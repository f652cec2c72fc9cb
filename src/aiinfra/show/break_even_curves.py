"""The curves of the break-even figure, and where they cross as drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aiinfra.show.placing import Array
from aiinfra.show.words import plain

CpuTime = Callable[[Any, float], Any]  # (elements, flop_per_byte) -> seconds
GpuParts = Callable[
    [Any, float, str], Mapping[str, Any]
]  # (..., link) -> launch, transfer, compute
SIZES = np.logspace(2, 9, 211)
PARTS = (("launch", "cpu"), ("transfer", "network"), ("compute", "gpu"))


class Curves:
    """The lesson's functions, asked for arrays and named parts."""

    def __init__(self, cpu_time: CpuTime, gpu_parts: GpuParts, links: Mapping[str, str]) -> None:
        self.cpu_time, self.gpu_parts, self.links = cpu_time, gpu_parts, links

    def parts(self, elements: Any, flop_per_byte: float, link: str) -> dict[str, Array]:
        """Launch, transfer and compute in seconds, each of the shape of ``elements``."""
        found = self.gpu_parts(elements, flop_per_byte, link)
        missing = [name for name, _ in PARTS if name not in found]
        if missing:
            raise ValueError(f"gpu_parts must return launch, transfer and compute; no {missing}")
        shape = np.shape(elements)
        return {name: np.broadcast_to(np.asarray(found[name], float), shape) for name, _ in PARTS}

    def times(self, elements: Any, flop_per_byte: float, link: str) -> tuple[Array, Array]:
        """CPU and GPU seconds for each number of elements."""
        cpu = np.broadcast_to(
            np.asarray(self.cpu_time(elements, flop_per_byte), float), np.shape(elements)
        )
        return cpu, sum(
            self.parts(elements, flop_per_byte, link).values(), np.zeros(np.shape(elements))
        )


def winning_range(cpu: Array, gpu: Array) -> tuple[float, float] | None:
    """Sizes between which the drawn GPU curve is the lower one, the last such stretch."""
    ahead = np.log(cpu) - np.log(gpu)
    wins = np.flatnonzero(ahead > 0)
    if wins.size == 0:
        return None
    last = int(wins[-1])
    losses = np.flatnonzero(ahead[:last] <= 0)
    first = int(losses[-1]) + 1 if losses.size else 0
    x = np.log(SIZES)

    def crossing(i: int) -> float:
        return float(np.exp(x[i] - ahead[i] * (x[i + 1] - x[i]) / (ahead[i + 1] - ahead[i])))

    low = crossing(first - 1) if first else float(SIZES[0])
    return low, crossing(last) if last < len(SIZES) - 1 else float(SIZES[-1])


def message(span: tuple[float, float] | None) -> str:
    """Say where the GPU wins: "the GPU wins from 1.2 million elements"."""
    if span is None:
        return "the GPU never wins here"
    low, high = (f"{plain(float(f'{v:.2g}'))}" for v in span)
    if span[1] < SIZES[-1]:
        ends = (
            f"between {low} and {high} elements" if span[0] > SIZES[0] else f"up to {high} elements"
        )
        return f"the GPU wins {ends}"
    return f"the GPU wins from {low} elements" if span[0] > SIZES[0] else "the GPU always wins here"
