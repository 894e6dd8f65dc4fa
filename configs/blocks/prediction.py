"""The block `predict` of the schema, which may still be changed for a trained run."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs import tables
from utils.config.component import Component, component, preset_of
from utils.config.messages import shown
from utils.config.section import Section, fault

PostProcessSpec = Annotated[Component, component("cleanup", tables.postprocesses)]
RefineSpec = Annotated[Component, component("refinement", tables.refinements)]
Refinements = Annotated[tuple[RefineSpec, ...], preset_of("refinements", tables.refine_presets)]

PictureSpec = Annotated[Component, component("picture", tables.pictures)]
FormatSpec = Annotated[Component, component("format", tables.picture_formats)]

Pixels = Annotated[int, Field(ge=1, le=16384)]


class Windows(Section):
    """Predict a large image in overlapping windows, for a network that was trained on crops. Where windows overlap,
    their outputs are blended. `size_px: null` (the default) switches it off."""

    size_px: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="Size of a window in the resized image: pixels of a square, or `[H, W]`."
    )
    stride_px: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="Pixels from one window to the next, at most; `null`: half a window."
    )
    sigma: Annotated[float, Field(gt=0, le=10)] | None = Field(
        0.125,
        description="Standard deviation of the Gaussian that weights the pixels of a window, as a fraction of its "
        "side; `null`: all pixels count alike.",
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
    """Test-time augmentation: predict several views of each image and average the outputs. It changes no weights, so
    it may be switched on for a trained run. Each view takes about as long as the plain one; a scaled view takes longer
    in proportion to its number of pixels."""

    hflip: bool = Field(False, description="Every view also mirrored.")
    scales: tuple[Annotated[float, Field(ge=0.1, le=4)], ...] = Field(
        (), description="Factors of the input size, a view for each, such as `[0.75, 1.25]`."
    )
    rotations_deg: tuple[Annotated[float, Field(ge=-45, le=45)], ...] = Field(
        (), description="Degrees counter-clockwise, a rotated view for each, such as `[-7, 7]`."
    )
    gammas: tuple[Annotated[float, Field(gt=0, le=5)], ...] = Field(
        (), description="Exponents of the grey values (0..1), a view for each, such as `[0.8, 1.25]`."
    )
    validation: bool = Field(
        True,
        description="Use the views also for the scores during training; `false` is faster, and the scores are then "
        "those of the plain view.",
    )


class Predict(Section):
    """How masks are made from probabilities, in validation and in inference. All of it may be changed for a trained
    run: `python inference.py --run RUN predict.tta.hflip=true`."""

    threshold: float = Field(0.5, gt=0, lt=1, description="Probability above which a pixel belongs to a class.")
    postprocess: tuple[PostProcessSpec, ...] = Field((), description="Corrections of finished masks, in this order.")
    refine: Refinements | None = Field(
        None,
        description="How soft masks take the edges of their photograph when predictions are written: a preset (`soft`, "
        "`u2net`, `nuggy`, `people`; `plain` changes nothing) or refinements in their order; `null`: as the task does, "
        "`soft` for cut-outs. Scores during training are those of the network's own masks. See "
        "[cutouts.md](cutouts.md).",
    )
    own_colours: bool | None = Field(
        None,
        description="Write soft edges in the object's own colours, without those of the ground that shines through; "
        "`null`: if masks are refined.",
    )
    picture: PictureSpec | None = Field(
        None, description="What is written of each photograph; `null`: `rgba`, the object with its alpha."
    )
    format: FormatSpec | None = Field(
        None, description="Format of the files; `null`: as `--output FILE` is called, and `png` in a folder."
    )
    skip_empty: bool = Field(
        False,
        description="Write no file for an image in which nothing is found, and name it at the end. For tasks that "
        "write a file for each image.",
    )
    average: Literal["probabilities", "logits"] = Field(
        "probabilities", description="What is averaged over windows and views."
    )
    windows: Windows = Field(Windows(), description="Predict whole images, or windows that are blended.")
    tta: Tta = Field(Tta(), description="Other views of each image.")
    zoom: bool = Field(
        False,
        description="Look again, closer: if what was found fills little of the image, up to about three fifths of its "
        "longer side, its surroundings are predicted once more, at the network's full size. Scores during training and "
        "ensembles are of whole images.",
    )
    model: Literal["own", "auto"] = Field(
        "own",
        description="`auto`: an image in which `detector` finds two objects or more is predicted by it, any other by "
        "the own network. Scores during training are those of the own network.",
    )
    detector: str | None = Field(
        None,
        description="For `model: auto`: the weights file of a network that finds single objects, such as torchvision's "
        "Mask R-CNN.",
    )

    @model_validator(mode="after")
    def _detector_is_used(self) -> Self:
        if self.model == "auto" and self.detector is None:
            raise fault(
                "'auto' needs the weights file of a detector in predict.detector; write own without one", "model"
            )
        if self.model == "own" and self.detector is not None:
            raise fault("is used by predict.model=auto alone; set that, or leave the key out", "detector")
        return self
