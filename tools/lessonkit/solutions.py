"""Cut the solutions out of a lab: what stands between the two markers becomes a stub.

::

    def schedule(requests, batch):
        # begin solution
        ...the lines the learner is to write...
        # end solution

The stub is valid Python, keeps the indentation and says how many lines are missing.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from lessonkit.source import Cell, LessonError, Problem, Source

BEGIN, END = "# begin solution", "# end solution"


def cut_solutions(source: Source) -> Source:
    """Return the source as the learner gets it; ``LessonError`` on a marker out of place."""
    problems: list[Problem] = []
    cells = tuple(cut_cell(cell, source, problems) for cell in source.cells)
    if problems:
        raise LessonError(problems)
    return replace(source, cells=cells)


def cut_cell(cell: Cell, source: Source, problems: list[Problem]) -> Cell:
    """Replace each marked region of one cell by its stub."""
    lines = cell.text.splitlines()
    if cell.kind != "code" or not any(line.strip() in (BEGIN, END) for line in lines):
        return cell
    out: list[str] = []
    opened: int | None = None
    for number, line in enumerate(lines):
        marker = line.strip()
        told = misplaced(marker, opened, number, cell, source)
        if told:
            problems.append(Problem(source.path, cell.line + number, told))
        elif marker == BEGIN:
            opened = number
        elif marker == END and opened is not None:
            out += stub(lines[opened], lines[opened + 1 : number])
            opened = None
        elif opened is None:
            out.append(line)
    if opened is not None:
        told = f'this solution is not closed; add "{END}"'
        problems.append(Problem(source.path, cell.line + opened, told))
    return replace(cell, text="\n".join(out))


def misplaced(
    marker: str, opened: int | None, number: int, cell: Cell, source: Source
) -> str | None:
    """Say what is wrong with a marker at this place, if anything."""
    if marker == BEGIN:
        if not source.is_lab:
            return "solutions belong in labs; a lesson shows its code"
        if opened is not None:
            return "a solution inside a solution; close the first one"
        if not inside_function(cell, number):
            return "a solution stands inside a function; give the task a def"
    if marker == END and opened is None:
        return f'this solution was never begun; add "{BEGIN}"'
    return None


def inside_function(cell: Cell, number: int) -> bool:
    """Whether the cell's line ``number`` (from 0) lies in the body of a function."""
    tree = ast.parse("\n".join(cell.raw))
    indented = cell.raw[number].startswith((" ", "\t"))
    spans = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return indented and any(first < number + 1 <= last for first, last in spans)


def stub(marker: str, solution: list[str]) -> list[str]:
    """What the learner sees in place of ``solution``."""
    indent = marker[: len(marker) - len(marker.lstrip())]
    code = [line for line in solution if line.strip() and not line.lstrip().startswith("#")]
    noun = "line" if len(code) == 1 else "lines"
    return [f"{indent}# your code here: about {len(code)} {noun}", f"{indent}..."]
