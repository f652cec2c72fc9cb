"""Memory of the first pipeline stage in training, as published, in GiB.

The published bars come from the paper's own formula, which the ledger follows, so that an error of
0.0 % compares a formula with itself: it shows that the formula was copied without a slip, and is no
evidence that the ledger meets what a device measures.
"""

from __future__ import annotations

from aiinfra.model.layout import Layout, LayoutError
from aiinfra.model.memory import memory_ledger
from aiinfra.model.validate.rows import Column, Row, RowSet
from aiinfra.model.validate.training import COLUMN_OF, transformer
from aiinfra.units import GIB


def predict(row: Row) -> float:
    """Reckon state and activations of the layers, in GiB.

    The published bars are of the layers alone (18 B a parameter of ``12 h^2 L / (p t)``, to four
    digits), so embedding, logits and working memory, 1 to 9 % more, stay out of the comparison.
    ``dp``, ``zero`` and ``flash_attention`` count where a file has them; models train with dropout.
    """
    model = transformer(row)
    try:
        layout = Layout(
            tensor=row.count("tp"),
            pipeline=row.count("pp"),
            virtual_stages=row.count("virtual_stages"),
            data=row.count("dp"),
            zero=row.count("zero"),
            micro_batch=row.count("micro_batch"),
            recompute=row.text("recompute"),  # type: ignore[arg-type]
            sequence_parallel=row.flag("sequence_parallel"),
        )
        fused = row.flag("flash_attention")
        ledger = memory_ledger(model, layout, row.count("seq_len"), fused, dropout=True)
    except LayoutError as problem:
        raise row.error(COLUMN_OF.get(problem.field, problem.field), str(problem)) from None
    state = ledger.weights + ledger.gradients + ledger.optimizer
    return (state + ledger.activations + ledger.attention_core) / GIB


SET = RowSet(
    columns={
        "case": Column("text", ""),
        "seq_len": Column(),
        "vocab": Column(),
        "hidden": Column(),
        "layers": Column(),
        "heads": Column(),
        "tp": Column(default=1),
        "pp": Column(default=1),
        "virtual_stages": Column(default=1, meaning="blank: stages are not interleaved"),
        "dp": Column(default=1, meaning="blank: 1, which shards nothing"),
        "zero": Column(default=0, least=0),
        "micro_batch": Column(default=1),
        "recompute": Column("text", "none", choices=("none", "selective", "full")),
        "sequence_parallel": Column("flag", False),
        "flash_attention": Column("flag", False, meaning="blank: scores are kept, as published"),
        "parameter_optimizer_gib": Column("number"),
        "activation_gib": Column("number"),
    },
    measured=("parameter_optimizer_gib", "activation_gib"),
    unit="GiB",
    predict=predict,
)
