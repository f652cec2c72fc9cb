"""The drawing of the break-even figure: artists made once, moved by every change of a control."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aiinfra.show.break_even_curves import PARTS, SIZES, Curves, message, winning_range
from aiinfra.show.canvas import house_rc, new_axes, to_inches, write
from aiinfra.show.layout import spread_out, text_size, wrap
from aiinfra.show.marks import name_x, quiet_y
from aiinfra.show.placing import Array
from aiinfra.show.strokes import DASHED, DOTTED, panel, spot, stroke, swatch
from aiinfra.show.style import COLOURS, INK, MARGIN, MUTED, TEXT, TITLE_SIZE, WIDTH
from aiinfra.show.ticks import Scale, set_ticks, tick_labels_width
from aiinfra.show.words import percent, plain, ratio_words, same, sentence
from aiinfra.units import format_quantity

HALO = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9}


class Stage:
    """The figure and its artists, made once and moved by ``update``."""

    def __init__(
        self, curves: Curves, span: tuple[float, float], source: str, title: str | None
    ) -> None:
        self.curves, self.title = curves, title
        view = (span[0] * (span[0] / span[1]) ** 0.14, span[1] * (span[1] / span[0]) ** 0.24)
        up = Scale("time", "s")
        left = tick_labels_width(view, up) + 0.1
        self.axes = axes = new_axes(
            " ", source, 2.55, left=left, right=0.62, above=0.68, below=1.55, title_lines=2
        )
        axes.set(xscale="log", yscale="log", xlim=(SIZES[0], SIZES[-1]), ylim=view)
        with house_rc():
            set_ticks(axes, "x", Scale("elements"), axes.size[0], most=8)
            quiet_y(axes, up, left)
            name_x(axes, "elements in the problem")
            self._make_curves()
            self._make_bar(left)
        self.head = next(t for t in axes.whole.texts if t.get_gid() == "title")
        self.sub = write(axes, -left, axes.size[1] + 0.45, "", gid="label")
        axes.moving = (
            *self.lines,
            *self.names,
            *self.boxes,
            *self.words,
            self.field,
            self.edge,
            self.ring,
            self.stem,
            *self.dots,
            *self.notes,
            self.cross,
            self.here,
            self.head,
            self.sub,
            self.bar_head,
        )

    def _make_curves(self) -> None:
        axes, flat = self.axes, SIZES * 0 + self.axes.get_ylim()[0]
        self.field = panel(axes, 0, 0, 0, axes.size[1], COLOURS["gpu"], alpha=0.08)
        self.lines = [
            stroke(axes, SIZES, flat, COLOURS[kind], 2.4, dash=dash, z=4, data=True)
            for dash, kind in (("solid", "cpu"), (DASHED, "gpu"))
        ]
        self.edge = stroke(axes, [], [], COLOURS["gpu"], 1, data=True)
        self.ring = spot(axes, [], [], "o", TEXT, 10, hollow=1.6, z=5, data=True)
        self.stem = stroke(axes, [], [], TEXT, 1, dash=DOTTED, z=3, data=True)
        self.dots = [
            spot(axes, [], [], marker, COLOURS[kind], 8, data=True)
            for marker, kind in (("o", "cpu"), ("s", "gpu"))
        ]
        self.names = [
            write(axes, axes.size[0] + 0.13, 0, name, bold=True, colour=INK[kind])
            for name, kind in (("CPU", "cpu"), ("GPU", "gpu"))
        ]
        self.notes = [
            write(axes, 0, 0, "", bold=True, colour=INK[kind], bbox=HALO, zorder=8)
            for kind in ("cpu", "gpu")
        ]
        self.cross = write(axes, 0, axes.size[1] - 0.12, "", colour=INK["gpu"], bbox=HALO, zorder=7)
        self.here = write(axes, 0, axes.size[1] + 0.11, "", colour=TEXT, ha="center")

    def _make_bar(self, left: float) -> None:
        axes, self.bar_left = self.axes, -left
        self.bar_width = WIDTH - 2 * MARGIN
        self.bar_head = write(axes, -left, -0.78, "", colour=MUTED)
        self.boxes = [swatch(axes, 0, -1.18, 0, 0.24, kind) for _, kind in PARTS]
        self.words = []
        for i, (_, kind) in enumerate(PARTS):
            x = -left + i * self.bar_width / 3
            swatch(axes, x, -1.44, 0.16, 0.16, kind)
            self.words.append(write(axes, x + 0.23, -1.36, "", colour=INK[kind]))

    def update(self, *, elements: float, flop_per_byte: float, link: str) -> None:
        """Move every artist to the given values and say the result in the alternative text."""
        cpu, gpu = self.curves.times(SIZES, flop_per_byte, link)
        for line, times in zip(self.lines, (cpu, gpu), strict=True):
            line.set_ydata(times)
        ends = [to_inches(self.axes, SIZES[-1], float(t[-1]))[1] for t in (cpu, gpu)]
        for name, y in zip(self.names, spread_out(ends, [0.17, 0.17], 0, 9, 0.02), strict=True):
            name.set_y(y)
        span = winning_range(cpu, gpu)
        self._mark_crossing(span, cpu)
        here = np.array([elements])
        parts = {k: float(v[0]) for k, v in self.curves.parts(here, flop_per_byte, link).items()}
        mine = float(self.curves.times(here, flop_per_byte, link)[0][0]), sum(parts.values())
        self._mark_size(elements, mine)
        self._fill_bar(parts)
        self._say(span, mine, parts, (elements, flop_per_byte, link))

    def _mark_crossing(self, span: tuple[float, float] | None, cpu: Array) -> None:
        width = self.axes.size[0]
        a, b = (to_inches(self.axes, v, 1)[0] for v in span) if span else (0.0, 0.0)
        self.field.set(x=a, width=b - a)
        inner = span is not None and span[0] > SIZES[0]
        self.edge.set_visible(inner)
        self.ring.set_visible(inner)
        if span and inner:
            y = float(np.exp(np.interp(np.log(span[0]), np.log(SIZES), np.log(cpu))))
            self.edge.set_data([span[0]] * 2, self.axes.get_ylim())
            self.ring.set_data([span[0]], [y])
        text = message(span)
        self.cross.set_text(text[4:] if span else text)
        self.cross.set_color(INK["gpu"] if span else INK["cpu"])
        left = a > width * 0.5
        self.cross.set(x=a + (-0.06 if left else 0.06), ha="right" if left else "left")

    def _mark_size(self, elements: float, mine: tuple[float, float]) -> None:
        x, (width, height) = to_inches(self.axes, elements, 1)[0], self.axes.size
        self.stem.set_data([elements] * 2, self.axes.get_ylim())
        size = f"{plain(float(f'{elements:.3g}'))} elements"
        half = text_size(size)[0] / 2
        self.here.set(text=size, x=min(max(x, half), width - half))
        for i, (dot, note, time) in enumerate(zip(self.dots, self.notes, mine, strict=True)):
            dot.set_data([elements], [time])
            text = f"{('CPU', 'GPU')[i]} {format_quantity(time, 's')}"
            long, y = text_size(text, bold=True)[0], to_inches(self.axes, elements, time)[1]
            # The curves rise to the right: up left and down right of a point are free of them.
            upper = time >= max(mine) and not (i and mine[0] == mine[1])
            left = x > long + 0.1 if upper else x + long + 0.1 > width
            shift = 0.17 if left == upper else 0.17 + 0.36 * long
            y = min(y + shift, height - 0.36) if upper else max(y - shift, 0.1)
            note.set(
                text=text, x=x + (-0.08 if left else 0.08), y=y, ha="right" if left else "left"
            )

    def _fill_bar(self, parts: Mapping[str, float]) -> None:
        whole, x = sum(parts.values()), self.bar_left
        for box, text, (name, _) in zip(self.boxes, self.words, PARTS, strict=True):
            share = parts[name] / whole
            box.set(x=x, width=share * self.bar_width)
            x += share * self.bar_width
            text.set_text(f"{name} {format_quantity(parts[name], 's')} ({percent(share)})")
        self.bar_head.set_text(f"Where the GPU's {format_quantity(whole, 's')} go")

    def _say(
        self,
        span: tuple[float, float] | None,
        mine: tuple[float, float],
        parts: Mapping[str, float],
        values: tuple[float, float, str],
    ) -> None:
        elements, flop_per_byte, link = values
        label, text = self.curves.links.get(link, link), message(span)
        work = f"{plain(float(f'{flop_per_byte:.2g}'))} FLOP for each byte"
        way = label if label.lower().startswith(("over", "data")) else f"over {label}"
        title = self.title or f"At {work}, {way}: {text}"
        head = wrap(title, WIDTH - 2 * MARGIN, TITLE_SIZE, bold=True)
        self.axes.title_text = title
        self.head.set_text(head)
        size = f"{plain(float(f'{elements:.3g}'))} elements"
        if near := same(*mine):
            verdict = f"At {size} CPU and GPU are {near} of each other"
        else:
            winner, ratio = (
                ("GPU", mine[0] / mine[1]) if mine[1] < mine[0] else ("CPU", mine[1] / mine[0])
            )
            verdict = f"At {size} the {winner} is {ratio_words(ratio)} faster"
        self.sub.set_text(verdict)
        cpu, gpu = (format_quantity(t, "s") for t in mine)
        told = ", ".join(f"{name} {format_quantity(parts[name], 's')}" for name, _ in PARTS)
        self.axes.alt = sentence(title, f"{verdict}: CPU {cpu}, GPU {gpu} ({told})")
