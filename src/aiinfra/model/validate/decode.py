"""Times per output token, as published, in milliseconds; and what the inference sets share."""

from __future__ import annotations

from aiinfra.facts.schema import CatalogueError
from aiinfra.model.inference import Deployment, mean_step
from aiinfra.model.transformer import Transformer
from aiinfra.model.validate.rows import Column, Row, RowSet

COLUMNS = {
    "case": Column("text", ""),
    "gpu": Column("text"),
    "engine": Column("text", "", meaning="blank or unknown: the constants of `other`"),
    "precision": Column(
        "text", "auto", meaning="blank or auto: 16-bit weights, activations and cache"
    ),
    "hidden": Column(),
    "layers": Column(),
    "heads": Column(),
    "kv_heads": Column(default=0, meaning="blank: as many as heads"),
    "head_size": Column(default=0, meaning="blank: hidden / heads"),
    "ffn": Column(),
    "gated_ffn": Column("flag", True, meaning="blank: three matrices"),
    "experts": Column(default=1),
    "active_experts": Column(default=1),
    "vocab": Column(),
    "tp": Column(default=1),
    "batch": Column(default=1),
    "prompt_tokens": Column(),
    "output_tokens": Column(),
}


def transformer(row: Row) -> Transformer:
    """Build the row's model; ``RowError`` names the column of a shape that cannot be built."""
    hidden, heads = row.count("hidden"), row.count("heads")
    kv_heads = row.count("kv_heads") or heads
    if heads % kv_heads:
        raise row.error("kv_heads", f"{kv_heads} must divide heads {heads}")
    if hidden % heads and row.blank("head_size"):
        raise row.error("heads", f"{heads} must divide hidden {hidden}; or give head_size")
    if row.count("active_experts") > row.count("experts"):
        raise row.error("active_experts", f"must be at most experts {row.count('experts')}")
    return Transformer(
        hidden=hidden,
        layers=row.count("layers"),
        heads=heads,
        kv_heads=kv_heads,
        ffn=row.count("ffn"),
        gated_ffn=row.flag("gated_ffn"),
        vocab=row.count("vocab"),
        experts=row.count("experts"),
        active_experts=row.count("active_experts"),
        head_size=row.count("head_size"),
    )


def deployment(row: Row, model: Transformer) -> Deployment:
    """Build what the row's model runs on; ``RowError`` names the column of what cannot run."""
    on = Deployment(row.device(), row.count("tp"), row.text("precision"), row.text("engine"))
    try:
        model.check_tensor(on.tensor)
    except ValueError as problem:
        raise row.error("tp", str(problem)) from None
    try:
        on.format  # noqa: B018 - read once, so that a wrong precision is told with its column
    except (ValueError, CatalogueError) as problem:
        raise row.error("precision", str(problem)) from None
    return on


def predict(row: Row) -> float:
    """Price the mean decode step while the output grows, in milliseconds."""
    model = transformer(row)
    lengths = row.count("prompt_tokens"), row.count("output_tokens")
    return 1e3 * mean_step(model, deployment(row, model), row.count("batch"), *lengths).seconds


SET = RowSet(
    columns={**COLUMNS, "tpot_ms": Column("number")},
    measured=("tpot_ms",),
    unit="ms",
    predict=predict,
)
