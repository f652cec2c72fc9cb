"""From a kernel to its syntax tree: find the text, keep its lines, refuse what cannot run."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import textwrap
from dataclasses import dataclass
from typing import Any

from aiinfra.measure.simt.errors import SourceMissingError, unsupported

RUNS = (
    *(ast.FunctionDef, ast.arguments, ast.arg, ast.Expr, ast.Pass, ast.Return, ast.Break),
    *(ast.Continue, ast.If, ast.For, ast.While, ast.Assign, ast.AugAssign, ast.AnnAssign),
    *(ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple, ast.Call),
    *(ast.keyword, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
)
WORDS = {
    "ListComp": "a list comprehension",
    "List": "a list",
    "Dict": "a dict",
    "Lambda": "a lambda",
    "Try": "try",
    "With": "with",
    "JoinedStr": "an f-string",
    "Raise": "raise",
    "Assert": "assert",
    "Import": "import",
    "ImportFrom": "import",
    "Yield": "yield",
    "NamedExpr": "the := operator",
    "Starred": "a * argument",
    "GeneratorExp": "a generator expression",
    "In": "the operator in",
    "NotIn": "the operator not in",
    "MatMult": "the operator @",
}
# Modules that a kernel may name, and the ones that answer for them where it is interpreted.
MODULES = {"numba": "numba", "numba.cuda": "numba.cuda", "math": "math", "numpy": "numpy"}
MODULES |= dict.fromkeys(("numba.types", "numba.core.types", "numba.cuda.types"), "numba")
MODULE_NAMES = frozenset(MODULES.values())
REFUSED = (ast.In, ast.NotIn, ast.MatMult)


@dataclass(frozen=True)
class Source:
    """A kernel or device function: its tree, its names, and the function with its globals."""

    name: str
    function: Any
    tree: ast.FunctionDef
    locals: frozenset[str]

    def lookup(self, name: str) -> Any:
        """What a name that is not local means: closure, module, builtin; KeyError if nothing."""
        code = self.function.__code__
        if name in code.co_freevars:
            return self.function.__closure__[code.co_freevars.index(name)].cell_contents
        if name in self.function.__globals__:
            return self.function.__globals__[name]
        return vars(builtins)[name]


def plain_function(kernel: Any) -> Any:
    """The Python function behind a dispatcher, or the function itself."""
    if hasattr(kernel, "dispatcher") and hasattr(kernel, "griddim"):
        raise TypeError("leave out the [..]: a kernel is passed without its launch configuration")
    function = getattr(kernel, "py_func", kernel)
    if not inspect.isfunction(function):
        raise TypeError(f"launch needs a kernel (a function or @cuda.jit), not {kernel!r}")
    return function


def read_source(kernel: Any) -> Source:
    """Parse a kernel, line numbers as in its file or cell.

    Raises SourceMissingError where no text is kept, UnsupportedError for a construct that cannot
    run.
    """
    function = plain_function(kernel)
    code = function.__code__
    if function.__name__ == "<lambda>":
        raise unsupported("<lambda>", ast.Pass(lineno=code.co_firstlineno), "a lambda", "use def")
    try:
        tree = ast.parse(textwrap.dedent(text_of(function)))
    except (OSError, SyntaxError, IndentationError) as error:
        raise SourceMissingError(
            f"the source of {function.__name__} ({code.co_filename}) cannot be read; "
            "define the kernel in a file or a notebook cell"
        ) from error
    ast.increment_lineno(tree, code.co_firstlineno - 1)
    found = tree.body[0]
    if not isinstance(found, ast.FunctionDef):
        raise unsupported(function.__name__, found, "anything but a plain def")
    found.decorator_list, found.returns = [], None
    _refuse(found, function.__name__)
    return Source(function.__name__, function, found, frozenset(code.co_varnames))


def text_of(function: Any) -> str:
    """The lines of a function as they were typed; OSError where none are kept."""
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    if lines:
        return "".join(inspect.getblock(lines[function.__code__.co_firstlineno - 1 :]))
    return inspect.getsource(function)


def _refuse(tree: ast.FunctionDef, name: str) -> None:
    stars = (tree.args.vararg, tree.args.kwarg, *tree.args.kwonlyargs)
    if star := next((argument for argument in stars if argument), None):
        what = f"the parameter {star.arg} behind a *"
        raise unsupported(name, star, what, "name each parameter by its place")
    for node in ast.walk(tree):
        if node is not tree and isinstance(node, ast.FunctionDef):
            raise unsupported(name, node, "a function inside a kernel", "define it outside")
        if isinstance(node, ast.For | ast.While) and node.orelse:
            raise unsupported(name, node, "else after a loop")
        if not isinstance(node, RUNS) or isinstance(node, REFUSED):
            kind = type(node).__name__
            raise unsupported(name, _placed(tree, node), WORDS.get(kind, f"{kind}"))


def _placed(tree: ast.AST, node: ast.AST) -> ast.AST:
    """The node itself, or for an operator the expression that holds it."""
    if hasattr(node, "lineno"):
        return node
    parents = (parent for parent in ast.walk(tree) if node in ast.iter_child_nodes(parent))
    return next((parent for parent in parents if hasattr(parent, "lineno")), tree)
