"""What people see: the house figures and explorers. Nothing here computes a result.

The names below are loaded when first used, so that importing the package costs no matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiinfra.show.break_even import break_even_explorer, break_even_figure
    from aiinfra.show.breakdowns import breakdown
    from aiinfra.show.canvas import HouseAxes
    from aiinfra.show.explorers import Choice, Explorer, Slider, explorer
    from aiinfra.show.gaps import gap
    from aiinfra.show.ladders import ladder
    from aiinfra.show.pictures import image
    from aiinfra.show.rooflines import Ceiling, Point, roofline
    from aiinfra.show.runs import samples
    from aiinfra.show.scales import Scale
    from aiinfra.show.style import COLOURS
    from aiinfra.show.sweeps import Series, sweep
    from aiinfra.show.timelines import Span, timeline

__all__ = [
    "COLOURS", "Ceiling", "Choice", "Explorer", "HouseAxes", "Point", "Scale", "Series", "Slider",
    "Span", "break_even_explorer", "break_even_figure", "breakdown", "explorer", "gap", "image",
    "ladder", "roofline", "samples", "sweep", "timeline",
]  # fmt: skip

_HOMES = {
    "break_even": ("break_even_explorer", "break_even_figure"),
    "breakdowns": ("breakdown",),
    "canvas": ("HouseAxes",),
    "explorers": ("Choice", "Explorer", "Slider", "explorer"),
    "gaps": ("gap",),
    "ladders": ("ladder",),
    "pictures": ("image",),
    "rooflines": ("Ceiling", "Point", "roofline"),
    "runs": ("samples",),
    "scales": ("Scale",),
    "style": ("COLOURS",),
    "sweeps": ("Series", "sweep"),
    "timelines": ("Span", "timeline"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"aiinfra.show.{module}"), name)
    raise AttributeError(f"aiinfra.show has no {name!r}; it has {', '.join(__all__)}")
