from __future__ import annotations

import numpy as np
import torch

from trainer.prediction.transfer import start_copy, to_device


def test_arrays_go_to_a_device_and_back_unchanged() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    tensor = to_device(array, torch.device("cpu"))
    assert (tensor.shape, tensor.dtype) == ((2, 3, 4), torch.uint8)
    assert np.array_equal(start_copy(tensor.permute(1, 2, 0))(), array.transpose(1, 2, 0))
