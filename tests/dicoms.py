"""DICOM files of generated pixels, also compressed, as the tests need them."""

from __future__ import annotations

import io
from typing import Any

import gdcm
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

NAME = "Hong^Gildong"
"""The patient's name in every file."""


def dicom_bytes(pixels: npt.NDArray[Any], bits: int = 8, kind: str = "MONOCHROME2", **elements: Any) -> bytes:
    """A film of these pixels uint8, uint16 or int16[H, W], or uint8[H, W, 3]; `elements` are set at the end."""
    opened = Dataset()
    opened.file_meta = FileMetaDataset()
    opened.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    opened.SOPClassUID, opened.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    opened.PatientName, opened.PatientID = NAME, "P1"
    opened.Rows, opened.Columns = pixels.shape[:2]
    opened.SamplesPerPixel, opened.PhotometricInterpretation = 1 if pixels.ndim == 2 else 3, kind
    if pixels.ndim == 3:
        opened.PlanarConfiguration = 0
    opened.BitsAllocated, opened.BitsStored, opened.HighBit = 8 * pixels.dtype.itemsize, bits, bits - 1
    opened.PixelRepresentation = int(pixels.dtype.kind == "i")
    opened.PixelData = pixels.tobytes()
    opened["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in elements.items():
        if value is None:
            delattr(opened, name)
        else:
            setattr(opened, name, value)
    file = io.BytesIO()
    opened.save_as(file, enforce_file_format=True)
    return file.getvalue()


def compressed(content: bytes, syntax: str, folder: Any) -> bytes:
    """The same film, compressed without loss by gdcm: "JPEG2000Lossless", "JPEGLosslessProcess14_1", …"""
    place, made = str(folder / "plain.dcm"), str(folder / "compressed.dcm")
    (folder / "plain.dcm").write_bytes(content)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(place)
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(made)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return bytes((folder / "compressed.dcm").read_bytes())


def noise(bits: int = 8, shape: tuple[int, ...] = (24, 40)) -> npt.NDArray[Any]:
    """Random values that reach the largest of so many bits."""
    values = np.random.default_rng(bits).integers(0, 2**bits, shape)
    values.flat[0] = 2**bits - 1
    return values.astype(np.uint8 if bits <= 8 else np.uint16)
