"""Make .venv and fill it from pyproject.toml and constraints.txt; an earlier run is gone on with.

Standard library only, and the syntax of Python 3.8.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from setupkit import mends

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = "torch; sys_platform != 'darwin' or platform_machine == 'arm64'"  # no wheels: Intel Macs
SPACE_NEEDED = {"cpu": 2.5e9, "cuda": 10e9}  # bytes in .venv and in pip's temporary files


class Place(NamedTuple):
    """Where the course lies, and the file with the pinned releases."""

    root: Path
    constraints: Path | None

    @property
    def venv(self) -> Path:
        """The environment's folder."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def log(self) -> Path:
        """What pip said, in full."""
        return self.venv / "setup.log"

    @property
    def stamp(self) -> Path:
        """The file that tells what the environment was made from and how far that went."""
        return self.venv / "aiinfra-setup.json"


def has_nvidia_gpu() -> bool:
    """Whether the NVIDIA driver answers and lists a GPU."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and "GPU 0" in done.stdout


def answers(url: str, seconds: float = 3.0) -> bool:
    """Whether a server answers in time; asked once."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as reply:
            return bool(reply.status == 200)
    except (OSError, ValueError):
        return False


def torch_build() -> tuple[str, str, list[str]]:
    """Return the build that fits this machine ("cpu" or "cuda"), its description, pip's options."""
    if has_nvidia_gpu():
        return "cuda", "build for NVIDIA GPUs, about 3 GB", []
    if sys.platform != "linux":
        return "cpu", "CPU build, about 100 MB", []
    if answers(TORCH_CPU_INDEX + "/torch/"):
        return "cpu", "CPU build, about 200 MB", ["--extra-index-url", TORCH_CPU_INDEX]
    return "cpu", "200 MB, or 3 GB where only the CUDA build is to be had", []


def fingerprint(place: Place) -> str:
    """SHA-256 over everything that decides what is installed."""
    digest = hashlib.sha256(str(place.root.resolve()).encode())
    for path in (place.root / "pyproject.toml", place.constraints, place.venv / "pyvenv.cfg"):
        digest.update(b"\0" + (path.read_bytes() if path and path.exists() else b"none"))
    return digest.hexdigest()


