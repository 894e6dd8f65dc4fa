from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import weight_norm

from models.inference.fold_norms import fold_norms, outputs_of
from models.smp import segmentation_model
from models.sync_batch_norm import share_batch_statistics
from tests.networks import ThreeOutputs

Network = TypeVar("Network", bound=nn.Module)


def trained(network: Network) -> Network:
    """Give the norms statistics that matter, and switch to evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            for tensor, low in (
                (layer.running_mean, -0.5),
                (layer.running_var, 0.5),
                (layer.weight, 0.5),
                (layer.bias, 0),
            ):
                if tensor is not None:
                    tensor.data.copy_(low + torch.rand(tensor.shape, generator=generator))
    return network.eval()


def norms_of(network: nn.Module) -> int:
    return sum(isinstance(layer, _BatchNorm) for layer in network.modules())


def noise(side_px: int, channels: int = 1) -> Tensor:
    return torch.rand(1, channels, side_px, side_px, generator=torch.Generator().manual_seed(1))


def check_same(network: nn.Module, folded: nn.Module, side_px: int) -> None:
    with torch.no_grad():
        for one, other in zip(outputs_of(folded, noise(side_px)), outputs_of(network, noise(side_px)), strict=True):
            assert torch.allclose(one, other, atol=1e-4 * float(other.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("encoder", "architecture"),
    [
        ("tu-hrnet_w18_small", "fpn"),
        ("tu-mobilenetv3_small_050", "unet"),
        ("resnet18", "linknet"),
    ],
)
def test_every_norm_of_usual_networks_is_folded(encoder: str, architecture: str) -> None:
    """Of torch and of timm, before an activation or with one inside, after convolutions and transposed ones."""
    network = trained(segmentation_model(architecture, 3, 1, encoder=encoder))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold_norms(network, noise(64))
    assert norms_of(network) > 20
    assert norms_of(folded) == 0
    check_same(network, folded, 96)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_norms_over_all_processes_and_several_outputs_are_folded() -> None:
    network = trained(ThreeOutputs(4))
    share_batch_statistics(network)
    folded = fold_norms(network, noise(16))
    assert norms_of(folded) == 0
    check_same(network, folded, 24)


class Before(nn.Module):
    """A norm that takes what no convolution makes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm2d(1), nn.ReLU(), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layers(images)
        return result


class Two(nn.Module):
    """A convolution and a norm, for networks that use them otherwise than one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)


class Shortcut(Two):
    def forward(self, images: Tensor) -> Tensor:
        features = self.convolution(images)
        result: Tensor = self.norm(features) + features
        return result


class Repeated(Two):
    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.norm(self.convolution(images)) + self.norm(self.convolution(images.flip(-1)))
        return result


class OwnStatistics(Two):
    """It normalises by those of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.norm(self.convolution(images))
        return result


class Louder(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class OtherNorm(Two):
    def __init__(self) -> None:
        super().__init__()
        self.norm = Louder(4)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.norm(self.convolution(images))
        return result


class OtherWeights(OtherNorm):
    """A convolution whose weights are computed in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = weight_norm(nn.Conv2d(1, 4, 3)), nn.BatchNorm2d(4)


class Asked(OtherNorm):
    """It asks its norm for more than an output."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.norm.num_features


@pytest.mark.parametrize("make", [Before, Shortcut, Repeated, OwnStatistics, OtherNorm, OtherWeights, Asked])
def test_what_cannot_be_folded_stays(make: Callable[[], nn.Module]) -> None:
    network = trained(make())
    folded = fold_norms(network, noise(16))
    assert norms_of(folded) == norms_of(network)
    check_same(network, folded, 20)


def test_what_timm_applies_after_a_norm_stays() -> None:
    network = trained(nn.Sequential(nn.Conv2d(1, 4, 3), BatchNormAct2d(4, act_layer=nn.Hardswish)))
    folded = fold_norms(network, noise(16))
    assert [type(layer) for layer in folded.modules()] == [nn.Sequential, nn.Conv2d, nn.Sequential, nn.Hardswish]
    check_same(network, folded, 20)


def test_nothing_is_folded_if_outputs_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(weight: Tensor, bias: Tensor | None, *_: object, **__: object) -> tuple[nn.Parameter, nn.Parameter]:
        return nn.Parameter(weight * 1.01), nn.Parameter(torch.zeros(len(weight)) if bias is None else bias)

    monkeypatch.setattr("models.inference.fold_norms.fuse_conv_bn_weights", wrong)
    network = trained(ThreeOutputs(4))
    folded = fold_norms(network, noise(16))
    assert norms_of(folded) == 1
    assert all(torch.equal(value, folded.state_dict()[name]) for name, value in network.state_dict().items())
