"""What software makes of the hardware in training: shares of peaks in situ, what is overlapped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache

from aiinfra.facts.calibration import constants

BY_DEVICE = ("matmul", "flash", "flash_ramp")
FRAMEWORK = "training.framework."
# Other names of frameworks that have constants. Megatron-LM of 2024 and later trains by
# Megatron-Core, which NeMo builds on; Megatron-DeepSpeed forked Megatron-LM in 2021; Composer and
# llm-foundry shard by PyTorch FSDP.
ALIASES = {
    "megatron": "megatron-lm",
    "megatron-lm-2019": "megatron-lm-2021",
    "megatron-lm-2020": "megatron-lm-2021",
    "megatron-deepspeed": "megatron-lm-2021",
    "megatron-lm-2024": "megatron-core",
    "megatron-lm-2025": "megatron-core",
    "megatron-lm-2026": "megatron-core",
    "megatron-lm-core": "megatron-core",
    "megatroncore": "megatron-core",
    "mcore": "megatron-core",
    "nemo": "megatron-core",
    "fsdp2": "fsdp",
    "llm-foundry": "fsdp",
    "mosaicml": "fsdp",
    "composer": "fsdp",
    "torchtitan": "fsdp",
    "zero": "deepspeed",
}


@dataclass(frozen=True)
class Software:
    """Shares that kernels and schedules reach, between 0 and 1, and what a step wastes.

    By accelerator: ``matmul`` is the speed of matrix products in situ (clocks under sustained
    power, other kernels) over that of the same product alone; ``flash`` what fused attention
    reaches of the peak in FLOP/s on a long sequence, forward and backward, and ``flash_ramp`` the
    sequence in tokens that reaches half of that (masked halves of tiles, starting up).

    By framework: ``memory`` is what elementwise kernels reach of the memory's peak bandwidth;
    ``forward_overlap`` and ``backward_overlap`` (tensor parallel), ``stage_overlap`` and
    ``data_overlap`` are the shares of a communication hidden behind computation;
    ``gradient_bytes`` is the bytes per parameter in which gradients are reduced, ``accumulate``
    those that adding a micro-batch's gradients moves where no product does it on the way;
    ``early_stop`` is 1 where recomputation ends before a layer's last product, whose result nothing
    needs again, and 0 where it does not; ``dropout`` 1 where models of its time train with it.
    """

    matmul: float
    flash: float
    flash_ramp: float
    memory: float
    forward_overlap: float
    backward_overlap: float
    stage_overlap: float
    data_overlap: float
    gradient_bytes: float
    accumulate: float
    early_stop: float
    dropout: float


@lru_cache
def software(framework: str, accelerator: str) -> Software:
    """Return the constants of a framework by its name on an accelerator by its slug.

    "NVIDIA NeMo 2.0" takes those of its ``family``, ``megatron-core``; what a framework or an
    accelerator does not have is that of ``other``. A framework may have constants of its own on one
    accelerator, ``training.framework.NAME.ACCELERATOR.FIELD``.
    """
    return pick({name: each.value for name, each in constants().items()}, framework, accelerator)


@lru_cache
def family(framework: str) -> str:
    """Return whose constants a framework takes: ``other`` where nothing of its name is known.

    The longest known name or alias that it contains as whole words, in any case.

    >>> family("MosaicML llm-foundry FSDP"), family("Megatron Core 0.8"), family("MaxText")
    ('fsdp', 'megatron-core', 'other')
    """
    return find_family(framework, constants())


def find_family(framework: str, names: Iterable[str]) -> str:
    """Find the family among those that constants of the dotted ``names`` belong to."""
    words = "-" + re.sub(r"[^a-z0-9]+", "-", framework.lower()) + "-"
    known = {n.split(".")[2] for n in names if n.startswith(FRAMEWORK)} - {"other"}
    found = [name for name in {*known, *ALIASES} if f"-{name}-" in words]
    best = max(found, key=lambda name: (len(name), name), default="other")
    return ALIASES.get(best, best)


def pick(values: Mapping[str, float], framework: str, accelerator: str) -> Software:
    """Pick a framework's and an accelerator's constants from ``values`` by dotted name."""
    own = find_family(framework, values)
    found = {}
    for part in fields(Software):
        by_device = part.name in BY_DEVICE
        kind, name = ("device", accelerator) if by_device else ("framework", own)
        places = (f"framework.{own}.{accelerator}", f"{kind}.{name}", f"{kind}.other")
        names = (f"training.{place}.{part.name}" for place in places)
        found[part.name] = next(values[each] for each in names if each in values)
    return Software(**found)
