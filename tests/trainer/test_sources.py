"""Several sources in one training: which images are taken, how often they are drawn, and what is said of them."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from configs.loading.load import as_dict, from_mapping
from configs.schema import Config
from data.cutout.task import foreground
from tests.data.cutout.test_layouts import write_pairs
from trainer.provenance import joined, read_provenance, sources_of, starts_of, write_provenance
from trainer.records.checkpoint import Weights, load_weights, save_weights
from trainer.records.folder import RunFolder
from trainer.report.report import source_tables
from trainer.split import find_split, sampling_weights
from utils.errors import UserError

GLASS = {"root": "glass", "enabled": False, "reason": "its masks are hard"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three sets in layouts of their own whose images have the same names: 8, 4 and 6 pairs."""
    write_pairs(tmp_path / "a" / "DUTS-TR" / "DUTS-TR-Image", tmp_path / "a" / "DUTS-TR" / "DUTS-TR-Mask", count=8)
    write_pairs(tmp_path / "b" / "train" / "original", tmp_path / "b" / "train" / "mask", count=4, seed=1)
    write_pairs(tmp_path / "c" / "images", tmp_path / "c" / "masks", count=6, seed=2)
    return tmp_path


def config_of(root: Path, *extra: dict[str, Any], model: Any = "u2netp", **data: Any) -> Config:
    roots = [{**each, "root": str(root / each["root"])} for each in extra]
    return from_mapping(
        {
            "task": "foreground",
            "run": {"name": "mixed", "folder": str(root / "runs")},
            "data": {"root": str(root / "a"), "folds": 4, "extra_roots": roots, **data},
            "model": model,
        }
    )


def test_images_of_one_name_in_several_sources_are_all_trained_on(root: Path) -> None:
    split = find_split(config_of(root, {"root": "b"}, {"root": "c"}, GLASS))
    assert [sample.source for sample in split.train] == [0] * 6 + [1] * 4 + [2] * 6
    assert [sample.source for sample in split.valid] == [0, 0]


