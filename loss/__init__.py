"""The losses by name. A new loss is a function that returns a `Loss`, in a file of its own, and a line here."""

from __future__ import annotations

from collections.abc import Callable

from loss.base import Loss
from loss.boundary import boundary
from loss.deep import deep_supervision
from loss.lovasz import lovasz
from loss.mcc import mcc
from loss.mix import dice_bce, mix
from loss.neighbours import edge_bce, ssim
from loss.pixel import bce, focal
from loss.region import dice, focal_tversky, iou, jaccard, tversky
from loss.soft_bce import soft_bce

LOSSES: dict[str, Callable[..., Loss]] = {
    "bce": bce,
    "boundary": boundary,
    "deep_supervision": deep_supervision,
    "dice": dice,
    "dice_bce": dice_bce,
    "edge_bce": edge_bce,
    "focal": focal,
    "focal_tversky": focal_tversky,
    "iou": iou,
    "jaccard": jaccard,
    "lovasz": lovasz,
    "mcc": mcc,
    "mix": mix,
    "soft_bce": soft_bce,
    "ssim": ssim,
    "tversky": tversky,
}

__all__ = ["LOSSES", "Loss"]
