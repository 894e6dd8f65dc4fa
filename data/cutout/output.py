"""Cut-outs on disk: a folder of PNG files, or one, each a photograph with the predicted alpha as its fourth channel.

Colours are straight, those of the photograph. A mask alone, a grey PNG, is read as a cut-out too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from data.cutout.pairs import image_files
from data.image import read_bytes, read_rgb
from data.masks.packed import pack_planes
from data.masks.rle import Runs, encode
from data.refine import object_colours
from data.sample import Sample
from data.submission.reader import Submission
from utils.arrays import HALF_ALPHA, Bytes, Size, StoredMask
from utils.errors import UserError
from utils.files import refuse_unwritable, replacing
from utils.journal import Journal

FOREGROUND = ("foreground",)
SUFFIX = ".png"
COMPRESSION = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
"""As quick as OpenCV's default, and files are smaller: 27 % of rendered pills, 3 % of ten photographs of all kinds.

Level 6, the default of Pillow, makes files 15 % smaller still and takes seven times as long.
"""


class CutoutWriter:
    """Writes a cut-out for each sample, in their order; use it in a `with`.

    `output` is a folder; if its name ends in .png, it is the file of the only sample.

    A call that was interrupted goes on where it stopped if `origin` is the same, at a multiple of the images that are
    predicted `at_once`. Raises `UserError` if the output cannot be written.
    """

    own_colours = False
    """Whether soft edges are written in the object's colours, without those of the ground."""

    def __init__(self, output: Path, samples: Sequence[Sample], origin: str, at_once: int) -> None:
        self.output, self.samples, self.at_once = output, samples, at_once
        self._is_file = output.suffix.lower() == SUFFIX
        journal = output.with_name(f".{output.name}.part") if self._is_file else output / ".cutouts.part"
        self._journal = Journal(journal, origin, [sample.stamp for sample in samples])

    @property
    def done(self) -> int:
        return self._journal.done

    def __enter__(self) -> CutoutWriter:
        refuse_unwritable([self._path("name")])
        self._journal.__enter__()
        there = next(
            (place for place, sample in enumerate(self.samples[: self.done]) if not self._path(sample.name).exists()),
            self.done,
        )
        self._journal.cut(there)
        self._journal.cut_to_groups(self.at_once)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._journal.remove()
        self._journal.__exit__(kind, error, trace)

    def write_mask(self, name: str, mask_HWC: StoredMask, /) -> None:
        """Write the next sample's photograph with this alpha, uint8[H, W, 1]."""
        sample = self.samples[self.done]
        if sample.name != name:
            raise ValueError(f"expected the mask of {sample.name}, got that of {name}")
        photo_HW3 = read_rgb(sample.image)
        if self.own_colours:
            photo_HW3 = object_colours(photo_HW3, mask_HWC[..., 0])
        cutout_HW4 = np.concatenate([photo_HW3[..., ::-1], mask_HWC], axis=2)
        with replacing(self._path(name)) as file:
            file.write(cv2.imencode(SUFFIX, cutout_HW4, COMPRESSION)[1].tobytes())
        self._journal.append(b"")

    def _path(self, name: str) -> Path:
        return self.output if self._is_file else self.output / f"{name}{SUFFIX}"


class OwnColoursWriter(CutoutWriter):
    """Writes cut-outs whose soft edges have the object's own colours."""

    own_colours = True


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


def read_cutouts(folder: Path) -> Cutouts:
    """Read a folder of cut-outs or masks as runs; a pixel belongs to the foreground from alpha 128 on.

    What lies in a sub-folder is called `folder__photo`, as a photograph is. Raises `UserError` for a folder without PNG
    files and for a file that cannot be read.
    """
    named = [one for one in image_files(folder) if one[1].suffix.lower() == SUFFIX] if folder.is_dir() else []
    if not named:
        raise UserError(f"{folder}: holds no PNG files. Name the folder that inference.py has written.")
    runs, sizes = {}, {}
    for name, path in sorted(named):
        alpha_HW = read_alpha(path)
        plain = name.removesuffix(path.suffix).replace("/", "__")
        runs[plain] = tuple(encode(pack_planes(alpha_HW[None] >= HALF_ALPHA), 1))
        sizes[plain] = (alpha_HW.shape[0], alpha_HW.shape[1])
    return Cutouts(folder, FOREGROUND, runs, sizes)


def alpha_of(folder: Path, name: str) -> Bytes:
    """Read the alpha of one photograph's cut-out, uint8[H, W], by the name that `read_cutouts` gives it."""
    places = [folder / f"{part}{end}" for part in (name, name.replace("__", "/")) for end in (SUFFIX, SUFFIX.upper())]
    return read_alpha(next((place for place in places if place.exists()), places[0]))


def read_alpha(path: Path) -> Bytes:
    """Read the alpha of a cut-out, or the grey values of a mask, uint8[H, W]; a mask of 0 and 1 is one of 0 and 255.

    Raises `UserError` for other files.
    """
    pixels = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint8:
        raise UserError(f"{path}: is no image of 8 bits per channel. Write it again, or leave it out.")
    if pixels.ndim == 2:
        return spread(np.asarray(pixels))
    if pixels.shape[2] != 4:
        raise UserError(f"{path}: has no alpha channel and is not grey, so it is neither cut-out nor mask.")
    return np.ascontiguousarray(pixels[..., 3])


def spread(alpha_HW: Bytes) -> Bytes:
    """Return the alpha in 0..255 of a mask that may be one of 0 and 1."""
    return alpha_HW * np.uint8(255) if alpha_HW.max(initial=0) == 1 else alpha_HW
