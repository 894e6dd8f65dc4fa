"""Networks by name. What a YAML file may set of each is its builder's keyword arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from models.isnet import isnet, isnet_gt
from models.maskrcnn import maskrcnn
from models.smp import ARCHITECTURES, check_input_size, dpt, input_step_px, segmentation_model
from models.u2net import u2net, u2netp

__all__ = ["MODELS", "check_input_size", "input_step_px"]

MODELS: dict[str, Callable[..., nn.Module]] = {
    **{name: partial(segmentation_model, name) for name in ARCHITECTURES},
    "dpt": dpt,
    "isnet": isnet,
    "isnet_gt": isnet_gt,
    "maskrcnn": maskrcnn,
    "u2net": u2net,
    "u2netp": u2netp,
}
