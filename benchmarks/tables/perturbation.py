"""Perturbation: patches of 16×16 leave the image one after the other, and the score is watched."""

import numpy as np

from benchmarks import data, program
from benchmarks.common import Case, Measure, Worker, agree, in_turns, ratio_row
from benchmarks.names import title

TITLE = "Pixel-flipping and region perturbation"
ABOUT = ("224×224 images, patches of 16×16 become 0; both sides start from the same attributions, and their curves are compared first. Quantus: heatproof's time is that "
         "of the whole process, loading and compiling included. ONNX Runtime runs the same perturbed images in the batch size that suits it best; there both sides "
         "are without loading and compiling the network (heatproof's is measured by a metric that perturbs nothing, and subtracted).")


class Setting:
    """Sizes of one row, smaller for the smoke test, and the files of it."""

    def __init__(self, plan, network, images, regions):
        self.patch = 8 if plan.smoke else 16
        self.n, self.regions = (2, 4) if plan.smoke else (images, regions)
        self.patches = (plan.size // self.patch) ** 2
        self.model = data.network(network)
        _, self.images = data.images(self.n, plan.size)
        _, self.targets = data.targets(self.n)
        _, self.attributions = data.patchwise(self.n, plan.size, self.patch)

    def evaluate(self, plan, metric):
        return program.run(plan, "evaluate", self.model, self.images, "--attributions", self.attributions, "--target", self.targets, "--metric", metric)

    @property
    def region_perturbation(self):
        return f"region_perturbation:patch_size={self.patch},regions_evaluation={self.regions},perturb_baseline=0,normalise=none"


def quantus_rows(plan, key, network, what, metric, method, arguments, shift=False, target=1 / 15):
    """heatproof's `metric` against one of Quantus's. shift: heatproof's curve begins with the untouched image."""
    s = Setting(plan, network, 4, 64)
    metric, arguments = metric(s), arguments(s)
    with Worker("benchmarks.peers:QuantusMetric", plan.threads, network=network, images=s.images, attributions=s.attributions, targets=s.targets) as worker:
        first, mine = worker.time(method, *arguments), s.evaluate(plan, metric)
        curves = np.asarray(mine.value["curves"])
        error = agree(curves[:, 1:] if shift else curves, first.value, f"curves of {metric}")
        ours, theirs = in_turns(plan.few(done=1), lambda: s.evaluate(plan, metric), lambda: worker.time(method, *arguments))
    steps = first.value.shape[1]
    return [ratio_row(f"perturb {network} {key}", f"{title(network)}, {what}: {s.n} images × {steps} steps", f"Quantus {key}", [mine, *ours],
                      [first, *theirs], target=target, error=error)]


def region_rows(plan, network):
    return quantus_rows(plan, "RegionPerturbation", network, "`region_perturbation`", lambda s: s.region_perturbation, "region_perturbation",
                        lambda s: (s.patch, s.regions), target=None)


def element_rows(plan, network):
    """As Quantus runs on three channels: steps of 784 elements."""
    step = lambda s: plan.size**2 // 64  # noqa: E731
    return quantus_rows(plan, "PixelFlipping", network, "`pixel_flipping:as_quantus=true`",
                        lambda s: f"pixel_flipping:as_quantus=true,features_in_step={step(s)},perturb_baseline=0,normalise=none", "pixel_flipping",
                        lambda s: (step(s),))


def patch_rows(plan, network):
    """One patch a step; Quantus's check that knows no channels is left out."""
    return quantus_rows(plan, "PixelFlipping by patches", network, "`pixel_flipping`",
                        lambda s: f"pixel_flipping:patch={s.patch},steps={s.patches},order=morf,imputer=black,ties=index", "pixel_flipping",
                        lambda s: (3 * s.patch * s.patch, False), shift=True)


def runtime_rows(plan, network, images, target):
    """Against forward passes of ONNX Runtime over the same perturbed images."""
    s = Setting(plan, network, images, 64)
    with Worker("benchmarks.peers:OnnxRuntime", plan.threads, model=s.model, size=plan.size) as worker:
        worker.call("load_images", s.images)
        batch = worker.call("choose_batch", [1, 2] if plan.smoke else [1, 2, 4, 8, 16])
        run = lambda: worker.time("remove_patches", s.attributions, s.patch, s.regions, s.targets)  # noqa: E731
        scores = run().value
        curves = np.asarray(s.evaluate(plan, s.region_perturbation).value["curves"])
        # Curves are falls of the score; their error is relative to the scores that they come from.
        error = agree(scores[:, :1] - curves, scores[:, 1:], "curves")
        whole = []

        def ours():
            whole.append(s.evaluate(plan, s.region_perturbation))
            return Measure(max(1.0, whole[-1].ms - s.evaluate(plan, "sparseness").ms), whole[-1].peak_mb)

        mine, theirs = in_turns(plan.few(), ours, run)
    work = f"{title(network)}, `region_perturbation`: {s.n} images × {s.regions} steps"
    return [ratio_row(f"perturb {network} ORT", work, f"ONNX Runtime, batch {batch}", mine, theirs, target=target, error=error,
                      note=f"whole process {min(m.ms for m in whole) / 1000:.1f} s")]


def cases(plan) -> list[Case]:
    found = []
    against_runtime = [("vgg16", 2, 0.3), ("resnet18", 4, 0.6), ("resnet50", 2, None)]
    for network, images, target in against_runtime[:1] if plan.smoke else against_runtime:
        for name in plan.networks([network]):
            found.append(Case(f"{name} ONNX Runtime", lambda p, n=name, i=images, t=target: runtime_rows(p, n, i, t), network == "resnet18"))
    for network in plan.networks(["resnet18"]):
        found.append(Case(f"{network} RegionPerturbation", lambda p, n=network: region_rows(p, n)))
        if not plan.smoke:  # 192 steps of any image
            found.append(Case(f"{network} PixelFlipping", lambda p, n=network: element_rows(p, n)))
        found.append(Case(f"{network} PixelFlipping by patches", lambda p, n=network: patch_rows(p, n)))
    return found
