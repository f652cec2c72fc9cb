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
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pydoc_data.topics import topics

import numpy as np
from PIL import Image

from aiinfra.facts.catalogue import accelerator, link, overhead
from aiinfra.facts.topology import topologies, topology
from aiinfra.facts.workloads import workload
from aiinfra.facts.world_catalogue import model_shape
from aiinfra.measure import experiment, probe, time_call
from aiinfra.measure.disk import disk_file
from aiinfra.measure.numa import numa_nodes, on_cores, usable_cores
from aiinfra.measure.workers import time_in_processes
from aiinfra.model.paths import crowded, legs_to_gpu, path_time
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Choice, Series, Slider, Span, breakdown, explorer, gap, image, ladder, server_map, sweep,
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
# A data set of images lies on disk as JPEG files. Before a GPU sees one, a CPU decodes it, cuts
# out a random part, scales that to 224 by 224 pixels, mirrors half of them and normalises the
# colours; and again in every *epoch*, a pass over the data set. The network is ResNet-50, which
# names what a picture shows.
#
# The files here are made, not taken: 500 by 375 pixels whose brightness has the spectrum of
# photographs (amplitude falls as 1 / frequency). The JPEG quality is set so that they are about as
# large as the mean file of ImageNet, 115 kB: what cannot be compressed must be decoded.


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


rng = np.random.default_rng(5)
jpegs = [encode_jpeg(photo(rng)) for _ in range(24)]
file_bytes = sum(map(len, jpegs)) / len(jpegs)
images_h100 = workload("resnet50-h100")
images_a100, tuned = workload("resnet50-a100"), overhead("resnet50-a100-tuned")
memory = {name: accelerator(slug).memory_bandwidth for name, slug in
          {"A100": "a100-sxm-80gb", "H100": "h100-sxm", "B200": "b200-sxm"}.items()}
grown = memory["H100"] / memory["A100"]
fast_h100 = tuned.value * grown  # NVIDIA's own loop on an A100, scaled to an H100
print(f"mean file: {format_quantity(file_bytes, 'B')}; images/s that an H100 trains, ResNet-50:",
      f"MLPerf Storage assumes {images_h100.rate:,.0f};",
      f"NVIDIA's A100 loop ({tuned.value:,.0f}), memory bandwidth x {grown:.2f}: {fast_h100:,.0f}.",
      "That rule's error: MLPerf's own rate",
      f"grew x {images_h100.rate / images_a100.rate:.2f} from A100 to H100.", sep="\n")
guess_cores = predict(
    "How many cores like yours must prepare images for an H100 at MLPerf's lower rate?",
    unit="cores", key="05.cores",
)
image(np.asarray(Image.open(io.BytesIO(jpegs[0]))).mean(axis=2), label="brightness",
      title="Made up, and set to the size of an ImageNet file",
      source="model: noise with the spectrum of photographs")

# %% [markdown]
# **Measure.** First where the time of an image goes, on one core. Then up to eight cores at once,
# with threads (one process, shared memory) and with processes (each its own Python), as the workers
# of a data loader are. Pillow lets go of Python's global lock while it decodes; NumPy does so less.

# %%
MEAN, SPREAD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], f32)  # ImageNet's colours


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


def normalise(picture, rng):
    """Mirror half of the pictures; floats, colour by colour, as a network expects them."""
    pixels = np.asarray(picture)[:, :: rng.choice([-1, 1])]
    return np.ascontiguousarray(((pixels / f32(255) - MEAN) / SPREAD).transpose(2, 0, 1))


def prepare(number):
    """All that a CPU does for one sample."""
    rng = np.random.default_rng(number)
    return normalise(crop(decode(jpegs[number % len(jpegs)]), rng), rng)


@experiment(needs="cpu")
def image_stages(count):
    """Time the stages of some images on one core, and the same images from end to end."""
    rngs, pictures = [np.random.default_rng(i) for i in range(count)], [decode(j) for j in jpegs]
    parts = [crop(p, g) for p, g in zip(pictures, rngs, strict=False)]
    jobs = {"decode": lambda i: decode(jpegs[i]),
            "crop, scale": lambda i: crop(pictures[i], rngs[i]),
            "flip, normalise": lambda i: normalise(parts[i], rngs[i]), "whole": prepare}
    times = {name: [] for name in jobs}
    for _ in range(5):  # in turns, so that a slow moment of the machine meets all of them
        for name, job in jobs.items():
            run = time_call(lambda job=job: [job(i) for i in range(count)], repeats=1)
            times[name].append(run.median / count)
    return Table.from_rows([{"stage": n, "seconds": float(np.median(t))} for n, t in times.items()],
                           {"seconds": "s"})


