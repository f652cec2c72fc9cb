# %% [markdown]
# # Race one specialist against thousands
#
# **When does parallelism win, and from which problem size does a GPU beat the machine under
# you?**
#
# *You'll do:* draw one picture five ways on this machine, save it, and hand the same work to a
# GPU.
#
# *You'll learn*
#
# - how much speed a CPU hides behind a plain loop, and how much of it comes from lanes and cores;
# - what a program gains when one of its parts becomes fast (Amdahl's law);
# - what decides whether a GPU is worth the trip to it.
#
# *You'll need:* lesson 00, 45 minutes, any computer.

# %%
import tempfile
from dataclasses import replace
from math import inf
from pathlib import Path

import numba
import numpy as np
from numba import cuda, prange
from PIL import Image

from aiinfra.facts.catalogue import accelerator, link, overhead
from aiinfra.measure import experiment, first_call, probe, time_call
from aiinfra.model import amdahl, offload
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Series, break_even_explorer, break_even_figure, breakdown, gap, image,
    ladder, sweep
)
from aiinfra.teach import check, compare, learned, ledger, predict, quiz

f32 = np.float32
machine = probe()
# A container may grant fewer cores than it shows.
numba.set_num_threads(min(machine.cores_usable, numba.config.NUMBA_NUM_THREADS))
machine

# %% [markdown]
# ## How much speed hides in one CPU?
#
# The work is the Mandelbrot set. For each pixel `c`, repeat `z = z*z + c` and count the turns
# until `z` leaves a circle of radius 2, at most 200. A turn is some 8 floating-point operations
# (FLOP) and touches no memory; a pixel takes 56 turns on average and stores 4 bytes. Pixels do
# not depend on one another.
#
# A plain Python loop draws it one pixel after another. Compiled code can use everything that the
# table above lists: *lanes*, the numbers that one SIMD instruction (single instruction, multiple
# data) handles at once, and *cores*, the processors that work side by side.

# %%
guess_cpu = predict(
    "How many times faster than the plain Python loop can this CPU draw the picture?",
    unit="x",
    key="01.cpu_ladder",
)

# %% [markdown]
# **Measure.** The Python loop and its compiled twin take one pixel at a time. NumPy advances all
# live pixels together. The fourth version advances a *group* of neighbours in lockstep, so that
# the compiler can use vector instructions: a pixel that has left keeps turning, uselessly, until
# its whole group has left. The fifth shares the groups out among the cores. (Python counts in
# 64-bit numbers, the others in 32-bit.)


