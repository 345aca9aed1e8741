#!/usr/bin/env python3
"""Checks that the loops of functions marked HEATPROOF_SIMD are vectorized, for AVX-512 and AVX2 (docs/architecture.md).

    scripts/check_vectorized.py [build/release]      recompiles those files with the compiler's report

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

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLONES = 2
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
    report = subprocess.run([*words, "-fopt-info-vec-optimized"], capture_output=True, text=True, check=True).stderr
    return collections.Counter(int(n) for n in re.findall(rf"{re.escape(source.name)}:(\d+):\d+: optimized: (?:loop|basic block part) vectorized", report))


def failures(entry):
    source = pathlib.Path(entry["file"])
    loops = innermost_loops(source.read_text())
    reported = vectorized_lines(entry["command"], source)
    return len(loops), [f"{source.relative_to(ROOT)}:{line}: not vectorized: {text}" for line, text, lines in loops
                        if max(reported[n] for n in lines) < CLONES]


def main():
    build = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "build/release")
    database = json.loads((build / "compile_commands.json").read_text())
    entries = {e["file"]: e for e in database if "/src/" in e["file"] and "\nHEATPROOF_SIMD" in pathlib.Path(e["file"]).read_text()}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(failures, entries.values()))
    wrong = [line for _, lines in results for line in lines]
    print("\n".join(wrong + [f"{sum(n for n, _ in results)} loops in {len(results)} files, {len(wrong)} not vectorized"]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
