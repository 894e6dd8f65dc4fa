"""The optimizers of timm, by the names of its registry (`timm.optim.list_optimizers()`), on our parameter groups."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch.optim import Optimizer

from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError

LOOKAHEAD = "lookahead_"
NOT_IN_OPTIONS = {"self", "params", "lr", "weight_decay"}
"""Arguments of an optimizer that are set from other keys."""


def optimizer_of(
    groups: list[dict[str, Any]], opt: str, *, lr: float, weight_decay: float, options: Mapping[str, Any]
) -> Optimizer:
    """Build the optimizer that timm calls `opt`, with `options` as further arguments.

    Raises `UserError`, which begins with the key at fault, for an unknown name, for options that this optimizer does
    not have or refuses, for one that needs second derivatives, and if a package is missing.
    """
    from timm.optim import create_optimizer_v2

    _check_name(opt)
    _check_options(opt, options)
    try:
        optimizer: Optimizer = create_optimizer_v2(groups, opt, lr=lr, weight_decay=weight_decay, **options)
    except (TypeError, ValueError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"options: timm's '{opt}' refuses these values ({reason}). Correct them.") from error
    return optimizer


def _check_name(opt: str) -> None:
    """Raise `UserError` for a name that timm does not have, or one that cannot be used here."""
    from timm.optim import list_optimizers

    names, name = list_optimizers(), _without_lookahead(opt)
    if name not in names:
        raise UserError(f"opt: '{opt}' is not an optimizer of timm. {did_you_mean_of_all(name, names)}")
    info = _info(opt)
    if info.second_order:
        raise UserError(f"opt: '{opt}' needs second derivatives, which no step computes here. Choose another.")
    if isinstance(info.opt_class, str):
        _check_package(opt, info.opt_class.split(".")[0])


def _check_package(opt: str, package: str) -> None:
    """Raise `UserError` unless the package of a GPU's optimizers can be used."""
    import torch

    if not torch.cuda.is_available():
        raise UserError(f"opt: '{opt}' runs on GPUs of NVIDIA only, and none can be used here. Choose another.")
    try:
        __import__(package)
    except ImportError as error:
        raise UserError(f"opt: '{opt}' needs the package {package}. Install it, or choose another.") from error


def _check_options(opt: str, options: Iterable[str]) -> None:
    """Raise `UserError` for an option that the optimizer does not have; timm would leave out some in silence."""
    from timm.optim import get_optimizer_class

    built = get_optimizer_class(_without_lookahead(opt), bind_defaults=False)
    known = set(inspect.signature(built).parameters) - NOT_IN_OPTIONS
    info = _info(opt)
    known -= {name for name, taken in (("eps", info.has_eps), ("betas", info.has_betas)) if not taken}
    for name in options:
        if name not in known:
            raise UserError(f"options.{name}: timm's '{opt}' has no such option. {did_you_mean_of_all(name, known)}")


def _info(opt: str) -> Any:
    from timm.optim import get_optimizer_info

    return get_optimizer_info(_without_lookahead(opt))


def _without_lookahead(opt: str) -> str:
    return opt.removeprefix(LOOKAHEAD)
