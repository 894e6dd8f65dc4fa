"""evaluate.py on cut-outs: which masks count as the truth, and pictures of the worst on a checkerboard."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import evaluate
from data.cutout.output import read_cutouts
from data.cutout.task import foreground
from data.image import read_rgb
from tests.bad_input.programs import assert_refused, call
from trainer.drawing.cutouts import SQUARE_PX, draw_soft_errors, on_checkerboard
from trainer.evaluate import score_files
from utils.arrays import Bytes
from utils.pictures import DARK, LIGHT, checkerboard

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs, one of them in a sub-folder, with true masks and cut-outs of which one is shifted."""
    for name, shift in (("a", 0), ("sub/b", 4)):
        mask = disc(0)
        photo = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        write(tmp_path / "images" / f"{name}.png", photo)
        write(tmp_path / "masks" / f"{name}.png", mask)
        write(tmp_path / "out" / f"{name.replace('/', '__')}.png", np.dstack([photo, disc(shift)]))
    return tmp_path


def disc(shift: int) -> Bytes:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (25 + shift, 20), 10, 255, -1)
    return mask


def write(path: Path, pixels: Bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


@pytest.mark.parametrize("images", [None, "images"])
def test_masks_in_sub_folders_count(folder: Path, images: str | None) -> None:
    options = {"size_hw": None, "json_file": None, "gallery": None, "images": images and folder / images}
    scores = score_files(foreground, folder / "out", folder / "masks", **options)  # type: ignore[arg-type]
    assert scores.table.per_image == {"a": 1.0, "sub__b": pytest.approx(0.6, abs=0.1)}


def test_a_mask_of_0_and_1_is_one_of_0_and_255(folder: Path) -> None:
    before = read_cutouts(folder / "masks").runs["a"][0]
    write(folder / "masks" / "a.png", disc(0) // 255)
    assert np.array_equal(read_cutouts(folder / "masks").runs["a"][0], before)


def test_a_cutout_of_another_size_is_refused_even_if_it_has_as_many_pixels(folder: Path) -> None:
    write(folder / "out" / "a.png", np.ascontiguousarray(disc(0).T))
    arguments = ["--task", "foreground", "--prediction", folder / "out", "--truth", folder / "masks"]
    assert_refused(
        evaluate.main, *arguments, sentence=r"out: a is 40 x 60 px, its truth 60 x 40 px\. Predict the image"
    )


def test_the_worst_are_drawn_as_cut_outs_beside_photograph_and_truth(folder: Path) -> None:
    arguments = ["--task", "foreground", "--prediction", folder / "out", "--truth", folder / "masks"]
    ended = call(evaluate.main, *arguments, "--images", folder / "images", "--gallery", folder / "gallery")
    assert ended.code == 0, ended.told
    pictures = sorted(path.name for path in (folder / "gallery").iterdir())
    assert pictures == ["class_01_foreground_sub__b.jpg", "image_01_sub__b.jpg", "image_02_a.jpg"]
    # Below the caption: photograph and errors, then truth and prediction, each under a title.
    picture = read_rgb(folder / "gallery" / "image_02_a.jpg")
    height, width = (picture.shape[0] - 3 * 34) // 2, picture.shape[1] // 2
    lower = picture[-height:].astype(int)
    board = checkerboard((height, width), SQUARE_PX)[..., ::-1]
    for panel in (lower[:, :width], lower[:, width:]):
        assert np.abs(panel[:60] - board[:60]).mean() < 4, "outside the object the board is seen"
    photo = picture[68 : 68 + height, :width].astype(int)
    inside = slice(height // 2 - 30, height // 2 + 30), slice(width * 5 // 12 - 30, width * 5 // 12 + 30)
    assert np.abs(lower[:, :width][inside] - photo[inside]).mean() < 8, "inside it the photograph is"


def test_images_that_are_not_those_of_the_truth_are_refused(folder: Path) -> None:
    (folder / "none").mkdir()
    arguments = ["--task", "foreground", "--prediction", folder / "out", "--truth", folder / "masks"]
    assert_refused(evaluate.main, *arguments, "--images", folder / "none", sentence="no image has a mask in")


def test_a_half_transparent_pixel_is_half_board_half_image() -> None:
    image = np.full((24, 24, 3), 100, np.uint8)
    drawn = on_checkerboard(image, np.full((24, 24), 127, np.uint8), 24)
    assert {*np.unique(drawn).tolist()} == {round(100 * 127 / 255 + grey * 128 / 255) for grey in (LIGHT, DARK)}
    shrunk = on_checkerboard(image, np.zeros((24, 24), np.uint8), 12)
    assert (shrunk == checkerboard((12, 12), SQUARE_PX)).all()


def test_soft_errors_are_coloured_by_their_amount() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    nothing, half = np.zeros((8, 8), np.uint8), np.full((8, 8), 128, np.uint8)
    plain, added, missed = (draw_soft_errors(image, *pair) for pair in ((half, half), (nothing, half), (half, nothing)))
    assert (plain == 128).all()
    assert added[0, 0, 2] > 180 > 128 > added[0, 0, 0], "red"
    assert missed[0, 0, 0] > 180 > 128 > missed[0, 0, 2], "blue"
