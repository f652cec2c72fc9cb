# %% [markdown]
# # Starve a GPU with a slow disk
#
# **How many GPUs does the disk under you feed, and for how long do they stand still?**
#
# *You'll do:* read one file in several ways, starve a training loop and feed it again, stop one
# with checkpoints, and hang more and more accelerators on your disk.
#
# *You'll learn*
#
# - how size and number of requests decide what a disk delivers;
# - what a loader must do in parallel so that no accelerator waits;
# - how many GPUs one disk feeds, and what a checkpoint costs.
#
# *You'll need:* lesson 00, 50 minutes, 1 GB of disk space; torch, or the replays. No GPU: a sleep
# of known length stands for the accelerator.

# %%
import importlib.util
import mmap
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import numpy as np

from aiinfra.facts.catalogue import drive, drives, overhead
from aiinfra.facts.workloads import workload, workloads
from aiinfra.facts.world_catalogue import model_shape
from aiinfra.measure import experiment, first_call, probe, time_call
from aiinfra.measure.disk import disk_file, forget, forget_path, scratch
from aiinfra.measure.loading import FileSamples, idle, train, worker_options
from aiinfra.model import storage
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Choice, Scale, Series, Slider, Span, explorer, gap, ladder, sweep, timeline
)
from aiinfra.teach import check, compare, learned, ledger, predict, quiz

machine = probe()

# %% [markdown]
# ## How fast is this disk?
#
# The system keeps what it reads from a disk in memory, in the *page cache*, as long as there is
# room. `O_DIRECT` reads past it. A data set larger than memory always comes from the disk.
#
# A disk is asked for *blocks*. Two ways to read a file past the cache: blocks of 8 MiB in order,
# or blocks of 4 KiB at random places, each asked for when the last has come.

# %%
guess_small = predict(
    "How many times as many bytes a second come in large blocks as in small random ones?",
    unit="x", key="06.small_blocks",
)

# %% [markdown]
# **Measure.** First the caches. A file of random bytes is written to the disk and dropped from
# the page cache, then read from start to end in blocks of 1 MiB: for the first time, again, and
# past the cache. The last rung copies as many bytes from one array to another.


# %%
def read_all(descriptor, size, block=2**20):
    """Read a file from start to end, one block after another."""
    buffer = mmap.mmap(-1, block)  # begins at a page, as O_DIRECT demands
    for place in range(0, size, block):
        os.preadv(descriptor, [buffer], place)


