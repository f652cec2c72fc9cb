# %% [markdown]
# # Feed a GPU from the CPUs beside it
#
# **What do the CPUs of an AI server do, and how many of their cores does one GPU need?**
#
# *You'll do:* decode images, tokenise text and move bytes on this machine, then follow a tensor
# through the links of a DGX, NVIDIA's server of eight GPUs.
#
# *You'll learn*
#
# - how many cores one GPU keeps busy with images, and how many with text;
# - when the copy to a GPU costs time, and what to do about it;
# - which link of a server bounds a path, and what a distant CPU costs.
#
# *You'll need:* lessons 00 and 01, 50 minutes, any computer.

# %%
import io
import math
import re
from collections import Counter
from itertools import pairwise
from pydoc_data.topics import topics

import numpy as np
from PIL import Image

from aiinfra.facts.catalogue import accelerator, link, overhead
from aiinfra.facts.topology import topologies, topology
from aiinfra.facts.workloads import workload
from aiinfra.facts.world_catalogue import model_shape
from aiinfra.measure import experiment, probe, time_call, time_in_turns
from aiinfra.measure.disk import disk_file
from aiinfra.measure.numa import numa_nodes, on_cores, usable_cores
from aiinfra.measure.workers import crew
from aiinfra.model.paths import crowded, legs_to_gpu, path_time
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Choice, Series, Slider, Span, breakdown, explorer, gap, ladder, server_map, sweep,
    timeline,
)
from aiinfra.teach import check, compare, learned, ledger, predict, quiz
from aiinfra.units import format_quantity

f32 = np.float32
machine = probe()
machine

# %% [markdown]
# ## How many cores feed one GPU?
#
# In every *epoch*, a pass over the data, a CPU decodes each JPEG file, cuts out a random part,
# scales it to 224 by 224 pixels, mirrors half of them and normalises the colours. ResNet-50 then
# names what they show. Our files are noise with the spectrum of photographs, about as large as
# ImageNet's mean, 115 kB.
#
# How many images does an H100 take? *MLPerf Storage*, a benchmark of drives, waits in its place,
# 224 ms for 400 images. NVIDIA publishes a tuned loop on an A100; small layers wait for memory, so
# we scale by memory bandwidth. Until you measure yours, plan with the higher rate: idle GPUs cost
# more than cores.


# %%
def photo(rng, wide=500, high=375):
    """A picture with the spectrum of a photograph, and colours that follow its brightness."""
    down, across = np.fft.fftfreq(high)[:, None], np.fft.rfftfreq(wide)
    amplitude = 1 / np.maximum(np.hypot(across, down), 1 / wide)

    def field():
        phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
        values = np.fft.irfft2(amplitude * phase, s=(high, wide))
        return values / values.std()

    light = field()
    colour = np.stack([light + 0.3 * field() for _ in range(3)], axis=2)
    return np.clip(128 + 50 * colour, 0, 255).astype(np.uint8)


