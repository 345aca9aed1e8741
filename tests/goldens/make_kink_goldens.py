"""Writes kinks.npz: networks with kinks, poles and masks of −inf, gradients there, and what DeepLIFT has to sum to.

Each network N has its ONNX file as bytes, its inputs, torch's gradient of class 0 in float64 ("N/gradient", left out where
it is below the digits of float32), and f(x) − f(x0) of class 0 for each baseline ("N/difference BASELINE").
"""

import io
import pathlib
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

INF = float("inf")
NETWORKS = {}


def network(shape, rows=None, baselines=("0", "0.25")):
    """Declares a function of x [N, *shape] with any result; a fixed dense layer makes two classes of it."""

    def declare(function):
        NETWORKS[function.__name__] = (function, shape, rows, baselines)
        return function

    return declare


def dense(x, size, seed):
    w = np.random.default_rng(seed).normal(size=(size, int(x.shape[-1]))) / int(x.shape[-1]) ** 0.5
    return F.linear(x, torch.from_numpy(w.astype(np.float32)).to(x.dtype))


# Kinks: the first rows stand on them.
ROWS = [[-1.0, 0.0, 0.5, 2.0, -0.3, 1.5], [0.0] * 6, [-2.0, -1.0, -0.5, -3.0, -0.1, -4.0], [0.7, -0.2, 0.1, 0.4, 1.1, -0.6]]


@network((6,), ROWS)
def sqrt_of_relu(x):
    return torch.sqrt(torch.relu(x))


@network((6,), ROWS)
def power_of_relu(x):
    return torch.relu(x) ** 0.3 + torch.relu(x) ** 1.0


@network((6,), ROWS)
def log_of_clamp(x):
    return torch.log(torch.clamp(x, min=0.05)) + torch.log(torch.clamp(x, 0.45, 1.2))


@network((6,), ROWS)
def normalized(x):
    return F.normalize(torch.relu(x), dim=-1)


@network((6,), ROWS)
def norm_of_a_vector(x):
    return torch.linalg.vector_norm(torch.relu(x), dim=-1, keepdim=True) * torch.ones(1, 2, dtype=x.dtype)


@network((6,), ROWS)
def absolute(x):
    return torch.abs(x) + torch.sign(x)


@network((6,), ROWS)
def deviation(x):
    h = torch.relu(x).reshape(-1, 2, 3)
    d = h - h.mean(-1, keepdim=True)
    return torch.linalg.vector_norm(d, dim=-1)


@network((1, 4, 4))
def lp_pool(x):
    return F.lp_pool2d(torch.relu(x - 0.6), 2.0, 2).flatten(1)


@network((6,), ROWS)
def reciprocal_behind_a_choice(x):
    mask = torch.tensor([True, False, True, True, False, True])
    return torch.where(mask, 1 / torch.clamp(x, min=0.2), x * 0)


# Masks of −inf.
CAUSAL = torch.full((5, 5), -INF, dtype=torch.float64).triu(1)


def attention(x, mask):
    h = dense(x, 12, 1)
    q, k, v = h.split(4, -1)
    return (torch.softmax(mask(q @ k.transpose(-1, -2)), -1) @ v).flatten(1)


@network((5, 3))
def attention_with_an_added_mask(x):
    return attention(x, lambda s: s + CAUSAL.to(s.dtype))


@network((5, 3))
def attention_with_a_filled_mask(x):
    return attention(x, lambda s: s.masked_fill(CAUSAL < 0, -INF))


@network((5, 3))
def attention_with_a_masked_bias(x):
    return attention(x, lambda s: s + (s.transpose(-1, -2) * 0.5).masked_fill(CAUSAL < 0, -INF))


@network((5, 3))
def logarithm_of_attention(x):
    s = x @ x.transpose(-1, -2)
    return torch.logsumexp(s.masked_fill(CAUSAL < 0, -INF), -1)


@network((6,))
def maximum_of_masked_values(x):
    mask = torch.tensor([False, True, False, True, False, False])
    return torch.amax(x.masked_fill(mask, -INF).reshape(-1, 2, 3), -1)


# What DeepLIFT shares.
@network((6,))
def maximum_and_minimum(x):
    a, b = dense(x, 8, 2).split(4, -1)
    return torch.maximum(a, b) * 2 + torch.minimum(a, b * 0.5) + torch.maximum(a, torch.tensor(0.2, dtype=x.dtype))


