"""The reduction tree: who adds what in each step, and who stands idle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import text_size
from aiinfra.show.marks import boxes, stroke, write
from aiinfra.show.requests import COUNTED, LANES, Launch, Request, hatched, legend
from aiinfra.show.style import COLOURS, DOTTED, INK, INNER, MUTED, RULE, TICK_SIZE
from aiinfra.show.words import sentence

MOST_THREADS = 128
HEAD, STEP, SQUARE = 0.46, 0.44, 0.17  # inches: label, a step, the height of a thread


@dataclass(frozen=True)
class Step:
    """One addition of the whole block: (thread, cell written, cells read) for each active one."""

    work: tuple[tuple[int, int, tuple[int, ...]], ...]

    @property
    def threads(self) -> frozenset[int]:
        """The threads that work."""
        return frozenset(thread for thread, _, _ in self.work)

    @property
    def warps(self) -> int:
        """Warps with at least one thread that works: each of them takes the step's time."""
        return len({thread // LANES for thread in self.threads})


def steps_of(launch: Launch) -> list[Step]:
    """The steps in which the first block of a launch combines cells of one shared array.

    A step is a store whose thread read two cells of the array before it, as ``tile[t] += tile[t +
    s]`` does, or the last loads where the sum goes elsewhere. Raises ``ValueError`` where there is
    none.
    """
    found: list[Step] = []
    read: dict[int, list[int]] = {}
    for kind, requests in _runs(launch):
        cells = {t: cell for request in requests for t, cell in _cells(request)}
        if kind == "load":
            for thread, cell in cells.items():
                read.setdefault(thread, []).append(cell)
            continue
        work = tuple(
            (t, cell, tuple(read[t])) for t, cell in cells.items() if len(read.get(t, ())) > 1
        )
        found += [Step(work)] if work else []
        read = {}
    last = tuple((t, t, tuple(cells)) for t, cells in read.items() if len(set(cells)) > 1)
    found += [Step(last)] if last else []
    if not found:
        raise ValueError(
            "no thread adds two cells of a shared array here; what shuffles and atomics add "
            "leaves no such trace in memory"
        )
    return found


def _runs(launch: Launch) -> Iterator[tuple[str, list[Request]]]:
    """Shared requests of the first block, cut where the next instruction begins."""
    rows = [row for row in launch.accesses if row.space == "shared"]
    rows = [row for row in rows if row.block == rows[0].block]
    kept: list[Request] = []
    for row in rows:
        same = kept and (row.line, row.action) == (kept[-1].line, kept[-1].action)
        if kept and not (same and row.warp > kept[-1].warp):
            yield kept[0].action, kept
            kept = []
        kept.append(row)
    if kept:
        yield kept[0].action, kept


def _cells(request: Request) -> Iterator[tuple[int, int]]:
    """Thread of the block and cell of the array, for each lane."""
    for lane, address in zip(request.lanes, request.addresses, strict=True):
        yield request.warp * LANES + lane, address // request.itemsize


@house_style
def reduction_tree(
    launches: Launch | Mapping[str, Launch],
    title: str,
    *,
    source: str = COUNTED,
    alt: str | None = None,
) -> HouseAxes:
    """Draw the steps of a reduction in shared memory, one row each, idle threads hatched.

    ``launches`` is the report of a launch or a mapping from labels to reports, a panel each; its
    first block is drawn, of at most 128 threads. Lines lead from the cells that a thread adds.
    Raises ``ValueError`` for a launch without such steps and for a larger block.
    """
    named = dict(launches) if isinstance(launches, Mapping) else {"": launches}
    trees = {label: steps_of(launch) for label, launch in named.items()}
    sizes = [_threads(launch) for launch in named.values()]
    right = max(
        text_size(told_of(s, n))[0] for t, n in zip(trees.values(), sizes, strict=True) for s in t
    )
    room = INNER - right - 0.7
    heights = [(HEAD if label else 0.24) + STEP * (len(t) + 0.85) for label, t in trees.items()]
    axes = new_axes(
        title, source, sum(heights) + 0.3, left=0.6, right=right + 0.1, above=0.05, below=0.0
    )
    axes.set(xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    top = axes.size[1]
    for (label, steps), count, tall in zip(trees.items(), sizes, heights, strict=True):
        write(axes, -0.6, top - 0.1, label, bold=True)
        _draw_tree(axes, top - (HEAD if label else 0.24), steps, count, room)
        top -= tall
    entries = [
        ("a cell of the tile", "memory"),
        ("thread that adds", "gpu"),
        ("idle thread", "waste"),
    ]
    legend(axes, -0.6, 0.1, entries)
    told = [
        f"{label + ': ' if label else ''}{len(steps)} step{'s' * (len(steps) != 1)}; "
        + "; ".join(told_of(s, n) for s in steps)
        for (label, steps), n in zip(trees.items(), sizes, strict=True)
    ]
    return finish(axes, alt or sentence(title, *told))


def told_of(step: Step, threads: int) -> str:
    """Say who works: "16 of 64 threads, 1 of 2 warps"."""
    warps = -(-threads // LANES)
    text = f"{len(step.threads)} of {threads} threads"
    return text + (f", {step.warps} of {warps} warps" if warps > 1 else "")


def _threads(launch: Launch) -> int:
    count = launch.block if isinstance(launch.block, int) else prod(launch.block)
    if count > MOST_THREADS:
        raise ValueError(f"a tree of {count} threads cannot be read; draw at most {MOST_THREADS}")
    return count


def _draw_tree(
    axes: HouseAxes, top: float, steps: Sequence[Step], threads: int, room: float
) -> None:
    pitch = room / threads
    wide = min(pitch * 0.8, SQUARE)
    centre = (np.arange(2 * threads) + 0.5) * pitch

    def squares(at: list[int], y: float) -> list[tuple[float, float, float, float]]:
        return [(centre[i] - wide / 2, y - SQUARE / 2, wide, SQUARE) for i in at]

    y = top - SQUARE / 2
    for edge in range(LANES, threads, LANES):
        line = [top + 0.08, y - STEP * len(steps) - SQUARE / 2 - 0.06]
        stroke(axes, [edge * pitch] * 2, line, RULE, 1.0, linestyle=DOTTED, zorder=5)
    for warp in range(-(-threads // LANES) if threads > LANES else 0):
        place = ((warp + 0.5) * LANES * pitch, top + 0.13)
        write(axes, *place, f"warp {warp}", colour=MUTED, size=TICK_SIZE, ha="center")
    boxes(axes, squares(list(range(threads)), y), COLOURS["memory"])
    write(axes, -0.6, y, "start", colour=MUTED)
    for number, step in enumerate(steps, start=1):
        above, y = y, y - STEP
        idle = [i for i in range(threads) if i not in step.threads]
        if idle:
            hatched(axes, squares(idle, y))
        ends = [(cell, thread) for thread, _, cells in step.work for cell in cells]
        x = np.array([[centre[cell], centre[thread], np.nan] for cell, thread in ends])
        up = np.tile([above - SQUARE / 2, y + SQUARE / 2, np.nan], len(ends))
        stroke(axes, x.ravel(), up, COLOURS["gpu"], 0.8, alpha=0.7)
        boxes(axes, squares(sorted(step.threads), y), COLOURS["gpu"])
        write(axes, -0.6, y, f"step {number}", colour=MUTED)
        write(axes, room + 0.1, y, told_of(step, threads), colour=INK["gpu"])
