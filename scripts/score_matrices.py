"""Scores of many recipes on many images of two real networks, for the simulations of scripts/campaign.

    scripts/score_matrices.py build/release/bin/heatproof ../shared/data tests/goldens/scores

Writes mnist.npy and cifar10.npy, float32 [recipe, image], and scores.json with what they are.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

RECIPES = [
    "gradient", "gradient:pool=abs", "gradient_x_input", "integrated_gradients:steps=8", "guided_backprop",
    "deeplift", "lrp_epsilon", "lrp_zplus", "lrp_epsilon_plus", "lrp_epsilon_plus_flat", "lrp_gamma:gamma=0.25",
    "random", "uniform", "edges",
]
METRIC = "pixel_flipping:patch=4,steps=14"
DIGITS = 400


def mnist(data: pathlib.Path) -> np.ndarray:
    return np.load(data / "mnist/test_1000.npz")["images"][:DIGITS, None].astype(np.float32)


def cifar10(data: pathlib.Path) -> np.ndarray:
    return np.load(data / "cifar10/test.npz")["images"].transpose(0, 3, 1, 2).astype(np.float32)


TABLES = {"mnist": ("mnist.onnx", mnist), "cifar10": ("resnet8_cifar10.onnx", cifar10)}


def scores(program: str, model: pathlib.Path, inputs: pathlib.Path, recipe: str) -> list[float]:
    command = [program, "evaluate", model, inputs, "--recipe", recipe, "--metric", METRIC, "--json", "--quiet", "--threads", "1"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["scores"]


def main() -> None:
    program, data, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    for name, (model, read) in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            inputs = pathlib.Path(folder) / "x.npy"
            np.save(inputs, read(data))
            table = [scores(program, data / "models" / model, inputs, recipe) for recipe in RECIPES]
        np.save(out / f"{name}.npy", np.array(table, np.float32))
    facts = {"recipes": RECIPES, "metric": METRIC, "networks": {name: model for name, (model, _) in TABLES.items()}}
    (out / "scores.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
