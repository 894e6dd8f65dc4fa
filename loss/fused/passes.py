"""Sums of terms over pixels and their slope by one kernel each, which reads a target of bits as it is stored.

A kernel is used for logits on CUDA in at most 32 bits, and for the terms of `loss.pixel_terms`. Otherwise, and if
`loss.fused.guard` refuses it, these functions return None, and the caller computes the same in blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loss.fused.guard import GUARD
from loss.pixel_blocks import Term, slope_in_blocks, sums_in_blocks
from loss.pixel_terms import CrossEntropy, Focal, Overlap, Probability, Target
from utils.bit_tensor import BitTensor

# Shapes: B images, C classes, H/W pixels, S terms, N programs of a kernel for each image and block of classes.

DEVICES = {"cuda"}
LOGITS = {torch.float16, torch.bfloat16, torch.float32}
TARGETS = {torch.bool, torch.uint8, *LOGITS}
ROWS = {Probability: "PROBABILITY", Target: "TARGET", Overlap: "OVERLAP", CrossEntropy: "CROSS_ENTROPY", Focal: "FOCAL"}
"""The argument of the kernels for the row of each kind of term."""

ELEMENTS = 1024
"""Pixels times classes of a tile, 8 for each thread. Sums depend on the order of addition, so nothing is tuned."""
MOST_CLASSES = 32
"""Classes of a tile."""
TILES = 16
"""Tiles that a program works on, so that few numbers are left to be added up."""
CHECKED_ROWS = 64
"""Of an image, whose slope is compared with that of the blocks; more would take memory."""
MOST_ELEMENTS = 2**31 - 2**20
"""Of an image, for the kernels count the places in it, and the tiles beyond its end, in 32 bits."""


def fused_sums(logits: Tensor, target: Tensor, terms: Sequence[Term]) -> Tensor | None:
    """Sum each of `terms` over the pixels of each image and class, fp32[S, B, C]; None if no kernel does it."""
    call = call_of(logits, target, terms)
    if call is None:
        return None

    def expected() -> Tensor:
        return sums_in_blocks(logits[-1:], end_of(target), terms)

    return GUARD.checked(("sums", *call.kind), logits.device, call.sums, expected, lambda sums_SBC: sums_SBC[:, -1:])


def fused_slope(logits: Tensor, target: Tensor, terms: Sequence[Term], weights_SBC: Tensor) -> Tensor | None:
    """Compute the gradient of Σ weight · sum, in the dtype and layout of the logits; None if no kernel does it."""
    call = call_of(logits, target, terms)
    if call is None:
        return None

    def expected() -> Tensor:
        return slope_in_blocks(end_of(logits, CHECKED_ROWS), end_of(target, CHECKED_ROWS), terms, weights_SBC[:, -1:])

    return GUARD.checked(
        ("slope", *call.kind),
        logits.device,
        lambda: call.slope(weights_SBC),
        expected,
        lambda gradient: end_of(gradient, CHECKED_ROWS),
    )


def end_of(tensor_BCHW: Tensor, rows: int = 0) -> Tensor:
    """Return the last image alone, or its last `rows`; that of bits remains one."""
    if isinstance(tensor_BCHW, BitTensor):
        return BitTensor(tensor_BCHW.packed_BHWK[-1:, -rows:], tensor_BCHW.shape[1])
    return tensor_BCHW[-1:, :, -rows:]


@dataclass(frozen=True)
class Call:
    """What both kernels are called with. `target`: bytes [B, K, H, W] if it is packed, else values [B, C, H, W]."""

    logits: Tensor
    target: Tensor
    packed: bool
    rows: dict[str, int]
    focal: Focal

    @property
    def kind(self) -> tuple[object, ...]:
        """All that Triton compiles a kernel of its own for."""
        strides = [(step == 1, step % 16 == 0) for of in (self.logits, self.target) for step in of.stride()[1:]]
        aligned = [of.data_ptr() % 16 == 0 for of in (self.logits, self.target)]
        flat = is_flat(self.logits), is_flat(self.target)
        return (self.logits.dtype, self.target.dtype, self.packed, *self.rows.items(), *strides, *aligned, *flat)

    def sums(self) -> Tensor:
        """Compute fp32[S, B, C]."""
        from loss.fused.kernels import sums_kernel

        (batch, classes), grid = self.logits.shape[:2], self._grid()
        sums_SBCN = self.logits.new_empty((len(self.rows), batch, classes, grid[0]), dtype=torch.float32)
        rows = dict.fromkeys(ROWS.values(), -1) | self.rows
        with torch.cuda.device_of(self.logits):
            sums_kernel[grid](*self._tensors(), sums_SBCN, *self._numbers(), **rows, **self._constants())
        return sums_SBCN.sum(-1)

    def slope(self, weights_SBC: Tensor) -> Tensor:
        """Compute the gradient of Σ weight · sum."""
        from loss.fused.kernels import slope_kernel

        gradient = torch.empty_like(self.logits)
        weights_SBC = weights_SBC.to(torch.float32).contiguous()
        rows = dict.fromkeys(ROWS.values(), -1) | self.rows
        del rows["TARGET"]  # it does not depend on logits
        with torch.cuda.device_of(self.logits):
            slope_kernel[self._grid()](
                *self._tensors(), gradient, *gradient.stride(), weights_SBC, *self._numbers(), **rows,
                **self._constants(gradient),
            )  # fmt: skip
        return gradient

    def _grid(self) -> tuple[int, int, int]:
        """The programs for the pixels of an image, for its blocks of classes, and for the images."""
        batch, classes, height, width = self.logits.shape
        pixels, of_classes = self._block()
        return -(-height * width // (TILES * pixels)), -(-classes // of_classes), batch

    def _block(self) -> tuple[int, int]:
        """The pixels and classes of a tile, powers of 2."""
        of_classes = min(MOST_CLASSES, 1 << (self.logits.shape[1] - 1).bit_length())
        return ELEMENTS // of_classes, of_classes

    def _tensors(self) -> tuple[Any, ...]:
        return self.logits, *self.logits.stride(), self.target, *self.target.stride()

    def _numbers(self) -> tuple[Any, ...]:
        """Pixels, width, classes; γ and the balance of the focal term, alpha t + (1 - alpha)(1 - t) or 1."""
        _, classes, height, width = self.logits.shape
        alpha = self.focal.alpha
        balance = (1.0, 0.0) if alpha is None else (1.0 - alpha, 2.0 * alpha - 1.0)
        return height * width, width, classes, float(self.focal.gamma), *balance

    def _constants(self, *others: Tensor) -> dict[str, Any]:
        pixels, of_classes = self._block()
        flat = all(is_flat(of) for of in (self.logits, self.target, *others))
        return {"PACKED": self.packed, "FLAT": flat, "TILES": TILES, "BLOCK_P": pixels, "BLOCK_C": of_classes}


def call_of(logits: Tensor, target: Tensor, terms: Sequence[Term]) -> Call | None:
    """Prepare the call of a kernel; None if the kernels do not compute these terms of such tensors."""
    rows = {ROWS[type(term)]: row for row, term in enumerate(terms) if type(term) in ROWS}
    packed = isinstance(target, BitTensor)
    values = target.packed_BHWK.movedim(3, 1) if isinstance(target, BitTensor) else target
    if (
        logits.device.type not in DEVICES
        or logits.dtype not in LOGITS
        or values.dtype not in TARGETS
        or values.device != logits.device
        or len(rows) < len(terms)  # an unknown term, or several focal ones
        or not logits.numel()
        or max(extent(logits), extent(values), logits[0].numel()) > MOST_ELEMENTS
    ):
        return None
    values = values.view(torch.uint8) if values.dtype == torch.bool else values
    focal = next((term for term in terms if isinstance(term, Focal)), Focal(0.0, None))
    return Call(logits, values, packed, rows, focal)


def extent(tensor_BCHW: Tensor) -> int:
    """The number of elements from an image's first to its last in memory."""
    return 1 + sum(
        (size - 1) * step for size, step in zip(tensor_BCHW.shape[1:], tensor_BCHW.stride()[1:], strict=True)
    )


def is_flat(tensor_BCHW: Tensor) -> bool:
    """Whether the rows of an image follow each other, so that one stride leads from each pixel to the next."""
    return tensor_BCHW.stride(2) == tensor_BCHW.shape[3] * tensor_BCHW.stride(3)
