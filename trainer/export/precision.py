"""Make an ONNX file smaller: numbers of half precision, or weights and maps in 8 bits with scales that images show."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from utils.arrays import Floats32
from utils.progress import track

QUANTISED = ("Conv", "MatMul", "Gemm")
"""What is computed in 8 bits: nearly all weights and nearly all time."""
CALIBRATED_ON = 32
"""Images that show the scales, at most."""
LARGEST_SHARE = 0.3
"""Of the size of the float32 file that an 8-bit one should have."""


def in_half_precision(path: Path) -> bytes:
    """Return an ONNX file with the numbers of another in float16; input and output stay float32.

    A processor without arithmetic of half precision computes in float32 and rounds, so the file works everywhere.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that are too small for float16 and become the smallest
        model: Any = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    OnnxModel.graph_topological_sort(model.graph)  # the conversions of input and output stand at its end
    return with_short_names(model)


def in_eight_bits(path: Path, batches: Iterator[Floats32], total: int, folder: Path) -> bytes:
    """Return an ONNX file with the convolutions and products of another in 8 bits, as pairs that (de)quantise.

    `batches`: `total` batches float32[1, channels, H, W], which show the range of each map. Each output channel of
    weights has a scale of its own: with one for all, small networks lose everything. The last convolution stays in
    float32, because 256 logits would be too few for soft edges; and so do the first and those of groups of channels,
    whose few weights differ too much in size. (An FPN with EfficientNet-Lite0 loses 0.32 of a score of 0.77 with all in
    8 bits, 0.24 with the first, and 0.002 so.) Files are written into `folder`.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load(path, load_external_data=False).graph.input[0].name
    shown = track(batches, "Calibrating", total)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Floats32] | None:
            batch = next(shown, None)
            return None if batch is None else {name: batch}

    prepared, quantised = folder / "prepared.onnx", folder / "quantised.onnx"
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    convolutions = [node for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
    kept = [node.name for node in convolutions if _groups_of(node) > 1] + [convolutions[0].name, convolutions[-1].name]
    logging.disable(logging.WARNING)  # a line for each scale that is adjusted
    try:
        quantize_static(
            prepared,
            quantised,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=kept,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        logging.disable(logging.NOTSET)
    return with_short_names(onnx.load(quantised))


def _groups_of(node: Any) -> int:
    """Return the number of groups of a convolution's channels; as many as channels if it is depthwise."""
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "group"), 1)


def with_short_names(model: Any) -> bytes:
    """Return the file of a model without what nothing is computed from: long names, notes, shapes in between.

    They are a tenth of a small network in 8 bits.
    """
    graph = model.graph
    names = {one.name: one.name for one in [*graph.input, *graph.output]}

    def short(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}") if name else ""

    for node in graph.node:
        inputs, outputs = list(map(short, node.input)), list(map(short, node.output))
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)
        node.name = node.doc_string = ""
    for weights in graph.initializer:
        weights.name, weights.doc_string = short(weights.name), ""
    del graph.value_info[:], model.metadata_props[:]
    return bytes(model.SerializeToString())
