"""The benchmark: ratios that point the right way, and the load that explains them."""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path

import numpy as np
import pytest

from aiinfra import bench
from aiinfra.bench import Ratio, interleaved, simulator
from aiinfra.measure.simt import launch


def test_the_ratio_says_how_many_times_longer_the_reference_takes() -> None:
    short, long = (functools.partial(time.sleep, seconds) for seconds in (0.005, 0.05))
    slower = interleaved("long against short", subject=short, reference=long, rounds=3)
    assert 2 < slower.median < 20
    assert slower.low <= slower.median <= slower.high
    faster = interleaved("short against long", subject=long, reference=short, rounds=3)
    assert 1 / 20 < faster.median < 1 / 2


def test_each_way_runs_once_for_warming_up_and_once_a_round() -> None:
    calls: list[str] = []
    interleaved("order", lambda: calls.append("s"), lambda: calls.append("r"), rounds=4)
    assert "".join(calls) == "sr" * 5


def test_the_load_is_said_once_and_the_ratios_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "cases", lambda: iter([Ratio("a", 2.0, 1.5, 2.5)] * 2))
    bench.run(tmp_path / "bench.json")
    lines = capsys.readouterr().out.splitlines()
    assert ["Load average" in line for line in lines] == [True, False, False]
    saved = json.loads((tmp_path / "bench.json").read_text())
    assert saved[0] == {"case": "a", "median": 2.0, "low": 1.5, "high": 2.5}


def test_the_interpreter_outruns_the_simulator_by_far() -> None:
    simulator.interpreted("block_sum")
    assert simulator.simulated("block_sum") > 20 * simulator.interpreted("block_sum")


def test_both_kernels_compute_what_they_claim() -> None:
    kernel, grid, block, (a, b, c) = simulator.case("matmul")
    rng = np.random.default_rng(1)
    a[...], b[...] = rng.random(a.shape), rng.random(b.shape)
    launch(kernel, grid, block, a, b, c)
    np.testing.assert_allclose(c, a.astype(float) @ b, rtol=1e-5)
    kernel, grid, block, (x, sums) = simulator.case("block_sum")
    x[...] = rng.random(x.shape)
    launch(kernel, grid, block, x, sums)
    np.testing.assert_allclose(sums, x.reshape(len(sums), -1).sum(axis=1), rtol=1e-5)
