"""Files that survive damage and other writers: a lock, and a place aside."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from aiinfra.files import POLL_SECONDS, replace

NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}

# Both locks belong to the open file, so that the system frees them when a process is killed.
if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int) -> None:
        """Take the lock at once or raise ``OSError``."""
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def try_lock(handle: int) -> None:
        """Take the lock at once or raise ``OSError``."""
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, timeout: float = 5.0) -> Iterator[None]:
    """Hold the lock that goes with ``path``; make its folder if there is none.

    What a killed writer left half written beside ``path`` is swept away.
    Raises ``TimeoutError`` when another process holds it for longer than ``timeout`` seconds, and
    another ``OSError`` when the folder cannot be written. Goes on without a lock on a file system
    that has none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout
    try:
        while not acquired(handle):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process keeps {path} locked")
            time.sleep(POLL_SECONDS)
        real = Path(os.path.realpath(path))
        for leftover in real.parent.glob(real.name + ".*.tmp"):
            with suppress(OSError):
                leftover.unlink()
        yield
    finally:
        os.close(handle)


def acquired(handle: int) -> bool:
    """Try to lock a file; true as well where the file system has no locks."""
    try:
        try_lock(handle)
    except OSError as problem:
        return problem.errno in NO_LOCKS_HERE
    return True


def set_aside(path: Path, why: str) -> Path:
    """Rename ``progress.json`` to ``progress.<why>-<time>.json`` and return the new path."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    target = path.with_name(f"{path.stem}.{why}-{stamp}{path.suffix}")
    replace(path, target)
    return target
