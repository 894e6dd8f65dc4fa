"""Crops that follow the mask: windows in which there is something to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from transform.base import SizePx, Transform, as_size, size_of
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
    """A window of `size_px`, as `random_crop`, that is drawn towards the classes.

    bias: how many of the windows hold a pixel of a class; the others lie anywhere. Each class is drawn equally often,
    the smallest like the largest.
    classes: the classes to look for, such as `[Pisiform, Trapezoid]`; empty for all of them.
    """
    return ForegroundCrop(as_size(size_px), bias, classes)


@dataclass(frozen=True)
class ForegroundCrop:
    """With probability `bias`, a window around a random pixel of a random class that the image has; else anywhere.

    The class is drawn first, then its pixel, so a small class is met as often as a large one. `indices` are the numbers
    of the classes, None for all that the mask has bits for.
    """

    window_hw: Size
    bias: float
    names: tuple[str, ...] = ()
    indices: tuple[int, ...] | None = None
    changes_geometry: ClassVar[bool] = True

    def for_classes(self, classes: Sequence[str]) -> ForegroundCrop:
        """The same crop with its names looked up. Raises `UserError` for a name that is not among `classes`."""
        for name in self.names:
            if name not in classes:
                raise UserError(f"classes: '{name}' is not a class of this task. {did_you_mean(name, classes)}")
        wanted = self.names or classes
        return replace(self, indices=tuple(classes.index(name) for name in wanted))

    def __call__(
        self, image_HW: Pixels, packed_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        spare = [have - want for have, want in zip(size_of(image_HW), self.window_hw, strict=True)]
        if min(spare) < 0:
            raise UserError(
                f"foreground_crop: a window of {self.window_hw[0]} x {self.window_hw[1]} px does not fit into an image "
                f"of {image_HW.shape[0]} x {image_HW.shape[1]} px; make its size_px smaller or transform.size_px "
                "larger."
            )
        top, left = self._place(spare, packed_HWK, rng)
        crop = Crop(top, left, self.window_hw)
        return crop.image(image_HW), None if packed_HWK is None else crop.mask(packed_HWK)

    def _place(self, spare: Sequence[int], packed_HWK: Pixels | None, rng: np.random.Generator) -> Sequence[int]:
        """The window's (top, left)."""
        towards = rng.random() < self.bias
        anywhere = [int(rng.integers(room + 1)) for room in spare]
        pixel = self._pixel(packed_HWK, rng) if towards and packed_HWK is not None else None
        if pixel is None:
            return anywhere
        before = [int(rng.integers(side)) for side in self.window_hw]
        return [min(max(at - back, 0), room) for at, back, room in zip(pixel, before, spare, strict=True)]

    def _pixel(self, packed_HWK: Pixels, rng: np.random.Generator) -> Sequence[int] | None:
        """(y, x) of a random pixel of a random class; None where the image has none of them."""
        indices = range(8 * packed_HWK.shape[2]) if self.indices is None else self.indices
        for index in rng.permutation(indices):
            found = np.flatnonzero(packed_HWK[:, :, index // 8] & np.uint8(1 << index % 8))
            if len(found):
                y, x = divmod(int(rng.choice(found)), int(packed_HWK.shape[1]))
                return y, x
        return None
