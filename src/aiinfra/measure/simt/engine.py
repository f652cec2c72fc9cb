"""Launch a kernel: check the configuration, run the grid a few blocks at a time, report."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from aiinfra.measure.simt.errors import KernelError, unsupported
from aiinfra.measure.simt.frame import State
from aiinfra.measure.simt.layout import Chunk, Dim
from aiinfra.measure.simt.memory import global_views
from aiinfra.measure.simt.report import Branch, Report, Site
from aiinfra.measure.simt.source import Source, read_source
from aiinfra.measure.simt.statements import Statements
from aiinfra.measure.simt.tally import Tally
from aiinfra.measure.simt.touch import Touch
from aiinfra.measure.simt.values import literal

LANES_AT_ONCE = 8192  # threads that run in lockstep: their values stay in the cache
MOST_STEPS = 300_000  # statements of one chunk, some seconds
# CUDA C++ Programming Guide, technical specifications per compute capability (5.0 to 10.0)
MOST_THREADS, MOST_BLOCK, MOST_GRID = 1024, (1024, 1024, 64), (2**31 - 1, 65535, 65535)


def launch(
    kernel: Any,
    grid: int | tuple[int, ...],
    block: int | tuple[int, ...],
    *arguments: Any,
    shared_bytes: int = 0,
    max_steps: int = MOST_STEPS,
) -> Report:
    """Run ``kernel[grid, block](*arguments)`` on the CPU and count what it does to memory.

    Arrays are changed in place, views too, and may overlap; a view lies in its base array as it
    would on a GPU, so that ``x[1:]`` begins inside a sector. Threads run in lockstep, statement by
    statement; lanes that disagree at a branch take both ways in turn and meet behind it. A request
    is one instruction of one warp. ``shared_bytes`` is the size of ``shared.array(0, dtype)``;
    ``max_steps`` stops a kernel that never ends. Raises KernelError (UnsupportedError,
    SourceMissingError, StepLimitError), naming the construct and the line. Known error: caches,
    coalescing across instructions and compiler optimisations (a load kept in a register) are not
    modelled; counts are of the source as written. Integers of 8 and 16 bits compute with float32
    as float64.
    """
    source = read_source(kernel)
    grid3, rank_grid = _dim("grid", grid, MOST_GRID)
    block3, rank_block = _dim("block", block, MOST_BLOCK)
    values = _arguments(source, arguments)
    _refuse_results(source)
    tally = Tally(rank_grid, rank_block)
    with np.errstate(all="ignore"):
        for chunk in _chunks(source.name, grid3, block3):
            _run(source, chunk, tally, values, shared_bytes, max_steps)
    return _report(tally, grid, block)


def _chunks(name: str, grid: Dim, block: Dim) -> Iterator[Chunk]:
    """The grid, as many blocks at a time as keep the lanes' values in the cache."""
    blocks, threads = (math.prod(extents) for extents in (grid, block))
    if threads > MOST_THREADS:
        raise KernelError(f"{name}: {threads} threads in a block, {MOST_THREADS} is the most")
    at_once = max(1, LANES_AT_ONCE // threads)
    for first in range(0, blocks, at_once):
        yield Chunk(grid, block, first, min(at_once, blocks - first))


def _run(
    source: Source, chunk: Chunk, tally: Tally, values: dict[str, Any], dynamic: int, max_steps: int
) -> None:
    state = State(chunk, tally, Touch(chunk, tally), dynamic, max_steps)
    frame = Statements(state, source, chunk.everyone)
    frame.bind(values)
    frame.body(source.tree.body, chunk.everyone)
    tally.steps += state.steps


def _dim(what: str, value: Any, most: Dim) -> tuple[Dim, int]:
    """Three extents and how many were given; raises KernelError for what no GPU would launch."""
    extents = tuple(value) if isinstance(value, tuple | list) else (value,)
    good = 1 <= len(extents) <= 3 and all(isinstance(e, int | np.integer) for e in extents)
    if not good:
        raise KernelError(f"{what} is one to three integers, not {value!r}")
    full = tuple(int(e) for e in extents) + (1,) * (3 - len(extents))
    if any(not 1 <= e <= m for e, m in zip(full, most, strict=True)):
        raise KernelError(f"{what} {value!r} cannot be launched: each extent is 1 to {most}")
    return (full[0], full[1], full[2]), len(extents)


def _arguments(source: Source, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Values of the parameters; arrays that share memory share it in the kernel too."""
    parameters = source.tree.args
    names = [argument.arg for argument in (*parameters.posonlyargs, *parameters.args)]
    if len(names) != len(arguments):
        defaults = "; numba fills in no default at a launch" if parameters.defaults else ""
        raise KernelError(
            f"{source.name} takes {len(names)} arguments ({', '.join(names)}), "
            f"{len(arguments)} given{defaults}"
        )
    values = dict(zip(names, arguments, strict=True))
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    for name, value in values.items():
        if not isinstance(value, np.ndarray | bool | int | float | complex | np.generic | tuple):
            kind = type(value).__name__
            raise KernelError(f"{source.name}: {name} is a {kind}; pass NumPy arrays and numbers")
    return {name: literal(value) for name, value in values.items()} | global_views(arrays)


def _refuse_results(source: Source) -> None:
    """Raise UnsupportedError for a kernel that returns a value; a call may return nothing."""
    for node in ast.walk(source.tree):
        value = node.value if isinstance(node, ast.Return) else None
        nothing = isinstance(value, ast.Constant) and value.value is None
        if value is not None and not nothing and not isinstance(value, ast.Call):
            mend = "a kernel returns nothing and writes its results into an array"
            raise unsupported(source.name, node, f"return {ast.unparse(value)}", mend)


def _site(key: tuple[str, str, str, int, int], sums: dict[str, int]) -> Site:
    array, space, action, line, column = key
    return Site(array, space, action, line, column, **sums)


def _report(tally: Tally, grid: Any, block: Any) -> Report:
    kinds = ("out_of_bounds", "races", "divergent_barriers", "uninitialised", "absent_lanes")
    return Report(
        grid=grid,
        block=block,
        sites=tuple(_site(key, sums) for key, sums in tally.sites.items()),
        branches_by_line=tuple(Branch(line, *c) for line, c in sorted(tally.branches.items())),
        out_of_bounds=tally.findings.get("out_of_bounds", []),
        races=tally.findings.get("races", []),
        divergent_barriers=tally.findings.get("divergent_barriers", []),
        uninitialised=tally.findings.get("uninitialised", []),
        absent_lanes=tally.findings.get("absent_lanes", []),
        found={kind: tally.found.get(kind, 0) for kind in kinds},
        batches=tuple(tally.batches),
        accesses_dropped=tally.dropped,
        barriers=tally.barriers,
        steps=tally.steps,
    )
