"""The networks that a server offers, each by the name of its file, with what the file says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.masks.binarize import Threshold
from data.refine import PRESETS
from data.task import Task
from runtime.predictor import OnnxPredictor, open_predictor
from utils.errors import UserError
from utils.files import expand
from web.engine.providers import NAMES, Choice, Wanted, check_used

WARM_UP_PX = 96


@dataclass(frozen=True)
class ServedModel:
    """A network that is loaded."""

    name: str
    predictor: OnnxPredictor
    size_bytes: int
    parameters: int
    warning: str | None = None
    """If something else computes it than was asked for."""

    @property
    def task(self) -> Task:
        return self.predictor.task

    @property
    def cuts_out(self) -> bool:
        """Whether it makes the alpha of one object in photographs."""
        return self.task.encoding.soft and len(self.task.classes) == 1

    @property
    def refinements(self) -> list[dict[str, Any]]:
        """The refinements that it is used with if a request names none: a list of `{name, …parameters}`."""
        configured = self.predictor.settings.predict.refine
        if configured is None:
            return [dict(spec) for spec in PRESETS[self.task.refine]]
        return [spec.as_dict() for spec in configured]

    @property
    def provider(self) -> str:
        """What computes it: cpu, cuda, tensorrt."""
        used = self.predictor.network.provider
        return NAMES.get(used, used)

    def threshold_or(self, given: float | None) -> Threshold:
        """Return the threshold of hard masks: the one that is given, else the model's own.

        Raises `UserError` if one is given and the masks are soft.
        """
        if given is None:
            return self.predictor.decoder.threshold
        if self.task.encoding.soft:
            raise UserError(f"threshold: the masks of model '{self.name}' are soft. Leave it out.")
        return given

    def info(self) -> dict[str, Any]:
        """Return what is known of it, for `/model-info`; all of it is computed from the file."""
        about, pipeline = self.predictor.metadata, self.predictor.pipeline
        return {
            "name": self.name,
            "task": about.task,
            "classes": list(about.classes),
            "parameters": self.parameters,
            "size_bytes": self.size_bytes,
            "sha256": self.predictor.digest,
            "input": {
                "channels": self.task.channels,
                "size_hw": pipeline.size_hw,
                "batch": self.predictor.network.batch,
            },
            "provider": self.provider,
            "warning": self.warning,
            "refinements": self.refinements if self.task.encoding.soft else [],
            "licence": about.licence,
            "attributions": list(about.attributions),
            "run": about.run,
            "score": None if about.score is None else dict(about.score),
        }


def load_models(
    paths: Sequence[str | Path], choice: Choice, *, threads: int, wanted: Wanted = "auto", strict: bool = False
) -> dict[str, ServedModel]:
    """Load networks by the stems of their files. `threads`: of each network; `choice`: what computes.

    Raises `UserError` for a file that is absent, damaged or not ours, and for two files of one name.
    """
    loaded: dict[str, ServedModel] = {}
    places = [Path(expand(str(path))) for path in paths]
    for place in places:
        twin = next((other for other in places if other.stem == place.stem and other != place), None)
        if twin is not None or places.count(place) > 1:
            raise UserError(
                f"{place}: and {twin or place} have the same name '{place.stem}', by which requests choose a model. "
                "Rename one, or leave it out."
            )
        predictor = open_predictor(place, threads=threads, workers=1, providers=choice.providers)
        warning = check_used(choice, wanted, predictor.network.provider, strict=strict)
        _warm_up(predictor)
        weights = predictor.network.parameters
        loaded[place.stem] = ServedModel(place.stem, predictor, place.stat().st_size, weights, warning)
    return loaded


def _warm_up(predictor: OnnxPredictor) -> None:
    """Predict an empty image, so that the first request takes no longer than others, and a fault ends the start.

    Raises `UserError` if the network cannot be computed.
    """
    shape = (WARM_UP_PX, WARM_UP_PX) if predictor.task.channels == 1 else (WARM_UP_PX, WARM_UP_PX, 3)
    predictor.mask(np.zeros(shape, np.uint8))
