"""What an experiment may say of prediction: the part of the schema that a trained run may still change."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs import tables
from utils.config.component import Component, component
from utils.config.messages import shown
from utils.config.section import Section, fault

CleanupSpec = Annotated[Component, component("cleanup", tables.cleanups)]

Pixels = Annotated[int, Field(ge=1, le=16384)]


class Windows(Section):
    """Predict a large image part by part, as a network sees it that was trained on crops. Windows overlap, and where
    they do their answers are blended. `size_px: null` (the default) switches it off."""

    size_px: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="Size of a window in the resized image: pixels of a square, or `[H, W]`."
    )
    stride_px: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="Pixels from one window to the next, at most; `null`: half a window."
    )
    sigma: Annotated[float, Field(gt=0, le=10)] | None = Field(
        0.125,
        description="Standard deviation of the Gaussian by which the pixels of a window count, as a fraction of its "
        "side; `null`: all alike.",
    )

    @model_validator(mode="after")
    def _no_gaps(self) -> Self:
        if self.size_px is None or self.stride_px is None:
            return self
        sizes, strides = (side if isinstance(side, tuple) else (side, side) for side in (self.size_px, self.stride_px))
        if any(stride > size for size, stride in zip(sizes, strides, strict=True)):
            raise fault(f"expected at most the window's size {shown(self.size_px)}, else gaps are left", "stride_px")
        return self


class Tta(Section):
    """Test-time augmentation: the network sees other views of each image too, and its answers are averaged. A network
    learns nothing from it, so it may be switched on for a run that has been trained. Each view costs about as much as
    the plain one; a scaled one as many times that as it has pixels more."""

    hflip: bool = Field(False, description="Every view also mirrored.")
    scales: tuple[Annotated[float, Field(ge=0.1, le=4)], ...] = Field(
        (), description="A view of this many times the input size for each, such as `[0.75, 1.25]`."
    )
    rotations_deg: tuple[Annotated[float, Field(ge=-45, le=45)], ...] = Field(
        (), description="A turned view for each, degrees counter-clockwise, such as `[-7, 7]`."
    )
    gammas: tuple[Annotated[float, Field(gt=0, le=5)], ...] = Field(
        (), description="A view with grey values to this power for each, such as `[0.8, 1.25]`."
    )
    validation: bool = Field(
        True,
        description="Also when held-out images are scored while training; `false` is quicker, and the scores of a run "
        "are then those of the plain view.",
    )


class Predict(Section):
    """From probabilities to masks; the same in validation and in inference. All of it may be changed when a trained run
    predicts: `python inference.py --run RUN predict.tta.hflip=true`."""

    threshold: float = Field(0.5, gt=0, lt=1, description="Probability above which a pixel belongs to a class.")
    postprocess: tuple[CleanupSpec, ...] = Field((), description="What is mended in finished masks, in this order.")
    average: Literal["probabilities", "logits"] = Field(
        "probabilities", description="What is averaged over windows and views."
    )
    windows: Windows = Field(Windows(), description="Whole images, or parts that are blended.")
    tta: Tta = Field(Tta(), description="Other views of each image.")
