"""The house rules of a lesson, each a pure function of one notebook that returns its problems."""

from __future__ import annotations

import ast
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from symtable import SymbolTable, symtable
from typing import Any

from lessonkit.checks import without_code
from nbformat import NotebookNode

PARTS = ("Predict", "Measure", "Explain", "Change one thing")
CLOSING = ("Where this model breaks", "You learned", "Exercises", "Quiz", "Further reading")
OPENERS = ("The", "A", "An", "How", "What", "Why", "When", "Introduction", "Understanding")
FIGURES = ("gap", "sweep", "roofline", "timeline", "breakdown", "ladder", "explorer")
AT_ONCE = ("listcomp", "setcomp", "dictcomp", "genexpr")  # scopes that are no functions
MOST_WORDS, MOST_LINES, MOST_KERNEL_LINES, MOST_COLUMNS = 120, 12, 45, 100

Notebook = Any
Rule = Any


@dataclass(frozen=True)
class Section:
    """A level-2 heading and the cells under it, up to the next one."""

    heading: str
    cells: tuple[Any, ...]

    def markdown(self) -> str:
        return "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")

    def code(self) -> str:
        return "\n".join(python_of(cell) for cell in self.cells if cell.cell_type == "code")

    def calls(self, name: str) -> int:
        """How often the code calls the function ``name``."""
        return sum(called == name for called in called_names(self.code()))


def python_of(cell: Any) -> str:
    """The cell's code without a leading ``%%writefile`` line."""
    return re.sub(r"^%%writefile[^\n]*\n?", "", cell.source)


