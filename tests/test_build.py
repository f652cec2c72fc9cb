"""The build makes the same notebook every time and refuses what a lesson must not hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import build
import pytest
from conftest import ROOT
from lessonkit.checks import check_source
from lessonkit.repository import checked, read_repository
from lessonkit.source import Budget, LessonError, parse_source

PYPROJECT = '[project]\nname = "x"\n[project.urls]\nRepository = "https://github.com/one/course"\n'
OPENING = "# %% [markdown]\n# # Weigh a byte\n#\n# **How heavy is it?**\n"
NEED = "\n# %% [markdown]\n# *You'll need:* a scale.\n"
CODE = '\n# %% tags=["wrong-on-purpose"]\nweight = 1\n'
LAB = """
# %%
def weigh(x):
    \"\"\"Return the weight.\"\"\"
    # begin solution
    total = 0
    # add them up

    for part in x:
        total += part
    return total
    # end solution
"""
REPOSITORY = "https://github.com/one/course"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one lesson and one lab."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    for folder, name, text in (
        ("notebooks", "01_weigh.py", OPENING + NEED + CODE),
        ("labs", "lab_01_weigh.py", OPENING + LAB),
    ):
        (tmp_path / "lessons" / folder).mkdir(parents=True)
        (tmp_path / "lessons" / folder / name).write_text(text)
    return tmp_path


def problems_of(body: str, name: str = "01_weigh.py") -> list[str]:
    """What the build says of a source with this body, as ``line: text``."""
    source = parse_source(OPENING + body, Path(name))
    return [f"{problem.line}: {problem.text}" for problem in check_source(source)]


def notebook_of(body: str, name: str = "01_weigh.py") -> list[dict[str, object]]:
    notebook = build.make_notebook(parse_source(OPENING + body, Path(name)), REPOSITORY)
    return list(notebook.cells)


# --- what it makes ------------------------------------------------------------------------------


def test_building_twice_gives_the_same_bytes(course: Path) -> None:
    first, second = build.build_all(course), build.build_all(course)
    assert list(first.values()) == list(second.values())
    assert len(first) == 2


def test_another_process_gives_the_same_bytes() -> None:
    script = "import build, zlib; print(zlib.crc32(str(build.build_all(build.ROOT)).encode()))"
    digests = {
        subprocess.check_output(
            [sys.executable, "-c", script],
            cwd=ROOT / "tools",
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        )
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_notebook_has_stable_ids_and_no_outputs(course: Path) -> None:
    text = build.build_all(course)[course / "notebooks" / "01_weigh.ipynb"]
    notebook = json.loads(text)
    assert [cell["id"] for cell in notebook["cells"]] == [f"01_weigh-{i:02d}" for i in range(4)]
    assert all(cell.get("outputs", []) == [] for cell in notebook["cells"])
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert text == json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_badges_stand_under_the_question() -> None:
    opening = str(notebook_of(NEED + CODE)[0]["source"]).split("\n\n")
    assert opening[:2] == ["# Weigh a byte", "**How heavy is it?**"]
    assert "colab.research.google.com/github/one/course/blob/main/notebooks/01_weigh" in opening[2]
    assert "mybinder.org/v2/gh/one/course/main?urlpath=lab/tree/notebooks/01_weigh" in opening[2]


def test_badges_of_a_lab_lead_to_the_lab() -> None:
    assert "blob/main/labs/lab_01_weigh.ipynb" in str(notebook_of(LAB, "lab_01_weigh.py")[0])


def test_opening_names_the_experiments_that_want_a_gpu() -> None:
    body = '\n# %%\n@experiment(needs="gpu", model=None)\ndef weigh_on_gpu(n):\n    return n\n'
    assert "`weigh_on_gpu`" in str(notebook_of(body)[0]["source"])
    assert "nothing here needs one" in str(notebook_of(CODE)[0]["source"])


def test_set_up_is_the_first_code_cell_and_comes_after_what_you_need() -> None:
    cells = notebook_of(NEED + CODE)
    assert [cell["cell_type"] for cell in cells] == ["markdown", "markdown", "code", "code"]
    assert cells[2]["metadata"] == {"tags": ["setup"]}
    assert "git+https://github.com/one/course" in str(cells[2]["source"])
    assert cells[3]["metadata"] == {"tags": ["wrong-on-purpose"]}


def test_set_up_without_package_or_network_says_what_to_do(tmp_path: Path) -> None:
    setup = str(notebook_of(CODE)[1]["source"])
    (tmp_path / "subprocess.py").write_text("def call(command):\n    return 1\n")
    finished = subprocess.run(
        [sys.executable, "-S", "-c", setup],
        cwd=tmp_path,
        env={"AIINFRA_SOURCE": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = finished.stderr.strip().splitlines()[-1]
    assert last == "RuntimeError: cannot install /nowhere: check the network, run again"


def test_writefile_becomes_live_and_nothing_else_does() -> None:
    cells = notebook_of("\n# %%\n# %%writefile kernel.py\nanswer = 42\n")
    assert cells[-1]["source"] == "%%writefile kernel.py\nanswer = 42"
    assert problems_of("\n# %%\n# ls is a command\n")[0].startswith("7: the notebook would run")


def test_instructor_cells_stay_out_of_the_notebook() -> None:
    cells = notebook_of('\n# %% tags=["instructor"]\nsecret = 1\n', "lab_01_weigh.py")
    assert len(cells) == 2


# --- solutions ----------------------------------------------------------------------------------


def test_solution_becomes_a_stub_that_counts_its_lines() -> None:
    code = str(notebook_of(LAB, "lab_01_weigh.py")[-1]["source"])
    assert code.splitlines()[2:] == ["    # your code here: about 4 lines", "    ..."]
    scope: dict[str, object] = {}
    exec(code, scope)
    assert scope["weigh"]([1]) is None  # type: ignore[operator]


@pytest.mark.parametrize(
    ("edit", "line", "words"),
    [
        (("    # end solution\n", ""), 9, "not closed"),
        (("    # begin solution\n", ""), 15, "never begun"),
        (("    total = 0\n", "    # begin solution\n"), 10, "inside a solution"),
        (("def weigh(x):", "if weight:"), 9, "inside a function"),
    ],
)
def test_misplaced_marker_is_named_by_line(edit: tuple[str, str], line: int, words: str) -> None:
    with pytest.raises(LessonError) as caught:
        notebook_of(LAB.replace("return total", "total").replace(*edit), "lab_01_weigh.py")
    assert f"lab_01_weigh.py:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_lesson_keeps_no_solutions() -> None:
    with pytest.raises(LessonError, match="solutions belong in labs"):
        notebook_of(LAB)


# --- what it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time\nstart = time.time()", "raw timer"),
        ("from time import perf_counter", "raw timer"),
        ("import time as t\nt.perf_counter()", "raw timer"),
        ("import timeit", "raw timer"),
        ("import requests", "network"),
        ("from urllib.request import urlopen", "network"),
        ('open("https://example.org")', "network"),
        ("plt.show()", "plt.show"),
        ("# %timeit f()", "would run this comment"),
        ("%matplotlib inline", "magic"),
        ("# !pip install torch", "would run this comment"),
        ("x = = 1", "does not parse"),
    ],
)
def test_forbidden_code_is_named_by_line(code: str, words: str) -> None:
    told = problems_of(f"\n# %%\n{code}\n")
    line = 7 + code.count("\n")
    assert any(text.startswith(f"{line}: ") and words in text for text in told), told


def test_timing_wrongly_on_purpose_is_allowed() -> None:
    assert problems_of('\n# %% tags=["wrong-on-purpose"]\nimport time\ntime.time()\n') == []


def test_innocent_code_passes() -> None:
    code = 'import time\ntime.sleep(0)\nrun.time\nopen("notes.txt")\nx = (1\n     % 2)\n'
    assert problems_of(f"\n# %%\n{code}") == []


@pytest.mark.parametrize("text", ["<div align=center>", "a <b>bold</b> word", "line<br/>break"])
def test_layout_tags_are_refused(text: str) -> None:
    assert problems_of(f"\n# %% [markdown]\n# Fine.\n#\n# {text}\n")[0].startswith("9: <")


def test_details_links_and_quoted_tags_are_markdown() -> None:
    text = "<details><summary>Hint 1</summary> `<div>` <https://a.org> 1 < 2 > 0 </details>"
    assert problems_of(f"\n# %% [markdown]\n# {text}\n") == []


def test_typed_badge_is_refused() -> None:
    assert "badges" in problems_of("\n# %% [markdown]\n# https://mybinder.org/v2/gh/a/b\n")[0]


@pytest.mark.parametrize(
    ("opening", "words"),
    [
        ("# %%\nx = 1\n", "no title"),
        ("# %% [markdown]\n# Weigh a byte\n#\n# How heavy?\n", "no title"),
        ("# %% [markdown]\n# # Weigh a byte\n#\n# It is heavy.\n", "no question"),
    ],
)
def test_lesson_without_title_or_question_is_refused(opening: str, words: str) -> None:
    told = check_source(parse_source(opening, Path("01_weigh.py")))
    assert [words in problem.text for problem in told] == [True]


def test_budget_needs_a_reason() -> None:
    more = "# budget: 90 s, 900 MB because it trains\n\n" + OPENING
    assert parse_source(more, Path("x.py")).budget == Budget(90, 900e6)
    with pytest.raises(LessonError, match="because"):
        parse_source("# budget: 90 s\n" + OPENING, Path("x.py"))


def test_misnamed_source_is_refused(course: Path) -> None:
    (course / "lessons" / "labs" / "extra.py").write_text(OPENING)
    with pytest.raises(LessonError, match=r"extra\.py:1: name it like lab_03"):
        build.build_all(course)


# --- the command --------------------------------------------------------------------------------


def test_check_tells_missing_stale_and_orphan_apart(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["--check"], root=course) == 1
    assert capsys.readouterr().out.count("is missing: run make lessons") == 2
    assert build.main([], root=course) == 0
    assert build.main(["--check"], root=course) == 0
    (course / "notebooks" / "01_weigh.ipynb").write_text("{}\n")
    (course / "labs" / "lab_09_gone.ipynb").write_text("{}\n")
    capsys.readouterr()
    assert build.main(["--check"], root=course) == 1
    told = capsys.readouterr().out
    assert "notebooks/01_weigh.ipynb is stale: run make lessons" in told
    assert "labs/lab_09_gone.ipynb has no source" in told
    assert (course / "notebooks" / "01_weigh.ipynb").read_text() == "{}\n"


def test_wrong_source_writes_nothing(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = course / "lessons" / "notebooks" / "02_wrong.py"
    path.write_text(OPENING + "\n# %%\nimport timeit\n")
    assert build.main([], root=course) == 1
    assert f"{path}:7: raw timer" in capsys.readouterr().err
    assert not (course / "notebooks").exists()


def test_repointing_moves_every_address(course: Path) -> None:
    readme = course / "README.md"
    readme.write_text(f"{REPOSITORY}/issues, gh/one/course/main, github.com/one/course-work\n")
    assert build.main(["--repository", "https://github.com/two/fork.git"], root=course) == 0
    assert read_repository(course) == "https://github.com/two/fork"
    texts = build.build_all(course).values()
    assert all("two/fork" in text and "one/course" not in text for text in texts)
    assert readme.read_text() == (
        "https://github.com/two/fork/issues, gh/two/fork/main, github.com/one/course-work\n"
    )


@pytest.mark.parametrize(
    "url", ["two/fork", "http://github.com/two/fork", "https://gitlab.com/two/fork", 'https://github.com/a/b"']
)  # fmt: skip
def test_odd_repository_addresses_are_refused(url: str, course: Path) -> None:
    with pytest.raises(ValueError, match="write it as https:"):
        checked(url)
    assert build.main(["--repository", url], root=course) == 1
    assert read_repository(course) == REPOSITORY
