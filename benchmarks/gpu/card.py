"""What a card is, and what it can at most: its memory, bytes and products a second, and the cost of a launch."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.machine import describe


def describe_card(device: torch.device, *, tiny: bool) -> dict[str, Any]:
    """Return machine, software, date and card, as plain values."""
    about: dict[str, Any] = {**describe(), "tiny": tiny, "card": None}
    if device.type != "cuda":
        return about
    properties = torch.cuda.get_device_properties(device)
    about["software"] += f", CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    about["card"] = properties.name
    about["memory_gib"] = round(properties.total_memory / 2**30, 1)
    return about
