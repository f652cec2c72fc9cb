"""Single readings of a machine, each with the root of the file tree as an argument.

Every function returns ``None`` for what it cannot find out and never raises, so that the probe
works in a container, on a Mac, and on a machine nobody has thought of.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiinfra.units import KIB, MIB

Command = Callable[[list[str]], "str | None"]
NO_LIMIT_BYTES = 2**60
BINARY_SUFFIXES = {"": 1.0, "K": KIB, "M": MIB, "G": KIB * MIB}
SIMD_LEVELS = (("avx512f", "AVX-512", 512), ("avx2", "AVX2", 256), ("avx", "AVX", 256),
               ("sse2", "SSE2", 128), ("asimd", "NEON", 128), ("neon", "NEON", 128))  # fmt: skip


@dataclass(frozen=True)
class Cache:
    """One cache of core 0; ``kind`` is data, instruction or unified."""

    level: int
    kind: str
    bytes: int
    shared_by: int | None


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver describes it; compute capability such as ``9.0``."""

    name: str
    memory_bytes: int | None
    driver: str
    compute_capability: str | None


def run_command(command: list[str]) -> str | None:
    """Return what a command prints, or ``None`` when it is missing, fails or takes over 5 s."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def read_text(path: Path) -> str | None:
    """Return a file's text without surrounding space, or ``None``."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """Return a file's integer; ``None`` for ``max``, other words, or no file."""
    return as_int(read_text(path))


def as_int(text: str | None) -> int | None:
    """Return the integer a text holds, or ``None``."""
    try:
        return int(text) if text else None
    except ValueError:
        return None


def cgroup_folders(root: Path, controller: str) -> list[Path]:
    """Return this process's control group and its parents, as mounted under ``root``.

    A limit on any of them binds. Inside a container the group's own path may not be mounted;
    then only its mount point, which is the container's group, is there to read.
    """
    mounts: list[tuple[Path, str]] = []
    base = root / "sys/fs/cgroup"
    for line in (read_text(root / "proc/self/cgroup") or "0::/").splitlines():
        _, _, rest = line.partition(":")
        names, _, group = rest.partition(":")
        if not names:
            mounts += [(base, group), (base / "unified", group)]
        elif controller in names.split(","):
            mounts += [(base / names, group), (base / controller, group)]
    folders = []
    for mount, group in mounts:
        inner = mount / group.strip("/")
        folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(mount)]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def cpu_quota(root: Path) -> float | None:
    """Return how many cores' worth of time the control group may use, ``None`` for no limit."""
    quotas = []
    for folder in cgroup_folders(root, "cpu"):
        quota, _, period = (read_text(folder / "cpu.max") or "").partition(" ")
        allowed = as_int(quota) or read_int(folder / "cpu.cfs_quota_us")
        every = as_int(period) or read_int(folder / "cpu.cfs_period_us")
        if allowed and every and allowed > 0:
            quotas.append(allowed / every)
    return min(quotas, default=None)


