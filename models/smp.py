"""Networks by name: every architecture and encoder of segmentation-models-pytorch, images in, logits out.

`python -m models [pattern]` lists the names. Nothing here depends on the memory format: `model.to(memory_format=…)`.
"""

# Shapes: B batch, C classes, H/W pixels of the model's input; an image has 1 channel (grey) or 3 (RGB).
from __future__ import annotations

import inspect
import logging
from typing import Annotated, Any, cast

import torch
from pydantic import Field
from torch import nn

from models.activation_checkpointing import recompute_activations
from models.encoders import TIMM, check_encoder, quiet_about_names
from models.outputs import check_outputs
from models.pretrained.fill import fill_network
from models.weights import check_weights, hub_argument, hub_failure, is_on_hub, load_into_encoder
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError

log = logging.getLogger(__name__)

ARCHITECTURES = {
    "unet": "Unet",
    "unetplusplus": "UnetPlusPlus",
    "manet": "MAnet",
    "linknet": "Linknet",
    "fpn": "FPN",
    "pspnet": "PSPNet",
    "deeplabv3": "DeepLabV3",
    "deeplabv3plus": "DeepLabV3Plus",
    "pan": "PAN",
    "upernet": "UPerNet",
    "segformer": "Segformer",
    "dpt": "DPT",
}
"""Our name of each architecture, and its class in segmentation-models-pytorch."""

# Parameters of an architecture that are set here; every other one may stand under `decoder`.
NOT_IN_DECODER = {
    "encoder_name", "encoder_weights", "encoder_depth", "in_channels", "classes", "activation", "aux_params", "kwargs",
}  # fmt: skip

# Parameters of timm's builders that are set here or would reach for files; every other may stand in `encoder_options`.
NOT_IN_OPTIONS = {
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "features_only",
    "in_chans", "out_indices", "output_stride", "model_name", "name",
}  # fmt: skip

Depth = Annotated[int, Field(ge=1, le=24)]
Options = dict[str, Any]


def segmentation_model(
    architecture: str,
    classes: int,
    channels: int,
    *,
    encoder: str = "resnet34",
    encoder_weights: str | None = None,
    encoder_depth: Depth | None = None,
    encoder_options: Options | None = None,
    decoder: Options | None = None,
    weights: str | None = None,
    checkpoint_gradients: bool = False,
) -> nn.Module:
    """A network from float [B, channels, H, W] to logits [B, C, H, W]; its encoder is `.encoder`.

    encoder: a name that `python -m models [pattern]` lists.
    encoder_weights: null (random), `lite0`, a file, or the hub's `imagenet` and the like.
    encoder_depth: number of stages; null for the architecture's own.
    encoder_options: for timm's encoders (`tu-`), such as `{drop_path_rate: 0.1}`.
    decoder: the architecture's own further arguments, such as `{decoder_channels: [128, 64, 48, 32, 16]}`.
    weights: a file of the whole network to start from, such as a run's best.safetensors; then encoder_weights is null.
    checkpoint_gradients: less memory for about a third more time.

    Raises `UserError` for unknown names, combinations that do not exist, and weights that cannot be had.
    """
    check_encoder(encoder)
    check_weights(encoder, encoder_weights)
    if weights is not None and encoder_weights is not None:
        raise UserError(
            f"weights: {weights} holds the encoder too, but encoder_weights is '{encoder_weights}'. Write "
            "encoder_weights: null, or weights: null."
        )
    check_options(architecture, encoder, encoder_options=encoder_options, decoder=decoder)
    arguments = (decoder or {}) | (encoder_options or {})
    if encoder_depth is not None:
        arguments["encoder_depth"] = encoder_depth
    model = _assembled(
        architecture, encoder, encoder_weights, {"classes": classes, "in_channels": channels, **arguments}
    )
    model = fill_network(model, weights, architecture)
    return recompute_activations(model) if checkpoint_gradients else model


def dpt(
    classes: int,
    channels: int,
    *,
    encoder: str = "tu-vit_small_patch16_224",
    encoder_weights: str | None = None,
    encoder_depth: Depth | None = None,
    encoder_options: Options | None = None,
    decoder: Options | None = None,
    weights: str | None = None,
    checkpoint_gradients: bool = False,
) -> nn.Module:
    """As the others, with encoders of another kind: DPT takes timm's vision transformers only, at any input size."""
    return segmentation_model(
        "dpt",
        classes,
        channels,
        encoder=encoder,
        encoder_weights=encoder_weights,
        encoder_depth=encoder_depth,
        encoder_options=({"dynamic_img_size": True} if encoder.startswith(TIMM) else {}) | (encoder_options or {}),
        decoder=decoder,
        weights=weights,
        checkpoint_gradients=checkpoint_gradients,
    )


