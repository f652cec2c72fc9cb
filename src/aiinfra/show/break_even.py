"""Break-even: from which problem size on a GPU pays for its launch and its transfer.

The times come from the functions of the lesson; here they are only drawn. The artists are made
once and moved by every change of a control, which keeps the explorer quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.model.offload import crossing
from aiinfra.show.canvas import Array, HouseAxes, finish, house_style
from aiinfra.show.explorers import Choice, Control, Explorer, Slider, explorer
from aiinfra.show.layout import spread_out, wrap
from aiinfra.show.marks import block, panel, ring, spot, stroke, write
from aiinfra.show.scales import Scale, pad, plot_axes
from aiinfra.show.style import COLOURS, DASHED, DOTTED, INK, INNER, MUTED, TEXT, TITLE_SIZE
from aiinfra.show.words import percent, plain, sentence
from aiinfra.units import format_quantity, ratio_words, same

CpuTime = Callable[[Any, float], Any]  # (elements, flop_per_byte) -> seconds
GpuParts = Callable[[Any, float, str], Mapping[str, Any]]  # (..., link) -> seconds by part
OWN_SOURCE = "model: the two functions of this lesson"
INTENSITIES = (1 / 16, 1000.0)  # FLOP/B from end to end of the slider
SIZES = np.logspace(2, 9, 211)
SIDES = (("CPU", "cpu", "o", "solid"), ("GPU", "gpu", "s", DASHED))
PARTS = (("launch", "cpu"), ("transfer", "network"), ("compute", "gpu"))


@dataclass(frozen=True)
class Race:
    """The lesson's functions, asked for arrays, and the names of the links."""

    cpu_time: CpuTime
    gpu_parts: GpuParts
    links: Mapping[str, str]

    def parts(self, elements: Array, flop_per_byte: float, link: str) -> dict[str, Array]:
        """Launch, transfer and compute on the GPU in seconds for each number of elements."""
        found = self.gpu_parts(elements, flop_per_byte, link)
        return {name: found[name] + np.zeros_like(elements) for name, _ in PARTS}

    def times(self, elements: Array, flop_per_byte: float, link: str) -> tuple[Array, Array]:
        """CPU and GPU seconds for each number of elements."""
        cpu = self.cpu_time(elements, flop_per_byte) + np.zeros_like(elements)
        return cpu, np.sum(list(self.parts(elements, flop_per_byte, link).values()), axis=0)


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
    race = Race(cpu_time, gpu_parts, dict(links))
    stage = Stage(race, race.times(SIZES, flop_per_byte, link), source, title)
    stage.update(elements, flop_per_byte, link)
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
    race = Race(cpu_time, gpu_parts, dict(links))
    ends = [t for slug, _ in links for f in INTENSITIES for t in race.times(SIZES, f, slug)]
    stage = Stage(race, ends, source, None)

    def draw(axes: HouseAxes | None, **values: Any) -> HouseAxes:
        stage.update(**values)
        return stage.axes if axes else finish(stage.axes, stage.axes.alt)

    size, work = "How many elements the computation works on", "Operations for each byte moved"
    way = "The link over which the data travel to the GPU and back"
    controls: list[Control] = [
        Slider("elements", "problem size", 1e2, 1e9, elements, 0.1, True, "elements", size),
        Slider("flop_per_byte", "arithmetic per byte", *INTENSITIES, flop_per_byte, 0.1, True,
               "FLOP/B", work),
        Choice("link", "link to the GPU", links, link or links[0][0], way),
    ]  # fmt: skip
    return explorer(draw, controls)


def message(start: float | None, cpu: Array, gpu: Array) -> str:
    """Say where the GPU wins; ``start`` is the size from which on it does."""
    if start is None:
        small = bool((gpu < cpu).any())
        return "the GPU wins small problems only" if small else "the GPU never wins here"
    if start <= SIZES[0]:
        return "the GPU always wins here"
    return f"the GPU wins from {plain(start, 2)} elements"


