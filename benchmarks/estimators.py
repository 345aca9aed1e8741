"""Times integrated gradients (50 steps) and occlusion (16 x 16, stride 16) against captum, and compares the attributions.

    python3 -m venv .venv-peers && .venv-peers/bin/pip install -r tests/goldens/requirements.txt
    .venv-peers/bin/python benchmarks/estimators.py [--network resnet18] [--rounds 3]

Both run in turns on the same threads; each figure is the median over the rounds. heatproof's time is a whole process of `heatproof explain`,
loading and compiling included; captum's is the call alone, with its default batch and with the better of it and a fixed one. Deviations: of captum's attributions and of
heatproof's from captum's in double precision, relative to the largest.
"""

import argparse
import copy
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import export_networks  # noqa: E402
import torchvision  # noqa: E402
from captum.attr import IntegratedGradients, Occlusion  # noqa: E402


def captum_calls(net):
    """Recipe → the ways to call captum."""
    def gradients(**more):
        return lambda x, target: IntegratedGradients(net).attribute(x, target=target, n_steps=50, method="riemann_middle", **more)

    def occlusion(**more):
        return lambda x, target: Occlusion(net).attribute(x, target=target, sliding_window_shapes=(x.shape[1], 16, 16),
                                                          strides=(x.shape[1], 16, 16), **more)
    return {"integrated_gradients:steps=50": [gradients(), gradients(internal_batch_size=10)],
            "occlusion:patch=16,stride=16": [occlusion(), occlusion(perturbations_per_eval=14)]}


def timed(call):
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def ours(arguments, folder, recipe, target):
    command = [arguments.program, "explain", str(folder / "net.onnx"), str(folder / "x.npy"), "--recipe", recipe, "--target", str(target),
               "--raw", str(folder / "r.npy"), "--threads", str(arguments.threads), "--quiet"]
    seconds, _ = timed(lambda: subprocess.run(command, check=True))
    return seconds, np.load(folder / "r.npy")


def compare(arguments, folder, net, x, recipe, calls):
    target = int(net(x).argmax())
    times = {"heatproof": [], **{i: [] for i in range(len(calls))}}
    for _ in range(arguments.rounds):
        seconds, mine = ours(arguments, folder, recipe, target)
        times["heatproof"].append(seconds)
        for i, call in enumerate(calls):
            seconds, theirs = timed(lambda: call(x, target))
            times[i].append(seconds)
    best = min(range(len(calls)), key=lambda i: statistics.median(times[i]))
    exact = captum_calls(copy.deepcopy(net).double())[recipe][1](x.double(), target).detach().numpy()
    deviations = [np.abs(a - exact).max() / np.abs(exact).max() for a in (theirs.detach().numpy(), mine)]
    ratio = statistics.median(a / b for a, b in zip(times[best], times["heatproof"]))
    print(f"{recipe:<32}{statistics.median(times[0]):>10.2f}{statistics.median(times[best]):>14.2f}"
          f"{statistics.median(times['heatproof']):>11.2f}{ratio:>8.2f}{deviations[0]:>10.1e}{deviations[1]:>10.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/heatproof"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    net = export_networks.plausible(getattr(torchvision.models, arguments.network)(weights=None).eval())
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    print(f"{arguments.network}, {arguments.threads} threads, medians of {arguments.rounds} rounds, seconds")
    print(f"{'recipe':<32}{'captum':>10}{'captum, best':>14}{'heatproof':>11}{'ratio':>8}{'deviations':>20}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        torch.onnx.export(net, x, str(folder / "net.onnx"), opset_version=17, dynamo=False)
        np.save(folder / "x.npy", x.numpy())
        for recipe, calls in captum_calls(net).items():
            compare(arguments, folder, net, x, recipe, calls)


if __name__ == "__main__":
    main()
