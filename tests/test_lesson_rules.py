"""Each house rule turns red on a lesson that breaks it, and stays green on one that does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import build
import pytest
from conftest import ROOT
from lesson_rules import LESSON_RULES, names_are_bound_once, rounds_are_whole, tasks_are_whole
from lesson_runner import Executed, execute, over_budget, run_script
from lessonkit.source import Budget, Source, parse_source
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from output_rules import figures_have_alt_text, runs_say_their_source
from spoilers import lasting, spoilers

ROUND = """
# %% [markdown]
# ## How many are there?
#
# Some words.

# %%
guess_{n} = predict("How many?", unit="GB/s", key="01.{n}")

# %% [markdown]
# **Measure.** One call.

# %%
value_{n} = 3

# %%
compare(guess_{n}, measured=value_{n})

# %% [markdown]
# **Explain.** There are three.
#
# **Change one thing.** Edit it.
"""
EXERCISE = """
# %% [markdown]
# ### Exercise {n}: count
#
# <details><summary>Hint 1</summary>Look.</details>
#
# <details><summary>Hint 2</summary>Look again.</details>

# %%
check("01.count_{n}", None)
"""
GOOD = (
    """
# %% [markdown]
# # Count the bytes
#
# **How many are there?**

# %% [markdown]
# *You'll do:* count. *You'll learn*
#
# - one;
# - two;
# - three.
#
# *You'll need:* fingers.
"""
    + "".join(ROUND.format(n=n) for n in range(1, 4))
    + """
# %% [markdown]
# ## Where this model breaks
#
# With toes.
#
# ## You learned

# %% [markdown]
# ## Exercises
"""
    + "".join(EXERCISE.format(n=n) for n in range(1, 4))
    + """
# %%
quiz("01")

# %% [markdown]
# ## Further reading
#
# - [Counting](https://example.org): how people count with their fingers.
"""
)
PAD = "\n# %% [markdown]\n# More.\n" * 20
BREAKS = [
    ("words_fit", "Some words.", "word " * 130),
    ("prose_is_calm", "Some words.", "Great!"),
    ("code_is_narrow", "value_1 = 3", f"value_1 = {'1 + ' * 30}3"),
    ("code_is_short", "value_1 = 3", "value_1 = 3\n" * 13),
    ("figures_are_shown", "value_1 = 3", "gap(1)\nvalue_1 = 3"),
    ("names_are_bound_once", "value_1 = 3", "value_1, value_2 = 3, 4\ndraw = lambda: value_2"),
    ("length_fits", "\n# %% [markdown]\n# ## Further", PAD + "\n# %% [markdown]\n# ## Further"),
    ("median_is_small", "value_1 = 3", ""),
    ("title_is_a_deed", "# # Count the bytes", "# # The bytes"),
    ("title_is_a_deed", "# Some words.", "# # Another title"),
    ("opening_promises", "You'll need", "Bring"),
    ("opening_promises", "# - two;\n", ""),
    ("headings_ask_or_close", "## Where this model breaks", "## Some thoughts"),
    ("headings_ask_or_close", "## How many are there?", "## How many there are"),
    ("rounds_are_whole", "**Explain.**", "And so:"),
    ("rounds_are_whole", "**Measure.**", "**Change one thing.**"),
    ("rounds_are_whole", "compare(guess_2, measured=value_2)", "value_2"),
    ("closing_is_whole", "## You learned", "### Done"),
    ("closing_is_whole", 'quiz("01")', "pass"),
    ("exercises_are_checked", "### Exercise 3: count", "### More"),
    ("exercises_are_checked", 'check("01.count_2", None)', "pass"),
    ("exercises_are_checked", "<summary>Hint 2</summary>", "<summary>Answer</summary>"),
    ("reading_is_described", ": how people count with their fingers", ""),
]


def notebook_of(text: str) -> Any:
    return build.make_notebook(parse_source(text, Path("01_count.py")), "https://github.com/a/b")


def broken_rules(text: str) -> set[str]:
    return {rule.__name__ for rule in LESSON_RULES if rule(notebook_of(text))}


def test_good_lesson_breaks_no_rule() -> None:
    assert broken_rules(GOOD) == set()


@pytest.mark.parametrize(("rule", "old", "new"), BREAKS, ids=[row[0] for row in BREAKS])
def test_bad_lesson_breaks_its_rule(rule: str, old: str, new: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new)
    if rule == "median_is_small":
        text = re.sub(r"# %%\n(?=\w)", "# %%\n" + "value = 1\n" * 11, GOOD)
    assert rule in broken_rules(text)


FUNCTION = "def draw(axes, scale): return [share * part for part in parts if part]"
REBINDS = ["share = 2", "share += 1", "for share in parts: pass", "with f() as share: pass",
           "(a, [share]) = f()", "print(share := 2)", "[share := part for part in parts]",
           "def share(): pass", "class share: pass", "if f():\n    share = 2",
           "def again():\n    global share\n    share = 2"]  # fmt: skip
KEEPS = ["share", "draw(share=2)", "f = lambda share: share", "[share for share in parts]",
         "def other():\n    share = 2", "x.share = 2", "import os", "%%writefile f.py\nshare = 2",
         "scale = part = axes = 2"]  # fmt: skip


@pytest.mark.parametrize(
    "function",
    [FUNCTION, "draw = lambda: share", "@experiment\ndef run():\n    return [lambda: share]",
     "class Draw:\n    def now(self): return share"],
)  # fmt: skip
def test_a_name_that_a_function_reads_is_bound_by_one_cell(function: str) -> None:
    def told(*cells: str) -> list[str]:
        return names_are_bound_once(new_notebook(cells=[*map(new_code_cell, cells)]))

    first = "import os\nshare = 1\nshare = 3"  # one cell may bind it twice
    assert [told(first, function, cell) for cell in KEEPS] == [[]] * len(KEEPS)
    found = [told(first, function, cell) for cell in REBINDS]
    assert all(len(lines) == 1 and lines[0].startswith("share is") for lines in found), found
    assert told("from parts import share", function, "share = 2")
    assert not told(first, "[share for part in parts]", "share = 2")


LAB = """
# %% [markdown]
# # Count the fingers
#
# **How many are there?**

