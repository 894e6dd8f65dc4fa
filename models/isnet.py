"""IS-Net (arXiv:2203.03041): U-2-Net at half the input's size, and the encoder of masks that may supervise its maps.

In training it returns logits of six depths, and with `gt_encoder` the maps that they come from; else the prediction.
"""

# Shapes: B images, C classes, H/W pixels of the input, K channels of a map, h/w its pixels.
from __future__ import annotations

from typing import Any

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from models.pretrained.fill import fill_network
from models.pretrained.folding import ImageNetwork
from models.u2net import LARGE, NestedUNet, Widths, encoder_maps, side_logits, stage
from utils.errors import UserError

GT_WIDTHS = ((16, 64), (16, 64), (32, 128), (32, 256), (64, 512), (64, 512))
"""Channels inside and after the stages 1 to 6 of the encoder of masks."""


def isnet(
    classes: int,
    channels: int,
    *,
    weights: str | None = None,
    gt_encoder: str | None = None,
    feature_weight: PositiveFloat = 1.0,
) -> nn.Module:
    """IS-Net, 44 million parameters.

    weights: a file of the whole network (.pth, .safetensors, .onnx), such as the authors'; null for random weights.
    gt_encoder: a file of an isnet_gt trained on the masks (configs/isnet_gt.yaml): in training the maps of the decoder
    are compared with its maps of the true mask, as a further part of the loss, "features". For tasks of one class.
    feature_weight: weight of that part.
    """
    network = fill_network(IsNet(classes, channels), weights, "isnet")
    if gt_encoder is not None:
        if classes != 1:
            raise UserError(f"gt_encoder: is for tasks of one class, but this has {classes}. Leave the key out.")
        encoder = fill_network(GtEncoder(classes), gt_encoder, "isnet_gt", key="gt_encoder")
        network.teacher = FrozenTeacher(encoder, feature_weight)
    return network


def isnet_gt(classes: int, channels: int, *, weights: str | None = None) -> nn.Module:
    """IS-Net's encoder of masks, 6.9 million parameters, to be trained on masks in the place of images.

    It takes the mean of an image's channels. Train it with task foreground_masks until it reproduces the masks:
    configs/isnet_gt.yaml.

    weights: as for isnet.
    """
    return fill_network(GtEncoder(classes), weights, "isnet_gt")


class IsNet(NestedUNet):
    """From images [B, channels, H, W] to logits [B, C, H, W] of six depths, the largest first."""

    teacher: FrozenTeacher | None = None
    """What gives the maps that those of the decoder should equal."""

    def __init__(self, classes: int, channels: int, widths: Widths = LARGE) -> None:
        super().__init__(classes, 64, widths)
        self.channels = channels
        self.conv_in = nn.Conv2d(channels, 64, 3, stride=2, padding=1)

    def forward(self, images_BCHW: Tensor) -> Tensor | list[Tensor]:
        size_hw = images_BCHW.shape[-2:]
        maps = self.decoder_maps(self.conv_in(images_BCHW))
        if not self.training:
            return side_logits(self, maps[:1], size_hw)[0]
        return side_logits(self, maps, size_hw) + (maps if self.teacher is not None else [])


class GtEncoder(ImageNetwork):
    """From masks [B, 1, H, W] in 0..1 to logits of the same masks, of six depths."""

    def __init__(self, classes: int, widths: Widths = GT_WIDTHS) -> None:
        super().__init__()
        self.channels = 1
        self.conv_in = StridedConvNormRelu(1, 16)
        inputs = [16, *(after for _, after in widths)]
        for number, (inside, after) in enumerate(widths, 1):
            self.add_module(f"stage{number}", stage(number, inputs[number - 1], inside, after))
            self.add_module(f"side{number}", nn.Conv2d(after, classes, 3, padding=1))

    def maps(self, masks_BCHW: Tensor) -> list[Tensor]:
        """Compute the maps after the stages 1 to 6, [B, K, h, w]; of several channels the mean is taken."""
        return encoder_maps(self, self.conv_in(masks_BCHW.mean(1, keepdim=True)))

    def forward(self, masks_BCHW: Tensor) -> Tensor | list[Tensor]:
        logits = side_logits(self, self.maps(masks_BCHW), masks_BCHW.shape[-2:])
        return logits if self.training else logits[0]


class StridedConvNormRelu(nn.Module):
    """A 3 x 3 convolution that halves the size, batch normalisation and ReLU, under the names of IS-Net's authors."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        output: Tensor = self.bn(self.conv(x_BCHW)).relu_()
        return output


class FrozenTeacher:
    """Computes maps of masks that a network in training should reproduce; `weight` is the weight of that in the loss.

    It is no part of the network: its weights are not trained, averaged, copied or saved with it.
    """

    def __init__(self, encoder: GtEncoder, weight: float) -> None:
        self.encoder, self.weight = encoder.eval().requires_grad_(False), weight

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTeacher:
        return self

    @torch.no_grad()
    def __call__(self, target_BCHW: Tensor) -> list[Tensor]:
        """Compute the maps of a target in 0..1, on its device."""
        if target_BCHW.device.type == "meta":  # moved there, the weights would be lost
            raise NotImplementedError("the maps of a mask without numbers")
        return self.encoder.to(target_BCHW.device).maps(target_BCHW.float())
