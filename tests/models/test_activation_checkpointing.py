from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import MODELS
from tests.memory import Memory

NETWORKS = [
    ("unet", {"encoder": "resnet18"}),
    ("unetplusplus", {"encoder": "tu-hrnet_w18_small"}),
    ("fpn", {"encoder": "timm-tf_efficientnet_lite0"}),
    ("manet", {"encoder": "densenet121"}),
    ("segformer", {"encoder": "mit_b0"}),
    ("upernet", {"encoder": "tu-convnext_atto"}),
    ("dpt", {"encoder": "tu-vit_tiny_patch16_224"}),
]


def network(name: str, classes: int, channels: int = 1, **parameters: Any) -> Any:
    return MODELS[name](classes, channels, **parameters)


@pytest.mark.parametrize(("architecture", "parameters"), NETWORKS)
def test_checkpointing_changes_memory_and_nothing_else(
    architecture: str, parameters: dict[str, Any], grey_B1HW: Tensor
) -> None:
    plain = network(architecture, 3, **parameters)
    saving = network(architecture, 3, **parameters, checkpoint_gradients=True)
    saving.load_state_dict(plain.state_dict())
    plain_loss, plain_kept = _step(plain, grey_B1HW)
    saving_loss, saving_kept = _step(saving, grey_B1HW)
    assert torch.equal(plain_loss, saving_loss)
    assert saving_kept < 0.8 * plain_kept
    for (name, expected), found in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, msg=name)
    for (name, buffer), same in zip(plain.named_buffers(), saving.buffers(), strict=True):
        assert torch.equal(same, buffer), name
    momenta = ([getattr(module, "momentum", None) for module in model.modules()] for model in (plain, saving))
    assert next(momenta) == next(momenta)


def test_checkpointed_networks_can_be_copied_and_pickled(grey_B1HW: Tensor) -> None:
    model = network("unet", 2, encoder="resnet18", checkpoint_gradients=True)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.zero_()
        assert twin(grey_B1HW).count_nonzero() == 0
    assert model(grey_B1HW).count_nonzero() > 0


def test_checkpointed_networks_have_the_same_state() -> None:
    plain = network("unet", 2, encoder="resnet18")
    saving = network("unet", 2, encoder="resnet18", checkpoint_gradients=True)
    assert list(saving.state_dict()) == list(plain.state_dict())


def _step(model: nn.Module, grey_B1HW: Tensor) -> tuple[Tensor, int]:
    """The loss of one training step, and the bytes that it keeps for the backward pass."""
    torch.manual_seed(0)
    with Memory() as memory:
        loss = model(grey_B1HW).square().mean()
    kept = memory.alive
    loss.backward()
    return loss.detach(), kept
