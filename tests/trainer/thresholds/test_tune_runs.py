"""Thresholds from runs: tuned on what each held out, scored as validation scores, refused where runs do not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.loading.load import as_dict, dump, from_mapping
from configs.schema import Config
from data.hand_bone.classes import BONES
from data.hand_bone.task import hand_bone
from data.masks.packed import dice
from runtime.threshold_file import load_thresholds
from tests.networks import UNET
from trainer.build import build_model
from trainer.evaluation.score_table import ScoreTable
from trainer.records.checkpoint import Weights, load_weights, save_weights
from trainer.records.folder import RunFolder
from trainer.records.weights_files import single_runs
from trainer.split import find_split
from trainer.thresholds.choice import Tuned
from trainer.thresholds.tune_runs import closing_lines, tune_runs
from trainer.trained import load_trained
from utils.errors import UserError


@pytest.fixture(scope="module")
def runs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """Two folds of three, with networks that have learnt nothing."""
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(tiny(root, folder, fold)) for fold in (0, 1)]


def tiny(root: Path, folder: Path, fold: int) -> Config:
    return from_mapping(
        {
            "run": {"name": f"tiny{fold}", "folder": str(folder)},
            "fold": fold,
            "data": {"root": str(root), "folds": 3, "workers": 0},
            "transform": {"size_px": 32},
            "model": UNET,
            "trainer": {"precision": "fp32"},
        }
    )


def write_run(config: Config) -> RunFolder:
    """What training leaves behind, as far as it is needed to predict."""
    folder = RunFolder(config.folder)
    torch.manual_seed(config.held_out)
    tensors = build_model(config).state_dict()
    save_weights(folder.best_weights, Weights(tensors, BONES, as_dict(config), 0, 0.0))
    folder.config.write_text(dump(config))
    return folder


def dice_of(run: RunFolder) -> ScoreTable:
    """How the run's masks score on what it held out."""
    trained, table = load_trained(run.best_weights, torch.device("cpu")), ScoreTable(BONES, hand_bone.metric)
    for sample, mask in trained.predictor.masks(find_split(trained.config).valid):
        table.add(sample.name, dice(mask, trained.task.read(sample)[1], len(BONES)))
    return table


def test_thresholds_are_tuned_on_held_out_images(
    runs: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made" / "thresholds.json"
    tuned = tune_runs([run.path for run in runs], output)
    scored = [dice_of(run) for run in runs]
    assert tuned.at_half_C.mean() == pytest.approx(np.mean([table.mean for table in scored]))
    told = json.loads(output.read_text())
    assert (told["images"], told["folds"]) == (8, 2)
    assert told["mean_dice"]["tuned_unseen"] == pytest.approx(tuned.estimate_C.mean())
    assert told["per_class"]["at_0.5"]["Lunate"] == pytest.approx(
        np.mean([table.per_class["Lunate"] for table in scored])
    )
    assert load_thresholds(output, BONES) == tuple(tuned.thresholds_C)
    shown = " ".join(capsys.readouterr().out.split())
    assert "finger-19" in shown
    assert "over 8 images; tuned is estimated on images that the choice has not seen (2 folds)" in shown


def test_runs_that_do_not_fit_are_reported_before_anything_is_predicted(runs: list[RunFolder], tmp_path: Path) -> None:
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
    (tmp_path / "fold2.replaced").mkdir()
    assert [path.name for path in single_runs(tmp_path)] == ["fold0", "fold2", "fold10"]
    (tmp_path / "config.yaml").touch()
    assert single_runs(tmp_path) == [tmp_path]


def test_gains_that_are_not_used_are_counted() -> None:
    """Of three classes one moves, one keeps 0.5 with a loss on unseen images, and one is not touched."""
    tuned = Tuned(np.array([0.3, 0.5, 0.5]), np.array([0.7, 0.8, 0.9]), np.array([0.8, 0.78, 0.9]), 3)
    lines = closing_lines(tuned, 12)
    assert lines[1:] == [
        "1 of 3 classes leave 0.5.",
        "The gain of 1 class is not used, because it is negative or uncertain: 0.5 is kept, and the Dice at 0.5.",
    ]
    assert len(closing_lines(replace(tuned, estimate_C=np.array([0.8, 0.8, 0.9])), 12)) == 2
