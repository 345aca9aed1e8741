"""Writes imports.npz: small networks as converters and people write them, which importers once refused or computed wrongly.

Each case N has the model's bytes, inputs of several rows, the right logits of every row, and the derivative of each row's
first logit: "N/model", "N/input", "N/output", "N/gradient", from formulas in torch, in double precision, row by row.
"""

import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

LEAST, MOST = -2**63, 2**63 - 1
CASES = {}


def case(shape, rows=3, batch=1, opset=17):
    """Registers a function that gives nodes, constants and the formula of a row."""
    def register(make):
        CASES[make.__name__] = (make, shape, rows, batch, opset)
        return make
    return register


def weights(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tensor(a):
    return torch.tensor(np.asarray(a)).double()


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"{op}_{outputs.split()[0]}", **attributes)


def ints(*values):
    return np.array(values, np.int64)


@case((3,))
def mod_of_integers():
    nodes = [node("Mod", "a b", "m"), node("Cast", "m", "f", to=TensorProto.FLOAT), node("Add", "x f", "y")]
    return nodes, {"a": ints(32, -7, 7), "b": ints(5, 3, -3)}, lambda x: x + tensor([2, 2, -2])


@case((3,))
def fmod_of_integers():
    nodes = [node("Mod", "a b", "m", fmod=1), node("Cast", "m", "f", to=TensorProto.FLOAT), node("Add", "x f", "y")]
    return nodes, {"a": ints(32, -7, 7), "b": ints(5, 3, -3)}, lambda x: x + tensor([2, -1, 1])


@case((3,))
def fmod_of_floats():
    a, b = np.array([5.5, -5.5, 5.5], np.float32), np.array([2, 2, -2], np.float32)
    return [node("Mod", "a b", "m", fmod=1), node("Add", "x m", "y")], {"a": a, "b": b}, lambda x: x + tensor([1.5, -1.5, 1.5])


@case((3,))
def signs_of_integers():
    nodes = [node("Neg", "a", "n"), node("Abs", "n", "b"), node("Sign", "n", "s"), node("Sub", "b s", "d"), node("Cast", "d", "f", to=TensorProto.FLOAT),
             node("Add", "x f", "y")]
    return nodes, {"a": ints(3, -4, 0)}, lambda x: x + tensor([4, 3, 0])


@case((4,))
def nodes_not_sorted():
    w, b = weights(4, 3), weights(3, seed=1)
    nodes = [node("Add", "p b", "y"), node("MatMul", "r w", "p"), node("Relu", "c", "r"), node("Cast", "x", "c", to=TensorProto.FLOAT)]
    return nodes, {"w": w, "b": b}, lambda x: torch.relu(x) @ tensor(w) + tensor(b)


@case((4,))
def flip():
    w = weights(4, 3)
    nodes = [node("Slice", "x s e a t", "f"), node("MatMul", "f w", "y")]
    return nodes, {"w": w, "s": ints(-1), "e": ints(-100), "a": ints(1), "t": ints(-1)}, lambda x: x.flip(0) @ tensor(w)


@case((2, 5, 6), batch=None)
def negative_steps():
    w = weights(12, 3)
    nodes = [node("Slice", "x s e a t", "f"), node("Flatten", "f", "g"), node("MatMul", "g w", "y")]
    constants = {"w": w, "s": ints(MOST, -2), "e": ints(LEAST, 1), "a": ints(2, -1), "t": ints(-2, -2)}
    return nodes, constants, lambda x: x[:, [4, 2, 0]][:, :, [4, 2]].reshape(-1) @ tensor(w)


@case((2, 5, 6), batch=None)
def steps_as_large_as_the_type_allows():
    w = weights(2, 3)
    nodes = [node("Slice", "x s e a t", "f"), node("Flatten", "f", "g"), node("MatMul", "g w", "y")]
    constants = {"w": w, "s": ints(MOST, 2), "e": ints(LEAST, MOST), "a": ints(2, 3), "t": ints(LEAST, MOST)}
    return nodes, constants, lambda x: x[:, 4, 2] @ tensor(w)


