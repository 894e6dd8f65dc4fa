"""A folder of overlays for images without a truth, which `inference.py --gallery DIR` draws.

`index.html` shows the images in the order of `trainer.review.outliers`; `gallery.json` holds what the page shows, for
other programs; `images/` and `overlays/` hold its pictures. An interrupted call continues after the last image drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from data.sample import Sample
from data.task import Task
from trainer.drawing.html import render_page
from trainer.drawing.overlays import SIDE_PX, draw_masks, shrink_both
from trainer.prediction.predictor import Prediction, Predictor
from trainer.review.features import confidences, features_from, measure
from trainer.review.outliers import Reviewed, review, usual_of_classes
from utils.arrays import StoredMask
from utils.errors import UserError
from utils.files import refuse_unwritable, replacing, write_text
from utils.journal import Journal
from utils.parallel import map_ahead
from utils.pictures import as_hex, as_picture, class_colours, encode_jpeg

PAGE, FACTS = "index.html", "gallery.json"
IMAGES, OVERLAYS = "images", "overlays"


class Gallery:
    """Draws the predictions of `samples` into a folder; use it in a `with`, and call `write_page` at the end.

    `origin` is one line that identifies the network and everything else the masks depend on. Raises `UserError` if the
    folder cannot be written, or another process draws into it.
    """

    def __init__(self, folder: Path, task: Task, samples: Sequence[Sample], origin: str) -> None:
        self.folder, self.task, self.samples = folder, task, samples
        self._journal = Journal(folder / f"{FACTS}.part", origin, [sample.stamp for sample in samples])

    def __enter__(self) -> Gallery:
        refuse_unwritable([self.folder / part / "file" for part in (IMAGES, OVERLAYS)])
        self._journal.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.__exit__(kind, error, trace)

    def masks_of(self, predictor: Predictor) -> Callable[[Sequence[Sample]], Iterator[tuple[Sample, StoredMask]]]:
        """Return what yields the masks of the last samples, as `Predictor.masks` does, and draws each.

        Samples before these are drawn first, if an interrupted call has written their masks without drawing them.
        """

        def decode_and_draw(prediction: Prediction) -> tuple[Sample, StoredMask]:
            mask = predictor.decode(prediction)
            if prediction.loaded.sample == self._next:
                self._draw(prediction, mask, predictor)
            return prediction.loaded.sample, mask

        def masks(rest: Sequence[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
            start = self.samples.index(rest[0]) if rest else len(self.samples)
            for sample in self.samples[self._journal.done : start]:
                if self._is_broken(sample):
                    self._journal.append(b"")
                else:
                    decode_and_draw(next(predictor.predict([sample])))
            yield from map_ahead(decode_and_draw, predictor.predict(rest), workers=1, ahead=2)

        return masks

    def write_page(self, title: str) -> list[Reviewed]:
        """Write `gallery.json` and `index.html` of all images; returns the images in the order of the page.

        `title` is that of the run.
        """
        images = [features_from(json.loads(record)) for record in self._journal.records() if record]
        reviewed = review(images)
        write_text(self.folder / FACTS, json.dumps(facts_of(self.task, reviewed), indent=1) + "\n")
        write_text(self.folder / PAGE, render_page("gallery.html.j2", page_of(self.task, reviewed, title)))
        self._journal.remove()
        return reviewed

    @property
    def _next(self) -> Sample | None:
        """The first sample that is not drawn yet."""
        done = self._journal.done
        return self.samples[done] if done < len(self.samples) else None

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
        self._write_picture(IMAGES, sample, encode_jpeg(as_picture(shrink_both(image, packed, SIDE_PX)[0])))
        self._write_picture(
            OVERLAYS, sample, encode_jpeg(draw_masks(image, packed, len(self.task.classes), side_px=SIDE_PX))
        )
        confidence_C = confidences(prediction.logits_Chw, predictor.decoder.threshold)
        features = measure(self.task, sample, packed, confidence_C)
        self._journal.append(json.dumps(features.as_dict()).encode() + b"\n")

    def _write_picture(self, part: str, sample: Sample, content: bytes) -> None:
        with replacing(self.folder / picture_of(part, sample.name)) as file:
            file.write(content)


def picture_of(part: str, name: str) -> str:
    """The path of an image's picture in the gallery's folder."""
    return f"{part}/{name}.jpg"


def facts_of(task: Task, reviewed: Iterable[Reviewed]) -> dict[str, Any]:
    """What the page shows, as plain values: the classes with their colours, and the images in its order."""
    return {
        "task": task.name,
        "classes": colours_of(task),
        "images": [
            {
                **entry.features.as_dict(),
                "confidence": entry.features.confidence,
                "image": picture_of(IMAGES, entry.features.name),
                "overlay": picture_of(OVERLAYS, entry.features.name),
                "remarks": [
                    {"class": remark.class_name, "text": remark.text, "weight": round(remark.weight, 3)}
                    for remark in entry.remarks
                ],
            }
            for entry in reviewed
        ],
    }


def colours_of(task: Task) -> dict[str, str]:
    """The colour of each class in the overlays, as a page writes it."""
    return dict(zip(task.classes, map(as_hex, class_colours(len(task.classes))), strict=True))


def page_of(task: Task, reviewed: Sequence[Reviewed], title: str) -> dict[str, Any]:
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
        "images": [card_of(task, entry) for entry in reviewed],
        "classes": class_rows(task, reviewed),
    }


def card_of(task: Task, entry: Reviewed) -> dict[str, Any]:
    """What the page shows of an image."""
    features, colours = entry.features, colours_of(task)
    height, width = features.size_hw
    remarks: dict[str, list[str]] = {}
    for remark in entry.remarks:
        remarks.setdefault(remark.class_name, []).append(remark.text)
    marks = [
        {"name": name, "colour": colours[name], "box": features.classes[name].box_xyxy}
        for name in remarks
        if features.classes[name].box_xyxy
    ]
    return {
        "title": features.name,
        "about": features.about,
        "confidence": f"{features.confidence:.3f}",
        "image": quote(picture_of(IMAGES, features.name)),
        "overlay": quote(picture_of(OVERLAYS, features.name)),
        "height": height,
        "width": width,
        "marks": marks,
        "remarks": [(name, ", ".join(texts)) for name, texts in remarks.items()],
    }


def class_rows(task: Task, reviewed: Sequence[Reviewed]) -> list[Mapping[str, Any]]:
    """A row of the page's table for each class."""
    usual, colours = usual_of_classes([entry.features for entry in reviewed]), colours_of(task)
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
