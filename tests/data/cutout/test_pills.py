from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.cutout.coco import convert
from data.cutout.pills.dataset import PillSet, draw_numbered, name_of, write_pills
from data.cutout.pills.grounds import GROUNDS
from data.cutout.pills.scene import draw_scene
from data.cutout.pills.shapes import along_and_across
from data.cutout.pills.things import OUTLINES, draw_thing, surface_of

WANTED = PillSet(images=24, size_px=64, seed=3)


@pytest.fixture(scope="module")
def pills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pills")
    assert list(write_pills(out, WANTED)) == [name_of(number) for number in range(WANTED.images)]
    return out


def truth_of(pills: Path, name: str) -> np.ndarray:
    return np.asarray(cv2.imread(str((pills / "truth" / name).with_suffix(".png")), -1))


def test_the_masks_of_the_annotations_are_the_truth(pills: Path, tmp_path: Path) -> None:
    """Runs are exact; a polygon's outline may differ by the pixels that it touches."""
    convert(pills / "annotations.json", pills / "images", tmp_path / "masks", categories=["pill"])
    for number in range(WANTED.images):
        name = name_of(number)
        mask = np.asarray(cv2.imread(str((tmp_path / "masks" / name).with_suffix(".png")), -1)) > 0
        truth = truth_of(pills, name)
        wrong = (mask & (truth < 64)) | (~mask & (truth > 191))
        assert wrong.sum() <= 0.01 * mask.sum() + 1, name


def test_the_file_has_what_makes_coco_files_hard(pills: Path) -> None:
    found = json.loads((pills / "annotations.json").read_text())
    kinds = Counter(
        "polygon" if isinstance(its["segmentation"], list) else type(its["segmentation"]["counts"]).__name__
        for its in found["annotations"]
    )
    assert {"polygon", "list", "str"} <= kinds.keys()
    assert any(its["iscrowd"] for its in found["annotations"])
    assert {its["category_id"] for its in found["annotations"]} == {3, 8}
    assert {Path(image["file_name"]).suffix for image in found["images"]} == {".jpg", ".JPG", ".jpeg", ".png"}
    assert any("/" in image["file_name"] for image in found["images"])
    labelled = {its["image_id"] for its in found["annotations"]}
    assert any(image["id"] not in labelled for image in found["images"])


def test_the_same_seed_gives_the_same_bytes(pills: Path, tmp_path: Path) -> None:
    list(write_pills(tmp_path, PillSet(4, 64, 3)))
    for path in (tmp_path / "images").rglob("*.*"):
        assert path.read_bytes() == (pills / path.relative_to(tmp_path)).read_bytes()
    assert not np.array_equal(draw_scene([4, 0], (48, 64)).photo, draw_scene([3, 0], (48, 64)).photo)


def test_pills_are_seen_and_their_truth_is_soft_at_the_edge(pills: Path) -> None:
    seen = []
    for number in range(WANTED.images):
        truth = truth_of(pills, name_of(number))
        assert ((truth > 0) & (truth < 255)).mean() < 0.2
        seen.append((truth > 0).mean())
    assert min(seen) == 0.0
    assert 0.02 < np.median(seen) < 0.5


@pytest.mark.parametrize("name", OUTLINES)
def test_a_thing_is_a_solid_of_its_size_that_is_seen_and_never_part_of_the_truth(name: str) -> None:
    thing = replace(draw_thing((96, 96), np.random.default_rng(1)), outline=OUTLINES[name], x=48, y=48, radius_px=20)
    away = thing.outline(*along_and_across(thing, (96, 96)), thing.radius_px)
    inside = away < 0
    assert 0.1 < inside.sum() / (np.pi * 20**2) < 1.3
    assert not inside[np.hypot(*(np.mgrid[:96, :96] - 48)) > 45].any()
    surface = surface_of(thing, away, np.array([0.3, 0.2, 0.93], np.float32))
    assert np.isfinite(surface).all()
    assert 0 <= surface.min() <= surface.max() <= 1


def test_the_truth_of_a_scene_without_pills_is_empty_whatever_lies_there() -> None:
    assert not any(draw_scene([7, number], (64, 64), pills=0, things=1.0).alpha.any() for number in range(12))


def test_things_change_the_photograph_and_not_the_truth() -> None:
    plain, crowded = (draw_scene([5, 1], (64, 64), pills=0, things=things).photo for things in (0.0, 1.0))
    assert not np.array_equal(plain, crowded)


@pytest.mark.parametrize("name", GROUNDS)
@pytest.mark.parametrize("size_hw", [(40, 64), (97, 33)])
def test_every_ground_fills_the_picture(name: str, size_hw: tuple[int, int]) -> None:
    ground = GROUNDS[name](size_hw, np.random.default_rng(2))
    assert ground.shape == (*size_hw, 3)
    assert ground.dtype == np.float32
    assert np.isfinite(ground).all()
    assert ground.min() >= 0
    assert ground.max() <= 1


def test_pills_lie_on_the_grounds_asked_for_or_are_left_out() -> None:
    bare = draw_scene([1], (64, 64), pills=0, grounds=["paper"])
    assert not bare.alpha.any()
    others = [draw_scene([1], (64, 64), pills=0, grounds=[name]).photo for name in GROUNDS if name != "paper"]
    assert not any(np.array_equal(bare.photo, other) for other in others)
    wanted = PillSet(images=3, size_px=64, seed=3, grounds=("paper",), bare=True)
    assert not any(draw_numbered(wanted, number).alpha.any() for number in range(3))