class Stage:
    """The figure and its artists, made once and moved by ``update``."""

    @house_style
    def __init__(self, race: Race, ends: Sequence[Array], source: str, title: str | None) -> None:
        self.race, self.title = race, title
        view = pad(
            [float(t) for times in ends for t in (times.min(), times.max())], True, 0.14, 0.2
        )
        across, up = (
            (Scale("elements in the problem"), (SIZES[0], SIZES[-1])),
            (Scale("time", "s"), view),
        )
        self.axes = axes = plot_axes(
            "\n", source, 2.55, across, up, right=0.62, above=0.68, below=1.55
        )
        width, height = axes.size
        self.head = next(text for text in axes.whole.texts if text.get_gid() == "title")
        self.verdict = write(axes, -axes.left, height + 0.45, "")
        self.field = panel(axes, 0, 0, 0, height, COLOURS["gpu"], alpha=0.08)
        self.wins = write(axes, 0, height - 0.12, "GPU wins", colour=INK["gpu"])
        self.meet = ring(axes, [], [], TEXT, 10, markerfacecolor="white", zorder=5)
        self.stem = stroke(axes, [0, 0], [0, height], TEXT, 1, linestyle=DOTTED, zorder=3)
        self.lines, self.names, self.dots = [], [], []
        for name, kind, marker, dash in SIDES:
            self.lines.append(stroke(axes, [], [], COLOURS[kind], 2.4, linestyle=dash, zorder=4))
            self.names.append(write(axes, width + 0.13, 0, name, bold=True, colour=INK[kind]))
            self.dots.append(spot(axes, [], [], marker, COLOURS[kind], 8))
        self._make_bar()

    def _make_bar(self) -> None:
        axes, left = self.axes, -self.axes.left
        self.bar_head = write(axes, left, -0.78, "", colour=MUTED)
        self.boxes = [block(axes, 0, -1.18, 0, 0.24, kind) for _, kind in PARTS]
        self.words = []
        for i, (_, kind) in enumerate(PARTS):
            x = left + i * INNER / 3
            block(axes, x, -1.44, 0.16, 0.16, kind)
            self.words.append(write(axes, x + 0.23, -1.36, "", colour=INK[kind]))

    def update(self, elements: float, flop_per_byte: float, link: str) -> None:
        """Move every artist to the given values and say the result in the alternative text."""
        times = self.race.times(SIZES, flop_per_byte, link)
        paths = [self.axes.path(SIZES, each) for each in times]
        ends = spread_out([float(path[-1, 1]) for path in paths], [0.17, 0.17], 0, 9, 0.02)
        for line, name, path, y in zip(self.lines, self.names, paths, ends, strict=True):
            line.set_data(path.T)
            name.set_y(y)
        start = crossing(SIZES.tolist(), *(each.tolist() for each in times))
        self._mark_crossing(start, times[0])
        here = np.array([elements])
        parts = {k: float(v[0]) for k, v in self.race.parts(here, flop_per_byte, link).items()}
        cpu, gpu = (float(t[0]) for t in self.race.times(here, flop_per_byte, link))
        for dot, seconds in zip(self.dots, (cpu, gpu), strict=True):
            x, y = self.axes.at(elements, seconds)
            dot.set_data([x], [y])
            self.stem.set_data([x, x], [0, self.axes.size[1]])
        self._fill_bar(parts)
        label = self.race.links.get(link, link)
        way = label if label.lower().startswith(("over", "data")) else f"over {label}"
        where = f"At {plain(flop_per_byte, 2)} FLOP for each byte, {way}"
        title = self.title or f"{where}: {message(start, *times)}"
        self.axes.title_text = title
        self.head.set_text(wrap(title, INNER, TITLE_SIZE, bold=True))
        both = f"CPU {format_quantity(cpu, 's')}, GPU {format_quantity(gpu, 's')}"
        verdict = f"At {plain(elements, 3)} elements {_compare(cpu, gpu)}: {both}"
        self.verdict.set_text(verdict)
        told = ", ".join(f"{name} {format_quantity(parts[name], 's')}" for name, _ in PARTS)
        self.axes.alt = sentence(title, f"{verdict} ({told})")

    def _mark_crossing(self, start: float | None, cpu: Array) -> None:
        width = self.axes.size[0]
        y = float(np.interp(np.log(start or 1), np.log(SIZES), np.log(cpu)))
        x, y = self.axes.at(start or SIZES[-1], np.exp(y))
        self.field.set(x=x, width=width - x)
        self.wins.set(x=min(x + 0.06, width - 0.72), visible=start is not None)
        self.meet.set(data=([x], [y]), visible=start is not None and start > SIZES[0])

    def _fill_bar(self, parts: Mapping[str, float]) -> None:
        whole, x = sum(parts.values()), -self.axes.left
        for box, text, (name, _) in zip(self.boxes, self.words, PARTS, strict=True):
            share = parts[name] / whole
            box.set(x=x, width=share * INNER)
            x += share * INNER
            text.set_text(f"{name} {format_quantity(parts[name], 's')} ({percent(share)})")
        self.bar_head.set_text(f"Where the GPU's {format_quantity(whole, 's')} go")


def _compare(cpu: float, gpu: float) -> str:
    if near := same(cpu, gpu):
        return f"CPU and GPU are {near} of each other"
    winner = "GPU" if gpu < cpu else "CPU"
    return f"the {winner} is {ratio_words(max(cpu, gpu) / min(cpu, gpu))} faster"
