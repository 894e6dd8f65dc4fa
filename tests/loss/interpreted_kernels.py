"""The kernels of `loss.fused` on a CPU, in Triton's interpreter.

Triton must know that it interprets before it is imported, so `test_fused.py` runs this file in a process of its own:
`TRITON_INTERPRET=1 pytest tests/loss/interpreted_kernels.py`.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest
import torch
from torch import Tensor

from loss import LOSSES, Loss
from loss.base import PixelSumLoss
from loss.fused import guard, passes
from loss.fused.guard import Guard
from loss.fused.passes import fused_slope, fused_sums
from loss.mix import WeightedSum
from loss.pixel_blocks import Term, slope_in_blocks, sums_in_blocks
from loss.pixel_sums import pixel_sums
from loss.pixel_terms import CrossEntropy, Focal, Overlap, Probability, Target
from utils.bit_tensor import BitTensor
from utils.config.component import component

pytestmark = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1")

FEW: tuple[Term, ...] = (CrossEntropy(), Probability())
ALL: tuple[Term, ...] = (Probability(), Target(), Overlap(), CrossEntropy(), Focal(1.5, 0.25))
ROUNDING = {torch.float32: 2e-6, torch.float16: 2**-10, torch.bfloat16: 2**-7}
"""One unit in the last place; the interpreter truncates to bf16, and a card rounds."""
LOSSES_OF_SUMS: dict[str, dict[str, Any]] = {
    "bce": {},
    "dice": {"per": "image"},
    "dice_bce": {},
    "focal": {"gamma": 0.0},
    "focal_tversky": {"gamma": 0.75},
    "iou": {},
    "jaccard": {},
    "mcc": {"per": "image"},
    "mix": {"parts": [{"loss": {"name": "focal", "gamma": 0.5, "alpha": 0.25}, "weight": 0.5}, {"loss": "tversky"}]},
    "tversky": {"smooth": 2.0},
}


@pytest.fixture(autouse=True)
def fresh_guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """Let the CPU take the kernels' way, with one tile for each program, so that there are several."""
    fresh = Guard()
    monkeypatch.setattr(passes, "GUARD", fresh)
    monkeypatch.setattr(passes, "DEVICES", {"cpu"})
    monkeypatch.setattr(passes, "TILES", 1)
    return fresh


def logits_of(dtype: torch.dtype, layout: str, shape: tuple[int, int, int, int]) -> Tensor:
    batch, classes, height, width = shape
    if layout == "crop":
        larger = (4 * torch.randn(batch, classes, height + 2, 2 * width + 1)).to(dtype)
        return larger[:, :, 1:-1, 1::2]
    logits = (4 * torch.randn(shape)).to(dtype)
    return logits.contiguous(memory_format=torch.channels_last) if layout == "channels-last" else logits