stages = image_stages(12)
parts = {s: stages.quantity("seconds", stage=s) for s in stages["stage"]}
whole = parts.pop("whole")
summed = sum(q.value for q in parts.values())
print(f"stages {1e3 * summed:.2f} ms, whole {1e3 * whole.value:.2f} ms;",
      "the rest is cold caches and a random generator for each image")
breakdown([(name, value, "cpu") for name, value in parts.items()],
          title="One image on one core: no stage is free")

# %%
@experiment(needs="cpu")
def image_workers(counts, calls):
    """Images a second of several threads, and of several processes, in turns."""
    rates = {(way, n): [] for n in counts for way in ("threads", "processes")}
    for _ in range(5):
        for n in counts:
            with ThreadPoolExecutor(n) as pool:
                run = time_call(lambda: list(pool.map(prepare, range(calls * n))), repeats=1)
            rates["threads", n].append(calls * n / run.median)
            rates["processes", n].append(calls * n / time_in_processes(prepare, n, calls))
    rows = []
    for n in counts:
        row = {"workers": n}
        for way in ("threads", "processes"):
            low, middle, high = np.percentile(rates[way, n], [25, 50, 75])
            row |= {way: middle, f"{way}_low": low, f"{way}_high": high}
        rows.append(row)
    return Table.from_rows(rows, {"threads": "images/s", "processes": "images/s"})


cores = machine.cores_usable
crew = image_workers(sorted({1, min(2, cores), min(8, cores)}), calls=40)
best = max(("threads", "processes"), key=lambda way: crew[way][0])
per_core = crew[best][0]
wide = max(crew[f"{w}_high"][i] / crew[f"{w}_low"][i]
           for w in ("threads", "processes") for i in range(len(crew["workers"])))
print(f"Quartiles apart by up to x {wide:.2f}{': too noisy, run it again' if wide > 1.25 else ''}")
dgx = topology("dgx-h100")
share = dgx.cpus * dgx.cores / 8  # cores for each of its eight GPUs
lines = [Series(way, crew["workers"], crew[way], kind, crew[f"{way}_low"], crew[f"{way}_high"],
                source=crew.source) for way, kind in (("processes", "cpu"), ("threads", "other"))]
sweep(
    [*lines, Series("if cores were alike", [1, 48], [per_core, 48 * per_core], "model",
            source="source: MLPerf Storage; NVIDIA DeepLearningExamples; model: equal cores")],
    x=("cores at work", "cores"), y=("images prepared", "images/s"),
    wall_at=[(images_h100.rate, f"MLPerf assumes {images_h100.rate:,.0f}"),
             (fast_h100, f"from NVIDIA's A100 loop {fast_h100:,.0f}")],
    guides=[(share, "cores for a GPU, DGX H100")],
    title="An H100's need for cores depends on whose rate holds",
)

# %%
rate = Quantity(per_core, "images/s", crew.source)
ledger.keep("prepare_rate", rate)
told = f"{crew.source}; {images_h100.quantity('step').source}"
low, high = images_h100.rate / per_core, fast_h100 / per_core
cores_gap = compare(guess_cores, measured=Quantity(low, "cores", told), model=Quantity(
    images_h100.rate * summed, "cores", "model: the sum of the stages"))
guess_text = predict(
    "And how many cores must tokenise text while an H100 trains an 8-billion-parameter language "
    "model? Any number above 0.", unit="cores", key="05.text",
)
gap(cores_gap,
    title=f"An H100 needs {low:.0f} to {high:.0f} of these cores; a DGX has {share:.0f} for it")

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
    size, tokens = len(text) - 30_000, len(tokenise(text[30_000:], ranks))
    row = {"pairs": pairs, "bytes_a_token": size / tokens, **run.columns("rate", work=tokens)}
    return Table.from_rows([row], {"rate": "tokens/s", "bytes_a_token": "B"})


text = text_rate(pairs=150)
gpu, llama = accelerator("h100-sxm"), model_shape("llama-3.1-8b")
tokens_h100 = 0.4 * gpu.peaks["bf16"] / (6 * llama.parameters)  # 40 % of peak, 6 FLOP a parameter
print(f"one core: {text['rate'][0]:,.0f} tokens/s of {text['bytes_a_token'][0]:.1f} B;",
      f"an H100 trains {tokens_h100:,.0f} tokens/s")
