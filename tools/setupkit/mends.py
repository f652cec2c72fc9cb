"""What can go wrong in the set-up, each in one sentence that names the mend.

Standard library only, and the syntax of Python 3.8, so that a Python that is too old can say so.
"""

from __future__ import annotations

import errno
import platform
import re
from collections.abc import Sequence
from pathlib import Path

OLDEST = (3, 11)
AGAIN = "run the same command again"
NETWORK = (
    "NewConnectionError|Max retries exceeded|Temporary failure in name resolution|ConnectTimeout|"
    "ReadTimeout|ProxyError|Network is unreachable|connection error|IncompleteRead|"
    "Connection (?:broken|refused|reset)|getaddrinfo failed"
)


class SetupError(Exception):
    """What went wrong and how to mend it, in one sentence."""


def version_problem(version: Sequence[int]) -> str | None:
    """Say why this Python will not do, or None if it will."""
    if tuple(version[:2]) >= OLDEST:
        return None
    found, needed = "{}.{}".format(*version[:2]), "{}.{}".format(*OLDEST)
    return (
        f"Python {found} found, {needed} or newer needed: install one from "
        "https://www.python.org/downloads/ or your package manager, then name it, "
        "as in `make learn PYTHON=python3.12`."
    )


def not_understood(words: str) -> SetupError:
    """The error for a command line that says something else."""
    return SetupError(
        f"Not understood ({words}): `make learn` takes ARGS=--no-browser and "
        'ARGS="--port 9999", `make test` takes what pytest takes.'
    )


def venv_missing(version: Sequence[int]) -> SetupError:
    """The error for a Python that can neither make an environment nor put pip into one."""
    name = "python{}.{}".format(*version[:2])
    return SetupError(
        f"This {name} cannot make environments (its ensurepip is missing, and pip too): run "
        f"`sudo apt install {name}-venv` (Debian, Ubuntu), then {AGAIN}."
    )


def disk_full(root: Path) -> SetupError:
    """The error for a disk with no room left."""
    return SetupError(
        f"The disk that holds {root}, or the one for temporary files, is full: free about 2 GB, "
        f"then {AGAIN}; it goes on from here."
    )


def disk_too_small(root: Path, free: float, needed: float) -> SetupError:
    """The error before a download that the disk cannot hold."""
    return SetupError(
        f"Only {free / 1e9:.1f} GB are free on the disk that holds {root} and the set-up needs "
        f"about {needed / 1e9:.1f} GB: free some space, then {AGAIN}."
    )


def no_permission(root: Path, path: object) -> SetupError:
    """The error for a folder that may not be written."""
    return SetupError(
        f"No permission to write {path}: move the course to a folder of your own, or mend the "
        f'owner with `sudo chown -R "$(id -un)" {root}`, then {AGAIN}.'
    )


def os_problem(root: Path, error: OSError) -> SetupError:
    """Turn an error of the operating system into a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(root)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return no_permission(root, error.filename or root)
    return SetupError(f"The system refused ({error}): mend that, then {AGAIN}.")


def pip_problem(root: Path, log: Path, what: str, said: str, logged: str = "") -> SetupError:
    """Turn pip's complaint, from its output and its verbose log, into a sentence."""
    logged = said + logged
    if re.search(r"No space left on device|Errno 28|Disk quota exceeded", said):
        return disk_full(root)
    denied = re.search(r"(?:Permission denied|Read-only file system)(?:: *'?([^'\s]+))?", said)
    if denied:
        return no_permission(root, denied[1] or root)
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError", logged):
        return SetupError(
            f"pip could not fetch {what}, because this network's certificate is not trusted: set "
            f"PIP_CERT to your organisation's certificate file, then {AGAIN}."
        )
    unfound = re.search("No matching distribution|ResolutionImpossible", said)
    if re.search(NETWORK, said) or (unfound and re.search(NETWORK, logged)):
        return SetupError(
            f"No network: pip could not fetch {what} (details in {log}); connect, or set "
            f"HTTPS_PROXY, then {AGAIN}; it goes on from here."
        )
    missing = re.search(r"No matching distribution found for (\S+)", said)
    if missing:
        return SetupError(
            f"No release of {missing[1]} fits Python {platform.python_version()} on "
            f"{platform.platform(terse=True)}: try another Python, as in `make clean learn "
            f"PYTHON=python3.12` (details in {log})."
        )
    errors = re.findall(r"^ *(?:ERROR|error): *(.+)$", said, flags=re.MULTILINE)
    detail = errors[-1].strip().rstrip(".") if errors else "it gave no reason"
    return SetupError(
        f"pip could not install {what} ({detail}): see {log}, or start afresh with `make clean`, "
        f"then {AGAIN}."
    )


def pip_killed(what: str) -> SetupError:
    """The error for a pip that the system ended."""
    return SetupError(
        f"pip was killed while it installed {what}, most likely for want of memory: close other "
        f"programs, then {AGAIN}."
    )


def port_taken(port: int, free: int) -> SetupError:
    """The error for a port that was asked for by number."""
    return SetupError(
        f"Port {port} is taken by another program: end that program, or choose a free port, as in "
        f'`make learn ARGS="--port {free}"`, or leave --port out to have one chosen.'
    )


def port_refused(port: int) -> SetupError:
    """The error for a port that the system keeps for itself."""
    return SetupError(
        f"The system does not let you listen on port {port}: choose one from 1024 to 65535, as in "
        '`make learn ARGS="--port 8888"`, or leave --port out to have one chosen.'
    )


def server_failed(log: Path, said: str) -> SetupError:
    """The error for a JupyterLab that ended before it answered."""
    if "ModuleNotFoundError" in said or "No module named" in said:
        return SetupError(
            f"The environment .venv is damaged, JupyterLab does not start (details in {log}): "
            "`make clean learn` makes it again."
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    detail = lines[-1].rstrip(".") if lines else "it said nothing"
    return SetupError(
        f"JupyterLab did not start ({detail}): see {log}; `make clean learn` makes it again."
    )
