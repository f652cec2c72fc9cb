"""What serving software makes of the hardware.

Sources: T. Dao et al., "Flash-Decoding", 2023 (a head's cache split over many blocks; unchecked).
The constants stand in ``calibration.toml``, section ``inference.engine``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache

from aiinfra.facts.calibration import constants

ALIASES = {"trt-llm": "tensorrt-llm", "trtllm": "tensorrt-llm", "tensorrtllm": "tensorrt-llm",
           "turbomind": "lmdeploy"}  # fmt: skip


@dataclass(frozen=True)
class Engine:
    """Seconds that an engine adds and what its kernels can do; flags are 0 or 1.

    ``layer`` is what a layer's short kernels (norms, rotation, cache write, activation, attention's
    start) take beyond their traffic; ``step`` what the host adds to a pass, ``sequence`` to each
    sequence of a decode step (sampling, bookkeeping); ``launch`` the host's time to submit a kernel
    of prefill, whose sum is a floor; ``flash2`` whether attention on Hopper runs FlashAttention-2,
    which predates it; ``skew`` how long a collective waits for the slowest rank; ``direct`` the
    latency of its own all-reduce over NVLink, 0 where it calls NCCL; ``per_head`` whether each
    query head reads its keys and values for itself, in one block; ``late_start`` whether the last
    prompt token goes through a decode step; ``fp8_cache`` whether an fp8 model keeps an fp8 cache;
    ``stall`` the share by which a whole batch takes longer than its prefill and steps.
    """

    layer: float
    step: float
    sequence: float
    launch: float
    flash2: float
    skew: float
    direct: float
    per_head: float
    late_start: float
    fp8_cache: float
    stall: float


@lru_cache
def engine(name: str = "") -> Engine:
    """Return an engine's constants by name and version; unknown ones take those of ``other``.

    "lmdeploy 0.1.0" takes what there is for ``lmdeploy-0_1``, then ``lmdeploy``, then ``other``.
    """
    slug = re.sub(r"[\s_]+", "-", name.strip().lower()).replace(".", "_")
    for alias, full in ALIASES.items():
        slug = re.sub(rf"^{alias}(?![a-z])", full, slug)
    known = constants()
    listed = {key.split(".")[2] for key in known if key.startswith("inference.engine.")}
    fits = [key for key in listed if re.match(rf"{re.escape(key)}(?![a-z0-9])", slug)]
    chain = [f"inference.engine.{key}" for key in (*sorted(fits, key=len, reverse=True), "other")]
    return Engine(
        **{
            part.name: next(
                known[f"{key}.{part.name}"].value for key in chain if f"{key}.{part.name}" in known
            )
            for part in fields(Engine)
        }
    )
