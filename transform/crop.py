"""Crops that follow the mask: windows in which there is something to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from transform.base import BIT_MASKS, MaskFormat, SizePx, Transform, as_size, size_of
from transform.warp import Crop
from utils.arrays import Pixels, Size
from utils.config.suggestions import did_you_mean
from utils.errors import UserError


def foreground_crop(
    *,
    size_px: SizePx,
    bias: Annotated[float, Field(ge=0, le=1)] = 0.7,
    classes: tuple[str, ...] = (),
    p: Annotated[float, Field(ge=1, le=1)] = 1.0,
) -> Transform:
    """Cut out a window of `size_px`, as `random_crop`, but more often near the classes.

    bias: the share of windows that hold a pixel of a class; the others lie anywhere. Each class is drawn equally often,
    the smallest like the largest.
    classes: the task's classes to look for, such as `[Pisiform, Trapezoid]`; empty for all of them.
    """
    return ForegroundCrop(as_size(size_px), bias, classes)


@dataclass(frozen=True)
class ForegroundCrop:
    """With probability `bias`, a window around a random pixel of a random class that the image has; else anywhere.

    The class is drawn first, then its pixel, so a small class is met as often as a large one. `names` are the classes
    to look for, `indices` their numbers; without names all classes are looked for.
    """

    window_hw: Size
    bias: float
    names: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    masks: MaskFormat = BIT_MASKS
    changes_geometry: ClassVar[bool] = True

    def for_masks(self, masks: MaskFormat) -> ForegroundCrop:
        """The same for masks of this format. Raises `UserError` for a name that is not among its classes."""
        for name in self.names:
            if name not in masks.classes:
                raise UserError(f"classes: '{name}' is not a class of this task. {did_you_mean(name, masks.classes)}")
        return replace(self, indices=tuple(masks.classes.index(name) for name in self.names), masks=masks)

    def __call__(
        self, image: Pixels, mask_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        spare = [have - want for have, want in zip(size_of(image), self.window_hw, strict=True)]
        if min(spare) < 0:
            raise UserError(
                f"foreground_crop: a window of {self.window_hw[0]} x {self.window_hw[1]} px does not fit into an image "
                f"of {image.shape[0]} x {image.shape[1]} px; make its size_px smaller or transform.size_px larger."
            )
        top, left = self._corner(spare, mask_HWK, rng)
        crop = Crop(top, left, self.window_hw)
        return crop.image(image), self.masks.move(crop, mask_HWK)

    def _corner(self, spare: Sequence[int], mask_HWK: Pixels | None, rng: np.random.Generator) -> Sequence[int]:
        """The window's (top, left)."""
        towards = rng.random() < self.bias
        anywhere = [int(rng.integers(room + 1)) for room in spare]
        pixel = self._pixel(mask_HWK, rng) if towards and mask_HWK is not None else None
        if pixel is None:
            return anywhere
        before = [int(rng.integers(side)) for side in self.window_hw]
        return [min(max(at - back, 0), room) for at, back, room in zip(pixel, before, spare, strict=True)]

    def _pixel(self, mask_HWK: Pixels, rng: np.random.Generator) -> Sequence[int] | None:
        """(y, x) of a random pixel of a random class; None if the image has none of them."""
        for index in rng.permutation(self.indices or self.masks.indices(mask_HWK)):
            found = np.flatnonzero(self.masks.plane(mask_HWK, int(index)))
            if len(found):
                y, x = divmod(int(rng.choice(found)), int(mask_HWK.shape[1]))
                return y, x
        return None
