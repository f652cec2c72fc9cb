"""Every kernel of every lesson and lab compiles for four generations of GPU, with no GPU here.

CUDA C goes through NVRTC to machine code, numba kernels through NVVM to PTX. The two compilers
come as wheels for Linux on x86-64 (extra ``compile``); elsewhere these tests skip and say so.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lesson_parts import lesson, lesson_paths, listings, load_parts, numba_kernels

from aiinfra.model.tiles import residency

ARCHITECTURES = (75, 80, 90, 100)
WHEELS_EXIST = sys.platform == "linux" and platform.machine() == "x86_64"
LISTINGS = [(path, name) for path in lesson_paths() for name in listings(path)]
KERNELS = {path: names for path in lesson_paths() if (names := numba_kernels(path))}
pytestmark = pytest.mark.skipif(
    not WHEELS_EXIST, reason="NVIDIA's compilers come as wheels for Linux on x86-64 only"
)


def compile_listing(listing: str, architecture: int, *options: str) -> tuple[str, int]:
    """Compile CUDA C as CuPy would; return the compiler's log and the size of the machine code."""
    try:
        from cuda.bindings import nvrtc
    except ImportError:
        pytest.fail("NVRTC is missing: pip install -e '.[compile]'", pytrace=False)
    _, program = nvrtc.nvrtcCreateProgram(listing.encode(), b"listing.cu", 0, [], [])
    flags = [f"--gpu-architecture=sm_{architecture}", "--ptxas-options=-v", *options]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
    _, length = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * length
    nvrtc.nvrtcGetProgramLog(program, log)
    text = log.decode(errors="replace")
    assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS, text[-2000:]
    return text, int(nvrtc.nvrtcGetCUBINSize(program)[1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("path", "name"), LISTINGS, ids=lambda part: getattr(part, "stem", part))
def test_cuda_c_compiles_without_spills(path: Path, name: str, architecture: int) -> None:
    log, size = compile_listing(load_parts(path, [name])[name], architecture)
    assert size > 0
    for spilled in re.findall(r"(\d+) bytes spill", log):
        assert spilled == "0", log


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_numba_kernels_compile_to_ptx(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("compile_kernels.py")), str(path),
         *KERNELS[path]],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_there_are_listings_and_kernels() -> None:
    assert LISTINGS
    assert KERNELS


def test_a_listing_that_is_wrong_is_told() -> None:
    with pytest.raises(AssertionError, match="undefined"):
        compile_listing('extern "C" __global__ void f(float* x) { x[0] = nothing; }', 90)


PARTS: dict[str, Any] = load_parts(lesson("04_matmul_ladder"), ["GPU_RUNGS"])


@pytest.mark.parametrize("rung", PARTS["GPU_RUNGS"])
def test_the_estimated_registers_hold_as_many_blocks_as_the_compiled_ones(rung: str) -> None:
    listing, kernel, tile = PARTS["GPU_RUNGS"][rung]
    log, _ = compile_listing(listing, 90, *tile.defines)
    used = re.search(rf"entry function '{kernel}'.*?Used (\d+) registers", log, re.DOTALL)
    assert used is not None
    assert residency(tile, int(used[1])).blocks == residency(tile).blocks
    shared = re.search(r"(\d+) bytes smem", log[used.start() : used.end() + 60])
    assert tile.shared_bytes > 48 * 1024 or int(shared[1] if shared else 0) == tile.shared_bytes
