"""Figures of cases: what is drawn, what is kept in files, and how large a page becomes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from data.cutout.task import foreground
from data.hand_bone.task import hand_bone
from data.masks.packed import dice, pack_planes
from trainer.drawing.figures import (
    Case,
    enlarged_figure,
    figure_of,
    frame_of,
    keep_class,
    read_figures,
    viewer_of,
    window_around,
    write_figures,
)
from trainer.drawing.gallery import WORST_IMAGES, page_of
from trainer.drawing.html import render_page
from trainer.evaluation.score_table import ScoreTable
from utils.errors import UserError
from utils.viewer.figure import Cutout

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CLASSES = len(hand_bone.classes)


def case(side: int, name: str = "hand.png", shift: int = 1) -> tuple[Case, ScoreTable]:
    """A noisy image with a disc for each class, and a prediction that lies `shift` hundredths of the side lower."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (side, side), np.uint8), None, side / 300)
    discs = np.zeros((CLASSES, side, side), np.uint8)
    for index, disc in enumerate(discs):
        middle = (round(side * (0.12 + 0.15 * (index % 6))), round(side * (0.12 + 0.15 * (index // 6))))
        cv2.ellipse(disc, middle, (round(side * 0.04), round(side * 0.09)), 10 * index, 0, 360, 1, -1)
    truth = pack_planes(discs.astype(bool))
    predicted = np.roll(truth, shift * side // 100, axis=0)
    table = ScoreTable(hand_bone.classes, hand_bone.metric)
    table.add(name, dice(predicted, truth, CLASSES))
    return Case(name, image, truth, predicted, "left hand"), table


def test_a_case_has_the_outlines_and_numbers_of_the_classes_that_are_there() -> None:
    drawn, table = case(100)
    absent = replace(drawn, truth=keep_class(drawn.truth, 1), predicted=keep_class(drawn.predicted, 0))
    figure = figure_of(absent, hand_bone, table)
    assert [(shape.layer, shape.class_name) for shape in figure.shapes] == [
        ("prediction", hand_bone.classes[0]),
        ("truth", hand_bone.classes[1]),
    ]
    assert list(figure.class_numbers) == list(hand_bone.classes[:2])
    assert figure.class_numbers[hand_bone.classes[1]]["predicted_px"] == 0
    assert figure.numbers == {"dice": table.per_image["hand.png"]}


def test_a_class_is_enlarged_without_the_others() -> None:
    drawn, table = case(200)
    figure = enlarged_figure(drawn, hand_bone, 3, table)
    assert {shape.class_name for shape in figure.shapes} == {hand_bone.classes[3]}
    assert figure.name == f"{hand_bone.classes[3]} in hand.png"
    assert figure.numbers["dice"] == table.rows["hand.png"][3]
    assert window_around(np.zeros((8, 9, 1), np.uint8)) == (slice(0, 8), slice(0, 9))


def test_soft_masks_are_cut_out_too() -> None:
    image, alpha = np.full((40, 60, 3), 90, np.uint8), np.zeros((40, 60), np.uint8)
    alpha[10:30, 10:30] = 200
    hard = (alpha >= 128).astype(np.uint8)[..., None]
    table = ScoreTable(foreground.classes, foreground.metric)
    table.add("a", np.ones(1))
    figure = figure_of(Case("a", image, hard, hard, "", (alpha, alpha)), foreground, table)
    assert [cutout.label for cutout in figure.cutouts] == ["truth", "prediction"]
    layers = viewer_of(foreground, [figure]).layers
    assert len({layer.colour for layer in layers}) == 2, "of one class the layers have colours of their own"


def test_large_images_are_shown_small_and_small_ones_large() -> None:
    assert frame_of((2048, 1024)) == (640, 320)
    assert frame_of((500, 500)) == (500, 500)
    assert frame_of((32, 64)) == (240, 480)


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    drawn, table = case(64, "새 손.png")
    figure = replace(
        figure_of(drawn, hand_bone, table), notes=["a note"], cutouts=[Cutout("truth", "data:image/webp;base64,")]
    )
    write_figures(tmp_path / "figures.json", {"worst images": [figure]})
    assert read_figures(tmp_path / "figures.json", hand_bone.classes) == {"worst images": [figure]}
    assert read_figures(tmp_path / "none.json", hand_bone.classes) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"a": [{}]}', '{"a": 1}'])
def test_a_damaged_file_of_figures_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text(text)
    with pytest.raises(UserError, match=r"figures\.json: is damaged .* Delete it"):
        read_figures(tmp_path / "figures.json", hand_bone.classes)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", "https://example.org/pixel.png"),
        ("frame_hw", [0, 5]),
        ("numbers", {"dice": "high"}),
        ("shapes", [{"layer": "truth", "class_name": "Tail", "path": "M0 0z"}]),
        ("class_numbers", {"Tail": {}}),
        ("cutouts", [{"label": "truth", "source": "//example.org/pixel.png"}]),
    ],
)
def test_a_file_of_figures_from_a_stranger_is_not_believed(key: str, value: object, tmp_path: Path) -> None:
    drawn, table = case(64)
    write_figures(tmp_path / "figures.json", {"a": [figure_of(drawn, hand_bone, table)]})
    groups = json.loads((tmp_path / "figures.json").read_text())
    groups["a"][0][key] = value
    (tmp_path / "figures.json").write_text(json.dumps(groups))
    with pytest.raises(UserError, match=r"figures\.json: is damaged"):
        read_figures(tmp_path / "figures.json", hand_bone.classes)


@pytest.fixture(scope="module")
def page_of_sixty() -> str:
    drawn, table = case(1000)
    figure = figure_of(drawn, hand_bone, table)
    return render_page("cases.html.j2", page_of(hand_bone, table, {WORST_IMAGES: [figure] * 60}, "a <b>run</b>"))


def test_a_page_of_60_pictures_is_below_10_megabytes(page_of_sixty: str) -> None:
    """The image is noise, which takes more bytes than any radiograph."""
    assert 3e6 < len(page_of_sixty.encode()) < 10e6
    assert "a &lt;b&gt;run" in page_of_sixty


def test_numbers_are_read_without_script(page_of_sixty: str, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(page_of_sixty, encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    figure = page.locator("figure").first
    assert figure.locator("path").count() == 2 * CLASSES
    figure.locator("summary").click()
    assert figure.get_by_role("row").count() == CLASSES + 1
    assert figure.get_by_role("rowheader", name=hand_bone.classes[5], exact=True).is_visible()
    context.close()
