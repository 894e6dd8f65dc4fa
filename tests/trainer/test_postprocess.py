"""Masks are mended in one place: what validation scores is what inference writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.schema import Config
from data.masks.packed import dice
from data.masks.postprocess import fill_holes, keep_largest, postprocess_mask
from data.tasks import TASKS
from loss import LOSSES
from trainer.build import build_model, build_predictor
from trainer.evaluation.validator import Validator
from trainer.prediction.predictor import Predictor
from utils.errors import UserError

Make = Callable[..., Config]
TASK = TASKS["hand_bone"]


def predictor_of(config: Config) -> Predictor:
    """An untrained network, whose masks are full of specks."""
    torch.manual_seed(0)
    return build_predictor(config, build_model(config).eval(), torch.device("cpu"))


def test_masks_are_postprocessed_as_configured_and_then_scored(make_config: Make, root: Path) -> None:
    samples = TASK.layout.find_samples(root / "train", labelled=True)[:3]
    rough = predictor_of(make_config())
    mending = predictor_of(make_config(predict={"postprocess": ["keep_largest", {"name": "fill_holes"}]}))
    mended = dict(mending.masks(samples))
    for sample, mask in rough.masks(samples):
        assert not np.array_equal(mask, mended[sample])
        assert np.array_equal(postprocess_mask(mask, 29, (keep_largest(), fill_holes())), mended[sample])
    validator = Validator(
        mending,
        samples,
        TASK.read,
        TASK.encoding.unpack,
        TASK.metrics[0],
        TASK.classes,
        LOSSES["bce"](),
        lambda _: None,
    )
    rows = validator.score(mending.network, 0).table.rows
    for sample in samples:
        assert np.array_equal(rows[sample.name], dice(mended[sample], TASK.read(sample)[1], 29))


def test_an_unknown_postprocessing_is_reported_with_the_nearest(make_config: Make) -> None:
    with pytest.raises(UserError, match=r"'keep_larges' is not a cleanup. Did you mean 'keep_largest'\?"):
        make_config(predict={"postprocess": ["keep_larges"]})
