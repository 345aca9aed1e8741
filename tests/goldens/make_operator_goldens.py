"""Writes operators.npz: the node tests of the ONNX standard for the operators that heatproof imports.

Each case N has the model's bytes, its inputs and its expected first output: "N/model", "N/input/NAME", "N/output/NAME".
Shapes, axes, indices and weights are made constants of the model, as they are in networks. Left out are cases with other
element types than float32, int64 and bool, with more than 20 kB of data, with empty tensors, in training mode, or whose
first input is no float32. Operators of shape arithmetic get constants alone, of more types, beside an input "data" that
nobody reads. Large cases of functions of one element are cut.
"""

import pathlib
import warnings

import numpy as np
import onnx
import onnx.numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.backend.test.case.node import collect_testcases

OPERATORS = """Abs Add AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos
DepthToSpace Div Dropout Elu Erf Exp Expand Flatten Floor Gather Gelu Gemm GlobalAveragePool GlobalMaxPool
GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax MatMul
Max MaxPool Mean Min Mish Mul Neg Not Pad Pow PRelu Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign
SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile Transpose Unsqueeze Where""".split()
# Computed at import, of constants alone.
ARITHMETIC = """And Cast Constant ConstantOfShape Equal Greater GreaterOrEqual Less LessOrEqual Mod Not Or Range""".split()
ELEMENTWISE = ["Erf", "Mish"]
MOST_BYTES = 20_000
TYPES = {np.dtype("float32"), np.dtype("int64"), np.dtype("bool")}

ARITHMETIC_TYPES = TYPES | {np.dtype("int32"), np.dtype("float64")}


def opset(model):
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


# Operators whose inputs are all data; of others, only the first is.
VARIABLE = """Add Concat Div Gemm MatMul Max Mean Min Mul Pow PRelu Sub Sum Where""".split()


def with_constants(model, inputs):
    """Moves what is no data from the inputs to the initializers and keeps the first output; returns the remaining inputs."""
    node = model.graph.node[0]
    left, data = [], {}
    for info, value in zip(model.graph.input, inputs):
        value = np.asarray(value)
        if value.dtype == np.float32 and (not left or node.op_type in VARIABLE):
            left.append(info)
            data[info.name] = value
        else:
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, info.name))
    del model.graph.input[:]
    model.graph.input.extend(left)
    del model.graph.output[1:]
    if node.op_type != "Split":
        del node.output[1:]
    return data


def with_constants_alone(model, inputs):
    """Moves every input to the initializers; the network's only input is not read."""
    for info, value in zip(model.graph.input, inputs):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), info.name))
    for entry in model.opset_import:
        entry.version = max(entry.version, 7)  # the same there
    del model.graph.input[:]
    model.graph.input.append(onnx.helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, [1]))
    return {"data": np.zeros(1, np.float32)}


def cut(model, data, output):
    """The first elements of a function of one element."""
    most = MOST_BYTES // 64
    (name, value), = data.items()
    for info in [*model.graph.input, *model.graph.output]:
        del info.type.tensor_type.shape.dim[:]
        info.type.tensor_type.shape.dim.add().dim_value = most
    return {name: value.reshape(-1)[:most]}, output.reshape(-1)[:most]


def at_most_21(case):
    """The case with opset 21 where the standard moved on; None where the operator is another one there."""
    if opset(case.model) <= 21:
        return case.model
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    next(entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")).version = 21
    model.ir_version = 10
    inputs, expected = case.data_sets[0]
    try:
        onnx.checker.check_model(model, full_check=True)
        feeds = {info.name: np.asarray(v) for info, v in zip(model.graph.input, inputs)}
        results = ReferenceEvaluator(model).run(None, feeds)
        same = all(np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True) for a, b in zip(results, expected))
    except Exception:  # whatever the reference cannot run at this opset is no case
        return None
    return model if same else None


def main():
    warnings.simplefilter("ignore")
    arrays, names = {}, set()
    for case in collect_testcases():
        if case.model is None or case.name in names or not case.data_sets:
            continue
        nodes = case.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in OPERATORS + ARITHMETIC or nodes[0].domain:
            continue
        inputs, outputs = case.data_sets[0]
        values = [np.asarray(v) for v in [*inputs, *outputs]]
        arithmetic = nodes[0].op_type in ARITHMETIC
        elementwise = nodes[0].op_type in ELEMENTWISE
        if any(v.dtype not in (ARITHMETIC_TYPES if arithmetic else TYPES) for v in values):
            continue
        if sum(v.nbytes for v in values) > MOST_BYTES and not elementwise:
            continue
        model = at_most_21(case)
        if model is None:
            continue
        if "training" in case.name or any(v.size == 0 for v in values) or "int64_float32" in case.name or case.name in ("test_identity_opt", "test_identity_sequence"):
            continue
        data = (with_constants_alone if arithmetic else with_constants)(model, inputs)
        if not data:
            continue
        expected = np.asarray(outputs[0])
        if elementwise:
            data, expected = cut(model, data, expected)
        names.add(case.name)
        arrays[f"{case.name}/model"] = np.frombuffer(model.SerializeToString(), np.uint8)
        for name, value in data.items():
            arrays[f"{case.name}/input/{name}"] = value
        arrays[f"{case.name}/output/{model.graph.output[0].name}"] = expected
    path = pathlib.Path(__file__).parent / "operators.npz"
    np.savez_compressed(path, **arrays)
    print(len(names), "cases,", path.stat().st_size, "bytes, onnx", onnx.__version__)


if __name__ == "__main__":
    main()
