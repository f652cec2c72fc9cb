"""Values of a kernel: one for all lanes (a scalar) or one per lane, typed as numba types them."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from aiinfra.measure.simt.memory import View

ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
    ast.Pow: np.power,
    ast.LShift: np.left_shift,
    ast.RShift: np.right_shift,
}
BITS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
}
COMPARISONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
RENAMED = {"pow": "power", "fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan"}
RENAMED |= {"atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}


def literal(value: Any) -> Any:
    """A literal with numba's type: int64 or float64, never weaker; ValueError beyond 64 bits."""
    if isinstance(value, bool | np.generic):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError("a number does not fit into 64 bits")
        return np.int64(value) if value < 2**63 else np.uint64(value)
    return np.float64(value) if isinstance(value, float) else value


def number(value: Any) -> Any:
    """Booleans as integers, before arithmetic."""
    kind = getattr(value, "dtype", None)
    if isinstance(value, bool) or (kind is not None and kind == np.bool_):
        return np.asarray(value).astype(np.int64)[()]
    return value


def widen(values: Any) -> Any:
    """Integers in 64 bits of their own sign, in which numba computes; all else as it is."""
    if values.dtype.kind in "iu" and values.dtype.itemsize < 8:
        return values.astype(np.int64 if values.dtype.kind == "i" else np.uint64)
    return values


def signed(value: Any) -> Any:
    """An unsigned integer as int64, whose bits stay; all else as it is."""
    return value.astype(np.int64) if _kind(value) == "u" else value


def _kind(value: Any) -> str:
    return str(getattr(getattr(value, "dtype", None), "kind", ""))


def alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Two numbers as numba joins them: int64 where one of two integers is signed.

    NumPy makes float64 of uint64 and int64. Source: ``integer_binop_cases`` of numba's
    ``typing/builtins.py``, seen in what numba-cuda 0.30.4 infers.
    """
    mixed = {_kind(left), _kind(right)} == {"i", "u"}
    return (signed(left), signed(right)) if mixed else (left, right)


def binary(operator: ast.AST, left: Any, right: Any) -> Any:
    """``left operator right`` for every lane."""
    if isinstance(left, tuple) and isinstance(right, tuple) and isinstance(operator, ast.Add):
        return left + right
    if type(operator) in BITS:
        return BITS[type(operator)](*alike(left, right))
    left, right = number(left), number(right)
    if isinstance(operator, ast.LShift | ast.RShift):  # of the type of what is shifted
        right = right.astype(left.dtype) if {_kind(left), _kind(right)} == {"i", "u"} else right
    left, right = alike(left, right)
    if isinstance(operator, ast.Pow) and np.asarray(left).dtype.kind in "iu":
        negative = np.asarray(right).dtype.kind in "iu" and np.any(np.less(right, 0))
        left = np.asarray(left).astype(np.float64)[()] if negative else left
    return ARITHMETIC[type(operator)](left, right)


def choose(bits: Any, yes: Any, no: Any) -> Any:
    """``yes`` where ``bits``, else ``no``; TypeError where the two cannot be one variable."""
    if yes is no:
        return yes
    if isinstance(yes, tuple) and isinstance(no, tuple) and len(yes) == len(no):
        return tuple(choose(bits, a, b) for a, b in zip(yes, no, strict=True))
    if isinstance(yes, View) and isinstance(no, View):
        if yes.memory is not no.memory or yes.strides != no.strides:
            raise TypeError("one name stands for two arrays in one warp")
        shape = tuple(choose(bits, a, b) for a, b in zip(yes.shape, no.shape, strict=True))
        return View(yes.memory, choose(bits, yes.offset, no.offset), shape, yes.strides)
    if any(np.asarray(value).dtype.kind == "O" for value in (yes, no)):
        raise TypeError("a value has different types in threads of one warp")
    return np.where(bits, *alike(yes, no))


def data_type(kind: Any) -> np.dtype[Any] | None:
    """The NumPy type of numbers that a numba or NumPy type stands for; None for anything else."""
    if isinstance(kind, np.dtype):
        return kind if kind.kind in "biufc" else None
    if isinstance(kind, type):
        known = kind in np.ScalarType or kind in (int, float, bool, complex)
        found = np.dtype(kind) if known else np.dtype(object)
        return found if found.kind in "biufc" else None
    if not type(kind).__module__.startswith("numba."):
        return None
    if str(kind) in ("bool", "boolean"):
        return np.dtype(bool)
    return np.dtype(str(kind)) if hasattr(kind, "bitwidth") else None


def cast(value: Any, kind: np.dtype[Any]) -> Any:
    """The value as another type; narrow integers wrap and go on as 64 bits."""
    return widen(np.asarray(value).astype(kind)[()])


def math_function(function: Any) -> Callable[..., Any] | None:
    """The vector form of a function of ``math`` or ``numpy``; None for anything else.

    A ufunc with a signature, such as ``matmul``, works across lanes and is none of them.
    """
    if isinstance(function, np.ufunc):
        return function if function.signature is None else None
    name = getattr(function, "__name__", "")
    if getattr(math, name, None) is not function:
        return None
    if name in ("floor", "ceil", "trunc"):
        return lambda value: np.asarray(getattr(np, name)(value)).astype(np.int64)[()]
    ufunc = getattr(np, RENAMED.get(name, name), None)
    if isinstance(ufunc, np.ufunc):
        return ufunc
    scalar: Any = function
    slow: Any = np.vectorize(scalar, otypes=[np.float64])
    return lambda *values: slow(*values)[()]


def folded(ufunc: Callable[..., Any], *values: Any) -> Any:
    """``min`` or ``max`` of several values."""
    if len(values) == 1 and not isinstance(values[0], tuple):
        raise TypeError("min and max take two numbers or a tuple")
    result, *rest = values[0] if len(values) == 1 else values
    for value in rest:
        result = ufunc(*alike(result, value))
    return result


def rounded(value: Any, digits: Any = None) -> Any:
    """``round``: an integer without digits, as in Python."""
    if digits is None:
        return np.asarray(np.rint(value)).astype(np.int64)[()]
    return np.round(value, int(digits))


BUILTINS: dict[Any, Callable[..., Any]] = {
    abs: np.abs,
    min: lambda *values: folded(np.minimum, *values),
    max: lambda *values: folded(np.maximum, *values),
    round: rounded,
    pow: lambda a, b: binary(ast.Pow(), a, b),
    divmod: lambda a, b: (binary(ast.FloorDiv(), a, b), binary(ast.Mod(), a, b)),
    len: lambda value: value.shape[0] if isinstance(value, View) else np.int64(len(value)),
    np.abs: np.abs,
    np.round: rounded,
}
