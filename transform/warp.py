"""Movements of pixels: resize, flip, crop, affine, perspective, displacement.

Images are interpolated, and outside is black; soft masks (an alpha for each class) are moved by the same arithmetic,
and outside is 0. A packed mask holds 8 classes in a byte, so its bytes may be moved and nothing else: each pixel takes
the nearest one, outside is 0 (no class). The result equals one nearest-neighbour warp per class, bit for bit. cv2 is
given 4 channels at most, the number that its borders and kernels are made for.
"""

# Shapes: H/W pixels, K bytes of a packed mask, C classes of a soft one. An image is uint8[H, W] or uint8[H, W, 3].

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from transform.base import size_of
from transform.nearest import resize, warp_affine
from utils.arrays import Pixels, Size

CV_CHANNELS = 4
Cuttable = TypeVar("Cuttable", bound=Any)
"""An array of NumPy or a tensor."""


class Interpolated:
    """A movement that knows how to move images, and moves soft masks in the same way."""

    def image(self, image: Pixels) -> Pixels:
        raise NotImplementedError

    def soft_mask(self, alpha_HWC: Pixels) -> Pixels:
        return _by_four(alpha_HWC, self.image)


@dataclass(frozen=True)
class Resize(Interpolated):
    """To (H, W). Images by area when they shrink (each pixel the mean of what it covers), linearly when they grow.

    Packed masks take the nearest pixel. cv2's usual nearest neighbour, which albumentations takes, is the upper left
    pixel of those that become one: of 2 x 2 that moves every mask by half a pixel against its image, of 4 x 4 by 1.5.
    If two pixels are equally near (always, when an even number becomes one), taking the same side each time also moves
    it by half a pixel, so here the upper left and the lower right one alternate like the squares of a chessboard.
    """

    size_hw: Size

    def image(self, image: Pixels) -> Pixels:
        if size_of(image) == self.size_hw:
            return image
        shrinks = self.size_hw[0] * self.size_hw[1] < image.shape[0] * image.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return _as_pixels(cv2.resize(image, self.size_hw[::-1], interpolation=how))

    def mask(self, packed_HWK: Pixels) -> Pixels:
        if size_of(packed_HWK) == self.size_hw:
            return packed_HWK
        return resize(packed_HWK, self.size_hw)


@dataclass(frozen=True)
class Place:
    """Where an image of `size_hw` stands in a frame of `frame_hw`: its upper left pixel is (top, left) there."""

    frame_hw: Size
    top: int
    left: int
    size_hw: Size

    def cut(self, values: Cuttable) -> Cuttable:
        """Return the image's own part of values [..., H, W] for the whole frame."""
        part: Cuttable = values[..., self.top : self.top + self.size_hw[0], self.left : self.left + self.size_hw[1]]
        return part


@dataclass(frozen=True)
class Pad:
    """Black, and no class, around an image of `place.size_hw`, which becomes as large as the frame."""

    place: Place

    def image(self, image: Pixels) -> Pixels:
        frame = np.zeros((*self.place.frame_hw, *image.shape[2:]), np.uint8)
        (top, left), (height, width) = (self.place.top, self.place.left), self.place.size_hw
        frame[top : top + height, left : left + width] = image
        return frame

    def mask(self, packed_HWK: Pixels) -> Pixels:
        return self.image(packed_HWK)

    def soft_mask(self, alpha_HWC: Pixels) -> Pixels:
        return self.image(alpha_HWC)


@dataclass(frozen=True)
class Flip(Interpolated):
    """Left becomes right, or upside becomes down."""

    upside_down: bool = False

    def image(self, image: Pixels) -> Pixels:
        return _as_pixels(cv2.flip(image, self._axis))

    def mask(self, packed_HWK: Pixels) -> Pixels:
        return _by_four(packed_HWK, lambda part: cv2.flip(part, self._axis))

    @property
    def _axis(self) -> int:
        return 0 if self.upside_down else 1