def read_stamp(place: Place) -> dict[str, object]:
    """What the environment was made from; empty when that is unknown."""
    try:
        stamp = json.loads(place.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def read_extras(place: Place) -> set[str]:
    """The extras that the environment was made for."""
    held = read_stamp(place).get("extras")
    return {str(extra) for extra in held} if isinstance(held, list) else set()


def write_stamp(place: Place, extras: set[str], stage: str) -> None:
    """Note the state of the environment ("making", "filling", "complete"), atomically."""
    state = {
        "root": str(place.root.resolve()),
        "extras": sorted(extras),
        "inputs": fingerprint(place),
        "stage": stage,
    }
    scratch = place.stamp.with_suffix(".new")
    scratch.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    os.replace(str(scratch), str(place.stamp))


def is_ready(place: Place, extras: set[str]) -> bool:
    """Whether the environment holds these extras and was made from the files as they are now."""
    stamp = read_stamp(place)
    same = stamp.get("stage") == "complete" and stamp.get("inputs") == fingerprint(place)
    return same and place.python.exists() and extras <= read_extras(place)


def is_usable(place: Place) -> bool:
    """Whether pip can go on in the environment as it stands: right place, right Python, pip."""
    stamp, here = read_stamp(place), str(place.root.resolve())
    if stamp.get("root", here) != here or stamp.get("stage") == "making":
        return False  # moved or copied, so that its scripts point elsewhere; or without a whole pip
    probe = "import sys, pip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(place.python), "-c", probe],
            capture_output=True,
            text=True,
            timeout=60,
            env=child_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    version = [int(part) for part in re.findall(r"\d+", done.stdout)]
    if done.returncode or mends.version_problem(version):
        return False
    return stamp.get("stage") == "complete" or version == list(sys.version_info[:2])


def child_environment() -> dict[str, str]:
    """The environment for what runs inside .venv: free of another Python's settings."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
    kept.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    return kept


def run_quietly(command: Sequence[str]) -> tuple[int, str]:
    """Run a command, keep what it says, and count the seconds on a terminal."""
    began, terminal = time.monotonic(), sys.stdout.isatty()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=child_environment(),
        encoding="utf-8",
        errors="replace",
    )
    while True:
        try:
            said, _ = process.communicate(timeout=1)
            return process.returncode, said
        except subprocess.TimeoutExpired:
            if terminal:
                seconds = f"{time.monotonic() - began:.0f} s"
                print(seconds + "\b" * len(seconds), end="", flush=True)
        except BaseException:
            process.terminate()
            process.wait()
            raise


def make_venv(place: Place) -> None:
    """Create .venv with pip in it, replacing a broken one."""
    own_pip = importlib.util.find_spec("ensurepip") is not None
    if not own_pip and importlib.util.find_spec("pip") is None:
        raise mends.venv_missing(sys.version_info)
    if place.venv.is_symlink() or place.venv.is_file():
        place.venv.unlink()
    elif place.venv.exists():
        shutil.rmtree(str(place.venv))
    place.venv.mkdir()
    write_stamp(place, set(), "making")
    command = [sys.executable, "-m", "venv", str(place.venv)]
    code, said = run_quietly(command if own_pip else [*command, "--without-pip"])
    if code == 0 and not own_pip:  # Debian without python3-venv: the system's pip puts one in
        pip = [sys.executable, "-m", "pip", "--python", str(place.python), "install", "pip"]
        code, said = run_quietly(pip)
    if code:
        raise mends.pip_problem(place.root, place.log, "pip for .venv", said)
    write_stamp(place, set(), "filling")


def pip_install(place: Place, what: str, arguments: Sequence[str]) -> None:
    """Install into .venv, saying what and how long in our own words."""
    print(f"Installing {what} ... ", end="", flush=True)
    began = time.monotonic()
    command = [str(place.python), "-m", "pip", "install", "--log", str(place.log), *arguments]
    if place.constraints:
        command += ["-c", str(place.constraints)]
    before = place.log.stat().st_size if place.log.exists() else 0
    code, said = run_quietly(command)
    if code == 0:
        print(f"{time.monotonic() - began:.0f} s", flush=True)
        return
    print("failed", flush=True)
    if code < 0:
        raise mends.pip_killed(what)
    logged = place.log.read_bytes()[before:] if place.log.exists() else b""
    what = what.split(" (")[0]
    raise mends.pip_problem(place.root, place.log, what, said, logged.decode(errors="replace"))


def gpu_extra() -> str:
    """The extra whose CUDA the NVIDIA driver can run."""
    said = subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout
    version = re.search(r"CUDA Version: (\d+)", said)
    return "cuda12" if version and int(version[1]) < 13 else "cuda13"


def set_up(place: Place, extras: set[str]) -> None:
    """Bring .venv to what pyproject.toml and constraints.txt ask for; at once if it is there."""
    if is_ready(place, extras):
        return
    build, description, options = torch_build()
    if not is_usable(place):
        free, needed = shutil.disk_usage(str(place.root)).free, SPACE_NEEDED[build]
        if free < needed:
            raise mends.disk_too_small(place.root, free, needed)
        verb = "Making .venv again" if place.venv.exists() else "Making .venv"
        print(f"{verb} with Python {platform.python_version()}", flush=True)
        make_venv(place)
    wanted = extras | read_extras(place)
    write_stamp(place, wanted, "filling")
    pip_install(place, f"torch ({description})", ["setuptools>=77", TORCH, *options])
    project = ["--no-build-isolation", "-e", f"{place.root}[{','.join(sorted(wanted))}]"]
    pip_install(place, "JupyterLab, numba and the course (about 200 MB)", project)
    write_stamp(place, wanted, "complete")
    if build == "cuda":
        print(
            f"NVIDIA GPU found: `.venv/bin/python -m pip install -e '.[{gpu_extra()}]'` lets the "
            "GPU experiments run live; without it they replay recorded runs or show a model.",
            flush=True,
        )
