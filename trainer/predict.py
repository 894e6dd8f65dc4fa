"""From an image file to a packed mask at its native size: the one path that validation and submission share.

Shapes: B batch, C classes, h/w the network's input, H/W the native image, K = ceil(C/8) bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from data.dataset import Reader
from data.image import read_image
from data.postprocess import Cleanup, clean
from data.sample import Sample
from trainer.harden import Bytes, Threshold, harden, resized
from trainer.precision import Precision
from transform.normalise import Normalisation
from transform.pipeline import Pipeline
from transform.step import size_of
from utils.overlap import overlapped

Item = TypeVar("Item")


@dataclass(frozen=True)
class Loaded:
    """One image on its way into the network; the masks are there where the sample has a label."""

    sample: Sample
    image_hw: Bytes
    native_hw: tuple[int, int]
    target_hwK: Bytes | None = None
    truth_HWK: Bytes | None = None


@dataclass(frozen=True)
class Predictor:
    """A network with all that stands around it between an image file and a mask.

    `threshold` is a probability in 0..1, for all classes or for each: a pixel belongs to a class where the network's
    probability exceeds it.
    """

    network: nn.Module
    transform: Pipeline
    normalise: Normalisation
    precision: Precision
    device: torch.device
    threshold: Threshold = 0.5
    batch_size: int = 1
    cleanups: tuple[Cleanup, ...] = ()
    read_image: Callable[[Path], Bytes] = read_image

    def load(self, sample: Sample) -> Loaded:
        """Decode an image and bring it to the network's input size."""
        image = self.read_image(sample.image)
        resized, _ = self.transform(image, None, seed=0)
        return Loaded(sample, resized, size_of(image))

    def load_with_truth(self, sample: Sample, read: Reader) -> Loaded:
        """As `load`, with the true mask at native size and at the network's."""
        image, truth = read(sample)
        resized, target = self.transform(image, truth, seed=0)
        return Loaded(sample, resized, size_of(image), target, truth)

    def masks(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Bytes]]:
        """The packed mask [H, W, K] of each sample, in order; the next images are decoded meanwhile."""
        for loaded, logits in self.predicted(samples):
            yield loaded.sample, self.harden(logits, loaded.native_hw)

    def predicted(self, samples: Iterable[Sample], read: Reader | None = None) -> Iterator[tuple[Loaded, Tensor]]:
        """Each sample and its logits [C, h, w], in order; the next ones are loaded meanwhile.

        With `read` (such as a task's), labels are loaded too.
        """
        load = self.load if read is None else partial(self.load_with_truth, read=read)
        for batch in batched(overlapped(load, samples, ahead=2 + self.batch_size), self.batch_size):
            yield from zip(batch, self.logits(batch), strict=True)

    @torch.inference_mode()
    def logits(self, batch: list[Loaded]) -> Tensor:
        """Logits [B, C, h, w] of a batch of images."""
        images = torch.from_numpy(np.stack([loaded.image_hw for loaded in batch]))
        with self.precision.autocast():
            logits: Tensor = self.network(self.normalise(images.to(self.device, non_blocking=True)))
        return logits

    def harden(self, logits_Chw: Tensor, native_hw: tuple[int, int]) -> Bytes:
        """The packed mask [H, W, K] at native size of one image's logits, mended as configured."""
        return clean(harden(logits_Chw, native_hw, self.threshold), len(logits_Chw), self.cleanups)


def probabilities(logits_Chw: Tensor, native_hw: tuple[int, int]) -> Iterator[tuple[slice, Tensor]]:
    """The probabilities that masks are cut from, eight classes at a time: their slice and float32[8, H, W]."""
    for classes, octet in resized(logits_Chw, native_hw):
        yield classes, octet.sigmoid()


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` consecutive items; the last may be shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