def check_options(architecture: str, encoder: str, *, encoder_options: Options | None, decoder: Options | None) -> None:
    """Raise `UserError` for keys that the architecture or the encoder does not have; building checks their values."""
    known = sorted(set(inspect.signature(_class_of(architecture).__init__).parameters) - NOT_IN_DECODER - {"self"})
    for name in decoder or {}:
        if name not in known:
            raise UserError(f"decoder.{name}: unknown key. {did_you_mean_of_all(name, known)}")
    if encoder_options and not encoder.startswith(TIMM):  # These would be ignored in silence.
        raise UserError(f"encoder_options: only timm's encoders ('{TIMM}…') take options, '{encoder}' does not.")
    for name in encoder_options or {}:
        if name in NOT_IN_OPTIONS:
            raise UserError(f"encoder_options.{name}: is set from the other keys, or reaches for files. Remove it.")


def check_input_size(
    model: nn.Module, input_chw: tuple[int, int, int], key: str = "transform.size_px", classes: int | None = None
) -> None:
    """Raise `UserError` if the network cannot take images of this size, which `key` sets, or returns no logits of it.

    `input_chw`: channels, height and width of an image. With `classes` the logits must be of so many. A forward pass
    on fake tensors, which have shapes but no numbers: cheap at any size. A network with `takes_any_size` needs none.
    """
    if getattr(model, "takes_any_size", False):
        return
    from torch._subclasses.fake_tensor import FakeTensorMode

    step, size_hw = input_step_px(model), input_chw[1:]
    if any(side % step for side in size_hw):
        fitting = " x ".join(str(max(step, round(side / step) * step)) for side in size_hw)
        raise UserError(
            f"the network needs sides that are multiples of {step} px, but its input has {size_hw[0]} x {size_hw[1]}; "
            f"set {key} to {fitting}."
        )
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        check_outputs(_run_once(model, input_chw, key), size_hw, classes)


def input_step_px(model: nn.Module) -> int:
    """Return the number of pixels that height and width must be multiples of; 1 if any size will do."""
    if not getattr(model, "requires_divisible_input_shape", False):
        return 1
    stride = int(cast(Any, model).encoder.output_stride)
    return 2 * stride if type(model).__name__ == "DPT" else stride  # DPT halves the transformer's grid once more


def _run_once(model: nn.Module, input_chw: tuple[int, int, int], key: str) -> Any:
    """Return the network's outputs for one image of zeros, in evaluation mode."""
    was_training, traces = model.training, logging.getLogger("torch._subclasses.fake_tensor")
    traces.disabled = True  # torch logs a stack trace of what is said in one sentence below
    try:
        return model.eval()(torch.zeros(1, *input_chw))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError(
            f"the network cannot take images of {input_chw[1]} x {input_chw[2]} px: {_one_line(error)}; "
            f"change {key}, or the encoder and its options."
        ) from error
    finally:
        traces.disabled = False
        model.train(was_training)


def _assembled(architecture: str, encoder: str, encoder_weights: str | None, arguments: Options) -> nn.Module:
    model = _built(architecture, encoder, None, arguments)
    if encoder_weights is None:
        return model
    if is_on_hub(encoder_weights):
        return _downloaded(architecture, encoder, encoder_weights, arguments)
    load_into_encoder(cast(nn.Module, model.encoder), encoder, encoder_weights)
    return model


def _built(architecture: str, encoder: str, hub_weights: str | bool | None, arguments: Options) -> nn.Module:
    """Build the network. Without weights any error is a combination that the library refuses; its types are many."""
    try:
        with quiet_about_names():
            model: nn.Module = _class_of(architecture)(encoder, encoder_weights=hub_weights, **arguments)
            return model
    except Exception as error:
        if hub_weights is not None:
            raise
        raise UserError(
            f"encoder '{encoder}' and these options do not go together: {_one_line(error)}; "
            "choose another encoder, encoder_depth, encoder_options or decoder."
        ) from error


def _downloaded(architecture: str, encoder: str, hub_weights: str, arguments: Options) -> nn.Module:
    """Build the network with weights from the hub. It was just built without, so an error is one of the download."""
    log.info("Reading '%s' weights of encoder '%s' from the Hugging Face hub or its cache.", hub_weights, encoder)
    try:
        return _built(architecture, encoder, hub_argument(encoder, hub_weights), arguments)
    except Exception as error:
        raise hub_failure(encoder, hub_weights, error) from error


def _class_of(architecture: str) -> Any:
    import segmentation_models_pytorch

    return getattr(segmentation_models_pytorch, ARCHITECTURES[architecture])


def _one_line(error: Exception) -> str:
    """Return the first line of an error, or its type if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
