"""What the graders of kernels share: launches with random data, what they find, traffic budgets.

A grader gets a function to interpret (see ``kernel_check``), launches it on ``Case`` after
``Case`` and holds the counts of the last one against ``Budget`` after ``Budget``. Nothing is
timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiinfra.measure.simt import KernelError, Report, Site, launch
from aiinfra.measure.simt.source import Source, read_source
from aiinfra.teach.graders.helpers import arrays_match, failed, how_far, limited, passed
from aiinfra.teach.graders.kernel_shares import busiest_block, told_of_idle_threads
from aiinfra.teach.graders.kernel_words import (
    extent,
    findings,
    last_writer,
    site_line,
    told_of_source,
    typed,
)
from aiinfra.teach.verdict import Verdict

SECTOR = 32  # bytes
MOST_STEPS = 100_000  # statements of a launch: right kernels of one warp need some 40,000
RIGHT = "The numbers are right, the traffic is not yet."


@dataclass(frozen=True)
class Case:
    """One launch: its size in words, its arguments, and what it must leave in the last of them."""

    size: str
    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    arguments: tuple[Any, ...]
    expected: Any
    rtol: float = 1e-5
    atol: float = 1e-6

    def told(self) -> str:
        """The size and the launch, as a sentence begins."""
        blocks = f"{extent(self.grid)} block{'s' * bool(np.prod(self.grid) > 1)}"
        return f"With {self.size}, launched as {blocks} of {extent(self.block)} threads:"


@dataclass(frozen=True)
class Budget:
    """What the last launch may cost: a count, what is enough, what is allowed, in words."""

    counted: Callable[[Report], int]
    enough: int
    allowed: int
    words: str
    why: str
    score: float = 0.5
    site: Callable[[Site], int] = lambda site: site.sectors - -(-site.bytes_useful // SECTOR)


def kernel_task(grader: Any) -> Any:
    """Mark a grader whose submission is a kernel: it reads the text and runs nothing of it."""
    grader.takes_kernel = True
    return limited(seconds=30.0)(grader)


def graded(kernel: Any, cases: Sequence[Case], budgets: Sequence[Budget], praise: str) -> Verdict:
    """Judge a kernel: right on every case, then within every budget on the last of them."""
    try:
        source = read_source(kernel)
        told = told_of_source(source)
        for case in () if told else cases:
            told, report = tried(source, kernel, case)
            if told:
                break
    except KernelError as problem:
        return failed(str(problem))
    if told:
        return failed(told)
    for budget in budgets:
        if (spent := budget.counted(report)) > budget.allowed:
            return failed(over(source, cases[-1], report, budget, spent), budget.score)
    spent, least = budgets[0].counted(report), budgets[0].enough
    counts = f"{spent:,} {budgets[0].words}; {least:,} are enough"
    return passed(f"{praise} With {cases[-1].size}, {counts}.")


def tried(source: Source, kernel: Any, case: Case) -> tuple[str, Report]:
    """Launch a case; what is wrong, as a message or "", and the report."""
    arguments = [a.copy() if isinstance(a, np.ndarray) else a for a in case.arguments]
    report = launch(kernel, case.grid, case.block, *arguments, max_steps=MOST_STEPS)
    names = [argument.arg for argument in source.tree.args.args]
    shapes = {n: a.shape for n, a in zip(names, arguments, strict=True) if hasattr(a, "shape")}
    line, told = next(findings(report, shapes), (0, ""))
    if not told:
        line, told = changed_inputs(names, arguments, case)
    if not told:
        line, told = wrong_numbers(names[-1], arguments[-1], case, report)
    if not told:
        line, told = 0, told_of_idle_threads(report)
    return f"{case.told()} {told}{typed(source, line)}" if told else "", report


def changed_inputs(names: list[str], arguments: list[Any], case: Case) -> tuple[int, str]:
    """Say which input the kernel wrote to."""
    for name, now, before in zip(names[:-1], arguments[:-1], case.arguments[:-1], strict=True):
        if isinstance(now, np.ndarray) and not np.array_equal(now, before):
            return 0, f"{name} is an input and must stay as it is, and the kernel changes it."
    return 0, ""


def wrong_numbers(name: str, got: Any, case: Case, report: Report) -> tuple[int, str]:
    """Say which element is wrong, and which thread wrote it."""
    if arrays_match(got, case.expected, case.rtol, case.atol) is None:
        return 0, ""
    wrong = ~np.isclose(got, case.expected, case.rtol, case.atol)
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    cell = f"{name}[{', '.join(map(str, index))}]"
    count = f" {int(wrong.sum()):,} of {wrong.size:,} elements are wrong." if wrong.size > 1 else ""
    value, right = float(got[index]), float(case.expected[index])
    writer = last_writer(report, name, int(np.ravel_multi_index(index, got.shape)) * got.itemsize)
    if writer is None:
        return 0, f"no thread writes {cell}.{count}"
    miss = how_far(value, right) if np.isfinite(value) else "no number"
    return writer[1], f"{writer[0]} writes {value:.6g} to {cell}, which is {miss}.{count}"


def over(source: Source, case: Case, report: Report, budget: Budget, spent: int) -> str:
    """Say how much a kernel wastes, and where most of it."""
    times = f"{spent / budget.enough:.1f} times as many" if budget.enough else "none"
    enough = f"{budget.enough:,} are enough" if budget.enough else "none is needed"
    told = f"{RIGHT} {case.told()} {spent:,} {budget.words} where {enough}"
    told += f" ({times}, {spent - budget.enough:,} wasted). " if budget.enough else ". "
    worst = max(report.sites, key=budget.site)
    return told + budget.why + site_line(source, worst)


def sectors_of(elements: int, itemsize: int = 4) -> int:
    """Sectors that hold elements in a row."""
    return -(-elements * itemsize // SECTOR)


def traffic(enough: int, slack: float, why: str) -> Budget:
    """A budget on the sectors of global memory."""
    words = "sectors of 32 bytes move"
    return Budget(global_sectors, enough, int(slack * enough), words, why)


def global_sectors(report: Report) -> int:
    """Sectors of every access to global memory; an atomic moves bytes like any other."""
    return sum(site.sectors for site in report.sites if site.space == "global")


def global_atomics(report: Report) -> int:
    """Atomic operations on global memory, one per lane."""
    return sum(s.lanes for s in report.sites if s.space == "global" and s.action == "atomic")


def shared_passes(report: Report) -> int:
    """Passes over shared memory: one a request, one more for each lane that waits.

    Lanes wait for a bank, and at an atomic for the lanes at the same address. Elements of 8 bytes
    need two passes a request; that is no waste and not counted.
    """
    return sum(map(site_passes, report.sites))


def site_passes(site: Site) -> int:
    """``shared_passes`` of one place in the source."""
    turns = site.turns if site.action == "atomic" else site.requests
    return (turns + site.conflicts) * (site.space == "shared")


def shared_out(enough: int) -> Budget:
    """A budget on what the busiest block loads: the blocks share the work."""
    return Budget(
        busiest_block, enough, int(1.5 * enough), "elements are loaded by one block",
        "Does every block of the launch take its share?", 0.5,
        lambda site: site.lanes * (site.space == "global" and site.action == "load"),
    )  # fmt: skip


def floats(rng: Any, *shape: int) -> Any:
    """Random float32 numbers of both signs."""
    return rng.standard_normal(shape).astype(np.float32)


def blank(*shape: int) -> Any:
    """An output that nobody has written yet: not a number."""
    return np.full(shape, np.nan, np.float32)


def many(elements: int) -> str:
    """A number of elements in words."""
    return f"{elements:,} element{'s' * (elements != 1)}"


def blocks_for(elements: int, threads: int) -> int:
    """Blocks that give each element a thread, at least one."""
    return max(1, -(-elements // threads))
