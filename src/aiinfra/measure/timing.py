"""Timing that can be trusted: warmed up, repeated, calibrated, with its spread.

One sample runs the function ``loops`` times, so that it lasts far longer than the clock's tick;
the median of the samples is the result, and the quartiles are its spread. On a GPU the clock is a
pair of CUDA events, because a launch returns before the work is done.
"""

from __future__ import annotations

import functools
import gc
import importlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aiinfra.measure.machine import probe
from aiinfra.measure.needs import cuda_extra, install_command
from aiinfra.results import Quantity

TICKS_PER_SAMPLE = 100
FEWEST, FEWER, MOST = 5, 9, 20
WIDE_SPREAD = 0.25
MOST_LOOPS = 10_000_000
Name = TypeVar("Name")


class Clock(Protocol):
    """What times a number of calls; ``resolution`` is the clock's tick in seconds."""

    resolution: float

    def measure(self, call: Callable[[], object], loops: int) -> float:
        """Return the seconds that ``loops`` calls take together, work included."""
        ...


class CpuClock:
    """The processor's monotonic clock."""

    resolution = max(time.get_clock_info("perf_counter").resolution, 1e-8)

    def measure(self, call: Callable[[], object], loops: int) -> float:
        """Return the wall-clock seconds of ``loops`` calls."""
        start = time.perf_counter_ns()
        for _ in itertools.repeat(None, loops):
            call()
        return (time.perf_counter_ns() - start) / 1e9


class EventClock:
    """A pair of CUDA events around the calls, on the default stream.

    What lies between the events is device time, idle gaps included: calls that the CPU submits
    more slowly than the GPU runs them are timed at the rate of their launches. ``events`` has
    ``new() -> event`` with ``record()`` and ``synchronize()``, ``elapsed_ms(start, stop)`` and
    ``synchronize()``; numba.cuda and CuPy both fit, as long as they share the default stream.
    """

    resolution = 5e-7  # CUDA programming guide: "a resolution of around one half microsecond"

    def __init__(self, events: Any) -> None:
        self.events = events

    def measure(self, call: Callable[[], object], loops: int) -> float:
        """Return the device seconds between two events around ``loops`` calls."""
        start, stop = self.events.new(), self.events.new()
        self.events.synchronize()
        start.record()
        for _ in itertools.repeat(None, loops):
            call()
        stop.record()
        stop.synchronize()
        return float(self.events.elapsed_ms(start, stop)) / 1e3


class NumbaEvents:
    """CUDA events through numba.cuda."""

    def __init__(self) -> None:
        cuda: Any = importlib.import_module("numba.cuda")
        if not cuda.is_available():
            raise RuntimeError("numba.cuda finds no GPU that it can use")
        self.new = functools.partial(cuda.event, timing=True)
        self.elapsed_ms = cuda.event_elapsed_time
        self.synchronize = cuda.synchronize


class CupyEvents:
    """CUDA events through CuPy."""

    def __init__(self) -> None:
        cupy: Any = importlib.import_module("cupy")
        if cupy.cuda.runtime.getDeviceCount() < 1:
            raise RuntimeError("CuPy finds no GPU that it can use")
        self.new = cupy.cuda.Event
        self.elapsed_ms = cupy.cuda.get_elapsed_time
        self.synchronize = cupy.cuda.runtime.deviceSynchronize


@functools.lru_cache(maxsize=1)
def gpu_clock() -> EventClock | None:
    """Return a clock on whichever of numba.cuda and CuPy works here, or ``None``."""
    for events in (NumbaEvents, CupyEvents):
        try:
            return EventClock(events())
        except Exception:  # a missing driver raises many kinds; any of them means "not here"
            continue
    return None


@dataclass(frozen=True)
class Timing:
    """Seconds per call: median, quartiles, best, worst, and the samples behind them.

    ``warning`` says in words when the spread is too wide to conclude from, else ``None``.
    """

    median: float
    low: float
    high: float
    best: float
    worst: float
    samples: tuple[float, ...]
    loops: int
    warning: str | None = None

    @property
    def spread(self) -> float:
        """Interquartile range relative to the median."""
        return (self.high - self.low) / self.median if self.median else 0.0

    def quantity(self) -> Quantity:
        """Return the median time per call with its quartiles."""
        return Quantity(self.median, "s", f"measured here: {probe().name}", self.low, self.high)

    def rate(self, work: float, unit: str) -> Quantity:
        """Return ``work / time``: bytes to B/s, operations to FLOP/s; quartiles swap ends."""
        rate = self.columns("rate", work)
        source = f"measured here: {probe().name}"
        return Quantity(rate["rate"], unit, source, rate["rate_low"], rate["rate_high"])

    def columns(self, name: str = "seconds", work: float | None = None) -> dict[str, float]:
        """Return ``name``, ``name_low`` and ``name_high`` for the row of a table.

        They are seconds per call, or ``work`` per second where ``work`` is given.
        """
        middle, low, high = self.median, self.low, self.high
        if work is not None:
            middle, low, high = work / middle, work / high, work / low
        return {name: middle, f"{name}_low": low, f"{name}_high": high}

    def __str__(self) -> str:
        text = f"{self.quantity()}, {len(self.samples)} samples of {self.loops} calls"
        return f"{text}\n{self.warning}" if self.warning else text


