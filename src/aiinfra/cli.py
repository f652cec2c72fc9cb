"""The ``aiinfra`` command. What is wrong with its input ends in one sentence and exit code 2."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import aiinfra
from aiinfra.planner.request import PlanError, add_plan_arguments, make_plan
from aiinfra.units import format_quantity

if TYPE_CHECKING:
    from aiinfra.measure.record import RecordingState

BAD_INPUT = 2


class UsageError(ValueError):
    """Something that the command cannot do as it was asked to, with the mend."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint and leave with exit code 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help()
        return 0
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `aiinfra recordings | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UsageError, OSError) as problem:
        print(f"aiinfra {options.command}: {problem}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"aiinfra {options.command}: stopped", file=sys.stderr)
        return 130


def make_parser() -> Parser:
    """Build the parser of all subcommands."""
    parser = Parser(prog="aiinfra", description="AI infrastructure, measured: the course's tools.")
    parser.add_argument("--version", action="version", version=f"aiinfra {aiinfra.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="what this machine is and what runs live on it")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=run_doctor)

    record = commands.add_parser("record", help="run lessons here and record their experiments")
    record.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 01; default all")
    record.add_argument("--out", type=Path, metavar="DIR", help="where recordings are written")
    record.set_defaults(run=run_record)

    recordings = commands.add_parser("recordings", help="list recorded runs and mark stale ones")
    recordings.set_defaults(run=run_recordings)

    bench = commands.add_parser("bench", help="measure this machine with the course's kernels")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    bench.set_defaults(run=run_bench)

    validate = commands.add_parser("validate", help="hold a model against published measurements")
    validate.add_argument("set", metavar="SET", help="training, memory, decode, gemm, ...")
    validate.add_argument("--rows", type=Path, metavar="FILE.csv", help="rows of your own")
    validate.add_argument("--json", action="store_true", help="print JSON")
    validate.set_defaults(run=run_validate)

    plan = commands.add_parser("plan", help="the layouts that train a model fastest on a cluster")
    add_plan_arguments(plan)
    plan.set_defaults(run=run_plan)

    progress = commands.add_parser("progress", help="what you predicted, solved and measured")
    actions = progress.add_mutually_exclusive_group()
    actions.add_argument("--json", action="store_true", help="print JSON")
    actions.add_argument("--export", type=Path, metavar="FILE", help="write a copy to carry away")
    actions.add_argument("--import", type=Path, metavar="FILE", dest="source", help="merge a copy")
    actions.add_argument("--reset", action="store_true", help="start afresh, keeping the old file")
    progress.set_defaults(run=run_progress)
    return parser


def run_doctor(options: argparse.Namespace) -> int:
    """Print the examination; 0 on a healthy machine, 1 when something needed is missing."""
    from aiinfra.doctor import examine

    report = examine()
    print(json.dumps(report.as_dict(), indent=1) if options.json else report)
    return 0 if report.healthy else 1


def run_record(options: argparse.Namespace) -> int:
    """Record lessons, one line for each recording; 1 when a lesson or an experiment failed."""
    from aiinfra.facts.recordings import RecordingError
    from aiinfra.measure.record import LessonError, record

    try:
        done = record(options.lessons, folder=options.out, say=say_at_once)
    except (LessonError, RecordingError) as problem:
        raise UsageError(problem) from None
    files = sum(len(lesson.recordings) for lesson in done)
    failed = [lesson.lesson for lesson in done if not lesson.ok]
    print(
        f"{files} recordings from {len(done)} lessons; not all well: {', '.join(failed) or 'none'}"
    )
    return 1 if failed else 0


def say_at_once(line: str) -> None:
    """Print a line that is seen while the next lesson still runs."""
    print(line, flush=True)


def run_recordings(options: argparse.Namespace) -> int:
    """List recordings with their state; experiments without one are listed as missing."""
    from aiinfra.facts.recordings import RecordingError
    from aiinfra.measure.record import LessonError, list_recordings

    try:
        states = list_recordings()
    except (LessonError, RecordingError) as problem:
        raise UsageError(problem) from None
    if not states:
        print("No recordings and no experiments yet: aiinfra record LESSON makes the first.")
        return 0
    rows = [("LESSON", "EXPERIMENT", "ARGUMENTS", "STATE", "DEVICE", "DATE", "SIZE")]
    for item in states:
        size = format_quantity(item.size, "B") if item.size else ""
        told = (
            item.lesson,
            item.experiment,
            tell_apart(item, states),
            item.state,
            item.device,
            item.date,
        )
        rows.append((*told, size))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    current = sum(item.state == "current" for item in states)
    print(f"\n{current} of {len(states)} current.")
    return 0


def tell_apart(item: RecordingState, states: Sequence[RecordingState]) -> str:
    """Name the arguments in which a recording differs from others of its experiment and device."""
    same = (item.experiment, item.device)
    others = [other.arguments for other in states if (other.experiment, other.device) == same]
    return ", ".join(
        f"{name}={value!r}"
        for name, value in item.arguments.items()
        if any(other.get(name) != value for other in others)
    )


def run_validate(options: argparse.Namespace) -> int:
    """Print each row as measured and predicted, and the mean absolute percentage error."""
    from aiinfra.model.validate import find_set, validate

    try:
        result = validate(options.set, find_set(options.set), options.rows)
    except ValueError as problem:
        raise UsageError(problem) from None
    print(json.dumps(result.as_dict(), indent=1) if options.json else result)
    return 0


def run_plan(options: argparse.Namespace) -> int:
    """Print the best layouts; 1 when none fits."""
    try:
        plan = make_plan(options)
    except PlanError as problem:
        raise UsageError(problem) from None
    from aiinfra.planner.report import as_dict, as_text

    print(json.dumps(as_dict(plan), indent=1) if options.json else as_text(plan))
    return 0 if plan.shown else 1


def run_bench(options: argparse.Namespace) -> int:
    """Run the benchmark."""
    from aiinfra.bench import run

    if options.json:
        check_file(options.json)
    run(options.json)
    return 0


def check_file(path: Path) -> None:
    """Raise ``UsageError`` where a file cannot be written, before any work is done for it."""
    folder = path.absolute().parent
    if path.is_dir():
        problem = "it is a folder"
    elif not folder.is_dir():
        problem = f"there is no folder {folder}"
    elif not os.access(path if path.exists() else folder, os.W_OK):
        problem = "you may not write there"
    else:
        return
    raise UsageError(f"cannot write {path}: {problem}; name a file in a folder of yours")


def run_progress(options: argparse.Namespace) -> int:
    """Print, export, import or reset the progress file."""
    from aiinfra.teach.progress import ProgressError, open_progress

    store = open_progress()
    try:
        if options.export:
            check_file(options.export)
            store.export(options.export)
            print(f"Your progress is exported to {options.export}.")
        elif options.source:
            check_export(options.source)
            if not store.import_from(options.source):
                return 1
            print(f"{options.source} is merged into {store.path}.")
        elif options.reset:
            saved = store.reset()
            print(
                f"Progress starts afresh; the old file is {saved}."
                if saved
                else "Nothing to reset."
            )
        else:
            print_progress(options.json)
    except ProgressError as problem:
        raise UsageError(problem) from None
    return 0


def check_export(path: Path) -> None:
    """Raise ``UsageError`` for a file that ``aiinfra progress --export`` has not written."""
    from aiinfra.teach.progress import DamagedError, parse

    try:
        parse(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}") from None
    except (UnicodeDecodeError, DamagedError):
        raise UsageError(
            f"{path} is not an exported progress file; "
            "aiinfra progress --export FILE writes one on the other machine"
        ) from None


def print_progress(as_json: bool) -> None:
    """Print the progress file as text or JSON."""
    from aiinfra.teach.progress import open_progress
    from aiinfra.teach.report import report

    store = open_progress()
    state = store.state()
    if as_json:
        print(json.dumps(state, indent=1, ensure_ascii=False))
    else:
        print(f"{report(state)}\n\nKept in {store.path}.")


if __name__ == "__main__":
    sys.exit(main())
