"""The parts of a training step besides the network: the loss, and waiting for data.

Shapes: B batch, C classes (29), h/w the network's input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks import usual
from benchmarks.material import CLASSES, Material
from benchmarks.network import SHRINK, small_network
from benchmarks.pair import Sides, must_agree
from benchmarks.steps import our_augmentation, usual_augmentation
from data.dataset import EpochSampler, SegmentationDataset
from data.hand_bone.task import hand_bone
from loss import LOSSES
from trainer.training.loader import TrainLoader
from trainer.training.meters import Stopwatch
from transform import Normalisation
from utils.bit_tensor import BitTensor, unpack_bits

BATCH = 4
WORKERS = 2
EPOCHS = 3
GREY = Normalisation(mean=0.122, std=0.168)
Result = tuple[float, npt.NDArray[np.float64]]
"""The share of time spent waiting (0 if it is not measured), and the areas [steps, C] of the masks."""


def loss(material: Material) -> Sides:
    """Dice + BCE, forward and backward, on 2 x 29 logits of half the native side.

    The usual way is segmentation-models-pytorch's DiceLoss and SoftBCEWithLogitsLoss. The loss agrees within 1e-5, its
    gradient within 1e-4 of the largest slope, which is the precision of fp32 in sums over millions of pixels.
    """
    from segmentation_models_pytorch.losses import DiceLoss, SoftBCEWithLogitsLoss

    shape = (2, CLASSES, material.size_hw[0] // 2, material.size_hw[1] // 2)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator).mul_(2).requires_grad_()
    target = (torch.rand(shape, generator=generator) < 0.1).to(torch.uint8)
    target_as_floats = target.float()
    overlap, pixel, ours = DiceLoss("multilabel"), SoftBCEWithLogitsLoss(), LOSSES["dice_bce"]()
    return Sides(
        usual=lambda: _backward(
            logits, 0.5 * overlap(logits, target_as_floats) + 0.5 * pixel(logits, target_as_floats)
        ),
        ours=lambda: _backward(logits, ours(logits, target)),
        agree=_same_loss,
    )


def _backward(logits: Tensor, value: Tensor) -> tuple[float, Tensor]:
    value.backward()
    gradient, logits.grad = logits.grad, None  # Its memory is part of the cost.
    assert gradient is not None
    return value.item(), gradient


def _same_loss(theirs: tuple[float, Tensor], ours: tuple[float, Tensor]) -> None:
    must_agree(abs(theirs[0] - ours[0]) < 1e-5, f"losses {theirs[0]} and {ours[0]}")
    most = float((theirs[1] - ours[1]).abs().max() / theirs[1].abs().max())
    must_agree(most < 1e-4, f"gradients by {most:.1e} of the largest")


def loader(material: Material) -> Sides:
    """Load a dozen samples at native size with two workers, one core each.

    Grey values are not compared again; of the masks every 16th pixel in each direction is counted, and the counts are
    equal within 0.2 %.
    """
    few = replace(material, samples=material.samples[:12])
    dataset = SegmentationDataset(few.samples, hand_bone.read, our_augmentation(material.size_hw), seed=0)
    sampler = EpochSampler(len(few.samples), batch_size=1, seed=0, shuffle=False)
    ours = TrainLoader(dataset, sampler, workers=WORKERS, prefetch=2, device=torch.device("cpu"))
    theirs = usual_train_loader(few, material.size_hw, batch_size=1)
    return Sides(
        usual=lambda: _areas(label[:, :, ::16, ::16] for _, label in theirs),
        ours=lambda: _areas(unpack_bits(packed[:, ::16, ::16], CLASSES) for _, packed in ours.batches(0)),
        agree=_same_areas,
    )


def data_wait(material: Material) -> Sides:
    """The share of its time that a training loop waits for the loader, with a small network and two workers.

    Three epochs in the samples' order, augmented alike: as many steps, on masks whose areas add up to the same within
    0.2 % (see `benchmarks.steps.sample` for what a resize does to a mask). Each loop computes the loss on what it gets.
    """
    height, width = (max(side // SHRINK, 32) for side in material.size_hw)  # A U-Net halves its input five times.
    size_hw = (height, width)
    network = small_network()
    dataset = SegmentationDataset(material.samples, hand_bone.read, our_augmentation(size_hw), seed=0)
    sampler = EpochSampler(len(material.samples), batch_size=BATCH, seed=0, shuffle=False)
    ours = TrainLoader(dataset, sampler, workers=WORKERS, prefetch=2, device=torch.device("cpu"))
    theirs = usual_train_loader(material, size_hw)
    return Sides(
        usual=lambda: train(network, (batch for _ in range(EPOCHS) for batch in theirs)),
        ours=lambda: train(network, our_batches(ours)),
        agree=_same_areas,
        reads=lambda result: result[0],
        in_flight=(WORKERS * 2 * BATCH, WORKERS * 2 * BATCH),
    )


def _areas(masks: Iterable[Tensor]) -> Result:
    return 0.0, np.array([mask_BChw.sum((0, 2, 3), dtype=torch.float64).numpy() for mask_BChw in masks])


def our_batches(loader: TrainLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """All epochs' batches, as they come from the workers."""
    for epoch in range(EPOCHS):
        yield from loader.batches(epoch)


def usual_train_loader(material: Material, size_hw: tuple[int, int], batch_size: int = BATCH) -> DataLoader[Any]:
    """The notebook's loader, except that its workers stay alive between epochs, as ours do."""
    dataset = UsualTraining(material, size_hw)
    return usual.Loader(dataset, batch_size=batch_size, num_workers=WORKERS, persistent_workers=True, drop_last=True)


class UsualTraining(Dataset[tuple[Tensor, Tensor]]):
    """Augmented floats."""

    def __init__(self, material: Material, size_hw: tuple[int, int]) -> None:
        self.samples, self.augment = material.samples, usual_augmentation(size_hw)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return usual.sample(self.samples[index], self.augment)


def train(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Result:
    """Forward, loss, backward, step over all batches; floats as they come, packed bytes unpacked as in `Stepper`."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    stopwatch, areas = Stopwatch(), []
    for images, masks in stopwatch.time(batches):
        packed = masks.dtype == torch.uint8
        target = BitTensor(masks, CLASSES) if packed else masks
        logits = network(GREY(images) if packed else images[:, :1])
        value = LOSSES["dice_bce"]()(logits, target) if packed else nn.BCEWithLogitsLoss()(logits, target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        areas.append(target.sum((0, 2, 3), dtype=torch.float64).numpy())
    return stopwatch.wait_share, np.array(areas)


def _same_areas(theirs: Result, ours: Result) -> None:
    must_agree(theirs[1].shape == ours[1].shape, "numbers of steps")
    must_agree(bool(abs(theirs[1].sum() - ours[1].sum()) <= 0.002 * theirs[1].sum()), "areas of the masks")
