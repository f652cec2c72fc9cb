"""Files on a real disk to be measured: out of the page cache on request, and gone afterwards.

Nothing needs root. ``forget`` and ``O_DIRECT`` reach no further than this system: a drive's own
memory, or the cache of a host that lends a virtual disk, still answers.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from aiinfra.units import MIB, format_quantity

IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
PIECE = 8 * int(MIB)


@dataclass(frozen=True)
class DiskFile:
    """A file of random bytes, open twice: ``cached`` through the page cache, ``direct`` past it.

    Where the system refuses the second, ``reason`` says why, else it is empty. The file has no
    name any more: it ends with its descriptors, whatever happens to the process.
    """

    size: int
    cached: int
    direct: int
    reason: str

    def read(self, buffer: mmap.mmap, place: int) -> None:
        """Fill ``buffer`` from ``place`` on, past the page cache; both in whole pages.

        Where the system refuses, the bytes go through the cache and are dropped from it at once.
        """
        os.preadv(self.direct, [buffer], place)
        if self.reason:
            os.posix_fadvise(self.direct, place, len(buffer), os.POSIX_FADV_DONTNEED)

    def read_cached(self, buffer: mmap.mmap, place: int) -> None:
        """Fill ``buffer`` from ``place`` on, through the page cache."""
        os.preadv(self.cached, [buffer], place)


@contextmanager
def scratch(needed: float, folder: str | Path | None = None) -> Iterator[Path]:
    """Lend an empty folder on a disk with ``needed`` bytes to spare; it is removed at the end.

    The disk is that of ``folder``, else of the current folder, the folder for temporary files or
    the home folder. Raises ``OSError`` where none of them is a disk with that room.
    """
    with tempfile.TemporaryDirectory(prefix="aiinfra-", dir=place(needed, folder)) as name:
        yield Path(name)


def place(needed: float, folder: str | Path | None = None) -> Path:
    """Return the first folder that lies on a real disk with ``needed`` bytes to spare."""
    wanted = [Path(folder)] if folder else [Path.cwd(), Path(tempfile.gettempdir()), Path.home()]
    told = []
    for candidate in wanted:
        if not os.access(candidate, os.W_OK):
            told.append(f"{candidate} cannot be written")
        elif file_system(candidate) in IN_MEMORY:
            told.append(f"{candidate} is memory, not a disk")
        elif (free := psutil.disk_usage(str(candidate)).free) < needed:
            told.append(f"{candidate} has {format_quantity(free, 'B')} left")
        else:
            return candidate
    raise OSError(
        f"no disk has {format_quantity(needed, 'B')} to spare ({'; '.join(told)}); "
        "make room, or name a folder on another disk"
    )


def file_system(folder: Path) -> str:
    """Return the kind of file system that holds a folder ("ext4"); empty where unknown."""
    parts = [
        p for p in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(p.mountpoint)
    ]
    return max(parts, key=lambda p: len(p.mountpoint)).fstype if parts else ""


@contextmanager
def disk_file(size: int, folder: str | Path | None = None) -> Iterator[DiskFile]:
    """Lend a file of ``size`` random bytes that are on the disk and not in the page cache.

    Needs Linux or macOS. Raises ``OSError`` where no disk has the room.
    """
    rng = np.random.default_rng()
    with scratch(size, folder) as home:
        path = home / "bytes"
        with path.open("wb") as file:
            for start in range(0, size, PIECE):
                file.write(rng.bytes(min(PIECE, size - start)))
        cached = os.open(path, os.O_RDONLY)
        direct, reason = open_direct(path)
        try:
            path.unlink()
            forget(cached)
            yield DiskFile(size, cached, direct, reason)
        finally:
            for descriptor in (cached, direct):
                os.close(descriptor)


def open_direct(path: Path) -> tuple[int, str]:
    """Open a file past the page cache and try one block; else through it, and say the reason."""
    if sys.platform == "darwin":
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
        fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)
        return descriptor, ""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError as error:
        return open_cached(path), f"this file system refuses O_DIRECT ({error.strerror})"
    try:
        os.preadv(descriptor, [mmap.mmap(-1, mmap.PAGESIZE)], 0)
    except OSError as error:
        os.close(descriptor)
        return open_cached(path), f"this file system opens with O_DIRECT only ({error.strerror})"
    return descriptor, ""


def open_cached(path: Path) -> int:
    """Open a file through the page cache, without reading ahead."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    return descriptor


def forget(descriptor: int) -> bool:
    """Write a file to its disk and drop it from the page cache; say whether the system can."""
    os.fsync(descriptor)
    if not hasattr(os, "posix_fadvise"):
        return False
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def forget_path(path: Path) -> bool:
    """Do the same with a file that has a name; its name and place on disk stay remembered."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return forget(descriptor)
    finally:
        os.close(descriptor)
