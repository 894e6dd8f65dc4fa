"""Radiographs on disk: PNG, JPEG, TIFF, BMP, WebP and DICOM, decoded to one channel of 8 bits.

This is the one reader of films: training, checks, prediction, the server and the library read by it, so a film gives
the same pixels everywhere. What a file is follows from its content, never from its name.

Every reader of sizes and pixels takes the pixels as they are stored. An orientation in EXIF is ignored, and reported by
the checks: labels and submissions count the stored pixels, as do the programs that score them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.films.dicom import MARK, MARK_AT, dicom_size, is_dicom, read_dicom
from data.films.png_file import check_png, png_size, read_png
from data.films.raster import head_of, read_raster, refuse_truncated
from data.image import JPEG_SIGNATURE, PNG_END, PNG_SIGNATURE, REMEDY, read_bytes, unreadable
from utils.arrays import Image, Size
from utils.errors import UserError

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
FILM_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".bmp", ".webp"),
    *DICOM_SUFFIXES,
)
"""Suffixes of files that are read as films, in small letters."""
READ = "PNG, JPEG, TIFF, BMP, WebP or DICOM"
_HEAD_BYTES = MARK_AT + len(MARK)
_TAIL_BYTES = 1024  # The last chunk of a PNG is 12 bytes; some scanners append a few of their own.
_OTHER_FORMATS = {b"GIF8": "GIF", b"\0\0\0\x0cjP  ": "JPEG 2000", b"%PDF": "PDF", b"PK\3\4": "ZIP", b"{": "JSON"}


@dataclass(frozen=True)
class Format:
    """How a kind of file is read: each function is given the file's path, for sentences, and its whole content."""

    read: Callable[[Path, bytes], Image]
    size: Callable[[Path, bytes], Size]
    check: Callable[[Path, bytes], tuple[Size, int]]


def read_image(path: Path) -> Image:
    """Decode a film to uint8[H, W], at its own size.

    The contest stores three equal channels; equal channels decode to exactly that value, a colour image to its luma.
    An alpha channel is left out: programs add an opaque one to grey images, and what it says is about showing them.
    16 bits become 8 as `data.films.depth` says. A DICOM film is read as a viewer shows it: its rescale and its window
    or table are applied, and MONOCHROME1 is inverted. Raises `UserError` for a file that is absent, truncated, damaged,
    of another kind, or holds several pictures.
    """
    content = read_bytes(path)
    return _format_of(path, content).read(path, content)


def image_size(path: Path) -> Size:
    """Read the size that `read_image` would give from the head of a file; raises `UserError` as it does.

    Damage between head and end is not found here; a PNG or JPEG that lacks its end is.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            is_whole_png = PNG_END in file.read()
    except OSError as error:
        raise unreadable(path, error) from error
    if head.startswith(PNG_SIGNATURE) and is_whole_png:
        return png_size(path, head)
    content = read_bytes(path)
    size_hw = _format_of(path, content).size(path, content)
    refuse_truncated(path, content)
    return size_hw


def check_image(path: Path) -> tuple[Size, int]:
    """Return size and EXIF orientation (1: upright); check that the file is whole.

    A PNG has checksums, which take 1 ms; others are decoded.
    """
    content = read_bytes(path)
    return _format_of(path, content).check(path, content)


def is_film(path: Path) -> bool:
    """Whether a file is one to be read as a film: by its suffix, or a DICOM file that is called otherwise.

    Nothing is known of one that cannot be opened; by its name alone it is none.
    """
    if path.suffix.lower() in FILM_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(_HEAD_BYTES)) and path.name.upper() != "DICOMDIR"
    except OSError:
        return False


def _check_raster(path: Path, content: bytes) -> tuple[Size, int]:
    read_raster(path, content)
    head = head_of(path, content)
    return head.size_hw, head.orientation


def _check_dicom(path: Path, content: bytes) -> tuple[Size, int]:
    height, width = read_dicom(path, content).shape
    return (height, width), 1


def _raster_size(path: Path, content: bytes) -> Size:
    return head_of(path, content).size_hw


_PNG = Format(read_png, png_size, check_png)
_RASTER = Format(read_raster, _raster_size, _check_raster)
_DICOM = Format(read_dicom, dicom_size, _check_dicom)


def _format_of(path: Path, content: bytes) -> Format:
    """Return how to read a file. Raises `UserError` for one that is empty or of another kind."""
    if not content:
        raise UserError(f"{path}: the image is empty, a file of 0 bytes. {REMEDY}")
    if content.startswith(PNG_SIGNATURE):
        return _PNG
    if is_dicom(content):
        return _DICOM
    if content.startswith((JPEG_SIGNATURE, b"BM", b"II*\0", b"MM\0*")) or content[8:12] == b"WEBP":
        return _RASTER
    kind = next((f"a {name} file" for begins, name in _OTHER_FORMATS.items() if content.startswith(begins)), "no image")
    raise UserError(f"{path}: is by its content {kind}, expected {READ}. Convert its source to a grey PNG.")
