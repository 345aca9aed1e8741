"""The peers, each in its own words. They run in workers (common.Worker); nothing else imports torch or ONNX Runtime."""

import warnings

import numpy as np

warnings.filterwarnings("ignore")


class OnnxRuntime:
    """Forward passes of one model."""

    def __init__(self, threads, model, batch=1, size=224):
        self.threads, self.model, self.batch = threads, model, batch
        self.open(batch)
        self.x = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
        self.run()

    def open(self, batch):
        """A session for one batch size: fixed shapes are what it optimises best."""
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.add_free_dimension_override_by_name("N", batch)
        self.session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])

    def compile(self):
        """What a user waits for before the first run."""
        self.open(self.batch)

    def run(self):
        self.session.run(None, {"input": self.x})

    def predict(self, x):
        """Logits of images, in batches of the session's size; x is repeated to fill the last one."""
        parts = []
        for i in range(0, len(x), self.batch):
            part = x[i:i + self.batch]
            if len(part) < self.batch:
                part = np.concatenate([part, part[:1].repeat(self.batch - len(part), 0)])
            parts.append(self.session.run(None, {"input": np.ascontiguousarray(part)})[0])
        return np.concatenate(parts)[:len(x)]

    def load_images(self, path):
        self.images = np.load(path)

    def choose_batch(self, sizes):
        """Takes the batch size with the most images per second; returns it."""
        import time
        best = (float("inf"), 1)
        for batch in sizes:
            self.batch = batch
            self.open(batch)
            x = self.images[:1].repeat(batch, 0)
            self.predict(x)
            times = []
            for _ in range(3):
                begin = time.perf_counter()
                self.predict(x)
                times.append((time.perf_counter() - begin) / batch)
            best = min(best, (min(times), batch))
        self.batch = best[1]
        self.open(self.batch)
        return self.batch

    def remove_patches(self, attributions, patch, steps, targets):
        """Scores of the targets [n, steps + 1] while patches of zeros replace the image, most relevant first."""
        a, targets = np.load(attributions), np.load(targets)
        n, c, h, w = self.images.shape
        side = w // patch
        sums = a.sum(1, dtype=np.float64).reshape(n, h // patch, patch, side, patch).sum((2, 4)).reshape(n, -1)
        copies = []
        for i in range(n):
            x = self.images[i].copy()
            copies.append(x.copy())
            for k in np.argsort(-sums[i], kind="stable")[:steps]:
                y0, x0 = k // side * patch, k % side * patch
                x[:, y0:y0 + patch, x0:x0 + patch] = 0
                copies.append(x.copy())
        copies = np.stack(copies)
        scores = self.predict(copies).reshape(n, steps + 1, -1)
        return scores[np.arange(n), :, targets]


def torch_network(threads, network):
    import torch
    torch.set_num_threads(threads)
    from benchmarks.networks import build
    return build(network)


class Torch:
    """Forward pass and gradient."""

    def __init__(self, threads, network, batch=1, size=224, double=False):
        import torch
        dtype = torch.float64 if double else torch.float32
        self.net = torch_network(threads, network).to(dtype)
        self.x = torch.from_numpy(np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)).to(dtype)
        self.target = torch.arange(batch) % 10
        self.run()

    def run(self):
        import torch
        with torch.inference_mode():
            return self.net(self.x).numpy()

    def gradient(self):
        import torch
        x = self.x.clone().requires_grad_(True)
        score = self.net(x).gather(1, self.target[:, None]).sum()
        return torch.autograd.grad(score, x)[0].numpy()


def zennit_composite(recipe, network, exact=False):
    """zennit's composite for a recipe's name, with the canonizer that the network needs. exact: see docs/methods.md, "Where we differ"."""
    from zennit import composites, rules
    from zennit.canonizers import CompositeCanonizer, SequentialMergeBatchNorm
    from zennit.composites import LayerMapComposite
    from zennit.torchvision import ResNetCanonizer
    from zennit.types import Linear

    class Exact(SequentialMergeBatchNorm):
        """Leaves no epsilon in the emptied BatchNorm."""

        def register(self, linears, batch_norm):
            super().register(linears, batch_norm)
            self.epsilon = batch_norm.eps
            batch_norm.eps = 0.0

        def remove(self):
            self.batch_norm.eps = self.epsilon
            super().remove()

    residual = network.startswith("resnet")
    if not exact:
        canonizers = [ResNetCanonizer() if residual else SequentialMergeBatchNorm()]
    elif residual:
        from zennit.torchvision import ResNetBasicBlockCanonizer, ResNetBottleneckCanonizer
        canonizers = [CompositeCanonizer((Exact(), ResNetBottleneckCanonizer(), ResNetBasicBlockCanonizer()))]
    else:
        canonizers = [Exact()]
    name, _, parameters = recipe.partition(":")
    gamma = {"gamma": float(p.removeprefix("gamma=")) for p in parameters.split(",") if p.startswith("gamma=")}
    more = {"canonizers": canonizers}
    if name == "lrp_epsilon":
        return LayerMapComposite(composites.layer_map_base() + [(Linear, rules.Epsilon())], **more)
    if name == "lrp_epsilon_plus":
        return composites.EpsilonPlus(**more)
    if name == "lrp_epsilon_gamma_box":
        return composites.EpsilonGammaBox(low=-3.0, high=3.0, **gamma, **more)
    if name == "lrp_epsilon_alpha2_beta1":
        return composites.EpsilonAlpha2Beta1(**more)
    if name == "lrp_epsilon_alpha2_beta1_flat":
        return composites.EpsilonAlpha2Beta1Flat(**more)
    raise ValueError(f"no composite of zennit for {recipe}")


