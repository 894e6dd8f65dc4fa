"""Classes of one's own: in a config, in a file for other programs, and in the labels that name them."""

from __future__ import annotations

import json
import pickle
import unicodedata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from configs.loading.load import as_dict, from_mapping, load
from data.check.refuse import refuse_broken
from data.polygons.classes import ClassEntry, classes_of, read_classes
from data.sample import Sample
from data.tasks import TASKS, task_named
from runtime.model.metadata import Metadata, metadata_from
from tests.root import ROOT
from utils.errors import UserError

SMOKE = ROOT / "configs" / "smoke.yaml"
OWN = classes_of(["간", {"name": "left kidney", "group": "kidneys", "colour": "#FF8800"}], "here")
SQUARE = [[2, 2], [9, 2], [9, 9], [2, 9]]


def write_config(folder: Path, text: str) -> Path:
    path = folder / "own.yaml"
    path.write_text(f"extends: {SMOKE}\nrun: {{name: own}}\n{text}", encoding="utf-8")
    return path


def test_a_config_lists_names_or_blocks_and_the_task_has_them(tmp_path: Path) -> None:
    text = 'task: polygons\ndata:\n  classes:\n    - 간\n    - {name: left kidney, group: kidneys, colour: "#FF8800"}\n'
    config = load(write_config(tmp_path, text))
    task = config.chosen_task
    assert task.classes == ("간", "left kidney")
    assert task.groups == {"classes": ("간",), "kidneys": ("left kidney",)}
    assert task.class_colours[1] == (0x00, 0x88, 0xFF)
    assert not task.checks.all_classes
    assert task.strata is None
    assert from_mapping(as_dict(config), source="again").chosen_task == task
    assert pickle.loads(pickle.dumps(task)) == task


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: polygons\n", r"data\.classes: task 'polygons' has no classes of its own\. List them"),
        ("data: {classes: [liver]}\n", r"data\.classes: task 'hand_bone' has its own classes \(29\).*task: polygons"),
        ("task: polygons\ndata: {classes: [a, b, a]}\n", "expected each class once, but 'a' is listed 2 times"),
        ("task: polygons\ndata: {classes: [true]}\n", "expected text, got true; put it in quotes"),
        ("task: polygons\ndata: {classes: [1]}\n", "expected text, got 1; put it in quotes"),
        ("task: polygons\ndata: {classes: ['a,b']}\n", "expected a name without commas"),
        ("task: polygons\ndata: {classes: [{name: a, color: red}]}\n", "unknown key. Did you mean 'colour'"),
        ("task: polygons\ndata: {classes: [{name: a, colour: red}]}\n", "expected six digits after #"),
        (
            "task: polygons\ndata:\n  classes:\n    - name: a\n      colour: #ff0000\n",
            "takes what follows # for a comment",
        ),
    ],
)
def test_what_cannot_be_a_list_of_classes_is_refused_with_the_way_out(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(write_config(tmp_path, text))


def test_other_programs_read_the_list_from_a_file_or_a_config(tmp_path: Path) -> None:
    path = tmp_path / "classes.yaml"
    path.write_text("- 간\n- {name: left kidney, group: kidneys, colour: '#ff8800'}\n", encoding="utf-8")
    assert read_classes(path) == OWN
    path.write_text("data: {classes: [a, b]}\n")
    assert [entry.name for entry in read_classes(path)] == ["a", "b"]
    for text, said in (("a: 1", "holds no list of classes"), ("[a, [b]]", "entry 2: expected text"), ("[", "no valid")):
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            read_classes(path)


def test_names_are_compared_in_one_spelling() -> None:
    apart = unicodedata.normalize("NFD", "간")
    assert classes_of([apart], "here")[0].name == "간"
    with pytest.raises(UserError, match="here: expected each class once"):
        classes_of(["간", apart], "here")


def test_the_description_of_an_onnx_file_holds_the_list() -> None:
    about = Metadata("polygons", ("간", "left kidney"), tuple(entry.model_dump() for entry in OWN))
    found = metadata_from(about.as_properties())
    assert found is not None
    assert task_named(found.task, classes_of(found.own_classes, "file")) == task_named("polygons", OWN)


def write_sample(folder: Path, name: str, labels: list[str]) -> Sample:
    image, label = folder / f"{name}.png", folder / f"{name}.json"
    cv2.imwrite(str(image), np.zeros((16, 16), np.uint8))
    entries: list[dict[str, Any]] = [{"label": each, "points": SQUARE} for each in labels]
    label.write_text(json.dumps({"annotations": entries}), encoding="utf-8")
    return Sample(image.name, name, image, label)


def test_a_label_may_lack_classes_and_an_unknown_one_is_refused_with_the_list_once(tmp_path: Path) -> None:
    task = task_named("polygons", OWN)
    decomposed = unicodedata.normalize("NFD", "간")
    assert task.read(write_sample(tmp_path, "whole", [decomposed]))[1].sum() == 64
    assert task.check(write_sample(tmp_path, "empty", [])) is None
    wrong = [write_sample(tmp_path, f"wrong{n}", ["간", f"spleen{n}", "liver"]) for n in range(3)]
    with pytest.raises(UserError) as refused:
        refuse_broken(wrong, task.check)
    sentence, _ = str(refused.value).splitlines()
    assert "wrong0.json and 2 other labels: 'spleen0', 'liver', 'spleen1', 'spleen2' are no classes" in sentence
    assert sentence.count("left kidney") == 1


def test_only_a_task_without_classes_takes_a_list() -> None:
    assert [name for name, task in TASKS.items() if task.of_classes is not None] == ["polygons"]
    with pytest.raises(UserError, match="has its own classes"):
        task_named("foreground", (ClassEntry(name="a"),))
