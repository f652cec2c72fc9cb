"""What the learner did, in one JSON file that is never half written and never lost.

The file is ``$AIINFRA_HOME/progress.json`` (``~/.aiinfra`` where that is not set). Every change
reads the file again under a lock, so that two notebooks at once lose nothing. Where the file
cannot be written, changes wait in memory, the learner is told once, and the next save that works
writes them all.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiinfra.files import write_atomic
from aiinfra.teach import entries
from aiinfra.teach.entries import Entry, State
from aiinfra.teach.storage import locked, set_aside
from aiinfra.teach.words import warn


class ProgressError(ValueError):
    """A progress file that cannot be used, with the reason and the mend in one sentence."""


class Progress:
    """The store of one learner: read it, change it, carry it elsewhere.

    ``Progress(path)`` is a store of its own; ``open_progress()`` is the learner's.
    """

    def __init__(self, path: Path | None = None, lock_seconds: float = 5.0) -> None:
        self.path = Path(path) if path is not None else default_path()
        self.lock_seconds = lock_seconds
        self._waiting: list[Callable[[State], None]] = []
        self._told = False

    def state(self) -> State:
        """Return everything known: what the file holds and what still waits to be saved."""
        try:
            state = self._read()
        except (OSError, ProgressError) as problem:
            self._tell_once(f"cannot read {self.path} ({problem}); going on without it.")
            state = entries.empty()
        for change in self._waiting:
            change(state)
        return state

    def update(self, change: Callable[[State], None]) -> bool:
        """Apply ``change`` to the state and save it; return whether it is safely on disk."""
        self._waiting.append(change)
        try:
            with locked(self.path, self.lock_seconds):
                state = self._read(lock_held=True)
                for waiting in self._waiting:
                    waiting(state)
                write_atomic(self.path, json.dumps(state, indent=1, ensure_ascii=False))
        except (OSError, ProgressError) as problem:
            self._tell_once(
                f"cannot save your progress in {self.path} ({problem}); it is kept in memory "
                "and lost when this session ends. Set AIINFRA_HOME to a folder you can write."
            )
            return False
        self._waiting.clear()
        return True

    def _read(self, lock_held: bool = False) -> State:
        """Read the file; set it aside when it is damaged, and raise when it is from the future."""
        try:
            return parse(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return entries.empty()
        except (UnicodeDecodeError, DamagedError) as problem:
            reason = str(problem)
        if not lock_held:
            with locked(self.path, self.lock_seconds):
                return self._read(lock_held=True)
        saved = set_aside(self.path, "damaged")
        warn(f"your progress file was damaged ({reason}); it is kept as {saved}.")
        return entries.empty()

    def _tell_once(self, sentence: str) -> None:
        if not self._told:
            warn(sentence)
        self._told = True

    def guess(self, key: str) -> Entry | None:
        """Return the entry of a prediction, or ``None`` when it was never asked nor answered."""
        entry: Entry | None = self.state()["guesses"].get(key)
        return entry

    def _note(self, change: Callable[..., None], *args: Any) -> None:
        when = entries.now()
        self.update(lambda state: change(state, *args, when))

    def add_guess(self, key: str, question: str, value: float, unit: str) -> None:
        """Note a prediction, ``value`` in SI ``unit``."""
        self._note(entries.add_guess, key, question, value, unit)

    def mark_shown(self, key: str, question: str, unit: str) -> None:
        """Note that the answer to a prediction has been shown."""
        if not (self.guess(key) or {}).get("shown"):
            self._note(entries.mark_shown, key, question, unit)

    def add_check(self, task: str, passed: bool, score: float) -> None:
        """Note one attempt at a task."""
        self._note(entries.add_check, task, passed, score)

    def add_quiz(self, lesson: str, score: float, answers: list[str]) -> None:
        """Note one attempt at a quiz, ``score`` from 0 to 1."""
        self._note(entries.add_quiz, lesson, score, answers)

    def keep(self, name: str, entry: Entry) -> None:
        """Put a measured number in the ledger, in place of an earlier one of that name."""
        entry = {**entry, "time": entries.now()}
        self.update(lambda state: state["ledger"].__setitem__(name, copy.deepcopy(entry)))

    def export(self, target: Path) -> None:
        """Write a copy that ``import_from`` reads on another machine; raises ``OSError``."""
        write_atomic(target, json.dumps(self.state(), indent=1, ensure_ascii=False))

    def import_from(self, source: Path) -> bool:
        """Merge an exported file into this one, losing nothing; return whether it is on disk.

        Raises ``OSError`` or ``ProgressError`` when that file cannot be used.
        """
        try:
            theirs = parse(source.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, DamagedError) as problem:
            raise ProgressError(f"{source} cannot be imported: {problem}") from None
        merged = functools.partial(entries.merge, theirs=theirs)
        return self.update(lambda state: state.update(copy.deepcopy(merged(state))))

    def reset(self) -> Path | None:
        """Start afresh; the old file stays beside it, and its path is returned."""
        self._waiting.clear()
        with locked(self.path, self.lock_seconds):
            return set_aside(self.path, "before-reset") if self.path.exists() else None


class DamagedError(ValueError):
    """Text that is not the JSON of a progress file."""


def parse(text: str) -> State:
    """Read the JSON of a progress file.

    Raises ``DamagedError``, and ``ProgressError`` when a newer version wrote it.
    """
    try:
        state = json.loads(text)
    except ValueError as problem:
        raise DamagedError(str(problem)) from None
    version = state.get("schema") if isinstance(state, dict) else None
    if isinstance(version, int) and version > entries.SCHEMA:
        raise ProgressError("a newer version of aiinfra wrote it; upgrade the package")
    problem_text = entries.problem_of(state)
    if problem_text:
        raise DamagedError(problem_text)
    return {**entries.empty(), **state}


def default_path() -> Path:
    """Return where the learner's progress lives, by ``$AIINFRA_HOME`` or the home folder."""
    if os.environ.get("AIINFRA_HOME"):
        return Path(os.environ["AIINFRA_HOME"]).expanduser() / "progress.json"
    try:
        return Path.home() / ".aiinfra" / "progress.json"
    except RuntimeError:  # an account without a home folder, as in some containers
        return Path(tempfile.gettempdir()) / f"aiinfra-{os.getuid()}" / "progress.json"


@functools.cache
def opened(path: Path) -> Progress:
    """Return the one store of this process for ``path``, so that unsaved changes are shared."""
    return Progress(path)


def open_progress(store: Progress | None = None) -> Progress:
    """Return ``store``, or the learner's own where it is ``None``."""
    return store if store is not None else opened(default_path())
