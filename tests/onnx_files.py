"""Real ONNX files for tests, by torch's own exporter: batch normalisations folded, names of tensors lost."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn


def onnx_bytes(network: nn.Module, *, channels: int = 3, side_px: int = 64, **options: Any) -> bytes:
    """Export a network as those that publish one do: in evaluation mode. The package onnx is not needed."""
    from torch.onnx._internal.torchscript_exporter import onnx_proto_utils

    buffer: Any = io.BytesIO()  # torch's exporter to a stream is missing in its types
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The package would only be asked whether the file has functions of onnxscript.
        patch.setattr(onnx_proto_utils, "_add_onnxscript_fn", lambda model, functions: model)
        images = torch.zeros(1, channels, side_px, side_px)
        torch.onnx.export(network.eval(), (images,), buffer, dynamo=False, opset_version=11, **options)
    return bytes(buffer.getvalue())


def write_onnx(path: Path, network: nn.Module, **options: Any) -> Path:
    path.write_bytes(onnx_bytes(network, **options))
    return path