def encode_jpeg(pixels, quality=89):
    """The bytes of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality)
    return file.getvalue()


def decode(jpeg):
    """Bytes to pixels."""
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def crop(picture, rng, side=224):
    """Cut out 8 to 100 % of the area, somewhat wide or high, and scale it to a square."""
    area = picture.width * picture.height * rng.uniform(0.08, 1)
    shape = math.exp(rng.uniform(-0.144, 0.144))  # wide / high = shape^2: 3:4 to 4:3
    wide = min(picture.width, math.sqrt(area) * shape)
    high = min(picture.height, math.sqrt(area) / shape)
    left, top = rng.uniform(0, picture.width - wide), rng.uniform(0, picture.height - high)
    box = (left, top, left + wide, top + high)
    return picture.resize((side, side), Image.Resampling.BILINEAR, box=box)


rng = np.random.default_rng(5)
jpegs = [encode_jpeg(photo(rng)) for _ in range(24)]
images_h100, images_a100 = workload("resnet50-h100"), workload("resnet50-a100")
tuned, gpu = overhead("resnet50-a100-tuned"), accelerator("h100-sxm")
GPUS = {"A100": accelerator("a100-sxm-80gb"), "H100": gpu, "B200": accelerator("b200-sxm")}
scaled = {name: tuned.value * one.memory_bandwidth / GPUS["A100"].memory_bandwidth
          for name, one in GPUS.items()}
fast_h100, grown = scaled["H100"], scaled["H100"] / tuned.value
print(f"mean file: {format_quantity(sum(map(len, jpegs)) / len(jpegs), 'B')}",
      f"MLPerf Storage: an H100 takes {images_h100.rate:,.0f} images/s",
      f"NVIDIA: an A100 takes {tuned.value:,.0f}; x {grown:.2f} for an H100's faster memory: "
      f"{fast_h100:,.0f}",
      f"that rule may err: MLPerf's rate grew x {images_h100.rate / images_a100.rate:.2f}",
      sep="\n")
guess_cores = predict("How many cores like yours must prepare images for an H100 at MLPerf's lower "
                      "rate?", unit="cores", key="05.cores")

# %% [markdown]
# **Measure.** First where the time of an image goes, on one core. Then *workers*: processes, each
# its own Python, as those of a data loader. One alone, and as many as there are cores here (eight
# at most), take turns, so that a slow moment of the machine meets both. Their start is not timed.
#
# Two rates: by the *clock*, and by the *core-second*, a second for which a worker had a core. Where
# other programs run, workers wait for cores: the first rate falls, the second hardly does. What a
# system calls a core may be a *hardware thread*: two share one core, so both slow down.


# %%
MEAN, SPREAD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], f32)  # ImageNet's colours


def normalise(picture, rng):
    """Mirror half of the pictures; floats, colour by colour, as a network expects them."""
    pixels = np.asarray(picture)[:, :: rng.choice([-1, 1])]
    return np.ascontiguousarray(((pixels / f32(255) - MEAN) / SPREAD).transpose(2, 0, 1))


def prepare(number):
    """All that a CPU does for one sample."""
    rng = np.random.default_rng(number)
    return normalise(crop(decode(jpegs[number % len(jpegs)]), rng), rng)


def quartiles(name, values):
    """The median and the quartiles, as columns of a table."""
    low, middle, high = (float(v) for v in np.percentile(values, [25, 50, 75]))
    return {name: middle, f"{name}_low": low, f"{name}_high": high}


@experiment(needs="cpu")
def image_stages(count):
    """Time the stages of some images on one core, and the same images from end to end, in turns."""
    rngs, pictures = [np.random.default_rng(i) for i in range(count)], [decode(j) for j in jpegs]
    parts = [crop(p, g) for p, g in zip(pictures, rngs, strict=False)]
    jobs = {"decode": lambda i: decode(jpegs[i]),
            "crop, scale": lambda i: crop(pictures[i], rngs[i]),
            "flip, normalise": lambda i: normalise(parts[i], rngs[i]), "whole": prepare}
    runs = time_in_turns({name: (lambda job: [job(i) for i in range(count)], job)
                          for name, job in jobs.items()}, rounds=9, repeats=1)
    rows = [{"stage": name, **quartiles("seconds", np.array(run.samples) / count)}
            for name, run in runs.items()]
    return Table.from_rows(rows, {"seconds": "s"})


stages = image_stages(12)
parts = {s: stages.quantity("seconds", stage=s) for s in stages["stage"]}
whole = parts.pop("whole")
summed = sum(q.value for q in parts.values())
print(f"the stages add up to {1e3 * summed:.2f} ms; from end to end an image takes",
      f"{1e3 * whole.low:.2f} to {1e3 * whole.high:.2f} ms")
breakdown([(name, value, "cpu") for name, value in parts.items()],
          title="One image on one core: no stage is free")

# %%
@experiment(needs="cpu")
def image_workers(counts, calls):
    """One worker and more prepare images, in turns: by the clock, and by the core-second."""
    clock, busy = {n: [] for n in counts}, {n: [] for n in counts}
    with crew(prepare, workers=max(counts), calls=calls) as work:
        for _ in range(12):
            for n in counts:
                shift = work(n, 0)
                clock[n].append(calls * n / shift.seconds)
                busy[n].append(calls * n / shift.busy)
    rows = [{"workers": n, **quartiles("clock", clock[n]), **quartiles("core", busy[n])}
            for n in counts]
    return Table.from_rows(rows, {"clock": "images/s", "core": "images/s"})


cores, dgx = machine.cores_usable, topology("dgx-h100")
team = image_workers(sorted({1, min(2, cores), min(8, cores)}), calls=24)
alone, most = team.table.rows()[0], team.table.rows()[-1]
per_core, slow, fast = (most[f"core{end}"] for end in ("", "_low", "_high"))
given, noisy = most["clock"] / per_core, " (a noisy run)" * (fast > 1.25 * slow)
few, many, share = images_h100.rate / per_core, fast_h100 / per_core, dgx.cpus * dgx.cores / 8
print(Table({name: team[name] for name in ("workers", "clock", "core")},
            {"clock": "images/s", "core": "images/s"}),
      f"{team.source}: {most['workers']} workers got the time of {given:.1f} cores"
      + "; other programs held the rest" * (given < 0.8 * most["workers"]),
      f"a core-second prepares {slow:,.0f} to {fast:,.0f} images{noisy}; an H100 needs "
      f"{images_h100.rate / fast:.1f} to {images_h100.rate / slow:.1f} cores at MLPerf's rate, "
      f"{fast_h100 / fast:.1f} to {fast_h100 / slow:.1f} at the scaled one; cores for one GPU:",
      Table({"GPU": list(GPUS),
             "MLPerf Storage": [math.ceil(images_a100.rate / per_core), math.ceil(few), ""],
             "NVIDIA's loop, scaled": [math.ceil(r / per_core) for r in scaled.values()]}, {}),
      sep="\n")
end = 1.5 * max(many, share)
lines = [Series("model: cores alike", [1, end], [per_core, end * per_core], "model",
                source="source: MLPerf Storage; NVIDIA's A100, scaled; model: equal cores")]
lines += [Series(name, [1, end], [rate, rate], "gpu") for name, rate in
          {"an H100, MLPerf": images_h100.rate, "an H100, scaled": fast_h100}.items()]
sweep(
    [Series("workers by the clock", team["workers"], team["clock"], "cpu", team["clock_low"],
            team["clock_high"], source=team.source), *lines],
    x=("cores at work", "cores"), y=("images prepared", "images/s"),
    mark=[(few, images_h100.rate, f"{few:.1f} cores"), (many, fast_h100, f"{many:.1f} cores"),
          (share, share * per_core, f"a DGX's {share:.0f}")],
    title=f"An H100 takes what {few:.1f} to {many:.1f} of these cores prepare{noisy}",
)

# %%
ledger.keep("prepare_rate", Quantity(per_core, "images/s", team.source, slow, fast))
apart = images_h100.rate / alone["core"]
cores_gap = compare(
    guess_cores, measured=Quantity(few, "cores", f"{team.source}, for MLPerf's rate",
                                   images_h100.rate / fast, images_h100.rate / slow),
    model=Quantity(apart, "cores", "model: all as fast as one alone"))
guess_text = predict(
    "And how many cores must tokenise text while an H100 trains an 8-billion-parameter language "
    "model? Any number above 0.", unit="cores", key="05.text",
)
gap(cores_gap, title=f"Workers side by side: an H100 takes {few:.1f} cores, not {apart:.1f}{noisy}"
    if abs(few - apart) >= 1 else f"An H100 takes {few:.1f} of these cores at MLPerf's rate{noisy}")


# %%
WORD = re.compile(r" ?\w+| ?[^\w\s]+|\s+")


def join(parts, ranks):
    """Join neighbours of a word, the pair that was learned first each time."""
    while pairs := [(ranks[p], i) for i, p in enumerate(pairwise(parts)) if p in ranks]:
        i = min(pairs)[1]
        parts = [*parts[:i], parts[i] + parts[i + 1], *parts[i + 2 :]]
    return parts


def learn_pairs(text, count):
    """Byte-pair encoding: the most frequent neighbours become one token, again and again."""
    words, ranks = Counter(WORD.findall(text)), {}
    parts = {word: list(word) for word in words}
    for rank in range(count):
        pairs = Counter()
        for word, times in words.items():
            for pair in pairwise(parts[word]):
                pairs[pair] += times
        ranks[max(pairs, key=pairs.get)] = rank
        parts = {word: join(have, ranks) for word, have in parts.items()}
    return ranks


def tokenise(text, ranks):
    """Text to tokens; a word that came before is looked up."""
    known, tokens = {}, []
    for word in WORD.findall(text):
        if word not in known:
            known[word] = join(list(word), ranks)
        tokens += known[word]
    return tokens


@experiment(needs="cpu")
def text_rate(pairs):
    """Learn on the first part of Python's own help texts, tokenise the rest on one core."""
    text = "\n".join(topics.values())
    ranks = learn_pairs(text[:30_000], pairs)
    run = time_call(tokenise, text[30_000:], ranks)
    row = {"pairs": pairs, **run.columns("rate", work=len(text) - 30_000)}
    return Table.from_rows([row], {"rate": "B/s"})


