"""What every test relies on: small tensors are quickest on one thread, and seeds never depend on the order of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.forkserver import ForkServer
from utils.seed import seed_everything


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    seed_everything(0)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Starts programs that need torch and its relatives, without importing them anew for each."""
    with ForkServer() as server:
        yield server
