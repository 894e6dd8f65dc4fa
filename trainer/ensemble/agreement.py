"""Keep small masks of every member of an ensemble, to name one that hardly overlaps the others."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from data.masks.agreement import agreement_from, warn_of_strangers
from data.sample import Sample
from runtime.sharing import Exchange, merge
from trainer.prediction.transfer import start_copy
from utils.arrays import Bools, Bytes, Floats

# Shapes: C classes, F members, N images.

SIDE_PX = 64
"""Masks are kept at this size: 15 kB for 29 classes, an image and a member."""
WAITING = 32
"""So many are read late, so that no image waits for its device."""


@dataclass(frozen=True)
class SmallMasks:
    """Small masks of images, by image and member."""

    of_images: dict[str, dict[int, Bytes]] = field(default_factory=lambda: defaultdict(dict))
    waiting: deque[tuple[str, int, Callable[[], Bools]]] = field(default_factory=deque)
    """Those that a device may still be making."""

    def note(self, name: str, member: int, logits_Chw: Tensor) -> None:
        """Keep where a member's probability is above a half, in the frame of the whole image."""
        small = F.interpolate(logits_Chw[None], (SIDE_PX, SIDE_PX), mode="nearest-exact")[0] > 0
        self.waiting.append((name, member, start_copy(small)))
        self._read(WAITING)

    def _read(self, left: int) -> None:
        """Read masks from their device, but for the last `left`."""
        while len(self.waiting) > left:
            name, member, small = self.waiting.popleft()
            self.of_images[name][member] = np.packbits(small())

    def of_all(self, exchange: Exchange, samples: Sequence[Sample]) -> SmallMasks:
        """Return those of all processes' images, in the order of `samples`; each process calls it."""
        self._read(0)
        merge(exchange, self.of_images)
        return SmallMasks({each.name: self.of_images[each.name] for each in samples if each.name in self.of_images})

    def warn(self, members: Sequence[Path]) -> None:
        """Log a warning for each member that hardly overlaps the others, in most images or in some."""
        self._read(0)
        whole = {name: masks for name, masks in self.of_images.items() if len(masks) == len(members)}
        if whole and len(members) > 1:
            agreement_NF = np.stack(
                [_agreement([masks[member] for member in sorted(masks)]) for masks in whole.values()]
            )
            warn_of_strangers(members, list(whole), agreement_NF)


def _agreement(packed_of_members: Sequence[Bytes]) -> Floats:
    masks_FP = np.stack([np.unpackbits(packed) for packed in packed_of_members]).astype(np.float32)
    area_F = masks_FP.sum(axis=1)
    both_FF, total_FF = masks_FP @ masks_FP.T, area_F[:, None] + area_F[None, :]
    return agreement_from(np.where(total_FF > 0, 2 * both_FF / np.maximum(total_FF, 1), 1.0).astype(np.float64))
