"""Ulnar deviation: the hand turned about the lunate, while the forearm stays.

For tasks whose classes are the bones of a hand: it finds them by their names (`NAMES`) and refuses other tasks.
Fingers, metacarpals, the distal row and the scaphoid turn as one, radius and ulna stay, triquetrum and pisiform follow
in part, and the lunate and the soft parts between take up the rest.
"""

# Shapes: H/W pixels, K bytes of a mask, h/w pixels of a coarse grid; angles in radians unless a name says degrees.
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field

from transform.base import BIT_MASKS, MaskFormat, Probability, Transform, refuse_reversed, size_of
from transform.warp import Displacement
from utils.arrays import Bools, Floats, Floats32, Pixels, Size
from utils.errors import UserError

Bend = Annotated[float, Field(ge=-20, le=45, description="degrees towards the ulna")]

COARSE_SIDE = 256
"""The movement is computed on a grid of about this size. It is smooth, so nothing finer is needed."""
LARGEST_TURN_DEG = 35.0
"""Beyond it the tip of the radius is stretched visibly, for joint spaces cannot open as far as bones slide."""
ULNAR_CARPALS_FOLLOW = 0.8
"""The share of the turn that triquetrum and pisiform make: between hamate and ulna there is no room for all of it."""
RIGID_REACH = 0.35
"""Soft parts are as rigid as a bone up to this share of their distance to what moves otherwise."""


def ulnar_deviation(*, min_deg: Bend = 0.0, max_deg: Bend = 30.0, p: Probability = 0.5) -> Transform:
    """Turn the hand about the lunate until its wrist angle is one drawn evenly from `min_deg` to `max_deg`.

    The angle is that of lunate and third metacarpal against the vertical, so give it before transforms that rotate.
    Straight hands are bent and bent ones straightened, by 35 degrees at most. An image without lunate, third
    metacarpal, radius or ulna stays as it is.
    """
    refuse_reversed(min_deg=min_deg, max_deg=max_deg)
    return UlnarDeviation(min_deg, max_deg, p)


NAMES: dict[str, str | tuple[str, ...]] = {
    "lunate": "Lunate",
    "third_metacarpal": "finger-11",
    "hand": (
        *(f"finger-{number}" for number in range(1, 20)),
        *("Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid"),
    ),
    "ulnar_carpals": ("Triquetrum", "Pisiform"),
    "radius": "Radius",
    "ulna": "Ulna",
}


@dataclass(frozen=True)
class Bones:
    """The classes that a wrist consists of, by index."""

    lunate: int
    third_metacarpal: int
    hand: tuple[int, ...]
    """All that turns as one: fingers, metacarpals, distal row, scaphoid."""
    ulnar_carpals: tuple[int, ...]
    radius: int
    ulna: int

    @classmethod
    def among(cls, classes: Sequence[str]) -> Bones:
        """Look the bones up by name. Raises `UserError` if one is not among `classes`."""
        found = {role: _indices(names, classes) for role, names in NAMES.items()}
        return cls(**found)  # type: ignore[arg-type]


@dataclass(frozen=True)
class UlnarDeviation:
    """With probability `p`, give the wrist an angle between the two. `for_masks` finds the `bones`."""

    min_deg: float
    max_deg: float
    p: float
    bones: Bones | None = None
    masks: MaskFormat = BIT_MASKS
    changes_geometry: ClassVar[bool] = True

    def for_masks(self, masks: MaskFormat) -> UlnarDeviation:
        """The same for masks of this format. Raises `UserError` if a bone is not among its classes."""
        return replace(self, bones=Bones.among(masks.classes), masks=masks)

    def __call__(
        self, image: Pixels, mask_HWK: Pixels | None, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels | None]:
        if self.bones is None:
            raise ValueError("ulnar_deviation: for_masks has to be called before an image is moved")
        if rng.random() >= self.p or mask_HWK is None:
            return image, mask_HWK
        wanted_deg = rng.uniform(self.min_deg, self.max_deg)
        wrist = find_wrist(mask_HWK, self.bones, self.masks)
        if wrist is None:
            return image, mask_HWK
        turn_deg = np.clip(wanted_deg - wrist.bend_deg, -LARGEST_TURN_DEG, LARGEST_TURN_DEG)
        warp = turning(wrist, math.radians(turn_deg) * wrist.ulnar_side)
        return warp.image(image), self.masks.move(warp, mask_HWK)


@dataclass(frozen=True)
class Wrist:
    """What the movement depends on. Places and masks bool[h, w] are those of the coarse grid."""

    size_hw: Size
    """Of the image."""
    centre: Floats
    """The lunate's."""
    lunate_px: float
    """The lunate's diameter."""
    bend_deg: float
    ulnar_side: int
    """1 if the ulna is to the right of the radius, else -1."""
    hand: Bools
    ulnar_carpals: Bools
    forearm: Bools


def find_wrist(mask_HWK: Pixels, bones: Bones, masks: MaskFormat) -> Wrist | None:
    """Find the wrist and how far it is bent; None if lunate, third metacarpal, radius or ulna is absent."""
    size_hw = size_of(mask_HWK)
    coarse = _coarse(mask_HWK)
    lunate, third, radius, ulna = (
        masks.plane(coarse, bone) for bone in (bones.lunate, bones.third_metacarpal, bones.radius, bones.ulna)
    )
    if not all(mask.any() for mask in (lunate, third, radius, ulna)):
        return None
    centre, side = _centroid(lunate), 1 if _centroid(ulna)[0] > _centroid(radius)[0] else -1
    ahead = (_centroid(third) - centre) * _pixel_xy(size_hw, size_of(coarse))
    return Wrist(
        size_hw=size_hw,
        centre=centre,
        lunate_px=2 * math.sqrt(lunate.sum() / math.pi),
        bend_deg=math.degrees(math.atan2(ahead[0], -ahead[1])) * side,
        ulnar_side=side,
        hand=_union(coarse, bones.hand, masks),
        ulnar_carpals=_union(coarse, bones.ulnar_carpals, masks),
        forearm=radius | ulna,
    )


