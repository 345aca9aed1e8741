"""PnPXAI's optimizing as a peer, or, where it cannot be installed, the same loop written with zennit and torch."""

import numpy as np

from benchmarks.common import Skip
from benchmarks.peers import torch_network, zennit_composite


class Optimize:
    """Trials of LRPEpsilonPlus, each with an epsilon and a pooling of its own, ranked by AbPC of PnPXAI's defaults."""

    def __init__(self, threads, network, images, targets):
        import torch
        self.net = torch_network(threads, network)
        self.x, self.y = torch.from_numpy(np.load(images)), torch.from_numpy(np.load(targets))
        try:
            from pnpxai.evaluator import metrics, optimizer  # noqa: F401
        except ImportError as error:
            raise Skip(f"PnPXAI cannot be imported: {error}") from None

    def optimize(self, trials, steps):
        """AbPC of each trial, summed over the images."""
        import optuna
        from pnpxai.core.modality.modality import ImageModality
        from pnpxai.evaluator.metrics import AbPC
        from pnpxai.evaluator.optimizer import Objective, optimize
        from pnpxai.explainers import LRPEpsilonPlus
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        modality = ImageModality()
        explainer = LRPEpsilonPlus(self.net)
        metric = AbPC(self.net, explainer, n_steps=steps)
        objective = Objective(explainer, modality.get_default_postprocessors()[0], metric, modality, self.x, self.y)
        study = optimize(objective, sampler="random", n_trials=trials, seed=0)
        return [t.value for t in study.trials]


    def curves(self, steps):
        """Heatmaps of one explanation, and the target's probabilities while their pixels go, most and least relevant first."""
        from pnpxai.evaluator.metrics.pixel_flipping import PixelFlipping
        from pnpxai.explainers import LRPEpsilonPlus
        explainer = LRPEpsilonPlus(self.net)
        maps = explainer.attribute(self.x, self.y)
        maps = (maps[0] if isinstance(maps, tuple) else maps).detach().sum(1)
        flipping = PixelFlipping(self.net, explainer, n_steps=steps)
        curves = [flipping.evaluate(self.x, self.y, maps, descending=descending)["probs"].numpy() for descending in (True, False)]
        return maps.numpy(), *curves


class Loop:
    """PnPXAI's loop in zennit and torch."""

    def __init__(self, threads, network, images, targets):
        import torch
        self.net = torch_network(threads, network)
        self.network = network
        self.x, self.y = torch.from_numpy(np.load(images)), torch.from_numpy(np.load(targets))

    def optimize(self, trials, steps):
        return [self.trial(steps) for _ in range(trials)]

    def trial(self, steps):
        _, morf, lerf = self.curves(steps)
        return float((lerf - morf).clip(-1).mean(1).sum())

    def curves(self, steps):
        import torch
        from zennit.attribution import Gradient
        with Gradient(model=self.net, composite=zennit_composite("lrp_epsilon_plus", self.network)) as attributor:
            seed = lambda out: torch.nn.functional.one_hot(self.y, out.shape[1]).to(out.dtype) * out  # noqa: E731
            relevance = attributor(self.x, seed)[1].sum(1).detach()
        return relevance.numpy(), *(self.curve(relevance, steps, descending).numpy() for descending in (True, False))

    def curve(self, relevance, steps, descending):
        """The target's probability after 0, 1, … parts of the pixels are gone; the last time all of them."""
        import torch
        n, size = len(self.x), relevance[0].numel()
        order = torch.argsort(relevance.flatten(1), descending=descending, stable=True)
        points = []
        with torch.no_grad():
            for step in range(steps):
                gone = size if step + 1 == steps else step * (size // steps)
                keep = torch.ones(n, size).scatter_(1, order[:, :gone], 0.0).view(n, 1, *relevance.shape[1:])
                points.append(self.net(self.x * keep).softmax(1)[torch.arange(n), self.y])
        return torch.stack(points, 1)
