"""The timeline: who is busy when, lane by lane, with idle time visible as idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiinfra.show.canvas import HouseAxes, finish, house_rc, new_axes, write
from aiinfra.show.layout import text_size, wrap
from aiinfra.show.strokes import block, panel
from aiinfra.show.style import COLOURS, INK, MUTED, known_kind, words_on
from aiinfra.show.ticks import Scale, set_ticks
from aiinfra.show.words import sentence
from aiinfra.units import format_quantity

LANE, SPACE, KEY = 0.36, 0.14, 0.3  # inches: a lane, between lanes, the key above
NAME_ROOM, BUSY_ROOM = 1.4, 0.9


@dataclass(frozen=True)
class Span:
    """One stretch of work from ``start`` to ``end`` seconds."""

    start: float
    end: float
    label: str = ""
    kind: str = "cpu"


def timeline(
    lanes: Mapping[str, Sequence[Span]],
    title: str,
    *,
    source: str = "",
    unit: str = "s",
    alt: str | None = None,
) -> HouseAxes:
    """Draw lanes of work; hatched grey is idle, and each lane's busy share stands at its right.

    Labels are written in the spans they fit into. A label that fits nowhere gets an entry in a key
    above the lanes. Raises ``ValueError`` for no lanes and for a span that ends before it starts.
    """
    spans = [span for lane in lanes.values() for span in lane]
    if not spans:
        raise ValueError("a timeline needs at least one Span(start, end, label, kind)")
    for span in spans:
        known_kind(span.kind)
        if span.end < span.start:
            raise ValueError(f"span {span.label!r} ends at {span.end} before it starts")
    start, end = min(s.start for s in spans), max(s.end for s in spans)
    end = end if end > start else start + 1.0
    names = {name: wrap(name, NAME_ROOM) for name in lanes}
    left = max(text_size(text)[0] for text in names.values()) + 0.14
    pitch = max(LANE, *(text_size(text)[1] for text in names.values())) + SPACE
    height = len(lanes) * pitch
    width = new_axes("", "", 1, left=left, right=BUSY_ROOM).size[0]
    keyed = _unlabelled(lanes, width / (end - start))
    rows = _key_rows(keyed, width)
    axes = new_axes(
        title, source, height, left=left, right=BUSY_ROOM, below=0.3, above=0.12 + KEY * len(rows)
    )
    axes.set(xlim=(start, end), ylim=(0, height), yticks=[])
    with house_rc():
        set_ticks(axes, "x", Scale("", unit, log=False), width)
        for i, (name, lane) in enumerate(lanes.items()):
            base = height - (i + 0.5) * pitch - LANE / 2
            _draw_lane(axes, lane, base, (start, end))
            write(axes, -left, base + LANE / 2, names[name])
            _write_busy(axes, lane, base, end - start)
        _draw_key(axes, rows)
    return finish(axes, alt or describe(lanes, title, unit))


def describe(lanes: Mapping[str, Sequence[Span]], title: str, unit: str = "s") -> str:
    """Say in a sentence how long it all takes and how busy each lane is."""
    spans = [span for lane in lanes.values() for span in lane]
    whole = max(s.end for s in spans) - min(s.start for s in spans)
    busy = [f"{name} is busy {_busy(lane, whole) * 100:.0f} %" for name, lane in lanes.items()]
    return sentence(title, f"Over {format_quantity(whole, unit)}: {', '.join(busy)}")


def _busy(lane: Sequence[Span], whole: float) -> float:
    """Share of the time with at least one span that is not idle."""
    covered, reached = 0.0, float("-inf")
    for span in sorted((s for s in lane if s.kind != "idle"), key=lambda s: s.start):
        covered += max(0.0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return covered / whole if whole > 0 else 0.0


def _room(span: Span, per_second: float) -> bool:
    return text_size(span.label, bold=True)[0] + 0.04 <= (span.end - span.start) * per_second


def _unlabelled(lanes: Mapping[str, Sequence[Span]], per_second: float) -> list[tuple[str, str]]:
    spans = [s for lane in lanes.values() for s in lane if s.label and s.kind != "idle"]
    told = {(span.label, span.kind) for span in spans if _room(span, per_second)}
    left = [pair for pair in dict.fromkeys((s.label, s.kind) for s in spans) if pair not in told]
    by_kind: dict[str, list[str]] = {}
    for label, kind in left:
        by_kind.setdefault(kind, []).append(label)
    return [
        (", ".join(labels[:3]) + ", ..." * (len(labels) > 3), kind)
        for kind, labels in by_kind.items()
    ]


def _draw_lane(
    axes: HouseAxes, lane: Sequence[Span], base: float, view: tuple[float, float]
) -> None:
    per_second = axes.size[0] / (view[1] - view[0])
    panel(axes, 0, base, axes.size[0], LANE, "#F6F6F6", hatch="///", ink="#D5D5D5", z=1)
    for span in lane:
        if span.kind == "idle":
            continue
        x = (span.start - view[0]) * per_second
        block(axes, x, base, max((span.end - span.start) * per_second, 0.015), LANE, span.kind)
        if span.label and _room(span, per_second):
            middle = x + (span.end - span.start) * per_second / 2
            write_on(axes, middle, base + LANE / 2, span.label, span.kind)
    waits = [span for span in lane if span.kind == "idle" and span.label]
    start, end = _longest_idle(lane, view)
    for wait in waits or [Span(start, end, "idle", "idle")]:
        if (wait.end - wait.start) * per_second > text_size(wait.label)[0] + 0.25:
            middle = ((wait.start + wait.end) / 2 - view[0]) * per_second
            write(
                axes,
                middle,
                base + LANE / 2,
                wait.label,
                colour=INK["idle"],
                ha="center",
                zorder=2,
                bbox={"facecolor": "#F6F6F6", "edgecolor": "none", "pad": 1.5},
            )


def _longest_idle(lane: Sequence[Span], view: tuple[float, float]) -> tuple[float, float]:
    best, reached = (view[0], view[0]), view[0]
    edges = sorted((s.start, s.end) for s in lane if s.kind != "idle")
    for start, end in [*edges, (view[1], view[1])]:
        if start - reached > best[1] - best[0]:
            best = (reached, start)
        reached = max(reached, end)
    return best


def write_on(axes: HouseAxes, x: float, y: float, text: str, kind: str, ha: str = "center") -> None:
    """Write bold words on a block, on a patch without hatching."""
    write(
        axes,
        x,
        y,
        text,
        bold=True,
        colour=words_on(COLOURS[kind]),
        ha=ha,
        zorder=6,
        va="center",
        bbox={"facecolor": COLOURS[kind], "edgecolor": "none", "pad": 0.6},
    )


def _write_busy(axes: HouseAxes, lane: Sequence[Span], base: float, whole: float) -> None:
    share = _busy(lane, whole)
    write(
        axes,
        axes.size[0] + 0.1,
        base + LANE / 2,
        f"busy {share * 100:.0f} %",
        colour=INK["other"] if share < 0.995 else INK["limit"],
    )


def _key_rows(keyed: Sequence[tuple[str, str]], width: float) -> list[list[tuple[float, str, str]]]:
    rows: list[list[tuple[float, str, str]]] = []
    x = width + 1
    for label, kind in keyed:
        need = text_size(label)[0] + 0.5
        if x + need > width + BUSY_ROOM:
            rows.append([])
            x = 0.0
        rows[-1].append((x, label, kind))
        x += need
    return rows


def _draw_key(axes: HouseAxes, rows: Sequence[Sequence[tuple[float, str, str]]]) -> None:
    for i, row in enumerate(rows):
        y = axes.size[1] + 0.16 + KEY * (len(rows) - 1 - i)
        for x, label, kind in row:
            block(axes, x, y - 0.09, 0.22, 0.18, kind)
            write(axes, x + 0.29, y, label, colour=MUTED)
