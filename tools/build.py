"""Turn lessons/ into notebooks/ and labs/, reproducibly, byte for byte.

python tools/build.py                   write every notebook that changed
python tools/build.py --check           say which notebooks are stale, missing or orphans
python tools/build.py --repository URL  point badges and set-up cells at a fork, then build
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nbformat
from lessonkit.checks import check_source
from lessonkit.inject import inject
from lessonkit.repository import read_repository, repoint
from lessonkit.solutions import cut_solutions
from lessonkit.source import LessonError, Problem, Source, find_sources, read_source
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def make_notebook(source: Source, repository: str) -> nbformat.NotebookNode:
    """Return the notebook of a source; ``LessonError`` lists everything there is to mend."""
    problems = check_source(source)
    if problems:
        raise LessonError(problems)
    kept = tuple(cell for cell in source.cells if "instructor" not in cell.tags)
    source = inject(cut_solutions(replace(source, cells=kept)), repository)
    cells = []
    for index, cell in enumerate(source.cells):
        make = new_markdown_cell if cell.kind == "markdown" else new_code_cell
        metadata = {"tags": list(cell.tags)} if cell.tags else {}
        cells.append(make(cell.text, id=f"{source.stem}-{index:02d}", metadata=metadata))
    return new_notebook(cells=cells, metadata=METADATA)


def target_of(path: Path, root: Path) -> Path:
    """Where the notebook of the source at ``path`` is written."""
    return root / path.parent.name / f"{path.stem}.ipynb"


def build_all(root: Path) -> dict[Path, str]:
    """Return the text of every notebook by its path; ``LessonError`` when a source is wrong."""
    repository = read_repository(root)
    texts: dict[Path, str] = {}
    problems: list[Problem] = []
    for path in find_sources(root):
        try:
            notebook = make_notebook(read_source(path), repository)
        except LessonError as error:
            problems += error.problems
            continue
        texts[target_of(path, root)] = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    if problems:
        raise LessonError(problems)
    return texts


def differences(root: Path, texts: dict[Path, str]) -> list[str]:
    """One line for each notebook on disk that is stale, missing or has no source."""
    told = []
    for path, text in texts.items():
        name = path.relative_to(root)
        if not path.exists():
            told.append(f"{name} is missing: run make lessons")
        elif path.read_text(encoding="utf-8") != text:
            told.append(f"{name} is stale: run make lessons")
    for folder in ("notebooks", "labs"):
        for path in sorted((root / folder).glob("*.ipynb")):
            if path not in texts:
                name = path.relative_to(root)
                told.append(f"{name} has no source in lessons/{folder}: run git rm {name}")
    return told


def write_all(root: Path, texts: dict[Path, str]) -> list[Path]:
    """Write the notebooks that changed and return their paths."""
    changed = []
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; the exit code is 0 when everything is fresh or written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("--repository", metavar="URL", help="https://github.com/owner/repo")
    options = parser.parse_args(arguments)
    try:
        if options.repository:
            for path in repoint(root, options.repository):
                print(f"repointed {path.relative_to(root)}")
        texts = build_all(root)
    except (LessonError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        told = differences(root, texts)
        print("\n".join(told) or f"{len(texts)} notebooks are fresh")
        return 1 if told else 0
    for path in write_all(root, texts):
        print(f"wrote {path.relative_to(root)}")
    for line in differences(root, texts):
        print(line, file=sys.stderr)
    print(f"{len(texts)} notebooks are fresh")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
