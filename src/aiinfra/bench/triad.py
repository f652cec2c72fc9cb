"""The triad ``a = b + s c``: a loop of numba's against the same loop in C.

What makes it fair: both get the very same NumPy arrays (so the same pages, which NumPy asks Linux
to make huge), the same number of threads in equal slices, and take turns. The C is compiled here,
for this processor; threads of either side sleep between calls (``OMP_WAIT_POLICY=PASSIVE``, and a
rest before each call), since one that spins would disturb the other. What is left is the code: C
knows from ``restrict`` that the arrays do not overlap, numba looks at run time, and C may fuse the
multiply with the add. Neither stores past the caches: what gcc 12.2 (without a flag that asks for
it) and numba 0.68.1 make of the loop holds no non-temporal store (x86-64, looked up in the machine
code on 2026-11-24), so both move 32 bytes an element where STREAM counts 24. The arrays are far
larger than most last-level caches; where one holds them, the ratio is of that cache.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aiinfra.bench import REST, Ratio, interleaved, on

ELEMENTS = 2**24  # doubles in each of three arrays: 134 MB
ROUNDS = 25  # memory wanders more than arithmetic does
FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")
OPENMP = "-fopenmp"
COMPILERS = ("cc", "gcc", "clang")
SCALE = 3.0
SOURCE = """
void triad(double *restrict a, const double *restrict b, const double *restrict c,
           double s, long n, int threads) {
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (long i = 0; i < n; i++) a[i] = b[i] + s * c[i];
        return;
    }
#endif
    for (long i = 0; i < n; i++) a[i] = b[i] + s * c[i];
}
int has_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}
"""
Triad = Callable[..., Any]


def compile_c(source: str, compilers: tuple[str, ...] = COMPILERS) -> tuple[Any, str]:
    """Compile and load C code, with OpenMP where the compiler has it; the second is the command.

    Raises ``OSError`` with the reason where there is no compiler or it fails.
    """
    found = next(filter(None, map(shutil.which, compilers)), None)
    if found is None:
        raise OSError(f"no C compiler here ({', '.join(compilers)})")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        code, library = Path(folder, "code.c"), Path(folder, "code.so")
        code.write_text(source)
        for flags in ((*FLAGS, OPENMP), FLAGS):
            command = [found, *flags, str(code), "-o", str(library)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return ctypes.CDLL(str(library)), " ".join([Path(found).name, *flags])
    raise OSError(f"{found} fails: {(done.stderr.strip() or 'no message').splitlines()[0]}")


def in_c(library: Any, threads: int) -> Triad:
    """Wrap the compiled triad so that it takes arrays, as numba's does."""
    pointer, function = ctypes.c_void_p, library.triad
    function.argtypes = [pointer] * 3 + [ctypes.c_double, ctypes.c_long, ctypes.c_int]
    function.restype = None

    def triad(a: Any, b: Any, c: Any) -> None:
        function(a.ctypes.data, b.ctypes.data, c.ctypes.data, SCALE, a.size, threads)

    return triad


def in_numba(parallel: bool) -> Triad:
    """The triad as lessons write it."""
    import numba

    def triad(a: Any, b: Any, c: Any) -> None:
        for i in numba.prange(a.size):
            a[i] = b[i] + SCALE * c[i]

    compiled: Triad = numba.njit(triad, parallel=parallel)
    return compiled


def triads(elements: int = ELEMENTS, rounds: int = ROUNDS) -> Iterator[Ratio | str]:
    """Time numba's triad against C's on one core and on all, or say why there is no C."""
    import numba
    import numpy as np

    from aiinfra.measure import probe

    try:
        library, command = compile_c(SOURCE)
    except OSError as problem:
        yield f"triad: {problem}, so numba is compared with nothing."
        return
    yield f"triad in C: {command}"
    threads = min(probe().cores_usable, numba.get_num_threads())
    numba.set_num_threads(threads)
    a, b, c = (np.full(elements, value) for value in (0.0, 1.0, 2.0))
    for count in sorted({1, threads if library.has_openmp() else 1}):
        ours = functools.partial(in_numba(parallel=count > 1), a, b, c)
        theirs = functools.partial(in_c(library, count), a, b, c)
        case = f"triad on {on(count)}: C{' with OpenMP' * (count > 1)} against numba"
        yield interleaved(case, subject=ours, reference=theirs, rounds=rounds, rest=REST)
    if threads > 1 and not library.has_openmp():
        yield "triad: this compiler has no OpenMP, so all cores are compared with nothing."
