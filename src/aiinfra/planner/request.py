"""What ``aiinfra plan`` was asked, made into a job, and what was found for it."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiinfra.facts.schema import Accelerator
    from aiinfra.facts.world_schema import ModelShape
    from aiinfra.model.bill import Run, Site
    from aiinfra.model.layout import Cluster
    from aiinfra.model.plan import Candidate, Job, Search

STEP_TOKENS = 2**24  # of Llama 3.1 405B: 16 million a step (arXiv 2407.21783, table 4)
SEQUENCE = 8192
NODE = 8
DROPOUT_YEAR = 2020  # GPT-2 and GPT-3 train with dropout, Llama and MPT (2023) without
SHOWN = 5


class PlanError(ValueError):
    """A plan that cannot be made as it was asked for; the message names the mend."""


@dataclass(frozen=True)
class Plan:
    """A search with its runs and everything that was assumed on the way."""

    shape: ModelShape
    device: Accelerator
    search: Search
    site: Site
    tokens: float
    shown: tuple[tuple[Candidate, Run], ...]


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``aiinfra plan``."""
    add = parser.add_argument
    add("--model", required=True, metavar="NAME", help="such as llama-3.1-405b")
    add("--accelerator", required=True, metavar="NAME", help="such as h100-sxm, or my.toml")
    add("--count", required=True, type=int, metavar="N", help="how many accelerators")
    add("--sequence", type=int, metavar="TOKENS", help="of one sequence; default 8192 at most")
    add("--global-batch", type=int, metavar="N", help="sequences a step; default 16 million tokens")
    add("--tokens", type=float, metavar="N", help="of the run; default the model's own, or 20 each")
    add("--context", type=int, default=1, metavar="N", help="ranks that share a sequence")
    add("--node-size", type=int, metavar="N", help="accelerators on one device link; default 8")
    add("--network", default="", metavar="LINK", help="per accelerator; default the vendor's")
    add("--precision", metavar="NAME", help="default bf16, or fp16 where there is none")
    add("--grid", default="us", metavar="NAME", help="electricity; default us")
    add("--pue", type=float, metavar="RATIO", help="of the building; default a hyperscaler's")
    add("--top", type=int, default=SHOWN, metavar="N", help=f"layouts to show; default {SHOWN}")
    add("--json", action="store_true", help="print JSON")


def make_plan(options: argparse.Namespace) -> Plan:
    """Search the layouts that the options ask for; ``PlanError`` says what is wrong with them."""
    from aiinfra.facts import world_catalogue as world
    from aiinfra.facts.schema import CatalogueError
    from aiinfra.model.bill import TOKENS_PER_PARAMETER, run_of, site_of
    from aiinfra.model.plan import search

    try:
        shape = world.model_shape(options.model)
        device = read_device(options.accelerator)
        pue = options.pue or world.facility_figure("pue-hyperscale").value
        site = site_of(device, world.grid(options.grid), pue)
        job = read_job(options, shape, device)
        found = search(job)
    except (CatalogueError, ValueError) as problem:
        raise PlanError(problem) from None
    own = shape.training_tokens or TOKENS_PER_PARAMETER * shape.parameters
    tokens = options.tokens or own
    shown = tuple(
        (each, run_of(job, each, tokens, site)) for each in found.alternatives[: options.top]
    )
    return Plan(shape, device, found, site, tokens, shown)


def read_device(text: str) -> Accelerator:
    """Find an accelerator by its slug, or read it from a file: ``my.toml`` or ``my.toml:slug``."""
    from aiinfra.facts.catalogue import accelerator, load_accelerators

    name, colon, slug = text.partition(".toml")
    if not colon:
        return accelerator(text)
    entries = load_accelerators(Path(f"{name}.toml"))
    wanted = slug.removeprefix(":")
    if wanted:
        return accelerator(wanted, own=entries)
    if len(entries) != 1:
        slugs = ", ".join(entry.slug for entry in entries)
        raise PlanError(
            f"{name}.toml holds {slugs}; choose one, as in {name}.toml:{entries[0].slug}"
        )
    return entries[0]


def read_job(options: argparse.Namespace, shape: ModelShape, device: Accelerator) -> Job:
    """Make the job that the options describe."""
    from aiinfra.model.named import transformer_of
    from aiinfra.model.plan import Job

    for name in ("count", "context", "top"):
        check_positive(name, getattr(options, name))
    for name in ("sequence", "global_batch", "node_size", "tokens", "pue"):
        if getattr(options, name) is not None:
            check_positive(name, getattr(options, name))
    if options.pue is not None and options.pue < 1:
        raise PlanError(f"--pue is at least 1, got {options.pue}")
    cluster = read_cluster(options, device)
    check_count(options.count, cluster.node_size)
    sequence = options.sequence or min(SEQUENCE, shape.context)
    if sequence > shape.context:
        raise PlanError(
            f"--sequence {sequence} exceeds the context of {shape.name}, {shape.context}"
        )
    batch = options.global_batch or default_batch(options.count, sequence)
    return Job(
        transformer_of(shape), cluster, options.count, sequence, batch,
        read_precision(options.precision, device), context=options.context,
        dropout=shape.year <= DROPOUT_YEAR,
    )  # fmt: skip


def check_positive(name: str, value: float) -> None:
    """Raise ``PlanError`` where a number is not positive and finite."""
    if not (value > 0 and math.isfinite(value)):
        option = name.replace("_", "-")
        raise PlanError(f"--{option} must be a positive number, got {value:g}")


def check_count(count: int, node_size: int) -> None:
    """Raise ``PlanError`` where the last node would be half empty."""
    if count > node_size and count % node_size:
        below = count // node_size * node_size
        raise PlanError(
            f"--count {count} is not a multiple of the node's {node_size} accelerators; "
            f"take {below} or {below + node_size}, or state --node-size"
        )


def read_cluster(options: argparse.Namespace, device: Accelerator) -> Cluster:
    """Build the cluster: nodes as the catalogue's server has them, or of eight."""
    from aiinfra.facts.world_catalogue import find_server
    from aiinfra.model.layout import Cluster

    machine = find_server(device)
    size = options.node_size or (machine.count if machine else NODE)
    return Cluster.of(device, options.network, size)


def read_precision(asked: str | None, device: Accelerator) -> str:
    """Return the precision asked for, else the widest 16-bit format that the device computes."""
    names = [asked] if asked else ["bf16", "fp16"]
    found = next((name for name in names if name in device.peaks), None)
    if found is None:
        have = ", ".join(device.peaks)
        raise PlanError(f"{device.slug} has no peak in {' or '.join(names)}; it has {have}")
    return found


def default_batch(count: int, sequence: int) -> int:
    """Sequences in about ``STEP_TOKENS`` tokens, as a power of two times the count's odd part.

    >>> default_batch(16384, 8192), default_batch(24, 8192)
    (2048, 1536)
    """
    odd = count // (count & -count)
    doublings = round(math.log2(max(1.0, STEP_TOKENS / sequence / odd)))
    return int(odd * 2**doublings)
