"""What a GPU says of itself while a run trains on it."""

from __future__ import annotations

from contextlib import suppress

import torch

MIB = 1024**2


def device_figures(device: torch.device) -> dict[str, float]:
    """Memory in MiB and the share of time that kernels ran lately, in percent; nothing on a CPU.

    `memory_peak_mib` is the most that this process has held since it began, `memory_used_mib` what all processes hold.
    """
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    figures = {
        "memory_peak_mib": torch.cuda.max_memory_reserved(device) / MIB,
        "memory_used_mib": (total - free) / MIB,
        "memory_total_mib": total / MIB,
    }
    with suppress(Exception):  # the driver's library may be missing or refuse, each in its own way
        figures["utilisation_percent"] = float(torch.cuda.utilization(device))
    return figures