text, llama = text_rate(pairs=150), model_shape("llama-3.1-8b")
tokens_h100 = 0.4 * gpu.peaks["bf16"] / (6 * llama.parameters)  # 40 % of peak, 6 FLOP a parameter
hungry = 3.94 * tokens_h100  # characters of English a token: the Llama 3 report, section 3.2
print(f"one core tokenises {format_quantity(text['rate'][0], 'B/s')}; an H100 trains",
      f"{tokens_h100:,.0f} tokens/s of 3.94 B (Llama 3): {format_quantity(hungry, 'B/s')}")
had = Quantity(share, "cores", f"source: {dgx.name}, {dgx.cpus} x {dgx.cores} cores for 8 GPUs")
text_gap = compare(guess_text, limit=had, measured=Quantity(
    hungry / text["rate"][0], "cores", f"{text.source}, for a modelled H100"))
under = 10.0 ** math.ceil(math.log10(text_gap.measured.value))
gap(text_gap, title=f"Text for an H100 takes less than {under:g} core of {share:.0f}")

# %% [markdown]
# **Explain.** An image starts some 23 GFLOP: two for each of [3.8 billion
# multiply-adds](https://arxiv.org/abs/1512.03385), thrice for training. That is 200,000 FLOP a
# byte. A token of four bytes starts 6 for each of 8 billion parameters: 12 billion a byte. ([Good
# runs](https://arxiv.org/abs/2407.21783) reach some 40 % of a GPU's peak.) And the other cores?
#
# |cores|job|
# |-|-|
# |[1 a GPU](https://github.com/stas00/ml-engineering/tree/master/compute/cpu)|training process|
# |[1 a GPU](https://github.com/NVIDIA/nccl/issues/886)|network, a thread that waits busily|
# |2 a GPU, mostly idle; images: see above|loader|
# |4|operating system|
#
# With text, 36 of a DGX H100's 112 cores are reserved; the others write checkpoints, update
# offloaded optimiser states, or idle. With images the 11.5 left for each GPU may not suffice.
#
# **Change one thing.** Raise the quality: `encode_jpeg(photo(rng), quality=97)`. Which stage grows?

# %% [markdown]
# ## Does the batch arrive while the GPU still computes?
#
# A batch of 400 images, as floats, is 241 MB. It waits in the memory of the CPU and must cross
# PCIe 5, whose 16 lanes are rated at 63 GB/s each way. The H100 computes on it for the 224 ms of
# MLPerf Storage.
#
# A copy engine of the GPU does that alone, by *direct memory access* (DMA), but only from *pinned*
# memory, whose place the operating system has promised not to change. An ordinary NumPy array is
# *pageable*: the CPU copies it into a pinned buffer of the driver piece by piece, while DMA sends
# the piece before.

