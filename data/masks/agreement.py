"""Find the masks of a file or network that hardly overlap the others: transposed, shifted or of other images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.masks.rle import Masks, common_px
from utils.arrays import Floats
from utils.text import list_names, pluralize

# Shapes: F files, N images, C classes.

log = logging.getLogger(__name__)

HARDLY = 0.3
"""Dice of all classes together below which two masks hardly overlap; networks that learnt the same are above 0.8."""


def agreement_of(masks_of_files: Sequence[Masks]) -> Floats:
    """Return the median Dice of each file with the others in one image, all classes taken together, float64[F].

    Two empty masks have a Dice of 1.
    """
    files = len(masks_of_files)
    area_F = np.array([runs[:, 1].sum() for runs, _ in masks_of_files], np.float64)
    dice_FF = np.ones((files, files))
    for one in range(files):
        for other in range(one):
            both, total = common_px(masks_of_files[one], masks_of_files[other]), area_F[one] + area_F[other]
            dice_FF[one, other] = dice_FF[other, one] = 2 * both / total if total else 1.0
    return agreement_from(dice_FF)


def agreement_from(dice_FF: Floats) -> Floats:
    """Return the median Dice of each file with the others, float64[F], from that of each pair."""
    files = len(dice_FF)
    others_FF = dice_FF[~np.eye(files, dtype=bool)].reshape(files, files - 1)
    return np.asarray(np.median(others_FF, axis=1))


def warn_of_strangers(paths: Sequence[Path], names: Sequence[str], agreement_NF: Floats) -> None:
    """Log a warning for each file that hardly overlaps the others, in most images or in some, which are named."""
    for path, agreement_N in zip(paths, agreement_NF.T, strict=True):
        apart = agreement_N < HARDLY
        if 2 * apart.sum() > len(names):
            log.warning(
                "%s: its masks hardly overlap those of the other files: a Dice of %.2f in the median of %s. Is it "
                "transposed, of another size, or of other images?",
                *(path, np.median(agreement_N), pluralize(len(names), "image")),
            )
        elif apart.any():
            log.warning(
                "%s: in %d of %d images its masks hardly overlap those of the other files: %s",
                *(
                    path,
                    apart.sum(),
                    len(names),
                    list_names([names[index] for index in np.flatnonzero(apart).tolist()]),
                ),
            )
