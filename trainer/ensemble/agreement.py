"""Keep small masks of every member of an ensemble, to name one that hardly overlaps the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from data.masks.agreement import agreement_from, warn_of_strangers
from utils.arrays import Bytes, Floats

# Shapes: C classes, F members, N images.

SIDE_PX = 64
"""Masks are kept at this size: 15 kB for 29 classes, an image and a member."""


@dataclass(frozen=True)
class SmallMasks:
    """Small masks of images, by image and member."""

    of_images: dict[str, dict[int, Bytes]] = field(default_factory=lambda: defaultdict(dict))

    def note(self, name: str, member: int, logits_Chw: Tensor) -> None:
        """Keep where a member's probability is above a half, in the frame of the whole image."""
        small = F.interpolate(logits_Chw[None], (SIDE_PX, SIDE_PX), mode="nearest-exact")[0] > 0
        self.of_images[name][member] = np.packbits(small.cpu().numpy())

    def warn(self, members: Sequence[Path]) -> None:
        """Log a warning for each member that hardly overlaps the others, in most images or in some."""
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
