"""Reads the convolutions of an ONNX file in the order in which they are computed: weights, or their shapes alone.

An ONNX file is a message of protocol buffers. Six kinds of fields are all that is needed, so it is read here, without
the package onnx and the libraries that it brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from utils.errors import UserError

# Numbers of fields in onnx.proto.
GRAPH, NODE, INITIALIZER, OUTPUT, OUTPUT_NAME = 7, 1, 5, 12, 1
PROPERTY, PROPERTY_KEY, PROPERTY_VALUE = 14, 1, 2
NODE_INPUT, NODE_OUTPUT, NODE_TYPE, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INTS = 1, 8
DIMS, DATA_TYPE, FLOAT_DATA, TENSOR_NAME, RAW_DATA, EXTERNAL_DATA = 1, 2, 4, 8, 9, 13

BFLOAT16 = 16
DTYPES = {1: np.float32, 10: np.float16, 11: np.float64, BFLOAT16: np.uint16}
"""The types of numbers that weights may have; NumPy has none for bfloat16, the upper half of a float32."""
BYTES = (2, 3)
"""The types of weights that are quantised to 8 bits, without and with a sign."""

Weights: TypeAlias = npt.NDArray[np.float32]

Value: TypeAlias = int | memoryview
Message: TypeAlias = dict[int, list[Value]]
"""The values of each field of a message, in their order."""


@dataclass(frozen=True)
class Convolution:
    """The weights of one convolution, named as in the file."""

    weight: Weights
    bias: Weights | None
    dilation: int


@dataclass(frozen=True)
class OnnxNetwork:
    """The weights of a network by name, and its convolutions in the order of computation."""

    tensors: Mapping[str, Weights]
    convolutions: list[Convolution] = field(default_factory=list)


def read_onnx(path: Path, key: str) -> OnnxNetwork:
    """Read a network. Raises `UserError`, with the config's `key` before it, if the file is no such ONNX file."""
    try:
        (graph,) = _messages(_fields(memoryview(path.read_bytes())), GRAPH)
        return _network(graph)
    except UserError as error:
        raise UserError(f"{key}: {path} {error}") from error
    except (ValueError, IndexError, KeyError, RuntimeError, UnicodeDecodeError) as error:
        raise UserError(f"{key}: {path} cannot be read as ONNX; it needs a file of a whole network.") from error


@dataclass(frozen=True)
class OnnxLayout:
    """What an ONNX file computes, without the numbers of its weights."""

    convolutions: tuple[tuple[tuple[int, ...], int], ...]
    """The shape of the weights and the dilation of each convolution, in the order of computation."""
    logits: str | None
    """The name of the tensor that the first output is the sigmoid of; None if the first output is no sigmoid."""
    parameters: int = 0
    """How many numbers the network has learned: those of all stored tensors but indices and shapes."""


def layout_of(content: bytes) -> OnnxLayout:
    """Read what a file computes. Raises `ValueError` if it is no ONNX file."""
    try:
        (graph,) = _messages(_fields(memoryview(content)), GRAPH)
        stored = _messages(graph, INITIALIZER)
        shapes = {_text(of[TENSOR_NAME][0]): tuple(_ints(of.get(DIMS, []))) for of in stored}
        learned = [shapes[_text(of[TENSOR_NAME][0])] for of in stored if of[DATA_TYPE][0] in (*DTYPES, *BYTES)]
        nodes = [(_text(node[NODE_TYPE][0]), node) for node in _messages(graph, NODE)]
        first = _text(_messages(graph, OUTPUT)[0][OUTPUT_NAME][0])
        makers = {_text(node[NODE_OUTPUT][0]): (kind, node) for kind, node in nodes}
        # A change of the type of numbers may follow the sigmoid, as in files of half precision.
        while first in makers and makers[first][0] in ("Cast", "Identity"):
            first = _text(makers[first][1][NODE_INPUT][0])
        kind, maker = makers.get(first, ("", {}))
        logits = _text(maker[NODE_INPUT][0]) if kind == "Sigmoid" else None
        convolutions = [
            (shapes.get(_text(node[NODE_INPUT][1]), ()), _dilation_of(node)) for kind, node in nodes if kind == "Conv"
        ]
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError("no ONNX file") from error
    return OnnxLayout(tuple(convolutions), logits, sum(map(prod, learned)))


