"""ONNX files byte by byte: what is in one, seen before anything that could be misled by it opens it.

An ONNX file is one protocol buffer message. Whoever searches has onnxruntime and not the package onnx, and what a file
may hold is to be known before onnxruntime reads it; the wire format is short enough to be walked here.
https://protobuf.dev/programming-guides/encoding/, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

#: Graphs in attributes of nodes of graphs … (branches and loops): more than any detector has.
_DEEPEST = 8

_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSETS, _MODEL_TEXTS, _MODEL_TRAINING, _MODEL_FUNCTIONS = 1, 7, 8, 14, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_STANDARD = ("", "ai.onnx")


@dataclass
class Contents:
    """What a model is made of.

    Attributes:
        texts: Its metadata.
        foreign: Operators that are not ONNX's own, as ``domain::name``.
        external: Whether a tensor's values are said to lie in another file.
        functions: Whether it brings operators of its own making, or a graph for training.
    """

    texts: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    external: bool = False
    functions: bool = False


def read_contents(data: bytes | memoryview) -> Contents:
    """Walk through a model.

    Args:
        data: The bytes of the file.

    Raises:
        ValueError: They are no ONNX model, cut short, or name one text twice.
    """
    found = Contents()
    seen = set()
    for number, value in _fields(memoryview(data)):
        seen.add(number)
        if number == _MODEL_GRAPH:
            _read_graph(_message(value), found, 0)
        elif number == _MODEL_TEXTS:
            name, text = _read_entry(_message(value))
            if name in found.texts:
                raise ValueError(f"two entries {name!r}")
            found.texts[name] = text
        elif number == _MODEL_OPSETS:
            domain = _last(_message(value), 1)
            if domain not in _STANDARD:
                found.foreign.add(f"{domain}::*")
        elif number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            found.functions = True
    if not {_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSETS} <= seen:
        raise ValueError("no ONNX model")
    return found


def text_entry(name: str, text: str) -> bytes:
    """One entry of a model's metadata; appended to a model, it is part of it."""
    entry = _field(1, name.encode()) + _field(2, text.encode())
    return _field(_MODEL_TEXTS, entry)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_graph(graph: memoryview, found: Contents, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"graphs in graphs, more than {_DEEPEST} deep")
    for number, value in _fields(graph):
        if number == _GRAPH_NODE:
            _read_node(_message(value), found, depth)
        elif number == _GRAPH_TENSOR:
            _read_tensor(_message(value), found)
        elif number == _GRAPH_SPARSE:
            _read_sparse(_message(value), found)


def _read_node(node: memoryview, found: Contents, depth: int) -> None:
    operator = domain = ""
    for number, value in _fields(node):
        if number == _NODE_OPERATOR:
            operator = _text(_message(value))
        elif number == _NODE_DOMAIN:
            domain = _text(_message(value))
        elif number == _NODE_ATTRIBUTE:
            for part, content in _fields(_message(value)):
                if part in _ATTRIBUTE_TENSORS:
                    _read_tensor(_message(content), found)
                elif part in _ATTRIBUTE_GRAPHS:
                    _read_graph(_message(content), found, depth + 1)
                elif part in _ATTRIBUTE_SPARSE:
                    _read_sparse(_message(content), found)
    if domain not in _STANDARD:
        found.foreign.add(f"{domain}::{operator}")


def _read_tensor(tensor: memoryview, found: Contents) -> None:
    for number, value in _fields(tensor):
        # location 1 is "external"
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
            found.external = True


def _read_sparse(sparse: memoryview, found: Contents) -> None:
    for number, value in _fields(sparse):
        if number in (1, 2):  # values, indices
            _read_tensor(_message(value), found)


def _read_entry(entry: memoryview) -> tuple[str, str]:
    return _last(entry, 1), _last(entry, 2)


def _last(message: memoryview, wanted: int) -> str:
    text = ""
    for number, value in _fields(message):
        if number == wanted:
            text = _text(_message(value))
    return text


def _text(content: memoryview) -> str:
    return bytes(content).decode()


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an integer, or the bytes of whatever has a length."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _read_varint(message, place)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field without a number")
        if kind == 0:
            value, place = _read_varint(message, place)
            yield number, value
            continue
        if kind == 2:
            length, place = _read_varint(message, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if place + length > end:
            raise ValueError(f"{length:,} bytes claimed where {end - place:,} are left")
        yield number, message[place : place + length]
        place += length


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("cut short")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than ten bytes")
