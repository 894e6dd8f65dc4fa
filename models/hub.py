"""Find out whether an encoder's pretrained weights are in this machine's cache, without a request to the hub."""

from __future__ import annotations

from pathlib import Path

from models.encoders import TIMM

FILES = ("model.safetensors", "pytorch_model.bin")


def is_cached(encoder: str, encoder_weights: str, cache: Path | None = None) -> bool:
    """Whether building this encoder would find its weights without a network; `cache`: the hub's own by default."""
    from huggingface_hub import try_to_load_from_cache

    place = place_of(encoder, encoder_weights)
    if place is None:
        return False
    repository, revision = place
    found = [try_to_load_from_cache(repository, file, cache_dir=cache, revision=revision) for file in FILES]
    return any(isinstance(path, str) for path in found)


def place_of(encoder: str, encoder_weights: str) -> tuple[str, str | None] | None:
    """Return repository and revision on the hub; None for weights that are not there."""
    import segmentation_models_pytorch as smp
    import timm

    if encoder.startswith(TIMM):
        about = timm.get_pretrained_cfg(encoder.removeprefix(TIMM))
        return (about.hf_hub_id, None) if about is not None and about.hf_hub_id else None
    settings = smp.encoders.encoders.get(encoder, {}).get("pretrained_settings", {}).get(encoder_weights)
    return (settings["repo_id"], settings["revision"]) if settings else None
