"""Check before the first step whether a run's files will fit on the disk."""

from __future__ import annotations

import shutil

from torch import nn

from trainer.records.checkpoint import StateFiles
from trainer.records.folder import RunFolder
from trainer.training.stepper import TrainState
from utils.errors import UserError

MOMENTS = 2
"""Numbers that an optimizer of the Adam family keeps per weight; others keep fewer."""
OTHER_FILES = 64 * 1024**2
"""Bytes for log, metrics, report and pictures."""
GIB = 1024**3


def refuse_full_disk(folder: RunFolder, states: StateFiles, train_state: TrainState, kept_weights: int) -> None:
    """Raise `UserError` if the free space does not hold the states and weights that the run will write."""
    needed = needed_bytes(folder, states, train_state, kept_weights)
    free = shutil.disk_usage(folder.path).free
    if free < needed:
        raise UserError(
            f"{folder.path}: {free / GIB:.2f} GiB are free on this disk, but the run needs {needed / GIB:.2f} GiB more "
            f"({states.keep + 1} states of {state_bytes(train_state) / GIB:.2f} GiB and its best weights"
            f"{f', and {kept_weights} kept weights' if kept_weights else ''}). Free space, name another disk with "
            f"run.folder=…, or lower checkpoint.keep{' or raise checkpoint.keep_every_steps' if kept_weights else ''}."
        )


def needed_bytes(folder: RunFolder, states: StateFiles, train_state: TrainState, kept_weights: int) -> int:
    """Compute the most bytes still to be written: a file is complete before the one that it replaces is deleted.

    `kept_weights`: how many weights the whole run keeps beside the best ones.
    """
    state, weights = state_bytes(train_state), bytes_of(train_state.kept_model)
    there = min(len(states.paths()), states.keep)
    weights_there = folder.best_weights.exists()
    files = (1 if weights_there else 2) + (1 if train_state.swa else 0)
    files += max(0, kept_weights - len(folder.kept_weights))
    return state * (states.keep + 1 - there) + weights * files + OTHER_FILES


def state_bytes(train_state: TrainState) -> int:
    """Compute the bytes of a full state: weights, the optimizer's values for each, and averages of weights."""
    weights = bytes_of(train_state.model)
    trained = sum(weight.numel() * weight.element_size() for weight in train_state.model.parameters())
    averages = sum(average is not None for average in (train_state.ema, train_state.swa))
    return weights + MOMENTS * trained + averages * weights


def bytes_of(model: nn.Module) -> int:
    """Compute the bytes of a network's weights and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
