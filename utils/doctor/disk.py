"""Places that programs write to: room, file slots, and whether writing really works."""

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
class Place:
    """A folder that is, or will be, written to. `error`: why a trial file could not be written, empty if it could.

    `free_inodes` is None where the file system does not count them.
    """

    topic: str
    path: Path
    free_mib: float
    free_inodes: int | None = None
    error: str = ""


def check_disk() -> Iterator[Finding]:
    yield judge_place(look_at_place("runs", Path("runs").absolute()), scarce_mib=1024, tight_mib=10240)
    yield judge_place(look_at_place("temporary", Path(temporary_folder())), scarce_mib=64, tight_mib=512)
    yield judge_cache(look_at_place("cache", hub_cache(os.environ)))


def look_at_place(topic: str, path: Path) -> Place:
    """Look at `path`, or at the folder above it where it will be made, by writing a file that leaves no trace."""
    folder = nearest_folder(path)
    try:
        disk = os.statvfs(str(folder))
    except OSError as error:
        return Place(topic, path, 0, error=error.strerror or str(error))
    free, inodes = disk.f_bavail * disk.f_frsize / 2**20, disk.f_favail if disk.f_files else None
    return Place(topic, path, free, inodes, trial_error(folder))


def nearest_folder(path: Path) -> Path:
    """`path` itself or the first folder above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def trial_error(folder: Path) -> str:
    """Why a file of a MiB cannot be written there: a read-only disk, a quota, another owner; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=str(folder)) as file:
            file.write(bytes(TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def judge_place(place: Place, *, scarce_mib: float, tight_mib: float) -> Finding:
    """`scarce_mib`: less is a problem; `tight_mib`: less is a warning."""
    text = f"{place.path}: {size_text(place.free_mib)} free"
    way_out = WAYS_OUT[place.topic]
    if place.error:
        return problem(place.topic, f"{place.path}: cannot be written ({place.error})", way_out)
    if place.free_inodes is not None and place.free_inodes < FEW_INODES:
        return problem(place.topic, f"{text}, but only {place.free_inodes} more files (inodes)", way_out)
    if place.free_mib < tight_mib:
        return (problem if place.free_mib < scarce_mib else warning)(place.topic, text, way_out)
    return ok(place.topic, text)


WAYS_OUT = {
    "runs": "free space (old runs under runs/, `docker system prune`), or name another disk with run.folder=…",
    "temporary": "free space there, or export TMPDIR=<folder on another disk>",
}


def judge_cache(place: Place) -> Finding:
    """Pretrained weights are fetched once and kept here: up to some hundred MiB each."""
    way_out = "export HF_HOME=<folder that can be written>, or give weights as a file: model.encoder_weights=FILE"
    if place.error:
        text = f"{place.path}: cannot be written ({place.error}), so pretrained weights cannot be kept"
        return warning(place.topic, text, way_out)
    if place.free_mib < 1024:
        return warning(place.topic, f"{place.path}: {size_text(place.free_mib)} free for pretrained weights", way_out)
    return ok(place.topic, f"{place.path}: {size_text(place.free_mib)} free for pretrained weights")


def hub_cache(environment: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps weights; the order is its own."""
    if environment.get("HF_HUB_CACHE"):
        return Path(environment["HF_HUB_CACHE"])
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]) / "hub"
    above = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME") or "/", ".cache")
    return Path(above) / "huggingface" / "hub"


def temporary_folder() -> str:
    """Where temporary files go; where Python finds no folder that takes one, the place that should."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.environ.get("TMPDIR") or "/tmp"
