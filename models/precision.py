"""Number formats: which one a device computes fast in, and the loss scaling that fp16 needs.

The trainer casts and scales by itself and leaves accelerate at full precision, for two reasons: accelerate widens the
network's outputs to fp32, which at 2048 px doubles the memory of the largest tensor there is, and it refuses fp16
on a CPU, on which it must be tested.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch.amp.grad_scaler import GradScaler

log = logging.getLogger(__name__)

Format = Literal["fp32", "fp16", "bf16"]
Name = Literal["auto", Format]
DTYPES: dict[Format, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Precision:
    """The format that a network's heavy operations run in on one kind of device."""

    name: Format
    device_type: str

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.name]

    def autocast(self) -> AbstractContextManager[object]:
        """Run the operations inside in this format; weights stay fp32."""
        return torch.autocast(self.device_type, self.dtype, enabled=self.name != "fp32")

    def scaler(self) -> GradScaler:
        """Make the loss scaler, active for fp16 alone: its smallest normal number, 6e-5, exceeds many gradients."""
        return GradScaler(self.device_type, enabled=self.name == "fp16")


def choose_precision(wanted: Name, device: torch.device) -> Precision:
    """Return the precision that is wanted; `auto` is fp32 on a CPU, bf16 from compute capability 8.0 on, else fp16.

    A GPU that only emulates bf16 is named in a warning. The capability decides because
    `torch.cuda.is_bf16_supported()` is true for a V100 too, which emulates it slowly.
    """
    on_gpu = device.type == "cuda"
    has_bf16 = on_gpu and torch.cuda.get_device_capability(device)[0] >= 8
    if wanted == "auto":
        fast: Format = "bf16" if has_bf16 else "fp16"
        return Precision(fast if on_gpu else "fp32", device.type)
    if wanted == "bf16" and on_gpu and not has_bf16:
        log.warning(
            "trainer.precision=bf16: this GPU has no arithmetic of bf16 and emulates it, many times slower. Write "
            "trainer.precision=fp16; a run that has begun may be resumed with it"
        )
    return Precision(wanted, device.type)
