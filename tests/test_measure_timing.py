"""Timings are calibrated, carry their spread, and say when they prove nothing."""

import gc
import time

import pytest

from aiinfra.measure.timing import (
    CpuClock,
    EventClock,
    Timing,
    call_series,
    choose_clock,
    first_call,
    summarise,
    time_call,
    time_in_turns,
)


class SteppingClock:
    """A clock on which every call takes a set time; remembers what it was asked."""

    resolution = 1e-9

    def __init__(self, seconds_per_call: float) -> None:
        self.seconds_per_call = seconds_per_call
        self.loops: list[int] = []

    def measure(self, call, loops):
        call()
        self.loops.append(loops)
        return loops * self.seconds_per_call


class FakeDevice:
    """CUDA events of a device that works through a queue after the launch has returned."""

    def __init__(self, ms_per_kernel: float) -> None:
        self.ms_per_kernel = ms_per_kernel
        self.queue = 0.0
        self.log: list[str] = []

    def launch(self) -> None:
        self.queue += self.ms_per_kernel

    def new(self) -> "FakeEvent":
        return FakeEvent(self)

    def synchronize(self) -> None:
        self.log.append("device")

    def elapsed_ms(self, start: "FakeEvent", stop: "FakeEvent") -> float:
        assert stop.done, "the stop event was read before it was waited for"
        return stop.at - start.at


class FakeEvent:
    def __init__(self, device: FakeDevice) -> None:
        self.device, self.at, self.done = device, 0.0, False

    def record(self) -> None:
        self.at = self.device.queue

    def synchronize(self) -> None:
        self.done = True
        self.device.log.append("event")


def test_a_fast_function_is_looped_until_a_sample_is_long_enough():
    timing = time_call(lambda: None)
    assert timing.loops > 100
    assert timing.median < 1e-4
    assert 9 <= len(timing.samples) <= 20


def test_a_sleeping_function_is_not_looped():
    timing = time_call(time.sleep, 0.005, repeats=3)
    assert timing.loops == 1
    assert timing.best >= 0.004


def test_a_slow_function_keeps_five_samples_and_a_fast_one_stays_in_the_budget():
    slow, fast = SteppingClock(2.0), SteppingClock(1e-6)
    assert len(time_call(lambda: 0, clock=slow).samples) == 5
    assert len(time_call(lambda: 0, clock=fast).samples) == 20
    assert sum(fast.loops) * 1e-6 < 0.3


def test_the_result_is_per_call_and_not_per_sample():
    timing = time_call(lambda: 0, clock=SteppingClock(3e-6))
    assert timing.loops > 1
    assert timing.median == pytest.approx(3e-6)


def test_a_coarse_clock_gets_longer_samples():
    coarse = SteppingClock(1e-3)
    coarse.resolution = 1e-2
    assert time_call(lambda: 0, clock=coarse, repeats=1).loops >= 1000


def test_quartiles_are_kept_and_a_wide_spread_is_said_in_words():
    timing = summarise((1.0, 2.0, 3.0, 4.0, 5.0), loops=1)
    assert (timing.best, timing.low, timing.median, timing.high, timing.worst) == (1, 2, 3, 4, 5)
    assert "67 %" in (timing.warning or "")
    assert summarise((1.0, 1.01, 1.02, 1.03, 9.0), loops=1).warning is None
    assert "one sample" in (summarise((1.0,), loops=1).warning or "")


def test_a_rate_swaps_the_ends_of_the_spread():
    rate = summarise((1.0, 2.0, 3.0, 4.0, 5.0), loops=1).rate(12.0, "B/s")
    assert (rate.low, rate.value, rate.high) == (3.0, 4.0, 6.0)
    assert rate.source.startswith("measured here: ")


def test_a_quantity_says_where_it_was_measured():
    quantity = summarise((1.0, 2.0, 3.0), loops=1).quantity()
    assert (quantity.value, quantity.unit, quantity.low, quantity.high) == (2.0, "s", 1.5, 2.5)
    assert quantity.source.startswith("measured here: ")


def test_warm_up_comes_before_every_sample_and_arguments_arrive():
    calls = []
    time_call(lambda *a, **k: calls.append((a, k)), 1, key=2, warmup=3, repeats=2,
              clock=SteppingClock(1.0))  # fmt: skip
    assert len(calls) == 3 + 1 + 2
    assert set(map(str, calls)) == {"((1,), {'key': 2})"}


def test_calls_in_turns_are_sampled_round_by_round_and_warmed_up_once():
    order = []
    calls = {name: (lambda name: (order.append(name), time.sleep(0.002)), name) for name in "ab"}
    timings = time_in_turns(calls, rounds=2, repeats=3)
    assert [len(timings[name].samples) for name in "ab"] == [6, 6]
    turns = [name for i, name in enumerate(order) if i == 0 or name != order[i - 1]]
    assert turns == ["a", "b", "a", "b"]
    assert order.count("a") - 2 * 3 == 1 + 2  # one warm-up, and one to calibrate in each round


def test_the_garbage_collector_rests_during_samples_and_wakes_after_them():
    states = []
    time_call(lambda: states.append(gc.isenabled()), warmup=0, repeats=3, clock=SteppingClock(1.0))
    assert set(states) == {False}
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        time_call(lambda: 1 / 0, warmup=0)
    assert gc.isenabled()


def test_gpu_time_is_the_work_and_not_the_launch():
    device = FakeDevice(ms_per_kernel=2.0)
    timing = time_call(device.launch, device="gpu", clock=EventClock(device), repeats=4)
    assert timing.median == pytest.approx(2e-3)
    assert timing.loops == 1
    assert device.log == ["device", "event"] * 5  # one calibration and four samples


def test_tiny_kernels_are_looped_on_the_gpu_clock():
    device = FakeDevice(ms_per_kernel=1e-3)
    timing = time_call(device.launch, clock=EventClock(device), repeats=2)
    assert timing.loops >= 1000
    assert timing.median == pytest.approx(1e-6)


def test_a_missing_gpu_and_an_unknown_device_name_the_mend(monkeypatch):
    monkeypatch.setattr("aiinfra.measure.timing.gpu_clock", lambda: None)
    with pytest.raises(RuntimeError, match="cuda12"):
        time_call(lambda: 0, device="gpu")
    with pytest.raises(ValueError, match='use "cpu" or "gpu"'):
        choose_clock("tpu")
    with pytest.raises(ValueError, match="1 or more"):
        time_call(lambda: 0, repeats=0)
    assert isinstance(choose_clock("cpu"), CpuClock)


def test_the_first_call_of_a_compiled_function_includes_its_compilation():
    import numba

    @numba.njit
    def total(n):
        s = 0.0
        for i in range(n):
            s += i * 0.5
        return s

    series = call_series(total, 12, 1000)
    later = sorted(series[1:])[len(series) // 2]
    assert len(series) == 12
    assert series[0] > 10 * later
    assert time_call(total, 1000).median < series[0] / 10


def test_first_call_runs_once():
    calls = []
    assert first_call(calls.append, 1) > 0
    assert calls == [1]


def test_a_row_keeps_the_spread_of_a_time_and_of_a_rate() -> None:
    timing = Timing(2.0, 1.0, 4.0, 1.0, 4.0, (1.0, 2.0, 4.0), 1)
    assert timing.columns() == {"seconds": 2.0, "seconds_low": 1.0, "seconds_high": 4.0}
    assert timing.columns("rate", work=8) == {"rate": 4.0, "rate_low": 2.0, "rate_high": 8.0}
