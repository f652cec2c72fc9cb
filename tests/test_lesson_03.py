"""Lesson 03 says when others used its cores, and weighs one token against many."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import pytest
from lesson_parts import lesson


def sharing(had: float, gain: float = 2.0, threads_share: bool = False, kind: str = "measured"):
    """What the lesson's own function says of two cores, none of them really asked."""
    tree = ast.parse(lesson("03_memory_bandwidth").read_text(encoding="utf-8"))
    kept = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "sharing"]
    rates = {"multiply-adds, one core": 1.0, "multiply-adds, all cores": gain}
    words = "2 hardware threads of 1 core"
    parts: dict[str, Any] = {
        "tops": SimpleNamespace(kind=kind), "limits": rates, "cores": 2, "f32": None, "dot": None,
        "cores_at_work": lambda *call: had, "aligned": lambda *size: None,
        "machine": SimpleNamespace(threads_share=threads_share, cores_words=words),
    }  # fmt: skip
    exec(compile(ast.Module(kept, []), "lesson 03", "exec"), parts)
    return parts["sharing"]()


def test_a_peak_on_all_cores_needs_no_remark() -> None:
    assert sharing(had=1.96) == ""


def test_cores_that_others_held_stand_in_the_source_of_the_peak() -> None:
    assert sharing(had=1.2) == ", with 1.2 of 2 cores to itself"
    assert "little more than one" in sharing(had=1.96, gain=1.1)


def test_hardware_threads_of_one_core_gain_nothing_and_are_no_intruders(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sharing(had=1.96, gain=1.1, threads_share=True) == ""
    assert "2 hardware threads of 1 core" in capsys.readouterr().out


def test_a_replayed_peak_says_nothing_about_this_machine() -> None:
    assert sharing(had=0.1, kind="replayed") == ""


def test_a_token_alone_costs_as_much_as_so_many_among_many() -> None:
    tree = ast.parse(lesson("03_memory_bandwidth").read_text(encoding="utf-8"))
    kept = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "meeting"]
    ways: dict[str, Any] = {
        "NumPy": {"tokens": [1, 256], "seconds": [3e-3, 51.2e-3], "median": [4e-3, 102.4e-3]},
        "own loop": {"tokens": [1, 32], "seconds": [2e-3, 40e-3], "median": [5e-3, 50e-3]},
    }
    parts: dict[str, Any] = {"by_way": ways}
    exec(compile(ast.Module(kept, []), "lesson 03", "exec"), parts)
    assert parts["meeting"]("seconds", "seconds") == pytest.approx(10)  # 2 ms against 0.2 ms
    assert parts["meeting"]("seconds", "median") == pytest.approx(5)
    assert parts["meeting"]("median", "seconds") == pytest.approx(20)
