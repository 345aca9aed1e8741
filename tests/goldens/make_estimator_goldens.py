"""Attributions of captum (integrated gradients, occlusion, Grad-CAM, DeepLIFT, Shapley values, LIME) for the networks of make_goldens.py.

    .venv-peers/bin/python tests/goldens/make_estimator_goldens.py     (environment and networks: make_goldens.py)

Everything is computed in double precision; "error RECIPE" says how far captum's own single precision is from it.
"""

import copy
import itertools
import pathlib
import sys
import warnings

import numpy as np
import peers  # noqa: F401
import torch
from captum._utils.models.model import Model
from captum.attr._core import deep_lift
from captum.attr import DeepLift, IntegratedGradients, LayerAttribution, LayerGradCam, LimeBase, Occlusion, ShapleyValues
from networks import networks
from scipy.ndimage import gaussian_filter1d
from sklearn import linear_model
from sklearn.metrics import pairwise_distances
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


def cells(x, parts):
    """Number of the grid's cell that each position belongs to."""
    index = torch.zeros((), dtype=torch.long)
    for size in x.shape[2:]:
        along = torch.arange(size) * parts // size
        index = index[..., None] * parts + along
    return index.expand(1, *x.shape[1:]).contiguous()


def shapley(net, x, target):
    for recipe, parts, base in [("kernel_shap:cells=2", 2, "zero"), ("kernel_shap:cells=2,baseline=blur", 2, "blur")]:
        yield recipe, ShapleyValues(net).attribute(x, baseline(x, base), feature_mask=cells(x, parts), target=target)


class Ridge(Model):
    """scikit-learn's ridge regression for captum's Lime."""

    def __init__(self, alpha):
        self.alpha = alpha

    def fit(self, train_data, **more):
        x, y, w = (torch.cat(part).double() for part in zip(*[(b[0], b[1], b[2]) for b in train_data]))
        self.model = linear_model.Ridge(alpha=self.alpha).fit(x.numpy(), y.numpy(), sample_weight=w.numpy())
        return {}

    def __call__(self, x):
        return torch.from_numpy(self.model.predict(x.numpy()))

    def representation(self):
        return torch.from_numpy(self.model.coef_)


def lime(net, x, target):
    """All masks of a few cells, the kernel and the regression of lime_image."""
    groups = 2 ** (x.ndim - 2)
    masks = torch.tensor(list(itertools.product((0, 1), repeat=groups)))

    def all_masks(*inputs, **more):
        for mask in masks:
            yield mask[None]

    def nearness(original, perturbed, mask, **more):
        full = np.ones((1, groups))
        distance = pairwise_distances(mask.numpy(), full, metric="cosine").item() if mask.any() else 1.0
        return np.sqrt(np.exp(-distance**2 / 0.25**2))

    rows = []
    for i in range(len(x)):
        method = LimeBase(net, Ridge(1.0), nearness, all_masks, True, from_interpretable, None)
        coefficients = method.attribute(x[i:i + 1], target=target[i:i + 1], n_samples=len(masks), feature_mask=cells(x, 2), num_interp_features=groups)
        rows.append(coefficients.reshape(-1)[cells(x, 2)])
    yield "lime:cells=2", torch.cat(rows).to(x.dtype)


def from_interpretable(mask, original, **more):
    return original * mask.reshape(-1)[more["feature_mask"]].to(original.dtype)


def attributions(name, net, x, target, dtype):
    net = copy.deepcopy(net).to(dtype)
    x = x.to(dtype)
    result = dict(integrated_gradients(net, x, target))
    if name != "mlp":
        result |= dict(occlusion(net, x, target))
        result |= dict(grad_cam(name, net, x, target))
        result |= dict(shapley(net, x, target))
        result |= dict(lime(net, x, target))
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
