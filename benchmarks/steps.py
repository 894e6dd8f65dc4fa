"""Single steps on one image: a training sample, polygons → mask, mask → RLE, RLE → mask, Dice, thresholds, mending.

Shapes: C classes (29), K = ceil(C/8) bytes, H/W native pixels, h/w the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks import usual
from benchmarks.material import CLASSES, Material
from benchmarks.network import answer
from benchmarks.pair import Sides, must_agree
from data.dataset import Item, SegmentationDataset
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.masks import packed as masks
from data.masks import rle
from data.masks.postprocess import fill_holes, keep_largest, postprocess_mask
from data.polygons.annotation import read_polygons
from trainer.thresholds.curves import THRESHOLDS, dice_curves
from transform.base import Geometric, Intensity
from transform.intensity import Albumented
from transform.pipeline import Pipeline
from transform.warp import Affine, Flip
from utils.arrays import Packed, Size

ANGLE_DEG, BRIGHTER, MORE_CONTRAST = 11.0, 0.1, 0.15
"""Parameters of the augmentation, on both sides."""
EACH = 10
"""Step between the thresholds that are compared: 0.05, 0.15 … 0.95."""
SPOTS = 3
"""Strays and holes in each mask that is postprocessed."""


def sample(material: Material, *, shrink: int) -> Sides:
    """PNG + JSON → augmented tensors at 1/`shrink` of the native side: resized, mirrored, turned, brightened.

    Both ways get the same angle and the same change of grey values. Ours returns bytes and packed bits, which become
    floats on the device; the usual way returns those floats. Grey values agree within two levels, because ours are
    rounded to bytes after each step. At native size all but 1 of 100,000 labelled pixels agree. If masks shrink, they
    may differ along their borders and nowhere else: the usual way takes the upper left pixel of four, which moves a
    mask by half a pixel, and ours alternates (see `transform.warp.Resize`).
    """
    size_hw = (material.size_hw[0] // shrink, material.size_hw[1] // shrink)
    dataset = SegmentationDataset(material.samples, hand_bone.read, our_augmentation(size_hw), seed=0)
    augment = usual_augmentation(size_hw)
    return Sides(
        usual=partial(usual.sample, material.first, augment),
        ours=lambda: dataset[0, 0],
        agree=partial(_same_sample, shrunk=shrink > 1),
    )


def our_augmentation(size_hw: Size) -> Pipeline:
    """Resize, mirror, turn, brighten."""
    import albumentations

    limits = {"brightness_limit": (BRIGHTER, BRIGHTER), "contrast_limit": (MORE_CONTRAST, MORE_CONTRAST)}
    brighter = Albumented(albumentations.RandomBrightnessContrast(**limits, p=1.0))
    return Pipeline([Geometric(_flip, 1.0), Geometric(_turn, 1.0), Intensity(brighter, 1.0)], size_px=size_hw)


def usual_augmentation(size_hw: Size) -> usual.Augment:
    """The same, on floats of three channels and a mask of 29."""
    import albumentations as A

    compose: usual.Augment = A.Compose(
        [
            A.Resize(*size_hw, interpolation=cv2.INTER_AREA),
            A.HorizontalFlip(p=1.0),
            A.Affine(rotate=(ANGLE_DEG, ANGLE_DEG), p=1.0),
            A.RandomBrightnessContrast((BRIGHTER, BRIGHTER), (MORE_CONTRAST, MORE_CONTRAST), p=1.0),
        ]
    )
    return compose


def _flip(size_hw: Size, rng: np.random.Generator) -> Flip:
    return Flip()


def _turn(size_hw: Size, rng: np.random.Generator) -> Affine:
    height, width = size_hw
    return Affine(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), ANGLE_DEG, 1.0))


def _same_sample(theirs: tuple[Tensor, Tensor], ours: Item, *, shrunk: bool) -> None:
    image_3hw, label_Chw = theirs
    must_agree(bool((image_3hw * 255 - ours.image).abs().max() <= 2), "grey values by more than two levels")
    label = label_Chw.numpy().astype(np.uint8)
    differing = masks.unpack_planes(ours.mask.numpy(), CLASSES) != label.astype(np.bool_)
    if shrunk:
        must_agree(not (differing & ~_borders(label)).any(), "masks away from their borders")
    else:
        must_agree(differing.sum() <= 1e-5 * label.sum(), f"masks in {differing.sum()} pixels")


def _borders(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """bool[C, h, w]: pixels with a different value within two pixels."""
    around = np.ones((5, 5), np.uint8)
    return np.stack([cv2.dilate(plane, around) != cv2.erode(plane, around) for plane in planes])


def fill(material: Material) -> Sides:
    """29 polygons → mask; equal in every pixel."""
    rings = read_polygons(material.label, BONES)
    points = usual.read_points(material.label)
    return Sides(
        usual=lambda: usual.fill(points, material.size_hw),
        ours=lambda: masks.fill_polygons(rings, material.size_hw, CLASSES),
        agree=_same_masks_HWC,
    )


def label(material: Material) -> Sides:
    """JSON file → mask: parsing and filling together; equal in every pixel."""
    return Sides(
        usual=lambda: usual.fill(usual.read_points(material.label), material.size_hw),
        ours=lambda: hand_bone.read_mask(material.first, material.size_hw),
        agree=_same_masks_HWC,
    )


def _same_masks_HWC(theirs: npt.NDArray[np.uint8], ours: Packed) -> None:
    must_agree(np.array_equal(masks.unpack(ours, CLASSES), theirs.astype(np.bool_)), "masks")


def encode(material: Material) -> Sides:
    """29 masks → RLE texts; equal in every character."""
    planes = material.planes.view(np.uint8)
    return Sides(
        usual=lambda: [usual.encode(plane) for plane in planes],
        ours=lambda: list(map(rle.to_text, rle.encode(material.mask, CLASSES))),
        agree=lambda theirs, ours: must_agree(theirs == ours, "RLE texts"),
    )


def encode_coco(material: Material) -> Sides:
    """29 masks → RLE by pycocotools' C code, beside ours with its text; equal in every pixel after decoding.

    pycocotools reads columns of a Fortran array [H, W, C]. With the transposed view of bool[C, H, W] it reads our rows
    without a copy, which is its fastest input.
    """
    from pycocotools import mask as coco

    columns_WHC = material.planes.view(np.uint8).T
    return Sides(
        usual=lambda: coco.encode(columns_WHC),
        ours=lambda: list(map(rle.to_text, rle.encode(material.mask, CLASSES))),
        agree=partial(_same_as_coco, size_hw=material.size_hw),
    )


def _same_as_coco(theirs: list[Any], ours: list[str], *, size_hw: Size) -> None:
    from pycocotools import mask as coco

    packed = rle.decode(list(map(rle.from_text, ours)), size_hw)
    planes = masks.unpack_planes(packed, CLASSES)
    must_agree(np.array_equal(coco.decode(theirs).T.astype(np.bool_), planes), "masks after decoding")


def decode(material: Material) -> Sides:
    """29 RLE texts → masks; equal in every pixel."""
    texts = list(map(rle.to_text, rle.encode(material.mask, CLASSES)))
    return Sides(
        usual=lambda: np.stack([usual.decode(text, material.size_hw) for text in texts]),
        ours=lambda: rle.decode(list(map(rle.from_text, texts)), material.size_hw),
        agree=lambda theirs, ours: must_agree(
            np.array_equal(masks.unpack_planes(ours, CLASSES), theirs.astype(np.bool_)), "masks"
        ),
    )


def dice(material: Material) -> Sides:
    """Dice of 29 masks against the same masks moved by three pixels; equal but for the usual way's epsilon."""
    moved = np.roll(material.mask, 3, axis=(0, 1))
    true, pred = (torch.from_numpy(planes)[None].float() for planes in _planes_of([material.mask, moved]))
    return Sides(
        usual=lambda: usual.dice(true, pred)[0].numpy(),
        ours=lambda: masks.dice(moved, material.mask, CLASSES),
        agree=same_dice,
    )


