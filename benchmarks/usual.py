"""Every step the usual way: as in the notebook from which most teams of the contest start.

The comparison is fair. Each function does what that notebook and its many copies do, with the same libraries and as
many cores and threads as ours; if two versions are common, the quicker one is used, and a comment says so. They are
slow because of their method: three channels of a grey image, one full-size canvas per class, floats for every bit.
"""

# Shapes: B batch, C classes (29), H/W native pixels, h/w the network's input.
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from data.hand_bone.classes import BONES
from data.sample import Sample
from utils.arrays import Bools, Bytes, Ints32
from utils.system.signals import ignore_signals, signals_held_back

Augment = Callable[..., Mapping[str, Any]]
Labels = Sequence[tuple[int, Ints32]]
Rows = list[tuple[str, str, str]]

BATCH = 2
"""Images in a batch of the notebook's validation and test loaders."""
CLASS2IND = {label: index for index, label in enumerate(BONES)}


def read_image(path: Path) -> Bytes:
    """uint8[H, W, 3], cv2's default: the channels are equal, but networks pretrained on photographs take three."""
    return np.asarray(cv2.imread(str(path)), np.uint8)


def read_points(path: Path) -> Labels:
    """(class, points) of each annotation."""
    annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    return [(CLASS2IND[entry["label"]], ring) for entry in annotations for ring in _rings(entry["points"])]


def _rings(points: Any) -> list[Ints32]:
    nested = isinstance(points[0][0], list)
    return [np.array(ring, np.int32) for ring in (points if nested else [points])]


def fill(labels: Labels, size_hw: tuple[int, int]) -> Bytes:
    """uint8[H, W, C]: each class is drawn on a full-size canvas of its own, which is copied into the result.

    The notebook lets a second polygon of a class overwrite the first; here they unite, at no cost.
    """
    label = np.zeros((*size_hw, len(BONES)), np.uint8)
    canvases: dict[int, Bytes] = {}
    for index, points in labels:
        canvas = canvases.setdefault(index, np.zeros(size_hw, np.uint8))
        cv2.fillPoly(canvas, [points], 1)
        label[..., index] = canvas
    return label


def sample(paths: Sample, augment: Augment) -> tuple[Tensor, Tensor]:
    """Image float32[3, h, w] and label float32[C, h, w] of one training sample.

    The notebook divides to float64; float32, as in the better copies, is quicker.
    """
    assert paths.label is not None
    image = read_image(paths.image).astype(np.float32) / 255
    label = fill(read_points(paths.label), image.shape[:2])
    augmented = augment(image=image, mask=label)
    return _to_tensor(augmented["image"]), _to_tensor(augmented["mask"])


def _to_tensor(pixels_HWC: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels_HWC.transpose(2, 0, 1))).float()


