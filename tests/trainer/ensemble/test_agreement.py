"""A member of an ensemble that hardly overlaps the others is named; members that agree are not."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from trainer.ensemble.agreement import SmallMasks

MEMBERS = [Path(f"run{number}/best.safetensors") for number in range(3)]


def logits(side_px: int) -> Tensor:
    """Logits of two classes, high in a bar that is longer than wide, float32[2, side, side]."""
    values = torch.full((2, side_px, side_px), -3.0)
    values[0, : side_px // 2, side_px // 8 : side_px // 4] = 3
    values[1, : side_px // 2, side_px // 2 : 5 * side_px // 8] = 3
    return values


def test_a_member_that_sees_images_turned_is_named(caplog: pytest.LogCaptureFixture) -> None:
    small = SmallMasks()
    for name in ("a.png", "b.png"):
        for member, values in enumerate((logits(96), logits(128), logits(96).transpose(1, 2))):
            small.note(name, member, values)
    with caplog.at_level(logging.WARNING):
        small.warn(MEMBERS)
    (line,) = caplog.messages
    assert line.startswith("run2/best.safetensors: its masks hardly overlap those of the other files: a Dice of 0.")


def test_members_that_agree_or_find_nothing_are_not_named(caplog: pytest.LogCaptureFixture) -> None:
    small = SmallMasks()
    for member, side_px in enumerate((96, 128, 64)):
        small.note("a.png", member, logits(side_px))
        small.note("empty.png", member, torch.full((2, 32, 32), -1.0))
    small.note("begun.png", 0, logits(96))  # The other members have not seen it.
    with caplog.at_level(logging.WARNING):
        small.warn(MEMBERS)
        SmallMasks().warn(MEMBERS)
    assert not caplog.messages