# %%
guess_copy = predict(
    "The batch lies in an ordinary NumPy array. How long is its copy over PCIe 5, in per cent of "
    "the 224 ms that the H100 computes on it?",
    unit="%", key="05.copy",
)

# %% [markdown]
# **Measure.** First how fast a core of this machine copies memory, for it is the first leg of a
# pageable copy. A model of an H100 with this copy gives the answer; where there is a GPU, a live
# run stands beside it. Three ways: from pageable memory, from pinned memory, and from pinned
# memory on a *stream* of its own, a queue that runs beside the queue of the kernels. With two
# buffers its first two copies follow one another at once. The kernel is a stand-in that reads the
# batch and then waits.


# %%
BATCH, STEP, WAYS = images_h100.samples, images_h100.step, ("pageable", "pinned", "pinned, stream")
TIMES, FLOATS = ("copy", "copied", "work", "done"), 224 * 224 * 3 * 4  # bytes of an image
SPIN_CUDA = r"""
extern "C" __global__ void spin(long long nanoseconds) {
    unsigned long long start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do { asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)); }
    while ((long long)(now - start) < nanoseconds);
}
"""


@experiment(needs="cpu")
def host_copy(n_bytes):
    """Copy far more than a core's own caches hold, on one core; each byte counts once."""
    source = np.ones(n_bytes, np.uint8)
    run = time_call(np.copyto, np.zeros(n_bytes, np.uint8), source)
    return Table.from_rows([{"bytes": n_bytes, **run.columns("rate", work=n_bytes)}],
                           {"bytes": "B", "rate": "B/s"})


def spans_of(copy, step, overlap, steps):
    """When each batch is copied and computed: one after the other, or a batch ahead."""
    rows, copied, done = [], 0.0, [0.0, 0.0]
    for _ in range(steps):
        begin = max(copied, done[-2]) if overlap else done[-1]  # two buffers, or take turns
        copied = begin + copy
        work = max(copied, done[-1])
        done.append(work + step)
        rows.append({"copy": begin, "copied": copied, "work": work, "done": done[-1]})
    return rows


def feeding_model(samples, step, steps):
    """A pageable copy is as slow as the slower of this CPU's copy and the link; pinned is DMA."""
    pcie, size = overhead("pcie-5-copy").value, samples * 224 * 224 * 3 * 4
    rates = dict(zip(WAYS, (min(copies["rate"][0], pcie), pcie, pcie), strict=True))
    rows = [{"way": way, **row} for way, rate in rates.items()
            for row in spans_of(size / rate, step, "stream" in way, steps)]
    words = "an H100 over PCIe 5, with this machine's copy"
    return Table.from_rows(rows, dict.fromkeys(TIMES, "s")), words


def lanes_of(rows):
    """What the copy engine and the GPU do, for a timeline; the first span of each is named."""
    kinds = {"copy": ("copy", "copied", "copy", "memory"), "GPU": ("work", "done", "batch", "gpu")}
    return {lane: [Span(r[start], r[end], word * (i == 0), kind) for i, r in
                   enumerate(r for r in rows if r[end] > r[start])]
            for lane, (start, end, word, kind) in kinds.items()}


copies = host_copy(2**27)
copies

# %%
@experiment(needs="gpu", model=feeding_model)
def gpu_feeding(samples, step, steps):
    """Feed a GPU that computes so long on each batch, in three ways; note every span."""
    import cupy as cp
    from cupyx import empty_pinned

    shape, spin, rows = (samples, 3, 224, 224), cp.RawKernel(SPIN_CUDA, "spin"), []
    ordinary, pinned = np.ones(shape, f32), empty_pinned(shape, f32)
    pinned[:] = 1
    buffers, sums = [cp.zeros(shape, f32) for _ in range(2)], cp.zeros(steps)
    work, own = (cp.cuda.Stream(non_blocking=True) for _ in range(2))
    for way in (WAYS[0], *WAYS):  # the first one warms up and is dropped
        host, feed = ordinary if way == "pageable" else pinned, own if "stream" in way else work
        cp.cuda.runtime.deviceSynchronize()
        start, events = cp.cuda.Event(), []
        start.record(work)
        feed.wait_event(start)
        for k in range(steps):
            marks = [cp.cuda.Event() for _ in range(4)]
            if k > 1:
                feed.wait_event(events[k - 2][3])  # its buffer is free again
            marks[0].record(feed)
            buffers[k % 2].set(host, stream=feed)
            marks[1].record(feed)
            work.wait_event(marks[1])
            marks[2].record(work)
            with work:
                sums[k] = buffers[k % 2].sum(dtype=np.float64)
                spin((1,), (1,), (np.int64(step * 1e9),))
            marks[3].record(work)
            events.append(marks)
            if feed is work:
                work.synchronize()  # as a loop does that prints its loss
        cp.cuda.runtime.deviceSynchronize()
        assert bool((sums == math.prod(shape)).all()), f"a batch arrived damaged: {way}"
        rows += [{"way": way} | {name: cp.cuda.get_elapsed_time(start, mark) / 1e3
                 for name, mark in zip(TIMES, marks, strict=True)} for marks in events]
    return Table.from_rows(rows[steps:], dict.fromkeys(TIMES, "s"))


