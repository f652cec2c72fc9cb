"""The server map: CPUs, PCIe switches, GPUs, adapters and drives, and the way of data among them.

The five house figures have no places; this one has little else. A path is drawn in bold over the
links that it crosses, numbered in order, and its slowest link is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

from aiinfra.facts.catalogue import accelerator, drive, link, memory_kind
from aiinfra.facts.topology import Topology
from aiinfra.facts.world_catalogue import server
from aiinfra.model.paths import Hop
from aiinfra.show.canvas import HouseAxes, finish, house_style, new_axes
from aiinfra.show.layout import wrap
from aiinfra.show.marks import Look, panel, spot, stroke, write
from aiinfra.show.style import COLOURS, INNER, MUTED, TEXT, words_on
from aiinfra.show.words import sentence
from aiinfra.units import format_quantity

Way = tuple[list[float], list[float]]
Place = tuple[float, float, float, str]  # centre x, centre y, width in inches; kind
NOTES, BOX, LINE, KEY = 1.42, 0.28, "#C4C4C4", 0.24  # room at the left, height of a box, a key row
ROWS = {"memory": 3.3, "CPU": 2.62, "switch": 1.88, "device": 1.2, "GPU": 0.66, "NVSwitch": 0.14}


@house_style
def server_map(
    box: Topology,
    path: Sequence[Hop],
    title: str,
    *,
    bound: Hop | None = None,
    source: str = "",
    alt: str | None = None,
) -> HouseAxes:
    """Draw a server of the catalogue with each link's rate in one direction, and a path in it.

    ``path`` lists the hops in order; ``bound`` is the one that sets the pace, drawn in black and
    marked in the key. Raises ``ValueError`` for a hop between parts that the server lacks.
    """
    places = place_parts(box)
    for hop in path:
        if missing := {hop.start, hop.end} - set(places):
            raise ValueError(f"{box.name} has no {', '.join(sorted(missing))}; it has {[*places]}")
    key = [_key_line(i, hop, bound) for i, hop in enumerate(path, start=1)]
    below = KEY * len(key) + 0.12
    axes = new_axes(title, source, 3.5, above=0.05, below=below)
    axes.set_axis_off()
    ways = [_way(places[start], places[end]) for start, end in links_of(box)]
    xs, ys = ([v for way in ways for v in (*way[axis], nan)] for axis in (0, 1))
    stroke(axes, xs, ys, LINE, 1.4, zorder=1.2)  # one line with breaks: quick to redraw
    for hop in path:
        way = _way(places[hop.start], places[hop.end])
        stroke(axes, *way, _colour(hop, bound), 4.5, zorder=1.4)
    for name, (x, y, width, kind) in places.items():
        # Each box says what it is, so that it needs no hatch: half the artists, twice as quick.
        panel(axes, x - width / 2, y - BOX / 2, width, BOX, COLOURS[kind], zorder=3)
        look = Look(ha="center", zorder=6)
        write(axes, x, y, label(name, box), colour=words_on(kind), bold=True, **look)
    for row, text in notes_of(box).items():
        write(axes, 0, ROWS[row], wrap(text, NOTES - 0.1), colour=MUTED)
    _number(axes, places, path, bound)
    for i, (text, hop) in enumerate(zip(key, path, strict=True)):
        is_bound = hop == bound
        write(axes, 0, -0.1 - KEY * (i + 0.5), text, bold=is_bound, colour=TEXT)
    told = "; ".join(f"{h.start} to {h.end} by {t[3:]}" for h, t in zip(path, key, strict=True))
    return finish(axes, alt or sentence(title, f"A map of a {box.name}. The path: {told}"))


def place_parts(box: Topology) -> dict[str, Place]:
    """Where each part stands, by its name ("CPU 0", "drives 3", "NVSwitch")."""
    switches, gpus = box.cpus * box.switches, server(box.server).count
    pitch, each = (INNER - NOTES) / switches, gpus // switches
    places: dict[str, Place] = {}
    for cpu in range(box.cpus):
        x = NOTES + pitch * box.switches * (cpu + 0.5)
        places[f"memory {cpu}"] = x, ROWS["memory"], 1.6, "memory"
        places[f"CPU {cpu}"] = x, ROWS["CPU"], 1.6, "cpu"
    for i in range(switches):
        x = NOTES + pitch * (i + 0.5)
        places[f"switch {i}"] = x, ROWS["switch"], pitch * 0.86, "other"
        places[f"NICs {i}"] = x - pitch * 0.235, ROWS["device"], pitch * 0.41, "network"
        places[f"drives {i}"] = x + pitch * 0.215, ROWS["device"], pitch * 0.47, "storage"
        for k in range(each):
            shift = pitch * 0.96 / each * (k - (each - 1) / 2)
            places[f"GPU {i * each + k}"] = x + shift, ROWS["GPU"], pitch * 0.9 / each, "gpu"
    places["NVSwitch"] = (INNER + NOTES) / 2, ROWS["NVSwitch"], INNER - NOTES - 0.06, "other"
    return places


def links_of(box: Topology) -> list[tuple[str, str]]:
    """Every link of the map, as pairs of names."""
    gpus, switches = server(box.server).count, box.cpus * box.switches
    pairs = [(f"memory {cpu}", f"CPU {cpu}") for cpu in range(box.cpus)]
    pairs += [(f"CPU {cpu - 1}", f"CPU {cpu}") for cpu in range(1, box.cpus)]
    for i in range(switches):
        pairs += [(f"CPU {i // box.switches}", f"switch {i}"), (f"NICs {i}", f"switch {i}"),
                  (f"drives {i}", f"switch {i}")]  # fmt: skip
    each = gpus // switches
    pairs += [(f"switch {g // each}", f"GPU {g}") for g in range(gpus)]
    return pairs + [(f"GPU {g}", "NVSwitch") for g in range(gpus)]


def notes_of(box: Topology) -> Mapping[str, str]:
    """The rate of each kind of link, one direction, by the row beside which it stands."""
    gpu, disk = accelerator(server(box.server).accelerator), drive(box.drive)
    bus, fabric, port = link(gpu.host_link or ""), link(gpu.device_link or ""), link(box.nic)

    def words(rate: float) -> str:
        return format_quantity(rate, "B/s")

    memory = memory_kind(box.memory)
    return {
        "memory": f"{box.channels} x {memory.name}\n{words(memory.bandwidth * box.channels)}",
        "CPU": f"CPU to CPU\n{words(box.socket_link)}, as\non Ice Lake",
        "switch": f"{bus.name}\n{words(bus.bandwidth_per_direction)}".replace(
            "PCI Express", "PCIe"
        ),
        "device": f"NIC {words(port.bandwidth_per_direction)}\nSSD {words(disk.sequential_read)}",
        "NVSwitch": f"{fabric.name.split(',')[0]}\n{words(fabric.bandwidth_per_direction)}",
    }


def label(name: str, box: Topology) -> str:
    """What a box says: counts where it stands for several parts."""
    kind, _, _ = name.partition(" ")
    narrow = box.cpus * box.switches > 4
    counts = {"NICs": "NIC" if box.nics == 1 else f"{box.nics} NICs",
              "drives": "SSD" if box.drives == 1 else f"{box.drives} SSDs",
              "switch": "switch" if narrow else "PCIe switch",
              "NVSwitch": f"{box.nvswitches} NVSwitches"}  # fmt: skip
    if kind == "CPU":
        return f"{name}, {box.cores} cores"
    return counts.get(kind, name)


def _key_line(number: int, hop: Hop, bound: Hop | None) -> str:
    ends = "  sets the pace" if hop == bound else ""
    return f"{number}  {hop.name}: {format_quantity(hop.rate, 'B/s')}{ends}"


def _colour(hop: Hop, bound: Hop | None) -> str:
    return TEXT if hop == bound else COLOURS["cpu"]


def _ends(start: Place, end: Place) -> Way:
    """A straight line between two boxes; upright where the narrower one lies within the other."""
    if abs(start[1] - end[1]) < BOX:
        return [start[0], end[0]], [start[1], end[1]]
    inner, outer = sorted((start, end), key=lambda place: place[2])
    reach = outer[2] / 2 - 0.08
    x = min(max(inner[0], outer[0] - reach), outer[0] + reach)
    xs = [x if place is outer else inner[0] for place in (start, end)]
    return xs, [start[1], end[1]]


def _way(start: Place, end: Place) -> Way:
    """A line to a GPU passes between the boxes of adapters and drives above it."""
    xs, ys = _ends(start, end)
    if {start[3], end[3]} == {"other", "gpu"} and max(start[1], end[1]) == ROWS["switch"]:
        gpu, switch = (start, end) if start[3] == "gpu" else (end, start)
        side = -1 if gpu[0] < switch[0] else 1
        lane = switch[0] + side * switch[2] * 0.545
        xs, ys = [switch[0] + side * switch[2] * 0.42, lane, lane, gpu[0]], [
            ROWS["switch"], ROWS["switch"] - 0.3, ROWS["device"] - 0.3, ROWS["GPU"],
        ]  # fmt: skip
        if start is gpu:
            xs, ys = xs[::-1], ys[::-1]
    return xs, ys


def _number(
    axes: HouseAxes, places: Mapping[str, Place], path: Sequence[Hop], bound: Hop | None
) -> None:
    """Put the number of each hop on its link; a link that is crossed twice takes them abreast."""
    crossings: dict[frozenset[str], int] = {}
    for i, hop in enumerate(path, start=1):
        pair = frozenset((hop.start, hop.end))
        again = crossings[pair] = crossings.get(pair, -1) + 1
        xs, ys = _way(places[hop.start], places[hop.end])
        middle = len(xs) // 2
        x, y = (xs[middle - 1] + xs[middle]) / 2 + 0.26 * again, (ys[middle - 1] + ys[middle]) / 2
        if len(xs) > 2:  # the line around adapters and drives: below them
            y = min(ys[1:-1])
        spot(axes, [x], [y], "o", _colour(hop, bound), 15, zorder=8)
        write(axes, x, y, str(i), bold=True, colour="white", ha="center", zorder=9)
