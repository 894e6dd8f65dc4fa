"""No part between reader and writer knows which task it works for: another one goes the whole way too.

Its images, masks, metric, output, network and loss are those of `tests.second_task`.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from configs.loading.load import from_mapping
from configs.schema import Config
from data.check.contact_sheet import draw_sheet
from data.check.report import report_lines
from data.check.survey import check_dataset
from data.folds.__main__ import main as divide_into_folds
from data.folds.files import split_by_file
from data.folds.split import divide, measures_of, split_by_group
from data.folds.table import cells, columns
from data.task import Strata
from data.tasks import TASKS
from loss import LOSSES
from models import MODELS
from tests.second_task import cutout, ssim_of_each, three_depths, write_images
from tests.trainer.runs.test_run import interrupt_after, same, weights_of
from trainer.crossval.crossval import write_crossval
from trainer.drawing.figures import Case
from trainer.drawing.gallery import draw_whole_image
from trainer.ensemble.predict import predict_together
from trainer.inference import infer
from trainer.records.checkpoint import load_weights
from trainer.records.folder import RunFolder
from trainer.report.pictures import pictures_by_title
from trainer.report.report import write_report
from trainer.runs.run import train
from trainer.thresholds.tune_runs import tune_runs
from utils.arrays import Image, Picture
from utils.errors import Interrupted, UserError

Make = Callable[..., Config]
EPOCHS = 3
SIZES_HW = {"new0_0.png": (64, 48), "new1_0.png": (64, 48), "new2_0.png": (64, 48)}


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "cutout", cutout)
        patch.setitem(MODELS, "three_depths", three_depths)
        patch.setitem(LOSSES, "ssim_of_each", ssim_of_each)
        yield


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of six scenes with two images each, and three images without masks."""
    root = tmp_path_factory.mktemp("cutout")
    write_images(root)
    return root


