"""The schema of an experiment: every key with its type, default, unit and meaning.

`python -m configs.reference` writes docs/config.md from this module and the builders' signatures. The tables of
components are imported when a config is read, so that importing this module is cheap.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from configs import tables
from configs.fold import ALL, Folds, fold_choice
from configs.places import in_project
from configs.prediction import Pixels, Predict
from configs.services import Services
from utils.config.component import Component, choice, component
from utils.config.messages import shown
from utils.config.section import Section, fault
from utils.errors import UserError
from utils.rounds import CountedIn, Rounds

ModelSpec = Annotated[Component, component("model", tables.models)]
LossSpec = Annotated[Component, component("loss", tables.losses)]
OptimizerSpec = Annotated[Component, component("optimizer", tables.optimizers)]
SchedulerSpec = Annotated[Component, component("scheduler", tables.schedulers)]
TransformSpec = Annotated[Component, component("transform", tables.transforms)]
TaskName = Annotated[str, choice("task", tables.tasks)]
FoldChoice = Annotated[Folds, fold_choice()]
Folder = Annotated[Path, BeforeValidator(in_project)]

Each = TypeVar("Each")
Batch = Annotated[int, Field(ge=1, le=1024)]
Count = Annotated[int, Field(ge=1)]
Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]
PerChannel = Annotated[tuple[Each, ...], Field(min_length=1)]
VALID_LOSS = "valid_loss"
"""What `early_stopping.metric` says if not the score, but the loss on held-out images decides."""
DEFAULT_EPOCHS, DEFAULT_EVALUATIONS = 50, 10
FAST_STEPS = 2
"""Optimizer steps of a fast development run, if the training is counted in steps."""
LONGEST_NAME = 100
"""Characters of a run's name: three bytes each in Korean, and a folder's name may take 255 bytes."""


def _as_written(default: Any) -> Any:
    """Return a default as YAML would give it, typed as its key; validation converts it."""
    return default


def _usable_as_folder(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"expected {LONGEST_NAME} characters at most, for it names a folder; got {len(name)}")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(f"expected letters, digits and . _ + - alone, for it names a folder; got {name!r}")
    return name


class Run(Section):
    """The run's name and folder."""

    name: Annotated[str, AfterValidator(_usable_as_folder)] = Field(
        description="Names the run's folder: letters, digits and `. _ + -`."
    )
    folder: Folder = Field(Path("runs"), description="The folder of all runs; this one is `<folder>/<name>`.")
    if_exists: Literal["refuse", "replace"] = Field(
        "refuse", description="If a run of this name exists: refuse, or rename it to `<name>.replaced`."
    )


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
    exclude: tuple[str, ...] = Field(
        (),
        description="Samples to leave out: a group (hand bones: a patient, `ID073`), an image name, or "
        "`ID073/image.png`.",
    )
    extra_roots: tuple[ExtraRoot, ...] = Field((), description="Further sources of labelled images to train on.")
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

    @field_validator("evaluate")
    @classmethod
    def _pixels_stay(cls, steps: tuple[Component, ...]) -> tuple[Component, ...]:
        for index, step in enumerate(steps):
            if step.name not in tables.intensity_transforms():
                allowed = ", ".join(tables.intensity_transforms())
                problem = f"'{step.name}' moves pixels or replaces them, so predictions would not fit"
                raise fault(f"{problem}. Valid: {allowed}", index)
        return steps


