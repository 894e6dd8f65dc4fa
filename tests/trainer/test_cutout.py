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


def masks_of(split_dir: Path, folder: Path) -> Path:
    """Copy the true masks of a split into one folder, under the names of cut-outs."""
    folder.mkdir()
    for sample in foreground.layout.find_samples(split_dir, labelled=True):
        assert sample.label is not None
        (folder / f"{sample.name}.png").write_bytes(sample.label.read_bytes())
    return folder


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
    summaries = []
    for number, truth in enumerate((root / "test", masks_of(root / "test", tmp_path / "truth"))):
        json_file = tmp_path / f"{number}.json"
        options = {"size_hw": None, "json_file": json_file, "gallery": None, "details": True}
        scores = score_files(foreground, cutouts, truth, **options)  # type: ignore[arg-type]
        summaries.append(json.loads(json_file.read_text()))
        assert summaries[-1]["mean_iou"] == pytest.approx(scores.table.mean)
    assert summaries[0] == summaries[1], "a folder of masks is as good a truth as a split"
    details = summaries[0]["details"]
    assert details.keys() == foreground.details.keys()
    assert details["iou"]["mean"] == pytest.approx(summaries[0]["mean_iou"], abs=1e-12)
    assert details["iou"]["low"] <= details["iou"]["mean"] <= details["iou"]["high"]
    assert summaries[0]["details_per_image"].keys() == summaries[0]["images"].keys()
    assert (tmp_path / "gallery" / "index.html").exists()
