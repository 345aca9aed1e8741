"""Checks that no file is too long and that every layer of src/ includes only the layers that it may know."""

import pathlib
import re
import sys

LAYERS = ["base", "graph", "engine", "ops", "onnx", "explain", "data", "validate", "store", "select", "report", "demo", "cli"]
FORBIDDEN = {  # beyond the order above (DESIGN: "must not know of")
    "data": {"graph", "engine", "ops", "onnx", "explain"},
    "report": {"graph", "engine", "ops", "onnx", "explain", "validate", "select", "store"},
    "store": {"graph", "engine", "ops", "onnx", "explain", "validate"},
    "onnx": {"engine"},
}
MOST_LINES = 420


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    problems = []
    for path in sorted([*root.glob("src/**/*.cpp"), *root.glob("src/**/*.h"), *root.glob("include/**/*.h")]):
        text = path.read_text()
        name = path.relative_to(root)
        lines = text.count("\n")
        if lines > MOST_LINES:
            problems.append(f"{name}: {lines} lines; split it (at most {MOST_LINES})")
        if name.parts[0] != "src":
            continue
        layer = name.parts[1]
        for include in re.findall(r'^#include "([a-z_]+)/', text, re.MULTILINE):
            if include not in LAYERS or include == layer:
                continue
            if LAYERS.index(include) > LAYERS.index(layer) or include in FORBIDDEN.get(layer, set()):
                problems.append(f"{name}: layer {layer} must not include {include}/")
    print("\n".join(problems) if problems else "layers and sizes are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