@network((6,))
def extremes_over_axes(x):
    h = dense(x, 12, 3).reshape(-1, 3, 4)
    return torch.cat([h.amax(1), h.amin(2)], 1)


@network((6,))
def log_softmax(x):
    return F.log_softmax(dense(x, 5, 4) * 6, -1)


@network((6,))
def softmax_far_from_its_baseline(x):
    return torch.softmax(dense(x, 5, 5) * 40, -1)


@network((6,))
def log_sum_exp(x):
    return torch.logsumexp(dense(x, 12, 6).reshape(-1, 3, 4) * 5, (1, 2), keepdim=False)[:, None] * torch.ones(1, 2, dtype=x.dtype)


@network((6,))
def norms(x):
    h = dense(x, 12, 7).reshape(-1, 3, 4)
    return torch.cat([h.abs().sum(-1), h.pow(2).sum(-1), torch.linalg.vector_norm(h, dim=-1), torch.log(h.abs().sum(-1) + 0.01)], -1)


@network((6,))
def product_over_an_axis(x):
    return torch.prod((dense(x, 10, 8) + 0.3).reshape(-1, 2, 5), -1)


@network((6,))
def layer_norm_of_a_constant(x):
    return F.layer_norm(dense(x, 8, 9), (8,), eps=1e-5)


@network((6,))
def powers(x):
    h = dense(x, 4, 10)
    return torch.cat([h**3, h**2, (h.abs() + 0.1) ** -1.5, (h * h) ** 0.5, torch.exp(h) ** (h * 0.5)], -1)


@network((6,))
def quotients(x):
    a, b = dense(x, 8, 11).split(4, -1)
    return torch.cat([a / (b * b + 0.01), b / (1 + torch.exp(-a)), x / (x * x + 1), 1 / (1 + b.abs()), a / (a.abs() + 0.001)], -1)


@network((6,))
def broadcast_powers(x):
    return (torch.sigmoid(dense(x, 1, 12)) ** torch.tensor([0.5, 1.0, 2.0, 3.5], dtype=x.dtype))


@network((2, 6, 6))
def overlapping_pools(x):
    return F.avg_pool2d(F.max_pool2d(torch.sin(3 * x), 3, 1), 2).flatten(1)


@network((6,))
def products_of_the_same(x):
    h = dense(x, 4, 13)
    m = h.reshape(-1, 2, 2)
    return torch.cat([h * h, (m @ m).flatten(1), h * torch.sigmoid(h) * h], -1)


@network((6,))
def prelu(x):
    return F.prelu(dense(x, 6, 14), torch.tensor([0.1, -0.3, 0.5, 0.0, 2.0, 1.0], dtype=x.dtype))


class Classes(nn.Module):
    def __init__(self, function, dtype):
        super().__init__()
        self.function, self.dtype = function, dtype

    def forward(self, x):
        return dense(self.function(x).flatten(1), 2, 99)


def onnx_of(model, x):
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, opset_version=18, dynamo=False, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    return np.frombuffer(file.getvalue(), np.uint8)


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    arrays = {}
    for name, (function, shape, rows, baselines) in NETWORKS.items():
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(3, *shape, generator=generator) if rows is None else torch.tensor(rows)
        net = Classes(function, torch.float32)
        exact = x.double().requires_grad_()
        score = net(exact)[:, 0]
        gradient = torch.autograd.grad(score.sum(), exact)[0]
        assert gradient.isfinite().all(), name
        arrays[f"{name}/model"] = onnx_of(net, x)
        arrays[f"{name}/input"] = x.numpy()
        if gradient.abs().max() > 1e-4:
            arrays[f"{name}/gradient"] = gradient.numpy().astype(np.float32)
        for baseline in baselines:
            start = net(torch.full_like(exact, float(baseline)))[:, 0]
            arrays[f"{name}/difference {baseline}"] = (score - start).detach().numpy().astype(np.float32)
    path = pathlib.Path(__file__).parent / "kinks.npz"
    np.savez_compressed(path, **arrays)
    print(len(NETWORKS), "networks,", path.stat().st_size, "bytes, torch", torch.__version__)


if __name__ == "__main__":
    main()