class Zennit:
    """Explanations by one recipe, as a user writes them: the composite is registered once, attributions follow."""

    def __init__(self, threads, network, recipe, batch=1, size=224, double=False):
        import torch
        self.type = torch.float64 if double else torch.float32
        self.net = torch_network(threads, network).to(self.type)
        self.recipe = recipe
        self.attributor = self.attributor_of(recipe, network, exact=double)
        x = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
        self.x = torch.from_numpy(x).to(self.type)
        self.target = torch.arange(batch) % 10
        if not double:
            self.explain()

    def attributor_of(self, recipe, network, exact=False):
        from zennit.attribution import Gradient
        attributor = Gradient(model=self.net, composite=zennit_composite(recipe, network, exact))
        attributor.__enter__()
        return attributor

    def seed(self, logits):
        import torch
        return torch.nn.functional.one_hot(self.target, logits.shape[1]).to(logits.dtype) * logits

    def explain(self):
        """Relevance from the target's logit."""
        _, relevance = self.attributor(self.x, self.seed)
        return relevance.detach().numpy()


class QuantusMetric:
    """Perturbation metrics of given attributions."""

    def __init__(self, threads, network, images, attributions, targets):
        self.net = torch_network(threads, network)
        self.x, self.a, self.y = np.load(images), np.load(attributions), np.load(targets)

    def _call(self, metric):
        return np.asarray(metric(model=self.net, x_batch=self.x, y_batch=self.y, a_batch=self.a, softmax=False))

    def region_perturbation(self, patch, regions, order="morf"):
        import quantus
        return self._call(quantus.RegionPerturbation(patch_size=patch, regions_evaluation=regions, order=order, perturb_baseline=0.0,
                                                     normalise=False, abs=False, disable_warnings=True, display_progressbar=False))

    def pixel_flipping(self, features, check=True):
        """check=False: without Quantus's check that height × width is a multiple of the step, which knows no channels."""
        import quantus
        metric = quantus.PixelFlipping(features_in_step=features, perturb_baseline=0.0, normalise=False, abs=False, disable_warnings=True,
                                       display_progressbar=False)
        if not check:
            metric.custom_preprocess = lambda **_: None
        return self._call(metric)


class ZennitAndQuantus:
    """A selection: recipes by zennit, both orders of RegionPerturbation by Quantus."""

    def __init__(self, threads, network, images, targets):
        import torch
        self.net = torch_network(threads, network)
        self.network = network
        self.x, self.y = np.load(images), np.load(targets)
        self.torch_x, self.torch_y = torch.from_numpy(self.x), torch.from_numpy(self.y)

    def explain(self, recipes):
        import torch
        from zennit.attribution import Gradient
        maps = {}
        for recipe in recipes:
            with Gradient(model=self.net, composite=zennit_composite(recipe, self.network)) as attributor:
                seed = lambda out: torch.nn.functional.one_hot(self.torch_y, out.shape[1]).to(out.dtype) * out  # noqa: E731
                maps[recipe] = attributor(self.torch_x, seed)[1].detach().numpy()
        return maps

    def perturb(self, maps, patch, regions):
        import quantus
        curves = {}
        for recipe, a in maps.items():
            for order in ("morf", "lerf"):
                metric = quantus.RegionPerturbation(patch_size=patch, regions_evaluation=regions, order=order, perturb_baseline=0.0,
                                                    normalise=False, abs=False, disable_warnings=True, display_progressbar=False)
                curves[f"{recipe} {order}"] = np.asarray(metric(model=self.net, x_batch=self.x, y_batch=self.y, a_batch=a, softmax=False))
        return curves

    def select(self, recipes, patch, regions):
        """Attributions by recipe, and curves by recipe and order."""
        maps = self.explain(recipes)
        return maps, self.perturb(maps, patch, regions)


class Captum:
    """Methods that are many forward passes."""

    def __init__(self, threads, network, batch=1, size=224, double=False):
        import torch
        dtype = torch.float64 if double else torch.float32
        self.net = torch_network(threads, network).to(dtype)
        self.x = torch.from_numpy(np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)).to(dtype)
        self.target = torch.arange(batch) % 10

    def integrated_gradients(self, steps):
        from captum.attr import IntegratedGradients
        return IntegratedGradients(self.net).attribute(self.x, target=self.target, n_steps=steps).detach().numpy()

    def occlusion(self, patch, stride):
        import torch
        from captum.attr import Occlusion
        with torch.inference_mode():
            return Occlusion(self.net).attribute(self.x, sliding_window_shapes=(3, patch, patch), strides=(3, stride, stride),
                                                 target=self.target).numpy()
