"""What a reader sees of a notebook's cells: prose, printed text, figures by their words."""

from __future__ import annotations

import html
import re
from typing import Any

NUMBER = re.compile(
    r"(?<![\w.,])(\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)[ \u00a0\u202f]?"
    r"(trillion |billion |million )?(times|[A-Za-zµμ°%×][\w/µμ°%]*)?"
)
IMG = re.compile(r"<img\b[^>]*>", re.I)


def cell_name(cell: Any, index: int) -> str:
    return str(cell.get("id", index))


def text_of(source: Any) -> str:
    return "".join(source) if isinstance(source, list) else str(source)


def plain_text(output: Any) -> str:
    """What an output says without pictures."""
    data = output.get("data", {})
    return text_of(output.get("text", "")) + text_of(data.get("text/plain", ""))


def visible_text(cell: Any) -> str:
    """What a reader sees of a cell: prose, printed text and the alternative text of figures."""
    if cell.cell_type == "markdown":
        return str(cell.source)
    parts = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        parts += [plain_text(output), text_of(data.get("text/markdown", ""))]
        markup = IMG.sub(lambda tag: " ".join(re.findall(r'alt="([^"]*)"', tag[0])), text_of(
            data.get("text/html", "")
        ))  # fmt: skip
        parts.append(html.unescape(re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", markup)))
    return "\n".join(parts)