def memory_limit(root: Path) -> int | None:
    """Return the control group's memory limit in bytes, ``None`` for none or an absurd one."""
    limits = []
    for folder in cgroup_folders(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = read_int(folder / name)
            if limit and limit < NO_LIMIT_BYTES:
                limits.append(limit)
    return min(limits, default=None)


def memory_in_use(root: Path) -> int | None:
    """Return the control group's bytes in use without the page cache that it can drop."""
    for folder in cgroup_folders(root, "memory"):
        for name in ("memory.current", "memory.usage_in_bytes"):
            used = read_int(folder / name)
            if used is not None:
                stat = read_text(folder / "memory.stat") or ""
                dropped = re.search(r"^(?:total_)?inactive_file (\d+)", stat, re.MULTILINE)
                return max(used - int(dropped.group(1) if dropped else 0), 0)
    return None


def memory_sizes(root: Path) -> tuple[int | None, int | None]:
    """Return the machine's memory and the part now available, in bytes."""
    text = read_text(root / "proc/meminfo") or ""
    kib = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    if "MemTotal" in kib:
        available = kib.get("MemAvailable")
        return kib["MemTotal"] * 1024, available * 1024 if available is not None else None
    try:
        import psutil

        memory = psutil.virtual_memory()
        return int(memory.total), int(memory.available)
    except Exception:  # psutil raises its own kinds on systems it does not know
        return None, None


def affinity() -> frozenset[int] | None:
    """Return the CPUs that the scheduler lets this process use; ``None`` off Linux."""
    try:
        return frozenset(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return None


def physical_cores(root: Path, cpus: frozenset[int] | None) -> int | None:
    """Return on how many cores the hardware threads ``cpus`` lie (``None``: all of them).

    Hardware threads of one core name each other in one ``thread_siblings_list``.
    """
    found = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    siblings = {as_int(path.parent.parent.name[3:]): read_text(path) for path in found}
    lists = [siblings.get(cpu) for cpu in (siblings if cpus is None else cpus)]
    return len(set(lists)) if lists and all(lists) else None


def cpu_flags(root: Path) -> set[str]:
    """Return the instruction sets that the kernel lists for the CPU."""
    text = read_text(root / "proc/cpuinfo") or ""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return set(found.group(1).split()) if found else set()


def simd(root: Path, run: Command, architecture: str) -> tuple[str | None, int | None]:
    """Return the widest vector instruction set and its width in bits."""
    flags = cpu_flags(root)
    if not flags and run(["sysctl", "-n", "hw.optional.avx512f"]) == "1":
        flags = {"avx512f"}
    elif not flags and run(["sysctl", "-n", "hw.optional.avx2_0"]) == "1":
        flags = {"avx2"}
    elif not flags and architecture.lower() in ("arm64", "aarch64"):
        flags = {"neon"}
    for flag, name, bits in SIMD_LEVELS:
        if flag in flags:
            return name, bits
    return None, None


def cpu_model(root: Path, run: Command) -> str | None:
    """Return the CPU's full name."""
    text = read_text(root / "proc/cpuinfo") or ""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    if found:
        return found.group(1).strip()
    return run(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or None


def short_cpu(model: str | None) -> str:
    """Shorten a CPU's name for labels.

    >>> short_cpu("Intel(R) Xeon(R) CPU @ 2.20GHz"), short_cpu(None)
    ('Intel Xeon', 'unknown CPU')
    """
    text = re.sub(r"\((?:R|TM)\)|@.*|\b(?:CPU|Processor)\b|\b\d+-Core\b", " ", model or "")
    return " ".join(text.split()) or "unknown CPU"


def caches(root: Path, run: Command) -> tuple[Cache, ...]:
    """Return the caches of core 0 in order of level; empty when unknown."""
    found = []
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, size = read_int(folder / "level"), read_text(folder / "size") or ""
        number = as_int(size.rstrip("KMG"))
        if level is not None and number:
            kind = (read_text(folder / "type") or "unknown").lower()
            n_bytes = int(number * BINARY_SUFFIXES[size[len(str(number)) :]])
            found.append(Cache(level, kind, n_bytes, cpu_count(folder / "shared_cpu_list")))
    return tuple(sorted(found, key=lambda cache: (cache.level, cache.kind))) or mac_caches(run)


def mac_caches(run: Command) -> tuple[Cache, ...]:
    """Return the caches that ``sysctl`` names."""
    names = (("hw.l1dcachesize", 1, "data"), ("hw.l1icachesize", 1, "instruction"),
             ("hw.l2cachesize", 2, "unified"), ("hw.l3cachesize", 3, "unified"))  # fmt: skip
    sizes = [(level, kind, as_int(run(["sysctl", "-n", name]))) for name, level, kind in names]
    return tuple(Cache(level, kind, size, None) for level, kind, size in sizes if size)


def cpu_count(path: Path) -> int | None:
    """Return how many cores a kernel list such as ``0-3,8`` names."""
    total = 0
    for part in (read_text(path) or "").split(","):
        first, _, last = part.partition("-")
        start, end = as_int(first), as_int(last or first)
        if start is None or end is None:
            return None
        total += end - start + 1
    return total or None


def free_and_total_bytes(path: Path) -> tuple[int | None, int | None]:
    """Return the free bytes and the size of the file system that holds ``path``."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None, None
    return usage.free, usage.total


def gpus(run: Command, environ: Mapping[str, str]) -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs that this process may use, as ``nvidia-smi`` lists them."""
    ask = ["nvidia-smi", "--format=csv,noheader,nounits"]
    fields = "--query-gpu=name,memory.total,driver_version"
    text = run([*ask, f"{fields},compute_cap"]) or run([*ask, fields]) or ""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) >= 3:
            mib = as_int(cells[1])
            capability = cells[3] if len(cells) > 3 and cells[3][:1].isdigit() else None
            memory = None if mib is None else int(mib * MIB)
            found.append(Gpu(cells[0], memory, cells[2], capability))
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not re.fullmatch(r"[-\d, ]*", visible):
        return tuple(found)
    chosen = [as_int(part) for part in visible.split(",")]
    return tuple(found[i] for i in chosen if i is not None and 0 <= i < len(found))


def is_container(root: Path, environ: Mapping[str, str]) -> bool:
    """Say whether this looks like the inside of a container."""
    marks = (root / ".dockerenv", root / "run/.containerenv")
    groups = (read_text(root / "proc/self/cgroup") or "") + (
        read_text(root / "proc/1/cgroup") or ""
    )
    named = re.search(r"docker|kubepods|containerd|libpod|lxc", groups)
    return (
        any(mark.exists() for mark in marks) or "KUBERNETES_SERVICE_HOST" in environ or bool(named)
    )
