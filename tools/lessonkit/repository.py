"""The address of the repository: one line of pyproject.toml, and how to move it to a fork."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

FORM = re.compile(r"https://github\.com/([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9._-]+)")
LINE = re.compile(r'^(Repository\s*=\s*")[^"]*(")', re.M)
MENTIONS = ("*.md", "*.cff", "*.yml")


def checked(url: str) -> str:
    """Return ``url`` without a trailing slash or ``.git``; ``ValueError`` with the form to use."""
    trimmed = url.strip().removesuffix("/").removesuffix(".git")
    if not FORM.fullmatch(trimmed):
        raise ValueError(f"{url!r} is no repository; write it as https://github.com/owner/repo")
    return trimmed


def read_repository(root: Path) -> str:
    """Read the address from ``[project.urls] Repository`` of ``root/pyproject.toml``."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        return checked(project["urls"]["Repository"])
    except KeyError:
        raise ValueError("pyproject.toml lacks [project.urls] Repository; add it") from None


def repoint(root: Path, url: str) -> list[Path]:
    """Write ``url`` into pyproject.toml and wherever a page mentions the old address."""
    new, old = checked(url), read_repository(root)
    changed = []
    slugs = [address.removeprefix("https://github.com/") for address in (old, new)]
    mention = re.compile(rf"(?<=[/:]){re.escape(slugs[0])}(?![\w-])")
    pages = [path for pattern in MENTIONS for path in sorted(root.glob(pattern)) if path.is_file()]
    for path in [root / "pyproject.toml", *pages]:
        text = path.read_text(encoding="utf-8")
        pattern, by = (LINE, rf"\g<1>{new}\g<2>") if path.suffix == ".toml" else (mention, slugs[1])
        written = pattern.sub(by, text)
        if written != text:
            path.write_text(written, encoding="utf-8")
            changed.append(path)
    return changed
