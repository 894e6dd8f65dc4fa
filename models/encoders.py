"""Which encoders there are: segmentation-models-pytorch's own and, behind `tu-`, all that timm can build."""

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
    """Every encoder name, sorted; well over a thousand. A `tu-` name may be followed by `.` and timm's weights tag."""
    import segmentation_models_pytorch as smp
    import timm

    return tuple(sorted({*smp.encoders.get_encoder_names(), *(TIMM + name for name in timm.list_models())}))


def check_encoder(name: str) -> None:
    """Raise `UserError` with the nearest names for an encoder that nobody has."""
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
    """What `encoder_weights` may name on the hub; of timm's encoders the tag in their own name chooses the variant."""
    import segmentation_models_pytorch as smp

    name = _current(name)
    if name.startswith(TIMM):
        return ("imagenet",) if is_pretrained(name) else ()
    return tuple(smp.encoders.encoders[name]["pretrained_settings"])


@contextmanager
def quiet_about_names() -> Iterator[None]:
    """segmentation-models-pytorch calls its `timm-` names deprecated, though it has no other for some of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`timm-` encoders are deprecated", category=DeprecationWarning)
        yield


def _current(name: str) -> str:
    """Names that segmentation-models-pytorch still takes, though timm has taken over what they stood for."""
    import segmentation_models_pytorch as smp

    if not name.startswith("timm-") or not smp.encoders.is_equivalent_to_timm_universal(name):
        return name
    return name.replace("timm-mobilenetv3", "tu-tf_mobilenetv3").replace("timm-", TIMM)
