"""What training leaves as it is: parameters by name, and the statistics of batch normalisations."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.pretrained.folding import has_folded_norms
from utils.errors import UserError
from utils.name_patterns import matches, refuse_unmatched

log = logging.getLogger(__name__)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Keep parameters of these names as they are. Raises `UserError` for a name without a part, or if none learns."""
    named = dict(model.named_parameters())
    refuse_unmatched(patterns, named, "trainer.freeze")
    frozen = [name for name in named if any(matches(name, pattern) for pattern in patterns)]
    for name in frozen:
        named[name].requires_grad_(False)
    if frozen and not any(parameter.requires_grad for parameter in named.values()):
        raise UserError("trainer.freeze: names all parts of the network, so nothing would learn. Leave one out.")
    if frozen:
        log.info("trainer.freeze: %d of %d parameters of the network stay as they are", len(frozen), len(named))


def norms_kept_of(model: nn.Module, *, every: bool) -> tuple[nn.Module, ...]:
    """Return the batch normalisations whose statistics stay as they are: all, or those that `freeze` has frozen.

    Raises `UserError` if all should stay and there are none.
    """
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if every and not norms:
        raise UserError("trainer.freeze_norms: the network has no batch normalisation. Leave the key out.")
    return tuple(layer for layer in norms if every or _is_frozen(layer))


def refuse_folded_norms(model: nn.Module, kept: Sequence[nn.Module]) -> None:
    """Raise `UserError` if batch normalisations are folded into convolutions, but would normalise in training."""
    learning = set(model.modules()) - set(kept)
    if any(isinstance(layer, _BatchNorm) and has_folded_norms(layer) for layer in learning):
        raise UserError(
            "model.weights: the batch normalisations in this file are folded into convolutions, so training would "
            "begin with another network. Set trainer.calibrate_norms=8 to compute their statistics from as many "
            "batches, or trainer.freeze_norms=true to leave them folded."
        )


def _is_frozen(layer: nn.Module) -> bool:
    own = list(layer.parameters())
    return bool(own) and not any(parameter.requires_grad for parameter in own)