text_gap = compare(guess_text, measured=Quantity(
    tokens_h100 / text["rate"][0], "cores", f"{text.source}; model: 6 FLOP a parameter and token"))
gap(text_gap, title="A small part of one core tokenises text for a GPU")

# %% [markdown]
# **Explain.** An image starts some 23 GFLOP on the GPU: two for each of the 3.8 billion
# multiply-adds that [He et al.](https://arxiv.org/abs/1512.03385) count, three times for training.
# That is 200,000 FLOP for each byte of the file. A token of a few bytes starts 6 FLOP for each of
# 8 billion parameters: over 10 billion a byte. Besides, text is usually
# tokenised once, before training.
#
# ResNet-50's small layers wait for memory, hence the rule by memory bandwidth. To need fewer
# cores, send bytes and normalise on the GPU, then let the GPU decode (NVIDIA's DALI).
#
# **Change one thing.** Raise the quality of the files: `encode_jpeg(photo(rng), quality=97)`. The
# pixels stay as many. Which stage grows?

# %% [markdown]
# ## Does the batch arrive while the GPU still computes?
#
# A batch of 400 images, as floats, is 241 MB. It waits in the memory of the CPU and must cross
# PCIe. MLPerf Storage lets an H100 work on a batch for 224 ms.
#
# A copy engine of the GPU does that alone, by *direct memory access* (DMA), but only from *pinned*
# memory, whose place the operating system has promised not to change. An ordinary NumPy array is
# *pageable*: the CPU first copies it, piece by piece, into a pinned buffer of the driver.

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
# memory on a *stream* of its own, a queue that runs beside the queue of the kernels. The kernel
# is a stand-in that reads the batch and then waits.


# %%
BATCH, STEP, WAYS = images_h100.samples, images_h100.step, ("pageable", "pinned", "pinned, stream")
TIMES = ("copy", "copied", "work", "done")
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


def lanes_of(rows):
    """What the copy engine and the GPU do, for a timeline; the first batch is named."""
    return {"copy": [Span(r["copy"], r["copied"], "copy" * (r is rows[0]), "memory") for r in rows],
            "GPU": [Span(r["work"], r["done"], "batch" * (r is rows[0]), "gpu") for r in rows]}


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
BUSES = ("pcie-3-x16", "pcie-4-x16", "pcie-5-x16")
REACHED = {bus: overhead(f"{bus[:6]}-copy").value for bus in BUSES}  # by copies from pinned memory
print("source: overheads of the catalogue, copies by others",
      Table({"link": [link(bus).name for bus in BUSES], "pinned copy": list(REACHED.values()),
             "batches in a step": [STEP * v / (BATCH * 602_112) for v in REACHED.values()]},
            {"pinned copy": "B/s"}), sep="\n")
others = overhead("pcie-3-pageable-copy").low, overhead("pcie-4-pageable-copy").high
shares = ", ".join(f"{100 * BATCH * 602_112 / (STEP * v):.0f} %" for v in others)
print("pageable, the slowest and the fastest that others published:", shares, "of the step")
copy_gap = compare(guess_copy, measured=Quantity(
    took["pageable"], "%", f"{copies.source}; model: {words}"))
gap(copy_gap, kind="gpu", title="With this machine's copy a pageable batch takes "
    f"{took['pageable']:.0f} % of the step, a pinned one {took['pinned']:.1f} %")

# %% [markdown]
# **Explain.** The link alone would need about 2 % of the step. From pageable memory every byte is
# first read and written by a core: [5 to 6 GB/s](https://github.com/rapidsai/dask-cuda/pull/98)
# in one server, [13 to 18](https://github.com/NVlabs/cuda-oxide/pull/976) in another. Overlapped,
# a copy costs nothing after the first batch until it takes longer than the step: then
# `period = max(copy, step)` instead of `copy + step`.
#
# In a GH200, CPU and GPU share an address space over *NVLink-C2C*, and pageable copies are as fast
# as pinned ones: [100 GB/s](https://github.com/vortex-data/vortex/pull/7815) in one test;
# pinned copies reach [346](https://github.com/NVIDIA/nvbandwidth/issues/23) in another.
#
# **Change one thing.** Below, let the GPU train ever faster. From which rate on does the link set
# the pace? What do bytes instead of floats change?


