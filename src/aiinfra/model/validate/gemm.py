"""Matrix products, as measured, in microseconds."""

from __future__ import annotations

from aiinfra.facts.schema import CatalogueError
from aiinfra.model.gemm import gemm_time
from aiinfra.model.kernels import BYTES
from aiinfra.model.validate.rows import Column, Row, RowSet

PRECISIONS = {
    "bfloat16": "bf16", "half": "fp16", "float16": "fp16", "float32": "fp32", "float": "fp32",
    "float64": "fp64", "double": "fp64", "fp8_block": "fp8", "fp8_e4m3": "fp8",
    "float8_e4m3fn": "fp8", "w8a8": "int8", "nvfp4": "fp4",
}  # fmt: skip


def precision(row: Row) -> str:
    """The catalogue's name of the row's data type; ``RowError`` lists the types there are."""
    wanted = row.text("dtype").casefold()
    found = PRECISIONS.get(wanted, wanted)
    if found not in BYTES:
        known = ", ".join([*BYTES, *PRECISIONS])
        raise row.error("dtype", f"{row.text('dtype')!r} is unknown; write one of {known}")
    return found


def predict(row: Row) -> float:
    """Price the row's product, in microseconds."""
    shape = row.count("m"), row.count("n"), row.count("k")
    try:
        return 1e6 * gemm_time(*shape, precision(row), row.device()).seconds
    except CatalogueError as problem:
        raise row.error("dtype", str(problem)) from None


SET = RowSet(
    columns={
        "gpu": Column("text"),
        "dtype": Column("text", "bfloat16", meaning="blank: bfloat16"),
        "m": Column(),
        "n": Column(),
        "k": Column(),
        "latency_us": Column("number"),
    },
    measured=("latency_us",),
    unit="us",
    predict=predict,
    label=("gpu", "dtype", "m", "n", "k"),
)
