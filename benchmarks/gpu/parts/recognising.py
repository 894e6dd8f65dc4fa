"""A network that computes what a large one does, and returns the logits of a good one.

An untrained network returns noise, whose masks have a thousand times more runs than real ones.
"""

# Shapes: B images of a batch, N known images, C classes, h/w the network's input, P pixels of a thumbnail.
from __future__ import annotations

from collections.abc import Sequence
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


class Recognising(nn.Module):
    """Computes `body`, then returns the true mask of the known image that is most like each given one, as logits.

    It keeps no state between calls, so it may be copied, converted to 16 bits or recorded. Logits are whole numbers
    of -8 to 8, so that the sums of a resize do not depend on their order.
    """

    known_NP: Tensor
    answers_NChw: Tensor

    def __init__(self, body: nn.Module, known_NBhw: Sequence[Tensor], answers_NChw: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("known_NP", torch.cat([thumbnails(image) for image in known_NBhw]))
        self.register_buffer("answers_NChw", answers_NChw)

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, 1 or 3, h, w] to logits [B, C, h, w] in the body's format."""
        computed = prediction_of(self.body(images))
        apart_BN = (thumbnails(images)[:, None] - self.known_NP.float()).square().sum(2)
        logits = torch.empty_like(computed).copy_(self.answers_NChw[apart_BN.argmin(1)])  # in its layout and format
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
