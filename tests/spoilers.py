"""No answer above its prediction: what a reader has seen before committing to a number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cell_text import NUMBER, cell_name, visible_text
from lesson_rules import python_of

from aiinfra.units import BIG_WORDS, split_unit


@dataclass(frozen=True)
class Answer:
    """What a compare() cell revealed, and the cell in which it was predicted."""

    key: str
    predict_index: int
    compare_index: int
    values: tuple[float, ...]
    unit: str


def spoilers(notebook: Any) -> list[str]:
    """No answer, measured or modelled, in text above its prediction."""
    found, told = answers(notebook)
    for answer in found:
        for index, cell in enumerate(notebook.cells[: answer.predict_index]):
            for quote in revealing(visible_text(cell), answer):
                told.append(f"{cell_name(cell, index)}: {quote!r} gives {answer.key!r} away")
    return told


def lasting(first: list[str], again: list[str], notebook: Any) -> list[str]:
    """Spoilers that stand in prose, or that two runs share: a coincidence of outputs passes."""
    prose = {cell.id for cell in notebook.cells if cell.cell_type == "markdown"}
    shared = {place_and_key(told) for told in again}
    return [told for told in first if told.split(":")[0] in prose or place_and_key(told) in shared]


def place_and_key(told: str) -> str:
    """A problem without the number that it quotes."""
    return re.sub(r": '[^']*' gives", ": gives", told)


def answers(notebook: Any) -> tuple[list[Answer], list[str]]:
    """Read each comparison's numbers and find its predict cell; second, what could not be read."""
    predicted: dict[str, int] = {}
    found, told = [], []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        tree = ast.parse(python_of(cell))
        predicted |= {name: index for name in guesses_in(tree)}
        guesses = list(compared_in(tree))
        shown = list(comparisons(cell))
        if len(shown) != len(guesses):
            told.append(
                f"{cell_name(cell, index)}: {len(guesses)} compare(...) but {len(shown)} outputs "
                'with metadata {"aiinfra": {"key", "measured", "model", "unit"}}'
            )
        for name, data in zip(guesses, shown, strict=False):
            if name not in predicted:
                told.append(f"{cell_name(cell, index)}: compare({name}, ...) has no predict above")
                continue
            values = (data.get("measured"), data.get("model"))
            known = tuple(float(value) for value in values if value is not None)
            found.append(Answer(data["key"], predicted[name], index, known, data["unit"]))
    return found, told


def guesses_in(tree: ast.Module) -> Iterator[str]:
    """Names that a cell assigns from a predict() call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and call_name(node.value) == "predict":
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def compared_in(tree: ast.Module) -> Iterator[str]:
    """First arguments of the compare() calls of a cell, in order."""
    calls = [node for node in ast.walk(tree) if call_name(node) == "compare"]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):  # type: ignore[attr-defined]
        assert isinstance(call, ast.Call)
        keyword = [word.value for word in call.keywords if word.arg == "guess"]
        first = (call.args or keyword or [ast.Constant(None)])[0]
        yield ast.unparse(first)


def call_name(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def comparisons(cell: Any) -> Iterator[dict[str, Any]]:
    """The numbers that compare() hangs on its output."""
    for output in cell.get("outputs", ()):
        data = output.get("metadata", {}).get("aiinfra", {})
        if "measured" in data:
            yield data


def revealing(text: str, answer: Answer) -> Iterator[str]:
    """Quote the numbers of ``text`` that equal an answer to 2 digits, or 3 if they have 3."""
    base = split_unit(answer.unit)[0]
    for match in NUMBER.finditer(text):
        typed = (match[3] or "").replace("μ", "µ")
        if re.match(r" (high|low)\b", text[match.end() :]):
            continue  # how far another comparison was off
        typed_base, typed_factor = split_unit("x" if typed in ("×", "times", "x") else typed)
        if typed_base != base.split(" ")[0]:  # a unit of several words is known by its first
            continue
        word = {name: size for size, name in BIG_WORDS}.get((match[2] or "").strip(), 1.0)
        digits = 3 if significant_digits(match[1]) >= 3 or not base else 2
        value = float(match[1].replace(",", "")) * word * typed_factor
        if any(same(value, right, digits) for right in answer.values):
            yield match[0].strip()


def significant_digits(number: str) -> int:
    """How many digits a number is written with: 3 in "1.20", 2 in "0.012", 1 in "400"."""
    mantissa = re.split("[eE]", number.replace(",", ""))[0]
    if "." not in mantissa:
        mantissa = mantissa.rstrip("0")
    return len(mantissa.replace(".", "").lstrip("0"))


def same(value: float, other: float, digits: int) -> bool:
    return f"{value:.{digits - 1}e}" == f"{other:.{digits - 1}e}"
