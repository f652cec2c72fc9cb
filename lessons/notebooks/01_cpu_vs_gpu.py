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
# - why making one part fast leaves the program slower than you hoped (Amdahl's law);
# - what makes a GPU worth the trip: arithmetic per byte moved, not the number of its cores.
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
from aiinfra.measure import experiment, probe, time_call
from aiinfra.model import amdahl, offload
from aiinfra.results import Quantity, Table
from aiinfra.show import (
    Series, break_even_explorer, break_even_figure, breakdown, gap, ladder, sweep
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
# until `z` leaves a circle of radius 2. A turn is some 8 floating-point operations (FLOP) and
# touches no memory; a pixel takes 56 turns on average and stores 4 bytes. Pixels do not depend on
# one another.
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
# **Measure.** Three versions take one pixel at a time or, with NumPy, all live pixels at once.
# The fourth advances `lanes` neighbours in lockstep, so that the compiler can use vector
# instructions. A pixel that has left keeps turning, uselessly, until its whole group has left.
# The fifth shares the groups out among the cores. Python counts in 64-bit numbers, the others in
# 32-bit.


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
def render_lanes(out, width, height, limit, lanes):
    """Advance groups of neighbouring pixels in lockstep; share the groups among cores."""
    groups = out.size // lanes
    tasks = max(1, groups // 16)
    for task in prange(tasks):
        zr, zi, cr, ci, n = np.empty((5, lanes), f32)
        for group in range(task * groups // tasks, (task + 1) * groups // tasks):
            first = group * lanes
            for lane in range(lanes):
                cr[lane] = f32(-2) + f32(3) * f32((first + lane) % width) / f32(width)
                ci[lane] = f32(-1) + f32(2) * f32((first + lane) // width) / f32(height)
                zr[lane] = zi[lane] = n[lane] = f32(0)
            for turn in range(limit):
                for lane in range(lanes):
                    rr, ii = zr[lane] * zr[lane], zi[lane] * zi[lane]
                    zi[lane] = f32(2) * zr[lane] * zi[lane] + ci[lane]
                    zr[lane] = rr - ii + cr[lane]
                    n[lane] += f32(1) if rr + ii <= f32(4) else f32(0)
                if turn % 8 == 7:  # every eighth turn, stop if no lane is left
                    alive = f32(0)
                    for lane in range(lanes):
                        inside = zr[lane] * zr[lane] + zi[lane] * zi[lane] <= f32(4)
                        alive += f32(1) if inside else f32(0)
                    if alive == f32(0):
                        break
            for lane in range(lanes):
                out[first + lane] = np.int32(n[lane])
    return out


render_one_core = numba.njit(render_lanes)
render_all_cores = numba.njit(parallel=True)(render_lanes)


# %%
@experiment(needs="cpu")
def cpu_ladder(width, height, limit):
    """Draw the same picture five ways; a rate is turns of the loop per second."""
    out = np.zeros(width * height, np.int32)
    few = {"repeats": 3, "warmup": 0}  # seconds long: three runs are enough
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
compiled = rate["compiled loop"] / rate["Python loop"]
cpu_gap = compare(
    guess_cpu,
    measured=Quantity(rate["+ all cores"] / rate["Python loop"], "x", rungs.source),
    model=Quantity(compiled * lanes * cores, "x", f"model: {lanes} lanes, {cores} cores"),
)
gap(cpu_gap, title="Most of this CPU is out of reach for a plain loop")

# %% [markdown]
# **Explain.** Three factors multiply: compiling removes the interpreter, then lanes and cores
# share what is left. The model takes both at face value and is wrong in three ways. Compilers
# often use half of a 512-bit register; each turn passes its numbers through the L1 cache; and a
# group is done when its slowest lane is done, so lanes whose pixel has left are busy with
# nothing.
#
# **Change one thing.** Narrow groups wait for one result and its trip through the cache, wide
# groups for their slowest lane. The dashed line comes from the picture alone: the share of lanes
# that still have work, scaled to the best measured width. Pass `limit=50` and see whether the
# best width moves.


# %%
@experiment(needs="cpu")
def lockstep_width(widths, width, height, limit):
    """Draw the picture on one core with groups of different widths."""
    out = np.zeros(width * height, np.int32)
    rows = []
    for lanes in widths:
        run = time_call(render_one_core, out, width, height, limit, lanes)
        useful = offload.lane_efficiency(out.tolist(), lanes)
        rate = run.columns("rate", work=int(out.sum()))
        rows.append({"lanes": lanes, **rate, "useful": useful})
    return Table.from_rows(rows, {"rate": "turns/s"})


widths = lockstep_width([2**k for k in range(10)], WIDTH, HEIGHT, limit=LIMIT)
best = max(range(len(widths)), key=lambda i: widths["rate"][i])
busy = np.array(widths["useful"]) * widths["rate"][best] / widths["useful"][best]
sweep(
    [Series("measured, one core", widths["lanes"], widths["rate"], "cpu",
            widths["rate_low"], widths["rate_high"], widths.source),
     Series("model: lanes with work", widths["lanes"], busy, "model", source="model: lockstep")],
    x="lanes that advance together",
    y=("turns per second", "turns/s"),
    title=f"{widths['lanes'][best]} lanes: fewer leave units idle, more wait for the slowest",
)

# %% [markdown]
# ## Does a program get as fast as its fastest part?
#
# A picture is of no use until it is saved. The program draws, colours the counts, compresses them
# as PNG and writes a file. Only the drawing has become faster.

# %%
guess_program = predict(
    "Drawing is now hundreds of times faster. By how much is the program that draws and saves?",
    unit="x",
    key="01.program",
)

# %% [markdown]
# **Measure.** Each version draws and saves a real file, deleted afterwards. (A small file like
# this ends in the system's memory and reaches the disk later.)


# %%
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
    return render_all_cores(out, WIDTH, HEIGHT, limit, 32)


@experiment(needs="cpu")
def draw_and_save(limit):
    """Time drawing alone, and drawing and saving, for four of the five versions."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mandelbrot.png"
        for rung in ("Python loop", "NumPy arrays", "compiled loop", "+ all cores"):
            few = {"repeats": 3, "warmup": 0} if rung == "Python loop" else {}
            alone = time_call(draw, rung, limit, **few)
            save = time_call(save_picture, draw(rung, limit), file)
            whole = time_call(lambda r: save_picture(draw(r, limit), file), rung, **few)
            rows.append({"rung": rung, **alone.columns("draw"), **save.columns("save"),
                         **whole.columns("program")})
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
share = 1 - program["save"][0] / program["program"][0]  # a profile of the Python version
program_gap = compare(
    guess_program,
    measured=Quantity(program_gain[-1], "x", program.source),
    model=Quantity(amdahl.speedup(share, draw_gain[-1]), "x", "model: Amdahl from one profile"),
    limit=Quantity(1 / (1 - share), "x", "model: drawing in no time"),
)
gap(program_gap, title="Saving the file sets the limit, however fast the drawing")

# %% [markdown]
# **Explain.** The model needs one number, the share `p` of the *Python* program that is drawing.
# The rest keeps its time, and becomes the whole program once drawing costs nothing. That is
# Amdahl's law: a share `p` that runs `s` times faster makes the program `1 / ((1 - p) + p / s)`
# times faster.
#
# **Change one thing.** The law is fitted to four points at 200 turns; the open row shows the same
# program at `limit=20`. Predict before you try `limit=50`: is the wall higher or lower, and why?

# %%
other = draw_and_save(limit=20)
other_draw, other_program = (other[c][0] / np.array(other[c]) for c in ("draw", "program"))
fitted, factors = amdahl.fit(draw_gain, program_gain), np.logspace(0, 3.3, 60)
law = [amdahl.speedup(fitted.parallel_fraction, s) for s in factors]
sweep(
    [Series("measured, 200 turns", draw_gain, program_gain, "cpu", source=program.source),
     Series("fitted: Amdahl", factors, law, "model", source="model: Amdahl, fitted at 200 turns"),
     Series("measured, 20 turns", other_draw, other_program, "cpu")],
    x=("speedup of the drawing", "x"),
    y=("speedup of the program", "x"),
    title=f"No drawing makes this program more than {fitted.limit:.0f} times faster",
)

# %% [markdown]
# ## When does a GPU win, and when not?
#
# A GPU runs a thread for each pixel, 32 of them in lockstep (a *warp*), thousands of warps side
# by side. First the CPU must *launch* the program, the *kernel*; afterwards the result crosses
# PCIe, the bus between them. Two jobs, one GPU:
#
# - the picture: 450 FLOP for each pixel, 4 bytes to bring back;
# - `saxpy`, `y = a*x + y`: 2 FLOP an element; 8 bytes travel there and 4 back.

# %%
guess_pixels = predict(
    "From how many pixels does an H100, launch and copy back included, beat this CPU?",
    unit="pixels",
    key="01.break_even",
)
guess_saxpy = predict(
    "Two NumPy vectors of 16 million floats: how many times faster than this CPU is saxpy on that "
    "H100, copies there and back included? Below 1 means slower.",
    unit="x",
    key="01.saxpy",
)

# %% [markdown]
# **Measure.** The loop from above as a `numba.cuda` kernel, in which a thread computes its own
# index and checks it, and as the body of a CuPy `ElementwiseKernel`, which brings both along.
# Where there is no GPU and no recording, the model `mandelbrot_model` stands in, and the figure
# says so.


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
# The machine code that nvcc 13.0 makes of the loop for an H100 (sm_90): instructions in a turn, and
# the cycles that its stall counts give a warp which is alone.
INSTRUCTIONS, CYCLES = 11, 36

device, bus = accelerator("h100-sxm"), link("pcie-5-x16")
launch, copying = overhead("cuda-launch"), overhead("pcie-5-copy")
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
     Series("GPU, back to back", pixels, route["kernel"], "gpu")],
    x=("pixels in the picture", ""),
    y=("time", "s"),
    title="The GPU pays a fixed price once, then hardly anything for each pixel",
)

# %%
pixel = offload.Workload(flop=56 * 8, memory_bytes=4, bytes_out=4)
gpu_flops = device.peaks["fp32"] / 2 * 8 / INSTRUCTIONS * widths["useful"][5]  # 32 lanes a warp
gpu = offload.Machine(gpu_flops, device.memory_bandwidth, launch.value, copying.value)
one_core = offload.Machine(8 * rate["+ SIMD lanes"], inf, overhead=0)
pixels_gap = compare(
    guess_pixels,
    measured=Quantity(meets, "pixels", f"{on_cpu.source}; {on_gpu.source}"),
    model=Quantity(offload.break_even(pixel, one_core, gpu), "pixels", "model: launch or one core"),
)
gap(pixels_gap, title="The trip to the GPU costs less than a thumbnail")

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
    rates = {"NumPy arrays": staged, "pinned memory": gpu.link, "on the GPU": inf}
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
            "NumPy arrays": time_call(trip, host),
            "pinned memory": time_call(trip, pinned),
            "on the GPU": time_call(work, f32(0), x, y, device="gpu"),
        }
        rows += [{"place": p, "elements": size, **run.columns()} for p, run in runs.items()]
    return Table.from_rows(rows, {"seconds": "s"})


sizes = [4**k for k in range(5, 13)]
vectors = cpu_saxpy(sizes)
trips = gpu_saxpy(sizes)
sweep(
    [Series("CPU", sizes, vectors["seconds"], "cpu", source=vectors.source)]
    + [Series(f"GPU, {place}", sizes, trips.table.where(place=place)["seconds"], "gpu",
              source=trips.source) for place in dict.fromkeys(trips["place"])],
    x=("elements in each vector", ""),
    y=("time", "s"),
    title="Where the vectors live decides the race, not who computes",
)

# %%
bandwidth = Quantity(12 * sizes[-1] / vectors["seconds"][-1], "B/s", vectors.source)
ledger.keep("saxpy_bandwidth", bandwidth)
from_numpy = trips.quantity("seconds", place="NumPy arrays", elements=sizes[-1])
saxpy_gap = compare(
    guess_saxpy,
    measured=Quantity(
        vectors["seconds"][-1] / from_numpy.value, "x", f"{vectors.source}; {trips.source}"
    ),
    model=Quantity(gpu.link / bandwidth.value, "x", f"model: {bus.name} against this memory"),
)
gap(saxpy_gap, title="Sending the vectors costs more than using them")

# %% [markdown]
# **Explain.** A GPU lane runs in order and guesses no branches: a turn takes it some 36 cycles,
# mostly waiting. Your core works ahead on several turns. The picture wins because each scheduler
# of the GPU holds up to 16 warps and issues from another while one waits.
#
# For saxpy from a NumPy array, the CPU first copies every number into *pinned* memory, which the
# GPU may read. The model forgets that copy; the gap is that copy. A chain of *scalar* steps loses
# too: one lane works. If each step is wide, as in generating tokens, a GPU can still win.
#
# **Change one thing.** Move arithmetic, size and link, for pinned memory, and watch the crossing.


# %%
def trip_work(flop_per_byte):
    """Two vectors there, one back, and a chosen amount of arithmetic for their 12 bytes."""
    return offload.Workload(12 * flop_per_byte, memory_bytes=12, bytes_in=8, bytes_out=4)


def cpu_time(elements, flop_per_byte):
    """Seconds on this CPU."""
    all_cores = offload.Machine(8 * rate["+ all cores"], bandwidth.value, vectors["seconds"][0])
    one = offload.offload_time(1, trip_work(flop_per_byte), all_cores)
    return one.overhead + elements * one.compute


def gpu_parts(elements, flop_per_byte, link_slug):
    """Seconds on the H100, by part."""
    rate = inf if link_slug == "none" else link(link_slug).bandwidth_per_direction
    one = offload.offload_time(1, trip_work(flop_per_byte), replace(gpu, link=rate))
    return {"launch": one.overhead, "transfer": elements * one.transfer,
            "compute": elements * one.compute}


buses = ["pcie-3-x16", "pcie-4-x16", "pcie-5-x16", "pcie-6-x16", "nvlink-c2c"]
choices = [(slug, link(slug).name) for slug in buses] + [("none", "data already on the GPU")]
source = "model: the picture's kind of arithmetic, pinned memory; CPU rates measured here"
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
# - Amdahl's share belongs to one problem: fitted at 200 turns, the law misses the program at 20
#   turns in the figure above by a factor, since less drawing leaves saving a larger share.
# - The GPU model issues at the full rate and launches as fast as a C++ program does. Real kernels
#   reach 60-95 % of that rate; a launch and a wait from Python cost several times more, so expect
#   the GPU to need several times as many pixels.
# - Nothing overlaps. With streams, copies in, kernels and copies out run side by side, which
#   hides up to two thirds of the trip.
#
# ## You learned

# %%
simd = rate["+ SIMD lanes"] / rate["compiled loop"]
threads = rate["+ all cores"] / rate["+ SIMD lanes"]
core_to_lane, saxpy_ratio = rate["compiled loop"] / one_lane, saxpy_gap.measured.value
learned(
    f"This CPU hides a factor of {cpu_gap.measured.value:,.0f}: compiling gives {compiled:.0f}, "
    f"lanes {simd:.1f}, cores {threads:.1f} (measured here).",
    f"Drawing {draw_gain[-1]:.0f} times faster made the program only {program_gain[-1]:.0f} times "
    "faster (measured here).",
    f"One core is {core_to_lane:.0f} times as fast as one lane of an H100 (model), which yet wins "
    f"from {meets:,.0f} pixels on; saxpy from NumPy arrays runs there at {saxpy_ratio:.2f} times "
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
# element on either side. Return the number of elements from which on the GPU is faster: 0 if it
# always is, `None` if it never stays faster.
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
