"""Writes metrics.onnx and metrics_rgb.onnx, small networks, and .npz files beside them: scores of Quantus for their inputs and
some attributions.

Keys "score METRIC" and "curve METRIC" hold what heatproof must give for that metric; "slic" holds scikit-image's superpixels of
"picture". Continuity along the translation path is computed here with torch, by the formula. Random noise is drawn from intervals so
narrow that it is a constant. "fixed METRIC": with `other` as the explanation of every random network. "signed METRIC": of the summed channels.
"""

import pathlib

import numpy as np
import peers  # noqa: F401
import quantus
import skimage.segmentation
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent
SAMPLES = 5


def grey():
    """12x12, one channel, four classes."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4)).eval()


def rgb():
    """16x16, three channels, five classes, padded convolutions."""
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(),
                         nn.Linear(128, 5)).eval()


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


def explainer(product):
    """Gradient (times the input) of the targets, for Quantus."""
    def explain(model, inputs, targets, **_):
        x = torch.as_tensor(np.asarray(inputs), dtype=torch.float32).requires_grad_(True)
        scores = model(x).gather(1, torch.as_tensor(np.asarray(targets))[:, None]).sum()
        gradient = torch.autograd.grad(scores, x)[0]
        return (gradient * x if product else gradient).detach().numpy()
    return explain


PLAIN = {"abs": False, "normalise": False, "disable_warnings": True, "display_progressbar": False}
ABSOLUTE = {**PLAIN, "abs": True}
BATCH = {**PLAIN, "normalise": True}


def faithfulness(channels):
    """Metrics of given attributions: name -> (Quantus's, what it returns)."""
    q = quantus
    first, second, third = (5, 3, 6) if channels == 1 else (8, 2, 8)  # Quantus fails for several channels where patches do not fit
    return {
        "faithfulness_estimate:features_in_step=1,normalise=none": (q.FaithfulnessEstimate(**PLAIN), "score"),
        "faithfulness_estimate:features_in_step=16,perturb_baseline=mean,normalise=batch":
            (q.FaithfulnessEstimate(features_in_step=16, perturb_baseline="mean", **BATCH), "score"),
        "monotonicity:as_quantus=true,features_in_step=1": (q.Monotonicity(**PLAIN), "score"),
        "monotonicity_correlation:features_in_step=4,nr_samples=2,perturb_baseline=0.3,normalise=none":
            (q.MonotonicityCorrelation(features_in_step=4, nr_samples=2, perturb_baseline=0.3, **ABSOLUTE), "score"),
        "infidelity": (q.Infidelity(perturb_patch_sizes=[4], n_perturb_samples=1, **PLAIN), "score"),
        f"infidelity:patch_size={third},normalise=batch": (q.Infidelity(perturb_patch_sizes=[third], n_perturb_samples=1, **BATCH), "score"),
        "non_sensitivity:features_in_step=1,normalise=none": (q.NonSensitivity(**ABSOLUTE), "score"),
        "sufficiency:threshold=0.97,normalise=none": (q.Sufficiency(threshold=0.97, **ABSOLUTE), "score"),
        "consistency:n=2,abs=false": (q.Consistency(discretise_func=lambda a: hash(bytes(np.sign(a)[:2])), **PLAIN), "score"),
        "road:noise=0": (q.ROAD(noise=0.0, **PLAIN), "road"),
        "sensitivity_n:as_quantus=true,features_in_step=4,normalise=none": (q.SensitivityN(features_in_step=4, **PLAIN), "mean"),
        "pixel_flipping:as_quantus=true,features_in_step=8,normalise=none":
            (q.PixelFlipping(features_in_step=8, **PLAIN), "curve"),
        "pixel_flipping:as_quantus=true,features_in_step=8,perturb_baseline=white,normalise=batch":
            (q.PixelFlipping(features_in_step=8, perturb_baseline="white", return_auc_per_sample=True, **BATCH), "score"),
        "region_perturbation:patch_size=4,normalise=none": (q.RegionPerturbation(patch_size=4, **PLAIN), "curve"),
        f"region_perturbation:patch_size={first},normalise=none": (q.RegionPerturbation(patch_size=first, **PLAIN), "curve"),
        f"region_perturbation:patch_size={second},order=lerf,regions_evaluation=5,normalise=none":
            (q.RegionPerturbation(patch_size=second, order="lerf", regions_evaluation=5, **PLAIN), "curve"),
        "selectivity:patch_size=4,normalise=none": (q.Selectivity(patch_size=4, **PLAIN), "curve"),
        "pixel_flipping:as_quantus=true,features_in_step=8,perturb_baseline=mean,normalise=none":
            (q.PixelFlipping(features_in_step=8, perturb_baseline="mean", **PLAIN), "curve"),
        f"region_perturbation:patch_size={first},perturb_baseline=mean,normalise=none":
            (q.RegionPerturbation(patch_size=first, perturb_baseline="mean", **PLAIN), "curve"),
        "selectivity:patch_size=4,perturb_baseline=mean,normalise=none": (q.Selectivity(patch_size=4, perturb_baseline="mean", **PLAIN), "curve"),
        "sensitivity_n:as_quantus=true,features_in_step=4,perturb_baseline=mean,normalise=none":
            (q.SensitivityN(features_in_step=4, perturb_baseline="mean", **PLAIN), "mean"),
        "infidelity:perturb_baseline=mean": (q.Infidelity(perturb_patch_sizes=[4], n_perturb_samples=1, perturb_baseline="mean", **PLAIN), "score"),
        "road:first=5,every=10,noise=0": (q.ROAD(noise=0.0, percentages=list(range(5, 100, 10)), **PLAIN), "road"),
        "effective_complexity:over=elements,abs=false,normalise=batch,eps=0.05":
            (q.EffectiveComplexity(eps=0.05, **BATCH), "score"),
        "effective_complexity:over=elements,normalise=batch,eps=0.05": (q.EffectiveComplexity(eps=0.05, **{**ABSOLUTE, "normalise": True}), "score"),
    }


def robustness(middle, classes):
    """Metrics that explain other inputs, by gradient times input."""
    q = quantus
    constant = {"lower_bound": 0.2, "upper_bound": 0.2000001}
    bounds = "lower_bound=0.2,upper_bound=0.2000001"
    noise = {"nr_samples": 1, "perturb_func_kwargs": constant}
    return {
        f"max_sensitivity:nr_samples=1,changed=use,{bounds}": q.MaxSensitivity(nr_samples=1, **constant, **PLAIN),
        f"max_sensitivity:nr_samples=1,changed=use,{bounds},abs=true,normalise=batch":
            q.MaxSensitivity(nr_samples=1, **constant, **{**BATCH, "abs": True}),
        f"avg_sensitivity:nr_samples=1,changed=use,{bounds}": q.AvgSensitivity(nr_samples=1, **constant, **PLAIN),
        "local_lipschitz_estimate:nr_samples=1,changed=use,perturb_mean=0.1,perturb_std=0.0000001,normalise=batch":
            q.LocalLipschitzEstimate(nr_samples=1, perturb_mean=0.1, perturb_std=1e-7, **BATCH),
        f"relative_input_stability:nr_samples=1,changed=use,{bounds}":
            q.RelativeInputStability(return_nan_when_prediction_changes=False, **noise, **PLAIN),
        f"relative_output_stability:nr_samples=1,changed=use,{bounds}":
            q.RelativeOutputStability(return_nan_when_prediction_changes=False, **noise, **PLAIN),
        f"relative_representation_stability:nr_samples=1,changed=use,{bounds},layer=?{middle}?Conv":
            q.RelativeRepresentationStability(return_nan_when_prediction_changes=False, layer_names=[middle], **noise, **PLAIN),
        "continuity:as_quantus=true,abs=true,normalise=batch": q.Continuity(**{**BATCH, "abs": True}),
        "continuity:as_quantus=true,nr_steps=7": q.Continuity(nr_steps=7, **PLAIN),
        "input_invariance": q.InputInvariance(**PLAIN),
        "random_logit:other=quantus,normalise=batch": q.RandomLogit(num_classes=classes, **BATCH),
        "random_logit:other=quantus,seed=7,similarity=spearman,normalise=none":
            q.RandomLogit(num_classes=classes, seed=7, similarity_func=quantus.similarity_func.correlation_spearman, **PLAIN),
    }


def localisation():
    q = quantus
    return {
        "top_k_intersection:k=20": q.TopKIntersection(k=20, **PLAIN),
        "attribution_localisation": q.AttributionLocalisation(**ABSOLUTE),
        "auc": q.AUC(**PLAIN),
        "pointing_game": q.PointingGame(**PLAIN),
        "relevance_mass_accuracy": q.RelevanceMassAccuracy(**PLAIN),
        "relevance_rank_accuracy": q.RelevanceRankAccuracy(**PLAIN),
        "sparseness": q.Sparseness(**PLAIN),
        "complexity": q.Complexity(**PLAIN),
        "attribution_localisation:weighted=true,as_quantus=true": q.AttributionLocalisation(weighted=True, **ABSOLUTE),
        "sparseness:normalise=none,offset=0.0000001": q.Sparseness(**PLAIN),
        "top_k_intersection:k=30,concept_influence=true": q.TopKIntersection(k=30, concept_influence=True, **PLAIN),
    }


def fixed(a, other):
    """What metrics of randomisation give when every random network's explanation is `other`: the parts of them that Quantus determines."""
    flat, changed = a.reshape(SAMPLES, -1), other.reshape(SAMPLES, -1)
    similarity = quantus.similarity_func
    entropy = [[quantus.complexity_func.discrete_entropy(row, row) for row in rows] for rows in (flat, changed)]
    return {
        "mprt:full=true": similarity.correlation_spearman(flat, changed, batched=True),
        "mprt:full=true,similarity=pearson": similarity.correlation_pearson(flat, changed, batched=True),
        "mprt:full=true,similarity=ssim": similarity.ssim(flat, changed, batched=True),
        "smooth_mprt:full=true,nr_samples=2,abs=true": similarity.correlation_spearman(np.abs(flat), np.abs(changed), batched=True),
        "efficient_mprt": (np.asarray(entropy[1]) - entropy[0]) / entropy[0],
    }


def record(arrays, name, kind, values):
    if kind == "road":  # per percentage the mean over samples; heatproof gives each sample's share, so only their means can be compared
        arrays["mean " + name] = np.asarray([np.mean(list(values.values()))])
    elif kind == "mean":
        arrays["score " + name] = np.full(SAMPLES, np.mean(values))
    else:
        arrays[f"{kind} {name}"] = np.asarray(values, np.float64)


def make(stem, net, channels, side, middle):
    generator = np.random.default_rng(1)
    x = generator.normal(size=(SAMPLES, channels, side, side)).astype(np.float32)
    a = generator.normal(size=x.shape).astype(np.float32)
    masks = (generator.uniform(size=(SAMPLES, 1, side, side)) < 0.3).astype(np.float32)
    with torch.no_grad():
        net[-1].bias -= net(torch.from_numpy(x)).mean(0)  # so that predictions differ
    torch.onnx.export(net, torch.from_numpy(x), str(FOLDER / f"{stem}.onnx"), dynamo=False, opset_version=17,
                      input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "N"}})
    logits = net(torch.from_numpy(x))
    targets = logits.argmax(1).numpy()
    pooled = np.abs(a.sum(1, keepdims=True))
    arrays = {"input": x, "attributions": a, "positive": pooled, "masks": masks[:, 0], "targets": targets}
    given = {"model": net, "x_batch": x, "y_batch": targets, "softmax": False}

    if channels == 1:
        for steps in (9, 144):  # Quantus' "black" is the image's minimum, heatproof's the value of black pixels, here 0
            metric = quantus.PixelFlipping(features_in_step=side * side // steps, perturb_baseline=0.0, **PLAIN)
            arrays[f"curve pixel_flipping:patch=1,steps={steps},order=morf,imputer=black,ties=index"] = np.asarray(metric(a_batch=a.copy(), **given))
        # Quantus's IROF fails for more than one channel.
        arrays["score irof:as_quantus=true,normalise=none"] = np.asarray(
            quantus.IROF(**{**PLAIN, "return_aggregate": False})(a_batch=a.copy(), **{**given, "softmax": True}))
        arrays["score continuity:neighbours=0,path=3"] = continuity_of_path(net, x, targets, 3)
    for name, (metric, kind) in faithfulness(channels).items():
        if kind != "road" or channels == 1:  # Quantus's ROAD fails for more than one channel
            record(arrays, name, kind, metric(a_batch=a.copy(), **given))
    for name, metric in robustness(middle, logits.shape[1]).items():
        if name == "input_invariance" and channels > 1:
            continue  # Quantus's shift is wrong for padded convolutions
        arrays["score " + name] = np.asarray(metric(a_batch=explainer(True)(net, x, targets), explain_func=explainer(True), **given),
                                             np.float64)
    for name, metric in {"sparseness:over=elements": quantus.Sparseness(**ABSOLUTE), "complexity:over=elements": quantus.Complexity(**ABSOLUTE)}.items():
        arrays["score " + name] = np.asarray(metric(a_batch=np.abs(a), **given), np.float64)
    signed = quantus.RelevanceMassAccuracy(**PLAIN)(a_batch=a.sum(1, keepdims=True), s_batch=masks, **given)
    arrays["score relevance_mass_accuracy:signed=true"] = np.asarray(signed, np.float64)
    for name, metric in localisation().items():
        arrays["score " + name] = np.asarray(metric(a_batch=pooled.copy(), s_batch=masks, **given), np.float64)
    arrays["other"] = generator.normal(size=x.shape).astype(np.float32) ** 3
    for name, values in fixed(a, arrays["other"]).items():
        arrays["fixed " + name] = np.asarray(values, np.float64)
    quadrants = generator.integers(0, 2, size=(SAMPLES, 4))
    half = side // 2
    arrays["quadrants"] = quadrants.reshape(SAMPLES, 2, 2).repeat(half, 1).repeat(half, 2).astype(np.float32)
    arrays["score focus:mosaics=given"] = np.asarray(quantus.Focus(**PLAIN)(a_batch=a, custom_batch=quadrants, **given), np.float64)
    for name, positive in {"attribution_localisation:abs=false": False, "attribution_localisation:abs=false,positive_attributions=true": True}.items():
        arrays["signed " + name] = np.asarray(
            quantus.AttributionLocalisation(positive_attributions=positive, **PLAIN)(a_batch=a.sum(1, keepdims=True), s_batch=masks, **given), np.float64)
    smooth = generator.normal(size=(channels, 6, 5)).repeat(8, 1).repeat(7, 2) + 0.3 * generator.normal(size=(channels, 48, 35))
    arrays["picture"] = smooth.astype(np.float32)
    arrays["slic"] = skimage.segmentation.slic(np.moveaxis(arrays["picture"], 0, -1).astype("double"), start_label=0)
    np.savez_compressed(FOLDER / f"{stem}.npz", **arrays)
    for k, v in arrays.items():
        print(stem, k, v.shape, np.asarray(v).ravel()[:3])


def main():
    make("metrics", grey(), 1, 12, "2")
    make("metrics_rgb", rgb(), 3, 16, "3")


if __name__ == "__main__":
    main()