fed = gpu_feeding(BATCH, STEP, steps=10)
first = {way: fed.table.where(way=way).rows()[:3] for way in WAYS}
timeline({way: lanes_of(rows) for way, rows in first.items()},
         title="Three ways to feed a GPU, three batches each", source=fed.source)

# %%
def shares_of(table):
    """The copy of a batch, in per cent of its step; the middle batch of each way."""
    return {way: float(np.median([100 * (r["copied"] - r["copy"]) / STEP
                                  for r in table.where(way=way).rows()])) for way in WAYS}


modelled, words = feeding_model(BATCH, STEP, steps=10)
took, live = shares_of(modelled), shares_of(fed.table)
for told, shares in {f"model: {words}": took, fed.source: live}.items():
    print(f"{told}:", ", ".join(f"{way} {v:.1f} % of the step" for way, v in shares.items()))
BUSES = ("pcie-3-x16", "pcie-4-x16", "pcie-5-x16", "pcie-6-x16", "nvlink-c2c", "nvlink-4")
RATED = {bus: link(bus).bandwidth_per_direction for bus in BUSES}
COPIED = {bus: overhead(f"{bus[:6]}-copy").value for bus in BUSES[:3]}  # from pinned memory
REACHED = RATED | COPIED
print("source: catalogue, each way; copies by others; batches as copied, else as rated",
      Table({"link": [link(bus).name for bus in BUSES], "rated": list(RATED.values()),
             "pinned copy": [format_quantity(COPIED[b], "B/s") if b in COPIED else ""
                             for b in BUSES],
             "batches in a step": [STEP * v / (BATCH * FLOATS) for v in REACHED.values()]},
            {"rated": "B/s"}), sep="\n")
others = overhead("pcie-3-pageable-copy").low, overhead("pcie-4-pageable-copy").high
shares = ", ".join(f"{100 * BATCH * FLOATS / (STEP * v):.0f} %" for v in others)
print("pageable, the slowest and the fastest that others published:", shares, "of the step")
carried, ready = REACHED["pcie-5-x16"] / FLOATS, share * per_core
print(f"images/s: PCIe 5 carries {carried:,.0f}, {share:.0f} such cores at most {ready:,.0f}:",
      f"they hold the GPU up {carried / ready:.0f} x earlier than the link")
ends = [100 * BATCH * FLOATS / (STEP * min(copies[f"rate_{end}"][0], REACHED["pcie-5-x16"]))
        for end in ("high", "low")]
copy_gap = compare(
    guess_copy, model=Quantity(took["pinned"], "%", "model: the link alone, copies by others"),
    measured=Quantity(took["pageable"], "%", f"{copies.source}; model: {words}", *ends))
gap(copy_gap, kind="gpu", title="With this machine's copy a pageable batch takes "
    f"{took['pageable']:.0f} % of the step, the link alone {took['pinned']:.1f} %"
    + " (a noisy run)" * (ends[1] > 1.25 * ends[0]))

# %% [markdown]
# **Explain.** The link alone would need about 2 % of the step. From pageable memory every byte is
# first moved by a core: [5 to 6 GB/s](https://github.com/rapidsai/dask-cuda/pull/98)
# in one server, [13 to 18](https://github.com/NVlabs/cuda-oxide/pull/976) in another. Overlapped,
# a copy costs nothing after the first batch until it takes longer than the step: then
# `period = max(copy, step)` instead of `copy + step`.
#
# NVLink 4 brings a batch from another GPU. In a GH200 *NVLink-C2C* joins the chips of CPU and GPU,
# which share an address space: in [one
# test](https://github.com/vortex-data/vortex/pull/7815) pageable copies are as fast as pinned ones.
#
# **Change one thing.** Below, take PCIe 3 and let the GPU train ever faster. From which rate on does
# the link set the pace? And with bytes for floats?


# %%
def budget(axes, bus, way, numbers, rate):
    """Four steps of a batch of 400 images over a chosen link, when the first are through."""
    size = FLOATS if numbers == "floats" else FLOATS // 4
    speed = min(copies["rate"][0], REACHED[bus]) if way == "pageable" else REACHED[bus]
    step = BATCH / rate
    rows = spans_of(BATCH * size / speed, step, "stream" in way, 9)
    start, end = rows[2]["done"], rows[6]["done"]
    window = [{name: min(max(time, start), end) - start for name, time in row.items()}
              for row in rows]
    idle, only = 100 - 400 * step / (end - start), "only " * (ready < rate)
    title = (f"At {rate:,.0f} images/s the link alone keeps the GPU waiting {idle:.0f} %; "
             f"{share:.0f} cores prepare {only}{ready:,.0f}")
    return timeline(lanes_of(window), title, source="model: batches are ready, links by "
                    f"published copies, else as rated; cores and their copy {copies.kind}")


budget(None, "pcie-5-x16", "pinned, stream", "floats", 50_000)

# %%
explorer(budget, [
    Choice("bus", "link", [(slug, link(slug).name) for slug in BUSES], "pcie-5-x16"),
    Choice("way", "memory", [(way, way) for way in WAYS], "pinned, stream"),
    Choice("numbers", "numbers", [("floats", "floats, 4 bytes"), ("bytes", "1 byte")], "floats"),
    Slider("rate", "images a second", 500, 200_000, 50_000, 0.1, log=True),
])

