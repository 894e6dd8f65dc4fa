"""Paste the objects of another training sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np

from transform.base import BIT_MASKS, Degrees, MaskFormat, Probability, Sources, Transform, size_of
from transform.composition.borrow import other_sample
from transform.composition.over import Objects, Soften, cut_out, lay_over, masks_over
from transform.geometry import ScaleChange
from transform.warp import Affine
from utils.arrays import Floats, Pixels


def copy_paste(
    *, rotate_deg: Degrees = 30.0, scale: ScaleChange = 0.25, soften_px: Soften = 0.6, p: Probability = 0.5
) -> Transform:
    """Paste the objects of another training image at a random place, and into the mask; what they hide leaves it.

    They are mirrored half of the time, rotated by up to `rotate_deg` and scaled by up to `scale` either way. Give it
    before crops: the other image is resized to the size of this one. It is for objects that lie anywhere, such as
    products, and not for parts of one body.

    soften_px: how much edges of photographs are softer than those of masks, as the deviation of a Gaussian.
    """
    return CopyPaste(rotate_deg, scale, soften_px, p)


@dataclass(frozen=True)
class CopyPaste:
    """With probability `p`, paste all objects of another sample together. `with_sources` gives the samples."""

    rotate_deg: float
    scale: float
    soften_px: float
    p: float
    masks: MaskFormat = BIT_MASKS
    sources: Sources | None = None
    changes_geometry: ClassVar[bool] = True

    def for_masks(self, masks: MaskFormat) -> CopyPaste:
        """The same for masks of this format."""
        return replace(self, masks=masks)

    def with_sources(self, sources: Sources) -> CopyPaste:
        """The same with samples to take."""
        return replace(self, sources=sources)

    def __call__(
        self, image: Pixels, mask_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        if rng.random() >= self.p or mask_HWK is None:
            return image, mask_HWK
        other, others_mask = other_sample(self.sources, size_of(image), self.masks, rng)
        if not others_mask.any():
            return image, mask_HWK
        pasted = self._moved(cut_out(other, others_mask, self.masks, self.soften_px), rng)
        return lay_over(pasted, image), masks_over(pasted, mask_HWK, self.masks)

    def _moved(self, objects: Objects, rng: np.random.Generator) -> Objects:
        """Move objects so that the middle of their box is a random point of the image."""
        left, top, width, height = cv2.boundingRect(objects.alpha)
        angle = math.radians(rng.uniform(-self.rotate_deg, self.rotate_deg))
        factor = rng.uniform(1 - self.scale, 1 + self.scale)
        target = rng.uniform(0, 1, 2) * (objects.alpha.shape[1], objects.alpha.shape[0])
        middle = np.array([left + (width - 1) / 2, top + (height - 1) / 2])
        warp = Affine(_about(middle, target, angle, factor, is_mirrored=bool(rng.random() < 0.5)))
        mask = self.masks.move(warp, objects.mask)
        assert mask is not None
        return Objects(warp.image(objects.colours), mask, warp.image(objects.alpha))


def _about(middle: Floats, target: Floats, angle_rad: float, factor: float, *, is_mirrored: bool) -> Floats:
    """float64[2, 3]: mirrors, rotates and scales about `middle` (x, y), and brings it to `target`."""
    cos, sin = factor * math.cos(angle_rad), factor * math.sin(angle_rad)
    linear = np.array([[cos, sin], [-sin, cos]]) @ np.diag([-1.0 if is_mirrored else 1.0, 1.0])
    return np.column_stack([linear, target - linear @ middle])
