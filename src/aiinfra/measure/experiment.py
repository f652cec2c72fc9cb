"""Experiments that run live where the machine can, and else replay a recorded run.

A run always says which of the two it is. A replay of other code or other arguments than those in
front of the learner says that as well; it never pretends.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, ParamSpec

from aiinfra.facts.recordings import Recording, compact, find, plain
from aiinfra.measure import needs as need
from aiinfra.measure import recorder
from aiinfra.measure.machine import probe
from aiinfra.measure.run import Run
from aiinfra.measure.source_hash import SourceHash, hash_function
from aiinfra.results import Table

P = ParamSpec("P")
Model = Callable[..., tuple[Table, str]]
GPUS_PREFERRED = ("H200", "H100", "B200", "A100", "L40", "L4", "T4")
TEXT_LIMIT = 100
ARRAY_LIMIT = 64


class NotLiveHereError(RuntimeError):
    """An experiment cannot run on this machine; the message says why and where it can."""


class MissingRecording(RuntimeError):  # noqa: N818  (the lessons read better without "Error")
    """An experiment can neither run nor be replayed; the message says how to record it."""


def experiment(
    needs: str = "cpu", model: Model | None = None
) -> Callable[[Callable[P, Table]], Experiment[P]]:
    """Turn a function that returns a ``Table`` into an experiment.

    ``needs`` is "cpu", "gpu", "ranks", "links", "disk" or "torch". ``model`` takes the same
    arguments and returns ``(table, "which model of which device")``; it stands in when the
    experiment can neither run nor be replayed.
    """
    if needs not in need.NEEDS:
        raise ValueError(
            f'write @experiment(needs="cpu"), with one of {", ".join(need.NEEDS)}; not {needs!r}'
        )
    return lambda function: Experiment(function, needs, model)


class Experiment(Generic[P]):
    """A function of a lesson that runs live or replays; calling it returns a ``Run``."""

    def __init__(self, function: Callable[P, Table], needs: str, model: Model | None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.needs = needs
        self.model = model
        self._recorded: list[dict[str, Any]] = []

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Run live where possible, else replay, else compute the model.

        Raises ``MissingRecording`` when there is none of the three.
        """
        reason = self.why_not_live()
        if reason is None:
            try:
                return self.live(*args, **kwargs)
            except Exception as error:
                if recorder.folder() is None:
                    raise
                recorder.report_failure(self.name, error)
                reason = f"it failed: {error}"
        asked = self._arguments(args, kwargs)
        recordings = find(self.name)
        notes = [f"not measured here: {reason}"] if need.expected_live(self.needs) else []
        if recordings:
            run = self._replayed(recordings, asked)
            return replace(run, notes=[*run.notes, *notes])
        if self.model is None:
            raise MissingRecording(self._what_is_missing(reason))
        table, words = self.model(*args, **kwargs)
        return Run(self.name, plain_table(table), f"model: {words}", "model", notes)

    def why_not_live(self) -> str | None:
        """Return why a call would not run live here, or ``None`` when it would."""
        return need.why_replayed(self.needs, self._uses())

    def _uses(self) -> tuple[str, ...]:
        return need.gpu_libraries(self.function) if self.needs == "gpu" else ()

    def available(self) -> bool:
        """Say whether a call runs live here."""
        return self.why_not_live() is None

    def live(self, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Run on this machine, and keep a recording in record mode.

        Raises ``NotLiveHereError`` where the machine cannot.
        """
        reason = need.why_not_live(self.needs, self._uses())
        if reason is not None:
            raise NotLiveHereError(
                f"{self.name} cannot run here: {reason}; {need.HOW_TO_RUN_LIVE[self.needs]}"
            )
        folder = recorder.folder()
        asked = {} if folder is None else self._arguments(args, kwargs) or {}
        table = self.function(*args, **kwargs)
        if not isinstance(table, Table):
            raise TypeError(
                f"{self.name} returned {type(table).__name__}; return a Table, for example "
                'Table({"size": sizes, "time": times}, {"size": "B", "time": "s"})'
            )
        table = plain_table(table)
        if folder is not None:
            self._record(table, asked, folder)
        return Run(self.name, table, f"measured here: {probe().name}", "measured")

    def replay(self, *args: Any, device: str | None = None, **kwargs: Any) -> Run:
        """Return the recorded run that fits best, on ``device`` ("H200") if named.

        Raises ``MissingRecording`` when there is none.
        """
        recordings = find(self.name, device)
        if not recordings:
            there = sorted({item.device for item in find(self.name)})
            reason = f"no recording on {device!r}; there are {there}" if there else None
            raise MissingRecording(self._what_is_missing(reason))
        return self._replayed(recordings, self._arguments(args, kwargs))

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the arguments as recordings keep them; ``None`` when some are missing."""
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError:
            if args or kwargs:
                raise
            return None
        bound.apply_defaults()
        return {name: _argument(value) for name, value in bound.arguments.items()}

    def _replayed(self, recordings: list[Recording], asked: dict[str, Any] | None) -> Run:
        own = hash_function(self.function)
        chosen = choose(recordings, own.digest if own else None, asked)
        notes = [*self._code_notes(own, chosen), *_argument_notes(asked, chosen)]
        return Run(self.name, chosen.table, chosen.source, "replayed", notes)

    def _code_notes(self, own: SourceHash | None, chosen: Recording) -> list[str]:
        if own is None or chosen.code_hash is None:
            return [
                "the source of this experiment was not found, so nobody can tell whether the code "
                "above is the code that was recorded"
            ]
        if own.digest == chosen.code_hash:
            return []
        return [
            "this replay is not of the code above: the code above differs from the code recorded, "
            "so these numbers are of the original; to measure yours, "
            f"{need.HOW_TO_RUN_LIVE[self.needs]}"
        ]

    def _record(self, table: Table, arguments: dict[str, Any], folder: Path) -> None:
        """Write the recording; trouble with it is reported and the live run still counts."""
        try:
            if arguments not in self._recorded:
                self._recorded.append(arguments)
            beside = self._recorded.index(arguments) > 0
            recorder.write(self.function, self.needs, table, arguments, folder, beside)
        except Exception as error:
            recorder.report_failure(self.name, error)

    def _what_is_missing(self, reason: str | None) -> str:
        because = f" ({reason})" if reason else ""
        lesson = recorder.lesson_of(self.function)
        return (
            f"{self.name} cannot run here{because}, and no recording of it is shipped. Record it "
            f"on a machine that can run it: aiinfra record {lesson}. Or measure it yourself: "
            f"{need.HOW_TO_RUN_LIVE[self.needs]}."
        )


def plain_table(table: Table) -> Table:
    """Turn the columns into plain lists, so that a live run and a replay behave the same."""
    return Table({name: plain(list(values)) for name, values in table.columns.items()}, table.units)


def choose(
    recordings: list[Recording], digest: str | None, asked: Mapping[str, Any] | None
) -> Recording:
    """Return the recording that fits best: same code, same arguments, preferred device, newest."""

    def fit(item: Recording) -> tuple[bool, bool, int, str]:
        same_code = digest is not None and item.code_hash == digest
        same_arguments = asked is not None and item.arguments == asked
        return same_code, same_arguments, -device_rank(item.device), item.recorded_at

    return max(recordings, key=fit)


def device_rank(device: str) -> int:
    """Return the place of a device in the order of preference; unknown ones come last."""
    words = re.split(r"[^A-Z0-9]+", device.upper())
    return next((i for i, gpu in enumerate(GPUS_PREFERRED) if gpu in words), len(GPUS_PREFERRED))


def _argument(value: Any) -> Any:
    """Return an argument as recordings keep it: plain values, and large or odd ones described."""
    if callable(value) and hasattr(value, "__name__"):
        source = hash_function(value)
        return f"{value.__name__} {source.digest[:12] if source else ''}".strip()
    if hasattr(value, "shape") and getattr(value, "size", 0) > ARRAY_LIMIT:
        return f"array {value.dtype} {tuple(value.shape)}"
    kept = compact(plain(value))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", kept) if isinstance(kept, str) else kept


def _argument_notes(asked: Mapping[str, Any] | None, chosen: Recording) -> list[str]:
    if asked is None or chosen.arguments == asked:
        return []
    names = [n for n in {**chosen.arguments, **asked} if chosen.arguments.get(n) != asked.get(n)]
    recorded, wanted = (
        ", ".join(f"{name}={_short(values.get(name))}" for name in names)
        for values in (chosen.arguments, asked)
    )
    return [f"arguments differ: recorded with {recorded}; you asked for {wanted}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 4]} ..."
