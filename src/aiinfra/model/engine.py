"""What serving software makes of the hardware, and the formats it keeps weights and cache in.

Sources: E. Frantar and D. Alistarh, "Marlin" (README, read 2026-11-24: products that decode 4-bit
weights come close to the ratio of bytes); T. Dao et al., "Flash-Decoding", 2023 (a head's cache
split over many blocks). The constants stand in ``calibration.toml``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from aiinfra.facts.calibration import constants
from aiinfra.facts.schema import Accelerator

ALIASES = {"trt-llm": "tensorrt-llm", "trtllm": "tensorrt-llm", "tensorrtllm": "tensorrt-llm"}
GROUP = 128  # weights that share a 16-bit scale and a 4-bit zero point in 4-bit formats
INT4 = 0.5 + 2.5 / GROUP

# Name: what the tensor cores compute in ("half": fp16 or bf16), bytes of a weight.
FORMATS: dict[str, tuple[str, float]] = {
    "fp16": ("fp16", 2.0),
    "bf16": ("bf16", 2.0),
    "fp32": ("fp32", 4.0),
    "fp8": ("fp8", 1.0),
    "int8": ("int8", 1.0),
    "w8a16": ("half", 1.0),
    "w4a16": ("half", INT4),
    "w4a8": ("int8", INT4),
    "fp4": ("fp4", 0.5 + 1 / 16),
}
SPELLINGS = {
    "fp16": "half float16 f16 w16a16",
    "bf16": "bfloat16",
    "fp32": "float32 float",
    "fp8": "float8 fp8e4m3 e4m3 w8a8fp8 fp8w8a8",
    "int8": "w8a8 smoothquant sq int8w8a8",
    "w8a16": "int8wo int8weightonly w8 gptq8",
    "w4a16": "int4 w4 awq gptq marlin int4wo int4weightonly int4awq int4gptq awqint4 4bit",
    "w4a8": "qserve w4a8int8",
    "fp4": "nvfp4",
}
CACHE_BYTES = {"16": 2.0, "fp16": 2.0, "bf16": 2.0, "8": 1.0, "fp8": 1.0, "int8": 1.0,
               "4": 0.5, "int4": 0.5}  # fmt: skip


@dataclass(frozen=True)
class Engine:
    """Seconds that an engine adds and what its kernels can do; flags are 0 or 1.

    ``layer`` is what a layer's short kernels (norms, rotation, cache write, activation, attention's
    start) take beyond their traffic; ``step`` what the host adds to a pass, ``sequence`` to each
    sequence of a decode step (sampling, bookkeeping); ``launch`` the host's time to submit a layer
    of prefill, a floor; ``skew`` how long a collective waits for the slowest rank; ``direct`` the
    latency of its own all-reduce over NVLink, 0 where it calls NCCL; ``per_head`` whether each
    query head reads its keys and values for itself, in one block; ``late_start`` whether the last
    prompt token goes through a decode step; ``fp8_cache`` whether an fp8 model keeps an fp8 cache;
    ``stall`` the share by which a whole batch takes longer than its prefill and steps.
    """

    layer: float
    step: float
    sequence: float
    launch: float
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
    slug = re.sub(r"\s+", "-", name.strip().lower()).replace(".", "_")
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


@dataclass(frozen=True)
class Format:
    """How numbers are kept: ``compute`` is a precision of the catalogue, bytes are per value.

    ``weight_only`` says that weights are narrower than what the product computes in.
    """

    compute: str
    weight_bytes: float
    cache_bytes: float
    weight_only: bool


def half(device: Accelerator) -> str:
    """The 16-bit precision that a device computes in."""
    return "fp16" if "fp16" in device.peaks else "bf16"


def number_format(precision: str, device: Accelerator, software: Engine) -> Format:
    """Read a precision such as fp16, fp8, int8, w4a16, awq or fp8-kv8 for one device.

    Where the device has no tensor cores for a quantised format, its weights are widened to 16 bits
    on the way (as engines do for fp8 on an A100). ``int8`` means weights and activations; weights
    alone are ``w8a16``. The cache has 16 bits unless the text ends in ``kv8`` or ``kv4``, or the
    engine keeps fp8 caches for fp8 models. Raises ``ValueError`` on text it does not know.
    """
    text = re.sub(r"[\s_\-/()+]+", "", precision.lower())
    stem, _, cache = text.partition("kv")
    names = {word: key for key, words in SPELLINGS.items() for word in (key, *words.split())}
    name = names.get(stem)
    if name is None or (cache and cache not in CACHE_BYTES):
        raise ValueError(f"unknown precision {precision!r}; write one of {', '.join(FORMATS)}")
    compute, weight = FORMATS[name]
    if compute == "half" or (compute not in device.peaks and weight < 2):
        found = Format(half(device), weight, 2.0, True)
    elif compute not in device.peaks:
        raise ValueError(f"{device.name} does not compute in {compute}; write {half(device)}")
    else:
        found = Format(compute, weight, 2.0, weight < 1 and compute != "fp4")
    if cache:
        return replace(found, cache_bytes=CACHE_BYTES[cache])
    own = software.fp8_cache and name in ("fp8", "fp4")
    return replace(found, cache_bytes=1.0) if own else found
