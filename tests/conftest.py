"""What the tests share: lessons executed once a session, a browser, and cheap tests first."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import build  # noqa: E402
from lesson_runner import Executed, execute  # noqa: E402
from lessonkit.repository import read_repository  # noqa: E402
from lessonkit.source import Source, find_sources, read_source  # noqa: E402

BUILD_FOLDER = ROOT / ".build"
COST = {"lessons": 1, "browser": 2}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Source], Executed]:
    """Run a lesson's notebook, at most once a session; the copy lies in .build/executed/."""
    done: dict[str, Executed] = {}

    def run(source: Source) -> Executed:
        if source.stem not in done:
            notebook = build.make_notebook(source, read_repository(ROOT))
            target = BUILD_FOLDER / "executed" / f"{source.stem}.ipynb"
            done[source.stem] = execute(notebook, target, tmp_path_factory.mktemp(source.stem))
        return done[source.stem]

    return run


@pytest.fixture(scope="session")
def chromium() -> str | None:
    """The path of a Chromium or Chrome on this machine, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def lesson_sources(labs: bool | None = None) -> list[Source]:
    """Every lesson and lab, or only lessons (``labs=False``), or only labs."""
    sources = [read_source(path) for path in find_sources(ROOT)]
    return [source for source in sources if labs is None or source.is_lab == labs]


def gpu_present() -> bool:
    """Whether numba can reach an NVIDIA GPU."""
    from numba import cuda

    return bool(cuda.is_available())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run cheap tests first, skip those that need a GPU where there is none."""
    items.sort(key=lambda item: max([0, *(COST.get(mark.name, 0) for mark in item.iter_markers())]))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not gpu_present():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU that numba.cuda can reach"))
