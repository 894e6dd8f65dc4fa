"""Whether the device computes what the CPU computes: masks, losses, and predictions over windows and views."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu.bench import BASE, SMALL_NETWORK, Bench
from benchmarks.gpu.part import Measurement, Row, compared
from benchmarks.material import CLASSES
from data.masks.device import pack_masks
from data.sample import Sample
from loss import LOSSES, Loss
from trainer.build import build_model, build_predictor
from trainer.prediction.decode import DECODERS, Decoder
from trainer.thresholds.curves import dice_curves
from utils.bit_tensor import BitTensor, unpack_bits
from utils.config.component import component
from utils.seed import seed_everything

# Shapes: B images, C classes (29), h/w the network's output.

SIDES_PX = (190, 202)
"""No multiples of anything that a kernel may divide its work into."""
TINY_SIDES_PX = (46, 54)
BITS = 1e-5
"""The share of pixels that may lie on the other side of a threshold, by the rounding of places and values."""
IMAGES = 6
CURVES = 1e-4
IN_FP32 = 1e-4
"""Difference of logits of two devices, relative to their standard deviation, for the order of sums alone."""
HALVES = {"fp16": 2e-2, "bf16": 1e-1}
"""The same for networks in 16 bits beside the CPU in fp32."""
GRADIENTS = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Error of the loss's gradient against fp64, relative to its norm; 16 bits round each number by up to 5e-4 or 4e-3."""
SORTING = {"lovasz": 20}
"""How many times larger the error may be of losses that sort pixels: those that round to one value are exchanged."""
SCALE = 2.0**16
"""The first number of torch's scaler, by which a loss is multiplied in fp16."""
NEEDED: dict[str, dict[str, Any]] = {
    "mix": {"parts": [{"loss": "bce"}, {"loss": "dice"}, {"loss": "focal"}]},
    "deep_supervision": {"loss": "bce"},
}
"""Parameters of the losses that are made of others."""


def masks_and_predictions(bench: Bench) -> Iterator[Measurement]:
    """Compare packing, masks at native size, scores at thresholds, and predictions with the CPU's."""
    yield Measurement("packed bits of masks", lambda: [packed_bits(bench)])
    yield Measurement("masks at native size, as bits", lambda: [native_masks(bench, DECODERS["bits"], BITS)])
    yield Measurement("masks at native size, as alpha", lambda: [native_masks(bench, DECODERS["alpha"], BITS)])
    yield Measurement("Dice at every threshold", lambda: [curves(bench)])
    for name, keys in WAYS.items():
        yield Measurement(name, partial(_predictions, bench, name, keys, "fp32"))
    if bench.clock.on_gpu:
        for precision in HALVES:
            for way, keys in WAYS.items():
                name = f"{way}, {precision}"
                yield Measurement(name, partial(_predictions, bench, name, keys, precision))


WAYS = {
    "logits of a whole image": (),
    "logits of windows": ("predict.windows.size_px=64", "predict.windows.stride_px=48"),
    "logits of views": ("predict.tta.hflip=true", "predict.tta.scales=[0.75]", "predict.tta.rotations_deg=[10]"),
}


def sides(bench: Bench) -> tuple[int, int]:
    return TINY_SIDES_PX if bench.tiny else SIDES_PX


def packed_bits(bench: Bench) -> Row:
    """Pack masks on both, and unpack on the device: the share of bits that differ."""
    masks_BChw = torch.rand(2, CLASSES, *sides(bench)) > 0.7
    packed = pack_masks(masks_BChw)
    wrong = (pack_masks(masks_BChw.to(bench.device)).cpu() != packed).float().mean()
    for channels_last in (False, True):
        found = unpack_bits(packed.to(bench.device), CLASSES, channels_last=channels_last)
        wrong += (found.cpu() != masks_BChw).float().mean()
    return compared("packed bits of masks", float(wrong), 0.0)