# %% [markdown]
# ## Task 1: count
#
# <details><summary>Hint 1</summary>Begin.</details>
# <details><summary>Hint 2</summary>Go on.</details>

# %%
def count(fingers):
    # begin solution
    return len(fingers)
    # end solution


check("lab_01.count", count)

# %%
score("lab_01")
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "", ""),
        ("<summary>Hint 2</summary>", "", "1 of 2 hint"),
        ('check("lab_01.count", count)', "", "0 of 1 check"),
        ("    # begin solution\n", "", "stub"),
        ('score("lab_01")', "1", "score"),
        ("## Task 1: count", "## Count", "no section"),
    ],
)
def test_task_of_a_lab_that_lacks_something_is_caught(old: str, new: str, words: str) -> None:
    text = LAB.replace(old, new) if old else LAB
    text = text.replace("    # end solution\n", "") if "# begin" not in text else text
    source = parse_source(text, Path("lab_01_count.py"))
    told = tasks_are_whole(build.make_notebook(source, "https://github.com/one/course"))
    assert (words in "; ".join(told)) if words else told == []


def test_every_rule_has_a_lesson_that_breaks_it() -> None:
    assert {rule.__name__ for rule in LESSON_RULES} == {row[0] for row in BREAKS}


# --- what a lesson shows ------------------------------------------------------------------------


def lesson_with(above: Any, unit: str = "B/s", measured: float = 26.1e9, **more: Any) -> Any:
    """An executed lesson: a cell, a prediction, a comparison."""
    data = {"key": "01.rate", "measured": measured, "model": None, "unit": unit, **more}
    said = new_output("display_data", data={"text/plain": "26.1"}, metadata={"aiinfra": data})
    return new_notebook(
        cells=[
            above,
            new_code_cell('guess = predict("How fast?", unit="GB/s")'),
            new_code_cell("compare(guess, measured)", outputs=[said]),
        ]
    )


@pytest.mark.parametrize(
    "text", ["It moves 26 GB/s.", "26.1 GB/s", "26100 MB/s", "about 0.026 TB/s", "26\u202fGB/s"]
)
def test_answer_in_prose_above_its_prediction_is_caught(text: str) -> None:
    assert len(spoilers(lesson_with(new_markdown_cell(text)))) == 1


@pytest.mark.parametrize(
    "text", ["27 GB/s", "26 GB", "26.4 GB/s", "26 cores", "3.26 GB/s", "260 GB/s"]
)
def test_other_numbers_above_a_prediction_pass(text: str) -> None:
    assert spoilers(lesson_with(new_markdown_cell(text))) == []


def test_answer_in_output_or_alt_text_is_caught() -> None:
    printed = new_code_cell("f()", outputs=[new_output("stream", text="rate 26.1 GB/s")])
    drawn = {"text/html": '<img alt="It reaches 26.1 GB/s." src="">'}
    figure = new_code_cell("f()", outputs=[new_output("display_data", data=drawn)])
    assert len(spoilers(lesson_with(printed))) == len(spoilers(lesson_with(figure))) == 1


def test_model_of_the_answer_is_caught_too() -> None:
    above = new_markdown_cell("A roof of 31 GB/s")
    assert len(spoilers(lesson_with(above, model=31.2e9))) == 1


@pytest.mark.parametrize(
    ("text", "unit", "measured"),
    [
        ("26 times faster", "x", 26.3),
        ("26.3x", "x", 26.3),
        ("2.5 million pixels", "pixels", 2.52e6),
        ("420 µs", "s", 4.2e-4),
        ("83 %", "%", 83.2),
    ],
)
def test_answers_in_other_units_are_caught(text: str, unit: str, measured: float) -> None:
    assert len(spoilers(lesson_with(new_markdown_cell(text), unit, measured))) == 1


