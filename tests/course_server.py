"""JupyterLab on a copy of the course, started and stopped as ``make learn`` does it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from setupkit import lab_server


@dataclass(frozen=True)
class Server:
    """A running JupyterLab; ``root`` is a folder that holds ``notebooks/`` and ``labs/``."""

    address: str
    token: str
    root: Path
    process: subprocess.Popen[bytes]


@contextmanager
def jupyterlab(root: Path, **more: str) -> Iterator[Server]:
    """Serve ``root`` as ``make learn`` does; afterwards no process of it is left.

    ``more`` joins the environment of the kernels.
    """
    token, port = secrets.token_hex(16), lab_server.choose_port(None)
    tracker = root / ".jupyter/lab/user-settings/@jupyterlab/notebook-extension"
    tracker.mkdir(parents=True)
    # Every cell stays in the page, so that the test finds it without scrolling.
    (tracker / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    environment = {
        **os.environ,
        **lab_server.jupyter_environment(root, token),
        "AIINFRA_HOME": str(root / "home"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
        "OMP_WAIT_POLICY": "PASSIVE",
        **more,
    }
    log = root / "jupyter.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            lab_server.command(Path(sys.executable), root, port),
            cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        lab_server.wait_until_ready(process, log, port, token)
        yield Server(f"http://{lab_server.HOST}:{port}", token, root, process)
    finally:
        family = family_of(process.pid)
        lab_server.stop(process)
        left = psutil.wait_procs(family, timeout=10)[1]
        for orphan in left:
            orphan.kill()
    assert not left, f"still running after the server ended: {left}"


def family_of(pid: int) -> list[psutil.Process]:
    """A process and its descendants; empty when it has ended."""
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
