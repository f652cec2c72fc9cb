"""What an experiment needs to run live, and in plain words why it cannot."""

from __future__ import annotations

import dis
import functools
import importlib.util
import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires
from types import CodeType, FunctionType, ModuleType
from typing import Any

from aiinfra.measure.machine import Machine, probe
from aiinfra.measure.readings import run_command
from aiinfra.units import GIGA

NEEDS = ("cpu", "gpu", "ranks", "links", "disk", "torch")
DISK_BYTES = 1 * GIGA
FIRST_CUDA13_DRIVER = 580
GPU_LIBRARIES = {  # by how they are imported: name, and what installs them by CUDA's version
    "cupy": ("CuPy", "cupy-cuda{}x"),
    "numba.cuda": ("numba.cuda", "numba-cuda[cu{}]"),
}
REQUIREMENT = re.compile(r"""([\w.-]+)(?:.*;.*\bextra *== *["']([\w-]+))?""")
HOW_TO_RUN_LIVE = {
    "cpu": "unset AIINFRA_REPLAY and run it again",
    "gpu": "open the lesson on a GPU, e.g. Colab with a T4",
    "ranks": "open the lesson on a machine with two cores and torch",
    "links": "open the lesson on Linux with the right to create network namespaces",
    "disk": "open the lesson on Linux or macOS with more than 1 GB of free disk space",
    "torch": "open the lesson on a machine with torch and more than 1 GB of free disk space",
}


def why_replayed(needs: str, uses: tuple[str, ...] = ()) -> str | None:
    """Return why experiments with these needs do not run live now, or ``None`` when they do.

    Either ``AIINFRA_REPLAY`` asks for replays, or the machine lacks something.
    """
    return "AIINFRA_REPLAY asks for replays" if replay_asked() else why_not_live(needs, uses)


def replay_asked() -> bool:
    """Say whether ``AIINFRA_REPLAY`` asks for replays."""
    return os.environ.get("AIINFRA_REPLAY", "0") not in ("", "0")


@functools.lru_cache
def why_not_live(needs: str, uses: tuple[str, ...] = ()) -> str | None:
    """Return why experiments with these needs cannot run here, or ``None`` when they can.

    ``uses`` are the ``GPU_LIBRARIES`` that must work; without any, one of them is enough.
    """
    checks = {"cpu": cpu, "gpu": gpu, "ranks": ranks, "links": links, "disk": disk, "torch": torch}
    if needs not in checks:
        raise ValueError(f"needs={needs!r} is unknown; choose one of {', '.join(NEEDS)}")
    missing = (why_library_fails(library, probe()) for library in uses)
    return checks[needs](probe()) or next(filter(None, missing), None)


def expected_live(needs: str) -> bool:
    """Say whether a learner expects these experiments to run: on a GPU, and no replay asked."""
    return needs == "gpu" and bool(probe().gpus) and not replay_asked()


def cpu(machine: Machine) -> str | None:
    """A processor is always there."""
    return None


def gpu(machine: Machine) -> str | None:
    """A visible NVIDIA GPU, and numba.cuda or CuPy able to use it."""
    if not machine.gpus:
        return "no NVIDIA GPU is visible here"
    from aiinfra.measure.timing import gpu_clock

    if gpu_clock() is None:
        return (
            f"{machine.gpus[0].name} is here, but neither numba.cuda nor CuPy can use it; "
            f"{install_command(cuda_extra(machine))}"
        )
    return None


def why_library_fails(library: str, machine: Machine) -> str | None:
    """Return why one of the ``GPU_LIBRARIES`` does not work and what installs it, or ``None``."""
    from aiinfra.measure.timing import CupyEvents, NumbaEvents

    (name, package), why = GPU_LIBRARIES[library], "is not installed"
    if importlib.util.find_spec(library.partition(".")[0]) is not None:
        try:
            {"cupy": CupyEvents, "numba.cuda": NumbaEvents}[library]()
            return None
        except Exception as error:  # a missing driver raises many kinds; any means "not here"
            why = f"does not work ({type(error).__name__}: {error})"
    extra, gpu = cuda_extra(machine), machine.gpus[0]
    version = extra.removeprefix("cuda")
    return (
        f"{gpu.name} is here, but this experiment uses {name}, which {why}; "
        f"{install_command(extra)} installs {package.format(version)} for CUDA {version} "
        f"(driver {gpu.driver}); or set AIINFRA_REPLAY=1"
    )


