"""Small networks on small images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor


@pytest.fixture
def grey_B1HW() -> Tensor:
    return torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(5))
