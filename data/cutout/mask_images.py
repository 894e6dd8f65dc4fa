"""Masks in the place of photographs: the task of a network that reproduces masks, such as IS-Net's encoder of them.

Its data are those of cut-outs. Each mask is read as the image, in grey values, and as the mask to predict.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from data.check.checks import Checks
from data.cutout.layout import find_images, find_samples, list_files
from data.cutout.mask_file import read_mask_file
from data.cutout.output import spread
from data.cutout.pairs import folders_in
from data.cutout.split import LIST
from data.cutout.task import foreground
from data.files import SplitFiles
from data.sample import Sample
from utils.arrays import Image


def find_masks(split_dir: Path, *, labelled: bool, exclude: Collection[str] = ()) -> list[Sample]:
    """List the masks of a split folder, each under the name of its photograph, as `data.cutout.layout.find_samples`."""
    found = as_images(find_samples(split_dir, labelled=True, exclude=exclude))
    return found if labelled else [replace(sample, label=None) for sample in found]


def find_mask_images(folder: Path) -> list[Sample]:
    """List the masks of a split folder, or those of a folder that holds nothing else."""
    if (folder / LIST).is_file() or folders_in(folder) is not None:
        return find_masks(folder, labelled=False)
    return find_images(folder)


def list_masks(split_dir: Path) -> SplitFiles:
    """List the files of a split folder, its masks also as the images."""
    files = list_files(split_dir)
    return replace(files, images=files.labels)


def as_images(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with the file of the mask as the image."""
    return [replace(sample, image=sample.label) for sample in samples if sample.label is not None]


def read_mask_image(path: Path) -> Image:
    """Read a mask as grey values uint8[H, W] in 0..255; a mask of 0 and 1 is one of 0 and 255."""
    return spread(read_mask_file(path))


foreground_masks = replace(
    foreground,
    name="foreground_masks",
    refine="plain",
    layout=replace(foreground.layout, find_samples=find_masks, find_images=find_mask_images, list_files=list_masks),
    read_image=read_mask_image,
    checks=Checks(),
    channels=1,
)
