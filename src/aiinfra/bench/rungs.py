"""The rungs of lesson 04's matrix product against the BLAS library behind NumPy.

The rungs are those of the lesson, read from its source. What makes it fair: the same float32
matrices, aligned to cache lines, an output that is written in place, as many threads for BLAS as
for the rung, and a rest before each call for threads that still wait for more work. A ratio is the
share of BLAS' rate that the rung reaches.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from aiinfra.bench import REST, Ratio, interleaved, on
from aiinfra.measure.lesson_parts import load_parts
from aiinfra.measure.record import LessonError, find_checkout, find_lessons

SIZE = 768  # as in the lesson: whole panels, and 7 MB that no core's own cache holds
LIBRARY = "NumPy (BLAS)"
EVERYWHERE = "+ all cores"


def matmuls(size: int = SIZE) -> Iterator[Ratio | str]:
    """Time each rung against BLAS on as many threads, or say why there are no rungs."""
    import numba
    from threadpoolctl import threadpool_limits

    from aiinfra.measure import probe

    try:
        [lesson] = find_lessons(["04"], find_checkout())
    except LessonError as problem:
        yield f"matmul: {problem}"
        return
    parts = load_parts(lesson, ["CPU_RUNGS", "matrices"])
    rungs, arrays = parts["CPU_RUNGS"], parts["matrices"](size)
    everyone = min(probe().cores_usable, numba.get_num_threads())
    for rung in rungs:
        if rung == LIBRARY:
            continue
        threads = everyone if rung == EVERYWHERE else 1
        numba.set_num_threads(threads)
        case = f"matmul, {size} rows, {rung}: share of BLAS on {on(threads)}"
        ours, blas = (functools.partial(rungs[name], *arrays) for name in (rung, LIBRARY))
        with threadpool_limits(threads, user_api="blas"):
            yield interleaved(case, subject=ours, reference=blas, rest=REST)
    numba.set_num_threads(everyone)