def native_masks(bench: Bench, decoder: type[Decoder], allowed: float) -> Row:
    """Make masks of smooth logits at larger, equal and smaller sizes: the share of values that differ too much.

    Bits may not differ, and alphas by one grey level at most.
    """
    logits_Chw = smooth_logits(bench)
    height, width = logits_Chw.shape[1:]
    worst = 0.0
    for size_hw in ((height, width), (height * 4 // 3, width * 4 // 3), (height // 2, width // 2 + 7)):
        for threshold in (0.5, 0.3):
            made = [
                decoder(threshold).of_logits(logits, size_hw) for logits in (logits_Chw, logits_Chw.to(bench.device))
            ]
            worst = max(worst, share_differing(*made, soft=decoder is DECODERS["alpha"]))
    return compared(f"masks at native size, as {'alpha' if decoder is DECODERS['alpha'] else 'bits'}", worst, allowed)


def share_differing(a: np.ndarray, b: np.ndarray, *, soft: bool) -> float:
    """Return the share of bits that differ, or of alphas by more than one grey level."""
    if soft:
        return float((np.abs(a.astype(np.int16) - b) > 1).mean())
    return float(np.unpackbits(a ^ b).sum() / (a.size // a.shape[-1] * CLASSES))


def smooth_logits(bench: Bench) -> Tensor:
    """float32[C, h, w]."""
    return F.interpolate(4 * torch.randn(1, CLASSES, 24, 24), sides(bench), mode="bicubic")[0]


def curves(bench: Bench) -> Row:
    """Score smooth logits at all thresholds against a mask: the largest difference of a Dice."""
    logits_Chw = smooth_logits(bench)
    truth = DECODERS["bits"]().of_logits(logits_Chw.roll(5, -1), sides(bench))
    apart = np.abs(dice_curves(logits_Chw, truth) - dice_curves(logits_Chw.to(bench.device), truth)).max()
    return compared("Dice at every threshold", float(apart), CURVES)


def _predictions(bench: Bench, name: str, keys: Iterable[str], precision: str) -> Iterable[Row]:
    """Predict images on both by the path of a prediction, here in `precision`, on the CPU in fp32.

    They are so many that a card replays the operations that were recorded with an earlier one.
    """
    sized = (*SMALL_NETWORK, "transform.size_px=128", "transform.evaluate=[]", *keys)
    config = bench.config(BASE, *sized, f"trainer.precision={precision}")
    in_full = bench.config(BASE, *sized, "trainer.precision=fp32")
    seed_everything(0)
    model = build_model(config).eval()
    cpu = build_predictor(in_full, model, torch.device("cpu"))
    here = build_predictor(config, copy.deepcopy(model).to(bench.device), bench.device).accelerated().replayed()
    rng, sample = np.random.default_rng(0), Sample("image.png", "ID001", Path("image.png"))
    apart = []
    with without_tf32():
        for _ in range(1 if bench.tiny else IMAGES):
            image = rng.integers(0, 256, (150, 150), np.uint8)
            wanted, found = (each.logits_of(each.look(sample, image)).float().cpu() for each in (cpu, here))
            apart.append(float((wanted - found).abs().max() / wanted.std()))
    return [compared(name, float(np.max(apart)), HALVES.get(precision, IN_FP32))]


def without_tf32() -> AbstractContextManager[object]:
    """Let convolutions in the block compute in true fp32; by default cards round their inputs to 10 bits."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def losses(bench: Bench) -> Iterator[Measurement]:
    """Compare every loss and its gradient in three formats, in both layouts of memory, with fp64 on the CPU."""
    for name in LOSSES:
        yield Measurement(name, partial(_of_loss, bench, name))


def _of_loss(bench: Bench, name: str) -> Iterable[Row]:
    loss = build_loss(name)
    target = torch.rand(2, CLASSES, *sides(bench)) < 0.1
    logits = 3 * torch.randn(2, CLASSES, *sides(bench))
    allowed = SORTING.get(name, 1)
    errors = {dtype: gradient_error(bench, loss, logits.to(dtype), target) for dtype in GRADIENTS}
    values = {str(dtype).removeprefix("torch."): error for dtype, error in errors.items()}
    return [Row(name, values, holds=all(error <= allowed * GRADIENTS[dtype] for dtype, error in errors.items()))]


def build_loss(name: str) -> Loss:
    made: Loss = component("loss", lambda: LOSSES).read({"name": name, **NEEDED.get(name, {})}).build()
    return made


def gradient_error(bench: Bench, loss: Callable[..., Tensor], logits: Tensor, target: Tensor) -> float:
    """Return the largest relative error of the loss's value and of its gradient against fp64.

    In the layout and with the target of bits that a training gives; in fp32 also with the others that are allowed.
    """
    exact = logits.double().requires_grad_()
    value = loss(exact, target)
    value.backward()
    assert exact.grad is not None
    worst = 0.0
    bits = BitTensor(pack_masks(target).to(bench.device), CLASSES)
    ways: list[tuple[torch.memory_format, Tensor]] = [(torch.channels_last, bits)]
    if logits.dtype == torch.float32:
        ways.append((torch.contiguous_format, target.to(bench.device, torch.uint8)))
    for layout, given in ways:
        here = logits.to(bench.device).contiguous(memory_format=layout).detach().requires_grad_()
        found = loss(here, given)
        (SCALE * found).backward()
        assert here.grad is not None
        gradient = here.grad.double().cpu() / SCALE
        of_gradient = float((gradient - exact.grad).norm() / exact.grad.norm())
        errors = (of_gradient, abs(float(found.detach()) / float(value.detach()) - 1))
        worst = max(worst, *(error if error == error else float("inf") for error in errors))
    return worst
