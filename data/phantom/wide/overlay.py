"""What is on a film besides the hand's shadow: its border, letters of lead, a viewer's text, arrows, rulers, dust.

Shapes: H, W pixels of the film. Grey values are 0..1. Everything here is drawn over the image, in place or on a copy.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from data.phantom.wide.draw import chance
from utils.arrays import Bytes, Floats32

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
WORDS = ("HAND PA", "AP", "W 2048 L 1024", "55 kV", "3.2 mAs", "Portable", "SUPINE", "STANDING", "Im: 1/1", "100%")
DIGITS = "0123456789"


def surround(rng: Generator, grey_HW: Floats32, beam_HW: Floats32) -> Floats32:
    """Return the image with what lies outside the beam: black shutters, unexposed white film, or an even grey."""
    kind = rng.random()
    outside = 0.0 if kind < 0.5 else 1.0 if kind < 0.75 else float(rng.uniform(0.05, 0.95))
    shade = np.float32(rng.uniform(-0.15, 0.15)) * np.linspace(-1, 1, grey_HW.shape[0], dtype=np.float32)[:, None]
    ground = np.clip(outside + (shade if 0 < outside < 1 else 0), 0, 1)
    surrounded: Floats32 = (grey_HW * beam_HW + ground * (1 - beam_HW)).astype(np.float32)
    return surrounded


def add_marker(rng: Generator, grey_HW: Floats32, hand_HW: Floats32, *, left: bool) -> None:
    """Draw the side in letters of lead, bright, beside the hand if there is room; some have initials or a frame.

    `hand_HW` is greater than 0 in the hand.
    """
    names = ("L", "LT", "LEFT") if left else ("R", "RT", "RIGHT")
    height_px = max(6.0, max(grey_HW.shape) * float(rng.uniform(0.015, 0.04)))
    word = str(rng.choice(names)) + (" " + _initials(rng) if chance(rng, 0.25) else "")
    value = float(rng.uniform(0.7, 1.0))
    stamp = _stamp(rng, word, height_px, turn_deg=float(rng.normal(0, 12)), framed=chance(rng, 0.3))
    _over(grey_HW, stamp, _free_place(rng, hand_HW, stamp), value)


def write_on(rng: Generator, grey_HW: Floats32) -> None:
    """Write what viewers and archives write over images: lines of text, arrows, a ruler, a covered name."""
    if chance(rng, 0.7):
        _write_lines(rng, grey_HW)
    if chance(rng, 0.3):
        _cover(rng, grey_HW)
    for _ in range(int(rng.integers(1, 4)) if chance(rng, 0.35) else 0):
        _add_arrow(rng, grey_HW)
    if chance(rng, 0.3):
        _add_ruler(rng, grey_HW)
    if chance(rng, 0.15):
        _add_line(rng, grey_HW)


def add_dust(rng: Generator, grey_HW: Floats32) -> None:
    """Add dust and scratches of a scanned film."""
    height, width = grey_HW.shape
    layer = np.zeros(grey_HW.shape, dtype=np.uint8)
    for _ in range(int(rng.integers(2, 15))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        to = (x + int(rng.normal(0, 12)), y + int(rng.normal(0, 25)))
        cv2.line(layer, (x, y), to, int(rng.integers(40, 160)), 1, cv2.LINE_AA)
    sign = np.float32(1 if chance(rng, 0.7) else -1)
    grey_HW += sign * layer.astype(np.float32) / 255 * np.float32(rng.uniform(0.2, 0.8))


def _write_lines(rng: Generator, grey: Floats32) -> None:
    """Write one to four lines of text into one to three corners."""
    height, width = grey.shape
    size = float(rng.uniform(0.011, 0.026)) * max(grey.shape)
    value = 1.0 if chance(rng, 0.8) else 0.0
    for corner in rng.permutation(4)[: int(rng.integers(1, 4))]:
        lines = [_line(rng) for _ in range(int(rng.integers(1, 5)))]
        for index, text in enumerate(lines):
            stamp = _stamp(rng, text, size, turn_deg=0.0, framed=False, thin=True)
            x = int(0.015 * width) if corner % 2 == 0 else max(0, int(0.985 * width) - stamp.shape[1])
            down = (index * 1.7 + 0.7) * size
            y = int(down) if corner < 2 else int(height - down - 2 * size)
            _over(grey, stamp, (x, y), value)


def _cover(rng: Generator, grey: Floats32) -> None:
    """Cover a rectangle at an edge: a name that was removed, or a label of paper."""
    height, width = grey.shape
    h, w = int(rng.uniform(0.03, 0.09) * height), int(rng.uniform(0.12, 0.4) * width)
    x = 0 if chance(rng, 0.5) else width - w
    y = 0 if chance(rng, 0.6) else height - h
    value = float(rng.choice((0.0, 0.0, 1.0, rng.uniform(0.2, 0.9))))
    grey[y : y + h, x : x + w] = value
    if value > 0.6:
        _over(grey, _stamp(rng, _line(rng), h * 0.3, turn_deg=0.0, framed=False, thin=True), (x + 3, y + h // 5), 0.0)


def _add_arrow(rng: Generator, grey: Floats32) -> None:
    height, width = grey.shape
    tip = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.95) * height])
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.12) * max(grey.shape)
    tail = tip + length * np.array([np.cos(angle), np.sin(angle)])
    layer = np.zeros(grey.shape, dtype=np.uint8)
    thick = max(1, round(max(grey.shape) * float(rng.uniform(0.002, 0.007))))
    ends = [tuple(int(v) for v in point) for point in (tail, tip)]
    cv2.arrowedLine(layer, ends[0], ends[1], 255, thick, cv2.LINE_AA, 0, float(rng.uniform(0.2, 0.45)))
    _over(grey, layer, (0, 0), 1.0 if chance(rng, 0.75) else 0.0)


def _add_ruler(rng: Generator, grey: Floats32) -> None:
    """Draw a scale with ticks along the left or right edge."""
    height, width = grey.shape
    layer = np.zeros(grey.shape, dtype=np.uint8)
    x, sign = (int(0.02 * width), 1) if chance(rng, 0.5) else (int(0.98 * width), -1)
    top, bottom = int(rng.uniform(0.2, 0.4) * height), int(rng.uniform(0.6, 0.8) * height)
    cv2.line(layer, (x, top), (x, bottom), 255, 1)
    for index, y in enumerate(np.linspace(top, bottom, int(rng.integers(6, 21)))):
        long = 0.02 if index % 5 == 0 else 0.01
        cv2.line(layer, (x, int(y)), (x + sign * int(long * width + 2), int(y)), 255, 1)
    _over(grey, layer, (0, 0), 1.0)


def _add_line(rng: Generator, grey: Floats32) -> None:
    """Draw a measured distance or an ellipse around something."""
    height, width = grey.shape
    layer = np.zeros(grey.shape, dtype=np.uint8)
    a, b = ((int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.2, 0.9) * height)) for _ in range(2))
    if chance(rng, 0.5):
        cv2.line(layer, a, b, 255, 1, cv2.LINE_AA)
    else:
        axes = (int(rng.uniform(0.02, 0.1) * width), int(rng.uniform(0.02, 0.1) * width))
        cv2.ellipse(layer, a, axes, float(rng.uniform(0, 180)), 0, 360, 255, max(1, width // 400), cv2.LINE_AA)
    _over(grey, layer, (0, 0), 1.0)


def _line(rng: Generator) -> str:
    if chance(rng, 0.5):
        return str(rng.choice(WORDS))
    return "".join(rng.choice(list(DIGITS + "-/:. "), size=int(rng.integers(5, 15))))


def _initials(rng: Generator) -> str:
    return "".join(rng.choice(list("ABCDEFGHJKMNPRSTW"), size=2))


def _stamp(rng: Generator, text: str, height_px: float, *, turn_deg: float, framed: bool, thin: bool = False) -> Bytes:
    """Return letters as coverage 0..255 in a box of their own."""
    font, thick = FONTS[int(rng.integers(len(FONTS)))], 1 if thin else max(1, round(height_px / 6))
    scale = height_px / (10 if font == cv2.FONT_HERSHEY_PLAIN else 21)
    (width, height), below = cv2.getTextSize(text, font, scale, thick)
    pad = thick + 2 + (height // 3 if framed else 0)
    box = np.zeros((height + below + 2 * pad, width + 2 * pad), dtype=np.uint8)
    cv2.putText(box, text, (pad, pad + height), font, scale, 255, thick, cv2.LINE_AA)
    if framed:
        cv2.rectangle(box, (thick, thick), (box.shape[1] - thick - 1, box.shape[0] - thick - 1), 255, thick)
    if not turn_deg:
        return box
    spare = (max(box.shape) - min(box.shape)) // 2 + 4
    box = cv2.copyMakeBorder(box, spare, spare, 4, 4, cv2.BORDER_CONSTANT, value=0)
    turn = cv2.getRotationMatrix2D((box.shape[1] / 2, box.shape[0] / 2), turn_deg, 1.0)
    turned: Bytes = cv2.warpAffine(box, turn, box.shape[::-1])
    return turned


def _free_place(rng: Generator, hand: Floats32, stamp: Bytes) -> tuple[int, int]:
    """Return the corner (x, y) of that of ten random places which covers least of the hand."""
    room = [max(1, side - own) for side, own in zip(hand.shape[::-1], stamp.shape[::-1], strict=True)]
    places = [(int(rng.integers(room[0])), int(rng.integers(room[1]))) for _ in range(10)]
    covered = [np.count_nonzero(hand[y : y + stamp.shape[0] : 4, x : x + stamp.shape[1] : 4]) for x, y in places]
    return places[int(np.argmin(covered))]


def _over(grey: Floats32, coverage: Bytes, corner: tuple[int, int], value: float) -> None:
    """Paint `value` on the image as far as `coverage` says, at a corner (x, y); what lies outside is cut."""
    x, y = max(0, corner[0]), max(0, corner[1])
    part = grey[y : y + coverage.shape[0], x : x + coverage.shape[1]]
    share = coverage[: part.shape[0], : part.shape[1]].astype(np.float32) / 255
    part += share * (np.float32(value) - part)