def spread(name, values):
    """The median and the quartiles of repeated runs, as columns."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}


@experiment(needs="disk")
def one_file(size):
    """Read a file four ways."""
    seconds = {way: [] for way in ("past the cache", "first time", "again", "memory to memory")}
    source, target = np.ones(size // 4, np.uint8), np.empty(size // 4, np.uint8)
    with disk_file(size) as file:
        if file.reason:
            print(f"The cache is dropped, not passed: {file.reason}.")
        for _ in range(3):
            forget(file.cached)
            seconds["first time"].append(first_call(read_all, file.cached, size))
            seconds["again"].append(first_call(read_all, file.cached, size))
            if not file.reason:
                seconds["past the cache"].append(first_call(read_all, file.direct, size))
            copy = time_call(np.copyto, target, source, repeats=1)
            seconds["memory to memory"].append(4 * copy.median)
    rows = [{"way": way, **spread("rate", size / np.array(times))}
            for way, times in seconds.items() if times]
    return Table.from_rows(rows, {"rate": "B/s"})


SIZE = 2**28
ways = one_file(SIZE)
kinds = {"again": "memory", "memory to memory": "memory"}
ladder(
    [(way, ways.quantity("rate", way=way), kinds.get(way, "storage")) for way in ways["way"]],
    title="Whoever reads a file twice measures memory, not the disk",
    label="bytes read a second",
)


# %%
def read_at(pool, file, places, buffers):
    """Read blocks past the cache; each buffer has a thread with one request under way."""
    def some(buffer, mine):
        for place in mine:
            file.read(buffer, place)

    list(pool.map(some, buffers, [places[i :: len(buffers)] for i in range(len(buffers))]))


@experiment(needs="disk")
def requests(cases, size):
    """Read a file past the cache; a case is (order, block in bytes, requests under way)."""
    rng, rows = np.random.default_rng(), []
    with disk_file(size) as file:
        for order, block, depth in cases:
            slots, count = size // block, max(depth, min(16 * depth, 2**25 // block))
            buffers = [mmap.mmap(-1, block) for _ in range(depth)]

            def read(order=order, block=block, slots=slots, count=count, buffers=buffers):
                places = rng.integers(slots, size=count)
                if order == "in order":
                    places = places[0] + np.arange(count)
                read_at(pool, file, (places % slots * block).tolist(), buffers)

            with ThreadPoolExecutor(depth) as pool:
                run = time_call(read, min_time=0.01, budget=0.1)
            rows.append({"order": order, "block": block, "depth": depth,
                         **run.columns("rate", work=count * block)})
    return Table.from_rows(rows, {"block": "B", "rate": "B/s"})


KIB4, MIB8 = 2**12, 2**23
blocks, depths = [KIB4, 2**14, 2**16, 2**18, 2**20, MIB8], [1, 2, 4, 8, 16, 32, 64]
cases = [(order, block, 1) for order in ("in order", "random") for block in blocks]
cases += [("random", block, 8) for block in blocks] + [("random", KIB4, depth) for depth in depths]
disk = requests([*dict.fromkeys(cases), ("in order", 2**20, 8)], SIZE)
small = disk.quantity("rate", order="random", block=KIB4, depth=1)
best = max(disk["rate"])
wait = KIB4 / small.value - KIB4 / best  # s until a block of nearly no bytes is there
lines = {"in order": ("in order", 1), "random": ("random", 1), "random, 8 under way": ("random", 8)}
chosen = {name: disk.table.where(order=o, depth=depth) for name, (o, depth) in lines.items()}
sweep(
    [Series(name, table["block"], table["rate"], "storage", table["rate_low"], table["rate_high"],
            disk.source) for name, table in chosen.items()]
    + [Series("model: one at a time", blocks, [b / (wait + b / best) for b in blocks], "model",
              source="model: a wait for each block, then the bytes")],
    x=Scale("block", "B"), y=("rate", "B/s"),
    title="Small blocks wait; many under way wait together",
)

# %%
large = disk.quantity("rate", order="in order", block=MIB8, depth=1)
data_sheet = drive("nvme-pcie-3")
by_data_sheet = data_sheet.sequential_read * data_sheet.read_latency / KIB4
small_gap = compare(
    guess_small,
    measured=Quantity(large.value / small.value, "x", disk.source),
    model=Quantity(by_data_sheet, "x", f"model: from the data sheet of an {data_sheet.name}"),
)
gap(small_gap, kind="storage", title="Asked for 4 KiB at a time, a disk mostly waits")

# %% [markdown]
# **Explain.** A request costs a wait, the *latency*, and then its bytes. Small blocks pay the wait
# for hardly any bytes. The way out is more requests under way: by Little's law, requests under way
# = requests a second × wait. Threads do it here, as the workers of a loader do. Past some number,
# the disk (or this Python, which shares one lock among its threads) has no more to give.
#
# The model takes the wait from another drive's data sheet: flash answers in some 100 µs, a virtual
# disk in anything.
#
# **Change one thing.** The next figure changes only the number of requests. Which of its points
# would a disk of twice the latency move?

# %%
rate = np.array([disk.quantity("rate", order="random", block=KIB4, depth=d).value for d in depths])
read_bandwidth = disk.quantity("rate", order="in order", block=2**20, depth=8)
ledger.keep("disk_read_bandwidth", read_bandwidth)
ledger.keep("disk_random_reads", Quantity(rate.max() / KIB4, "operations/s", disk.source))
little = np.minimum(np.array(depths) * rate[0], rate.max()) / KIB4
sweep(
    [Series(f"{disk.kind}, 4 KiB", depths, rate / KIB4, "storage", source=disk.source),
     Series("model: Little's law", depths, little, "model", source="model: depth over the wait")],
    x="requests under way", y=("random reads", "operations/s"),
    title=f"The disk serves {rate.max() / rate[0]:.1f} times as many, if asked for them at once",
)

# %% [markdown]
# ## How long does the accelerator wait for its data?
#
# A training loop takes a batch, computes, takes the next. Here a batch is 8 files of 115 kB (like
# ImageNet's pictures) and a step 40 ms. A file answers after 12 ms, as from a store in the network
# (a sleep: your disk is faster). torch's `DataLoader` loads batches in the training process or in
# *workers*, processes that run ahead of it.

# %%
guess_idle = predict(
    "With two workers, how long does the accelerator stand still before each step?",
    unit="ms", key="06.idle",
)

# %% [markdown]
# **Measure.** The loop notes when each batch was loaded and computed. `prefetch` is the number of
# batches that each worker may be ahead.


# %%
SAMPLE, BATCH, STEP = int(workload("resnet50-h100").sample_bytes), 8, 0.040
WAIT = 0.012  # s; Amazon states tens of milliseconds for small objects in S3


def write_samples(folder, count):
    """Write files of random bytes and drop them from the page cache."""
    rng, paths = np.random.default_rng(), [folder / f"{i:05d}.bin" for i in range(count)]
    for path in paths:
        path.write_bytes(rng.bytes(SAMPLE))
    for path in paths:
        forget_path(path)
    return paths


@experiment(needs="torch")
def starved(workers, steps, prefetch):
    """Train on files with different numbers of workers; a row for each step."""
    from torch.utils.data import DataLoader

    shm, rows = machine.shm_bytes or 0, []
    if os.name == "posix" and 0 < shm < 64 * 2**20:
        print("/dev/shm is too small for workers: the training process loads.")
        workers = [0]
    with scratch(steps * BATCH * SAMPLE) as folder:
        samples = FileSamples(write_samples(folder, steps * BATCH), WAIT)
        for count in workers:
            warnings.filterwarnings("ignore", "This DataLoader will create")  # they only wait
            options = worker_options(count, prefetch)
            noted = train(DataLoader(samples, batch_size=BATCH, **options), STEP)[1:]
            rows += [{"workers": count, "idle": idle(noted), "worker": k % max(count, 1),
                      **vars(step)} for k, step in enumerate(noted, start=1)]
    return Table.from_rows(rows, {c: "s" for c in ("load_begin", "load_end", "begin", "end")})


loads = starved(workers=[0, 1, 2, 4], steps=18, prefetch=2)


def lanes(count, first=9, last=14):
    """The lanes of one run between two of its steps."""
    rows = loads.table.where(workers=count).rows()
    start, stop = rows[first]["begin"], rows[last]["end"]

    def cut(a, b, *words):
        return Span(max(a, start) - start, min(b, stop) - start, *words)

    drawn = {f"worker {w + 1}" if count else "loading":
             [cut(r["load_begin"], r["load_end"], "load", "storage") for r in rows
              if r["worker"] == w and r["load_end"] > start and r["load_begin"] < stop]
             for w in range(max(count, 1))}
    return drawn | {"accelerator": [cut(r["begin"], r["end"], "step", "gpu")
                                    for r in rows[first : last + 1]]}


there = [count for count in (0, 2) if count in loads["workers"]]
timeline(
    {f"{count or 'no'} workers, six steps": lanes(count) for count in there}, source=loads.source,
    title="Loading between the steps, and beside them",
)

# %%
def loading(workers):
    """The same loop as the model of a loader sees it."""
    return storage.Loading(STEP, BATCH, SAMPLE, prepare=WAIT, workers=workers)


this_disk = storage.Disk(read_bandwidth.value)
shares = dict(zip(loads["workers"], loads["idle"], strict=True))
models = {count: storage.loader_time(loading(count), this_disk) for count in shares}
for count, share in shares.items():
    print(f"{count} workers: idle {share:.0%}, by the model {models[count].idle:.0%}")
two = 2 if 2 in shares else 0  # where shared memory is too small for workers
pace = f"model: a batch every {1e3 * models[two].seconds:.0f} ms"
idle_gap = compare(
    guess_idle,
    measured=Quantity(STEP * shares[two] / (1 - shares[two]), "s", loads.source),
    model=Quantity(models[two].seconds - STEP, "s", pace),
)
gap(idle_gap, kind="storage", title=f"With {two or 'no'} workers, each step waits for its data")

# %% [markdown]
# **Explain.** Without workers, loading and computing take turns. With `w` workers, a batch is
# there every `8 × 12 ms / w`, and the slower of that and the step sets the pace. Nothing gets
# faster: the waits only lie side by side. The model forgets what the two measured processes pay
# besides: starting, handing batches over in shared memory, sharing cores.
#
# **Change one thing.** Keep the disk, change the format. The same samples as a file each, as one
# `.npy` file mapped into memory, as one `safetensors` file (both at random places), and as the
# `.npy` file read in order. Columns of a table would go into Parquet, which is read in row groups.


# %%
@experiment(needs="disk")
def formats(count):
    """Read samples once, in four layouts, each dropped from the page cache before."""
    order, rows = np.random.default_rng(1).permutation(count), []
    with scratch(4 * count * SAMPLE) as folder:
        paths = write_samples(folder, count)
        shard, tensors = folder / "shard.npy", folder / "shard.safetensors"
        data = np.stack([np.fromfile(path, np.uint8) for path in paths])
        np.save(shard, data)

        def one_by_one(sample):
            return [sample(i).max() for i in order]

        readings = {"a file each": lambda: one_by_one(lambda i: np.fromfile(paths[i], np.uint8)),
                    ".npy, mapped": lambda: one_by_one(np.load(shard, mmap_mode="r").__getitem__)}
        if importlib.util.find_spec("safetensors"):
            from safetensors import safe_open
            from safetensors.numpy import save_file

            def by_slice():
                with safe_open(tensors, "np") as file:
                    part = file.get_slice("samples")
                    return one_by_one(lambda i: part[int(i)])

            save_file({"samples": data}, tensors)
            readings["safetensors"] = by_slice
        readings[".npy, in order"] = lambda: [row.max() for row in np.load(shard)]
        for layout, read in readings.items():
            times = []
            for _ in range(3):
                for path in (*paths, *(p for p in (shard, tensors) if p.exists())):
                    forget_path(path)
                times.append(first_call(read))
            rows.append({"layout": layout, **spread("rate", count / np.array(times))})
    return Table.from_rows(rows, {"rate": "samples/s"})


layouts = formats(256)
ladder(
    [(layout, layouts.quantity("rate", layout=layout), "storage") for layout in layouts["layout"]],
    title="One large file beats many small ones", label="samples of 115 kB a second",
)

# %% [markdown]
# ## How long does a checkpoint stop the job?
#
# A job that may die saves its state now and then: weights and what the optimizer remembers. With
# `torch.distributed.checkpoint`, `save` returns when the state is on the disk. `async_save` copies
# the state in memory, returns, and writes the copy beside the training. Here the state is that of
# a real model with Adam, 50 MB.

# %%
guess_stall = predict(
    "How many times shorter does the loop stand still with `async_save` than with `save`?",
    unit="x", key="06.async_save",
)

# %% [markdown]
# **Measure.** Three ways to save: `save`, `async_save`, and `async_save` that keeps its buffer
# for the next time. The loop stands still until the call returns; the state is safe once it is
# on the disk. Two more rows price what they are made of: a plain file with as many bytes, and the
# copy alone. (All on one thread: others work on this machine too.)


# %%
@experiment(needs="torch")
def checkpoints(layers, repeats):
    """Save a model and its optimizer; seconds until the loop goes on, and until it is safe."""
    import torch
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

    warnings.filterwarnings("ignore", "torch.distributed is disabled")  # one process, on purpose
    torch.set_num_threads(1)
    model = torch.nn.Sequential(*(torch.nn.Linear(1024, 1024) for _ in range(layers)))
    adam = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 1024)).square().sum().backward()
    adam.step()
    state = {"model": model.state_dict(), "optimizer": adam.state_dict()}
    flat = torch.cat([p.detach().flatten() for p in model.parameters()]).repeat(3)  # Adam keeps 2
    copy, keeps, rows = torch.zeros_like(flat), DefaultStager(StagingOptions(*[False] * 4)), []

    def plain(path):
        path.write_bytes(memoryview(flat.numpy()).cast("B"))
        forget_path(path)

    ways = {
        "copy alone": lambda path: copy.copy_(flat),
        "plain file": plain,
        "save": lambda path: dcp.save(state, checkpoint_id=path),
        "async_save": lambda path: dcp.async_save(state, checkpoint_id=path),
        "buffer kept": lambda path: dcp.async_save(state, checkpoint_id=path, async_stager=keeps),
    }
    for way, save in ways.items():
        stalls, safes = [], []
        for _ in range(repeats + 1):
            with scratch(2 * flat.nbytes) as folder:
                given = []
                stalls.append(first_call(lambda: given.append(save(folder / "state"))))
                later = getattr(given[0], "result", None)  # of a save that still runs
                safes.append(stalls[-1] + (first_call(later) if later else 0.0))
        rows.append({"way": way, "bytes": flat.nbytes, **spread("stall", stalls[1:]),
                     **spread("safe", safes[1:])})  # the first was the warm-up
    return Table.from_rows(rows, {"bytes": "B", "stall": "s", "safe": "s"})


saved = checkpoints(layers=4, repeats=3)
stall, safe = (dict(zip(saved["way"], saved[name], strict=True)) for name in ("stall", "safe"))
timeline(
    {way: {"training": [Span(0, stall[way], "stands still", "idle"),
                        Span(stall[way], safe[way], "steps", "gpu")][: 1 + (way != "save")],
           "disk": [Span(stall[way] * (way != "save"), safe[way], "write", "storage")]}
     for way in ("save", "async_save", "buffer kept")},
    title="Only the copy must stop the loop; the write runs beside it", source=saved.source,
)

# %%
def saving(n_bytes, interval, later, store, copying, servers=1):
    """Price a checkpoint every ``interval`` seconds, to a store, by ``servers`` that copy."""
    return storage.burst(n_bytes, interval, store, servers, asynchronous=later,
                         copy_bandwidth=copying)


n_bytes, name = saved["bytes"][0], "llama-3.1-405b"
write_bandwidth = Quantity(n_bytes / stall["plain file"], "B/s", saved.source)
ledger.keep("disk_write_bandwidth", write_bandwidth)
here = [saving(n_bytes, 60, later, write_bandwidth.value, n_bytes / stall["copy alone"]).stall
        for later in (False, True)]
large = storage.checkpoint_bytes(model_shape(name).parameters)
store, buses = 64 * drive("nvme-pcie-4").sequential_write, 8 * overhead("pcie-5-copy").value
print(f"model: {name}, {large / 1e12:.2f} TB from 64 servers to 64 drives of PCIe 4")
for minutes in (1, 10, 60):
    costs = [saving(large, 60 * minutes, later, store, buses, 64) for later in (False, True)]
    shares_of_time = [f"{cost.stall_fraction:.2%}" for cost in costs]
    print(f"every {minutes} min, save loses {shares_of_time[0]}, async_save {shares_of_time[1]}")
stall_gap = compare(
    guess_stall,
    measured=Quantity(stall["save"] / min(stall["async_save"], stall["buffer kept"]), "x",
                      saved.source),
    model=Quantity(here[0] / here[1], "x", "model: a plain file against a copy"),
)
gap(stall_gap, kind="storage", title="The copy into memory is what async_save costs the loop")

# %% [markdown]
# **Explain.** The model stops the loop for the write, or for the copy. Real saves add their own
# work: they sort the state into named items, plan who writes what, start a thread. A fresh buffer
# may cost more than the copy, since the system must find and clear its pages; a kept one costs
# that once. Does it matter on this machine? What is left is memory against disk.
#
# The printed lines scale the model up: 14 bytes a parameter (16-bit weights, Adam's states) from
# 64 servers, each copying over eight buses.
#
# **Change one thing.** Pass `layers=8`. Which rows double? Then give the large model 640 drives:
# what does `async_save` gain?

# %% [markdown]
# ## How many GPUs does this disk feed?
#
# MLPerf Storage asks a storage system just that. An emulated accelerator computes by sleeping as
# long as a real one took for a batch, and counts as fed if it computes 90 % of the time. Training
# ResNet-50, an H100 takes 400 pictures of 115 kB in 224 ms.

# %%
def job_of(entry):
    """A workload of the catalogue as the model of a loader sees it."""
    return storage.Loading(entry.step, entry.samples, entry.sample_bytes, workers=1)


def busy_share(work, disk, counts):
    """The share of time in which accelerators compute, by their number."""
    return [storage.loader_time(work, disk, int(count)).utilisation for count in counts]


def fed_at(share, counts, busy):
    """How many accelerators compute at least that share; a fraction where not even one does."""
    if busy[0] < share:
        return busy[0] / share
    return float(np.exp(np.interp(-share, -np.minimum.accumulate(busy), np.log(counts))))


h100 = workload("resnet50-h100")
print(h100.quantity("step"), h100.quantity("sample_bytes"), sep="\n")
guess_fed = predict(
    "How many such H100s does this disk feed, without the page cache?",
    unit="GPUs", key="06.fed",
)

# %% [markdown]
# **Measure.** Each accelerator has a loader that reads two batches ahead, in blocks of 1 MiB at
# random places past the cache. All of them share the disk. Batches and steps are an eighth of
# the real ones, which changes neither rate nor utilisation, and saves your time.


# %%
def emulate(file, count, batch_bytes, step, steps):
    """Run accelerators that share a file, each with a loader; the share of time they compute."""
    def load(queue, seed):
        rng, buffer = np.random.default_rng(seed), mmap.mmap(-1, 2**20)
        try:
            for _ in range(steps):
                for place in rng.integers(file.size // 2**20, size=round(batch_bytes / 2**20)):
                    file.read(buffer, int(place) * 2**20)
                queue.put((None, np.zeros((1, 2))))  # a batch; nobody asks for its times
        finally:
            queue.put(None)  # also after an error: nobody waits for ever

    queues = [Queue(maxsize=2) for _ in range(count)]
    with ThreadPoolExecutor(2 * count) as pool:
        loads = [pool.submit(load, queue, i) for i, queue in enumerate(queues)]
        trains = [pool.submit(train, iter(queue.get, None), step) for queue in queues]
        for job in loads:
            job.result()
        return float(np.mean([1 - idle(job.result()) for job in trains]))


@experiment(needs="disk")
def feeding(counts, batch_bytes, step, steps, size):
    """Hang more and more emulated accelerators on one disk, until they mostly stand still."""
    rows = []
    with disk_file(size) as file:
        for count in counts:
            busy = [emulate(file, count, batch_bytes, step, steps) for _ in range(3)]
            rows.append({"count": count, **spread("busy", busy)})
            if rows[-1]["busy"] < 0.4:
                break
    return Table.from_rows(rows, {})


EIGHTH = {"batch_bytes": h100.samples * h100.sample_bytes / 8, "step": h100.step / 8}
fed = feeding([1, 2, 4, 8, 16, 32, 64], **EIGHTH, steps=12, size=SIZE)


work, counts = job_of(h100), np.array(fed["count"])
many = np.unique(np.geomspace(1, counts[-1], 60).astype(int))
crossing = fed_at(h100.utilisation, counts, fed["busy"])
sweep(
    [Series(f"{fed.kind}, emulated", counts, fed["busy"], "gpu", fed["busy_low"], fed["busy_high"],
            fed.source),
     Series("model", many, busy_share(work, this_disk, many), "model",
            source="model: the disk's bandwidth, shared")],
    x=("accelerators", ""), y=("share of the time they compute", ""),
    mark=[(crossing, h100.utilisation, f"90 %: {crossing:.1f} accelerators")],
    title="Each accelerator too many slows all of them",
)

# %%
needed = h100.utilisation * work.needed
fed_gap = compare(
    guess_fed,
    measured=Quantity(crossing, "GPUs", fed.source),
    model=Quantity(this_disk.bandwidth / needed, "GPUs", "model: bandwidth over 90 % of the need"),
)
gap(fed_gap, kind="gpu", title=f"At 90 %, each H100 needs {needed / 1e6:.0f} MB/s of this disk")

# %% [markdown]
# **Explain.** The model divides: what the disk delivers by what one accelerator asks for. It has
# no waits, since every loader is two batches ahead. The measured curve bends earlier where
# requests of many loaders disturb one another, and where this machine's cores cannot follow.
#
# **Change one thing.** The next two cells draw the same: choose a drive, a job and a number of
# accelerators. 3D U-Net reads volumes of 147 MB; which drive feeds eight H100s?

# %%
shelf = {"here": ("This disk", this_disk)} | {
    entry.slug: (entry.name, storage.Disk(entry.sequential_read)) for entry in drives()}
thousand = np.unique(np.geomspace(1, 1000, 60).astype(int))


def feed_figure(axes, disk, job, count):
    """Draw how utilisation falls with the number of accelerators, and mark one number."""
    (name, store), entry = shelf[disk], workload(job)
    one = job_of(entry)
    share = busy_share(one, store, [count])[0]
    feeds = storage.fed_accelerators(one, store, entry.utilisation)
    return sweep(
        [Series(entry.name, thousand, busy_share(one, store, thousand), "model",
                source=f"model: {name}; {entry.quantity('step').source}")],
        x=("accelerators", ""), y=("share of the time they compute", ""),
        mark=[(count, share, f"{count}: {share:.0%}")],
        title=f"{name} feeds {feeds} at {entry.utilisation:.0%}",
    )


feed_figure(None, "nvme-pcie-5", "unet3d-h100", 8)

# %%
explorer(feed_figure, [
    Choice("disk", "drive", [(slug, name) for slug, (name, _) in shelf.items()], "here"),
    Choice("job", "job", [(entry.slug, entry.name) for entry in workloads()], "resnet50-h100"),
    Slider("count", "accelerators", 1, 1000, 8, 0.1, log=True),
])

# %% [markdown]
# ## Where this model breaks
#
# - A data set that fits into memory comes from the page cache after the first epoch. MLPerf Storage
#   asks for five times the size of memory.
# - `O_DIRECT` passes this system's cache alone. A drive has memory of its own, and behind a
#   virtual disk the host may cache: 256 MiB may look faster than 256 GiB.
# - A drive writes fast until its cache is full, and a shared store serves others too.
# - Batches vary: volumes of 3D U-Net spread by half their mean, and a slow one needs a longer
#   queue. The model has one size, and no cores: decoding may cost more than reading (lesson 05).
#
# ## You learned

# %%
learned(
    f"This disk gives {read_bandwidth.value / 1e9:.2f} GB/s, and {small.value / 1e6:.0f} MB/s in "
    f"random blocks of 4 KiB one at a time; {rate.max() / rate[0]:.1f} times that with more under "
    f"way ({disk.kind}).",
    f"An accelerator stood still for {shares[0]:.0%} of the time without workers, for "
    f"{shares[max(shares)]:.0%} with {max(shares)} ({loads.kind}).",
    f"At 90 %, this disk feeds {crossing:.1f} H100s with ResNet-50 ({fed.kind}) and "
    f"{storage.fed_accelerators(job_of(workload('unet3d-h100')), this_disk)} with 3D U-Net "
    f"(model); async_save stops a loop {stall_gap.measured.value:.1f} times shorter than save.",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how long does a file take in pieces?
#
# Write `read_seconds(n_bytes, block, depth, latency, bandwidth)`: the time to read a file in
# blocks that divide it evenly. A request takes `latency` and then its bytes at `bandwidth`;
# `depth` of them run side by side, and all together never exceed `bandwidth`.
#
# <details><summary>Hint 1</summary>How many requests are there, and how long does one take if it
# is alone?</details>
#
# <details><summary>Hint 2</summary>Divide their time by depth, and compare with n_bytes /
# bandwidth: the longer one counts.</details>


# %%
def read_seconds(n_bytes, block, depth, latency, bandwidth):
    """Return seconds."""
    ...


check("06.read_seconds", read_seconds)

# %% [markdown]
# ### Exercise 2: how many workers are enough?
#
# Write `fewest_workers(step, load, idle)`: an accelerator needs `step` seconds for a batch and one
# worker `load` seconds to load it. Return the fewest workers with which it stands still for at
# most the share `idle` of the time. With 0 workers, loading and computing take turns.
#
# <details><summary>Hint 1</summary>With workers, the time from batch to batch is max(step, load /
# workers); without, it is step + load.</details>
#
# <details><summary>Hint 2</summary>The idle share is 1 - step / that time. Try 0 workers first,
# then count up.</details>


# %%
def fewest_workers(step, load, idle):
    """Return a whole number of workers."""
    ...


check("06.fewest_workers", fewest_workers)

# %% [markdown]
# ### Exercise 3: how often may a job save?
#
# Write `least_interval(parameters, bandwidth, share)`: a job saves 14 bytes a parameter with
# `save`, to storage that writes `bandwidth` B/s. Return the shortest *training* time between two
# saves, in seconds, so that saving takes at most `share` of the whole time.
#
# <details><summary>Hint 1</summary>The whole time is the training between two saves and one
# save.</details>
#
# <details><summary>Hint 2</summary>save / (interval + save) = share; solve for the
# interval.</details>


# %%
def least_interval(parameters, bandwidth, share):
    """Return seconds of training."""
    ...


check("06.least_interval", least_interval)
quiz("06")

# %% [markdown]
# ## Further reading
#
# - [MLPerf Storage](https://github.com/mlcommons/storage): the benchmark whose question this
#   lesson asks, with its rules, jobs and step times.
# - [Amazon S3: time-outs and
#   retries](https://docs.aws.amazon.com/whitepapers/latest/s3-optimizing-performance-best-practices/timeouts-and-retries-for-latency-sensitive-applications.html):
#   how long a store in the network takes to answer.
# - [tf.data service](https://arxiv.org/abs/2210.14826): how Google moved loading to machines of
#   its own when hosts could not keep up.
# - [PyTorch: asynchronous saving with Distributed
#   Checkpoint](https://docs.pytorch.org/tutorials/recipes/distributed_async_checkpoint_recipe.html):
#   `async_save` step by step, with pinned buffers.
# - [CheckFreq](https://www.usenix.org/conference/fast21/presentation/mohan): how to find the
#   interval, and how to save in two phases.
# - [safetensors](https://huggingface.co/docs/safetensors): a format of names, shapes and plain
#   bytes that can be mapped into memory.
