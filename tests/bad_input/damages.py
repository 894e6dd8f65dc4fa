"""What may be wrong with one image or label of a split folder, and the sentence that it is told in.

Each damage takes the image's and the label's path. The sentences are patterns; all end in a way out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

Damage = Callable[[Path, Path], object]


def cut(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)


def draw(path: Path, pixels: np.ndarray, suffix: str = ".png") -> None:
    path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


BLACK = np.zeros((64, 64), np.uint8)
COPY_AGAIN = r"Copy it again from its source, or leave it out\."

IMAGE_DAMAGES: dict[str, tuple[Damage, str]] = {
    "header cut": (lambda image, _: cut(image, 20), rf"\.png: the image is truncated.* {COPY_AGAIN}"),
    "pixels cut": (
        lambda image, _: cut(image, 300),
        rf"\.png: the image is truncated, its end is missing\. {COPY_AGAIN}",
    ),
    "end cut": (lambda image, _: cut(image, -3), rf"\.png: the image is truncated.* {COPY_AGAIN}"),
    "a byte of the header": (lambda image, _: flip(image, 26), rf"\.png: the image is damaged.* {COPY_AGAIN}"),
    "a byte among the pixels": (lambda image, _: flip(image, 250), rf"\.png: the image is damaged.* {COPY_AGAIN}"),
    "the pixels' checksum": (lambda image, _: flip(image, -14), rf"\.png: the image is damaged.* {COPY_AGAIN}"),
    "no bytes": (lambda image, _: cut(image, 0), rf"\.png: the image is empty, a file of 0 bytes\. {COPY_AGAIN}"),
    "32 bits": (
        lambda image, _: draw(image, BLACK.astype(np.float32), ".tiff"),
        rf"\.png: its values are of type float32, expected 8 or 16 bits without sign\. Convert .* {COPY_AGAIN}",
    ),
    "a GIF": (
        lambda image, _: image.write_bytes(b"GIF89a"),
        r"\.png: is by its content a GIF file, expected PNG, .* Convert its source",
    ),
    "text": (lambda image, _: image.write_text("none"), r"\.png: is by its content no image, .* Convert its source"),
    "60000 px": (lambda image, _: claim(image, 60_000), rf"its header says 60000 x 60000 px, expected .* {COPY_AGAIN}"),
}

LABEL_DAMAGES: dict[str, tuple[Damage, str]] = {
    "cut": (lambda _, label: cut(label, 300), r"\.json: not valid JSON \(its end is missing; .* Copy the label again"),
    "no bytes": (
        lambda _, label: cut(label, 0),
        r"\.json: not valid JSON \(the file is empty\)\. Copy the label again",
    ),
    "no text": (lambda _, label: label.write_bytes(b"\xff\xfe"), r"\.json: not valid JSON \(byte 1 is no UTF-8 text\)"),
    "another file": (
        lambda _, label: label.write_text("{}"),
        r"no list 'annotations' at the top level\. Is it a label",
    ),
    "unknown class": (
        lambda _, label: replace(label, "Lunate", "lunat"),
        r"\.json: 'lunat' is not a class\. Did you mean 'Lunate'\?",
    ),
    "missing class": (
        lambda _, label: replace(label, "Lunate", "Ulna"),
        r"\.json: no annotation of Lunate\. Complete the label or list",
    ),
    "two points": (lambda _, label: label.write_text(two_points()), "Ulna: 2 points, a polygon needs at least 3. Mend"),
    "not a number": (lambda _, label: replace(label, "[[", "[[NaN, 1], ["), "a point is infinite or farther .* Mend"),
    "no label": (
        lambda _, label: label.unlink(),
        r"no label for ID\d+/\S+\.png\. Add the missing files or list them in",
    ),
    "no image": (
        lambda image, _: image.unlink(),
        r"no image for ID\d+/\S+\.png\. Add the missing files or list them in",
    ),
}


def claim(image: Path, side: int) -> None:
    """Another size in the header; its checksum is not looked at first."""
    content = image.read_bytes()
    image.write_bytes(content[:16] + side.to_bytes(4, "big") * 2 + content[24:])


def two_points() -> str:
    return '{"annotations": [{"label": "Ulna", "points": [[1, 1], [2, 2]]}]}'
