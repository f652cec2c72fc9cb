"""What an experiment needs to run live, and in plain words why it cannot."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil

from aiinfra.measure.machine import Machine, probe
from aiinfra.measure.readings import run_command
from aiinfra.units import GIGA, format_quantity

NEEDS = ("cpu", "gpu", "ranks", "links", "disk")
DISK_BYTES = 1 * GIGA
HOW_TO_RUN_LIVE = {
    "cpu": "unset AIINFRA_REPLAY and run it again",
    "gpu": "open the lesson on a GPU, e.g. Colab with a T4",
    "ranks": "open the lesson on a machine with two cores and torch",
    "links": "open the lesson on Linux with the right to create network namespaces",
    "disk": "open the lesson on a machine with more than 1 GB of free disk space",
}


@functools.lru_cache
def why_not_live(needs: str) -> str | None:
    """Return why experiments with these needs cannot run here, or ``None`` when they can."""
    checks = {"cpu": cpu, "gpu": gpu, "ranks": ranks, "links": links, "disk": disk}
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
            "pip install 'aiinfra[cuda12]' or 'aiinfra[cuda13]', whichever fits the driver"
        )
    return None


def ranks(machine: Machine) -> str | None:
    """Two processes that talk through torch.distributed, a core each."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed; pip install 'aiinfra[torch]'"
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


def disk(machine: Machine) -> str | None:
    """More than 1 GB of free disk space in the current folder."""
    free = machine.disk_free_bytes
    if free is None:
        return "the free disk space is unknown here"
    if free <= DISK_BYTES:
        return f"only {format_quantity(free, 'B')} of disk space are free, and 1 GB is needed"
    return None
