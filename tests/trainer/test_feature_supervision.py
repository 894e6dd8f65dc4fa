"""IS-Net learns from the maps of an encoder of masks, which two runs of `train` make: one on masks, one on images."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from configs.loading.load import from_mapping
from configs.schema import Config
from data.cutout.mask_images import foreground_masks
from models import MODELS
from models.isnet import FrozenTeacher, GtEncoder, IsNet
from models.pretrained.fill import fill_network
from trainer.inference import infer
from trainer.records.checkpoint import load_weights
from trainer.records.folder import RunFolder
from trainer.records.teacher_file import check_teacher
from trainer.runs.run import train
from utils.errors import UserError

SIDE_PX = 64


def narrow_gt(classes: int, channels: int, *, weights: str | None = None) -> nn.Module:
    return fill_network(GtEncoder(classes, ((4, 8),) * 6), weights, "narrow_gt")


def narrow_isnet(classes: int, channels: int, *, gt_encoder: str | None = None) -> nn.Module:
    network = IsNet(classes, channels, ((4, 8),) * 11)
    if gt_encoder is not None:
        encoder = fill_network(GtEncoder(classes, ((4, 8),) * 6), gt_encoder, "narrow_gt", key="gt_encoder")
        network.teacher = FrozenTeacher(encoder, 1.0)
    return network


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "narrow_gt", narrow_gt)
        patch.setitem(MODELS, "narrow_isnet", narrow_isnet)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photographs of a disc, and their masks."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    for part, number in [("train", number) for number in range(8)] + [("test", 8)]:
        mask = cv2.circle(np.zeros((SIDE_PX, SIDE_PX), np.uint8), (20 + 3 * number, 30), 14, 255, cv2.FILLED)
        photo = np.where(mask[..., None] > 0, 200, rng.integers(0, 90, (SIDE_PX, SIDE_PX, 3), np.uint8))
        for kind, pixels in (("images", photo.astype(np.uint8)), ("masks", mask)):
            path = folder / part / kind / f"disc{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
    return folder


def config(root: Path, name: str, task: str, model: str | dict[str, Any], **transform: Any) -> Config:
    return from_mapping(
        {
            "run": {"name": name, "folder": str(root / "runs")},
            "task": task,
            "data": {"root": str(root), "folds": 4, "workers": 0},
            "transform": {"size_px": SIDE_PX, **transform},
            "model": model,
            "loss": {"name": "deep_supervision", "loss": "bce"},
            "optimizer": {"name": "adam", "lr": 1e-2},
            "scheduler": "constant",
            "trainer": {"epochs": 2, "batch_size": 3, "precision": "fp32"},
            "services": {"mlflow": {"local": False}},
        }
    )


def with_epochs(settings: Config, epochs: int) -> Config:
    return settings.model_copy(update={"trainer": settings.trainer.model_copy(update={"epochs": epochs})})


def rows_of(folder: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(folder.metrics.read_text().splitlines()))


def run(settings: Config, *, resume: bool = False) -> RunFolder:
    return RunFolder(train(settings, resume=resume, command="").path)


@pytest.fixture(scope="module")
def encoder(root: Path) -> RunFolder:
    """The run of the encoder of masks."""
    return run(with_epochs(config(root, "gt", "foreground_masks", "narrow_gt", mean=0.0, std=1.0), 12))


def test_an_encoder_learns_to_reproduce_masks(encoder: RunFolder, root: Path, tmp_path: Path) -> None:
    first, *_, last = rows_of(encoder)
    assert float(last["train_loss"]) < 0.6 * float(first["train_loss"])
    written = infer(encoder.best_weights, None, tmp_path / "masks")
    assert [path.name for path in written.iterdir()] == ["disc8.png"]


def test_masks_are_images_and_targets_at_once(root: Path) -> None:
    samples = foreground_masks.layout.find_samples(root / "train", labelled=True)
    assert [sample.name for sample in samples] == [f"disc{number}" for number in range(8)]
    image, mask = foreground_masks.read(samples[0])
    np.testing.assert_array_equal(image, mask[..., 0])
    assert set(np.unique(image)) == {0, 255}
    found = [foreground_masks.layout.find_images(root / "test" / part) for part in ("", "masks")]
    assert [[sample.image for sample in of] for of in found] == [[root / "test" / "masks" / "disc8.png"]] * 2
    assert all(sample.label is None for of in found for sample in of)


def test_a_run_with_a_teacher_resumes_exactly_and_does_not_save_it(encoder: RunFolder, root: Path) -> None:
    model = {"name": "narrow_isnet", "gt_encoder": str(encoder.best_weights)}
    whole = run(config(root, "whole", "foreground", model))
    assert all(float(row["train_features"]) > 0 for row in rows_of(whole))
    settings = config(root, "halves", "foreground", model)
    run(with_epochs(settings, 1))
    weights, expected = (load_weights(of.best_weights).tensors for of in (run(settings, resume=True), whole))
    assert weights.keys() == narrow_isnet(1, 3).state_dict().keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_an_encoder_of_other_values_is_refused(root: Path) -> None:
    other = run(with_epochs(config(root, "grey", "foreground_masks", "narrow_gt"), 1))
    model = {"name": "narrow_isnet", "gt_encoder": str(other.best_weights)}
    with pytest.raises(UserError, match=r"^model\.gt_encoder: .* was trained with transform\.mean=0\.122 and"):
        run(config(root, "refused", "foreground", model))


def test_an_encoder_that_knows_masks_badly_is_reported(
    encoder: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for least, warnings in ((0.0, 0), (1.1, 1)):
        monkeypatch.setattr("trainer.records.teacher_file.GOOD_SCORE", least)
        caplog.clear()
        check_teacher(encoder.best_weights)
        assert [record.message.count("reproduces masks with iou") for record in caplog.records] == [1] * warnings
    torch.save({}, tmp_path / "of_others.pth")
    check_teacher(tmp_path / "of_others.pth")
