"""The contact sheet: suspicious labels drawn over their films, cropped to what matters, the oddest first.

Pictures are uint8 [H, W, 3] in OpenCV's order (blue, green, red).
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from data.check.finding import Finding
from data.check.report import classes_of
from data.check.survey import Pair, Survey
from data.hand_bone.annotation import survey_polygons
from data.hand_bone.classes import BONES
from data.hand_bone.image import read_image
from utils.arrays import Colour, Image, Ints, Picture, Ring
from utils.errors import UserError
from utils.files import replacing
from utils.progress import track

DRAWN = ("swapped", "misplaced", "outline", "area", "off_image", "outside")
"""The kinds of which a picture tells more than the words."""

MOST, MOST_PER_FILE, COLUMNS = 24, 3, 4
TILE_PX, CAPTION_PX, TITLE_PX, GAP_PX = 380, 92, 44, 8
MARGIN, AT_LEAST = 0.9, 0.12
"""Space around what is shown, as a share of its size, and the least side of a crop, as a share of the image's."""

_COLOURS: tuple[Colour, ...] = ((60, 140, 255), (255, 190, 60), (120, 230, 120), (230, 120, 230))
_NEIGHBOUR: Colour = (150, 150, 150)
_GROUND, _LIGHT, _BEYOND = 24, (235, 235, 235), 60


def draw_sheet(path: Path, survey: Survey) -> str | None:
    """Write the sheet and say in a sentence what is on it; None, and no file, where nothing is to be shown."""
    suspects = [finding for finding in survey.findings if finding.kind in DRAWN]
    if not suspects:
        return None
    shown = most_suspicious(suspects)
    tiles = [tile(finding, survey.pairs[finding.file]) for finding in track(shown, "Drawing suspects")]
    told = f"{len(shown)} suspects" if len(shown) > 1 else "1 suspect"
    if len(shown) < len(suspects):
        told = f"the {told} that are oddest, of {len(suspects)}"
    picture = arranged(tiles, f"{survey.root.resolve().name}: {told}")
    _, encoded = cv2.imencode(path.suffix.lower(), picture)
    with replacing(path) as file:
        file.write(encoded.tobytes())
    return f"{path}: a contact sheet of {told}"


def refuse_other_formats(path: Path) -> None:
    """Raise `UserError` unless the file's name ends in .png or .jpg."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"--sheet {path}: a picture is called .png or .jpg. Give it such a name.")


def most_suspicious(findings: Sequence[Finding]) -> list[Finding]:
    """At most `MOST`, the oddest first, no file more than `MOST_PER_FILE` times."""
    chosen: list[Finding] = []
    times: Counter[str] = Counter()
    for finding in sorted(findings, key=lambda finding: -finding.oddness):
        times[finding.file] += 1
        if len(chosen) < MOST and times[finding.file] <= MOST_PER_FILE:
            chosen.append(finding)
    return chosen


def tile(finding: Finding, pair: Pair) -> Picture:
    """One suspect: its outlines in colour, the others' in grey, over the film, with a caption."""
    polygons = survey_polygons(pair.label, BONES)[0] if pair.label is not None else []
    wanted = [BONES.index(name) for name in finding.classes if name in BONES]
    image = _film(pair, polygons)
    shown = [ring for index, ring in polygons if index in wanted]
    corner, side = _window(shown, image.shape, whole=finding.kind == "off_image")
    canvas = _cropped(image, corner, side)
    scale = TILE_PX / side
    for index, ring in polygons:
        if index not in wanted:
            _draw(canvas, [(ring - corner) * scale], _NEIGHBOUR, 1)
    for place, index in enumerate(wanted):
        rings = [(ring - corner) * scale for other, ring in polygons if other == index]
        _draw(canvas, rings, _COLOURS[place % len(_COLOURS)])
        if rings and len(wanted) > 1:
            _name(canvas, np.concatenate(rings), BONES[index], place if len(wanted) < 4 else None)
    _frame(canvas, image.shape, corner, scale)
    return np.vstack([canvas, _caption(finding, pair)])


