"""Attributions of captum (integrated gradients, occlusion, Grad-CAM, DeepLIFT) for the networks of make_goldens.py.

    .venv-peers/bin/python tests/goldens/make_estimator_goldens.py     (environment and networks: make_goldens.py)

Everything is computed in double precision; "error RECIPE" says how far captum's own single precision is from it.
"""

import copy
import pathlib
import sys
import warnings

import numpy as np
import peers  # noqa: F401
import torch
from captum.attr._core import deep_lift
from captum.attr import DeepLift, IntegratedGradients, LayerAttribution, LayerGradCam, Occlusion
from networks import networks
from scipy.ndimage import gaussian_filter1d
from torch import nn

for activation in (nn.Hardswish, nn.ReLU6):  # captum leaves these their derivative
    deep_lift.SUPPORTED_NON_LINEAR[activation] = deep_lift.nonlinear

FOLDER = pathlib.Path(__file__).resolve().parent
NAMES = ["mlp", "cnn", "resnet", "strided", "pools", "dense", "mobile", "smooth", "signal", "stacked"]
RULES = {"midpoint": "riemann_middle", "left": "riemann_left", "right": "riemann_right", "trapezoid": "riemann_trapezoid", "gauss_legendre": "gausslegendre"}


def blurred(x):
    axes = range(2, x.ndim)
    sigma = max(1.0, min(x.shape[2:]) / 10)
    radius = (round(8 * sigma + 1) | 1) // 2
    y = x.numpy()
    for axis in axes:
        y = gaussian_filter1d(y, sigma, axis=axis, mode="mirror", radius=radius)
    return torch.from_numpy(y).to(x.dtype)


def baseline(x, name):
    if name == "zero":
        return torch.zeros_like(x)
    if name == "mean":
        return x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x).contiguous()
    if name == "blur":
        return blurred(x)
    return torch.full_like(x, float(name))


def integrated_gradients(net, x, target):
    result = {}
    for rule, method in RULES.items():
        result[f"integrated_gradients:steps=9,rule={rule}"] = (9, method, "zero", False)
    result["integrated_gradients:steps=20"] = (20, "riemann_middle", "zero", False)
    result["integrated_gradients:steps=37,rule=gauss_legendre,baseline=0.5"] = (37, "gausslegendre", "0.5", False)
    result["integrated_gradients:steps=5,baseline=mean"] = (5, "riemann_middle", "mean", False)
    result["integrated_gradients:steps=5,baseline=blur"] = (5, "riemann_middle", "blur", False)
    result["integrated_gradients:steps=1"] = (1, "gausslegendre", "zero", False)  # one point in the middle
    result["integrated_gradients:steps=6,output=probability"] = (6, "riemann_middle", "zero", True)
    for recipe, (steps, method, base, probability) in result.items():
        explained = nn.Sequential(net, nn.Softmax(1)) if probability else net
        yield recipe, IntegratedGradients(explained).attribute(x, baseline(x, base), target=target, n_steps=steps, method=method)


def occlusion(net, x, target):
    for recipe, patch, stride, base in [("occlusion:patch=3,stride=2", 3, 2, "zero"), ("occlusion:patch=4,stride=3,baseline=mean", 4, 3, "mean"),
                                        ("occlusion:patch=4,stride=4,baseline=-0.5", 4, 4, "-0.5"), ("occlusion:patch=1,stride=1", 1, 1, "zero")]:
        window = (x.shape[1],) + (patch,) * (x.ndim - 2)
        strides = (x.shape[1],) + (stride,) * (x.ndim - 2)
        yield recipe, Occlusion(net).attribute(x, sliding_window_shapes=window, strides=strides, baselines=baseline(x, base), target=target)


def last_convolution(name, net):
    """The module whose output is that of the last convolution, BatchNorm merged."""
    if name == "resnet":
        return net.blocks[1].shortcut[1]
    if name == "mobile":
        return net[7]
    if name == "stacked":
        return net[4].branch[2]
    return [m for m in net.modules() if isinstance(m, (nn.Conv1d, nn.Conv2d))][-1]


def grad_cam(name, net, x, target):
    size = tuple(x.shape[2:])
    mode = "linear" if x.ndim == 3 else "bilinear"
    for recipe, relu in [("grad_cam", True), ("grad_cam:relu=false", False)]:
        cam = LayerGradCam(net, last_convolution(name, net)).attribute(x, target=target, relu_attributions=relu)
        yield recipe, LayerAttribution.interpolate(cam, size, mode).expand_as(x)


class Apart(nn.Module):
    """A pool after a copy: captum's hooks of an activation and of the pool that follows it hang on one tensor otherwise, and the activation
    then sees the pool's plain gradient."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(x.clone())


def apart(net):
    for name, module in net.named_children():
        if isinstance(module, (nn.MaxPool1d, nn.MaxPool2d)):
            setattr(net, name, Apart(module))
        else:
            apart(module)
    return net


def deeplift(net, x, target):
    for recipe, base in [("deeplift", "zero"), ("deeplift:baseline=blur", "blur"), ("deeplift:baseline=0.25", "0.25")]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield recipe, DeepLift(apart(copy.deepcopy(net))).attribute(x, baseline(x, base), target=target)


def attributions(name, net, x, target, dtype):
    net = copy.deepcopy(net).to(dtype)
    x = x.to(dtype)
    result = dict(integrated_gradients(net, x, target))
    if name != "mlp":
        result |= dict(occlusion(net, x, target))
        result |= dict(grad_cam(name, net, x, target))
    # captum's unpooling forgets all but one of the windows that share a maximum.
    if name not in ("resnet", "pools"):
        result |= dict(deeplift(net, x, target))
    return result


def main():
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or NAMES
    for name in wanted:
        net = networks()[name][0]
        stored = np.load(FOLDER / f"{name}.npz")
        x, target = torch.from_numpy(stored["input"]), torch.from_numpy(stored["target"])
        assert np.abs(net(x).detach().numpy() - stored["output"]).max() < 1e-4, name
        exact = attributions(name, net, x, target, torch.float64)
        single = attributions(name, net, x, target, torch.float32)
        arrays = {k: v.detach().numpy().astype(np.float32) for k, v in exact.items()}
        for k, v in single.items():
            arrays["error " + k] = np.float32([((v - exact[k]).abs().max() / exact[k].abs().max()).item()])
        np.savez_compressed(FOLDER / f"{name}_estimators.npz", **arrays)
        print(name, len(exact), max((float(v[0]), k) for k, v in arrays.items() if k.startswith("error")))


if __name__ == "__main__":
    main()
