"""Run JupyterLab on the course, on this machine only, until Ctrl-C.

Standard library only. The learner's own Jupyter settings are neither read nor written: those of the
course lie in tools/jupyter, and what the learner changes goes to .jupyter beside them.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from setupkit import mends

HOST = "127.0.0.1"
FIRST_PORT = 8888
START = "notebooks/00_start_here.ipynb"
PATIENCE = 120.0  # seconds until a server that does not answer counts as failed


def is_free(port: int) -> bool:
    """Whether nothing listens on the port; PermissionError where the system keeps it."""
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as server:
        if os.name == "posix":  # a port that was just given up counts as free, as for the server
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise
            return False
    return True


def choose_port(asked: int | None) -> int:
    """Return the port asked for, or the first free one from 8888 up; SetupError if it is taken."""
    free = next((port for port in range(FIRST_PORT, FIRST_PORT + 200) if is_free(port)), 0)
    if asked is None:
        if free != FIRST_PORT:
            print(f"Port {FIRST_PORT} is taken: taking {free}.", flush=True)
        return free
    try:
        if 0 < asked < 65536 and is_free(asked):
            return asked
    except PermissionError:
        raise mends.port_refused(asked) from None
    if not 0 < asked < 65536:
        raise mends.port_refused(asked)
    raise mends.port_taken(asked, free)


def command(python: Path, root: Path, port: int) -> list[str]:
    """The command line of the server."""
    options = {
        "ServerApp.ip": HOST,
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": root,
        "ServerApp.base_url": "/",
        "ServerApp.open_browser": False,
    }
    line = [str(python), "-m", "jupyterlab", *(f"--{k}={v}" for k, v in options.items())]
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*line, "--allow-root"] if is_root else line


def jupyter_environment(root: Path, token: str) -> dict[str, str]:
    """Variables that keep the server to the course's settings and to the kernel of .venv."""
    return {
        "JUPYTER_CONFIG_DIR": str(root / ".jupyter"),
        "JUPYTER_CONFIG_PATH": str(root / "tools" / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_TOKEN": token,
    }


def answers(port: int, token: str) -> bool:
    """Whether the server answers to the token; no proxy is asked."""
    request = urllib.request.Request(
        f"http://{HOST}:{port}/api/status", headers={"Authorization": f"token {token}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def wait_until_ready(server: subprocess.Popen[bytes], log: Path, port: int, token: str) -> None:
    """Return once the server answers; SetupError if it ends or stays silent."""
    limit = time.monotonic() + PATIENCE
    while not answers(port, token):
        if server.poll() is not None or time.monotonic() > limit:
            raise mends.server_failed(log, log.read_text(encoding="utf-8", errors="replace"))
        time.sleep(0.1)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server, which ends its kernels; by force after ten seconds."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def has_display() -> bool:
    """Whether a browser can be opened here."""
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def serve(
    root: Path, python: Path, environment: Mapping[str, str], port: int, browser: bool
) -> int:
    """Start the server, print its address, and wait; Ctrl-C ends it and is no error."""
    token = secrets.token_hex(24)
    log = root / ".venv" / "jupyter.log"
    place = f"/tree/{START}" if (root / START).exists() else ""
    address = f"http://{HOST}:{port}/lab{place}?token={token}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command(python, root, port),
            cwd=str(root),
            env={**environment, **jupyter_environment(root, token)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which ends it in order
        )
    try:
        wait_until_ready(server, log, port, token)
        print(f"The course is open at\n\n    {address}\n\nCtrl-C here ends it.", flush=True)
        if browser and has_display():
            webbrowser.open(address)
        code = server.wait()
        if code:
            raise mends.server_failed(log, log.read_text(encoding="utf-8", errors="replace"))
    except KeyboardInterrupt:
        pass
    finally:
        stop(server)
    print("\nThe course is closed; `make learn` opens it again.", flush=True)
    return 0