@dataclass(frozen=True)
class QuarterTurns(Interpolated):
    """A rotation by `count` times 90 degrees, counterclockwise; no pixel is interpolated."""

    count: int

    def image(self, image: Pixels) -> Pixels:
        return np.ascontiguousarray(np.rot90(image, self.count))

    def mask(self, packed_HWK: Pixels) -> Pixels:
        return self.image(packed_HWK)


@dataclass(frozen=True)
class Crop(Interpolated):
    """The window of `size_hw` whose upper left pixel is (top, left)."""

    top: int
    left: int
    size_hw: Size

    def image(self, image: Pixels) -> Pixels:
        return self._cut(image)

    def mask(self, packed_HWK: Pixels) -> Pixels:
        return self._cut(packed_HWK)

    def _cut(self, pixels: Pixels) -> Pixels:
        height, width = self.size_hw
        return np.ascontiguousarray(pixels[self.top : self.top + height, self.left : self.left + width])


@dataclass(frozen=True)
class Affine(Interpolated):
    """`matrix` float64[2, 3] takes an (x, y) of the input to its place in the output, which keeps the input's size."""

    matrix: npt.NDArray[np.float64]

    def image(self, image: Pixels) -> Pixels:
        return _as_pixels(cv2.warpAffine(image, self.matrix, size_of(image)[::-1], flags=cv2.INTER_LINEAR))

    def mask(self, packed_HWK: Pixels) -> Pixels:
        return warp_affine(packed_HWK, self.matrix)


@dataclass(frozen=True)
class Perspective(Interpolated):
    """`matrix` float64[3, 3] takes an (x, y, 1) of the input to its place in the output, which keeps the input's size.

    A place is the first two coordinates of the product, divided by the third.
    """

    matrix: npt.NDArray[np.float64]

    def image(self, image: Pixels) -> Pixels:
        return self._warp(image, cv2.INTER_LINEAR)

    def mask(self, packed_HWK: Pixels) -> Pixels:
        return _by_four(packed_HWK, lambda part: self._warp(part, cv2.INTER_NEAREST))

    def _warp(self, pixels: Pixels, how: int) -> Pixels:
        return _as_pixels(cv2.warpPerspective(pixels, self.matrix, size_of(pixels)[::-1], flags=how))


@dataclass(frozen=True)
class Displacement(Interpolated):
    """Each output pixel comes from (`x_HW`, `y_HW`) of the input, float32 pixels."""

    x_HW: npt.NDArray[np.float32]
    y_HW: npt.NDArray[np.float32]

    def image(self, image: Pixels) -> Pixels:
        return self._warp(image, cv2.INTER_LINEAR)

    def mask(self, packed_HWK: Pixels) -> Pixels:
        return _by_four(packed_HWK, lambda part: self._warp(part, cv2.INTER_NEAREST))

    def _warp(self, pixels: Pixels, how: int) -> Pixels:
        return _as_pixels(cv2.remap(pixels, self.x_HW, self.y_HW, how))


def _by_four(mask_HWK: Pixels, warp: Callable[[Pixels], Any]) -> Pixels:
    """Warp a mask of any number of bytes, four at a time."""
    bytes_each = mask_HWK.shape[2]
    if bytes_each <= CV_CHANNELS:
        return _with_channels(warp(mask_HWK))
    starts = range(0, bytes_each, CV_CHANNELS)
    parts = [np.ascontiguousarray(mask_HWK[:, :, start : start + CV_CHANNELS]) for start in starts]
    return np.concatenate([_with_channels(warp(part)) for part in parts], axis=2)


def _with_channels(pixels: Any) -> Pixels:
    """Put back a channel axis of length 1, which cv2 drops."""
    warped = _as_pixels(pixels)
    return warped if warped.ndim == 3 else warped[:, :, None]


def _as_pixels(pixels: Any) -> Pixels:
    """Make a contiguous array of what cv2 returned."""
    return np.ascontiguousarray(pixels, dtype=np.uint8)