def encode(mask: npt.NDArray[Any]) -> str:
    """The run-length text of one class's mask [H, W]; the notebook's `encode_mask_to_rle`."""
    pixels = np.concatenate([[0], mask.flatten(), [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(x) for x in runs)


def decode(rle: str, size_hw: tuple[int, int]) -> Bytes:
    """uint8[H, W]; the notebook's `decode_rle_to_mask`."""
    numbers = rle.split()
    starts, lengths = (np.asarray(part, dtype=int) for part in (numbers[0::2], numbers[1::2]))
    starts -= 1
    pixels = np.zeros(size_hw[0] * size_hw[1], dtype=np.uint8)
    for low, high in zip(starts, starts + lengths, strict=True):
        pixels[low:high] = 1
    return pixels.reshape(size_hw)


def dice(true: Tensor, pred: Tensor, eps: float = 1e-4) -> Tensor:
    """Dice of each image and class, [B, C]; the notebook's `dice_coef`."""
    true_f, pred_f = true.flatten(2), pred.flatten(2)
    intersection = torch.sum(true_f * pred_f, -1)
    return (2.0 * intersection + eps) / (torch.sum(true_f, -1) + torch.sum(pred_f, -1) + eps)


class Radiographs(Dataset[tuple[Tensor, Any]]):
    """The notebook's dataset for held-out and test images: the image resized, the label at its own size.

    Resized by area while still bytes: the notebook resizes floats linearly, which is slower and coarser.
    """

    def __init__(self, samples: Sequence[Sample], size_hw: tuple[int, int], *, labelled: bool) -> None:
        self.samples, self.size_hw, self.labelled = samples, size_hw, labelled

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        paths = self.samples[index]
        native = read_image(paths.image)
        image = cv2.resize(native, self.size_hw[::-1], interpolation=cv2.INTER_AREA)
        tensor = _to_tensor(image / np.float32(255))
        if not self.labelled:
            return tensor, paths.name
        assert paths.label is not None
        return tensor, _to_tensor(fill(read_points(paths.label), native.shape[:2]))


def loader(samples: Sequence[Sample], size_hw: tuple[int, int], *, labelled: bool) -> DataLoader[Any]:
    """Held-out images in the main process, test images by two workers: the notebook's numbers.

    It warns that workers make validation run out of memory. On two cores they do not make it quicker either, because
    half a gigabyte of label per sample passes through shared memory.
    """
    dataset = Radiographs(samples, size_hw, labelled=labelled)
    workers = 0 if labelled else 2
    return Loader(dataset, batch_size=BATCH, num_workers=workers)


class Loader(DataLoader[Any]):
    """Torch's loader, whose workers leave signals to the main process: it gets an error, anywhere, if one dies."""

    def __init__(self, dataset: Dataset[Any], **settings: Any) -> None:
        super().__init__(dataset, worker_init_fn=ignore_signals, **settings)

    def __iter__(self) -> Any:
        with signals_held_back():
            return super().__iter__()


@torch.no_grad()
def validate(network: nn.Module, images: Iterable[tuple[Tensor, Tensor]], threshold: float = 0.5) -> tuple[float, Any]:
    """Mean loss and Dice [N, C]; the notebook's `validation`: everything at the label's size, in floats."""
    network.eval()
    losses, dices = [], []
    criterion = nn.BCEWithLogitsLoss()
    for image, mask in images:
        outputs = F.interpolate(network(image), size=mask.shape[-2:], mode="bilinear")
        losses.append(criterion(outputs, mask).item())
        outputs = torch.sigmoid(outputs)
        outputs = (outputs > threshold).detach().cpu()
        dices.append(dice(outputs, mask.detach().cpu()))
    return float(np.mean(losses)), torch.cat(dices, 0).numpy()


@torch.no_grad()
def predict(
    network: nn.Module,
    images: Iterable[tuple[Tensor, Sequence[str]]],
    size_hw: tuple[int, int],
    output: Path,
    threshold: float = 0.5,
) -> Path:
    """Write the submission of some images; the notebook's `test` and the cells after it."""
    network.eval()
    rows: Rows = []
    for image, names in images:
        outputs = F.interpolate(network(image), size=size_hw, mode="bilinear")
        masks = (torch.sigmoid(outputs) > threshold).detach().cpu().numpy()
        rows += rows_of(names, masks)
    return write_rows(rows, output)


@torch.no_grad()
def predict_together(
    networks: Sequence[nn.Module],
    images: Iterable[tuple[Tensor, Sequence[str]]],
    size_hw: tuple[int, int],
    output: Path,
    threshold: float = 0.5,
) -> Path:
    """Write the submission of several networks' mean probability.

    Many copies keep the probabilities of every network, some those of every image, 464 MiB for each of them at 2048 px.
    Adding them up batch by batch is quicker, so it is used here.
    """
    rows: Rows = []
    for image, names in images:
        total = torch.zeros(len(image), len(BONES), *size_hw)
        for network in networks:
            total += torch.sigmoid(F.interpolate(network(image), size=size_hw, mode="bilinear"))
        masks = (total / len(networks) > threshold).detach().cpu().numpy()
        rows += rows_of(names, masks)
    return write_rows(rows, output)


def rows_of(names: Sequence[str], masks_BCHW: npt.NDArray[Any]) -> Rows:
    """(image, class, rle) of each mask."""
    return [
        (name, label, encode(mask))
        for name, mask_CHW in zip(names, masks_BCHW, strict=True)
        for label, mask in zip(BONES, mask_CHW, strict=True)
    ]


def write_rows(rows: Rows, output: Path) -> Path:
    import pandas as pd

    pd.DataFrame(rows, columns=["image_name", "class", "rle"]).to_csv(output, index=False)
    return output


@torch.no_grad()
def dice_at(logits_Chw: Tensor, true_CHW: Bools, thresholds: Sequence[float]) -> npt.NDArray[Any]:
    """Dice of each class at each threshold, [C, T]: the mask is cut and held against the truth at one after the other.

    Class by class on bytes, twelve times as quick as the notebook's `dice` on floats. The probabilities are computed
    once, while some copies compute them for each threshold.
    """
    size_hw = true_CHW.shape[-2:]
    planes = torch.sigmoid(F.interpolate(logits_Chw[None], size=size_hw, mode="bilinear"))[0].numpy()
    pairs = zip(planes, true_CHW, strict=True)
    return np.array([[dice_of_bytes(true, plane > cut) for cut in thresholds] for plane, true in pairs])


def dice_of_bytes(true: npt.NDArray[Any], pred: npt.NDArray[Any], eps: float = 1e-4) -> float:
    """The notebook's formula for one mask of bytes or bools."""
    total = np.count_nonzero(true) + np.count_nonzero(pred)
    return float((2.0 * np.count_nonzero(true & pred) + eps) / (total + eps))


def postprocess(planes_CHW: Bytes) -> Bytes:
    """uint8[C, H, W]: the largest piece of each class, with its holes filled.

    It uses cv2's components and contours; scipy's `label` and `binary_fill_holes`, which are as common, take several
    times as long.
    """
    return np.stack([_filled(_largest(plane)) for plane in planes_CHW])


def _largest(plane: Bytes) -> Bytes:
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
    if count < 3:  # The background is one.
        return plane
    return np.asarray(pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax(), np.uint8)


def _filled(plane: Bytes) -> Bytes:
    contours, _ = cv2.findContours(plane, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(plane), contours, -1, 1, cv2.FILLED), np.uint8)
