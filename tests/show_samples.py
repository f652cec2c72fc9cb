"""Figures for test_show: realistic data and edge cases, each by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from show_kernel_samples import kernel_figures
from show_validation_samples import validation_figures

from aiinfra import show
from aiinfra.results import Comparison, Quantity
from aiinfra.show import Ceiling, Point, Scale, Series, Span
from aiinfra.show.ridges import ridges

HERE = "measured here: Intel Xeon (2 cores, no GPU)"
REPLAY = "replayed: NVIDIA H200, driver 580.82, 2026-11-23"
SHEET = "source: two channels of DDR5-4800, datasheet, read 2026-11-02"
LINKS = [
    ("pcie-5-x16", "over PCIe 5 x16"),
    ("pcie-3-x16", "over PCIe 3 x16"),
    ("none", "data already on the GPU"),
]
RATES = {"pcie-5-x16": 5.5e10, "pcie-3-x16": 1.2e10, "none": np.inf}


def q(value: float, unit: str = "B/s", source: str = HERE, spread: float = 0.05) -> Quantity:
    return Quantity(value, unit, source, value * (1 - spread), value * (1 + spread))


def comparison(
    measured: Quantity,
    guess: float | None = None,
    model: float | None = None,
    limit: float | None = None,
) -> Comparison:
    def make(value: float | None, source: str) -> Quantity | None:
        return None if value is None else Quantity(value, measured.unit, source)

    return Comparison(
        measured,
        make(guess, "guess"),
        make(model, "model: roofline of this machine"),
        make(limit, SHEET),
        "How fast does memory stream?",
    )


def cpu_time(n: Any, flop_per_byte: float) -> Any:
    return np.maximum(12 * n / 12.8e9, 12 * n * flop_per_byte / 6e10) + 1e-6


def gpu_parts(n: Any, flop_per_byte: float, link: str) -> Mapping[str, Any]:
    compute = np.maximum(12 * n / 3.3e12, 12 * n * flop_per_byte / 6e13)
    return {"launch": 1e-5, "transfer": 12 * n / RATES[link], "compute": compute}


def gaps() -> dict[str, Callable[[], Any]]:
    mem = q(12.8e9)
    cases: dict[str, tuple[Comparison, str | None]] = {
        "plain": (comparison(mem, 4e9, 15.1e9, 21e9), "Memory streams three times your guess"),
        "crowded": (comparison(q(12.8e9, spread=0), 13e9, 12.9e9, 13.1e9), None),
        "equal": (comparison(mem, 12.8e9, 12.8e9, 12.8e9), "All four agree"),
        "far": (comparison(mem, 12.8e3, 15.1e9, 21e9), "A guess that is a million times low " * 3),
        "far_high": (comparison(mem, 12.8e15, 15.1e9, 21e9), "A guess a million times high"),
        "above": (comparison(q(25e9), 40e9, 22e9, 21e9), "Measured beyond the limit"),
        "zero": (comparison(mem, 0.0, None, 21e9), "A guess of zero"),
        "alone": (comparison(q(2.5e-5, "s")), "One kernel launch takes 25 µs"),
        "floor": (
            comparison(q(2.5e-3, "s", REPLAY, 0.12), 1e-4, 1.9e-3, 1.4e-3),
            "At least 1.4 ms",
        ),
        "words": (comparison(q(8.39e6, "pixels/s"), 4e6, 15.1e6, 21e6), "Millions of pixels"),
        "ratio": (comparison(q(26, "x"), 10, 32), "26x, not 10x"),
        "wide": (comparison(q(26, "x", spread=0.7), None, 32), "Too noisy to tell"),
        "money": (comparison(q(26, "$"), 10, 32), "It costs $26, not $10"),
    }
    return {f"gap_{k}": lambda c=c, t=t: show.gap(c, t) for k, (c, t) in cases.items()}  # type: ignore[misc]


def sweeps() -> dict[str, Callable[[], Any]]:
    x = 2.0 ** np.arange(12, 29)
    noise = np.random.default_rng(0).normal(1, 0.04, x.size)
    rate = np.where(
        x <= 2**15, 180e9, np.where(x <= 2**21, 95e9, np.where(x <= 2**25, 42e9, 12.8e9))
    )
    rate = rate * noise
    n, lanes = np.logspace(3, 8, 11), 2.0 ** np.arange(10)
    bunch = ["cpu", "cpu", "cpu", "gpu", "gpu", "memory", "network", "storage"]
    time, elements = ("time per call", "s"), ("elements", "elements")
    crossing = [
        Series("scalar loop", n, n / 4e8 + 2e-6, "cpu", source=HERE),
        Series("SIMD", n, n / 3e9 + 1e-6, "cpu"),
        Series("SIMD on 2 threads", n, n / 5e9 + 2e-5, "cpu"),
        Series("GPU, copies included", n, n / 4e10 + 2.5e-4, "gpu", source=REPLAY),
        Series("launch + bytes / link rate", n, n / 5e10 + 2e-4, "model", source="model: offload"),
    ]
    return {
        "sweep_cache": lambda: show.sweep(
            [Series("one core", x, rate, "cpu", rate * 0.94, rate * 1.06, HERE)],
            "Beyond 32 KiB every load waits for L2",
            x=Scale("array size", "B", binary=True),
            y=("read rate", "B/s"),
            guides=[(2**15, "L1"), (2**21, "L2"), (2**25, "L3")],
            mark=[(2**26, 12.8e9, "DRAM: 12.8 GB/s"), (2**14, 180e9, "L1: 180 GB/s")],
            wall_at=[(205e9, "L1 port limit, 205 GB/s")],
        ),
        "sweep_crossing": lambda: show.sweep(
            crossing,
            "The GPU overtakes SIMD at a million elements",
            x=elements,
            y=time,
            mark=[(9e5, 2.7e-4, "GPU wins from here")],
        ),
        "sweep_bunch": lambda: show.sweep(
            [
                Series(f"variant {i} with a long name", n, n / 1e9 * (1 + i / 50), k, source=HERE)
                for i, k in enumerate(bunch)
            ],
            "Eight lines that end together keep their names apart, whatever they are called",
            x=elements,
            y=time,
        ),
        "sweep_point": lambda: show.sweep(
            [Series("one point", [1e6], [3e9], "gpu", [3e9], [3e9], REPLAY)],
            "One point",
            x=("bytes", "B"),
            y=("rate", "B/s"),
        ),
        "sweep_early": lambda: show.sweep(
            [
                Series("stops early", n[:4], n[:4] / 1e8, "cpu", source=HERE),
                Series("goes on", n, n / 1e9, "gpu"),
                Series("a zero", [0, 1e4], [1e-4, 0.0], "memory"),
            ][:2],
            "One line stops early",
            x="elements",
            y=time,
        ),
        "sweep_powers": lambda: show.sweep(
            [
                Series("measured, one core", lanes, lanes / (1 + lanes / 60), source=HERE),
                Series("model: lanes with work", lanes, lanes, "model", source="model: lockstep"),
            ],
            "Sizes that are powers of two",
            x="lanes that advance together",
            y=("turns per second", "turns/s"),
        ),
        "sweep_linear": lambda: show.sweep(
            [Series("tokens", [1, 2, 4, 8, 16], [30, 58, 110, 190, 260], "gpu", source=REPLAY)],
            "Linear axes work too",
            x=Scale("batch", "requests", log=False),
            y=Scale("throughput", "tokens/s", log=False),
        ),
    }


def rooflines() -> dict[str, Callable[[], Any]]:
    here = Ceiling("This machine", 14e9, 140e9, "cpu", HERE, "DRAM", "FP32 peak")
    made = [
        ("A100", 2.04e12, 19.5e12),
        ("H100", 3.35e12, 67e12),
        ("H200", 4.8e12, 67e12),
        ("B200", 8e12, 75e12),
    ]
    gpus = [Ceiling(n, b, c, "gpu", SHEET, "HBM", "FP32") for n, b, c in made]
    dots = [
        ("triad", 1 / 12, 1.05e9),
        ("stencil", 0.5, 2.2e9),
        ("matmul, naive", 0.25, 0.9e9),
        ("matmul, blocked", 8, 32e9),
        ("BLAS matmul", 64, 121e9),
    ]
    crowd = [Point(f"kernel {i}", 1 + i / 20, 9e9 * (1 + i / 33)) for i in range(7)]
    return {
        "roofline_plain": lambda: show.roofline(
            [here],
            [Point(*d, source=HERE) for d in dots],
            "Triad rides the slope; BLAS nears the flat roof",
        ),
        "roofline_many": lambda: show.roofline(
            [*gpus, here],
            [Point("triad", 1 / 12, 3.6e11, "gpu", REPLAY, under="H200")],
            "Four generations of roofs",
        ),
        "roofline_crowd": lambda: show.roofline(
            [here],
            [*crowd[2:], Point("impossible", 30, 4e11, "gpu"), Point("perfect", 100, 140e9)],
            "Five kernels at nearly one place",
        ),
        "roofline_listed": lambda: show.roofline(
            [here],
            [*crowd, *(Point(*dot) for dot in dots)],
            "Twelve kernels are named, their distances listed",
        ),
        "roofline_empty": lambda: show.roofline([gpus[1]], [], "No kernel yet"),
        "ridges_many": lambda: ridges(
            [
                here,
                *(
                    replace(gpu, compute=gpu.compute * n, compute_label=p)
                    for gpu in gpus
                    for p, n in (("fp32", 1), ("bf16", 16), ("fp8", 32))
                ),
            ],
            {"triad": 1 / 12, "weights, bf16\n64 tokens": 62.0, "weights, bf16\n1 token": 1.0},
            "Four generations of ridges",
        ),
        "ridges_plain": lambda: ridges([here], {}, "One ridge and no kernel"),
    }


def others() -> dict[str, Callable[[], Any]]:
    loader = {
        "loader": [Span(i * 0.06, i * 0.06 + 0.04, "decode", "storage") for i in range(5)],
        "copy engine": [
            Span(i * 0.06 + 0.04, i * 0.06 + 0.048, "copy to the GPU", "network") for i in range(5)
        ],
        "GPU": [Span(i * 0.06 + 0.048, i * 0.06 + 0.09, "step", "gpu") for i in range(4)],
    }
    edge = {
        "a very long lane name that has to wrap somewhere": [
            Span(0, 0, "nothing", "memory"),
            Span(0, 1e-5, "x", "cpu"),
        ],
        "empty": [],
        "your thread": [Span(0, 2e-6, "go", "cpu"), Span(2e-6, 1e-5, "waits", "idle")],
    }
    memory = [
        ("weights", q(14e9, "B", "model: ledger"), "memory"),
        ("gradients", q(14e9, "B"), "gpu"),
        ("optimizer states", q(56e9, "B"), "cpu"),
        ("activations", q(9e9, "B"), "network"),
        ("buffers", q(0.6e9, "B"), "other"),
    ]
    links = {
        "PCIe 5": [
            ("launch", 1e-5, "cpu"),
            ("transfer", 3.1e-3, "network"),
            ("compute", 4e-4, "gpu"),
        ],
        "already there": [
            ("launch", 1e-5, "cpu"),
            ("transfer", 0.0, "network"),
            ("compute", 4e-4, "gpu"),
        ],
    }
    crumbs = [(f"small part number {i}", 1.0, "gpu") for i in range(8)] + [("rest", 92.0, "cpu")]
    rungs = [
        ("Python loop", q(3.1e5, "pixels/s"), "cpu"),
        ("NumPy", q(6.8e6, "pixels/s"), "cpu"),
        ("numba, 2 threads", q(1.7e8, "pixels/s", spread=0.2), "cpu"),
        (
            "numba.cuda on an H200, one thread for each pixel of the picture",
            q(2.1e11, "pixels/s", REPLAY, 0),
            "gpu",
        ),
    ]
    times = [
        ("naive", q(2.0, "s"), "cpu"),
        ("blocked", q(0.5, "s"), "cpu"),
        ("worse", q(0.7, "s"), "cpu"),
        ("same", q(0.705, "s"), "cpu"),
    ]
    runs = np.random.default_rng(1).lognormal(np.log(2e-2), 0.06, 30)
    runs[0] = 0.812
    field = np.hypot(*np.meshgrid(np.arange(60.0), np.arange(40.0)))
    return {
        "timeline_loader": lambda: show.timeline(
            loader, "The GPU waits for its loader", source=HERE
        ),
        "timeline_edge": lambda: show.timeline(edge, "An empty lane is idle", source=HERE),
        "breakdown_bytes": lambda: show.breakdown(
            memory, "Optimizer states fill 60 % of the memory"
        ),
        "breakdown_rows": lambda: show.breakdown(
            links, "PCIe costs most", unit="s", source="model: x"
        ),
        "breakdown_same": lambda: show.breakdown(
            links, "Shares", unit="s", source=HERE, same_width=True
        ),
        "breakdown_crumbs": lambda: show.breakdown(crumbs, "Crumbs", unit="J", source=HERE),
        "ladder_rates": lambda: show.ladder(rungs, "680,000 times faster", label="Mandelbrot rate"),
        "ladder_times": lambda: show.ladder(times, "Blocking takes a quarter of the time"),
        "ladder_one": lambda: show.ladder(rungs[:1], "One rung"),
        "samples_first": lambda: show.samples(runs, "The first run compiles", source=HERE),
        "samples_one": lambda: show.samples([1e-3], "One run", source=HERE),
        "samples_equal": lambda: show.samples([1e-3] * 5, "Equal runs", source=HERE, kind="gpu"),
        "samples_many": lambda: show.samples(
            np.resize(runs[1:], 200), "Many", first=False, source=HERE
        ),
        "samples_reference": lambda: show.samples(
            9e-8 * np.resize(runs[1:], 200) / 2e-2,
            "Two hundred single readings, none of them right",
            first=False,
            source=HERE,
            reference=Quantity(2.1e-8, "s", "model: a loop"),
        ),
        "image_plain": lambda: show.image(field, "Distances", label="distance", source=HERE),
        "image_zoom": lambda: show.image(
            field, "A corner", label="distance", source=HERE, log=True, zoom=(4, 8, 6, 10)
        ),
        "image_flat": lambda: show.image(np.zeros((2, 9)), "Nothing", label="count", source=HERE),
    }


def break_evens() -> dict[str, Callable[[], Any]]:
    cases = {
        "wins": (1e6, 0.2, "pcie-5-x16"),
        "never": (3e8, 0.2, "pcie-3-x16"),
        "small": (1e2, 30.0, "none"),
        "large": (1e9, 30.0, "none"),
        "cross": (1.3e4, 0.2, "pcie-5-x16"),
    }
    return {
        f"break_even_{k}": lambda v=v: show.break_even_figure(cpu_time, gpu_parts, *v, links=LINKS)
        for k, v in cases.items()
    }  # type: ignore[misc]


SAMPLES: dict[str, Callable[[], Any]] = {
    **gaps(),
    **sweeps(),
    **rooflines(),
    **others(),
    **break_evens(),
    **kernel_figures(),
    **validation_figures(),
}
