"""Hostile models: sizes that wrap or are zero, bombs, what is missing or in circles, names, external data, very many nodes."""

import os
import pathlib
import struct

import numpy as np

from . import pictures
from .case import ANY, BROKEN, FINE, REFUSED, Case, hole
from .wire import BOOL, FLOAT, INT64, Field, Message, attribute, message, model, node, tensor, value, varint, write

TOP = (1 << 63) - 1
LOW = -(1 << 63)
IN4 = {"in4.npy": pictures.npy(np.linspace(-1, 1, 256, dtype=np.float32).reshape(1, 4, 8, 8))}
COMMANDS = {
    "inspect": ["inspect", "m.onnx"],
    "json": ["inspect", "m.onnx", "--json"],
    "run": ["run", "m.onnx", "in4.npy", "--json"],
    "named": ["run", "m.onnx", "--input", "x=in4.npy", "--output-dir", "o"],
    "explain": ["explain", "m.onnx", "in4.npy", "--recipe", "lrp_epsilon_plus"],
    "gradient": ["explain", "m.onnx", "in4.npy", "--recipe", "gradient", "--json"],
}
FLAT = node("Flatten", "t", "y")


def f32(*values):
    return np.array(values, np.float32)


def i64(*values):
    return np.array(values, np.int64)


def chain(*nodes):
    """Nodes, the last of which gives t, and what makes t the output."""
    return [*nodes, FLAT]


def cases_of(name, data, codes=REFUSED, how=("inspect", "run"), **more):
    # What is too large or empty may be found when it is compiled: inspect need not refuse what run does.
    return [Case(f"{name}/{h}", [*COMMANDS[h]], {"m.onnx": data, **IN4, **more.get("files", {})}, ANY if h in ("inspect", "json") and codes == REFUSED else codes, more.get("words", ""),
                 prepare=more.get("prepare"), check=more.get("check"), makes=("o",) if h == "named" else (), quiet_ok=h == "named") for h in how]


def one(op, codes=REFUSED, consts=(), opset=13, how=("inspect", "run"), **attributes):
    """x and constants through one operator."""
    initializers = [c if isinstance(c, Message) else tensor(f"c{k}", c) for k, c in enumerate(consts)]
    inputs = " ".join(["x", *(f"c{k}" for k in range(len(consts)))])
    label = op + "".join(f"_{k}={v}" for k, v in attributes.items())[:60] + "".join(
        "_" + ("x".join(map(str, c.shape)) + "of" + ",".join(f"{v:g}" for v in c.ravel()[:4]) if isinstance(c, np.ndarray) else "raw") for c in consts)[:60]
    return cases_of(f"one/{label}", model(chain(node(op, inputs, "t", **attributes)), initializers, opset=opset), codes, how)


