"""A folder of overlays for images without a truth, which `inference.py --gallery DIR` draws.

`index.html` shows the images in the order of `trainer.review.outliers`; `gallery.json` holds what the page shows, for
other programs; `images/` holds its pictures, which the page loads as it is scrolled, however many there are. An
interrupted call continues after the last image drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from data.sample import Sample
from data.task import Task
from trainer.drawing.figures import PREDICTION, SIDE_PX, class_styles, frame_of, outlines_of
from trainer.drawing.html import render_page
from trainer.prediction.predictor import Prediction, Predictor
from trainer.review.features import ImageFeatures, confidences, features_from, measure
from trainer.review.outliers import Reviewed, review, usual_of_classes
from utils.arrays import Size, StoredMask
from utils.errors import UserError
from utils.files import refuse_unwritable, replacing, write_text
from utils.journal import Journal
from utils.parallel import map_ahead
from utils.pictures import as_picture, encode_jpeg, shrink
from utils.viewer.figure import Column, Figure, Layer, Shape
from utils.viewer.markup import Viewer, markup

PAGE, FACTS, IMAGES = "index.html", "gallery.json", "images"
REMARKS = "remarks"
Outlines = Mapping[str, Mapping[str, str]]
"""Path data by image and class."""


class Gallery:
    """Draws the predictions of `samples` into a folder; use it in a `with`, and call `write_page` at the end.

    `origin` is one line that identifies the network and everything else the masks depend on. Raises `UserError` if the
    folder cannot be written, or another process draws into it.
    """

    def __init__(self, folder: Path, task: Task, samples: Sequence[Sample], origin: str) -> None:
        self.folder, self.task, self.samples = folder, task, samples
        self._journal = Journal(
            folder / f"{FACTS}.part", f"{origin}, with outlines", [sample.stamp for sample in samples]
        )

    def __enter__(self) -> Gallery:
        refuse_unwritable([self.folder / IMAGES / "file"])
        self._journal.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.__exit__(kind, error, trace)

    def masks_of(self, predictor: Predictor) -> Callable[[Iterable[Sample]], Iterator[tuple[Sample, StoredMask]]]:
        """Return what yields the masks of the last samples, as `Predictor.masks` does, and draws each.

        Samples before these are drawn first, if an interrupted call has written their masks without drawing them.
        """

        place_of = {sample: place for place, sample in enumerate(self.samples)}

        def decode_and_draw(prediction: Prediction) -> tuple[Sample, StoredMask]:
            mask, sample = predictor.decode(prediction), prediction.loaded.sample
            if place_of[sample] >= self._journal.done:
                # Images between this one and the last cannot be read, so nothing is drawn of them.
                for _ in range(self._journal.done, place_of[sample]):
                    self._journal.append(b"")
                self._draw(prediction, mask, predictor)
            return sample, mask

        def masks(rest: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
            samples = iter(rest)
            first = next(samples, None)
            start = len(self.samples) if first is None else place_of[first]
            for sample in self.samples[self._journal.done : start]:
                if not self._is_broken(sample):
                    decode_and_draw(next(predictor.predict([sample])))
            given = chain([] if first is None else [first], samples)
            yield from map_ahead(decode_and_draw, predictor.predict(given), workers=1, ahead=2)

        return masks

    def write_page(self, title: str) -> list[Reviewed]:
        """Write `gallery.json` and `index.html` of all images; returns the images in the order of the page.

        `title` is that of the run.
        """
        records = [json.loads(record) for record in self._journal.records() if record]
        outlines = {record["name"]: record["outlines"] for record in records}
        reviewed = review([features_from(record) for record in records])
        write_text(self.folder / FACTS, json.dumps(facts_of(self.task, reviewed, outlines), indent=1) + "\n")
        write_text(self.folder / PAGE, render_page("gallery.html.j2", page_of(self.task, reviewed, outlines, title)))
        self._journal.remove()
        return reviewed

    def _is_broken(self, sample: Sample) -> bool:
        """Whether an image cannot be read, so that there is nothing to draw."""
        try:
            self.task.read_image(sample.image)
        except UserError:
            return True
        return False

    def _draw(self, prediction: Prediction, mask: StoredMask, predictor: Predictor) -> None:
        sample, packed = prediction.loaded.sample, self.task.encoding.harden(mask)
        image = self.task.read_image(sample.image)
        with replacing(self.folder / picture_of(sample.name)) as file:
            file.write(encode_jpeg(shrink(as_picture(image), SIDE_PX)))
        confidence_C = confidences(prediction.logits_Chw, predictor.decoder.threshold)
        features = measure(self.task, sample, packed, confidence_C)
        shapes = outlines_of(PREDICTION, packed, self.task.classes, frame_of(features.size_hw))
        record = {**features.as_dict(), "outlines": {shape.class_name: shape.path for shape in shapes}}
        self._journal.append(json.dumps(record).encode() + b"\n")


def picture_of(name: str) -> str:
    """The path of an image's picture in the gallery's folder."""
    return f"{IMAGES}/{name}.jpg"


def facts_of(task: Task, reviewed: Iterable[Reviewed], outlines: Outlines) -> dict[str, Any]:
    """What the page shows, as plain values: the classes with their colours, and the images in its order.

    `outlines` are SVG paths in a frame of the size `frame_hw`, to be filled by the rule `evenodd`.
    """
    return {
        "task": task.name,
        "classes": {style.name: style.colour for style in class_styles(task)},
        "images": [
            {
                **entry.features.as_dict(),
                "confidence": entry.features.confidence,
                "image": picture_of(entry.features.name),
                "frame_hw": frame_of(entry.features.size_hw),
                "outlines": outlines[entry.features.name],
                "remarks": [
                    {"class": remark.class_name, "text": remark.text, "weight": round(remark.weight, 3)}
                    for remark in entry.remarks
                ],
            }
            for entry in reviewed
        ],
    }


def page_of(task: Task, reviewed: Sequence[Reviewed], outlines: Outlines, title: str) -> dict[str, Any]:
    """The values of the page's template."""
    images = [entry.features for entry in reviewed]
    missing = sum(not features.is_found for image in images for features in image.classes.values())
    lowest = min((image.confidence for image in images), default=1.0)
    tiles = (
        (str(len(images)), "images"),
        (str(sum(bool(entry.remarks) for entry in reviewed)), "with remarks"),
        (str(missing), "classes not found, over all images"),
        (f"{lowest:.3f}", "lowest confidence of an image"),
    )
    return {
        "name": f"Predictions of {title}",
        "subtitle": "No truth is known here. Unusual and doubtful predictions stand first.",
        "tiles": [{"value": value, "label": label} for value, label in tiles],
        "contents": [("images", "Images"), ("classes", "Classes")],
        "viewer": markup(viewer_of(task, [figure_of(entry, outlines[entry.features.name]) for entry in reviewed])),
        "classes": class_rows(task, reviewed),
    }


