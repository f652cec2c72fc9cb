"""Step times of training, as published, in seconds."""

from __future__ import annotations

from dataclasses import replace

from aiinfra.model.layout import Cluster, Layout, LayoutError
from aiinfra.model.memory import memory_ledger
from aiinfra.model.software import family, software
from aiinfra.model.training import StepTime, step_time
from aiinfra.model.transformer import Transformer
from aiinfra.model.validate.rows import Column, Row, RowSet

# The columns that a layout's numbers come from, to name the one to change.
COLUMN_OF = {
    "tensor": "tp",
    "pipeline": "pp",
    "data": "dp",
    "sequence": "seq_len",
    "context": "cp",
    "expert": "ep",
}
# Frameworks whose published runs predate fused attention (FlashAttention is of May 2022).
UNFUSED = ("megatron-lm-2021", "megatron-lm-2022")


def transformer(row: Row) -> Transformer:
    """Build the row's model: the feed-forward network is four times as wide as the hidden state."""
    hidden = row.count("hidden")
    heads = row.count("heads")
    if hidden % heads:
        raise row.error("heads", f"{heads} heads do not divide hidden {hidden}")
    return Transformer(
        hidden=hidden,
        layers=row.count("layers"),
        heads=heads,
        kv_heads=heads,
        ffn=4 * hidden,
        gated_ffn=False,
        vocab=row.count("vocab"),
        tied_embeddings=True,
    )


def layout(row: Row, model: Transformer) -> Layout:
    """Build the row's layout, blanks by the rules of ``virtual_stages`` and ``micro_batch``."""
    found = Layout(
        tensor=row.count("tp"),
        pipeline=row.count("pp"),
        data=data_ranks(row),
        zero=max(row.count("zero"), sharded(row.text("framework"))),
        recompute=row.text("recompute"),  # type: ignore[arg-type]
        sequence_parallel=row.flag("sequence_parallel"),
    )
    stages = virtual_stages(model, found.pipeline) if row.blank("virtual_stages") else None
    found = replace(found, virtual_stages=stages or row.count("virtual_stages"))
    size = micro_batch(model, found, row) if row.blank("micro_batch") else None
    return replace(found, micro_batch=size or row.count("micro_batch"))


def data_ranks(row: Row) -> int:
    """Return the data-parallel ranks, where blank those that tp and pp leave of gpus."""
    model_ranks, gpus = row.count("tp") * row.count("pp"), row.count("gpus")
    if row.blank("dp") and row.blank("gpus"):
        raise row.error("dp", "is blank, and so is gpus; write one of them")
    if row.blank("gpus"):
        return row.count("dp")
    if row.blank("dp"):
        if gpus % model_ranks:
            raise row.error("gpus", f"{gpus} is not a multiple of tp x pp, {model_ranks}")
        return gpus // model_ranks
    if model_ranks * row.count("dp") != gpus:
        ranks = f"{row.count('tp')} x {row.count('pp')} x {row.count('dp')}"
        raise row.error("gpus", f"{gpus} is not tp x pp x dp, {ranks}")
    return row.count("dp")


def fused(row: Row) -> bool:
    """Return whether attention is fused; where blank it is, but for Megatron-LM up to 2022, whose
    published runs predate it, and accelerators of before 2020, which FlashAttention-2 leaves out.
    """
    if not row.blank("flash_attention"):
        return row.flag("flash_attention")
    return family(row.text("framework")) not in UNFUSED and row.device().year >= 2020


def sharded(framework: str) -> int:
    """Return the least ZeRO stage of a framework: Megatron-Core's benchmarks overlap the gathering
    of parameters, which its distributed optimizer alone can do."""
    return 1 if family(framework) == "megatron-core" else 0


def virtual_stages(model: Transformer, pipeline: int) -> int:
    """Return the default interleaving: one layer a chunk, the smallest bubble there is."""
    return 1 if pipeline == 1 or model.layers % pipeline else model.layers // pipeline


def micro_batch(model: Transformer, layout: Layout, row: Row) -> int:
    """Return the default micro-batch: with pipeline stages 1, else the most up to 4 that fit."""
    if layout.pipeline > 1:
        return 1
    capacity = row.device().memory_bytes
    share = row.count("global_batch") // layout.data
    sequence = row.count("seq_len")
    dropout = software(row.text("framework"), row.device().slug).dropout > 0
    for size in (4, 2):
        tried = replace(layout, micro_batch=size)
        ledger = memory_ledger(model, tried, sequence, fused(row), dropout=dropout)
        fits = ledger.total < 0.9 * capacity
        if share % size == 0 and fits:
            return size
    return 1


def price(row: Row) -> StepTime:
    """Price one row, part by part; ``RowError`` names the column of a layout that cannot run."""
    model, device = transformer(row), row.device()
    precision = "bf16" if "bf16" in device.peaks else "fp16"
    try:
        found = layout(row, model)
        return step_time(
            model,
            found,
            Cluster.of(device),
            row.count("seq_len"),
            row.count("global_batch"),
            precision,
            flash_attention=fused(row),
            framework=row.text("framework"),
        )
    except LayoutError as problem:
        raise row.error(COLUMN_OF.get(problem.field, problem.field), str(problem)) from None


def predict(row: Row) -> float:
    """Price one row, in seconds."""
    return price(row).seconds


SET = RowSet(
    columns={
        "case": Column("text", ""),
        "gpu": Column("text"),
        "framework": Column("text", "", meaning="blank or unknown: the constants of `other`"),
        "seq_len": Column(),
        "vocab": Column(),
        "hidden": Column(),
        "layers": Column(),
        "heads": Column(),
        "tp": Column(default=1, meaning="blank: 1"),
        "pp": Column(default=1, meaning="blank: 1"),
        "virtual_stages": Column(default=1, meaning=str(virtual_stages.__doc__)),
        "dp": Column(default=1, meaning=str(data_ranks.__doc__)),
        "zero": Column(default=0, least=0),
        "gpus": Column(default=1, meaning="blank: tp x pp x dp"),
        "global_batch": Column(),
        "micro_batch": Column(default=1, meaning=str(micro_batch.__doc__)),
        "recompute": Column("text", "none", choices=("none", "selective", "full")),
        "sequence_parallel": Column("flag", False),
        "flash_attention": Column("flag", True, meaning=str(fused.__doc__)),
        "step_s": Column("number"),
    },
    measured=("step_s",),
    unit="s",
    predict=predict,
)
