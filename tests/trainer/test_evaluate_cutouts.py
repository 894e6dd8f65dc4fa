"""evaluate.py on cut-outs: which masks count as the truth, and pictures of the worst on a checkerboard."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

import evaluate
from data.cutout.output import read_cutouts
from data.cutout.task import foreground
from tests.bad_input.programs import assert_refused, call
from trainer.drawing.cutouts import SQUARE_PX, draw_soft_errors, on_checkerboard
from trainer.drawing.figures import read_figures
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


def test_the_worst_are_shown_with_what_truth_and_prediction_cut_out(folder: Path) -> None:
    arguments = ["--task", "foreground", "--prediction", folder / "out", "--truth", folder / "masks"]
    ended = call(evaluate.main, *arguments, "--images", folder / "images", "--gallery", folder / "gallery")
    assert ended.code == 0, ended.told
    groups = read_figures(folder / "gallery" / "figures.json", foreground.classes)
    assert {title: [figure.name for figure in figures] for title, figures in groups.items()} == {
        "worst images": ["sub__b", "a"],
        "worst classes, enlarged": ["foreground in sub__b"],
    }
    figure = groups["worst images"][1]
    outlines = {shape.layer: shape.path for shape in figure.shapes}
    assert outlines["truth"] == outlines["prediction"]
    assert [cutout.label for cutout in figure.cutouts] == ["truth", "prediction"]
    cut, photo = (pixels_of(source) for source in (figure.cutouts[1].source, figure.source))
    true = disc(0)
    assert np.array_equal(cut[..., 3], true)
    inner = cv2.erode(true, np.ones((5, 5), np.uint8)) > 0
    assert np.abs(cut[inner][:, :3].astype(int).mean(0) - photo[inner].astype(int).mean(0)).max() < 6


def pixels_of(source: str) -> Bytes:
    """The pixels of a figure's picture."""
    content = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), np.uint8)


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
