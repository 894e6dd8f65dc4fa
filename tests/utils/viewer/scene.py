"""A small viewer to test: three pictures of two classes, one of them with a name that is no name."""

from __future__ import annotations

import numpy as np

from utils.pictures import encode_jpeg
from utils.viewer.figure import ClassStyle, Column, Cutout, Difference, Figure, Layer, Shape, data_source
from utils.viewer.markup import Viewer, markup, script, style

HOSTILE = '<script>document.title = "owned"</script>'
KOREAN = "새끼손가락"
CLASSES = (ClassStyle(HOSTILE, "#ff4040", "first"), ClassStyle(KOREAN, "#40ff40", "second"))
DICES = (0.5, 0.25, 0.75)


def scene(*, language: str = "en", cutouts: bool = False) -> Viewer:
    """A square of 40 px for each class, 10 px lower and 10 px to the right of it in the truth; frames of 100 px."""
    image = data_source(encode_jpeg(np.full((100, 100, 3), 90, np.uint8)))
    shapes = [
        Shape(layer, one.name, f"M{x + shift} {y + shift}l0 40 40 0 0-40z")
        for one, (x, y) in zip(CLASSES, ((5, 5), (45, 45)), strict=True)
        for layer, shift in (("prediction", 0), ("truth", 10))
    ]
    figures = [
        Figure(
            name=f"hand {number}.png",
            source=image,
            frame_hw=(100, 100),
            shapes=shapes,
            caption="a caption",
            notes=["a <b>note</b>"],
            numbers={"dice": dice},
            class_numbers={
                HOSTILE: {"dice": dice, "area": 1600.0},
                KOREAN: {"dice": 1 - dice, "area": None},
            },
            cutouts=[Cutout("truth", image), Cutout("prediction", image)] if cutouts else [],
        )
        for number, dice in enumerate(DICES, 1)
    ]
    layers = (Layer("prediction", "prediction"), Layer("truth", "truth", dashed=True))
    columns = (Column("dice", "Dice"), Column("area", "area, px", 0))
    return Viewer(figures, CLASSES, layers, columns, Difference("truth", "prediction"), language=language)


def page(viewer: Viewer) -> str:
    """A whole page of one viewer."""
    return f"<!doctype html><title>scene</title><body>{style()}{script()}{markup(viewer)}"
