"""The timeline: who is busy when, lane by lane, with idle time visible as idle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.marks import KEY, Place, draw_key, key_rows, panel, rimmed, write, write_on
from aiinfra.show.scales import Scale, set_x
from aiinfra.show.style import INK, INNER, known_kind
from aiinfra.show.words import sentence
from aiinfra.units import format_quantity

LANE, SPACE = 0.36, 0.14  # inches: a lane, between lanes
NAME_ROOM, BUSY_ROOM, HEAD = 1.4, 0.9, 0.34
QUIET = "#F6F6F6"


@dataclass(frozen=True)
class Span:
    """One stretch of work from ``start`` to ``end`` seconds."""

    start: float
    end: float
    label: str = ""
    kind: str = "cpu"


Lanes = Mapping[str, Sequence[Span]]


@house_style
def timeline(
    lanes: Lanes | Mapping[str, Lanes],
    title: str,
    *,
    source: str = "",
    unit: str = "s",
    alt: str | None = None,
) -> HouseAxes:
    """Draw lanes of work; hatched grey is idle, and each lane's busy share stands at its right.

    ``lanes`` maps names to spans, or the names of several runs to their lanes: then each run has
    a heading, and its lanes end where it ends. Labels are written in the spans they fit into. A
    label that fits nowhere gets an entry in a key above the lanes. Raises ``ValueError`` for no
    lanes and for a span that ends before it starts.
    """
    runs = runs_of(lanes)
    flat = [(name, lane) for run in runs.values() for name, lane in run.items()]
    start, end = _ends(lane for _, lane in flat)
    left = max(text_size(wrap(name, NAME_ROOM))[0] for name, _ in flat) + 0.14
    pitch = max(LANE, *(text_size(wrap(name, NAME_ROOM))[1] for name, _ in flat)) + SPACE
    room = INNER - left - BUSY_ROOM
    height = pitch * len(flat) + HEAD * sum(bool(name) for name in runs)
    keyed = _unlabelled([lane for _, lane in flat], room / (end - start))
    rows = key_rows([label for label, _ in keyed], room)
    above = 0.12 + (KEY * (rows[-1][0] + 1) if rows else 0)
    axes = new_axes(title, source, height, left=left, right=BUSY_ROOM, above=above)
    axes.set(xlim=(start, end), ylim=(0, height), yticks=[])
    set_x(axes, Scale("", unit, log=False))
    draw_key(axes, keyed, room, height + above - 0.08)
    told, top = [], height
    for name, run in runs.items():
        stop = _ends(run.values())[1] if name else end
        if name:
            words = f"{name}: done after {format_quantity(stop - start, unit)}"
            write(axes, -left, top - HEAD / 2, words, bold=True)
            top -= HEAD
        top = _draw_run(axes, run, (start, stop), top, pitch)
        shares = [f"{lane} is busy {100 * busy(run[lane], start, stop):.0f} %" for lane in run]
        over = f"Over {format_quantity(stop - start, unit)}"
        told.append(f"{name + '. ' if name else ''}{over}: {', '.join(shares)}")
    return finish(axes, alt or sentence(title, *told))


def runs_of(lanes: Lanes | Mapping[str, Lanes]) -> Mapping[str, Lanes]:
    """The runs by name; lanes alone are one run without a name."""
    if lanes and all(isinstance(lane, Mapping) for lane in lanes.values()):
        return cast("Mapping[str, Lanes]", lanes)
    return {"": cast("Lanes", lanes)}


def _draw_run(
    axes: HouseAxes, run: Lanes, ends: tuple[float, float], top: float, pitch: float
) -> float:
    """Draw the lanes of one run downwards from ``top``; return where they end."""
    for name, lane in run.items():
        y, top = top - pitch / 2, top - pitch
        write(axes, -axes.left, y, wrap(name, NAME_ROOM))
        _draw_lane(axes, lane, y, ends)
        share = busy(lane, *ends)
        ink = INK["other" if share < 0.995 else "limit"]
        write(axes, axes.size[0] + 0.1, y, f"busy {share * 100:.0f} %", colour=ink)
    return top


def idle_spans(lane: Sequence[Span], start: float, end: float) -> list[Span]:
    """The stretches between ``start`` and ``end`` in which a lane does no work."""
    found, reached = [], start
    work = sorted((s.start, s.end) for s in lane if s.kind != "idle")
    for begin, stop in [*work, (end, end)]:
        if begin > reached:
            found.append(Span(reached, begin, "idle", "idle"))
        reached = max(reached, stop)
    return found


def busy(lane: Sequence[Span], start: float, end: float) -> float:
    """Share of the time with at least one span that is not idle."""
    return 1 - sum(s.end - s.start for s in idle_spans(lane, start, end)) / (end - start)


def _ends(lanes: Iterable[Sequence[Span]]) -> tuple[float, float]:
    spans = [span for lane in lanes for span in lane]
    for span in spans:
        known_kind(span.kind)
        if span.end < span.start:
            raise ValueError(f"span {span.label!r} ends at {span.end} before it starts")
    start, end = min((s.start for s in spans), default=0.0), max((s.end for s in spans), default=0)
    if end <= start:
        raise ValueError("a timeline needs a Span(start, end, label, kind) that takes time")
    return start, end


def _fits(span: Span, per_second: float) -> bool:
    return text_size(span.label, bold=True)[0] + 0.04 <= (span.end - span.start) * per_second


def _unlabelled(lanes: Iterable[Sequence[Span]], per_second: float) -> list[tuple[str, str]]:
    """Labels with their kinds that no span has room for."""
    spans = [s for lane in lanes for s in lane if s.label and s.kind != "idle"]
    told = {(span.label, span.kind) for span in spans if _fits(span, per_second)}
    return [pair for pair in dict.fromkeys((s.label, s.kind) for s in spans) if pair not in told]


def _draw_lane(axes: HouseAxes, lane: Sequence[Span], y: float, ends: tuple[float, float]) -> None:
    first, last = axes.get_xlim()
    (start, end), per_second, base = ends, axes.size[0] / (last - first), y - LANE / 2
    panel(axes, 0, base, (end - start) * per_second, LANE, QUIET, hatch="///", edgecolor="#D5D5D5")
    blocks: dict[str, list[Place]] = {}
    for span in lane:
        x, width = (span.start - start) * per_second, (span.end - span.start) * per_second
        if span.kind == "idle":
            continue
        blocks.setdefault(span.kind, []).append((x, base, max(width, 0.015), LANE))
        if span.label and _fits(span, per_second):
            write_on(axes, x + width / 2, y, span.label, span.kind)
    for kind, places in blocks.items():
        rimmed(axes, places, kind)
    waits = [span for span in lane if span.kind == "idle" and span.label]
    longest = sorted(idle_spans(lane, start, end), key=lambda s: s.start - s.end)[:1]
    for wait in waits or longest:
        if _fits(wait, per_second * 0.8):
            x = ((wait.start + wait.end) / 2 - start) * per_second
            write(axes, x, y, wait.label, colour=INK["idle"], patch=QUIET, ha="center")
