"""What every test relies on: small tensors are quickest on one thread, and seeds never depend on the order of tests."""

from __future__ import annotations

import pytest
import torch

from utils.seed import seed_everything


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    seed_everything(0)