def target_of(kind: str, shape: tuple[int, int, int, int]) -> Tensor:
    batch, classes, height, width = shape
    if kind == "bits":
        return BitTensor(torch.randint(0, 256, (batch, height, width, -(-classes // 8)), dtype=torch.uint8), classes)
    soft = torch.rand(shape).contiguous(memory_format=torch.channels_last)
    return {"soft": soft, "bool": soft > 0.6, "uint8": (soft > 0.6).to(torch.uint8)}[kind]


@pytest.mark.parametrize(
    ("dtype", "layout", "kind", "shape", "terms"),
    [
        (torch.float16, "channels-last", "bits", (2, 29, 5, 7), ALL),
        (torch.float16, "contiguous", "bits", (2, 29, 5, 7), ALL),
        (torch.float16, "crop", "bits", (1, 29, 5, 7), FEW),
        (torch.bfloat16, "channels-last", "bits", (1, 29, 3, 11), ALL),
        (torch.bfloat16, "contiguous", "bool", (2, 3, 5, 7), FEW),
        (torch.float32, "channels-last", "bits", (2, 40, 3, 11), ALL[:4]),
        (torch.float32, "contiguous", "soft", (3, 1, 33, 32), ALL),
        (torch.float32, "crop", "soft", (2, 9, 8, 8), ALL),
        (torch.float32, "channels-last", "uint8", (1, 8, 1, 1), ALL[2:]),
    ],
    ids=lambda value: str(value).replace("torch.", "") if not isinstance(value, tuple) else None,
)
def test_sums_and_slopes_are_those_of_fp64(
    dtype: torch.dtype,
    layout: str,
    kind: str,
    shape: tuple[int, int, int, int],
    terms: tuple[Term, ...],
    fresh_guard: Guard,
) -> None:
    logits, target = logits_of(dtype, layout, shape), target_of(kind, shape)
    weights_SBC = torch.randn(len(terms), *shape[:2])
    sums, gradient = fused_sums(logits, target, terms), fused_slope(logits, target, terms, weights_SBC)
    assert sums is not None
    assert gradient is not None
    assert len(fresh_guard.checked_kinds) == 2
    exact = sums_in_blocks(logits.double(), target, terms)
    torch.testing.assert_close(sums.double(), exact, rtol=2e-6, atol=1e-6)
    exact = slope_in_blocks(logits.double(), target, terms, weights_SBC.double())
    torch.testing.assert_close(gradient.double(), exact, rtol=ROUNDING[dtype], atol=2e-6)
    assert gradient.dtype == dtype
    assert layout == "crop" or gradient.stride() == logits.stride()


def test_pixels_and_classes_beyond_the_tiles_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "TILES", 3)
    logits, target = torch.zeros(1, 33, 1, 40), torch.ones(1, 33, 1, 40)
    sums = fused_sums(logits, target, (Target(), Probability()))
    assert sums is not None
    assert sums.unique(dim=2).flatten().tolist() == [40, 20]


def test_the_same_call_gives_the_same_bits() -> None:
    logits, target = logits_of(torch.float32, "channels-last", (1, 29, 9, 9)), target_of("bits", (1, 29, 9, 9))
    first, second = (fused_sums(logits, target, FEW) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def build(name: str) -> Loss:
    loss: Loss = component("loss", lambda: LOSSES).read({"name": name, **LOSSES_OF_SUMS[name]}).build()
    return loss


def test_all_losses_of_sums_are_tested() -> None:
    in_blocks = {"soft_bce"}  # its term has no kernel
    of_sums = LOSSES.keys() - {"deep_supervision", "mix"} - in_blocks
    of_sums = {name for name in of_sums if isinstance(LOSSES[name](), (PixelSumLoss, WeightedSum))}
    assert {*of_sums, "mix"} == LOSSES_OF_SUMS.keys()


@pytest.mark.parametrize("name", LOSSES_OF_SUMS)
def test_losses_are_those_of_fp64(name: str, fresh_guard: Guard) -> None:
    logits, target = logits_of(torch.float32, "channels-last", (2, 29, 4, 6)), target_of("bits", (2, 29, 4, 6))
    exact_logits = logits.double().requires_grad_()
    exact = build(name)(exact_logits, target)
    exact.backward()
    assert not fresh_guard.checked_kinds
    loss = build(name)(logits.requires_grad_(), target)
    loss.backward()
    assert len(fresh_guard.checked_kinds) == 2
    torch.testing.assert_close(loss.double(), exact, rtol=1e-6, atol=0)
    assert logits.grad is not None
    assert exact_logits.grad is not None
    torch.testing.assert_close(logits.grad.double(), exact_logits.grad, rtol=5e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.* encountered in .*:RuntimeWarning")  # NumPy's, of the logarithm of 0
def test_extreme_logits_give_what_the_blocks_give() -> None:
    extremes = torch.tensor([6e4, -6e4, 88.0, -88.0, 1e-7, 0.0, -0.0, torch.inf, -torch.inf, torch.nan])
    logits, target = extremes.half().view(10, 1, 1, 1).expand(10, 2, 1, 4), torch.ones(10, 2, 1, 4, dtype=torch.bool)
    target[:, 1] = False
    weights_SBC = torch.ones(len(ALL), 10, 2)
    sums, gradient = fused_sums(logits, target, ALL), fused_slope(logits, target, ALL, weights_SBC)
    assert sums is not None
    assert gradient is not None
    expected = sums_in_blocks(logits, target, ALL)
    torch.testing.assert_close(sums, expected, rtol=2e-6, atol=1e-6, equal_nan=True)
    expected = slope_in_blocks(logits, target, ALL, weights_SBC)
    torch.testing.assert_close(gradient, expected, rtol=2**-10, atol=1e-6, equal_nan=True)
    assert gradient[:7].isfinite().all()
    assert gradient[9].isnan().all()


def test_a_kernel_that_computes_other_numbers_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = passes.Call.slope
    monkeypatch.setattr(passes.Call, "slope", lambda call, weights_SBC: real(call, weights_SBC.flip(0)))
    logits, target = logits_of(torch.float32, "contiguous", (2, 3, 4, 4)), target_of("soft", (2, 3, 4, 4))
    with caplog.at_level(logging.WARNING, guard.__name__):
        sums = pixel_sums(logits.requires_grad_(), target, FEW)
        (sums[FEW[0]].sum() - 2 * sums[FEW[1]].sum()).backward()
        pixel_sums(logits, target, FEW)
    weights_SBC = torch.tensor([1.0, -2.0]).view(2, 1, 1).expand(2, 2, 3)
    assert logits.grad is not None
    assert torch.equal(logits.grad, slope_in_blocks(logits.detach(), target, FEW, weights_SBC))
    (record,) = caplog.records
    assert "on cpu: what Triton compiled for it computes other numbers than torch." in record.getMessage()
