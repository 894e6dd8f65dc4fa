"""Recomputed statistics are those of the activations, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from models.precision import Precision
from tests.waits import NumbersRead
from trainer.training.batch_norm import calibrate_batch_norm, recompute_batch_norm
from transform import Normalisation

PLAIN = (Normalisation(0.0, 1.0), Precision("fp32", "cpu"))


def batches() -> list[torch.Tensor]:
    numbers = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8, generator=numbers) for _ in range(4)]


def test_the_statistics_are_those_of_all_batches() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(1), nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, momentum=0.3))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "running" not in name}
    recompute_batch_norm(model, iter(batches()), *PLAIN)
    first = model[1]
    assert isinstance(first, nn.BatchNorm2d)
    assert first.running_mean is not None
    assert first.running_var is not None
    images = [batch.float() / 255 for batch in batches()]
    assert torch.allclose(first.running_mean, torch.stack([image.mean() for image in images]).mean(), atol=1e-6)
    assert torch.allclose(first.running_var, torch.stack([image.var() for image in images]).mean(), atol=1e-6)
    assert not model.training
    assert not first.training
    assert [layer.momentum for layer in model if isinstance(layer, nn.BatchNorm2d)] == [0.1, 0.3]
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items() if "tracked" not in name)


def test_a_layer_that_is_called_twice_averages_all_that_it_was_given() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.norm(images) + self.norm(2 * images)
            return output

    model, means = Twice(), [(batch.float() / 255).mean() for batch in batches()]
    recompute_batch_norm(model, iter(batches()), *PLAIN)
    assert model.norm.running_mean is not None
    assert torch.allclose(model.norm.running_mean, 1.5 * torch.stack(means).mean(), atol=1e-6)


@pytest.mark.parametrize("compute", [recompute_batch_norm, calibrate_batch_norm])
def test_no_layer_waits_for_the_device(compute: Callable[..., None]) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    with NumbersRead() as read:
        compute(model, iter(batches()), *PLAIN)
    assert read.count == 0


def test_a_network_without_batch_norm_needs_no_batch() -> None:
    def none_is_read() -> Iterator[torch.Tensor]:
        raise AssertionError
        yield torch.empty(0)

    recompute_batch_norm(nn.Conv2d(1, 1, 1), none_is_read(), *PLAIN)


def test_calibration_takes_the_statistics_of_the_images_and_the_outputs_stay() -> None:
    torch.manual_seed(0)
    first, second = nn.BatchNorm2d(3), nn.BatchNorm2d(2)
    for layer in (first, second):
        for tensor in (layer.weight, layer.bias, layer.running_var):
            assert tensor is not None
            nn.init.uniform_(tensor, 0.5, 1.5)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), first, nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(3, 2, 1), second).eval()
    images = [batch[:, None].float() / 255 for batch in batches()]
    before = [model(image) for image in images]
    calibrate_batch_norm(model, iter(batches()), *PLAIN)
    assert not model.training
    for image, expected in zip(images, before, strict=True):
        torch.testing.assert_close(model(image), expected, rtol=1e-4, atol=1e-5)
    # Each layer has the moments of what it is given, so in training mode it computes almost the same.
    given = torch.cat([model[0](image) for image in images])
    assert first.running_mean is not None
    assert first.running_var is not None
    torch.testing.assert_close(first.running_mean, given.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var, given.var((0, 2, 3)), rtol=2e-2, atol=1e-4)


def test_a_layer_that_is_not_reached_stays_as_it_is() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.used(images)
            return output

    model = Half()
    calibrate_batch_norm(model, iter(batches()), *PLAIN)
    assert model.idle.state_dict() == nn.BatchNorm2d(1).state_dict()
    assert model.used.state_dict() != nn.BatchNorm2d(1).state_dict()