def arranged(tiles: Sequence[Picture], title: str) -> Picture:
    """Tiles in rows under a title."""
    columns = min(COLUMNS, max(2, len(tiles)))
    rows = -(-len(tiles) // columns)
    height, width = TILE_PX + CAPTION_PX + GAP_PX, TILE_PX + GAP_PX
    sheet = np.full((TITLE_PX + rows * height, columns * width + GAP_PX, 3), _GROUND, np.uint8)
    _write(sheet, title, (GAP_PX + 4, 29), 0.62, _LIGHT)
    for number, picture in enumerate(tiles):
        top, left = TITLE_PX + number // columns * height, GAP_PX + number % columns * width
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _film(pair: Pair, polygons: Sequence[tuple[int, Ring]]) -> Image:
    """The image; black, and large enough for the outlines, where it cannot be read."""
    try:
        if pair.image is not None:
            return read_image(pair.image)
    except UserError:
        pass
    width, height = np.max([ring.max(axis=0) + 1 for _, ring in polygons] or [[64, 64]], axis=0).tolist()
    return np.zeros((max(height, 1), max(width, 1)), np.uint8)


def _window(rings: Sequence[Ring], shape: tuple[int, ...], *, whole: bool) -> tuple[Ints, int]:
    """A square around rings, and around the image where it is wanted whole: its corner (x, y) and its side.

    It lies inside the image as far as the rings do.
    """
    size = np.array(shape[1::-1])
    points = np.concatenate([*rings, *([np.array([[0, 0], size])] if whole or not rings else [])])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 1 + MARGIN / max(1, len(rings) // 2)
    side = max(int(margin * (high - low).max()), int(AT_LEAST * size.max()), 16)
    corner = (low + high) // 2 - side // 2
    if not whole and (low >= 0).all() and (high < size).all():
        side = min(side, int(size.max()))
        corner = np.clip(corner, 0, np.maximum(size - side, 0))
    return corner, side


def _cropped(image: Image, corner: Ints, side: int) -> Picture:
    """The window at the tile's size, its contrast stretched; beyond the image it is dark grey."""
    left, top = np.maximum(corner, 0).tolist()
    right, bottom = np.minimum(corner + side, image.shape[1::-1]).tolist()
    canvas = np.full((TILE_PX, TILE_PX), _BEYOND, np.uint8)
    if right > left and bottom > top:
        part = image[top:bottom, left:right].astype(np.float32)
        low, high = np.percentile(part, (1, 99.7))
        part = np.clip((part - low) * (255 / max(high - low, 1)), 0, 255)
        scale = TILE_PX / side
        x0, y0, x1, y1 = (
            round(float(v) * scale) for v in (left - corner[0], top - corner[1], right - corner[0], bottom - corner[1])
        )
        size = (max(x1 - x0, 1), max(y1 - y0, 1))
        resized = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        canvas[y0 : y0 + size[1], x0 : x0 + size[0]] = resized[: TILE_PX - y0, : TILE_PX - x0]
    return np.asarray(cv2.cvtColor(canvas, cv2.COLOR_GRAY2BGR), np.uint8)


def _draw(canvas: Picture, rings: Sequence[npt.NDArray[np.floating]], colour: Colour, thickness: int = 2) -> None:
    for ring in rings:
        cv2.polylines(canvas, [np.rint(ring).astype(np.int32)], True, colour, thickness, cv2.LINE_AA)


def _name(canvas: Picture, points: npt.NDArray[np.floating], name: str, place: int | None) -> None:
    """Write a bone's name above it, below it, or (None) in its middle where there are many."""
    size = 0.34 if place is None else 0.5
    low, high = points.min(axis=0), points.max(axis=0)
    width = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]
    baseline = (low[1] + high[1]) / 2 + 4 if place is None else high[1] + 18 if place % 2 else low[1] - 8
    x = int(np.clip((low[0] + high[0] - width) / 2, 2, max(TILE_PX - width - 2, 2)))
    y = int(np.clip(baseline, 14, TILE_PX - 6))
    _write(canvas, name, (x, y), size, (0, 0, 0), 3)
    _write(canvas, name, (x, y), size, _LIGHT if place is None else _COLOURS[place])


def _frame(canvas: Picture, shape: tuple[int, ...], corner: Ints, scale: float) -> None:
    """The image's own edge, where the window reaches beyond it."""
    edge = np.array([[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]])
    cv2.polylines(canvas, [np.rint((edge - corner) * scale).astype(np.int32)], True, (90, 90, 200), 1)


def _caption(finding: Finding, pair: Pair) -> Picture:
    """Which image, which class, and why."""
    strip = np.full((CAPTION_PX, TILE_PX, 3), 40, np.uint8)
    _write(strip, f"{pair.split.name} {pair.key}", (6, 18), 0.42, _LIGHT)
    _write(strip, textwrap.shorten(classes_of(finding), 44, placeholder=" …"), (6, 37), 0.46, _COLOURS[0])
    for number, line in enumerate(textwrap.wrap(finding.found, 52)[:3]):
        _write(strip, line, (6, 55 + 16 * number), 0.4, _LIGHT)
    return strip


def _write(canvas: Picture, text: str, place: tuple[int, int], size: float, colour: Colour, thickness: int = 1) -> None:
    """OpenCV's font has ASCII alone; what else a file's name holds becomes a question mark."""
    plain = text.replace("…", "...").encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
