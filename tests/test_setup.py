"""Claims about the set-up: files in step, errors with their mend, a server that ends cleanly."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import bootstrap  # noqa: E402
from setupkit import environment, lab_server, mends  # noqa: E402

CONDA_NAMES = {"torch": "pytorch-cpu"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
    "PIP_FIND_LINKS": "",
    "PIP_CONSTRAINT": "",
    "PIP_RETRIES": "0",
    "HTTPS_PROXY": "http://127.0.0.1:1",
}


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with these extras."""
    optional = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in optional[extra])]
    return [Requirement(text) for text in texts]


def pins() -> list[Requirement]:
    """The lines of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def copy_of_the_course(folder: Path) -> Path:
    """A checkout with all that the set-up reads."""
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "tools" / "setupkit", folder / "tools" / "setupkit")
    shutil.copy(ROOT / "tools" / "bootstrap.py", folder / "tools" / "bootstrap.py")
    return folder


def run(command: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with further environment variables, as if no `make` had called us."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a failed command."""
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def pretend(folder: Path, code: str) -> dict[str, str]:
    """Variables under which every Python first runs this code."""
    (folder / "sitecustomize.py").write_text(f"import sys\n{code}\n")
    return {"PYTHONPATH": str(folder)}


# --- files in step


def test_environment_yml_is_the_conda_twin_of_pyproject() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    found = {}
    for line in conda["dependencies"]:
        if isinstance(line, str) and " " in line:
            name, _, limits = line.partition(" ")
            found[name] = Requirement(f"{name}{limits}").specifier
    wanted = {CONDA_NAMES.get(r.name, r.name): r.specifier for r in requirements("lab", "torch")}
    assert {name: found.get(name) for name in wanted} == wanted
    assert set(found) - set(wanted) == {"python", "setuptools"}
    assert str(found["python"]).split(",")[-1] == PROJECT["requires-python"]
    assert {"pip": ["-e ."]} in conda["dependencies"]
    assert conda["name"] == "aiinfra"


def test_constraints_pin_every_dependency_exactly() -> None:
    pinned = {canonicalize_name(pin.name) for pin in pins()}
    wanted = {canonicalize_name(r.name) for r in requirements("lab", "torch", "dev")}
    assert wanted - pinned == set()
    for pin in pins():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin


def test_pins_lie_within_the_ranges_of_pyproject() -> None:
    ranges = {canonicalize_name(r.name): r.specifier for r in requirements("lab", "torch", "dev")}
    for pin in pins():
        version = str(pin.specifier).removeprefix("==")
        limits = ranges.get(canonicalize_name(pin.name))
        assert limits is None or version in limits, pin


def test_each_platform_gets_one_pin_of_a_package() -> None:
    for darwin, machine in (("linux", "x86_64"), ("darwin", "arm64"), ("darwin", "x86_64")):
        for python in ("3.11", "3.12", "3.13"):
            here = {"sys_platform": darwin, "platform_machine": machine, "python_version": python}
            here |= {"python_full_version": f"{python}.0", "os_name": "posix"}
            names = [pin.name for pin in pins() if not pin.marker or pin.marker.evaluate(here)]
            assert len(names) == len(set(names))


def test_the_makefile_has_the_promised_targets() -> None:
    told = run(["make"], ROOT).stdout
    for target in ("learn", "test", "check", "lessons", "bench", "repoint", "clean", "help"):
        assert re.search(rf"^make {target} +\w", told, re.MULTILINE), target


def test_continuous_integration_calls_the_same_targets() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
    for name in ("ci", "weekly"):
        text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
        (job,) = yaml.safe_load(text)["jobs"].values()
        commands = " ".join(step.get("run", "") for step in job["steps"])
        assert "make test" in commands
        assert "make check" in commands


def test_the_citation_names_this_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]


# --- errors that name their mend


@pytest.mark.parametrize("name", ["bootstrap.py", *("setupkit/" + n for n in (
    "__init__.py", "mends.py", "environment.py", "lab_server.py"))])  # fmt: skip
