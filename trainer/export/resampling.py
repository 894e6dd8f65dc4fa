"""Write to ONNX what it has no operation for: averages of bins and smooth resizing, for images of one size.

Both are linear in each axis, so for known sizes each is a product with two constant matrices. Their values are taken
from torch's own operation, so that the numbers are those of torch but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.arrays import Size

Resample = Callable[[Tensor, Size], Tensor]
"""From [1, 1, H, W] to [1, 1, h, w] for this size (h, w)."""


def average_of_bins(image: Tensor, size_hw: Size) -> Tensor:
    pooled: Tensor = F.adaptive_avg_pool2d(image, size_hw)
    return pooled


def bicubic_antialiased(image: Tensor, size_hw: Size) -> Tensor:
    return F.interpolate(image, size_hw, mode="bicubic", antialias=True, align_corners=False)


OPERATIONS: dict[str, Resample] = {
    "aten::adaptive_avg_pool2d": average_of_bins,
    "aten::_upsample_bicubic2d_aa": bicubic_antialiased,
}


def matrix_of(resample: Resample, side: int, size: int) -> Tensor:
    """Return float32[size, side], the matrix by which one axis of `side` pixels is resampled to `size`."""
    columns = torch.eye(side, dtype=torch.float64)
    return resample(columns[None, None], (size, side))[0, 0].float()


@contextmanager
def resampling_written(opset: int) -> Iterator[None]:
    """Let torch's exporter write these operations as products with matrices within this block.

    It is for graphs of one size alone: the sizes are those of the images with which the graph is found.
    """
    from torch.onnx.utils import register_custom_op_symbolic, unregister_custom_op_symbolic

    for name, resample in OPERATIONS.items():
        register_custom_op_symbolic(name, _symbolic_of(resample), opset)
    try:
        yield
    finally:
        for name in OPERATIONS:
            unregister_custom_op_symbolic(name, opset)


def _symbolic_of(resample: Resample) -> Callable[..., Any]:
    """Return the function by which the exporter writes an operation."""

    def write(graph: Any, image: Any, *_: Any) -> Any:
        node = graph.original_node
        (height, width), (rows, columns) = (value.type().sizes()[-2:] for value in (next(node.inputs()), node.output()))
        down = graph.op("Constant", value_t=matrix_of(resample, height, rows))
        across = graph.op("Constant", value_t=matrix_of(resample, width, columns).T)
        return graph.op("MatMul", graph.op("MatMul", down, image), across)

    return write