def time_call(
    fn: Callable[..., object],
    *args: Any,
    repeats: int | None = None,
    warmup: int = 1,
    min_time: float = 1e-3,
    budget: float = 0.3,
    device: str = "cpu",
    clock: Clock | None = None,
    **kwargs: Any,
) -> Timing:
    """Time ``fn(*args, **kwargs)`` and return seconds per call with their spread.

    ``warmup`` calls come first, so that compilation and cold caches are not counted. One sample
    lasts at least ``min_time`` seconds and 100 ticks of the clock. Without ``repeats`` there are 9
    to 20 samples within ``budget`` seconds, and 5 of a function too slow for that. The garbage
    collector is paused meanwhile. ``device="gpu"`` times with CUDA events and waits for the work.
    """
    if repeats is not None and repeats < 1:
        raise ValueError(f"repeats={repeats} gives no sample; ask for 1 or more")
    chosen = clock or choose_clock(device)
    call = functools.partial(fn, *args, **kwargs) if args or kwargs else fn
    for _ in range(warmup):
        call()
    with collector_paused():
        target = max(min_time, TICKS_PER_SAMPLE * chosen.resolution)
        loops, elapsed = calibrate(chosen, call, target)
        count = repeats if repeats is not None else affordable_samples(elapsed, budget)
        samples = tuple(chosen.measure(call, loops) / loops for _ in range(count))
    return summarise(samples, loops)


def time_in_turns(
    calls: Mapping[Name, tuple[Any, ...]], rounds: int = 3, repeats: int = 3
) -> dict[Name, Timing]:
    """Time several calls in turns, so that a busy moment of the machine meets all of them.

    ``calls`` gives for each name the function and its arguments. Every round takes ``repeats``
    samples of each call; the first one also warms it up.
    """
    taken: dict[Name, list[Timing]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(time_call(*call, repeats=repeats, warmup=not taken[name]))
    return {
        name: summarise(tuple(s for run in runs for s in run.samples), runs[-1].loops)
        for name, runs in taken.items()
    }


def choose_clock(device: str) -> Clock:
    """Return the clock for a device; ``RuntimeError`` says what a GPU lacks here."""
    if device == "cpu":
        return CpuClock()
    if device != "gpu":
        raise ValueError(f'device={device!r} is unknown; use "cpu" or "gpu"')
    found = gpu_clock()
    if found is None:
        raise RuntimeError(
            "no GPU can be timed here: install numba-cuda or CuPy on a machine with an NVIDIA GPU "
            f'({install_command(cuda_extra(probe()))}), or time with device="cpu"'
        )
    return found


def calibrate(clock: Clock, call: Callable[[], object], target: float) -> tuple[int, float]:
    """Find how many calls make one sample last ``target`` seconds; return them and its time."""
    loops = 1
    while True:
        elapsed = clock.measure(call, loops)
        if elapsed >= target or loops >= MOST_LOOPS:
            return loops, elapsed
        growth = 1.2 * target / elapsed if elapsed > 0 else 10.0
        loops = min(max(2 * loops, int(loops * min(growth, 100.0))), MOST_LOOPS)


def affordable_samples(sample_time: float, budget: float) -> int:
    """Return how many samples fit the budget: 9 to 20, or 5 when one alone is a large part."""
    fitting = int(budget / sample_time) if sample_time > 0 else MOST
    return min(fitting, MOST) if fitting >= FEWER else max(fitting, FEWEST)


def summarise(samples: tuple[float, ...], loops: int) -> Timing:
    """Turn samples in seconds per call into a ``Timing`` with quartiles and a warning."""
    ordered = sorted(samples)
    low, median, high = (quantile(ordered, part) for part in (0.25, 0.5, 0.75))
    timing = Timing(median, low, high, ordered[0], ordered[-1], samples, loops)
    warning = spread_warning(timing)
    return Timing(median, low, high, ordered[0], ordered[-1], samples, loops, warning)


def quantile(ordered: list[float], part: float) -> float:
    """Return the value below which ``part`` of the sorted samples lie, interpolated."""
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def spread_warning(timing: Timing) -> str | None:
    """Say in words why the samples do not support a conclusion, or ``None`` when they do."""
    if len(timing.samples) == 1:
        return "There is one sample only, so its spread is unknown; ask for more repeats."
    if timing.spread <= WIDE_SPREAD:
        return None
    return (
        f"The middle half of the {len(timing.samples)} samples spans {100 * timing.spread:.0f} % "
        "of the median: something else kept this machine busy. Conclude nothing from differences "
        "smaller than that; close other programs and run the cell again."
    )


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector out of the samples, and switch it back on afterwards."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def first_call(fn: Callable[..., object], *args: Any, **kwargs: Any) -> float:
    """Return the seconds of one single call, neither warmed up nor repeated.

    This is how not to time: the first call of a compiled function includes its compilation.
    """
    return CpuClock().measure(functools.partial(fn, *args, **kwargs), 1)


def call_series(fn: Callable[..., object], n: int, *args: Any, **kwargs: Any) -> list[float]:
    """Return the seconds of ``n`` calls in a row, each timed alone, the first one included."""
    return [first_call(fn, *args, **kwargs) for _ in range(n)]
