"""Imports the peers. torchvision's wheel expects operators of a CUDA build of torch; zennit needs only its Python part."""

import re
import sys

import numpy as np
import torch

# Quantus uses names that numpy 2 dropped.
for old, new in (("trapz", "trapezoid"), ("NaN", "nan"), ("float", "float64")):
    if not hasattr(np, old):
        setattr(np, old, getattr(np, new))

LIBRARY = torch.library.Library("torchvision", "DEF")


def _import_torchvision():
    for _ in range(50):
        try:
            import torchvision  # noqa: F401
            return
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            LIBRARY.define(f"{missing.group(1)}(Tensor x) -> Tensor")
            for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
                del sys.modules[name]


_import_torchvision()