def test_python_3_8_can_read_the_bootstrap(name: str) -> None:
    ast.parse((ROOT / "tools" / name).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_a_python_that_is_too_old_says_so(tmp_path: Path) -> None:
    assert mends.version_problem((3, 11, 0)) is None
    course = copy_of_the_course(tmp_path)
    old = pretend(tmp_path, "sys.version_info = (3, 9, 2, 'final', 0)")
    for command in ([sys.executable, "tools/bootstrap.py", "learn"], ["make", "learn"]):
        told = sentence(run(command, course, **old))
        assert told.startswith("Python 3.9 found, 3.11 or newer needed: install one")
    assert not (course / ".venv").exists()


def test_a_python_without_venv_names_the_package(tmp_path: Path) -> None:
    course = copy_of_the_course(tmp_path)
    bare = pretend(tmp_path, "sys.modules['ensurepip'] = sys.modules['pip'] = None")
    told = sentence(run([sys.executable, "tools/bootstrap.py", "setup"], course, **bare))
    assert "sudo apt install python3." in told


def stand_in(path: Path, script: str) -> None:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_python_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    course = copy_of_the_course(tmp_path)
    (course / "tools" / "bootstrap.py").write_text("import sys\nprint('argv', sys.argv[1:])\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("make", "sh", "sed"):
        os.symlink(shutil.which(tool) or tool, programs / tool)
    stand_in(programs / "python3", "echo 'python3: command not found' >&2; exit 127")
    told = sentence(run(["make", "learn"], course, PATH=str(programs)))
    assert told.startswith("No Python that runs was found: install 3.11 or newer")
    stand_in(programs / "python3.12", f'exec "{sys.executable}" "$@"')
    done = run(["make", "learn", "ARGS=--no-browser"], course, PATH=str(programs))
    assert (
        done.stdout.strip() == "argv ['--constraints', 'constraints.txt', 'learn', '--no-browser']"
    )
    assert done.returncode == 0


@pytest.fixture(scope="module")
def offline(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A checkout with a half-made .venv, set up without a network."""
    course = copy_of_the_course(tmp_path_factory.mktemp("offline"))
    (course / ".venv" / "bin").mkdir(parents=True)
    os.symlink("/nowhere/python3", course / ".venv" / "bin" / "python")
    return course, run([sys.executable, "tools/bootstrap.py", "setup"], course, **OFFLINE)


Offline = tuple[Path, subprocess.CompletedProcess[str]]


def test_a_broken_environment_is_made_again(offline: Offline) -> None:
    course, done = offline
    assert "Making .venv again" in done.stdout
    assert run([".venv/bin/python", "-m", "pip", "--version"], course).returncode == 0


def test_no_network_says_so_and_the_next_run_goes_on(offline: Offline) -> None:
    course, first = offline
    told = sentence(first)
    assert told.startswith("No network: pip could not fetch torch")
    assert str(course / ".venv" / "setup.log") in told
    second = run([sys.executable, "tools/bootstrap.py", "setup"], course, **OFFLINE)
    assert sentence(second) == told
    assert "Making" not in second.stdout
    assert "WARNING" not in second.stdout


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "free about 2 GB"),
        (PermissionError(errno.EACCES, "Permission denied", "/srv/x"), "to write /srv/x: move"),
        (OSError(errno.EROFS, "Read-only file system"), "move the course to a folder of your own"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files): mend that"),
    ],
)
def test_an_error_of_the_system_becomes_a_sentence(
    error: OSError,
    mend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(place: environment.Place) -> None:
        raise error

    monkeypatch.setattr(environment, "make_venv", fail)
    monkeypatch.setattr(environment, "torch_build", lambda: ("cpu", "", []))
    assert bootstrap.main(["setup"], tmp_path) == 1
    told = capsys.readouterr().err
    assert mend in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "free about 2"),
        ("ERROR: [Errno 13] Permission denied: '/opt/x'\nCheck", "No permission to write /opt/x:"),
        ("WARNING: Retrying (Retry(total=0)) after 'ReadTimeoutError(...)'", "No network"),
        ("ERROR: ... SSLError(SSLCertVerificationError(1, 'self-signed'))", "set PIP_CERT"),
        ("ERROR: No matching distribution found for torch==2.13.0", "No release of torch==2.13.0"),
        ("ERROR: ResolutionImpossible: for help visit ...", "(ResolutionImpossible: for help"),
        ("ERROR: numba has an invalid wheel.", "(numba has an invalid wheel)"),
    ],
)
def test_what_pip_says_becomes_a_sentence(said: str, mend: str, tmp_path: Path) -> None:
    told = str(mends.pip_problem(tmp_path, tmp_path / "setup.log", "torch", said))
    assert mend in told
    assert "again" in told or "another Python" in told


def test_a_disk_that_is_too_small_is_seen_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "torch_build", lambda: ("cpu", "", []))
    small = shutil._ntuple_diskusage(10**12, 10**12 - 10**9, 10**9)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: small)
    with pytest.raises(mends.SetupError, match=r"Only 1\.0 GB are free .* needs about 2\.5 GB"):
        environment.set_up(environment.Place(tmp_path, None), {"lab"})


def test_only_a_machine_with_an_nvidia_gpu_takes_the_cuda_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    assert environment.torch_build()[0] == "cuda"
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(environment, "answers", lambda url: True)
    monkeypatch.setattr(sys, "platform", "linux")
    build, _, options = environment.torch_build()
    assert (build, options) == ("cpu", ["--extra-index-url", environment.TORCH_CPU_INDEX])


# --- the second run


@pytest.fixture
def made(tmp_path: Path) -> environment.Place:
    """An environment as a finished set-up leaves it."""
    course = copy_of_the_course(tmp_path)
    place = environment.Place(course, course / "constraints.txt")
    (course / ".venv" / "bin").mkdir(parents=True)
    stand_in(place.python, f'exec "{sys.executable}" "$@"')
    environment.write_stamp(place, {"lab", "torch"}, "complete")
    return place


def test_a_finished_environment_needs_no_pip(
    made: environment.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "pip_install", pytest.fail)
    environment.set_up(made, {"lab", "torch"})
    assert not environment.is_ready(made, {"lab", "torch", "dev"})


def test_a_changed_pin_is_installed(made: environment.Place) -> None:
    assert made.constraints is not None
    made.constraints.write_text("numpy==2.0.0\n")
    assert not environment.is_ready(made, {"lab", "torch"})


@pytest.mark.parametrize(("stage", "goes_on"), [("making", False), ("filling", True)])
def test_an_interrupted_set_up_is_gone_on_with(
    stage: str, goes_on: bool, made: environment.Place
) -> None:
    environment.write_stamp(made, {"lab", "torch"}, stage)
    assert not environment.is_ready(made, {"lab", "torch"})
    assert environment.is_usable(made) is goes_on


def test_an_environment_that_was_moved_is_not_used(made: environment.Place, tmp_path: Path) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.copytree(tmp_path, elsewhere, symlinks=True)
    moved = environment.Place(elsewhere, elsewhere / "constraints.txt")
    assert not environment.is_ready(moved, {"lab", "torch"})
    assert not environment.is_usable(moved)


# --- the server


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.socket() as other:
        other.bind((lab_server.HOST, 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(
    taken: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main(["learn", "--port", str(taken)], tmp_path) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"Port {taken} is taken by another program")
    assert re.search(r'make learn ARGS="--port \d+"', told)


def test_the_next_free_port_is_chosen_and_said(
    taken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab_server, "FIRST_PORT", taken)
    chosen = lab_server.choose_port(None)
    assert chosen > taken
    assert capsys.readouterr().out == f"Port {taken} is taken: taking {chosen}.\n"


@pytest.mark.parametrize("words", [["--prot", "9999"], ["--port", "x"]])
def test_a_mistyped_argument_says_what_there_is(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main(["learn", *words], tmp_path) == 1
    told = capsys.readouterr().err
    assert told.startswith("Not understood (")
    assert "`make learn` takes ARGS=--no-browser" in told


def test_a_port_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(mends.SetupError, match="choose one from 1024 to 65535"):
        lab_server.choose_port(70000)


def test_a_server_that_does_not_start_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    stand_in(tmp_path / "python", "echo 'No module named jupyterlab' >&2; exit 1")
    with pytest.raises(mends.SetupError, match=r"damaged.*`make clean learn`"):
        lab_server.serve(tmp_path, tmp_path / "python", {}, lab_server.choose_port(None), False)


SERVE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from setupkit import lab_server
port = lab_server.choose_port(None)
sys.exit(lab_server.serve(Path.cwd(), Path(sys.executable), os.environ, port, False))
"""


def fetch(address: str) -> tuple[int, bytes]:
    """The status and body of a page, a refusal included."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


@pytest.mark.skipif(os.name != "posix", reason="sends the signal of Ctrl-C to a process group")
def test_the_server_wants_its_token_asks_no_news_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab")
    (tmp_path / ".venv").mkdir()
    shutil.copytree(ROOT / "tools" / "jupyter", tmp_path / "tools" / "jupyter")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(ROOT / "tools")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    try:
        address = next(line.strip() for line in server.stdout if "http://127.0.0.1:" in line)
        base, _, token = address.replace("/lab?", "?").partition("?token=")
        assert fetch(address)[0] == 200
        assert fetch(f"{base}/api/contents")[0] == 403
        settings = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
        schema = json.loads(fetch(f"{base}{settings}?token={token}")[1])["schema"]["properties"]
        assert schema["fetchNews"]["default"] == "false"
        assert schema["checkForUpdates"]["default"] is False
    finally:
        os.killpg(server.pid, signal.SIGINT)
        rest = server.communicate(timeout=30)[0]
    assert server.returncode == 0
    assert "Traceback" not in rest
    with pytest.raises(urllib.error.URLError):
        fetch(address)
