from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from data.films.depth import in_8_bits
from data.films.reader import check_image, image_size, read_image
from tests.dicoms import NAME, compressed, dicom_bytes, noise
from utils.errors import UserError

READERS = [read_image, image_size, check_image]


def written(folder: Path, pixels: np.ndarray, bits: int = 8, **more: Any) -> Path:
    (folder / "a.dcm").write_bytes(dicom_bytes(pixels, bits, **more))
    return folder / "a.dcm"


def test_8_bits_are_read_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path, noise())
    np.testing.assert_array_equal(read_image(path), noise())
    assert image_size(path) == (24, 40)
    assert check_image(path) == ((24, 40), 1)


def test_white_film_is_inverted(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(written(tmp_path, noise(), kind="MONOCHROME1")), 255 - noise())


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_values_without_a_window_become_what_they_become_in_a_png(tmp_path: Path, bits: int) -> None:
    np.testing.assert_array_equal(read_image(written(tmp_path, noise(bits), bits)), in_8_bits(noise(bits)))
    np.testing.assert_array_equal(read_image(written(tmp_path, noise(bits), 16)), in_8_bits(noise(bits)))


def test_the_stored_bits_count_and_not_the_largest_value(tmp_path: Path) -> None:
    dark = np.array([[0, 500], [100, 273]], np.uint16)
    np.testing.assert_array_equal(read_image(written(tmp_path, dark, 12)), [[0, 31], [6, 17]])


def test_widened_8_bits_are_read_as_they_were(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(written(tmp_path, noise().astype(np.uint16) * 257, 16)), noise())


def test_the_first_window_is_applied(tmp_path: Path) -> None:
    """The standard's linear function: black up to centre - 0.5 - (width - 1) / 2, white from as far above."""
    values = np.array([[0, 1000, 1500, 2000, 4095]], np.uint16)
    path = written(tmp_path, values, 12, WindowCenter=[1500.5, 9], WindowWidth=[1001, 9])
    np.testing.assert_array_equal(read_image(path), [[0, 0, 128, 255, 255]])


def test_a_rescale_comes_before_the_window(tmp_path: Path) -> None:
    values = np.array([[0, 10, 20]], np.uint16)
    window = {"WindowCenter": 0.5, "WindowWidth": 21, "RescaleSlope": 2, "RescaleIntercept": -20}
    np.testing.assert_array_equal(read_image(written(tmp_path, values, 12, **window)), [[0, 128, 255]])
    path = written(tmp_path, values, 12, RescaleSlope=-1, RescaleIntercept=4095)
    np.testing.assert_array_equal(read_image(path), [[255, 254, 254]])


def test_values_with_a_sign_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, np.array([[-2048, 0, 2047]], np.int16), 12)
    np.testing.assert_array_equal(read_image(path), [[0, 128, 255]])


def test_a_table_is_preferred_to_a_window(tmp_path: Path) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4, 0, 8])
    table.add_new("LUTData", "OW", np.array([10, 200, 30, 40], np.uint16).tobytes())
    path = written(
        tmp_path, np.array([[0, 1, 2, 9]], np.uint16), 12, VOILUTSequence=[table], WindowCenter=1, WindowWidth=2
    )
    np.testing.assert_array_equal(read_image(path), [[10, 200, 30, 40]])


def test_colours_become_their_luma(tmp_path: Path) -> None:
    colours = noise(8, (24, 40, 3))
    grey = read_image(written(tmp_path, colours, kind="RGB"))
    assert np.abs(grey - colours @ [0.299, 0.587, 0.114]).max() <= 1


@pytest.mark.parametrize(
    "syntax", ["JPEG2000Lossless", "JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "RLELossless"]
)
def test_compressed_pixels_are_those_of_the_plain_file(tmp_path: Path, syntax: str) -> None:
    path = written(tmp_path, noise(12), 12)
    plain = read_image(path)
    path.write_bytes(compressed(path.read_bytes(), syntax, tmp_path))
    np.testing.assert_array_equal(read_image(path), plain)
    assert image_size(path) == plain.shape


REFUSED: dict[str, dict[str, Any]] = {
    r"holds 2 frames, expected one image\. Save": {"NumberOfFrames": 2},
    "without an image, such as a report or an index": {"Rows": None},
    "has no pixels of whole numbers": {"PixelData": None},
    r"its header says 24 x 60000 px, expected 1 to 16384": {"Columns": 60000},
    r"cannot be decoded \(Explicit VR Little Endian\): it is damaged": {"Rows": 5000},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_no_single_film_is_refused_in_one_sentence(tmp_path: Path, sentence: str) -> None:
    with pytest.raises(UserError, match=rf"a\.dcm: .*{sentence}") as error:
        read_image(written(tmp_path, noise(), **REFUSED[sentence]))
    assert NAME not in str(error.value)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kept", [135, 300, -200])
def test_a_file_that_lacks_its_end_is_refused(tmp_path: Path, read: type, kept: int) -> None:
    path = written(tmp_path, noise())
    path.write_bytes(path.read_bytes()[:kept])
    if read is image_size and kept == -200:
        pytest.skip("damage behind the head is not looked for")
    with pytest.raises(UserError, match=r"a\.dcm: .*(damaged|without an image)"):
        read(path)


def test_a_compression_that_nobody_knows_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, noise())
    own = generate_uid(entropy_srcs=["own"])[:19]
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1", own.encode()))
    with pytest.raises(UserError, match=r"does not say how its pixels are stored"):
        read_image(path)


def test_without_the_library_the_sentence_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, noise())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match=r"is a DICOM file, .*: pip install -r requirements-dicom\.txt\."):
        read_image(path)


def test_the_text_of_a_file_is_never_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither by our sentence, nor by a warning or a line of pydicom's log, which quote what is wrong."""
    path = written(tmp_path, noise(), VOILUTFunction="GILDONG HONG", WindowCenter=9, WindowWidth=9)
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError, match="cannot be decoded") as error:
        read_image(path)
    check_image(written(tmp_path, noise()))
    for said in (caplog.text, str(error.value)):
        assert not {"GILDONG HONG", NAME} & {*said.split("'"), *said.split()}
