"""Boundary and Lovász losses: hand cases, and distances and sums of another library and of the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from loss import LOSSES
from loss.boundary import distances, signed_distances
from loss.lovasz import lovasz_jaccard
from utils.bit_tensor import BitTensor


def shapes(seed: int = 0, size: tuple[int, int] = (37, 29)) -> Tensor:
    """Some specks, a disc, nothing and everything, bool [4, H, W]."""
    specks = torch.rand(size, generator=torch.Generator().manual_seed(seed)) > 0.98
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    disc = (rows - 20) ** 2 + (columns - 6) ** 2 < 90
    return torch.stack([specks, disc, torch.zeros(size) > 0, torch.ones(size) > 0])


def authors_map(mask: np.ndarray) -> np.ndarray:
    """The map of the authors' code (one_hot2dist), by scipy's exact distances."""
    if not mask.any() or mask.all():
        return np.zeros(mask.shape)
    return np.asarray(np.where(mask, 1 - distance_transform_edt(mask), distance_transform_edt(~mask)))


@pytest.mark.parametrize("reach_px", [1, 5, 127])
def test_distances_are_those_of_scipy_up_to_their_reach(reach_px: int) -> None:
    for mask in shapes()[:2]:
        expected = np.minimum(distance_transform_edt(~mask.numpy()), reach_px)
        assert distances(mask[None], reach_px)[0].numpy() == pytest.approx(expected, abs=1e-5)


def test_the_map_is_that_of_the_authors() -> None:
    found = signed_distances(shapes(), 100).numpy()
    for mask, of_mask in zip(shapes(), found, strict=True):
        assert of_mask == pytest.approx(authors_map(mask.numpy()), abs=1e-5)


def test_the_boundary_loss_is_the_integral_less_that_of_the_truth() -> None:
    target = torch.stack([shapes(0), shapes(1)])
    logits = 3 * torch.randn(target.shape, generator=torch.Generator().manual_seed(2))
    maps = np.stack([[authors_map(mask) for mask in image] for image in target.numpy()])
    probability = logits.double().sigmoid().numpy()
    expected = (maps * probability).mean() - (maps * target.numpy()).mean()
    assert float(LOSSES["boundary"](reach_px=100)(logits, target)) == pytest.approx(expected, rel=1e-5)


def test_a_far_pixel_weighs_more_than_a_near_one() -> None:
    target = torch.zeros(1, 1, 24, 24, dtype=torch.bool)
    target[..., :4] = True
    losses = []
    for column in (5, 12, 23):
        logits = torch.where(target, 20.0, -20.0)
        logits[..., 10, column] = 20
        losses.append(float(LOSSES["boundary"](reach_px=15)(logits, target)) * 24 * 24)
    assert losses == pytest.approx([2, 9, 15], abs=1e-3)


@pytest.mark.parametrize("name", ["boundary", "lovasz", "mcc", "soft_bce"])
def test_a_packed_target_is_unpacked_there(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(2, 11, 16, 24, generator=generator) > 0.6
    packed = torch.from_numpy(np.packbits(target.movedim(1, 3).numpy(), axis=3, bitorder="little"))
    logits = torch.randn(target.shape, generator=generator)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        of_format = logits.contiguous(memory_format=memory_format)
        found = LOSSES[name]()(of_format, BitTensor(packed, 11))
        torch.testing.assert_close(found, LOSSES[name]()(logits, target))


def lovasz_by_definition(errors: list[float], truth: set[int]) -> float:
    """Σ error · (J(wrong pixels so far) - J(those before)), from the largest error on; J: 1 - IoU."""
    wrong: set[int] = set()
    total, before = 0.0, 0.0
    for pixel in sorted(range(len(errors)), key=lambda index: -errors[index]):
        wrong.add(pixel)
        loss = 1 - len(truth - wrong) / len(truth | wrong)
        total, before = total + errors[pixel] * (loss - before), loss
    return total


def test_lovasz_is_the_extension_of_the_jaccard_loss() -> None:
    generator = torch.Generator().manual_seed(3)
    logits, target = torch.randn(2, 1, 5, 6, generator=generator), torch.rand(2, 1, 5, 6, generator=generator) > 0.5
    found = lovasz_jaccard(logits, target.float(), "sigmoid")
    for image in range(2):
        errors = (logits[image].sigmoid() - target[image].float()).abs().flatten().tolist()
        truth = set(target[image].flatten().nonzero().flatten().tolist())
        assert float(found[image]) == pytest.approx(lovasz_by_definition(errors, truth), rel=1e-5)


def test_lovasz_of_hard_predictions_is_the_jaccard_loss() -> None:
    generator = torch.Generator().manual_seed(4)
    target, predicted = (torch.rand(2, 3, 12, 12, generator=generator) > 0.5 for _ in range(2))
    logits = torch.where(predicted, 40.0, -40.0)
    both, either = (target & predicted).sum((2, 3)), (target | predicted).sum((2, 3))
    torch.testing.assert_close(LOSSES["lovasz"]()(logits, target), (1 - both / either).mean())


def test_a_class_without_an_outline_moves_nothing() -> None:
    target = torch.zeros(1, 2, 12, 12)
    target[:, 0, 3:7, 2:9] = 1
    for name in ("boundary", "lovasz", "mcc"):
        logits = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(5)).requires_grad_()
        (gradient,) = torch.autograd.grad(LOSSES[name]()(logits, target), logits)
        assert gradient[:, 0].any()
        assert not gradient[:, 1].any()
