"""Rules on an executed lesson: no answer above its prediction, figures that can be read aloud,
numbers that say where they come from. Each is a pure function that returns problems.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lesson_rules import code_cells, python_of

from aiinfra.units import BIG_WORDS, split_unit

NUMBER = re.compile(
    r"(?<![\w.,])(\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)[ \u00a0\u202f]?"
    r"(trillion |billion |million )?(times|[A-Za-zµμ°%×][\w/µμ°%]*)?"
)
SOURCE = re.compile(r"measured here|replayed|model:|source:|guess", re.I)
IMG = re.compile(r"<img\b[^>]*>", re.I)
SHORTEST_ALT = 30


@dataclass(frozen=True)
class Answer:
    """What a compare() cell revealed, and the cell in which it was predicted."""

    key: str
    predict_index: int
    compare_index: int
    values: tuple[float, ...]
    unit: str


# --- spoilers -----------------------------------------------------------------------------------


def spoilers(notebook: Any) -> list[str]:
    """No answer, measured or modelled, in text above its prediction."""
    found, told = answers(notebook)
    for answer in found:
        for index, cell in enumerate(notebook.cells[: answer.predict_index]):
            for quote in revealing(visible_text(cell), answer):
                told.append(f"{cell_name(cell, index)}: {quote!r} gives {answer.key!r} away")
    return told


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


# --- figures and sources ------------------------------------------------------------------------


def figures_have_alt_text(notebook: Any) -> list[str]:
    """Every figure has a sentence of alternative text and a line that names its sources."""
    told = []
    for index, output in figure_outputs(notebook):
        name = cell_name(notebook.cells[index], index)
        alts = alt_texts(output)
        if not alts:
            told.append(f"{name}: a figure without alt text")
        for alt in alts:
            if len(alt) < SHORTEST_ALT or not alt.rstrip().endswith("."):
                told.append(f"{name}: alt text {alt[:40]!r} is no full sentence")
        if not SOURCE.search("\n".join([*alts, plain_text(output)])):
            told.append(f"{name}: a figure without a source line")
    return told


def figure_outputs(notebook: Any) -> Iterator[tuple[int, Any]]:
    """Outputs that show a picture, with the index of their cell."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            shown = any(kind.startswith("image/") for kind in data)
            if shown or IMG.search(text_of(data.get("text/html", ""))):
                yield index, output


def alt_texts(output: Any) -> list[str]:
    """Alternative texts of a figure output: of its html images, else of its image metadata."""
    alts = []
    for tag in IMG.findall(text_of(output["data"].get("text/html", ""))):
        match = re.search(r'\balt="([^"]*)"', tag)
        alts.append(html.unescape(match[1]) if match else "")
    for kind, metadata in output.get("metadata", {}).items():
        if not alts and kind.startswith("image/"):
            alts.append(metadata.get("alt", ""))
    return alts


def runs_say_their_source(notebook: Any) -> list[str]:
    """A table of numbers names where they come from: measured, replayed, model or source."""
    told = []
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            text = plain_text(output) + text_of(data.get("text/markdown", ""))
            if shows_table(text) and not SOURCE.search(text + text_of(data.get("text/html", ""))):
                told.append(f"{cell_name(cell, index)}: a table of numbers without its source")
    return told


def shows_table(text: str) -> bool:
    """Whether ``text`` holds two aligned lines with a quantity, or a markdown table with one."""
    rows = [line for line in text.splitlines() if re.search(r" {2,}\S|\|", line.strip())]
    return sum(bool(quantities(row)) for row in rows) >= 2


def quantities(line: str) -> list[str]:
    """Numbers of a line that carry a rate or another unit of the course."""
    measured = ("B/s", "FLOP", "FLOP/s", "FLOP/B", "W", "J", "s", "bit/s")
    return [
        match[0]
        for match in NUMBER.finditer(line)
        if split_unit(match[3] or "")[0] in measured or (match[3] or "").endswith("/s")
    ]


# --- reading cells ------------------------------------------------------------------------------


def cell_name(cell: Any, index: int) -> str:
    return str(cell.get("id", index))


def text_of(source: Any) -> str:
    return "".join(source) if isinstance(source, list) else str(source)


def plain_text(output: Any) -> str:
    """What an output says without pictures."""
    data = output.get("data", {})
    return text_of(output.get("text", "")) + text_of(data.get("text/plain", ""))


def visible_text(cell: Any) -> str:
    """What a reader sees of a cell: prose, printed text and the alternative text of figures."""
    if cell.cell_type == "markdown":
        return str(cell.source)
    parts = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        parts += [plain_text(output), text_of(data.get("text/markdown", ""))]
        markup = IMG.sub(lambda tag: " ".join(re.findall(r'alt="([^"]*)"', tag[0])), text_of(
            data.get("text/html", "")
        ))  # fmt: skip
        parts.append(html.unescape(re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", markup)))
    return "\n".join(parts)


def errors(notebook: Any) -> list[str]:
    """Cells that ended in an exception."""
    return [
        f"{cell.get('id')}: {output['ename']}: {output['evalue']}"
        for cell in code_cells(notebook)
        for output in cell.get("outputs", ())
        if output.get("output_type") == "error"
    ]


OUTPUT_RULES = (spoilers, figures_have_alt_text, runs_say_their_source)
