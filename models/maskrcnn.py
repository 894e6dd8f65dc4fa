"""Mask R-CNN (arXiv:1703.06870) as a network for cut-outs: it detects the people in a photograph and joins their masks.

It predicts with weights that others have trained, which torchvision publishes; it is not trained here.
"""

# Shapes: B images, H/W pixels of the input, N objects of one image, m pixels of the side of an object's mask.
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.pretrained.fill import fill_network
from models.pretrained.folding import ImageNetwork
from utils.errors import UserError

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN

PERSON = 1
"""The label of people among the 91 of COCO."""
SCORE = 0.5
"""The lowest score of a detection that counts."""
STRIDE_PX = 32
"""The sides of what the backbone is given are multiples of it, as in torchvision."""
FROM_CERTAINTY = 1e-7
"""The least distance of a probability from 0 and 1, so that its logit is finite."""


def maskrcnn(classes: int, channels: int, *, weights: str | None = None) -> nn.Module:
    """torchvision's `maskrcnn_resnet50_fpn_v2`, 46 million parameters: the people in a photograph. It only predicts.

    weights: as for u2net: torchvision's file, or the same tensors as .safetensors.
    """
    from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

    if (classes, channels) != (1, Detector.channels):
        raise UserError(
            f"model: maskrcnn cuts people out of RGB photographs, one class; the task has {classes}, of images with "
            f"{channels} channels. Name another network."
        )
    return fill_network(Detector(maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)), weights, "maskrcnn")


@dataclass(frozen=True)
class Detected:
    """The objects that were found in one image of the network's input.

    boxes_N4: corners (left, top, right, bottom) in pixels; masks_N1mm: probabilities inside the boxes.
    """

    boxes_N4: Tensor
    masks_N1mm: Tensor

    @property
    def count(self) -> int:
        """How many objects were found."""
        return len(self.boxes_N4)

    def logits(self, size_hw: tuple[int, int]) -> Tensor:
        """Return the logits [1, H, W] of the union of all masks: of each pixel, its highest probability."""
        from torchvision.models.detection.roi_heads import paste_masks_in_image

        union_1HW = self.boxes_N4.new_zeros((1, *size_hw), dtype=torch.float32)
        for box_4, mask_1mm in zip(self.boxes_N4, self.masks_N1mm, strict=True):
            # One after the other: a hundred masks at full size would take half a gigabyte.
            pasted = paste_masks_in_image(mask_1mm[None].float(), box_4[None].float(), size_hw)[0]
            torch.maximum(union_1HW, pasted, out=union_1HW)
        logits_1HW: Tensor = torch.special.logit(union_1HW, eps=FROM_CERTAINTY)
        return logits_1HW


class Detector(ImageNetwork):
    """From RGB images [B, 3, H, W] to the logits [B, 1, H, W] of the union of all objects of one label.

    Images are given as the weights were trained, normalised and large enough; they may have any size. The parameters
    have the names of torchvision's, so that its files fit.
    """

    channels = 3
    takes_any_size = True
    """Shapes inside depend on what is found, so they cannot be checked without an image."""
    only_predicts = True
    """Logits of the union cannot teach it: it learns from boxes, labels and masks of single objects."""
    finds = "people"
    """What it finds, in the plural, for sentences."""

    def __init__(self, detector: MaskRCNN, label: int = PERSON) -> None:
        super().__init__()
        self.label = label
        self.backbone, self.rpn, self.roi_heads = detector.backbone, detector.rpn, detector.roi_heads
        # Only higher scores are kept. Suppression among these is the same: what suppresses a box scores above it.
        self.roi_heads.score_thresh = float(np.nextafter(np.float32(SCORE), np.float32(0)))

    def forward(self, images_B3HW: Tensor) -> Tensor:
        height, width = images_B3HW.shape[-2:]
        return torch.stack([found.logits((height, width)) for found in self.detect(images_B3HW)])

    def detect(self, images_B3HW: Tensor) -> list[Detected]:
        """Find the objects of the label in each image."""
        from torchvision.models.detection.image_list import ImageList

        height, width = images_B3HW.shape[-2:]
        padded = F.pad(images_B3HW, (0, -width % STRIDE_PX, 0, -height % STRIDE_PX))
        sizes = [(height, width)] * len(padded)
        features = self.backbone(padded)
        features = features if isinstance(features, Mapping) else {"0": features}
        proposals, _ = self.rpn(ImageList(padded, sizes), features)
        found, _ = self.roi_heads(features, proposals, sizes)
        return [self._of_label(one) for one in found]

    def _of_label(self, found: Mapping[str, Tensor]) -> Detected:
        chosen = found["labels"] == self.label
        return Detected(found["boxes"][chosen], found["masks"][chosen])