def viewer_of(task: Task, figures: Sequence[Figure]) -> Viewer:
    """Return the viewer of predictions, with boxes around the classes that have remarks."""
    columns = (
        Column("confidence", "confidence", 3),
        Column("remarks", "remarks", 0),
        Column("area_px", "area, px", 0),
    )
    layers = (Layer(PREDICTION, PREDICTION), Layer(REMARKS, REMARKS, dashed=True))
    return Viewer(figures, class_styles(task), layers, columns)


def figure_of(entry: Reviewed, outlines: Mapping[str, str]) -> Figure:
    """Return the figure of an image: its classes, and what is remarkable about them."""
    features, remarks = entry.features, remarks_of(entry)
    frame_hw = frame_of(features.size_hw)
    found = {name: its for name, its in features.classes.items() if its.is_found or name in remarks}
    shapes = [Shape(PREDICTION, name, path) for name, path in outlines.items()]
    shapes += [Shape(REMARKS, name, box_path(features, name, frame_hw)) for name in remarks]
    return Figure(
        name=features.name,
        source=quote(picture_of(features.name)),
        frame_hw=frame_hw,
        shapes=shapes,
        caption=features.about,
        notes=[f"{name}: {', '.join(texts)}" for name, texts in remarks.items()],
        numbers={"confidence": features.confidence, "remarks": float(len(entry.remarks))},
        class_numbers={
            name: {"confidence": its.confidence, "remarks": float(len(remarks.get(name, ()))), "area_px": its.area_px}
            for name, its in found.items()
        },
    )


def remarks_of(entry: Reviewed) -> dict[str, list[str]]:
    """Return the remarks by class."""
    remarks: dict[str, list[str]] = {}
    for remark in entry.remarks:
        remarks.setdefault(remark.class_name, []).append(remark.text)
    return remarks


def box_path(features: ImageFeatures, class_name: str, frame_hw: Size) -> str:
    """Return the box around a class as path data; empty if the class was not found."""
    box = features.classes[class_name].box_xyxy
    if box is None:
        return ""
    down, across = (side / whole for side, whole in zip(frame_hw, features.size_hw, strict=True))
    left, top, right, bottom = (
        round(place * scale) for place, scale in zip(box, (across, down, across, down), strict=True)
    )
    return f"M{left} {top}H{right}V{bottom}H{left}z"


def class_rows(task: Task, reviewed: Sequence[Reviewed]) -> list[Mapping[str, Any]]:
    """A row of the page's table for each class."""
    usual = usual_of_classes([entry.features for entry in reviewed])
    colours = {style.name: style.colour for style in class_styles(task)}
    remarked = [{remark.class_name for remark in entry.remarks} for entry in reviewed]
    return [
        {
            "name": name,
            "colour": colours[name],
            "found": int(values["found"]),
            "share": f"{values['share']:.2%}",
            "confidence": f"{values['confidence']:.3f}",
            "remarked": sum(name in names for names in remarked),
        }
        for name, values in usual.items()
    ]