class Trainer(Section):
    """The training loop."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="Passes over the training images; 50 if neither this nor `steps` is given."
    )
    steps: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        None,
        description="Optimizer steps of the whole training, instead of `epochs`. The images are drawn in one pass "
        "after the other, and no pass leaves one out.",
    )
    batch_size: Batch = Field(2, description="Images per step and device.")
    evaluate_batch_size: Batch = Field(1, description="Images per step and device outside training.")
    accumulate: Count = Field(1, description="Batches whose gradients are summed before the optimizer steps.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto",
        description="Number format of the network; `auto`: bf16 or fp16 if the device computes it fast, else fp32.",
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Largest norm of the gradient, measured after unscaling."
    )
    channels_last: bool = Field(True, description="Store tensors channels last, which is faster on tensor cores.")
    compile: bool = Field(False, description="Use `torch.compile`: some minutes at the start, then faster steps.")
    sync_batch_norm: bool = Field(
        True,
        description="With several processes, normalise over the images of all of them, as one process with the whole "
        "batch would; `false` is faster and normalises the images of each process separately.",
    )
    freeze: tuple[str, ...] = Field(
        (),
        description="Parts of the network that are not trained, by name: `stage1`, `encoder`, `*.bn_s1`. A batch "
        "normalisation among them keeps its statistics too.",
    )
    freeze_norms: bool = Field(
        False,
        description="Keep the statistics of all batch normalisations as they are; for few images, small batches, and "
        "weights whose norms are folded.",
    )
    calibrate_norms: Annotated[int, Field(ge=0, le=1000)] = Field(
        0,
        description="Compute the statistics of batch normalisations from this many batches before training, without "
        "changing what the network computes; for weights whose norms are folded. 0: keep the file's.",
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Decay per step of a moving average of the weights, which is then scored and saved: 0.999."
    )
    swa_from_epoch: Count | None = Field(
        None,
        description="First epoch (from 1) of an equal average of each epoch's last weights (SWA); it is scored at the "
        "end of the run and saved beside the best weights, as `checkpoints/swa.safetensors`.",
    )
    swa_from_step: Count | None = Field(
        None,
        description="The same in a training of `steps`: the average of the weights at each evaluation from this step "
        "on.",
    )
    evaluate_every: Count | None = Field(
        None, description="Epochs between evaluations, 1 if it is not given; the last epoch is always evaluated."
    )
    evaluate_every_steps: Count | None = Field(
        None,
        description="Optimizer steps between evaluations in a training of `steps`, a tenth of them if it is not given; "
        "the last step is always evaluated.",
    )
    overfit_batches: int = Field(
        0, ge=0, description="Train and score only on this many first batches, to see that the loss can fall; 0: off."
    )
    fast_dev_run: bool = Field(False, description="Run a few batches of every phase, to see that all of it works.")

    @property
    def unit(self) -> CountedIn:
        """What the length of the training is counted in."""
        return "epoch" if self.steps is None else "step"

    @property
    def length(self) -> int:
        """The length of the training: its epochs, or its optimizer steps."""
        return self.steps or self.epochs or DEFAULT_EPOCHS

    @property
    def rounds(self) -> Rounds | None:
        """How a training of `steps` is divided by its evaluations; None if epochs are counted."""
        if self.steps is None:
            return None
        if self.fast_dev_run:
            return Rounds(min(self.steps, FAST_STEPS), FAST_STEPS)
        return Rounds(self.steps, self.evaluate_every_steps or math.ceil(self.steps / DEFAULT_EVALUATIONS))

    @property
    def swa_first_epoch(self) -> int | None:
        """The epoch (from 0), or the round of a training of `steps`, whose weights are the first to be averaged."""
        if self.rounds is not None and self.swa_from_step is not None:
            return math.ceil(self.swa_from_step / self.rounds.every) - 1
        return None if self.swa_from_epoch is None else self.swa_from_epoch - 1

    @property
    def evaluations(self) -> int:
        """How often the network is scored in the whole training."""
        return math.ceil(self.length / (self.evaluate_every_steps or self.evaluate_every or 1))

    @model_validator(mode="after")
    def _is_counted_in_epochs_or_steps(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise fault(
                f"{self.steps} beside trainer.epochs: {self.epochs}, and a training is counted in one of them; write "
                "epochs: null to count steps, or steps: null to count epochs",
                "steps",
            )
        of_the_other = (
            {"evaluate_every_steps": "evaluate_every", "swa_from_step": "swa_from_epoch"}
            if self.steps is None
            else {"evaluate_every": "evaluate_every_steps", "swa_from_epoch": "swa_from_step"}
        )
        for key, meant in of_the_other.items():
            if getattr(self, key) is not None:
                other = "steps" if self.steps is None else "epochs"
                raise fault(f"counts {other}, but the training has trainer.{self.unit}s; write {meant} instead", key)
        # What was left out is filled in, so that a run's config.yaml says it.
        filled = (
            {"epochs": self.epochs or DEFAULT_EPOCHS, "evaluate_every": self.evaluate_every or 1}
            if self.steps is None
            else {"evaluate_every_steps": self.evaluate_every_steps or math.ceil(self.steps / DEFAULT_EVALUATIONS)}
        )
        for key, value in filled.items():
            object.__setattr__(self, key, value)
        return self

    @model_validator(mode="after")
    def _average_can_begin(self) -> Self:
        key = f"swa_from_{self.unit}"
        first = getattr(self, key)
        if first is not None and first > self.length:
            raise fault(
                f"expected 1 to {self.length}, for trainer.{self.unit}s is {self.length}; got {first}",
                key,
            )
        return self


class EarlyStopping(Section):
    """Stop when the metric no longer improves."""

    patience: Count = Field(10, description="Evaluations without improvement before training stops.")
    min_delta: float = Field(0.0, ge=0, description="Smallest change that counts as improvement.")
    metric: str | None = Field(
        None, description="What decides: the task's metric by its name (`null` is the same), or `valid_loss`."
    )
    mode: Literal["max", "min"] | None = Field(
        None, description="Which way is better; it follows from the metric, so it may be left out (`null`)."
    )


class Checkpoint(Section):
    """Saved states from which a run can resume. The best weights are always saved too."""

    every_steps: Count | None = Field(None, description="Optimizer steps between checkpoints inside an epoch.")
    keep: Count = Field(2, description="How many of the newest checkpoints to keep.")
    keep_every_steps: Count | None = Field(
        None,
        description="Optimizer steps between weights that are all kept, to be compared later: "
        "`checkpoints/step-00002000.safetensors`, a file like that of the best weights; of the moving average if there "
        "is one.",
    )


class Config(Section):
    """An experiment."""

    run: Run = Field(default=_as_written({}), description="The run's name and folder.")
    task: TaskName = Field("hand_bone", description="Classes, reader and writer.")
    seed: int = Field(
        42, ge=0, lt=2**32, description="Seed of the order of images, of augmentation and of the first weights."
    )
    fold: FoldChoice = Field(
        0,
        description="The fold held out for validation, 0 to `data.folds` - 1. Several (`1,3`) or `all` are trained one "
        "after the other, each in its own folder `fold<k>` inside the run's.",
    )
    launcher: Literal["local", "ray"] = Field(
        "local",
        description="Where runs are trained: on this machine, or each on a machine of an existing Ray cluster (one GPU "
        "each; needs the package ray and a disk that all machines share).",
    )
    data: Data = Data()
    transform: Transform = Transform()
    model: ModelSpec = Field(description="The network.")
    loss: LossSpec = Field(default=_as_written("dice_bce"), description="What training minimises.")
    optimizer: OptimizerSpec = Field(default=_as_written("adamw"), description="How gradients change the weights.")
    scheduler: SchedulerSpec = Field(default=_as_written("cosine"), description="How learning rates change.")
    trainer: Trainer = Trainer()
    early_stopping: EarlyStopping | None = None
    checkpoint: Checkpoint = Checkpoint()
    predict: Predict = Predict()
    services: Services = Services()

    @property
    def held_out(self) -> int:
        """The one fold that this experiment holds out. Raises `UserError` if `fold` names several."""
        if self.fold == ALL or len(self.fold_numbers) != 1:
            raise UserError(f"fold: speaks of several folds ({shown(self.fold)}) where one is needed, such as fold=0.")
        return self.fold_numbers[0]

    @property
    def fold_numbers(self) -> tuple[int, ...]:
        """The folds that `fold` names; empty for `all`."""
        if self.fold == ALL:
            return ()
        return self.fold if isinstance(self.fold, tuple) else (self.fold,)

    @property
    def title(self) -> str:
        """The run's name in messages: `mine`, or `mine/fold2` for one of several folds."""
        return self.run.name if isinstance(self.fold, int) else f"{self.run.name}/fold{self.held_out}"

    @property
    def folder(self) -> Path:
        """The run's folder. Raises `UserError` if there are several folds, each of which has its own folder."""
        return self.run.folder / self.title

    def of_fold(self, fold: int) -> Config:
        """Return the same experiment with this one of several folds, in its own folder `fold<k>`."""
        return self.model_copy(update={"fold": (fold,)})

    @model_validator(mode="after")
    def _metric_is_the_tasks(self) -> Self:
        if self.early_stopping is None:
            return self
        metric = tables.tasks()[self.task].metric
        monitored, mode = self.early_stopping.metric or metric.name, self.early_stopping.mode
        modes = {metric.name: metric.mode, VALID_LOSS: "min"}
        if monitored not in modes:
            raise fault(f"expected {' or '.join(modes)}, got '{monitored}'", "early_stopping", "metric")
        if mode is not None and mode != modes[monitored]:
            raise fault(
                f"'{mode}' would stop a run that gets better; {monitored} needs {modes[monitored]}",
                *("early_stopping", "mode"),
            )
        # What was left out is filled in, so that a run's config.yaml says it.
        decided = self.early_stopping.model_copy(update={"metric": monitored, "mode": modes[monitored]})
        object.__setattr__(self, "early_stopping", decided)
        return self

    @model_validator(mode="after")
    def _folds_exist(self) -> Self:
        unknown = [number for number in self.fold_numbers if number >= self.data.folds]
        if unknown and self.data.fold_files is None:
            raise fault(
                f"expected 0 to {self.data.folds - 1}, for data.folds is {self.data.folds}; got {unknown[0]}", "fold"
            )
        return self

    @model_validator(mode="after")
    def _normalisation_fits_the_images(self) -> Self:
        channels = tables.tasks()[self.task].channels
        for key in ("mean", "std"):
            value = getattr(self.transform, key)
            if isinstance(value, tuple) and len(value) != channels:
                images, way_out = {
                    1: ("one channel (grey)", "one number"),
                    3: ("3 channels (RGB)", "one number, or a list of 3"),
                }[channels]
                raise fault(
                    f"{len(value)} numbers, but the images of task '{self.task}' have {images}; write {way_out}",
                    "transform",
                    key,
                )
        return self

    @model_validator(mode="after")
    def _maximum_is_that_of_the_image(self) -> Self:
        if self.transform.divide_by_maximum and self.predict.windows.size_px is not None:
            raise fault(
                "would divide each window by its own maximum, so that windows of one image would not fit together; "
                "write false, or predict.windows.size_px: null",
                *("transform", "divide_by_maximum"),
            )
        return self

    @model_validator(mode="after")
    def _weights_are_kept(self) -> Self:
        every, steps = self.checkpoint.keep_every_steps, self.trainer.steps
        if every is not None and steps is not None and every > steps:
            raise fault(
                f"expected 1 to {steps}, for trainer.steps is {steps}; got {every}, which no step reaches",
                *("checkpoint", "keep_every_steps"),
            )
        return self

    @model_validator(mode="after")
    def _patience_can_run_out(self) -> Self:
        evaluations, unit = self.trainer.evaluations, self.trainer.unit
        if self.early_stopping is not None and self.early_stopping.patience >= evaluations:
            raise fault(
                f"{self.early_stopping.patience} can never run out in {evaluations} evaluations (trainer.{unit}s: "
                f"{self.trainer.length}); take less, train longer, or write early_stopping: null",
                "early_stopping",
                "patience",
            )
        return self
