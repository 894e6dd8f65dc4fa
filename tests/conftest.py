"""What every test relies on: small tensors are quickest on one thread, and seeds never depend on the order of tests."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import torch

from tests.browser import open_browser
from tests.forkserver import ForkServer
from utils.seed import seed_everything

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Both processes of the tests and every program that they start import the same files. Without compiled ones each
# compiles them anew, which takes ten seconds of processor time for the tests and half a second for a program.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """Collect garbage less often, and never among what is imported by now: it takes a twelfth of the tests' time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that the tests of one module share; they are skipped if there is none."""
    with open_browser() as opened:
        yield opened