def called_names(code: str) -> Iterator[str]:
    """Names of the functions that ``code`` calls, attributes by their last part."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "id", getattr(node.func, "attr", ""))


def markdown_cells(notebook: Notebook) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def code_cells(notebook: Notebook) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def sections(notebook: Notebook) -> list[Section]:
    """Cut the notebook, and markdown cells within, at its level-2 headings."""
    found: list[tuple[str, list[Any]]] = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            pieces = [cell.source]
        else:
            pieces = re.split(r"^(?=## )", cell.source, flags=re.M)
        for piece in pieces:
            if cell.cell_type == "markdown" and piece.startswith("## "):
                found.append((piece.splitlines()[0][3:].strip(), []))
            if found:
                found[-1][1].append(NotebookNode(cell_type=cell.cell_type, source=piece))
    return [Section(heading, tuple(cells)) for heading, cells in found]


def rounds(notebook: Notebook) -> list[Section]:
    """The sections whose heading asks a question."""
    return [part for part in sections(notebook) if part.heading.endswith("?")]


def prose(markdown: str) -> str:
    """The words of the author: no code, addresses, pictures, tags, nor what the build adds."""
    markdown = re.sub(r"^(\*GPU:\*|\[!\[Open in Colab\]).*$", "", markdown, flags=re.M)
    text = re.sub(r"\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\)", " ", without_code(markdown))
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"</?[A-Za-z]+>|https?://\S+", " ", text)


# --- rules for lessons and labs -----------------------------------------------------------------


def words_fit(notebook: Notebook) -> list[str]:
    """Markdown of at most 120 words a cell."""
    counts = {cell.id: len(prose(cell.source).split()) for cell in markdown_cells(notebook)}
    return [f"{id}: {n} words of markdown; split it" for id, n in counts.items() if n > MOST_WORDS]


def prose_is_calm(notebook: Notebook) -> list[str]:
    """No exclamation marks in prose."""
    loud = [cell.id for cell in markdown_cells(notebook) if "!" in prose(cell.source)]
    return [f"{id}: an exclamation mark" for id in loud]


def code_is_narrow(notebook: Notebook) -> list[str]:
    """Code lines of at most 100 characters."""
    return [
        f"{cell.id}: a code line of {len(line)} characters; at most {MOST_COLUMNS}"
        for cell in code_cells(notebook)
        for line in cell.source.splitlines()
        if len(line) > MOST_COLUMNS
    ]


def code_is_short(notebook: Notebook) -> list[str]:
    """At most 12 lines beside the imports, unless the cell holds a function."""
    told = []
    for cell in code_cells(notebook):
        tree = ast.parse(python_of(cell))
        most = MOST_KERNEL_LINES if holds_function(tree) else MOST_LINES
        lines = own_lines(cell, tree)
        if lines > most:
            told.append(f"{cell.id}: {lines} lines of code; at most {most}")
    return told


def holds_function(tree: ast.Module) -> bool:
    """Whether a cell defines a function, a class or a CUDA C listing: the subject of a lesson."""
    return any(
        isinstance(node, ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("_CUDA"))
        for node in tree.body
    )


def own_lines(cell: Any, tree: ast.Module) -> int:
    """Lines of a code cell that are neither blank, nor comments, nor imports."""
    imported: set[int] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    numbered = enumerate(python_of(cell).splitlines(), start=1)
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in imported
        for number, line in numbered
    )


def figures_are_shown(notebook: Notebook) -> list[str]:
    """A house figure is the last expression of its cell: a notebook shows no other."""
    told = []
    for cell in code_cells(notebook):
        for node in ast.parse(python_of(cell)).body[:-1]:
            call = node.value if isinstance(node, ast.Expr) else None
            if isinstance(call, ast.Call) and ast.unparse(call.func) in FIGURES:
                told.append(f"{cell.id}: {ast.unparse(call.func)}(...) is not shown; put it last")
    return told


def names_are_bound_once(notebook: Notebook) -> list[str]:
    """A name that a function reads from the lesson is bound by one cell.

    A function looks the name up when it runs: a loop in a later cell that takes the same name, or
    an earlier cell that is run again, changes what an explorer draws. Cells may import the same.
    """
    bound: dict[str, list[str]] = defaultdict(list)
    assigned: set[str] = set()
    read: set[str] = set()
    for cell in code_cells(notebook):
        if cell.source.startswith("%%"):
            continue  # a file of its own
        scope = symtable(cell.source, cell.id, "exec")
        imported = {s.get_name() for s in scope.get_symbols() if s.is_imported()}
        assigned |= (own := names_assigned(scope))
        for name in own | imported:
            bound[name].append(cell.id)
        read |= names_read(scope)
    return [
        f"{name} is read by a function and bound by {', '.join(cells)}; bind it in one cell"
        for name, cells in bound.items()
        if name in read & assigned and len(cells) > 1
    ]


def names_assigned(scope: SymbolTable) -> set[str]:
    """Names that a cell assigns or defines at its top level, also by ``:=`` or ``global``."""
    names = {s.get_name() for s in scope.get_symbols() if s.is_assigned()}
    for inner in inner_scopes(scope):
        names |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_assigned()}
    return names


def names_read(scope: SymbolTable, late: bool = False) -> set[str]:
    """Names of the top level that functions and lambdas within a scope read when they run.

    A comprehension at the top level runs at once; within a function it is ``late`` as well.
    """
    names = set()
    for inner in scope.get_children():
        runs_late = late or (inner.get_type() == "function" and inner.get_name() not in AT_ONCE)
        if runs_late:
            names |= {s.get_name() for s in inner.get_symbols() if s.is_global()}
        names |= names_read(inner, runs_late)
    return names


def inner_scopes(scope: SymbolTable) -> Iterator[SymbolTable]:
    """Every scope inside one."""
    for inner in scope.get_children():
        yield inner
        yield from inner_scopes(inner)


# --- rules for lessons --------------------------------------------------------------------------


def length_fits(notebook: Notebook) -> list[str]:
    """25 to 40 cells beside the set-up."""
    count = sum("setup" not in cell.metadata.get("tags", ()) for cell in notebook.cells)
    return [] if 25 <= count <= 40 else [f"{count} cells; a lesson has 25 to 40"]


def median_is_small(notebook: Notebook) -> list[str]:
    """The median code cell has a few lines; those that hold a function are the subject."""
    trees = [(cell, ast.parse(python_of(cell))) for cell in code_cells(notebook)]
    sizes = [own_lines(cell, tree) for cell, tree in trees if not holds_function(tree)]
    median = statistics.median(sizes or [0])
    return [] if median <= 10 else [f"the median code cell has {median:.0f} lines; at most 10"]


def title_is_a_deed(notebook: Notebook) -> list[str]:
    """One title, ``# Verb object``, and no further level-1 heading."""
    titles = [
        title
        for cell in markdown_cells(notebook)
        for title in re.findall(r"^# +(.+)$", without_code(cell.source), flags=re.M)
    ]
    if len(titles) != 1:
        return [f"{len(titles)} titles; a lesson has one"]
    if titles[0].endswith("?") or titles[0].split()[0] in OPENERS:
        return [f"the title {titles[0]!r} does not begin with a verb"]
    return []


def opening_promises(notebook: Notebook) -> list[str]:
    """You'll do, You'll learn (three bullets), You'll need."""
    text = "\n".join(cell.source for cell in notebook.cells[:4] if cell.cell_type == "markdown")
    text = re.split(r"^## ", text, flags=re.M)[0]
    told = [
        f'the opening does not say what "You\'ll {deed}"'
        for deed in ("do", "learn", "need")
        if not re.search(rf"You(['’]ll| will) {deed}\b", text)
    ]
    bullets = len(re.findall(r"^[-*] ", text, flags=re.M))
    return told + ([] if bullets == 3 else [f"{bullets} bullets under You'll learn; write three"])


def headings_ask_or_close(notebook: Notebook) -> list[str]:
    """Two to four rounds, each under a question; what follows them is one of the closing parts."""
    parts = sections(notebook)
    asking = [i for i, part in enumerate(parts) if part.heading.endswith("?")]
    told = [
        f"heading {part.heading!r} neither asks a question nor is one of {', '.join(CLOSING)}"
        for part in parts[asking[0] if asking else 0 :]
        if not part.heading.endswith("?") and not part.heading.startswith(CLOSING)
    ]
    count = len(rounds(notebook))
    return told + ([] if 2 <= count <= 4 else [f"{count} rounds; a lesson has two to four"])