def gpu_libraries(function: Callable[..., object]) -> tuple[str, ...]:
    """Return which of ``GPU_LIBRARIES`` a function uses, itself or through those it calls by name.

    It uses what it imports, and the modules and kernels among the globals that it reads.
    """
    found: set[str] = set()
    seen: set[CodeType] = set()
    waiting: list[Any] = [function]
    while waiting:
        item = waiting.pop()
        code, scope = getattr(item, "__code__", None), getattr(item, "__globals__", {})
        if code is None or code in seen:
            continue
        seen.add(code)
        for name, value in names_used(code, scope):
            found |= {library for library in GPU_LIBRARIES if f"{name}.".startswith(f"{library}.")}
            waiting += [value] if isinstance(value, FunctionType) else []
    return tuple(sorted(found))


def names_used(code: CodeType, scope: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the modules that code and the functions within it name, and what globals stand for."""
    names: list[tuple[str, Any]] = []
    imported = ""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            imported = step.argval
            names.append((imported, None))
        elif step.opname == "IMPORT_FROM":
            names.append((f"{imported}.{step.argval}", None))
        elif step.opname == "LOAD_GLOBAL" and step.argval in scope:
            value = scope[step.argval]
            module = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
            names.append((module, value))
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return names + [name for part in inner for name in names_used(part, scope)]


def ranks(machine: Machine) -> str | None:
    """Two processes that talk through torch.distributed, a core each."""
    if importlib.util.find_spec("torch") is None:
        return no_torch()
    if machine.cores_usable < 2:
        return "only one core is usable here, and two ranks need one each"
    return None


def links(machine: Machine) -> str | None:
    """Linux that lets this user make network namespaces and shape the traffic between them."""
    if platform.system() != "Linux":
        return "shaped network links need Linux"
    missing = [tool for tool in ("ip", "tc", "unshare") if shutil.which(tool) is None]
    if missing:
        return f"the tools {', '.join(missing)} are missing; install iproute2 and util-linux"
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    namespace = ["unshare", "-n", "true"] if as_root else ["unshare", "-Urnm", "true"]
    if run_command(namespace) is None:
        return "this system does not let this user create network namespaces"
    return None


def torch(machine: Machine) -> str | None:
    """What an experiment needs that lets torch read and write files: torch and a disk."""
    return no_torch() if importlib.util.find_spec("torch") is None else disk(machine)


def no_torch() -> str:
    """Say that torch is missing, and how to install it."""
    return f"torch is not installed; {install_command('torch')}"


def disk(machine: Machine) -> str | None:
    """Reads at a place in a file, and 1 GB of free space on a disk that is no memory."""
    if not hasattr(os, "preadv"):
        return "reading a file past the page cache needs Linux or macOS"
    from aiinfra.measure.disk import place

    try:
        place(DISK_BYTES)
    except OSError as error:
        return str(error)
    return None


def install_command(extra: str) -> str:
    """Return the command that installs the course with an extra, such as "torch".

    The course is on no package index: it comes from the repository that its metadata names. A
    checkout that is not installed has no metadata, and installs itself.
    """
    address = repository()
    if not address:
        return f'pip install -e ".[{extra}]"'
    return f'pip install "aiinfra[{extra}] @ git+{address}"'


def repository() -> str:
    """Return the address of the repository that the installed package names, else an empty text."""
    try:
        urls: list[str] = metadata("aiinfra").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    addresses = {label: address for label, _, address in (url.partition(", ") for url in urls)}
    return addresses.get("Repository", "")


def distributions(*extras: str) -> list[str]:
    """Return the distributions that the course requires, and those of these extras.

    They are read from the installed package; without one it is the package itself that is missing.
    """
    try:
        lines = requires("aiinfra") or []
    except PackageNotFoundError:
        return ["aiinfra"]
    matches = [match for line in lines if (match := REQUIREMENT.match(line))]
    return [match[1] for match in matches if match[2] is None or match[2] in extras]


def cuda_extra(machine: Machine) -> str:
    """Return the extra whose CUDA the driver can run; the older one where that is unknown."""
    driver = machine.gpus[0].driver.partition(".")[0] if machine.gpus else ""
    new = driver.isdigit() and int(driver) >= FIRST_CUDA13_DRIVER
    return "cuda13" if new else "cuda12"
