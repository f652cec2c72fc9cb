"""Explorers: a figure that redraws while a control moves, and stands still without widgets.

A picture and its alternative text travel as one ``<img>`` in one message, so they never disagree.
Moves that arrive while a frame is being drawn are dropped in favour of the last one.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.show.canvas import HouseAxes
from aiinfra.show.words import plain
from aiinfra.units import PLAIN_WORDS, PREFIXED, scale_of

Draw = Callable[..., HouseAxes]
FRAME_DPI = 100  # one pixel of the page each: sharp, and quick to draw


@dataclass(frozen=True)
class Slider:
    """A number from ``low`` to ``high`` (SI unit); on a log slider ``step`` is in decades.

    A linear slider whose numbers are all whole gives whole numbers.
    """

    name: str
    label: str
    low: float
    high: float
    start: float
    step: float
    log: bool = False
    unit: str = ""
    description: str = ""

    def values(self) -> list[float]:
        """The stops of the slider; ``start`` is always one of them."""
        turn = math.log10 if self.log else float
        first, last = turn(self.low), turn(self.high)
        raw = np.linspace(first, last, round((last - first) / self.step) + 1)
        stops = [float(f"{10**v:.2g}" if self.log else f"{v:.6g}") for v in raw]
        found = sorted({self.low, *stops[1:-1], self.high, self.start})
        whole = all(isinstance(v, int) for v in (self.low, self.high, self.start, self.step))
        return [int(v) for v in found] if whole else found

    def words(self, value: float) -> str:
        """Write a stop with its unit, as the slider shows and screen readers say it."""
        if self.unit in PREFIXED:
            divisor, unit = scale_of(value, self.unit)
            return f"{plain(value / divisor, 3)} {unit}"
        return f"{plain(value, 3)} {PLAIN_WORDS.get(self.unit, self.unit)}".strip()


@dataclass(frozen=True)
class Choice:
    """One of several options, given as (value, label)."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]
    start: str
    description: str = ""


Control = Slider | Choice


class Explorer:
    """A figure with its controls; ``controls`` maps names to widgets, ``image`` shows the frame."""

    def __init__(self, draw: Draw, controls: Sequence[Control]) -> None:
        import ipywidgets as widgets

        self.draw = draw
        self.controls: dict[str, Any] = {c.name: _widget(widgets, c) for c in controls}
        self.axes = draw(None, **self.values())
        self.image = widgets.HTML(value=self._frame())
        self.box = widgets.VBox([*self.controls.values(), self.image])
        self.frames = 1
        self._ready, self._waiting = 0.0, False
        for widget in self.controls.values():
            widget.observe(self._moved, names="value")

    def values(self) -> dict[str, Any]:
        """The present values of the controls by name."""
        return {name: widget.value for name, widget in self.controls.items()}

    def redraw(self) -> None:
        """Draw the figure for the present values and show it."""
        begin = time.perf_counter()
        self.axes = self.draw(self.axes, **self.values())
        self.image.value = self._frame()
        self.frames += 1
        cost = time.perf_counter() - begin
        self._ready = begin + 1.5 * cost  # leaves the queue of moves a breath to drain

    def _frame(self) -> str:
        return self.axes.img(self.axes.png(FRAME_DPI, compress_level=1))

    def _moved(self, _: Any) -> None:
        """Redraw at once, or soon and only once when moves come faster than frames are drawn."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel around us: a test or a script
            self.redraw()
            return
        wait = self._ready - time.perf_counter()
        if wait <= 0:
            self.redraw()
        elif not self._waiting:
            self._waiting = True
            loop.call_later(wait, self._late)

    def _late(self) -> None:
        self._waiting = False
        self.redraw()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)


def explorer(draw: Draw, controls: Sequence[Control]) -> Explorer | HouseAxes:
    """Let the reader move ``controls`` and see the figure of ``draw`` change.

    ``draw(axes, **values)`` returns the axes to show: at first ``axes`` is ``None`` and it makes
    the figure; later it gets that figure back and either changes its artists (fast) or returns a
    new house figure. Without ipywidgets the figure of the starting values is returned.
    """
    names = [control.name for control in controls]
    if len(set(names)) < len(names):
        raise ValueError(f"two controls share a name: {names}")
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return draw(None, **{control.name: control.start for control in controls})
    return Explorer(draw, controls)


def _widget(widgets: Any, control: Control) -> Any:
    options: list[tuple[str, Any]]
    if isinstance(control, Slider):
        make, options = widgets.SelectionSlider, [(control.words(v), v) for v in control.values()]
    else:
        make, options = widgets.Dropdown, [(label, value) for value, label in control.options]
    return make(
        options=options,
        value=control.start,
        description=control.label,
        tooltip=control.description or f"Choose: {control.label}",
        style={"description_width": "11em"},
        layout={"width": "min(100%, 640px)"},
    )
