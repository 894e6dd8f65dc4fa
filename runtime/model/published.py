"""Recognise a network that others have published as an ONNX file, by its convolutions, and give it images as they do.

`models.pretrained.recognise` is the same for torch; a test compares the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import configs
from configs.loading.schemas import read_values
from runtime.model.metadata import IMAGE_KEYS, Metadata
from runtime.settings import Settings
from utils.onnx_file import OnnxLayout

RECIPES = Path(configs.__file__).parent / "published"
"""A recipe for each published network; its name is that of the file."""
SIGNATURES = {
    "4c77b64ba80ac0b2": "u2netp",
    "a6eecb57eb6b3349": "u2net",
    "2459c80d5fb1827e": "isnet",
}
"""`signature_of` of each published network, for RGB images and one class."""


def published_in(layout: OnnxLayout) -> str | None:
    """Return the name of the published network that a file holds; None if it is another one."""
    return SIGNATURES.get(signature_of(layout.convolutions))


def signature_of(convolutions: Sequence[tuple[Sequence[int], int]]) -> str:
    """Return a short text that differs for networks that differ in the shapes or dilations of their convolutions."""
    text = " ".join(f"{'x'.join(map(str, shape))}:{dilation}" for shape, dilation in convolutions)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def metadata_of(name: str, classes: tuple[str, ...], layout: OnnxLayout) -> Metadata:
    """Return the description of a published network, from its recipe; without a sigmoid its file gives logits."""
    values = read_values(Settings, RECIPES / f"{name}.yaml")
    transform: dict[str, Any] = values.get("transform", {})
    return Metadata(
        task=values["task"],
        classes=classes,
        transform={key: value for key, value in transform.items() if key in IMAGE_KEYS},
        predict=values.get("predict", {}),
        output="logits" if layout.logits is None else "probability",
        run=name,
    )