def zero_elements():
    empty = np.zeros
    yield from cases_of("zero/scalar_input", model([node("Relu", "x", "y")], inputs=[value("x", [])]), REFUSED)
    yield from cases_of("zero/scalar_input_json", model([node("Relu", "x", "y")], inputs=[value("x", [])]), REFUSED, ("json", "explain", "named"))
    for dims in ([1, 0, 8, 8], [0, 4, 8, 8], [1, 4, 0, 8], [0], ["n", 0], [1, -1, 8, 8], [1, LOW, 8, 8], [TOP, TOP], [1 << 31, 1 << 31],
                 [1, 1 << 32, 1 << 32], [1 << 16] * 4, [1] * 70, [1, None, 8, 8], [1, 1 << 62]):
        yield from cases_of(f"zero/input_{'x'.join(map(str, dims))[:40]}", model([node("Flatten", "x", "y")], inputs=[value("x", dims)]), ANY, ("inspect", "run", "gradient"))
    yield from cases_of("zero/no_shape", model([node("Relu", "x", "y")], inputs=[value("x")]), ANY)
    for type in (0, 2, INT64, 8, BOOL, 10, 14, 16, 99):
        yield from cases_of(f"zero/input_type_{type}", model(chain(node("Relu", "x", "t")), inputs=[value("x", [1, 4], type)]), ANY)
    for op, shape in [("Conv", (0, 4, 3, 3)), ("Conv", (4, 0, 3, 3)), ("Conv", (4, 4, 0, 3)), ("Conv", (4, 4, 0, 0)), ("Conv", (0,)), ("Conv", ()),
                      ("ConvTranspose", (4, 0, 3, 3)), ("ConvTranspose", (0, 4, 3, 3)), ("ConvTranspose", (4, 4, 0, 0)), ("PRelu", (0,)),
                      ("MatMul", (8, 0)), ("MatMul", (0, 8)), ("MatMul", (0,)), ("MatMul", ()), ("Add", (0,)), ("Mul", (1, 0, 8, 8)), ("Max", (0,)), ("Pow", (0,))]:
        yield from one(op, REFUSED, [empty(shape, np.float32)])
    yield from one("Clip", ANY, [empty(0, np.float32), empty(0, np.float32)])
    yield from one("Clip", ANY, [f32(1, 2), f32(3, 4)])
    yield from one("Clip", ANY, [f32(np.nan).reshape(()), f32(1).reshape(())])
    yield from one("BatchNormalization", BROKEN, [empty(0, np.float32)] * 4)
    yield from one("BatchNormalization", BROKEN, [empty((), np.float32)] * 4)
    yield from one("InstanceNormalization", BROKEN, [empty(0, np.float32)] * 2)
    yield from one("LayerNormalization", BROKEN, [empty(0, np.float32)], 17)
    for shape in ((256, 0), (0, 3), (0, 0), (0,), ()):
        yield from cases_of(f"zero/gemm_{shape}", model([node("Flatten", "x", "f"), node("Gemm", "f w", "y")], [tensor("w", empty(shape, np.float32))]), REFUSED)
    yield from cases_of("zero/gemm_bias", model([node("Flatten", "x", "f"), node("Gemm", "f w b", "y")], [tensor("w", np.ones((256, 3), np.float32)), tensor("b", empty(0, np.float32))]), BROKEN)
    yield from cases_of("zero/split_no_outputs", model([node("Split", "x", [], axis=1), node("Identity", "x", "t"), FLAT]), ANY)
    yield from cases_of("zero/split_empty_name", model([node("Split", "x", [""], axis=1), node("Identity", "x", "t"), FLAT]), ANY)
    yield from cases_of("zero/split_part", model([node("Split", "x s", "a t", axis=1), FLAT], [tensor("s", i64(4, 0))]), ANY)
    yield from cases_of("zero/split_wrap", model([node("Split", "x s", "t b c", axis=1), FLAT], [tensor("s", i64(TOP, TOP, 6))]), BROKEN)
    yield from cases_of("zero/split_num", model([node("Split", "x", "t b", axis=1, num_outputs=0), FLAT], opset=18), ANY)
    for opset in (11, 13):
        for op in ("Softmax", "LogSoftmax", "Hardmax"):
            yield from cases_of(f"zero/{op}_{opset}", model(chain(node(op, "c", "k", axis=1), node("Add", "x k", "t")), [tensor("c", empty((0, 3), np.float32))], opset=opset), REFUSED)
    for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceProd", "ReduceL2", "ArgMax", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Flatten", "Concat", "Softmax",
               "LpNormalization", "TopK", "NonZero", "CumSum", "Transpose", "Shape"):
        attributes = {"kernel_shape": [1, 1]} if op == "MaxPool" else {"axis": 1} if op in ("Concat", "Softmax") else {}
        yield from cases_of(f"zero/const_{op}", model(chain(node(op, "c", "k", **attributes), node("Add", "x k", "t")), [tensor("c", empty((1, 0, 2, 2), np.float32))]), ANY)
    yield from cases_of("zero/concat_with_empty", model(chain(node("Concat", "x c", "t", axis=1)), [tensor("c", empty((1, 0, 8, 8), np.float32))]), ANY)
    yield from cases_of("zero/slice", model(chain(node("Slice", "x a b", "t")), [tensor("a", i64(3)), tensor("b", i64(3))]), REFUSED)
    yield from one("Reshape", REFUSED, [i64(1, 0, -1)], 14, allowzero=1)
    yield from one("Reshape", BROKEN, [i64(-1, -1)])
    yield from one("Reshape", BROKEN, [i64(1 << 32, 1 << 32, -1)])
    yield from one("Reshape", BROKEN, [i64(1 << 62, 4, 256)])
    yield from one("Reshape", BROKEN, [i64(LOW, 1)])
    yield from one("Gather", REFUSED, [empty(0, np.int64)], axis=1)


