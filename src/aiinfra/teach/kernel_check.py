"""Grade a ``numba.cuda`` kernel by its text: the grader reads it in a process where nothing of it
runs.

The learner's process packs the kernel as JSON of text and plain values. A fresh process, which sees
only this package and what is installed, interprets the text, grades it and sends the verdict back.
So no patched ``launch`` or NumPy of the notebook, no module beside it and no trick within the
kernel reaches the grader, and the sandbox's limits on time and memory hold.
"""

from __future__ import annotations

import ast
import importlib
import pickle
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiinfra.teach.sandbox import Apart, Limits, judge
from aiinfra.teach.verdict import Verdict, failed

NO_KERNEL = "Pass the kernel itself, a function or @cuda.jit: check(task, kernel)."


@dataclass(frozen=True)
class Sealed:
    """What travels: a kernel as the JSON of a parcel, which is text and nothing else."""

    text: str


def grade_kernel(grader: Any, submission: Any, limits: Limits) -> Verdict:
    """Grade a kernel in a process of its own; whatever is no kernel gets a verdict here."""
    try:
        payload = packed(submission)
    except Exception as problem:  # a KernelError, or whatever an odd object raises
        return failed(str(problem)[:400] or NO_KERNEL)
    apart = Apart(limits, isolated=True)
    task = {"home": grader.__module__, "name": grader.__name__}
    try:
        verdict = judge(
            lambda _, rng: Verdict(**apart.load(payload).run(__name__, "judged", **task)), None
        )
    finally:
        apart.end()
    return replace(verdict, printed=apart.printed)


def packed(submission: Any) -> bytes:
    """Return a kernel as bytes that hold no code; raises ``ValueError`` with the mend."""
    from aiinfra.measure.simt.parcel import to_json
    from aiinfra.measure.simt.portable import pack

    if isinstance(submission, str):
        raise ValueError(told_of_text(submission))
    if not callable(submission):
        raise ValueError(f"This is a {type(submission).__name__}. {NO_KERNEL}")
    return pickle.dumps(Sealed(to_json(pack(submission))))


def told_of_text(text: str) -> str:
    """Say what is wrong with source text in place of a kernel."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return f"Python cannot read this: {error.msg} (line {error.lineno}). {NO_KERNEL}"
    return f"This is text. {NO_KERNEL}"


def judged(sealed: Sealed, *, home: str, name: str) -> dict[str, Any]:
    """Grade the kernel of a parcel, in the other process; the fields of the verdict."""
    import numpy as np

    from aiinfra.measure.simt.parcel import from_json
    from aiinfra.measure.simt.portable import unpack

    grader = getattr(importlib.import_module(home), name)
    try:
        verdict = grader(unpack(from_json(sealed.text)), np.random.default_rng())
    except MemoryError:
        raise  # the sandbox makes room and says so
    except Exception as problem:
        what = f"{type(problem).__name__}: {problem}"[:200]
        verdict = failed(f"The interpreter gave up on this kernel.\n{what}")
    return asdict(verdict)
