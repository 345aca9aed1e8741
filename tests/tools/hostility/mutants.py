"""Random changes of bytes and of trees, of which few are noticed at once: most of the file stays what it was."""

import copy
import struct
import zlib

from . import wire
from .wire import Field, Message

INTS = [0, 1, 2, 3, 4, 7, 8, 16, 64, 127, 128, 255, 256, 1000, 65535, 65536, 1 << 20, (1 << 24) + 1, (1 << 31) - 1, 1 << 31,
    (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63), -(1 << 31), -5, -4, -3, -2, -1]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1e-45, 1e-6, 0.5, 2.0, 1e10, 3.4e38, float("inf"), float("-inf"), float("nan")]
OPERATORS = """Abs Add And ArgMax Attention AveragePool BatchNormalization BitShift Cast CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos CumSum
DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GroupNormalization
HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsNaN LRN LSTM LayerNormalization LeakyRelu Less Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean Min Mish Mod Mul
Neg NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
Reshape Resize RoiAlign Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK
Transpose Trilu Unsqueeze Upsample Where Xor""".split()
ATTRIBUTES = """allowzero alpha auto_pad axes axis axis_w batch_dims beta bias blocksize ceil_mode coordinate_transformation_mode count_include_pad cubic_coeff_a dilations direction dtype end epsilon equation exclude_outside
exclusive extrapolation_value fmod gamma group hidden_size k keepdims kernel_shape largest lambd max mode min momentum nearest_mode noop_with_empty_axes num_groups num_outputs output_padding output_shape p pads perm
reduction reverse scale select_last_index size sorted spatial split start starts ends stash_type storage_order strides to training_mode transA transB upper value values value_int value_ints value_float width_scale height_scale scales""".split()
TEXTS = [b"", b"x", b"a\x1b[31m\n", b"\xff\xfe", b"SAME_UPPER", b"SAME_LOWER", b"VALID", b"reflect", b"edge", b"constant",
    b"nearest", b"linear", b"cubic", b"half_pixel", b"align_corners", b"asymmetric", b"NOTSET", b"bhid,bhjd->bhij",
         b"../x", b"/dev/zero", b"%s%n", b"n" * 5000, b"batch", b"N"]


def change_bytes(rng, data: bytes, times=None) -> bytes:
    data = bytearray(data)
    for _ in range(times or rng.choice([1, 1, 1, 2, 3, 8])):
        if not data:
            return bytes(data)
        at = rng.randrange(len(data))
        what = rng.randrange(10)
        if what < 3:
            data[at] ^= 1 << rng.randrange(8)
        elif what < 5:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif what == 5:
            del data[at:at + rng.choice([1, 2, 4, 16, 256])]
        elif what == 6:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice([1, 2, 4, 16])))
        elif what == 7:
            size, to = rng.choice([1, 4, 16, 64, 1024]), rng.randrange(len(data))
            data[to:to + size] = data[at:at + size]
        elif what == 8:
            form, value = rng.choice([("<I", 0xFFFFFFFF), (">I", 0xFFFFFFFF), ("<I", 0x7FFFFFFF), (">I", 0x7FFFFFFF), ("<I", 0),
                ("<H", 0xFFFF), ("<q", -1), ("<q", (1 << 63) - 1), ("<I", 0x80000000), (">I", 65536)])
            data[at:at + struct.calcsize(form)] = struct.pack(form, value)
        else:
            del data[at if rng.random() < 0.5 else max(0, len(data) - rng.randrange(1, 64)):]
    return bytes(data)


def walk(message: Message, found=None) -> list:
    """Every (message, place) of a tree."""
    found = [] if found is None else found
    for k, field in enumerate(message.fields):
        found.append((message, k))
        if isinstance(field.value, Message):
            walk(field.value, found)
    return found


def number(rng):
    return rng.choice(INTS) if rng.random() < 0.8 else rng.randrange(-20, 300)


def strings_of(places):
    return [m.fields[k].value for m, k in places if (m.kind, m.fields[k].number) in wire.STRINGS
        and isinstance(m.fields[k].value, bytes)]


def raw_number(rng, tensor: Message) -> bool:
    """Changes one element of a tensor's bytes."""
    kinds = tensor.all(2)
    for field in tensor.fields:
        if field.number == 9 and isinstance(field.value, bytes) and kinds and field.value:
            form = {1: "<f", 6: "<i", 7: "<q", 11: "<d", 9: "<B"}.get(kinds[-1])
            if form is None:
                return False
            size = struct.calcsize(form)
            count = len(field.value) // size
            data = bytearray(field.value)
            for at in range(count) if rng.random() < 0.2 and count < 1 << 16 else [rng.randrange(max(1, count))]:
                value = rng.choice(FLOATS) if form in "<f<d" else (number(rng) if form == "<q"
                    else rng.choice([0, 1, -1, 127, 1 << 20]))
                data[at * size:(at + 1) * size] = struct.pack(form, value if form != "<B" else value & 1)
            field.value = bytes(data)
            return True
    return False


