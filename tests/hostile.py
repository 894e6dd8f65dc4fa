"""Images and labels as they should not be: what tests of readers, checks and programs place among good files."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from utils.arrays import Image


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG: length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exif_of(orientation: int) -> bytes:
    """EXIF with one tag, big-endian."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def note_orientation(png: Path, orientation: int) -> None:
    """Add an orientation to a PNG, as cameras do; the pixels stay."""
    content = png.read_bytes()
    header_ends = 8 + 12 + 13
    png.write_bytes(content[:header_ends] + chunk(b"eXIf", exif_of(orientation)) + content[header_ends:])


def save_as(path: Path, pixels: Image, mode: str, **options: Any) -> None:
    """Save an image in one of Pillow's modes, such as CMYK, P or LA."""
    Pillow.fromarray(pixels).convert(mode).save(path, **options)


def move_points(label: Path, move: Callable[[float], float]) -> None:
    """Change every coordinate of a label."""
    content = json.loads(label.read_text())
    for annotation in content["annotations"]:
        annotation["points"] = [[move(x), move(y)] for x, y in annotation["points"]]
    label.write_text(json.dumps(content))
