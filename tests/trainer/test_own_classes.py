"""Classes of one's own: train, predict as labels, correct, convert back, train again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.schema import Config
from data.convert.convert import convert
from data.convert.settings import Settings
from data.masks.packed import plane
from data.submission.reader import read_submission
from data.tasks import task_named
from tests.contest import write_split
from trainer.evaluate import score_files
from trainer.inference import infer
from trainer.records.checkpoint import load_weights
from trainer.records.folder import RunFolder
from trainer.runs.run import train
from trainer.split import find_split
from utils.errors import UserError

NAMES = {"Radius": "요골", "Ulna": "ulna (left)", "finger-11": "middle"}
CLASSES: list[Any] = ["요골", {"name": NAMES["Ulna"], "group": "arm", "colour": "#ff8800"}, "middle"]
SQUARE = {"label": "middle", "points": [[5.2, 6.4], [20.1, 6.3], [20.4, 20.3], [5.0, 20.2]], "shape_type": "polygon"}


@pytest.fixture
def organs(tmp_path: Path) -> Path:
    """Images with three classes; an image may lack some, and its label lists them in no order."""
    folder = tmp_path / "organs"
    for split, patients, first in (("train", 4, 1), ("test", 1, 5)):
        write_split(folder / split, patients=patients, first=first)
    for number, path in enumerate(sorted(folder.rglob("outputs_json/*/*.json"))):
        found = json.loads(path.read_text())
        kept = [entry for entry in found["annotations"] if entry["label"] in NAMES][number % 2 :]
        found["annotations"] = [{**entry, "label": NAMES[entry["label"]]} for entry in kept]
        path.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return folder


def test_predictions_are_corrected_as_labels_and_trained_on(
    organs: Path, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    data = {"root": str(organs), "folds": 2, "classes": CLASSES}
    config = make_config(task="polygons", data=data, trainer={"epochs": 1})
    run = RunFolder(train(config, resume=False, command="").path)
    assert load_weights(run.best_weights).classes == tuple(NAMES.values())
    # Predict new images as labels.
    new = tmp_path / "new"
    shutil.copytree(organs / "test/DCM", new / "train/DCM")
    csv = infer(run.path, new / "train/DCM", new / "labelme", label_format="labelme")
    assert csv == new / "labelme.csv"
    task = task_named("polygons", config.data.classes)
    assert read_submission(csv, task.classes).names == ["image0005_0.png", "image0005_1.png"]
    score_files(task, csv, organs / "test", size_hw=None, json_file=tmp_path / "score.json", gallery=None)
    scores = json.dumps(json.loads((tmp_path / "score.json").read_text(encoding="utf-8")), ensure_ascii=False)
    assert all(f'"{name}"' in scores for name in task.classes)
    with pytest.raises(UserError, match="exists already, and nothing is overwritten"):
        infer(run.path, new / "train/DCM", new / "labelme", label_format="labelme")
    # Correct one of them, and convert all back.
    label = new / "labelme/image0005_0.json"
    found = json.loads(label.read_text(encoding="utf-8"))
    label.write_text(json.dumps({**found, "shapes": [SQUARE]}), encoding="utf-8")
    classes = {entry.name: entry.colour for entry in config.data.classes}
    settings = Settings(new / "train/DCM")
    convert(new / "labelme", "labelme", new / "train/outputs_json", "contest", settings, classes)
    corrected = task.layout.find_samples(new / "train", labelled=True)[0]
    assert plane(task.read(corrected)[1], 2).sum() == 16 * 15
    # Train on them beside the others.
    again = make_config(
        run={"name": "again"},
        task="polygons",
        data={**data, "extra_roots": [{"root": str(new)}]},
        trainer={"epochs": 1},
    )
    assert corrected.key in find_split(again).keys
