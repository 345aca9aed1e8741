"""Hostile sizes in models: zero, wrapping, and bombs."""

import numpy as np

from . import pictures
from .case import ANY, BROKEN, REFUSED, Case
from .wire import BOOL, INT64, Message, model, node, tensor, value

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
    return [Case(f"{name}/{h}", [*COMMANDS[h]], {"m.onnx": data, **IN4, **more.get("files", {})}, ANY if h in ("inspect", "json")
        and codes == REFUSED else codes, more.get("words", ""),
                 prepare=more.get("prepare"), check=more.get("check"), makes=("o",) if h == "named" else (),
                 quiet_ok=h == "named") for h in how]


def one(op, codes=REFUSED, consts=(), opset=13, how=("run",), **attributes):
    """x and constants through one operator."""
    initializers = [c if isinstance(c, Message) else tensor(f"c{k}", c) for k, c in enumerate(consts)]
    inputs = " ".join(["x", *(f"c{k}" for k in range(len(consts)))])
    label = op + "".join(f"_{k}={v}" for k, v in attributes.items())[:60] + "".join(
        "_" + ("x".join(map(str, c.shape)) + "of" + ",".join(f"{v:g}" for v in c.ravel()[:4]) if isinstance(c, np.ndarray)
        else "raw") for c in consts)[:60]
    return cases_of(f"one/{label}", model(chain(node(op, inputs, "t", **attributes)), initializers, opset=opset), codes, how)


