"""A second task that exists for tests alone: soft masks of one object in RGB images, scored by IoU.

It differs from the first task in all that a task decides: channels, encoding, folders, metric and output. With it come
a network of three outputs and a loss that is no sum over pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from data.cutout.task import iou, iou_of_runs
from data.encoding import ALPHA
from data.files import Found, LeftOut, SplitFiles, files_below, name_left_out, refuse_unreadable
from data.image import read_grey, read_rgb
from data.masks import rle
from data.masks.packed import pack_planes
from data.sample import Sample, keys_excluded
from data.submission.reader import Submission
from data.task import Layout, Output, Task, TaskMetric, Typical
from loss.base import Gather, Loss, Outputs, list_of
from tests.losses import ssim_like
from utils.arrays import Image, Size, StoredMask
from utils.errors import UserError
from utils.metric import Metric

# Shapes: B images, C classes, H/W pixels, h/w pixels of a further output.

HALF = 128
"""A pixel belongs to the object from this alpha on."""


def find_samples(split_dir: Path, *, labelled: bool, exclude: Collection[str] = ()) -> list[Sample]:
    """List the images of `<split>/images`, if `labelled` with the masks of `<split>/masks`."""
    found = find_images(split_dir / "images")
    left_out = keys_excluded([sample.key for sample in found], exclude, "scene")
    kept = [sample for sample in found if sample.key not in left_out]
    masks = split_dir / "masks"
    return [Sample(s.name, s.group, s.image, masks / s.name) if labelled else s for s in kept]


def find_images(folder: Path) -> list[Sample]:
    """List the images of a folder; the group is what stands before the last underscore of a name."""
    files, left_out = list_folder(folder)
    refuse_unreadable(left_out)
    name_left_out(folder, left_out)
    if not files:
        raise UserError(f"{folder}: no PNG image in it. Put the images there, or name another folder.")
    return [Sample(path.name, group_of(path), path) for path in files.values()]


def list_files(split_dir: Path) -> SplitFiles:
    """List all files of `<split>/images` and `<split>/masks`."""
    (images, others), (masks, more) = list_folder(split_dir / "images"), list_folder(split_dir / "masks")
    return SplitFiles(images, masks, [*others, *more])


def list_folder(folder: Path) -> tuple[dict[str, Path], list[LeftOut]]:
    """List the PNG files in a folder by key, and everything else that lies in it."""
    files, left_out = {}, []
    for one in files_below(folder) if folder.is_dir() else ():
        if isinstance(one, Found) and one.depth == 1 and one.path.suffix == ".png":
            files[f"{group_of(one.path)}/{one.path.name}"] = one.path
        else:
            left_out.append(one if isinstance(one, LeftOut) else LeftOut(one.path, "no PNG directly in the folder"))
    return files, left_out


def group_of(path: Path) -> str:
    """What stands before the last underscore of a name."""
    return path.stem.rpartition("_")[0]


def label_name(key: str) -> str:
    return f"masks/{key.rpartition('/')[2]}"


def image_size(path: Path) -> Size:
    height, width, _ = read_rgb(path).shape
    return height, width


def read_mask(sample: Sample, size_hw: Size) -> StoredMask:
    """The alpha of a labelled sample, uint8[H, W, 1]."""
    if sample.label is None:
        raise UserError(f"{sample.image}: no mask. Train and score on images with masks only.")
    alpha_HW = read_grey(sample.label)
    if alpha_HW.shape != size_hw:
        raise UserError(f"{sample.label}: is not as large as {sample.image}. Save both at one size.")
    return alpha_HW[:, :, None]


def check(sample: Sample) -> str | None:
    size_hw = image_size(sample.image)
    if sample.label is not None:
        read_mask(sample, size_hw)
    return None


def read_folder(path: Path) -> Submission:
    """Read a folder of written masks as runs; a pixel belongs to the object from alpha 128 on."""
    alphas = {file.name: read_grey(file) for file in sorted(path.glob("*.png"))}
    runs = {name: tuple(rle.encode(pack_planes(alpha[None] >= 128), 1)) for name, alpha in alphas.items()}
    return Submission(path, ("object",), runs)


class FolderOfMasks:
    """Writes each mask as an 8-bit grey PNG of the image's name; a call that was interrupted starts anew."""

    done = 0

    def __init__(self, folder: Path, samples: Sequence[Sample], origin: str, at_once: int) -> None:
        self.folder = folder

    def __enter__(self) -> FolderOfMasks:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write_mask(self, name: str, mask_HWC: StoredMask, /) -> None:
        cv2.imwrite(str(self.folder / name), mask_HWC[:, :, 0])
        self.done += 1


