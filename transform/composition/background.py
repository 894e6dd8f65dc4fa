"""Replace the ground that objects lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

import cv2
import numpy as np
from pydantic import Field

from transform.base import BIT_MASKS, MaskFormat, Probability, Sources, Transform, size_of
from transform.composition.borrow import needed, other_sample
from transform.composition.grounds import GENERATED
from transform.composition.over import Soften, cut_out, lay_over, masks_over
from transform.warp import Crop, Resize
from utils.arrays import Pixels, Size
from utils.errors import UserError
from utils.files import expand

Ground: TypeAlias = Literal["pictures", "samples", "plain", "gradient", "noise"]


def background(
    *,
    folder: str | None = None,
    grounds: Annotated[tuple[Ground, ...], Field(min_length=1)] | None = None,
    smallest: Annotated[float, Field(gt=0, le=1)] = 0.3,
    soften_px: Soften = 0.6,
    p: Probability = 0.5,
) -> Transform:
    """Lay the objects on another ground; for objects that were photographed on few. The mask stays.

    folder: pictures to lay them on. They must not show such objects: the mask would not have them.
    grounds: what to draw from: `pictures` of the folder, `samples` (other training images; their objects stay, and are
    in the mask), and `plain`, `gradient` and `noise` in random colours; null: pictures if a folder is named, else the
    last three.
    smallest: least side of the window that is cut out of a picture, as a share of its side.
    soften_px: how much edges of photographs are softer than those of masks, as the deviation of a Gaussian.
    """
    chosen: tuple[str, ...] = grounds or (("pictures",) if folder is not None else tuple(GENERATED))
    if folder is not None and "pictures" not in chosen:
        raise UserError("grounds: a folder is named, but 'pictures' are not among the grounds. Add them.")
    if folder is None and "pictures" in chosen:
        raise UserError("grounds: 'pictures' need a folder. Name one with folder: …")
    path = None if folder is None else Path(expand(folder))
    if path is not None and not path.is_dir():
        raise UserError(f"folder: {path.absolute()}: no such folder. Name one that holds pictures.")
    return Background(chosen, p, path, smallest, soften_px)


@dataclass(frozen=True)
class Background:
    """With probability `p`, lay the objects on one of the `grounds`. `with_sources` finds the `pictures`."""

    grounds: tuple[str, ...]
    p: float
    folder: Path | None
    smallest: float
    soften_px: float
    masks: MaskFormat = BIT_MASKS
    sources: Sources | None = None
    pictures: Sequence[Path] = ()
    changes_geometry: ClassVar[bool] = True

    def for_masks(self, masks: MaskFormat) -> Background:
        """The same for masks of this format."""
        return replace(self, masks=masks)

    def with_sources(self, sources: Sources) -> Background:
        """The same with pictures and samples to take. Raises `UserError` for a folder without pictures."""
        pictures = () if self.folder is None else sources.find_pictures(self.folder)
        return replace(self, sources=sources, pictures=pictures)

    def __call__(
        self, image: Pixels, mask_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        if rng.random() >= self.p or mask_HWK is None:
            return image, mask_HWK
        objects = cut_out(image, mask_HWK, self.masks, self.soften_px)
        ground = self.grounds[int(rng.integers(len(self.grounds)))]
        if ground == "samples":
            other, others_mask = other_sample(self.sources, size_of(image), self.masks, rng)
            return lay_over(objects, other), masks_over(objects, others_mask, self.masks)
        back = self._picture(size_of(image), rng) if ground == "pictures" else GENERATED[ground](image, rng)
        return lay_over(objects, back), mask_HWK

    def _picture(self, size_hw: Size, rng: np.random.Generator) -> Pixels:
        """Cut a random window out of a random picture, perhaps mirrored, at the size of the image."""
        picture = needed(self.sources).read_picture(self.pictures[int(rng.integers(len(self.pictures)))])
        have_hw = size_of(picture)
        height, width = (max(1, round(side * rng.uniform(self.smallest, 1))) for side in have_hw)
        top, left = int(rng.integers(have_hw[0] - height + 1)), int(rng.integers(have_hw[1] - width + 1))
        window = Resize(size_hw).image(Crop(top, left, (height, width)).image(picture))
        return np.asarray(cv2.flip(window, 1), np.uint8) if rng.random() < 0.5 else window
