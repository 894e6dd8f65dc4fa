"""Images and labels as they should not be: what tests of readers, checks and programs place among good files."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
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


@dataclass(frozen=True)
class Traps:
    """What was done to a split folder. Paths are relative to it."""

    refused: dict[str, str]
    """Images or labels that nothing may be made of, with words of the sentence that refuses them."""
    doubtful: dict[str, str]
    """Images that are used and named, with words of the reason."""
    left_out: dict[str, str]
    """Files and folders that are not used and named, with words of the reason."""
    hidden: tuple[str, ...]
    """Files that never count."""
    unlike: tuple[str, ...]
    """Images that are used, and named when they are compared with others."""


def set_traps(split: Path, *, first: int) -> Traps:
    """Set every trap among the images of a split folder of at least eight patients, numbered from `first`."""
    images, labels = split / "DCM", split / "outputs_json"

    def name(patient: int, hand: int = 0) -> str:
        return f"ID{first + patient:03}/image{first + patient:04}_{hand}"

    gone = images / f"{name(0)}.png"
    gone.unlink()
    gone.symlink_to(split / "elsewhere.png")
    grey = np.asarray(cv2.imread(str(images / f"{name(1)}.png"), cv2.IMREAD_GRAYSCALE))
    (images / f"{name(1)}.png").write_bytes(cv2.imencode(".tiff", grey.astype(np.float32))[1].tobytes())
    (images / f"{name(1, 1)}.png").write_bytes((images / f"{name(1, 1)}.png").read_bytes()[:200])
    refused = {
        f"DCM/{name(0)}.png": "is a link to",
        f"DCM/{name(1)}.png": "type float32",
        f"DCM/{name(1, 1)}.png": "truncated",
    }
    if labels.is_dir():
        move_points(labels / f"{name(2)}.json", lambda value: value / 2)
        move_points(labels / f"{name(2, 1)}.json", lambda value: value / 64)
        refused |= {f"outputs_json/{name(2)}.json": "upper left", f"outputs_json/{name(2, 1)}.json": "measure"}
    note_orientation(images / f"{name(3)}.png", 3)
    note_orientation(images / f"{name(3, 1)}.png", 6)
    doubtful = {f"DCM/{name(3, hand)}.png": f"EXIF orientation {(3, 6)[hand]} is ignored" for hand in (0, 1)}
    for patient, factor, offset in ((4, -1.0, 255), (5, 1 / 16, 0)):  # Inverted, and far too dark.
        path = str(images / f"{name(patient)}.png")
        cv2.imwrite(path, (np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE)) * factor + offset).astype(np.uint8))
    save_as(images / f"{name(6)}.png", np.asarray(cv2.imread(str(images / f"{name(6)}.png"))), "P")
    save_as(images / f"{name(6, 1)}.png", np.asarray(cv2.imread(str(images / f"{name(6, 1)}.png"))), "RGBA")
    (images / name(7)).with_suffix(".gif").write_bytes(b"GIF89a")
    (images / "notes.txt").write_text("taken on a Monday")
    (images / "ID999").mkdir()
    deeper = images / f"ID{first + 7:03}" / "old"
    deeper.mkdir()
    shutil.copy(images / f"{name(7)}.png", deeper / "copy.png")
    left_out = {
        f"DCM/{name(7)}.gif": "a .gif file",
        "DCM/notes.txt": "a .txt file",
        "DCM/ID999": "an empty folder",
        f"DCM/ID{first + 7:03}/old/copy.png": "deeper than",
    }
    hidden = images / ".ipynb_checkpoints" / "x-checkpoint.png"
    hidden.parent.mkdir()
    shutil.copy(images / f"{name(7)}.png", hidden)
    unlike = (f"DCM/{name(4)}.png", f"DCM/{name(5)}.png")
    return Traps(refused, doubtful, left_out, (str(hidden.relative_to(split)),), unlike)
