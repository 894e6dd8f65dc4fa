"""The trackers by name: listeners in the training process that draw a run's curves with a tool of others.

A new one is a builder with a `RunFacts`, in a file of its own, and a line here. Its keyword-only arguments are its keys
in YAML. An exception of a tracker leaves it out and never ends a run (`trainer.runs.listeners`).
"""

from __future__ import annotations

from collections.abc import Callable

from services.trackers.tensor_board import tensorboard
from services.trackers.weights_and_biases import wandb
from utils.events import Listener

TRACKERS: dict[str, Callable[..., Listener]] = {"tensorboard": tensorboard, "wandb": wandb}
