"""Every architecture becomes a graph, for images of one size if it cannot be for any."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from models import MODELS
from trainer.export.graph import INPUT, UnsupportedGraph, onnx_of

SIZE_HW = (64, 96)
SMALL_TRANSFORMER: dict[str, Any] = {
    "encoder": "tu-vit_tiny_patch16_224",
    "decoder": {"decoder_fusion_channels": 8, "decoder_intermediate_channels": [8, 8, 8, 8]},
}


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("pspnet", {"encoder": "resnet18", "decoder": {"psp_out_channels": 8}}),
        ("upernet", {"encoder": "resnet18", "decoder": {"decoder_channels": 8}}),
        ("dpt", SMALL_TRANSFORMER),
    ],
)
def test_a_network_of_one_size_computes_what_torch_computes(architecture: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = MODELS[architecture](classes=2, channels=1, **options).eval()
    with pytest.raises(UnsupportedGraph):
        onnx_of(network, 1, SIZE_HW, any_size=True)
    content = onnx_of(network, 1, SIZE_HW, any_size=False)
    images = torch.randn(3, 1, *SIZE_HW)
    with torch.inference_mode():
        expected = network(images).sigmoid().numpy()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {INPUT: images.numpy()})
    np.testing.assert_allclose(found, expected, atol=5e-5)
