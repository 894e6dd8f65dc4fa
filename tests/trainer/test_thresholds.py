"""Thresholds from runs: tuned on what each held out, scored as validation scores, refused where runs do not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.load import from_mapping
from configs.schema import Config
from data.classes import BONES
from trainer.checkpoint import load_weights, save_weights
from trainer.folder import RunFolder
from trainer.run import train
from trainer.thresholding import load_thresholds
from trainer.thresholds import single_runs, tune_runs
from utils.errors import UserError


@pytest.fixture(scope="module")
def runs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """Two folds of three, briefly trained."""
    folder = tmp_path_factory.mktemp("runs")
    return [train(tiny(root, folder, f"tiny{fold}", fold=fold), resume=False, command="") for fold in (0, 1)]


def tiny(root: Path, folder: Path, name: str, **changes: Any) -> Config:
    return from_mapping(
        {
            "run": {"name": name, "folder": str(folder)},
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 32},
            "model": {"name": "unet", "encoder": "tu-mobilenetv3_small_050", "encoder_weights": None},
            "optimizer": {"name": "adamw", "lr": 3e-3},
            "trainer": {"epochs": 1, "batch_size": 2, "precision": "fp32"},
            **changes,
        }
    )


def test_thresholds_are_tuned_on_held_out_images(
    runs: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made" / "thresholds.json"
    tuned = tune_runs([run.path for run in runs], output)
    scored = [json.loads(run.validation.read_text()) for run in runs]
    assert tuned.at_half_C.mean() == pytest.approx(np.mean([score["mean_dice"] for score in scored]))
    told = json.loads(output.read_text())
    assert (told["images"], told["folds"]) == (8, 2)
    assert told["mean_dice"]["tuned_unseen"] == pytest.approx(tuned.estimate_C.mean())
    assert told["per_class"]["at_0.5"]["Lunate"] == pytest.approx(
        np.mean([score["per_class"]["Lunate"] for score in scored])
    )
    assert load_thresholds(output, BONES) == tuple(tuned.thresholds_C)
    shown = " ".join(capsys.readouterr().out.split())
    assert "finger-19" in shown
    assert "over 8 images; tuned is estimated on images that the choice has not seen (2 folds)" in shown


def test_runs_that_do_not_fit_are_told_before_anything_is_predicted(runs: list[RunFolder], tmp_path: Path) -> None:
    output = tmp_path / "thresholds.json"
    with pytest.raises(UserError, match="is given twice"):
        tune_runs([runs[0].path, runs[0].best_weights], output)
    with pytest.raises(UserError, match="no run here"):
        tune_runs([tmp_path / "none"], output)
    with pytest.raises(UserError, match="is a folder"):
        tune_runs([runs[0].path], tmp_path)
    with pytest.raises(UserError, match="has learnt from the images that it was scored on"):
        tune_runs([runs[0].path, altered(runs[0], tmp_path / "learnt", "trainer", "overfit_batches", 1)], output)
    with pytest.raises(UserError, match="there is no folder"):
        tune_runs([altered(runs[0], tmp_path / "moved", "data", "root", str(tmp_path / "gone"))], output)
    assert not output.exists()


def altered(run: RunFolder, path: Path, section: str, key: str, value: Any) -> Path:
    """The run's weights in another file, with one key of their configuration changed."""
    weights = load_weights(run.best_weights)
    config = {**weights.config, section: {**weights.config[section], key: value}}
    save_weights(path, replace(weights, config=config))
    return path


def test_a_cross_validation_stands_for_its_folds(tmp_path: Path) -> None:
    for fold in (10, 2, 0):
        (tmp_path / f"fold{fold}").mkdir()
        (tmp_path / f"fold{fold}" / "config.yaml").touch()
    assert [path.name for path in single_runs(tmp_path)] == ["fold0", "fold2", "fold10"]
    (tmp_path / "config.yaml").touch()
    assert single_runs(tmp_path) == [tmp_path]
