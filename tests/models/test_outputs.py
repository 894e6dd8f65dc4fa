"""The first of several outputs is the prediction; other things than logits are refused before a run begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import check_input_size
from models.activation_checkpointing import recompute_activations
from models.outputs import check_outputs, prediction_of
from tests.networks import ThreeOutputs
from utils.errors import UserError


class Returns(nn.Module):
    """A network that returns whatever `make` makes of its input."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, images: Tensor) -> Any:
        return self.make(images)


def test_the_first_output_is_the_prediction() -> None:
    first, other = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4)
    for outputs in (first, [first], [first, other], (first, other)):
        assert prediction_of(outputs) is first


def test_a_network_may_return_logits_of_several_sizes() -> None:
    check_input_size(ThreeOutputs(3), (1, 64, 48), classes=3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda images: {"out": images}, r"returns a dict; expected logits \[B, C, H, W\], or a list"),
        (lambda images: [], "returns a list of nothing; expected"),
        (lambda images: (images, images.mean()), "returns a list of a tensor of 4 axes, a tensor of 0 axes; expected"),
        (lambda images: images[:, 0], "returns a tensor of 3 axes; expected"),
        (lambda images: images[..., ::2, ::2], "logits of 32 x 24 px for images of 64 x 48 px; its first output must"),
        (lambda images: images.expand(-1, 2, -1, -1), "logits of 2 classes, but the task has 3"),
    ],
    ids=["dict", "nothing", "a number", "no classes", "small", "other classes"],
)
def test_other_results_are_refused_before_training(make: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_input_size(Returns(make), (1, 64, 48), classes=3)


def test_the_number_of_classes_is_checked_if_it_is_known() -> None:
    check_outputs(torch.zeros(1, 5, 8, 8), (8, 8))


class SideOutput(nn.Module):
    """A block that returns its features and a side output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.side = nn.Conv2d(4, 2, 1)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(x_BCHW)
        return features, self.side(features)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([SideOutput(1), SideOutput(4)])
        self.decoder = nn.ModuleList([nn.Conv2d(4, 2, 1)])

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        sides = []
        for block in self.encoder:
            x_BCHW, side = block(x_BCHW)
            sides.append(side)
        return [self.decoder[0](x_BCHW), *sides]


def test_blocks_of_several_outputs_may_recompute_their_activations() -> None:
    torch.manual_seed(0)
    plain, images = TwoOutputs(), torch.rand(2, 1, 16, 16)
    saving = TwoOutputs()
    saving.load_state_dict(plain.state_dict())
    recompute_activations(saving)
    assert not isinstance(vars(saving.encoder[0]).get("forward"), type(None)), "the block is one that recomputes"
    for model in (plain, saving):
        torch.stack([output.square().mean() for output in model(images)]).sum().backward()
    for expected, found in zip(plain.parameters(), saving.parameters(), strict=True):
        assert torch.equal(found.grad, expected.grad)  # type: ignore[arg-type]
    for statistics, same in zip(plain.buffers(), saving.buffers(), strict=True):
        assert torch.equal(same, statistics)