def test_distance_of_another_comparison_is_no_answer() -> None:
    text = "The model says 3x, 26x high."
    assert spoilers(lesson_with(new_markdown_cell(text), "x", 26.1)) == []


def test_coincidence_between_outputs_passes_but_prose_and_repetition_do_not() -> None:
    cells = [new_markdown_cell("26 GB/s", id="prose"), new_code_cell("f()", id="output")]
    notebook = new_notebook(cells=cells)
    said = ["prose: '26 GB/s' gives 'k' away", "output: '26.1 GB/s' gives 'k' away"]
    assert lasting(said, [], notebook) == said[:1]
    assert lasting(said, ["output: '27.3 GB/s' gives 'k' away"], notebook) == said


def test_comparison_without_numbers_or_prediction_is_caught() -> None:
    notebook = lesson_with(new_markdown_cell("Fine."))
    del notebook.cells[1]
    assert "no predict above" in spoilers(notebook)[0]
    notebook.cells[1].outputs = []
    assert "1 compare(...) but 0 outputs" in spoilers(notebook)[0]


def figure_of(data: dict[str, str]) -> Any:
    return new_notebook(
        cells=[new_code_cell("gap()", outputs=[new_output("display_data", data=data)])]
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"image/png": "AAAA", "text/plain": "measured here: x"}, "without alt"),
        ({"text/html": "<img src=x>", "text/plain": "measured here"}, "no full sentence"),
        ({"text/html": '<img alt="A figure." src=x> measured here'}, "no full sentence"),
        (
            {"text/html": '<img alt="The rate falls with the size of the array." src=x>'},
            "without a source",
        ),
    ],
)
def test_mute_figures_are_caught(data: dict[str, str], words: str) -> None:
    assert words in " ".join(figures_have_alt_text(figure_of(data)))


def test_figure_that_speaks_passes() -> None:
    alt = "The rate falls with the size of the array."
    data = {"text/html": f'<img alt="{alt}" src=x>', "text/plain": f"{alt} [measured here: a]"}
    assert figures_have_alt_text(figure_of(data)) == []


def test_table_without_a_source_is_caught() -> None:
    table = "| size | rate |\n|---:|---:|\n| 1 | 3.1 GB/s |\n| 2 | 4.2 GB/s |\n"
    assert len(runs_say_their_source(figure_of({"text/markdown": table}))) == 1
    assert runs_say_their_source(figure_of({"text/markdown": table + "*measured here: a*"})) == []


def test_printed_table_without_a_source_is_caught() -> None:
    table = "size      rate\n   1  3.1 GB/s\n   2  4.2 GB/s\n"
    assert len(runs_say_their_source(figure_of({"text/plain": table}))) == 1
    assert runs_say_their_source(figure_of({"text/plain": "one  two\nthree  four"})) == []


# --- running and weighing -----------------------------------------------------------------------


def test_run_over_its_budget_is_caught() -> None:
    source = Source(Path("01_count.py"), (), Budget(60, 700e6))
    heavy = Executed(new_notebook(), Path(), seconds=61, peak_bytes=int(800e6))
    light = Executed(new_notebook(), Path(), seconds=59, peak_bytes=int(600e6))
    assert len(over_budget(heavy, source)) == 2
    assert over_budget(light, source) == []


@pytest.mark.lessons
def test_memory_of_children_counts_and_errors_are_told(tmp_path: Path) -> None:
    child = "import time; block = bytearray(200_000_000); time.sleep(2)"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n1 / 0"
    done = execute(
        new_notebook(cells=[new_code_cell(code)]), tmp_path / "out.ipynb", tmp_path / "w"
    )
    assert done.peak_bytes > 200e6
    assert "ZeroDivisionError" in done.error
    assert done.path.exists()


@pytest.mark.lessons
def test_script_cannot_see_ipython(tmp_path: Path) -> None:
    path = tmp_path / "01_count.py"
    path.write_text("print('before')\nimport ipywidgets\n")
    finished = run_script(Source(path, ()), tmp_path / "work")
    assert finished.returncode == 1
    assert "before" in finished.output
    assert "ipywidgets is kept away" in finished.output


def test_example_of_contributing_is_a_whole_round_and_runs(tmp_path: Path) -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, flags=re.S)[1]
    opening = "# %% [markdown]\n# # Copy bytes\n#\n# **How fast?**\n\n"
    assert rounds_are_whole(notebook_of(opening + example)) == []
    script = tmp_path / "example.py"
    script.write_text(example)
    environment = {**os.environ, "AIINFRA_HOME": str(tmp_path), "MPLBACKEND": "Agg"}
    subprocess.run([sys.executable, str(script)], check=True, env=environment, timeout=120)
