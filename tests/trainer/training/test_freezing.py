"""Frozen parts stay as they are; folded norms are refused unless they are kept or calibrated."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.pretrained.folding import identity_of
from trainer.training.freezing import freeze, norms_kept_of, refuse_folded_norms
from utils.errors import UserError


def network() -> nn.Module:
    block = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    return nn.ModuleDict({"stage1": block, "head": nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))})


def learning(model: nn.Module) -> list[str]:
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ((), ["stage1.0.weight", "stage1.0.bias", "stage1.1.weight", "stage1.1.bias", "head.0.weight"]),
        (("stage1",), ["head.0.weight", "head.0.bias", "head.1.weight", "head.1.bias"]),
        (("stage1.1", "head.*.bias"), ["stage1.0.weight", "stage1.0.bias", "head.0.weight", "head.1.weight"]),
    ],
)
def test_parts_are_frozen_by_name(patterns: tuple[str, ...], left: list[str]) -> None:
    model = network()
    freeze(model, patterns)
    assert learning(model)[:5] == left


def test_a_frozen_norm_keeps_its_statistics_and_all_do_if_asked_for() -> None:
    model = network()
    freeze(model, ("stage1", "head.1.bias"))
    first, second = (layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d))
    assert norms_kept_of(model, every=False) == (first,)
    assert norms_kept_of(model, every=True) == (first, second)


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (
            ("stag1",),
            r"trainer.freeze: 'stag1' is the name of no part .* Did you mean 'stage1'\? Its parts: head, st",
        ),
        (("*",), r"trainer.freeze: names all parts of the network, so nothing would learn\. Leave one out"),
    ],
)
def test_names_that_cannot_be_frozen_are_refused(patterns: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        freeze(network(), patterns)


def test_a_network_without_batch_norm_has_none_to_keep() -> None:
    with pytest.raises(UserError, match=r"trainer.freeze_norms: the network has no batch normalisation\. Leave"):
        norms_kept_of(nn.Conv2d(1, 1, 1), every=True)


def test_folded_norms_that_would_normalise_in_training_are_refused() -> None:
    model = network()
    refuse_folded_norms(model, ())
    folded = next(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d))
    folded.load_state_dict(identity_of(folded), strict=False)
    with pytest.raises(UserError, match=r"folded .* Set trainer.calibrate_norms=8 .* or trainer.freeze_norms=true"):
        refuse_folded_norms(model, ())
    refuse_folded_norms(model, (folded,))
    assert torch.equal(folded(torch.ones(1, 2, 2, 2)), folded.eval()(torch.ones(1, 2, 2, 2))) is False
