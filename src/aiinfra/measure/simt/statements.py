"""Execute statements: lanes that disagree take both ways in turn and meet behind the branch."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from aiinfra.measure.simt.errors import unsupported
from aiinfra.measure.simt.expressions import Expressions, truth
from aiinfra.measure.simt.frame import Loop
from aiinfra.measure.simt.layout import Lanes, union
from aiinfra.measure.simt.memory import View
from aiinfra.measure.simt.values import signed


class Statements(Expressions):
    """A frame that can run; each ``do_`` method returns the lanes that go on behind it."""

    def body(self, statements: list[ast.stmt], lanes: Lanes) -> Lanes | None:
        """Execute statements; the lanes that fall through the end."""
        live: Lanes | None = lanes
        for node in statements:
            if live is None:
                break
            self.lanes = live
            self.step(node)
            try:
                live = getattr(self, "do_" + type(node).__name__)(node, live)
            except (TypeError, ValueError, IndexError, AttributeError) as error:
                raise self.error(node, str(error)) from error
        return live

    def do_Expr(self, node: ast.Expr, lanes: Lanes) -> Lanes:  # noqa: N802
        self.discarded = node.value
        self.eval(node.value)
        return lanes

    def do_Pass(self, node: ast.Pass, lanes: Lanes) -> Lanes:  # noqa: N802
        return lanes

    def do_Return(self, node: ast.Return, lanes: Lanes) -> None:  # noqa: N802
        self.results.append((lanes, None if node.value is None else self.eval(node.value)))
        if self.depth == 0:
            self.state.exited |= lanes.bits

    def do_Break(self, node: ast.Break, lanes: Lanes) -> None:  # noqa: N802
        self.loops[-1].broken.append(lanes)

    def do_Continue(self, node: ast.Continue, lanes: Lanes) -> None:  # noqa: N802
        self.loops[-1].continued.append(lanes)

    def do_Assign(self, node: ast.Assign, lanes: Lanes) -> Lanes:  # noqa: N802
        value = self.eval(node.value)
        for target in node.targets:
            self.put(target, value)
        return lanes

    def do_AnnAssign(self, node: ast.AnnAssign, lanes: Lanes) -> Lanes:  # noqa: N802
        if node.value is not None:
            self.put(node.target, self.eval(node.value))
        return lanes

    def do_AugAssign(self, node: ast.AugAssign, lanes: Lanes) -> Lanes:  # noqa: N802
        target = node.target
        if isinstance(target, ast.Subscript):
            view, keys = self.element(target, self.eval(target.value), self.eval(target.slice))
            old = self.state.touch.load(view, keys, lanes, target)
            value = self.combine(node, node.op, old, self.eval(node.value))
            self._store(target, view, keys, value)
        elif isinstance(target, ast.Name):
            old = self.read(target)
            self.put(target, self.combine(node, node.op, old, self.eval(node.value)))
        else:
            raise unsupported(self.source.name, node, "an assignment to an attribute")
        return lanes

    def put(self, target: ast.expr, value: Any) -> None:
        """Assign to a name, a tuple of names or an element."""
        if isinstance(target, ast.Name):
            if isinstance(value, View) and not value.memory.name:
                value.memory.name = target.id
            self.assign(target.id, value, target)
        elif isinstance(target, ast.Tuple):
            if not isinstance(value, tuple) or len(value) != len(target.elts):
                raise self.error(target, f"cannot unpack into {len(target.elts)} names")
            for item, part in zip(target.elts, value, strict=True):
                self.put(item, part)
        elif isinstance(target, ast.Subscript):
            view, keys = self.element(target, self.eval(target.value), self.eval(target.slice))
            self._store(target, view, keys, value)
        else:
            raise unsupported(self.source.name, target, "an assignment to an attribute")

    def _store(self, node: ast.AST, view: View, keys: tuple[Any, ...], value: Any) -> None:
        if len(keys) < view.ndim or any(isinstance(key, slice) for key in keys):
            raise unsupported(
                self.source.name,
                node,
                "a store to a whole row or slice",
                "store element by element",
            )
        if np.asarray(value).dtype.kind not in "biufc":
            raise self.error(node, f"{view.memory.name} holds numbers, not {value!r}")
        self.state.touch.store(view, keys, value, self.lanes, node)

    def do_If(self, node: ast.If, lanes: Lanes) -> Lanes | None:  # noqa: N802
        yes, no = self._branch(node, node.test, lanes)
        parts = [
            None if yes is None else self.body(node.body, yes),
            None if no is None else self.body(node.orelse, no),
        ]
        return union(parts, lanes)

    def _branch(
        self, node: ast.AST, test: ast.AST, lanes: Lanes
    ) -> tuple[Lanes | None, Lanes | None]:
        condition = self.eval(test)
        if isinstance(condition, View):
            raise self.error(node, "a whole array is no condition; index one element")
        yes, no = lanes.split(truth(condition))
        self.state.tally.branch(node, self.state.chunk, lanes, yes)
        return yes, no

    def do_While(self, node: ast.While, lanes: Lanes) -> Lanes | None:  # noqa: N802
        live: Lanes | None = lanes
        out: list[Lanes | None] = []
        loop = Loop()
        self.loops.append(loop)
        while live is not None:
            self.lanes = live
            self.step(node)
            yes, no = self._branch(node, node.test, live)
            out.append(no)
            live = None if yes is None else self._round(node.body, yes, loop)
        self.loops.pop()
        return union(out + loop.broken, lanes)

    def _round(self, statements: list[ast.stmt], lanes: Lanes, loop: Loop) -> Lanes | None:
        """One round of a loop; the lanes that come to its next."""
        loop.continued = []
        return union([self.body(statements, lanes), *loop.continued], lanes)

    def do_For(self, node: ast.For, lanes: Lanes) -> Lanes | None:  # noqa: N802
        loop = Loop()
        values = self._values(node.iter)
        self.loops.append(loop)
        if isinstance(values, tuple) and any(np.ndim(end) for end in values):
            out = self._varying(node, values, lanes, loop)
        else:
            ends = values if isinstance(values, list) else range(*(int(v) for v in values))
            out = self._uniform(node, ends, lanes, loop)
        self.loops.pop()
        return union([*out, *loop.broken], lanes)

    def _values(self, node: ast.AST) -> Any:
        """(start, stop, step) of a range, or the list of a tuple's items."""
        if isinstance(node, ast.Call) and self.eval(node.func) is range and not node.keywords:
            ends = [signed(self.eval(item)) for item in node.args]
            if any(np.asarray(end).dtype.kind not in "iub" for end in ends):
                raise self.error(node, "range needs integers; use // or int()")
            if len(ends) == 1:
                ends.insert(0, np.int64(0))
            step = ends[2] if len(ends) == 3 else np.int64(1)
            if np.any(np.equal(step, 0)):
                raise self.error(node, "the step of a range is 0")
            return ends[0], ends[1], step
        items = self.eval(node)
        if not isinstance(items, tuple):
            raise unsupported(
                self.source.name, node, "a loop over anything but range or a tuple", "use range"
            )
        return list(items)

    def _uniform(self, node: ast.For, values: Any, lanes: Lanes, loop: Loop) -> list[Lanes | None]:
        live: Lanes | None = lanes
        for value in values:
            if live is None:
                break
            self.lanes = live
            self.step(node)
            self.state.tally.branch(node, self.state.chunk, live, live)
            self.put(node.target, np.int64(value) if isinstance(value, int) else value)
            live = self._round(node.body, live, loop)
        if live is not None:  # the condition that ends the loop
            self.state.tally.branch(node, self.state.chunk, live, None)
        return [live]

    def _varying(
        self, node: ast.For, ends: tuple[Any, ...], lanes: Lanes, loop: Loop
    ) -> list[Lanes | None]:
        start, stop, step = ends
        value, live = start, lanes
        out: list[Lanes | None] = []
        while True:
            self.lanes = live
            self.step(node)
            more = np.where(np.greater(step, 0), np.less(value, stop), np.greater(value, stop))
            yes, no = live.split(more[()])
            self.state.tally.branch(node, self.state.chunk, live, yes)
            out.append(no)
            if yes is None:
                return out
            self.lanes = yes
            self.put(node.target, value)
            after = self._round(node.body, yes, loop)
            if after is None:
                return out
            live, value = after, value + step
