"""Evaluate expressions for all lanes at once; memory is touched by the executing lanes only."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType
from typing import Any

import numpy as np

from aiinfra.measure.simt.cuda_calls import CUDA_CALLS, CudaName, cuda_name, cuda_value
from aiinfra.measure.simt.errors import unsupported
from aiinfra.measure.simt.frame import Frame
from aiinfra.measure.simt.layout import Lanes
from aiinfra.measure.simt.memory import View
from aiinfra.measure.simt.source import plain_function, read_source
from aiinfra.measure.simt.values import (
    ARITHMETIC,
    BITS,
    BUILTINS,
    COMPARISONS,
    binary,
    cast,
    choose,
    data_type,
    literal,
    math_function,
    number,
    signed,
)

VIEW_ATTRIBUTES = ("shape", "size", "ndim", "dtype")


class Expressions(Frame):
    """A frame that can evaluate; each method is one kind of node."""

    def eval(self, node: ast.AST) -> Any:
        """The value of an expression."""
        return getattr(self, type(node).__name__)(node)

    def Constant(self, node: ast.Constant) -> Any:  # noqa: N802
        return literal(node.value)

    def Name(self, node: ast.Name) -> Any:  # noqa: N802
        value = self.read(node)
        known = None if node.id in self.source.locals else cuda_name(value)
        return value if known is None else self._cuda(node, known)

    def Tuple(self, node: ast.Tuple) -> Any:  # noqa: N802
        return tuple(self.eval(item) for item in node.elts)

    def Attribute(self, node: ast.Attribute) -> Any:  # noqa: N802
        owner = self.eval(node.value)
        if isinstance(owner, CudaName):
            return self._cuda(node, owner.then(node.attr))
        if isinstance(owner, View) and node.attr in VIEW_ATTRIBUTES:
            return literal(getattr(owner, node.attr))
        if isinstance(owner, ModuleType) or data_type(owner) is not None:
            value = getattr(owner, node.attr, None)
            known = cuda_name(value)
            return literal(value) if known is None else self._cuda(node, known)
        raise unsupported(self.source.name, node, f"the attribute .{node.attr}")

    def _cuda(self, node: ast.AST, name: CudaName) -> Any:
        if not name.known():
            raise unsupported(self.source.name, node, name.text())
        return cuda_value(self, name)

    def BinOp(self, node: ast.BinOp) -> Any:  # noqa: N802
        return self.combine(node, node.op, self.eval(node.left), self.eval(node.right))

    def combine(self, node: ast.AST, operator: ast.AST, left: Any, right: Any) -> Any:
        """``left operator right``; raises KernelError for operands that are no numbers."""
        if type(operator) not in ARITHMETIC and type(operator) not in BITS:
            raise unsupported(self.source.name, node, type(operator).__name__)
        if isinstance(left, View) or isinstance(right, View):
            raise unsupported(
                self.source.name, node, "arithmetic on a whole array", "index one element"
            )
        try:
            return binary(operator, left, right)
        except TypeError as error:
            raise self.error(node, str(error)) from error

    def UnaryOp(self, node: ast.UnaryOp) -> Any:  # noqa: N802
        value = self.eval(node.operand)
        if isinstance(node.op, ast.Not):
            return np.logical_not(value)
        if isinstance(node.op, ast.Invert):
            return np.invert(value)
        value = number(value)
        return np.negative(value) if isinstance(node.op, ast.USub) else value

    def Compare(self, node: ast.Compare) -> Any:  # noqa: N802
        """``a < b < c`` by lane: c is evaluated only where a < b."""
        before, left, result = self.lanes, self.eval(node.left), None
        for operator, item in zip(node.ops, node.comparators, strict=True):
            holds = self.lanes if result is None else self.lanes.split(truth(result))[0]
            if holds is None:
                break
            self.lanes = holds
            right = self.eval(item)
            one: Any
            if isinstance(operator, ast.Is | ast.IsNot):
                one = (left is right) == isinstance(operator, ast.Is)
            else:
                one = COMPARISONS[type(operator)](left, right)
            result = one if result is None else np.logical_and(result, one)
            left = right
        self.lanes = before
        return result

    def BoolOp(self, node: ast.BoolOp) -> Any:  # noqa: N802
        """Short circuit by lane: the right side runs only where the left side did not decide."""
        before, stops = self.lanes, isinstance(node.op, ast.Or)
        value = self.eval(node.values[0])
        for item in node.values[1:]:
            yes, no = self.lanes.split(truth(value))
            undecided = no if stops else yes
            if undecided is None:
                break
            self.lanes = undecided
            other = self.eval(item)
            value = other if undecided is before else choose(undecided.bits, other, value)
        self.lanes = before
        return value

    def IfExp(self, node: ast.IfExp) -> Any:  # noqa: N802
        before = self.lanes
        yes, no = before.split(truth(self.eval(node.test)))
        if yes is None or no is None:
            return self.eval(node.body if no is None else node.orelse)
        first = self._in(yes, node.body)
        second = self._in(no, node.orelse)
        self.lanes = before
        try:
            return choose(yes.bits, first, second)
        except TypeError as error:
            raise self.error(node, str(error)) from error

    def _in(self, lanes: Lanes, node: ast.AST) -> Any:
        self.lanes = lanes
        return self.eval(node)

    def Slice(self, node: ast.Slice) -> slice:  # noqa: N802
        if node.step is not None:
            raise unsupported(self.source.name, node, "a slice with a step")
        ends = (node.lower, node.upper)
        lower, upper = (None if end is None else signed(self.eval(end)) for end in ends)
        return slice(lower, upper)

    def Subscript(self, node: ast.Subscript) -> Any:  # noqa: N802
        owner, index = self.eval(node.value), self.eval(node.slice)
        if isinstance(owner, tuple):
            if np.ndim(index) or isinstance(index, slice):
                raise unsupported(self.source.name, node, "a tuple indexed by a varying number")
            return owner[int(index)]
        view, keys = self.element(node, owner, index)
        return self.state.touch.load(view, keys, self.lanes, node)

    def element(self, node: ast.AST, owner: Any, index: Any) -> tuple[View, tuple[Any, ...]]:
        """An array and its indices, checked; raises KernelError naming what is wrong."""
        keys = index if isinstance(index, tuple) else (index,)
        if not isinstance(owner, View):
            raise self.error(node, f"only arrays and tuples can be indexed, not {owner!r}")
        if len(keys) > owner.ndim:
            raise self.error(
                node, f"{owner.memory.name} has {owner.ndim} dimensions, {len(keys)} indices given"
            )
        for key in keys:
            if not isinstance(key, slice) and np.asarray(key).dtype.kind not in "iub":
                kind = np.asarray(key).dtype
                raise self.error(
                    node,
                    f"an index of {owner.memory.name} is {kind}, not an integer; use // or int()",
                )
        return owner, tuple(signed(number(key)) for key in keys)

    def Call(self, node: ast.Call) -> Any:  # noqa: N802
        function = self.eval(node.func)
        arguments = [self.eval(item) for item in node.args]
        named = {item.arg: self.eval(item.value) for item in node.keywords if item.arg}
        if isinstance(function, CudaName):
            return CUDA_CALLS[function.path](self, node, *arguments, **named)
        kind, vector = data_type(function), None
        if kind is not None:
            return cast(arguments[0], kind)
        if getattr(function, "__hash__", None):
            vector = BUILTINS.get(function) or math_function(function)
        if vector is not None:
            if function is not len and any(isinstance(value, View) for value in arguments):
                what = f"{getattr(function, '__name__', 'a function')} of a whole array"
                raise unsupported(self.source.name, node, what, "index one element")
            if named or len(arguments) > getattr(vector, "nin", len(arguments)):
                name = getattr(function, "__name__", "a function")
                raise self.error(node, f"{name} takes numbers here and no further arguments")
            return vector(*(number(value) for value in arguments))
        if function is print:
            return self._print(arguments)
        return self._device(node, function, arguments, named)

    def _print(self, values: list[Any]) -> None:
        size = self.state.chunk.size
        for lane in self.lanes.index:
            print(*(v if isinstance(v, str) else np.broadcast_to(v, size)[lane] for v in values))

    def _device(self, node: ast.AST, function: Any, values: list[Any], named: Any) -> Any:
        """Call a device function in the same lanes."""
        plain = getattr(function, "py_func", function)
        if not inspect.isfunction(plain) or str(plain.__module__).startswith("numba."):
            name = getattr(plain, "__name__", repr(function))
            raise unsupported(self.source.name, node, f"the call of {name}")
        source = read_source(function)
        try:
            bound = inspect.signature(plain_function(function)).bind(*values, **named)
        except TypeError as error:
            raise self.error(node, f"{source.name}: {error}") from error
        bound.apply_defaults()
        frame = type(self)(self.state, source, self.lanes, self.depth + 1)
        frame.bind({name: literal(value) for name, value in bound.arguments.items()})
        frame.body(source.tree.body, self.lanes)
        return frame.result(node)

    def body(self, statements: list[ast.stmt], lanes: Lanes) -> Lanes | None:
        """Execute statements; the lanes that fall through the end."""
        raise NotImplementedError


def truth(value: Any) -> Any:
    """A value as a condition."""
    return value if np.ndim(value) == 0 else np.asarray(value).astype(bool, copy=False)