def turning(wrist: Wrist, turn: float) -> Displacement:
    """Compute the movement that turns the hand by `turn` (clockwise on the screen) about the lunate.

    Every pixel is turned about the same point by a share of the angle: 1 in the hand, 0 in the forearm.
    """
    height, width = wrist.size_hw
    coarse_hw = size_of(wrist.hand)
    scale_x, scale_y = _pixel_xy(wrist.size_hw, coarse_hw)
    x_w = (np.arange(coarse_hw[1], dtype=np.float32) - wrist.centre[0]) * scale_x
    y_h1 = ((np.arange(coarse_hw[0], dtype=np.float32) - wrist.centre[1]) * scale_y)[:, None]
    angle = turn * share_of_turn(wrist, turn)
    cos, sin = np.cos(angle), np.sin(angle)
    moved_x, moved_y = cos * x_w + sin * y_h1 - x_w, cos * y_h1 - sin * x_w - y_h1
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return Displacement(_fine(moved_x, wrist.size_hw) + columns, _fine(moved_y, wrist.size_hw) + rows)


def share_of_turn(wrist: Wrist, turn: float) -> Floats32:
    """float32[h, w], 0..1: the share of the turn that each pixel of the result has made.

    Between hand and forearm it falls with the distance to either: that is linear along a circle about the lunate, so
    nothing is folded in a joint space that opens.
    """
    to_hand = _distance(_turned(wrist, wrist.hand, turn))
    to_carpals = _distance(_turned(wrist, wrist.ulnar_carpals, ULNAR_CARPALS_FOLLOW * turn))
    to_forearm = _distance(wrist.forearm)
    near_hand, near_carpals = (1 / np.maximum(distance, 0.5) ** 2 for distance in (to_hand, to_carpals))
    follows = (near_hand + ULNAR_CARPALS_FOLLOW * near_carpals) / (near_hand + near_carpals)
    follows[to_carpals == 0] = ULNAR_CARPALS_FOLLOW
    follows[to_hand == 0] = 1
    to_moving = np.minimum(to_hand, to_carpals)
    from_moving, from_forearm = (
        np.maximum(0, near - RIGID_REACH * np.maximum(0, far - wrist.lunate_px))
        for near, far in ((to_moving, to_forearm), (to_forearm, to_moving))
    )
    share = follows * from_forearm / np.maximum(from_forearm + from_moving, 1e-6)
    return np.asarray(cv2.GaussianBlur(share, None, 1.0), np.float32)


def _turned(wrist: Wrist, mask: Bools, turn: float) -> Bools:
    """A mask of the coarse grid, turned as a whole about the lunate."""
    scale = np.diag(_pixel_xy(wrist.size_hw, size_of(mask)))
    cos, sin = math.cos(turn), math.sin(turn)
    linear = np.linalg.inv(scale) @ np.array([[cos, -sin], [sin, cos]]) @ scale
    matrix = np.column_stack([linear, wrist.centre - linear @ wrist.centre])
    moved = cv2.warpAffine(mask.astype(np.uint8), matrix, size_of(mask)[::-1], flags=cv2.INTER_NEAREST)
    return np.asarray(moved, np.bool_)


def _distance(mask: Bools) -> Floats32:
    """float32[h, w]: pixels to the nearest of the mask; far away if it is empty."""
    if not mask.any():
        return np.full(mask.shape, 1e6, np.float32)
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _coarse(mask_HWK: Pixels) -> Pixels:
    """Take one pixel of every so many, so that the longer side has about `COARSE_SIDE`."""
    step = max(1, round(max(size_of(mask_HWK)) / COARSE_SIDE))
    rows, columns = (
        ((np.arange(max(1, side // step)) + 0.5) * side / max(1, side // step)).astype(int)
        for side in size_of(mask_HWK)
    )
    coarse: Pixels = mask_HWK[rows[:, None], columns]
    return coarse


def _pixel_xy(size_hw: Size, coarse_hw: Size) -> Floats:
    """Width and height of a coarse pixel in the image's."""
    return np.array([size_hw[1] / coarse_hw[1], size_hw[0] / coarse_hw[0]])


def _fine(coarse_hw: Floats32, size_hw: Size) -> Floats32:
    return np.asarray(cv2.resize(coarse_hw, size_hw[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _union(mask_hwK: Pixels, indices: Sequence[int], masks: MaskFormat) -> Bools:
    """bool[h, w]: the pixels of any of these classes."""
    found = np.zeros(size_of(mask_hwK), np.bool_)
    for index in indices:
        found |= masks.plane(mask_hwK, index)
    return found


def _centroid(mask: Bools) -> Floats:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _indices(names: str | tuple[str, ...], classes: Sequence[str]) -> int | tuple[int, ...]:
    if isinstance(names, tuple):
        return tuple(int(np.asarray(_indices(name, classes))) for name in names)
    if names not in classes:
        raise UserError(f"ulnar_deviation: this task has no class {names}. Leave the transform out.")
    return list(classes).index(names)
