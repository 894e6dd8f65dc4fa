from __future__ import annotations

import numpy as np
import pytest
import torch

from data.masks import packed as masks
from data.masks.device import pack_byte, pack_masks


@pytest.mark.parametrize("classes", [1, 8, 9, 29, 40])
def test_the_torch_twin_equals_numpy(classes: int) -> None:
    mask = np.random.default_rng(classes).random((2, classes, 5, 7)) < 0.3
    packed = np.stack([masks.pack_planes(planes) for planes in mask])
    assert torch.equal(pack_masks(torch.from_numpy(mask)), torch.from_numpy(packed))


def test_bytes_of_eight_classes_each_stack_to_the_packed_mask() -> None:
    mask = torch.rand(2, 19, 4, 4) < 0.5
    stacked = torch.stack([pack_byte(mask[:, first : first + 8]) for first in (0, 8, 16)], dim=3)
    assert torch.equal(stacked, pack_masks(mask))
