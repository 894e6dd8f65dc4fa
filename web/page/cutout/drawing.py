"""What the page shows of a cut-out and gives away, without running the network again."""

# Shapes: H/W pixels of the photograph, h/w of the preview.
from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from data.cutout.pictures.base import mix
from data.refine import object_colours
from utils.arrays import Bytes, Image
from utils.pictures import checkerboard
from web.engine.look import BaseLook
from web.engine.prediction import Prediction

PREVIEW_PX = 1280
"""Longest side of a preview; what is downloaded has the photograph's size."""
SQUARE_PX = 12
"""Of the checkerboard."""


@dataclass(eq=False)
class Cutout:
    """A prediction as it is kept between two clicks of a person; the last alpha is remembered."""

    name: str
    prediction: Prediction
    network_s: float
    refine_s: float = 0.0
    """Seconds that the last alpha took."""
    last: tuple[list[dict[str, Any]], Bytes] | None = None
    """The refinements of the last alpha, and that alpha."""

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes, with the alpha and the file's own."""
        return self.prediction.logits.nbytes + self.prediction.photo.pixels.nbytes * 5 // 3

    def alpha(self, look: BaseLook) -> Bytes:
        """Return the refined alpha uint8[H, W] at full size, without the file's own."""
        refinements = self.prediction.model.refinements
        chain = look.specs(refinements)
        if self.last is None or self.last[0] != chain:
            begun = time.perf_counter()
            self.last = chain, self.prediction.alpha(look.refinements(refinements))
            self.refine_s = time.perf_counter() - begun
        return self.last[1]

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
