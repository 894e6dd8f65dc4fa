"""U-2-Net and IS-Net: the authors' names and counts, any size of image, several logits in training."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models import MODELS, input_step_px
from models.isnet import GtEncoder, IsNet
from models.rsu import Rsu
from models.u2net import U2Net
from utils.errors import UserError

OFFICIAL = {
    "u2net": (44_009_869, 798),
    "u2netp": (1_131_181, 798),
    "isnet": (44_046_790, 798),
    "isnet_gt": (6_877_734, 439),
}
"""Parameters and entries of the state dict for one class and RGB images, by the authors' code."""
NARROW = ((4, 8),) * 11
PARTS = {
    "conv_s1": ("weight", "bias"),
    "bn_s1": ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
}


def on_meta(name: str, classes: int = 1, channels: int = 3, **parameters: Any) -> nn.Module:
    """A network without numbers: what its parts are called and how large they are is all that is asked."""
    with torch.device("meta"):
        return MODELS[name](classes, channels, **parameters)


def levels_of(name: str) -> list[str]:
    """The blocks of a stage, as the authors call them."""
    levels = {"1": 7, "2": 6, "3": 5}.get(name.removeprefix("stage")[0], 4)
    down = [f"rebnconv{level}" for level in range(1, levels + 1)]
    return ["rebnconvin", *down, *(f"rebnconv{level}d" for level in range(levels - 1, 0, -1))]


def official_names(name: str) -> set[str]:
    """The names of all tensors, written down from the authors' code."""
    stages = [f"stage{number}" for number in range(1, 7)]
    if name != "isnet_gt":
        stages += [f"stage{number}d" for number in range(1, 6)]
    names = {
        f"{stage}.{block}.{part}.{tensor}"
        for stage in stages
        for block in levels_of(stage)
        for part, tensors in PARTS.items()
        for tensor in tensors
    }
    names |= {f"side{number}.{tensor}" for number, tensor in product(range(1, 7), PARTS["conv_s1"])}
    own = {
        "isnet": {"conv_in.weight", "conv_in.bias"},
        "isnet_gt": {f"conv_in.{part[:-3]}.{tensor}" for part, tensors in PARTS.items() for tensor in tensors},
    }
    return names | own.get(name, {"outconv.weight", "outconv.bias"})


@pytest.mark.parametrize("name", OFFICIAL)
def test_names_and_counts_are_the_authors(name: str) -> None:
    network = on_meta(name)
    parameters, tensors = OFFICIAL[name]
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == tensors
    assert network.state_dict().keys() == official_names(name)


@pytest.mark.parametrize(("name", "outputs"), [("u2netp", 7), ("isnet", 6), ("isnet_gt", 6)])
def test_training_gives_logits_of_several_depths_and_prediction_the_first(name: str, outputs: int) -> None:
    network = MODELS[name](29, 1)
    images = torch.rand(2, 1, 65, 47)
    assert [tuple(logits.shape) for logits in network(images)] == [(2, 29, 65, 47)] * outputs
    assert network.eval()(images).shape == (2, 29, 65, 47)


@pytest.mark.parametrize("size_hw", [(1, 1), (33, 31), (64, 48)])
def test_any_size_of_image_will_do(size_hw: tuple[int, int]) -> None:
    network = U2Net(2, 3, NARROW)
    assert input_step_px(network) == 1
    logits = network.eval()(torch.rand(1, 3, *size_hw))
    assert logits.shape == (1, 2, *size_hw)
    assert logits.isfinite().all()


def test_the_prediction_is_the_same_in_training_and_out_of_it() -> None:
    network = U2Net(1, 3, NARROW)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    images = torch.rand(2, 3, 40, 40)
    fused, *sides = network(images)
    assert torch.equal(fused, network.eval()(images))
    assert len(sides) == 6


def test_a_block_pools_between_its_levels_and_one_without_pooling_dilates() -> None:
    pooled = [layer.dilation[0] for layer in Rsu(5, 3, 4, 6).modules() if isinstance(layer, nn.Conv2d)]
    assert pooled == [1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    dilated = [layer.dilation[0] for layer in Rsu(4, 3, 4, 6, dilated=True).modules() if isinstance(layer, nn.Conv2d)]
    assert dilated == [1, 1, 2, 4, 8, 4, 2, 1]
    sizes: list[int] = []
    block = Rsu(5, 3, 4, 6).eval()
    for name, layer in block.named_children():
        if not name.endswith("d"):
            layer.register_forward_hook(lambda *call: sizes.append(call[2].shape[-1]))
    block(torch.rand(1, 3, 21, 21))
    assert sizes == [21, 21, 11, 6, 3, 3]


def test_the_encoder_of_masks_takes_grey_and_rgb_pictures_of_masks_alike() -> None:
    network = MODELS["isnet_gt"](1, 3).eval()
    mask = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(network(mask.expand(-1, 3, -1, -1)), network(mask))


def test_an_encoder_of_masks_gives_the_maps_that_the_decoder_should_have(tmp_path: Path) -> None:
    path = tmp_path / "gt.pth"
    teacher = GtEncoder(1)
    torch.save({"model_state_dict": teacher.state_dict()}, path)
    network = MODELS["isnet"](1, 3, gt_encoder=str(path), feature_weight=0.5)
    assert network.state_dict().keys() == official_names("isnet"), "the teacher is no part of the network"
    masks = torch.rand(2, 1, 64, 64)
    *logits, one, two, three, four, five, six = network(masks.expand(-1, 3, -1, -1))
    assert len(logits) == 6
    assert isinstance(network, IsNet)
    assert network.teacher is not None
    maps = network.teacher(masks)
    assert [one.shape, two.shape, three.shape, four.shape, five.shape, six.shape] == [x.shape for x in maps]
    for found, expected in zip(maps, teacher.eval().maps(masks), strict=True):
        torch.testing.assert_close(found, expected)
        assert not found.requires_grad


def test_an_encoder_of_masks_is_for_one_class() -> None:
    with pytest.raises(UserError, match=r"gt_encoder: is for tasks of one class, but this has 2\. Leave the key out"):
        MODELS["isnet"](2, 3, gt_encoder="gt.pth")
