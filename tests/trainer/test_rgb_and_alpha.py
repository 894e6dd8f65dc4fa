"""A task of RGB images and soft masks goes the whole way: loader, training step, views and windows, alpha masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from configs.schema import Config
from data.encoding import ALPHA
from data.hand_bone.task import hand_bone
from data.sample import Sample
from data.tasks import TASKS
from trainer import build
from trainer.build import assemble
from trainer.split import Split
from utils.arrays import Image, Size, StoredMask

NATIVE_HW = (48, 40)
EPOCHS = 40
SAMPLES = [Sample(f"{number}.png", f"ID{number}", Path(f"{number}.png"), Path(f"{number}.json")) for number in range(4)]


def read_image(path: Path) -> Image:
    """A soft red blob and a soft blue one on green, at places that the file's number decides."""
    red, blue = np.moveaxis(blobs(int(path.stem)), 2, 0)
    return np.stack([red, 255 - np.maximum(red, blue), blue], axis=2)


def read_mask(sample: Sample, size_hw: Size) -> StoredMask:
    return blobs(int(sample.image.stem))


def blobs(number: int) -> StoredMask:
    planes = []
    for index in range(2):
        plane = np.zeros(NATIVE_HW, np.uint8)
        cv2.circle(plane, (10 + 4 * number, 12 + 20 * index), 7, 255, -1)
        planes.append(cv2.GaussianBlur(plane, (0, 0), 2.0))
    return np.asarray(np.stack(planes, axis=2), np.uint8)


@pytest.fixture
def config(make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Config:
    """An experiment with a network of two layers."""
    painted = replace(
        hand_bone,
        name="painted",
        classes=("red", "blue"),
        groups={"colours": ("red", "blue")},
        channels=3,
        encoding=ALPHA,
        read_image=read_image,
        read_mask=read_mask,
        strata=None,
    )
    monkeypatch.setitem(TASKS, "painted", painted)
    monkeypatch.setattr(build, "build_model", two_layers)
    return make_config(
        task="painted",
        transform={
            "size_px": 32,
            "train": ["hflip", {"name": "affine", "p": 0.5}, "gamma", "clahe"],
            "evaluate": ["clahe"],
            "mean": [0.3, 0.5, 0.3],
            "std": [0.3, 0.3, 0.25],
        },
        optimizer={"lr": 0.05},
        trainer={"epochs": EPOCHS},
        loss="bce",
        predict={
            "windows": {"size_px": 24},
            "tta": {"hflip": True, "scales": [1.5], "rotations_deg": [5], "gammas": [0.9]},
        },
    )


def two_layers(config: Config) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Tanh(), nn.Conv2d(8, 2, 1))


def test_soft_masks_of_rgb_images_are_learnt_and_predicted(config: Config) -> None:
    assembly = assemble(config, Split(SAMPLES, SAMPLES[:1]), Accelerator(cpu=True))
    losses: list[float] = []
    for epoch in range(EPOCHS):
        batches = list(assembly.loader.batches(epoch))
        for number, (images, masks) in enumerate(batches):
            assert (images.shape, masks.shape) == ((2, 32, 32, 3), (2, 32, 32, 2))
            losses.append(float(assembly.stepper.step(images, masks, number, len(batches))["loss"]))
    assert np.mean(losses[-8:]) < 0.5 * np.mean(losses[:8])
    predictor = assembly.validator.predictor
    predictor.network.eval()
    for sample, alpha in predictor.masks(SAMPLES):
        assert (alpha.shape, alpha.dtype) == ((*NATIVE_HW, 2), np.dtype(np.uint8))
        assert np.abs(alpha.astype(int) - read_mask(sample, NATIVE_HW)).mean() < 12


def test_a_target_at_the_networks_size_is_as_soft_as_the_mask(config: Config) -> None:
    validator = assemble(config, Split(SAMPLES, SAMPLES[:1]), Accelerator(cpu=True)).validator
    prediction = next(iter(validator.predictor.predict(SAMPLES[:1], validator.read)))
    stored: Any = prediction.loaded.target_hwK
    assert np.array_equal(stored, cv2.resize(read_mask(SAMPLES[0], NATIVE_HW), (32, 32), interpolation=cv2.INTER_AREA))
    target = validator.unpack(torch.from_numpy(stored)[None], 2)
    assert 0.1 < float(target[(target > 0) & (target < 1)].mean()) < 0.9
