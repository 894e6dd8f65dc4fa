"""What a transform is: a random change of one sample, either of its geometry or of its colours.

A transform is called as `transform(image, mask | None, rng)` and returns the changed pair. It holds no state, so
threads and processes may share it, and it draws every random number from the generator that it is given. Neither input
is written to.
"""

# Shapes: H/W pixels, K bytes of a mask for each pixel. An image is grey, uint8[H, W], or RGB, uint8[H, W, 3].
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field

from utils.arrays import HALF_ALPHA, Pixels, Size
from utils.errors import UserError

Probability = Annotated[float, Field(ge=0, le=1, description="probability that the transform is applied")]
Degrees = Annotated[float, Field(ge=0, le=180, description="degrees")]
Side = Annotated[int, Field(ge=1, le=16384, description="pixels")]
SizePx: TypeAlias = Side | tuple[Side, Side]  # one side of a square, or (H, W)


class Transform(Protocol):
    """A random change of one sample.

    `changes_geometry`: objects move, come or go, so a prediction no longer fits the image.
    """

    @property
    def changes_geometry(self) -> bool: ...

    def __call__(
        self, image: Pixels, mask_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]: ...


@runtime_checkable
class ReadsMasks(Protocol):
    """A transform that moves masks or looks for classes in them, and so has to know how they are stored."""

    def for_masks(self, masks: MaskFormat) -> Transform: ...


class Sources(Protocol):
    """What a transform may take beside the sample that it changes. Reading depends on nothing but the argument."""

    @property
    def samples_count(self) -> int:
        """The number of training samples."""

    def read_sample(self, index: int) -> tuple[Pixels, Pixels]:
        """Read the image and the mask of a training sample, at native size."""

    def find_pictures(self, folder: Path) -> Sequence[Path]:
        """List the pictures of a folder. Raises `UserError` if there are none."""

    def read_picture(self, path: Path) -> Pixels:
        """Read a picture, with as many channels as the images have."""


@runtime_checkable
class UsesSources(Protocol):
    """A transform that takes other samples, or pictures."""

    def with_sources(self, sources: Sources) -> Transform: ...


class Warp(Protocol):
    """One fixed movement of pixels, the same for an image and for its mask."""

    def image(self, image: Pixels) -> Pixels: ...

    def mask(self, packed_HWK: Pixels) -> Pixels:
        """Move a mask of bits: each pixel takes the nearest one."""

    def soft_mask(self, alpha_HWC: Pixels) -> Pixels:
        """Move a mask of alphas as an image is moved."""


@dataclass(frozen=True)
class MaskFormat:
    """How a mask uint8[H, W, K] stores the classes, which are named in their order.

    As bits: class c is bit c % 8 of byte c // 8. Soft: byte c is the alpha of class c, 0 to 255.
    """

    classes: tuple[str, ...] = ()
    soft: bool = False

    def move(self, warp: Warp, mask_HWK: Pixels | None) -> Pixels | None:
        """Move a mask as its image is moved; there may be none."""
        if mask_HWK is None:
            return None
        return warp.soft_mask(mask_HWK) if self.soft else warp.mask(mask_HWK)

    def plane(self, mask_HWK: Pixels, index: int) -> npt.NDArray[np.bool_]:
        """bool[H, W]: the pixels of one class. A class that the mask has no byte for has none."""
        byte = index if self.soft else index // 8
        if byte >= mask_HWK.shape[2]:
            return np.zeros(size_of(mask_HWK), np.bool_)
        values_HW = mask_HWK[:, :, byte]
        found: npt.NDArray[np.bool_] = (
            values_HW >= HALF_ALPHA if self.soft else (values_HW & np.uint8(1 << index % 8)) != 0
        )
        return found

    def coverage(self, mask_HWK: Pixels) -> Pixels:
        """uint8[H, W]: how much of each pixel is covered by the class that covers most of it, 0 to 255."""
        if mask_HWK.shape[2] == 1 and self.soft:
            return np.ascontiguousarray(mask_HWK[:, :, 0])
        return mask_HWK.max(axis=2) if self.soft else np.where(mask_HWK.any(axis=2), np.uint8(255), np.uint8(0))

    def indices(self, mask_HWK: Pixels) -> range:
        """The numbers of all classes; if they have no names, of all that the mask has room for."""
        room = mask_HWK.shape[2] * (1 if self.soft else 8)
        return range(len(self.classes) or room)


BIT_MASKS = MaskFormat()
"""Bits of classes without names."""


@dataclass(frozen=True)
class Geometric:
    """With probability `p`, draw a warp for the image's (H, W) and move image and mask by it."""

    draw: Callable[[Size, np.random.Generator], Warp]
    p: float
    masks: MaskFormat = BIT_MASKS
    changes_geometry: ClassVar[bool] = True

    def for_masks(self, masks: MaskFormat) -> Geometric:
        """The same for masks of this format."""
        return replace(self, masks=masks)

    def __call__(
        self, image: Pixels, mask_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        if rng.random() >= self.p:
            return image, mask_HWK
        warp = self.draw(size_of(image), rng)
        return warp.image(image), self.masks.move(warp, mask_HWK)


@dataclass(frozen=True)
class Intensity:
    """With probability `p`, change the image's grey values or colours; the mask stays.

    `needs_colours`: a grey image cannot be changed.
    """

    change: Callable[[Pixels, np.random.Generator], Pixels]
    p: float
    needs_colours: bool = False
    changes_geometry: ClassVar[bool] = False

    def __call__(
        self, image: Pixels, mask_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        return (self.change(image, rng) if rng.random() < self.p else image), mask_HWK


def for_masks(transform: Transform, masks: MaskFormat) -> Transform:
    """The transform, prepared for masks of this format. Raises `UserError` for a class that the masks do not have."""
    return transform.for_masks(masks) if isinstance(transform, ReadsMasks) else transform


def with_sources(transform: Transform, sources: Sources) -> Transform:
    """The transform, with what it may take of other samples. Raises `UserError` for a folder without pictures."""
    return transform.with_sources(sources) if isinstance(transform, UsesSources) else transform


def refuse_channels(transform: Transform, channels: int) -> None:
    """Raise `UserError` if the transform is one of colours, and images have another number of channels than 3."""
    if isinstance(transform, Intensity) and transform.needs_colours and channels != 3:
        raise UserError("changes colours, but the images of this task are grey. Leave the transform out.")


def refuse_reversed(**limits: float) -> None:
    """Raise `UserError` if the first of two limits is above the second."""
    (lower, low), (upper, high) = limits.items()
    if low > high:
        raise UserError(f"{lower}: {low} is above {upper} {high}; exchange them.")


def size_of(pixels: npt.NDArray[Any]) -> Size:
    """(H, W) of an image or a mask."""
    return int(pixels.shape[0]), int(pixels.shape[1])


def as_size(size_px: SizePx) -> Size:
    """(H, W) from what a config may say: one side of a square, or both."""
    return (size_px, size_px) if isinstance(size_px, int) else (size_px[0], size_px[1])
