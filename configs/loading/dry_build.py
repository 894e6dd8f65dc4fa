"""Find what builders refuse although each value is valid by itself, before any data are read.

Losses, transforms, optimizers and schedulers are built and discarded. A model may take long to build and may download
weights, so only its names are checked, and that a file of weights exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from configs.loading.nodes import Path
from configs.schema import Config
from utils.config.component import Component
from utils.errors import UserError

if TYPE_CHECKING:
    from data.task import Task

STEPS_PER_EPOCH = 1_000_000
"""More than any data set gives, so that no number of steps is refused that a run may reach."""


def refusals(config: Config) -> Iterator[tuple[Path, str]]:
    """Yield key and sentence of everything that would be refused when the run is built."""
    task = config.chosen_task
    yield from _refusal(("model",), config.model, _check_names)
    yield from _refusal(("loss",), config.loss)
    yield from _refusal(("optimizer",), config.optimizer, _build_optimizer)
    yield from _refusal(("scheduler",), config.scheduler, lambda _: _build_scheduler(config))
    for phase, steps in (("train", config.transform.train), ("evaluate", config.transform.evaluate)):
        for index, step in enumerate(steps):
            yield from _refusal(("transform", phase, index), step, lambda spec: _build_transform(spec, task))


def _build(spec: Component, *program_args: Any) -> Any:
    return spec.builder(*program_args, **dict(spec.params))


def _build_transform(spec: Component, task: Task) -> None:
    from transform import MaskFormat, for_masks, refuse_channels

    masks = MaskFormat(task.classes, soft=task.encoding.soft)
    transform = for_masks(_build(spec), masks)
    refuse_channels(transform, task.channels)


def _refusal(path: Path, spec: Component, attempt: Callable[[Component], Any] = _build) -> Iterator[tuple[Path, str]]:
    try:
        attempt(spec)
    except UserError as error:
        yield _at_parameter(path, spec, str(error))


def _at_parameter(path: Path, spec: Component, message: str) -> tuple[Path, str]:
    """Move a parameter at the beginning of a sentence, "decoder.width: …", into the path, so that its line is named."""
    begins = re.match(r"([\w.]+): (.*)", message, re.DOTALL)
    if begins and begins[1].split(".")[0] in type(spec.params).model_fields:
        return (*path, *begins[1].split(".")), begins[2]
    return path, message


def _check_names(spec: Component) -> None:
    from models.encoders import check_encoder
    from models.pretrained.fill import whole_file
    from models.smp import ARCHITECTURES, check_options
    from models.weights import check_weights

    chosen = dict(spec.params)
    for key in ("weights", "gt_encoder"):
        if chosen.get(key) is not None:
            whole_file(chosen[key], key)
    if "encoder" not in chosen:
        return
    check_encoder(chosen["encoder"])
    if "encoder_weights" in chosen:
        check_weights(chosen["encoder"], chosen["encoder_weights"])
    if spec.name in ARCHITECTURES:
        options = {key: chosen[key] for key in ("encoder_options", "decoder")}
        check_options(spec.name, chosen["encoder"], **options)


def _build_scheduler(config: Config) -> None:
    from scheduler import Horizon

    try:
        optimizer = _build_optimizer(config.optimizer)
    except UserError:
        return
    settings = config.trainer
    horizon = Horizon.of(settings.length, STEPS_PER_EPOCH, counts_steps=settings.unit == "step")
    _build(config.scheduler, optimizer, horizon)


def _build_optimizer(spec: Component) -> Any:
    """Build it for a stand-in, which has no parts of the names in `part_lrs`."""
    params = dict(spec.params) | ({"part_lrs": None} if "part_lrs" in type(spec.params).model_fields else {})
    return spec.builder(_stand_in(), **params)


def _stand_in() -> Any:
    """Return the smallest network with an encoder and a decoder."""
    from torch import nn

    return nn.ModuleDict({"encoder": nn.Linear(1, 1), "decoder": nn.Linear(1, 1)})