# %%
def render_python(width, height, limit):
    """Count the turns of every pixel, one pixel after another."""
    turns = []
    for i in range(width * height):
        c = complex(-2 + 3 * (i % width) / width, -1 + 2 * (i // width) / height)
        z, n = 0j, 0
        while n < limit and z.real * z.real + z.imag * z.imag <= 4:
            z = z * z + c
            n += 1
        turns.append(n)
    return turns


def render_numpy(width, height, limit):
    """Advance all live pixels together, one whole-array operation at a time."""
    x = np.linspace(-2, 1, width, endpoint=False, dtype=f32)
    y = np.linspace(-1, 1, height, endpoint=False, dtype=f32)
    c = (x + 1j * y[:, None]).ravel()
    z, turns, alive = np.zeros_like(c), np.zeros(c.size, np.int32), np.arange(c.size)
    for _ in range(limit):
        turns[alive] += 1
        z = z * z + c
        keep = z.real**2 + z.imag**2 <= 4
        z, c, alive = z[keep], c[keep], alive[keep]
    return turns


@numba.njit
def render_compiled(out, width, height, limit):
    """The plain loop, compiled: one pixel after another on one core."""
    for i in range(out.size):
        cr = f32(-2) + f32(3) * f32(i % width) / f32(width)
        ci = f32(-1) + f32(2) * f32(i // width) / f32(height)
        zr = zi = f32(0)
        n = 0
        while n < limit and zr * zr + zi * zi <= f32(4):
            zr, zi = zr * zr - zi * zi + cr, f32(2) * zr * zi + ci
            n += 1
        out[i] = n
    return out


# %%
def render_groups(out, width, height, limit, size):
    """Advance groups of neighbouring pixels in lockstep; share the groups among cores."""
    groups = out.size // size
    tasks = max(1, groups // 16)
    for task in prange(tasks):
        zr, zi, cr, ci, n = np.empty((5, size), f32)
        for group in range(task * groups // tasks, (task + 1) * groups // tasks):
            first = group * size
            for i in range(size):
                cr[i] = f32(-2) + f32(3) * f32((first + i) % width) / f32(width)
                ci[i] = f32(-1) + f32(2) * f32((first + i) // width) / f32(height)
                zr[i] = zi[i] = n[i] = f32(0)
            for turn in range(limit):
                for i in range(size):  # the loop that becomes vector instructions
                    rr, ii = zr[i] * zr[i], zi[i] * zi[i]
                    zi[i] = f32(2) * zr[i] * zi[i] + ci[i]
                    zr[i] = rr - ii + cr[i]
                    n[i] += f32(1) if rr + ii <= f32(4) else f32(0)
                if turn % 8 == 7:  # every eighth turn, stop if nobody is left
                    alive = f32(0)
                    for i in range(size):
                        alive += f32(1) if zr[i] * zr[i] + zi[i] * zi[i] <= f32(4) else f32(0)
                    if alive == f32(0):
                        break
            for i in range(size):
                out[first + i] = np.int32(n[i])
    return out


render_one_core = numba.njit(render_groups)
render_all_cores = numba.njit(parallel=True)(render_groups)

picture = render_all_cores(np.zeros(600 * 400, np.int32), 600, 400, 200, 32).reshape(400, 600)
image(picture, "Pixels that stay for long lie beside pixels that leave at once",
      label="turns", log=True, source=f"measured here: {machine.name}")


# %%
@experiment(needs="cpu")
def cpu_ladder(width, height, limit):
    """Draw the same picture five ways; a rate is turns of the loop per second."""
    out = np.zeros(width * height, np.int32)
    few = {"repeats": 3, "warmup": 0}  # seconds long, and nothing to compile
    runs = {
        "Python loop": time_call(render_python, width, height, limit, **few),
        "NumPy arrays": time_call(render_numpy, width, height, limit),
        "compiled loop": time_call(render_compiled, out, width, height, limit),
        "+ SIMD lanes": time_call(render_one_core, out, width, height, limit, 32),
        "+ all cores": time_call(render_all_cores, out, width, height, limit, 32),
    }
    turns = int(out.sum())
    rows = [{"rung": name, **run.columns("rate", work=turns)} for name, run in runs.items()]
    return Table.from_rows(rows, {"rate": "turns/s"})


WIDTH, HEIGHT, LIMIT = 480, 320, 200
rungs = cpu_ladder(WIDTH, HEIGHT, LIMIT)
ladder(
    [(name, rungs.quantity("rate", rung=name), "cpu") for name in rungs["rung"]],
    title="One picture, one CPU, five speeds",
    label="turns of the loop per second",
)

# %%
rate = dict(zip(rungs["rung"], rungs["rate"], strict=True))
lanes, cores = (machine.simd_bits or 128) // 32, machine.cores_usable
compiled, best_rate = rate["compiled loop"] / rate["Python loop"], max(rate.values())
cpu_gap = compare(
    guess_cpu,
    measured=Quantity(best_rate / rate["Python loop"], "x", rungs.source),
    model=Quantity(compiled * lanes * cores, "x", f"model: {lanes} lanes, {cores} cores"),
)
gap(cpu_gap, title="Most of this CPU is out of reach for a plain loop")

# %% [markdown]
# **Explain.** Three factors multiply: compiling removes the interpreter, then lanes and cores
# share what is left. The model takes both at face value and is wrong in several ways. Cores may
# be shared with others; compilers often use half of a 512-bit register; each turn passes its
# numbers through the L1 cache, the memory next to the core; and lanes whose pixel has left stay
# busy with nothing until their group is done.
#
# **Change one thing.** The next cell changes the size of the group. The dashed line comes from
# the picture alone: the share of pixels still turning, scaled to the best size. Pass `limit=50`
# and see whether the best size moves.


# %%
@experiment(needs="cpu")
def group_sizes(sizes, width, height, limit):
    """Draw the picture on one core with groups of different sizes."""
    out = np.zeros(width * height, np.int32)
    rows = []
    for size in sizes:
        run = time_call(render_one_core, out, width, height, limit, size)
        busy = offload.lane_efficiency(out.tolist(), size)
        rows.append({"size": size, **run.columns("rate", work=int(out.sum())), "busy": busy})
    return Table.from_rows(rows, {"rate": "turns/s"})


groups = group_sizes([2**k for k in range(10)], WIDTH, HEIGHT, limit=LIMIT)
best = max(range(len(groups)), key=lambda i: groups["rate"][i])
busy = np.array(groups["busy"]) * groups["rate"][best] / groups["busy"][best]
sweep(
    [Series(f"{groups.kind}, one core", groups["size"], groups["rate"], "cpu",
            groups["rate_low"], groups["rate_high"], groups.source),
     Series("model: still turning", groups["size"], busy, "model", source="model: lockstep")],
    x="pixels that advance together",
    y=("turns per second", "turns/s"),
    title=f"{groups['size'][best]} at a time is best: fewer stall, more wait for the slowest",
)

# %% [markdown]
# ## Does a program get as fast as its fastest part?
#
# A picture is of no use until it is saved. The program draws, colours the counts, compresses them
# as PNG and writes a file. Only the drawing has become faster.

# %%
guess_program = predict(
    "Drawing is now far faster. How many times faster is drawing and saving?",
    unit="x",
    key="01.program",
)

# %% [markdown]
# **Measure.** Each version draws and saves a real file, with a clock between the two. (A small
# file like this ends in the system's memory and reaches the disk later.)


# %%
fastest = render_all_cores if rate["+ all cores"] == best_rate else render_one_core


def save_picture(turns, path):
    """Colour the counts and write them as a PNG file."""
    shade = np.linspace(0, 6.3, 256)[:, None] + np.array([2.2, 2.9, 3.6])
    palette = (127 - 127 * np.cos(shade)).astype(np.uint8)
    pixels = palette[np.asarray(turns, np.uint8).reshape(HEIGHT, WIDTH)]
    Image.fromarray(pixels).save(path)


def draw(rung, limit):
    """Draw the picture with one of four versions."""
    out = np.zeros(WIDTH * HEIGHT, np.int32)
    match rung:
        case "Python loop":
            return np.array(render_python(WIDTH, HEIGHT, limit), np.int32)
        case "NumPy arrays":
            return render_numpy(WIDTH, HEIGHT, limit)
        case "compiled loop":
            return render_compiled(out, WIDTH, HEIGHT, limit)
    return fastest(out, WIDTH, HEIGHT, limit, 32)


@experiment(needs="cpu")
def draw_and_save(limit):
    """Time the two halves of one program, for four of the five versions."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mandelbrot.png"
        for rung in ("Python loop", "NumPy arrays", "compiled loop", "the fastest"):
            turns = draw(rung, limit)  # the warm-up
            repeats = range(3 if rung == "Python loop" else 21)
            runs = [
                (first_call(draw, rung, limit), first_call(save_picture, turns, file))
                for _ in repeats
            ]
            halves = np.median(runs, axis=0).tolist()
            row = {"draw": halves[0], "save": halves[1], "program": sum(halves)}
            rows.append({"rung": rung, **row})
    return Table.from_rows(rows, {"draw": "s", "save": "s", "program": "s"})


program = draw_and_save(LIMIT)
breakdown(
    {rung: [("drawing", program.quantity("draw", rung=rung), "cpu"),
            ("saving", program.quantity("save", rung=rung), "storage")]
     for rung in program["rung"]},
    same_width=True,
    title="The faster the drawing, the more of the program is saving",
)

# %%
draw_gain = program["draw"][0] / np.array(program["draw"])
program_gain = program["program"][0] / np.array(program["program"])
share = program["draw"][0] / program["program"][0]  # a profile of the Python version
wall = 1 / (1 - share)
program_gap = compare(
    guess_program,
    measured=Quantity(program_gain[-1], "x", program.source),
    model=Quantity(amdahl.speedup(share, draw_gain[-1]), "x", "model: Amdahl from one profile"),
    limit=Quantity(wall, "x", "model: drawing in no time"),
)
gap(program_gap, title="Saving the file sets the limit, however fast the drawing")

# %% [markdown]
# **Explain.** The model needs one number, the share `p` of the *Python* program that is drawing.
# The rest keeps its time and becomes the whole program once drawing costs nothing. That is
# Amdahl's law: a share `p` that runs `s` times faster makes the program `1 / ((1 - p) + p / s)`
# times faster. One profile of the slow program predicts every faster one, as long as saving keeps
# its time; `amdahl.fit` finds the same share from all four versions.
#
# **Change one thing.** In the figure below, the hollow points are the same program with at most
# 20 turns a pixel. Why do they leave the line? Try `limit=50` in the next cell.

# %%
other = draw_and_save(limit=20)
other_draw, other_program = (other[c][0] / np.array(other[c]) for c in ("draw", "program"))
factors, fit = np.logspace(0, 3.3, 60), amdahl.fit(draw_gain, program_gain).parallel_fraction
law = [amdahl.speedup(share, s) for s in factors]
sweep(
    [Series(f"{program.kind}, 200 turns", draw_gain, program_gain, "cpu", source=program.source),
     Series("model: Amdahl", factors, law, "model", source="model: Amdahl, share from the profile"),
     Series(f"{other.kind}, 20 turns", other_draw, other_program, "cpu", source=other.source)],
    x=("speedup of the drawing", "x"),
    y=("speedup of the program", "x"), wall_at=[(wall, "drawing in no time")],
    title=f"Even free drawing makes this program only {wall:.0f} times faster",
)

# %% [markdown]
# ## When does a GPU win, and when not?
#
# A GPU runs a thread for each pixel, 32 of them in lockstep (a *warp*), thousands of warps side
# by side. The GPU here is an H100, made for data centres. First the CPU must *launch* the
# program, the *kernel*; afterwards the result crosses PCIe, the bus between them. Two jobs, one
# GPU:
#
# - the picture: 450 FLOP for each pixel, 4 bytes to bring back;
# - `saxpy`, `y = a*x + y`: 2 FLOP an element; 8 bytes travel there and 4 back.

# %%
device, bus = accelerator("h100-sxm"), link("pcie-5-x16")
launch, copying = overhead("cuda-launch"), overhead("pcie-5-copy")
print(f"launch: {launch.quantity()}", f"copy: {copying.quantity()}", sep="\n")
guess_pixels = predict(
    "From how many pixels does an H100, launch and copy back included, beat this CPU?",
    unit="pixels", key="01.break_even",
)
guess_saxpy = predict(
    "Two NumPy vectors of 16 million floats: how many times faster than this CPU is saxpy on that "
    "H100, copies there and back included? Any number above 0.",
    unit="x", key="01.saxpy",
)

# %% [markdown]
# **Measure.** The loop from above twice: as a `numba.cuda` kernel, in which each thread finds its
# own pixel, and in CuPy, which finds it for you. Without a GPU or a recording, `mandelbrot_model`
# stands in. It launches as a C++ program does; from Python, a launch and a wait cost several
# times more.


# %%
@cuda.jit
def mandelbrot_numba(out, width, height, limit):
    """One thread, one pixel; threads beyond the end do nothing."""
    i = cuda.grid(1)
    if i < out.size:
        cr = f32(-2) + f32(3) * f32(i % width) / f32(width)
        ci = f32(-1) + f32(2) * f32(i // width) / f32(height)
        zr = zi = f32(0)
        n = 0
        while n < limit and zr * zr + zi * zi <= f32(4):
            zr, zi = zr * zr - zi * zi + cr, f32(2) * zr * zi + ci
            n += 1
        out[i] = n


MANDELBROT_CUPY = """
float cr = -2.0f + 3.0f * (i % width) / width, ci = -1.0f + 2.0f * (i / width) / height;
float zr = 0, zi = 0;
turns = 0;
while (turns < limit && zr * zr + zi * zi <= 4.0f) {
    float next = zr * zr - zi * zi + cr;
    zi = 2.0f * zr * zi + ci;
    zr = next;
    turns++;
}
"""

# %%
# Counted in the machine code that CUDA's compiler (nvcc 13.0) makes of the loop for an H100: the
# instructions of a turn, and the cycles a turn takes a warp that is alone.
INSTRUCTIONS, CYCLES = 11, 36

one_lane = device.boost_clock / CYCLES  # turns/s


def mandelbrot_model(heights, limit):
    """Price the CuPy route: launch, warps in lockstep at full issue rate, copy back."""
    issue = device.peaks["fp32"] / 2  # instructions/s: the peak counts multiply-add as two
    rows = []
    for height in heights:
        turns = np.zeros(height * height * 3 // 2, np.int32)
        render_all_cores(turns, height * 3 // 2, height, limit, 32)
        useful = offload.lane_efficiency(turns.tolist(), 32)
        busy = int(turns.sum()) * INSTRUCTIONS / issue / useful
        kernel = max(busy, int(turns.max()) / one_lane)
        whole = launch.value + kernel + 4 * turns.size / copying.value
        rows.append({"route": "model", "pixels": turns.size, "kernel": max(kernel, launch.value),
                     "seconds": whole})
    return Table.from_rows(rows, {"kernel": "s", "seconds": "s"}), f"{device.name}, {bus.name}"


@experiment(needs="gpu", model=mandelbrot_model)
def gpu_mandelbrot(heights, limit):
    """Draw growing pictures on the GPU: kernels back to back, and launch to copy back."""
    import cupy as cp
    from cupyx import empty_pinned

    arguments = "int32 width, int32 height, int32 limit"
    elementwise = cp.ElementwiseKernel(arguments, "int32 turns", MANDELBROT_CUPY, "mandelbrot")
    rows = []
    for height in heights:
        size = (3 * height // 2, height, limit)
        out = cp.empty(size[0] * height, np.int32)
        host, view = empty_pinned(out.size, np.int32), cuda.as_cuda_array(out)
        by_numba = mandelbrot_numba[-(-out.size // 256), 256]
        for route, draw in {
            "CuPy": lambda: elementwise(*size, out),
            "numba.cuda": lambda: by_numba(view, *size),
        }.items():
            kernel = time_call(draw, device="gpu").columns("kernel")
            whole = time_call(lambda: (draw(), out.get(out=host))).columns("seconds")
            rows.append({"route": route, "pixels": out.size, **kernel, **whole})
    return Table.from_rows(rows, {"kernel": "s", "seconds": "s"})


# %%
@experiment(needs="cpu")
def cpu_mandelbrot(heights, limit):
    """Draw pictures of growing size on one core and on all, whichever is faster."""
    rows = []
    for height in heights:
        picture = (np.zeros(height * height * 3 // 2, np.int32), height * 3 // 2, height, limit, 32)
        runs = [time_call(draw, *picture) for draw in (render_one_core, render_all_cores)]
        best = min(runs, key=lambda run: run.median)
        rows.append({"pixels": picture[0].size, **best.columns("seconds")})
    return Table.from_rows(rows, {"seconds": "s"})


heights = [2**k for k in range(3, 12)]
on_cpu, on_gpu = cpu_mandelbrot(heights, LIMIT), gpu_mandelbrot(heights, LIMIT)
pixels, route = on_cpu["pixels"], on_gpu.table.where(route=on_gpu["route"][0])
# Never crossing counts as beyond the largest picture.
meets = offload.crossing(pixels, on_cpu["seconds"], route["seconds"]) or pixels[-1]
sweep(
    [Series("CPU", pixels, on_cpu["seconds"], "cpu", source=on_cpu.source),
     Series("GPU, launch to copy", pixels, route["seconds"], "gpu", source=on_gpu.source),
     Series("GPU, drawing only", pixels, route["kernel"], "gpu")],
    x=("pixels in the picture", ""),
    mark=[(meets, np.interp(meets, pixels, on_cpu["seconds"]), f"{meets:,.0f} pixels")],
    y=("time", "s"),
    title="The GPU pays a fixed price once, then hardly anything for each pixel",
)

# %%
pixel = offload.Workload(flop=56 * 8, memory_bytes=4, bytes_out=4)
gpu_flops = device.peaks["fp32"] / 2 * 8 / INSTRUCTIONS * groups["busy"][5]  # 32 threads a warp
gpu = offload.Machine(gpu_flops, device.memory_bandwidth, launch.value, copying.value)
one_core = offload.Machine(8 * rate["+ SIMD lanes"], inf, overhead=0)
pixels_gap = compare(
    guess_pixels,
    measured=Quantity(meets, "pixels", f"{on_cpu.source}; {on_gpu.source}"),
    model=Quantity(offload.break_even(pixel, one_core, gpu), "pixels", "model: launch or one core"),
)
gap(pixels_gap, title="Launched as fast as C++ can, the GPU pays from an icon on")

# %%
def saxpy(a, x, y):
    """Add a*x to y."""
    for i in prange(x.size):
        y[i] = a * x[i] + y[i]


saxpy_one_core, saxpy_all_cores = numba.njit(saxpy), numba.njit(parallel=True)(saxpy)


@experiment(needs="cpu")
def cpu_saxpy(sizes):
    """Time saxpy on one core or all, whichever is faster, and a plain copy."""
    rows = []
    for size in sizes:
        x, y = np.ones(size, f32), np.ones(size, f32)
        ways = [time_call(way, f32(0.5), x, y) for way in (saxpy_one_core, saxpy_all_cores)]
        best = min(ways, key=lambda way: way.median)
        copy = time_call(np.copyto, y, x)  # the first leg of a trip to the GPU
        rows.append({"elements": size, **best.columns("seconds"), **copy.columns("copy")})
    return Table.from_rows(rows, {"seconds": "s", "copy": "s"})


def saxpy_model(sizes):
    """Price the trip; to leave a NumPy array, the CPU first copies it where the GPU may read."""
    work = offload.Workload(flop=2, memory_bytes=12, bytes_in=8, bytes_out=4)
    staged = min(4 * sizes[-1] / vectors["copy"][-1], gpu.link)  # B/s
    rates = {"from NumPy arrays": staged, "from pinned memory": gpu.link, "already there": inf}
    rows = [
        {"place": place, "elements": size,
         "seconds": offload.offload_time(size, work, replace(gpu, link=rate)).seconds}
        for place, rate in rates.items() for size in sizes
    ]
    return Table.from_rows(rows, {"seconds": "s"}), f"{device.name}, {bus.name}, this CPU's copies"


# %%
@experiment(needs="gpu", model=saxpy_model)
def gpu_saxpy(sizes):
    """Time saxpy on vectors in NumPy arrays, in pinned memory and already on the GPU."""
    import cupy as cp
    from cupyx import empty_like_pinned

    work = cp.ElementwiseKernel("float32 a, float32 x", "float32 y", "y = a * x + y", "saxpy")
    rows = []
    for size in sizes:
        x, y, host = cp.ones(size, f32), cp.ones(size, f32), np.ones(size, f32)

        pinned = empty_like_pinned(host)
        pinned[:] = host

        def trip(vector, x=x, y=y):
            x.set(vector)
            y.set(vector)
            work(f32(0), x, y)
            y.get(out=vector)

        runs = {
            "from NumPy arrays": time_call(trip, host),
            "from pinned memory": time_call(trip, pinned),
            "already there": time_call(work, f32(0), x, y, device="gpu"),
        }
        rows += [{"place": p, "elements": size, **run.columns()} for p, run in runs.items()]
    return Table.from_rows(rows, {"seconds": "s"})


vectors = cpu_saxpy([4**k for k in range(3, 13)])
sizes = vectors["elements"]
trips = gpu_saxpy(sizes)
places = {place: trips.table.where(place=place) for place in dict.fromkeys(trips["place"])}
sweep(
    [Series("CPU", sizes, vectors["seconds"], "cpu", source=vectors.source)]
    + [Series(f"GPU, {place}", times["elements"], times["seconds"], "gpu", source=trips.source)
       for place, times in places.items()],
    x=("elements in each vector", ""),
    y=("time", "s"),
    title="Where the vectors live decides the race, not who computes",
)

# %%
bandwidth = Quantity(12 * sizes[-1] / vectors["seconds"][-1], "B/s", vectors.source)
ledger.keep("saxpy_bandwidth", bandwidth)
from_numpy = trips.quantity("seconds", place="from NumPy arrays", elements=sizes[-1])
saxpy_gap = compare(
    guess_saxpy,
    measured=Quantity(
        vectors["seconds"][-1] / from_numpy.value, "x", f"{vectors.source}; {trips.source}"
    ),
    model=Quantity(gpu.link / bandwidth.value, "x", f"model: {bus.name} against this memory"),
)
ratio = saxpy_gap.measured.value
gap(saxpy_gap, title=f"From NumPy arrays, an H100 runs saxpy {ratio:.2f} times as fast")

# %% [markdown]
# **Explain.** One GPU lane takes some 36 cycles a turn, mostly waiting: your core alone is
# several times as fast. But each of the GPU's processors holds dozens of warps and works on one
# that is ready. (The model of the crossing forgets that pixels of tiny pictures differ more,
# which slows the CPU's groups.)
#
# For saxpy from a NumPy array, the CPU first copies every number into *pinned* memory, which the
# GPU may read. The model forgets that copy. With the vectors already there, the GPU wins by far.
# A chain in which each number needs the last one stays on the CPU: it can use one lane.
#
# **Change one thing.** Move size, arithmetic or link.


# %%
def trip_work(flop_per_byte):
    """Two vectors there, one back, and a chosen amount of arithmetic for their 12 bytes."""
    return offload.Workload(12 * flop_per_byte, memory_bytes=12, bytes_in=8, bytes_out=4)


def cpu_time(elements, flop_per_byte):
    """Seconds on this CPU: the measured saxpy, or the arithmetic where that takes longer."""
    curve = np.interp(np.log(elements), np.log(sizes), np.log(vectors["seconds"]))
    traffic = np.exp(curve) * np.maximum(np.asarray(elements) / sizes[-1], 1)
    return np.maximum(traffic, 12 * flop_per_byte * elements / (8 * best_rate))


def gpu_parts(elements, flop_per_byte, link_slug):
    """Seconds on the H100, by part."""
    reached = copying.value / bus.bandwidth_per_direction  # what a copy gets of the rated speed
    rate = inf if link_slug == "none" else link(link_slug).bandwidth_per_direction * reached
    one = offload.offload_time(1, trip_work(flop_per_byte), replace(gpu, link=rate))
    return {"launch": one.overhead, "transfer": elements * one.transfer,
            "compute": elements * one.compute}


buses = ["pcie-3-x16", "pcie-4-x16", "pcie-5-x16", "pcie-6-x16", "nvlink-c2c"]
choices = [(slug, link(slug).name) for slug in buses] + [("none", "data already on the GPU")]
source = f"model: pinned memory, arithmetic as in the picture; CPU rates {vectors.kind}"
break_even_figure(
    cpu_time, gpu_parts, 1e6, flop_per_byte=2 / 12, link=buses[2], links=choices, source=source
)

# %%
break_even_explorer(
    cpu_time, gpu_parts, choices, flop_per_byte=10, link=buses[2], source=source
)

# %% [markdown]
# ## Where this model breaks
#
# - Amdahl's share belongs to one problem: the share of the 200-turn picture misses the 20-turn
#   program by a factor, since less drawing leaves saving a larger share.
# - The GPU model issues at the full rate and launches as fast as a C++ program does. Real kernels
#   reach 60-95 % of that rate; a launch and a wait from Python cost several times more, so expect
#   the GPU to need several times as many pixels.
# - Nothing overlaps. With streams, copies in, kernels and copies out run side by side, which
#   hides a third of saxpy's trip.
#
# ## You learned

# %%
simd = rate["+ SIMD lanes"] / rate["compiled loop"]
threads = rate["+ all cores"] / rate["+ SIMD lanes"]
core_to_lane = rate["compiled loop"] / one_lane
learned(
    f"This CPU hides a factor of {cpu_gap.measured.value:,.0f}: compiling gives {compiled:.0f}, "
    f"lanes {simd:.1f} of {lanes}, cores {threads:.1f} of {cores} ({rungs.kind}).",
    f"Drawing {draw_gain[-1]:.0f} times faster made the program {program_gain[-1]:.0f} times "
    f"faster, of {wall:.0f} at most ({program.kind}; the fitted share is {fit:.2%}).",
    f"One core is {core_to_lane:.0f} times as fast as one lane of an H100 (model), which wins "
    f"from {meets:,.0f} pixels on at best; saxpy from NumPy arrays runs there at {ratio:.2f} times "
    f"this CPU's speed ({on_gpu.kind}).",
)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how fast must the part be?
#
# Write `needed_factor(share, target)`: a share of a program's time may be sped up. By what
# factor, so that the whole program becomes `target` times faster? Return `None` where no factor
# is enough.
#
# <details><summary>Hint 1</summary>Write down Amdahl's law and solve it for
# <code>s</code>.</details>
#
# <details><summary>Hint 2</summary>The time left for the part is 1/target - (1 - share). What if
# that is zero or less?</details>


# %%
def needed_factor(share, target):
    """Return the factor for the part, or None."""
    ...


check("01.needed_factor", needed_factor)

# %% [markdown]
# ### Exercise 2: are square warps better?
#
# A warp may cover 32 pixels of a row, or a tile 8 wide and 4 high. Write `tile_efficiency(turns,
# wide, high)`: the share of lanes with work when each tile of the 2-D array `turns` advances in
# lockstep. Tiles divide the array evenly.
#
# <details><summary>Hint 1</summary>Reshape to (rows of tiles, high, columns of tiles,
# wide).</details>
#
# <details><summary>Hint 2</summary>Useful turns are the sum of all. Spent turns are the tiles'
# maxima, summed, times wide times high.</details>


# %%
def tile_efficiency(turns, wide, high):
    """Return the share of lanes with work, between 0 and 1."""
    ...


check("01.tile_efficiency", tile_efficiency)

# %% [markdown]
# ### Exercise 3: is it worth the trip?
#
# Write `gpu_wins_from(cpu_fixed, cpu_each, gpu_fixed, gpu_each)`: seconds to start and seconds an
# element on either side. Return the number of elements from which on the GPU is faster (rounded
# or not): 0 if it always is, `None` if it never stays faster.
#
# <details><summary>Hint 1</summary>Both times are straight lines. Where do they cross?</details>
#
# <details><summary>Hint 2</summary>Compare the slopes first: a GPU that costs more an element
# loses in the end, wherever it starts.</details>


# %%
def gpu_wins_from(cpu_fixed, cpu_each, gpu_fixed, gpu_each):
    """Return a number of elements, or None."""
    ...


check("01.gpu_wins_from", gpu_wins_from)
quiz("01")

# %% [markdown]
# ## Further reading
#
# - [Amdahl 1967](https://doi.org/10.1145/1465482.1465560): three pages that still decide what is
#   worth speeding up.
# - [Gustafson 1988](https://doi.org/10.1145/42411.42415): the reply: given a bigger machine,
#   people solve bigger problems.
# - [An Even Easier Introduction to
#   CUDA](https://developer.nvidia.com/blog/even-easier-introduction-cuda/): the same kind of
#   kernel, written in C++.
# - [How to Optimize Data Transfers in
#   CUDA](https://developer.nvidia.com/blog/how-optimize-data-transfers-cuda-cc/): pinned and
#   pageable memory, measured.
