"""Record what a run was trained with, `environment.json`: versions, devices, command and git commit."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from trainer.records.folder import RunFolder
from utils.errors import DAMAGED
from utils.files import write_text
from utils.redact import redact

PACKAGES = (
    "torch",
    "accelerate",
    "segmentation-models-pytorch",
    "timm",
    "albumentations",
    "opencv-python-headless",
    "numpy",
)


def write_environment(folder: RunFolder, accelerator: Accelerator) -> None:
    """Record versions, devices and code state, so that the run can be explained and repeated."""
    values = {**describe_process(accelerator.device), "processes": accelerator.num_processes}
    write_text(folder.environment, json.dumps(values, indent=2) + "\n")


def processes_of(folder: RunFolder) -> int:
    """Read how many processes trained this run when it was started last; 1 if that was not recorded."""
    try:
        return int(json.loads(folder.environment.read_text(encoding="utf-8"))["processes"])
    except DAMAGED:
        return 1


def describe_process(device: torch.device) -> dict[str, Any]:
    """Return versions, device, command and git commit of this process."""
    commit, changes = code_state()
    return {
        "command": list(map(redact, sys.argv)),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": device_name(device),
        "cuda": torch.version.cuda,
        "gpus": torch.cuda.device_count(),
        "git_commit": commit,
        "git_changes": changes,
    }


@cache
def code_state() -> tuple[str | None, str | None]:
    """Find the commit of this code and the files that differ from it; None if it is not in git."""
    return _git("rev-parse", "HEAD"), _git("status", "--porcelain")


def devices_name(accelerator: Accelerator) -> str:
    """Return the devices of all processes in words, from the number of processes and the main one's device."""
    one, processes = device_name(accelerator.device), accelerator.num_processes
    return one if processes == 1 else f"{processes} x {one}"


def device_name(device: torch.device) -> str:
    """Return the name of the device for a report."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} (capability {torch.cuda.get_device_capability(device)})"
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} {'thread' if threads == 1 else 'threads'}"


def _git(*arguments: str) -> str | None:
    """Run git in the folder of this code; return its output, None if the code is not in git."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
