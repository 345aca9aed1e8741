"""Times region perturbation (one patch per step, most relevant first) against ONNX Runtime on the same perturbed images.

    python3 -m venv .venv-bench && .venv-bench/bin/pip install -r benchmarks/requirements.txt
    .venv-bench/bin/python benchmarks/flipping.py vgg16.onnx resnet18.onnx        (benchmarks/export_networks.py makes them)

ONNX Runtime gets the images ready-made and runs them in the batch size that suits it best; heatproof makes them itself. Both run in
turns on the same threads; each figure is the median over the rounds. First the two curves are compared.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent


def session(model, batch, threads):
    """The model at another batch size."""
    graph = onnx.load(model)
    for value in [*graph.graph.input, *graph.graph.output]:
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    del graph.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(runner, images, batch):
    info = runner.get_inputs()[0]
    dtype = np.float16 if "float16" in info.type else np.float32
    images = images.astype(dtype)
    begin = time.perf_counter()
    results = [runner.run(None, {info.name: images[i : i + batch]})[0] for i in range(0, len(images), batch)]
    seconds = time.perf_counter() - begin
    return 1000 * seconds, np.concatenate(results).reshape(len(images), -1)


def perturbed(x, relevance, patch, steps):
    """[image, step, ...]: patches become 0 by decreasing sum of relevance."""
    n, channels, height, width = x.shape
    rows, cols = height // patch, width // patch
    sums = relevance.reshape(n, channels, rows, patch, cols, patch).sum(axis=(1, 3, 5)).reshape(n, -1)
    result = []
    for i in range(n):
        image = x[i].copy()
        for k in np.argsort(-sums[i], kind="stable")[:steps]:
            top, left = k // cols * patch, k % cols * patch
            image[:, top : top + patch, left : left + patch] = 0
            result.append(image.copy())
    return np.stack(result)


def command(program, *arguments):
    return json.loads(subprocess.run([program, *map(str, arguments), "--json"], check=True, capture_output=True, text=True).stdout)


def gap(program, model, x, relevance, metric, images, reference, logits):
    """Largest difference of the curves, relative to the largest logit of the target."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / name for name in ("x.npy", "a.npy", "t.npy")]
        targets = logits.argmax(axis=1)
        for path, values in zip(paths, (x, relevance, targets.astype(np.int64))):
            np.save(path, values)
        ours = command(program, "evaluate", model, paths[0], "--attributions", paths[1], "--target", paths[2], "--metric", metric)
    falls = np.array(ours["curves"]["fall"] if isinstance(ours["curves"], dict) else ours["curves"])
    theirs = np.stack([logits[i, t] - reference.reshape(len(x), -1, reference.shape[1])[i, :, t] for i, t in enumerate(targets)])
    return np.abs(falls - theirs).max() / np.abs(logits).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/heatproof"))
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-check", action="store_true", help="do not compare the curves")
    a = parser.parse_args()
    metric = f"region_perturbation:patch_size={a.patch},regions_evaluation={a.steps},perturb_baseline=0"
    print(f"{a.threads} threads, {a.images} images, {a.steps} patches of {a.patch}x{a.patch}, medians of {a.rounds} rounds")
    print(f"{'model':<28}{'ORT ms':>10}{'batch':>7}{'heatproof ms':>14}{'ratio':>7}{'curves differ by':>18}")
    for model in a.models:
        shape = [d.dim_value for d in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
        x = np.random.default_rng(0).normal(size=[a.images, *shape[1:]]).astype(np.float32)
        relevance = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
        images = perturbed(x, relevance, a.patch, a.steps)
        runners = {b: session(model, b, a.threads) for b in a.batches}
        few = images[: 2 * max(a.batches)]
        best = min(a.batches, key=lambda b: min(run(runners[b], few, b)[0] for _ in range(3)))
        difference = float("nan")
        if not a.no_check:
            logits = run(runners[1], x, 1)[1]
            difference = gap(a.program, model, x, relevance, metric, images, run(runners[1], images, 1)[1], logits)
        theirs, ours = [], []
        for _ in range(a.rounds):
            theirs.append(run(runners[best], images, best)[0])
            arguments = ["--metric", metric, "--batch", a.images, "--repeats", 1, "--threads", a.threads]
            ours.append(command(a.program, "bench", model, *arguments)["metric_ms"])
        ratio = statistics.median(o / t for o, t in zip(ours, theirs))
        print(f"{pathlib.Path(model).name:<28}{statistics.median(theirs):>10.0f}{best:>7}{statistics.median(ours):>14.0f}{ratio:>7.2f}{difference:>18.1e}", flush=True)


if __name__ == "__main__":
    main()
