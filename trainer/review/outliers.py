"""Which predictions differ from the others of their set, and how: the order in which people should look at them.

A class is compared with the same class in the other images. Usual values are medians, and usual distances from them
are median absolute deviations, which a few wrong predictions do not move.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from trainer.review.features import ClassFeatures, ImageFeatures
from utils.arrays import Floats

# Shapes: N images, C classes.

FEWEST = 5
"""With fewer images nothing is usual; then only classes that were not found, and doubtful masks, are named."""
FEWEST_CLASSES = 5
"""With fewer classes none of them says how large the others should be."""
USUAL_SHARE = 0.9
"""A class found in this share of the images is expected in all; one found in less than the rest is expected in none."""
FAR = 4.0
"""Deviations from the median above which a value is named."""
MISSING_WEIGHT = 4.0
"""What a class that was not found, or not expected, adds to the order."""
HIGHEST_WEIGHT = 3.0
DOUBT_WEIGHT = 10.0
MAD_TO_SD = 1.4826
"""The standard deviation of a normal distribution with the median absolute deviation 1."""
LEAST_LOG_SPREAD = 0.1
"""Spread of log areas and log distances: below 1 - e^(-0.4) = a third of change nothing is far."""
NEAREST = 0.1
"""Added to each distance, as a share of the image's side: a few pixels near the centre of all are not unusual."""
LEAST_CONFIDENCE_SPREAD = 0.02
DOUBTFUL = 0.5
"""Confidence below which a mask is named whatever is usual: more of it is expected to be wrong than right."""


@dataclass(frozen=True)
class Remark:
    """What is unusual about a class in an image. `weight` is 1 for what is just far enough to be named."""

    class_name: str
    text: str
    weight: float


Found: TypeAlias = Iterator[tuple[int, Remark]]
"""Remarks, each with the index of its image in the list."""


@dataclass(frozen=True)
class Reviewed:
    """An image with all remarks about it, the heaviest first.

    `urgency` is what images are ordered by: the weights of all remarks, and 10 times the share that the network itself
    expects to be wrong.
    """

    features: ImageFeatures
    remarks: tuple[Remark, ...]

    @property
    def urgency(self) -> float:
        doubt = DOUBT_WEIGHT * (1 - self.features.confidence)
        return doubt + sum(remark.weight for remark in self.remarks)


def review(images: Sequence[ImageFeatures]) -> list[Reviewed]:
    """Compare the images of a set; returns them with the most urgent first."""
    remarks: list[list[Remark]] = [[] for _ in images]
    for find in (_presence, _areas, _pieces, _places, _confidences) if images else ():
        for index, remark in find(images):
            remarks[index].append(remark)
    reviewed = [
        Reviewed(image, tuple(sorted(found, key=lambda remark: -remark.weight)))
        for image, found in zip(images, remarks, strict=True)
    ]
    return sorted(reviewed, key=lambda entry: (-entry.urgency, entry.features.name))


def _presence(images: Sequence[ImageFeatures]) -> Found:
    """Name classes that are missing in an image and usual in the others, and the reverse."""
    found_NC = _table(images, lambda features: features.is_found).astype(bool)
    share_C = found_NC.mean(axis=0)
    is_usual_C = (share_C >= USUAL_SHARE) | (len(images) < FEWEST)
    is_rare_C = (share_C <= 1 - USUAL_SHARE) & (len(images) >= FEWEST)
    names = list(images[0].classes)
    for image, class_index in np.argwhere(~found_NC & is_usual_C):
        yield image, Remark(names[class_index], "not found", MISSING_WEIGHT)
    for image, class_index in np.argwhere(found_NC & is_rare_C):
        yield (
            image,
            Remark(names[class_index], f"found in {share_C[class_index]:.0%} of the images only", MISSING_WEIGHT),
        )


def _areas(images: Sequence[ImageFeatures]) -> Found:
    """Name areas that are far from the usual one, relative to the size of what the image shows."""
    log_NC = _log_areas(images)
    return _far(images, log_NC - _log_sizes(log_NC)[:, None], lambda ratio: f"area {ratio:.0%} of the usual")


def _places(images: Sequence[ImageFeatures]) -> Found:
    """Name distances from the centre of all classes that are far from usual, relative to the size of what is shown.

    A distance stays the same if an image is turned or mirrored, as left and right hands are.
    """
    if len(images[0].classes) < FEWEST_CLASSES:
        return iter(())
    xy_NC2 = np.stack([_table(images, partial(_coordinate, axis=axis)) for axis in (0, 1)], axis=2)
    side_N = np.sqrt([image.size_hw[0] * image.size_hw[1] for image in images])
    away_NC = np.linalg.norm(xy_NC2 - _median(xy_NC2, axis=1)[:, None], axis=2) / side_N[:, None]
    scale_N = np.exp(_log_sizes(_log_areas(images)) / 2)

    def words(ratio: float) -> str:
        return f"{'farther from' if ratio > 1 else 'nearer to'} the centre than usual"

    return _far(images, np.log(away_NC / scale_N[:, None] + NEAREST), words)


