"""What the build adds to every notebook: launch badges, a line on the GPU, the set-up cell."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from lessonkit.source import Cell, Source

SETUP = """\
# Set-up, nothing to edit: installs the course package where it is missing, as on Colab.
import os, subprocess, sys

try:
    import aiinfra
except ImportError:
    source = "aiinfra @ git+{repository}"
    source = os.environ.get("AIINFRA_SOURCE", source)
    if subprocess.call([sys.executable, "-m", "pip", "install", "-q", source]):
        raise RuntimeError(f"cannot install {{source}}: check the network, run again") from None
    import aiinfra
from aiinfra.measure.machine import probe

print(f"aiinfra {{aiinfra.__version__}} on {{probe().name}}")"""


def inject(source: Source, repository: str) -> Source:
    """Return the source with badges under the question and the set-up cell where it belongs."""
    opening = source.cells[0]
    parts = re.split(r"\n\s*\n", opening.text, maxsplit=2)
    head = [*parts[:2], badges(source, repository), gpu_line(source), *parts[2:]]
    setup = Cell("code", SETUP.format(repository=repository), (), 0, ("setup",))
    cells = [replace(opening, text="\n\n".join(head)), *source.cells[1:]]
    at = setup_place(source)
    return replace(source, cells=(*cells[:at], setup, *cells[at:]))


def setup_place(source: Source) -> int:
    """After the leading cell that says what is needed, else after the title."""
    place = 1
    for index, cell in enumerate(source.cells):
        if cell.kind != "markdown":
            break
        if re.search(r"You(['’]ll| will) need", cell.text):
            place = index + 1
    return place


def badges(source: Source, repository: str) -> str:
    """The two launch badges, with pictures of our own: nothing is fetched to show a page."""
    path = f"{'labs' if source.is_lab else 'notebooks'}/{source.stem}.ipynb"
    slug = repository.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{slug}/blob/main/{path}"
    binder = f"https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/{path}"
    return (
        f"[![Open in Colab](../docs/colab.svg)]({colab}) "
        f"[![Launch on Binder](../docs/binder.svg)]({binder})"
    )


def gpu_line(source: Source) -> str:
    """Say which experiments need a GPU and what stands in for them without one."""
    names = [f"`{name}`" for name in gpu_experiments(source)]
    if not names:
        return "*GPU:* nothing here needs one."
    listed = f"{names[0]} runs"
    if len(names) > 1:
        listed = f"{', '.join(names[:-1])} and {names[-1]} run"
    return (
        f"*GPU:* {listed} live where there is one (on Colab: *Runtime → Change runtime type →"
        " T4 GPU*). Elsewhere a recorded run or a model stands in, and each figure says which."
    )


def gpu_experiments(source: Source) -> list[str]:
    """Names of the functions decorated with ``@experiment(needs="gpu")``, in order."""
    return [
        node.name
        for cell in source.cells
        if cell.kind == "code"
        for node in ast.walk(ast.parse("\n".join(cell.raw)))
        if isinstance(node, ast.FunctionDef) and any(map(needs_gpu, node.decorator_list))
    ]


def needs_gpu(decorator: ast.expr) -> bool:
    """Whether a decorator is ``experiment(needs="gpu", ...)``."""
    return isinstance(decorator, ast.Call) and any(
        keyword.arg == "needs"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value == "gpu"
        for keyword in decorator.keywords
    )
