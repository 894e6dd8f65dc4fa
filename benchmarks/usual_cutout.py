"""Cutting out objects the usual way: as the published scripts of U-2-Net train, and as tools built on it cut out.

The comparison is fair. Images are read and resized by Pillow, which takes less than a tenth of the time of the
scikit-image that the published scripts import (5 against 58 ms for a photograph of a megapixel). Each part runs with
as many cores and threads as ours.
"""

# Shapes: B batch, S steps, H/W native pixels, h/w the network's input.
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from benchmarks import usual
from data.sample import Sample
from utils.arrays import Floats, Floats32

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(photo: Image.Image) -> Floats32:
    """float32[3, h, w] from an RGB image: divided by its largest value, then mean and deviation of each channel."""
    values: Floats32 = np.asarray(photo, np.float32)
    scaled = values / max(float(values.max()), 1e-6)
    pixels = (scaled - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


class Photographs(Dataset[tuple[Tensor, Tensor]]):
    """Photograph and mask as floats of one size, the sides not kept in proportion."""

    def __init__(self, samples: Sequence[Sample], size_hw: tuple[int, int]) -> None:
        self.samples, self.size_hw = samples, size_hw

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.samples[index]
        assert sample.label is not None
        size_wh = self.size_hw[::-1]
        photo = Image.open(sample.image).convert("RGB").resize(size_wh, Image.Resampling.BILINEAR)
        mask = Image.open(sample.label).convert("L").resize(size_wh, Image.Resampling.BILINEAR)
        target = np.asarray(mask, np.float32)[None] / 255
        return torch.from_numpy(normalised(photo)), torch.from_numpy(target)


def loader(samples: Sequence[Sample], size_hw: tuple[int, int], batch_size: int) -> Any:
    """Batches in the order of `samples`, read by one worker as in the published script; it stays alive."""
    dataset = Photographs(samples, size_hw)
    return usual.Loader(dataset, batch_size=batch_size, num_workers=1, persistent_workers=True, drop_last=True)


def train(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Floats:
    """Train one epoch with Adam; the terms of the loss, float64[S, 7]. Each is read in every step, to be printed."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = nn.BCELoss()
    read = []
    for images, masks in batches:
        optimizer.zero_grad()
        terms = [criterion(torch.sigmoid(logits), masks) for logits in network(images)]
        total: Tensor = sum(terms[1:], terms[0])
        total.backward()
        optimizer.step()
        read.append([term.item() for term in terms])
    return np.array(read)


@torch.no_grad()
def cut_out(network: nn.Module, samples: Sequence[Sample], size_hw: tuple[int, int], folder: Path) -> Path:
    """Write the cut-out of each photograph into `folder`, one after the other.

    The published script keeps the graph of gradients; here it is left out, as most tools do.
    """
    folder.mkdir(exist_ok=True)
    network.eval()
    for sample in samples:
        photo = Image.open(sample.image).convert("RGB")
        small = photo.resize(size_hw[::-1], Image.Resampling.LANCZOS)
        probability = torch.sigmoid(network(torch.from_numpy(normalised(small))[None]))[0, 0].numpy()
        alpha = Image.fromarray(stretched(probability)).resize(photo.size, Image.Resampling.LANCZOS)
        photo.putalpha(alpha)
        photo.save(folder / f"{sample.name}.png")
    return folder


def stretched(probability_hw: Floats32) -> npt.NDArray[np.uint8]:
    """uint8[h, w]: the smallest value becomes 0, the largest 255."""
    low, high = float(probability_hw.min()), float(probability_hw.max())
    return np.asarray((probability_hw - low) / max(high - low, 1e-6) * 255, np.uint8)
