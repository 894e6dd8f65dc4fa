"""The blocks `data` and `transform` of the schema: the images, and what is done to them before the network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from configs import tables
from configs.blocks.prediction import Pixels
from configs.places import in_project
from data.polygons.classes import Entries
from data.sample import checked_pattern
from utils.config.component import Component, component
from utils.config.section import Section, fault

TransformSpec = Annotated[Component, component("transform", tables.transforms)]
GroupPattern = Annotated[str, AfterValidator(checked_pattern)]
Folder = Annotated[Path, BeforeValidator(in_project)]

Each = TypeVar("Each")
Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]
PerChannel = Annotated[tuple[Each, ...], Field(min_length=1)]
LICENCE = "The licence of its images, as text: `CC BY 4.0`. It is written into weights and report."
ATTRIBUTION = "Whom to name for its images, as text. It is written into weights and report."


class ExtraRoot(Section):
    """A further source of labelled images to train on beside `data.root`. Its images are never held out."""

    root: Folder = Field(
        description="A folder as `data.root`, such as `python -m data.pseudo` writes; its `train/` is used."
    )
    weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="How often one of its images is drawn, relative to one of `data.root`. If it is not 1, the images "
        "of an epoch are drawn with replacement.",
    )
    group_pattern: GroupPattern | None = Field(None, description="As `data.group_pattern`, for these images.")
    licence: str | None = Field(None, description=LICENCE)
    attribution: str | None = Field(None, description=ATTRIBUTION)
    enabled: bool = Field(
        True, description="Whether it is trained on. If not, weights and report list it with the reason."
    )
    reason: str | None = Field(None, description="Why it is not trained on; needed with `enabled: false`.")

    @model_validator(mode="after")
    def _says_why_it_is_left_out(self) -> Self:
        if not self.enabled and not self.reason:
            raise fault(
                "expected why this source is not trained on, such as 'labels of glass are too coarse'", "reason"
            )
        return self


class Data(Section):
    """The images and how they are read."""

    root: Folder = Field(Path("datasets"), description="The folder that holds `train/` and `test/`.")
    licence: str | None = Field(None, description=LICENCE)
    attribution: str | None = Field(None, description=ATTRIBUTION)
    made_by: str | None = Field(
        None, description="The command that makes these data, for the message that they are missing."
    )
    classes: Entries = Field(
        (),
        description="Classes of one's own, for `task: polygons`: a list of names, or of blocks of `name`, `group` and "
        "`colour` ([labels.md](labels.md)).",
    )
    exclude: tuple[str, ...] = Field(
        (),
        description="Samples to leave out: a group (hand bones: a patient, `ID073`), an image name, or "
        "`ID073/image.png`.",
    )
    extra_roots: tuple[ExtraRoot, ...] = Field((), description="Further sources of labelled images to train on.")
    group_pattern: GroupPattern | None = Field(
        None,
        description="A regular expression for the beginning of images' names, with one pair of brackets around what "
        "names the group (hand bones: the patient): `'(P\\d+)_'`; `null`: images in one folder are a group.",
    )
    folds: int = Field(
        5, ge=2, description="Number of folds; the images of a group (hand bones: a patient) stay in one."
    )
    fold_files: Folder | None = Field(
        None, description="Folder of `fold_<n>.csv`, as `python -m data.folds` writes them; instead of `data.folds`."
    )
    bent_weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="How often an image of the kind that the task names for it (hand bones: a bent wrist) is drawn, "
        "against any other. Other than 1, the images of an epoch are drawn with replacement.",
    )
    workers: int = Field(
        4, ge=0, le=1024, description="Processes that read and augment images; 0: the training process does it."
    )
    prefetch: int = Field(4, ge=1, le=1024, description="Batches each worker prepares ahead.")


class Transform(Section):
    """What is done to an image before the network: first resizing, then the list of transforms, then normalisation."""

    size_px: Pixels | tuple[Pixels, Pixels] = Field(512, description="Input size: pixels of a square, or `[H, W]`.")
    keep_ratio: bool = Field(
        False,
        description="Keep the ratio of an image's sides: it is as large as fits into `size_px`, upright or turned. For "
        "prediction with a network that takes images of any size; they are then predicted one by one.",
    )
    pad: bool = Field(
        False,
        description="Keep the ratio of an image's sides, and fill up `size_px` with black around it; in training and "
        "prediction. If not, an image of another ratio is stretched.",
    )
    mean: Mean | PerChannel[Mean] = Field(
        0.122, description="Mean pixel value that is subtracted, on a 0..1 scale; of RGB also one for each channel."
    )
    std: Deviation | PerChannel[Deviation] = Field(
        0.168, description="Standard deviation that divides, on a 0..1 scale; of RGB also one for each channel."
    )
    divide_by_maximum: bool = Field(
        False,
        description="Divide by the largest value of an image instead of 255 before `mean` and `std`, as U-2-Net's "
        "authors do.",
    )
    train: tuple[TransformSpec, ...] = Field((), description="Augmentations, in this order, in training alone.")
    evaluate: tuple[TransformSpec, ...] = Field(
        (), description="Transforms of images outside training; none may move pixels or replace objects."
    )

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        if self.pad and self.keep_ratio:
            raise fault("expected false, for keep_ratio is true: images that are padded have one size", "pad")
        return self

    @field_validator("evaluate")
    @classmethod
    def _pixels_stay(cls, steps: tuple[Component, ...]) -> tuple[Component, ...]:
        for index, step in enumerate(steps):
            if step.name not in tables.intensity_transforms():
                allowed = ", ".join(tables.intensity_transforms())
                problem = f"'{step.name}' moves pixels or replaces them, so predictions would not fit"
                raise fault(f"{problem}. Valid: {allowed}", index)
        return steps
