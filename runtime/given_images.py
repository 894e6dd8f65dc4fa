"""Images as a program has them: a path, the bytes of a file, a picture of Pillow or an array → pixels for a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageOps

from data.cutout.photos.reader import Photograph, read_photo
from data.films.depth import in_8_bits
from data.task import Task
from utils.arrays import Image
from utils.errors import UserError
from utils.files import file_in_memory

Given: TypeAlias = "str | Path | bytes | PillowImage.Image | npt.NDArray[Any]"
"""What may be given for an image."""
EXPECTED = "a path, the bytes of an image file, a Pillow image, or an array uint8[H, W], [H, W, 3] or [H, W, 4] (RGB)"


def photograph_of(task: Task, given: Given) -> Photograph:
    """Return the upright pixels of an image, grey or RGB as the task needs it, and the alpha that it has already.

    Files are read as the task reads them. Raises `UserError` for what cannot be read or is no image.
    """
    if isinstance(given, (str, Path)):
        return _read(task, Path(given))
    if isinstance(given, bytes):
        return _of_bytes(task, given)
    if isinstance(given, PillowImage.Image):
        return _of_array(task, _of_pillow(given) if task.channels == 3 else _film_of_pillow(given))
    is_deep_film = task.channels == 1 and isinstance(given, np.ndarray) and given.dtype == np.uint16
    return _of_array(task, in_8_bits(given) if is_deep_film and given.size else given)


def _read(task: Task, path: Path) -> Photograph:
    if task.channels == 3:
        return read_photo(path)
    return Photograph(task.read_image(path))


def _of_bytes(task: Task, content: bytes) -> Photograph:
    with file_in_memory(content) as path:
        try:
            return _read(task, path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), "the given bytes")) from error


def _of_pillow(picture: PillowImage.Image) -> Image:
    """Return a picture as it is shown: grey, RGB or RGBA."""
    upright = ImageOps.exif_transpose(picture)
    if "16" in upright.mode:
        return np.asarray(np.asarray(upright).astype(np.uint16) >> 8, np.uint8)
    if upright.mode == "L":
        return np.asarray(upright)
    has_alpha = upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info
    return np.asarray(upright.convert("RGBA" if has_alpha else "RGB"))


def _film_of_pillow(picture: PillowImage.Image) -> Image:
    """Return a picture as a file of it is read for a task of grey images: as it is stored, 16 bits by their rule."""
    if picture.mode.startswith("I;16"):
        return in_8_bits(np.asarray(picture).astype(np.uint16))
    return np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))


def _of_array(task: Task, pixels: Any) -> Photograph:
    array = np.asarray(pixels) if isinstance(pixels, np.ndarray) else None
    if array is None or array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        got = type(pixels).__name__ if array is None else f"{array.dtype}{list(array.shape)}"
        raise UserError(f"image: expected {EXPECTED}, got {got}.")
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        raise UserError(f"image: expected {EXPECTED}, got uint8{list(array.shape)}.")
    own_alpha = np.ascontiguousarray(array[..., 3]) if array.ndim == 3 and array.shape[2] == 4 else None
    plain = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array[..., :3] if array.ndim == 3 else array
    return Photograph(_with_channels(np.ascontiguousarray(plain), task.channels), own_alpha)


def _with_channels(image: Image, channels: int) -> Image:
    """Return an image as grey (the luma of colours) or as RGB."""
    if channels == 3 and image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
    if channels == 1 and image.ndim == 3:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return image
