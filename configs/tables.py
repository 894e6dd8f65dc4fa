"""The tables of components, as functions for the schema. Each table is imported only when its function is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utils.config.component import Table


def models() -> Table:
    from models import MODELS

    return MODELS


def losses() -> Table:
    from loss import LOSSES

    return LOSSES


def optimizers() -> Table:
    from scheduler import OPTIMIZERS

    return OPTIMIZERS


def schedulers() -> Table:
    from scheduler import SCHEDULERS

    return SCHEDULERS


def transforms() -> Table:
    from transform import TRANSFORMS

    return TRANSFORMS


def intensity_transforms() -> Table:
    from transform import INTENSITY

    return INTENSITY


def postprocesses() -> Table:
    from data.masks.postprocess import POSTPROCESSES

    return POSTPROCESSES


def tasks() -> Mapping[str, Any]:
    from data.tasks import TASKS

    return TASKS
