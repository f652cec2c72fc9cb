"""The benchmark: ratios that point the right way, and the load that explains them."""

from __future__ import annotations

import functools
import json
import shutil
import time
from pathlib import Path

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from aiinfra import bench
from aiinfra.bench import Ratio, interleaved, rungs, simulator, triad
from aiinfra.measure.record import LessonError
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


def test_the_load_is_said_once_and_all_that_is_said_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "cases", lambda: iter([Ratio("a", 2.0, 1.5, 2.5), "no compiler"]))
    bench.run(tmp_path / "bench.json")
    lines = capsys.readouterr().out.splitlines()
    assert ["Load average" in line for line in lines] == [True, False, False]
    saved = json.loads((tmp_path / "bench.json").read_text())
    assert saved["ratios"] == [{"case": "a", "median": 2.0, "low": 1.5, "high": 2.5}]
    assert saved["remarks"] == [lines[0], "no compiler"]
    assert saved["machine"]
    assert saved["when"].startswith("20")


# --- the triad in C -----------------------------------------------------------------------------

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, triad.COMPILERS)), reason="no C compiler"
)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_the_triads_of_numba_and_c_agree_on_odd_sizes(threads: int) -> None:
    library, _ = triad.compile_c(triad.SOURCE)
    rng = np.random.default_rng(7)
    for size in (0, 1, 31, 1003):
        b, c = rng.random((2, size))
        ours, theirs = np.zeros(size), np.zeros(size)
        triad.in_numba(parallel=threads > 1)(ours, b, c)
        triad.in_c(library, threads)(theirs, b, c)
        np.testing.assert_allclose(theirs, b + triad.SCALE * c, rtol=1e-14)
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


@needs_compiler
def test_the_triads_say_how_the_c_was_compiled() -> None:
    command, *ratios = triad.triads(elements=1000, rounds=3)
    assert "-O3 -march=native" in str(command)
    assert all(isinstance(ratio, Ratio | str) for ratio in ratios)
    assert "triad on one thread: C against numba" in str(ratios[0])


def test_a_missing_compiler_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    [told] = triad.triads(elements=10, rounds=3)
    assert str(told).startswith("triad: no C compiler here (cc, gcc, clang)")
    assert "\n" not in str(told)


@needs_compiler
def test_a_compiler_without_openmp_leaves_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triad, "OPENMP", "-fno-such-flag")
    command, *told = map(str, triad.triads(elements=1000, rounds=3))
    assert "fno-such-flag" not in command
    assert [line for line in told if "OpenMP against" in line] == []


@needs_compiler
def test_code_that_does_not_compile_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triad, "SOURCE", "int triad(")
    [told] = map(str, triad.triads(elements=10, rounds=3))
    assert "error" in told
    assert "\n" not in told


# --- the rungs of lesson 04 ---------------------------------------------------------------------


def test_every_rung_meets_a_blas_of_as_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def threads(case: str, **callables: object) -> tuple[str, set[int]]:
        return case, {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}

    monkeypatch.setattr(rungs, "interleaved", threads)
    timed = dict(rungs.matmuls(size=128))  # type: ignore[arg-type]
    everyone = numba.get_num_threads()
    told = {case.split(", ")[2]: (case, found) for case, found in timed.items()}
    assert len(told) == 5
    for name, (case, found) in told.items():
        expected = everyone if name.startswith("+ all cores") else 1
        assert case.endswith(f"share of BLAS on {bench.on(expected)}")
        assert found <= {expected}


def test_without_the_lessons_the_rungs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise LessonError("no lessons here")

    monkeypatch.setattr(rungs, "find_checkout", nowhere)
    assert list(rungs.matmuls(size=128)) == ["matmul: no lessons here"]


# --- the interpreter ----------------------------------------------------------------------------


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
