from __future__ import annotations

import resource
from pathlib import Path

import pytest

from utils.doctor.machine import (
    Shm,
    SystemMemory,
    available_mib,
    check_cores,
    check_load,
    check_memory,
    check_open_files,
    check_shm,
    look_at_memory,
    look_at_shm,
)
from utils.system.cgroup import Limits, look_at_limits, read_limits

GIB = 2**30
SERVER = SystemMemory(total_mib=256 * 1024, available_mib=200 * 1024)


def write(path: Path, **files: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)


def test_limits_of_version_2_are_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    job = {"memory__max": f"{8 * GIB}\n", "memory__current": f"{3 * GIB}", "memory__stat": f"inactive_file {GIB}\n"}
    write(tmp_path / "slurm" / "job", **job, cpu__max="max 100000\n")
    write(tmp_path / "slurm", memory__max="max\n", cpu__max="250000 100000\n")
    assert read_limits(tmp_path, "0::/slurm/job\n") == Limits(8 * 1024, 2 * 1024, 2.5)


def test_limits_of_version_1_are_found_too(tmp_path: Path) -> None:
    memory = {"memory__limit_in_bytes": f"{4 * GIB}", "memory__usage_in_bytes": f"{GIB}", "memory__stat": ""}
    write(tmp_path / "memory" / "docker" / "x", **memory)
    write(tmp_path / "memory", memory__limit_in_bytes="9223372036854771712")
    write(tmp_path / "cpu,cpuacct" / "docker" / "x", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")
    write(tmp_path / "cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    membership = "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n1:name=systemd:/\n"
    assert read_limits(tmp_path, membership) == Limits(4 * 1024, 1024, 1.5)


def test_in_a_container_the_mount_itself_is_the_group(tmp_path: Path) -> None:
    write(tmp_path, memory__max=f"{GIB}", memory__current="0")
    assert read_limits(tmp_path, "0::/../the/hosts/path\n").memory_mib == 1024
    assert read_limits(tmp_path / "nothing", "0::/\n") == Limits()


def test_memory_is_what_machine_and_container_leave() -> None:
    assert available_mib(SERVER, Limits()) == 200 * 1024
    assert available_mib(SERVER, Limits(8192, 7168)) == 1024
    assert available_mib(SERVER, Limits(8192, 9000)) == 0


@pytest.mark.parametrize(
    ("limits", "level"), [(Limits(), "ok"), (Limits(8192, 4096), "warning"), (Limits(8192, 7168), "problem")]
)
def test_a_container_with_little_memory_left_is_reported_on_a_large_machine(limits: Limits, level: str) -> None:
    found = check_memory(SERVER, limits)
    assert found.level == level
    assert ("may have 8.0 GiB" in found.text) is (level != "ok")


@pytest.mark.parametrize(
    ("cores", "quota", "threads", "level"),
    [
        (16, None, "", "ok"),
        (16, None, "1", "ok"),
        (16, 4.0, "", "warning"),
        (16, 4.0, "4", "ok"),
        (16, 0.5, "1", "warning"),
        (4, None, "16", "warning"),
        (1, None, "", "warning"),
    ],
)
def test_threads_are_held_against_the_cores_that_may_be_used(
    cores: int, quota: float | None, threads: str, level: str
) -> None:
    (found,) = check_cores(cores, quota, {"OMP_NUM_THREADS": threads})
    assert found.level == level
    if quota == 4.0 and level == "warning":
        assert "OMP_NUM_THREADS=4" in found.remedy


def test_a_busy_machine_is_a_warning_that_leaves_cores_to_others() -> None:
    assert check_load(0.3, 2).level == "ok"
    found = check_load(11.6, 16)
    assert (found.level, found.remedy) == ("warning", "on a CPU: export OMP_NUM_THREADS=4")
    assert check_load(40, 16).remedy.endswith("OMP_NUM_THREADS=1")


def test_dockers_64_mib_of_shared_memory_are_a_warning_with_both_ways_out() -> None:
    found = check_shm(Shm(64, 64))
    assert (found.level, "64 MiB" in found.text) == ("warning", True)
    assert "--shm-size" in found.remedy
    assert "data.workers=0" in found.remedy
    assert check_shm(None).level == "warning"
    assert check_shm(Shm(8192, 8000)).level == "ok"


def test_few_open_files_are_reported() -> None:
    levels = [check_open_files(limit).level for limit in (64, 512, 1024, resource.RLIM_INFINITY)]
    assert levels == ["problem", "warning", "ok", "ok"]


def test_this_machine_is_looked_at() -> None:
    memory = look_at_memory()
    assert 0 < memory.available_mib <= memory.total_mib
    assert look_at_shm("/nowhere") is None
    look_at_limits()
