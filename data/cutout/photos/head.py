"""What the head of a photograph's file says: its size, how it is to be shown, and how its colours are stored."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError
from PIL.Image import DecompressionBombError

from data.image import LARGEST_SIDE_PX, REMEDY, noted_orientation, unreadable
from utils.arrays import Pixels, Size
from utils.errors import UserError

TURNS_SIDES = (5, 6, 7, 8)
LARGEST_MEGAPIXELS = 178
"""Above this Pillow takes a head for one that was made to fill the memory."""
READ = "JPEG, PNG, WebP, BMP, TIFF, GIF or HEIC"
WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
"""Modes of Pillow that have an alpha."""
DEEP = ("I", "F")
"""Modes of Pillow with 32 bits for each value."""
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
DPI = (1.0, 100_000.0)
"""Numbers of pixels per inch that are taken for such; files that do not know theirs write 0 or 1."""


@dataclass(frozen=True)
class Notes:
    """What a file says beside its pixels."""

    profile: bytes | None = None
    """The ICC profile of its colours; None: sRGB."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch, across and down; None if they are not known."""


NO_NOTES = Notes()


@dataclass(frozen=True)
class Photo:
    """What the head of an image file says: its size as stored, and how it is to be shown (1: as stored)."""

    stored_hw: Size
    orientation: int
    format: str = ""
    """The name of the format that Pillow uses: "JPEG"."""
    mode: str = "RGB"
    """How Pillow holds the pixels: "L", "RGB", "CMYK", …"""
    has_alpha: bool = False
    is_animated: bool = False
    is_deep: bool = False
    """Whether there are more than 8 bits for each value."""
    notes: Notes = NO_NOTES
    """As they are in the file; the profile may be one of CMYK or grey values."""

    @property
    def is_turned(self) -> bool:
        return self.orientation != 1

    @property
    def shown_hw(self) -> Size:
        height, width = self.stored_hw
        return (width, height) if self.orientation in TURNS_SIDES else (height, width)

    @property
    def doubt(self) -> str | None:
        """What of the file is left out or changed when it is read, in a few words; None if nothing is."""
        doubts = {
            "animated, only its first picture is read": self.is_animated,
            "16 bits per channel become 8": self.is_deep,
            "CMYK becomes sRGB": self.mode == "CMYK",
        }
        return ", ".join(words for words, applies in doubts.items() if applies) or None


def look_at_photo(path: Path) -> Photo:
    """Read the head of an image file. Raises `UserError` for a file that is no image, too large, or of 32 bits."""
    with opened(path) as image:
        photo = _described(image)
    width, height = reversed(photo.stored_hw)
    if max(height, width) > LARGEST_SIDE_PX:
        raise UserError(f"{path}: {width} x {height} px, expected at most {LARGEST_SIDE_PX} a side. Make it smaller.")
    if photo.mode.split(";")[0] in DEEP and not photo.is_deep:
        raise UserError(f"{path}: 32 bits per channel, expected 8 or 16. Convert it, or leave it out.")
    return photo


@contextmanager
def opened(path: Path) -> Iterator[PillowImage.Image]:
    """Open an image file with Pillow, and raise `UserError` for what is wrong with it, also in the block."""
    # Pillow warns of large images, whose size is checked here, and of damaged notes, which matter little.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        # Of a path, Pillow would map a TIFF into memory, and confuse the rows of one that is to be turned.
        with path.open("rb") as file, _open(path, file) as image:
            yield image
    except DecompressionBombError as error:
        raise UserError(f"{path}: has more than {LARGEST_MEGAPIXELS} megapixels. Make it smaller.") from error
    except UnidentifiedImageError as error:
        raise _no_image(path) from error
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    except OSError as error:
        if error.errno is not None:
            raise unreadable(path, error) from error
        raise _damaged(path, error) from error
    except (ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn stored pixels uint8[H, W] or uint8[H, W, C] as EXIF's orientation 1..8 says, to be shown."""
    if orientation in TURNS_SIDES:
        pixels = np.swapaxes(pixels, 0, 1)
    # How many quarter turns are left differs; as flips of the axes after the swap they are these.
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])


def _described(image: PillowImage.Image) -> Photo:
    width, height = image.size
    orientation = noted_orientation(image)
    if image.format == "TIFF" and orientation in TURNS_SIDES:  # Pillow turns this format alone by itself
        width, height = height, width
    return Photo(
        (height, width),
        orientation,
        format=image.format or "",
        mode=image.mode,
        has_alpha=image.mode in WITH_ALPHA or "transparency" in image.info,
        # Phones put small pictures behind the photograph, in the format MPO.
        is_animated=image.format != "MPO" and bool(getattr(image, "is_animated", False)),
        is_deep="16" in image.mode or any("16" in str(tile[3]) for tile in getattr(image, "tile", ())),
        notes=Notes(image.info.get("icc_profile") or None, _dpi_of(image)),
    )


def _dpi_of(image: PillowImage.Image) -> tuple[float, float] | None:
    try:
        across, down = map(float, image.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(DPI[0] < dots < DPI[1] for dots in (across, down)) else None


def _open(path: Path, file: IO[bytes]) -> PillowImage.Image:
    try:
        return PillowImage.open(file)
    except UnidentifiedImageError:
        file.seek(0)
        head = file.read(12)
        if head[4:8] != b"ftyp" or head[8:] not in HEIF_BRANDS:
            raise
    try:
        import pillow_heif
    except ImportError as error:
        raise UserError(
            f"{path}: is a HEIC image, which needs a further library: pip install pillow-heif. Or save it as JPEG."
        ) from error
    pillow_heif.register_heif_opener()
    file.seek(0)
    return PillowImage.open(file)


def _no_image(path: Path) -> UserError:
    if not path.stat().st_size:
        return UserError(f"{path}: the file is empty. {REMEDY}")
    return UserError(f"{path}: is no image that can be read. Save it as {READ}, or leave it out.")


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: the image cannot be decoded ({error}). {REMEDY}")