# %%
def budget(axes, bus, way, numbers, rate):
    """Four steps of a batch of 400 images over a chosen link."""
    size = 150_528 * (4 if numbers == "floats" else 1)  # 224 x 224 pixels of 3 colours
    speed = min(copies["rate"][0], REACHED[bus]) if way == "pageable" else REACHED[bus]
    copy, step = BATCH * size / speed, BATCH / rate
    rows = spans_of(copy, step, "stream" in way, 4)
    idle = 1 - step / (rows[3]["done"] - rows[2]["done"])
    told = f"model: the link by published copies; CPU copy {copies.kind}"
    title = f"After the first batch the GPU waits {100 * idle:.0f} % of the time"
    return timeline(lanes_of(rows), title, source=told)


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
# published run with all cores of a two-CPU server.


# %%
CORES, NODES = usable_cores(), numa_nodes()


def prepare_on_one_core(number):
    """Like ``prepare``, by a process that may use the first core only."""
    with on_cores(*CORES[:1]):
        return prepare(number)


@experiment(needs="cpu")
def pinning(workers, calls):
    """Images a second of workers on one core, and of workers that the system may spread."""
    jobs = {"all on one core": prepare_on_one_core} if CORES else {}  # macOS cannot pin
    jobs["free to spread"] = prepare
    rates = {name: [] for name in jobs}
    for _ in range(5):
        for name, job in jobs.items():
            rates[name].append(calls * workers / time_in_processes(job, workers, calls))
    rows = [{"affinity": name, **dict(zip(("rate_low", "rate", "rate_high"),
             np.percentile(got, [25, 50, 75]), strict=True))} for name, got in rates.items()]
    return Table.from_rows(rows, {"rate": "images/s"})


