from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from data.masks.packed import pack_planes
from utils.bit_tensor import BitTensor, unpack_bits


def packed_of(masks: int) -> tuple[Tensor, Tensor]:
    """Masks bool[2, C, 5, 7] and the same as bits."""
    planes = np.random.default_rng(masks).random((2, masks, 5, 7)) < 0.3
    return torch.from_numpy(planes), torch.from_numpy(np.stack([pack_planes(of_image) for of_image in planes]))


@pytest.mark.parametrize("masks", [1, 8, 9, 29, 40])
@pytest.mark.parametrize("channels_last", [False, True])
def test_bits_unpack_to_the_masks_that_numpy_packed(masks: int, channels_last: bool) -> None:
    planes, packed = packed_of(masks)
    unpacked = unpack_bits(packed, masks, channels_last=channels_last)
    assert unpacked.dtype == torch.uint8
    assert torch.equal(unpacked, planes.to(torch.uint8))
    assert (unpacked.stride(1) == 1) == channels_last
    assert torch.equal(unpack_bits(packed[:, ::2, 1:], masks, channels_last=channels_last), unpacked[:, :, ::2, 1:])


def test_it_is_a_tensor_to_any_operation() -> None:
    planes, packed = packed_of(11)
    bits = BitTensor(packed, 11)
    assert (bits.shape, bits.dtype, bits.device, len(bits)) == (planes.shape, torch.uint8, packed.device, 2)
    for found in (bits.bool(), bits[:] != 0, torch.stack([bits, bits])[1] == 1, bits.detach().clone() > 0):
        assert type(found) is Tensor
        assert torch.equal(found, planes)
    logits = torch.randn(planes.shape, requires_grad=True)
    (bits * logits).sum().backward()
    assert torch.equal(logits.grad, planes.float())  # type: ignore[arg-type]
    assert repr(bits) == "BitTensor([2, 11, 5, 7], device='cpu')"


def test_it_is_unpacked_once_and_not_before_its_numbers_are_needed() -> None:
    bits = BitTensor(packed_of(11)[1], 11)
    assert bits._numbers is None
    assert bits.unpacked(channels_last=True) is bits.unpacked()
    assert bits.sum() == bits.unpacked().sum()


def test_bits_that_do_not_hold_so_many_masks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 17 masks as bits of uint8, got 2 values of torch\.uint8"):
        BitTensor(torch.zeros(1, 2, 2, 2, dtype=torch.uint8), 17)
