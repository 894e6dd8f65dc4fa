from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.hand_bone.task import hand_bone
from data.masks.packed import pack_planes
from data.sample import Sample
from data.task import no_description
from trainer.review.features import confidences, features_from, measure

TWO = replace(hand_bone, classes=("one", "none"), describe=no_description)


def logits(*probabilities: float) -> torch.Tensor:
    """One class whose pixels, in a row, have these probabilities."""
    return torch.logit(torch.tensor([[list(probabilities)]], dtype=torch.float64))


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ((0.8, 0.8, 1e-9, 1e-9), 2 * 1.6 / (1.6 + 2)),
        ((1 - 1e-9, 1e-9), 1.0),
        ((1e-9, 1e-9), 1.0),  # surely absent
        ((0.45, 0.45), 0.0),  # nothing reaches the threshold, though something is there
    ],
)
def test_confidence_is_the_overlap_that_the_probabilities_expect(
    probabilities: tuple[float, ...], expected: float
) -> None:
    assert confidences(logits(*probabilities), 0.5) == pytest.approx([expected], abs=1e-6)


def test_each_class_has_its_own_threshold() -> None:
    two = torch.cat([logits(0.4, 0.2), logits(0.4, 0.2)])
    assert confidences(two, (0.3, 0.5)) == pytest.approx([2 * 0.4 / 1.6, 0.0], abs=1e-6)


def test_confidence_is_the_mean_score_of_truths_drawn_from_the_probabilities() -> None:
    """The right value by simulation: masks drawn pixel by pixel, each scored against the mask at 0.5."""
    draws = np.random.default_rng(0)
    probabilities = draws.uniform(0, 1, (1, 30, 40)) ** 0.3
    mask = probabilities[0] > 0.5
    truths = draws.uniform(0, 1, (300, 30, 40)) < probabilities
    scores = [2 * (truth & mask).sum() / (truth.sum() + mask.sum()) for truth in truths]
    found = confidences(torch.logit(torch.from_numpy(probabilities)), 0.5)
    assert found == pytest.approx([np.mean(scores)], abs=2e-3)


def test_areas_are_exact_and_places_are_those_of_the_native_image() -> None:
    masks = np.zeros((2, 1300, 900), bool)
    masks[0, 100:300, 200:280] = True
    masks[0, 700:720, 200:280] = True  # a second piece
    masks[0, 1000:1006, 2:8] = True  # a speck
    found = measure(TWO, Sample("a.png", "ID001", Path("a.png")), pack_planes(masks), np.array([0.9, 1.0]))
    one, none = found.classes.values()
    assert (one.area_px, one.pieces) == (220 * 80 + 36, 2)
    assert one.box_xyxy is not None
    assert one.centre_xy is not None
    assert np.abs(np.subtract(one.box_xyxy[1:], (100, 280, 1006))).max() <= 3
    assert np.abs(np.subtract(one.centre_xy, (240, (200 * 200 + 20 * 710) / 220))).max() <= 3
    assert (none.area_px, none.pieces, none.box_xyxy, none.centre_xy, none.is_found) == (0, 0, None, None, False)
    assert found.about == "ID001"
    assert found.confidence == pytest.approx(0.95)
    assert features_from(json.loads(json.dumps(found.as_dict()))) == found
