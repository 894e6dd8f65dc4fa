from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from data.encoding import ALPHA, BITS, Encoding
from tests.root import ROOT

ENCODINGS = [BITS, ALPHA]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("classes", [1, 8, 11])
def test_hard_masks_come_back_as_the_target_of_a_loss(encoding: Encoding, classes: int) -> None:
    masks_CHW = np.random.default_rng(classes).random((classes, 6, 5)) < 0.5
    stored = encoding.pack(masks_CHW)
    assert (stored.dtype, stored.shape[:2]) == (np.dtype(np.uint8), (6, 5))
    assert stored.flags.c_contiguous
    target = encoding.unpack(torch.from_numpy(np.stack([stored, stored])), classes)
    assert target.shape == (2, classes, 6, 5)
    assert torch.equal(target[1].bool(), torch.from_numpy(masks_CHW))


def test_bits_take_an_eighth_of_a_byte_and_alphas_one() -> None:
    masks_CHW = np.ones((11, 6, 5), np.bool_)
    assert BITS.pack(masks_CHW).shape == (6, 5, 2)
    assert ALPHA.pack(masks_CHW).shape == (6, 5, 11)
    assert BITS.unpack(torch.from_numpy(BITS.pack(masks_CHW))[None], 11).dtype == torch.uint8


def test_alphas_become_fractions() -> None:
    alpha = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    target = ALPHA.unpack(alpha, 1)
    assert target.dtype == torch.float32
    torch.testing.assert_close(target[0, 0], alpha[0, :, :, 0] / 255)
    assert [float(target.min()), float(target.max())] == [0, 1]
    assert int(alpha.max()) == 255


def test_bits_are_hard_already_and_alphas_from_a_half_on() -> None:
    packed = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    assert BITS.harden(packed) is packed
    alpha = np.array([[[0, 127], [128, 255]]], np.uint8)
    assert ALPHA.harden(alpha).tolist() == [[[0], [3]]]


def test_encodings_are_known_without_torch() -> None:
    code = "import sys, data.encoding; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
