"""Output tokens a second and device of one static batch, as published."""

from __future__ import annotations

from aiinfra.model.inference import static_batch
from aiinfra.model.validate.decode import COLUMNS, deployment, transformer
from aiinfra.model.validate.rows import Column, Row, RowSet


def predict(row: Row) -> float:
    """Price a batch from its first prompt to its last token, in tokens/s and device."""
    model = transformer(row)
    lengths = row.count("prompt_tokens"), row.count("output_tokens")
    batch = static_batch(model, deployment(row, model), row.count("batch"), *lengths)
    return batch.tokens_per_second_per_device


SET = RowSet(
    columns={**COLUMNS, "output_tokens_per_s_per_gpu": Column("number")},
    measured=("output_tokens_per_s_per_gpu",),
    unit="tokens/s",
    predict=predict,
)
