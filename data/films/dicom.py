"""Radiographs in DICOM files, by pydicom: grey values of 8 bits as a viewer shows them, 0 black.

Only the elements that say how the pixels are shown are read, so names of patients never enter the program.
"""

from __future__ import annotations

import logging
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from data.films.depth import between, depth_of, in_8_bits
from data.films.png_file import refuse_size
from data.image import REMEDY
from utils.arrays import Floats, Image, Size
from utils.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

INSTALL = "pip install -r requirements-dicom.txt"
MARK_AT, MARK = 128, b"DICM"
"""Where a DICOM file says that it is one."""
_HEAD = (
    *("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SOPClassUID"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *("RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
    *("GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData"),
    *("BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData"),
)
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FAR = 1e12
"""Below and above all values that a file may have."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is a DICOM file."""
    return head[MARK_AT : MARK_AT + len(MARK)] == MARK


def dicom_size(path: Path, content: bytes) -> Size:
    """Read the size of the image in a DICOM file from its head. Raises `UserError` as `read_dicom` does."""
    head = _opened(path, content, _HEAD)
    if "Rows" not in head or "Columns" not in head:
        raise UserError(
            f"{path}: a DICOM file without an image, such as a report or an index. Remove it, or leave it out."
        )
    try:
        height, width, frames = int(head.Rows), int(head.Columns), int(head.get("NumberOfFrames") or 1)
    except Exception as error:  # An element is read when it is asked for, and nearly every type of error is raised.
        raise _damaged(path) from error
    refuse_size(path, (height, width))
    if frames > 1:
        raise UserError(f"{path}: holds {frames} frames, expected one image. Save the one that counts as a file.")
    return height, width


def read_dicom(path: Path, content: bytes) -> Image:
    """Decode a DICOM file to uint8[H, W]; see `data.films.reader.read_image`.

    Raises `UserError` without pydicom or the library that its compression needs, for several frames, for a file without
    an image, for values of more than 16 bits, and for a damaged file.
    """
    size_hw = dicom_size(path, content)
    opened = _opened(path, content, (*_HEAD, *_PIXELS))
    if "PixelData" not in opened:
        raise UserError(f"{path}: has no pixels of whole numbers, which are all that is read. {REMEDY}")
    _refuse_compression(path, opened)
    try:
        image = _grey(opened)
    except Exception as error:  # Of damaged files pydicom and the decoders raise nearly every type.
        raise UserError(f"{path}: its pixels cannot be decoded ({_syntax(opened)}): it is damaged. {REMEDY}") from error
    if image.shape != size_hw:
        raise UserError(f"{path}: its pixels are not of the size that its head says. {REMEDY}")
    return image


def _opened(path: Path, content: bytes, elements: tuple[str, ...]) -> Dataset:
    """Read some elements of a DICOM file."""
    try:
        import pydicom
    except ImportError as error:
        raise UserError(f"{path}: is a DICOM file, which needs further libraries: {INSTALL}.") from error
    # What pydicom warns of and logs may quote the file.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    try:
        return pydicom.dcmread(BytesIO(content), specific_tags=list(elements))
    except Exception as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: the DICOM file is damaged and cannot be read. {REMEDY}")


def _syntax(opened: Dataset) -> str:
    """Return how the pixels are stored, in the words of the standard."""
    uid = getattr(opened.file_meta, "TransferSyntaxUID", None)
    return str(uid.name) if uid is not None else "in no known way"


def _refuse_compression(path: Path, opened: Dataset) -> None:
    """Raise `UserError` if the library that decodes the pixels is not installed, or there is none."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        uid = opened.file_meta.TransferSyntaxUID
        compressed = uid.is_compressed and not uid.is_deflated
        available = not compressed or _plugin_of(uid) in get_decoder(uid).available_plugins
    except Exception as error:
        raise UserError(f"{path}: does not say how its pixels are stored ({_syntax(opened)}). {REMEDY}") from error
    if not available:
        raise UserError(
            f"{path}: its pixels are compressed as {_syntax(opened)}, which needs a further library: {INSTALL}. If it "
            "is installed, convert the file to JPEG 2000 or uncompressed pixels."
        )


def _plugin_of(syntax: UID) -> str:
    """Return the decoder of pydicom that is used for pixels of this kind; empty for plain ones.

    Of those that pydicom knows, gdcm ends the whole process when pixels are damaged.
    """
    from pydicom.uid import RLELossless

    if syntax == RLELossless:
        return "pydicom"
    return "pylibjpeg" if syntax.is_compressed and not syntax.is_deflated else ""


def _grey(opened: Dataset) -> Image:
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    values = pixel_array(opened, decoding_plugin=_plugin_of(opened.file_meta.TransferSyntaxUID))
    kind = str(opened.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, opened)
    if values.ndim == 3:
        luma = cv2.cvtColor(np.ascontiguousarray(values), cv2.COLOR_RGB2GRAY)
        return luma if luma.dtype == np.uint8 else in_8_bits(luma)
    grey = _as_shown(values, opened)
    return 255 - grey if kind == "MONOCHROME1" else grey


def _as_shown(values: Any, opened: Dataset) -> Image:
    """Apply what the file says about showing its values: rescale or modality table, then table or window."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    # The first and last value of the scale go the same way as the pixels, and say what becomes 0 and 255.
    if _says_nothing(values, opened):
        return in_8_bits(values)
    low, high = _scale(values, opened)
    flat = np.concatenate([values.ravel(), np.array([low, high], values.dtype)])
    meant = apply_modality_lut(flat, opened)
    ends = float(meant[-2]), float(meant[-1])
    if _has_table(opened):
        bits = int(opened.VOILUTSequence[0].LUTDescriptor[2])
        meant, ends = apply_voi_lut(meant[:-2], opened, prefer_lut=True), (0.0, float(2**bits - 1))
    elif _has_window(opened):
        bounded = np.concatenate([meant[:-2].astype(np.float64), [-_FAR, _FAR]])
        with np.errstate(over="ignore"):  # of the function SIGMOID, far away
            windowed = apply_voi_lut(bounded, opened, prefer_lut=False)
        meant, ends = windowed[:-2], (float(windowed[-2]), float(windowed[-1]))
    else:
        meant, ends = meant[:-2], (min(ends), max(ends))
    shown: Floats = np.asarray(meant, np.float64).reshape(values.shape)
    return between(shown, *ends)


def _has_table(opened: Dataset) -> bool:
    return bool(opened.get("VOILUTSequence"))


def _has_window(opened: Dataset) -> bool:
    return opened.get("WindowCenter") is not None and opened.get("WindowWidth") is not None


def _says_nothing(values: Any, opened: Dataset) -> bool:
    """Whether a file says nothing of values of 16 bits but a rescale that keeps their order."""
    says = _has_table(opened) or _has_window(opened) or opened.get("ModalityLUTSequence")
    says = says or float(opened.get("RescaleSlope") or 1) <= 0
    return values.dtype == np.uint16 and opened.BitsStored == 16 and not says


def _scale(values: Any, opened: Dataset) -> tuple[int, int]:
    """Return the first and the last value that the stored bits can hold.

    Many files say 16 bits for values of 12, so of 16 without sign those count that `depth_of` finds.
    """
    bits = int(opened.BitsStored)
    if bits > 16:
        raise ValueError("more than 16 bits")
    if int(opened.PixelRepresentation):
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return 0, 2 ** (depth_of(values) if bits == 16 else bits) - 1
