from __future__ import annotations

import torch

from utils.host_copy import HostCopy


def test_a_copy_keeps_what_the_tensor_held() -> None:
    tensor = torch.tensor([1.0, 2.0], requires_grad=True)
    copy = HostCopy(tensor)
    with torch.no_grad():
        tensor.zero_()
    assert copy.is_there()
    assert copy.read().tolist() == [1.0, 2.0]
    assert not copy.read().requires_grad
