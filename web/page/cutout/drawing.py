"""What the page shows of a cut-out and gives away, without running the network again."""

# Shapes: H/W pixels of the photograph, h/w of the preview.
from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np

from data.cutout.pictures.base import mix
from data.refine import Refine, object_colours, refine_mask
from runtime.decode import as_alpha
from utils.arrays import Bytes, Floats32, Image
from utils.pictures import checkerboard
from web.engine.look import BaseLook
from web.engine.prediction import Prediction

PREVIEW_PX = 1280
"""Longest side of a preview; what is downloaded has the photograph's size."""
SQUARE_PX = 12
"""Of the checkerboard."""
SLOW = ("guided_filter", "colour_matting", "transparency", "hair", "texture", "special_cases")
"""Refinements that take much longer than the others."""
Specs: TypeAlias = list[dict[str, Any]]


@dataclass(eq=False)
class Cutout:
    """A prediction as it is kept between two clicks of a person.

    The last alpha is remembered, and the one after the slow refinements: a slider behind them does not repeat them.
    """

    name: str
    prediction: Prediction
    network_s: float
    refine_s: float = 0.0
    """Seconds that the last alpha took."""
    last: tuple[Specs, Bytes] | None = None
    """The refinements of the last alpha, and that alpha uint8[H, W]."""
    slow: tuple[Specs, Floats32] | None = None
    """The refinements up to the last slow one, and the alpha after them, float32[H, W, 1]."""

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes: the photograph, 3 bytes a pixel, and alphas of 4, 1 and its own 1."""
        return self.prediction.logits.nbytes + 3 * self.prediction.photo.pixels.nbytes

    def alpha(self, look: BaseLook) -> Bytes:
        """Return the refined alpha uint8[H, W] at full size, without the file's own."""
        of_model = self.prediction.model.refinements
        chain = look.specs(of_model)
        if self.last is None or self.last[0] != chain:
            begun = time.perf_counter()
            refinements = look.refinements(of_model)
            count = max((place for place, spec in enumerate(chain, 1) if spec["name"] in SLOW), default=0)
            alpha_HW1 = self._after_slow(chain[:count], refinements[:count]).copy()
            alpha = as_alpha(refine_mask(self.prediction.photo.pixels, alpha_HW1, refinements[count:]))
            self.last = chain, np.ascontiguousarray(alpha[..., 0])
            self.refine_s = time.perf_counter() - begun
        return self.last[1]

    def _after_slow(self, chain: Specs, refinements: Sequence[Refine]) -> Floats32:
        if self.slow is None or self.slow[0] != chain:
            likely_HW1 = np.moveaxis(self.prediction.probabilities(), 0, 2)
            self.slow = chain, refine_mask(self.prediction.photo.pixels, likely_HW1, refinements)
        return self.slow[1]

    def file(self, look: BaseLook, ground: Image | None) -> bytes:
        """Return the content of a file at full size; `ground`, RGB in sRGB: for `output=picture`."""
        style = look.style(True, ground)
        return style.encode(self.prediction.photo, self.alpha(look), style.suffixes[0])

    def preview(self, look: BaseLook, ground: Image | None) -> tuple[Image, Image]:
        """Return the photograph and the picture of it, both uint8[h, w, 3] in sRGB; transparent is a checkerboard."""
        photo, alpha = self._reduced(self.prediction.photo.alpha_with(self.alpha(look)))
        style = look.style(True, ground)
        colours = object_colours(photo, alpha) if style.own_colours else photo
        if style.picture.has_alpha:
            return photo, mix(colours, alpha, checkerboard((alpha.shape[0], alpha.shape[1]), SQUARE_PX))
        picture = style.picture.draw(photo, alpha, colours)
        return photo, cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture

    def _reduced(self, alpha: Bytes) -> tuple[Image, Bytes]:
        """Return the photograph in sRGB and an alpha in the size of previews."""
        photo = self.prediction.photo
        scale = min(1.0, PREVIEW_PX / max(alpha.shape))
        size = max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale))
        pixels, small = (cv2.resize(array, size, interpolation=cv2.INTER_AREA) for array in (photo.pixels, alpha))
        return replace(photo, pixels=pixels, own_alpha=None).in_srgb.pixels, np.asarray(small)
