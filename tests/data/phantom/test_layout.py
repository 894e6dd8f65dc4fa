"""A label in the contest's layout, traps included, gives the mask back."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from data.hand_bone.classes import BONES
from data.masks.packed import fill_polygons, unpack
from data.phantom.layout import label_of, rings_of
from data.phantom.radiograph import Shadow
from data.polygons.annotation import read_polygons

SIZE_PX = 64


@pytest.fixture
def shadows() -> list[Shadow]:
    """29 blots of 12 x 10 px, some of them with two parts."""
    made = []
    for index in range(len(BONES)):
        mask = np.zeros((12, 10), dtype=np.uint8)
        cv2.ellipse(mask, (5, 6), (4, 5), index * 7, 0, 360, 1, -1)
        if index % 10 == 3:
            mask[6:8] = 0
        made.append(Shadow((index % 6 * 9, index // 6 * 10), mask))
    return made


@pytest.mark.parametrize("seed", range(40))
def test_a_label_gives_the_masks_back(shadows: list[Shadow], tmp_path: Path, seed: int) -> None:
    path = tmp_path / "label.json"
    path.write_text(json.dumps(label_of("ID001", "image1", shadows, np.random.default_rng(seed))))
    masks = unpack(fill_polygons(read_polygons(path, BONES), (SIZE_PX, SIZE_PX), len(BONES)), len(BONES))
    for index, shadow in enumerate(shadows):
        expected = np.zeros((SIZE_PX, SIZE_PX), dtype=bool)
        (x, y), (height, width) = shadow.corner, shadow.mask_hw.shape
        expected[y : y + height, x : x + width] = shadow.mask_hw
        assert np.array_equal(masks[:, :, index], expected)


def test_labels_keep_the_contests_traps(shadows: list[Shadow]) -> None:
    labels = [label_of("ID007", "image12", shadows, np.random.default_rng(seed)) for seed in range(150)]
    orders = {tuple(entry["label"] for entry in label["annotations"]) for label in labels}
    assert len(orders) == len(labels)
    assert all(label["filename"] == "image12.jpg" for label in labels)
    assert all(label["metadata"] == {"height": 3060, "width": 3060} for label in labels)
    nested = [entry for label in labels for entry in label["annotations"] if isinstance(entry["points"][0][0], list)]
    assert nested
    assert max(len(label["annotations"]) for label in labels) > min(len(label["annotations"]) for label in labels)


def test_points_are_integers_in_the_images_own_frame(phantom_set: Path) -> None:
    for path in phantom_set.glob("*/outputs_json/*/*.json"):
        for _, ring in read_polygons(path, BONES):
            assert ring.min() >= 0
            assert ring.max() < 128


def test_specks_are_dropped() -> None:
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[5:30, 5:30] = 1
    mask[35, 35] = 1
    assert len(rings_of(Shadow((0, 0), mask))) == 1


@pytest.mark.parametrize("mask", [np.ones((1, 1)), np.ones((2, 1)), np.zeros((2, 2)), np.eye(2)])
def test_a_bone_of_a_pixel_or_two_still_has_a_ring(mask: NDArray[np.float64]) -> None:
    ring, *others = rings_of(Shadow((10, 20), mask.astype(np.uint8)))
    assert others == []
    assert len(ring) >= 3
    assert np.asarray(ring).min(axis=0).tolist() == [10, 20]
