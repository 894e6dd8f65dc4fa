from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trainer.review.features import ClassFeatures, ImageFeatures
from trainer.review.outliers import FEWEST, Reviewed, review

CLASSES = ("left", *(f"class{number}" for number in range(6)), "middle", *(f"class{number}" for number in range(6, 13)))


def usual_images(count: int) -> list[ImageFeatures]:
    """Images that differ a little, some of them mirrored."""
    draws = np.random.default_rng(3)

    def one(place: int) -> ImageFeatures:
        sign = 1 if place % 2 else -1
        classes = {
            name: ClassFeatures(
                area_px=int(1000 * (index + 1)),
                pieces=1,
                box_xyxy=(0, 0, 10, 10),
                centre_xy=(500 + sign * 30 * (index - 7) * draws.uniform(0.97, 1.03), 400.0),
                confidence=draws.uniform(0.93, 0.95),
            )
            for index, name in enumerate(CLASSES)
        }
        return ImageFeatures(f"image{place:02}.png", "group", (1000, 1000), classes)

    return [one(place) for place in range(count)]


def changed(image: ImageFeatures, class_name: str, **changes: Any) -> ImageFeatures:
    classes: Mapping[str, ClassFeatures] = {
        **image.classes,
        class_name: replace(image.classes[class_name], **changes),
    }
    return replace(image, classes=classes)


def remarks_of(reviewed: list[Reviewed], name: str) -> list[tuple[str, str]]:
    its = next(its for its in reviewed if its.features.name == name)
    return [(remark.class_name, remark.text) for remark in its.remarks]


def test_images_that_differ_a_little_have_no_remarks_mirrored_or_not() -> None:
    assert [its.remarks for its in review(usual_images(20))] == [()] * 20


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"area_px": 0, "pieces": 0, "box_xyxy": None, "centre_xy": None, "confidence": 0.0}, "not found"),
        ({"area_px": 400}, "area 40% of the usual"),
        ({"pieces": 3}, "in 3 pieces"),
        ({"centre_xy": (900.0, 400.0)}, "farther from the centre than usual"),
        ({"confidence": 0.6}, "confidence 0.60, usually 0.94"),
    ],
)
def test_what_is_unusual_is_named_and_stands_first(changes: Mapping[str, Any], text: str) -> None:
    images = usual_images(20)
    images[7] = changed(images[7], "left", **changes)
    reviewed = review(images)
    assert reviewed[0].features.name == "image07.png"
    assert remarks_of(reviewed, "image07.png") == [("left", text)]
    assert [its.remarks for its in reviewed[1:]] == [()] * 19


def test_a_class_that_others_do_not_have_is_named() -> None:
    absent = {"area_px": 0, "pieces": 0, "box_xyxy": None, "centre_xy": None, "confidence": 1.0}
    images = [
        changed(image, "middle", **absent) if place != 4 else image for place, image in enumerate(usual_images(20))
    ]
    assert remarks_of(review(images), "image04.png") == [("middle", "found in 5% of the images only")]


def test_doubtful_images_stand_before_certain_ones() -> None:
    images = usual_images(6)
    doubtful = images[3]
    for name in CLASSES:
        doubtful = changed(doubtful, name, confidence=0.9)
    images[3] = doubtful
    assert review(images)[0].features.name == "image03.png"


@pytest.mark.parametrize("count", [1, 20])
def test_a_doubtful_mask_is_named_also_if_all_images_are_doubtful(count: int) -> None:
    images = [changed(image, "left", confidence=0.31) for image in usual_images(count)]
    words = "confidence 0.31, so it is rather wrong than right"
    assert [remarks_of(review(images), image.name) for image in images] == [[("left", words)]] * count


def test_of_few_images_only_what_was_not_found_is_named() -> None:
    images = usual_images(FEWEST - 1)
    images[0] = changed(images[0], "left", area_px=10)
    images[1] = changed(images[1], "class3", area_px=0, centre_xy=None, box_xyxy=None)
    named = [(its.features.name, remark.text) for its in review(images) for remark in its.remarks]
    assert named == [("image01.png", "not found")]
    assert review([]) == []
