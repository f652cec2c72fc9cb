"""How the teaching room speaks: one sentence, as Markdown in a notebook and plain in a script."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Any

from aiinfra.units import format_quantity, significant

TRAILING_ZEROS = re.compile(r"(\.\d*?)0+(?=\D|$)")


def brief(value: float, unit: str = "") -> str:
    """Write a quantity for a sentence: formatted as everywhere, without trailing zeros.

    >>> brief(12e9, "B/s"), brief(10, "x"), brief(1.05, "x")
    ('12 GB/s', '10x', '1.05x')
    """
    text = format_quantity(value, unit)
    return TRAILING_ZEROS.sub(lambda found: found[1] if found[1] != "." else "", text)


def distance(ratio: float) -> str:
    """Say how far a ratio is from one: as a factor, or in per cent below a tenth.

    >>> distance(10 / 26), distance(32 / 26), distance(1.04), distance(1.001)
    ('2.6 times low', '1.2 times high', '4 % high', 'the same')
    """
    if ratio <= 0:
        return "no ratio"
    side = "high" if ratio > 1 else "low"
    factor = max(ratio, 1 / ratio)
    if factor < 1.005:
        return "the same"
    if factor < 1.1:
        return f"{100 * abs(ratio - 1):.0f} % {side}"
    return f"{significant(factor, 2)} times {side}"


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
        print(text)
        return
    from IPython.display import display

    bundle = {"text/markdown": markdown.replace("$", r"\$"), "text/plain": text}
    metadata = {"aiinfra": data} if data else {}
    display(bundle, raw=True, metadata=metadata)  # type: ignore[no-untyped-call,unused-ignore]


def warn(sentence: str) -> None:
    """Tell the learner about the course's own housekeeping, apart from results and JSON."""
    print(f"aiinfra: {sentence}", file=sys.stderr, flush=True)
