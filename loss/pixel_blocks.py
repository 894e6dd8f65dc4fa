"""Terms of pixels and their slopes, computed with torch in blocks of pixels: everywhere, and for every term.

Forward goes through the logits in blocks that fit into a cache and keeps the sums alone; backward goes through the
blocks again, with the analytic derivative of each term. On CUDA `loss.fused` computes the terms that it knows in one
pass, and its results are compared with these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.bit_tensor import BitTensor

# Shapes: B images, C classes, H/W pixels of the model's output; b, c, h, w: the extents of one block; S terms.

Index = tuple[slice, slice, slice, slice]

# The temporaries of a block this small stay in a core's cache, and torch computes them in one thread. Blocks divided
# among threads would be up to twice as fast on idle cores, and many times slower if data loaders keep the cores busy:
# each of thousands of operations then waits for a thread that the system has suspended. (torch divides exp, log1p and
# expm1 at any size; softplus and elu compute the same without that.)
CPU_BLOCK = 1 << 15
# The least number of blocks at any size, so that fp32 temporaries of fp16 logits take fewer bytes than the logits.
BLOCKS = 16
# Elements; in smaller blocks the calls cost more than the arithmetic.
SMALLEST_BLOCK = 1 << 12


class Term(Protocol):
    """A quantity of each pixel that is summed. Terms of equal parameters are equal, and are summed once."""

    def __hash__(self) -> int: ...

    def value(self, block: Block) -> Tensor:
        """Compute the term at each pixel, [b, c, h, w]."""

    def slope(self, block: Block) -> Tensor | None:
        """Compute its derivative with respect to the logit, [b, c, h, w]; None for a term of the target alone."""


class Block:
    """Some pixels in fp32 or fp64. What several terms need is computed once, and no term may change it in place."""

    def __init__(self, logits: Tensor, target: Tensor) -> None:
        self.logit = logits.to(working_dtype(logits))
        # In the logits' own memory order, which may be channels-last while the target's is not.
        self.target = torch.empty_like(self.logit).copy_(target)

    @cached_property
    def probability(self) -> Tensor:
        return self.logit.sigmoid()

    @cached_property
    def probability_slope(self) -> Tensor:
        """dσ/dz = σ(1 - σ)."""
        return torch.addcmul(self.probability, self.probability, self.probability, value=-1)

    @cached_property
    def cross_entropy(self) -> Tensor:
        """-t log σ(z) - (1 - t) log(1 - σ(z)) as max(z, 0) - zt + log(1 + e^-|z|): finite, and exact at both ends."""
        remainder = F.softplus(self.logit.abs().neg_())
        return self.logit.clamp_min(0).addcmul_(self.logit, self.target, value=-1).add_(remainder)

    @cached_property
    def cross_entropy_slope(self) -> Tensor:
        return self.probability - self.target


def sums_in_blocks(logits: Tensor, target: Tensor, terms: Sequence[Term]) -> Tensor:
    """Sum each of `terms` over the pixels of each image and class, [S, B, C] in fp32 or fp64."""
    target = _numbers_of(target, logits)
    sums_SBC = logits.new_zeros((len(terms), *logits.shape[:2]), dtype=working_dtype(logits))
    for index in blocks(logits):
        block = Block(logits[index], target[index])
        sums_SBC[:, index[0], index[1]] += torch.stack([term.value(block).sum((2, 3)) for term in terms])
    return sums_SBC


def slope_in_blocks(logits: Tensor, target: Tensor, terms: Sequence[Term], weights_SBC: Tensor) -> Tensor:
    """Compute the gradient of Σ weight · sum, in the dtype and layout of the logits [B, C, H, W]."""
    target = _numbers_of(target, logits)
    gradient = torch.empty_like(logits)
    for index in blocks(logits):
        weights_Sbc11 = weights_SBC[:, index[0], index[1], None, None]
        gradient[index] = _weighted_slope(Block(logits[index], target[index]), terms, weights_Sbc11)
    return gradient


def _numbers_of(target: Tensor, logits: Tensor) -> Tensor:
    """Unpack a target of bits once for all blocks, in the logits' layout, so that it is read in order of memory."""
    if not isinstance(target, BitTensor):
        return target
    return target.unpacked(channels_last=logits.stride(1) < logits.stride(3))


def _weighted_slope(block: Block, terms: Sequence[Term], weights_Sbc11: Tensor) -> Tensor:
    slope_bchw = torch.zeros_like(block.logit)
    for term, weight_bc11 in zip(terms, weights_Sbc11, strict=True):
        slope = term.slope(block)
        if slope is not None:
            slope_bchw.addcmul_(slope, weight_bc11)
    return slope_bchw


def blocks(logits: Tensor) -> Iterator[Index]:
    """Divide [B, C, H, W] into blocks that are dense in memory, for contiguous and for channels-last tensors."""
    memory_order = sorted(range(4), key=logits.stride, reverse=True)
    extent, room = list(logits.shape), _block_size(logits)
    for axis in reversed(memory_order):
        extent[axis] = max(1, min(extent[axis], room))
        room //= extent[axis]
    cuts = [
        [slice(start, start + extent[axis]) for start in range(0, logits.shape[axis], extent[axis])]
        for axis in memory_order
    ]
    for cut in product(*cuts):
        by_axis = dict(zip(memory_order, cut, strict=True))
        yield by_axis[0], by_axis[1], by_axis[2], by_axis[3]


def _block_size(logits: Tensor) -> int:
    """Elements of a block: few enough for a cache on a CPU; many on a GPU, for each block costs kernel launches."""
    share = max(SMALLEST_BLOCK, logits.numel() // BLOCKS)
    return min(share, CPU_BLOCK) if logits.device.type == "cpu" else share


def working_dtype(logits: Tensor) -> torch.dtype:
    """Return the precision in which a loss is computed: fp32, or fp64 for fp64 logits."""
    return torch.promote_types(logits.dtype, torch.float32)
