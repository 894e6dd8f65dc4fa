"""What an exported file says of itself, from what its run or its weights file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.blocks.prediction import Predict
from configs.loading.load import as_dict
from configs.schema import Config
from models.pretrained.about import facts_of
from runtime.model.metadata import IMAGE_KEYS, Metadata
from trainer.export.graph import Graph
from trainer.provenance import Provenance, checked, is_used
from trainer.records.checkpoint import is_of_others
from trainer.trained import Trained

NOT_GIVEN = "not given"
NEEDS_TORCH = ("windows", "tta", "zoom", "average", "model", "detector")
"""Keys of `predict` that an ONNX file does not follow."""


@dataclass(frozen=True)
class Described:
    """The description in the file, and what only the model card says."""

    metadata: Metadata
    model: str
    """The name of the network."""
    parameters: int
    trained: str
    """How long it was trained, in a few words; empty for weights of others."""
    sources: Provenance
    limits: Sequence[str]
    """What the file does otherwise than the run."""


def describe(trained: Trained, weights: Path, graph: Graph, precision: str, limits: Sequence[str]) -> Described:
    """Describe an exported network. `limits`: what it does otherwise than its run."""
    config, kept = trained.config, trained.weights
    sources = provenance_of(trained, weights)
    predictor = trained.predictor
    threshold = predictor.decoder.threshold
    values = as_dict(config)
    predict = {key: value for key, value in values["predict"].items() if key not in NEEDS_TORCH}
    if isinstance(threshold, float):
        predict["threshold"] = threshold
    metadata = Metadata(
        task=trained.task.name,
        classes=trained.task.classes,
        own_classes=tuple(entry.model_dump() for entry in trained.task.own_classes),
        transform={key: values["transform"][key] for key in IMAGE_KEYS},
        predict=predict,
        output="probability",
        thresholds=_per_class(trained.task.classes, threshold),
        images=kept.images,
        licence=licence_of(sources),
        attributions=attributions_of(sources),
        run=config.title,
        score=None if kept.score is None else {kept.metric: kept.score},
        step_px=graph.step_px,
        precision=precision,
    )
    parameters = sum(parameter.numel() for parameter in predictor.network.parameters())
    return Described(metadata, config.model.name, parameters, _training_of(trained, weights), sources, limits)


def predicting_plainly(config: Config) -> tuple[Config, list[str]]:
    """Return a config whose network predicts whole images in one view by itself, and sentences on what that drops."""
    predict, plain = config.predict, Predict()
    tta = predict.tta
    dropped = []
    if predict.windows.size_px is not None:
        dropped.append(
            f"predict.windows: an ONNX file predicts whole images of {_sides(config.transform.size_px)}, not in "
            f"windows of {_sides(predict.windows.size_px)} as the run does"
        )
    if tta.hflip or tta.scales or tta.rotations_deg or tta.gammas:
        dropped.append("predict.tta: an ONNX file predicts each image in one view, not in several as the run does")
    if predict.zoom:
        dropped.append(
            "predict.zoom: an ONNX file looks at each image once, not closer at objects that are small in it"
        )
    if predict.detector is not None:
        dropped.append("predict.model=auto: an ONNX file holds the run's own network alone, not the detector beside it")
    changed = predict.model_copy(update={key: getattr(plain, key) for key in NEEDS_TORCH})
    return config.model_copy(update={"predict": changed}), dropped


def provenance_of(trained: Trained, weights: Path) -> Provenance:
    """Return what the network was made from; for weights of others, what their file says of itself."""
    if is_of_others(weights):
        return {"data": [], "start": [{"name": weights.name, **facts_of(weights)}]}
    return checked(trained.weights.provenance)


def licence_of(sources: Provenance) -> str | None:
    """Return the licences of all that a network was made from; None if none is given.

    One that all share stands alone; else each is followed by what it is of: `MIT (a.safetensors); not given (photos)`.
    """
    used = [entry for entries in sources.values() for entry in entries if is_used(entry)]
    given = {str(entry.get("name")): entry.get("licence") or NOT_GIVEN for entry in used}
    if set(given.values()) <= {NOT_GIVEN}:
        return None
    if len(set(given.values())) == 1:
        return next(iter(given.values()))
    return "; ".join(f"{licence} ({name})" for name, licence in given.items())


def attributions_of(sources: Provenance) -> tuple[str, ...]:
    """Return whom to name, each once."""
    used = [entry for entries in sources.values() for entry in entries if is_used(entry)]
    return tuple(dict.fromkeys(str(entry["attribution"]) for entry in used if entry.get("attribution")))


def _per_class(classes: Sequence[str], threshold: float | Sequence[float]) -> Mapping[str, float] | None:
    """Return the threshold of each class; None if there is one for all, which `predict` holds."""
    if isinstance(threshold, (int, float)):
        return None
    return dict(zip(classes, map(float, threshold), strict=True))


def _training_of(trained: Trained, weights: Path) -> str:
    """Say how long the network was trained."""
    if is_of_others(weights):
        return ""
    kept = trained.weights
    return f"{kept.step} optimizer steps" if kept.step is not None else f"epoch {kept.epoch + 1}"


def _sides(size_px: Any) -> str:
    return f"{size_px} px" if isinstance(size_px, int) else " x ".join(map(str, size_px)) + " px"