@pytest.fixture(scope="module")
def make(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Configurations whose runs lie in one folder of the module; keywords replace sections."""
    folder = tmp_path_factory.mktemp("runs")

    def make_config(name: str, **changes: Any) -> Config:
        values: dict[str, Any] = {
            "run": {"name": name, "folder": str(folder)},
            "task": "cutout",
            "data": {"root": str(images), "folds": 3, "workers": 0},
            "transform": {"size_px": 64, "train": ["hflip", {"name": "affine", "p": 0.5}]},
            "model": {"name": "three_depths", "width": 6},
            "loss": "ssim_of_each",
            "optimizer": {"name": "adamw", "lr": 0.1},
            "trainer": {"epochs": EPOCHS, "batch_size": 2, "precision": "fp32"},
            "services": {"mlflow": {"local": False}},
        }
        return from_mapping(values | changes)

    return make_config


@pytest.fixture(scope="module")
def run(make: Make) -> RunFolder:
    return train(make("whole"), resume=False, command="")


@pytest.fixture(scope="module")
def another_run(make: Make) -> RunFolder:
    return train(make("another", seed=7), resume=False, command="")


def rows_of(folder: RunFolder) -> list[dict[str, str]]:
    with folder.metrics.open() as file:
        return list(csv.DictReader(file))


def masks_in(folder: Path) -> dict[str, Image]:
    read = {path.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(folder.iterdir())}
    return {name: np.asarray(mask, np.uint8) for name, mask in read.items()}


def test_a_run_is_recorded_by_the_tasks_own_metric(run: RunFolder) -> None:
    rows, validation = rows_of(run), json.loads(run.validation.read_text())
    assert len(rows) == EPOCHS
    assert {"iou", "iou_object", "train_ssim_0", "train_ssim_1", "train_ssim_2"} <= rows[0].keys()
    assert not [column for column in rows[0] if "dice" in column]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert validation["mean_iou"] == pytest.approx(max(float(row["iou"]) for row in rows), abs=1e-5)
    assert load_weights(run.best_weights).score == validation["mean_iou"]
    assert 0.5 < validation["mean_iou"] <= 1


def test_a_resumed_run_ends_with_the_bits_of_one_never_interrupted(
    run: RunFolder, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(6, patch)
        with pytest.raises(Interrupted):
            train(make("parts"), resume=False, command="")
    parts = train(make("parts"), resume=True, command="")
    assert same(weights_of(run), weights_of(parts))
    assert [row["iou"] for row in rows_of(run)] == [row["iou"] for row in rows_of(parts)]


def test_early_stopping_follows_the_tasks_metric(make: Make) -> None:
    stopping = {"metric": "iou", "patience": 1, "min_delta": 0.9}
    folder = train(make("stopped", early_stopping=stopping), resume=False, command="")
    assert "stopped early" in folder.log.read_text()
    assert len(rows_of(folder)) < EPOCHS


def test_a_soft_mask_is_written_for_each_image_at_its_size(run: RunFolder, tmp_path: Path) -> None:
    views = ["predict.windows.size_px=32", "predict.tta.hflip=true", "predict.tta.scales=[1.5]"]
    masks = masks_in(infer(run.path, None, tmp_path / "masks", overrides=views))
    assert {name: mask.shape for name, mask in masks.items()} == SIZES_HW
    assert all(len(np.unique(mask)) > 20 for mask in masks.values())
    plain = masks_in(infer(run.path, None, None))
    assert plain.keys() == masks.keys()
    assert any((plain[name] != masks[name]).any() for name in masks)


def test_predictions_in_a_folder_may_be_written_anew(run: RunFolder) -> None:
    first = masks_in(infer(run.path, None, None))
    again = masks_in(infer(run.path, None, None))
    assert infer(run.path, None, None) == run.output("masks")
    assert all(np.array_equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("holds_logits", [True, False])
def test_an_ensemble_writes_the_mean_of_its_runs(
    run: RunFolder, another_run: RunFolder, tmp_path: Path, holds_logits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.ensemble.predict.HELD_LOGITS_PX", 2**22 if holds_logits else 0)
    alone = [masks_in(infer(one.path, None, tmp_path / one.path.name)) for one in (run, another_run)]
    together = masks_in(predict_together([run.path, another_run.path], None, tmp_path / "together"))
    assert together.keys() == SIZES_HW.keys()
    for name, mask in together.items():
        mean = (alone[0][name].astype(float) + alone[1][name]) / 2
        assert np.abs(mask - mean).max() <= 1
        assert (alone[0][name] != alone[1][name]).any()


def test_the_report_shows_the_tasks_metric_and_pictures_of_its_masks(
    run: RunFolder, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[Case] = []

    def note(seen: Case, *arguments: Any) -> Picture:
        cases.append(seen)
        return draw_whole_image(seen, *arguments)

    monkeypatch.setattr("trainer.report.pictures.draw_whole_image", note)
    page = write_report(run).read_text()
    assert "validation IoU" in page
    assert "Dice" not in page
    assert '<h2 id="sources-1">Data</h2>\n  <div class="card"><table>\n    <tr><th>source</th>' in page
    assert f"<td>{images}</td><td>8</td><td>1.0</td><td>100.0%</td><td>not given</td>" in page
    drawn = {path.name for path in run.pictures.iterdir()}
    assert "iou_per_class.png" in drawn
    assert len([name for name in drawn if name.startswith("worst_")]) == 4
    titles = list(pictures_by_title(run))
    assert titles[0] == "iou per class"
    assert re.fullmatch(r"Worst case 1: scene\d_\d", titles[1])
    for seen in cases:
        alpha = masks_in(images / "train" / "masks")[seen.name]
        assert seen.image.shape == (64, 64, 3)
        assert np.array_equal(seen.truth[..., 0], alpha >= 128)
        assert 0 < seen.predicted.sum() < seen.predicted.size


def test_a_data_check_finds_faults_of_its_images_and_masks(images: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(images, root)
    assert check_dataset(cutout, root).findings == []
    (root / "train/masks/scene1_0.png").unlink()
    (root / "train/images/scene2_1.png").write_bytes(b"")
    (root / "train/images/notes.txt").write_text("")
    shutil.copy(root / "train/masks/scene3_0.png", root / "train/masks/scene3_1.png")
    cv2.imwrite(str(root / "train/masks/scene4_0.png"), np.full((32, 32), 255, np.uint8))
    shutil.copy(root / "train/images/scene5_0.png", root / "test/images/scene5_9.png")
    survey = check_dataset(cutout, root)
    assert [(finding.kind, finding.file) for finding in survey.findings] == [
        ("unpaired", "train/images/scene1_0.png"),
        ("not_read", "train/images/notes.txt"),
        ("bad_image", "train/images/scene2_1.png"),
        ("bad_label", "train/masks/scene4_0.png"),
        ("two_splits", "train/images/scene5_1.png"),
        ("duplicate", "train/images/scene5_0.png"),
        ("same_label", "train/masks/scene3_1.png"),
    ]
    assert "Scenes in two splits: 1" in list(report_lines(survey))
    assert draw_sheet(tmp_path / "sheet.png", cutout, survey) is None


def test_a_data_set_is_divided_by_its_groups(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["folds", "--task=cutout", f"--root={images}", f"--out={tmp_path / 'folds'}", "--k=3"]
    monkeypatch.setattr("sys.argv", command)
    divide_into_folds()
    assert "│ scenes │ images │" in capsys.readouterr().out.replace("┃", "│")
    samples = cutout.layout.find_samples(images / "train", labelled=True)
    for fold in range(3):
        train, valid = split_by_file(samples, tmp_path / "folds", fold)
        assert (train, valid) == split_by_group(samples, 3, fold)
        assert len(valid) == 4
    monkeypatch.setattr("sys.argv", [*command, "--by=wrist"])
    with pytest.raises(UserError, match=r"'wrist' is nothing to divide task 'cutout' by\. Valid: scene"):
        divide_into_folds()
    with pytest.raises(UserError, match="no scene and no image is called scene9"):
        cutout.layout.find_samples(images / "train", labelled=True, exclude=["scene9"])


def test_folds_spread_the_kinds_that_the_task_names(images: Path) -> None:
    large = Strata(
        name="size", names=("small", "large"), measure=lambda sample: float(sample.group in ("scene0", "scene5")),
        of_measure=lambda value: "large" if value else "small", measured="area", unit=" px", of_runs=lambda *_: None,
        noun="objects", test_shares={}, weighted="large",
    )  # fmt: skip
    task = replace(cutout, strata=large)
    samples = task.layout.find_samples(images / "train", labelled=True)
    measures = measures_of(large, samples)
    fold_of = divide(task, samples, measures, "size", 2, None)
    assert fold_of["scene0"] != fold_of["scene5"]
    assert columns(task) == ["fold", "scenes", "images", "small", "large", "not told", "large %", "area"]
    assert cells(large, samples, measures) == ["6", "12", "8", "4", "0", "33%", "0.3 px"]


def test_folds_are_joined_by_the_tasks_metric(make: Make) -> None:
    config = make("folds", fold=[0, 1], trainer={"epochs": 1, "batch_size": 2, "precision": "fp32"})
    for fold in (0, 1):
        train(config.of_fold(fold), resume=False, command="")
    numbers = write_crossval(config.run.folder / "folds")
    assert [fold["fold"] for fold in numbers["folds"]] == [0, 1]
    assert 0 <= numbers["mean_iou"] <= 1
    assert len(numbers["images"]) == 8
    assert "IoU" in (config.run.folder / "folds" / "crossval.html").read_text()


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("data.bent_weight", {"data": {"bent_weight": 2.0}}),
        ("predict.postprocess", {"predict": {"postprocess": ["fill_holes"]}}),
        ("predict.threshold", {"predict": {"threshold": 0.4}}),
    ],
)
def test_what_the_task_does_not_have_is_refused_by_its_key(
    key: str, changes: dict[str, Any], make: Make, images: Path
) -> None:
    data = {"root": str(images), "folds": 3, "workers": 0}
    changes = {section: {**(data if section == "data" else {}), **keys} for section, keys in changes.items()}
    with pytest.raises(UserError, match=rf"^{key}: .*cutout"):
        train(make(f"refused_{key.replace('.', '_')}", **changes), resume=False, command="")


def test_thresholds_of_soft_masks_are_refused(run: RunFolder, another_run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--runs: .*cutout"):
        tune_runs([run.path], tmp_path / "thresholds.json")
    with pytest.raises(UserError, match=r"^--threshold: .*cutout"):
        infer(run.path, None, tmp_path / "masks", threshold="0.4")
    with pytest.raises(UserError, match=r"^--threshold: .*cutout"):
        predict_together([run.path, another_run.path], None, tmp_path / "masks", threshold="0.4")
    assert not list(tmp_path.iterdir())
