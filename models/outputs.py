"""What a network returns: logits, or several tensors of logits of which the first is the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from torch import Tensor

from utils.errors import UserError

# Shapes: B images, C classes, H/W pixels of the network's input, h/w those of a further output.

Outputs: TypeAlias = Tensor | Sequence[Tensor]
"""Logits [B, C, H, W]; or several tensors: the first [B, C, H, W], the others [B, C, h, w] of any size."""


def prediction_of(outputs: Outputs) -> Tensor:
    """Return the logits from which masks are made, [B, C, H, W]: the only output, or the first of several.

    The others exist for the loss alone, such as side outputs of several depths (deep supervision).
    """
    return outputs if isinstance(outputs, Tensor) else outputs[0]


def check_outputs(outputs: Any, size_hw: tuple[int, int], classes: int | None = None) -> None:
    """Raise `UserError` unless these are outputs for images of this size, and of so many classes if that is given."""
    tensors = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if not tensors or not all(isinstance(tensor, Tensor) and tensor.ndim == 4 for tensor in tensors):
        raise UserError(
            f"the network returns {_described(outputs)}; expected logits [B, C, H, W], or a list of such tensors with "
            "the prediction first. Change what its forward returns."
        )
    height, width = tensors[0].shape[-2:]
    if (height, width) != size_hw:
        raise UserError(
            f"the network returns logits of {height} x {width} px for images of {size_hw[0]} x {size_hw[1]} px; its "
            "first output must have the size of its input. Change the options of its decoder, or resize in its forward."
        )
    if classes is not None and tensors[0].shape[1] != classes:
        raise UserError(
            f"the network returns logits of {tensors[0].shape[1]} classes, but the task has {classes}. Let its builder "
            "use the number of classes that it is given."
        )


def _described(outputs: Any) -> str:
    """Say in a few words what was returned."""
    if isinstance(outputs, (list, tuple)):
        return "a list of " + (", ".join(map(_described, outputs)) or "nothing")
    return f"a tensor of {outputs.ndim} axes" if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
