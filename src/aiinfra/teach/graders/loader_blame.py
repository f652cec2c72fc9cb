"""What a job of lab 03 that leaves its accelerator idle hears."""

from __future__ import annotations

from aiinfra.teach.graders.loader_job import Job, Outcome
from aiinfra.teach.graders.loader_rules import IDLE


def blame(job: Job, outcome: Outcome) -> str:
    """Say which stage an idle accelerator waits for."""
    stages = {"store": outcome.read.mean(), "decoding": outcome.decode.mean()}
    name = max(stages, key=lambda stage: stages[stage])
    seconds = (
        f"The {name} takes {1e3 * stages[name]:.1f} ms a batch, a step {1e3 * job.step:.1f} ms"
    )
    if name == "store" and outcome.torn > 2 / 3:
        cause = "your cache keeps single samples, not whole pieces"
        held = f"{100 * outcome.torn:.0f} % of the pieces that are read lie in part in the cache"
        gaps = f"{100 * outcome.gaps:.0f} % of the bytes read are gaps"
        return f"{seconds}. {held}, and {gaps}: {cause} (`evict`)."
    if stages[name] > (1 - IDLE) * job.step:
        return f"{seconds}."
    depth = "the batches in flight" if outcome.depth is None else f"{outcome.depth} batches"
    return f"{seconds}: fast enough on average, so it comes in bursts that {depth} do not cover."
