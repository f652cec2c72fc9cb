"""What this machine is: the cores, caches, memory and GPUs that a lesson may really use.

A container shows the whole host and lets you use a slice of it; the probe reads the slice.
Unknown is ``None``, and the summary says "unknown".
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiinfra.measure import readings
from aiinfra.measure.readings import Cache, Command, Gpu
from aiinfra.units import format_binary, format_quantity

UNKNOWN = "unknown"
HOSTS = (
    ("Colab", ("COLAB_RELEASE_TAG",)),
    ("Binder", ("BINDER_SERVICE_HOST", "BINDER_LAUNCH_HOST")),
    ("JupyterHub", ("JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_API_URL", "JUPYTERHUB_USER")),
)


@dataclass(frozen=True)
class Machine:
    """The machine as this process may use it; sizes in bytes, ``None`` where unknown.

    ``cores_usable`` is the smallest of the cores online, the scheduler's affinity and the control
    group's CPU quota (rounded down, at least 1); like the system it counts hardware threads.
    ``cores_physical`` is how many cores these are at most: two threads of one core share its
    arithmetic and its nearest caches.
    """

    cpu_model: str | None
    cores_usable: int
    cores_physical: int | None
    cores_online: int | None
    cpu_quota: float | None
    caches: tuple[Cache, ...]
    simd: str | None
    simd_bits: int | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    memory_available: int | None
    shm_bytes: int | None
    disk_free_bytes: int | None
    gpus: tuple[Gpu, ...]
    os: str
    python: str
    container: bool
    host: str

    @property
    def cpu_name(self) -> str:
        """Short label of the CPU alone, such as ``Intel Xeon (2 cores)``."""
        return f"{readings.short_cpu(self.cpu_model)} ({self.cores_words})"

    @property
    def cores_words(self) -> str:
        """Say "2 cores" or, where fewer cores carry them, "2 hardware threads of 1 core"."""
        whole = _count_of_cores(self.cores_physical or self.cores_usable)
        return f"{self.cores_usable} hardware threads of {whole}" if self.threads_share else whole

    @property
    def threads_share(self) -> bool:
        """Whether some of the usable cores are hardware threads of one core."""
        return (self.cores_physical or self.cores_usable) < self.cores_usable

    @property
    def gpu_name(self) -> str:
        """Short label of the GPUs, such as ``NVIDIA H200`` or ``no GPU``."""
        if not self.gpus:
            return "no GPU"
        return f"{len(self.gpus)}x {self.gpus[0].name}" if len(self.gpus) > 1 else self.gpus[0].name

    @property
    def name(self) -> str:
        """Short label of the whole machine, such as ``Intel Xeon (2 cores, no GPU)``."""
        return f"{self.cpu_name[:-1]}, {self.gpu_name})"

    @property
    def memory_usable(self) -> int | None:
        """Memory that this process may fill: the limit where there is one, else all of it."""
        return self.memory_limit_bytes or self.memory_bytes

    def summary(self) -> list[tuple[str, str]]:
        """Return the machine as rows of label and text."""
        return [
            ("Processor", self.cpu_model or UNKNOWN),
            ("Cores", self._cores_text()),
            ("Vector instructions", self._simd_text()),
            ("Caches", ", ".join(map(self._cache_text, self._data_caches())) or UNKNOWN),
            ("Memory", self._memory_text()),
            ("Shared memory (/dev/shm)", _size(self.shm_bytes)),
            ("Free disk space", _size(self.disk_free_bytes)),
            ("GPU", ", ".join(map(_gpu_text, self.gpus)) or "no NVIDIA GPU visible"),
            ("System", f"{self.os}, Python {self.python}"),
            ("Running in", self.host + (", in a container" if self.container else "")),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{label + ':':<26}{text}" for label, text in self.summary())

    def _repr_markdown_(self) -> str:
        rows = [f"| {label} | {text} |" for label, text in self.summary()]
        return "\n".join(["| this machine | |", "|---|---|", *rows])

    def _data_caches(self) -> list[Cache]:
        return [cache for cache in self.caches if cache.kind != "instruction"]

    def _cores_text(self) -> str:
        text = f"{self.cores_usable} usable of {self.cores_online or UNKNOWN} online"
        text += f": {self.cores_words}" if self.threads_share else ""
        return text if self.cpu_quota is None else f"{text} (CPU quota {self.cpu_quota:.2g} cores)"

    def _cache_text(self, cache: Cache) -> str:
        name = f"L{cache.level}" + ("d" if cache.kind == "data" else "")
        sharers = "hardware threads" if self.threads_share else "cores"
        shared = f" shared by {cache.shared_by} {sharers}" if (cache.shared_by or 1) > 1 else ""
        return f"{name} {format_binary(cache.bytes)}{shared}"

    def _simd_text(self) -> str:
        if self.simd is None or self.simd_bits is None:
            return UNKNOWN
        return f"{self.simd}, {self.simd_bits} bits: {self.simd_bits // 32} float32 at once"

    def _memory_text(self) -> str:
        text = f"{_size(self.memory_available)} available of {_size(self.memory_bytes)}"
        limit = self.memory_limit_bytes
        return text if limit is None else f"{text}, limited to {_size(limit)}"


def _size(n_bytes: int | None) -> str:
    return UNKNOWN if n_bytes is None else format_binary(n_bytes)


def _count_of_cores(cores: int) -> str:
    return "1 core" if cores == 1 else f"{cores} cores"


def _gpu_text(gpu: Gpu) -> str:
    memory = UNKNOWN if gpu.memory_bytes is None else format_quantity(gpu.memory_bytes, "B")
    return f"{gpu.name} (memory {memory}, driver {gpu.driver})"


@functools.lru_cache(maxsize=1)
def probe() -> Machine:
    """Read this machine once per process."""
    return read_machine()


def read_machine(
    root: Path = Path("/"),
    run: Command = readings.run_command,
    environ: Mapping[str, str] = os.environ,
    affinity: Callable[[], frozenset[int] | None] = readings.affinity,
    online: Callable[[], int | None] = os.cpu_count,
) -> Machine:
    """Read a machine from a file tree and commands; all of them can be faked.

    Never raises: what cannot be found out is ``None``.
    """
    quota, cores_online, allowed = readings.cpu_quota(root), online(), affinity()
    memory, available = readings.memory_sizes(root)
    limit = readings.memory_limit(root)
    if limit is not None and memory is not None and limit >= memory:
        limit = None
    simd, simd_bits = readings.simd(root, run, platform.machine())
    usable = usable_cores(cores_online, None if allowed is None else len(allowed), quota)
    physical = readings.physical_cores(root, allowed)
    return Machine(
        cpu_model=readings.cpu_model(root, run),
        cores_usable=usable,
        cores_physical=None if physical is None else min(physical, usable),
        cores_online=cores_online,
        cpu_quota=quota,
        caches=readings.caches(root, run),
        simd=simd,
        simd_bits=simd_bits,
        memory_bytes=memory,
        memory_limit_bytes=limit,
        memory_available=available_memory(available, limit, readings.memory_in_use(root)),
        shm_bytes=readings.free_and_total_bytes(root / "dev/shm")[1],
        disk_free_bytes=readings.free_and_total_bytes(Path.cwd())[0],
        gpus=readings.gpus(run, environ),
        os=system_name(),
        python=platform.python_version(),
        container=readings.is_container(root, environ),
        host=host_name(environ),
    )


def usable_cores(online: int | None, allowed: int | None, quota: float | None) -> int:
    """Return the smallest of the known limits on cores, at least 1."""
    whole = None if quota is None else int(quota)
    return max(1, min((n for n in (online, allowed, whole) if n is not None), default=1))


def available_memory(available: int | None, limit: int | None, used: int | None) -> int | None:
    """Return the bytes that can still be filled before the machine or the limit stops it."""
    room = None if limit is None else max(limit - (used or 0), 0)
    return min((n for n in (available, room) if n is not None), default=None)


def cores_at_work(
    call: Callable[..., object], *args: object, seconds: float = 0.05, windows: int = 5
) -> float:
    """Return how many cores this process had at best while ``call`` was to keep all of them busy.

    ``cores = processor time of all threads / time on the clock``, in the best of some windows of
    so many seconds. Fewer than there are: other programs, a quota or the host of a virtual machine
    held them. What a busy neighbour on the same core takes does not show.
    """
    call(*args)  # may compile
    best = 0.0
    for _ in range(windows):
        start, used = time.perf_counter(), time.process_time()
        while (wall := time.perf_counter() - start) < seconds:
            call(*args)
        best = max(best, (time.process_time() - used) / wall)
    return best


def system_name() -> str:
    """Return the operating system and its version."""
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}".strip()
    release = re.match(r"[\d.]*\d", platform.release())
    return f"{platform.system() or UNKNOWN} {release[0] if release else ''}".strip()


def host_name(environ: Mapping[str, str]) -> str:
    """Say who hosts this session: Colab, Binder, JupyterHub or local."""
    for host, marks in HOSTS:
        if any(mark in environ for mark in marks):
            return host
    try:
        return "Colab" if importlib.util.find_spec("google.colab") else "local"
    except (ImportError, ValueError, AttributeError):
        return "local"
