"""What measured: processor, memory, system, versions."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

from benchmarks import program
from benchmarks.common import ROOT

SIMD = ["amx_tile", "avx512_bf16", "avx512f", "avx2", "avx", "sse4_2", "asimd"]  # the widest first
PACKAGES = ["onnxruntime", "torch", "torchvision", "zennit", "captum", "quantus", "pnpxai", "numpy"]


def _first(path, key):
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, value = line.partition(":" if ":" in line else "=")
        if name.strip() == key:
            return value.strip().strip('"')
    return "unknown"


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit():
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()  # noqa: E731
    commit = git("rev-parse", "--short", "HEAD") or "unknown"
    return commit + (" with changes" if git("status", "--porcelain", "--untracked-files=no", "--", "src", "include", "CMakeLists.txt") else "")


def describe(plan):
    """Name → text."""
    flags = _first("/proc/cpuinfo", "flags").split()
    simd = [s.removesuffix("f") if s == "avx512f" else s for s in SIMD if s in flags]
    memory = int(_first("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": f"{len(os.sched_getaffinity(0))} ({plan.threads} threads on both sides)",
        "SIMD": ", ".join(simd) or "unknown",
        "memory": f"{memory:.0f} GiB",
        "system": f"{_first('/etc/os-release', 'PRETTY_NAME')}, Linux {platform.release()}, Python {platform.python_version()}",
        "heatproof": _commit(),
        "oneDNN": program.bench(plan, ROOT / "assets/shapes/shapes.onnx", repeats=1)["onednn"],
    } | {p: _version(p) for p in PACKAGES}
