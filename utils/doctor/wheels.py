"""Which wheels of torch run on which card and driver: the pinned one, and an older one for older cards and drivers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A torch of the package index, with its torchvision, its CUDA, and the architectures it has code for."""

    torch: str
    torchvision: str
    cuda: str
    architectures: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that installs this wheel."""
        return f"pip install torch=={self.torch} torchvision=={self.torchvision}"


PINNED = Wheel("2.10.0", "0.25.0", "12.8", ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"))
"""The newest wheel with code for the V100 (7.0): 2.11 starts at 7.5. It reaches up to the RTX 50 series (12.0)."""
OLDER = Wheel("2.7.1", "0.22.1", "12.6", ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"))
"""The newest wheel of the package index with code for cards before the V100; made for Python up to 3.13."""


def wheel_for(capability: tuple[int, int]) -> str:
    """Say how to get a torch with code for a card of this capability."""
    if is_carried(capability, PINNED.architectures):
        return f"{PINNED.command} ({reach(PINNED)})"
    if is_carried(capability, OLDER.architectures):
        return f"{OLDER.command}, with Python 3.13 or older ({reach(OLDER)}; later ones start at sm_70)"
    if capability < (5, 0):
        return "this card is too old for any torch that Carpus runs on; take another, or the CPU"
    return f"pip install --upgrade torch torchvision (a wheel later than {PINNED.torch} may carry code for it)"


def reach(wheel: Wheel) -> str:
    """Say for which architectures a wheel has code."""
    return f"its wheel carries {wheel.architectures[0]} to {wheel.architectures[-1]}"


def is_carried(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Return whether a wheel runs on a card; True if `architectures` is empty, which means unknown.

    Code (`sm_86`) runs on cards of the same major version and the same or a later minor one; intermediate code
    (`compute_70`) is translated for every later card; names that end in a letter (`sm_90a`) run on that card alone.
    Source: CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility".
    """
    if not architectures:
        return True
    return any(runs_on(capability, name) for name in architectures)


def runs_on(capability: tuple[int, int], architecture: str) -> bool:
    """Return whether code for one architecture runs on a card of this capability."""
    parts = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", architecture)
    if not parts:
        return False
    made_for = int(parts[2]), int(parts[3])
    if parts[4]:
        return capability == made_for
    if parts[1] == "compute":
        return capability >= made_for
    return capability[0] == made_for[0] and capability >= made_for
