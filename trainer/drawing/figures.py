"""Figures for the viewer: images with the outlines of true and predicted masks, and files that hold such figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.masks.packed import areas, planes
from data.masks.svg_path import svg_path
from data.task import Task
from trainer.evaluation.score_table import ScoreTable
from utils.arrays import Bytes, Image, Indices, Packed, Size
from utils.errors import DAMAGED, UserError
from utils.files import write_text
from utils.pictures import as_hex, as_picture, encode_cutout, encode_jpeg, shrink, shrunk_size
from utils.viewer.figure import ClassStyle, Column, Cutout, Difference, Figure, Layer, Shape, data_source
from utils.viewer.markup import Viewer

SIDE_PX, LEAST_PX = 640, 480
"""The larger side of a picture, at most, and of the frame in which a smaller one is shown."""
MARGIN = 0.75
"""Space around an enlarged class, as a share of its size on each side."""
LAYER_BYTES = 60_000
"""Of the paths of a layer, at most: 60 figures with two such layers and their pictures stay below 10 MB."""
PREDICTION, TRUTH = "prediction", "truth"
CLASS_OF_ITS_OWN = {PREDICTION: "#ff5ad2", TRUTH: "#4ade80"}
"""Colours of layers if there is one class, whose colour need not tell it from others."""
Groups = Mapping[str, Sequence[Figure]]


@dataclass(frozen=True)
class Case:
    """A grey or RGB image with its true and predicted packed masks uint8[H, W, K].

    `about` are a few words for its caption, see `Task.caption`.
    """

    name: str
    image: Image
    truth: Packed
    predicted: Packed
    about: str = ""
    alphas: tuple[Bytes, Bytes] | None = None
    """Of soft masks the true and the predicted alpha, uint8[H, W]: then they are drawn as cut-outs."""


def figure_of(case: Case, task: Task, table: ScoreTable) -> Figure:
    """Make the figure of a whole image. `table` has its scores."""
    frame_hw = frame_of(case.image.shape[:2])
    scores = table.rows[case.name]
    pixels = [areas(mask, len(task.classes)) for mask in (case.truth, case.predicted)]
    numbers = {
        name: {table.metric.name: float(scores[index]), "true_px": float(true), "predicted_px": float(predicted)}
        for index, (name, true, predicted) in enumerate(zip(task.classes, *pixels, strict=True))
        if true or predicted
    }
    return Figure(
        name=case.name,
        source=picture_source(case.image),
        frame_hw=frame_hw,
        shapes=[
            *outlines_of(PREDICTION, case.predicted, task.classes, frame_hw),
            *outlines_of(TRUTH, case.truth, task.classes, frame_hw),
        ],
        caption=case.about,
        numbers={table.metric.name: table.per_image[case.name]},
        class_numbers=numbers,
        cutouts=list(cutouts_of(case)),
    )


def enlarged_figure(case: Case, task: Task, index: int, table: ScoreTable) -> Figure:
    """Make the figure of one class, enlarged, with what is around it; the outlines of other classes are left out."""
    alone = replace(case, truth=keep_class(case.truth, index), predicted=keep_class(case.predicted, index))
    window = window_around(alone.truth | alone.predicted)
    alphas = None if case.alphas is None else (case.alphas[0][window], case.alphas[1][window])
    part = replace(
        alone, image=case.image[window], truth=alone.truth[window], predicted=alone.predicted[window], alphas=alphas
    )
    made = figure_of(part, task, table)
    score = {table.metric.name: float(table.rows[case.name][index])}
    return replace(made, name=f"{task.classes[index]} in {case.name}", numbers=score)


def outlines_of(layer: str, packed_HWK: Packed, classes: Sequence[str], frame_hw: Size) -> Iterator[Shape]:
    """Trace each class that is there. Paths of noise are coarse, so that an untrained network's page stays small."""
    for name, mask in zip(classes, planes(packed_HWK, len(classes)), strict=True):
        path = svg_path(mask, frame_hw, LAYER_BYTES // len(classes))
        if path:
            yield Shape(layer, name, path)


def cutouts_of(case: Case) -> Iterator[Cutout]:
    """Cut the image out by its true and its predicted alpha, if masks are soft."""
    for label, alpha in zip((TRUTH, PREDICTION), case.alphas or (), strict=False):
        yield Cutout(label, data_source(encode_cutout(case.image, alpha, SIDE_PX)))


def picture_source(image: Image, side_px: int = SIDE_PX) -> str:
    """Return an image, at most `side_px` high and wide, as the source of a figure."""
    return data_source(encode_jpeg(shrink(as_picture(image), side_px), quality=82))


def frame_of(size_hw: Size, side_px: int = SIDE_PX) -> Size:
    """Return the frame in which an image of this size is shown: not too large, and not too small."""
    height, width = shrunk_size(size_hw, side_px)
    scale = max(1.0, LEAST_PX / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def keep_class(packed_HWK: Packed, index: int) -> Packed:
    """Return the packed mask of one class alone."""
    kept = np.zeros_like(packed_HWK)
    kept[..., index // 8] = packed_HWK[..., index // 8] & (1 << index % 8)
    return kept


def window_around(packed_HWK: Packed, margin: float = MARGIN) -> tuple[slice, slice]:
    """Return a square window (rows, columns) around all pixels of the masks, with a margin, inside the image."""
    height, width = packed_HWK.shape[:2]
    ys, xs = np.nonzero(packed_HWK.any(axis=2))
    if not len(ys):
        return slice(0, height), slice(0, width)
    side = min(height, width, round((1 + 2 * margin) * max(_span(ys), _span(xs), 8)))
    return _window(ys, side, height), _window(xs, side, width)


def _span(places: Indices) -> int:
    return int(places.max() - places.min()) + 1


def _window(places: Indices, side: int, limit: int) -> slice:
    centre = (int(np.min(places)) + int(np.max(places))) // 2
    start = min(max(0, centre - side // 2), limit - side)
    return slice(start, start + side)


def viewer_of(task: Task, figures: Sequence[Figure]) -> Viewer:
    """Return the viewer of figures with true and predicted outlines."""
    columns = (
        Column(task.metric.name, task.metric.label),
        Column("true_px", "truth, px", 0),
        Column("predicted_px", "prediction, px", 0),
    )
    alone = CLASS_OF_ITS_OWN if len(task.classes) == 1 else {}
    layers = (Layer(PREDICTION, PREDICTION, alone.get(PREDICTION)), Layer(TRUTH, TRUTH, alone.get(TRUTH), dashed=True))
    return Viewer(figures, class_styles(task), layers, columns, Difference(TRUTH, PREDICTION))


def class_styles(task: Task) -> list[ClassStyle]:
    """Return the classes of a task with their colours and groups."""
    group_of = {name: group for group, names in task.groups.items() for name in names}
    colours = map(as_hex, task.class_colours)
    return [
        ClassStyle(name, colour, group_of.get(name, "")) for name, colour in zip(task.classes, colours, strict=True)
    ]


def write_figures(path: Path, groups: Groups) -> None:
    """Write groups of figures by their titles, as JSON."""
    plain = {title: [asdict(figure) for figure in figures] for title, figures in groups.items()}
    write_text(path, json.dumps(plain, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_figures(path: Path, classes: Sequence[str]) -> dict[str, list[Figure]]:
    """Read what `write_figures` wrote; empty if the file does not exist.

    Raises `UserError` if it is damaged, of other classes, or would make a page load something from elsewhere.
    """
    try:
        groups = json.loads(path.read_text(encoding="utf-8"))
        return {str(title): [_figure_from(plain, classes) for plain in plains] for title, plains in groups.items()}
    except FileNotFoundError:
        return {}
    except DAMAGED as error:
        raise UserError(
            f"{path}: is damaged ({type(error).__name__}: {error}). Delete it, or let its program write it anew."
        ) from error


def _figure_from(plain: Mapping[str, Any], classes: Sequence[str]) -> Figure:
    height, width = (int(side) for side in plain["frame_hw"])
    if min(height, width) < 1:
        raise ValueError(f"a frame of {height} x {width} px")
    return Figure(
        name=str(plain["name"]),
        source=_inside(plain["source"]),
        frame_hw=(height, width),
        shapes=[
            Shape(
                _one_of(shape["layer"], (PREDICTION, TRUTH)), _one_of(shape["class_name"], classes), str(shape["path"])
            )
            for shape in plain["shapes"]
        ],
        caption=str(plain["caption"]),
        notes=[str(note) for note in plain["notes"]],
        numbers=_numbers_from(plain["numbers"]),
        class_numbers={_one_of(name, classes): _numbers_from(its) for name, its in plain["class_numbers"].items()},
        cutouts=[Cutout(str(cutout["label"]), _inside(cutout["source"])) for cutout in plain["cutouts"]],
    )


def _one_of(name: Any, names: Sequence[str]) -> str:
    """Return a name. Raises `ValueError` if it is none of `names`."""
    if name not in names:
        raise ValueError(f"unknown name '{name}'")
    return str(name)


def _inside(source: Any) -> str:
    """Return the source of a picture that lies in the file itself."""
    if not str(source).startswith("data:image/"):
        raise ValueError("a picture that is not in the file")
    return str(source)


def _numbers_from(plain: Mapping[str, Any]) -> dict[str, float | None]:
    return {str(key): None if value is None else float(value) for key, value in plain.items()}
