"""One call of a kernel or device function: its variables, and the lanes that are in it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiinfra.measure.simt.errors import KernelError, StepLimitError, at_line
from aiinfra.measure.simt.layout import Array, Chunk, Lanes
from aiinfra.measure.simt.memory import Memory, Traces, View, global_views
from aiinfra.measure.simt.source import Source
from aiinfra.measure.simt.tally import Tally
from aiinfra.measure.simt.touch import Touch
from aiinfra.measure.simt.values import choose, literal

DEEPEST_CALL = 40


@dataclass
class State:
    """What the calls of one chunk share."""

    chunk: Chunk
    tally: Tally
    touch: Touch
    dynamic_bytes: int
    max_steps: int
    steps: int = 0
    shared_bytes: int = 0
    arrays: dict[Any, Memory] = field(default_factory=dict)
    captured: dict[int, View] = field(default_factory=dict)
    dynamic: Array | None = None
    traces: Traces | None = None
    exited: Array = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        self.exited = np.zeros(self.chunk.size, bool)


@dataclass
class Loop:
    """Lanes that left the innermost loop, or its present round."""

    broken: list[Lanes | None] = field(default_factory=list)
    continued: list[Lanes | None] = field(default_factory=list)


class Frame:
    """Variables are (value, lanes that have it); ``lanes`` are the ones that execute now."""

    def __init__(self, state: State, source: Source, lanes: Lanes, depth: int = 0) -> None:
        self.state, self.source, self.lanes, self.depth = state, source, lanes, depth
        self.variables: dict[str, tuple[Any, Lanes]] = {}
        self.results: list[tuple[Lanes, Any]] = []
        self.loops: list[Loop] = []
        self.discarded: ast.AST | None = None
        if depth > DEEPEST_CALL:
            raise KernelError(f"{source.name}: calls are nested more than {DEEPEST_CALL} deep")

    def error(self, node: ast.AST, message: str) -> KernelError:
        """An error of this function at this line."""
        return at_line(self.source.name, node, message)

    def step(self, node: ast.AST) -> None:
        """Count a statement; raises StepLimitError for a kernel that seems to run forever."""
        self.state.steps += 1
        if self.state.steps > self.state.max_steps:
            raise StepLimitError(
                f"{self.source.name}, line {getattr(node, 'lineno', 0)}: stopped after "
                f"{self.state.max_steps:,} steps; a loop never ends, or waits for a thread that "
                "runs in lockstep with it (raise max_steps if the kernel is right)"
            )

    def bind(self, arguments: dict[str, Any]) -> None:
        """Give the parameters their values."""
        for name, value in arguments.items():
            self.variables[name] = (value, self.lanes)

    def assign(self, name: str, value: Any, node: ast.AST) -> None:
        """Set a variable in the executing lanes, keep it in the others."""
        old, lanes = self.variables.get(name), self.lanes
        if old is None or lanes.full or old[1] is lanes:
            self.variables[name] = (value, lanes)
            return
        has = old[1].bits | lanes.bits
        if np.array_equal(has, lanes.bits):
            self.variables[name] = (value, lanes)
            return
        try:
            merged = choose(lanes.bits, value, old[0])
        except TypeError as error:
            raise self.error(node, f"{name}: {error}") from error
        everyone = self.state.chunk.everyone
        self.variables[name] = (merged, everyone if has.all() else Lanes(has))

    def read(self, node: ast.Name) -> Any:
        """The value of a name; raises KernelError where some lane has none."""
        name = node.id
        if name in self.source.locals:
            value, has = self.variables.get(name, (None, None))
            if has is None or not (has is self.lanes or has.full or self._all_have(has)):
                raise self.error(node, f"{name} is read before it has a value in some thread")
            return value
        try:
            value = self.source.lookup(name)
        except (KeyError, ValueError):
            raise self.error(node, f"name {name} is not defined") from None
        return self._outer(name, value)

    def _all_have(self, has: Lanes) -> bool:
        return not (self.lanes.bits & ~has.bits).any()

    def _outer(self, name: str, value: Any) -> Any:
        """A global or closure value; arrays are constants of the kernel."""
        if isinstance(value, np.ndarray):
            return self.constant(name, value)
        return literal(value)

    def constant(self, name: str, array: Array) -> View:
        """A read-only array in constant memory."""
        if id(array) not in self.state.captured:
            self.state.captured[id(array)] = global_views({name: array.copy()}, "constant")[name]
        return self.state.captured[id(array)]

    def result(self, node: ast.AST) -> Any:
        """What the call returns, each lane its own."""
        if not self.results:
            return None
        value = self.results[0][1]
        for lanes, other in self.results[1:]:
            try:
                value = choose(lanes.bits, other, value)
            except TypeError as error:
                raise self.error(node, f"return: {error}") from error
        return value
