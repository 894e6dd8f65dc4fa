"""The machine that figures were measured on, in words that name no host."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path

import torch

from utils.system.cores import usable_cores


def describe() -> dict[str, str]:
    """Machine, software and date."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    return {
        "machine": f"{usable_cores()} cores, {_processor()}",
        "software": versions,
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    """The processor's name; on Linux with its family, since virtual machines hide the model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in found.items()}
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else name
