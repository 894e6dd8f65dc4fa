"""Names of encoders: those of segmentation-models-pytorch, and with the prefix `tu-` all that timm can build."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from utils.config.suggestions import nearest
from utils.errors import UserError

TIMM = "tu-"


@cache
def encoder_names() -> tuple[str, ...]:
    """Return all encoder names (1,000+), sorted. A `tu-` name may be followed by `.` and timm's weights tag."""
    import segmentation_models_pytorch as smp
    import timm

    return tuple(sorted({*smp.encoders.get_encoder_names(), *(TIMM + name for name in timm.list_models())}))


def check_encoder(name: str) -> None:
    """Raise `UserError` with the nearest names if there is no encoder of this name."""
    if _current(name).split(".")[0] not in encoder_names():
        near = nearest(name, encoder_names(), 3)
        guess = f"Did you mean {' or '.join(repr(other) for other in near)}? " if near else ""
        raise UserError(f"encoder: '{name}' is not an encoder. {guess}List them with: python -m models [pattern]")


def is_pretrained(name: str) -> bool:
    """Whether timm or segmentation-models-pytorch has weights for this encoder on the Hugging Face hub."""
    import segmentation_models_pytorch as smp
    import timm

    name = _current(name)
    if name.startswith(TIMM):
        return bool(timm.models.is_model_pretrained(name.removeprefix(TIMM)))
    return bool(smp.encoders.encoders[name]["pretrained_settings"])


def hub_weights_of(name: str) -> tuple[str, ...]:
    """Return the values of `encoder_weights` on the hub; of timm's encoders a tag in their name chooses the variant."""
    import segmentation_models_pytorch as smp

    name = _current(name)
    if name.startswith(TIMM):
        return ("imagenet",) if is_pretrained(name) else ()
    return tuple(smp.encoders.encoders[name]["pretrained_settings"])


@contextmanager
def quiet_about_names() -> Iterator[None]:
    """Ignore warnings about `timm-` names: the library calls them deprecated, but has no other for some of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`timm-` encoders are deprecated", category=DeprecationWarning)
        yield


def _current(name: str) -> str:
    """Replace an old name, which segmentation-models-pytorch still accepts, by that of the same encoder in timm."""
    import segmentation_models_pytorch as smp

    if not name.startswith("timm-") or not smp.encoders.is_equivalent_to_timm_universal(name):
        return name
    return name.replace("timm-mobilenetv3", "tu-tf_mobilenetv3").replace("timm-", TIMM)
