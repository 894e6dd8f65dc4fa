"""Draw the contact sheet: suspicious labels over their images, cropped to the objects concerned, the oddest first."""

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
from data.task import Task
from utils.arrays import Colour, Image, Ints, Picture, Ring
from utils.errors import UserError
from utils.files import replacing
from utils.progress import track

MOST, MOST_PER_FILE, COLUMNS = 24, 3, 4
TILE_PX, CAPTION_PX, TITLE_PX, GAP_PX = 380, 92, 44, 8
MARGIN, AT_LEAST = 0.9, 0.12
"""Margin around the outlines, as a share of their size, and the least side of a crop, as a share of the image's."""

_COLOURS: tuple[Colour, ...] = ((60, 140, 255), (255, 190, 60), (120, 230, 120), (230, 120, 230))
_NEIGHBOUR: Colour = (150, 150, 150)
_GROUND, _LIGHT, _BEYOND = 24, (235, 235, 235), 60


def draw_sheet(path: Path, task: Task, survey: Survey) -> str | None:
    """Write the sheet and return a sentence about it; return None, and write no file, if there is nothing to show."""
    suspects = [finding for finding in survey.findings if survey.kinds[finding.kind].drawn]
    if not suspects:
        return None
    shown = most_suspicious(suspects)
    tiles = [tile(task, finding, survey.pairs[finding.file]) for finding in track(shown, "Drawing suspects")]
    title = f"{len(shown)} suspects" if len(shown) > 1 else "1 suspect"
    if len(shown) < len(suspects):
        title = f"the {title} that are oddest, of {len(suspects)}"
    picture = arranged(tiles, f"{survey.root.resolve().name}: {title}")
    _, encoded = cv2.imencode(path.suffix.lower(), picture)
    with replacing(path) as file:
        file.write(encoded.tobytes())
    return f"{path}: a contact sheet of {title}"


def refuse_other_formats(path: Path, option: str) -> None:
    """Raise `UserError` unless the file's name ends in .png or .jpg."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"{option} {path}: a picture is called .png or .jpg. Give it such a name.")


def most_suspicious(findings: Sequence[Finding]) -> list[Finding]:
    """Return at most `MOST` findings, the oddest first, and at most `MOST_PER_FILE` of each file."""
    chosen: list[Finding] = []
    times: Counter[str] = Counter()
    for finding in sorted(findings, key=lambda finding: -finding.oddness):
        times[finding.file] += 1
        if len(chosen) < MOST and times[finding.file] <= MOST_PER_FILE:
            chosen.append(finding)
    return chosen


def tile(task: Task, finding: Finding, pair: Pair) -> Picture:
    """Draw one suspect: its outlines in colour and the others' in grey over the image, with a caption."""
    polygons = task.checks.outlines(pair.label) if pair.label is not None else []
    image = _image_or_black(task, pair, polygons)
    shown = [ring for name, ring in polygons if name in finding.classes]
    corner, side = _window(shown, image.shape, whole=finding.kind == "off_image")
    canvas = _cropped(image, corner, side)
    scale = TILE_PX / side
    # The other objects first, so that the suspect's outlines lie on top.
    for name, ring in polygons:
        if name not in finding.classes:
            _draw(canvas, [(ring - corner) * scale], _NEIGHBOUR, 1)
    for position, name in enumerate(finding.classes):
        rings = [(ring - corner) * scale for other, ring in polygons if other == name]
        _draw(canvas, rings, _COLOURS[position % len(_COLOURS)])
        if rings and len(finding.classes) > 1:
            _name(canvas, np.concatenate(rings), name, position if len(finding.classes) < 4 else None)
    _frame(canvas, image.shape, corner, scale)
    return np.vstack([canvas, _caption(finding, pair)])


