"""Makes tests/goldens/probability: small networks that end in every way, and their probabilities by torch in double precision.

    .venv-peers/bin/python tests/goldens/make_probability_goldens.py

Of each network with probabilities: these, the gradient of the target's, and its course while patches of 3x3 pixels become zero, largest relevance first.
"""

import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent / "probability"
SIDE, PATCH = 6, 3


class Net(nn.Module):
    """A body and an end; the body of images is a convolution, of tokens a dense layer for each."""

    def __init__(self, end, outputs=4, body="pooled"):
        super().__init__()
        self.end, self.kind = end, body
        if body == "tokens":
            self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs))
        else:
            maps = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU())
            last = [nn.Conv2d(6, outputs, 1)] if body == "maps" else [nn.Flatten(), nn.Linear(6 * SIDE * SIDE, outputs)]
            self.body = nn.Sequential(maps, *last)

    def forward(self, x):
        return self.end(self.body(x))


def written_out(z):
    e = torch.exp(z - z.max(1, keepdim=True).values)
    return e / e.sum(1, keepdim=True)


class Ensemble(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = Net(nn.Softmax(1)), Net(nn.Softmax(1))

    def forward(self, x):
        return (self.a(x) + self.b(x)) / 2


class Two(nn.Module):
    """A value and classes: --output-name says which."""

    def __init__(self):
        super().__init__()
        self.value, self.classes = Net(nn.Identity(), 1), Net(nn.Softmax(1), 3)

    def forward(self, x):
        return self.value(x), self.classes(x)


# name: network, and what its output becomes to be probabilities (None: it has none)
def same(y):
    return y


NETWORKS = {
    "binary": (lambda: Net(nn.Sigmoid(), 1), same),
    "labels": (lambda: Net(nn.Sigmoid()), same),
    "pixels": (lambda: Net(nn.Softmax(1), 3, "maps"), same),
    "pixels_binary": (lambda: Net(nn.Sigmoid(), 1, "maps"), same),
    "channels_last": (lambda: Net(lambda z: z.permute(0, 2, 3, 1).softmax(-1), 3, "maps"), same),
    "moved": (lambda: Net(lambda z: z.softmax(1).permute(0, 2, 3, 1), 3, "maps"), same),
    "flattened": (lambda: Net(lambda z: z.softmax(1).flatten(2), 3, "maps"), same),
    "foreground": (lambda: Net(lambda z: z.softmax(1)[:, 1:], 3, "maps"), same),
    "tokens": (lambda: Net(nn.Softmax(-1), 3, "tokens"), same),
    "logarithms": (lambda: Net(nn.LogSoftmax(1)), torch.exp),
    "log_pixels": (lambda: Net(lambda z: z.log_softmax(1).permute(0, 2, 3, 1), 3, "maps"), torch.exp),
    "written_out": (lambda: Net(written_out), same),
    "mean_pixels": (lambda: Net(lambda z: z.softmax(1).mean((2, 3)), 3, "maps"), same),
    "ensemble": (Ensemble, same),
    "logits": (lambda: Net(nn.Identity()), lambda y: y.softmax(1)),
    "value": (lambda: Net(nn.Identity(), 1), None),
    "maps": (lambda: Net(nn.Identity(), 2, "maps"), None),
    "two": (Two, same),
}


def export(name, net, x):
    path = FOLDER / f"{name}.onnx"
    names = ["value", "classes"] if name == "two" else ["y"]
    torch.onnx.export(net, (x,), str(path), dynamo=False, opset_version=17, input_names=["x"], output_names=names,
                      dynamic_axes={n: {0: "n"} for n in ["x", *names]})
    model = onnx.load(path)
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    onnx.save(model, path)


def flat11():
    """Softmax of opset 11 along axis 1 of [N, 2, 3]: over all six."""
    weights = np.random.default_rng(7).normal(size=(6, 72)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["f"], axis=1), helper.make_node("MatMul", ["f", "w"], ["z"]),
             helper.make_node("Reshape", ["z", "s"], ["r"]), helper.make_node("Softmax", ["r"], ["y"], axis=1)]
    shape = numpy_helper.from_array(np.array([-1, 2, 3], np.int64), "s")
    graph = helper.make_graph(nodes, "flat11", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, SIDE, SIDE])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, 3])],
                              [numpy_helper.from_array(np.ascontiguousarray(weights.T), "w"), shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), FOLDER / "flat11.onnx")
    w = torch.tensor(weights, dtype=torch.float64)
    return lambda x: (x.flatten(1) @ w.T).softmax(1)


def removed(x, relevance, k):
    """x without the k patches of largest mean relevance."""
    y, per_row = x.clone(), SIDE // PATCH
    for n in range(len(x)):
        means = relevance[n].sum(0).unfold(0, PATCH, PATCH).unfold(1, PATCH, PATCH).mean((2, 3)).flatten()
        for p in means.argsort(descending=True)[:k]:
            r, c = int(p) // per_row * PATCH, int(p) % per_row * PATCH
            y[n, :, r:r + PATCH, c:c + PATCH] = 0
    return y


def record(name, probability, x, relevance, arrays):
    x = x.double().requires_grad_(True)
    p = probability(x).flatten(1)
    target = torch.tensor([(3 * n + 1) % p.shape[1] for n in range(len(x))])
    own = p.gather(1, target[:, None])[:, 0]
    arrays[f"{name} probability"] = p.detach().numpy().astype(np.float32)
    arrays[f"{name} target"] = target.numpy()
    arrays[f"{name} gradient"] = torch.autograd.grad(own.sum(), x)[0].numpy().astype(np.float32)
    if x.dim() == 4:
        steps = (SIDE // PATCH) ** 2
        with torch.no_grad():
            curve = [probability(removed(x, relevance, k)).flatten(1).gather(1, target[:, None])[:, 0] for k in range(steps + 1)]
        arrays[f"{name} deletion"] = torch.stack(curve, 1).numpy().astype(np.float32)


def main():
    FOLDER.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(3, 2, SIDE, SIDE, generator=generator)
    tokens = torch.randn(3, 5, 4, generator=generator)
    relevance = torch.randn(3, 2, SIDE, SIDE, generator=generator)
    arrays = {"images": images.numpy(), "tokens": tokens.numpy(), "relevance": relevance.numpy()}
    for k, (name, (make, to_probability)) in enumerate(NETWORKS.items()):
        torch.manual_seed(k)
        net = make().eval()
        x = tokens if name == "tokens" else images
        export(name, net, x)
        if to_probability is None:
            continue
        net = net.double()
        forward = net.classes if name == "two" else net
        record(name, lambda v: to_probability(forward(v)), x, relevance, arrays)
    record("flat11", flat11(), images, relevance, arrays)
    np.savez_compressed(FOLDER / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
