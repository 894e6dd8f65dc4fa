"""A network that computes what a large one does, and returns the logits of a good one.

An untrained network returns noise, whose masks have a thousand times more runs than real ones.
"""

# Shapes: B images of a batch, N known images, C classes, h/w the network's input, P pixels of a thumbnail.
from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.material import Material
from benchmarks.network import answer
from models.outputs import prediction_of
from utils.arrays import Size
from utils.parallel import map_ahead
from utils.system.cores import usable_cores

THUMBNAIL_PX = 8


@dataclass(frozen=True, eq=False)
class Known:
    """Thumbnails of known images, and their true masks as logits int8, -8..8; copies of a network share them."""

    thumbnails_NP: Tensor
    answers_NChw: Tensor

    def __deepcopy__(self, _: object) -> Known:
        return self


class Recognising(nn.Module):
    """Computes `body`, then returns the true mask of the known image that is most like each given one, as logits.

    It keeps no state between calls, so it may be copied, converted to 16 bits or recorded. Logits are whole numbers,
    so that the sums of a resize do not depend on their order.
    """

    def __init__(self, body: nn.Module, known: Known) -> None:
        super().__init__()
        self.body, self.known = body, known

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, 1 or 3, h, w] to logits [B, C, h, w] in the body's format."""
        computed = prediction_of(self.body(images))
        apart_BN = (thumbnails(images)[:, None] - self.known.thumbnails_NP).square().sum(2)
        answers = self.known.answers_NChw[apart_BN.argmin(1)]
        if answers.shape[-2:] != computed.shape[-2:]:  # of an image that is only for a comparison of networks
            answers = F.interpolate(answers.float(), computed.shape[-2:])
        logits = torch.empty_like(computed).copy_(answers)  # in its layout and format
        # Nothing is added, but what was computed counts: no compiler may leave it out.
        return logits + computed[..., :1, :1].mul(0).nan_to_num(0)


def thumbnails(images: Tensor) -> Tensor:
    """Make float32[B, P] of images [B, 1 or 3, h, w]: brightness and contrast are taken out."""
    small_BP = F.adaptive_avg_pool2d(images.float().mean(1, keepdim=True), THUMBNAIL_PX).flatten(1)
    deviation, mean = torch.std_mean(small_BP, 1, keepdim=True)
    return (small_BP - mean) / (deviation + 1e-6)


def answers(material: Material, size_hw: Size) -> Tensor:
    """int8[N, C, h, w]: the true mask of each image at the network's size."""
    make, cores = partial(answer, native_hw=material.size_hw, input_hw=size_hw), usable_cores()
    made = map_ahead(make, material.samples, workers=cores, ahead=cores)
    return torch.stack(list(made))


class Autocast(nn.Module):
    """A network in torch's mixed precision, as the usual way predicts at its best."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, self.dtype):
            logits: Tensor = self.network(images)
        return logits
