"""Cut-outs go the whole road of the trainer: pills are rendered, labelled, split, trained on, cut out and scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.loading.load import from_mapping
from data.check.survey import check_dataset
from data.cutout.coco import convert
from data.cutout.pills.dataset import PillSet, write_pills
from data.cutout.split import split
from data.cutout.task import foreground
from trainer.evaluate import score_files
from trainer.inference import infer
from trainer.runs.run import train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pills")
    list(write_pills(folder, PillSet(images=12, size_px=64, seed=1)))
    convert(folder / "annotations.json", folder / "images", folder / "masks", categories=["pill"])
    split(folder / "images", folder / "masks", folder / "set")
    return folder / "set"


def test_pills_are_trained_on_cut_out_and_scored(root: Path, tmp_path: Path) -> None:
    config = from_mapping(
        {
            "task": "foreground",
            "run": {"name": "pills", "folder": str(tmp_path / "runs")},
            "data": {"root": str(root), "folds": 4, "workers": 0},
            "transform": {"size_px": 64, "train": ["hflip"]},
            "model": {"name": "unet", "encoder": "tu-mobilenetv3_small_050", "encoder_weights": None},
            "trainer": {"epochs": 1, "batch_size": 2, "precision": "fp32"},
            "early_stopping": None,
            "services": {"mlflow": {"local": False}},
        }
    )
    assert check_dataset(foreground, root).findings == []
    run = train(config, resume=False, command="").path
    cutouts = infer(run, None, None, gallery=tmp_path / "gallery")
    assert cutouts == run / "cutouts"
    assert len(list(cutouts.glob("*.png"))) == len(list((root / "test" / "images").rglob("*.*")))
    scores = score_files(foreground, cutouts, root / "test", size_hw=None, json_file=tmp_path / "a.json", gallery=None)
    assert 0 <= scores.table.mean <= 1
    assert "mean_iou" in json.loads((tmp_path / "a.json").read_text())
    assert (tmp_path / "gallery" / "index.html").exists()
