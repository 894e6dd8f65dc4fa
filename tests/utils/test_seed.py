from __future__ import annotations

import io
import random

import numpy as np
import torch

from utils.seed import random_state, restore_random_state, seed_everything


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_a_saved_state_continues_exactly_also_through_a_file() -> None:
    seed_everything(7)
    draw()
    file = io.BytesIO()
    torch.save(random_state(), file)
    expected = draw()
    seed_everything(8)
    file.seek(0)
    restore_random_state(torch.load(file, weights_only=True))
    assert draw() == expected


def test_equal_seeds_give_equal_numbers() -> None:
    seed_everything(3)
    first = draw()
    seed_everything(3)
    assert draw() == first