# %% [markdown]
# ## Does it matter which core does the work?
#
# A server has two CPUs, each with memory of its own; either may read the other's over a link
# between them. This is *NUMA*, non-uniform memory access. A *page*, 4 KiB of memory, belongs to
# the CPU whose core writes to it first (*first touch*), not to the one that asked for it.
# *Affinity* is the list of cores on which a process may run: `taskset -cp PID` shows it, and
# `nvidia-smi topo -m` which cores are near each GPU.

# %%
guess_far = predict(
    "All cores of one CPU read memory that belongs to the other CPU. How many per cent of their "
    "usual bandwidth are left?", unit="%", key="05.far",
)

# %% [markdown]
# **Measure.** Workers prepare images, kept on one core as by a careless launcher, and free.
# Then one core touches fresh memory for the first and for the second time, and reads memory of
# each node from each node, where this machine has more than one. The far bandwidth comes from a
# published run on a server with two Ice Lake CPUs, Intel's of 2021, all cores reading. In the
# figure *step* compares a row with the one above.


# %%
CORES, NODES = usable_cores(), numa_nodes()


def prepare_on_one_core(number):  # like ``prepare``, on the first core only
    with on_cores(*CORES[:1]):
        return prepare(number)


@experiment(needs="cpu")
def pinning(workers, calls):
    """Images a second of workers on one core, and of workers that the system may spread."""
    jobs = ({"on one core": prepare_on_one_core} if CORES else {}) | {"free to spread": prepare}
    rates = {name: [] for name in jobs}
    with crew(*jobs.values(), workers=workers, calls=calls) as work:
        for _ in range(7):
            for which, name in enumerate(jobs):
                rates[name].append(calls * workers / work(workers, which).seconds)
    rows = [{"affinity": name, **quartiles("rate", got)} for name, got in rates.items()]
    return Table.from_rows(rows, {"rate": "images/s"})


@experiment(needs="cpu")
def numa_reads(n_bytes):
    """Write fresh memory on each node, and once more; then read it from each node, by one core."""
    rows = []
    for owner, its_cores in NODES.items():
        with on_cores(*its_cores[:1]):
            fresh = time_call(lambda: np.empty(n_bytes, np.uint8).fill(1), repeats=5)
            array = np.ones(n_bytes, np.uint8)
            again = time_call(array.fill, 1, repeats=5)
        for reader, cores in NODES.items():
            with on_cores(*cores[:1]):
                read = time_call(array.max, repeats=5)  # bytes, many at once: memory is slower
            rows.append({"memory of node": owner, "read from node": reader,
                         "first touch": n_bytes / fresh.median, "again": n_bytes / again.median,
                         "read": n_bytes / read.median})
    return Table.from_rows(rows, dict.fromkeys(("first touch", "again", "read"), "B/s"))


crowd = max(2, min(cores, 8))
pinned, reads = pinning(crowd, calls=24), numa_reads(2**27)
kept, fair = 100 * pinned["rate"][0] / pinned["rate"][-1], 100 / min(crowd, cores)
told = (f"one core kept {kept:.0f} % of the free rate; one of {100 / fair:.0f} idle ones keeps "
        f"{fair:.0f} %" + ": other programs held the rest" * (kept > 1.3 * fair))
print(pinned, told * bool(CORES), reads, "one node: none is far" * (len(NODES) == 1), sep="\n\n")
near, far, bus = overhead("numa-local-read"), overhead("numa-remote-read"), link("pcie-5-x16")
print(Table({"flow": ["batches for four GPUs", "read by another CPU", "PCIe 5 to four GPUs"],
             "rate": [4 * ready * FLOATS, far.value, 4 * bus.bandwidth_per_direction]},
            {"rate": "B/s"}))
far_gap = compare(guess_far, measured=Quantity(100 * far.value / near.value, "%",
                                               far.quantity().source))
ladder([("own memory", near.quantity(), "memory"), ("the other CPU's", far.quantity(), "memory")],
       title="Far memory has a third of the bandwidth, on two Ice Lake CPUs", label="read")

# %% [markdown]
# **Explain.** The scheduler cannot mend an affinity that is too narrow. The first touch is slow
# since the system must find a page, clear it and enter it in its tables; loaders therefore reuse
# their buffers.
#
# Four GPUs' batches, what 56 cores prepare at 0.6 MB an image, are far below what crosses between
# the CPUs (last table). Far memory bites where GPUs copy at PCIe's full rate: loading weights, or
# swapping states. Latency rises too, from 89 to 143 ns in [the same
# run](https://github.com/gjbex/Code-optimization/blob/master/info/icelake_mlc.txt). In 2017 a P100
# took [12.2 GB/s](https://github.com/mpicbg-scicomp/gearshifft/pull/82) from its own CPU's memory
# and 3.8 from the other's. So keep a GPU's workers on its CPU.
#
# **Change one thing.** One worker more: `pinning(crowd + 1, calls=24)`. Which rate moves?

# %% [markdown]
# ## Which link bounds the way from disk to GPU?
#
# In a DGX A100, two GPUs share a PCIe switch with drives and network adapters (NICs); two
# switches hang on each CPU. In a DGX H100 each GPU hangs on its own adapter's switch. GPUs reach
# one another through NVSwitches, the switches of NVLink. An *NVMe* drive hangs on four lanes of
# PCIe 4; theirs reads 7 GB/s. Data from a drive either rests in the CPU's memory on its way, in a
# *bounce buffer*, or goes straight through the switch into the GPU: *GPUDirect Storage*.

