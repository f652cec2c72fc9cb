"""Fit the constants of training, and say what they miss on rows held back.

Two fits of one constant each, the speed of matrix products in situ: on an A100 by the nine rows of
``training``, on an H100 by the rows of it in ``training_recent``. Everything else was read from a
source or reckoned, as its provenance says. How far the rows would move the overlap of data-parallel
collectives, if it were fitted too, is printed and not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import least_squares

from aiinfra.facts.calibration import Constant, constants
from aiinfra.model.layout import Cluster
from aiinfra.model.software import pick
from aiinfra.model.training import step_time
from aiinfra.model.validate import Row, find_set
from aiinfra.model.validate.report import PUBLISHED
from aiinfra.model.validate.rows import read_rows
from aiinfra.model.validate.training import fused, layout, transformer

DEVICE, FRAMEWORK = "training.device", "training.framework"
OTHER = f"{FRAMEWORK}.other"
A100, H100 = f"{DEVICE}.a100-sxm-80gb", f"{DEVICE}.h100-sxm"
CORE_NAME, FSDP = f"{FRAMEWORK}.megatron-core", f"{FRAMEWORK}.fsdp"
DEEPSPEED, LM = f"{FRAMEWORK}.deepspeed", f"{FRAMEWORK}.megatron-lm"
MATMUL = (
    "speed of matrix products in a training step over that of the same product alone; it hides "
    "what nothing else prices: lower clocks under hours of full power, gaps and framework time "
    "between kernels, stragglers. Prefill, which is short, reaches more: inference.in_situ"
)
FLASH = "share of peak FLOP/s that fused attention reaches on long sequences, both directions"
FA2 = "T. Dao, FlashAttention-2, arXiv 2307.08691: 50-73 % of an A100's peak (read 2026-11-24)"
FA3 = (
    "J. Shah et al., FlashAttention-3, arXiv 2407.08608, figure 5, forward on an H100, causal, "
    "heads of 128, 512 to 16k tokens (transcribed at subtext.edge.nugit.net, read 2026-11-24): "
)
SOURCE_2021 = "D. Narayanan et al., SC21, arXiv 2104.04473: fp16 models, gradients in fp16"
KORTHIKANTI = "V. Korthikanti et al., arXiv 2205.05198, section 4.2.2"
CORE = (
    "Megatron-Core README: fine-grained overlap of data-, tensor- and pipeline-parallel "
    "communication (read 2026-11-24); 0.7, as no overlap is perfect, is reckoned"
)
DRAINED = "all-reduced after the pipeline has drained"
LEE = (
    "Lee et al., arXiv 2507.03114, abstract (read 2026-11-24): on 4 A100, H100 or MI2xx products "
    "beside collectives are 18.9 % slower on average, and one after the other takes 10.2 % longer "
    "than both at once; so of collectives of 1.189 x 1.102 - 1 overlap saves 1.189 x 0.102, 0.39. "
)
DROPOUT = "models train with dropout, whose masks are moved"
MPT = "llm-foundry, mpt-7b.yaml (read 2026-11-24): "
PASSES = "share of peak bandwidth that kernels between the products reach"
DATA = "share of data-parallel collectives hidden"
UNIDENTIFIED = (
    "Not fitted: the rows of training_recent.csv that have it, four of FSDP, do not identify it "
    "(0.44, and 0.38 to 0.51 with one held back, as tools/fit.py prints)"
)
RECKONED = "reckoned, not measured: "
EAGER = RECKONED + "PyTorch without a compiler or fused kernels: some passes twice"

# What no row decides: name, value, unit, meaning, provenance.
GIVEN = (
    (f"{DEVICE}.a100-sxm-40gb.flash", 0.6, "ratio", FLASH, "as on an A100 of 80 GB"),
    (f"{DEVICE}.h200-sxm.flash", 0.5, "ratio", FLASH, "as on an H100, the same chip"),
    (f"{DEVICE}.other.flash", 0.5, "ratio", FLASH, RECKONED + "as on an H100"),
    (f"{DEVICE}.other.flash_ramp", 300, "tokens", "sequence on which it reaches half of that",
     FA3 + "191 to 335 TFLOP/s of FlashAttention-2, 315 to 539 of cuDNN"),
    (f"{A100}.flash", 0.6, "ratio", FLASH, FA2 + ", the middle of it"),
    (f"{H100}.flash", 0.5, "ratio", FLASH, FA3 + "cuDNN reaches 54 %; backward slower"),
    (f"{FSDP}.h100-sxm.flash", 0.33, "ratio", FLASH,
     FA3 + "FlashAttention-2, which predates the H100's instructions, 34 %; backward slower"),
    (f"{OTHER}.memory", 0.85, "ratio",
     "share of peak bandwidth that kernels between the products reach",
     "NVIDIA developer forum 339083: reading alone reaches 88 % on an A100 (read 2026-11-24); a "
     "little less for kernels that also write"),
    (f"{OTHER}.forward_overlap", 0.0, "ratio",
     "share of forward tensor-parallel collectives hidden behind computation",
     KORTHIKANTI + ": nothing to hide behind"),
    (f"{OTHER}.backward_overlap", 0.5, "ratio",
     "share of backward tensor-parallel collectives hidden behind weight gradients",
     KORTHIKANTI + ": overlapped; half, because both need the same units and memory"),
    (f"{OTHER}.stage_overlap", 0.0, "ratio", "share of sends between stages hidden",
     "Megatron-LM waits for each send and receive of its schedule"),
    (f"{OTHER}.data_overlap", 0.4, "ratio", DATA, LEE + UNIDENTIFIED),
    (f"{OTHER}.gradient_bytes", 4, "B", "bytes per parameter in which gradients are reduced",
     "V. Korthikanti et al., arXiv 2205.05198: gradients are accumulated in fp32"),
    (f"{OTHER}.accumulate", 0, "B", "bytes per parameter that adding up gradients moves",
     "Megatron-LM since 2022 adds in the product that makes them (gradient_accumulation_fusion)"),
    (f"{OTHER}.early_stop", 0, "flag", "recomputation ends before a layer's last product",
     "Megatron-LM repeats the whole layer"),
    (f"{OTHER}.dropout", 0, "flag", DROPOUT,
     "MPTConfig of 2023: every dropout is 0.0 by default (read 2026-11-24); Llama has none"),
    (f"{LM}.data_overlap", 0.0, "ratio", DATA,
     f"Megatron-LM without --overlap-grad-reduce: {DRAINED} (since when it has that is unchecked)"),
    (f"{LM}-2022.data_overlap", 0.0, "ratio", DATA, f"Megatron-LM of 2022: {DRAINED}"),
    (f"{LM}-2022.dropout", 1, "flag", DROPOUT,
     "V. Korthikanti et al., arXiv 2205.05198, section 4.1 counts the masks"),
    (f"{LM}-2021.dropout", 1, "flag", DROPOUT, "as Megatron-LM of 2022"),
    (f"{LM}-2021.data_overlap", 0.0, "ratio", DATA, f"Megatron-LM of 2021: {DRAINED}"),
    (f"{FRAMEWORK}.megatron-lm-2021.backward_overlap", 0.0, "ratio",
     "share of backward tensor-parallel collectives hidden behind weight gradients",
     "Megatron-LM of 2021 waits for its all-reduces"),
    (f"{FRAMEWORK}.megatron-lm-2021.gradient_bytes", 2, "B",
     "bytes per parameter in which gradients are reduced", SOURCE_2021),
    (f"{FRAMEWORK}.megatron-lm-2021.accumulate", 6, "B",
     "bytes per parameter that adding up gradients moves",
     SOURCE_2021 + "; each micro-batch reads two and writes one"),
    (f"{CORE_NAME}.forward_overlap", 0.7, "ratio",
     "share of forward tensor-parallel collectives hidden behind computation", CORE),
    (f"{CORE_NAME}.backward_overlap", 0.7, "ratio",
     "share of backward tensor-parallel collectives hidden behind computation", CORE),
    (f"{CORE_NAME}.stage_overlap", 0.7, "ratio",
     "share of sends between stages hidden", CORE),
    (f"{CORE_NAME}.data_overlap", 0.7, "ratio", DATA, CORE),
    (f"{FSDP}.memory", 0.5, "ratio", PASSES, EAGER),
    (f"{FSDP}.early_stop", 1, "flag", "recomputation ends before a layer's last product",
     MPT + "activation_checkpointing_reentrant false; PyTorch documentation of "
     "torch.utils.checkpoint: non-reentrant checkpoints stop early"),
    (f"{FSDP}.gradient_bytes", 2, "B", "bytes per parameter in which gradients are reduced",
     MPT + "mixed_precision PURE, which reduces in bf16 (what PURE means is unchecked)"),
    (f"{DEEPSPEED}.memory", 0.5, "ratio", PASSES, EAGER),
    (f"{DEEPSPEED}.gradient_bytes", 2, "B", "bytes per parameter in which gradients are reduced",
     "DeepSpeed reduces in the 16-bit type that it trains in (unchecked)"),
)  # fmt: skip


def errors(rows: Sequence[Row], values: Mapping[str, float]) -> dict[str, float]:
    """Signed relative error of each row with the given constants."""
    found = {}
    for row in rows:
        model, device = transformer(row), row.device()
        time = step_time(
            model,
            layout(row, model),
            Cluster.of(device),
            row.count("seq_len"),
            row.count("global_batch"),
            flash_attention=fused(row),
            framework=pick(values, row.text("framework"), device.slug),
        )
        found[row.case] = time.seconds / row.number("step_s") - 1
    return found


def best(
    rows: Sequence[Row], values: Mapping[str, float], free: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Constants ``free`` (name: lowest, highest) of the least squared log error on the rows."""

    def misses(trial: Sequence[float]) -> list[float]:
        told = errors(rows, {**values, **dict(zip(free, trial, strict=True))})
        return [float(np.log1p(error)) for error in told.values()]

    low, high = zip(*free.values(), strict=True)
    start = [values.get(name, (a + b) / 2) for name, (a, b) in free.items()]
    start = np.clip(start, np.array(low) + 1e-6, np.array(high) - 1e-6)
    found = least_squares(misses, start, bounds=(low, high), diff_step=1e-3)
    return {**values, **dict(zip(free, (float(x) for x in found.x), strict=True))}