def rounds_are_whole(notebook: Notebook) -> list[str]:
    """Each round predicts, measures, explains and changes one thing, in this order."""
    told = []
    for part in rounds(notebook):
        places = [place_of(name, part) for name in PARTS]
        missing = [name for name, place in zip(PARTS, places, strict=True) if place is None]
        present = [place for place in places if place is not None]
        if missing:
            told.append(f"round {part.heading!r} lacks {', '.join(missing)}")
        elif present != sorted(present):
            told.append(f"round {part.heading!r} is not in the order {', '.join(PARTS)}")
        if part.heading and part.calls("compare") != part.calls("predict"):
            told.append(f"round {part.heading!r} does not compare each prediction once")
    return told


def place_of(name: str, part: Section) -> tuple[int, int] | None:
    """Where a round's part begins: a bold word or heading, or for Predict the call itself."""
    marker = re.compile(rf"^(?:#{{3,5}} +|\*\*|\*){name}\b", flags=re.M)
    for index, cell in enumerate(part.cells):
        match = marker.search(cell.source) if cell.cell_type == "markdown" else None
        if match:
            return index, match.start()
        if name == "Predict" and cell.cell_type == "code" and "predict(" in cell.source:
            return index, 0
    return None


def closing_is_whole(notebook: Notebook) -> list[str]:
    """Where this model breaks, You learned, Exercises, a quiz, Further reading."""
    text = "\n".join(cell.source for cell in markdown_cells(notebook))
    told = [
        f"no {name!r}"
        for name in CLOSING
        if name != "Quiz" and not re.search(rf"^(#{{2,5}} +|\*\*|\*){name}", text, flags=re.M)
    ]
    called = list(called_names("\n".join(python_of(cell) for cell in code_cells(notebook))))
    return told + ([] if "quiz" in called else ["no quiz(...)"])


def exercises_are_checked(notebook: Notebook) -> list[str]:
    """Three exercises, each with a check and two hints folded away."""
    told = []
    parts = [part for part in sections(notebook) if part.heading.startswith("Exercises")]
    if not parts:
        return ["no section Exercises"]
    text, checks = parts[0].markdown(), parts[0].calls("check")
    blocks = re.split(r"^(?:#{3,5} +|\*\*)Exercise \d", text, flags=re.M)[1:]
    if len(blocks) != 3:
        told.append(f"{len(blocks)} exercises ('### Exercise 1: ...'); write three")
    if checks < len(blocks):
        told.append(f"{checks} check(...) calls for {len(blocks)} exercises")
    for number, block in enumerate(blocks, start=1):
        hints = len(re.findall(r"<details>\s*<summary>[^<]*[Hh]int[^<]*</summary>", block))
        if hints != 2 or block.count("<details>") != block.count("</details>"):
            told.append(f"exercise {number} has {hints} hints in <details>; write two, closed")
    return told


def reading_is_described(notebook: Notebook) -> list[str]:
    """Every link of Further reading says in at least four words what it is good for."""
    text = "\n".join(cell.source for cell in markdown_cells(notebook))
    match = re.search(r"^(?:#{2,5} +|\*\*|\*)Further reading.*", text, flags=re.M | re.S)
    items = re.findall(r"^[-*] .*(?:\n {2,}\S.*)*", match[0] if match else "", flags=re.M)
    linked = [item for item in items if "](http" in item]
    bare = [
        item for item in linked if len(re.sub(r"\[[^\]]*\]\([^)]*\)", "", item).split()) < 5
    ]  # the bullet and four words
    told = [f"a link without a description: {item.strip()[:60]}" for item in bare]
    return told + ([] if linked else ["Further reading has no list of links"])


# --- rules for labs -----------------------------------------------------------------------------


def tasks_are_whole(notebook: Notebook) -> list[str]:
    """Each task has a stub, one check and two hints folded away; a score ends the lab."""
    told = []
    tasks = [part for part in sections(notebook) if part.heading.startswith("Task")]
    for part in tasks:
        hints = len(re.findall(r"<details>\s*<summary>Hint \d</summary>", part.markdown()))
        counts = {"hint": (hints, 2), "check": (part.calls("check"), 1)}
        counts["stub"] = (part.code().count("# your code here"), 1)
        told += [
            f"{part.heading!r} has {found} of {asked} {what}"
            for what, (found, asked) in counts.items()
            if found != asked
        ]
    told += [] if tasks else ["no section 'Task 1: ...'"]
    last = list(called_names(python_of(code_cells(notebook)[-1])))
    return told + ([] if "score" in last else ["the last code cell does not call score(...)"])


COMMON_RULES: tuple[Rule, ...] = (
    words_fit,
    prose_is_calm,
    code_is_narrow,
    code_is_short,
    figures_are_shown,
    names_are_bound_once,
)
LESSON_RULES: tuple[Rule, ...] = (
    *COMMON_RULES,
    length_fits,
    median_is_small,
    title_is_a_deed,
    opening_promises,
    headings_ask_or_close,
    rounds_are_whole,
    closing_is_whole,
    exercises_are_checked,
    reading_is_described,
)
LAB_RULES: tuple[Rule, ...] = (
    *COMMON_RULES,
    title_is_a_deed,
    opening_promises,
    tasks_are_whole,
    reading_is_described,
)
