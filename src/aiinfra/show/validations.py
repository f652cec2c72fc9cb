"""Models against published measurements: every row a point, errors by size and by set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiinfra.model.validate.report import Case, Validation
from aiinfra.show.canvas import Array, HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.marks import Look, leader, panel, ring, spot, stroke, write
from aiinfra.show.scales import Scale, pad, plot_axes, set_x
from aiinfra.show.style import COLOURS, GRID, INK, MUTED, TEXT
from aiinfra.show.words import sentence
from aiinfra.units import spelled, split_unit

BAND = 0.1  # the share that the grey band holds
KEY_ROOM, LANE, NAME_ROOM = 1.95, 0.66, 1.5  # inches
# Kind, marker, and whether it is hollow: the same for a set in every figure. Sets that share a
# colour share what they mostly wait for.
LOOKS: dict[str, tuple[str, str, bool]] = {
    "training": ("gpu", "s", False), "training_recent": ("gpu", "s", True),
    "memory": ("limit", "P", False), "decode": ("memory", "^", False),
    "prefill": ("gpu", "v", False), "throughput": ("memory", "^", True),
    "gemm": ("other", "o", False), "all_reduce": ("network", "D", False),
}  # fmt: skip
PLAIN = ("gpu", "o", False)


def look_of(name: str) -> tuple[str, str, bool]:
    """How a set looks, or some of its rows: "gemm, held back" as "gemm"."""
    return LOOKS.get(name.partition(",")[0], PLAIN)


def percents(share: float, sign: bool = False) -> str:
    """Write an error: "6.2 %", "+23 %", "-0.4 %"."""
    value = 100 * share
    if abs(value) < 0.05:
        return "0.0 %"
    digits = 0 if abs(value) >= 9.95 else 1
    return f"{value:+,.{digits}f} %" if sign else f"{value:,.{digits}f} %"


def worst_of(validation: Validation) -> Case:
    """The row that is missed by most."""
    return max(validation.cases, key=lambda case: abs(case.error))


@dataclass(frozen=True)
class Cloud:
    """One set as drawn: base unit, what was published in it, and how its points look."""

    name: str
    unit: str
    x: Array
    kind: str
    marker: str
    hollow: bool

    @classmethod
    def of(cls, validation: Validation) -> Cloud:
        """Turn a validation into SI units."""
        base, factor = split_unit(spelled(validation.unit, "s"))
        points = np.array([(case.measured, case.predicted) for case in validation.cases]) * factor
        if not (np.isfinite(points) & (points > 0)).all():
            raise ValueError(f"{validation.name}: a logarithmic axis needs numbers above 0")
        name = validation.name.replace("_", " ")
        return cls(name, base, points[:, 0], *look_of(validation.name))


@house_style
def error_by_size(
    validations: Sequence[Validation], title: str, *, source: str, alt: str | None = None
) -> HouseAxes:
    """Draw the signed error of every row over what was published, with a band of 10 %.

    The x axis is logarithmic; sets must share a unit or be times. Raises ``ValueError`` where the
    units differ.
    """
    clouds = [Cloud.of(each) for each in validations]
    units = {cloud.unit for cloud in clouds}
    if len(units) != 1:
        raise ValueError(f"one figure holds one unit, not {', '.join(sorted(units))}; draw several")
    errors = [[100 * case.error for case in each.cases] for each in validations]
    view = pad([float(x) for cloud in clouds for x in cloud.x], True, 0.03, 0.03)
    furthest = max(2 * BAND * 100, *(abs(e) for every in errors for e in every))
    across, up = Scale("published", units.pop()), Scale("error of the model", "%", log=False)
    tall = (-1.08 * furthest, 1.08 * furthest)
    axes = plot_axes(title, source, 2.6, (across, view), (up, tall), right=KEY_ROOM)
    low, middle, high = (axes.at(view[0], 100 * y)[1] for y in (-BAND, 0.0, BAND))
    panel(axes, 0, low, axes.size[0], high - low, "#ECECEC")
    stroke(axes, [0, axes.size[0]], [middle, middle], TEXT, 1.0)
    for cloud, every in zip(clouds, errors, strict=True):
        _draw_points(axes, cloud, axes.path(cloud.x, every), 5.5)
    _name_clouds(axes, validations, clouds)
    told = [tell(each) for each in validations]
    return finish(axes, alt or sentence(title, "Error of the model over what was published", *told))


def tell(validation: Validation) -> str:
    """Say the error of a set and its worst row."""
    case = worst_of(validation)
    rows, name = len(validation.cases), validation.name.replace("_", " ")
    return (
        f"{name}: mean absolute error {percents(validation.mape)} over {rows} rows, "
        f"worst {case.case} {percents(case.error, sign=True)}"
    )


def _draw_points(axes: HouseAxes, cloud: Cloud, places: Array, size: float = 6.5) -> None:
    """Draw the points of a cloud, small where they are many."""
    x, y = places.T
    colour, many = COLOURS[cloud.kind], len(x) > 100
    size = 0.65 * size if many else size
    if cloud.hollow:
        ring(axes, x, y, colour, size, marker=cloud.marker, markeredgewidth=1.4)
    else:
        rim = 0.4 if many else 0.8
        spot(axes, x, y, cloud.marker, colour, size, markeredgewidth=rim)


def _name_clouds(
    axes: HouseAxes, validations: Sequence[Validation], clouds: Sequence[Cloud]
) -> None:
    """Write a key to the right: marker, set, error and number of rows."""
    left, y = axes.size[0] + 0.32, axes.size[1] - 0.1
    for validation, cloud in zip(validations, clouds, strict=True):
        _draw_points(axes, cloud, np.array([[left - 0.12, y]]), 7.5)
        write(axes, left, y, cloud.name, bold=True, colour=INK[cloud.kind])
        rows = f"{len(validation.cases)} row{'s' * (len(validation.cases) > 1)}"
        write(axes, left, y - 0.18, f"MAPE {percents(validation.mape)}, {rows}", colour=MUTED)
        y -= 0.46
    panel(axes, left - 0.2, y - 0.06, 0.16, 0.12, "#ECECEC")
    write(axes, left, y, "within 10 %", colour=MUTED)


@house_style
def error_strip(
    validations: Sequence[Validation], title: str, *, source: str, alt: str | None = None
) -> HouseAxes:
    """Draw the signed error of every row, a lane for each set, with median and mean size.

    The band is 10 % to either side; the tick is the median; the worst row of each lane is named.
    """
    names = [wrap(each.name.replace("_", " "), NAME_ROOM) for each in validations]
    errors = [np.array([case.error for case in each.cases]) for each in validations]
    told = [
        f"MAPE {percents(each.mape)}\nmedian {percents(float(np.median(e)), sign=True)}"
        for each, e in zip(validations, errors, strict=True)
    ]
    left = max(text_size(name)[0] for name in names) + 0.16
    right = max(text_size(words)[0] for words in told) + 0.16
    height = LANE * len(names)
    axes = new_axes(title, source, height, left=left, right=right, above=0.12, below=0.55)
    low, high = min(e.min() for e in errors), max(e.max() for e in errors)
    room = 0.04 * max(high - low, 2 * BAND)
    view = (100 * min(low - room, -1.3 * BAND), 100 * max(high + room, 1.3 * BAND))
    axes.set(xlim=view, ylim=(0, height), yticks=[])
    set_x(axes, Scale("predicted against published, too low or too high", "%", log=False))
    a, b, middle = (axes.at(100 * v, 0)[0] for v in (-BAND, BAND, 0.0))
    panel(axes, a, 0, b - a, height, "#ECECEC")
    stroke(axes, [middle, middle], [0, height], TEXT, 1.0)
    for i, validation in enumerate(validations):
        base = height - LANE * (i + 1)
        stroke(axes, [-left, axes.size[0] + right], [base, base], GRID, 0.8)
        write(axes, -left, base + LANE / 2, names[i])
        write(axes, axes.size[0] + 0.14, base + LANE / 2, told[i])
        _draw_lane(axes, validation, errors[i], base)
    return finish(axes, alt or sentence(title, *map(tell, validations)))


def _draw_lane(axes: HouseAxes, validation: Validation, errors: Array, base: float) -> None:
    """Draw one lane: points above, the name of the worst row below them."""
    y = base + 0.42
    # Neighbours in the file stand apart, so that a crowd shows as a crowd.
    turns = (np.arange(len(errors)) * 0.618) % 1 - 0.5
    x = axes.path(100 * errors, np.zeros_like(errors))[:, 0]
    heights = np.asarray(y + 0.3 * turns * min(1.0, len(errors) / 20), float)
    cloud = Cloud(validation.name, "", x, *look_of(validation.name))
    _draw_points(axes, cloud, np.column_stack([x, heights]), 5.5)
    middle = axes.at(100 * float(np.median(errors)), 0)[0]
    stroke(axes, [middle, middle], [y - 0.21, y + 0.21], TEXT, 3.0, zorder=5)
    worst = int(np.argmax(np.abs(errors)))
    words = f"{validation.cases[worst].case} {percents(float(errors[worst]), sign=True)}"
    half = text_size(words)[0] / 2
    centre = min(max(float(x[worst]), half), axes.size[0] - half)
    leader(axes, (float(x[worst]), float(heights[worst]) - 0.03), (float(x[worst]), base + 0.2))
    look: Look = {"ha": "center", "patch": "white", "zorder": 9}
    write(axes, centre, base + 0.11, words, colour=INK[cloud.kind], **look)
