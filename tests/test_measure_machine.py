"""The probe reads the slice of the machine that this process may use, and never crashes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiinfra.measure import needs, readings
from aiinfra.measure.machine import Machine, cores_at_work, probe, read_machine

GIB = 2**30
MEMINFO = "MemTotal:       67108864 kB\nMemFree: 100 kB\nMemAvailable:   50331648 kB\n"
CPUINFO = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\nflags\t\t: fpu sse2 avx2\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def linux(root: Path, files: dict[str, str] | None = None) -> Path:
    return write(root, {"proc/meminfo": MEMINFO, "proc/cpuinfo": CPUINFO, **(files or {})})


def nothing(command: list[str]) -> None:
    return None


def read(root: Path, run=nothing, environ=None, cpus=range(8), online=8) -> Machine:
    return read_machine(root, run, environ or {}, lambda: frozenset(cpus), lambda: online)


def test_cgroup_v2_limits_bind(tmp_path):
    files = {
        "proc/self/cgroup": "0::/pod/box\n",
        "sys/fs/cgroup/pod/box/cpu.max": "200000 100000\n",
        "sys/fs/cgroup/pod/box/memory.max": f"{2 * GIB}\n",
        "sys/fs/cgroup/pod/box/memory.current": f"{GIB}\n",
        "sys/fs/cgroup/pod/box/memory.stat": f"anon 5\ninactive_file {GIB // 2}\n",
    }
    machine = read(linux(tmp_path, files))
    assert machine.cores_usable == 2
    assert machine.cores_online == 8
    assert machine.memory_limit_bytes == 2 * GIB
    assert machine.memory_available == 2 * GIB - GIB // 2
    assert machine.memory_usable == 2 * GIB


def test_cgroup_v2_limit_of_a_parent_binds(tmp_path):
    files = {
        "proc/self/cgroup": "0::/pod/box\n",
        "sys/fs/cgroup/pod/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/pod/box/cpu.max": "max 100000\n",
        "sys/fs/cgroup/pod/memory.max": f"{3 * GIB}\n",
        "sys/fs/cgroup/pod/box/memory.max": "max\n",
    }
    machine = read(linux(tmp_path, files))
    assert machine.cpu_quota == 1.5
    assert machine.cores_usable == 1
    assert machine.memory_limit_bytes == 3 * GIB


def test_cgroup_v1_limits_bind_under_the_mount_of_a_container(tmp_path):
    files = {
        "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    machine = read(linux(tmp_path, files))
    assert machine.cores_usable == 4
    assert machine.memory_limit_bytes == GIB
    assert machine.container


def test_cgroup_v1_without_a_limit_is_no_limit(tmp_path):
    files = {
        "proc/self/cgroup": "4:memory:/\n1:cpu:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    machine = read(linux(tmp_path, files))
    assert machine.cpu_quota is None
    assert readings.memory_limit(tmp_path) is None
    assert machine.memory_limit_bytes is None
    assert machine.cores_usable == 8
    assert machine.memory_available == 48 * GIB


def test_a_limit_above_the_memory_is_no_limit(tmp_path):
    files = {"sys/fs/cgroup/memory.max": f"{100 * GIB}", "proc/self/cgroup": "0::/"}
    assert read(linux(tmp_path, files)).memory_limit_bytes is None


def test_affinity_below_online_binds(tmp_path):
    machine = read(linux(tmp_path), cpus=range(3))
    assert (machine.cores_usable, machine.cores_online) == (3, 8)
    assert machine.name == "Intel Xeon (3 cores, no GPU)"


def siblings(*lists: str) -> dict[str, str]:
    folder = "sys/devices/system/cpu"
    return {f"{folder}/cpu{i}/topology/thread_siblings_list": f"{text}\n"
            for i, text in enumerate(lists)}  # fmt: skip


@pytest.mark.parametrize(
    ("lists", "cpus", "words"),
    [
        (["0-1", "0-1"], {0, 1}, "2 hardware threads of 1 core"),
        (["0,2", "1,3", "0,2", "1,3"], {0, 1, 2, 3}, "4 hardware threads of 2 cores"),
        (["0,2", "1,3", "0,2", "1,3"], {0, 1}, "2 cores"),
        (["0,2", "1,3", "0,2", "1,3"], {1, 3}, "2 hardware threads of 1 core"),
        (["0", "1"], {0, 1}, "2 cores"),
        (["0-1"], {0, 1}, "2 cores"),  # unknown for one of them
    ],
)
def test_hardware_threads_of_one_core_are_not_cores(tmp_path, lists, cpus, words):
    machine = read(linux(tmp_path, siblings(*lists)), cpus=cpus)
    assert machine.cores_usable == len(cpus)
    assert machine.name == f"Intel Xeon ({words}, no GPU)"
    assert ("hardware" in words) == (f"online: {words}" in dict(machine.summary())["Cores"])


def test_a_quota_may_be_used_on_different_cores(tmp_path):
    files = {"sys/fs/cgroup/cpu.max": "200000 100000", "proc/self/cgroup": "0::/"}
    machine = read(linux(tmp_path, files | siblings(*["0-1"] * 2, *["2-3"] * 2)), cpus=range(4))
    assert (machine.cores_usable, machine.cores_physical) == (2, 2)


def test_a_cache_of_one_core_is_shared_by_its_threads(tmp_path):
    folder = "sys/devices/system/cpu/cpu0/cache/index0"
    named = {"type": "Data", "level": 1, "size": "48K", "shared_cpu_list": "0-1"}
    files = {f"{folder}/{name}": f"{value}\n" for name, value in named.items()}
    machine = read(linux(tmp_path, files | siblings("0-1", "0-1")), cpus={0, 1}, online=2)
    assert dict(machine.summary())["Caches"] == "L1d 48.0 KiB shared by 2 hardware threads"


def test_a_fraction_of_a_core_is_still_one_core(tmp_path):
    files = {"sys/fs/cgroup/cpu.max": "50000 100000", "proc/self/cgroup": "0::/"}
    assert read(linux(tmp_path, files)).cores_usable == 1


def test_caches_of_core_0_come_in_order_of_level(tmp_path):
    files = {}
    for index, kind, level, size, shared in (
        (0, "Unified", 3, "32768K", "0-7"),
        (1, "Data", 1, "48K", "0,4"),
        (2, "Instruction", 1, "32K", "0"),
        (3, "Unified", 2, "2M", "0"),
    ):
        folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
        named = {"type": kind, "level": level, "size": size, "shared_cpu_list": shared}
        files |= {f"{folder}/{name}": f"{value}\n" for name, value in named.items()}
    caches = read(linux(tmp_path, files)).caches
    assert [(c.level, c.kind, c.bytes, c.shared_by) for c in caches] == [
        (1, "data", 48 * 1024, 2),
        (1, "instruction", 32 * 1024, 1),
        (2, "unified", 2 * 2**20, 1),
        (3, "unified", 32 * 2**20, 8),
    ]


@pytest.mark.parametrize(
    ("flags", "bits"),
    [("flags: sse2 avx2 avx512f", 512), ("flags: sse2 avx2", 256), ("flags: sse2", 128),
     ("Features: fp asimd", 128), ("flags: fpu", None)],
)  # fmt: skip
def test_vector_width_comes_from_the_cpu_flags(tmp_path, flags, bits):
    machine = read(linux(tmp_path, {"proc/cpuinfo": flags}))
    assert machine.simd_bits == bits


def test_a_mac_without_proc_is_read_through_sysctl(tmp_path):
    answers = {
        "machdep.cpu.brand_string": "Apple M2",
        "hw.l1dcachesize": "65536",
        "hw.l2cachesize": "4194304",
        "hw.optional.avx2_0": "0",
    }

    def sysctl(command):
        return answers.get(command[-1]) if command[0] == "sysctl" else None

    machine = read_machine(tmp_path, sysctl, {}, lambda: None, lambda: 8)
    assert machine.name == "Apple M2 (8 cores, no GPU)"
    assert [cache.bytes for cache in machine.caches] == [65536, 4194304]
    assert machine.memory_bytes is not None  # psutil knows it without /proc
    assert not machine.container


def test_a_machine_that_tells_nothing_is_unknown_and_does_not_crash(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    machine = read_machine(tmp_path, nothing, {}, lambda: None, lambda: None)
    unknown = (machine.cpu_model, machine.cores_online, machine.simd_bits, machine.memory_bytes,
               machine.memory_available, machine.memory_limit_bytes, machine.shm_bytes)  # fmt: skip
    assert unknown == (None,) * 7
    assert machine.cores_usable == 1
    texts = dict(machine.summary())
    assert texts["Processor"] == "unknown"
    assert texts["Caches"] == "unknown"
    assert "unknown" in texts["Memory"]
    assert machine.name == "unknown CPU (1 core, no GPU)"


def test_garbage_in_the_file_tree_does_not_crash(tmp_path):
    cache = "sys/devices/system/cpu/cpu0/cache/index0"
    files = {
        "proc/meminfo": "nonsense",
        "proc/cpuinfo": "\x00\xff",
        "proc/self/cgroup": "x\n::\n0:\n3:memory\n",
        "sys/fs/cgroup/cpu.max": "many few",
        "sys/fs/cgroup/memory.max": "-",
        f"{cache}/level": "one",
        f"{cache}/size": "K",
    }
    machine = read(write(tmp_path, files))
    assert machine.caches == ()
    assert machine.cpu_quota is None


def test_gpus_come_from_nvidia_smi(tmp_path):
    machine = read(linux(tmp_path), smi("NVIDIA H200, 143771, 580.65.06, 9.0"))
    (gpu,) = machine.gpus
    assert (gpu.name, gpu.driver, gpu.compute_capability) == ("NVIDIA H200", "580.65.06", "9.0")
    assert gpu.memory_bytes == 143771 * 2**20
    assert machine.name == "Intel Xeon (8 cores, NVIDIA H200)"


def test_an_old_driver_that_knows_no_compute_capability_still_lists_gpus(tmp_path):
    def old_smi(command):
        return None if "compute_cap" in command[-1] else "Tesla T4, [N/A], 450.51"

    (gpu,) = read(linux(tmp_path), old_smi).gpus
    assert (gpu.name, gpu.memory_bytes, gpu.compute_capability) == ("Tesla T4", None, None)


@pytest.mark.parametrize(
    ("visible", "names"),
    [("", []), ("-1", []), ("1", ["B"]), ("1,0", ["B", "A"]), ("GPU-8a", "AB")],
)
def test_gpus_hidden_by_cuda_visible_devices_do_not_count(tmp_path, visible, names):
    run = smi("A, 1, 1.0, 8.0\nB, 1, 1.0, 8.0")
    machine = read(linux(tmp_path), run, {"CUDA_VISIBLE_DEVICES": visible})
    assert [gpu.name for gpu in machine.gpus] == list(names)


def smi(answer: str):
    return lambda command: answer if command[0] == "nvidia-smi" else None


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({"COLAB_RELEASE_TAG": "x"}, "Colab"),
        ({"BINDER_SERVICE_HOST": "x", "JUPYTERHUB_USER": "jovyan"}, "Binder"),
        ({"BINDER_LAUNCH_HOST": "x"}, "Binder"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/x/"}, "JupyterHub"),
        ({}, "local"),
    ],
)
def test_the_host_is_told_by_its_environment(tmp_path, environ, host):
    assert read(linux(tmp_path), environ=environ).host == host


def spin(seconds: float) -> None:
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        pass


def test_one_thread_has_one_core_and_a_sleeper_none():
    assert 0.1 < cores_at_work(spin, 0.002) < 1.1
    assert cores_at_work(time.sleep, 0.01) < 0.1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a choice of cores")
def test_a_process_on_a_core_with_a_rival_has_half_of_it():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            time.sleep(0.3)
            assert cores_at_work(spin, 0.002, seconds=0.3) < 0.85
        finally:
            rival.kill()
            rival.wait()
    finally:
        os.sched_setaffinity(0, before)


def test_a_missing_or_failing_command_is_none():
    assert readings.run_command(["no-such-command-anywhere"]) is None
    assert readings.run_command([sys.executable, "-c", "raise SystemExit(3)"]) is None


def test_the_probe_of_this_machine_is_read_once():
    assert probe() is probe()
    assert probe().cores_usable >= 1
    assert all(isinstance(text, str) and text for _, text in probe().summary())


def test_needs_are_refused_with_a_reason_and_unknown_ones_are_errors(tmp_path, monkeypatch):
    small = read(linux(tmp_path), cpus=range(1))
    assert needs.cpu(small) is None
    assert "GPU" in (needs.gpu(small) or "")
    assert needs.ranks(small)
    monkeypatch.setattr("shutil.which", lambda tool: None)
    assert "iproute2" in (needs.links(small) or "")
    with pytest.raises(ValueError, match="choose one of cpu, gpu"):
        needs.why_not_live("quantum")


def test_importing_the_room_pulls_in_nothing_heavy():
    heavy = ("torch", "cupy", "matplotlib", "ipywidgets", "numba", "numpy", "IPython")
    code = (
        "import sys, aiinfra.measure, aiinfra.measure.record, aiinfra.facts.recordings\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
