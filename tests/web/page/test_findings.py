"""Files of regions hold exactly the predicted pixels, whoever reads them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from data.cutout.annotations import mask_of, read_annotations
from data.hand_bone.classes import BONES
from data.masks.packed import fill_polygons, pack, plane
from data.masks.rle import decode
from data.polygons.annotation import read_polygons
from data.submission.reader import read_submission
from data.tasks import TASKS
from utils.arrays import Bools
from web.page.regions.findings import Findings, column_counts
from web.page.regions.work import RegionsWork
from web.page.texts import Language, say_in

SIZE = (60, 80)


def masks() -> Bools:
    """29 masks: spots, one with a hole, one that touches every border, some that are empty."""
    drawn = np.zeros((*SIZE, len(BONES)), np.uint8)
    for index in range(0, len(BONES), 2):
        plane_HW = np.zeros(SIZE, np.uint8)
        cv2.circle(plane_HW, (10 + 2 * index, 30), 6 + index % 5, 1, -1)
        drawn[..., index] = plane_HW
    drawn[28:32, 8:12, 0] = 0
    drawn[..., 2] = 1
    return drawn.astype(np.bool_)


@pytest.fixture
def findings() -> Findings:
    image = np.full(SIZE, 90, np.uint8)
    return Findings('a, "b".png', TASKS["hand_bone"], image, pack(masks()), 0.5)


@pytest.mark.parametrize(("language", "words"), [("en", "does not look like those"), ("ko", "다르게 보이는")])
def test_the_facts_say_that_an_image_is_unlike_those_trained_on(
    findings: Findings, language: Language, words: str
) -> None:
    work = SimpleNamespace(answers=SimpleNamespace(say=say_in(language)))
    assert words not in RegionsWork._facts(work, findings)  # type: ignore[arg-type]
    findings.oddity = "it looks <inverted>"
    said = RegionsWork._facts(work, findings)  # type: ignore[arg-type]
    assert words in said
    assert "it looks &lt;inverted&gt;" in said


def test_the_rows_are_those_of_a_submission(findings: Findings, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(findings.csv())
    read = read_submission(tmp_path / "a.csv", BONES)
    assert read.names == ["a b.png"]
    np.testing.assert_array_equal(decode(read.of("a b.png", SIZE), SIZE), findings.packed)


def test_the_label_fills_to_the_same_pixels(findings: Findings, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(findings.label())
    polygons = read_polygons(tmp_path / "a.json", BONES, allow_missing=True)
    np.testing.assert_array_equal(fill_polygons(polygons, SIZE, len(BONES)), findings.packed)


def test_coco_annotations_are_exact(findings: Findings, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(findings.coco())
    content = json.loads(findings.coco())
    assert [one["name"] for one in content["categories"]] == list(BONES)
    by_category = {one["category_id"]: one for one in content["annotations"]}
    assert set(by_category) == {index + 1 for index in range(len(BONES)) if masks()[..., index].any()}
    hole = by_category[1]
    assert hole["area"] == int(masks()[..., 0].sum())
    rows, columns = np.nonzero(masks()[..., 0])
    assert hole["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    read = read_annotations(tmp_path / "a.json")
    (image,) = read.images
    for index in (0, 2, 4):
        one = replace(image, regions=[region for region in image.regions if region.category == BONES[index]])
        np.testing.assert_array_equal(mask_of(one, read.path), plane(findings.packed, index))


def test_counts_begin_with_zeros() -> None:
    assert column_counts(np.array([[True, False], [True, False]])) == [0, 2, 2]
    assert column_counts(np.zeros((2, 3), np.bool_)) == [6]


def test_a_truth_gives_scores(findings: Findings) -> None:
    assert findings.scores is None
    findings.truth = findings.packed.copy()
    assert findings.scores is not None
    assert findings.scores.tolist() == [1.0] * len(BONES)
