"""Which layout trains a model fastest on a cluster: every layout priced, those that fit sorted.

The space: tensor (within a node), pipeline, interleaving, data, ZeRO stage, micro-batch,
recomputation, and expert parallelism where there are experts; tensor parallelism brings sequence
parallelism with it, which costs nothing and saves memory (V. Korthikanti et al., arXiv 2205.05198).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from aiinfra.model.layout import Cluster, Layout, Recompute
from aiinfra.model.memory import MemoryLedger, memory_ledger
from aiinfra.model.software import software
from aiinfra.model.training import StepTime, masked_flop, model_flop, step_time
from aiinfra.model.transformer import Transformer
from aiinfra.units import format_binary

USABLE = 0.95  # of the memory; the rest is left to context, collectives' buffers, fragmentation


@dataclass(frozen=True)
class Job:
    """What is to be trained on what: ``count`` accelerators, sequences of ``sequence`` tokens.

    ``global_batch`` counts sequences a step, ``context`` splits each of them. ``usable`` is the
    share of the memory that the ledger may fill: a margin, not a measurement. ``dropout`` is for
    models up to 2020.
    """

    model: Transformer
    cluster: Cluster
    count: int
    sequence: int
    global_batch: int
    precision: str = "bf16"
    framework: str = ""
    context: int = 1
    usable: float = USABLE
    dropout: bool = False

    @property
    def memory(self) -> float:
        """Bytes of one accelerator that a layout may fill."""
        return self.usable * self.cluster.accelerator.memory_bytes

    @property
    def tokens(self) -> int:
        """Tokens of one step."""
        return self.global_batch * self.sequence


@dataclass(frozen=True)
class Candidate:
    """A layout with its price: time of a step and memory of an accelerator.

    ``stage_layers`` is what the fullest stage holds; where stages are uneven, the others idle.
    """

    layout: Layout
    step: StepTime
    ledger: MemoryLedger
    stage_layers: int

    @property
    def seconds(self) -> float:
        """Seconds of one step."""
        return self.step.seconds

    @property
    def bound(self) -> str:
        """The largest part of the step."""
        return self.step.bound


@dataclass(frozen=True)
class Search:
    """All that was found: candidates that fit, fastest first, and what kept the others out.

    ``considered`` counts layouts that divide; ``leanest`` is the one with the least memory,
    ``undivided`` how often which number did not divide.
    """

    job: Job
    candidates: tuple[Candidate, ...]
    considered: int
    leanest: tuple[Layout, MemoryLedger] | None
    undivided: Counter[str]

    @property
    def best(self) -> Candidate | None:
        """The fastest candidate."""
        return self.candidates[0] if self.candidates else None

    @property
    def alternatives(self) -> tuple[Candidate, ...]:
        """The fastest candidate of each mesh (tensor, pipeline, data, context, expert degrees)."""
        best: dict[tuple[int, ...], Candidate] = {}
        for found in self.candidates:
            way = found.layout
            best.setdefault((way.tensor, way.pipeline, way.data, way.context, way.expert), found)
        return tuple(best.values())

    @property
    def obstacle(self) -> str:
        """Why nothing fits, in one sentence; empty where something does."""
        if self.candidates:
            return ""
        if self.leanest is None:
            reasons = [reason for reason, _ in self.undivided.most_common(3)]
            return "no layout divides: " + "; ".join(reasons) + "; change one of these numbers"
        need, have = self.leanest[1].total, self.job.memory
        return (
            f"the leanest of {self.considered:,} layouts needs {format_binary(need)} an "
            f"accelerator, of {format_binary(have)} usable; take more accelerators, accelerators "
            "with more memory, or shorter sequences"
        )


@lru_cache(maxsize=4096)
def divisors(number: int) -> tuple[int, ...]:
    """Return the divisors of a number, ascending.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    small = [i for i in range(1, math.isqrt(number) + 1) if number % i == 0]
    large = [number // i for i in reversed(small) if i * i != number]
    return (*small, *large)


@lru_cache(maxsize=1024)
def filled(model: Transformer, pipeline: int) -> Transformer:
    """Round the layers up to a multiple of the stages: the fullest stage sets the pace.

    Llama 3.1 405B has 126 layers on 16 stages, two of which hold seven instead of eight; it takes
    the time of 128. Known error: pessimistic by the idle layers' share where embedding and logits
    stand in their place, 1.6 % there.
    """
    layers = -(-model.layers // pipeline) * pipeline
    return model if layers == model.layers else replace(model, layers=layers)


def tensor_degrees(job: Job, undivided: Counter[str]) -> list[int]:
    """Tensor-parallel degrees: within a node, dividing heads and the feed-forward width."""
    degrees = []
    for tensor in divisors(job.count):
        if tensor > job.cluster.node_size:
            continue
        if job.model.heads % tensor or job.model.ffn % tensor:
            heads, ffn = job.model.heads, job.model.ffn
            undivided[f"tensor {tensor} does not divide heads {heads} and ffn {ffn}"] += 1
        else:
            degrees.append(tensor)
    return degrees


def meshes(job: Job, undivided: Counter[str]) -> Iterator[Layout]:
    """Tensor, pipeline and data degrees that make up the count with the context degree."""
    if job.sequence % job.context:
        undivided[f"context {job.context} does not divide sequence {job.sequence}"] += 1
        return
    for tensor in tensor_degrees(job, undivided):
        rest, odd = divmod(job.count // tensor, job.context)
        if odd:
            left = job.count // tensor
            undivided[f"context {job.context} does not divide the {left} ranks beside tensor"] += 1
            continue
        for pipeline in divisors(rest):
            data = rest // pipeline
            if pipeline > job.model.layers:
                undivided[f"{pipeline} stages are more than {job.model.layers} layers"] += 1
            elif job.global_batch % data:
                undivided[f"data {data} does not divide global batch {job.global_batch}"] += 1
            else:
                yield Layout(
                    tensor, pipeline, data=data, context=job.context, sequence_parallel=tensor > 1
                )


def schedules(job: Job, mesh: Layout) -> Iterator[Layout]:
    """Micro-batches and interleaving of a mesh.

    Chunks divide a stage's layers, and an interleaved schedule runs micro-batches in rounds of as
    many as there are stages (D. Narayanan et al., arXiv 2104.04473, section 2.2).
    """
    chunks = divisors(-(-job.model.layers // mesh.pipeline)) if mesh.pipeline > 1 else (1,)
    for micro in divisors(job.global_batch // mesh.data):
        runs = job.global_batch // (mesh.data * micro)
        for virtual in chunks:
            if virtual == 1 or runs % mesh.pipeline == 0:
                yield replace(mesh, micro_batch=micro, virtual_stages=virtual)


def layouts(job: Job, undivided: Counter[str] | None = None) -> Iterator[Layout]:
    """Every layout of a job that divides.

    Selective recomputation is left out: fused attention keeps no scores, so it saves nothing.
    """
    recomputes: tuple[Recompute, ...] = ("none", "full")
    for mesh in meshes(job, Counter() if undivided is None else undivided):
        shards = mesh.data * mesh.context
        experts = divisors(math.gcd(job.model.experts, shards))
        for plan in schedules(job, mesh):
            for expert in experts:
                for recompute in recomputes:
                    for zero in (0, 1, 2, 3) if shards > 1 else (0,):
                        yield replace(plan, expert=expert, recompute=recompute, zero=zero)


def price(job: Job, layout: Layout, ledger: MemoryLedger) -> Candidate:
    """Price one layout; MFU counts the model's own FLOP, not those of idle layers."""
    model = filled(job.model, layout.pipeline)
    soft = software(job.framework, job.cluster.accelerator.slug)
    step = step_time(
        model, layout, job.cluster, job.sequence, job.global_batch, job.precision,
        framework=replace(soft, dropout=float(job.dropout)),
    )  # fmt: skip
    step = replace(
        step,
        model_flop=model_flop(job.model, job.sequence, job.global_batch),
        masked_flop=masked_flop(job.model, job.sequence, job.global_batch),
    )
    return Candidate(layout, step, ledger, layout.stage_layers(model))


def search(job: Job) -> Search:
    """Price every layout of a job that fits its memory and sort them by the time of a step.

    Memory first, since it rules most layouts out at a tenth of the price. Equal times are sorted
    by memory. Known error: that of ``training.step_time`` and ``memory_ledger``; two layouts
    closer than a few percent may change places on a real machine.
    """
    undivided: Counter[str] = Counter()
    fitting: list[Candidate] = []
    leanest: tuple[Layout, MemoryLedger] | None = None
    considered, least = 0, math.inf
    for layout in layouts(job, undivided):
        considered += 1
        model = filled(job.model, layout.pipeline)
        ledger = memory_ledger(
            model, layout, job.sequence, flash_attention=True, global_batch=job.global_batch,
            dropout=job.dropout,
        )  # fmt: skip
        total = ledger.total
        if total < least:
            least, leanest = total, (layout, ledger)
        if total <= job.memory:
            fitting.append(price(job, layout, ledger))
    fitting.sort(key=lambda found: (found.seconds, found.ledger.total))
    return Search(job, tuple(fitting), considered, leanest, undivided)
