"""Break-even: from which problem size on a GPU pays for its launch and its transfer.

The times come from the functions of the lesson; here they are only drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiinfra.show.break_even_curves import SIZES, CpuTime, Curves, GpuParts
from aiinfra.show.break_even_stage import Stage
from aiinfra.show.canvas import HouseAxes, finish
from aiinfra.show.explorers import Choice, Control, Explorer, Slider, explorer

OWN_SOURCE = "model: the two functions of this lesson"
INTENSITIES = (1 / 16, 1000.0)  # FLOP/B from end to end of the slider


def break_even_figure(
    cpu_time: CpuTime,
    gpu_parts: GpuParts,
    elements: float = 1e6,
    flop_per_byte: float = 0.2,
    link: str = "pcie-5-x16",
    title: str | None = None,
    *,
    links: Sequence[tuple[str, str]] = (),
    source: str = OWN_SOURCE,
    alt: str | None = None,
) -> HouseAxes:
    """Draw CPU and GPU time against problem size, their crossing, and the GPU's time in parts.

    ``cpu_time(elements, flop_per_byte)`` gives seconds and ``gpu_parts(elements, flop_per_byte,
    link)`` a mapping with launch, transfer and compute in seconds; both take numpy arrays.
    ``links`` are (slug, label) pairs that name the link.
    """
    values: dict[str, Any] = {"elements": elements, "flop_per_byte": flop_per_byte, "link": link}
    curves = Curves(cpu_time, gpu_parts, dict(links))
    cpu, gpu = curves.times(SIZES, flop_per_byte, link)
    stage = Stage(
        curves, (float(min(cpu.min(), gpu.min())), float(max(cpu.max(), gpu.max()))), source, title
    )
    stage.update(**values)
    return finish(stage.axes, alt or stage.axes.alt)


def break_even_explorer(
    cpu_time: CpuTime,
    gpu_parts: GpuParts,
    links: Sequence[tuple[str, str]],
    *,
    elements: float = 1e6,
    flop_per_byte: float = 0.2,
    link: str | None = None,
    source: str = OWN_SOURCE,
) -> Explorer | HouseAxes:
    """Let the reader move size, arithmetic and link of ``break_even_figure``; scales stay put."""
    curves = Curves(cpu_time, gpu_parts, dict(links))
    ends = [t for each, _ in links for f in INTENSITIES for t in curves.times(SIZES, f, each)]
    span = (float(min(t.min() for t in ends)), float(max(t.max() for t in ends)))
    stages: list[Stage] = []

    def draw(axes: HouseAxes | None, **values: Any) -> HouseAxes:
        if axes is None:
            stages.append(Stage(curves, span, source, None))
            stages[-1].update(**values)
            return finish(stages[-1].axes, stages[-1].axes.alt)
        stages[-1].update(**values)
        return axes

    return explorer(draw, _controls(elements, flop_per_byte, link or links[0][0], links))


def _controls(
    elements: float, flop_per_byte: float, link: str, links: Sequence[tuple[str, str]]
) -> list[Control]:
    low, high = INTENSITIES
    size, work = "How many elements the computation works on", "Operations for each byte moved"
    way = "The link over which the data travel to the GPU and back"
    return [
        Slider("elements", "problem size", 1e2, 1e9, elements, 0.1, True, "elements", size),
        Slider("flop_per_byte", "arithmetic per byte", low, high, flop_per_byte, 0.1, True,
               "FLOP/B", work),
        Choice("link", "data reach the GPU by", links, link, way),
    ]  # fmt: skip
