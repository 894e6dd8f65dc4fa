"""What a network has found in one image, and the answers that are made of it without running the network again."""

# Shapes: C classes, h/w the network's output, H/W the image.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data.cutout.photos.reader import Photograph
from data.cutout.pictures.base import Bands
from data.cutout.pictures.formats import encode_png
from data.masks import rle
from data.masks.outline import outlines_of_runs
from data.masks.overlay import paint_masks
from data.refine import Refine
from runtime.decode import probabilities
from utils.arrays import Bytes, Floats32, Image, Packed
from utils.errors import UserError
from web.engine.look import MEDIA_TYPES, BaseLook
from web.engine.models import ServedModel


@dataclass(frozen=True)
class Rendered:
    """A finished file."""

    content: bytes
    media_type: str


@dataclass(frozen=True, eq=False)
class Prediction:
    """An image, upright and at its own size, and the logits of a network at the network's size."""

    model: ServedModel
    photo: Photograph
    """`photo.pixels` is uint8[H, W, 3], RGB, or uint8[H, W] for networks of grey images."""
    logits: Floats32 = field(repr=False)
    """float32[C, h, w]."""

    @property
    def size_hw(self) -> tuple[int, int]:
        return (self.photo.pixels.shape[0], self.photo.pixels.shape[1])

    @property
    def oddity(self) -> str | None:
        """How the image differs from those that the network was trained on, in a few words; None if it does not."""
        return self.model.predictor.oddity(self.photo.pixels)

    def probabilities(self) -> Floats32:
        """Return the probability of each class at the image's size, float32[C, H, W], before any refinement."""
        return probabilities(self.logits, self.size_hw)

    def alpha(self, refine: Sequence[Refine]) -> Bytes:
        """Return the refined alpha of the object, uint8[H, W]; the file's own alpha is not yet in it.

        Raises `UserError` if the network makes no cut-outs.
        """
        refuse_other(self.model)
        decoder = replace(self.model.predictor.decoder, refine=tuple(refine))
        return np.ascontiguousarray(decoder.decode(self.model.task, self.logits, self.photo.pixels)[..., 0])

    def cutout(self, look: BaseLook, ground: Image | None = None) -> Rendered:
        """Refine the alpha, draw the picture and encode it. `ground`: RGB in sRGB, for `output=picture`.

        Raises `UserError` for a look that cannot be.
        """
        refine = look.refinements(self.model.refinements)
        style = look.style(bool(refine), ground)
        content = style.encode(self.photo, self.alpha(refine), style.suffixes[0])
        return Rendered(content, MEDIA_TYPES[look.format])

    def packed(self, threshold: float | None = None) -> Packed:
        """Return the masks of all classes in bits, uint8[H, W, K]. `threshold`: None, as the model has it.

        Raises `UserError` for a threshold of soft masks, which have none.
        """
        task = self.model.task
        decoder = replace(self.model.predictor.decoder, threshold=self.model.threshold_or(threshold))
        return task.encoding.harden(decoder.decode(task, self.logits, self.photo.pixels))

    def segments(self, packed: Packed) -> dict[str, Any]:
        """Return what JSON says of the masks: polygons, areas and runs of each class."""
        task, (height, width) = self.model.task, self.size_hw
        runs_of_classes = rle.encode(packed, len(task.classes))
        classes = [
            {
                "name": name,
                "area_px": int(rle.area(runs)),
                "polygons": [ring.tolist() for ring in outlines_of_runs(runs, width)],
                "rle": rle.to_text(runs),
            }
            for name, runs in zip(task.classes, runs_of_classes, strict=True)
        ]
        described = task.describe(runs_of_classes, (height, width))
        about = {"model": self.model.name, "task": task.name, "height": height, "width": width}
        return {**about, "description": described, "oddity": self.oddity or "", "classes": classes}

    def overlay(self, packed: Packed, opacity: float) -> bytes:
        """Return a PNG of the image with every class in a colour of its own. `opacity`: of the areas, 0..1."""
        drawn = paint_masks(self.photo.pixels, packed, self.model.task.class_colours, opacity)
        return encode_png(Bands.of(np.ascontiguousarray(drawn[..., ::-1])))


def refuse_other(model: ServedModel) -> None:
    """Raise `UserError` for a model that makes no cut-outs."""
    if not model.cuts_out:
        raise UserError(
            f"model: '{model.name}' is for task '{model.task.name}', which cuts nothing out. Send images to /segment."
        )