# %%
guess_detour = predict(
    "The weights of an 8-billion-parameter model, 16 GB, lie on one drive of a DGX H100. How many "
    "seconds longer do they take into the CPU's memory and then to a GPU than straight there?",
    unit="s", key="05.detour",
)

# %% [markdown]
# **Measure.** A file goes through a bounce buffer, first whole and then in chunks whose copy
# overlaps with reading the next. A model of a DGX H100 gives the answer, a live run stands beside
# it where there is a GPU. In the model each *leg* of the path flows at the rate of its slowest
# link, and legs follow one another or overlap.


# %%
def loading_model(n_bytes, chunk):
    """From the drive into the memory of its CPU, from there to the GPU."""
    legs = legs_to_gpu(topology("dgx-h100"), "drive", direct=False)
    times = {"whole": path_time(n_bytes, legs), "chunks": path_time(n_bytes, legs, chunk)}
    rows = [{"way": way, "rate": time.rate} for way, time in times.items()]
    return Table.from_rows(rows, {"rate": "B/s"}), "links of a DGX H100 at their rated speed"


@experiment(needs="gpu", model=loading_model)
def disk_to_gpu(n_bytes, chunk):
    """Read a cold file into pinned memory and on to the GPU: whole, and chunk by chunk."""
    import cupy as cp
    from cupyx import empty_pinned

    on_gpu, host = cp.empty(n_bytes, np.uint8), empty_pinned(n_bytes, np.uint8)
    own, rows = cp.cuda.Stream(non_blocking=True), []
    with disk_file(n_bytes) as file:

        def load(size):
            for start in range(0, n_bytes, size):
                part = slice(start, start + size)
                file.read(host[part], start)  # past the page cache
                on_gpu[part].set(host[part], stream=own)
            own.synchronize()

        load(chunk)
        total = int(host.sum(dtype=np.int64))
        for way, size in {"whole": n_bytes, "chunks": chunk}.items():
            host[:], on_gpu[:] = 0, 0
            cp.cuda.runtime.deviceSynchronize()
            run = time_call(load, size, repeats=5)
            assert total == int(on_gpu.sum(dtype=np.int64)) > 0, "the file arrived damaged"
            rows.append({"way": way, **run.columns("rate", work=n_bytes)})
    return Table.from_rows(rows, {"rate": "B/s"})


loaded, weights = disk_to_gpu(2**29, 2**23), 16e9
rates, words = loading_model(2**29, 2**23)
print(f"{loaded.source}:", loaded.table, sep="\n")
paths = {row["way"]: weights / row["rate"] for row in rates.rows()}
paths["GPUDirect"] = path_time(weights, legs_to_gpu(topology("dgx-h100"), "drive")).seconds
detour_gap = compare(guess_detour, measured=Quantity(
    paths["whole"] - paths["GPUDirect"], "s", f"model: {words}"))
ladder([(way, Quantity(t, "s", f"model: {words}"), "storage") for way, t in paths.items()],
       title="From one drive the detour costs "
       f"{format_quantity(detour_gap.measured.value, 's')} in one piece, nothing in chunks",
       label="16 GB into a GPU")

# %% [markdown]
# **Explain.** A path is as fast as its slowest link, and from one drive that is the drive, nine
# times slower than PCIe 5. A bounce buffer adds a leg; in one piece the legs add up, in chunks the
# faster one hides. So GPUDirect gains little here. It pays in a DGX A100 or B200, where
# two GPUs share a link to their CPU and adapters fill it (table below).
#
# **Change one thing.** In the explorer, let the other CPU's memory feed one GPU, then all eight.
# When does the link between the CPUs set the pace?
#
# <details><summary>Answer</summary>One GPU: where PCIe is faster, from PCIe 5 on. All eight: in
# every server, for four GPUs share it.</details>


# %%
def journey(axes, box, source, via, size, who):
    """Draw a tensor's way to GPU 0 and the link that bounds it."""
    legs = legs_to_gpu(topology(box), source, direct=via == "direct")
    legs = crowded(legs) if who == "all" else legs
    time = path_time(size, legs, chunk=None if via == "bounce" else 4e6)
    title = (f"{format_quantity(size, 'B')} reach GPU 0 after "
             f"{format_quantity(time.seconds, 's')}")
    if len(legs) > 1:  # into the CPU's memory, and out of it
        first, then = (format_quantity(leg, "s") for leg in time.legs)
        title += f": {first} to memory, then {then}" if via == "bounce" else (
            f": legs of {first} and {then} overlap")
    return server_map(topology(box), [hop for leg in legs for hop in leg], title, bound=time.bound,
                      source="model: links at their rated speed, one way; CPU to CPU as Ice Lake")


def all_load(box, direct):
    """Seconds in which the network fills each of eight GPUs with 16 GB, all at once."""
    return path_time(16e9, crowded(legs_to_gpu(box, "network", direct)), chunk=4e6).seconds


eight = [{"all load from the network": box.name, "bounce, chunks": all_load(box, False),
          "GPUDirect": all_load(box, True)} for box in topologies()]
print("model: links at their rated speed",
      Table.from_rows(eight, {"bounce, chunks": "s", "GPUDirect": "s"}), sep="\n")
