"""A notebook opened where the course is not installed, as on Colab, sets itself up and runs.

What this proves: in a virtual environment that holds a kernel and nothing else, the set-up cell
installs the package by itself, with the dependencies that the package declares and no others, and
lesson 01 then runs to its end on that installed copy, package data included. It stands in for Colab
except for the address: the set-up cell is pointed at this checkout instead of the repository.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import build
import pytest
from conftest import BUILD_FOLDER, ROOT
from lesson_runner import execute
from lessonkit.repository import read_repository
from lessonkit.source import read_source
from nbformat.v4 import new_code_cell

pytestmark = pytest.mark.lessons

LESSON = "01_cpu_vs_gpu"
LONGEST = 300.0  # seconds for installing and running
WHERE = "import aiinfra\naiinfra.__file__"


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """The Python of a new environment with pip and a kernel only."""
    venv.create(tmp_path / "bare", with_pip=True)
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "-q", "ipykernel"]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if installed.returncode and os.environ.get("AIINFRA_REQUIRE_BROWSER") != "1":
        pytest.skip(f"pip cannot install a kernel here: {installed.stderr[-200:]}")
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a clone holds of the package, so that building it leaves nothing here."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", copy / "src", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def test_lesson_sets_itself_up_where_the_package_is_absent(
    bare_python: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    absent = subprocess.run([bare_python, "-c", "import aiinfra"], cwd=tmp_path, check=False)
    assert absent.returncode == 1
    spec = {"argv": [str(bare_python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "bare", "language": "python"}  # fmt: skip
    (tmp_path / "kernels" / "bare").mkdir(parents=True)
    (tmp_path / "kernels" / "bare" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    source = read_source(ROOT / "lessons" / "notebooks" / f"{LESSON}.py")
    notebook = build.make_notebook(source, read_repository(ROOT))
    notebook.cells.append(new_code_cell(WHERE, id="where"))
    target = BUILD_FOLDER / "executed" / f"{LESSON}.bare.ipynb"
    begin = time.monotonic()
    environment = {"AIINFRA_SOURCE": str(checkout)}
    done = execute(notebook, target, tmp_path / "work", environment, kernel="bare")
    assert done.error == ""
    where = done.notebook.cells[-1].outputs[0].data["text/plain"]
    assert str(tmp_path / "bare") in where, f"ran on {where}, not on what was installed"
    assert time.monotonic() - begin < LONGEST
    assert sys.prefix not in where
