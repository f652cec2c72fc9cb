"""All-reduces inside one node, as measured, in microseconds."""

from __future__ import annotations

from aiinfra.facts.catalogue import link
from aiinfra.model.collectives import all_reduce_time
from aiinfra.model.validate.rows import Column, Row, RowSet


def predict(row: Row) -> float:
    """Price the row's all-reduce over the links between its GPUs, in microseconds.

    GPUs without a link of their own talk over the host's.
    """
    device = row.device()
    slug = device.device_link or device.host_link
    if slug is None:
        raise row.error("gpu", f"the catalogue names no link of {device.slug}; add one to it")
    return 1e6 * all_reduce_time(row.number("message_bytes"), row.count("gpus"), link(slug)).seconds


SET = RowSet(
    columns={
        "gpu": Column("text"),
        "gpus": Column(least=2),
        "dtype": Column("text", "half", meaning="blank: half; the bytes count, not their type"),
        "message_bytes": Column("number"),
        "latency_us": Column("number"),
    },
    measured=("latency_us",),
    unit="us",
    predict=predict,
    label=("gpu", "gpus", "message_bytes"),
)
