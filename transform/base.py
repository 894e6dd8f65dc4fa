"""What a transform is: a random change of one sample, either of its geometry or of its grey values.

A transform is called as `transform(image_HW, packed_HWK | None, rng)` and returns the changed pair. It holds no state,
so that threads and processes may share it; its chance is all in the generator it is given. Neither input is written to.
"""

# Shapes: H/W pixels, K = ceil(classes / 8) bytes of packed mask.
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field

from utils.arrays import Pixels, Size

Probability = Annotated[float, Field(ge=0, le=1, description="probability that the transform is applied")]
Side = Annotated[int, Field(ge=1, le=16384, description="pixels")]
SizePx: TypeAlias = Side | tuple[Side, Side]  # one side of a square, or (H, W)


class Transform(Protocol):
    """A random change of one sample. `changes_geometry`: pixels move, so a prediction no longer fits the image."""

    @property
    def changes_geometry(self) -> bool: ...

    def __call__(
        self, image_HW: Pixels, packed_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]: ...


@runtime_checkable
class NamesClasses(Protocol):
    """A transform that speaks of classes by name, and must be told which ones there are, in their order."""

    def for_classes(self, classes: Sequence[str]) -> Transform: ...


class Warp(Protocol):
    """One fixed movement of pixels, done to an image and to its packed mask alike."""

    def image(self, image_HW: Pixels) -> Pixels: ...

    def mask(self, packed_HWK: Pixels) -> Pixels: ...


@dataclass(frozen=True)
class Geometric:
    """With probability `p`, draw a warp for the image's (H, W) and move image and mask by it."""

    draw: Callable[[Size, np.random.Generator], Warp]
    p: float
    changes_geometry: ClassVar[bool] = True

    def __call__(
        self, image_HW: Pixels, packed_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        if rng.random() >= self.p:
            return image_HW, packed_HWK
        warp = self.draw(size_of(image_HW), rng)
        return warp.image(image_HW), None if packed_HWK is None else warp.mask(packed_HWK)


@dataclass(frozen=True)
class Intensity:
    """With probability `p`, change the image's grey values; the mask stays."""

    change: Callable[[Pixels, np.random.Generator], Pixels]
    p: float
    changes_geometry: ClassVar[bool] = False

    def __call__(
        self, image_HW: Pixels, packed_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        return (self.change(image_HW, rng) if rng.random() < self.p else image_HW), packed_HWK


def for_classes(transform: Transform, classes: Sequence[str]) -> Transform:
    """The transform with the names of classes looked up, if it has any. Raises `UserError` for an unknown one."""
    return transform.for_classes(classes) if isinstance(transform, NamesClasses) else transform


def size_of(pixels: npt.NDArray[Any]) -> Size:
    """(H, W) of an image or a mask."""
    return int(pixels.shape[0]), int(pixels.shape[1])


def as_size(size_px: SizePx) -> Size:
    """(H, W) of what a config may say: one side of a square, or both."""
    return (size_px, size_px) if isinstance(size_px, int) else (size_px[0], size_px[1])
