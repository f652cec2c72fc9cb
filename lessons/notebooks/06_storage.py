# %% [markdown]
# # Starve a GPU with a slow disk
#
# **How many GPUs does the disk under you feed, and for how long do they stand still?**
#
# *You'll do:* read a file in several ways, starve a training loop and feed it again, stop one with
# checkpoints (saved states), and hang more and more accelerators on your disk.
#
# *You'll learn*
#
# - how size and number of requests decide what a disk delivers;
# - what a loader must do in parallel so that no accelerator waits;
# - how many GPUs one disk feeds, and what a checkpoint costs.
#
# *You'll need:* lesson 00, 50 minutes, 1 GB of disk space; torch, or recorded runs. No GPU: a
# sleep of known length stands for it.

# %%
import functools
import importlib.util
import mmap
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from aiinfra.facts.catalogue import drive, drives, overhead
from aiinfra.facts.workloads import workload, workloads
from aiinfra.facts.world_catalogue import model_shape
from aiinfra.measure import experiment, first_call, probe
from aiinfra.measure.disk import disk_file, forget, forget_path, scratch
from aiinfra.measure.loading import (
    FileSamples, idle, save_beside, train, train_together, worker_options, write_samples
)
from aiinfra.model import storage
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Choice, Scale, Series, Slider, Span, breakdown, explorer, gap, ladder, sweep, timeline
)
from aiinfra.teach import check, compare, learned, ledger, predict, quiz
from aiinfra.units import format_quantity

machine = probe()

# %% [markdown]
# ## How fast is this disk?
#
# The system keeps what it reads from a disk in memory, in the *page cache*, as long as there is
# room. `O_DIRECT` reads past it. A data set many times larger than memory comes from the disk.
#
# A disk is asked for *blocks*. It answers after a wait, the *latency*, and sends the bytes. Take
# a file past the cache, its blocks at random places, each asked for when the last has come:
# blocks of 8 MiB, or blocks of 4 KiB. The next cell prints the data sheet of a drive to reason
# with. Yours is another one, or a virtual disk: a part of a drive, or of a store behind a network.

# %%
KIB4, MIB, MIB8 = 2**12, 2**20, 2**23
data_sheet = drive("nvme-pcie-3")
print(f"{data_sheet.name}, latency:", data_sheet.quantity("read_latency"))
print(f"{data_sheet.name}, rate:", data_sheet.quantity("sequential_read"))
guess_small = predict(
    "On your disk, how many times as many bytes a second come in blocks of 8 MiB as of 4 KiB?",
    unit="x", key="06.small_blocks",
)

# %% [markdown]
# **Measure.** First the caches. A file of random bytes is written to the disk and dropped from
# the page cache, then read from start to end in blocks of 1 MiB: past the cache, through it for
# the first time, and again.
#
# The cell after it reads blocks, in three rounds and a new order each, because a shared disk
# changes within seconds. It takes some ten seconds.


# %%
def read_all(descriptor, size, block=MIB):
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
    """Read a file three ways."""
    seconds = {way: [] for way in ("past the cache", "first time", "again")}
    with disk_file(size) as file:
        if file.reason:
            print(f"The cache is dropped, not passed: {file.reason}.")
        for _ in range(3):
            forgotten, cold = forget(file.cached), first_call(read_all, file.cached, size)
            seconds["first time"] += [cold] * forgotten  # macOS drops nothing: no first time there
            seconds["again"].append(first_call(read_all, file.cached, size))
            if not file.reason:
                seconds["past the cache"].append(first_call(read_all, file.direct, size))
    rows = [{"way": way, **spread("rate", size / np.array(times))}
            for way, times in seconds.items() if times]
    return Table.from_rows(rows, {"rate": "B/s"})


SIZE = 2**28
ways = one_file(SIZE)
ladder(
    [(way, ways.quantity("rate", way=way), "memory" if way == "again" else "storage")
     for way in ways["way"]],
    title="Whoever reads a file twice measures memory, not the disk",
    label="bytes read a second",
)


