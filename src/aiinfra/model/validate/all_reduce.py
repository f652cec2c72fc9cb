"""All-reduces inside one node, or across nodes where there are more GPUs, in microseconds."""

from __future__ import annotations

from aiinfra.model.nodes import group_all_reduce
from aiinfra.model.validate.rows import Column, Row, RowSet


def predict(row: Row) -> float:
    """Price the row's all-reduce over the links between its GPUs, in microseconds.

    GPUs without a link of their own talk over the host's; more than a node holds (8, or 72 in an
    NVL72) over the vendor's network too.
    """
    device = row.device()
    if device.device_link is None and device.host_link is None:
        raise row.error("gpu", f"the catalogue names no link of {device.slug}; add one to it")
    return 1e6 * group_all_reduce(row.number("message_bytes"), row.count("gpus"), device).seconds


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