def test_an_image_that_is_held_out_or_labelled_already_is_known_by_its_bytes(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = config_of(root, {"root": "c"})
    own = find_split(config)
    held_out, labelled = own.valid[0].image, own.train[0].image
    shutil.copy(held_out, root / "c" / "images" / "p0.jpg")
    shutil.copy(labelled, root / "c" / "images" / "p1.jpg")
    caplog.clear()
    split = find_split(config)
    assert {sample.image.name for sample in split.train if sample.source} == {"p2.jpg", "p3.jpg", "p4.jpg", "p5.jpg"}
    assert "4 images to train on; left out: 1 of held-out images, 1 labelled already" in caplog.text


def test_a_source_is_drawn_as_often_as_it_weighs_wherever_its_files_lie(root: Path) -> None:
    listed = root / "listed" / "train"
    listed.mkdir(parents=True)
    names = [f"p{number}" for number in range(4)]
    pairs = [f"{root}/b/train/original/{name}.jpg\t{root}/b/train/mask/{name}.png\n" for name in names]
    (listed / "pairs.txt").write_text("".join(pairs))
    config = config_of(root, {"root": "listed", "weight": 3.0}, {"root": "c", "weight": 0.5})
    train = find_split(config).train
    assert sampling_weights(config, train) == [1.0] * 6 + [3.0] * 4 + [0.5] * 6
    entries = sources_of(config, train, sampling_weights(config, train))
    assert [entry["images"] for entry in entries] == [6, 4, 6]
    assert [entry["share"] for entry in entries] == [round(part / 21, 4) for part in (6, 12, 3)]


def test_a_source_is_disabled_with_a_reason_and_needs_no_files(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    find_split(config_of(root, GLASS))
    assert f"data.extra_roots: {root}/glass: not trained on: its masks are hard" in caplog.text
    with pytest.raises(UserError, match=r"data\.extra_roots\[0\]\.reason: expected why this source is not trained on"):
        config_of(root, {"root": "c", "enabled": False})


def test_sources_and_starting_weights_are_written_with_their_licences(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    start = root / "u2netp.safetensors"
    about = {"licence": "Apache-2.0", "attribution": "its authors", "source": "a package"}
    save_file({"a": torch.zeros(1)}, start, about)
    config = config_of(
        root, {"root": "b", "licence": "CC BY 4.0", "attribution": "B"}, {"root": "c"}, GLASS, licence="MIT"
    )
    config = with_weights(config, start)
    folder = RunFolder(root / "run")
    folder.checkpoints.mkdir(parents=True)
    write_provenance(folder, config, find_split(config).train, None)
    found = read_provenance(folder)
    assert [(entry["licence"], entry["attribution"]) for entry in found["data"]] == [
        ("MIT", None), ("CC BY 4.0", "B"), (None, None), (None, None),
    ]  # fmt: skip
    assert found["start"] == [{"name": str(start), **about}]
    assert [message for message in caplog.messages if "no licence" in message] == [
        f"no licence is given of {root}/c; weights and report say so (data.licence)"
    ]
    data, weights = source_tables(found)
    assert data["rows"][1] == [f"{root}/b", "4", "1.0", "25.0%", "CC BY 4.0", "B"]
    assert data["rows"][2][4] == "not given"
    assert data["rows"][3][0] == f"{root}/glass (not trained on: its masks are hard)"
    assert weights["rows"] == [[str(start), "Apache-2.0", "its authors", "a package"]]
    # A run that goes on after the weights have gone still knows them.
    start.unlink()
    write_provenance(folder, config, find_split(config).train, None)
    assert read_provenance(folder) == found


def with_weights(config: Config, path: Path) -> Config:
    """The same config with these weights, which are not opened."""
    params = config.model.params.model_copy(update={"weights": str(path)})
    return config.model_copy(update={"model": replace(config.model, params=params)})


def test_a_network_that_starts_from_a_run_carries_what_that_was_made_from(root: Path) -> None:
    config = config_of(root)
    before = {
        "data": [{"name": "x", "licence": "MIT", "attribution": "X"}, {"name": "y", "reason": "left out"}],
        "start": [{"name": "older", "licence": "Apache-2.0", "attribution": None, "source": None}],
    }
    path = root / "best.safetensors"
    weights = Weights({"a": torch.zeros(1)}, foreground.classes, as_dict(config), 0, 0.5, "iou", provenance=before)
    save_weights(path, weights)
    assert load_weights(path).provenance == before
    names = [(entry["name"], entry["licence"]) for entry in starts_of(with_weights(config, path))]
    assert names == [(str(path), None), (f"x, images of {path}", "MIT"), ("older", "Apache-2.0")]


def test_the_licence_of_weights_in_a_package_is_known(root: Path) -> None:
    encoder = {"encoder": "timm-tf_efficientnet_lite0", "encoder_weights": "lite0"}
    assert [
        (start["name"], start["licence"]) for start in starts_of(config_of(root, model={"name": "unet", **encoder}))
    ] == [("lite0", "Apache-2.0")]


def test_a_network_made_of_several_has_each_source_once() -> None:
    one = {"data": [{"name": "x"}, {"name": "y"}], "start": []}
    assert joined([one, {"data": [{"name": "y"}, {"name": "z"}]}, {}]) == {
        "data": [{"name": "x"}, {"name": "y"}, {"name": "z"}],
        "start": [],
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"data": 3}', '{"data": [3, {"share": "x", "licence": {"a": 1}}]}'])
def test_a_damaged_file_of_sources_spoils_no_report(text: str, tmp_path: Path) -> None:
    (tmp_path / "sources.json").write_text(text)
    for table in source_tables(read_provenance(RunFolder(tmp_path))):
        assert all(isinstance(cell, str) for row in table["rows"] for cell in row)


def test_settings_of_earlier_versions_load(root: Path) -> None:
    (root_of,) = config_of(root, {"root": "b", "weight": 0.3}).data.extra_roots
    assert (root_of.enabled, root_of.licence, root_of.weight) == (True, None, 0.3)
    assert json.loads(json.dumps(as_dict(config_of(root))))["data"]["extra_roots"] == []
