from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.inference.half_weights import half_copy
from models.precision import Precision
from models.smp import segmentation_model
from tests.models.inference.test_fold_norms import Before, noise, trained

BF16 = Precision("bf16", "cpu")


def test_a_copy_in_half_precision_predicts_as_autocast_does() -> None:
    torch.manual_seed(0)
    network = trained(segmentation_model("unet", 3, 1, encoder="tu-mobilenetv3_small_050"))
    half = half_copy(network, noise(64), BF16)
    assert not any(isinstance(layer, _BatchNorm) for layer in half.modules())
    convolutions = [layer for layer in half.modules() if isinstance(layer, nn.Conv2d)]
    assert {layer.weight.dtype for layer in convolutions} == {torch.bfloat16}
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    with torch.no_grad():
        exact = network(noise(96))
        with BF16.autocast():
            found, usual = half(noise(96)), network(noise(96))
    assert found.dtype == usual.dtype == torch.bfloat16
    # Both round in each layer; the copy adds no error of its own.
    assert (found - exact).abs().mean() < 1.5 * (usual - exact).abs().mean()


def test_without_a_norm_to_fold_it_predicts_the_same_bits() -> None:
    """The weights are those that autocast casts."""
    network = trained(Before())
    half = half_copy(network, noise(16), BF16)
    assert half is not network
    with torch.no_grad(), BF16.autocast():
        assert torch.equal(half(noise(20)), network(noise(20)))


class TakesOneSize(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(1, 1, 40, 40)


class ReadsWeights(nn.Module):
    """It computes with its weights itself, so that half of them would be something else."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        nn.init.constant_(self.layer.weight, 1 + 2**-12)

    def forward(self, images: Tensor) -> Tensor:
        return images * (self.layer.weight - 1)


@pytest.mark.parametrize("network", [TakesOneSize(), ReadsWeights()])
def test_a_network_whose_copy_would_not_do_predicts_as_it_is(network: nn.Module) -> None:
    assert half_copy(network.eval(), noise(16), BF16) is network