def wrapped_sizes():
    for shape in ((1 << 40,) * 4, (TOP, 1, 1, 1), (1, 4, 8, -8), (0, 4, 8, 8), (1, 4, LOW, 8)):
        yield from one("Expand", REFUSED, [i64(*shape)])
        yield from one("Tile", REFUSED, [i64(*shape)])
        yield from cases_of(f"wrap/constant_of_shape_{shape[0]}_{shape[3]}", model(chain(node("ConstantOfShape", "s", "k"), node("Add", "x k", "t")), [tensor("s", i64(*shape))]), REFUSED)
    for pads in ((0, 0, TOP, 0, 0, 0, TOP, 0), (0, 0, TOP, TOP, 0, 0, 2, 2), (0, 0, LOW, 0, 0, 0, TOP, 0), (0, 0, -8, 0, 0, 0, 0, 0), (0, 0, -9, 0, 0, 0, -9, 0), (0, 0, 1 << 32, 0, 0, 0, 1 << 32, 0), (TOP,) * 8, (1, 2), ()):
        yield from one("Pad", ANY if pads in ((1, 2), ()) else REFUSED, [i64(*pads)])
    for mode in ("reflect", "edge", "wrap"):
        yield from one("Pad", REFUSED, [i64(0, 0, 1 << 40, 0, 0, 0, 1 << 40, 0)], mode=mode)
    for size in (0, -1, 3, 1 << 16, 1 << 31, 1 << 32, TOP, LOW):
        yield from one("DepthToSpace", BROKEN, blocksize=size)
        yield from one("SpaceToDepth", BROKEN, blocksize=size)
    weights = tensor("c0", np.ones((4, 4, 3, 3), np.float32))
    for key, bad in [("strides", [0, 0]), ("strides", [-1, 1]), ("strides", [TOP, TOP]), ("strides", []), ("dilations", [0, 0]), ("dilations", [TOP, TOP]), ("dilations", [1 << 62, 1]),
                     ("dilations", [-1, -1]), ("pads", [TOP, TOP, TOP, TOP]), ("pads", [-9, -9, -9, -9]), ("pads", [1 << 62] * 4), ("pads", [LOW] * 4), ("pads", [0]), ("group", 0), ("group", -1), ("group", TOP),
                     ("group", 3), ("kernel_shape", [0, 0]), ("kernel_shape", [1 << 31, 1 << 31]), ("kernel_shape", [3]), ("auto_pad", "NONSENSE"), ("auto_pad", "SAME_UPPER\x1b[31m")]:
        for op in ("Conv", "ConvTranspose"):
            yield from one(op, ANY, [weights], **{key: bad})
    yield from one("ConvTranspose", ANY, [weights], output_padding=[TOP, TOP])
    yield from one("ConvTranspose", ANY, [weights], output_shape=[TOP, TOP])
    yield from one("ConvTranspose", REFUSED, [weights], strides=[1 << 20, 1 << 20])
    for op in ("MaxPool", "AveragePool", "LpPool"):
        for kernel, more in [([0, 0], {}), ([-1, 2], {}), ([TOP, TOP], {}), ([1 << 32, 1 << 32], {"pads": [1 << 31] * 4}), ([9, 9], {}), ([2, 2], {"strides": [0, 0]}), ([2, 2], {"pads": [TOP] * 4}),
                             ([2, 2], {"pads": [1 << 20] * 4}), ([2, 2], {"dilations": [TOP, TOP]}), ([2], {}), ([], {}), ([2, 2], {"ceil_mode": 7}), ([2, 2], {"strides": [TOP, TOP], "ceil_mode": 1})]:
            yield from one(op, ANY, how=("run",), kernel_shape=kernel, **more)
    for size in (0, -3, TOP, 2):
        yield from one("LRN", ANY, size=size)
    for axis in (TOP, LOW, 4, -5, 100):
        for op in ("Softmax", "Concat", *(["Flatten"] if axis != 4 else []), "LogSoftmax", "ArgMax", "LayerNormalization", "Split"):
            yield from one(op, BROKEN, how=("inspect",), opset=17, axis=axis, consts=[np.ones(8, np.float32)] if op == "LayerNormalization" else ())
        yield from one("Unsqueeze", BROKEN, [i64(axis + 1 if axis == 4 else axis - 1 if axis == -5 else axis)], how=("inspect",))
        yield from one("Squeeze", BROKEN, [i64(axis)], how=("inspect",))
        yield from one("Gather", BROKEN, [i64(0)], how=("inspect",), axis=axis)
        yield from one("ReduceMean", BROKEN, how=("inspect",), axes=[axis])
        yield from one("CumSum", BROKEN, [i64(axis).reshape(())], how=("inspect",))
    for index in (4, -5, TOP, LOW):
        yield from one("Gather", BROKEN, [i64(index)], axis=1)
    for perm in ([0, 0, 1, 1], [0, 1, 2], [TOP, 0, 1, 2], [-1, 0, 1, 2], [0, 1, 2, 3, 4], []):
        yield from one("Transpose", ANY, perm=perm)
    for starts, ends, axes, steps in [((LOW,), (TOP,), (2,), (LOW,)), ((0,), (8,), (2,), (0,)), ((TOP,), (LOW,), (2,), (-1,)), ((0,), (8,), (LOW,), (1,)), ((0, 0), (8, 8), (2, 2), (1, 1)), ((0,), (8, 8), (2,), (1,)), ((0,), (TOP,), (3,), (TOP,))]:
        yield from one("Slice", ANY, [i64(*starts), i64(*ends), i64(*axes), i64(*steps)])
    for scales in ((1, 1, 0, 0), (1, 1, np.nan, 1), (1, 1, np.inf, 1), (1, 1, -2, 2), (1, 1, 1e-30, 1), (1, 1, 1e18, 1e18), (1, 1, 2), ()):
        yield from one("Resize", ANY if scales == () else REFUSED, [np.zeros(0, np.float32), f32(*scales)], mode="nearest")
        yield from one("Upsample", ANY if scales == () else REFUSED, [f32(*scales)], 9, mode="nearest")
    for sizes in ((1, 4, 0, 0), (1, 4, TOP, TOP), (1, 4, -1, 8), (1, 4, 1 << 31, 1 << 31)):
        yield from one("Resize", REFUSED, [np.zeros(0, np.float32), np.zeros(0, np.float32), i64(*sizes)], mode="linear")
    for a, b, c in [(0, 1 << 60, 1), (0, TOP, 1), (LOW, TOP, 1), (0, 10, 0), (0, 10, -1), (0, 1 << 33, 1)]:
        yield from cases_of(f"wrap/range_{a}_{b}_{c}", model(chain(node("Range", "a b c", "r"), node("Cast", "r", "k", to=1), node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                               [tensor(n, i64(v).reshape(())) for n, v in zip("abc", (a, b, c))]), ANY if (b, c) == (10, -1) else REFUSED)
    for depth in (0, -1, TOP, 1 << 40):
        yield from cases_of(f"wrap/one_hot_{depth}", model(chain(node("OneHot", "i d v", "k"), node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                             [tensor("i", i64(0, 1)), tensor("d", i64(depth)), tensor("v", f32(0, 1))]), REFUSED)
    for groups in (0, -1, 3, TOP):
        yield from one("GroupNormalization", BROKEN, [np.ones(4, np.float32)] * 2, 21, num_groups=groups)
    yield from one("Einsum", ANY, equation="ij" * 5000 + "->" + "i" * 5000)
    yield from one("Shape", ANY, start=TOP, end=LOW, opset=15)
    yield from one("Cast", ANY, to=TOP)
    yield from one("Trilu", ANY, [i64(TOP).reshape(())], 14)
    yield from one("EyeLike", ANY, k=TOP)


def bombs():
    ones = tensor("c", np.ones((1, 1), np.float32))

    def constant(op, initializers, **attributes):
        inputs = " ".join(write_name for write_name in (t.all(8)[0].decode() for t in initializers))
        return model(chain(node(op, inputs, "k", **attributes), node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")), initializers)

    for side in (30_000, 60_000, 1 << 20):
        yield from cases_of(f"bomb/tile_{side}", constant("Tile", [ones, tensor("p", i64(side, side))]), ANY)
        yield from cases_of(f"bomb/expand_{side}", constant("Expand", [ones, tensor("p", i64(side, side))]), ANY)
        yield from cases_of(f"bomb/constant_of_shape_{side}", constant("ConstantOfShape", [tensor("p", i64(side, side))]), ANY)
    yield from cases_of("bomb/range", constant("Range", [tensor("a", i64(0).reshape(())), tensor("b", i64(3 << 30).reshape(())), tensor("d", i64(1).reshape(()))]), ANY)
    for side in (20_000, 1 << 17):
        yield from cases_of(f"bomb/outer_add_{side}", model(chain(node("Add", "a b", "k"), node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                             [tensor("a", np.ones((side, 1), np.float32)), tensor("b", np.ones((1, side), np.float32))]), ANY if side == 20_000 else ANY)
        yield from cases_of(f"bomb/outer_product_{side}", model(chain(node("MatMul", "a b", "k"), node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                                 [tensor("a", np.ones((side, 1), np.float32)), tensor("b", np.ones((1, side), np.float32))]), ANY if side == 20_000 else ANY)
    yield from one("Tile", ANY, [i64(1, 1, 5000, 5000)])
    yield from one("Expand", ANY, [i64(1 << 20, 4, 8, 8)])
    yield from one("Pad", ANY, [i64(0, 0, 20_000, 20_000, 0, 0, 20_000, 20_000)])
    yield from one("Resize", ANY, [np.zeros(0, np.float32), f32(1, 1, 5000, 5000)], mode="nearest")
    yield from one("Resize", ANY, [np.zeros(0, np.float32), f32(1, 1, 5000, 5000)], mode="linear")
    yield from one("Upsample", ANY, [f32(1, 1, 5000, 5000)], 9, mode="nearest")
    yield from one("Conv", ANY, [np.ones((4, 4, 1, 1), np.float32)], pads=[20_000] * 4)
    yield from one("Conv", ANY, [np.ones((4, 4, 3, 3), np.float32)], pads=[1 << 20] * 4, dilations=[1 << 20] * 2)
    yield from one("MaxPool", ANY, how=("run",), kernel_shape=[20_001, 20_001], pads=[20_000] * 4)
    yield from one("AveragePool", ANY, how=("run",), kernel_shape=[2001, 2001], pads=[2000] * 4, count_include_pad=1)
    doubling = [node("Concat", f"v{k} v{k}" if k else "x x", f"v{k + 1}", axis=2) for k in range(40)]
    yield from cases_of("bomb/concat_doubles", model([*doubling, node("Flatten", "v40", "y")]), ANY)
    paths = [node("Add", f"v{k} v{k}" if k else "x x", f"v{k + 1}") for k in range(60)]
    yield from cases_of("bomb/paths", model([*paths, node("Flatten", "v60", "y")]), ANY, ("inspect", "run", "explain"))
    layers = [n for k in range(60) for n in (node("Relu", f"r{k}" if k else "x", f"a{k}"), node("Sigmoid", f"r{k}" if k else "x", f"b{k}"), node("Add", f"a{k} b{k}", f"r{k + 1}"))]
    yield from cases_of("bomb/diamonds", model([*layers, node("Flatten", "r60", "y")]), ANY, ("run", "explain"))
    constants = [node("Concat", f"v{k} v{k}" if k else "c c", f"v{k + 1}", axis=0) for k in range(45)]
    yield from cases_of("bomb/constants_double", model([*constants, node("ReduceSum", "v45", "s", keepdims=0), *chain(node("Add", "x s", "t"))], [ones]), ANY)
    yield from cases_of("bomb/gather", model(chain(node("Gather", "c i", "k", axis=1), node("Gather", "k i", "k2", axis=1), node("ReduceSum", "k2", "s", keepdims=0), node("Add", "x s", "t")),
                                             [tensor("c", np.ones((1000, 1), np.float32)), tensor("i", np.zeros(3000, np.int64))]), ANY)


def functions_and_graphs():
    def function(name, nodes, inputs=("a",), outputs=("b",)):
        return message("Function", (1, name), (4, list(inputs)), (5, list(outputs)), (7, list(nodes)), (9, message("Opset", (1, ""), (2, 13))), (10, "f"))

    call = node("F0", "x", "t", domain="f")
    domain = [message("Opset", (1, "f"), (2, 1))]
    yield from cases_of("call/itself", model(chain(call), functions=[function("F0", [node("F0", "a", "b", domain="f")])], opsets=domain), REFUSED)
    yield from cases_of("call/each_other", model(chain(call), functions=[function("F0", [node("F1", "a", "b", domain="f")]), function("F1", [node("F0", "a", "b", domain="f")])], opsets=domain), REFUSED)
    laughs = [function(f"F{k}", [node(f"F{k + 1}", "a", "m", domain="f"), node(f"F{k + 1}", "m", "b", domain="f")]) for k in range(40)]
    yield from cases_of("call/laughs", model(chain(call), functions=[*laughs, function("F40", [node("Relu", "a", "b")])], opsets=domain), REFUSED)
    yield from cases_of("call/missing", model(chain(call), opsets=domain), REFUSED)
    yield from cases_of("call/deep_if", deep_model(5000), REFUSED)
    yield from cases_of("call/if", model(chain(message("Node", (1, "c"), (2, "t"), (4, "If"), (5, [attribute("then_branch", message("Graph", (1, node("Relu", "x", "t")), (12, value("t"))))]))),
                                         [tensor("c", np.array(True))]), ANY)
    body = message("Graph", (1, [node("Relu", "v", "w")]), (11, [value("i", [], INT64), value("c", [], BOOL), value("v")]), (12, [value("c"), value("w")]))
    yield from cases_of("call/loop", model(chain(message("Node", (1, ["m", "", "x"]), (2, "t"), (4, "Loop"), (5, attribute("body", body)))), [tensor("m", i64(TOP).reshape(()))]), REFUSED)
    yield from cases_of("circle/self", model([node("Add", "x t", "t"), FLAT]), BROKEN)
    yield from cases_of("circle/two", model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Flatten", "b", "y")]), BROKEN)
    yield from cases_of("circle/twice", model([node("Relu", "x", "t"), node("Sigmoid", "x", "t"), FLAT]), BROKEN)
    yield from cases_of("circle/input_made", model([node("Relu", "x", "x"), node("Flatten", "x", "y")]), BROKEN)
    yield from cases_of("missing/input", model([node("Relu", "nowhere", "t"), FLAT]), BROKEN)
    yield from cases_of("missing/empty_input", model([node("Relu", [""], "t"), FLAT]), BROKEN)
    yield from cases_of("missing/no_input", model([node("Relu", [], "t"), FLAT]), BROKEN)
    yield from cases_of("missing/no_output", model([node("Relu", "x", []), node("Flatten", "x", "y")]), ANY)
    yield from cases_of("missing/graph_output", model([node("Relu", "x", "t")], outputs=[value("y")]), BROKEN)
    yield from cases_of("missing/all_outputs", model([node("Relu", "x", "y")], outputs=[]), BROKEN)
    yield from cases_of("missing/all_inputs", model([node("Relu", "c", "y")], [tensor("c", f32(1, 2))], inputs=[]), REFUSED)
    yield from cases_of("missing/nodes", model([], outputs=[value("x")]), ANY)
    yield from cases_of("missing/output_is_constant", model([node("Relu", "x", "t")], [tensor("y", f32(1, 2))]), REFUSED)
    yield from cases_of("missing/op_type", model([node("", "x", "t"), FLAT]), REFUSED)
    yield from cases_of("missing/graph", write(message("Model", (1, 8))), BROKEN)
    yield from cases_of("missing/opset", write(message("Model", (1, 8), (7, message("Graph", (1, [node("Flatten", "x", "y")]), (11, value("x", [1, 4, 8, 8])), (12, value("y")))))), ANY)
    for opset in (0, -1, 1, 5, 99, TOP):
        yield from cases_of(f"opset/{opset}", model(chain(node("Relu", "x", "t")), opset=opset), ANY, ("inspect",))
    for op in ("Constant", "ConstantOfShape", "Cast", "Conv", "Gemm", "Concat", "Pad", "Slice", "Resize", "Gather", "Reshape", "BatchNormalization", "Transpose", "Tile", "OneHot", "Split", "Where", "Clip",
               "LSTM", "Einsum", "Attention", "Expand", "Range", "TopK", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "MaxUnpool", "RoiAlign", "NonMaxSuppression", "If", "Loop", "Scan"):
        yield from cases_of(f"bare/{op}", model(chain(node(op, "x", "t"))), ANY, ("inspect",))
        yield from cases_of(f"bare/{op}_none", model(chain(node(op, [], "t"))), ANY, ("inspect",))
        yield from cases_of(f"bare/{op}_many", model(chain(node(op, ["x"] * 20, "t"))), ANY, ("inspect",))
    for key in ("value", "sparse_value", "value_string", "value_strings", "value_ints", "value_floats"):
        for v in (1, "s", 1.5, [1, 2], tensor("", dims=[1 << 40], type=FLOAT, raw=b""), tensor("", dims=[2], type=8, raw=b"")):
            yield from cases_of(f"constant/{key}_{type(v).__name__}_{len(write(v)) if isinstance(v, Message) else 0}", model(chain(node("Constant", [], "k", **{key: v}), node("Add", "x k", "t"))), ANY, ("inspect",))


def deep_model(depth):
    """If within If, written from the inside, since a tree of that depth could not be walked."""
    graph = write(message("Graph", (1, node("Identity", "x", "t")), (12, value("t"))))
    for _ in range(depth):
        graph = write(message("Graph", (1, write(message("Node", (1, "c"), (2, "t"), (4, "If"), (5, write(message("Attribute", (1, "then_branch"), (6, graph), (20, 5))))))), (12, value("t"))))
    return write(message("Model", (1, 8), (7, graph), (8, message("Opset", (1, ""), (2, 13)))))


def tensors_and_bytes():
    def conv(*args, **more):
        return model(chain(node("Conv", "x w", "t")), [tensor("w", *args, **more)])

    for dims, raw in [([4, 4, 3, 3], b""), ([4, 4, 3, 3], bytes(575)), ([4, 4, 3, 3], bytes(580)), ([1 << 32, 1 << 32, 3, 3], bytes(576)), ([1 << 62, 4, 1, 1], b""), ([-4, -4, 3, 3], bytes(576)), ([TOP, 4, 3, 3], b""),
                      ([1 << 30, 1 << 30, 1, 1], bytes(16)), ([1] * 5000, bytes(4))]:
        yield from cases_of(f"tensor/dims_{'x'.join(map(str, dims))[:50]}_{len(raw)}", conv(dims=dims, type=FLOAT, raw=raw), BROKEN)
    for type in (0, 8, 14, 15, 16, 17, 22, 99, -1):
        yield from cases_of(f"tensor/type_{type}", conv(dims=[4, 4, 3, 3], type=type, raw=bytes(576)), ANY)
    strange = message("Tensor", (1, [4, 4, 3, 3]), (2, FLOAT), (4, bytes(8)), (8, "w"))
    yield from cases_of("tensor/few_floats", model(chain(node("Conv", "x w", "t")), [strange]), BROKEN)
    both = message("Tensor", (1, [4, 4, 3, 3]), (2, FLOAT), (4, bytes(576)), (8, "w"), (9, bytes(576)))
    yield from cases_of("tensor/both", model(chain(node("Conv", "x w", "t")), [both]), ANY)
    for name, w in [("nan", np.nan), ("inf", np.inf), ("huge", 3e38)]:
        data = model(chain(node("Conv", "x w", "t")), [tensor("w", np.full((4, 4, 3, 3), w, np.float32))])
        yield from cases_of(f"tensor/weights_{name}", data, REFUSED, ("run", "explain", "gradient"))
    valid = model(chain(node("Relu", "x", "t")))
    yield from cases_of("bytes/empty", b"", BROKEN)
    yield from cases_of("bytes/text", b"<html>not found</html>\n" * 9, BROKEN)
    yield from cases_of("bytes/zeros", bytes(4096), BROKEN)
    yield from cases_of("bytes/ones", b"\xff" * 4096, BROKEN)
    yield from cases_of("bytes/half", valid[:len(valid) // 2], BROKEN)
    yield from cases_of("bytes/length", b"\x3a" + varint(1 << 40) + valid, BROKEN)
    yield from cases_of("bytes/appended", valid + b"\xff\xff\xff", BROKEN)
    yield from cases_of("bytes/twice", valid + valid, ANY)
    yield from cases_of("bytes/groups", b"\x0b" * 100_000, BROKEN)
    yield from cases_of("bytes/nested", b"".join(b"\x3a" + varint(1 << 20) for _ in range(100)), BROKEN)
    bare = {"m.onnx": b""}

    def instead(make):
        def prepare(folder):
            (folder / "m.onnx").unlink()
            make(folder / "m.onnx")
        return prepare

    for name, make in [("folder", pathlib.Path.mkdir), ("pipe", os.mkfifo), ("zero", lambda p: p.symlink_to("/dev/zero")), ("null", lambda p: p.symlink_to("/dev/null")),
                       ("circle", lambda p: p.symlink_to("m.onnx")), ("hole3G", lambda p: hole(p, 3 << 30)), ("hole1G", lambda p: hole(p, 1 << 30)), ("tty", lambda p: p.symlink_to("/dev/tty"))]:
        yield Case(f"file/{name}", ["inspect", "m.onnx"], dict(bare), frozenset({1, 3, 4}), prepare=instead(make))
    yield Case("file/none", ["inspect", "nowhere.onnx"], {}, frozenset({3}))
    yield Case("file/long_name", ["inspect", "n" * 300 + ".onnx"], {}, ANY - {0})
    yield Case("file/very_long_name", ["inspect", "n" * 100_000 + ".onnx"], {}, ANY - {0})
    yield Case("file/control_name", ["inspect", "\x1b[31mred\nnext.onnx"], {}, ANY - {0})
    yield Case("file/not_utf8_name", ["inspect", "\udcff\udcfe.onnx"], {}, ANY - {0})


def external_data():
    dims = [4, 4, 3, 3]

    def conv(entries, location=1, raw=None):
        return model(chain(node("Conv", "x w", "t")), [tensor("w", dims=dims, type=FLOAT, raw=raw, external=entries, location=location)])

    weights = {"w.bin": bytes(576), "deep/secret.bin": bytes(576)}
    for name, entries, codes in [
            ("right", [("location", "w.bin")], FINE), ("missing", [("location", "v.bin")], BROKEN), ("none", [], BROKEN), ("empty", [("location", "")], BROKEN),
            ("up", [("location", "../w.bin")], BROKEN), ("absolute", [("location", "/etc/hostname")], BROKEN), ("dev", [("location", "/dev/zero")], BROKEN), ("inside_up", [("location", "deep/../../x.bin")], BROKEN),
            ("folder", [("location", "deep")], BROKEN), ("nul", [("location", "w.bin\0.txt")], ANY), ("offset", [("location", "w.bin"), ("offset", "8")], BROKEN), ("minus", [("location", "w.bin"), ("offset", "-1")], BROKEN),
            ("huge", [("location", "w.bin"), ("offset", str(TOP)), ("length", str(TOP))], BROKEN), ("wrap", [("location", "w.bin"), ("offset", str((1 << 64) - 4)), ("length", "576")], BROKEN), ("word", [("location", "w.bin"), ("offset", "many")], BROKEN),
            ("short", [("location", "w.bin"), ("length", "4")], BROKEN), ("tail", [("location", "w.bin"), ("offset", "0x")], BROKEN), ("twice", [("location", "w.bin"), ("location", "../w.bin")], BROKEN), ("control", [("location", "\x1b[31m\n.bin")], BROKEN),
            ("itself", [("location", "m.onnx")], ANY), ("long", [("location", "a/" * 50_000)], BROKEN)]:
        yield from cases_of(f"external/{name}", conv(entries), codes, ("inspect", "run") if codes != FINE else ("inspect",), files=weights)
    yield from cases_of("external/link_out", conv([("location", "w.bin")]), BROKEN, ("inspect",), prepare=lambda f: (f / "w.bin").symlink_to("/etc/hostname"))
    yield from cases_of("external/link_folder", conv([("location", "sub/hostname")]), BROKEN, ("inspect",), prepare=lambda f: (f / "sub").symlink_to("/etc"))
    yield from cases_of("external/pipe", conv([("location", "w.bin")]), BROKEN, ("inspect",), prepare=lambda f: os.mkfifo(f / "w.bin"))
    yield from cases_of("external/hole", conv([("location", "w.bin")]), ANY, ("inspect",), prepare=lambda f: hole(f / "w.bin", 1 << 40))
    good = np.ones(dims, np.float32).tobytes()
    # Entries of a tensor that is not external are not looked at: no pipe is waited for, nothing outside is read.
    for name, location in [("pipe", "fifo"), ("up", "../x.bin"), ("absolute", "/dev/zero"), ("null", "/dev/null")]:
        for kind in (None, 0):
            yield from cases_of(f"external/raw_{name}_{kind}", conv([("location", location)], kind, good), ANY, ("inspect", "run"), prepare=lambda f: os.mkfifo(f / "fifo"))
    constant = model(chain(node("Constant", [], "w", value=tensor("", dims=dims, type=FLOAT, external=[("location", "fifo")], location=1)), node("Conv", "x w", "t")))
    yield from cases_of("external/constant_pipe", constant, BROKEN, ("inspect",), prepare=lambda f: os.mkfifo(f / "fifo"))
    constant = model(chain(node("Constant", [], "w", value=tensor("", dims=dims, type=FLOAT, external=[("location", "../../etc/hostname")], location=1)), node("Conv", "x w", "t")))
    yield from cases_of("external/constant_up", constant, BROKEN, ("inspect",))
    yield from stale()


def stale():
    """Weights beside a model are part of what it is: other weights, another ranking."""
    dims = [4, 4, 3, 3]
    rng = np.random.default_rng(1)
    one, two = (rng.normal(size=dims).astype(np.float32).tobytes() for _ in range(2))
    external = tensor("", dims=dims, type=FLOAT, external=[("location", "w.bin")], location=1)
    inside = message("Graph", (1, [node("Constant", [], "w", value=external), node("Conv", "x w", "t")]), (12, [value("t")]))
    kinds = {
        "constant": model(chain(node("Constant", [], "w", value=external), node("Conv", "x w", "t"))),
        "initializer": model(chain(node("Conv", "x w", "t")), [tensor("w", dims=dims, type=FLOAT, external=[("location", "w.bin")], location=1)]),
        "branch": model(chain(message("Node", (1, "c"), (2, "t"), (4, "If"), (5, [attribute("then_branch", inside), attribute("else_branch", inside)]))), [tensor("c", np.array(True))]),
    }
    for name, data in kinds.items():
        def check(folder, outcome):
            said = outcome.stdout.decode().split("----\n")
            return [] if outcome.code != 0 or len(said) != 2 or said[0] != said[1] else ["other weights beside the model give the same answer"]

        yield Case(f"stale/{name}", ["inspect", "m.onnx", "--json"], {"m.onnx": data, "w.bin": one, "w2.bin": two}, ANY, makes=("w.bin",),
                   shell='"$0" "$@" && echo ---- && cp w2.bin w.bin && exec "$0" "$@"', check=check, quiet_ok=True)


def names():
    bad = ["a\r\x1b[31mred\x1b[0m\nnext\tline", "\udcff\udcfe\udcc3", "\x00\x07\x7f", "\u202eright to left\u2028", "n" * 100_000, "%s%n{}{0}", "<script>alert(1)</script>", "\u0085\u009b31m", "\ufeff"]
    for k, name in enumerate(bad):
        yield from cases_of(f"name/node_{k}", model([node("Foo", "x", "t", name=name), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/op_{k}", model([node(name, "x", "t", name="n"), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/domain_{k}", model([node("Relu", "x", "t", domain=name), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/value_{k}", model([node("Add", ["x", name], "t"), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/attribute_{k}", model([node("Relu", "x", "t", **{name: 1}), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/initializer_{k}", model([node("Add", ["x", name], "t"), FLAT], [tensor(name, dims=[3], type=FLOAT, raw=b"")]), BROKEN, ("inspect",))
        yield from cases_of(f"name/fine_{k}", model([node("Conv", "x w", "t", name=name), FLAT], [tensor("w", np.ones((4, 4, 3, 3), np.float32))], name=name, producer=name), ANY, ("inspect", "json", "explain"))
        yield from cases_of(f"name/input_{k}", model([node("Relu", [name], "t"), FLAT], inputs=[value(name, [1, 4, 8, 8])]), ANY, ("inspect", "json", "named"))
        yield from cases_of(f"name/output_{k}", model([node("Flatten", "x", [name])], outputs=[value(name), value("z")]), ANY, ("inspect", "run"))
        yield from cases_of(f"name/dimension_{k}", model([node("Flatten", "x", "y")], inputs=[value("x", [name, 4, name, 8])]), ANY, ("inspect", "run"))
        yield from cases_of(f"name/enum_{k}", model(chain(node("Resize", "x r s", "t", mode=name)), [tensor("r", np.zeros(0, np.float32)), tensor("s", f32(1, 1, 2, 2))]), BROKEN, ("inspect",))
    for k, name in enumerate(["../escaped", "/tmp/heatproof_escaped", "a/b/c", "..", ".", "a\0b", "n" * 300, "\x1b[31m", "CON", "-", "../../../../../../tmp/heatproof_escaped2", "/dev/full"]):
        yield from cases_of(f"name/output_file_{k}", model([node("Flatten", "x", [name])], outputs=[value(name)]), ANY, ("named",),
                            check=lambda f, o: [f"wrote {e}, outside of its folder" for e in ("/tmp/heatproof_escaped.npy", "/tmp/heatproof_escaped2.npy") if pathlib.Path(e).exists()])
    many = [node(f"Foo{k}", f"v{k}" if k else "x", f"v{k + 1}", name=f"layer/{k}/with/a/long/name") for k in range(3000)]
    yield from cases_of("name/many_unsupported", model([*many, node("Flatten", "v3000", "y")]), BROKEN, ("inspect", "json"))
    same = [node("Foo", f"v{k}" if k else "x", f"v{k + 1}", name=f"layer/{k}") for k in range(20_000)]
    yield from cases_of("name/many_of_one", model([*same, node("Flatten", "v20000", "y")]), BROKEN, ("inspect",))
    yield from cases_of("name/many_inputs", model([node("Flatten", "x0", "y")], inputs=[value(f"x{k}", [1, 4]) for k in range(3000)]), ANY, ("inspect", "run"))
    yield from cases_of("name/many_outputs", model([node("Flatten", "x", f"y{k}") for k in range(3000)], outputs=[value(f"y{k}") for k in range(3000)]), ANY, ("inspect", "run"))
    yield from cases_of("name/many_attributes", model(chain(node("Relu", "x", "t", **{f"a{k}": k for k in range(3000)}))), BROKEN, ("inspect",))


def repeated(op, count, first="x", last="Flatten", more=b""):
    """A chain of so many nodes, written without a tree, since a tree of a million nodes takes a minute."""
    parts = []
    for k in range(count):
        a, b = (b"%x" % k if k else first.encode()), b"%x" % (k + 1)
        if k == 0:
            a = first.encode()
        body = b"\x0a" + bytes([len(a) + (k > 0)]) + (b"v" if k else b"") + a + more + b"\x12" + bytes([len(b) + 1]) + b"v" + b + b"\x22" + bytes([len(op)]) + op.encode()
        parts.append(b"\x0a" + varint(len(body)) + body)
    tail = write(message("Graph", (1, node(last, f"v{count:x}", "y")), (11, value("x", [1, 4, 8, 8])), (12, value("y"))))
    graph = b"".join(parts) + tail
    return write(message("Model", (1, 8), (7, graph), (8, message("Opset", (1, ""), (2, 13)))))


def many_nodes():
    """Made when they are needed, since a million nodes take seconds."""
    def case(name, make, how):
        return cases_of(f"many/{name}", make, ANY, how)

    def backwards():
        return model([node("Flatten", "v30000", "y"), *(node("Identity", f"v{k}" if k else "x", f"v{k + 1}") for k in range(30_000))][::-1])

    def constants():
        return model([*(node("Add", f"k{k} c" if k else "c c", f"k{k + 1}") for k in range(30_000)), *chain(node("Add", "x k30000", "t"))], [tensor("c", f32(1e-6))])

    yield from case("identity_1000000", lambda: repeated("Identity", 1_000_000), ("inspect",))
    yield from case("relu_200000", lambda: repeated("Relu", 200_000), ("run",))
    yield from case("neg_100000", lambda: repeated("Neg", 100_000), ("inspect", "gradient"))
    yield from case("add_x_50000", lambda: repeated("Add", 50_000, more=b"\x0a\x01x"), ("run",))
    yield from case("sigmoid_3000", lambda: repeated("Sigmoid", 3000), ("explain",))
    yield from case("backwards", backwards, ("inspect",))
    yield from case("concat", lambda: model(chain(node("Concat", ["x"] * 20_000, "t", axis=1))), ("run",))
    yield from case("unused", lambda: model([node("Flatten", "x", "y")], [tensor(f"w{k}", f32(k)) for k in range(50_000)]), ("inspect",))
    yield from case("dead", lambda: model([*(node("Relu", "x", f"r{k}") for k in range(30_000)), node("Flatten", "x", "y")]), ("inspect",))
    yield from case("constants", constants, ("run",))


def all_cases():
    yield from zero_elements()
    yield from wrapped_sizes()
    yield from bombs()
    yield from functions_and_graphs()
    yield from tensors_and_bytes()
    yield from external_data()
    yield from names()
    yield from many_nodes()
