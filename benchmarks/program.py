"""Runs heatproof as a user would, and measures the whole process."""

import json
import os
import subprocess
import tempfile
import time

from benchmarks.common import Measure, Skip


def run(plan, *arguments, threads=None):
    """Measure of the process: wall time, peak of resident memory, the JSON that it prints. Throws Skip for recipes and metrics that
    this build does not know, RuntimeError for other failures."""
    command = [plan.program, *map(str, arguments), "--json", "--quiet", "--threads", str(threads or plan.threads)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        ms = 1000 * (time.perf_counter() - begin)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        message = err.read().decode().strip()
        if process.returncode == 2 and "unknown " in message:
            raise Skip(message.partition("; known are")[0])
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}: {message}")
        return Measure(ms, usage.ru_maxrss / 1024, json.loads(out.read()), 1000 * (usage.ru_utime + usage.ru_stime))


def bench(plan, model, *recipes, batch=1, repeats=5, threads=None, more=()):
    """What `heatproof bench` prints, as a dictionary; without recipes: the forward pass only."""
    words = [w for r in recipes for w in ("--recipe", r)] or ["--forward"]
    return run(plan, "bench", model, *words, "--batch", batch, "--repeats", repeats, *more, threads=threads).value


def forward(result):
    return Measure(result["forward_ms"], result["peak_rss_mb"])


def explanation(result):
    return Measure(result["explain_ms"], result["peak_rss_mb"])
