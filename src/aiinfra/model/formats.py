"""Number formats: how data sets and engines spell them, and what a device makes of each.

One vocabulary for matrix products and for served models. A weight-only format keeps narrow weights
and computes in 16 bits, so every device that computes in those can run it.
Sources of spellings: vLLM, TensorRT-LLM and lmdeploy documentation on quantization (read
2026-11-24). Sizes: E. Frantar et al., "GPTQ", arXiv 2210.17323 (groups of 128); Open Compute
Project, "Microscaling formats", 2023 (blocks of 32; unchecked).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from aiinfra.facts.schema import Accelerator

GROUP = 128  # weights that share a 16-bit scale and a 4-bit zero point in 4-bit formats
INT4 = 0.5 + 2.5 / GROUP
NVFP4, MXFP4 = 0.5 + 1 / 16, 0.5 + 1 / 32  # a scale of 8 bits for 16, and for 32 weights

# Name: what the tensor cores compute in ("half": 16 bits as the device has them), bytes a weight.
FORMATS: dict[str, tuple[str, float]] = {
    "auto": ("half", 2.0),
    "fp16": ("fp16", 2.0),
    "bf16": ("bf16", 2.0),
    "fp64": ("fp64", 8.0),
    "fp32": ("fp32", 4.0),
    "tf32": ("tf32", 4.0),
    "fp8": ("fp8", 1.0),
    "int8": ("int8", 1.0),
    "w8a16": ("half", 1.0),
    "w4a16": ("half", INT4),
    "w4a16-mxfp4": ("half", MXFP4),
    "w4a8": ("int8", INT4),
    "w4afp8": ("fp8", INT4),
    "nvfp4": ("fp4", NVFP4),
    "mxfp4": ("fp4", MXFP4),
}
# Other spellings, without the signs between their parts.
SPELLINGS = {
    "auto": "default",
    "fp16": "half float16 f16 w16a16",
    "bf16": "bfloat16",
    "fp64": "float64 double",
    "fp32": "float32 float f32",
    "tf32": "tensorfloat32",
    "fp8": "float8 fp8e4m3 fp8e5m2 fp8e4m3fn fp8e4m3fnuz float8e4m3 float8e4m3fn float8e4m3fnuz "
    "float8e5m2 e4m3 e5m2 fp8block fp8blockwise fp8static fp8dynamic fp8pertensor fp8ootb w8a8fp8 "
    "fp8w8a8",
    "int8": "w8a8 w8a8int8 w8a8sq sq smoothquant int8w8a8 int8sq",
    "w8a16": "int8wo int8weightonly w8 gptq8 gptqint8 w8a16gptq w8a16int8",
    "w4a16": "int4 w4 awq gptq marlin int4wo int4weightonly int4awq int4gptq awqint4 gptqint4 4bit "
    "w4a16awq w4a16gptq awqmarlin gptqmarlin",
    "w4a16-mxfp4": "w4a16mxfp4",
    "w4a8": "qserve w4a8int8 w4a8qserve",
    "w4afp8": "w4afp8awq w4a8awq w4a8fp8",
    "nvfp4": "fp4 float4 float4e2m1 float4e2m1fn w4a4 w4a4nvfp4",
    "mxfp4": "w4a4mxfp4",
}
CACHE_BYTES = {"16": 2.0, "fp16": 2.0, "bf16": 2.0, "auto": 2.0, "8": 1.0, "fp8": 1.0,
               "int8": 1.0, "fp8e4m3": 1.0, "fp8e5m2": 1.0, "4": 0.5, "int4": 0.5}  # fmt: skip
CACHES = "|".join(sorted(CACHE_BYTES, key=len, reverse=True))
NAMES = {
    word: name
    for name in FORMATS
    for word in (re.sub("-", "", name), *SPELLINGS.get(name, "").split())
}


@dataclass(frozen=True)
class Format:
    """How numbers are kept: ``compute`` is a precision of the catalogue, bytes are per value.

    ``weight_only`` says that weights are narrower than what the product computes in.
    """

    name: str
    compute: str
    weight_bytes: float
    cache_bytes: float = 2.0
    weight_only: bool = False


def half(device: Accelerator) -> str:
    """The 16-bit precision that a device computes in."""
    return "fp16" if "fp16" in device.peaks else "bf16"


def spelt(text: str) -> tuple[str, float | None]:
    """Read a spelling into the format's name and the cache's bytes a value, if it names those.

    Case, and the signs between parts, count for nothing: ``fp8_e4m3fn``, ``W4A16-AWQ``, ``fp8-kv8``
    and ``fp16-int8kv`` are all read. Raises ``ValueError`` on what it does not know.
    """
    word = re.sub(r"[\s_\-/()+.]+", "", text.lower().removeprefix("torch."))
    cache = None
    for pattern in (rf"(.+?)kv(?:cache)?({CACHES})", rf"(.+?)({CACHES})kv(?:cache)?"):
        found = re.fullmatch(pattern, word)
        if found and found[1] in NAMES:
            word, cache = found[1], CACHE_BYTES[found[2]]
            break
    if word not in NAMES:
        raise ValueError(f"unknown precision {text!r}; write one of {', '.join(FORMATS)}")
    return NAMES[word], cache


def number_format(text: str, device: Accelerator, *, widen: bool = True) -> Format:
    """Read a format such as fp16, fp8, int8, w4a16, awq or fp8-kv8 for one device.

    ``auto`` is 16 bits, ``int8`` weights and activations (weights alone are ``w8a16``), ``int4``
    weights alone, computing in 16 bits. ``widen`` lets a device without units for a quantised
    format widen its weights to 16 bits on the way, as engines do for fp8 on an A100; without it,
    and for 16 bits and more, such a format is a ``ValueError``, as is text that nobody writes.
    """
    name, cache = spelt(text)
    compute, weight = FORMATS[name]
    kept = 2.0 if cache is None else cache
    if compute == "half":
        return Format(name, half(device), weight, kept, weight < 2)
    if compute in device.peaks:
        return Format(name, compute, weight, kept, weight < 1 and compute != "fp4")
    if widen and weight < 2:
        return Format(name, half(device), weight, kept, weight_only=True)
    known = ", ".join(device.peaks)
    raise ValueError(f"{device.name} does not compute in {compute}; it has {known}")


def with_cache(found: Format, text: str, *, narrow: bool) -> Format:
    """The format with a cache of 8 bits, where ``narrow`` and the text names no cache itself."""
    return replace(found, cache_bytes=1.0) if narrow and spelt(text)[1] is None else found