def _pieces(images: Sequence[ImageFeatures]) -> Found:
    """Name classes in more pieces than usual."""
    pieces_NC = _table(images, lambda features: features.pieces if features.is_found else None)
    usual_C = np.maximum(1, _median(pieces_NC, axis=0))
    names = list(images[0].classes)
    for image, class_index in np.argwhere(pieces_NC > usual_C) if len(images) >= FEWEST else ():
        yield image, Remark(names[class_index], f"in {pieces_NC[image, class_index]:.0f} pieces", 1.0)


def _confidences(images: Sequence[ImageFeatures]) -> Found:
    """Name masks of which the network expects little to be right, or far less than usual."""
    found_NC = _table(images, lambda features: features.confidence if features.is_found else None)
    usual_C, away_NC = _deviations(found_NC, LEAST_CONFIDENCE_SPREAD)
    names = list(images[0].classes)
    for image, class_index in np.argwhere((away_NC < -FAR) | (found_NC < DOUBTFUL)):
        away = away_NC[image, class_index]
        known = f", usually {usual_C[class_index]:.2f}" if away < -FAR else ", so it is rather wrong than right"
        yield (
            image,
            Remark(
                names[class_index], f"confidence {found_NC[image, class_index]:.2f}{known}", max(1.0, _weight(away))
            ),
        )


def _far(images: Sequence[ImageFeatures], log_NC: Floats, words: Callable[[float], str]) -> Found:
    """Name the logarithms that are far from their class's median; `words` gets the ratio to it."""
    usual_C, away_NC = _deviations(log_NC, LEAST_LOG_SPREAD)
    names = list(images[0].classes)
    for image, class_index in np.argwhere(np.abs(away_NC) > FAR):
        ratio = math.exp(log_NC[image, class_index] - usual_C[class_index])
        yield image, Remark(names[class_index], words(ratio), _weight(away_NC[image, class_index]))


def _deviations(values_NC: Floats, least_spread: float) -> tuple[Floats, Floats]:
    """Return each class's median, and how far each value is from it, in spreads; 0 of classes known in few images."""
    usual_C = _median(values_NC, axis=0)
    spread_C = np.fmax(least_spread, MAD_TO_SD * _median(np.abs(values_NC - usual_C), axis=0))
    is_enough_C = (~np.isnan(values_NC)).sum(axis=0) >= FEWEST
    away_NC = np.where(is_enough_C, (values_NC - usual_C) / spread_C, 0.0)
    return usual_C, np.nan_to_num(away_NC)


def _table(images: Sequence[ImageFeatures], value: Callable[[ClassFeatures], float | None]) -> Floats:
    """The value of each image and class, float64[N, C]; NaN if it is None."""
    return np.array([[value(features) for features in image.classes.values()] for image in images], np.float64)


def _log_areas(images: Sequence[ImageFeatures]) -> Floats:
    """Logarithms of areas as shares of the image, float64[N, C]; NaN of a class that was not found."""
    pixels_N = np.array([image.size_hw[0] * image.size_hw[1] for image in images], np.float64)
    return np.log(_table(images, lambda features: features.area_px or None) / pixels_N[:, None])


def _log_sizes(log_areas_NC: Floats) -> Floats:
    """How much larger than usual each image shows its classes, float64[N]: the logarithm of the area's ratio.

    It is the median over the classes, so that a few wrong ones do not move it; 0 if the classes are too few.
    """
    if log_areas_NC.shape[1] < FEWEST_CLASSES:
        return np.zeros(len(log_areas_NC))
    return np.nan_to_num(_median(log_areas_NC - _median(log_areas_NC, axis=0), axis=1))


def _median(values: Floats, axis: int) -> Floats:
    """The median without NaN; NaN if nothing else is there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy warns of rows that hold NaN alone
        return np.asarray(np.nanmedian(values, axis=axis))


def _coordinate(features: ClassFeatures, axis: int) -> float | None:
    return None if features.centre_xy is None else features.centre_xy[axis]


def _weight(away: float) -> float:
    return min(HIGHEST_WEIGHT, abs(float(away)) / FAR)


def usual_of_classes(images: Sequence[ImageFeatures]) -> Mapping[str, Mapping[str, float]]:
    """By class: the number of images it was found in, the median of its share of the image, and of its confidence."""
    return {
        class_name: {
            "found": sum(image.classes[class_name].is_found for image in images),
            "share": float(np.median([image.classes[class_name].area_px / np.prod(image.size_hw) for image in images])),
            "confidence": float(np.median([image.classes[class_name].confidence for image in images])),
        }
        for class_name in (images[0].classes if images else ())
    }