def thresholds(material: Material) -> Sides:
    """Dice of 29 classes at ten thresholds, from logits at the network's size; equal as in `dice`.

    Ours computes its 91 thresholds, of which ten are compared, since the usual way needs time for each.
    """
    logits = answer(material.first, material.size_hw).float()
    return Sides(
        usual=lambda: usual.dice_at(logits, material.planes, THRESHOLDS[::EACH]),
        ours=lambda: dice_curves(logits, material.mask)[:, ::EACH],
        agree=same_dice,
    )


def postprocess(material: Material) -> Sides:
    """29 masks with strays and holes → the largest component of each, without holes; equal in every pixel."""
    planes = _spoilt(material.planes)
    packed = masks.pack(planes.transpose(1, 2, 0).astype(bool))
    cleanups = (keep_largest(), fill_holes())
    return Sides(
        usual=lambda: usual.postprocess(planes),
        ours=lambda: postprocess_mask(packed, CLASSES, cleanups),
        agree=_same_masks_CHW,
    )


def _spoilt(planes_CHW: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """uint8[C, H, W]: some round strays anywhere, and some round holes around pixels of the bone."""
    rng = np.random.default_rng(0)
    spoilt = planes_CHW.astype(np.uint8)
    height, width = spoilt.shape[1:]
    radius_px = max(1, height // 256)
    for plane, bone in zip(spoilt, planes_CHW, strict=True):
        inside = np.argwhere(bone)
        for y, x in inside[rng.integers(len(inside), size=SPOTS)]:
            cv2.circle(plane, (int(x), int(y)), radius_px, 0, cv2.FILLED)
        for y, x in rng.integers((height, width), size=(SPOTS, 2)):
            cv2.circle(plane, (int(x), int(y)), radius_px, 1, cv2.FILLED)
    return spoilt


def _same_masks_CHW(theirs: npt.NDArray[np.uint8], ours: Packed) -> None:
    must_agree(np.array_equal(masks.unpack_planes(ours, CLASSES), theirs.astype(np.bool_)), "masks")


def _planes_of(packed: Sequence[Packed]) -> list[npt.NDArray[np.bool_]]:
    return [masks.unpack_planes(mask, CLASSES) for mask in packed]


def same_dice(theirs: npt.NDArray[Any], ours: npt.NDArray[np.float64]) -> None:
    """The usual way adds an epsilon of 1e-4 to both sides of the fraction, which a bone of ten pixels feels by 1e-5."""
    must_agree(theirs.shape == ours.shape and bool(np.abs(theirs - ours).max() < 1e-5), "Dice")
