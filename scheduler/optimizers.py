"""The optimizers by name. A new one is a function that returns an `Optimizer`, and a line in `OPTIMIZERS`.

Encoder and decoder may have different learning rates, because the encoder is usually pretrained. Weight decay applies
to weights only: on 1-d parameters (scales of normalisation and biases) it would regularise nothing. No optimizer is
fused: after a fused step accelerate cannot say whether the fp16 scaler skipped it, which schedules need to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn
from torch.optim import Optimizer

from utils.errors import UserError

BelowOne = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[BelowOne, BelowOne]


def adamw(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-3,
    encoder_lr: NonNegativeFloat | None = None,
    weight_decay: NonNegativeFloat = 1e-2,
    betas: Betas = (0.9, 0.999),
    eps: PositiveFloat = 1e-8,
) -> Optimizer:
    """AdamW (arXiv:1711.05101): Adam with decay apart from the gradient.

    lr: learning rate of the model, or of all but its encoder. encoder_lr: that of the encoder; null: the same.
    """
    return torch.optim.AdamW(_groups(model, lr, encoder_lr, weight_decay), lr=lr, betas=betas, eps=eps)


def adam(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-3,
    encoder_lr: NonNegativeFloat | None = None,
    weight_decay: NonNegativeFloat = 0.0,
    betas: Betas = (0.9, 0.999),
    eps: PositiveFloat = 1e-8,
) -> Optimizer:
    """Adam (arXiv:1412.6980); its weight decay is added to the gradient. lr, encoder_lr: as for adamw."""
    return torch.optim.Adam(_groups(model, lr, encoder_lr, weight_decay), lr=lr, betas=betas, eps=eps)


def radam(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-3,
    encoder_lr: NonNegativeFloat | None = None,
    weight_decay: NonNegativeFloat = 1e-2,
    betas: Betas = (0.9, 0.999),
    eps: PositiveFloat = 1e-8,
) -> Optimizer:
    """RAdam (arXiv:1908.03265), which warms up by itself, with decay as in AdamW. lr, encoder_lr: as for adamw."""
    groups = _groups(model, lr, encoder_lr, weight_decay)
    return torch.optim.RAdam(groups, lr=lr, betas=betas, eps=eps, decoupled_weight_decay=True)


def sgd(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-2,
    encoder_lr: NonNegativeFloat | None = None,
    weight_decay: NonNegativeFloat = 1e-4,
    momentum: BelowOne = 0.9,
    nesterov: bool = True,
) -> Optimizer:
    """Stochastic gradient descent with momentum. lr, encoder_lr: as for adamw; nesterov asks for momentum above 0."""
    groups = _groups(model, lr, encoder_lr, weight_decay)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0)


def _groups(model: nn.Module, lr: float, encoder_lr: float | None, weight_decay: float) -> list[dict[str, Any]]:
    """Divide the parameters into "encoder", "encoder_no_decay", "decoder" and "decoder_no_decay", without empty groups.

    The encoder is `model.encoder`, the decoder everything else. Frozen parameters are in no group. Raises `UserError`
    if `encoder_lr` is given for a model without an encoder.
    """
    if encoder_lr is not None and not isinstance(getattr(model, "encoder", None), nn.Module):
        raise UserError("encoder_lr is given, but this model has no encoder; set encoder_lr to null")
    lrs = {"encoder": lr if encoder_lr is None else encoder_lr, "decoder": lr}
    groups: dict[str, dict[str, Any]] = {}
    for side, parameter in _trainable(model):
        decays = parameter.ndim > 1
        name = side if decays else f"{side}_no_decay"
        new = {"name": name, "params": [], "lr": lrs[side], "weight_decay": weight_decay if decays else 0.0}
        groups.setdefault(name, new)["params"].append(parameter)
    return list(groups.values())


def _trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield each parameter that is trained with "encoder" or "decoder"."""
    encoder = getattr(model, "encoder", None)
    of_encoder = {id(parameter) for parameter in encoder.parameters()} if isinstance(encoder, nn.Module) else set()
    for parameter in model.parameters():
        if parameter.requires_grad:
            yield "encoder" if id(parameter) in of_encoder else "decoder", parameter


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adam": adam, "adamw": adamw, "radam": radam, "sgd": sgd}
