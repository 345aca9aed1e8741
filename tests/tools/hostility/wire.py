"""Protobuf's wire format as a tree, and ONNX models written with it: no schema is checked, so that anything can be written."""

import dataclasses
import struct

import numpy as np

# What a field of length-delimited bytes holds, by message: another message, or (not named here) bytes.
MESSAGES = {
    "Model": {7: "Graph", 8: "Opset", 14: "Entry", 25: "Function"},
    "Graph": {1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 13: "Value", 15: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 14: "Type"},
    "Tensor": {13: "Entry"},
    "Value": {2: "Type"},
    "Type": {1: "TensorType", 4: "SequenceType", 9: "SequenceType"},
    "SequenceType": {1: "Type"},
    "TensorType": {2: "Shape"},
    "Shape": {1: "Dimension"},
    "Function": {7: "Node", 9: "Opset"},
}
STRINGS = {("Node", 1), ("Node", 2), ("Node", 3), ("Node", 4), ("Node", 7), ("Attribute", 1), ("Attribute", 4), ("Attribute", 9),
           ("Tensor", 8), ("Value", 1), ("Dimension", 2), ("Entry", 1), ("Entry", 2), ("Opset", 1), ("Graph", 2), ("Model", 2),
           ("Function", 1), ("Function", 4), ("Function", 5), ("Function", 10)}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT, INT32, INT64, BOOL, STRING = 1, 6, 7, 9, 8


@dataclasses.dataclass
class Field:
    number: int
    wire: int
    value: object  # int, bytes, or Message


@dataclasses.dataclass
class Message:
    kind: str
    fields: list

    def all(self, number):
        return [f.value for f in self.fields if f.number == number]


def varint(n: int) -> bytes:
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def read_varint(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        at += 1
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return n, at
        if shift > 63:
            raise ValueError("varint")


def parse(data: bytes, kind="Model") -> Message:
    fields, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = read_varint(data, at)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            value, at = data[at:at + size], at + size
        elif wire == BYTES:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
            inner = MESSAGES.get(kind, {}).get(number)
            value = parse(value, inner) if inner else value
        else:
            raise ValueError(f"wire type {wire}")
        fields.append(Field(number, wire, value))
    return Message(kind, fields)


def write(message: Message) -> bytes:
    out = bytearray()
    for f in message.fields:
        out += varint(f.number << 3 | f.wire)
        if f.wire == VARINT:
            out += varint(f.value)
        elif f.wire == BYTES:
            data = write(f.value) if isinstance(f.value, Message) else bytes(f.value)
            out += varint(len(data)) + data
        else:
            out += f.value
    return bytes(out)


def message(kind, *pairs) -> Message:
    """Pairs of number and value: int, str, bytes, float, Message; a list gives the field several times, None leaves it away."""
    fields = []
    for number, values in pairs:
        for value in values if isinstance(values, list) else [values]:
            if value is None:
                continue
            if isinstance(value, float):
                fields.append(Field(number, FIXED32, struct.pack("<f", value)))
            elif isinstance(value, (int, np.integer)):
                fields.append(Field(number, VARINT, int(value)))
            else:
                fields.append(Field(number, BYTES, value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value))
    return Message(kind, fields)


def tensor(name, array=None, dims=None, type=None, raw=None, **more) -> Message:
    """Of an array; or of dims, a type and raw bytes that need not fit together. more: external=[(key, value)], location."""
    if array is not None:
        array = np.asarray(array)
        dims = list(array.shape) if dims is None else dims
        types = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}
        type = types[array.dtype.name] if type is None else type
        raw = array.tobytes() if raw is None else raw
    entries = [message("Entry", (1, k), (2, v)) for k, v in more.get("external", [])]
    return message("Tensor", (1, list(dims or [])), (2, type), (8, name), (9, raw), (13, entries), (14, more.get("location")))


def attribute(name, value) -> Message:
    """int, float, str, bytes, a tensor, a graph, or lists of numbers or strings."""
    if isinstance(value, Message):
        return message("Attribute", (1, name), (5, value), (20, 4)) if value.kind == "Tensor" else message("Attribute", (1, name),
            (6, value), (20, 5))
    if isinstance(value, list):
        first = value[0] if value else 0
        number, type = (7, 6) if isinstance(first, float) else (9, 8) if isinstance(first, (str, bytes)) else (8, 7)
        return message("Attribute", (1, name), (number, value), (20, type))
    number, type = (2, 1) if isinstance(value, float) else (4, 3) if isinstance(value, (str, bytes)) else (3, 2)
    return message("Attribute", (1, name), (number, value), (20, type))


def node(op, inputs, outputs, name=None, domain=None, **attributes) -> Message:
    return message("Node", (1, inputs.split() if isinstance(inputs, str) else list(inputs)),
                   (2, outputs.split() if isinstance(outputs, str) else list(outputs)), (3, name), (4, op), (7, domain),
                   (5, [attribute(k, v) for k, v in attributes.items()]))


def value(name, dims=None, type=FLOAT) -> Message:
    """dims: ints, strings (open), or None for an axis without either; dims=None: no shape."""
    shape = None if dims is None else message("Shape", (1, [
        message("Dimension", (2 if isinstance(d, str) else 1, d)) for d in dims]))
    return message("Value", (1, name), (2, message("Type", (1, message("TensorType", (1, type), (2, shape))))))


def model(nodes, initializers=(), inputs=None, outputs=None, opset=13, **more) -> bytes:
    """x [1, 4, 8, 8] to y unless inputs and outputs say otherwise. more: name, producer, functions, ir."""
    graph = message("Graph", (1, list(nodes)), (2, more.get("name", "g")), (5, list(initializers)),
                    (11, inputs if inputs is not None else [value("x", [1, 4, 8, 8])]),
                    (12, outputs if outputs is not None else [value("y")]))
    return write(message("Model", (1, more.get("ir", 8)), (2, more.get("producer")), (7, graph),
                         (8, [message("Opset", (1, ""), (2, opset)), *more.get("opsets", [])]), (25, more.get("functions"))))
