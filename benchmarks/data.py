"""Files that both sides read: networks, inputs, attributions. Made when they are first asked for, and kept in build/benchmarks."""

import subprocess
import sys

import numpy as np

from benchmarks.common import ROOT, WORK


def network(name):
    """Path of an exported network; exported in a process of its own, so that this one stays small."""
    path = WORK / "networks" / f"{name}.onnx"
    if not path.exists():
        result = subprocess.run([sys.executable, "-m", "benchmarks.networks", path.parent, name], cwd=ROOT, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"cannot export {name}: {result.stderr.strip()[-2000:]}")
    return str(path)


def saved(name, array):
    """Path of a .npy file with this array."""
    path = WORK / "arrays" / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return str(path)


def images(n, size):
    """Normal noise [n, 3, size, size]; and the path of it. The first images are the same for every n."""
    x = np.random.default_rng(0).normal(size=(n, 3, size, size)).astype(np.float32)
    return x, saved(f"images_{n}_{size}", x)


def targets(n):
    """Classes to explain, and the path of them."""
    t = np.arange(n, dtype=np.int64) % 10
    return t, saved(f"targets_{n}", t)


def patchwise(n, size, patch):
    """Attributions [n, 3, size, size] that order whole patches, each of them at once: no two elements are equal, so that every
    library removes them in the same order, and the elements of one patch (all channels) are neighbours in that order."""
    side = size // patch
    random = np.random.default_rng(1)
    place = np.stack([random.permutation(side * side) for _ in range(n)]).reshape(n, 1, side, side)
    within = np.arange(3 * patch * patch, dtype=np.float64).reshape(3, patch, patch) / (3 * patch * patch + 1)
    a = place.repeat(patch, 2).repeat(patch, 3) + np.tile(within, (1, side, side))
    a = a.astype(np.float32)
    assert all(len(np.unique(row)) == row.size for row in a)
    return a, saved(f"patchwise_{n}_{size}_{patch}", a)


def load(path):
    return np.load(path)
