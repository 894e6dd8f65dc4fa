"""The chain of transforms that one sample goes through, as a function of the sample and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from transform.base import (
    BIT_MASKS,
    MaskFormat,
    SizePx,
    Sources,
    Transform,
    Warp,
    as_size,
    for_masks,
    size_of,
    with_sources,
)
from transform.warp import Pad, Place, Resize
from utils.arrays import Pixels, Size


class Pipeline:
    """Resize to the model's input, then each transform in order.

    The result depends on image, mask and seed and on nothing else: no process, worker, thread or earlier call. Each
    transform draws from a stream of its own, so what it draws does not depend on which transforms before it fired.
    """

    def __init__(
        self,
        transforms: Sequence[Transform] = (),
        *,
        size_px: SizePx | None = None,
        keep_ratio: bool = False,
        pad: bool = False,
        masks: MaskFormat = BIT_MASKS,
        sources: Sources | None = None,
    ) -> None:
        """Prepare the transforms for masks of the format `masks`; raises `UserError` for classes that it lacks.

        `size_px`: side of a square or (H, W) of the model's input; None leaves images at their own size. With
        `keep_ratio` an image is as large as fits into it, upright or turned, and keeps the ratio of its sides. With
        `pad` it keeps it too, upright, and black is added around it.
        `sources`: the samples and pictures that transforms may take, for those that do.
        """
        prepared = [for_masks(transform, masks) for transform in transforms]
        self.transforms = tuple(with_sources(each, sources) if sources else each for each in prepared)
        self.size_hw = None if size_px is None else as_size(size_px)
        self.keep_ratio, self.pad = keep_ratio, pad
        self.masks = masks

    @property
    def changes_geometry(self) -> bool:
        """Whether a listed transform moves, adds or removes objects.

        The resize does not count: predictions are brought back from it.
        """
        return any(transform.changes_geometry for transform in self.transforms)

    @overload
    def __call__(self, image: Pixels, mask_HWK: Pixels, seed: int) -> tuple[Pixels, Pixels]: ...

    @overload
    def __call__(self, image: Pixels, mask_HWK: None, seed: int) -> tuple[Pixels, None]: ...

    def __call__(self, image: Pixels, mask_HWK: Pixels | None, seed: int) -> tuple[Pixels, Pixels | None]:
        """Change an image uint8[H, W] or uint8[H, W, 3] and its mask uint8[H, W, K]; both results are contiguous.

        `seed` is any whole number of 0 or more.
        """
        image, mask_HWK = self._resize(image, mask_HWK)
        for transform, stream in zip(self.transforms, self._streams(seed), strict=True):
            image, mask_HWK = transform(image, mask_HWK, stream)
        return image, mask_HWK

    def _resize(self, image: Pixels, mask_HWK: Pixels | None) -> tuple[Pixels, Pixels | None]:
        if self.size_hw is None:
            return image, mask_HWK
        place = self.place_of(size_of(image))
        size_hw = fitted(size_of(image), self.size_hw) if self.keep_ratio else self.size_hw
        warps: list[Warp] = [Resize(size_hw)] if place is None else [Resize(place.size_hw), Pad(place)]
        for warp in warps:
            image, mask_HWK = warp.image(image), self.masks.move(warp, mask_HWK)
        return image, mask_HWK

    def place_of(self, image_hw: Size) -> Place | None:
        """Return where an image of this size stands in the model's input; None if it fills it."""
        if not self.pad or self.size_hw is None:
            return None
        place = placed(image_hw, self.size_hw)
        return None if place.size_hw == self.size_hw else place

    def _streams(self, seed: int) -> list[np.random.Generator]:
        if not self.transforms:
            return []  # Loading numpy.random takes a fiftieth of a second, which predicting one image does not need.
        seeds = np.random.SeedSequence(seed).spawn(len(self.transforms))
        return [np.random.default_rng(stream_seed) for stream_seed in seeds]


def placed(image_hw: Size, frame_hw: Size) -> Place:
    """Return the place of an image in the middle of a frame: as large as fits, with the ratio of its sides."""
    scale = min(frame_hw[0] / image_hw[0], frame_hw[1] / image_hw[1])
    height, width = (max(1, round(side * scale)) for side in image_hw)
    return Place(frame_hw, (frame_hw[0] - height) // 2, (frame_hw[1] - width) // 2, (height, width))


def fitted(image_hw: Size, into_hw: Size) -> Size:
    """Return the largest size with the ratio of an image that fits into another size, upright or turned.

    Its shorter side is at most the shorter one of `into_hw`, and its longer side at most the longer one.
    """
    scale = min(min(into_hw) / min(image_hw), max(into_hw) / max(image_hw))
    return max(1, round(image_hw[0] * scale)), max(1, round(image_hw[1] * scale))
