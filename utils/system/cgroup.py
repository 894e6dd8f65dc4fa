"""The limits that a container or batch system sets on this process, read from control groups of versions 1 and 2.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
UNLIMITED_MIB = 2**60 / 2**20
"""MiB. If there is no limit, version 1 states one near 2⁶³ bytes."""


@dataclass(frozen=True)
class Limits:
    """The tightest limits of the process's group and those above it; None: no limit.

    `memory_used_mib` is the memory used in the group that limits it, without page cache.
    """

    memory_mib: float | None = None
    memory_used_mib: float = 0.0
    cores: float | None = None


def look_at_limits() -> Limits:
    """Return the limits of this process; none on a system without control groups."""
    try:
        membership = Path("/proc/self/cgroup").read_text()
    except OSError:
        return Limits()
    return read_limits(MOUNT, membership)


def read_limits(mount: Path, membership: str) -> Limits:
    """Return the limits of a process whose `/proc/self/cgroup` reads `membership`; `mount` is /sys/fs/cgroup."""
    memory: list[tuple[float, float]] = []  # (limit, used) in MiB of every group that limits it
    cores: list[float] = []
    # A line is `number:controllers:path`; version 2 has one line, without controllers.
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in upwards(mount, path):
                memory += memory_v2(folder)
                cores += cores_v2(folder)
        elif "memory" in controllers.split(","):
            for folder in upwards(mount / "memory", path):
                memory += memory_v1(folder)
        elif "cpu" in controllers.split(","):
            for folder in upwards(first_folder(mount / "cpu", mount / controllers), path):
                cores += cores_v1(folder)
    limit, used = min(memory, default=(None, 0.0), key=lambda pair: pair[0] - pair[1])
    return Limits(limit, used, min(cores, default=None))


def upwards(mount: Path, path: str) -> Iterator[Path]:
    """Yield the group's folder and those above it, up to `mount`.

    Inside a container `path` may be the host's and not exist below `mount`; the last folder, `mount`, is then its own.
    """
    folder = mount / path.lstrip("/")
    while folder != mount and mount in folder.parents:
        yield folder
        folder = folder.parent
    yield mount


def memory_v2(folder: Path) -> Iterator[tuple[float, float]]:
    """Yield (limit, used) in MiB if the group limits memory."""
    limit = number(folder / "memory.max")
    if limit is not None:
        used = number(folder / "memory.current") or 0
        yield limit / 2**20, (used - stat(folder, "inactive_file")) / 2**20


def memory_v1(folder: Path) -> Iterator[tuple[float, float]]:
    """Yield (limit, used) in MiB if the group limits memory."""
    limit = number(folder / "memory.limit_in_bytes")
    if limit is not None and limit / 2**20 < UNLIMITED_MIB:
        used = number(folder / "memory.usage_in_bytes") or 0
        yield limit / 2**20, (used - stat(folder, "total_inactive_file")) / 2**20


def cores_v2(folder: Path) -> Iterator[float]:
    """Yield the number of cores if the group limits it. `cpu.max` reads `<quota> <period>` in µs, or `max <period>`."""
    words = text(folder / "cpu.max").split()
    if len(words) == 2 and words[0].isdigit():
        yield int(words[0]) / int(words[1])


def cores_v1(folder: Path) -> Iterator[float]:
    """Yield the number of cores if the group limits it."""
    quota, period = number(folder / "cpu.cfs_quota_us"), number(folder / "cpu.cfs_period_us")
    if quota is not None and quota > 0 and period:
        yield quota / period


def stat(folder: Path, name: str) -> float:
    """Return a number of `memory.stat`, in bytes; 0 if it is not there."""
    for line in text(folder / "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return float(value)
    return 0.0


def number(path: Path) -> float | None:
    """Return the number in a file; None if the file is absent or holds none."""
    try:
        return float(text(path))
    except ValueError:
        return None


def text(path: Path) -> str:
    """Return a file's text; empty if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def first_folder(*paths: Path) -> Path:
    """Return the first path that is a folder; the first path if none is."""
    return next((path for path in paths if path.is_dir()), paths[0])