cutout = Task(
    name="cutout",
    classes=("object",),
    layout=Layout(
        find_samples=find_samples,
        find_images=find_images,
        described="train/images, train/masks, test/images",
        list_files=list_files,
        label_name=label_name,
        folders=("images", "masks"),
        unlabelled=Path("test/images"),
        group="scene",
    ),
    read_image=read_rgb,
    image_size=image_size,
    read_mask=read_mask,
    check=check,
    output=Output("masks", FolderOfMasks, read_folder, is_folder=True),
    groups={"object": ("object",)},
    metrics=(TaskMetric(Metric("iou", "IoU"), of_masks=iou, of_runs=iou_of_runs),),
    typical=Typical(size_hw=(64, 64), train_images=12, valid_images=4),
    channels=3,
    encoding=ALPHA,
)


class ThreeDepths(nn.Module):
    """Logits of the input's size, then side outputs of half and of a quarter of it, for the loss alone."""

    def __init__(self, classes: int, channels: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in range(3))

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        features = self.stem(images_BCHW).tanh()
        return [head(F.avg_pool2d(features, 2**depth)) for depth, head in enumerate(self.heads)]


def three_depths(classes: int, channels: int, *, width: int = 4) -> nn.Module:
    return ThreeDepths(classes, channels, width)


class SsimOfEach(Loss):
    """The sum of an SSIM loss over all outputs, each against the target at its own size."""

    def __init__(self) -> None:
        self.loss = ssim_like()

    def parts(self, outputs: Outputs, target_BCHW: Tensor, gather: Gather | None = None) -> dict[str, Tensor]:
        parts = {}
        for index, logits_BChw in enumerate(list_of(outputs)):
            target_BChw = F.adaptive_avg_pool2d(target_BCHW, (logits_BChw.shape[-2], logits_BChw.shape[-1]))
            parts[f"ssim_{index}"] = self.loss.parts(logits_BChw, target_BChw, gather)["ssim"]
        return parts


def ssim_of_each() -> Loss:
    return SsimOfEach()


def write_images(root: Path, *, scenes: int = 6, images_of_scene: int = 2, test_images: int = 3) -> None:
    """Write soft-edged discs on noise: 64 px to train on, and 64 x 48 px without masks in the folder of tests."""
    for scene in range(scenes):
        for number in range(images_of_scene):
            write_pair(root / "train", f"scene{scene}_{number}.png", (64, 64), seed=10 * scene + number)
    for number in range(test_images):
        write_pair(root / "test", f"new{number}_0.png", (64, 48), seed=1000 + number)


def write_pair(folder: Path, name: str, size_hw: Size, *, seed: int) -> None:
    """Write an image; beside the images to train on, its mask."""
    image, alpha_HW = disc_on_noise(size_hw, np.random.default_rng(seed))
    write_png(folder / "images" / name, image[:, :, ::-1])
    if folder.name == "train":
        write_png(folder / "masks" / name, alpha_HW)


def disc_on_noise(size_hw: Size, rng: np.random.Generator) -> tuple[Image, Image]:
    """An orange disc on green noise, uint8[H, W, 3], and its alpha uint8[H, W]."""
    radius, (top, left) = int(rng.integers(10, 18)), rng.integers(20, np.array(size_hw) - 20 + 1)
    alpha_HW = np.zeros(size_hw, np.uint8)
    cv2.circle(alpha_HW, (int(left), int(top)), radius, 255, -1)
    alpha_HW = np.asarray(cv2.GaussianBlur(alpha_HW, (0, 0), 2.0), np.uint8)
    share = alpha_HW[:, :, None] / 255
    noise = rng.normal((60, 120, 70), 15, (*size_hw, 3))
    image = share * np.array((230, 140, 40)) + (1 - share) * noise
    return np.clip(image, 0, 255).astype(np.uint8), alpha_HW


def write_png(path: Path, pixels: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
