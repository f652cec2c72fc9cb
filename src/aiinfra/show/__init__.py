"""What people see: the house figures and explorers. Nothing here computes a result.

The names below are loaded when first used, so that importing the package costs no matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiinfra.show.banks import bank_map
    from aiinfra.show.break_even import break_even_explorer, break_even_figure
    from aiinfra.show.breakdowns import breakdown
    from aiinfra.show.canvas import HouseAxes
    from aiinfra.show.error_ladders import error_ladder
    from aiinfra.show.explorers import Choice, Explorer, Slider, explorer
    from aiinfra.show.gaps import gap
    from aiinfra.show.ladders import ladder
    from aiinfra.show.pictures import image
    from aiinfra.show.rooflines import Ceiling, Point, roofline
    from aiinfra.show.runs import samples
    from aiinfra.show.scales import Scale
    from aiinfra.show.server_maps import server_map
    from aiinfra.show.style import COLOURS
    from aiinfra.show.sweeps import Series, sweep
    from aiinfra.show.timelines import Span, timeline
    from aiinfra.show.trees import reduction_tree
    from aiinfra.show.validations import error_by_size, error_strip
    from aiinfra.show.warps import warp_sectors

__all__ = [
    "COLOURS", "Ceiling", "Choice", "Explorer", "HouseAxes", "Point", "Scale", "Series", "Slider",
    "Span", "bank_map", "break_even_explorer", "break_even_figure", "breakdown", "error_by_size",
    "error_ladder", "error_strip", "explorer", "gap", "image", "ladder",
    "reduction_tree", "roofline", "samples", "server_map", "sweep", "timeline", "warp_sectors",
]  # fmt: skip

_HOMES = {
    "banks": ("bank_map",),
    "break_even": ("break_even_explorer", "break_even_figure"),
    "breakdowns": ("breakdown",),
    "canvas": ("HouseAxes",),
    "error_ladders": ("error_ladder",),
    "explorers": ("Choice", "Explorer", "Slider", "explorer"),
    "gaps": ("gap",),
    "ladders": ("ladder",),
    "pictures": ("image",),
    "rooflines": ("Ceiling", "Point", "roofline"),
    "runs": ("samples",),
    "scales": ("Scale",),
    "server_maps": ("server_map",),
    "style": ("COLOURS",),
    "sweeps": ("Series", "sweep"),
    "timelines": ("Span", "timeline"),
    "trees": ("reduction_tree",),
    "validations": ("error_by_size", "error_strip"),
    "warps": ("warp_sectors",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"aiinfra.show.{module}"), name)
    raise AttributeError(f"aiinfra.show has no {name!r}; it has {', '.join(__all__)}")
