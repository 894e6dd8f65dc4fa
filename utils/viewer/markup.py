"""Make HTML of pictures with outlines over them. It works in a file, without a server and without a network.

`style` and `script` go into a page once, each `markup` of a viewer any number of times, also later. Without the script
pictures, outlines and numbers are there; with it classes and layers can be switched, pictures enlarged, sorted and left
out. Text is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.viewer.figure import ClassStyle, Column, Difference, Figure, Layer
from utils.viewer.texts import TEXTS

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent
SCRIPTS = ("make", "layers", "zoom", "order", "viewer")
"""Files of the script, in the order in which they need each other."""


@dataclass(frozen=True)
class Viewer:
    """Figures that are switched, sorted and left out together.

    `classes` and `layers` are all those of the shapes, in the order in which they are listed; a later layer is drawn
    above an earlier one. `columns` are those of the numbers. `first_view` is shown first:
    "all", "difference", "picture", or "layer KEY". `language` is "en" or "ko".
    """

    figures: Sequence[Figure]
    classes: Sequence[ClassStyle]
    layers: Sequence[Layer]
    columns: Sequence[Column] = ()
    difference: Difference | None = None
    first_view: str = "all"
    language: str = "en"


def style() -> str:
    """Return the `<style>` of all viewers of a page."""
    return f"<style>\n{_file('viewer.css')}</style>"


def script() -> str:
    """Return the `<script>` of all viewers of a page; it also finds those that are added to the page later."""
    return f"<script>\n{program()}</script>"


def program() -> str:
    """Return the script without its element."""
    parts = "\n".join(_file(f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def markup(viewer: Viewer) -> str:
    """Return the `<section>` of a viewer."""
    difference = viewer.difference
    values = {
        "viewer": viewer,
        "told": json.dumps(_told(viewer), ensure_ascii=False, separators=(",", ":")),
        "texts": TEXTS[viewer.language],
        "index_of": {one.name: index for index, one in enumerate(viewer.classes)},
        "compared": (difference.first, difference.second) if difference else (),
        "layers_of": lambda figure: list(_layers_of(viewer, figure)),
    }
    return _template().render(values)


def _told(viewer: Viewer) -> dict[str, Any]:
    """Return what the script has to know."""
    return {
        "classes": [asdict(one) for one in viewer.classes],
        "layers": [asdict(layer) for layer in viewer.layers],
        "columns": [{"key": column.key, "label": column.label} for column in viewer.columns],
        "difference": asdict(viewer.difference) if viewer.difference else None,
        "first": viewer.first_view,
        "texts": TEXTS[viewer.language],
    }


def _layers_of(viewer: Viewer, figure: Figure) -> Iterator[Mapping[str, Any]]:
    """Yield each layer that a figure has, with its paths, their classes and colours."""
    colours = {one.name: one.colour for one in viewer.classes}
    for layer in viewer.layers:
        shapes = [
            {"path": shape.path, "class_name": shape.class_name, "colour": layer.colour or colours[shape.class_name]}
            for shape in figure.shapes
            if shape.layer == layer.key and shape.path
        ]
        if shapes:
            yield {"layer": layer, "shapes": shapes}


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("viewer.html.j2")


@cache
def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
