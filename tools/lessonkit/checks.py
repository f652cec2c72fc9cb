"""What a source must not hold; each check is a function of one source that yields problems."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lessonkit.source import Cell, Problem, Source

TIMERS = {"perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time"} | {
    "process_time_ns", "thread_time", "thread_time_ns", "time_ns", "time",
}  # fmt: skip
NETWORK = {"requests", "urllib", "urllib3", "httpx", "aiohttp", "ftplib"}
TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)(?:\s[^<>]*)?/?>")
ALLOWED_TAGS = {"details", "summary", "code"}  # no Markdown is read within a <summary>


def check_source(source: Source) -> list[Problem]:
    """Run every check; an empty list means that the source may become a notebook."""
    checks = (check_opening, check_markdown, check_magics, check_code)
    return [problem for check in checks for problem in check(source)]


def check_opening(source: Source) -> Iterator[Problem]:
    """The first cell is markdown: a title, then one question."""
    first = source.cells[0]
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", first.text) if part.strip()]
    if first.kind != "markdown" or not re.match(r"# \S", first.text):
        yield Problem(source.path, first.line, 'no title: begin with markdown "# Verb object"')
    elif len(paragraphs) < 2 or not paragraphs[1].rstrip("*_ ").endswith("?"):
        told = "no question: the paragraph under the title ends in a question mark"
        yield Problem(source.path, first.line, told)


def check_markdown(source: Source) -> Iterator[Problem]:
    """Plain CommonMark, with ``<details>`` for hints; badges come from the build."""
    for cell in source.cells:
        if cell.kind != "markdown":
            continue
        for offset, line in enumerate(without_code(cell.text).splitlines()):
            for tag in TAG.findall(line):
                if tag.lower() not in ALLOWED_TAGS:
                    told = f"<{tag}> in markdown; only <details> and <summary> are allowed"
                    yield Problem(source.path, cell.line + offset, told)
            if "colab.research.google.com" in line or "mybinder.org" in line:
                told = "a launch link; remove it, the build puts the badges under the title"
                yield Problem(source.path, cell.line + offset, told)


def without_code(markdown: str) -> str:
    """Blank out code spans and fences, keeping the line count."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    fenced = re.sub(r"^(```|~~~).*?^\1[ \t]*$", blank, markdown, flags=re.M | re.S)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", blank, fenced, flags=re.S)


def check_magics(source: Source) -> Iterator[Problem]:
    """Only a commented ``%%writefile`` on a cell's first line; jupytext makes it live."""
    for cell in source.cells:
        if cell.kind != "code":
            continue
        for offset, (raw, live) in enumerate(zip(cell.raw, cell.text.splitlines(), strict=False)):
            line = cell.line + offset
            if raw != live and not (offset == 0 and live.startswith("%%writefile ")):
                told = f"the notebook would run this comment as {live.strip()!r}; reword it"
                yield Problem(source.path, line, told)
            elif re.match(r"\s*(%%?[A-Za-z]|!(?!=)\S)", raw):
                told = "a magic; only a commented %%writefile on a cell's first line is allowed"
                yield Problem(source.path, line, told)


def check_code(source: Source) -> Iterator[Problem]:
    """No raw timer, no network, no ``plt.show``; the cell parses as Python."""
    for cell in source.cells:
        if cell.kind != "code":
            continue
        try:
            tree = ast.parse("\n".join(cell.raw))
        except SyntaxError as error:
            line = cell.line + (error.lineno or 1) - 1
            yield Problem(source.path, line, f"does not parse: {error.msg}")
            continue
        for node in ast.walk(tree):
            for told in problems_of(node, cell):
                yield Problem(source.path, cell.line + node.lineno - 1, told)  # type: ignore[attr-defined]


def problems_of(node: ast.AST, cell: Cell) -> Iterator[str]:
    """What is wrong with one node of a cell's syntax tree."""
    timer = "raw timer; time with measure.time_call (or tag the cell wrong-on-purpose)"
    network = "network at run time; a lesson reads what the package ships"
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [alias.name for alias in node.names]
        names = []
        if isinstance(node, ast.ImportFrom):
            modules, names = [node.module or ""], modules
        tops = {module.split(".")[0] for module in modules}
        if tops & NETWORK or any(module.startswith("http.client") for module in modules):
            yield network
        raw = "timeit" in tops or ("time" in tops and set(names) & TIMERS)
        if raw and "wrong-on-purpose" not in cell.tags:
            yield timer
    elif isinstance(node, ast.Attribute):
        of_time = isinstance(node.value, ast.Name) and node.value.id == "time"
        raw = node.attr in TIMERS - {"time"} or (of_time and node.attr == "time")
        if raw and "wrong-on-purpose" not in cell.tags:
            yield timer
        if node.attr == "show" and isinstance(node.value, ast.Name) and node.value.id == "plt":
            yield "plt.show; end the cell with a figure of aiinfra.show"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and str(first.value).startswith("http"):
            yield network
