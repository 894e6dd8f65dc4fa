"""Decides whether a kernel's results are used: it must compile, and its first results must be those of the blocks.

Triton supports some cards, such as the V100, only as far as it happens to work, and needs a compiler for C. A loss must
be right everywhere, so a kernel that fails costs speed and one warning, never a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

TOLERANCE = 1e-2
"""The share by which the first results may differ: far above all rounding, far below what a wrong kernel computes."""


class Guard:
    """Remembers what was checked in this process, and on which devices kernels are given up."""

    def __init__(self) -> None:
        self.checked_kinds: set[Hashable] = set()
        self.refused: set[torch.device] = set()

    def checked(
        self,
        kind: Hashable,
        device: torch.device,
        compute: Callable[[], Tensor],
        expected: Callable[[], Tensor],
        sample: Callable[[Tensor], Tensor],
    ) -> Tensor | None:
        """Return what `compute` returns, or None if the kernels are refused on this device.

        Of the first result of each `kind` the part that `sample` takes is compared with `expected`.
        """
        if device in self.refused:
            return None
        try:
            found = compute()
            agrees = (device, kind) in self.checked_kinds or alike(sample(found), expected())
        except torch.OutOfMemoryError:
            raise
        except ImportError:
            self._refuse(device, "Triton is not installed")
        except Exception as error:  # of the compilers, the driver and the launcher, each with its own
            self._refuse(device, f"Triton cannot compile it: {first_line(error)}")
        else:
            if agrees:
                self.checked_kinds.add((device, kind))
                return found
            self._refuse(device, "what Triton compiled for it computes other numbers than torch")
        return None

    def _refuse(self, device: torch.device, reason: str) -> None:
        self.refused.add(device)
        log.warning(
            "The loss is not computed by one kernel on %s: %s. Separate operations compute it instead: the results are "
            "the same, a step takes up to a tenth longer.",
            *(name_of(device), reason),
        )


GUARD = Guard()
"""That of this process."""


def alike(found: Tensor, expected: Tensor) -> bool:
    """Whether sums [S, B, C], or slopes [B, C, H, W], are finite in the same places and differ little in each class."""
    finite = found.isfinite()
    if not torch.equal(finite, expected.isfinite()):
        return False
    found, expected = (torch.where(finite, of, 0).float() for of in (found, expected))
    difference, size = (found - expected).abs(), expected.abs()
    if found.ndim == 4:
        difference, size = difference.sum((2, 3)), size.sum((2, 3))
    # What is far below the largest sum may be rounded to anything.
    return bool((difference <= TOLERANCE * size + 1e-6 * size.max()).all())


def first_line(error: Exception) -> str:
    """Return the kind of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def name_of(device: torch.device) -> str:
    """Return the name of a card, or of another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
