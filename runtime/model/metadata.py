"""What an ONNX file of ours says of itself, as properties of the model: all that a prediction needs, and its origin.

Each property is text; all but `format` are JSON. Who writes an ONNX file sets `Metadata.as_properties()` on the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

FAMILY = "carpus-onnx-"
FORMAT = f"{FAMILY}1"
"""The value of the property `format`, by which such a file is recognised."""
IMAGE_KEYS = ("size_px", "pad", "mean", "std", "divide_by_maximum", "evaluate")
"""The keys of a config's block `transform` that a prediction follows from."""


@dataclass(frozen=True)
class Metadata:
    """The description of a network in an ONNX file."""

    task: str
    classes: tuple[str, ...]
    own_classes: tuple[Mapping[str, str], ...] = ()
    """The entries of `data.classes`: name, group and colour of each class; none if the task has classes of its own."""
    transform: Mapping[str, Any] = field(default_factory=dict)
    """How images are given to the network: keys of the block `transform` (`IMAGE_KEYS`)."""
    predict: Mapping[str, Any] = field(default_factory=dict)
    """How masks are made, with thresholds and refinement: keys of the block `predict`."""
    output: Literal["logits", "probability"] = "probability"
    """What the first output [B, C, h, w] holds."""
    thresholds: Mapping[str, float] | None = None
    """The threshold of each class, in the place of `predict.threshold`; None if there are none."""
    images: Mapping[str, float] | None = None
    """How the images to train on looked, `data.check.looks.Usual.as_plain`; None if nobody knows."""
    licence: str | None = None
    attributions: tuple[str, ...] = ()
    """Whom to name for images and starting weights."""
    run: str | None = None
    """The name of the run that trained it."""
    score: Mapping[str, float] | None = None
    """How it scored on held-out images, by the name of the metric."""
    step_px: int = 1
    """The sides of images must be multiples of it, in pixels of the network's input."""
    precision: str = "fp32"
    """The numbers that it computes with: fp32, fp16 or int8."""

    def as_properties(self) -> dict[str, str]:
        """Return the properties of the model, without those of which nothing is known."""
        values = {name: value for name, value in asdict(self).items() if value not in (None, (), {})}
        return {"format": FORMAT, **{name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}}


def metadata_from(properties: Mapping[str, str]) -> Metadata | None:
    """Read what `Metadata.as_properties` returned; None for the properties of a file that others have written.

    Raises `ValueError` that says what is wrong if they are damaged, or of a newer version of Carpus.
    """
    written = properties.get("format", "")
    if written != FORMAT and written.startswith(FAMILY):
        raise ValueError(f"was written by another version of Carpus ({written}, this one reads {FORMAT})")
    if written != FORMAT:
        return None
    try:
        known = [one.name for one in fields(Metadata) if one.name in properties]
        values: dict[str, Any] = {name: json.loads(properties[name]) for name in known}
        for name in ("classes", "own_classes", "attributions"):
            values[name] = tuple(values.get(name, ()))
        return Metadata(**values)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its description is damaged ({error})") from error
