"""Fit the constants of inference, and say what they miss on rows held back.

Two fits. `other`, the default engine: one sequence, many degrees of tensor parallelism, from the
public table in ``gpt_fast.csv``. lmdeploy 0.1: the published rows of decode, prefill and throughput
together, each set with the same weight. A weak pull towards the first guess (a factor of two costs
as much as an error of 7 % on one row in ten) settles what rows held back leave open. Constants that
no row decides are read from a source or reckoned, as their provenance says.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from aiinfra.facts.calibration import Constant, constants
from aiinfra.model import inference
from aiinfra.model.engine import engine
from aiinfra.model.forward import layers_time
from aiinfra.model.inference import Deployment, mean_step
from aiinfra.model.transformer import Transformer
from aiinfra.model.validate import find_set
from aiinfra.model.validate.report import PUBLISHED
from aiinfra.model.validate.rows import read_rows

Measured = tuple[str, Callable[[], float], float]  # label, prediction, measurement

LMDEPLOY = "inference.engine.lmdeploy"
EARLY = f"{LMDEPLOY}-0_1"
OTHER = "inference.engine.other"
TURBOMIND = "lmdeploy source of 2023, github.com/InternLM/lmdeploy (read 2026-11-24)"
README = "gpt-fast README (read 2026-11-24), A100 80 GB"
RECKONED = "reckoned, not measured: "
SHARE = "share of the 16-bit peak that causal attention over a long prompt reaches"
FIGURE_5 = (
    "J. Shah et al., FlashAttention-3, arXiv 2407.08608, figure 5, forward on an H100, causal, "
    "heads of 128 (transcribed at subtext.edge.nugit.net, read 2026-11-24)"
)
XLLM = (
    "xLLM pull request 713 (read 2026-11-24): Qwen3-0.6B without CUDA graphs takes 4.20 ms a token "
    "and is bound by the host (2.72 ms with); 28 layers of 12 kernels, in C++"
)
EAGER = (
    "cloudai.pt, CUDA graphs (read 2026-11-24): Llama 3.1 8B on an H100 takes 8.4 ms a token "
    "eagerly and is bound by the host (5.1 ms with a graph); 32 layers of 12 kernels, in PyTorch"
)
FLASH2 = "vLLM releases (unchecked): FlashAttention-3 from 0.8 on; earlier ones run version 2"

# What no row decides: name, value, unit, meaning, provenance.
GIVEN = (
    ("inference.attention.ampere", 0.6, "ratio", SHARE,
     "T. Dao, FlashAttention-2, arXiv 2307.08691, abstract: 50-73 % on an A100, the middle of it"),
    ("inference.attention.hopper", 0.545, "ratio", SHARE, f"{FIGURE_5}: cuDNN, 539 of 989"),
    ("inference.attention.hopper-flash2", 0.34, "ratio", SHARE,
     f"{FIGURE_5}: FlashAttention-2, 335 of 989"),
    ("inference.attention.other", 0.5, "ratio", SHARE,
     "reckoned, not measured: between the others"),
    ("inference.attention.ramp", 300, "tokens", "prompt on which it reaches half of that",
     f"{FIGURE_5}: 191 to 335 TFLOP/s of FlashAttention-2, 315 to 539 of cuDNN, 512 to 16k tokens"),
    ("inference.elementwise.share", 0.83, "ratio",
     "share of peak bandwidth that kernels between the products reach",
     f"{README}: about 1700 of 2039 GB/s at best"),
    (f"{OTHER}.step", 2e-4, "s", "what the host and sampling add to a pass",
     RECKONED + "some ten kernels of sampling, one copy to the host and one graph launch"),
    (f"{OTHER}.sequence", 4e-6, "s", "host time of one sequence in a decode step",
     RECKONED + "a scheduler in C++ or hidden behind the device"),
    (f"{OTHER}.launch", 1.25e-5, "s", "host time to submit one kernel of prefill", XLLM),
    (f"{OTHER}.flash2", 0, "flag", "attention on Hopper runs FlashAttention-2",
     "engines of 2024 and later bring kernels made for Hopper"),
    *((f"inference.engine.vllm-0_{n}.flash2", 1, "flag",
       "attention on Hopper runs FlashAttention-2", FLASH2) for n in range(2, 8)),
    (f"{LMDEPLOY}.flash2", 1, "flag", "attention on Hopper runs FlashAttention-2",
     "lmdeploy's own kernels are written for Ampere (unchecked)"),
    (f"{OTHER}.skew", 0.0, "s", "wait of a collective for the slowest rank",
     "part of `direct`, which was fitted in situ"),
    (f"{OTHER}.per_head", 0, "flag", "each query head reads its keys and values for itself",
     "T. Dao et al., Flash-Decoding, 2023 (unchecked): long contexts are split over blocks; "
     "groups read once, as grouped-query kernels do"),
    (f"{OTHER}.late_start", 0, "flag", "the last prompt token goes through a decode step",
     "engines sample the first token from the prefill pass"),
    (f"{OTHER}.fp8_cache", 0, "flag", "fp8 models keep an fp8 cache",
     "vLLM documentation, Quantized KV cache (read 2026-11-24): only where it is asked for"),
    (f"{OTHER}.stall", 0.0, "ratio", "a batch's time beyond its prefill and decode steps",
     "a static batch has nothing to wait for"),
    ("inference.engine.tensorrt-llm.fp8_cache", 1, "flag", "fp8 models keep an fp8 cache",
     "TensorRT-LLM documentation, Quantization (read 2026-11-24): checkpoints may carry it; "
     "that published fp8 rows use it is our reading (unchecked)"),
    ("inference.engine.vllm.step", 6e-4, "s", "what the host and sampling add to a pass",
     RECKONED + "scheduling in Python between steps; versions before 0.6 take several times that"),
    ("inference.engine.vllm.sequence", 1e-5, "s", "host time of one sequence in a decode step",
     RECKONED + "bookkeeping and detokenising in Python"),
    ("inference.engine.vllm.launch", 2.2e-5, "s", "host time to submit one kernel of prefill",
     EAGER),
    ("inference.engine.sglang.launch", 2.2e-5, "s", "host time to submit one kernel of prefill",
     EAGER),
    (f"{LMDEPLOY}.step", 0.0, "s", "what the host and sampling add to a pass",
     "cannot be told from `layer` with two models; counted there"),
    (f"{LMDEPLOY}.direct", 0.0, "s", "latency of an own all-reduce; 0 is NCCL",
     f"{TURBOMIND}: calls NCCL"),
    (f"{EARLY}.per_head", 1, "flag", "each query head reads its keys and values for itself",
     f"{TURBOMIND}: decoder_multihead_attention starts one block a head and sequence"),
    (f"{EARLY}.late_start", 1, "flag", "the last prompt token goes through a decode step",
     f"{TURBOMIND}: LlamaBatch.cc takes one token off each prompt, 'will process with decoder'"),
)  # fmt: skip

# What rows decide: name, first guess, unit, meaning.
DEFAULT = (
    (f"{OTHER}.layer", 30e-6, "s", "gaps and short kernels of a layer beyond their traffic"),
    (f"{OTHER}.direct", 8e-6, "s", "an all-reduce of a few KiB over NVLink, all ranks writing "
     "to all; NCCL's where that is faster"),
    ("inference.weight_only", 0.85, "ratio",
     "bandwidth of weights that are widened on the way, over that of 16-bit ones"),
)  # fmt: skip
FITTED = (
    (f"{LMDEPLOY}.layer", 30e-6, "s", "gaps and short kernels of a layer beyond their traffic"),
    (f"{LMDEPLOY}.skew", 15e-6, "s", "wait of an NCCL all-reduce for the slowest rank, in situ"),
    (f"{LMDEPLOY}.sequence", 20e-6, "s", "sampling and streaming of a sequence in a decode step"),
    ("inference.cache.share", 0.85, "ratio", "share of peak bandwidth in reading the cache"),
    ("inference.l2", 2.5, "ratio", "bandwidth of the L2 cache over that of memory, as readers of "
     "one key and value head reach it"),
    ("inference.in_situ", 0.9, "ratio", "speed of products bound by arithmetic, over that alone"),
    (f"{LMDEPLOY}.stall", 0.05, "ratio", "a batch's time beyond its prefill and decode steps"),
)  # fmt: skip


SHAPE = (
    "hidden", "layers", "heads", "kv_heads", "ffn", "vocab", "experts", "active_experts",
)  # fmt: skip
PULL = {"inference.in_situ": 0.1}  # no row without a long prompt says anything about it


def use(values: Mapping[str, float]) -> None:
    """Let the models compute with these values from now on."""
    known = constants()
    assert isinstance(known, dict)
    for name, value in values.items():
        known[name] = Constant(name, value, "", "", "")
    for cached in (engine, layers_time, inference.prefill, inference.decode_step):
        cached.cache_clear()


def published() -> list[Measured]:
    """All rows of the three sets."""
    rows = [
        (name, find_set(name), row)
        for name in ("decode", "prefill", "throughput")
        for row in read_rows(PUBLISHED / f"{name}.csv", find_set(name))
    ]
    return [
        (f"{name} {row.case}", lambda s=s, row=row: s.predict(row), row.number(s.measured[0]))
        for name, s, row in rows
    ]


def gpt_fast(held_back: bool) -> list[Measured]:
    """The public table behind the default engine: the rows it is fitted on, or the others."""
    lines = (Path(__file__).parent / "gpt_fast.csv").read_text().splitlines()
    found: list[Measured] = []
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        if bool(int(row["held_back"])) != held_back:
            continue
        model = Transformer(**{name: int(row[name]) for name in SHAPE}, gated_ffn=True)

        def predict(model: Transformer = model, row: dict[str, str] = row) -> float:
            on = Deployment.of(row["gpu"], int(row["tp"]), row["precision"], row["engine"])
            lengths = int(row["prompt_tokens"]), int(row["output_tokens"])
            return 1e3 * mean_step(model, on, 1, *lengths).seconds

        label = f"gpt-fast {row['case']} {row['precision']} tp {row['tp']}"
        found.append((label, predict, 1e3 / float(row["tokens_per_s"])))
    return found


def errors(rows: Sequence[Measured]) -> np.ndarray:
    """Signed relative errors."""
    return np.array([predict() / measured - 1 for _, predict, measured in rows])


def solve(wanted: Sequence[tuple[str, float, str, str]], rows: Sequence[Measured]) -> None:
    """Fit the wanted constants on rows, and leave the models computing with them."""
    names = [entry[0] for entry in wanted]
    guess = np.array([entry[1] for entry in wanted])
    sets = [label.split()[0] for label, _, _ in rows]
    weight = np.sqrt([1 / sets.count(name) for name in sets])
    pull = np.array([PULL.get(name, 0.03) for name in names])

    def residuals(x: np.ndarray) -> np.ndarray:
        use(dict(zip(names, guess * np.exp(x), strict=True)))
        return np.concatenate([weight * errors(rows), pull * x])

    found = least_squares(
        residuals, np.zeros(len(names)), loss="soft_l1", f_scale=0.02, diff_step=1e-3, max_nfev=40
    )
    use(dict(zip(names, guess * np.exp(found.x), strict=True)))


def told(title: str, rows: Sequence[Measured]) -> None:
    """Print the mean absolute error of each set among rows."""
    for name in dict.fromkeys(label.split()[0] for label, _, _ in rows):
        part = [row for row in rows if row[0].startswith(f"{name} ")]
        print(
            f"{title:<34} {name:<11} {100 * np.abs(errors(part)).mean():5.1f} %  {len(part)} rows"
        )


def held_back(rows: Sequence[Measured]) -> None:
    """Fit without a part of the rows and print the error on that part."""
    parts: dict[str, Callable[[str], bool]] = {
        "70B held back": lambda label: "70b" in label,
        "7B held back": lambda label: "7b" in label,
        "prompts of 2048 held back": lambda label: "-2048-128" in label or "2048-2048" in label,
        "batches above 16 held back": lambda label: "-32-" in label or "-64-" in label,
    }
    for title, away in parts.items():
        solve(FITTED, [row for row in rows if not away(row[0])])
        told(title, [row for row in rows if away(row[0])])
    print("every third row held back, three times")
    folds: dict[str, list[float]] = {}
    for fold in range(3):
        solve(FITTED, [row for i, row in enumerate(rows) if i % 3 != fold])
        part = [row for i, row in enumerate(rows) if i % 3 == fold]
        for (label, _, _), error in zip(part, errors(part), strict=True):
            folds.setdefault(label.split()[0], []).append(abs(error))
    for name, missed in folds.items():
        print(f"{'  ' + name:<46} {100 * np.mean(missed):5.1f} %  {len(missed)} rows")


def fit() -> list[Constant]:
    """Fit both engines; print fitted and held-back errors; return every constant."""
    for name in [name for name in constants() if name.startswith("inference.")]:
        del constants()[name]  # type: ignore[attr-defined]
    use({name: value for name, value, *_ in (*GIVEN, *DEFAULT, *FITTED)})
    default, rows = gpt_fast(held_back=False), published()
    solve(DEFAULT, default)
    told("fitted", default)
    told("4 bit, 405B and Mixtral held back", gpt_fast(held_back=True))
    held_back(rows)
    solve(FITTED, rows)
    told("fitted", rows)
    where = {
        **{
            entry[0]: f"fitted on {len(default)} rows of the {README}, batch 1" for entry in DEFAULT
        },
        **{
            entry[0]: f"fitted on the {len(rows)} published rows of lmdeploy 0.1 on A100 "
            "(decode, prefill, throughput)"
            for entry in FITTED
        },
    }
    known = constants()
    fitted = [
        Constant(name, known[name].value, unit, meaning, where[name])
        for name, _, unit, meaning in (*DEFAULT, *FITTED)
    ]
    return [*(Constant(*entry) for entry in GIVEN), *fitted]
