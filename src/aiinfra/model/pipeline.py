"""An input pipeline in virtual time: a store, a team of decoders and an accelerator in a row.

``storage.loader_timeline`` follows workers that take whole batches; here all workers decode one
batch together, so that a pipeline holds ``depth`` batches and not ``workers * depth``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PipelineRun:
    """When each batch was read, decoded and computed (begin and end of each stage), in s."""

    read_begin: Floats
    read_end: Floats
    decode_begin: Floats
    decode_end: Floats
    begin: Floats
    end: Floats

    def idle(self, first: int = 0) -> float:
        """Share of the time from the begin of batch ``first`` on in which nothing computes."""
        busy = (self.end - self.begin)[first:].sum()
        return float(1 - busy / (self.end[-1] - self.begin[first]))


def pipeline(read: ArrayLike, decode: ArrayLike, step: ArrayLike, depth: int) -> PipelineRun:
    """Follow every batch through the three stages; each stage takes one batch after another.

    ``read``, ``decode`` and ``step`` are seconds, one entry a batch or one for all (at least one
    array). Reading of batch ``k`` waits until batch ``k - depth`` begins to compute, so that at
    most ``depth`` batches wait or are being prepared:
    ``read_k = max(read_{k-1}, begin_{k-depth}) + read``, ``ready_k = max(read_k, ready_{k-1}) +
    decode``, ``begin_k = max(ready_k, end_{k-1})``. Known error: no overlap of reads with each
    other. Raises ``ValueError`` for a depth below 1, negative times, and no batch at all.
    """
    columns = [np.atleast_1d(np.asarray(x, float)) for x in (read, decode, step)]
    rows = np.broadcast_arrays(*columns)
    if depth < 1 or rows[0].size == 0 or min(float(row.min()) for row in rows) < 0:
        raise ValueError(f"depth must be >= 1, got {depth}, and times >= 0, at least one batch")
    done = np.zeros((6, rows[0].size))
    fetched = decoded = computed = 0.0
    for k, (reading, decoding, computing) in enumerate(np.stack(rows, 1).tolist()):
        asked = max(fetched, done[4, k - depth]) if k >= depth else fetched
        fetched = asked + reading
        taken = max(fetched, decoded)
        decoded = taken + decoding
        begin = max(decoded, computed)
        computed = begin + computing
        done[:, k] = asked, fetched, taken, decoded, begin, computed
    return PipelineRun(*done)