def change_tree(rng, root: Message, donors) -> None:
    """One change. donors: trees of other models, from which parts are taken."""
    places = walk(root)
    if not places:
        return
    # Nodes, attributes and dimensions are rarer than tensors' fields in some files: look for each kind as often.
    kind = rng.choice(["Node", "Node", "Attribute", "Attribute", "Tensor", "Dimension", "Value", "Graph", None, None])
    chosen = [(m, k) for m, k in places if kind is None or m.kind == kind] or places
    parent, k = rng.choice(chosen)
    field = parent.fields[k]
    what = rng.randrange(14)
    if parent.kind == "Tensor" and what < 5 and raw_number(rng, parent):
        return
    small = [m for m, j in places if m.kind == "Tensor" and m.fields[j].number == 9 and len(m.fields[j].value) <= 128]
    if small and rng.random() < 0.15 and raw_number(rng, rng.choice(small)):  # shapes, axes, pads
        return
    if field.wire == wire.VARINT and what < 9:
        field.value = number(rng)
    elif field.wire == wire.FIXED32 and what < 9:
        field.value = struct.pack("<f", rng.choice(FLOATS))
    elif isinstance(field.value, bytes) and (parent.kind, field.number) in wire.STRINGS and what < 9:
        if parent.kind == "Node" and field.number == 4:
            field.value = rng.choice(OPERATORS).encode()
        elif parent.kind == "Attribute" and field.number == 1:
            field.value = rng.choice(ATTRIBUTES).encode()
        elif rng.random() < 0.7:
            field.value = rng.choice(strings_of(places))
        else:
            field.value = rng.choice(TEXTS)
    elif what == 9:
        del parent.fields[k]
    elif what == 10:
        parent.fields.insert(rng.randrange(len(parent.fields) + 1), copy.deepcopy(field))
    elif what == 11:
        j = rng.randrange(len(parent.fields))
        parent.fields[k], parent.fields[j] = parent.fields[j], parent.fields[k]
    elif what == 12 and parent.kind in ("Node", "Graph"):
        nodes = [m for m in {id(m): m for m, _ in places if m.kind == "Node"}.values()]
        if nodes:
            value = rng.choice([number(rng), [number(rng) for _ in range(rng.randrange(5))], rng.choice(FLOATS),
                rng.choice(TEXTS)])
            rng.choice(nodes).fields.append(Field(5, wire.BYTES, wire.attribute(rng.choice(ATTRIBUTES), value)))
    elif isinstance(field.value, Message) and donors:
        same = [m.fields[j] for donor in rng.sample(donors, min(3, len(donors))) for m, j in walk(donor)
            if isinstance(m.fields[j].value, Message) and m.fields[j].value.kind == field.value.kind]
        if same:
            given = copy.deepcopy(rng.choice(same))
            if rng.random() < 0.5:
                parent.fields[k] = Field(field.number, wire.BYTES, given.value)
            else:
                parent.fields.insert(k, Field(field.number, wire.BYTES, given.value))
    elif isinstance(field.value, bytes):
        field.value = change_bytes(rng, field.value, 1)
    else:
        field.value = Message(field.value.kind, []) if isinstance(field.value, Message) else number(rng)


def change_model(rng, data: bytes, donors) -> bytes:
    if rng.random() < 0.25:
        return change_bytes(rng, data)
    root = wire.parse(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        change_tree(rng, root, donors)
    return wire.write(root)


def change_png(rng, data: bytes) -> bytes:
    """Chunks whose checksums are right, so that what is in them is looked at."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        size, = struct.unpack_from(">I", data, at)
        chunks.append([data[at + 4:at + 8], data[at + 8:at + 8 + size]])
        at += 12 + size
    for _ in range(rng.choice([1, 1, 2])):
        chunk = rng.choice(chunks)
        what = rng.randrange(6)
        if chunk[0] == b"IDAT" and what < 3:
            try:
                chunk[1] = zlib.compress(change_bytes(rng, zlib.decompress(chunk[1])))
            except zlib.error:
                pass
        elif what < 4 and chunks[0][0] == b"IHDR":
            head = bytearray(chunks[0][1])
            place = rng.randrange(len(head)) if head else 0
            if head:
                head[place] = rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
            chunks[0][1] = bytes(head)
        elif what == 4:
            chunks.insert(rng.randrange(len(chunks) + 1), [rng.choice([b"PLTE", b"tRNS", b"gAMA", b"iCCP", b"zTXt", b"eXIf",
                b"sBIT", b"acTL", b"xxxx", b"IDAT", b"IEND"]), bytes(rng.randrange(256)
                for _ in range(rng.choice([0, 1, 3, 6, 30])))])
        else:
            chunk[1] = change_bytes(rng, chunk[1])
    return data[:8] + b"".join(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name,
        body in chunks)
