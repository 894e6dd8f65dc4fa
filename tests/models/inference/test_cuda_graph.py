"""When a graph is recorded, checked, used and given up; recording itself needs a GPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.inference.cuda_graph import MOST_SIZES, RECORD_AT, Replay, ReplayedNetwork
from models.outputs import prediction_of
from tests.networks import ThreeOutputs


def image(seed: int, side_px: int = 8) -> Tensor:
    return torch.rand(1, 1, side_px, side_px, generator=torch.Generator().manual_seed(seed))


class Counted(ThreeOutputs):
    def __init__(self) -> None:
        super().__init__(3)
        self.calls = 0

    def forward(self, images_B1HW: Tensor) -> list[Tensor]:
        self.calls += 1
        return super().forward(images_B1HW)


def right(network: nn.Module, _: Tensor) -> Replay:
    return lambda images: prediction_of(network.eval()(images)).clone()


def frozen(network: nn.Module, images: Tensor) -> Replay:
    """It gives the answer to the image that it was recorded with to all."""
    answer = prediction_of(network(images)).clone()
    return lambda _: answer


def failing(*_: object) -> Replay:
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("record", [right, frozen, failing])
@torch.no_grad()
def test_every_image_gets_the_networks_prediction(record: Callable[[nn.Module, Tensor], Replay]) -> None:
    network = ThreeOutputs(3).eval()
    replayed = ReplayedNetwork(network, record)
    for seed in range(RECORD_AT + 4):
        for side_px in (8, 12):
            images = image(seed, side_px)
            assert torch.equal(replayed(images), prediction_of(network(images)))
    assert bool(replayed.replays) == (record is right)


@torch.no_grad()
def test_a_graph_takes_over_after_it_agreed_on_another_image() -> None:
    network, replayed_images = Counted().eval(), list[Tensor]()

    def record(*_: object) -> Replay:
        def replay(images: Tensor) -> Tensor:
            replayed_images.append(images)
            return prediction_of(ThreeOutputs.forward(network, images))

        return replay

    replayed = ReplayedNetwork(network, record)
    for seed in range(10):
        replayed(image(seed))
    assert network.calls == RECORD_AT + 1
    assert len(replayed_images) == 10 - RECORD_AT


@torch.no_grad()
def test_sizes_that_do_not_return_and_more_than_a_few_have_no_graph() -> None:
    replayed = ReplayedNetwork(ThreeOutputs(3).eval(), right)
    for side_px in range(8, 20):
        replayed(image(0, side_px))
    assert not replayed.replays
    for seed in range(RECORD_AT):
        for side_px in range(8, 20):
            replayed(image(seed, side_px))
    assert len(replayed.replays) == MOST_SIZES
