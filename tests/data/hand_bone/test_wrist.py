from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.hand_bone.wrist import (
    FINGER_11,
    LITTLE,
    LUNATE,
    THUMB,
    angle_of_label,
    centroid_of_rings,
    centroid_of_runs,
    is_bent,
    wrist_angle_deg,
    wrist_in_words,
    wrist_of,
)
from data.masks import packed as masks
from data.masks import rle
from data.polygons.annotation import read_polygons
from data.sample import Sample
from tests.contest import label_of, square_of


@pytest.mark.parametrize(
    ("finger11_xy", "angle_deg"),
    [((100, 0), 0), ((200, 0), 45), ((0, 0), -45), ((200, 100), 90), ((100, 200), 180)],
)
def test_the_angle_is_against_the_vertical_and_positive_to_the_right(
    finger11_xy: tuple[float, float], angle_deg: float
) -> None:
    assert wrist_angle_deg((100, 100), finger11_xy) == pytest.approx(angle_deg)


@pytest.mark.parametrize(("angle_deg", "bent"), [(0, False), (15, False), (15.1, True), (-30, True), (math.nan, False)])
def test_a_wrist_is_bent_beyond_15_degrees_either_way(angle_deg: float, bent: bool) -> None:
    assert is_bent(angle_deg) is bent


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_centroid_of_runs_is_the_mean_pixel(mask: np.ndarray) -> None:
    (runs,) = rle.encode(masks.pack(mask[..., None]), 1)
    y, x = np.nonzero(mask)
    expected = (x.mean(), y.mean()) if mask.any() else (math.nan, math.nan)
    assert centroid_of_runs(runs, mask.shape[1]) == pytest.approx(expected, nan_ok=True)


def test_the_centroid_of_rings_weighs_them_by_area_whichever_way_they_turn() -> None:
    small = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], np.int32)
    large = np.array([[10, 10], [10, 16], [16, 16], [16, 10]], np.int32)
    assert centroid_of_rings([small]) == pytest.approx((1, 1))
    assert centroid_of_rings([small, large]) == pytest.approx(((4 * 1 + 36 * 13) / 40,) * 2)


def test_the_centroid_of_nothing_is_not_a_number() -> None:
    assert all(map(math.isnan, centroid_of_rings([])))
    assert all(map(math.isnan, centroid_of_rings([np.zeros((3, 2), np.int32)])))


@pytest.mark.parametrize(("x", "wrist"), [(32, "straight"), (60, "bent"), (4, "bent"), (None, None)])
def test_a_hand_is_straight_or_bent_or_cannot_be_told(x: int | None, wrist: str | None) -> None:
    runs = [np.empty((0, 2), np.int64)] * 29
    runs[LUNATE] = np.array([[50 * 64 + 32, 1]])
    if x is not None:
        runs[FINGER_11] = np.array([[10 * 64 + x, 1]])
    assert wrist_of(runs, (64, 64)) == wrist


@pytest.mark.parametrize(
    ("xy_of_bones", "words"),
    [
        (
            {LUNATE: (32, 50), FINGER_11: (32, 10), THUMB: (10, 40), LITTLE: (50, 40)},
            "thumb at the left, straight wrist",
        ),
        (
            {LUNATE: (32, 50), FINGER_11: (32, 10), THUMB: (50, 40), LITTLE: (10, 40)},
            "thumb at the right, straight wrist",
        ),
        ({LUNATE: (10, 32), FINGER_11: (50, 32), THUMB: (30, 50), LITTLE: (30, 10)}, "thumb at the right, bent wrist"),
        ({LUNATE: (32, 50), FINGER_11: (60, 10)}, "bent wrist"),
        ({}, ""),
    ],
)
def test_a_caption_says_where_the_thumb_is_seen_along_the_hand(
    xy_of_bones: dict[int, tuple[int, int]], words: str
) -> None:
    runs = [np.empty((0, 2), np.int64)] * 29
    for index, (x, y) in xy_of_bones.items():
        runs[index] = np.array([[y * 64 + x, 1]])
    assert hand_bone.describe(runs, (64, 64)) == words


@pytest.mark.parametrize(("finger11_x", "wrist"), [(32, "straight"), (60, "bent"), (4, "bent"), (None, None)])
def test_a_label_alone_tells_what_its_masks_tell(finger11_x: int | None, wrist: str | None, tmp_path: Path) -> None:
    rings = [square_of(index, np.zeros(2, np.int64)) for index in range(29)]
    rings[LUNATE] = [[30, 48], [34, 48], [34, 52], [30, 52]]
    x = finger11_x or 32
    rings[FINGER_11] = [[x - 2, 8], [x + 2, 8], [x + 2, 12], [x - 2, 12]]
    label = label_of(rings)
    if finger11_x is None:
        label["annotations"] = [entry for entry in label["annotations"] if entry["label"] != "finger-11"]
    (tmp_path / "hand.json").write_text(json.dumps(label))
    angle_deg = angle_of_label(tmp_path / "hand.json")
    assert wrist_in_words(angle_deg) == wrist
    polygons = read_polygons(tmp_path / "hand.json", BONES, allow_missing=True)
    runs = rle.encode(masks.fill_polygons(polygons, (64, 64), 29), 29)
    assert wrist_of(runs, (64, 64)) == wrist


def test_without_a_label_nothing_can_be_told() -> None:
    assert math.isnan(angle_of_label(None))
    assert hand_bone.stratum_of_label(Sample("a.png", "ID001", Path("a.png"))) is None
