"""The picture of an image's regions: outlines over it, to be switched, and the numbers of each class."""

from __future__ import annotations

from collections.abc import Iterator

from data.masks.packed import plane
from data.masks.svg_path import svg_path
from utils.arrays import Packed, Size
from utils.pictures import as_hex, as_picture, encode_jpeg, shrink
from utils.viewer.figure import ClassStyle, Column, Difference, Figure, Layer, Shape, data_source
from utils.viewer.markup import Viewer, markup
from web.page.regions.findings import Findings
from web.page.texts import Language, Say

SIDE_PX = 1280
"""Longest side of the image on the page."""
PREDICTION, TRUTH = "prediction", "truth"


def draw(findings: Findings, say: Say, language: Language) -> str:
    """Return the HTML of an image with its outlines, and those of the truth if there is one."""
    task, picture = findings.task, shrink(as_picture(findings.image), SIDE_PX)
    frame_hw = picture.shape[0], picture.shape[1]
    groups = {name: group for group, names in task.groups.items() for name in names}
    colours = map(as_hex, task.class_colours)
    layers, shapes = [Layer(PREDICTION, say("prediction"))], [*_shapes(PREDICTION, findings.packed, findings, frame_hw)]
    difference = None
    if findings.truth is not None:
        layers.append(Layer(TRUTH, say("truth"), dashed=True))
        shapes += _shapes(TRUTH, findings.truth, findings, frame_hw)
        difference = Difference(TRUTH, PREDICTION, say("missed"), say("added"))
    figure = Figure(
        findings.name,
        data_source(encode_jpeg(picture)),
        frame_hw,
        shapes,
        caption=f"{findings.size_hw[1]} × {findings.size_hw[0]} px",
        class_numbers=dict(_numbers(findings)),
    )
    classes = [ClassStyle(name, colour, groups[name]) for name, colour in zip(task.classes, colours, strict=True)]
    return markup(Viewer([figure], classes, layers, _columns(findings, say), difference, language=language))


def _shapes(layer: str, packed: Packed, findings: Findings, frame_hw: Size) -> Iterator[Shape]:
    for index, name in enumerate(findings.task.classes):
        yield Shape(layer, name, svg_path(plane(packed, index), frame_hw))


def _columns(findings: Findings, say: Say) -> list[Column]:
    columns = [Column("area", say("area"), 0), Column("share", say("share"), 2)]
    return columns if findings.truth is None else [*columns, Column("score", findings.task.metric.label)]


def _numbers(findings: Findings) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Yield each class with its area, its share of the image, and its score if there is a truth."""
    height, width = findings.size_hw
    scores = findings.scores
    for index, name in enumerate(findings.task.classes):
        area = int(findings.areas_px[index])
        score = None if scores is None else float(scores[index])
        yield name, {"area": area, "share": 100 * area / (height * width), "score": score}
