"""Makes the goldens of linear operators that networks write as functions, of normalization, and of preprocessing inside of a network.

    .venv-peers/bin/python tests/goldens/make_linear_goldens.py

functions: ReLUs without biases, so that LRP-0 is gradient times input; zennit leaves functions to the derivative (a matrix on the right is a
layer for heatproof, in a file it looks like one).
normalized: LRP-0 as gradient times input of a network whose normalizations are factors that do not change.
gated: a network alone.
preprocessed: zennit on the same network with the preprocessing folded into its first convolution by hand.
"""

import copy
import pathlib

import numpy as np
import torch
from make_goldens import BASE, everywhere
from torch import nn
from torch.nn import functional as F
from zennit import composites, rules
from zennit.attribution import Gradient
from zennit.composites import SpecialFirstLayerMapComposite
from zennit.types import Linear

FOLDER = pathlib.Path(__file__).resolve().parent


class Functions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.second = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.third = nn.Conv2d(6, 6, 1, bias=False)
        self.fourth = nn.Conv2d(6, 6, 1, bias=False)
        self.last = nn.Linear(12, 4, bias=False)
        self.relu = nn.ModuleList(nn.ReLU() for _ in range(6))  # zennit keeps one use of each module
        self.register_buffer("adjacency", torch.rand(8, 8))
        self.register_buffer("scale", torch.tensor([0.5, -1.0, 2.0, 1.0, -0.3, 0.7]).view(1, 6, 1, 1))

    def forward(self, x):
        h = self.relu[0](self.first(x))
        h = self.relu[1](0.1 * h + 0.2 * self.second(h) + h)
        h = self.relu[2](self.third(h) - h.mean((2, 3), keepdim=True) + h * self.scale)
        h = self.relu[3](torch.matmul(self.adjacency, h)) / 255
        y = h - self.fourth(h)
        h = torch.cat([self.relu[4](y), self.relu[5](-y)], 1)
        return self.last(h.sum((2, 3)) * 20)


class Normalized(nn.Module):
    """frozen: what normalization does is a factor, which gradient times input takes for a constant."""

    def __init__(self, frozen=False):
        super().__init__()
        self.frozen = frozen
        self.first = nn.Linear(10, 12, bias=False)
        self.second = nn.Linear(12, 12, bias=False)
        self.last = nn.Linear(12, 3, bias=False)
        self.norm = nn.LayerNorm(12)
        self.group = nn.GroupNorm(3, 12)
        for p in [*self.norm.parameters(), *self.group.parameters()]:
            nn.init.uniform_(p, 0.3, 1.3)

    def handed_on(self, y, x):
        return x * (y / x).detach() if self.frozen else y

    def forward(self, x):
        h = self.first(x)
        h = h + torch.relu(self.second(self.handed_on(self.norm(h), h)))
        h = self.handed_on(self.group(h.unsqueeze(-1)).squeeze(-1), h)
        h = h - 0.3 * torch.relu(self.second(h))
        h = self.handed_on(h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6), h)
        h = self.handed_on(F.normalize(h, dim=-1), h) * 3
        mean = h.mean(-1, keepdim=True)
        inverse = self.norm.weight * torch.rsqrt(((h - mean) * (h - mean)).mean(-1, keepdim=True) + 1e-3)
        h = self.handed_on(h * inverse + (self.norm.bias - mean * inverse), h)
        return self.last(h)


class Gated(nn.Module):
    """Products of two values and a softmax: what rules leave to the derivative."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.gate = nn.Linear(8, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.last(h * torch.sigmoid(self.gate(h)) * torch.softmax(h, 1))


MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Preprocessed(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("mean", MEAN)
        self.register_buffer("std", STD)

    def forward(self, x):
        return self.net((x / 255 - self.mean) / self.std)


def plain_network():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4))


def folded(net):
    net = copy.deepcopy(net).double()
    conv = net[0]
    scale = 1 / (255 * STD.double())
    shift = -MEAN.double() / STD.double()
    with torch.no_grad():
        conv.bias += (conv.weight * shift).sum((1, 2, 3))
        conv.weight *= scale
    return net


def gradient_x_input(net, x, one_hot):
    x = x.clone().requires_grad_(True)
    return x.detach() * torch.autograd.grad((net(x) * one_hot).sum(), x)[0]


def relevance(net, composite, x, one_hot):
    net = copy.deepcopy(net)
    seed = one_hot * net(x).detach()
    with Gradient(model=net, composite=composite) as attributor:
        return attributor(x, seed)[1]


def write(name, net, x, arrays):
    output = net(x)
    torch.onnx.export(net, (x,), str(FOLDER / f"{name}.onnx"), dynamo=False, opset_version=14, input_names=["input"],
                      output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
    target = output.argmax(1)
    one_hot = F.one_hot(target, output.shape[1]).double()
    values = {k: v(x.double(), one_hot).detach().numpy().astype(np.float32) for k, v in arrays.items()}
    np.savez_compressed(FOLDER / f"{name}.npz", input=x.numpy(), output=output.detach().numpy(), target=target.numpy(), **values)
    print(name, {k: float(np.abs(v).max()) for k, v in values.items()})


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    net = Functions().eval()
    exact = copy.deepcopy(net).double()
    functions = "sums=gradient,averages=gradient"
    write("functions", net, torch.randn(2, 3, 8, 8), {
        "lrp_0": lambda x, t: gradient_x_input(exact, x, t),
        "deep_taylor:gamma=1,input=same,stabilizer=0.000000001": lambda x, t: gradient_x_input(exact, x, t),
        f"lrp_zplus:{functions}": lambda x, t: relevance(exact, everywhere(rules.ZPlus()), x, t),
        f"lrp_epsilon:epsilon=0.01,{functions}": lambda x, t: relevance(exact, everywhere(rules.Epsilon(0.01)), x, t),
        f"lrp_gamma:{functions}": lambda x, t: relevance(exact, everywhere(rules.Gamma(0.25)), x, t),
    })
    net = Normalized().eval()
    exact = Normalized(frozen=True)
    exact.load_state_dict(net.state_dict())
    exact.double()
    write("normalized", net, torch.randn(3, 10), {"lrp_0": lambda x, t: gradient_x_input(exact, x, t)})
    write("gated", Gated().eval(), torch.randn(2, 6), {})
    net = plain_network().eval()
    exact = folded(net)
    box = SpecialFirstLayerMapComposite(BASE + [(Linear, rules.ZPlus())], [(Linear, rules.ZBox(0.0, 255.0))])
    write("preprocessed", Preprocessed(net).eval(), torch.rand(2, 3, 7, 7) * 255, {
        "deep_taylor:low=0,high=255": lambda x, t: relevance(exact, box, x, t),
        "lrp_epsilon_gamma_box:low=0,high=255": lambda x, t: relevance(exact, composites.EpsilonGammaBox(low=0.0, high=255.0), x, t),
        "lrp_epsilon_plus": lambda x, t: relevance(exact, composites.EpsilonPlus(), x, t),
        "lrp_epsilon_plus_flat": lambda x, t: relevance(exact, composites.EpsilonPlusFlat(), x, t),
        "lrp_epsilon_alpha2_beta1": lambda x, t: relevance(exact, composites.EpsilonAlpha2Beta1(), x, t),
        "lrp_w2": lambda x, t: relevance(exact, everywhere(rules.WSquare()), x, t),
        "lrp_epsilon:epsilon=0.01": lambda x, t: relevance(exact, everywhere(rules.Epsilon(0.01)), x, t),
    })


if __name__ == "__main__":
    main()
