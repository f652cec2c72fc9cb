"""Links lead somewhere: relative ones to files, repository addresses to the one repository."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from conftest import ROOT, lesson_sources
from lessonkit.checks import without_code
from lessonkit.repository import read_repository

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*.cff"))]
NOTEBOOKS = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "labs").glob("*.ipynb")])
SOURCES = [source.path for source in lesson_sources()]
GITHUB = re.compile(r"github\.com/([\w.-]+/[\w.-]+?)(?=\.git|[/#\s\"')\]>]|$)")
LAUNCH = re.compile(
    r"(?:colab\.research\.google\.com/github|mybinder\.org/v2/gh)/([\w.-]+/[\w.-]+)/"
)
every_page = pytest.mark.parametrize(
    "path", [*PAGES, *SOURCES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT))
)


def markdown_of(path: Path) -> str:
    """The prose of a page, notebook or lesson source."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    return text


def broken_links(markdown: str, folder: Path) -> list[str]:
    """Relative links of a page in ``folder`` that lead to no file."""
    text = without_code(markdown)
    inline = re.findall(r"\]\(<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\)", text)
    reference = re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, flags=re.M)
    return [
        link
        for link in [*inline, *reference]
        if not re.match(r"[a-z]+:|#", link) and not (folder / unquote(link.split("#")[0])).exists()
    ]


def foreign_addresses(text: str, repository: str) -> list[str]:
    """Addresses of this project's pages that name another repository of the same name."""
    slug = repository.removeprefix("https://github.com/")
    launched = [found for found in LAUNCH.findall(text) if found != slug]
    name = slug.split("/")[1]
    return launched + [
        found for found in GITHUB.findall(text) if found.endswith(f"/{name}") and found != slug
    ]


def table_rows(readme: str) -> dict[str, str]:
    """Lessons of the README's tables: the notebook that a row links, and the row."""
    return {
        match[1]: line
        for line in readme.splitlines()
        if line.lstrip().startswith("|")
        for match in re.finditer(r"\(((?:notebooks|labs)/[\w]+)\.ipynb\)", line)
    }


@every_page
def test_relative_links_lead_to_files(path: Path) -> None:
    # The prose of a lesson is read where its notebook stands.
    folder = ROOT / path.parent.name if path.suffix == ".py" else path.parent
    assert broken_links(markdown_of(path), folder) == []


@every_page
def test_addresses_name_the_one_repository(path: Path) -> None:
    assert foreign_addresses(path.read_text(encoding="utf-8"), read_repository(ROOT)) == []


def test_package_keeps_no_address_of_its_own() -> None:
    slug = read_repository(ROOT).removeprefix("https://github.com/")
    holders = [
        path for path in (ROOT / "src" / "aiinfra").rglob("*.py") if slug in path.read_text()
    ]
    assert holders == [], "read the address from the package's metadata"


def test_readme_lists_the_lessons_that_exist() -> None:
    rows = table_rows((ROOT / "README.md").read_text(encoding="utf-8"))
    here = {f"{source.path.parent.name}/{source.stem}": source for source in lesson_sources()}
    assert set(rows) == set(here)
    for name, source in here.items():
        title = source.cells[0].text.splitlines()[0].removeprefix("# ")
        assert title in rows[name], f"the row of {name} does not carry its title {title!r}"


def test_broken_link_is_caught(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("here")
    page = '[a](there.md#part) [b](gone.md "title") `[c](code.md)` [d](https://x.org) [e](#part)'
    assert broken_links(page + "\n\n[f]: gone_too.md\n", tmp_path) == ["gone.md", "gone_too.md"]


def test_foreign_address_is_caught() -> None:
    text = "https://github.com/a/course https://github.com/b/course.git https://github.com/b/other"
    assert foreign_addresses(text, "https://github.com/a/course") == ["b/course"]
    badge = "https://mybinder.org/v2/gh/b/course/main"
    assert foreign_addresses(badge, "https://github.com/a/course") == ["b/course"]
