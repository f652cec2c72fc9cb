"""What an experiment needs to run live, and in plain words why it cannot."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, metadata, requires

from aiinfra.measure.machine import Machine, probe
from aiinfra.measure.readings import run_command
from aiinfra.units import GIGA

NEEDS = ("cpu", "gpu", "ranks", "links", "disk", "torch")
DISK_BYTES = 1 * GIGA
FIRST_CUDA13_DRIVER = 580
REQUIREMENT = re.compile(r"""([\w.-]+)(?:.*;.*\bextra *== *["']([\w-]+))?""")
HOW_TO_RUN_LIVE = {
    "cpu": "unset AIINFRA_REPLAY and run it again",
    "gpu": "open the lesson on a GPU, e.g. Colab with a T4",
    "ranks": "open the lesson on a machine with two cores and torch",
    "links": "open the lesson on Linux with the right to create network namespaces",
    "disk": "open the lesson on Linux or macOS with more than 1 GB of free disk space",
    "torch": "open the lesson on a machine with torch and more than 1 GB of free disk space",
}


def why_replayed(needs: str) -> str | None:
    """Return why experiments with these needs do not run live now, or ``None`` when they do.

    Either ``AIINFRA_REPLAY`` asks for replays, or the machine lacks something.
    """
    if os.environ.get("AIINFRA_REPLAY", "0") not in ("", "0"):
        return "AIINFRA_REPLAY asks for replays"
    return why_not_live(needs)


@functools.lru_cache
def why_not_live(needs: str) -> str | None:
    """Return why experiments with these needs cannot run here, or ``None`` when they can."""
    checks = {"cpu": cpu, "gpu": gpu, "ranks": ranks, "links": links, "disk": disk, "torch": torch}
    if needs not in checks:
        raise ValueError(f"needs={needs!r} is unknown; choose one of {', '.join(NEEDS)}")
    return checks[needs](probe())


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