def arranged(tiles: Sequence[Picture], title: str) -> Picture:
    """Arrange tiles in rows under a title."""
    columns = min(COLUMNS, max(2, len(tiles)))
    rows = -(-len(tiles) // columns)
    height, width = TILE_PX + CAPTION_PX + GAP_PX, TILE_PX + GAP_PX
    sheet = np.full((TITLE_PX + rows * height, columns * width + GAP_PX, 3), _GROUND, np.uint8)
    _write(sheet, title, (GAP_PX + 4, 29), 0.62, _LIGHT)
    for number, picture in enumerate(tiles):
        top, left = TITLE_PX + number // columns * height, GAP_PX + number % columns * width
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _image_or_black(task: Task, pair: Pair, polygons: Sequence[tuple[str, Ring]]) -> Image:
    """Read the image as grey values; if that fails, return a black one that is large enough for the outlines."""
    try:
        if pair.image is not None:
            image = task.read_image(pair.image)
            return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    except UserError:
        pass
    width, height = np.max([ring.max(axis=0) + 1 for _, ring in polygons] or [[64, 64]], axis=0).tolist()
    return np.zeros((max(height, 1), max(width, 1)), np.uint8)


def _window(rings: Sequence[Ring], shape: tuple[int, ...], *, whole: bool) -> tuple[Ints, int]:
    """Return the corner (x, y) and the side of a square around rings, and with `whole` also around the image.

    If the rings lie inside the image, so does the square.
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
    """Return the window at the tile's size with its contrast stretched, dark grey outside the image."""
    left, top = np.maximum(corner, 0).tolist()
    right, bottom = np.minimum(corner + side, image.shape[1::-1]).tolist()
    canvas = np.full((TILE_PX, TILE_PX), _BEYOND, np.uint8)
    if right > left and bottom > top:
        # Stretch the contrast between the 1st and the 99.7th percentile.
        part = image[top:bottom, left:right].astype(np.float32)
        low, high = np.percentile(part, (1, 99.7))
        part = np.clip((part - low) * (255 / max(high - low, 1)), 0, 255)
        # Resize the part of the window that lies inside the image, and put it at its position in the tile.
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


def _name(canvas: Picture, points: npt.NDArray[np.floating], name: str, position: int | None) -> None:
    """Write an object's name above it (even `position`), below it (odd), or in its middle (None, if there are many)."""
    size = 0.34 if position is None else 0.5
    low, high = points.min(axis=0), points.max(axis=0)
    width = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]
    baseline = (low[1] + high[1]) / 2 + 4 if position is None else high[1] + 18 if position % 2 else low[1] - 8
    x = int(np.clip((low[0] + high[0] - width) / 2, 2, max(TILE_PX - width - 2, 2)))
    y = int(np.clip(baseline, 14, TILE_PX - 6))
    _write(canvas, name, (x, y), size, (0, 0, 0), 3)
    _write(canvas, name, (x, y), size, _LIGHT if position is None else _COLOURS[position])


def _frame(canvas: Picture, shape: tuple[int, ...], corner: Ints, scale: float) -> None:
    """Draw the image's edge, which is visible if the window is larger than the image."""
    edge = np.array([[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]])
    cv2.polylines(canvas, [np.rint((edge - corner) * scale).astype(np.int32)], True, (90, 90, 200), 1)


def _caption(finding: Finding, pair: Pair) -> Picture:
    """Return a strip with the image, the classes, and what was found."""
    strip = np.full((CAPTION_PX, TILE_PX, 3), 40, np.uint8)
    _write(strip, f"{pair.split.name} {pair.key}", (6, 18), 0.42, _LIGHT)
    _write(strip, textwrap.shorten(classes_of(finding), 44, placeholder=" …"), (6, 37), 0.46, _COLOURS[0])
    for number, line in enumerate(textwrap.wrap(finding.found, 52)[:3]):
        _write(strip, line, (6, 55 + 16 * number), 0.4, _LIGHT)
    return strip


def _write(
    canvas: Picture, text: str, position: tuple[int, int], size: float, colour: Colour, thickness: int = 1
) -> None:
    """Write text in OpenCV's font, which has only ASCII; other characters become question marks."""
    plain = text.replace("…", "...").encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, position, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
