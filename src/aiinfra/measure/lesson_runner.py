"""Run a lesson statement by statement, so that a broken one does not lose the rest.

``python -m aiinfra.measure.lesson_runner lessons/notebooks/01_cpu_vs_gpu.py`` behaves like running
the file, except that after an exception it goes on with the next statement and exits with 1.
"""

from __future__ import annotations
import __future__

import ast
import sys
import traceback
from pathlib import Path
from types import ModuleType

from aiinfra.measure import recorder


def run_lesson(path: Path) -> int:
    """Run every top-level statement of a script as ``__main__``; return how many failed."""
    lesson = ModuleType("__main__")
    lesson.__file__ = str(path)
    sys.modules["__main__"] = lesson
    sys.argv = [str(path)]
    sys.path.insert(0, str(path.parent))
    failed = flags = 0
    for statement in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            flags |= sum(getattr(__future__, item.name).compiler_flag for item in statement.names)
        code = compile(ast.Module([statement], []), str(path), "exec", flags, dont_inherit=True)
        try:
            exec(code, lesson.__dict__)
        except Exception as error:
            failed += 1
            traceback.print_exc()
            words = f"{type(error).__name__}: {error}"
            recorder.report("broken", f"line {statement.lineno}", error=words)
    return failed


if __name__ == "__main__":
    sys.exit(1 if run_lesson(Path(sys.argv[1]).resolve()) else 0)
