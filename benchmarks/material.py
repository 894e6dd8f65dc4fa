"""The data of the benchmarks: labelled radiographs, rendered once, and the mask of the first one.

Shapes: C classes (29), K = ceil(C/8) bytes, H/W native pixels.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.films.reader import image_size
from data.hand_bone.classes import BONES
from data.masks.packed import fill_polygons, unpack_planes
from data.phantom.dataset import PhantomSet, write_dataset
from data.polygons.annotation import read_polygons
from data.polygons.layout import find_samples
from data.sample import Sample
from utils.arrays import Packed
from utils.errors import UserError
from utils.progress import track

CLASSES = len(BONES)
SEED = 1
USUAL_IMAGES = 40


@dataclass(frozen=True)
class Material:
    """`samples`: labelled images of one size, in contest order; `scratch`: a folder for output files."""

    samples: tuple[Sample, ...]
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="carpus-benchmarks-")))

    @cached_property
    def size_hw(self) -> tuple[int, int]:
        return image_size(self.samples[0].image)

    @property
    def first(self) -> Sample:
        return self.samples[0]

    @property
    def label(self) -> Path:
        """The first sample's annotation."""
        return _label_of(self.first)

    @cached_property
    def mask(self) -> Packed:
        """The first sample's true mask, packed uint8[H, W, K]."""
        return mask_of(self.first, self.size_hw)

    @cached_property
    def planes(self) -> npt.NDArray[np.bool_]:
        """The same, bool[C, H, W]."""
        return unpack_planes(self.mask, CLASSES)


def mask_of(sample: Sample, size_hw: tuple[int, int]) -> Packed:
    """A sample's true mask, packed uint8[H, W, K]."""
    return fill_polygons(read_polygons(_label_of(sample), BONES), size_hw, CLASSES)


def load_material(root: Path, images: int) -> Material:
    """The first `images` labelled samples below `root`. Raises `UserError` if there are fewer or their sizes differ."""
    samples = find_samples(root / "train", labelled=True)[:images]
    if len(samples) < images:
        raise UserError(
            f"{root}: {len(samples)} labelled images, {images} are wanted. Name another --data or --images."
        )
    sizes = {image_size(sample.image) for sample in samples}
    if len(sizes) > 1:
        raise UserError(f"{root}: images of several sizes {sorted(sizes)}; the benchmarks need one.")
    return Material(tuple(samples))


def render_material(images: int, size_px: int) -> Path:
    """Render phantom hands, half a second each at 2048 px, unless they exist already; returns their folder.

    A smaller number of images is taken from the usual set, so that it need not be rendered.
    """
    patients = max(USUAL_IMAGES, images + 1) // 2
    root = Path("datasets") / f"benchmark_{size_px}_{2 * patients}"
    wanted = PhantomSet(train_patients=patients, test_patients=0, size_px=size_px, seed=SEED)
    for _ in track(write_dataset(root, wanted), "Rendering hands", 2 * patients):
        pass
    return root


def _label_of(sample: Sample) -> Path:
    assert sample.label is not None
    return sample.label