def mean(told: Mapping[str, float]) -> float:
    """Mean absolute error in percent."""
    return 100 * sum(abs(error) for error in told.values()) / len(told)


def held_back(
    rows: Sequence[Row], values: Mapping[str, float], free: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Error of each row with constants fitted on the others."""
    told: dict[str, float] = {}
    for row in rows:
        rest = [other for other in rows if other is not row]
        told |= errors([row], best(rest, values, free))
    return told


def slide(
    rows: Sequence[Row], values: Mapping[str, float], free: Mapping[str, tuple[float, float]]
) -> None:
    """Print where constants go when fitted on all rows and with each held back."""
    samples = [list(rows), *([other for other in rows if other is not row] for row in rows)]
    whole, *rest = (best(sample, values, free) for sample in samples)
    for name in free:
        low, high = (end(each[name] for each in rest) for end in (min, max))
        print(f"{name}, fitted with {len(free) - 1} more: {whole[name]:.2f}, one row held back "
              f"{low:.2f} to {high:.2f}")  # fmt: skip


def report(name: str, told: Mapping[str, float]) -> None:
    """Print errors by row and their mean."""
    cases = ", ".join(f"{case} {100 * error:+.1f}" for case, error in told.items())
    print(f"{name}: MAPE {mean(told):.1f} % ({cases})")


def fit() -> list[Constant]:
    """Fit, print what was missed, and return the constants of the section."""
    old, new = (
        read_rows(PUBLISHED / f"{name}.csv", find_set(name))
        for name in ("training", "training_recent")
    )
    values = {name: each.value for name, each in constants().items()}
    values |= {name: float(value) for name, value, *_ in GIVEN}
    a100 = {f"{A100}.matmul": (0.5, 1.2)}
    values = best(old, values, a100)
    report("training, fitted on all", errors(old, values))
    report("training, each row held back", held_back(old, values, a100))
    papers = [[row for row in old if row.case.startswith(start)] for start in ("sc21", "k22")]
    for one, other, name in ((0, 1, "SC21"), (1, 0, "Korthikanti")):
        told = errors(papers[other], best(papers[one], values, a100))
        report(f"training, fitted on {name} alone, the others", told)
    h100 = {f"{H100}.matmul": (0.5, 1.2)}
    values = best(new, values, h100)
    report("training_recent, fitted on all", errors(new, values))
    report("training_recent, each row held back", held_back(new, values, h100))
    slide(new, values, {**h100, f"{FSDP}.data_overlap": (0.0, 1.0)})
    return [*fitted(values), *(Constant(n, float(v), u, m, p) for n, v, u, m, p in GIVEN)]


def fitted(values: Mapping[str, float]) -> list[Constant]:
    """The constants that rows decided, with their provenance."""
    recent = "fitted on the 7 rows of training_recent.csv, of which 5 are of H100"
    other = (values[f"{A100}.matmul"] + values[f"{H100}.matmul"]) / 2
    return [
        Constant(f"{DEVICE}.other.matmul", other, "ratio", MATMUL, "mean of A100 and H100"),
        Constant(f"{A100}.matmul", values[f"{A100}.matmul"], "ratio", MATMUL,
                 "fitted on the 9 rows of training.csv"),
        Constant(f"{H100}.matmul", values[f"{H100}.matmul"], "ratio", MATMUL, recent),
        Constant(f"{DEVICE}.h200-sxm.matmul", values[f"{H100}.matmul"], "ratio", MATMUL,
                 "as on an H100, the same chip at the same power"),
        Constant(f"{DEVICE}.a100-sxm-40gb.matmul", values[f"{A100}.matmul"], "ratio", MATMUL,
                 "as on an A100 of 80 GB, the same chip at the same power"),
    ]  # fmt: skip
