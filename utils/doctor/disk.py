"""Check the folders that programs write to: free space, free inodes, and whether writing works."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from utils.doctor.finding import Finding, ok, problem, size_text, warning

FEW_INODES = 1000
TRIAL_BYTES = 2**20


@dataclass(frozen=True)
class OutputFolder:
    """A folder that a program writes to. `error` says why a trial file could not be written; empty if it could.

    `free_inodes` is None if the file system does not count them.
    """

    topic: str
    path: Path
    free_mib: float
    free_inodes: int | None = None
    error: str = ""


def check_disk() -> Iterator[Finding]:
    """Check the folders of runs, of temporary files and of downloaded weights."""
    yield check_folder(look_at_folder("runs", Path("runs").absolute()), scarce_mib=1024, tight_mib=10240)
    yield check_folder(look_at_folder("temporary", Path(temporary_folder())), scarce_mib=64, tight_mib=512)
    yield check_cache(look_at_folder("cache", hub_cache(os.environ)))


def look_at_folder(topic: str, path: Path) -> OutputFolder:
    """Write a temporary file to `path`, or to the folder above it that exists, and return what was found."""
    folder = nearest_folder(path)
    try:
        disk = os.statvfs(str(folder))
    except OSError as error:
        return OutputFolder(topic, path, 0, error=error.strerror or str(error))
    free, inodes = disk.f_bavail * disk.f_frsize / 2**20, disk.f_favail if disk.f_files else None
    return OutputFolder(topic, path, free, inodes, trial_error(folder))


def nearest_folder(path: Path) -> Path:
    """Return `path` itself or the first folder above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def trial_error(folder: Path) -> str:
    """Try to write a file of 1 MiB; return why it fails (read-only disk, quota, another owner), "" if it works."""
    try:
        with tempfile.TemporaryFile(dir=str(folder)) as file:
            file.write(bytes(TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def check_folder(folder: OutputFolder, *, scarce_mib: float, tight_mib: float) -> Finding:
    """Check writing, inodes and space: less than `scarce_mib` is a problem, less than `tight_mib` a warning."""
    text = f"{folder.path}: {size_text(folder.free_mib)} free"
    way_out = WAYS_OUT[folder.topic]
    if folder.error:
        return problem(folder.topic, f"{folder.path}: cannot be written ({folder.error})", way_out)
    if folder.free_inodes is not None and folder.free_inodes < FEW_INODES:
        return problem(folder.topic, f"{text}, but only {folder.free_inodes} more files (inodes)", way_out)
    if folder.free_mib < tight_mib:
        return (problem if folder.free_mib < scarce_mib else warning)(folder.topic, text, way_out)
    return ok(folder.topic, text)


WAYS_OUT = {
    "runs": "free space (old runs under runs/, `docker system prune`), or name another disk with run.folder=…",
    "temporary": "free space there, or export TMPDIR=<folder on another disk>",
}


def check_cache(folder: OutputFolder) -> Finding:
    """Check the folder in which downloaded weights are kept: up to some hundred MiB each."""
    way_out = "export HF_HOME=<folder that can be written>, or give weights as a file: model.encoder_weights=FILE"
    if folder.error:
        text = f"{folder.path}: cannot be written ({folder.error}), so pretrained weights cannot be kept"
        return warning(folder.topic, text, way_out)
    if folder.free_mib < 1024:
        return warning(
            folder.topic, f"{folder.path}: {size_text(folder.free_mib)} free for pretrained weights", way_out
        )
    return ok(folder.topic, f"{folder.path}: {size_text(folder.free_mib)} free for pretrained weights")


def hub_cache(environment: Mapping[str, str]) -> Path:
    """Return the folder in which huggingface_hub keeps weights; it reads these variables in this order."""
    if environment.get("HF_HUB_CACHE"):
        return Path(environment["HF_HUB_CACHE"])
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]) / "hub"
    above = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME") or "/", ".cache")
    return Path(above) / "huggingface" / "hub"


def temporary_folder() -> str:
    """Return the folder of temporary files; if Python finds none that can be written, the one it tries first."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.environ.get("TMPDIR") or "/tmp"
