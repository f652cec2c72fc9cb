"""Set up .venv, then start the course or its tests; run by the Makefile with any Python it finds.

Standard library only, and the syntax of Python 3.8, so that a Python that is too old can say so.
Every failure ends in one of the sentences of setupkit/mends.py.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from setupkit import environment, lab_server, mends

QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}  # idle threads sleep
COURSE = {"lab", "torch"}
TESTS = {"dev", "compile"}


def course_environment() -> dict[str, str]:
    """The variables that the course and its tests run with; the user's own choice stands."""
    return {**QUIET_THREADS, **environment.child_environment()}


def run_tests(place: environment.Place, arguments: Sequence[str]) -> int:
    """Run pytest in .venv; its exit code is ours."""
    command = [str(place.python), "-m", "pytest", *arguments]
    os.chdir(str(place.root))
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(command[0], command, course_environment())
    return subprocess.run(command, env=course_environment()).returncode


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise SetupError."""
        raise mends.not_understood(message)


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what `test` does not know goes to pytest."""
    parser = Parser(prog="bootstrap.py", allow_abbrev=False)
    parser.add_argument("--constraints", default="constraints.txt", help="'' for newest releases")
    commands = parser.add_subparsers(dest="command", metavar="setup|learn|test")
    setup = commands.add_parser("setup", help="make .venv")
    setup.add_argument("--dev", action="store_true", help="with what the tests need")
    learn = commands.add_parser("learn", help="open JupyterLab on the course")
    learn.add_argument("--no-browser", action="store_true", help="only print the address")
    learn.add_argument("--port", type=int, help="listen on this port and no other")
    commands.add_parser("test", help="run the tests; further arguments go to pytest")
    options, rest = parser.parse_known_args(arguments)
    if options.command is None:
        parser.error("say setup, learn or test")
    if rest and options.command != "test":
        parser.error(" ".join(rest))
    return options, rest


def carry_out(place: environment.Place, options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Do what the command line asks."""
    if options.command == "learn":
        port = lab_server.choose_port(options.port)
        environment.set_up(place, COURSE)
        browser = not options.no_browser
        return lab_server.serve(place.root, place.python, course_environment(), port, browser)
    if options.command == "test":
        environment.set_up(place, COURSE | TESTS)
        return run_tests(place, rest)
    environment.set_up(place, COURSE | {"dev"} if options.dev else COURSE)
    return 0


def interrupt(*_: object) -> NoReturn:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str], root: Path) -> int:
    """Run a command; every failure is one sentence on stderr and a non-zero exit code."""
    place = environment.Place(root, None)
    try:
        options, rest = parse(arguments)
        if options.constraints:
            place = environment.Place(root, root / options.constraints)
        return carry_out(place, options, rest)
    except mends.SetupError as error:
        print(error, file=sys.stderr, flush=True)
    except OSError as error:
        print(mends.os_problem(root, error), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here.", file=sys.stderr, flush=True)
        return 130
    except Exception as error:
        place.venv.mkdir(exist_ok=True)
        with place.log.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        print(f"Unexpected {error!r}: please report it with {place.log}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    problem = mends.version_problem(sys.version_info)
    if problem:
        sys.exit(problem)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
