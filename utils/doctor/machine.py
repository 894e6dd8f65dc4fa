"""Check memory, cores, shared memory and limits of the machine, as far as this process may use them."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from utils.doctor.finding import Finding, ok, problem, size_text, warning
from utils.system.cgroup import Limits, look_at_limits
from utils.system.cores import cores_by_affinity

SCARCE_MIB, TIGHT_MIB = 2048, 6144
"""Free memory below which a small training run does not fit, and below which only small networks do."""
SMALL_SHM_MIB = 1024
"""base_train's loaders hold 0.4 GiB of batches in shared memory; Docker gives 64 MiB by default."""
BUSY_SHARE = 0.5
"""If other programs keep more than this share of all cores busy, torch's threads wait for each other."""
FEW_FILES, ENOUGH_FILES = 256, 1024


@dataclass(frozen=True)
class SystemMemory:
    """Memory of the whole machine, from /proc/meminfo."""

    total_mib: float
    available_mib: float


@dataclass(frozen=True)
class Shm:
    """The shared memory `/dev/shm`, through which loader processes pass their batches."""

    total_mib: float
    free_mib: float


def check_machine() -> Iterator[Finding]:
    """Check memory, cores, load, shared memory and the limit of open files."""
    limits = look_at_limits()
    yield check_memory(look_at_memory(), limits)
    yield from check_cores(cores_by_affinity(), limits.cores, os.environ)
    yield check_load(os.getloadavg()[0], os.cpu_count() or 1)
    yield check_shm(look_at_shm())
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def look_at_memory() -> SystemMemory:
    """Read the machine's memory from /proc/meminfo."""
    rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(rows[key].split()[0]) / 1024 for key in ("MemTotal", "MemAvailable"))
    return SystemMemory(total, available)


def look_at_shm(path: str = "/dev/shm") -> Shm | None:
    """Return the size of the shared memory; None if there is none."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return None
    return Shm(disk.f_blocks * disk.f_frsize / 2**20, disk.f_bavail * disk.f_frsize / 2**20)


def available_mib(memory: SystemMemory, limits: Limits) -> float:
    """Return how much memory this process may still take, by the machine and by its control group."""
    if limits.memory_mib is None:
        return memory.available_mib
    return max(0.0, min(memory.available_mib, limits.memory_mib - limits.memory_used_mib))


def check_memory(memory: SystemMemory, limits: Limits) -> Finding:
    """Check that enough memory is free to train."""
    free = available_mib(memory, limits)
    text = f"{size_text(free)} free of {size_text(memory.total_mib)}"
    if limits.memory_mib is not None and limits.memory_mib < memory.total_mib:
        text += f"; this container or job may have {size_text(limits.memory_mib)}"
    way_out = "end other programs, or ask for more (docker run --memory=…, sbatch --mem=…)"
    if free < SCARCE_MIB:
        return problem("memory", f"{text}: too little to train", way_out)
    if free < TIGHT_MIB:
        return warning("memory", f"{text}: enough for small networks only", f"{way_out}; lower data.workers")
    return ok("memory", text)


def check_cores(cores: int, quota: float | None, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check how many cores may be used, and whether torch starts no more threads than that."""
    threads = environment.get("OMP_NUM_THREADS", "")
    usable = min(cores, quota or cores)
    if quota is not None and quota < cores and not (threads.isdigit() and int(threads) <= max(1, quota)):
        count = max(1, int(quota))
        yield warning(
            "cores",
            f"{cores} are seen, but this container or job may use {quota:g}: threads would wait for each other",
            f"export OMP_NUM_THREADS={count}, and at most data.workers={count}",
        )
    elif threads.isdigit() and int(threads) > cores:
        yield warning(
            "cores", f"{cores}, but OMP_NUM_THREADS={threads}: threads would wait for each other",
            f"export OMP_NUM_THREADS={cores}",
        )  # fmt: skip
    elif usable < 2:
        yield warning("cores", "one: reading and augmenting will slow the network down", "ask for more cores")
    elif threads == "1":
        yield ok("cores", f"{usable:g}; OMP_NUM_THREADS=1, so networks on the CPU use one of them")
    else:
        yield ok("cores", f"{usable:g}")


def check_load(running: float, cores: int) -> Finding:
    """Check whether other programs use the cores. `running` is the load average of the last minute over all `cores`.

    Torch's threads wait for the slowest one. On two cores shared with other programs, an epoch of the demo took 160 s
    with two threads and 47 s with one.
    """
    text = f"{running:.1f} of {cores} cores were busy in the last minute"
    if running > BUSY_SHARE * cores:
        free = max(1, int(cores - running))
        return warning("load", f"{text}: others slow this machine down", f"on a CPU: export OMP_NUM_THREADS={free}")
    return ok("load", text)


def check_shm(shm: Shm | None) -> Finding:
    """Check that loader processes have enough shared memory for their batches."""
    way_out = "docker run --shm-size=8g (or --ipc=host); without it data.workers=0"
    if shm is None:
        return warning("shared mem", "there is no /dev/shm, which loader processes need", way_out)
    text = f"/dev/shm has {size_text(shm.free_mib)} free of {size_text(shm.total_mib)}"
    if shm.free_mib < SMALL_SHM_MIB:
        return warning("shared mem", f"{text}: loader processes may die with a bus error", way_out)
    return ok("shared mem", text)


def check_open_files(limit: int) -> Finding:
    """Check the soft limit of `ulimit -n`; -1 means no limit."""
    if limit in (-1, resource.RLIM_INFINITY):
        return ok("open files", "no limit")
    if limit >= ENOUGH_FILES:
        return ok("open files", f"up to {limit}")
    judge = problem if limit < FEW_FILES else warning
    return judge("open files", f"only {limit}, which many loader processes use up", "ulimit -n 4096")
