"""How the checker speaks of kernels: what the interpreter found, by block, thread and line."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from typing import Any

import numpy as np

from aiinfra.measure.simt import AbsentLane, Report, Site
from aiinfra.measure.simt.arrays import is_fixed
from aiinfra.measure.simt.cuda_calls import cuda_name
from aiinfra.measure.simt.source import Source

HOST_CODE = (
    "This is no kernel: it never asks cuda which thread it is, so that every thread would do the "
    "same. NumPy works on whole arrays on the host; a kernel says what one thread does."
)
MEMORIES = ("shared.array", "local.array")
VARYING_SHAPE = (
    "The interpreter could run this, numba could not compile it: the shape of an array in a kernel "
    "is plain numbers or names of constants, so give a computed size a name outside the kernel."
)


def told_of_source(source: Source) -> str:
    """Say what is no kernel at first sight: host code, or a kernel that returns a value."""
    nodes = list(ast.walk(source.tree))
    for node in nodes:
        if isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None"):
            last = source.tree.args.args[-1].arg if source.tree.args.args else "an array"
            return f"A kernel returns nothing: it writes its results into {last}." + typed(
                source, node.lineno
            )
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(MEMORIES):
            shape = [word.value for word in node.keywords if word.arg == "shape"] or node.args[:1]
            if not all(fixed(part, source) for part in shape):
                return VARYING_SHAPE + typed(source, node.lineno)
    names = {node.id for node in nodes if isinstance(node, ast.Name)} - source.locals
    known = [name for name in names if name in source.function.__globals__ or _closed(source, name)]
    values = [source.lookup(name) for name in known]
    device = [value for value in values if hasattr(value, "py_func") or hasattr(value, "__code__")]
    return "" if device or any(cuda_name(value) for value in values) else HOST_CODE


def fixed(shape: ast.expr, source: Source) -> bool:
    """Whether numba can read a shape before the kernel runs: numbers, and names of constants."""
    if isinstance(shape, ast.Tuple):
        return all(fixed(part, source) for part in shape.elts)
    if isinstance(shape, ast.Name):
        return is_fixed(shape, source)
    return all(
        isinstance(part, ast.BinOp | ast.operator | ast.Constant) for part in ast.walk(shape)
    )


def _closed(source: Source, name: str) -> bool:
    return name in source.function.__code__.co_freevars


def findings(report: Report, shapes: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """What the interpreter found, each as a line of the source and a sentence; worst first."""
    for out in report.out_of_bounds:
        does = {"load": "reads", "store": "writes"}.get(out.action, "adds to")
        count = more(report, "out_of_bounds", "accesses out of bounds")
        who, size = thread(out.block, out.thread), size_of(out.array, shapes.get(out.array, ()))
        yield out.line, f"{who} {does} {out.array}[{bare(out.index)}]{size}.{count}"
    for bar in report.divergent_barriers:
        gone = f", {bar.exited} have returned before it" if bar.exited else ""
        missing = f"only {bar.arrived} of {bar.expected} threads of block {bar.block} reach it"
        yield bar.line, f"a barrier must be reached by the whole block, and {missing}{gone}."
    for absent in report.absent_lanes:
        who, count = thread(absent.block, absent.thread), more(report, "absent_lanes", "such calls")
        yield absent.line, f"{who} calls {absent.call}{told_of_absent(absent)}.{count}"
    for unset in report.uninitialised:
        who, cell = thread(unset.block, unset.thread), f"{unset.array}, element {unset.index},"
        count = more(report, "uninitialised", "such reads")
        yield unset.line, f"{who} reads {cell} of shared memory before anybody wrote it.{count}"
    for race in report.races:
        does = {"read after write": "reads", "write after read": "writes"}.get(race.kind, "writes")
        did = "read" if race.kind == "write after read" else "wrote"
        other = f"{thread(race.other_block, race.other_thread)} {did} on line {race.other_line}"
        what = f"{thread(race.block, race.thread)} {does} {race.array}, element {race.index}, which"
        count = more(report, "races", "races")
        yield race.line, f"{what} {other}, and nothing says who comes first: a race.{count}"


def told_of_absent(absent: AbsentLane) -> str:
    """Say why a call of a warp does not work, as the rest of a sentence."""
    if absent.why == "unnamed":
        return " with a mask that leaves out the thread itself"
    if absent.why == "read":
        return f" and reads lane {absent.lane} of its warp, which takes no part"
    return (
        f" and its mask names lane {absent.lane} of the warp, which takes another way: every lane "
        "that the mask names must reach the call, or a GPU waits for ever or makes up the result"
    )


def size_of(name: str, shape: tuple[int, ...]) -> str:
    """How large an array is, as the end of a sentence."""
    if not shape:
        return ", beyond its end"
    if len(shape) > 1:
        return f", and the shape of {name} is {shape}"
    return f", and {name} has {shape[0]:,} element{'s' * (shape[0] != 1)}"


def extent(size: int | tuple[int, ...]) -> str:
    """A grid or block in words: "3", "4 x 2"."""
    return " x ".join(map(str, size)) if isinstance(size, tuple) else str(size)


def thread(block: Any, index: Any) -> str:
    """Name a thread."""
    return f"block {block}, thread {index}"


def bare(index: Any) -> str:
    """An index as it is typed between brackets."""
    return str(index).strip("()")


def more(report: Report, kind: str, words: str) -> str:
    """How many findings of a kind there are, where it is not just one."""
    count = report.found.get(kind, 0)
    return f" That is one of {count:,} {words}." if count > 1 else ""


def last_writer(report: Report, name: str, address: int) -> tuple[str, int] | None:
    """The thread that last wrote to an address of an array, and on which line."""
    block = report.block if isinstance(report.block, tuple) else (report.block,)
    for row in reversed(report.accesses):
        if row.array == name and row.action != "load" and address in row.addresses:
            lane = 32 * row.warp + row.lanes[row.addresses.index(address)]
            where = np.unravel_index(lane, block[::-1])[::-1]
            index = tuple(int(i) for i in where)
            return thread(row.block, index if len(index) > 1 else index[0]), row.line
    return None


def site_line(source: Source, site: Site) -> str:
    """The line of the source that wastes most, with what it costs."""
    does = {"load": "loads of", "store": "stores to", "shuffle": "calls of"}
    cost = f"{site.requests:,} requests of a warp"
    if site.space == "global" and not site.turns:
        cost += f", {site.sectors_per_request:.1f} sectors each"
    elif site.turns:
        cost += f", {site.turns / site.requests:.1f} turns each"
    elif site.wavefronts:
        cost += f", {site.wavefronts / site.requests:.1f} passes each"
    return f"{typed(source, site.line)}\n{does.get(site.action, 'atomics on')} {site.array}: {cost}"


def typed(source: Source, line: int) -> str:
    """A line of the kernel as it was typed, on a line of its own; "" for lines outside it."""
    first, last = source.tree.lineno, source.tree.end_lineno or 0
    if not first <= line <= last:
        return ""
    text = linecache.getline(source.function.__code__.co_filename, line).strip()
    return f"\nline {line}: {text}" if text else ""