@experiment(needs="cpu")
def numa_reads(n_bytes):
    """Write fresh memory on each node, and once more; then read it from each node, by one core."""
    rows = []
    for owner, its_cores in NODES.items():
        with on_cores(*its_cores[:1]):
            fresh = time_call(lambda: np.empty(n_bytes, np.uint8).fill(1), repeats=5)
            array = np.ones(n_bytes // 8)
            again = time_call(array.fill, 1.0, repeats=5)
        for reader, cores in NODES.items():
            with on_cores(*cores[:1]):
                read = time_call(array.sum, repeats=5)
            rows.append({"memory of node": owner, "read from node": reader,
                         "first touch": n_bytes / fresh.median, "again": n_bytes / again.median,
                         "read": n_bytes / read.median})
    return Table.from_rows(rows, dict.fromkeys(("first touch", "again", "read"), "B/s"))


crowd = max(2, min(cores, 8))
print(pinning(crowd, calls=40), f"NUMA nodes here: {len(NODES)}", numa_reads(2**27), sep="\n\n")
near, far = overhead("numa-local-read"), overhead("numa-remote-read")
far_gap = compare(guess_far, measured=Quantity(100 * far.value / near.value, "%",
                                               far.quantity().source))
ladder([("own memory", near.quantity(), "memory"), ("the other CPU's", far.quantity(), "memory")],
       title="Far memory has a third of the bandwidth, on two Ice Lake CPUs", label="read")

# %% [markdown]
# **Explain.** The scheduler cannot mend an affinity that is too narrow. The first touch is slow
# since the system must find a page, clear it and enter it in its tables; loaders therefore reuse
# their buffers.
#
# Far memory is bounded by the link between the CPUs, which grows with their generation; latency
# rises less, from 89 to 143 ns in [the same
# run](https://github.com/gjbex/Code-optimization/blob/master/info/icelake_mlc.txt). A GPU may feel
# it: in 2017 a P100 took [12.2 GB/s](https://github.com/mpicbg-scicomp/gearshifft/pull/82) from its
# own CPU's memory and 3.8 from the other's; elsewhere the difference is small. So keep each GPU's
# workers on its own CPU.
#
# **Change one thing.** One worker more: `pinning(crowd + 1, calls=40)`. Which rate moves?

# %% [markdown]
# ## Which link bounds the way from disk to GPU?
#
# In a DGX A100, two GPUs share a PCIe switch with drives and network adapters (NICs); two
# switches hang on each CPU. In a DGX H100 each GPU hangs on its own adapter's switch. GPUs reach
# one another through NVSwitches. An *NVMe* drive hangs on four lanes of PCIe; theirs reads 7
# GB/s. Data from a drive either rests in the CPU's memory on its way, in a *bounce buffer*, or
# goes straight through the switch into the GPU: *GPUDirect Storage*.

# %%
guess_load = predict(
    "The weights of an 8-billion-parameter model, 16 GB, lie on one NVMe drive of a DGX H100. How "
    "long until they are in a GPU?", unit="s", key="05.load",
)

# %% [markdown]
# **Measure.** A file goes through a bounce buffer, first whole and then in chunks whose copy
# overlaps with reading the next. A model of a DGX H100 gives the answer, a live run stands beside
# it where there is a GPU. In the model each *leg* of the
# path flows at the rate of its slowest link, and legs follow one another or overlap.


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
load_gap = compare(guess_load, measured=Quantity(paths["chunks"], "s", f"model: {words}"))
ladder([(way, Quantity(t, "s", f"model: {words}"), "storage") for way, t in paths.items()],
       title="From one drive GPUDirect saves no more than chunks do", label="16 GB into a GPU")

# %% [markdown]
# **Explain.** A path is as fast as its slowest link, and from one drive that is the drive, nine
# times slower than PCIe 5. A bounce buffer adds a leg; moved in one piece, the two legs add up; in
# chunks the faster one hides. So GPUDirect gains little from one drive. It pays where two GPUs
# share a link to their CPU and adapters fill it, as in a DGX A100.
#
# **Change one thing.** Below, let the network feed one GPU, then all eight, with GPUDirect and
# without. In which server does it pay? When does the link between the CPUs set the pace?


# %%
def journey(axes, box, source, via, size, who):
    """Draw a tensor's way to GPU 0 and the link that bounds it."""
    legs = legs_to_gpu(topology(box), source, direct=via == "direct")
    legs = crowded(legs) if who == "all" else legs
    time = path_time(size, legs, chunk=None if via == "bounce" else 4e6)
    words = format_quantity(size, "B"), format_quantity(time.seconds, "s")
    return server_map(topology(box), [hop for leg in legs for hop in leg],
                      f"{words[0]} reach GPU 0 after {words[1]}", bound=time.bound,
                      source="model: links at their rated speed, one way; CPU to CPU as Ice Lake")


journey(None, "dgx-a100", "drive", "bounce", 16e9, "one")

# %%
WHERE = [("drive", "a drive on its switch"), ("far drive", "a drive of the other CPU"),
         ("memory", "memory of its CPU"), ("far memory", "memory of the other CPU"),
         ("network", "the network"), ("GPU", "another GPU")]
VIA = [("bounce", "bounce buffer, in one piece"), ("chunks", "bounce buffer, in chunks"),
       ("direct", "GPUDirect")]
explorer(journey, [
    Choice("box", "server", [(t.slug, t.name) for t in topologies()], "dgx-a100"),
    Choice("source", "from", WHERE, "drive"),
    Choice("via", "way", VIA, "bounce"),
    Slider("size", "tensor", 1e6, 1e12, 16e9, 0.25, log=True, unit="B"),
    Choice("who", "who loads", [("one", "GPU 0 alone"), ("all", "all eight GPUs")], "one"),
])

# %% [markdown]
# ## Where this model breaks
#
# - A core is not a core: two hardware threads share one, clocks fall when all cores work, and many
#   decoders share one memory. Straight lines in the sweep are optimistic beyond a dozen cores.
# - Links are taken at their rated speed; copies reach less. A memory that is
#   written and read at once shares its rate. The link between CPUs is that of two Ice Lake CPUs in
#   every server. GPUDirect across CPUs is often slow or refused. The drives' places are assumed.
# - The tokeniser is a toy of 150 pairs with a memory for words. Real ones are compiled.
#
# ## You learned

# %%
learned(
    f"One of these cores prepares {per_core:,.0f} images/s, so an H100 needs {low:.0f} to "
    f"{high:.0f} for images, by two published rates, and {text_gap.measured.value:.3f} for text.",
    f"With this machine's copy a pageable batch takes {took['pageable']:.1f} % of the step, a "
    f"pinned one {took['pinned']:.1f} %; on a stream of its own it hides behind the step (model).",
    f"16 GB reach a GPU in {load_gap.measured.value:.1f} s from one drive; memory of the other "
    f"CPU has {far_gap.measured.value:.0f} % of the bandwidth of one's own.",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how many cores must the server have?
#
# Write `cores_needed(gpu_rate, core_rate, gpus, others)`: `gpus` GPUs consume `gpu_rate` samples a
# second each, a core prepares `core_rate`, and each GPU needs `others` more cores for its training
# process. Return the fewest whole cores with which no GPU waits.
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
