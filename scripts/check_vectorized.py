#!/usr/bin/env python3
"""Checks that the loops of functions marked HEATPROOF_SIMD are vectorized, for AVX-512 and AVX2 (docs/architecture.md).

    scripts/check_vectorized.py [build/release]      recompiles those files with the compiler's report

First it proves itself on a sample with a loop that cannot be vectorized; and it fails where fewer loops are found than there
were (LEAST; count them again when loops go for good).

Innermost loops must be reported twice at least: one for each set of instructions. Not asked of loops that fill
memory, nor of those whose line ends in `// scalar`.
"""

import collections
import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLONES = 2
LEAST = 46
SAMPLE = """#include "base/simd.h"
HEATPROOF_SIMD
void scaled(float* y, const float* x, long n) {
  for (long i = 0; i < n; ++i) y[i] = 2.0F * x[i];
}
HEATPROOF_SIMD
void sums(float* y, const float* x, long n) {
  for (long i = 1; i < n; ++i) y[i] = y[i - 1] * 0.5F + x[i];
}
"""
NO_NEED = re.compile(r"// scalar$|\] = 0;$|std::fill_n\(")


def innermost_loops(text):
    """Of the loops in functions marked HEATPROOF_SIMD that contain no other loop: line, statement, and the lines at which the compiler
    may report them: theirs, the body's, or that of a loop around that contains nothing else."""
    lines = text.splitlines()
    found, inside = [], False
    for number, line in enumerate(lines, 1):
        if line.startswith("HEATPROOF_SIMD"):
            inside = True
        elif line.startswith("}"):
            inside = False
        if inside and (match := re.match(r"(\s*)for \(", line)):
            indent = len(match[1])
            body = []
            for later in lines[number:]:
                if later.strip() and len(later) - len(later.lstrip()) <= indent:
                    break
                body.append(later)
            if not any(re.match(r"\s*for \(", b) for b in body) and not NO_NEED.search(line):
                around = [number - 1] if number > 1 and re.match(r"\s*for \(.*\)$", lines[number - 2]) else []
                found.append((number, line.strip(), [number, number + 1, *around]))
    return found


def vectorized_lines(command, source):
    words = shlex.split(command)
    words[words.index("-o") + 1] = "/dev/null"
    words[words.index("-c") + 1] = str(source)
    report = subprocess.run([*words, "-fopt-info-vec-optimized"], capture_output=True, text=True, check=True).stderr
    return collections.Counter(int(n) for n in re.findall(rf"{re.escape(source.name)}:(\d+):\d+: optimized: (?:loop|basic block part) vectorized", report))


def failures(entry):
    source = pathlib.Path(entry["file"])
    loops = innermost_loops(source.read_text())
    reported = vectorized_lines(entry["command"], source)
    return len(loops), [f"{source}:{line}: not vectorized: {text}" for line, text, lines in loops
                        if max(reported[n] for n in lines) < CLONES]


def prove(entry):
    """A check that cannot fail is none: of the sample's two loops exactly the second must be reported."""
    with tempfile.TemporaryDirectory() as folder:
        sample = pathlib.Path(folder) / "sample.cpp"
        sample.write_text(SAMPLE)
        count, wrong = failures({**entry, "file": str(sample)})
    if count != 2 or len(wrong) != 1 or "sample.cpp:8:" not in wrong[0]:
        sys.exit(f"the check does not find the one loop of its sample that is not vectorized: {count} loops, reported {wrong}")


def main():
    build = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "build/release")
    database = json.loads((build / "compile_commands.json").read_text())
    entries = {e["file"]: e for e in database if "/src/" in e["file"] and "\nHEATPROOF_SIMD" in pathlib.Path(e["file"]).read_text()}
    if not entries:
        sys.exit(f"{build}: no files with loops to check; build there first")
    prove(next(iter(entries.values())))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(failures, entries.values()))
    wrong = [line.replace(f"{ROOT}/", "") for _, lines in results for line in lines]
    found = sum(n for n, _ in results)
    print("\n".join(wrong + [f"{found} loops in {len(results)} files, {len(wrong)} not vectorized"]))
    if found < LEAST:
        print(f"there were {LEAST} loops; say so in LEAST where some went for good")
    sys.exit(bool(wrong) or found < LEAST)


if __name__ == "__main__":
    main()
