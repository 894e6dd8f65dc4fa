"""Describe the machine of a measurement without its host name."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path

import torch

from utils.system.cores import usable_cores


def describe() -> dict[str, str]:
    """Cores and processor, software versions, and the date."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    return {
        "machine": f"{usable_cores()} cores, {_processor()}",
        "software": versions,
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    """The processor's name; on Linux with family and model numbers, since virtual machines hide the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in found.items()}
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else name
