"""Cut-outs: one soft class, the foreground, in RGB photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.check.checks import Checks
from data.cutout.checks.files import check_files
from data.cutout.checks.kinds import CUTOUT_KINDS
from data.cutout.checks.masks import compare_masks, look_at_mask
from data.cutout.layout import (
    IMAGES,
    MASKS,
    find_images,
    find_pairs,
    find_samples,
    image_name,
    label_name,
    list_files,
)
from data.cutout.mask_file import read_mask_file
from data.cutout.metrics.table import DETAILS
from data.cutout.output import FOREGROUND, configured, spread
from data.cutout.pairs import splits_in
from data.cutout.photos.head import look_at_photo
from data.cutout.photos.reader import read_pixels
from data.encoding import ALPHA
from data.masks import rle
from data.masks.rle import Runs
from data.sample import Sample
from data.task import Layout, ScoringProtocol, Task, TaskMetric, Typical
from utils.arrays import HALF_ALPHA, Floats, Size, StoredMask
from utils.errors import UserError
from utils.metric import Metric

MEDISEG = ScoringProtocol(
    transform={"size_px": 320, "divide_by_maximum": False, "mean": 0.0, "std": 1.0, "evaluate": []},
    numbers=("iou", "dice", "mae"),
    said="As a published evaluation of pill cut-outs does it: images are only divided by 255, without the mean and "
    "the standard deviation that the network was trained with, and masks are compared at 320 x 320 px instead of the "
    "photograph's size. Its numbers are therefore those of a network that is given other images than it has learnt "
    "from, and hide errors that are smaller than a pixel of 320.",
)


def image_size(path: Path) -> Size:
    """The size in which a photograph is shown, and read."""
    return look_at_photo(path).shown_hw


def read_mask(sample: Sample, size_hw: Size) -> StoredMask:
    """Read the alpha of a photograph, uint8[H, W, 1]; a mask of 0 and 1 is one of 0 and 255.

    Raises `UserError` if there is no mask, it has another size, or it has colours or transparent parts.
    """
    if sample.label is None:
        raise UserError(f"{sample.image}: no mask. Train and score on photographs with masks only.")
    alpha_HW = read_mask_file(sample.label)
    refuse_other_size(sample, (alpha_HW.shape[0], alpha_HW.shape[1]), size_hw)
    return spread(alpha_HW)[..., None]


def refuse_other_size(sample: Sample, mask_hw: Size, size_hw: Size) -> None:
    """Raise `UserError` if a mask is not as large as its photograph."""
    if mask_hw != size_hw:
        raise UserError(
            f"{sample.label}: the mask is {mask_hw[1]} x {mask_hw[0]} px, its photograph {sample.image.name} "
            f"{size_hw[1]} x {size_hw[0]} px. Was one of them turned or made smaller? Make both of one size."
        )


def check(sample: Sample) -> str | None:
    """Read the heads of photograph and mask, compare their sizes, and return what is not read of the photograph."""
    photo = look_at_photo(sample.image)
    if sample.label is not None:
        refuse_other_size(sample, image_size(sample.label), photo.shown_hw)
    return photo.doubt


def render(folder: Path, images: int, side_px: int) -> Path:
    """Render photographs of pills with their masks into a folder; see `data.task.Task.render`."""
    from data.cutout.pills.dataset import PillSet, write_split

    write_split(folder, PillSet(images, side_px, seed=0), IMAGES, MASKS)
    return folder


def iou(mask_HWC: StoredMask, truth_HWC: StoredMask, classes: int) -> Floats:
    """The IoU at half of the alpha, float64[C]; a class absent from both scores 1."""
    mask, truth = mask_HWC >= HALF_ALPHA, truth_HWC >= HALF_ALPHA
    both, either = (mask & truth).sum((0, 1)), (mask | truth).sum((0, 1))
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def iou_of_runs(runs: Runs, truth: Runs) -> float:
    """The same for the runs of one class."""
    both = rle.intersection(runs, truth)
    either = rle.area(runs) + rle.area(truth) - both
    return both / either if either else 1.0


foreground = Task(
    name="foreground",
    classes=FOREGROUND,
    layout=Layout(
        find_samples=find_samples,
        find_images=find_images,
        list_files=list_files,
        label_name=label_name,
        image_name=image_name,
        find_pairs=find_pairs,
        folders=(IMAGES, MASKS),
        described=f"train/{IMAGES}, train/{MASKS}, test/{IMAGES}, or DUTS, DIS5K or AM-2k as it is unpacked",
        other_splits=splits_in,
        group="image",
        names_identify=False,
    ),
    read_image=read_pixels,
    image_size=image_size,
    read_mask=read_mask,
    check=check,
    output=configured(None, None, False),
    groups={"foreground": FOREGROUND},
    metrics=(TaskMetric(Metric("iou", "IoU"), of_masks=iou, of_runs=iou_of_runs),),
    details=DETAILS,
    checks=Checks(kinds=CUTOUT_KINDS, of_files=check_files, of_label=look_at_mask, compare=compare_masks),
    protocols={"mediseg": MEDISEG},
    typical=Typical(size_hw=(1080, 1920), train_images=200, valid_images=50),
    channels=3,
    encoding=ALPHA,
    render=render,
    refine="soft",
)
