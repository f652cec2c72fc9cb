"""How the teaching room speaks: one sentence, as Markdown in a notebook and plain in a script."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Any

from aiinfra.results import Quantity
from aiinfra.units import format_quantity, split_unit

TRAILING_ZEROS = re.compile(r"(\.\d*?)0+(?=\D|$)")


def brief(value: float, unit: str = "") -> str:
    """Write a quantity for a sentence: formatted as everywhere, without trailing zeros.

    >>> brief(12e9, "B/s"), brief(10, "x"), brief(1.05, "x")
    ('12 GB/s', '10x', '1.05x')
    """
    text = format_quantity(value, unit)
    return TRAILING_ZEROS.sub(lambda found: found[1] if found[1] != "." else "", text)


def in_unit(quantity: Quantity, unit: str) -> Quantity:
    """Return a quantity without a prefix in its unit; ``ValueError`` unless it is of ``unit``."""
    base, factor = split_unit(quantity.unit)
    if base != split_unit(unit)[0]:
        raise ValueError(
            f"the value ({quantity}) is in {quantity.unit!r} and the prediction in {unit!r}; "
            "give both the same unit"
        )
    edges = (None if x is None else float(x) * factor for x in (quantity.low, quantity.high))
    return Quantity(float(quantity.value) * factor, base, quantity.source, *edges)


def kernel_shell() -> Any | None:
    """Return the shell of the Jupyter kernel that this code runs in, or ``None`` in a script."""
    if sys.modules.get("IPython") is None:
        return None
    from IPython import get_ipython

    shell = get_ipython()  # type: ignore[no-untyped-call,unused-ignore]
    return shell if hasattr(shell, "kernel") else None


def widgets_available() -> bool:
    """Tell whether a widget would be shown: a Jupyter kernel with ipywidgets installed."""
    return kernel_shell() is not None and importlib.util.find_spec("ipywidgets") is not None


def say(markdown: str, plain: str | None = None, data: dict[str, Any] | None = None) -> None:
    """Show a message: Markdown with a plain twin in a notebook, the plain text elsewhere.

    ``data`` goes with the notebook's output as metadata, for programs that read it.
    """
    text = plain if plain is not None else markdown
    if kernel_shell() is None:
        print(printable(text, getattr(sys.stdout, "encoding", None) or "utf-8"))
        return
    from IPython.display import display

    markdown = printable(markdown).replace("$", r"\$")
    bundle = {"text/markdown": markdown, "text/plain": printable(text)}
    metadata = {"aiinfra": data} if data else {}
    display(bundle, raw=True, metadata=metadata)  # type: ignore[no-untyped-call,unused-ignore]


def printable(text: str, encoding: str = "utf-8") -> str:
    """Replace what an encoding cannot write, such as half a surrogate pair."""
    return text.encode(encoding, "replace").decode(encoding)


def learned(*sentences: str) -> None:
    """End a lesson: a list of sentences, each with a number that this run of it measured."""
    say("\n".join(f"- {sentence}" for sentence in sentences))


def warn(sentence: str) -> None:
    """Tell the learner about the course's own housekeeping, apart from results and JSON."""
    print(f"aiinfra: {sentence}", file=sys.stderr, flush=True)
