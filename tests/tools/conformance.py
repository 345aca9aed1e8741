#!/usr/bin/env python3
"""Runs the ONNX project's backend suite (node, simple, pytorch-operator and pytorch-converted cases) through `heatproof run`.

    scripts/conformance [--only GLOB] [--json FILE]     makes an environment with onnx first

A case passes when every output that is a tensor of numbers agrees with the suite's (rtol 1e-3, atol 1e-5, as the suite
asks unless a case says otherwise); it is refused when the program ends with exit code 2, 3 or 4 and one line of error.
Anything else has failed, and the script ends with exit code 1.
"""

import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
import onnx.numpy_helper

SECONDS = 60
OPEN: set[str] = set()  # cases that are known to fail


def array_of(proto, info):
    """The array of a data set's file; None where it is a sequence, an optional or a string."""
    if info.type.WhichOneof("value") != "tensor_type":
        return None
    if not isinstance(proto, bytes):
        value = np.asarray(proto)
    else:
        value = onnx.numpy_helper.to_array(onnx.TensorProto.FromString(proto))
    return value if value.dtype.kind in "fiub" or value.dtype.name == "bfloat16" else None


def cases():
    """(kind, name, model bytes, inputs, outputs, rtol, atol) of the whole suite; inputs and outputs by name."""
    from onnx.backend.test.case.node import collect_testcases
    warnings.simplefilter("ignore")
    seen = set()
    for case in collect_testcases(None) if collect_testcases.__code__.co_argcount else collect_testcases():
        if case.model is None or not case.data_sets or case.name in seen:
            continue
        seen.add(case.name)
        given, wanted = case.data_sets[0]
        yield "node", case.name, case.model, given, wanted, case.rtol, case.atol
    data = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for folder in sorted((data / kind).iterdir()):
            if not (folder / "model.onnx").exists() or not (folder / "test_data_set_0").is_dir():
                continue
            files = folder / "test_data_set_0"
            read = lambda role: [p.read_bytes() for p in sorted(files.glob(f"{role}_*.pb"), key=lambda p: int(p.stem.split("_")[-1]))]
            yield kind, folder.name, onnx.load(folder / "model.onnx"), read("input"), read("output"), 1e-3, 1e-5


def last_line(text):
    lines = [line for line in text.strip().splitlines() if not line.startswith("warning")]
    return lines[-1] if lines else ""


def judge(program, case):
    kind, name, model, given, wanted, rtol, atol = case
    operators = sorted({n.op_type for n in model.graph.node})
    weights = {t.name for t in model.graph.initializer}
    infos = [i for i in model.graph.input if i.name not in weights] if len(given) < len(model.graph.input) else list(model.graph.input)
    result = {"kind": kind, "name": name, "operators": operators}
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, os.path.join(folder, "m.onnx"))
        command = [program, "run", "m.onnx", "--threads", "1", "--allow-nonfinite", "--output-dir", "out"]
        floats = True
        for k, (info, proto) in enumerate(zip(infos, given)):
            if not isinstance(proto, bytes) and proto is None:
                continue
            value = array_of(proto, info)
            if value is None:
                return {**result, "state": "refused", "why": f"input '{info.name}' is no tensor of numbers"}
            floats = floats and (value.dtype.kind == "f" or value.dtype.name == "bfloat16" or k > 0)
            if value.dtype.name in ("bfloat16",) or value.dtype == np.float16:
                value = value.astype(np.float32)
            np.save(os.path.join(folder, f"i{k}.npy"), value)
            command += ["--input", f"{info.name}=i{k}.npy"]
        result["float"] = floats
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return {**result, "state": "failed", "why": f"no end within {SECONDS} s"}
        if done.returncode in (2, 3, 4):
            return {**result, "state": "refused", "why": last_line(done.stderr)}
        if done.returncode != 0:
            return {**result, "state": "failed", "why": f"exit {done.returncode}: {last_line(done.stderr)}"}
        for info, proto in zip(model.graph.output, wanted):
            expected = array_of(proto, info)
            if expected is None:
                continue
            file = os.path.join(folder, "out", info.name + ".npy")
            if not os.path.exists(file):
                return {**result, "state": "failed", "why": f"output '{info.name}' was not written"}
            actual = np.load(file)
            if actual.shape != expected.shape:
                return {**result, "state": "failed", "why": f"output '{info.name}' has shape {actual.shape}, right is {expected.shape}"}
            a, e = actual.astype(np.float64), expected.astype(np.float64)
            short = expected.dtype.itemsize < 4 and expected.dtype.kind not in "iub"  # the suite computed in 16 bits
            if not np.allclose(a, e, rtol=1e-2 if short else max(rtol, 1e-3), atol=1e-2 if short else max(atol, 1e-5), equal_nan=True):
                finite = np.isfinite(a) & np.isfinite(e)
                gap = np.abs(a - e)[finite].max() if finite.any() else np.nan
                return {**result, "state": "failed", "why": f"output '{info.name}' is off by up to {gap:.3g}"}
    return {**result, "state": "passed"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--only", default="*")
    parser.add_argument("--json")
    parser.add_argument("--jobs", type=int, default=2)
    flags = parser.parse_args()
    program = os.path.abspath(flags.program)
    chosen = [c for c in cases() if fnmatch.fnmatch(c[1], flags.only)]
    with concurrent.futures.ThreadPoolExecutor(flags.jobs) as pool:
        results = list(pool.map(lambda c: judge(program, c), chosen))
    if flags.json:
        pathlib.Path(flags.json).write_text(json.dumps(results, indent=0))
    for r in results:
        if r["state"] == "failed" and r["name"] not in OPEN:
            print(f"FAILED {r['kind']} {r['name']} ({', '.join(r['operators'])}): {r['why']}")
    for kind in dict.fromkeys(r["kind"] for r in results):
        counts = collections.Counter(r["state"] for r in results if r["kind"] == kind)
        print(f"{kind}: {counts['passed']} passed, {counts['refused']} refused, {counts['failed']} failed")
    failed = {r["name"] for r in results if r["state"] == "failed"}
    if not results or failed & OPEN:
        print("no case was run" if not results else f"known to fail: {', '.join(sorted(failed & OPEN))}")
    return not results or bool(failed - OPEN)


if __name__ == "__main__":
    sys.exit(main())
