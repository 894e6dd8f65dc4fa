"""The sheet of augmented images, as the program draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from configs.loading.load import dump
from configs.schema import Config
from trainer.augmentation.__main__ import main
from trainer.augmentation.sheet import GAP_PX, Wanted, draw_sheet
from trainer.build import build_dataset
from trainer.split import find_split
from utils.arrays import Picture
from utils.errors import UserError

SIDE = 64


@pytest.fixture
def config(make_config: Callable[..., Config]) -> Config:
    always = {"name": "brightness_contrast", "p": 1.0}
    return make_config(transform={"size_px": SIDE, "train": [{"name": "hflip", "p": 0.0}, always]})


def tiles_of(sheet: Picture, rows: int, columns: int) -> list[list[Picture]]:
    """Cut a sheet into its tiles, without the lines between them."""
    height, width = (sheet.shape[0] - GAP_PX) // rows, (sheet.shape[1] - GAP_PX) // columns
    tiles = [[sheet[r * height :, c * width :] for c in range(columns)] for r in range(rows)]
    return [[tile[GAP_PX:height, GAP_PX:width] for tile in row] for row in tiles]


def test_the_sheet_shows_what_the_training_sees(config: Config) -> None:
    sheet = draw_sheet(config, Wanted(samples=2, draws=3, each=False, side_px=SIDE))
    rows = tiles_of(sheet, rows=2, columns=4)
    samples = find_split(config).train
    dataset = build_dataset(config, samples)
    for row, index in zip(rows, (0, len(samples) - 1), strict=True):
        for epoch, tile in enumerate(row[1:]):
            item = dataset[epoch, index]
            plain = ~item.mask.numpy().any(axis=2)
            plain &= cv2.dilate(1 - plain.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0  # outlines are drawn beside
            shown = tile[-SIDE:, :SIDE, 0]
            assert np.array_equal(shown[plain], item.image.numpy()[plain])
            assert not np.array_equal(shown, row[0][-SIDE:, :SIDE, 0])


def test_each_transform_has_a_row_of_its_own_and_is_always_applied(config: Config) -> None:
    sheet = draw_sheet(config, Wanted(samples=1, draws=2, each=True, side_px=SIDE))
    flipped, brighter = tiles_of(sheet, rows=2, columns=3)
    plain = flipped[0][-SIDE:, :SIDE]
    assert np.abs(flipped[1][-SIDE:, :SIDE][:, ::-1].astype(int) - plain).mean() < 4
    assert np.array_equal(flipped[1][-SIDE:], flipped[2][-SIDE:])
    assert not np.array_equal(brighter[1][-SIDE:], brighter[2][-SIDE:])


def run_with(monkeypatch: pytest.MonkeyPatch, arguments: Sequence[object]) -> int:
    monkeypatch.setattr("sys.argv", ["augmentation", *map(str, arguments)])
    return main()


def test_the_program_writes_a_picture(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(dump(config), encoding="utf-8")
    out = tmp_path / "sheets" / "mine.png"
    assert run_with(monkeypatch, ["--config", tmp_path / "mine.yaml", "--out", out, "--samples", 1, "--draws", 2]) == 0
    assert np.asarray(cv2.imread(str(out))).shape[1] > 3 * SIDE
    assert f"{out}: what the training sees" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "sheet.gif"], "--out sheet.gif: a picture is called .png or .jpg"),
        (["--out", "{folder}/x.png", "transform.train=[]"], "transform.train: lists no transform"),
        (["--out", "{folder}/x.png", "transform.train=[hflop]"], "'hflop' is not a transform. Did you mean 'hflip'"),
    ],
)
def test_a_fault_is_one_sentence(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[object], sentence: str
) -> None:
    (tmp_path / "mine.yaml").write_text(dump(config), encoding="utf-8")
    placed = [str(argument).format(folder=tmp_path) for argument in arguments]
    with pytest.raises(UserError) as raised:
        run_with(monkeypatch, ["--config", tmp_path / "mine.yaml", *placed])
    assert sentence in str(raised.value)
    assert not (tmp_path / "x.png").exists()
