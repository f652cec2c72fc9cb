"""Compile a CUDA C listing with a C++ compiler and run it on the CPU (see cuda_on_cpu.hpp)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from aiinfra.model.tiles import Tile

HEADER = Path(__file__).with_name("cuda_on_cpu.hpp")
CHECKS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FLAGS = ("-std=c++17", "-O1", "-g0", "-w", *CHECKS)


def compiler() -> str | None:
    """A C++ compiler whose programs can switch stacks, on Linux."""
    return shutil.which("g++") if sys.platform == "linux" else None


def why_not() -> str | None:
    """Why listings cannot run here, or ``None`` when they can."""
    if compiler() is None:
        return "no g++ on Linux here: install build-essential to run the listings on the CPU"
    return None


def build(listing: str, kernel: str, operand: str, folder: Path, *options: str) -> Path:
    """Compile a listing into a program; ``AssertionError`` with the compiler's words."""
    dynamic = r"extern __shared__ (\w+) (\w+)\[\];"
    text = re.sub(dynamic, r"\1* \2 = (\1*)dynamic_shared;", listing)
    source, program = folder / f"{kernel}.cpp", folder / kernel
    source.write_text(
        f'#include "{HEADER}"\n{text}\nCUDA_ON_CPU_MAIN({kernel}, {operand})\n', encoding="utf-8"
    )
    command = [str(compiler()), *FLAGS, *options, str(source), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return program


def run(
    program: Path, tile: Tile, a: Any, b: Any, *, backwards: bool = False, eager: bool = False
) -> Any:
    """Multiply two arrays; ``AssertionError`` with what the sanitizers say of a bad access.

    ``backwards`` lets the last thread go first; ``eager`` delivers asynchronous copies at once.
    """
    (m, k), n = a.shape, b.shape[1]
    numbers = [m, n, k, *tile.grid(m, n), tile.threads, tile.shared_bytes // 16 * 16]
    numbers += [backwards, eager]
    done = subprocess.run(
        [str(program), *(str(int(number)) for number in numbers)],
        input=a.tobytes() + b.tobytes(),
        capture_output=True,
        check=False,
        env={"ASAN_OPTIONS": "detect_leaks=0"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    return np.frombuffer(done.stdout, np.float32).reshape(m, n)


def whole_tiles(a: Any, b: Any, tile: Tile) -> tuple[Any, Any]:
    """Pad two arrays with zeros to whole tiles, which adds nothing to the product."""
    (m, k), n = a.shape, b.shape[1]
    rows, columns, depth = -m % tile.rows, -n % tile.columns, -k % tile.depth
    return np.pad(a, ((0, rows), (0, depth))), np.pad(b, ((0, depth), (0, columns)))


def from_bf16(bits: Any) -> Any:
    """Widen bf16 numbers, kept in 16-bit integers, to float64."""
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
