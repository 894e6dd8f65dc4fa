"""The blocks `trainer`, `early_stopping` and `checkpoint` of the schema: how long and how a network is trained."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from utils.config.section import Section, fault
from utils.rounds import CountedIn, Rounds

Batch = Annotated[int, Field(ge=1, le=1024)]
Count = Annotated[int, Field(ge=1)]
VALID_LOSS = "valid_loss"
"""What `early_stopping.metric` says if not the score, but the loss on held-out images decides."""
DEFAULT_EPOCHS, DEFAULT_EVALUATIONS = 50, 10
FAST_STEPS = 2
"""Optimizer steps of a fast development run, if the training is counted in steps."""


class Distances(Section):
    """How the distances between predicted and true outlines are measured."""

    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        2.0, description="Distance of outlines that agree (NSD), in pixels; with `mm`, in millimetres."
    )
    mm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Side of a pixel in millimetres; distances are then in mm. `null`: in pixels."
    )


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
        description="Number format of the network; `auto`: bf16 or fp16 if the device computes it fast, else fp32. A "
        "run may be resumed with another one, such as fp16 on a GPU without bf16.",
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Largest norm of the gradient, measured after unscaling."
    )
    channels_last: bool = Field(True, description="Store tensors channels last, which is faster on tensor cores.")
    compile: bool = Field(False, description="Use `torch.compile`: some minutes at the start, then faster steps.")
    deterministic: bool = Field(
        False,
        description="On a GPU, compute with kernels that give the same bits each time, so that a resumed run ends as "
        "one without interruption, bit for bit. A CPU does so anyway.",
    )
    cudnn_benchmark: bool = Field(
        False,
        description="Let cuDNN try its kernels for each size of tensors and take the fastest. The search takes about "
        "half a minute at the beginning on an H100, so it is for trainings of hours.",
    )
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
    distances: Distances | None = Field(
        None,
        description="Measure at the end of the run how far the outlines of the best network lie from the true ones on "
        "the held-out images, for the report: `{}`, or `{mm: 0.14}`. Nothing is decided by it.",
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
        return Rounds(self.steps, self.evaluated_every)

    @property
    def evaluated_every(self) -> int:
        """The epochs, or the optimizer steps, from one evaluation to the next."""
        if self.steps is None:
            return self.evaluate_every or 1
        return self.evaluate_every_steps or math.ceil(self.steps / DEFAULT_EVALUATIONS)

    @property
    def swa_first_epoch(self) -> int | None:
        """The epoch (from 0), or the round of a training of `steps`, whose weights are the first to be averaged."""
        if self.rounds is not None and self.swa_from_step is not None:
            return math.ceil(self.swa_from_step / self.rounds.every) - 1
        return None if self.swa_from_epoch is None else self.swa_from_epoch - 1

    @property
    def evaluations(self) -> int:
        """How often the network is scored in the whole training."""
        return math.ceil(self.length / self.evaluated_every)

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
        return self

    @model_validator(mode="after")
    def _says_what_was_left_out(self) -> Self:
        """Fill in the default length and interval, so that a run's config.yaml says them."""
        filled = (
            {"epochs": self.length, "evaluate_every": self.evaluated_every}
            if self.steps is None
            else {"evaluate_every_steps": self.evaluated_every}
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
