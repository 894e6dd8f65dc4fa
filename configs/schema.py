"""The schema of an experiment: every key with its type, default, unit and meaning. Larger blocks are in `blocks/`.

`python -m configs.reference` writes docs/config.md from the schema and the builders' signatures. The tables of
components are imported when a config is read, so that importing this module is cheap.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from configs import tables
from configs.blocks.images import Data, Folder, Transform
from configs.blocks.prediction import Predict
from configs.blocks.services import Services
from configs.blocks.training import VALID_LOSS, Checkpoint, EarlyStopping, Trainer
from configs.fold import ALL, Folds, fold_choice
from utils.config.component import Component, choice, component
from utils.config.messages import shown
from utils.config.section import Section, fault
from utils.errors import UserError

if TYPE_CHECKING:
    from data.task import Task

ModelSpec = Annotated[Component, component("model", tables.models)]
LossSpec = Annotated[Component, component("loss", tables.losses)]
OptimizerSpec = Annotated[Component, component("optimizer", tables.optimizers)]
TrackerSpec = Annotated[Component, component("tracker", tables.trackers)]
SchedulerSpec = Annotated[Component, component("scheduler", tables.schedulers)]
TaskName = Annotated[str, choice("task", tables.tasks)]
FoldChoice = Annotated[Folds, fold_choice()]

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
    trackers: tuple[TrackerSpec, ...] = Field((), description="What draws the run's curves beside MLflow.")

    @property
    def chosen_task(self) -> Task:
        """The task, with the classes of `data.classes` if it takes any, and the groups of `data.group_pattern`."""
        return tables.task(self.task, self.data.classes).grouped_by(self.data.group_pattern)

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
    def _classes_fit_the_task(self) -> Self:
        problem = tables.fault_of_classes(self.task, self.data.classes)
        if problem:
            raise fault(problem, "data", "classes")
        return self

    @model_validator(mode="after")
    def _groups_are_named(self) -> Self:
        if self.data.group_pattern is not None and not tables.tasks()[self.task].layout.groups_by_name:
            raise fault(
                f"the images of task '{self.task}' are not grouped by names; leave it out", "data", "group_pattern"
            )
        return self

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
