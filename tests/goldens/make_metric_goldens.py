"""Writes metrics.onnx, a small network, and metrics.npz: scores of Quantus for its inputs and some attributions.

Keys "score METRIC" and "curve METRIC" hold what heatproof must give for that metric; continuity along the translation path
is computed here with torch, by the formula.
"""

import pathlib

import numpy as np
import peers  # noqa: F401
import quantus
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent
SAMPLES, SIDE, CLASSES = 5, 12, 4


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(96, CLASSES)).eval()


def gradient_x_input(net, x, targets):
    x = x.clone().double().requires_grad_(True)
    scores = net.double()(x).gather(1, torch.as_tensor(targets)[:, None]).sum()
    result = (torch.autograd.grad(scores, x)[0] * x).detach().numpy()
    net.float()
    return result


def translated(x, step):
    """`step` pixels to the right, the edge repeated."""
    columns = np.clip(np.arange(x.shape[-1]) - step, 0, None)
    return x[..., columns]


def continuity_of_path(net, x, targets, steps):
    worst = np.zeros(len(x))
    before, relevance = x, gradient_x_input(net, torch.from_numpy(x), targets)
    for step in range(1, steps + 1):
        moved = translated(x, step)
        r = gradient_x_input(net, torch.from_numpy(moved), targets)
        change = np.abs(r - relevance).sum((1, 2, 3)) / np.sqrt(((moved - before) ** 2).sum((1, 2, 3)))
        worst, before, relevance = np.maximum(worst, change), moved, r
    return worst


def main():
    net = network()
    generator = np.random.default_rng(1)
    x = generator.normal(size=(SAMPLES, 1, SIDE, SIDE)).astype(np.float32)
    a = generator.normal(size=x.shape).astype(np.float32)
    masks = (generator.uniform(size=x.shape) < 0.3).astype(np.float32)
    torch.onnx.export(net, torch.from_numpy(x), str(FOLDER / "metrics.onnx"), dynamo=False, opset_version=17,
                      input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "N"}})
    targets = net(torch.from_numpy(x)).argmax(1).numpy()
    arrays = {"input": x, "attributions": a, "positive": np.abs(a), "masks": masks[:, 0], "targets": targets}
    plain = {"abs": False, "normalise": False, "disable_warnings": True, "display_progressbar": False}

    def score(metric, attributions, **more):
        return np.asarray(metric(model=net, x_batch=x, y_batch=targets, a_batch=attributions, softmax=False, **more), np.float64)

    for steps in (9, 144):  # Quantus' "black" is the image's minimum, heatproof's the value of black pixels, here 0
        metric = quantus.PixelFlipping(features_in_step=SIDE * SIDE // steps, perturb_baseline=0.0, **plain)
        name = f"pixel_flipping:patch=1,steps={steps},order=morf,imputer=black,ties=index"
        arrays["curve " + name] = score(metric, a).astype(np.float32)
    arrays["score sparseness"] = score(quantus.Sparseness(**plain), np.abs(a))
    arrays["score complexity"] = score(quantus.Complexity(**plain), np.abs(a))
    # Quantus's defaults, but no division by the largest relevance of the whole batch (heatproof's is per sample).
    faithful = {
        "faithfulness_estimate:normalise=false": quantus.FaithfulnessEstimate(**plain),
        "faithfulness_estimate:features_in_step=6,perturb_baseline=mean,normalise=false": quantus.FaithfulnessEstimate(features_in_step=6, perturb_baseline="mean", **plain),
        "monotonicity:as_quantus=true": quantus.Monotonicity(**plain),
        "infidelity": quantus.Infidelity(perturb_patch_sizes=[4], n_perturb_samples=1, **plain),
        "infidelity:patch_size=6": quantus.Infidelity(perturb_patch_sizes=[6], n_perturb_samples=1, **plain),
        "non_sensitivity:normalise=false": quantus.NonSensitivity(**{**plain, "abs": True}),
        "sufficiency:normalise=false": quantus.Sufficiency(**{**plain, "abs": True}),
    }
    for name, metric in faithful.items():
        arrays["score " + name] = score(metric, a)
    for name, metric in {
        "region_perturbation:patch_size=4,normalise=false": quantus.RegionPerturbation(patch_size=4, **plain),
        "region_perturbation:patch_size=5,normalise=false": quantus.RegionPerturbation(patch_size=5, **plain),
        "region_perturbation:patch_size=3,order=lerf,regions_evaluation=5,normalise=false": quantus.RegionPerturbation(patch_size=3, order="lerf", regions_evaluation=5, **plain),
        "selectivity:patch_size=4,normalise=false": quantus.Selectivity(patch_size=4, **plain),
    }.items():
        arrays["curve " + name] = score(metric, a)
    arrays["score effective_complexity"] = score(quantus.EffectiveComplexity(**{**plain, "abs": True, "normalise": True}), a)
    arrays["score top_k_intersection:k=20"] = score(quantus.TopKIntersection(k=20, **plain), np.abs(a), s_batch=masks)
    arrays["score attribution_localisation"] = score(quantus.AttributionLocalisation(**{**plain, "abs": True}), np.abs(a), s_batch=masks)
    arrays["score auc"] = score(quantus.AUC(**plain), np.abs(a), s_batch=masks)
    arrays["score pointing_game"] = score(quantus.PointingGame(**plain), np.abs(a), s_batch=masks)
    arrays["score relevance_mass_accuracy"] = score(quantus.RelevanceMassAccuracy(**plain), np.abs(a), s_batch=masks)
    arrays["score relevance_rank_accuracy"] = score(quantus.RelevanceRankAccuracy(**plain), np.abs(a), s_batch=masks)
    arrays["score continuity:neighbours=0,path=3"] = continuity_of_path(net, x, targets, 3)
    np.savez_compressed(FOLDER / "metrics.npz", **arrays)
    for k, v in arrays.items():
        print(k, v.shape, v.ravel()[:3])


if __name__ == "__main__":
    main()
