"""Trains the networks of `heatproof demo depth` (assets/depth): plain ReLU networks of 2 to 50 layers, 32 neurons wide, from He's
initialisation, that say which of four groups of eight inputs has the largest sum of squares. Prints their accuracy on inputs they have not seen.

    pip install numpy onnx
    python assets/make_depth_networks.py      # about a minute on one core; deterministic for a seed and a numpy
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).resolve().parent / "depth"
DEPTHS = (2, 5, 10, 20, 30, 40, 50)
WIDTH, GROUPS, BATCH, STEPS, RATE = 32, 4, 256, 3000, 1e-3


def draw(random, count):
    x = np.abs(random.standard_normal((count, WIDTH))).astype(np.float32)
    return x, (x**2).reshape(count, GROUPS, -1).sum(2).argmax(1)


def forward(layers, x):
    activations = [x]
    for w, b in layers[:-1]:
        activations.append(np.maximum(activations[-1] @ w.T + b, 0))
    w, b = layers[-1]
    return activations, activations[-1] @ w.T + b


def gradients(layers, x, labels):
    """Of the cross-entropy, with a norm of at most 1: w and b of every layer in turn."""
    activations, logits = forward(layers, x)
    d = np.exp(logits - logits.max(1, keepdims=True))
    d /= d.sum(1, keepdims=True)
    d[np.arange(len(x)), labels] -= 1
    d /= len(x)
    found = []
    for k in reversed(range(len(layers))):
        found[:0] = [d.T @ activations[k], d.sum(0)]
        if k:
            d = (d @ layers[k][0]) * (activations[k] > 0)
    norm = np.sqrt(sum(float((g * g).sum()) for g in found))
    return [g / max(1.0, norm) for g in found]


def train(depth):
    random = np.random.default_rng([0, depth])
    layers = [(random.standard_normal((WIDTH, WIDTH)) * np.sqrt(2 / WIDTH), np.zeros(WIDTH)) for _ in range(depth)]
    layers.append((random.standard_normal((GROUPS, WIDTH)) * np.sqrt(1 / WIDTH), np.zeros(GROUPS)))
    layers = [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers]
    values = [v for layer in layers for v in layer]
    first, second = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values]
    for t in range(1, STEPS + 1):
        rate = RATE * min(1, t / 200) * 0.5 * (1 + np.cos(np.pi * t / STEPS))
        for v, g, m, s in zip(values, gradients(layers, *draw(random, BATCH)), first, second):  # Adam
            m += 0.1 * (g - m)
            s += 0.001 * (g * g - s)
            v -= rate * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
    return layers


def write(layers, path):
    nodes, weights, value = [], [], "x"
    for k, (w, b) in enumerate(layers):
        last = k == len(layers) - 1
        weights += [numpy_helper.from_array(w, f"w{k}"), numpy_helper.from_array(b, f"b{k}")]
        nodes.append(helper.make_node("Gemm", [value, f"w{k}", f"b{k}"], ["y" if last else f"z{k}"], name=f"layer{k}", transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [f"z{k}"], [f"a{k}"], name=f"relu{k}"))
        value = f"a{k}"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", GROUPS])
    model = helper.make_model(helper.make_graph(nodes, "depth", [x], [y], weights), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def main():
    FOLDER.mkdir(exist_ok=True)
    for depth in DEPTHS:
        layers = train(depth)
        x, labels = draw(np.random.default_rng(99), 4000)
        print(f"{depth} layers: {(forward(layers, x)[1].argmax(1) == labels).mean():.3f} of 4000 right (chance: 0.25)", flush=True)
        write(layers, FOLDER / f"depth{depth}.onnx")


if __name__ == "__main__":
    main()