def zero_elements():
    empty = np.zeros
    yield from cases_of("zero/scalar_input", model([node("Relu", "x", "y")], inputs=[value("x", [])]), REFUSED)
    yield from cases_of("zero/scalar_input_json", model([node("Relu", "x", "y")], inputs=[value("x", [])]), REFUSED,
        ("json", "explain", "named"))
    for dims in ([1, 0, 8, 8], [0, 4, 8, 8], [1, 4, 0, 8], [0], ["n", 0], [1, -1, 8, 8], [1, LOW, 8, 8], [TOP, TOP],
            [1 << 31, 1 << 31],
                 [1, 1 << 32, 1 << 32], [1 << 16] * 4, [1] * 70, [1, None, 8, 8], [1, 1 << 62]):
        yield from cases_of(f"zero/input_{'x'.join(map(str, dims))[:40]}",
            model([node("Flatten", "x", "y")], inputs=[value("x", dims)]), ANY, ("inspect", "run", "gradient"))
    yield from cases_of("zero/no_shape", model([node("Relu", "x", "y")], inputs=[value("x")]), ANY)
    for type in (0, 2, INT64, 8, BOOL, 10, 14, 16, 99):
        yield from cases_of(f"zero/input_type_{type}", model(chain(node("Relu", "x", "t")), inputs=[value("x", [1, 4], type)]),
            ANY)
    for op, shape in [("Conv", (0, 4, 3, 3)), ("Conv", (4, 0, 3, 3)), ("Conv", (4, 4, 0, 3)), ("Conv", (4, 4, 0, 0)),
            ("Conv", (0,)), ("Conv", ()),
                      ("ConvTranspose", (4, 0, 3, 3)), ("ConvTranspose", (0, 4, 3, 3)), ("ConvTranspose", (4, 4, 0, 0)),
                      ("PRelu", (0,)),
                      ("MatMul", (8, 0)), ("MatMul", (0, 8)), ("MatMul", (0,)), ("MatMul", ()), ("Add", (0,)),
                      ("Mul", (1, 0, 8, 8)), ("Max", (0,)), ("Pow", (0,))]:
        yield from one(op, REFUSED, [empty(shape, np.float32)])
    yield from one("Clip", ANY, [empty(0, np.float32), empty(0, np.float32)])
    yield from one("Clip", ANY, [f32(1, 2), f32(3, 4)])
    yield from one("Clip", ANY, [f32(np.nan).reshape(()), f32(1).reshape(())])
    yield from one("BatchNormalization", BROKEN, [empty(0, np.float32)] * 4)
    yield from one("BatchNormalization", BROKEN, [empty((), np.float32)] * 4)
    yield from one("InstanceNormalization", BROKEN, [empty(0, np.float32)] * 2)
    yield from one("LayerNormalization", BROKEN, [empty(0, np.float32)], 17)
    for shape in ((256, 0), (0, 3), (0, 0), (0,), ()):
        yield from cases_of(f"zero/gemm_{shape}", model([node("Flatten", "x", "f"), node("Gemm", "f w", "y")],
            [tensor("w", empty(shape, np.float32))]), REFUSED)
    yield from cases_of("zero/gemm_bias", model([node("Flatten", "x", "f"), node("Gemm", "f w b", "y")],
        [tensor("w", np.ones((256, 3), np.float32)), tensor("b", empty(0, np.float32))]), BROKEN)
    yield from cases_of("zero/split_no_outputs", model([node("Split", "x", [], axis=1), node("Identity", "x", "t"), FLAT]), ANY)
    yield from cases_of("zero/split_empty_name", model([node("Split", "x", [""], axis=1), node("Identity", "x", "t"), FLAT]), ANY)
    yield from cases_of("zero/split_part", model([node("Split", "x s", "a t", axis=1), FLAT], [tensor("s", i64(4, 0))]), ANY)
    yield from cases_of("zero/split_wrap", model([node("Split", "x s", "t b c", axis=1), FLAT], [tensor("s", i64(TOP, TOP, 6))]),
        BROKEN)
    yield from cases_of("zero/split_num", model([node("Split", "x", "t b", axis=1, num_outputs=0), FLAT], opset=18), ANY)
    for opset in (11, 13):
        for op in ("Softmax", "LogSoftmax", "Hardmax"):
            yield from cases_of(f"zero/{op}_{opset}", model(chain(node(op, "c", "k", axis=1), node("Add", "x k", "t")),
                [tensor("c", empty((0, 3), np.float32))], opset=opset), REFUSED)
    for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceProd", "ReduceL2", "ArgMax", "MaxPool", "GlobalAveragePool",
            "GlobalMaxPool", "Flatten", "Concat", "Softmax",
               "LpNormalization", "TopK", "NonZero", "CumSum", "Transpose", "Shape"):
        attributes = {"kernel_shape": [1, 1]} if op == "MaxPool" else {"axis": 1} if op in ("Concat", "Softmax") else {}
        yield from cases_of(f"zero/const_{op}", model(chain(node(op, "c", "k", **attributes), node("Add", "x k", "t")),
            [tensor("c", empty((1, 0, 2, 2), np.float32))]), ANY)
    yield from cases_of("zero/concat_with_empty", model(chain(node("Concat", "x c", "t", axis=1)),
        [tensor("c", empty((1, 0, 8, 8), np.float32))]), ANY)
    yield from cases_of("zero/slice", model(chain(node("Slice", "x a b", "t")), [tensor("a", i64(3)), tensor("b", i64(3))]),
        REFUSED)
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
        yield from cases_of(f"wrap/constant_of_shape_{shape[0]}_{shape[3]}",
            model(chain(node("ConstantOfShape", "s", "k"), node("Add", "x k", "t")), [tensor("s", i64(*shape))]), REFUSED)
    for pads in ((0, 0, TOP, 0, 0, 0, TOP, 0), (0, 0, TOP, TOP, 0, 0, 2, 2), (0, 0, LOW, 0, 0, 0, TOP, 0),
            (0, 0, -8, 0, 0, 0, 0, 0), (0, 0, -9, 0, 0, 0, -9, 0), (0, 0, 1 << 32, 0, 0, 0, 1 << 32, 0), (TOP,) * 8, (1, 2), ()):
        yield from one("Pad", ANY if pads in ((1, 2), ()) else REFUSED, [i64(*pads)])
    for mode in ("reflect", "edge", "wrap"):
        yield from one("Pad", REFUSED, [i64(0, 0, 1 << 40, 0, 0, 0, 1 << 40, 0)], mode=mode)
    for size in (0, -1, 3, 1 << 16, 1 << 31, 1 << 32, TOP, LOW):
        yield from one("DepthToSpace", BROKEN, blocksize=size)
        yield from one("SpaceToDepth", BROKEN, blocksize=size)
    weights = tensor("c0", np.ones((4, 4, 3, 3), np.float32))
    for key, bad in [("strides", [0, 0]), ("strides", [-1, 1]), ("strides", [TOP, TOP]), ("strides", []), ("dilations", [0, 0]),
            ("dilations", [TOP, TOP]), ("dilations", [1 << 62, 1]),
                     ("dilations", [-1, -1]), ("pads", [TOP, TOP, TOP, TOP]), ("pads", [-9, -9, -9, -9]), ("pads", [1 << 62] * 4),
                     ("pads", [LOW] * 4), ("pads", [0]), ("group", 0), ("group", -1), ("group", TOP),
                     ("group", 3), ("kernel_shape", [0, 0]), ("kernel_shape", [1 << 31, 1 << 31]), ("kernel_shape", [3]),
                     ("auto_pad", "NONSENSE"), ("auto_pad", "SAME_UPPER\x1b[31m")]:
        for op in ("Conv", "ConvTranspose"):
            yield from one(op, ANY, [weights], **{key: bad})
    yield from one("ConvTranspose", ANY, [weights], output_padding=[TOP, TOP])
    yield from one("ConvTranspose", ANY, [weights], output_shape=[TOP, TOP])
    yield from one("ConvTranspose", REFUSED, [weights], strides=[1 << 20, 1 << 20])
    for op in ("MaxPool", "AveragePool", "LpPool"):
        for kernel, more in [([0, 0], {}), ([-1, 2], {}), ([TOP, TOP], {}), ([1 << 32, 1 << 32], {"pads": [1 << 31] * 4}),
                ([9, 9], {}), ([2, 2], {"strides": [0, 0]}), ([2, 2], {"pads": [TOP] * 4}),
                             ([2, 2], {"pads": [1 << 20] * 4}), ([2, 2], {"dilations": [TOP, TOP]}), ([2], {}), ([], {}),
                             ([2, 2], {"ceil_mode": 7}), ([2, 2], {"strides": [TOP, TOP], "ceil_mode": 1})]:
            yield from one(op, ANY, how=("run",), kernel_shape=kernel, **more)
    for size in (0, -3, TOP, 2):
        yield from one("LRN", ANY, size=size)
    for axis in (TOP, LOW, 4, -5, 100):
        for op in ("Softmax", "Concat", *(["Flatten"] if axis != 4 else []), "LogSoftmax", "ArgMax", "LayerNormalization",
                "Split"):
            yield from one(op, BROKEN, how=("inspect",), opset=17, axis=axis, consts=[np.ones(8, np.float32)]
                if op == "LayerNormalization" else ())
        yield from one("Unsqueeze", BROKEN, [i64(axis + 1 if axis == 4 else axis - 1 if axis == -5 else axis)], how=("inspect",))
        yield from one("Squeeze", BROKEN, [i64(axis)], how=("inspect",))
        yield from one("Gather", BROKEN, [i64(0)], how=("inspect",), axis=axis)
        yield from one("ReduceMean", BROKEN, how=("inspect",), axes=[axis])
        yield from one("CumSum", BROKEN, [i64(axis).reshape(())], how=("inspect",))
    for index in (4, -5, TOP, LOW):
        yield from one("Gather", BROKEN, [i64(index)], axis=1)
    for perm in ([0, 0, 1, 1], [0, 1, 2], [TOP, 0, 1, 2], [-1, 0, 1, 2], [0, 1, 2, 3, 4], []):
        yield from one("Transpose", ANY, perm=perm)
    for starts, ends, axes, steps in [((LOW,), (TOP,), (2,), (LOW,)), ((0,), (8,), (2,), (0,)), ((TOP,), (LOW,), (2,), (-1,)),
            ((0,), (8,), (LOW,), (1,)), ((0, 0), (8, 8), (2, 2), (1, 1)), ((0,), (8, 8), (2,), (1,)),
            ((0,), (TOP,), (3,), (TOP,))]:
        yield from one("Slice", ANY, [i64(*starts), i64(*ends), i64(*axes), i64(*steps)])
    for scales in ((1, 1, 0, 0), (1, 1, np.nan, 1), (1, 1, np.inf, 1), (1, 1, -2, 2), (1, 1, 1e-30, 1), (1, 1, 1e18, 1e18),
            (1, 1, 2), ()):
        yield from one("Resize", ANY if scales == () else REFUSED, [np.zeros(0, np.float32), f32(*scales)], mode="nearest")
        yield from one("Upsample", ANY if scales == () else REFUSED, [f32(*scales)], 9, mode="nearest")
    for sizes in ((1, 4, 0, 0), (1, 4, TOP, TOP), (1, 4, -1, 8), (1, 4, 1 << 31, 1 << 31)):
        yield from one("Resize", REFUSED, [np.zeros(0, np.float32), np.zeros(0, np.float32), i64(*sizes)], mode="linear")
    for a, b, c in [(0, 1 << 60, 1), (0, TOP, 1), (LOW, TOP, 1), (0, 10, 0), (0, 10, -1), (0, 1 << 33, 1)]:
        yield from cases_of(f"wrap/range_{a}_{b}_{c}", model(chain(node("Range", "a b c", "r"), node("Cast", "r", "k", to=1),
            node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                               [tensor(n, i64(v).reshape(())) for n, v in zip("abc", (a, b, c))]),
                                                               ANY if (b, c) == (10, -1) else REFUSED)
    for depth in (0, -1, TOP, 1 << 40):
        yield from cases_of(f"wrap/one_hot_{depth}", model(chain(node("OneHot", "i d v", "k"),
            node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                             [tensor("i", i64(0, 1)), tensor("d", i64(depth)),
                                                             tensor("v", f32(0, 1))]), REFUSED)
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
        return model(chain(node(op, inputs, "k", **attributes), node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
            initializers)

    for side in (30_000, 60_000, 1 << 20):
        yield from cases_of(f"bomb/tile_{side}", constant("Tile", [ones, tensor("p", i64(side, side))]), ANY)
        yield from cases_of(f"bomb/expand_{side}", constant("Expand", [ones, tensor("p", i64(side, side))]), ANY)
        yield from cases_of(f"bomb/constant_of_shape_{side}", constant("ConstantOfShape", [tensor("p", i64(side, side))]), ANY)
    yield from cases_of("bomb/range", constant("Range", [tensor("a", i64(0).reshape(())), tensor("b", i64(3 << 30).reshape(())),
        tensor("d", i64(1).reshape(()))]), ANY)
    for side in (20_000, 1 << 17):
        yield from cases_of(f"bomb/outer_add_{side}", model(chain(node("Add", "a b", "k"),
            node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                             [tensor("a", np.ones((side, 1), np.float32)),
                                                             tensor("b", np.ones((1, side), np.float32))]), ANY if side == 20_000
                                                             else ANY)
        yield from cases_of(f"bomb/outer_product_{side}", model(chain(node("MatMul", "a b", "k"),
            node("ReduceSum", "k", "s", keepdims=0), node("Add", "x s", "t")),
                                                                 [tensor("a", np.ones((side, 1), np.float32)),
                                                                 tensor("b", np.ones((1, side), np.float32))]), ANY
                                                                 if side == 20_000 else ANY)
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
    layers = [n for k in range(60) for n in (node("Relu", f"r{k}" if k else "x", f"a{k}"),
        node("Sigmoid", f"r{k}" if k else "x", f"b{k}"), node("Add", f"a{k} b{k}", f"r{k + 1}"))]
    yield from cases_of("bomb/diamonds", model([*layers, node("Flatten", "r60", "y")]), ANY, ("run", "explain"))
    constants = [node("Concat", f"v{k} v{k}" if k else "c c", f"v{k + 1}", axis=0) for k in range(45)]
    yield from cases_of("bomb/constants_double", model([*constants, node("ReduceSum", "v45", "s", keepdims=0),
        *chain(node("Add", "x s", "t"))], [ones]), ANY)
    yield from cases_of("bomb/gather", model(chain(node("Gather", "c i", "k", axis=1), node("Gather", "k i", "k2", axis=1),
        node("ReduceSum", "k2", "s", keepdims=0), node("Add", "x s", "t")),
                                             [tensor("c", np.ones((1000, 1), np.float32)),
                                             tensor("i", np.zeros(3000, np.int64))]), ANY)


def all_cases():
    yield from zero_elements()
    yield from wrapped_sizes()
    yield from bombs()
