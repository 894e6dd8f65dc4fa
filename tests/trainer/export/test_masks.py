from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from data.sample import Sample
from models.precision import Precision
from tests.runtime.networks import SIDE_PX, small_for
from trainer.export.proof.masks import by_torch
from trainer.prediction.predictor import Predictor
from transform import Normalisation, Pipeline


def test_the_mask_of_a_padded_image_is_that_of_a_prediction() -> None:
    """Without what was added around the image, so that the proof compares what is predicted."""
    image = np.random.default_rng(0).integers(0, 256, (40, 90), np.uint8)
    predictor = Predictor(
        network=small_for("hand_bone"),
        transform=Pipeline(size_px=SIDE_PX, pad=True),
        normalise=Normalisation(0.122, 0.168),
        precision=Precision("fp32", "cpu"),
        device=torch.device("cpu"),
        read_image=lambda _: image,
    )
    sample = Sample("a", "a", Path("a.png"))
    ((_, expected),) = predictor.masks([sample])
    assert np.array_equal(by_torch(predictor, sample, image), expected)
    assert expected.shape[:2] == image.shape
