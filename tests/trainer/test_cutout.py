"""Cut-outs go the whole road of the trainer: pills are rendered, labelled, split, trained on, cut out and scored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from configs.loading.load import from_mapping
from configs.schema import Config
from data.check.survey import check_dataset
from data.cutout.coco import convert
from data.cutout.pills.dataset import PillSet, write_pills
from data.cutout.split import split
from data.cutout.task import foreground
from tests.networks import UNET
from trainer.build import build_loader
from trainer.evaluate import score_files
from trainer.inference import infer
from trainer.records.checkpoint import load_weights
from trainer.runs.run import train
from trainer.split import find_split
from utils.errors import UserError


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


def config_of(root: Path, runs: Path, workers: int = 0) -> Config:
    """A small experiment whose transforms take other samples, and pictures of a folder."""
    background = {"name": "background", "folder": str(root / "test" / "images")}
    return from_mapping(
        {
            "task": "foreground",
            "run": {"name": "pills", "folder": str(runs)},
            "data": {"root": str(root), "folds": 4, "workers": workers, "licence": "CC0-1.0"},
            "transform": {"size_px": 64, "train": ["hflip", background, "copy_paste"]},
            "model": UNET,
            "trainer": {"epochs": 1, "batch_size": 2, "precision": "fp32"},
            "early_stopping": None,
            "services": {"mlflow": {"local": False}},
        }
    )


def test_other_samples_are_the_same_for_any_number_of_workers(root: Path, tmp_path: Path) -> None:
    """And in the middle of an epoch, as after a resume."""
    samples = find_split(config_of(root, tmp_path)).train
    alone, beside = (build_loader(config_of(root, tmp_path, workers), samples, Accelerator()) for workers in (0, 2))
    expected, found = list(alone.batches(1)), list(beside.batches(1, skip=1))
    assert len(found) == len(expected) - 1
    for (image, mask), (same_image, same_mask) in zip(expected[1:], found, strict=True):
        assert torch.equal(image, same_image)
        assert torch.equal(mask, same_mask)
    assert not torch.equal(expected[0][0], next(alone.batches(2))[0])


def test_a_folder_without_pictures_is_refused_before_training(root: Path, tmp_path: Path) -> None:
    config = config_of(root, tmp_path)
    (tmp_path / "empty").mkdir()
    background = config.transform.train[1]
    background = replace(background, params=background.params.model_copy(update={"folder": str(tmp_path / "empty")}))
    config = config.model_copy(update={"transform": config.transform.model_copy(update={"train": (background,)})})
    with pytest.raises(UserError, match="empty: no photograph in it"):
        build_loader(config, find_split(config).train, Accelerator())


def test_pills_are_trained_on_cut_out_and_scored(root: Path, tmp_path: Path) -> None:
    config = config_of(root, tmp_path / "runs")
    assert check_dataset(foreground, root).findings == []
    run = train(config, resume=False, command="").path
    (source,) = (load_weights(run / "checkpoints" / "best.safetensors").provenance or {})["data"]
    assert (source["name"], source["licence"], source["images"], source["share"]) == (str(root), "CC0-1.0", 6, 1.0)
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
    groups = [summary.pop("groups") for summary in summaries]
    assert (len(groups[0]), groups[1]) == (4, {}), "a folder of masks says of no image which others resemble it"
    assert summaries[0] == summaries[1], "a folder of masks is as good a truth as a split"
    details = summaries[0]["details"]
    assert details.keys() == foreground.details.keys()
    assert details["iou"]["mean"] == pytest.approx(summaries[0]["mean_iou"], abs=1e-12)
    assert details["iou"]["low"] <= details["iou"]["mean"] <= details["iou"]["high"]
    assert summaries[0]["details_per_image"].keys() == summaries[0]["images"].keys()
    assert (tmp_path / "gallery" / "index.html").exists()
