"""What is checked of a network's teacher: that it computes its maps of masks as it did in its own training."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from trainer.records.checkpoint import is_of_others, load_weights
from utils.errors import UserError

log = logging.getLogger(__name__)

GOOD_SCORE = 0.98
"""A teacher reproduces masks almost exactly; IS-Net's authors train theirs to an F measure above 0.99."""


def check_teacher(path: Path) -> None:
    """Check a trained encoder of masks. Raises `UserError` if it learned from masks of other values than 0 to 1.

    A low score is a warning. Nothing is known of a file that a run of Carpus has not written.
    """
    if is_of_others(path):
        return
    weights = load_weights(path)
    transform: dict[str, Any] = weights.config.get("transform", {})
    mean, std = transform.get("mean"), transform.get("std")
    if (mean, std) != (0, 1):
        raise UserError(
            f"model.gt_encoder: {path} was trained with transform.mean={mean} and transform.std={std}, but it is given "
            "masks from 0 to 1. Train it with transform.mean=0 and transform.std=1, as configs/isnet_gt.yaml does."
        )
    if weights.score is not None and weights.score < GOOD_SCORE:
        log.warning(
            "model.gt_encoder: %s reproduces masks with %s %.4f only. Its maps say little about them; train it until "
            "the score is above %.2f.",
            *(path, weights.metric, weights.score, GOOD_SCORE),
        )
