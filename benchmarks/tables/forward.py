"""Times heatproof's forward pass against ONNX Runtime's, and lrp_epsilon_plus against the forward pass.

    python3 -m venv .venv-bench && .venv-bench/bin/pip install -r benchmarks/requirements.txt
    .venv-bench/bin/python benchmarks/forward.py resnet50.onnx squeezenet.onnx

Both run in turns, several rounds, on the same threads; each figure is the median over the rounds of a round's median.
ResNet-50: benchmarks/export_networks.py (torchvision, random weights: times do not depend on them).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import numpy as np
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent


def ours(program, model, arguments):
    command = [program, "bench", model, "--recipe", arguments.recipe, "--repeats", str(arguments.repeats), "--batch", str(arguments.batch),
               "--threads", str(arguments.threads), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(model, arguments):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    info = session.get_inputs()[0]
    shape = [d if isinstance(d, int) and d > 0 else (arguments.batch if i == 0 else 224) for i, d in enumerate(info.shape)]
    dtype = np.float16 if "float16" in info.type else np.float32
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    times = []
    for i in range(arguments.repeats + 2):
        begin = time.perf_counter()
        session.run(None, {info.name: x})
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times[2:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/heatproof"))
    parser.add_argument("--recipe", default="lrp_epsilon_plus")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    print(f"{arguments.threads} threads, batch {arguments.batch}, medians of {arguments.rounds} rounds; {arguments.recipe}")
    print(f"{'model':<28}{'ORT ms':>9}{'forward':>9}{'ratio':>7}{'explain':>9}{'explain/forward':>17}")
    for model in arguments.models:
        peer, forward, explain = [], [], []
        for _ in range(arguments.rounds):
            peer.append(theirs(model, arguments))
            result = ours(arguments.program, model, arguments)
            forward.append(result["forward_ms"])
            explain.append(result["explain_ms"])
        p, f, e = (statistics.median(v) for v in (peer, forward, explain))
        ratio = statistics.median(a / b for a, b in zip(forward, peer))
        cost = statistics.median(a / b for a, b in zip(explain, forward))
        print(f"{pathlib.Path(model).name:<28}{p:>9.2f}{f:>9.2f}{ratio:>7.2f}{e:>9.2f}{cost:>17.2f}")


if __name__ == "__main__":
    main()
