"""Make an ONNX file smaller: numbers of half precision, or weights and maps in 8 bits with scales that images show."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
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
    return with_short_names(with_stored_halves(onnx.load(quantised)))


def with_stored_halves(model: Any) -> Any:
    """Return a model whose float32 weights of convolutions are stored in float16, with a cast before they are used.

    ONNX Runtime casts them once, when it loads the file, and computes in float32 as before. With the few layers that
    are kept out of 8 bits in float32, an FPN with EfficientNet-Lite0 has 30.9 % of its size; so it has 28.1 %. Weights
    that float16 does not hold stay in float32.
    """
    graph = model.graph
    stored = {one.name: one for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT}
    of_convolutions = dict.fromkeys(node.input[1] for node in graph.node if node.op_type == "Conv")
    for name in of_convolutions:
        weights = onnx.numpy_helper.to_array(stored[name]) if name in stored else None
        if weights is None or not _fit_in_half(weights):
            continue
        half = f"{name}_half"
        stored[name].CopyFrom(onnx.numpy_helper.from_array(weights.astype(np.float16), half))
        graph.node.insert(0, onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    return model


def _fit_in_half(weights: Floats32) -> bool:
    """Return whether float16 changes no weight by more than a thousandth of the largest."""
    with np.errstate(over="ignore"):
        changes = np.abs(weights - weights.astype(np.float16).astype(np.float32))
    return bool(changes.max() <= np.abs(weights).max() / 1000)


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
