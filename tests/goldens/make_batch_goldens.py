"""Networks that are written for one batch size, or whose rows see each other: what they give for every row alone.

    python make_batch_goldens.py        # torch, torchvision; writes batch_*.onnx and batch.npz

Expected values are computed in double precision, one row at a time.
"""

import pathlib
import warnings

import numpy as np
import onnx
import torch
import torchvision
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
ROWS = 11


class SequenceFirst(nn.Module):
    """Attention over positions with the batch as the second axis and heads folded into it, as torch has it."""

    def __init__(self, heads=2, width=8, classes=3):
        super().__init__()
        self.heads = heads
        self.inner = nn.Linear(width, 3 * width)
        self.outer = nn.Linear(width, width)
        self.head = nn.Linear(width * 5, classes)

    def forward(self, x):
        y = x.transpose(0, 1)
        steps, n, width = (int(d) for d in y.shape)
        size = width // self.heads
        q, k, v = (p.reshape(steps, n * self.heads, size).transpose(0, 1) for p in self.inner(y).chunk(3, -1))
        z = torch.softmax(q @ k.transpose(1, 2) / size**0.5, -1) @ v
        y = y + self.outer(z.transpose(0, 1).reshape(steps, n, width))
        return self.head(torch.relu(y).transpose(0, 1).reshape(n, steps * width))


class FoldedHeads(nn.Module):
    """Heads are folded into the batch by hand, and class tokens join by the batch that is exported."""

    def __init__(self, heads=2, width=8, classes=3):
        super().__init__()
        self.heads = heads
        self.width = width
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        n = int(x.shape[0])
        x = torch.cat([self.token.expand(n, 1, self.width), x], 1)
        steps, size = 6, self.width // self.heads

        def split(y):
            return y.view(n, steps, self.heads, size).transpose(1, 2).reshape(n * self.heads, steps, size)

        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        y = torch.softmax(q @ k.transpose(1, 2) / size**0.5, -1) @ v
        y = y.view(n, self.heads, steps, size).transpose(1, 2).reshape(n, steps, self.width)
        return self.head(y[:, 0])


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 2 * 2, 3)

    def forward(self, x):
        y = torch.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return self.head(y.view(int(x.shape[0]), -1))


class Centred(nn.Module):
    """Rows see each other: the mean over the batch is taken off."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.last = nn.Linear(5, 3)

    def forward(self, x):
        y = self.first(x)
        return self.last(torch.relu(y - 0.5 * y.mean(0, keepdim=True)) + torch.softmax(y, 0))


class TimeOutside(nn.Module):
    """The output has positions first: [T, N, classes]."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.last = nn.Linear(5, 3)

    def forward(self, x):
        y = self.first(x.transpose(0, 1))
        return self.last(torch.tanh(y + y.mean(0, keepdim=True)))


def vit():
    return torchvision.models.VisionTransformer(
        image_size=8, patch_size=4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3)


# name: network, shape of a row, batch that it is written for (0: open), exporter
CASES = {
    "sequence_first": (SequenceFirst, (5, 8), 1, "torchscript"),
    "sequence_first_4": (SequenceFirst, (5, 8), 4, "torchscript"),
    "folded_heads": (FoldedHeads, (5, 8), 1, "torchscript"),
    "folded_heads_4": (FoldedHeads, (5, 8), 4, "torchscript"),
    "vit": (vit, (3, 8, 8), 1, "dynamo"),
    "vit_3": (vit, (3, 8, 8), 3, "dynamo"),
    "cnn_4": (Cnn, (2, 6, 6), 4, "torchscript"),
    "centred": (Centred, (6,), 0, "torchscript"),
    "centred_4": (Centred, (6,), 4, "torchscript"),
    "time_outside": (TimeOutside, (5, 6), 0, "torchscript"),
}


def export(network, shape, batch, how, path):
    x = torch.randn(max(batch, 1), *shape)
    if how == "dynamo":
        program = torch.onnx.export(network, (x,), dynamo=True, input_names=["x"], output_names=["y"], verbose=False)
        program.save(path, external_data=False)
    else:
        axes = {"x": {0: "N"}, "y": {0: "N"}} if batch == 0 else None
        torch.onnx.export(network, (x,), path, dynamo=False, input_names=["x"], output_names=["y"],
                          dynamic_axes=axes, opset_version=17)
    model = onnx.load(path)
    for part in (model.graph, *model.graph.node):  # where in torch's sources nodes come from
        del part.metadata_props[:]
    del model.graph.value_info[:]
    del model.functions[:]
    onnx.save(model, path)


def main():
    warnings.filterwarnings("ignore")
    arrays = {}
    for seed, (name, (make, shape, batch, how)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        network = make().eval()
        with torch.no_grad():
            for p in network.parameters():
                p.copy_(0.6 * torch.randn_like(p))
        export(network, shape, batch, how, HERE / f"batch_{name}.onnx")
        rows = torch.randn(ROWS, *shape)
        network = network.double()
        logits, gradients = [], []
        for row in rows.double():
            x = row[None].clone().requires_grad_()
            y = network(x)
            y.flatten()[1].backward()
            logits.append(y.detach().numpy())
            gradients.append(x.grad.numpy())
        arrays[f"{name}.x"] = rows.numpy()
        arrays[f"{name}.logits"] = np.stack(logits).reshape(ROWS, -1).astype(np.float32)
        arrays[f"{name}.gradient"] = np.concatenate(gradients).astype(np.float32)
    np.savez_compressed(HERE / "batch.npz", **arrays)


if __name__ == "__main__":
    main()