# %%
@experiment(needs="disk")
def requests(cases, size):
    """Read blocks of a file; a case is (how, block in bytes, requests under way)."""
    rng, seconds = np.random.default_rng(), {case: [] for case in cases}
    with disk_file(size) as file:
        def run(how, block, depth):
            count = depth * max(1, min(max(16, 64 // depth), 2**25 // block // depth))
            buffers = [mmap.mmap(-1, block) for _ in range(depth)]
            read = file.read_cached if how == "in memory" else file.read

            def call():
                places = rng.integers(size // block, size=count) * block
                if how == "in order":
                    places = (places[0] + block * np.arange(count)) % (size // block * block)
                list(pool.map(lambda buffer, some: [read(buffer, place) for place in some],
                              buffers, places.reshape(depth, -1).tolist()))

            with ThreadPoolExecutor(depth) as pool:
                call()  # starts the threads
                return [first_call(call) / (count * block) for _ in range(4)]

        for _ in range(3):
            forget(file.cached)
            for case in sorted(cases, key=lambda case: (case[0] == "in memory", rng.random())):
                if case[0] == "in memory":
                    read_all(file.cached, size)
                seconds[case] += run(*case)
    rows = [{"how": how, "block": block, "depth": depth, **spread("rate", 1 / np.array(times))}
            for (how, block, depth), times in seconds.items()]
    return Table.from_rows(rows, {"block": "B", "rate": "B/s"})


blocks, depths = [KIB4, 2**14, 2**16, 2**18, MIB, MIB8], [1, 2, 4, 8, 16, 32, 64]
cases = {"one at a time": [("random", block, 1) for block in blocks],
         "8 under way": [("random", block, 8) for block in blocks[:4]],
         **{how: [(how, KIB4, depth) for depth in depths] for how in ("random", "in memory")},
         "in order": [("in order", KIB4, 1)]}
disk = requests([*dict.fromkeys(case for some in cases.values() for case in some)], SIZE)
line = {name: [disk.quantity("rate", how=how, block=block, depth=depth)
               for how, block, depth in some] for name, some in cases.items()}
taken = np.array(blocks) / [q.value for q in line["one at a time"]]  # s for a block
per_byte, wait = np.polyfit(blocks, taken, 1, w=1 / taken)  # a straight line; all sizes count alike
found = {name: np.array([(q.value, q.low, q.high) for q in line[name]]).T for name in line}
sweep(
    [Series(name, blocks[: found[name].shape[1]], found[name][0], "storage", *found[name][1:],
            disk.source) for name in ("one at a time", "8 under way")]
    + [Series("model: one at a time", blocks, [b / (wait + b * per_byte) for b in blocks],
              "model", source="model: a wait, then the bytes, fitted to all sizes")],
    x=Scale("block", "B"), y=("rate", "B/s"), title="Small blocks bring few bytes a second",
)

# %%
def sheet_rate(block):
    """Bytes a second in such blocks, one at a time, by the data sheet."""
    return block / (data_sheet.read_latency + block / data_sheet.sequential_read)


small, large = line["one at a time"][0], line["one at a time"][-1]
in_order = line["in order"][0].value / small.value
told = format_quantity(wait, "s"), format_quantity(1 / per_byte, "B/s")
print("your disk, by a line through all sizes: latency {}, rate {}".format(*told))
over = data_sheet.read_latency / wait, data_sheet.sequential_read * per_byte
print("the drive of the sheet: {:.2g} times your latency, {:.2g} times your rate".format(*over))
print(f"4 KiB in order: {in_order:.1f} times the rate of random places")
small_gap = compare(
    guess_small,
    measured=Quantity(large.value / small.value, "x", disk.source),
    model=Quantity(sheet_rate(MIB8) / sheet_rate(KIB4), "x",
                   f"model: latency and rate of the {data_sheet.name}"),
)
gap(small_gap, kind="storage",
    title=f"Blocks of 8 MiB bring {large.value / small.value:.0f} times the bytes of 4 KiB blocks")

# %% [markdown]
# **Explain.** A small block pays a whole wait for few bytes. The model is the drive of the data
# sheet: its two printed factors, multiplied, come near the distance. A latency far below the sheet's
# is perhaps a host's cache. The dashed line above is your disk. Order gains little past the cache,
# where nobody reads ahead. "8 under way" ends where waits hardly count. More under way is the way
# out: threads here, workers later.
#
# **Change one thing.** The next figure changes only the number under way, then repeats it in
# memory, where only Python limits. Which points would twice the latency move?
#
# <details><summary>Answer</summary>Those on the rise.</details>

# %%
def wait_of_each(under_way, reads):
    """Seconds by Little's law: requests under way = requests a second x wait."""
    return under_way / reads


(rate, *rate_ends), (memory, *memory_ends) = (
    found[name] / KIB4 for name in ("random", "in memory"))
ledger.keep("disk_random_reads", Quantity(rate.max(), "operations/s", disk.source))
print(disk.source)
for n, reads in zip(depths, rate, strict=True):
    print(f"{n:2} under way: {reads:7,.0f} reads/s, so each waits "
          f"{1e6 * wait_of_each(n, reads):.0f} µs")
python = memory[rate.argmax()] / rate.max()
limit, least = ("the disk limits", "") if python > 2 else ("Python may be the limit", "at least ")
print(f"At the top, Python alone gets {python:.1f} times as many from memory: {limit}.")
sweep(
    [Series(f"{disk.kind}, disk", depths, rate, "storage", *rate_ends, disk.source),
     Series(f"{disk.kind}, in memory", depths, memory, "memory", *memory_ends),
     Series("model: the wait stays", depths, np.array(depths) * rate[0], "model",
            source="model: requests under way over the wait of one")],
    x="requests under way", y=("random reads of 4 KiB", "operations/s"),
    title=f"Asked at once, the disk serves {least}"
          f"{rate.max() / rate[0]:.1f} times as many",
)

# %% [markdown]
# *Little's law* holds at every point: requests under way = requests a second × wait. Where the line
# bends, they queue: at the disk or, if both lines are near, at *Python's lock*, which lets one thread
# run at a time and lowers the green line.
#
# ## How long does the accelerator wait for its data?
#
# A training loop takes a batch, computes, takes the next. Here a batch is 8 files of 115 kB and a
# step 40 ms. A file answers after 14 ms, as from a fast store in the network (a sleep), and only
# then the next is asked for. torch's `DataLoader` loads batches in the training process or in
# *workers*, processes that run ahead of it.

# %%
guess_idle = predict(
    "With two workers, how long does the accelerator stand still, on average per step?",
    unit="ms", key="06.idle",
)

# %% [markdown]
# **Measure.** The loop notes when each batch was loaded and computed. Each worker may be some
# batches ahead (torch's `prefetch_factor`). In the last two cases, one file of the 15th batch
# answers late, after 160 ms.


# %%
SAMPLE, BATCH, STEP = int(workload("resnet50-h100").sample_bytes), 8, 0.040
LATE_BATCH = 14  # from 0: the queue is full by then
WAIT, LATE = 0.014, 0.160  # s; for small objects in S3, Amazon states tens of milliseconds


def waits(late, files):
    """Seconds after which each file answers."""
    return np.where(np.arange(files) == LATE_BATCH * BATCH, late, WAIT)


@experiment(needs="torch")
def starved(cases, steps):
    """Train on files; a case is (workers, batches ahead, seconds of a late answer)."""
    import torch
    from torch.utils.data import DataLoader

    rows = []
    if os.name == "posix" and 0 < (machine.shm_bytes or 0) < 64 * MIB:
        print("/dev/shm is too small for workers: the training process loads.")
        cases = [case for case in cases if case[0] == 0]
    torch.set_num_threads(1)  # as in the workers
    warnings.filterwarnings("ignore", "This DataLoader will create")  # they only wait
    with scratch(steps * BATCH * SAMPLE) as folder:
        paths = write_samples(folder, steps * BATCH, SAMPLE)
        for workers, ahead, late in cases:
            loader = DataLoader(FileSamples(paths, waits(late, len(paths))), batch_size=BATCH,
                                **worker_options(workers, ahead))
            noted = train(loader, STEP)[1:]
            rows += [{"case": (workers, ahead, late), "idle": idle(noted), **vars(step)}
                     for step in noted]
    return Table.from_rows(rows, {c: "s" for c in ("load_begin", "load_end", "begin", "end")})


CASES = [(0, 2, WAIT), (1, 2, WAIT), (2, 2, WAIT), (4, 2, WAIT), (4, 1, LATE), (4, 2, LATE)]
loads = starved(CASES, steps=18)


def lanes(case, first=9, last=15):
    """The lanes of one run, from the begin of a step to the begin of another."""
    rows = [row for row in loads.table.rows() if tuple(row["case"]) == case]
    start, stop, workers = rows[first]["begin"], rows[last]["begin"], max(case[0], 1)

    def cut(a, b, *words):
        return Span(max(a, start) - start, min(b, stop) - start, *words)

    loading = {f"worker {w + 1}" if case[0] else "loading":
               [cut(r["load_begin"], r["load_end"], "load", "storage")
                for k, r in enumerate(rows, start=1)
                if k % workers == w and r["load_end"] > start and r["load_begin"] < stop]
               for w in range(workers)}
    steps = [cut(r["begin"], r["end"], "step", "gpu") for r in rows[first:last]]
    return loading | {"accelerator": steps}


shares = {tuple(case): share for case, share in zip(loads["case"], loads["idle"], strict=True)}
timeline({f"{case[0] or 'no'} workers, six steps and waits": lanes(case)
          for case in (CASES[0], CASES[2]) if case in shares},
         title="Loading between the steps, and beside them", source=loads.source)

# %%
def modelled(workers, ahead, late, steps=18):
    """When each step but the first begins and ends by the model: it follows every batch."""
    loading = waits(late, steps * BATCH).reshape(steps, BATCH).sum(axis=1)
    time = storage.loader_timeline(BATCH * SAMPLE / large.value, loading, STEP, workers, ahead)
    return time.begin[1:], time.end[1:]


def period(begin, end):
    """Seconds from step to step."""
    return (begin[-1] - begin[0]) / (len(begin) - 1)


def late_by(begin, end):
    """How long the accelerator waits for the late batch."""
    return 1e3 * (begin[LATE_BATCH - 1] - end[LATE_BATCH - 2])


for case, waited in shares.items():
    rows = [row for row in loads.table.rows() if tuple(row["case"]) == case]
    begin, end = ([row[name] for row in rows] for name in ("begin", "end"))
    model = modelled(*case)
    print(f"workers: {case[0]}, ahead: {case[1]}" + ", one batch late" * (case[2] == LATE)
          + f": idle {waited:.0%} from the first step to the last,"
          f" by the model {1 - STEP / period(*model):.0%}")
    if case[2] == LATE:
        print(f"  the late batch is waited for {late_by(begin, end):.0f} ms, "
              f"by the model {late_by(*model):.0f} ms")
two = CASES[2] if CASES[2] in shares else CASES[0]  # where shared memory is too small
pace = period(*modelled(*two))
idle_gap = compare(
    guess_idle,
    measured=Quantity(STEP * shares[two] / (1 - shares[two]), "s", loads.source),
    model=Quantity(pace - STEP, "s", f"model: a batch every {1e3 * pace:.0f} ms"),
)
gap(idle_gap, kind="storage", title=f"With {two[0] or 'no'} workers, the accelerator stands still "
                                    f"for {1e3 * idle_gap.measured.value:.0f} ms a step")

# %% [markdown]
# **Explain.** Without workers, loading and computing take turns. With `w`, a batch is there every
# `8 × 14 ms / w`; the slower of that and the step sets the pace. Two workers end less than a step
# apart: two steps follow each other, then comes a wait. Handing over and shared cores add to it.
# The late batch takes `7 × 14 + 160 = 258 ms`. Once the queue is full, it was asked for `workers ×
# ahead × step` earlier: `4 × 1 × 40 = 160 ms` leave `258 - 160 = 98 ms` to wait, `4 × 2 × 40 = 320
# ms` nothing.
#
# **Change one thing.** Without sleeps, change the layout: a file each, one `.npy` file *mapped* into
# memory (read when touched), one of `safetensors` (plain bytes). Samples are read at random places
# unless "in order" is said. Which wins, and what do 8 reads at once gain?


# %%
@experiment(needs="disk")
def formats(count):
    """Read samples once, in several layouts, each dropped from the page cache before."""
    shuffled = np.random.default_rng(1).permutation(count).tolist()
    with scratch(4 * count * SAMPLE) as folder:
        paths = write_samples(folder, count, SAMPLE)
        shard, tensors = folder / "shard.npy", folder / "shard.safetensors"
        data = np.stack([np.fromfile(path, np.uint8) for path in paths])
        np.save(shard, data)

        def files(order):
            return [np.fromfile(paths[i], np.uint8).max() for i in order]

        def at_once(order):
            with ThreadPoolExecutor(8) as pool:
                return list(pool.map(lambda i: np.fromfile(paths[i], np.uint8).max(), order))

        def mapped(order):
            samples = np.load(shard, mmap_mode="r")
            return [samples[i].max() for i in order]

        readings = {"a file each": (files, shuffled, paths),
                    "a file each, 8 at once": (at_once, shuffled, paths),
                    ".npy, mapped": (mapped, shuffled, [shard]),
                    ".npy, mapped, in order": (mapped, range(count), [shard])}
        if importlib.util.find_spec("safetensors"):
            from safetensors import safe_open
            from safetensors.numpy import save_file

            def by_slice(order):
                with safe_open(tensors, "np") as file:
                    samples = file.get_slice("samples")
                    return [samples[i].max() for i in order]

            save_file({"samples": data}, tensors)
            readings["safetensors"] = by_slice, shuffled, [tensors]
        times = {layout: [] for layout in readings}
        for layout, (read, order, parts) in [*readings.items()] * 5:
            list(map(forget_path, parts))
            times[layout].append(first_call(read, order))
    return Table.from_rows([{"layout": layout, **spread("rate", count / np.array(times[layout]))}
                            for layout in readings], {"rate": "/s"})


layouts = formats(256)
order = sorted(layouts.table.rows(), key=lambda row: (row["layout"] != "a file each", row["rate"]))
speeds, each = {row["layout"]: row["rate"] for row in order}, order[0]["rate"]
print("over a file each:", ", ".join(f"{k} {v / each:.1f}x" for k, v in speeds.items()))
ladder(
    [(layout, layouts.quantity("rate", layout=layout), "storage") for layout in speeds],
    title=f"The best layout gives {max(speeds.values()) / each:.1f} times as much as a file each",
    label="samples of 115 kB",
)

# %% [markdown]
# **Explain.** One file is opened once, and the system reads around the page that is touched: the
# neighbours are in memory when their turn comes. Eight at once wait side by side, yet share Python's
# lock and the cores, which may cost more than the waits did (below 1x).
#
# ## How long does a checkpoint stop the job?
#
# A job saves its weights now and then, and what the *optimizer*, which changes them, remembers:
# *Adam* two running means for each. torch's `save` returns when all is on the disk. `async_save`
# copies it in memory, returns, and writes the copy beside the training. Here: three layers of 1024
# by 1024 weights, in 32 bits, 38 MB.

# %%
print("to read from memory, as measured above:", ways.quantity("rate", way="again"))
print(f"to write, {data_sheet.name}:", data_sheet.quantity("sequential_write"))
guess_stall = predict(
    "How many times shorter does the loop stand still with `async_save` than with `save`?",
    unit="x", key="06.async_save",
)

# %% [markdown]
# **Measure.** Three ways to save: `save`, `async_save`, and `async_save` that keeps its buffer
# for the next time. The loop stands still until the call returns, then runs steps (sleeps of 5 ms)
# until the state is on the disk. A step that takes longer meanwhile is lost time as well. Two rows
# price the parts: the copy alone, and a plain file with as many bytes. (All on one thread.)


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
    runs = {way: [] for way in ways}
    for way, save in [*ways.items()] * (repeats + 1):
        with scratch(2 * flat.nbytes) as folder:
            runs[way].append(save_beside(functools.partial(save, folder / "state"), STEP / 8))
    for way, all_runs in runs.items():
        stalls, safes, steps = np.array(all_runs[1:]).T  # the first was the warm-up
        rows.append({"way": way, "bytes": flat.nbytes, **spread("stall", stalls),
                     **spread("lost", safes - STEP / 8 * steps), **spread("safe", safes),
                     "steps": float(np.median(steps))})
    return Table.from_rows(rows, {"bytes": "B", "stall": "s", "lost": "s", "safe": "s"})

saved = checkpoints(layers=3, repeats=5)
stall, lost, steps = (dict(zip(saved["way"], saved[name], strict=True))
                      for name in ("stall", "lost", "steps"))
breakdown(
    {w: [("stands still", stall[w], "storage")]
     + [("steps delayed", max(lost[w] - stall[w], 0.0), "other"),
        (f"{steps[w]:.0f} steps", STEP / 8 * steps[w], "gpu")] * (w != "save")
     for w in ("save", "async_save", "buffer kept")},
    title="With async_save, steps run before the state is safe", unit="s", source=saved.source,
)

# %%
def lost_to(n_bytes, minutes, later, store, copying, servers):
    """The share of the time that checkpoints so many minutes apart cost, in per cent."""
    cost = storage.burst(n_bytes, 60 * minutes, store, servers, asynchronous=later,
                         copy_bandwidth=copying)
    return format_quantity(100 * cost.stall_fraction, "%", 2)


print(saved.source)
for way in saved["way"]:
    still, whole = (saved.quantity(name, way=way) for name in ("stall", "lost"))
    print(f"{way:>11}: still {1e3 * still.value:3.0f} ms ({1e3 * still.low:.0f} to "
          f"{1e3 * still.high:.0f}), {steps[way]:2.0f} steps until it is safe, lost in all "
          f"{1e3 * whole.value:3.0f} ms ({1e3 * whole.low:.0f} to {1e3 * whole.high:.0f})")
over = stall["save"] / stall["plain file"], stall["async_save"] / stall["copy alone"]
print("save takes {:.1f} times a plain file, async_save {:.1f} times a copy".format(*over))
write_bandwidth = Quantity(saved["bytes"][0] / stall["plain file"], "B/s", saved.source)
ledger.keep("disk_write_bandwidth", write_bandwidth)
name, servers, gpus, many_drives = "llama-3.1-405b", 128, 8, 64
large_state = storage.checkpoint_bytes(model_shape(name).parameters)
store = many_drives * drive("nvme-pcie-4").sequential_write
buses = gpus * overhead("pcie-5-copy").value
print(f"model: {name}, {large_state / 1e12:.2f} TB; {servers} servers, {many_drives} PCIe 4 drives")
for minutes in (1, 10, 60):
    save, later = (lost_to(large_state, minutes, w, store, buses, servers) for w in (False, True))
    print(f"every {minutes} min, save loses {save}, async_save {later}")
stall_gap = compare(
    guess_stall,
    measured=Quantity(stall["save"] / stall["async_save"], "x", saved.source),
    model=Quantity(stall["plain file"] / stall["copy alone"], "x",
                   "model: a plain file against a copy"),
)
gap(stall_gap, kind="storage",
    title=f"async_save stops the loop {stall_gap.measured.value:.1f} times shorter than save")

# %% [markdown]
# **Explain.** The model divides a plain file by a copy. Both real calls plan who writes what;
# `async_save` starts a thread and finds fresh pages for its copy (a kept buffer has them). Where the two printed factors
# are alike, they cancel: the model is right by luck. The writing thread delays steps: it shares
# Python's lock. Where ranges overlap, conclude nothing.
#
# The large model has 14 bytes a parameter (weights 2, a 32-bit copy 4, two means 8), saved once
# for all its copies; GPUs copy to *pinned* memory, which stays in place.
#
# **Change one thing.** Pass `layers=6`: which rows double? Then set `many_drives = 640`.
#
# <details><summary>Answer</summary>Copy and plain file; planning stays. `save` stops a tenth as
# long, `async_save` as before: it copies.</details>

# %% [markdown]
# ## How many GPUs does this disk feed?
#
# MLPerf Storage asks a storage system just that. An emulated accelerator computes by sleeping as
# long as a real one took for a batch, and counts as fed if it computes 90 % of the time
# (70 % for CosmoFlow, a network on maps of the universe). Training
# ResNet-50, a network that names what a picture shows, an H100 takes 400 pictures of 115 kB in 224
# ms. They are packed, 1,251 to a file.

# %%
def job_of(entry, wait=0.0):
    """A workload as the model of a loader sees it; one reader waits for each block of 1 MiB."""
    return storage.Loading(entry.step, entry.samples, entry.sample_bytes, workers=1,
                           prepare=entry.sample_bytes / MIB * wait)


def busy_share(work, disk, counts):
    """The share of time in which accelerators compute, by their number."""
    return [storage.loader_time(work, disk, int(count)).utilisation for count in counts]


def still_fed(counts, busy, share):
    """The largest number before one computes less than that share; a fraction where none is."""
    first = min((n for n, part in zip(counts, busy, strict=True) if part < share), default=np.inf)
    return max((n for n in counts if n < first), default=busy[0] / share)


def fed_line(entry, most):
    """The share at which MLPerf Storage counts an accelerator as fed."""
    return Series(f"{entry.utilisation:.0%}: fed", (1, most), (entry.utilisation,) * 2, "limit")


h100 = workload("resnet50-h100")
print(h100.quantity("step"), h100.quantity("sample_bytes"), sep="\n")
guess_fed = predict(
    "How many such H100s does this disk feed, without the page cache?",
    unit="GPUs", key="06.fed",
)

# %% [markdown]
# **Measure.** Each accelerator has a loader that reads up to two batches ahead past the cache, in
# blocks of 1 MiB at random places: nine packed pictures each. All of them share the disk. To save
# your time, a batch is 5 blocks, and the step shorter to match: the bytes a second stay. First 1,
# 2, 4, ... accelerators, then the numbers around the last that is fed, three times each: some
# twenty seconds.


# %%
@experiment(needs="disk")
def feeding(most, blocks, step, steps, fed, size):
    """Hang more and more emulated accelerators on one disk; the share of time they compute."""
    with disk_file(size) as file:
        def loader():
            rng, buffer = np.random.default_rng(), mmap.mmap(-1, MIB)

            def batch():
                for place in rng.integers(size // MIB, size=blocks).tolist():
                    file.read(buffer, place * MIB)

            return batch

        def readers():
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda batch: batch(), [loader() for _ in range(8)] * 4))

        found, count = {}, 1

        def busy(count):
            if count not in found:
                runs = [(train_together([loader() for _ in range(count)], step, steps),
                         8 * 4 * blocks * MIB / first_call(readers)) for _ in range(3)]
                shares, rates = zip(*runs, strict=True)
                found[count] = {"count": count, **spread("busy", shares), **spread("rate", rates)}
                found[count]["taken"] = count * found[count]["busy"] * blocks * MIB / step
            return found[count]["busy"]

        while busy(count) > 0.5 and count < most:
            count *= 2
        low, high = 0, count
        while high - low > 1:  # halve the range between the last that is fed and the next
            middle = (low + high) // 2
            low, high = (middle, high) if busy(middle) >= fed else (low, middle)
    return Table.from_rows([found[n] for n in sorted(found)], {"rate": "B/s", "taken": "B/s"})


work, BLOCKS = job_of(h100, wait), 5
feeds = feeding(most=64, blocks=BLOCKS, step=BLOCKS * MIB / work.needed, steps=20,
                fed=h100.utilisation, size=SIZE)
counts, computing = np.array(feeds["count"]), Scale("share of the time they compute", log=False)
number = still_fed(counts, feeds["busy"], h100.utilisation)
middle, *ends = spread("rate", feeds["rate"]).values()  # eight readers between the runs
read_bandwidth, this_disk = Quantity(middle, "B/s", feeds.source, *ends), storage.Disk(middle)
many = np.unique(np.geomspace(1, counts[-1], 60).astype(int))
sweep(
    [Series(f"{feeds.kind}, emulated", counts, feeds["busy"], "gpu", feeds["busy_low"],
            feeds["busy_high"], feeds.source), fed_line(h100, counts[-1]),
     Series("model", many, busy_share(work, this_disk, many), "model",
            source=f"model: {format_quantity(this_disk.bandwidth, 'B/s')}, shared")],
    x="accelerators", y=computing,
    title="All compute less of the time once the disk has no more to give",
)

# %%
def fed_by(rate):
    """How many the model feeds at such a rate; a fraction where not even one."""
    some = storage.fed_accelerators(work, storage.Disk(rate), h100.utilisation)
    return some or busy_share(work, storage.Disk(rate), [1])[0] / h100.utilisation


print(feeds)
ledger.keep("disk_read_bandwidth", read_bandwidth)
low, high = (format_quantity(end, "B/s") for end in ends)
shared = [got for got, part in zip(feeds["taken"], feeds["busy"], strict=True)
          if part < h100.utilisation] or [middle]  # what all got once the disk was the limit
few, most = min(number, fed_by(min(shared))), max(number, fed_by(max(shared)))
print(f"between the runs, the disk gave {format_quantity(middle, 'B/s')} ({low} to {high})")
print("fed, by the model: {:.2g} ({:.2g} to {:.2g})".format(*map(fed_by, (middle, *ends))))
print(f"fed, measured: {number:.2g} ({few:.2g} to {most:.2g}: once the disk was the limit, all got "
      f"{format_quantity(min(shared), 'B/s')} to {format_quantity(max(shared), 'B/s')})")
fed_gap = compare(
    guess_fed, measured=Quantity(number, "GPUs", feeds.source),
    model=Quantity(fed_by(middle), "GPUs", "model: bandwidth over 90 % of the need"),
)
own = {k: f"{v / (h100.utilisation * h100.rate):.1f}" for k, v in speeds.items()}
print("fed by one process through the page cache:",
      "; ".join(f"{layout.replace(', 8', ' 8')}: {count}" for layout, count in own.items()))
needed = format_quantity(h100.utilisation * work.needed, "B/s")
gap(fed_gap, kind="gpu", title=f"This disk feeds {number:.2g} H100s with {needed} each, "
                            f"{h100.utilisation:.0%} of their rate")

# %% [markdown]
# **Explain.** The model divides `rate` (eight readers between the runs) by the need of one. `taken`
# is what all computed on; a loader reads as much in that time, so nothing read ahead counts. A
# shared disk changes within seconds: trust no single number. If it gives less when many ask at once
# (`taken` falls at the end), more are fed than the model says. If its rate wanders, fewer: who stood
# still never catches up.
#
# **Change one thing.** The next cells draw the model. Which drives feed eight H100s with 3D U-Net,
# which marks organs in scans (*volumes*)?
#
# <details><summary>Answer</summary>No single one: eight need 0.9 × 8 times the rate in the next
# title. Two of PCIe 5 give that.</details>

# %%
shelf = {"here": ("this disk", this_disk.bandwidth)} | {
    entry.slug: (entry.name, entry.sequential_read) for entry in drives()}


def feed_figure(axes, disk, drives, job, count):
    """From one step to the next, where so many accelerators share the drives: who is busy."""
    (name, bandwidth), entry = shelf[disk], workload(job)
    one, store = job_of(entry), storage.Disk(drives * bandwidth)
    time = storage.loader_time(one, store, round(count))
    feeds = storage.fed_accelerators(one, store, entry.utilisation)
    return timeline(
        {"drives": [Span(0, time.disk_bandwidth, f"read {count:.0f} batches", "storage")],
         "each GPU": [Span(0, time.accelerator, "computes", "gpu")]},
        f"Model: {drives} x {name} feeds {feeds} ({entry.utilisation:.0%} busy) that take "
        f"{format_quantity(one.needed, 'B/s')} each",
        source=f"model: shared drives | {entry.quantity('step').source}",
    )


feed_figure(None, "nvme-pcie-3", 2, "unet3d-h100", 8)

# %%
explorer(feed_figure, [
    Choice("disk", "drive", [(slug, name) for slug, (name, _) in shelf.items()], "here"),
    Slider("drives", "number of drives", 1, 16, 1, 1),
    Choice("job", "job", [(entry.slug, entry.name) for entry in workloads()], "resnet50-h100"),
    Slider("count", "accelerators", 1, 1000, 8, 0.1, log=True),
])

# %% [markdown]
# ## Where this model breaks
#
# - A data set that fits into memory comes from the page cache after the first *epoch* (each sample
#   once). Twice as large and shuffled, 15 % still does, not half: the longest unused goes first, so
#   only a sample late in one epoch and early in the next is still there. MLPerf Storage
#   asks for five times.
# - `O_DIRECT` passes this system's cache alone, not a drive's own or a host's.
# - A drive writes fast until its cache is full.
# - Volumes of 3D U-Net differ in size; a large one needs a longer queue. The model has no cores:
#   decoding pixels may cost more than reading (lesson 05).
#
# ## You learned

# %%
def in_words(count):
    """A number of accelerators."""
    return "less than one" if count < 1 else f"{count:.0f}"


many_workers = max(case for case in shares if case[2] == WAIT)

learned(
    f"This disk gives {read_bandwidth.value / 1e9:.2f} GB/s ({low} to {high}) in blocks of 1 MiB, "
    f"{small.value / 1e6:.0f} MB/s in blocks of 4 KiB one at a time, and "
    f"{least}{rate.max() / rate[0]:.1f} times that with more under way "
    f"({disk.kind}).",
    f"An accelerator stood still for {shares[CASES[0]]:.0%} of the time without workers, for "
    f"{shares[many_workers]:.0%} with {many_workers[0]} ({loads.kind}).",
    f"Of H100s, this disk feeds {in_words(number)} with ResNet-50 ({feeds.kind}) and "
    f"{in_words(storage.fed_accelerators(job_of(workload('unet3d-h100')), this_disk))} with 3D "
    f"U-Net (model); async_save stops a loop {stall_gap.measured.value:.1f} times shorter than "
    f"save ({saved.kind}).",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how long does a file take in pieces?
#
# Write `read_seconds(n_bytes, block, depth, latency, bandwidth)`: the time to read a file whose
# size is a multiple of `depth * block`. A request takes `latency` and then its bytes at
# `bandwidth`; `depth` of them run side by side, and all together never exceed `bandwidth`.
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
