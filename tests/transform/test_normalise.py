from __future__ import annotations

import torch

from transform.normalise import CONTEST, HALF


def test_grey_values_become_floats_about_zero() -> None:
    levels = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    torch.testing.assert_close(HALF(levels), torch.tensor([[[[-1.0, 1.0]]]]))
    expected = (levels[:, None] / 255 - 0.122) / 0.168
    torch.testing.assert_close(CONTEST(levels), expected)
    assert levels.tolist() == [[[0, 255]]]