@case((2, 5, 6), batch=None)
def reflection_of_slices():
    """Padding by reflection as converters write it, before a convolution."""
    w, v = weights(4, 2, 3, 3), weights(4, 3, seed=1)
    nodes = [node("Slice", "x l0 l1 a l2", "left"), node("Slice", "x r0 r1 a l2", "right"), node("Concat", "left x right", "p", axis=3),
             node("Conv", "p w", "c"), node("Relu", "c", "r"), node("GlobalAveragePool", "r", "m"), node("Flatten", "m", "f"), node("MatMul", "f v", "y")]
    constants = {"w": w, "v": v, "a": ints(3), "l0": ints(2), "l1": ints(0), "l2": ints(-1), "r0": ints(-2), "r1": ints(-4)}

    def right(x):
        p = torch.cat([x[:, :, [2, 1]], x, x[:, :, [4, 3]]], 2)
        return torch.relu(torch.nn.functional.conv2d(p[None], tensor(w)))[0].mean((1, 2)) @ tensor(v)
    return nodes, constants, right


def padded(mode, of_torch):
    w, v = weights(4, 2, 3, 3), weights(4, 3, seed=1)
    nodes = [helper.make_node("Pad", ["x", "p"], ["q"], mode=mode), node("Conv", "q w", "c"), node("Relu", "c", "r"), node("GlobalAveragePool", "r", "m"),
             node("Flatten", "m", "f"), node("MatMul", "f v", "y")]

    def right(x):
        wide = torch.nn.functional.pad(x[None], (3, 1, 0, 2), mode=of_torch)
        return torch.relu(torch.nn.functional.conv2d(wide, tensor(w)))[0].mean((1, 2)) @ tensor(v)
    return nodes, {"w": w, "v": v, "p": ints(0, 0, 0, 3, 0, 0, 2, 1)}, right


@case((2, 5, 6), batch=None)
def pad_reflect():
    return padded("reflect", "reflect")


@case((2, 5, 6), batch=None)
def pad_edge():
    return padded("edge", "replicate")


@case((2, 5, 6), batch=None, opset=19)
def pad_wrap():
    return padded("wrap", "circular")


@case((2, 6), batch=None)
def empty_parts_of_a_shape():
    """As exporters write nn.MultiheadAttention: the rest of a shape, which may be nothing."""
    w = weights(12, 3)
    nodes = [node("Shape", "x", "s"), node("Mod", "two five", "m"), node("Slice", "s zero one", "first"), node("Slice", "s three last", "rest"),
             node("Add", "m ten", "twelve"), node("Concat", "first twelve rest", "t", axis=0), node("Reshape", "x t", "f"), node("MatMul", "f w", "y")]
    constants = {"w": w, "two": ints(2), "five": ints(5), "zero": ints(0), "one": ints(1), "three": ints(3), "last": ints(MOST), "ten": ints(10)}
    return nodes, constants, lambda x: x.reshape(-1) @ tensor(w)


@case((2, 3, 4), batch=None)
def shape_read_backwards():
    """A target shape that is made of an axis list in reverse, as some converters turn pads around."""
    nodes = [node("Constant", "", "k", value=numpy_helper.from_array(ints(24, -1))), node("Slice", "k s e a t", "f"), node("Reshape", "x f", "y")]
    return nodes, {"s": ints(MOST), "e": ints(LEAST), "a": ints(0), "t": ints(-1)}, lambda x: x.reshape(-1)


@case((4,))
def layernorm_statistics():
    g = weights(4)
    nodes = [node("LayerNormalization", "x g", "n mean inverse"), node("Mul", "n inverse", "p"), node("Add", "p mean", "y")]

    def right(x):
        inverse = 1 / torch.sqrt(((x - x.mean())**2).mean() + 1e-5)
        return (x - x.mean()) * inverse * tensor(g) * inverse + x.mean()
    return nodes, {"g": g}, right


@case((4, 3), opset=18)
def log_sum_exp_over_axes():
    nodes = [node("ReduceLogSumExp", "x a", "s", keepdims=1), node("Flatten", "s", "y")]
    return nodes, {"a": ints(1)}, lambda x: torch.logsumexp(x, 0)


@case((3,))
def where_infinite():
    w = weights(3, 2)
    nodes = [node("Where", "m x low", "s"), node("Softmax", "s", "p", axis=-1), node("MatMul", "p w", "y")]
    constants = {"m": np.array([[True, True, False]]), "low": np.array(-np.inf, np.float32), "w": w}
    return nodes, constants, lambda x: torch.softmax(x[:2], 0) @ tensor(w)[:2]


