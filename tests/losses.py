"""Losses for tests that are not sums over pixels: one from a plain function, one that reads several outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from loss.base import Gather, Loss, Outputs, list_of
from loss.custom import FunctionLoss
from loss.region import dice

# Shapes: B images, C classes, H/W pixels.


def ssim_like() -> Loss:
    """1 - structural similarity of probabilities and target in windows of 3 pixels, the mean over all pixels."""
    return FunctionLoss("ssim", dissimilarity)


def dissimilarity(logits_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """The loss of each image, [B]. Unlike a sum over pixels, each of its terms depends on many logits."""
    probability = logits_BCHW.sigmoid()
    mean_p, mean_t = _blurred(probability), _blurred(target_BCHW)
    variance_p = _blurred(probability**2) - mean_p**2
    variance_t = _blurred(target_BCHW**2) - mean_t**2
    covariance = _blurred(probability * target_BCHW) - mean_p * mean_t
    similar = (2 * mean_p * mean_t + 1e-4) / (mean_p**2 + mean_t**2 + 1e-4)
    similar = similar * (2 * covariance + 9e-4) / (variance_p + variance_t + 9e-4)
    return (1 - similar).mean((1, 2, 3))


def _blurred(values_BCHW: Tensor) -> Tensor:
    return F.avg_pool2d(values_BCHW, 3, stride=1)


class DeepSupervision(Loss):
    """The sum of Dice losses over the first `outputs` outputs, each against the target at its own size."""

    def __init__(self, outputs: int) -> None:
        self.loss, self.outputs = dice(per="image"), outputs

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        parts = {}
        for index, logits in enumerate(list_of(outputs)[: self.outputs]):
            target = F.adaptive_max_pool2d(target_BCHW.float(), logits.shape[-2:])
            for name, value in self.loss.parts(logits, target, gather).items():
                parts[f"{name}_at_{index}"] = value
        return parts


def as_if_gathered(loss: Loss, own: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """The parts that a process with the images `own` computes while a second process has `others`."""
    theirs: list[Tensor] = []

    def record(tensor: Tensor) -> Tensor:
        theirs.append(tensor.detach())
        return torch.stack([tensor, tensor])

    loss.parts(*others, record)
    return loss.parts(*own, lambda tensor: torch.stack([tensor, theirs.pop(0)]))
