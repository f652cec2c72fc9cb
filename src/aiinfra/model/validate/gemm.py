"""Matrix products, as measured, in microseconds."""

from __future__ import annotations

from aiinfra.model.formats import Format, number_format
from aiinfra.model.gemm import gemm_time
from aiinfra.model.validate.rows import Column, Row, RowSet


def kept(row: Row) -> Format:
    """How the row's numbers are kept; ``RowError`` where no unit of the device computes that.

    Weight-only types (int8_wo, int4_wo, w4a16, awq, gptq) compute in 16 bits, with narrow weights.
    """
    device = row.device()
    try:
        return number_format(row.text("dtype"), device, widen=False)
    except ValueError as problem:
        raise row.error("dtype", str(problem)) from None


def predict(row: Row) -> float:
    """Price the row's product, in microseconds."""
    shape = row.count("m"), row.count("n"), row.count("k")
    found = kept(row)
    narrow = found.weight_bytes if found.weight_only else None
    return 1e6 * gemm_time(*shape, found.compute, row.device(), weights=narrow).seconds


SET = RowSet(
    columns={
        "gpu": Column("text"),
        "dtype": Column("text", "bfloat16", meaning="blank: bfloat16; auto: 16 bits"),
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
