"""From logits to the mask that a task's output takes, in the task's encoding of masks: bits, or 8-bit alpha.

A network's logits and an ensemble's mean probabilities end here; what they become is decided by the encoding alone.
Shapes: C classes, h/w the network's output, H/W the native image, K bytes of a packed mask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.masks.binarize import Threshold, logits_of
from data.masks.postprocess import PostProcess, postprocess_mask
from data.refine import Refine, refine_mask
from runtime.decode import as_alpha as in_bands
from trainer.prediction.binarize import resized, start_binarizing
from trainer.prediction.mean_mask import start_mean_mask
from trainer.prediction.transfer import PendingMask, start_copy, to_device
from utils.arrays import Bytes, Floats32, Image, Size


@dataclass(frozen=True)
class Decoder(ABC):
    """Makes masks at native size. `threshold` is a probability in 0..1, one for all classes or one for each.

    With `refine` the masks of an image follow from its pixels too, so the image is needed.
    """

    threshold: Threshold = 0.5
    postprocess: tuple[PostProcess, ...] = ()
    refine: tuple[Refine, ...] = ()

    def of_logits(self, logits_Chw: Tensor, native_hw: Size, image: Image | None = None) -> Bytes:
        """The mask of one network's logits."""
        return self.start(logits_Chw, native_hw, image)()

    def of_mean(self, mean_CHW: Tensor, image: Image | None = None) -> Bytes:
        """The mask of mean probabilities float32[C, H, W] at native size, which are refined in place."""
        return self.start_of_mean(mean_CHW, image)()

    @abstractmethod
    def start(self, logits_Chw: Tensor, native_hw: Size, image: Image | None = None) -> PendingMask:
        """Begin to make the mask of one network's logits, where they are; the rest is done while it is waited for."""

    @abstractmethod
    def start_of_mean(self, mean_CHW: Tensor, image: Image | None = None) -> PendingMask:
        """Begin what `of_mean` does. The mean may be changed afterwards by what its device does next."""

    @abstractmethod
    def start_of_members(
        self, logits: Sequence[Tensor], weights: Sequence[Floats32], native_hw: Size, image: Image | None = None
    ) -> PendingMask:
        """Begin to make the mask of the weighted mean of several networks' probabilities.

        `logits`: of each network [C, h, w]; `weights`: float32[C] of each, which sum to 1 in every class.
        """


@dataclass(frozen=True)
class BitDecoder(Decoder):
    """Hard masks uint8[H, W, K]: a pixel belongs to a class if its probability exceeds the threshold."""

    def start(self, logits_Chw: Tensor, native_hw: Size, image: Image | None = None) -> PendingMask:
        classes = len(logits_Chw)
        return self._processed(start_binarizing(logits_Chw, native_hw, logits_of(self.threshold, classes)), classes)

    def start_of_mean(self, mean_CHW: Tensor, image: Image | None = None) -> PendingMask:
        classes, height, width = mean_CHW.shape
        return self._processed(start_binarizing(mean_CHW, (height, width), self._levels(classes)), classes)

    def start_of_members(
        self, logits: Sequence[Tensor], weights: Sequence[Floats32], native_hw: Size, image: Image | None = None
    ) -> PendingMask:
        classes = len(logits[0])
        return self._processed(start_mean_mask(logits, weights, native_hw, self._levels(classes)), classes)

    def _levels(self, classes: int) -> Floats32:
        return np.full(classes, self.threshold, np.float32)

    def _processed(self, mask: PendingMask, classes: int) -> PendingMask:
        return lambda: postprocess_mask(mask(), classes, self.postprocess)


@dataclass(frozen=True)
class AlphaDecoder(Decoder):
    """Soft masks uint8[H, W, C]: the probability of each class, refined, times 255, rounded."""

    def start(self, logits_Chw: Tensor, native_hw: Size, image: Image | None = None) -> PendingMask:
        octets = [octet for _, octet in probabilities(logits_Chw, native_hw)]
        return self._as_alpha(torch.cat(octets) if len(octets) > 1 else octets[0], image)

    def start_of_mean(self, mean_CHW: Tensor, image: Image | None = None) -> PendingMask:
        # A GPU copies what is refined beside its next work, which may change the mean.
        return self._as_alpha(mean_CHW.clone() if self.refine and mean_CHW.is_cuda else mean_CHW, image)

    def start_of_members(
        self, logits: Sequence[Tensor], weights: Sequence[Floats32], native_hw: Size, image: Image | None = None
    ) -> PendingMask:
        mean_CHW = torch.zeros((len(logits[0]), *native_hw), device=logits[0].device)
        for logits_Chw, weight_C in zip(logits, weights, strict=True):
            add_probabilities(mean_CHW, logits_Chw, weight_C)
        return self._as_alpha(mean_CHW, image)

    def _as_alpha(self, probabilities_CHW: Tensor, image: Image | None) -> PendingMask:
        """Refine probabilities before they are rounded."""
        if not self.refine:
            return start_alpha(probabilities_CHW)
        assert image is not None
        values_HWC = start_copy(probabilities_CHW.permute(1, 2, 0))
        return lambda: in_bands(refine_mask(image, values_HWC(), self.refine))


DECODERS: dict[str, type[Decoder]] = {"bits": BitDecoder, "alpha": AlphaDecoder}
"""A decoder for each encoding of masks, by its name."""


@torch.inference_mode()
def add_probabilities(sum_CHW: Tensor, logits_Chw: Tensor, weight_C: Floats32) -> None:
    """Add a network's probabilities at native size to `sum_CHW` in place, eight classes at a time."""
    weights_C11 = to_device(weight_C, sum_CHW.device)[:, None, None]
    for classes, octet in probabilities(logits_Chw, (sum_CHW.shape[1], sum_CHW.shape[2])):
        sum_CHW[classes].addcmul_(octet, weights_C11[classes])


def probabilities(logits_Chw: Tensor, native_hw: Size) -> Iterator[tuple[slice, Tensor]]:
    """Yield the probabilities at native size, eight classes at a time: their slice and float32[8, H, W]."""
    is_new = tuple(logits_Chw.shape[-2:]) != native_hw
    for classes, octet in resized(logits_Chw, native_hw):
        yield classes, octet.sigmoid_() if is_new else octet.sigmoid()


def as_alpha(probabilities_CHW: Tensor) -> Bytes:
    """Probabilities in 0..1 as uint8[H, W, C] of 0..255, rounded to the nearest."""
    return start_alpha(probabilities_CHW)()


@torch.inference_mode()
def start_alpha(probabilities_CHW: Tensor) -> PendingMask:
    """Begin what `as_alpha` does."""
    alpha = probabilities_CHW.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
    return start_copy(alpha.permute(1, 2, 0).contiguous())
