"""All special cases in one call: hair that was not seen, specks of a texture, glass; each only if it is found."""

# Shapes: H/W pixels of the photograph.
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from data.refine.base import Refine, Share
from data.refine.cases.hair import hair, hair_confidence
from data.refine.cases.texture import texture, texture_confidence
from data.refine.cases.transparency import glass_confidence, transparency
from utils.arrays import Floats32, Image

Detect: TypeAlias = Callable[[Image, Floats32], float]
"""A photograph and an alpha → how sure it is that the case is there, 0..1."""

CASES: Mapping[str, tuple[Detect, Callable[..., Refine]]] = {
    "hair": (hair_confidence, hair),
    "texture": (texture_confidence, texture),
    "transparency": (glass_confidence, transparency),
}
"""Each case's detector and handler, in the order in which they are handled."""


@dataclass(frozen=True)
class Handled:
    """An alpha before and after the special cases, float32[H, W] in 0..1, and how sure the detectors were, 0..1."""

    before: Floats32
    after: Floats32
    confidences: Mapping[str, float]


def handle_cases(image: Image, alpha: Floats32, confidence: float = 0.5) -> Handled:
    """Look for each case, and handle those of which the detector is at least so sure; `alpha` stays as it is."""
    after = alpha.copy()
    confidences = {}
    for name, (detect, handler) in CASES.items():
        confidences[name] = detect(image, after)
        if confidences[name] >= confidence:
            handler(confidence=confidence).change(image, after)
    return Handled(alpha, after, confidences)


def special_cases(*, confidence: Share = 0.5) -> Refine:
    """Look for hair that was not seen, specks of a texture, and glass, and handle what is found.

    confidence: how sure a detector must be, 0 to 1.
    """
    return Refine(partial(_handle, confidence=confidence))


def _handle(image: Image, alpha: Floats32, *, confidence: float) -> None:
    alpha[...] = handle_cases(image, alpha, confidence).after
