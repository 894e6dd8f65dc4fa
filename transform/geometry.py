"""Transforms that move pixels. Each builder's keyword arguments are what a YAML file may set.

They call cv2 directly rather than through albumentations: for a 2048 px sample its rotation takes 28 ms instead of 18,
its elastic transform 780 ms instead of 38 (it draws and blurs a random number for every pixel), and its resize shifts
masks.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from transform.base import Degrees, Geometric, Probability, SizePx, Transform, as_size
from transform.warp import Affine, Crop, Displacement, Flip, Perspective, QuarterTurns, Resize
from utils.arrays import Size
from utils.errors import UserError

Fraction = Annotated[float, Field(ge=0, le=1, description="fraction of the image's side")]
CornerShift = Annotated[float, Field(ge=0, le=0.2, description="fraction of the image's side")]
ScaleChange = Annotated[float, Field(ge=0, lt=1, description="0.1: between 0.9 and 1.1 times the size")]

# A displacement that grows faster than the image runs folds it over itself. If control points deviate by a tenth of
# their distance, the cubic between two neighbours is as steep as that at 4.7 standard deviations.
FOLDS_ABOVE = 0.1


def resize(*, size_px: SizePx, p: Probability = 1.0) -> Transform:
    """Resize to a square of `size_px`, or to (H, W); the ratio of the sides is not kept."""
    return Geometric(partial(_resize, as_size(size_px)), p)


def hflip(*, p: Probability = 0.5) -> Transform:
    """Mirror left and right; classes stay as they are."""
    return Geometric(_flip, p)


def vflip(*, p: Probability = 0.5) -> Transform:
    """Mirror top and bottom, for pictures without an upside, such as those of things on a table."""
    return Geometric(_flip_upside_down, p)


def quarter_turns(*, p: Probability = 0.75) -> Transform:
    """Rotate by 90, 180 or 270 degrees, without empty corners; by 180 alone if the network's input is not square."""
    return Geometric(_turn, p)


def rotate(*, limit_deg: Degrees = 15.0, p: Probability = 0.5) -> Transform:
    """Rotate by up to `limit_deg` either way about the centre."""
    return affine(rotate_deg=limit_deg, shift=0.0, scale=0.0, p=p)


def shift_scale(*, shift: Fraction = 0.0625, scale: ScaleChange = 0.1, p: Probability = 0.5) -> Transform:
    """Shift by up to `shift` of the sides, scale about the centre by up to `scale` either way."""
    return affine(rotate_deg=0.0, shift=shift, scale=scale, p=p)


def affine(
    *,
    rotate_deg: Degrees = 15.0,
    shift: Fraction = 0.0625,
    scale: ScaleChange = 0.1,
    p: Probability = 0.5,
) -> Transform:
    """Rotate, shift and scale in one step.

    It interpolates once; `rotate` and `shift_scale` in a row blur the image twice.
    """
    return Geometric(partial(_affine, rotate_deg, shift, scale), p)


def perspective(*, shift: CornerShift = 0.1, p: Probability = 0.5) -> Transform:
    """Look from the side: each corner of the image moves by up to `shift` of the sides, along both."""
    return Geometric(partial(_perspective, shift), p)


def elastic(
    *,
    amplitude: Fraction = 0.008,
    cells: Annotated[int, Field(ge=2, le=32)] = 6,
    p: Probability = 0.5,
) -> Transform:
    """Bend smoothly: `cells` x `cells` control points move by a normal deviate of `amplitude` of the sides."""
    if amplitude * cells > FOLDS_ABOVE:
        largest = math.floor(1e4 * FOLDS_ABOVE / cells) / 1e4
        raise UserError(f"amplitude {amplitude} with {cells} cells folds the image; take amplitude <= {largest}.")
    return Geometric(partial(_elastic, amplitude, cells), p)


def random_crop(*, size_px: SizePx, p: Annotated[float, Field(ge=1, le=1)] = 1.0) -> Transform:
    """Cut out a window of `size_px` anywhere in the image. It always applies: a batch needs images of one size."""
    return Geometric(partial(_crop, as_size(size_px)), p)


def _resize(target: Size, size_hw: Size, rng: np.random.Generator) -> Resize:
    return Resize(target)


def _flip(size_hw: Size, rng: np.random.Generator) -> Flip:
    return Flip()


def _flip_upside_down(size_hw: Size, rng: np.random.Generator) -> Flip:
    return Flip(upside_down=True)


def _turn(size_hw: Size, rng: np.random.Generator) -> QuarterTurns:
    turns = int(rng.integers(1, 4))
    return QuarterTurns(turns if size_hw[0] == size_hw[1] else 2)


def _crop(window: Size, size_hw: Size, rng: np.random.Generator) -> Crop:
    spare = [have - want for have, want in zip(size_hw, window, strict=True)]
    if min(spare) < 0:
        raise UserError(
            f"random_crop: a window of {window[0]} x {window[1]} px does not fit into an image of "
            f"{size_hw[0]} x {size_hw[1]} px; make its size_px smaller or transform.size_px larger."
        )
    return Crop(int(rng.integers(spare[0] + 1)), int(rng.integers(spare[1] + 1)), window)


def _affine(rotate_deg: float, shift: float, scale: float, size_hw: Size, rng: np.random.Generator) -> Affine:
    angle = math.radians(rng.uniform(-rotate_deg, rotate_deg))
    factor = rng.uniform(1 - scale, 1 + scale)
    moved_yx = rng.uniform(-shift, shift, size=2) * size_hw
    return Affine(_about_centre(size_hw, angle, factor, moved_yx))


def _about_centre(
    size_hw: Size, angle_rad: float, factor: float, moved_yx: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """float64[2, 3]: turns and scales about the middle of the pixels, ((W - 1) / 2, (H - 1) / 2), then moves."""
    cos, sin = factor * math.cos(angle_rad), factor * math.sin(angle_rad)
    linear = np.array([[cos, sin], [-sin, cos]])
    centre = (np.array(size_hw[::-1]) - 1) / 2
    return np.column_stack([linear, centre + moved_yx[::-1] - linear @ centre])


def _perspective(shift: float, size_hw: Size, rng: np.random.Generator) -> Perspective:
    height, width = size_hw
    # The corners of the image's area: pixel (0, 0) reaches from -0.5 to 0.5.
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    moved = corners + rng.uniform(-shift, shift, (4, 2)) * (width, height)
    return Perspective(cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32)))


def _elastic(amplitude: float, cells: int, size_hw: Size, rng: np.random.Generator) -> Displacement:
    height, width = size_hw
    y_HW = _smooth_field(amplitude * height, cells, size_hw, rng)
    x_HW = _smooth_field(amplitude * width, cells, size_hw, rng)
    y_HW += np.arange(height, dtype=np.float32)[:, None]
    x_HW += np.arange(width, dtype=np.float32)
    return Displacement(x_HW, y_HW)


def _smooth_field(deviation_px: float, cells: int, size_hw: Size, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """float32[H, W]: normal deviates on a grid of control points, interpolated cubically between them.

    The cubic is computed at an eighth of the size and enlarged linearly: `elastic` takes 38 ms, not 66, at 2048 px.
    """
    points = rng.normal(0.0, deviation_px, (cells, cells)).astype(np.float32)
    coarse_wh = tuple(max(side // 8, min(side, 4 * cells)) for side in reversed(size_hw))
    coarse = cv2.resize(points, coarse_wh, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
