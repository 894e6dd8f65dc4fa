"""Cut-outs on disk: a folder of finished pictures, or one. Their alpha is read again, to be scored.

That is the fourth channel of a PNG or WebP file, or the grey values of a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data.cutout.pairs import image_files
from data.cutout.photos.store import PhotoStore
from data.cutout.pictures import FORMATS, PICTURES, Format, Picture
from data.cutout.pictures.writer import PLAIN, OpenPictures, Style
from data.image import decode_by_opencv, read_bytes
from data.masks.packed import pack_planes
from data.masks.rle import Runs, encode
from data.submission.reader import Submission
from data.task import Output, Pictures
from utils.arrays import HALF_ALPHA, Bytes, Size
from utils.errors import UserError

FOREGROUND = ("foreground",)
READ = (".png", ".webp")
"""Suffixes of files whose alpha can be read."""
WITH_ALPHA = "predict.picture=rgba or predict.picture=mask, as PNG or WebP"
"""Settings for pictures whose alpha can be read again."""


@dataclass(frozen=True)
class Cutouts(Submission):
    """Finished cut-outs or masks in memory, with the size of each."""

    sizes: Mapping[str, Size]

    def of(self, name: str, size_hw: Size) -> tuple[Runs, ...]:
        """Return an image's runs. Raises `UserError` if it is not there or has another size than this."""
        if name in self.sizes and self.sizes[name] != size_hw:
            height, width = self.sizes[name]
            raise UserError(
                f"{self.path}: {name} is {width} x {height} px, its truth {size_hw[1]} x {size_hw[0]} px. Predict the "
                "image that the truth is of."
            )
        return super().of(name, size_hw)


def configured(picture: Picture | None, file_format: Format | None, own_colours: bool) -> Output:
    """Return the output of finished pictures; None: a photograph with its alpha, in the format that a name says.

    Raises `UserError` if the format cannot hold the picture.
    """
    style = Style(picture or PLAIN.picture, file_format, own_colours)
    if not style.suffixes:
        raise UserError(
            "predict.format: a JPEG holds no alpha. Take png or webp, or a picture without alpha, such as "
            "predict.picture=colour."
        )
    photos = PhotoStore()
    return Output(
        "cutouts",
        OpenPictures(style, photos),
        read_cutouts,
        pictures=Pictures(PICTURES, FORMATS, configured),
        each_alone=True,
        is_folder=True,
        suffixes_of_one=style.suffixes,
        read_image=photos.read,
        alpha_of=alpha_of,
    )


def read_cutouts(folder: Path) -> Cutouts:
    """Read a folder of cut-outs or masks as runs; a pixel belongs to the foreground from alpha 128 on.

    What lies in a sub-folder is called `folder__photo`, as a photograph is. Raises `UserError` for a folder without
    PNG or WebP files, for two files of one name, and for a file that cannot be read.
    """
    files = image_files(folder) if folder.is_dir() else []
    named = sorted(one for one in files if one[1].suffix.lower() in READ)
    if not named:
        there = "holds pictures without alpha, so nothing can be scored" if files else "holds no PNG or WebP files"
        raise UserError(
            f"{folder}: {there}. Name a folder that inference.py has written; predict it with {WITH_ALPHA}."
        )
    runs: dict[str, tuple[Runs, ...]] = {}
    sizes = {}
    for name, path in named:
        plain = name.removesuffix(path.suffix).replace("/", "__")
        if plain in runs:
            raise UserError(f"{path}: there are two files called {plain}. Remove the one that is not to be scored.")
        alpha_HW = read_alpha(path)
        runs[plain] = tuple(encode(pack_planes(alpha_HW[None] >= HALF_ALPHA), 1))
        sizes[plain] = (alpha_HW.shape[0], alpha_HW.shape[1])
    return Cutouts(folder, FOREGROUND, runs, sizes)


def alpha_of(folder: Path, name: str) -> Bytes:
    """Read the alpha of one photograph's cut-out, uint8[H, W], by the name that `read_cutouts` gives it."""
    ends = [written for suffix in READ for written in (suffix, suffix.upper())]
    places = [folder / f"{part}{end}" for part in (name, name.replace("__", "/")) for end in ends]
    return read_alpha(next((place for place in places if place.exists()), places[0]))


def read_alpha(path: Path) -> Bytes:
    """Read the alpha of a cut-out, or the grey values of a mask, uint8[H, W]; a mask of 0 and 1 is one of 0 and 255.

    Raises `UserError` for other files.
    """
    pixels = decode_by_opencv(read_bytes(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint8:
        raise UserError(f"{path}: is no image of 8 bits per channel. Write it again, or leave it out.")
    if pixels.ndim == 2:
        return spread(np.asarray(pixels))
    # WebP knows no grey, so a mask has three equal channels there.
    if pixels.shape[2] == 3 and path.suffix.lower() == ".webp" and (np.ptp(pixels, axis=2) == 0).all():
        return spread(np.ascontiguousarray(pixels[..., 0]))
    if pixels.shape[2] == 3 and path.suffix.lower() == ".webp":
        raise UserError(
            f"{path}: has no alpha channel, so it shows no cut-out, or one that is opaque everywhere: WebP then leaves "
            "the alpha out. Predict again with predict.picture=rgba or predict.picture=mask, as PNG."
        )
    if pixels.shape[2] != 4:
        raise UserError(
            f"{path}: has no alpha channel and is not grey, so it is neither cut-out nor mask. Predict again with "
            f"{WITH_ALPHA}."
        )
    return np.ascontiguousarray(pixels[..., 3])


def spread(alpha_HW: Bytes) -> Bytes:
    """Return the alpha in 0..255 of a mask that may be one of 0 and 1."""
    return alpha_HW * np.uint8(255) if alpha_HW.max(initial=0) == 1 else alpha_HW
