"""The loss of the base recipe beside segmentation-models-pytorch's: equal values and gradients, time and memory.

Shapes: B images, C classes (29), h/w the network's output, K bytes of a packed mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.gpu.bench import BASE, Bench
from benchmarks.gpu.clock import GIB
from benchmarks.gpu.part import Measurement, Row
from benchmarks.material import CLASSES
from benchmarks.pair import must_agree
from data.hand_bone.task import hand_bone
from loss import LOSSES
from loss.fused.guard import GUARD
from trainer.input_sizes import sizes_trained_on
from utils.bit_tensor import unpack_bits

LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
SAME_LOSS, SAME_GRADIENT = 1e-4, 1e-2
"""Relative differences; gradients are rounded to 16 bits on both sides."""
SCALE = 2.0**16
"""The first number of torch's scaler, by which a loss is multiplied so that fp16 holds its gradient."""


@dataclass(frozen=True)
class Way:
    """A loss of logits [B, C, h, w], with what it takes as its target."""

    name: str
    target_of: Callable[[Tensor], Tensor]
    """From bits uint8[B, h, w, K]; not timed."""
    loss: Callable[[Tensor, Tensor], Tensor]


def smp() -> Way:
    """Half of the Dice loss and half of the cross entropy in fp32, as under autocast; the loader gives floats."""
    from segmentation_models_pytorch.losses import DiceLoss, SoftBCEWithLogitsLoss

    overlap, pixel = DiceLoss("multilabel"), SoftBCEWithLogitsLoss()

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        total: Tensor = 0.5 * overlap(logits.float(), target) + 0.5 * pixel(logits.float(), target)
        return total

    return Way("smp", lambda packed: unpack_bits(packed, CLASSES).float(), loss)


def ours() -> Way:
    """Ours from bits, as a training gives them: what is unpacked is timed."""
    made = LOSSES["dice_bce"]()
    return Way(
        "ours", lambda packed: packed, lambda logits, bits: made(logits, hand_bone.encoding.unpack(bits, CLASSES))
    )


def beside_smp(bench: Bench) -> Iterator[Measurement]:
    """Compare and time Dice + BCE, forward and backward, on logits as the network gives them."""
    yield Measurement("the same loss and gradient", lambda: [same(bench)])
    for layout in LAYOUTS:
        for way in (smp(), ours()):
            name = f"{way.name}, {layout}"
            yield Measurement(name, partial(_timed, bench, name, way, layout))
    if bench.clock.on_gpu:
        yield Measurement("ours by one kernel in each direction", lambda: [by_kernels(bench)])
        yield Measurement("ours in blocks, channels last", lambda: in_blocks(bench))


def _timed(bench: Bench, name: str, way: Way, layout: str) -> Iterable[Row]:
    """Time forward and backward, and measure what they hold beside logits and target."""
    logits, packed = material(bench, LAYOUTS[layout])
    target = way.target_of(packed)
    forward_ms = bench.clock.ms(lambda: way.loss(logits.detach(), target), rounds=3)
    both_ms = bench.clock.ms(lambda: backward(way, logits, target), rounds=3)
    launch_ms = bench.clock.launch_ms(lambda: backward(way, logits, target))
    logits.grad = None
    bench.clock.start_anew()
    held_gib = torch.cuda.memory_allocated(bench.device) / GIB if bench.clock.on_gpu else 0.0
    backward(way, logits, target)
    peak_gib = bench.clock.peaks_gib()["tensors_gib"]
    extra_gib = None if peak_gib is None else peak_gib - held_gib
    return [Row(name, {"ms": both_ms, "forward_ms": forward_ms, "launch_ms": launch_ms, "extra_gib": extra_gib})]


def material(bench: Bench, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Make logits in the format that the card trains in, and bits uint8[B, h, w, K]."""
    config = bench.config(BASE)
    height, width = next(iter(sizes_trained_on(config)))
    shape = (config.trainer.batch_size, CLASSES, height, width)
    kind = torch.float16 if bench.clock.on_gpu else torch.float32
    logits = torch.empty(shape, device=bench.device, dtype=kind, memory_format=layout).normal_(-4, 3)
    return logits.requires_grad_(), bench.batch(config)[1].to(bench.device)


def backward(way: Way, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the loss and its gradient, which is that of `SCALE` times the loss."""
    logits.grad = None
    value = way.loss(logits, target)
    (SCALE * value).backward()
    assert logits.grad is not None
    return value.detach(), logits.grad


def same(bench: Bench) -> Row:
    """Raise `Disagreement` unless both losses and both gradients agree, at the full size."""
    logits, packed = material(bench, torch.channels_last)
    their_loss, theirs = backward(smp(), logits, smp().target_of(packed))
    our_loss, mine = backward(ours(), logits, packed)
    of_loss = abs(float(our_loss) / float(their_loss) - 1)
    must_agree(of_loss < SAME_LOSS, f"losses {float(their_loss)} and {float(our_loss)}")
    norm = torch.linalg.vector_norm
    apart = float(norm((theirs - mine).float()) / norm(theirs.float()))
    must_agree(apart < SAME_GRADIENT, f"gradients by {apart:.1e}")
    return Row("the same loss and gradient", {}, holds=True)


def by_kernels(bench: Bench) -> Row:
    """Whether the kernels have computed so far on this card, or were refused."""
    return Row("ours by one kernel in each direction", {}, holds=not refused(bench))


def refused(bench: Bench) -> bool:
    return any(device.type == bench.device.type for device in GUARD.refused)


def in_blocks(bench: Bench) -> Iterable[Row]:
    """Time ours without the kernels, as on cards that they are refused on."""
    device, before = torch.empty(0, device=bench.device).device, set(GUARD.refused)
    GUARD.refused.add(device)
    try:
        return list(_timed(bench, "ours in blocks, channels last", ours(), "channels last"))
    finally:
        GUARD.refused.clear()
        GUARD.refused.update(before)