def with_output(content: bytes, name: str) -> bytes:
    """Return an ONNX file that has the tensor of this name as its last output too.

    Two messages in a row are read as one that holds the fields of both, so a graph with this output alone is appended.
    """
    output = _field(OUTPUT, _field(OUTPUT_NAME, name.encode()))
    return content + _field(GRAPH, output)


def with_properties(content: bytes, properties: Mapping[str, str]) -> bytes:
    """Return an ONNX file that has these properties of the model beside those that it has already."""
    for key, value in properties.items():
        entry = _field(PROPERTY_KEY, key.encode()) + _field(PROPERTY_VALUE, value.encode())
        content += _field(PROPERTY, entry)
    return content


def _field(number: int, content: bytes) -> bytes:
    """Write a field of bytes: number and kind, length, content."""
    length, size = b"", len(content)
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def _network(graph: Message) -> OnnxNetwork:
    tensors = dict(_tensor(message) for message in _messages(graph, INITIALIZER) if message[DATA_TYPE][0] in DTYPES)
    network = OnnxNetwork(tensors)
    for node in _messages(graph, NODE):
        if _text(node[NODE_TYPE][0]) == "Conv":
            network.convolutions.append(_convolution(node, tensors))
    return network


def _convolution(node: Message, tensors: Mapping[str, Weights]) -> Convolution:
    _, weight, *bias = (_text(name) for name in node[NODE_INPUT])
    if weight not in tensors:
        raise UserError("has weights that are computed or quantised; it needs a file with weights of float numbers.")
    return Convolution(tensors[weight], tensors[bias[0]] if bias else None, _dilation_of(node))


def _dilation_of(node: Message) -> int:
    ints = {
        _text(one[ATTRIBUTE_NAME][0]): _ints(one.get(ATTRIBUTE_INTS, [])) for one in _messages(node, NODE_ATTRIBUTE)
    }
    return (ints.get("dilations") or [1])[0]


def _tensor(message: Message) -> tuple[str, Weights]:
    """Read the name and the numbers of a tensor, as fp32."""
    name, data_type = _text(message[TENSOR_NAME][0]), _int(message[DATA_TYPE][0])
    if EXTERNAL_DATA in message:
        raise UserError("keeps its weights in another file; it needs one file that holds them.")
    shape = _ints(message.get(DIMS, []))
    if FLOAT_DATA in message:
        data_type = 1
    raw = b"".join(_bytes(part) for part in message.get(RAW_DATA, message.get(FLOAT_DATA, [])))
    numbers = np.frombuffer(raw, DTYPES[data_type])
    if data_type == BFLOAT16:
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    return name, numbers.reshape(shape).astype(np.float32)


def _messages(message: Message, number: int) -> list[Message]:
    """Read all messages of one field."""
    return [_fields(_bytes(value)) for value in message.get(number, [])]


def _fields(data: memoryview) -> Message:
    """Read the fields of a message. Raises `ValueError` if it is none."""
    message: Message = {}
    for number, value in _pairs(data):
        message.setdefault(number, []).append(value)
    return message


def _pairs(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field: a whole number, or bytes, which are not copied."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        # Eight bytes, a length and as many bytes, or four bytes.
        if kind not in (1, 2, 5):
            raise ValueError(f"a field of the unknown kind {kind}")
        size, at = _varint(data, at) if kind == 2 else (8 if kind == 1 else 4, at)
        if at + size > len(data):
            raise ValueError("the file ends within a field")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a whole number, seven bits from each byte, lowest first; return it and the place after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _ints(values: list[Value]) -> list[int]:
    """Read whole numbers, each a field of its own, or all of them in one."""
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            numbers.append(number)
    return numbers


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes in the place of a number")
    return value


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number in the place of bytes")
    return value


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode()
