"""Files that a reader sees whole: replaced at once, never half written."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

POLL_SECONDS = 0.01


def write_atomic(path: Path, text: str) -> None:
    """Replace a text file such that a reader sees all of the old or all of the new.

    A kill at any moment leaves one or the other, and at worst ``path.<process>.tmp`` beside it.
    Raises ``OSError`` where the folder is missing or cannot be written.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace(source: Path, target: Path, attempts: int = 100) -> None:
    """Rename over ``target``; Windows refuses for as long as somebody reads it, so try again."""
    for attempt in range(attempts):
        try:
            return os.replace(source, target)
        except PermissionError:
            if sys.platform != "win32" or attempt == attempts - 1:
                raise
            time.sleep(POLL_SECONDS)