journey(None, "dgx-h100", "drive", "bounce", 16e9, "one")

# %%
WHERE = [("drive", "a drive on its switch"), ("far drive", "a drive of the other CPU"),
         ("memory", "memory of its CPU"), ("far memory", "memory of the other CPU"),
         ("GPU", "another GPU"), ("network", "the network")]
VIA = [("bounce", "bounce buffer, in one piece"), ("chunks", "bounce buffer, in chunks"),
       ("direct", "GPUDirect")]
explorer(journey, [
    Choice("box", "server", [(t.slug, t.name) for t in topologies()], "dgx-a100"),
    Choice("source", "from", WHERE, "network"),
    Choice("who", "who loads", [("one", "GPU 0 alone"), ("all", "all eight GPUs")], "all"),
    Choice("via", "way", VIA, "chunks"),
    Slider("size", "tensor", 1e6, 1e12, 16e9, 0.25, log=True, unit="B"),
])

# %% [markdown]
# ## Where this model breaks
#
# - A core is not a core: two hardware threads share one, clocks fall when all work, and decoders
#   share one memory; beyond a dozen cores the sweep's straight line is optimistic. In a virtual
#   machine a core-second may hold time that the host took away.
# - Links are taken at their rated speed; copies reach less. A memory that is written and read at
#   once shares its rate. The link between CPUs is that of two Ice Lake CPUs in every server.
#   GPUDirect across CPUs is often slow or refused. The drives' places are assumed.
# - The tokeniser is a toy of 150 pairs; real ones join more, in compiled code.
#
# ## You learned

# %%
learned(
    f"A core among others prepares {slow:,.0f} to {fast:,.0f} images/s here{noisy}: an H100 needs "
    f"{few:.1f} to {many:.1f} for images, by a published and a scaled rate; under {under:g} for "
    "text.",
    f"With this machine's copy a pageable batch takes {ends[0]:.1f} to {ends[1]:.1f} % of the step,"
    f" a pinned one {took['pinned']:.1f} %; on a stream of its own the copy hides (model).",
    f"16 GB reach a GPU in {paths['chunks']:.1f} s from one drive (model); memory of the other "
    f"CPU has {far_gap.measured.value:.0f} % of the bandwidth of one's own (published).",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how many cores must the server have?
#
# Write `cores_needed(gpu_rate, core_rate, gpus, others)`: `gpus` GPUs consume `gpu_rate` samples a
# second each, a core prepares `core_rate`, and each GPU needs `others` more cores, for its training
# process and its network thread. Return the fewest whole cores with which no GPU waits.
#
# <details><summary>Hint 1</summary>Cores may share their work among all GPUs: sum the demand
# first.</details>
#
# <details><summary>Hint 2</summary>Round up once, at the end of the division, not for each
# GPU.</details>


# %%
def cores_needed(gpu_rate, core_rate, gpus, others):
    """Return a whole number of cores."""
    ...


check("05.cores_needed", cores_needed)

# %% [markdown]
# ### Exercise 2: from batch to batch
#
# Write `period(n_bytes, cpu_copy, pcie, step, way)`: the seconds from one batch to the next, in
# the steady state. Rates are in B/s, `way` is `"pageable"`, `"pinned"` or `"stream"` (pinned, two
# buffers, a stream of its own). The driver's pageable copy goes piece by piece, so that the CPU's
# copy and DMA overlap.
#
# <details><summary>Hint 1</summary>Piece by piece, the slower of two stages sets the
# rate.</details>
#
# <details><summary>Hint 2</summary>Without a stream of its own, copy and step take turns. With
# one, the longer of them is all you see.</details>


# %%
def period(n_bytes, cpu_copy, pcie, step, way):
    """Return seconds from one batch to the next."""
    ...


check("05.period", period)

# %% [markdown]
# ### Exercise 3: follow the tensor
#
# Write `load_time(n_bytes, legs, chunk)`: `legs` is a list of legs, each a list of the rates of
# its links in B/s. Chunks of `chunk` bytes, which divide `n_bytes`, follow one another through the
# legs, each leg busy with one chunk at a time. Latencies are zero.
#
# <details><summary>Hint 1</summary>How long does one chunk take on each leg, and on all
# legs?</details>
#
# <details><summary>Hint 2</summary>After the first chunk has passed, one more arrives each time
# the slowest leg has finished one.</details>


# %%
def load_time(n_bytes, legs, chunk):
    """Return seconds from the first byte to the last."""
    ...


check("05.load_time", load_time)
quiz("05")

# %% [markdown]
# ## Further reading
#
# - [How to Optimize Data Transfers in
#   CUDA](https://developer.nvidia.com/blog/how-optimize-data-transfers-cuda-cc/): pinned and
#   pageable memory, with the code.
# - [How to Overlap Data Transfers in
#   CUDA](https://developer.nvidia.com/blog/how-overlap-data-transfers-cuda-cc/): streams, step by
#   step.
# - [GPUDirect Storage design
#   guide](https://docs.nvidia.com/gpudirect-storage/design-guide/index.html): which paths from
#   drives to GPUs exist, and what bounds them.
# - [FFCV](https://arxiv.org/abs/2306.12517): how far a loader gets when its authors count every
#   copy and every decode.
# - [DALI](https://docs.nvidia.com/deeplearning/dali/user-guide/docs/index.html): decoding and
#   augmenting on the GPU instead.
