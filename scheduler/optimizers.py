"""The optimizers by name. A new one is a function that returns an `Optimizer`, and a line in `OPTIMIZERS`.

Encoder, decoder and parts by name may have different learning rates, because some are usually pretrained. Weight decay
applies to weights only: on 1-d parameters (scales of normalisation and biases) it would regularise nothing.

On GPUs the optimizers are fused as far as torch has fused ones: a few kernels for all parameters, to which the fp16
scaler says on the device whether a gradient overflowed. For the others it asks the device, and waits for it, in each
step. On CPUs the results would be others than before, so none is fused there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn
from torch.optim import Optimizer

from scheduler.from_timm import optimizer_of
from utils.errors import UserError
from utils.name_patterns import matches, refuse_unmatched

BelowOne = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[BelowOne, BelowOne]
Part = Annotated[str, Field(pattern=r"^[\w.*]+$")]
PartRates = dict[Part, NonNegativeFloat]


def adamw(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-3,
    encoder_lr: NonNegativeFloat | None = None,
    part_lrs: PartRates | None = None,
    weight_decay: NonNegativeFloat = 1e-2,
    betas: Betas = (0.9, 0.999),
    eps: PositiveFloat = 1e-8,
) -> Optimizer:
    """AdamW (arXiv:1711.05101): Adam with decay apart from the gradient.

    lr: learning rate of the model, or of all but its encoder. encoder_lr: that of the encoder; null: the same.
    part_lrs: those of parts by name, such as {stage1: 1e-5, "side*": 1e-3}; of several that fit, the first counts.
    """
    groups = _groups(model, lr, encoder_lr, weight_decay, part_lrs)
    return _movable(torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=_fused(groups)))


def adam(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-3,
    encoder_lr: NonNegativeFloat | None = None,
    part_lrs: PartRates | None = None,
    weight_decay: NonNegativeFloat = 0.0,
    betas: Betas = (0.9, 0.999),
    eps: PositiveFloat = 1e-8,
) -> Optimizer:
    """Adam (arXiv:1412.6980); its weight decay is added to the gradient. lr, encoder_lr, part_lrs: as for adamw."""
    groups = _groups(model, lr, encoder_lr, weight_decay, part_lrs)
    return _movable(torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps, fused=_fused(groups)))


def radam(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-3,
    encoder_lr: NonNegativeFloat | None = None,
    part_lrs: PartRates | None = None,
    weight_decay: NonNegativeFloat = 1e-2,
    betas: Betas = (0.9, 0.999),
    eps: PositiveFloat = 1e-8,
) -> Optimizer:
    """RAdam (arXiv:1908.03265), which warms up by itself, with decay as in AdamW.

    lr, encoder_lr, part_lrs: as for adamw.
    """
    groups = _groups(model, lr, encoder_lr, weight_decay, part_lrs)
    return torch.optim.RAdam(groups, lr=lr, betas=betas, eps=eps, decoupled_weight_decay=True)


def sgd(
    model: nn.Module,
    *,
    lr: PositiveFloat = 1e-2,
    encoder_lr: NonNegativeFloat | None = None,
    part_lrs: PartRates | None = None,
    weight_decay: NonNegativeFloat = 1e-4,
    momentum: BelowOne = 0.9,
    nesterov: bool = True,
) -> Optimizer:
    """Stochastic gradient descent with momentum.

    lr, encoder_lr, part_lrs: as for adamw; nesterov asks for momentum above 0.
    """
    groups = _groups(model, lr, encoder_lr, weight_decay, part_lrs)
    optimizer = torch.optim.SGD(
        groups, lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0, fused=_fused(groups)
    )
    return _movable(optimizer)


def timm(
    model: nn.Module,
    *,
    opt: str,
    lr: PositiveFloat = 1e-3,
    encoder_lr: NonNegativeFloat | None = None,
    part_lrs: PartRates | None = None,
    weight_decay: NonNegativeFloat = 1e-2,
    options: dict[str, Any] | None = None,
) -> Optimizer:
    """Any optimizer of timm's registry, such as lion, adan, lamb, muon or madgrad.

    opt: its name there; `lookahead_lion` is lion with Lookahead (arXiv:1907.08610) around it.
    options: further arguments of it, such as {betas: [0.9, 0.99]}. lr, encoder_lr, part_lrs: as for adamw.
    """
    groups = _groups(model, lr, encoder_lr, weight_decay, part_lrs)
    return optimizer_of(groups, opt, lr=lr, weight_decay=weight_decay, options=options or {})


def _groups(
    model: nn.Module,
    lr: float,
    encoder_lr: float | None,
    weight_decay: float,
    part_lrs: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Divide the parameters into "encoder", "encoder_no_decay", "decoder" and "decoder_no_decay", without empty groups.

    The encoder is `model.encoder`, the decoder everything else. What `part_lrs` names is in groups of its own. Frozen
    parameters are in no group. Raises `UserError` if a rate is given for a part that the model does not have.
    """
    if encoder_lr is not None and not isinstance(getattr(model, "encoder", None), nn.Module):
        raise UserError("encoder_lr is given, but this model has no encoder; set encoder_lr to null")
    parts = part_lrs or {}
    refuse_unmatched(parts, [name for name, _ in model.named_parameters()], "part_lrs")
    lrs = {"encoder": lr if encoder_lr is None else encoder_lr, "decoder": lr} | {
        f"part_{pattern}": rate for pattern, rate in parts.items()
    }
    groups: dict[str, dict[str, Any]] = {}
    for part, parameter in _trainable(model, parts):
        decays = parameter.ndim > 1
        name = part if decays else f"{part}_no_decay"
        new = {"name": name, "params": [], "lr": lrs[part], "weight_decay": weight_decay if decays else 0.0}
        groups.setdefault(name, new)["params"].append(parameter)
    return list(groups.values())


def _fused(groups: Iterable[Mapping[str, Any]]) -> bool | None:
    """Return whether to compute on all parameters in fused kernels; None leaves the choice to torch."""
    return all(parameter.is_cuda for group in groups for parameter in group["params"]) or None


def _movable(optimizer: Optimizer) -> Optimizer:
    """Let `optimizer` take a state from another device, or from a version that fused nothing.

    Torch would take over from the state whether to fuse, and then refuse, or compute more slowly.
    """

    def as_built(_: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        groups = [{**group, "fused": optimizer.defaults["fused"]} for group in state["param_groups"]]
        return {**state, "param_groups": groups}

    optimizer.register_load_state_dict_pre_hook(as_built)
    return optimizer


def _trainable(model: nn.Module, patterns: Iterable[str]) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield each parameter that is trained with its part: the first pattern that fits, else "encoder" or "decoder"."""
    encoder = getattr(model, "encoder", None)
    of_encoder = {id(parameter) for parameter in encoder.parameters()} if isinstance(encoder, nn.Module) else set()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            side = "encoder" if id(parameter) in of_encoder else "decoder"
            yield next((f"part_{pattern}" for pattern in patterns if matches(name, pattern)), side), parameter


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": adam,
    "adamw": adamw,
    "radam": radam,
    "sgd": sgd,
    "timm": timm,
}
