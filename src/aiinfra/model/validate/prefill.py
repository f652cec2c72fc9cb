"""Times to the first token, as published, in milliseconds."""

from __future__ import annotations

from aiinfra.model.inference import prefill
from aiinfra.model.validate.decode import COLUMNS, deployment, transformer
from aiinfra.model.validate.rows import Column, Row, RowSet


def predict(row: Row) -> float:
    """Price reading the prompts of a batch together, in milliseconds."""
    model = transformer(row)
    on = deployment(row, model)
    return 1e3 * prefill(model, on, row.count("prompt_tokens"), row.count("batch")).seconds


SET = RowSet(
    columns={**COLUMNS, "output_tokens": Column(default=1), "ttft_ms": Column("number")},
    measured=("ttft_ms",),
    unit="ms",
    predict=predict,
)
