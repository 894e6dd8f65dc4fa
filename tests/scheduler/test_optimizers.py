"""Parameter groups: two learning rates, decay on weights alone, every trainable parameter once."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import nn

from scheduler import OPTIMIZERS
from utils.errors import UserError

PARAMS: dict[str, dict[str, Any]] = {"timm": {"opt": "lion"}}


def build(name: str, model: nn.Module, **params: Any) -> torch.optim.Optimizer:
    return OPTIMIZERS[name](model, **PARAMS.get(name, {}), **params)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.decoder = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4))
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.decoder(self.encoder(image)))
        return result


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_loss(name: str) -> None:
    torch.manual_seed(0)
    model, image = Net(), torch.randn(2, 1, 8, 8)
    optimizer = build(name, model, lr=0.01)
    before = after = model(image).square().mean()
    for _ in range(20):
        after.backward()
        optimizer.step()
        optimizer.zero_grad()
        after = model(image).square().mean()
    assert after < before


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_trainable_parameter_is_in_one_group(name: str) -> None:
    model = Net()
    model.head.weight.requires_grad_(False)
    groups = build(name, model).param_groups
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    assert [group["name"] for group in groups] == ["encoder", "encoder_no_decay", "decoder", "decoder_no_decay"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_encoder_and_decoder_have_their_own_rates(name: str) -> None:
    groups = build(name, Net(), lr=1e-3, encoder_lr=1e-4).param_groups
    assert {group["name"]: group["lr"] for group in groups} == {
        "encoder": 1e-4,
        "encoder_no_decay": 1e-4,
        "decoder": 1e-3,
        "decoder_no_decay": 1e-3,
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_norms_and_biases_do_not_decay(name: str) -> None:
    for group in build(name, Net(), weight_decay=0.1).param_groups:
        assert group["weight_decay"] == (0.0 if group["name"].endswith("no_decay") else 0.1)
        assert all((parameter.ndim > 1) != group["name"].endswith("no_decay") for parameter in group["params"])


def test_a_model_without_encoder_is_all_decoder() -> None:
    groups = OPTIMIZERS["adamw"](nn.Conv2d(1, 1, 1)).param_groups
    assert [group["name"] for group in groups] == ["decoder", "decoder_no_decay"]


def test_an_encoder_rate_without_an_encoder_is_refused() -> None:
    with pytest.raises(UserError, match="no encoder; set encoder_lr to null"):
        OPTIMIZERS["adamw"](nn.Conv2d(1, 1, 1), encoder_lr=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parts_by_name_have_rates_of_their_own(name: str) -> None:
    part_lrs = {"encoder.0": 1e-5, "*.weight": 3e-4, "decoder": 5e-4}
    model = Net()
    groups = build(name, model, lr=1e-3, part_lrs=part_lrs).param_groups
    lr_of = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert {name: lr_of[id(parameter)] for name, parameter in model.named_parameters()} == {
        "encoder.0.weight": 1e-5,
        "encoder.0.bias": 1e-5,
        "encoder.1.weight": 3e-4,
        "encoder.1.bias": 1e-3,
        "decoder.0.weight": 3e-4,
        "decoder.0.bias": 5e-4,
        "decoder.1.weight": 3e-4,
        "decoder.1.bias": 5e-4,
        "head.weight": 3e-4,
        "head.bias": 1e-3,
    }
    names = [group["name"] for group in groups]
    assert len(set(names)) == len(names)
    assert names[:2] == ["part_encoder.0", "part_encoder.0_no_decay"]


def test_a_rate_for_a_part_that_is_not_there_is_refused() -> None:
    expected = r"part_lrs: 'encodr' is the name of no part .* Did you mean 'encoder'\? Its parts: decoder, enc"
    with pytest.raises(UserError, match=expected):
        OPTIMIZERS["adam"](Net(), part_lrs={"encodr": 1e-4})


def trained(optimizer: torch.optim.Optimizer, model: nn.Module, steps: int) -> nn.Module:
    for step in range(steps):
        image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
        model(image).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("fused_before", [False, True])
def test_a_state_goes_on_on_another_device(name: str, fused_before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused on a GPU, not fused on a CPU or by an earlier version: each goes on in its own way."""
    torch.manual_seed(0)
    start = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    models = [copy.deepcopy(start) for _ in range(2)]
    monkeypatch.setattr("scheduler.optimizers._fused", lambda groups: fused_before or None)
    before = build(name, models[0], lr=0.01)
    trained(before, models[0], 2)
    monkeypatch.setattr("scheduler.optimizers._fused", lambda groups: None if fused_before else True)
    after = build(name, models[1], lr=0.01)
    models[1].load_state_dict(models[0].state_dict())
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    assert all(group["fused"] is (None if fused_before else True) for group in after.param_groups)
    for optimizer, model in zip((before, after), models, strict=True):
        trained(optimizer, model, 3)
    for expected, found in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("opt", ["lion", "adan", "lookahead_madgrad"])
def test_a_resumed_optimizer_of_timm_ends_with_the_same_bits(opt: str) -> None:
    torch.manual_seed(0)
    model, resumed = Net(), Net()
    optimizer, after = (OPTIMIZERS["timm"](net, opt=opt, encoder_lr=1e-4) for net in (model, resumed))
    trained(optimizer, model, 4)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)  # as states of runs are read
    resumed.load_state_dict(state["model"])
    after.load_state_dict(state["optimizer"])
    trained(optimizer, model, 5)
    trained(after, resumed, 5)
    for expected, found in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_an_optimizer_of_timm_takes_the_steps_that_timm_takes() -> None:
    from timm.optim import Lion

    torch.manual_seed(0)
    model, plain = nn.Conv2d(1, 2, 3, bias=False), nn.Conv2d(1, 2, 3, bias=False)
    plain.load_state_dict(model.state_dict())
    ours = OPTIMIZERS["timm"](model, opt="lion", lr=1e-2, weight_decay=0.1, options={"betas": [0.8, 0.9]})
    trained(ours, model, 3)
    trained(Lion(plain.parameters(), lr=1e-2, weight_decay=0.1, betas=(0.8, 0.9)), plain, 3)
    assert torch.equal(model.weight, plain.weight)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"opt": "lyon"}, r"opt: 'lyon' is not an optimizer of timm\. Did you mean 'lion'\?"),
        ({"opt": "my_lion"}, r"opt: 'my_lion' is not an optimizer of timm"),
        ({"opt": "adahessian"}, r"opt: 'adahessian' needs second derivatives"),
        ({"opt": "lion", "options": {"beta": [0.9, 0.99]}}, r"options\.beta: timm's 'lion' has no such .* 'betas'"),
        ({"opt": "lion", "options": {"eps": 1e-8}}, r"options\.eps: timm's 'lion' has no such option"),
        ({"opt": "lion", "options": {"lr": 1e-3}}, r"options\.lr: timm's 'lion' has no such option"),
        ({"opt": "lion", "options": {"betas": [2, 3]}}, r"options: timm's 'lion' refuses these values \(Invalid beta"),
    ],
)
def test_what_timm_would_not_do_is_refused(params: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        OPTIMIZERS["timm"](Net(), **params)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("opt", ["fusedadam", "bnbadam8bit"])
def test_optimizers_for_gpus_are_refused_without_one(opt: str) -> None:
    with pytest.raises(UserError, match=f"opt: '{opt}' runs on GPUs of NVIDIA only"):
        OPTIMIZERS["timm"](Net(), opt=opt)
