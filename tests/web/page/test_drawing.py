"""A cut-out that is drawn again is the same as one that is made anew, and slow refinements are not repeated."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from data.cutout.photos.reader import Photograph
from runtime.predictor import open_predictor
from web.engine.look import BaseLook, Look
from web.engine.models import ServedModel
from web.engine.prediction import Prediction
from web.page.cutout.drawing import PREVIEW_PX, Cutout


def look_of(**values: Any) -> BaseLook:
    return Look(**values)


LOOKS = (
    look_of(preset="nuggy"),
    look_of(preset="nuggy", cutoff_level=0.4),
    look_of(preset="nuggy", cutoff_level=0.4, feather_radius_px=3),
    look_of(preset="nuggy", guided_filter=False),
    look_of(preset="soft"),
    look_of(preset="plain"),
    look_of(preset="plain", min_max=True),
    look_of(preset="nuggy"),
)


@pytest.fixture
def prediction(models: list[str]) -> Prediction:
    """Of a picture of large spots, larger than a preview."""
    spots = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    pixels = np.asarray(cv2.resize(spots, (PREVIEW_PX + 120, 300), interpolation=cv2.INTER_CUBIC), np.uint8)
    predictor = open_predictor(Path(models[0]), workers=1)
    return Prediction(ServedModel("cut", predictor, 1, 1), Photograph(pixels), predictor.logits(pixels))


def test_each_alpha_is_that_of_a_prediction_alone(prediction: Prediction) -> None:
    cutout = Cutout("a.png", prediction, 0.1)
    for look in LOOKS:
        expected = prediction.alpha(look.refinements(prediction.model.refinements))
        np.testing.assert_array_equal(cutout.alpha(look), expected)
    assert 0 < expected.mean() < 255


def test_a_slider_does_not_repeat_what_is_slow(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    cutout = Cutout("a.png", prediction, 0.1)
    cutout.alpha(LOOKS[0])

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it is slow")

    monkeypatch.setattr(Prediction, "probabilities", refuse)
    assert not np.array_equal(cutout.alpha(LOOKS[0]), cutout.alpha(LOOKS[1]))
    with pytest.raises(AssertionError, match="slow"):
        cutout.alpha(look_of(preset="nuggy", guided_filter_radius_px=9))


def test_previews_are_reduced_and_files_are_not(prediction: Prediction) -> None:
    cutout = Cutout("a.png", prediction, 0.1)
    for output, channels in (("rgba", 4), ("colour", 3), ("blur", 3), ("mask", 1)):
        look = look_of(output=output)
        before, after = cutout.preview(look, None)
        assert before.shape == after.shape == (round(300 * PREVIEW_PX / (PREVIEW_PX + 120)), PREVIEW_PX, 3)
        with Image.open(io.BytesIO(cutout.file(look, None))) as file:
            assert (file.size, len(file.getbands())) == ((PREVIEW_PX + 120, 300), channels)
