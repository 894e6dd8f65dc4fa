"""Convert labels from one format to another, and say what the other cannot hold."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.convert import coco, contest, cvat, labelme, predictions
from data.convert.model import LabelSet, with_classes
from data.convert.settings import Settings
from utils.text import pluralize

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """How labels of one format are read and written, and what it cannot hold."""

    read: Callable[[Path, Settings], LabelSet]
    write: Callable[[LabelSet, Path, Settings], None] | None = None
    """None: it is only read."""
    suffix: str = ""
    """Of the file that is written; empty for a folder."""
    names_of: Callable[[Sequence[str], Path, Settings], dict[str, str]] | None = None
    """Images and a folder → the path of each one's label in it; None if one file is written."""
    holds_objects: bool = True
    """Whether objects of one class are told apart."""
    holds_crowds: bool = False
    holds_class_list: bool = True
    """Whether classes are listed that no image shows."""
    holds_colours: bool = False


FORMATS: Mapping[str, Format] = {
    "contest": Format(
        contest.read, contest.write, names_of=contest.names_of, holds_objects=False, holds_class_list=False
    ),
    "coco": Format(coco.read, coco.write, ".json", holds_crowds=True),
    "labelme": Format(labelme.read, labelme.write, names_of=labelme.names_of, holds_class_list=False),
    "cvat": Format(cvat.read, cvat.write, ".xml", holds_colours=True),
    "predictions": Format(predictions.read),
}
WRITTEN = [name for name, one in FORMATS.items() if one.write is not None]


def convert(
    source: Path, of: str, target: Path, to: str, settings: Settings, classes: Mapping[str, str] | None = None
) -> LabelSet:
    """Read the labels of `source` in one format, and write them to `target` in another.

    `classes`: names and colours, in order; None: as the labels name them. Returns the labels, with `lost` counting all
    that is not in `target`. Raises `UserError` for labels that cannot be read, and for a target that exists.
    """
    labels = with_classes(FORMATS[of].read(source, settings), classes or {}, source)
    written = FORMATS[to]
    assert written.write is not None
    written.write(labels, target, settings)
    labels.lost.update(not_held(labels, written))
    objects = sum(len(image.regions) for image in labels.images)
    log.info(
        "%s: %s, %s of %s",
        *(target, pluralize(len(labels.images), "image"), pluralize(objects, "object")),
        pluralize(len(labels.classes), "class", "classes"),
    )
    for what, number in labels.lost.most_common():
        if number:
            log.warning("%s: not taken over: %s (%d)", target, what, number)
    return labels


def not_held(labels: LabelSet, written: Format) -> Counter[str]:
    """Count what labels say and a format cannot."""
    lost: Counter[str] = Counter()
    used = {region.label for image in labels.images for region in image.regions}
    for image in labels.images:
        if not written.holds_objects:
            counts = Counter(region.label for region in image.regions)
            lost["objects that unite with others of their class"] += sum(number - 1 for number in counts.values())
        if not written.holds_crowds:
            lost["marks of crowds"] += sum(region.is_crowd for region in image.regions)
    if not written.holds_class_list:
        lost["names of classes that no image shows"] += len(set(labels.classes) - used)
    if not written.holds_colours:
        lost["colours of classes"] += sum(bool(colour) for colour in labels.colours.values())
    return +lost
