"""The losses by name. A new loss is a function that returns a `Loss`, in a file of its own, and a line here."""

from __future__ import annotations

from collections.abc import Callable

from loss.base import Loss
from loss.mix import dice_bce, mix
from loss.pixel import bce, focal
from loss.region import dice, focal_tversky, jaccard, tversky

LOSSES: dict[str, Callable[..., Loss]] = {
    "bce": bce,
    "dice": dice,
    "dice_bce": dice_bce,
    "focal": focal,
    "focal_tversky": focal_tversky,
    "jaccard": jaccard,
    "mix": mix,
    "tversky": tversky,
}

__all__ = ["LOSSES", "Loss"]