@case((4, 3), batch=None)
def masked_attention():
    """Every position sees itself and those before it."""
    w, v = weights(3, 3), weights(12, 2, seed=1)
    nodes = [node("MatMul", "x w", "q"), node("Transpose", "q", "k", perm=[0, 2, 1]), node("MatMul", "q k", "s"), node("Where", "m low s", "t"),
             node("Softmax", "t", "p", axis=-1), node("MatMul", "p q", "o"), node("Flatten", "o", "f"), node("MatMul", "f v", "y")]
    constants = {"w": w, "v": v, "low": np.array(-np.inf, np.float32), "m": np.triu(np.ones((1, 4, 4), bool), 1)}

    def right(x):
        q = x @ tensor(w)
        rows = [torch.softmax(q[i] @ q[:i + 1].T, 0) @ q[:i + 1] for i in range(4)]
        return torch.cat(rows) @ tensor(v)
    return nodes, constants, right


@case((3,))
def root_of_relu():
    w = np.array([[1, 2], [3, 4], [5, 6]], np.float32)

    def right(x):  # torch's own derivative at 0 is infinity times zero
        return torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1)), 0) @ tensor(w)
    return [node("Relu", "x", "r"), node("Sqrt", "r", "s"), node("MatMul", "s w", "y")], {"w": w}, right


@case((6, 4), rows=17)
def heads_beside_the_batch():
    """Time first: a Reshape puts the two heads into the axis of the batch, which is 1. So many rows that they are computed together."""
    w, v = weights(4, 4), weights(24, 3, seed=1)
    nodes = [node("MatMul", "x w", "q"), node("Transpose", "q", "t", perm=[1, 0, 2]), node("Reshape", "t h", "s"), node("Transpose", "s", "a", perm=[1, 0, 2]),
             node("Transpose", "s", "b", perm=[1, 2, 0]), node("MatMul", "a b", "c"), node("Softmax", "c", "p", axis=-1), node("MatMul", "p a", "o"),
             node("Transpose", "o", "u", perm=[1, 0, 2]), node("Reshape", "u back", "z"), node("Transpose", "z", "k", perm=[1, 0, 2]), node("Reshape", "k flat", "f"),
             node("MatMul", "f v", "y")]

    def right(x):
        heads = (x @ tensor(w)).reshape(6, 2, 2).transpose(0, 1)
        out = torch.softmax(heads @ heads.transpose(1, 2), -1) @ heads
        return out.transpose(0, 1).reshape(-1) @ tensor(v)
    return nodes, {"w": w, "v": v, "h": ints(6, 2, 2), "back": ints(6, 1, 4), "flat": ints(1, 24)}, right


def main():
    arrays = {}
    for name, (make, shape, rows, batch, opset) in CASES.items():
        nodes, constants, right = make()
        graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                                  [numpy_helper.from_array(v, k) for k, v in constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        x = weights(rows, *shape, seed=7)
        outputs, gradients = [], []
        for row in x:
            r = tensor(row).requires_grad_()
            y = right(r)
            y[0].backward()
            outputs.append(y.detach().numpy()), gradients.append(r.grad.numpy())
        arrays |= {f"{name}/model": np.frombuffer(model.SerializeToString(), np.uint8), f"{name}/input": x,
                   f"{name}/output": np.array(outputs, np.float32), f"{name}/gradient": np.array(gradients, np.float32)}
        check(name, model, x, np.array(outputs))
    path = pathlib.Path(__file__).parent / "imports.npz"
    np.savez_compressed(path, **arrays)
    print(len(CASES), "cases,", path.stat().st_size, "bytes")


def check(name, model, x, right):
    """The formulas against ONNX Runtime, row by row; what is not sorted it does not take."""
    import onnxruntime
    if name == "nodes_not_sorted":
        model.graph.node.extend(list(model.graph.node)[::-1])
        del model.graph.node[:len(model.graph.node) // 2]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for row, expected in zip(x, right):
        y = session.run(None, {"x": row[None]})[0].reshape(-1)
        assert np.allclose(y, expected, atol=1e-5), (name, y, expected)


if __name__ == "__main__":
    main()
