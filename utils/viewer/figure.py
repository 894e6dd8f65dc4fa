"""What the viewer shows: pictures with outlines of classes over them, and numbers for each."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from utils.arrays import Size

Numbers = Mapping[str, float | None]
"""Numbers by the key of their column; None if there is none."""

KINDS = {b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"\x89PNG": "png"}
"""First bytes of image files."""


@dataclass(frozen=True)
class ClassStyle:
    """A class: its name, the colour of its outlines as CSS writes it, and the group in which it is listed."""

    name: str
    colour: str
    group: str = ""


@dataclass(frozen=True)
class Layer:
    """One kind of outlines, such as the truth. `colour` replaces those of the classes; `dashed` lines are not filled
    while other layers are shown too."""

    key: str
    label: str
    colour: str | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Difference:
    """Two layers that a view compares: what only the first one has and what only the second one has."""

    first: str
    second: str
    only_first: str = "missed"
    only_second: str = "added"
    first_colour: str = "#2f9bff"
    second_colour: str = "#ff5a28"


@dataclass(frozen=True)
class Column:
    """A number that pictures, and their classes, may have. `digits` are those behind the point."""

    key: str
    label: str
    digits: int = 4

    def written(self, value: float | None) -> str:
        """Write a number of this column."""
        return "–" if value is None else f"{value:,.{self.digits}f}"


@dataclass(frozen=True)
class Shape:
    """The outline of one class in one layer: SVG path data in the frame of its figure, filled by `evenodd`."""

    layer: str
    class_name: str
    path: str


@dataclass(frozen=True)
class Cutout:
    """A picture in the frame of a figure that is transparent around what it shows; `source` as that of the figure."""

    label: str
    source: str


@dataclass(frozen=True)
class Figure:
    """A picture with outlines.

    `source` is the picture's address, such as `data_source` makes of its bytes. `frame_hw` is the frame in which paths
    are written, with the picture's proportions; it is shown about as large. `caption` follows the name, `notes` stand
    below it. `numbers` are those of the whole picture, `class_numbers` those of its classes.
    """

    name: str
    source: str
    frame_hw: Size
    shapes: Sequence[Shape] = ()
    caption: str = ""
    notes: Sequence[str] = ()
    numbers: Numbers = field(default_factory=dict)
    class_numbers: Mapping[str, Numbers] = field(default_factory=dict)
    cutouts: Sequence[Cutout] = ()


def data_source(content: bytes) -> str:
    """Return the bytes of a JPEG, WebP or PNG file as the address of an image. Raises `ValueError` for others."""
    kind = next((name for start, name in KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise ValueError("neither a JPEG, a WebP nor a PNG file")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
